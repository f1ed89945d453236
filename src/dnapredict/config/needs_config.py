"""The needs of patients in `serving/worklist.toml`: their effect on a call, whatever its reason is.

The four needs of `accessible_information_code` are the categories of the Accessible Information Standard (DAPB1605),
each an element of the NHS Data Dictionary: communication professional, contact method, information format and
communication support. The standard asks for the need and not for the impairment, and so do all texts here.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import Field, model_validator

from dnapredict.config.loading import Settings

Kind = Literal["confirm", "transport", "interpreter", "another time", "another mode", "contact details"]
Evidence = Literal["randomised trials", "observational studies", "unproven"]

NeedColumn = Literal[
    "interpreter_needed",
    "transport_booked",
    "age_years",
    "carer_or_child",
    "has_mobile",
    "distance_km",
    "learning_disability_flag",
    "accessible_information_code",
]
TEXT_NEEDS: Final = ("learning_disability_flag", "accessible_information_code")
"""The columns of needs that hold text, as recorded locally."""


class Need(Settings):
    """A need of a patient, and how it changes the action, whatever the strongest reason is.

    A need changes how a patient is contacted, never which patients are: it changes no risk, no rank and no selection.
    Columns for the audit only, such as `ethnic_category_code` or `language_code`, are not allowed here.

    Attributes
    ----------
    column
        The contract column with the need: a yes or no, a number with a bound, or a text.
    when
        The answer, yes or no, for which the need applies: "no" for `has_mobile`.
    below, above
        The bound of `age_years`, and of `distance_km`.
    mentions
        Words, one of which the text must contain, as whole words in upper or lower case. Without them, the need
        applies to any text that is not "none" and contains no word of another need of the column.
    in_person
        Whether the need applies only to appointments to which the patient travels.
    name
        The name by which a kept list has the need; by default the column. Several needs of one column have names.
    badge
        The need in two or three words, as a page shows it beside the patient.
    before
        An action before the call, such as "Book an interpreter".
    verb
        The word that replaces "call" for somebody who cannot be called.
    whom, how
        Who is called instead of the patient, and how: inserted after the word "call" of the action. Of several
        needs with `whom`, the first applies.
    also
        A further subject of the call.
    uncalled
        The action for a patient who is not called.
    words
        Replacements for words in the actions and reasons of such a patient.
    kind
        The kind of action that the need covers: an action of that kind would repeat it, so the action of the next
        reason is used. Of several needs of one kind, the first applies.
    evidence, why
        The kind of evidence for its effect on missed appointments, and why it was agreed.
    """

    column: NeedColumn
    name: Annotated[str, Field(pattern="^[a-z_]*$")] = ""
    when: Literal["yes", "no"] = "yes"
    below: Annotated[float, Field(gt=0, le=130)] | None = None
    above: Annotated[float, Field(ge=0, le=2_000)] | None = None
    mentions: tuple[Annotated[str, Field(min_length=2)], ...] = ()
    in_person: bool = False
    badge: str = ""
    before: str = ""
    verb: Annotated[str, Field(pattern="^[a-z]*$")] = ""
    whom: str = ""
    how: str = ""
    also: str = ""
    uncalled: str = ""
    words: dict[str, str] = {}
    kind: Kind | None = None
    evidence: Evidence = "unproven"
    why: Annotated[str, Field(min_length=1)]

    @model_validator(mode="before")
    @classmethod
    def _its_name_is_that_of_the_column(cls, fields: Any) -> Any:
        named = isinstance(fields, dict) and not fields.get("name") and isinstance(fields.get("column"), str)
        return fields | {"name": fields["column"]} if named else fields

    @model_validator(mode="after")
    def _a_number_has_a_bound(self) -> "Need":
        if (self.column == "age_years") != (self.below is not None):
            raise ValueError("'below' belongs to column 'age_years', and to no other")
        if (self.column == "distance_km") != (self.above is not None):
            raise ValueError("'above' belongs to column 'distance_km', and to no other")
        return self

    @model_validator(mode="after")
    def _its_column_has_such_answers(self) -> "Need":
        if self.mentions and not self.is_text:
            raise ValueError(f"'mentions' belongs to a column of text ({', '.join(TEXT_NEEDS)})")
        if self.when == "no" and (self.is_text or self.column in ("age_years", "distance_km")):
            raise ValueError(f"'when' belongs to a column of yes and no, and not to '{self.column}'")
        return self

    @model_validator(mode="after")
    def _it_changes_something(self) -> "Need":
        if not any(self.texts()):
            raise ValueError(f"need '{self.column}' names nothing to do: give 'before', 'whom', 'also', ...")
        return self

    @property
    def is_text(self) -> bool:
        """Whether its column holds text, as recorded locally."""
        return self.column in TEXT_NEEDS

    @property
    def said(self) -> str:
        """Everything that the need asks for, in one phrase."""
        called = " ".join(text for text in (self.whom, self.how) if text)
        parts = (self.before, f"{self.verb or 'call'} {called}" if called else "", self.also)
        phrase = "; ".join(part for part in parts if part) or self.uncalled or self.badge
        return phrase[:1].upper() + phrase[1:]

    def texts(self) -> tuple[str, ...]:
        """Every text of the need that a clerk may read, except its badge."""
        return (self.before, self.verb, self.whom, self.how, self.also, self.uncalled, *self.words.values())


_PROFESSIONALS: Final = (
    *("interpreter", "sign language", "BSL", "lipspeaker", "lip speaker", "deafblind", "Makaton", "note taker"),
    *("notetaker", "speech to text", "communication professional", "advocate"),
)
_METHODS: Final = (
    *("contact by text", "contact by short message", "contact by SMS", "contact by email", "contact by e-mail"),
    *("contact by letter", "contact by textphone", "textphone", "text relay", "Relay UK", "minicom"),
    *("no telephone", "no phone", "no voice calls", "not by telephone", "cannot use telephone", "contact method"),
)
_FORMATS: Final = (
    *("large print", "large font", "braille", "moon", "easy read", "easyread", "audio", "electronic format"),
    *("information by", "information in", "information format"),
)
_SUPPORT: Final = (
    *("hearing aid", "hearing aids", "hearing loop", "induction loop", "cochlear implant", "lipread", "lipreads"),
    *("lip reads", "lip-reads", "lipreading", "speak clearly", "speak slowly", "communication support"),
    *("communication passport", "communication aid", "talking mats", "longer appointment", "more time", "extra time"),
)

NEEDS: Final = (
    Need(
        column="accessible_information_code",
        name="communication_professional",
        mentions=_PROFESSIONALS,
        kind="interpreter",
        badge="Communication professional",
        before="Book the interpreter or communication professional on record",
        how="with them",
        uncalled="check that the interpreter or communication professional on record is booked",
        why="Nobody can confirm an appointment in a language that they do not use (DAPB1605).",
    ),
    Need(
        column="interpreter_needed",
        kind="interpreter",
        badge="Interpreter",
        before="Book an interpreter",
        how="with one",
        uncalled="check that an interpreter is booked",
        why="Nobody can confirm an appointment in a language that they do not speak.",
    ),
    Need(
        column="age_years",
        below=16,
        badge="Child",
        words={
            "Missed": "Was not brought to",
            "cancelled by the patient": "cancelled by the family",
            "the patient can come": "the child can be brought",
            "easier to come": "easier to bring the child",
        },
        why="A child is brought by somebody.",
    ),
    Need(
        column="carer_or_child",
        badge="Parent or carer",
        whom="the parent or carer",
        uncalled="any reminder goes to the parent or carer",
        why="Who arranges the visit is called; the list says who, or else age does.",
    ),
    Need(
        column="accessible_information_code",
        name="contact_method",
        mentions=_METHODS,
        badge="No voice call",
        verb="contact",
        whom="the patient",
        how="in the way on record (no voice call)",
        uncalled="send any reminder in the way on record (no voice call)",
        why="A voice call does not reach somebody who needs another way of contact (DAPB1605).",
    ),
    Need(
        column="transport_booked",
        kind="transport",
        badge="Transport booked",
        also="confirm the transport that is booked",
        uncalled="confirm the transport that is booked",
        why="Transport that does not come is an appointment that the patient did not miss.",
    ),
    Need(
        column="distance_km",
        above=15,
        in_person=True,
        kind="transport",
        badge="Long journey",
        also="offer transport, or a telephone or video appointment",
        why="A long way costs time and money, and there may be no bus.",
    ),
    Need(
        column="learning_disability_flag",
        badge="Plain words, more time",
        also="use plain words, allow time and ask who helps with appointments",
        uncalled="send any reminder in easy read",
        why="A reasonable adjustment (Equality Act 2010, section 20). It says what to do, not what somebody has.",
    ),
    Need(
        column="accessible_information_code",
        name="information_format",
        mentions=_FORMATS,
        badge="Information format",
        also="confirm in the information format on record",
        uncalled="send any letter or reminder in the information format on record",
        why="A letter that cannot be read is none (DAPB1605).",
    ),
    Need(
        column="accessible_information_code",
        name="communication_support",
        mentions=_SUPPORT,
        badge="Communication support",
        also="ask whether the communication support on record is arranged",
        uncalled="check that the communication support on record is arranged",
        why="Support that is not arranged is a visit in vain (DAPB1605).",
    ),
    Need(
        column="accessible_information_code",
        badge="Communication needs on record",
        before="Look up the communication needs on record",
        uncalled="look up the communication needs on record before any letter or reminder",
        why="A need in words of the trust's own is a need as well (DAPB1605).",
    ),
    Need(
        column="has_mobile",
        when="no",
        badge="No mobile",
        also="confirm by letter, as no text message arrives",
        uncalled="send the reminder as a letter, as no text message arrives",
        why="Without a mobile number no text message arrives.",
    ),
)
"""The default if a file has no `[[needs]]`, so that a file of an earlier release has them too.

They are in the shipped file as well, for a team to change; so that file cannot be where a default is read from, and
`tests/spec/test_worklist.py` holds the two together. The sentence follows their order. Of several needs of one kind,
the first applies; of several needs with `whom`, the first decides who is called.
"""

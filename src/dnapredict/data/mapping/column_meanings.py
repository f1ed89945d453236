"""The possible meanings of a spreadsheet's columns, in a booking clerk's words, and the mapping from a choice.

A person chooses a meaning for each column of the file: "your *Appt ID* is the appointment number". A mapping has the
opposite direction, a source for each contract column. One source may give several: a date of birth gives the age.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from dnapredict.data.contract.columns import CONTACT_NAMES, NAMES, REQUIRED
from dnapredict.data.mapping.suggestion import Sources
from dnapredict.errors import DataError


@dataclass(frozen=True)
class Meaning:
    """What a column of a spreadsheet means.

    Attributes
    ----------
    key
        Its name in a form.
    words
        Completes the sentence "your *Appt ID* is ...".
    gives
        The contract columns that it gives, each with the key of its `ColumnSource` that names the column.
    group
        The heading under which a form offers it.
    """

    key: str
    words: str
    gives: tuple[tuple[str, str], ...]
    group: str


# By group, as a form shows them, and by key: the contract column, with the key of its source where that is not "from".
_WORDS_BY_GROUP: Final = {
    "The appointment": {
        "appointment_id": "the appointment number",
        "starts_at": "when the appointment starts: the date, with or without a time",
        "starts_at.time": "the time of day at which it starts",
        "booked_at": "when the appointment was booked",
        "clinic_code": "the clinic",
        "site_code": "the hospital or site",
        "treatment_function_code": "the specialty",
        "first_attendance_code": "whether it is a first or a follow-up appointment",
        "consultation_mechanism_code": "whether it is face to face, by telephone or by video",
        "priority_type_code": "how urgent it is",
        "referral_source_code": "who referred the patient",
        "referred_at": "when the patient was referred",
        "times_rescheduled": "how often it was moved",
        "outcome_code": "what became of it: attended, missed, cancelled",
    },
    "The patient": {
        "patient_id": "the patient's number",
        "age_years": "the age",
        "born": "the date of birth",
        "gender_code": "the gender",
        "lsoa_code": "the area where the patient lives (LSOA code)",
        "imd_decile": "the deprivation decile (IMD) of the area where the patient lives",
        "distance_km": "the distance from home to the hospital in km",
    },
    "How to reach them": {
        "person_full_name": "the patient's name",
        "person_given_name": "the patient's first name",
        "person_family_name": "the patient's last name",
        "mobile": "the mobile number",
        "home_telephone": "the home telephone number",
        "other_telephone": "another telephone number",
        "has_mobile": "whether there is a mobile number",
        "preferred_contact_time": "when the patient wants to be called",
        "opt_out": "whether the patient does not wish to be called",
    },
    "What they need": {
        "interpreter_needed": "whether an interpreter is needed",
        "language": "the language",
        "transport_booked": "whether transport is booked",
        "disability_flag": "whether the patient has a disability",
        "learning_disability_flag": "whether the patient has a learning disability",
        "accessible_information_code": "what they need in order to read, hear or understand (accessible information)",
        "carer_or_child": "whether to call a parent or carer",
    },
}
# Meanings that give several contract columns.
_GIVE_SEVERAL: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "born": (("age_years", "born"), ("person_birth_date", "from")),
    "mobile": (("has_mobile", "filled"), ("mobile_telephone", "from")),
    "language": (("preferred_language", "from"), ("language_code", "from")),
}


def _gives(key: str) -> tuple[tuple[str, str], ...]:
    name, _, part = key.partition(".")
    return _GIVE_SEVERAL.get(key, ((name, part or "from"),))


MEANINGS: Final = tuple(
    Meaning(key, words, _gives(key), group)
    for group, meanings in _WORDS_BY_GROUP.items()
    for key, words in meanings.items()
)
BY_KEY: Final = {meaning.key: meaning for meaning in MEANINGS}
UNUSED: Final = ""
"""The choice for a column that is not used."""

WORDS: Final = {name: meaning.words for meaning in reversed(MEANINGS) for name, key in meaning.gives}
"""Contract columns in words, for sentences about missing columns and wrong cells."""

_THERE: Final = frozenset((*NAMES, *CONTACT_NAMES))
# The columns that identify an appointment without an appointment number; they are the same in every export.
_ID_FROM: Final = ("patient_id", "starts_at", "clinic_code")


def meanings_of(sources: Sources) -> dict[str, str]:
    """The meaning of each source column by which `sources` use it, as keys of `BY_KEY`."""
    meanings: dict[str, str] = {}
    for name, origin in sources.items():
        for column, key in _columns_of(origin):
            meaning = _meaning_of(name, key)
            if meaning is not None and column not in meanings:
                meanings[column] = meaning.key
    return meanings


def _columns_of(origin: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for key in ("from", "date", "time", "born", "filled"):
        if key in origin:
            # A date beside a time has the same meaning as a date alone.
            yield str(origin[key]), "from" if key == "date" else key
    if isinstance(columns := origin.get("combine"), list):
        yield str(columns[0]), "from"


def _meaning_of(name: str, key: str) -> Meaning | None:
    return next((meaning for meaning in MEANINGS if (name, key) in meaning.gives), None)


@dataclass(frozen=True)
class ChosenMeanings:
    """The meaning of each column of a file, by its position, as a person chose it.

    Attributes
    ----------
    names
        The columns of the file.
    keys
        A key of `BY_KEY` for each, or `UNUSED`.
    """

    names: Sequence[str]
    keys: Sequence[str]

    def sources(self, *, pseudonymise: bool | str = False) -> Sources:
        """The sources of a mapping.

        Parameters
        ----------
        pseudonymise
            How patients' numbers become pseudonyms, as in `ColumnSource`.

        Raises
        ------
        DataError
            If a required meaning is missing, or two columns have the same one.
        """
        columns = self._columns()
        sources: dict[str, dict[str, object]] = {}
        for key, column in columns.items():
            for name, part in BY_KEY[key].gives:
                if name in _THERE:
                    sources.setdefault(name, {}).setdefault(part, column)
        # A column of its own, such as the age, goes before one that is derived from another.
        for name, derived in (("age_years", "born"), ("has_mobile", "filled")):
            if "from" in sources.get(name, {}):
                sources[name].pop(derived, None)
        start = sources.get("starts_at", {})
        if "time" in start:
            start["date"] = start.pop("from", "")
        if "patient_id" in sources and pseudonymise:
            sources["patient_id"]["pseudonymise"] = pseudonymise
        if "appointment_id" not in sources and {"patient_id", "starts_at"} <= sources.keys():
            sources["appointment_id"] = {"id_from": [name for name in _ID_FROM if name in sources]}
        self._require(sources)
        return sources

    def _columns(self) -> dict[str, str]:
        columns: dict[str, str] = {}
        for name, key in zip(self.names, self.keys, strict=True):
            if key not in BY_KEY:
                continue
            if key in columns:
                raise DataError(f"Two columns are {BY_KEY[key].words}. Choose one of them.")
            columns[key] = name
        return columns

    def _require(self, sources: Sources) -> None:
        if sources.get("starts_at", {}).get("date") == "":
            raise DataError("A column with the time of day needs another with the date: choose which one it is.")
        absent = [BY_KEY[name].words for name in REQUIRED if name not in sources]
        if absent:
            words = " and which is ".join(absent)
            raise DataError(f"Choose which column is {words}. A list cannot be scored without.")

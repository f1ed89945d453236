"""The form of call mode: the outcome, the barrier, the offer, a note, and when to call back."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from dnapredict.errors import DataError
from dnapredict.service.call_outcomes import Barrier, CallDetails, Offer, Outcome, choice_of
from dnapredict.service.pages.posted_forms import PostedForm

_MOST_FIELDS: Final = 12
_LONGEST_CALL_BACK: Final = datetime.timedelta(days=31)
CHOOSE: Final = "Choose what happened."
WHEN: Final = "Give a day and a time for the call back, such as tomorrow at 10:30."
PAST: Final = "The time to call back is over already. Give a later one."
TOO_LATE: Final = "The time to call back is more than a month away. Give an earlier one."
CALL_BACK_PROBLEMS: Final = frozenset({WHEN, PAST, TOO_LATE})
"""Complaints about the field for the time to call back."""


@dataclass(frozen=True)
class CallForm:
    """The content of a form, as it was sent.

    Attributes
    ----------
    outcome
        None if none was chosen.
    seen
        Time of the outcome that the form showed, "" for none; None if the form has no such field.
    fields
        All other fields as text, so that the page can show them again.
    """

    outcome: Outcome | None
    seen: str | None
    fields: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, body: str) -> "CallForm":
        """Read it from the body of a request.

        Raises
        ------
        DataError
            If the body is not such a form.
        """
        form = PostedForm.of(body, most_fields=_MOST_FIELDS)
        others = {name: value for name, value in form.fields.items() if name not in ("outcome", "seen")}
        return cls(form.choice("outcome", Outcome), form.seen, others)

    @property
    def is_note_only(self) -> bool:
        """Whether only the note is to be kept."""
        return "only_note" in self.fields

    @property
    def note(self) -> str | None:
        """The note; None if the form has no such field."""
        return self.fields.get("note")

    def details(self, *, now: datetime.datetime, zone: datetime.tzinfo) -> CallDetails:
        """Barrier, offer and call-back time.

        Raises
        ------
        DataError
            If the time to call back is not one, is over, or is more than a month away.
        """
        return CallDetails(
            choice_of(self.fields.get("barrier"), Barrier),
            choice_of(self.fields.get("offered"), Offer),
            self._call_back_at(now, zone),
        )

    def _call_back_at(self, now: datetime.datetime, zone: datetime.tzinfo) -> datetime.datetime | None:
        """The time to call back, by the clinics' clock; None where the form gives none or the outcome needs none."""
        text = self.fields.get("call_back_at", "").strip()
        if self.outcome is None or self.outcome.reached or self.outcome is Outcome.WITHDRAWN:
            return None
        if not text and self.outcome is not Outcome.CALL_BACK:
            return None
        try:
            at = datetime.datetime.fromisoformat(text)
        except ValueError:
            raise DataError(WHEN) from None
        at = at.replace(tzinfo=zone) if at.tzinfo is None else at
        if at <= now:
            raise DataError(PAST)
        if at - now > _LONGEST_CALL_BACK:
            raise DataError(TOO_LATE)
        return at

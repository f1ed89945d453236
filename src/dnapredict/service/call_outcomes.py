"""The record of a call: the outcome, the barrier to attending, the offer, and when to call back.

All except the time are codes, for measures of access and for later models. A note in free text is data about a patient;
it is kept with the contact details, never in the scoring log.
"""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeVar

from dnapredict.data.contract.codes import BARRIER
from dnapredict.worklist.calls.attempts import Effect

Choice = TypeVar("Choice", bound=StrEnum)


class Outcome(StrEnum):
    """The outcome of a call about an appointment. The last one that was recorded counts."""

    CONFIRMED = "confirmed"
    REBOOKED = "rebooked"
    CANCELLED = "cancelled"
    TRANSPORT_ARRANGED = "transport_arranged"
    INTERPRETER_ARRANGED = "interpreter_arranged"
    MODE_CHANGED = "mode_changed"
    DETAILS_UPDATED = "details_updated"
    MESSAGE_LEFT = "message_left"
    NO_ANSWER = "no_answer"
    WRONG_NUMBER = "wrong_number"
    CALL_BACK = "call_back"
    OPTED_OUT = "no_calls_wished"
    CALLS_WISHED = "calls_wished_again"
    WITHDRAWN = "withdrawn"

    @property
    def reached(self) -> bool:
        """Whether somebody spoke to the patient or their carer."""
        return self not in _NOT_REACHED

    @property
    def effect(self) -> Effect:
        """Its effect on further calls to the patient."""
        return _EFFECTS.get(self, "reached" if self.reached else "not reached")


# A patient who wishes to be called again was not spoken to about the appointment: the next list may select it.
_NOT_REACHED: Final = frozenset(
    {
        Outcome.MESSAGE_LEFT,
        Outcome.NO_ANSWER,
        Outcome.WRONG_NUMBER,
        Outcome.CALL_BACK,
        Outcome.CALLS_WISHED,
        Outcome.WITHDRAWN,
    }
)
_EFFECTS: Final[Mapping[Outcome, Effect]] = {
    Outcome.OPTED_OUT: "opted out",
    Outcome.CALLS_WISHED: "calls wished",
    Outcome.REBOOKED: "rebooked",
    Outcome.WITHDRAWN: "withdrawn",
    Outcome.WRONG_NUMBER: "wrong number",
    Outcome.CALL_BACK: "call back",
}

WORDS: Final = {
    Outcome.CONFIRMED: "Confirmed",
    Outcome.REBOOKED: "Rebooked",
    Outcome.CANCELLED: "Cancelled by the patient",
    Outcome.TRANSPORT_ARRANGED: "Transport arranged",
    Outcome.INTERPRETER_ARRANGED: "Interpreter arranged",
    Outcome.MODE_CHANGED: "Other mode arranged",
    Outcome.DETAILS_UPDATED: "Contact details put right",
    Outcome.MESSAGE_LEFT: "Message left",
    Outcome.NO_ANSWER: "No answer",
    Outcome.WRONG_NUMBER: "Wrong number",
    Outcome.CALL_BACK: "Call back later",
    Outcome.OPTED_OUT: "Does not wish to be called",
    Outcome.CALLS_WISHED: "Wishes to be called again",
    Outcome.WITHDRAWN: "Recorded by mistake",
}
"""Each outcome in words, in the order of the page: the same words as the shipped `serving/worklist.toml` has for
the column `outcome` of a workbook.
"""

OFFERED_WORDS: Final = tuple(words for outcome, words in WORDS.items() if outcome is not Outcome.WITHDRAWN)
"""The choices for an appointment without a recorded outcome."""

NEXT: Final = {
    Outcome.MESSAGE_LEFT: "Call again if they do not call back",
    Outcome.NO_ANSWER: "Call again at another time of day",
    Outcome.WRONG_NUMBER: "Look for another number, or write",
    Outcome.CALL_BACK: "Call again at the time that was agreed",
}
"""The next step after a call that reached nobody."""


class Barrier(StrEnum):
    """The main thing that makes it hard for the patient to attend, as they say."""

    TRANSPORT = "transport"
    WORK = "work"
    CARING = "caring"
    LETTER = "letter_not_received"
    TIME = "wrong_time"
    FEAR = "fear"
    COST = "cost"
    FORGOT = "forgot"
    OTHER = "other"


class Offer(StrEnum):
    """What the caller offered."""

    TIME = "another_time"
    TRANSPORT = "transport"
    INTERPRETER = "interpreter"
    MODE = "another_mode"
    TRAVEL_COSTS = "travel_costs"
    LETTER = "letter_sent_again"
    OTHER = "other"


BARRIER_WORDS: Final = {barrier: BARRIER[barrier] for barrier in Barrier}
"""Each barrier in words, in the order of the page."""

OFFER_WORDS: Final = {
    Offer.TIME: "Another time",
    Offer.TRANSPORT: "Transport",
    Offer.INTERPRETER: "Interpreter",
    Offer.MODE: "Telephone or video",
    Offer.TRAVEL_COSTS: "Help with travel costs",
    Offer.LETTER: "Letter or text again",
    Offer.OTHER: "Something else",
}
"""Each offer in words, in the order of the page."""


@dataclass(frozen=True)
class CallDetails:
    """What is recorded with an outcome; each part may be None. `call_back_at` has a time zone."""

    barrier: Barrier | None = None
    offered: Offer | None = None
    call_back_at: datetime.datetime | None = None

    @classmethod
    def of_entry(cls, entry: Any) -> "CallDetails":
        """Read them from an entry of the scoring log; None for a code of a newer release."""
        at = entry.call_back_at
        return cls(
            choice_of(entry.barrier, Barrier),
            choice_of(entry.offered, Offer),
            None if at is None else datetime.datetime.fromisoformat(at),
        )

    @property
    def columns(self) -> dict[str, str | None]:
        """The columns of an entry of the scoring log."""
        at = None if self.call_back_at is None else self.call_back_at.astimezone(datetime.UTC).isoformat()
        return {"barrier": self.barrier, "offered": self.offered, "call_back_at": at}

    @property
    def words(self) -> str:
        """Barrier and offer as a phrase; "" for none.

        >>> CallDetails(Barrier.WORK, Offer.TIME).words
        'Barrier: work. Offered: another time'
        """
        barrier = "" if self.barrier is None else f"Barrier: {_lower(BARRIER_WORDS[self.barrier])}"
        offered = "" if self.offered is None else f"Offered: {_lower(OFFER_WORDS[self.offered])}"
        return ". ".join(part for part in (barrier, offered) if part)


NO_DETAILS: Final = CallDetails()
"""For an outcome without details."""


def choice_of(text: str | None, choices: type[Choice]) -> Choice | None:
    """The member of `choices` with that value; None for anything else.

    >>> choice_of("work", Barrier), choice_of("weather", Barrier)
    (<Barrier.WORK: 'work'>, None)
    """
    try:
        return None if text is None else choices(text)
    except ValueError:
        return None


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]

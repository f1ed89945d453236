"""Details of a recorded call: the barrier to attending, what was offered, and when to call back.

All are structured codes, for the measures of access and for later models. A note in a person's own words is data
about a patient and is kept with the contact details, never in the scoring log.
"""

import datetime
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final


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


BARRIER_WORDS: Final = {
    Barrier.TRANSPORT: "Transport",
    Barrier.WORK: "Work",
    Barrier.CARING: "Caring for somebody",
    Barrier.LETTER: "Letter not received",
    Barrier.TIME: "The time does not suit",
    Barrier.FEAR: "Fear or worry",
    Barrier.COST: "Cost",
    Barrier.FORGOT: "Had forgotten",
    Barrier.OTHER: "Something else",
}
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
            Barrier(entry.barrier) if entry.barrier in {each.value for each in Barrier} else None,
            Offer(entry.offered) if entry.offered in {each.value for each in Offer} else None,
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


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]

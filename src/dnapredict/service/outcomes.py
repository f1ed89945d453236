"""What can come of contacting a patient: the words of the page, of the API and of the log."""

from enum import StrEnum
from typing import Final

__all__ = ["NEXT", "OFFERED_WORDS", "WORDS", "Outcome"]


class Outcome(StrEnum):
    """What was done about an appointment. The last one that was recorded counts."""

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
    NO_CALLS_WISHED = "no_calls_wished"
    WITHDRAWN = "withdrawn"

    @property
    def reached(self) -> bool:
        """Whether the patient, or who answers for them, was spoken to."""
        return self not in _NOT_REACHED


_NOT_REACHED: Final = frozenset(
    {Outcome.MESSAGE_LEFT, Outcome.NO_ANSWER, Outcome.WRONG_NUMBER, Outcome.WITHDRAWN}
)

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
    Outcome.NO_CALLS_WISHED: "Does not wish to be called",
    Outcome.WITHDRAWN: "Recorded by mistake",
}
"""Each outcome as a clerk reads it, in the order in which the page offers them.

They are the words that `serving/worklist.toml` ships with for the same column of a workbook.
"""

OFFERED_WORDS: Final = tuple(words for outcome, words in WORDS.items() if outcome is not Outcome.WITHDRAWN)
"""The words to choose from where nothing was recorded yet."""

NEXT: Final = {
    Outcome.MESSAGE_LEFT: "Call again if they do not call back",
    Outcome.NO_ANSWER: "Call again at another time of day",
    Outcome.WRONG_NUMBER: "Look for another number, or write",
}
"""What is still to do where nobody was reached."""

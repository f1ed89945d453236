"""Patients' needs, and their effect on the wording of actions and reasons.

A need applies whatever the strongest reason is: an interpreter is booked, transport is confirmed and the parent of a
child is called even if the risk has other reasons.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dnapredict.config.worklist_config import Need

COLUMNS: Final = ("interpreter_needed", "transport_booked", "age_years", "carer_or_child")
"""The contract columns that express a need."""

# "Call" as a verb, not as in "the same call": the verb is followed by "and", "to" or "with".
_CALL: Final = re.compile(r"\b([Cc]all)(?= (?:and|to|with)\b|$)")


@dataclass(frozen=True)
class Needs:
    """The needs of the rows of a list.

    Attributes
    ----------
    known
        The needs that the configuration names.
    pattern
        For each row, the sum of `2 ** n` over the needs `known[n]` that it has.
    """

    known: tuple[Need, ...]
    pattern: NDArray[np.int64]

    @classmethod
    def of(cls, table: pa.Table, known: tuple[Need, ...]) -> "Needs":
        """Read the needs from the contract columns of `table`."""
        pattern = np.zeros(table.num_rows, dtype=np.int64)
        for bit, need in enumerate(known):
            pattern |= has_need(table, need).astype(np.int64) << bit
        return cls(known, pattern)

    def at(self, row: int) -> tuple[Need, ...]:
        """The needs of one row."""
        return self.in_pattern(int(self.pattern[row]))

    def in_pattern(self, pattern: int) -> tuple[Need, ...]:
        """The needs that a pattern stands for."""
        return tuple(need for bit, need in enumerate(self.known) if pattern >> bit & 1)

    def of_calls(self, call: NDArray[np.int64]) -> "Needs":
        """The same, with the needs of all rows of a call merged.

        If one appointment of a patient says that an interpreter is needed and another does not, the call about both
        needs one.

        Parameters
        ----------
        call
            For each row the row that its patient is called about; negative where there is no call.
        """
        pattern = self.pattern.copy()
        covered = np.flatnonzero(call >= 0)
        np.bitwise_or.at(pattern, call[covered], self.pattern[covered])
        return Needs(self.known, pattern)


def has_need(table: pa.Table, need: Need) -> NDArray[np.bool_]:
    """A mask of the rows of `table` with the need; False where the column is absent or blank."""
    if need.column not in table.column_names:
        return np.zeros(table.num_rows, dtype=bool)
    # A factor of the model is a number, with NaN for unknown values.
    column = table[need.column]
    numbers = (column.cast(pa.int8()) if pa.types.is_boolean(column.type) else column).cast(pa.float64())
    has = pc.equal(numbers, 1) if need.below is None else pc.less(numbers, need.below)
    return np.asarray(pc.fill_null(has, False).to_numpy(), dtype=bool)


def with_needs(action: str, needs: Sequence[Need]) -> str:
    """An action for a patient who has these needs, as one sentence.

    >>> from dnapredict.config.worklist_config import NEEDS
    >>> with_needs("Call and offer another time", NEEDS)
    'Book an interpreter, then call the parent or carer with one and offer another time; confirm the \
transport that is booked'
    """
    text = _addressed(with_words(action, needs), " ".join(_parts(needs, "whom") + _parts(needs, "how")))
    first = _parts(needs, "before")
    if first:
        steps = ", ".join(first) + (", " if ", then " in text else ", then ")
        text = steps + _lower(text)
    return "; ".join([text, *_parts(needs, "also")])


def without_call(action: str, needs: Sequence[Need]) -> str:
    """The action for a patient with these needs whose appointment is not called about."""
    text = "; ".join([*([action] if action else []), *_parts(needs, "uncalled")])
    return text[:1].upper() + text[1:]


def with_words(text: str, needs: Iterable[Need]) -> str:
    """The same text in the words that are agreed for a patient with these needs.

    >>> from dnapredict.config.worklist_config import NEEDS
    >>> with_words("Missed 2 of 5 past appointments", NEEDS)
    'Was not brought to 2 of 5 past appointments'
    """
    for need in needs:
        for word, instead in need.words.items():
            text = text.replace(word, instead)
    return text


def _addressed(action: str, whom: str) -> str:
    """The action with the person to call, and the way to call, inserted."""
    if not whom:
        return action
    if _CALL.search(action):
        return _CALL.sub(rf"\1 {whom}", action, count=1)
    return f"Call {whom}: {_lower(action)}"


def _parts(needs: Sequence[Need], part: str) -> list[str]:
    return [text for need in needs if (text := getattr(need, part))]


def _lower(text: str) -> str:
    """The text in lower case for use within a sentence, unless it begins with an abbreviation."""
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]

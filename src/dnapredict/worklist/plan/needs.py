"""What patients need, and how it shapes the words of an action and of the reasons.

A need holds whatever the strongest reason is: an interpreter is booked, transport is confirmed and the
parent of a child is called, also where the risk rests on something else.
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

COLUMNS: Final = ("interpreter_needed", "transport_booked", "age_years")
"""The contract columns that say a need."""

# The verb, and not the noun as in "the same call": somebody is called and, to, or with something.
_CALL: Final = re.compile(r"\b([Cc]all)(?= (?:and|to|with)\b|$)")


@dataclass(frozen=True)
class Needs:
    """The needs of the rows of a list.

    Attributes
    ----------
    known
        The needs that are asked about.
    pattern
        For each row, the sum of `2 ** n` over the needs `known[n]` that it has.
    """

    known: tuple[Need, ...]
    pattern: NDArray[np.int64]

    @classmethod
    def of(cls, table: pa.Table, known: tuple[Need, ...]) -> "Needs":
        """Read them off the contract columns of `table`."""
        pattern = np.zeros(table.num_rows, dtype=np.int64)
        for place, need in enumerate(known):
            pattern |= has_need(table, need).astype(np.int64) << place
        return cls(known, pattern)

    def at(self, row: int) -> tuple[Need, ...]:
        """The needs of one row."""
        return self.in_pattern(int(self.pattern[row]))

    def in_pattern(self, pattern: int) -> tuple[Need, ...]:
        """The needs that a pattern stands for."""
        return tuple(need for place, need in enumerate(self.known) if pattern >> place & 1)

    def of_calls(self, call: NDArray[np.int64]) -> "Needs":
        """The same with the needs of all rows that are spoken about in a call, at the row of that call.

        One appointment of a patient may say that an interpreter is needed and the other not: the call
        about both has one.

        Parameters
        ----------
        call
            For each row the row that its patient is called about; negative where there is no call.
        """
        pattern = self.pattern.copy()
        spoken = np.flatnonzero(call >= 0)
        np.bitwise_or.at(pattern, call[spoken], self.pattern[spoken])
        return Needs(self.known, pattern)


def has_need(table: pa.Table, need: Need) -> NDArray[np.bool_]:
    """Which rows of `table` have the need; none where the column is absent, and not where it is blank."""
    if need.column not in table.column_names:
        return np.zeros(table.num_rows, dtype=bool)
    # As a factor of the model it stands there as a number, with NaN where it is not known.
    column = table[need.column]
    numbers = (column.cast(pa.int8()) if pa.types.is_boolean(column.type) else column).cast(pa.float64())
    found = pc.equal(numbers, 1) if need.below is None else pc.less(numbers, need.below)
    return np.asarray(pc.fill_null(found, False).to_numpy(), dtype=bool)


def with_needs(action: str, needs: Sequence[Need]) -> str:
    """An action for a patient who has these needs, as one sentence.

    >>> from dnapredict.config.worklist_config import NEEDS
    >>> with_needs("Call and offer another time", NEEDS)
    'Book an interpreter, then call the parent or carer with one and offer another time; confirm the \
transport that is booked'
    """
    said = _said_to(with_words(action, needs), " ".join(_named(needs, "whom") + _named(needs, "how")))
    first = _named(needs, "before")
    if first:
        steps = ", ".join(first) + (", " if ", then " in said else ", then ")
        said = steps + _lower(said)
    return "; ".join([said, *_named(needs, "also")])


def without_call(action: str, needs: Sequence[Need]) -> str:
    """What is to be done for a patient with these needs where nobody is called about the appointment."""
    said = "; ".join([*([action] if action else []), *_named(needs, "uncalled")])
    return said[:1].upper() + said[1:]


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


def _said_to(action: str, whom: str) -> str:
    if not whom:
        return action
    if _CALL.search(action):
        return _CALL.sub(rf"\1 {whom}", action, count=1)
    return f"Call {whom}: {_lower(action)}"


def _named(needs: Sequence[Need], part: str) -> list[str]:
    return [text for need in needs if (text := getattr(need, part))]


def _lower(text: str) -> str:
    """Within a sentence; what begins with two capitals is a name."""
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]

"""Patients' needs, and their effect on the wording of actions and reasons.

A need applies whatever the strongest reason is: an interpreter is booked, transport is confirmed and the parent of a
child is called even if the risk has other reasons. A need changes how a patient is contacted, never which patients are:
ranks and calls do not depend on needs.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dnapredict.config.needs_config import Need
from dnapredict.config.worklist_config import WorklistConfig
from dnapredict.data.contract import codes

COLUMNS: Final = (
    *("interpreter_needed", "transport_booked", "age_years", "carer_or_child", "has_mobile", "distance_km"),
    *("learning_disability_flag", "accessible_information_code"),
    *("consultation_mechanism_code", "first_attendance_code"),
)
"""The contract columns that express a need, and those that say whether the patient travels."""

# "Call" as a verb, not as in "the same call": the verb is followed by "and", "to" or "with".
_CALL: Final = re.compile(r"\b([Cc]all)(?= (?:and|to|with)\b|$)")
# Several needs in one cell are separated by one of these.
_PARTS: Final = re.compile(r"[;,|/\n]")

Mask = NDArray[np.bool_]


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
            pattern |= has_need(table, need, known=known).astype(np.int64) << bit
        return cls(known, pattern)

    def at(self, row: int) -> tuple[Need, ...]:
        """The needs of one row."""
        return self.in_pattern(int(self.pattern[row]))

    def in_pattern(self, pattern: int) -> tuple[Need, ...]:
        """The needs of a pattern, the first of each kind."""
        found: list[Need] = []
        for bit, need in enumerate(self.known):
            if pattern >> bit & 1 and (need.kind is None or need.kind not in {each.kind for each in found}):
                found.append(need)
        return tuple(found)

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


def kept_needs(worklist_config: WorklistConfig, names: str | None) -> tuple[Need, ...]:
    """The needs of a row of a kept list, from its column `needs`.

    Needs that the configuration no longer has are left out.

    >>> from dnapredict.config.loading import load, shipped
    >>> config = load(shipped("serving/worklist.toml"), WorklistConfig)
    >>> needs = kept_needs(config, "interpreter_needed carer_or_child")
    >>> [need.badge for need in needs], [need.whom for need in needs if need.whom]
    (['Interpreter', 'Parent or carer'], ['the parent or carer'])
    """
    by_name = {need.name: need for need in worklist_config.needs}
    return tuple(by_name[name] for name in (names or "").split() if name in by_name)


def badges_of(needs: Iterable[Need]) -> tuple[str, ...]:
    """The badges of a row: its needs in two or three words each, which say what to do and not what somebody has.

    What a list holds beside it, such as the language of an interpreter, comes from the contact details.
    """
    return tuple(dict.fromkeys(need.badge or need.said for need in needs))


def has_need(table: pa.Table, need: Need, *, known: Sequence[Need] = ()) -> Mask:
    """A mask of the rows of `table` with the need; False where the column is absent or blank.

    `known` are all needs: a need without `mentions` applies to a text that contains no word of another need.
    """
    if need.column not in table.column_names:
        return np.zeros(table.num_rows, dtype=bool)
    column = table[need.column]
    has = _has_text(column, need, known) if need.is_text else _has_number(column, need)
    return has & ~_is_remote(table) if need.in_person else has


def _has_number(column: pa.ChunkedArray, need: Need) -> Mask:
    """Yes, no, or a number beyond a bound. A factor of the model is a number, with NaN for unknown values."""
    numbers = (column.cast(pa.int8()) if pa.types.is_boolean(column.type) else column).cast(pa.float64())
    if need.below is not None:
        has = pc.less(numbers, need.below)
    elif need.above is not None:
        has = pc.greater(numbers, need.above)
    else:
        has = pc.equal(numbers, 1 if need.when == "yes" else 0)
    return np.asarray(pc.fill_null(has, False).to_numpy(), dtype=bool)


def _has_text(column: pa.ChunkedArray, need: Need, known: Sequence[Need]) -> Mask:
    """Each distinct text is read once, since a list has few."""
    coded = column.cast(pa.string()).combine_chunks().dictionary_encode()
    others = [word for each in known if each.column == need.column for word in each.mentions]
    says = [_text_says(text, need.mentions, others) for text in coded.dictionary.to_pylist()]
    answers = np.array([*says, False], dtype=bool)
    found: Mask = answers[coded.indices.fill_null(len(says)).to_numpy()]
    return found


def _text_says(text: str, mentions: Sequence[str], others: Sequence[str]) -> bool:
    parts = [part.strip() for part in _PARTS.split(text)]
    if mentions:
        return any(_mentions(part, mentions) for part in parts)
    return any(codes.flag_answer(part) == "yes" and not _mentions(part, others) for part in parts)


def _mentions(part: str, words: Sequence[str]) -> bool:
    """Whether a part of a text contains one of the words; a negated part matches only a word that is negated too.

    >>> _mentions("BSL interpreter", ["interpreter"]), _mentions("No interpreter", ["interpreter"])
    (True, False)
    >>> _mentions("No telephone calls", ["no telephone"])
    True
    """
    where = re.match if codes.flag_answer(part) != "yes" else re.search
    return any(where(rf"\b{re.escape(word)}\b", part, re.IGNORECASE) for word in words)


def _is_remote(table: pa.Table) -> Mask:
    """Whether each appointment is by telephone or video; False where neither column says so."""
    remote = np.zeros(table.num_rows, dtype=bool)
    for name, listed in (
        ("consultation_mechanism_code", codes.REMOTE_MECHANISMS),
        ("first_attendance_code", codes.REMOTE_FIRST_ATTENDANCE),
    ):
        if name in table.column_names:
            found = pc.is_in(table[name].cast(pa.string()), value_set=pa.array(listed, pa.string()))
            remote |= np.asarray(found.to_numpy(), dtype=bool)
    return remote


def with_needs(action: str, needs: Sequence[Need], *, added: Sequence[str] = ()) -> str:
    """An action for a patient who has these needs, as one sentence; `added` are further things to offer in the call.

    >>> from dnapredict.config.needs_config import NEEDS
    >>> needs = [need for need in NEEDS if need.badge in ("Interpreter", "Parent or carer", "Transport booked")]
    >>> with_needs("Call and offer another time", needs)
    'Book an interpreter, then call the parent or carer with one and offer another time; confirm the \
transport that is booked'
    """
    text = _addressed(with_words(action, needs), needs)
    first = _parts(needs, "before")
    if first:
        steps = ", ".join([first[0], *map(_lower, first[1:])]) + (", " if ", then " in text else ", then ")
        text = steps + _lower(text)
    return "; ".join([text, *(with_words(each, needs) for each in added), *_parts(needs, "also")])


def without_call(action: str, needs: Sequence[Need]) -> str:
    """The action for a patient with these needs whose appointment is not called about."""
    text = "; ".join([*([action] if action else []), *_parts(needs, "uncalled")])
    return text[:1].upper() + text[1:]


def with_words(text: str, needs: Iterable[Need]) -> str:
    """The text with the words that are agreed for a patient with these needs.

    >>> from dnapredict.config.needs_config import NEEDS
    >>> with_words("Missed 2 of 5 past appointments", NEEDS)
    'Was not brought to 2 of 5 past appointments'
    """
    for need in needs:
        for word, instead in need.words.items():
            text = text.replace(word, instead)
    return text


def _addressed(action: str, needs: Sequence[Need]) -> str:
    """The action with the person to call, and the way to call, inserted."""
    verb = next(iter(_parts(needs, "verb")), "call")
    whom = " ".join([*_parts(needs, "whom")[:1], *_parts(needs, "how")])
    if not whom and verb == "call":
        return action
    if _CALL.search(action):
        return _CALL.sub(lambda call: f"{_like(call[1], verb)} {whom}".rstrip(), action, count=1)
    return f"{_like('Call', verb)} {whom}: {_lower(action)}"


def _like(pattern: str, word: str) -> str:
    """The word, with a capital if the pattern has one."""
    return word.capitalize() if pattern[0].isupper() else word


def _parts(needs: Sequence[Need], part: str) -> list[str]:
    return [text for need in needs if (text := getattr(need, part))]


def _lower(text: str) -> str:
    """The text in lower case for use within a sentence, unless it begins with an abbreviation."""
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]

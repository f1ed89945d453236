"""Counts of a week of calls for a page without patients' data: all rounded, small ones hidden.

The rule is that of the audit (`[disclosure]` in `fairness/policy.toml`), with its secondary suppression. A team knows
its total number of calls, so the exact totals are assumed to be known: no small count can be computed with them.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from dnapredict.config.fairness_policy import Disclosure
from dnapredict.data.small_numbers import publish_count
from dnapredict.fairness.disclosure.suppression import AtMost, CountCell, SumConstraint, cells_to_hide
from dnapredict.service.call_actions import WeekEntry
from dnapredict.service.call_outcomes import Outcome

FIFTHS: Final = ("1", "2", "3", "4", "5", "")
"""Fifths of deprivation, the most deprived first; "" if the area is not known."""


class Ending(StrEnum):
    """How an appointment that somebody was called about ended."""

    CAME = "came"
    MISSED = "missed"
    CANCELLED = "cancelled or moved"
    NOT_KNOWN = "not known yet"


_MADE: Final = CountCell("calls", "all", "")
_REACHED: Final = CountCell("reached", "all", "")


@dataclass(frozen=True)
class WeekCounts:
    """The counts of a week as they may be printed; None for a hidden number.

    Attributes
    ----------
    made, reached
        Appointments with a call, and those whose patient or carer was spoken to.
    outcomes
        Appointments by their last outcome.
    by_fifth
        By fifth of deprivation: calls made, and people reached.
    barriers
        Barriers to attending, as patients said; empty if none was recorded.
    endings
        Results of the appointments; empty if no outcomes were read.
    """

    made: int | None
    reached: int | None
    outcomes: Mapping[Outcome, int | None]
    by_fifth: Mapping[str, tuple[int | None, int | None]]
    barriers: Mapping[str, int | None]
    endings: Mapping[Ending, int | None] = field(default_factory=dict)


def count_week(
    entries: Iterable[WeekEntry],
    fifth_of: Mapping[str, int | None],
    rule: Disclosure,
    *,
    ended: Mapping[str, Ending] | None = None,
) -> WeekCounts:
    """The counts of these entries.

    `fifth_of` and `ended` give the fifth of deprivation, and how it ended, by the hash of the appointment; `ended` is
    None where no outcomes were read.
    """
    exact = _exact(tuple(entries), fifth_of, ended)
    hidden = cells_to_hide(
        exact,
        _sums(exact),
        rule,
        unprinted={total: (float(exact[total]), float(exact[total])) for total in (_MADE, _REACHED)},
        at_most=_limits(exact),
    ).cells
    shown = {cell: None if cell in hidden else publish_count(count, rule) for cell, count in exact.items()}
    barriers = {cell.code: shown[cell] for cell in exact if cell.grouping == "barrier"}
    return WeekCounts(
        made=shown[_MADE],
        reached=shown[_REACHED],
        outcomes={outcome: shown[cell] for outcome in Outcome if (cell := _outcome(outcome)) in shown},
        by_fifth={code: (shown[_of_fifth("calls", code)], shown[_of_fifth("reached", code)]) for code in FIFTHS},
        barriers=barriers,
        endings={ending: shown[_ending(ending)] for ending in Ending if _ending(ending) in shown},
    )


def _exact(
    entries: Sequence[WeekEntry], fifth_of: Mapping[str, int | None], ended: Mapping[str, Ending] | None
) -> dict[CountCell, int]:
    cells: Counter[CountCell] = Counter({_MADE: 0, _REACHED: 0})
    for outcome in Outcome:
        if outcome is not Outcome.WITHDRAWN:
            cells[_outcome(outcome)] = 0
    for code in FIFTHS:
        cells[_of_fifth("calls", code)] = cells[_of_fifth("reached", code)] = 0
    if ended is not None:
        cells.update(dict.fromkeys(map(_ending, Ending), 0))
        cells.update(_ending(ended.get(entry.appointment, Ending.NOT_KNOWN)) for entry in entries)
    for entry in entries:
        code = str(fifth_of.get(entry.appointment) or "")
        cells.update([_MADE, _outcome(entry.outcome), _of_fifth("calls", code)])
        if entry.outcome.reached:
            cells.update([_REACHED, _of_fifth("reached", code)])
        if entry.barrier:
            cells[CountCell("barrier", "barrier", entry.barrier)] += 1
    return dict(cells)


def _sums(exact: Mapping[CountCell, int]) -> list[SumConstraint]:
    """The sums that a reader can compute: outcomes, endings and fifths add up to the calls and people reached."""
    outcomes = [outcome for outcome in Outcome if _outcome(outcome) in exact]
    reached = tuple(_outcome(outcome) for outcome in outcomes if outcome.reached)
    endings = tuple(cell for cell in map(_ending, Ending) if cell in exact)
    return [
        *([SumConstraint(endings, _MADE)] if endings else []),
        SumConstraint(tuple(map(_outcome, outcomes)), _MADE),
        SumConstraint(reached, _REACHED),
        SumConstraint(tuple(_of_fifth("calls", code) for code in FIFTHS), _MADE),
        SumConstraint(tuple(_of_fifth("reached", code) for code in FIFTHS), _REACHED),
    ]


def _limits(exact: Mapping[CountCell, int]) -> list[AtMost]:
    """Upper bounds: people reached are at most the calls, and barriers are at most the calls."""
    fifths = [AtMost((_of_fifth("reached", code),), (_of_fifth("calls", code),)) for code in FIFTHS]
    barriers = tuple(cell for cell in exact if cell.grouping == "barrier")
    return [*fifths, *([AtMost(barriers, (_MADE,))] if barriers else [])]


def _outcome(outcome: Outcome) -> CountCell:
    return CountCell("calls", "outcome", outcome.value)


def _ending(ending: Ending) -> CountCell:
    return CountCell("calls", "ending", ending.value)


def _of_fifth(counted: str, code: str) -> CountCell:
    return CountCell(counted, "imd_fifth", code)

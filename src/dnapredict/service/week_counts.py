"""Counts of a week of calls for a page without patients' data: all rounded, small ones hidden.

The rule is that of the audit (`[disclosure]` in `fairness/policy.toml`), with its secondary suppression. A team knows
its total number of calls, so the exact totals are assumed to be known: no small count can be computed with them.

The counts of the teams add up to those of everyone, so all of them are suppressed in one system: what is hidden is the
same for every reader, and neither the difference of everyone and a team nor that of two teams gives a small count.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from dnapredict.config.fairness_policy import Disclosure
from dnapredict.data.small_numbers import publish_count
from dnapredict.fairness.disclosure.suppression import (
    HIDDEN_ZERO_RANGE,
    AtMost,
    CountCell,
    SumConstraint,
    cells_to_hide,
)
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


NO_TEAM: Final = "No team"
"""The name of the counts of lists that belong to no team, or that were deleted."""

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


@dataclass(frozen=True)
class TeamWeeks:
    """The counts of a week for everyone, and by team. Of a team with few calls every count is hidden."""

    everyone: WeekCounts
    by_team: Mapping[str, WeekCounts]


def count_week(
    entries: Iterable[WeekEntry],
    fifth_of: Mapping[str, int | None],
    rule: Disclosure,
    *,
    ended: Mapping[str, Ending] | None = None,
) -> WeekCounts:
    """The counts of these entries, without teams.

    `fifth_of` and `ended` give the fifth of deprivation, and how it ended, by the hash of the appointment; `ended` is
    None where no outcomes were read.
    """
    return count_teams({NO_TEAM: tuple(entries)}, fifth_of, rule, ended=ended).everyone


def count_teams(
    entries: Mapping[str, Sequence[WeekEntry]],
    fifth_of: Mapping[str, int | None],
    rule: Disclosure,
    *,
    ended: Mapping[str, Ending] | None = None,
) -> TeamWeeks:
    """The counts of the entries by team, and of all together; otherwise as `count_week`."""
    everyone = _exact([entry for some in entries.values() for entry in some], fifth_of, ended)
    by_team = {team: dict.fromkeys(everyone, 0) | _exact(some, fifth_of, ended) for team, some in entries.items()}
    if len(by_team) < 2:
        by_team = {}
    printed = _printed(everyone, by_team, rule)
    whole = _counts(printed[_EVERYONE])
    return TeamWeeks(whole, {team: _counts(printed[team]) for team in by_team} or dict.fromkeys(entries, whole))


_EVERYONE: Final = ""

_Printed = Mapping[CountCell, int | None]


def _printed(
    everyone: Mapping[CountCell, int], by_team: Mapping[str, Mapping[CountCell, int]], rule: Disclosure
) -> dict[str, _Printed]:
    """The counts as they may be printed, by team, and for everyone under ""."""
    parts = {_EVERYONE: everyone, **by_team}
    exact = {_in_team(cell, team): count for team, cells in parts.items() for cell, count in cells.items()}
    unprinted = {
        _in_team(cell, team): HIDDEN_ZERO_RANGE for team, cells in parts.items() for cell in _of_few(cells, rule)
    }
    unprintable = frozenset(unprinted)
    totals = [_in_team(total, team) for team in parts for total in (_MADE, _REACHED)]
    unprinted |= {total: (float(exact[total]), float(exact[total])) for total in totals}
    sums = [_sum_in_team(line, team) for team in parts for line in _sums(everyone)]
    if by_team:
        sums += [SumConstraint(tuple(_in_team(cell, team) for team in by_team), cell) for cell in everyone]
    limits = [_limit_in_team(limit, team) for team in parts for limit in _limits(everyone)]
    hidden = unprintable | cells_to_hide(exact, sums, rule, unprinted=unprinted, at_most=limits).cells
    return {
        team: {
            cell: None if _in_team(cell, team) in hidden else publish_count(count, rule)
            for cell, count in cells.items()
        }
        for team, cells in parts.items()
    }


def _of_few(cells: Mapping[CountCell, int], rule: Disclosure) -> list[CountCell]:
    """The parts of a small total, which are printed nowhere: a printed 0 would say what happened to the others.

    The total itself is known to the team, and so is the number of calls that reached nobody: of 2 people who were
    reached, one in each of two hidden cells would follow from zeros everywhere else.
    """
    few: set[CountCell] = set()
    if 0 < cells[_REACHED] < rule.suppress_below:
        few |= {_outcome(outcome) for outcome in Outcome if outcome.reached}
        few |= {_of_fifth("reached", code) for code in FIFTHS}
    if 0 < cells[_MADE] - cells[_REACHED] < rule.suppress_below:
        few |= {_outcome(outcome) for outcome in Outcome if not outcome.reached}
    is_few = 0 < cells[_MADE] < rule.suppress_below
    return [cell for cell in cells if cell not in (_MADE, _REACHED) and (is_few or cell in few)]


def _in_team(cell: CountCell, team: str) -> CountCell:
    """The cell of a team; for everyone (""), the cell itself."""
    return cell._replace(grouping=f"{cell.grouping} of {team}") if team else cell


def _sum_in_team(line: SumConstraint, team: str) -> SumConstraint:
    return SumConstraint(tuple(_in_team(cell, team) for cell in line.parts), _in_team(line.total, team))


def _limit_in_team(limit: AtMost, team: str) -> AtMost:
    smaller, larger = (tuple(_in_team(cell, team) for cell in cells) for cells in limit)
    return AtMost(smaller, larger)


def _counts(shown: _Printed) -> WeekCounts:
    return WeekCounts(
        made=shown[_MADE],
        reached=shown[_REACHED],
        outcomes={outcome: shown[cell] for outcome in Outcome if (cell := _outcome(outcome)) in shown},
        by_fifth={code: (shown[_of_fifth("calls", code)], shown[_of_fifth("reached", code)]) for code in FIFTHS},
        barriers={cell.code: shown[cell] for cell in shown if cell.grouping == "barrier"},
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

"""Published rates and ratios, and which counts are hidden, decided once over all tables."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from dnapredict.config.fairness_policy import Disclosure
from dnapredict.data.small_numbers import publish_count
from dnapredict.fairness.disclosure.suppression import CountCell, SumConstraint, cells_to_hide
from dnapredict.fairness.measure.counts import SUMS, CountedGrouping, GroupCounts
from dnapredict.fairness.measure.intervals import Rate, Ratio
from dnapredict.fairness.measure.membership import Group


def publish_rate(rate: Rate, rule: Disclosure) -> Rate | None:
    """`rate` on rounded counts, or None where any part of it must be hidden.

    >>> from dnapredict.config.fairness_policy import Disclosure
    >>> rule = Disclosure(why="The rule of hospital statistics.")
    >>> publish_rate(Rate(23, 99), rule)
    Rate(numerator=25, denominator=100, design_effect=1.0)
    >>> publish_rate(Rate(95, 99), rule) is None          # 4 others are left
    True
    """
    parts = [rate.numerator, rate.denominator, rate.denominator - rate.numerator]
    shown = [publish_count(part, rule) for part in parts]
    if shown[0] is None or shown[1] is None or shown[2] is None or shown[1] == 0:
        return None
    return Rate(shown[0], shown[1], round(rate.design_effect, 1))


def publish_ratio(ratio: Ratio, rule: Disclosure) -> Ratio | None:
    """`ratio` from rounded counts and with a rounded error, or None where a count must be hidden."""
    above, below = publish_count(ratio.numerator, rule), publish_count(ratio.denominator, rule)
    if not above or not below:
        return None
    return replace(ratio, numerator=above, denominator=below, log_error=rounded_error(ratio.log_error))


def publish_allocation(index: Ratio, group: GroupCounts, everyone: GroupCounts, rule: Disclosure) -> Ratio | None:
    """An allocation index from four rounded counts: the group's calls and missed, and everyone's."""
    pairs = ((group, "selected"), (everyone, "selected"), (group, "missed"), (everyone, "missed"))
    calls, all_calls, need, all_need = (publish_count(counts.total(name), rule) for counts, name in pairs)
    if not calls or not all_calls or not need or not all_need:
        return None
    return Ratio(calls / all_calls * all_need, need, rounded_error(index.log_error))


def rounded_error(error: float) -> float:
    """A standard error to two significant figures: more would reveal how many people it is from.

    >>> rounded_error(0.14142), rounded_error(0.0317), rounded_error(0.0)
    (0.14, 0.032, 0.0)
    """
    if error <= 0 or not math.isfinite(error):
        return error
    return round(error, 1 - math.floor(math.log10(error)))


_NAMES: Final = SUMS[:-1]
# Counts that are printed of everyone except a group, and of the cells of crossed groupings.
_OF_OTHERS: Final = ("missed", "reached", "trust_side")
_OF_CROSSED: Final = ("appointments", "missed", "selected", "reached")
EVERYONE: Final = ("all", "all")
_OTHERS: Final = "all but "
_MONTH: Final = "month"


@dataclass(frozen=True)
class HiddenCells:
    """The cells that must not be printed."""

    cells: frozenset[CountCell] = frozenset()

    def hides(self, grouping: str, code: str, names: Sequence[str]) -> bool:
        """Whether any of the counts `names` of a group is hidden."""
        return any(CountCell(name, grouping, code) in self.cells for name in names)

    def hides_others(self, grouping: str, code: str, names: Sequence[str]) -> bool:
        """Whether any of the counts `names` of everyone except a group is hidden."""
        return self.hides(grouping, _OTHERS + code, names)


def find_hidden_counts(counted: Mapping[str, CountedGrouping], rule: Disclosure) -> HiddenCells:
    """The counts to hide in all tables of `counted`, which need not have the grouping of everyone."""
    if not counted:
        return HiddenCells()
    everyone = next(iter(counted.values())).total
    exact = {CountCell(name, *EVERYONE): everyone.counted(name) for name in _NAMES}
    constraints: list[SumConstraint] = []
    for name, grouping in counted.items():
        if name == EVERYONE[0]:
            continue
        if grouping.grouping.shown:
            exact |= {
                CountCell(count, name, group.code): counts.counted(count)
                for group, counts in zip(grouping.groups, grouping.counts, strict=True)
                for count in _NAMES
            }
            constraints += group_constraints(name, grouping.groups, _NAMES, present=tuple(counted))
            if not grouping.grouping.exploratory:
                exact |= _others(grouping)
                constraints += rest_constraints(name, grouping.groups, _OF_OTHERS)
        else:
            crossed, sums = _crossed(grouping, present=counted)
            exact, constraints = exact | crossed, constraints + sums
    constraints += _record_constraints(counted)
    return HiddenCells(cells_to_hide(exact, constraints, rule, keep=_cells_to_keep(counted)))


def _cells_to_keep(counted: Mapping[str, CountedGrouping]) -> frozenset[CountCell]:
    """Cells of groups that a board looks at first, such as Core20."""
    return frozenset(
        CountCell(count, name, code)
        for name, grouping in counted.items()
        for code in grouping.grouping.harmed
        for count in _NAMES
    )


def group_constraints(
    name: str, groups: Sequence[Group], counts: Sequence[str], *, present: Sequence[str]
) -> Iterator[SumConstraint]:
    """Groups of the grouping `name` add up to everyone, and to the larger groups that they are within."""
    for count in counts:
        yield SumConstraint(tuple(CountCell(count, name, group.code) for group in groups), CountCell(count, *EVERYONE))
        for larger in dict.fromkeys(where for group in groups for where in group.within):
            if larger[0] in present:
                parts = tuple(CountCell(count, name, group.code) for group in groups if larger in group.within)
                yield SumConstraint(parts, CountCell(count, *larger))


def _others(counted: CountedGrouping) -> dict[CountCell, float]:
    """Counts of everyone except each group, which follow from a printed gap or ratio."""
    return {
        rest_cell(group, counted.grouping.name, count): counted.rest(index).counted(count)
        for index, group in enumerate(counted.groups)
        for count in _OF_OTHERS
    }


def rest_cell(group: Group, grouping: str, count: str) -> CountCell:
    """The cell of everyone except a group."""
    return CountCell(count, grouping, _OTHERS + group.code)


def rest_constraints(name: str, groups: Sequence[Group], counts: Sequence[str]) -> Iterator[SumConstraint]:
    """A group and everyone else add up to everyone; all other groups add up to everyone else."""
    for count in counts:
        for group in groups:
            others = rest_cell(group, name, count)
            yield SumConstraint((CountCell(count, name, group.code), others), CountCell(count, *EVERYONE))
            parts = tuple(CountCell(count, name, one.code) for one in groups if one.code != group.code)
            if parts:
                yield SumConstraint(parts, others)


def _crossed(
    counted: CountedGrouping, *, present: Mapping[str, CountedGrouping]
) -> tuple[dict[CountCell, float], list[SumConstraint]]:
    """Cells of crossed groupings and their sums: months add up to the period, others leave out unknown groups."""
    name = counted.grouping.name
    first, _, second = name.partition("_by_")
    known = [(g, c) for g, c in zip(counted.groups, counted.counts, strict=True) if g.facets]
    exact = {CountCell(count, name, g.code): c.counted(count) for g, c in known for count in _OF_CROSSED}
    lines = []
    for side, margin in enumerate((first, second)):
        if margin not in present:
            continue
        for code in dict.fromkeys(group.facets[side] for group, _ in known):
            codes = [group.code for group, _ in known if group.facets[side] == code]
            lines += [
                SumConstraint(
                    tuple(CountCell(count, name, each) for each in codes),
                    CountCell(count, margin, code),
                    open=second != _MONTH,
                )
                for count in _OF_CROSSED
            ]
    return exact, lines


def _record_constraints(counted: Mapping[str, CountedGrouping]) -> Iterator[SumConstraint]:
    """Appointments of unknown ethnic group are those of the groups for unknown values."""
    for name in ("ethnicity", "ethnicity_5"):
        if name in counted:
            unknown = [group for group in counted[name].groups if not group.known]
            for group in unknown:
                own = CountCell("unrecorded", name, group.code)
                yield SumConstraint((own,), CountCell("appointments", name, group.code))

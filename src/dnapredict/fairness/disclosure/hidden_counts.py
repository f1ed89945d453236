"""Published rates and ratios, and which counts are hidden, decided once over all tables.

**May this figure be printed?** Every figure that a report prints follows from counts of groups. Name these counts and
ask; then compute the figure from rounded counts:

- of a group in a grouping that is counted: `hidden.hides(grouping, code, names)`, and `hidden.hides_others` where the
  figure also uses everyone else. Both are true for a group that has no row of its own, because it is printed together
  with other small ones (`merged_groups`): its verdict may be told, no number of it;
- of any cells at all: `hidden.may_print(cells)`;
- of a group that is in no table, such as women of one ethnic group at one site: give its counts and the larger
  groups that it is part of to `find_hidden_counts` in `FurtherFigures`, before anything is printed. What is left of
  each larger group without it is protected as well. Then ask `hidden.hides(grouping, code, names)`;
- then the number: `publish_rate`, `publish_ratio` and `publish_allocation` work on rounded counts. An estimate that
  has no such form (a slope, the points of a gap by cause) may be printed where all of `COUNTS_OF_A_ROW` of the group
  are shown, rounded to no more than two significant digits of its standard error (`rounded_error`) or to the whole
  point in 100: a number with many digits can give back the counts that it was computed from.

A p-value is computed from the rounded figures, never from the exact ones.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from dnapredict.config.fairness_policy import Disclosure
from dnapredict.data.small_numbers import publish_count
from dnapredict.fairness.disclosure.count_differences import (
    DIFFERENCES,
    MISSED_NOT_REACHED,
    differences_of,
    told_range,
)
from dnapredict.fairness.disclosure.derived_ranges import Range
from dnapredict.fairness.disclosure.further_figures import (
    ALLOCATED,
    IN_FIFTHS,
    SEARCHED,
    FurtherFigures,
    FurtherGroup,
    fifth_code,
    fifths_of,
    is_of_fifths,
    plain_name,
    under_rule,
)
from dnapredict.fairness.disclosure.merged_groups import MergedGroups, merge_small_groups
from dnapredict.fairness.disclosure.publications import Publication, PublishedBefore
from dnapredict.fairness.disclosure.suppression import AtMost, CountCell, SumConstraint, cells_to_hide
from dnapredict.fairness.measure.counts import SUMS, CountedGrouping, GroupCounts
from dnapredict.fairness.measure.group_metrics import RATES, rate
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


def publish_group_rate(counts: GroupCounts, name: str, rule: Disclosure) -> Rate | None:
    """The rate `name` of `RATES`, computed from the counts as they are printed, or None where it must be hidden.

    Counts are rounded before they are subtracted, so that reach and missed support add up to 1 and a rate reveals no
    more than the printed counts. A separately rounded difference would narrow the counts down.
    """
    exact = rate(counts, name)
    shown = publish_rate(exact, rule)
    if shown is None:
        return None
    numerator, denominator = (
        sum(sign * (publish_count(counts.total(part), rule) or 0.0) for sign, names in signed for part in names)
        for signed in (((1, RATES[name][0]), (-1, RATES[name][1])), ((1, RATES[name][2]), (-1, RATES[name][3])))
    )
    if denominator <= 0:
        return None
    # Rounding may make a part larger than its whole.
    return Rate(min(max(numerator, 0.0), denominator), denominator, shown.design_effect)


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
COUNTS_OF_A_ROW: Final = ("appointments", "missed", "selected", "reached")
# Counts that are printed of everyone except a group, and of the cells of crossed groupings.
_OF_OTHERS: Final = ("missed", "reached", "trust_side")
EVERYONE: Final = ("all", "all")
_NO_FIGURES: Final = FurtherFigures()
_QUINTILE: Final = "imd_quintile"
_NEAR: Final = 4  # times the smallest count that is printed
OTHERS: Final = "all but "
_MONTH: Final = "month"
_ALL_NAMES: Final = (*_NAMES, *DIFFERENCES)


@dataclass(frozen=True)
class HiddenCells:
    """The cells that must not be printed, and the groups that are printed together.

    `publication` is the home's record of this report, if there is a home. `reports_left_out` is the number of earlier
    reports of the same days that could not be followed. `exposed` is the number of small counts that follow from this
    report and earlier ones whatever is hidden.
    """

    cells: frozenset[CountCell] = frozenset()
    merged: MergedGroups = field(default_factory=MergedGroups)
    publication: Publication | None = None
    reports_left_out: int = 0
    exposed: int = 0

    def not_protected(self, known: str) -> str:
        """What `known` says of comparisons that are not protected, and the earlier reports that were left out."""
        left_out = (
            f"Numbers that follow from comparing this report with {self.reports_left_out} earlier ones of the same "
            "days are not protected: their records differ from these, or there are too many."
        )
        exposed = (
            "Small numbers follow from this report together with earlier ones of the same days, whatever is hidden "
            "here: do not publish them side by side."
        )
        told = (known, left_out if self.reports_left_out else "", exposed if self.exposed else "")
        return " ".join(filter(None, told))

    def may_print(self, cells: Iterable[CountCell]) -> bool:
        """Whether a figure that is computed from these counts may be printed."""
        return not any(cell in self.cells or self._has_no_row(cell) for cell in cells)

    def hides(self, grouping: str, code: str, names: Sequence[str]) -> bool:
        """Whether any of the counts `names` of a group is hidden."""
        return not self.may_print(CountCell(name, grouping, code) for name in names)

    def hides_others(self, grouping: str, code: str, names: Sequence[str]) -> bool:
        """Whether any of the counts `names` of everyone except a group is hidden."""
        return self.hides(grouping, OTHERS + code, names)

    def _has_no_row(self, cell: CountCell) -> bool:
        return self.merged.row_of(cell.grouping, cell.code.removeprefix(OTHERS)) is not None


def find_hidden_counts(
    counted: Mapping[str, CountedGrouping],
    rule: Disclosure,
    *,
    further: FurtherFigures = _NO_FIGURES,
    before: PublishedBefore | None = None,
) -> HiddenCells:
    """The counts to hide in all tables of `counted`, which need not have the grouping of everyone.

    `further` are figures in no table, `before` is what was published before.
    """
    if not counted:
        return HiddenCells()
    merged = merge_small_groups(counted.values(), rule, sizes=lambda one: (one.appointments, one.missed))
    linked = audit_tables(counted, merged, rule)
    linked.add_figures(further, rule)
    return linked.hide(rule, merged, keep=_cells_to_keep(counted), before=before)


@dataclass
class LinkedTables:
    """The exact counts of all tables of a report, and how they are linked.

    `unprinted` are counts of groups that are printed together with others, and what is left of larger groups.
    """

    exact: dict[CountCell, float] = field(default_factory=dict)
    sums: list[SumConstraint] = field(default_factory=list)
    at_most: list[AtMost] = field(default_factory=list)
    unprinted: dict[CountCell, Range] = field(default_factory=dict)

    def add_table(
        self,
        one: CountedGrouping,
        merged: MergedGroups,
        everyone: Mapping[str, float],
        *,
        rule: Disclosure,
        present: Sequence[str],
    ) -> None:
        """The rows of an audit's table, the differences of their counts, and everyone except each group."""
        name = one.grouping.name
        self.add_groups(name, one.groups, [_by_name(own) for own in one.counts], merged=merged)
        rows = [*(group.code for group in one.groups), *(row.code for row in merged.of(name))]
        self.add_differences(name, rows, _NAMES, rule)
        self.sums += group_constraints(name, one.groups, _NAMES, present=present)
        held = self.leave_out_held(name, merged, _ALL_NAMES, rule)
        if not one.grouping.exploratory:
            printed = [code for code in rows if code not in held]
            self.add_others(name, printed, _OF_OTHERS, everyone)
            self.add_differences(name, [OTHERS + code for code in printed], _OF_OTHERS, rule)

    def add_groups(
        self, name: str, groups: Sequence[Group], counts: Sequence[Mapping[str, float]], *, merged: MergedGroups
    ) -> None:
        """The groups of a grouping, and the rows that hold several of them."""
        own = dict(zip((group.code for group in groups), counts, strict=True))
        self.exact |= {
            CountCell(count, name, code): number for code, found in own.items() for count, number in found.items()
        }
        for row, codes in merged.of(name).items():
            for count in counts[0]:
                parts, cell = tuple(CountCell(count, name, code) for code in codes), CountCell(count, name, row.code)
                self.exact[cell] = sum(self.exact[part] for part in parts)
                self.sums.append(SumConstraint(parts, cell))

    def add_differences(self, grouping: str, codes: Iterable[str], counts: Sequence[str], rule: Disclosure) -> None:
        """The differences of the counts of each group for which rates reveal whether they are small."""
        for code in codes:
            own = {count: self.exact[CountCell(count, grouping, code)] for count in counts}
            for name, number in differences_of(own):
                cell, one = CountCell(name, grouping, code), DIFFERENCES[name]
                if not one.has_rate and number > _NEAR * rule.suppress_below:
                    continue  # that it is not small bounds nothing
                self.exact[cell], self.unprinted[cell] = number, told_range(number, rule)
                parts = (cell, CountCell(one.part, grouping, code))
                self.sums.append(SumConstraint(parts, CountCell(one.whole, grouping, code)))

    def add_others(self, name: str, rows: Iterable[str], counts: Sequence[str], total: Mapping[str, float]) -> None:
        """Counts of everyone except each group, which follow from a printed gap or ratio."""
        for code in rows:
            for count in counts:
                own, others = CountCell(count, name, code), CountCell(count, name, OTHERS + code)
                self.exact[others] = total[count] - self.exact[own]
                self.sums.append(SumConstraint((own, others), CountCell(count, *EVERYONE)))

    def add_further(self, group: FurtherGroup) -> None:
        """A group in no table, and what is left of the larger groups that it is part of."""
        for count, number in group.counts.items():
            own = CountCell(count, group.grouping, group.code)
            self.exact[own] = number
            for (grouping, code), whole in group.wholes.items():
                left = CountCell(count, group.grouping, f"{grouping} {code} without {group.code}")
                self.exact.setdefault(CountCell(count, grouping, code), whole[count])
                self.exact[left], self.unprinted[left] = whole[count] - number, (0.0, math.inf)
                self.sums.append(SumConstraint((own, left), CountCell(count, grouping, code)))

    def add_figures(self, further: FurtherFigures, rule: Disclosure) -> None:
        """Figures in no table; smaller groups after the larger ones that they are part of."""
        for group in further.groups:
            self.add_further(group)
        for (grouping, code), fifths in further.fifths.items():
            self._add_fifths(grouping, code, fifths, rule)
        for name, counted in further.allocated.items():
            self._add_allocated(name, counted, rule)

    def _add_fifths(self, grouping: str, code: str, fifths: Sequence[Mapping[str, float]], rule: Disclosure) -> None:
        """Fifths of a group's risk, which add up to the group."""
        name, codes = fifths_of(grouping), [fifth_code(code, number) for number in range(len(fifths))]
        for count in IN_FIFTHS:
            parts = tuple(CountCell(count, name, each) for each in codes)
            self.exact |= {part: own[count] for part, own in zip(parts, fifths, strict=True)}
            self.sums.append(SumConstraint(parts, CountCell(count, grouping, code)))
        self.add_differences(name, codes, IN_FIFTHS, rule)

    def _add_allocated(self, name: str, counted: CountedGrouping, rule: Disclosure) -> None:
        """The fifths of deprivation under an allocation rule: the same appointments with other calls."""
        own = {(_QUINTILE, group.code): counts for group, counts in zip(counted.groups, counted.counts, strict=True)}
        own = {at: counts for at, counts in {**own, EVERYONE: counted.total}.items() if ("missed", *at) in self.exact}
        for at, counts in own.items():
            calls, reached = (CountCell(under_rule(count, name), *at) for count in ALLOCATED)
            left = CountCell(under_rule(MISSED_NOT_REACHED, name), *at)
            missed = CountCell("missed", *at)
            self.exact |= {calls: counts.counted("selected"), reached: counts.counted("reached")}
            self.exact[left] = self.exact[missed] - self.exact[reached]
            self.unprinted[left] = told_range(self.exact[left], rule)
            self.sums.append(SumConstraint((left, reached), missed))
            self.at_most += [AtMost((reached,), (calls,)), AtMost((calls,), (CountCell("appointments", *at),))]
        for count in ALLOCATED:
            cells = tuple(CountCell(under_rule(count, name), *at) for at in own if at != EVERYONE)
            total = CountCell(under_rule(count, name), *EVERYONE)
            self.sums.append(SumConstraint(cells, total))
            # Each rule has the same number of calls, and the rule in use is that of the tables.
            usual = [cell._replace(counted=count) for cell in (*cells, total)]
            same = all(self.exact[cell] == self.exact[cell._replace(counted=count)] for cell in cells)
            pairs = zip((*cells, total), usual, strict=True) if same else [(total, usual[-1])]
            self.sums += [SumConstraint((cell,), other) for cell, other in pairs]

    def leave_out_held(
        self, name: str, merged: MergedGroups, counts: Sequence[str], rule: Disclosure
    ) -> frozenset[str]:
        """Mark the groups that a row holds as printed nowhere; returns their codes."""
        held = frozenset(code for codes in merged.of(name).values() for code in codes)
        for cell in (CountCell(count, name, code) for code in held for count in counts):
            if cell not in self.exact:
                continue
            # Which groups go together is known to whoever knows the rule: those with few missed appointments.
            most = rule.suppress_below - 1.0 if cell.counted == "missed" else math.inf
            self.unprinted[cell] = (0.0, most)
        return held

    def hide(
        self,
        rule: Disclosure,
        merged: MergedGroups,
        *,
        keep: frozenset[CountCell] = frozenset(),
        before: PublishedBefore | None = None,
    ) -> HiddenCells:
        """Small cells are hidden, and those from which a small one could be derived, here or with earlier reports."""
        found = cells_to_hide(
            self.exact,
            self.sums,
            rule,
            keep=keep,
            unprinted=self.unprinted,
            at_most=self.at_most,
            cost=_cost_of_hiding,
            with_earlier=(before.link, before.link_added) if before else (),
        )
        publication = before.publication(found.linked) if before else None
        return HiddenCells(found.cells, merged, publication, found.left_out, found.exposed)


def audit_tables(counted: Mapping[str, CountedGrouping], merged: MergedGroups, rule: Disclosure) -> LinkedTables:
    """All counts of an audit's tables and charts, and how they are linked."""
    linked = LinkedTables()
    everyone = _by_name(next(iter(counted.values())).total)
    linked.exact |= {CountCell(count, *EVERYONE): number for count, number in everyone.items()}
    linked.add_differences(EVERYONE[0], EVERYONE[1:], _NAMES, rule)
    for name, one in counted.items():
        if name == EVERYONE[0]:
            continue
        if one.grouping.shown:
            linked.add_table(one, merged, everyone, rule=rule, present=tuple(counted))
        else:
            exact, sums = _crossed(one, present=counted)
            linked.exact |= exact
            linked.sums += sums
            codes = dict.fromkeys(cell.code for cell in exact)
            linked.add_differences(name, codes, COUNTS_OF_A_ROW, rule)
    linked.sums += _record_constraints(counted)
    return linked


def _by_name(own: GroupCounts) -> dict[str, float]:
    return {count: own.counted(count) for count in _NAMES}


# What a reader loses with a count: the missed appointments of a group carry most figures.
_COST_OF_COUNT: Final = {"missed": 3.0, "reached": 2.0, "appointments": 2.0, "patients": 2.0}
_COST_OF_DIFFERENCE: Final = 0.3  # missed support is 100 less reach, which stays
_COST_OF_GROUPING: Final = {"all": 1_000.0, "core20": 5.0, "sex": 4.0, "ethnicity_5": 3.0, "age": 3.0}
_COST_OF_DETAIL: Final = 0.5  # sites, specialties, crossed groupings, and everyone except a group
_DETAIL: Final = ("site", "specialty", "provider", "place", SEARCHED)


def _cost_of_hiding(cell: CountCell) -> float:
    """How much a reader loses with a cell, relative to others."""
    detail = (
        plain_name(cell.counted) != cell.counted
        or cell.code.startswith(OTHERS)
        or cell.grouping in _DETAIL
        or "_by_" in cell.grouping
        or is_of_fifths(cell.grouping)
    )
    weight = _COST_OF_DETAIL if detail else _COST_OF_GROUPING.get(cell.grouping, 2.0)
    return weight * _COST_OF_COUNT.get(cell.counted, _COST_OF_DIFFERENCE if cell.counted in DIFFERENCES else 1.0)


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


def _crossed(
    counted: CountedGrouping, *, present: Mapping[str, CountedGrouping]
) -> tuple[dict[CountCell, float], list[SumConstraint]]:
    """Cells of crossed groupings and their sums: months add up to the period, others leave out unknown groups."""
    name = counted.grouping.name
    first, _, second = name.partition("_by_")
    known = [(g, c) for g, c in zip(counted.groups, counted.counts, strict=True) if g.facets]
    exact = {CountCell(count, name, g.code): c.counted(count) for g, c in known for count in COUNTS_OF_A_ROW}
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
                for count in COUNTS_OF_A_ROW
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

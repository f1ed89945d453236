"""The counts of all tables of a report, and the sums and differences that link them.

From these links an attacker computes a hidden count, so that `hidden_counts` decides over all of them at once.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from dnapredict.config.fairness_policy import Disclosure
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
    FurtherFigures,
    FurtherGroup,
    fifth_code,
    fifths_of,
    under_rule,
)
from dnapredict.fairness.disclosure.merged_groups import MergedGroups
from dnapredict.fairness.disclosure.suppression import AtMost, CountCell, SumConstraint
from dnapredict.fairness.measure.counts import SUMS, CountedGrouping, GroupCounts
from dnapredict.fairness.measure.membership import Group

COUNT_NAMES: Final = SUMS[:-1]
COUNTS_OF_A_ROW: Final = ("appointments", "missed", "selected", "reached")
# Counts that are printed of everyone except a group, and of the cells of crossed groupings.
_OF_OTHERS: Final = ("missed", "reached", "trust_side")
EVERYONE: Final = ("all", "all")
_QUINTILE: Final = "imd_quintile"
_NEAR: Final = 4  # times the smallest count that is printed
OTHERS: Final = "all but "
"""Before the code of a group: everyone except it."""
_MONTH: Final = "month"
_ALL_NAMES: Final = (*COUNT_NAMES, *DIFFERENCES)


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
        self.add_differences(name, rows, COUNT_NAMES, rule)
        self.sums += group_constraints(name, one.groups, COUNT_NAMES, present=present)
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
            # Which groups go together is known to anybody who knows the rule: those with few missed appointments.
            most = rule.suppress_below - 1.0 if cell.counted == "missed" else math.inf
            self.unprinted[cell] = (0.0, most)
        return held


def audit_tables(counted: Mapping[str, CountedGrouping], merged: MergedGroups, rule: Disclosure) -> LinkedTables:
    """All counts of an audit's tables and charts, and how they are linked."""
    linked = LinkedTables()
    everyone = _by_name(next(iter(counted.values())).total)
    linked.exact |= {CountCell(count, *EVERYONE): number for count, number in everyone.items()}
    linked.add_differences(EVERYONE[0], EVERYONE[1:], COUNT_NAMES, rule)
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
    return {count: own.counted(count) for count in COUNT_NAMES}


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

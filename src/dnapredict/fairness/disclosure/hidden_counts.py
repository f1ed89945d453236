"""Which counts are hidden, decided once over all tables of a report.

**May this figure be printed?** Every figure that a report prints follows from counts of groups. Name these counts and
ask; then compute the figure from rounded counts:

- of a group in a grouping that is counted: `hidden.hides(grouping, code, names)`, and `hidden.hides_others` where the
  figure also uses everyone else. Both are true for a group that has no row of its own, because it is printed together
  with other small ones (`merged_groups`): its verdict may be told, no number of it;
- of any cells at all: `hidden.may_print(cells)`;
- of a group that is in no table, such as women of one ethnic group at one site: give its counts and the larger
  groups that it is part of to `find_hidden_counts` in `FurtherFigures`, before anything is printed. What is left of
  each larger group without it is protected as well. Then ask `hidden.hides(grouping, code, names)`;
- then the number: the functions of `rounded_figures` work on rounded counts. An estimate that has no such form (a
  slope, the points of a gap by cause) may be printed where all of `COUNTS_OF_A_ROW` of the group are shown, rounded to
  no more than two significant digits of its standard error (`rounded_error`) or to the whole point in 100: a number
  with many digits can give back the counts that it was computed from.

A p-value is computed from the rounded figures, never from the exact ones.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from dnapredict.config.fairness_policy import Disclosure
from dnapredict.fairness.disclosure.count_differences import DIFFERENCES
from dnapredict.fairness.disclosure.further_figures import SEARCHED, FurtherFigures, is_of_fifths, plain_name
from dnapredict.fairness.disclosure.linked_tables import COUNT_NAMES, EVERYONE, OTHERS, LinkedTables, audit_tables
from dnapredict.fairness.disclosure.merged_groups import MergedGroups, merge_small_groups
from dnapredict.fairness.disclosure.publications import Publication
from dnapredict.fairness.disclosure.published_before import PublishedBefore
from dnapredict.fairness.disclosure.suppression import CountCell, cells_to_hide
from dnapredict.fairness.measure.counts import CountedGrouping

_NO_FIGURES: Final = FurtherFigures()

FEWEST_BY_GROUP: Final = 50
"""Appointments below which a report prints no number of any group, zeros included, and merges no groups.

With so few, nearly every count is small: the zeros, the merged groups and the remaining counts determine it.
"""


@dataclass(frozen=True)
class HiddenCells:
    """The cells that must not be printed, and the groups that are printed together.

    `publication` is the home's record of this report, if there is a home. `reports_left_out` is the number of earlier
    reports of the same days that could not be followed. `exposed` is the number of small counts that follow from this
    report and earlier ones whatever is hidden. `everyone_only` is whether no number of any group may be printed.
    """

    cells: frozenset[CountCell] = frozenset()
    merged: MergedGroups = field(default_factory=MergedGroups)
    publication: Publication | None = None
    reports_left_out: int = 0
    exposed: int = 0
    everyone_only: bool = False

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
        return not any(self._is_hidden(cell) or self._has_no_row(cell) for cell in cells)

    def hides(self, grouping: str, code: str, names: Sequence[str]) -> bool:
        """Whether any of the counts `names` of a group is hidden."""
        return not self.may_print(CountCell(name, grouping, code) for name in names)

    def hides_others(self, grouping: str, code: str, names: Sequence[str]) -> bool:
        """Whether any of the counts `names` of everyone except a group is hidden."""
        return self.hides(grouping, OTHERS + code, names)

    def _is_hidden(self, cell: CountCell) -> bool:
        return cell in self.cells or (self.everyone_only and cell.grouping != EVERYONE[0])

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
    hidden = hide_cells(linked, rule, merged, keep=_cells_to_keep(counted), before=before)
    few = max(one.total.appointments for one in counted.values()) < FEWEST_BY_GROUP
    return replace(hidden, merged=MergedGroups(), everyone_only=True) if few and rule.suppress_below else hidden


def hide_cells(
    linked: LinkedTables,
    rule: Disclosure,
    merged: MergedGroups,
    *,
    keep: frozenset[CountCell] = frozenset(),
    before: PublishedBefore | None = None,
) -> HiddenCells:
    """Small cells are hidden, and those from which a small one could be derived, here or with earlier reports."""
    found = cells_to_hide(
        linked.exact,
        linked.sums,
        rule,
        keep=keep,
        unprinted=linked.unprinted,
        at_most=linked.at_most,
        cost=_cost_of_hiding,
        with_earlier=(before.link, before.link_added) if before else (),
    )
    publication = before.publication(found.linked) if before else None
    return HiddenCells(found.cells, merged, publication, found.left_out, found.exposed)


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
        for count in COUNT_NAMES
    )

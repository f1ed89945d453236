"""What a home has published before a new report, and the numbers of the new one as the memory will keep them.

A report for a year and one for its first eleven months give the numbers of December by subtraction; so do an audit and
an access report of the same extract, or two reports between which one appointment was added. The memory of a home
holds for each report its window, and for each number that it printed the range in which the count lies. No exact
count is in it, and the names of groups are hashed with a key of the home. What several reports tell together is
computed in `linked_reports`.
"""

import datetime
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from dnapredict.data.files.digests import keyed_hash
from dnapredict.fairness.disclosure.count_differences import OF_A_LIST, is_of_one_count, rows_of_one_count
from dnapredict.fairness.disclosure.derived_ranges import DerivedRanges, LinkedCounts, Range, Unknown
from dnapredict.fairness.disclosure.further_figures import is_of_fifths, plain_name
from dnapredict.fairness.disclosure.linked_reports import ASSUMPTIONS, NOTHING_ASSUMED, LinkedReports, link_reports
from dnapredict.fairness.disclosure.publications import Kind, Publication, PublishedNumber, Row
from dnapredict.fairness.disclosure.suppression import CountCell

# Counts that depend on the list, and can be compared only between reports on the same list.
_OF_A_LIST: Final = OF_A_LIST | {"selected", "reached", "live_reached"}
# Counts of a whole extract, also of appointments without an outcome and after the window; people are in two windows.
_OF_AN_EXTRACT: Final = frozenset({"patients", "upcoming", "appointments"})
_OF_ALL_BOOKED: Final = "_known"  # completeness, which is of all appointments of an extract
# The same count under another name: attended or missed appointments, which are all that an audit holds.
_SAME_IN_ACCESS: Final = {"appointments": "missed of"}
_BY_MONTH: Final = "_by_month"
_NAME_LENGTH: Final = 20
_MOST_REPORTS: Final = 12  # earlier reports of the same days that are held against a new one, the newest


@dataclass(frozen=True)
class PublishedBefore:
    """What a new report must not be combined with.

    `key` hashes names; `earlier` are the publications of the home, the oldest first; the others are of the new report
    as in `Publication`.
    """

    key: bytes = field(repr=False)
    earlier: tuple[Publication, ...]
    kind: Kind
    first: datetime.date
    last: datetime.date
    data: str
    listed: str

    def publication(self, linked: LinkedCounts) -> Publication:
        """The new report as it is kept, with the ranges in `linked`."""
        cells = [cell for cell in linked.ranges if isinstance(cell, CountCell)]
        place = {cell: number for number, cell in enumerate(cells)}
        return Publication(
            kind=self.kind,
            first=self.first,
            last=self.last,
            data=self.data,
            listed=self.listed,
            numbers=tuple(self._number(cell, linked.ranges[cell]) for cell in cells),
            equal=tuple(_row(row, place) for row in rows_of_one_count(linked)),
            at_most=tuple(_row(row, place) for row in linked.at_most if is_of_one_count(row)),
        )

    def _number(self, cell: CountCell, known: Range) -> PublishedNumber:
        low, high = known
        count = _SAME_IN_ACCESS.get(cell.counted, cell.counted) if self.kind != "access" else cell.counted
        grouping, code, month = cell.grouping, cell.code, ""
        if grouping.endswith(_BY_MONTH):
            grouping, (code, _, month) = grouping.removesuffix(_BY_MONTH), code.rpartition("|")
        # The boundaries of fifths of risk apply to one report only.
        of = f"{self.data}/{self.listed}/" if is_of_fifths(grouping) else ""
        name = keyed_hash(self.key, "published count", f"{of}{count}/{grouping}/{code}")[:_NAME_LENGTH]
        adds_up = self.kind != "access" or not (count in _OF_AN_EXTRACT or _OF_ALL_BOOKED in count)
        return PublishedNumber(
            name, low, None if math.isinf(high) else high, plain_name(cell.counted) in _OF_A_LIST, adds_up, month
        )

    def link(self, own: LinkedCounts) -> "LinkedReports":
        """What earlier reports of the same days and the new one, whose counts are `own`, tell together.

        Reports that contradict the new one in every way are left out, the oldest first: the records were corrected
        in between, so that the two are not of the same appointments.
        """
        new = self.publication(own)
        related = self._related()
        recent = related[-_MOST_REPORTS:]
        for start in range(len(recent)):
            for assumed in ASSUMPTIONS:
                tried = link_reports(own, [*recent[start:], new], assumed)
                if DerivedRanges.are_consistent(tried.counts):
                    return replace(tried, reports=len(recent) - start, left_out=len(related) - len(recent) + start)
        return LinkedReports(own, (), left_out=len(related))

    def _related(self) -> list[Publication]:
        """Earlier reports of the same days, and reports of the same days as those: a year leads to its first month."""
        related, spans = set[int](), [(self.first, self.last)]
        while spans:
            span = spans.pop()
            for place, one in enumerate(self.earlier):
                if place not in related and one.overlaps(*span):
                    related.add(place)
                    spans.append((one.first, one.last))
        return list(dict.fromkeys(self.earlier[place] for place in sorted(related)))

    def link_added(self, own: LinkedCounts) -> "LinkedReports | None":
        """As `link`, for the appointments that were added since a report of the same window; None without one."""
        new = self.publication(own)
        same = [
            one
            for one in self.earlier
            if (one.kind, one.first, one.last) == (self.kind, self.first, self.last) and one.data != self.data
        ]
        if not same:
            return None
        tried = link_reports(own, [same[-1], new], NOTHING_ASSUMED)
        return tried if DerivedRanges.are_consistent(tried.counts) else None


def _row(row: Mapping[Unknown, float], place: Mapping[CountCell, int]) -> Row:
    return tuple((place[cell], weight) for cell, weight in row.items() if isinstance(cell, CountCell))

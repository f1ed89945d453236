"""What several reports tell together: their counts as one system, linked through the parts of time that they share.

What is printed of a year is the sum of its first eleven months and of December. An audit holds a part of what an access
report holds of the same days. That two extracts tell the same of the same days is assumed, since it tells an attacker
most; where the printed numbers contradict it, the later extract holds what the earlier one held and more.
"""

import collections
import datetime
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from dnapredict.fairness.disclosure.count_differences import is_of_one_count, rows_of_one_count
from dnapredict.fairness.disclosure.derived_ranges import LinkedCounts, Unknown
from dnapredict.fairness.disclosure.publications import Publication, PublishedNumber
from dnapredict.fairness.disclosure.suppression import CountCell

_DAYS_OF_A_MONTH: Final = 20
_DAYS_OF_A_GAP: Final = 7
_NOBODY: Final = (0.0, math.inf)


@dataclass(frozen=True)
class LinkedReports:
    """The counts of several reports together.

    `secrets` are the unknowns that no reader may learn where they are small. `reports` says how many earlier reports
    are in it, `left_out` how many are not.
    """

    counts: LinkedCounts
    secrets: tuple[Unknown, ...]
    reports: int = 0
    left_out: int = 0


class Assumed(NamedTuple):
    """What an attacker takes for granted of several reports."""

    same_records: bool = False  # all extracts tell the same of the same days
    months: bool = False  # a report holds the whole of its first and last month
    no_gaps: bool = False  # nobody had an appointment in the few days between two reports, such as a weekend


NOTHING_ASSUMED: Final = Assumed()
# From what tells an attacker most; the first that agrees with the printed numbers is protected against.
ASSUMPTIONS: Final = (
    Assumed(same_records=True, months=True, no_gaps=True),
    Assumed(same_records=True, no_gaps=True),
    Assumed(same_records=True),
    NOTHING_ASSUMED,
)


def link_reports(own: LinkedCounts, reports: Sequence[Publication], assumed: Assumed) -> LinkedReports:
    """All reports as one system."""
    at_most = [row for row in own.at_most if is_of_one_count(row)]
    copied = LinkedCounts(dict(own.ranges), rows_of_one_count(own), at_most)
    cells = [cell for cell in own.ranges if isinstance(cell, CountCell)]
    builder = _Builder(copied, reports, cells, assumed)
    builder.add_reports()
    builder.add_parts()
    builder.add_order()
    if assumed.months:
        builder.add_months()
    return LinkedReports(copied, tuple(builder.secrets()))


class _Part(NamedTuple):
    """An unknown: a count in a part of the time, as one state of the records has it.

    `everything` is whether it is of all booked appointments, `data` the extract ("" where all tell the same).
    """

    part: int
    everything: bool
    data: str
    name: str


class _Old(NamedTuple):
    """An unknown: a number of an earlier report."""

    report: int
    place: int


class _Added(NamedTuple):
    """An unknown: how much larger a count is in another state of the records."""

    before: _Part
    after: _Part


@dataclass
class _Builder:
    """Adds unknowns and rows for what several reports have in common; the last report is the new one."""

    counts: LinkedCounts
    reports: Sequence[Publication]
    cells: Sequence[CountCell]
    assumed: Assumed
    parts: dict[_Part, bool] = field(default_factory=dict)  # whether nobody is in it
    added: list[_Added] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Cut time at the first and last day of every report, and find the numbers that two reports share."""
        starts = {one.first.toordinal() for one in self.reports}
        ends = {one.last.toordinal() + 1 for one in self.reports}
        edges = sorted(starts | ends)
        self.begins = {edge: edge for edge in edges}
        for end, start in itertools.pairwise(edges) if self.assumed.no_gaps else ():
            if end in ends - starts and start in starts - ends and start - end <= _DAYS_OF_A_GAP:
                self.begins[start] = end
        self.edges = sorted(set(self.begins.values()))
        spans = sorted(((one.first, one.last) for one in self.reports), key=lambda span: span[1] - span[0])
        pairs = itertools.pairwise(spans)
        self.nested = all(wide[0] <= narrow[0] and narrow[1] <= wide[1] for narrow, wide in pairs)
        names = ({number.name for number in one.numbers if self._comparable(one, number)} for one in self.reports)
        times = collections.Counter(itertools.chain.from_iterable(names))
        self.shared = {name for name, count in times.items() if count > 1}

    def _comparable(self, report: Publication, number: PublishedNumber) -> bool:
        same_list = not number.of_a_list or report.listed == self.reports[-1].listed
        return same_list and (number.adds_up or self.nested)

    def _numbers(self, report: Publication, *, monthly: bool) -> Iterator[tuple[int, PublishedNumber]]:
        for place, number in enumerate(report.numbers):
            if bool(number.month) == monthly and number.name in self.shared and self._comparable(report, number):
                yield place, number

    def _unknown(self, report: int, place: int) -> Unknown:
        return self.cells[place] if report == len(self.reports) - 1 else _Old(report, place)

    def add_reports(self) -> None:
        """The numbers and sums of the earlier reports."""
        for at, report in enumerate(self.reports[:-1]):
            used = {place for place, number in enumerate(report.numbers) if self._comparable(report, number)}
            for place in used:
                number = report.numbers[place]
                self.counts.ranges[_Old(at, place)] = number.low, math.inf if number.high is None else number.high
            for rows, into in ((report.equal, self.counts.equal), (report.at_most, self.counts.at_most)):
                into += [
                    {_Old(at, place): weight for place, weight in row}
                    for row in rows
                    if all(place in used for place, _ in row)
                ]

    def _parts_of(self, report: Publication, name: str) -> list[_Part]:
        everything, data = report.kind == "access", "" if self.assumed.same_records else report.data
        return [
            _Part(part, everything, data, name)
            for part, start in enumerate(self.edges[:-1])
            if self.begins[report.first.toordinal()] <= start <= report.last.toordinal()
        ]

    def add_parts(self) -> None:
        """Each shared number is the sum of its parts of the time, and the sums hold in each part."""
        for at, report in enumerate(self.reports):
            for place, number in self._numbers(report, monthly=False):
                own = self._parts_of(report, number.name)
                for part in own:
                    self.parts[part] = self.parts.get(part, False) or number.high == 0
                self.counts.equal.append(dict.fromkeys(own, 1.0) | {self._unknown(at, place): -1.0})
        self.counts.ranges |= dict.fromkeys(self.parts, _NOBODY)
        for rows, into in (("equal", self.counts.equal), ("at_most", self.counts.at_most)):
            into += [dict(row) for row in dict.fromkeys(self._rows_of_parts(rows))]

    def _rows_of_parts(self, kind: str) -> Iterator[tuple[tuple[Unknown, float], ...]]:
        for report in self.reports:
            for row in getattr(report, kind):
                numbers = [report.numbers[place] for place, _ in row]
                if any(n.month or n.name not in self.shared or not self._comparable(report, n) for n in numbers):
                    continue
                for parts in zip(*(self._parts_of(report, number.name) for number in numbers), strict=True):
                    if all(part in self.parts for part in parts):
                        yield tuple(zip(parts, (weight for _, weight in row), strict=True))

    def add_order(self) -> None:
        """A state of the records that holds another one's appointments has no smaller count."""
        seen = {one.data: place for place, one in reversed(list(enumerate(self.reports)))} | {"": -1}
        states = list(dict.fromkeys((part.everything, part.data) for part in self.parts))
        for before, after in itertools.permutations(states, 2):
            if before[0] > after[0] or seen[before[1]] > seen[after[1]]:
                continue
            for one in [part for part in self.parts if (part.everything, part.data) == before]:
                other = one._replace(everything=after[0], data=after[1])
                if other in self.parts:
                    added = _Added(one, other)
                    self.added.append(added)
                    self.counts.ranges[added] = _NOBODY
                    self.counts.equal.append({other: 1.0, one: -1.0, added: -1.0})

    def add_months(self) -> None:
        """Numbers of the same month in two reports are the same, and those of whole months add up to a window."""
        for (a, first), (b, second) in itertools.permutations(enumerate(self.reports), 2):
            if first.kind != second.kind:
                continue
            months: dict[str, dict[str, Unknown]] = collections.defaultdict(dict)
            for place, number in self._numbers(first, monthly=True):
                if _is_whole(number.month, first):
                    months[number.name][number.month] = self._unknown(a, place)
            if a < b:
                for place, number in self._numbers(second, monthly=True):
                    same = months[number.name].get(number.month) if _is_whole(number.month, second) else None
                    if same is not None:
                        self.counts.equal.append({same: 1.0, self._unknown(b, place): -1.0})
            window = _months_of(second)
            for place, number in self._numbers(second, monthly=False):
                if window and months[number.name].keys() >= set(window):
                    row: dict[Unknown, float] = {months[number.name][month]: 1.0 for month in window}
                    self.counts.equal.append(row | {self._unknown(b, place): -1.0})

    def secrets(self) -> Iterator[Unknown]:
        """Hidden numbers of earlier reports, counts of parts of the time, and what was added between two extracts."""
        for at, report in enumerate(self.reports[:-1]):
            for place, number in self._numbers(report, monthly=False):
                if number.high is None and number.low > 0:
                    yield _Old(at, place)
        yield from (part for part, nobody in self.parts.items() if not nobody)
        yield from (one for one in self.added if not self.parts[one.after])


def _span(month: str) -> tuple[datetime.date, datetime.date]:
    """First day of a month, and first day of the next."""
    start = datetime.date.fromisoformat(f"{month}-01")
    return start, (start + datetime.timedelta(days=32)).replace(day=1)


def _is_whole(month: str, report: Publication) -> bool:
    """Whether a report holds (nearly) all days of a month: its window begins and ends with an appointment."""
    start, after = _span(month)
    days = min(report.last + datetime.timedelta(days=1), after) - max(report.first, start)
    return days.days >= _DAYS_OF_A_MONTH


def _months_of(report: Publication) -> list[str]:
    """The months of a report's window, where it begins and ends with a whole one."""
    start, months = report.first.replace(day=1), []
    while start <= report.last:
        months.append(f"{start:%Y-%m}")
        start = _span(months[-1])[1]
    return months if all(_is_whole(month, report) for month in months) else []

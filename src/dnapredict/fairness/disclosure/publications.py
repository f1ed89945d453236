"""What was published before, and what two reports together give away.

A report for a year and one for its first eleven months give the numbers of December by subtraction; so do an audit and
an access report of the same extract, or two reports between which one appointment was added. The memory of a home
holds for each report its window, and for each number that it printed the range in which the count lies. No exact
count is in it, and the names of groups are hashed with a key of the home.

Counts of two windows are linked through the parts of time that they share: what is printed of a year is the sum of
its first eleven months and of December. An audit holds a part of what an access report holds of the same days. That
two extracts tell the same of the same days is assumed, since it tells an attacker most; where the printed numbers
contradict it, the later extract holds what the earlier one held and more.
"""

import collections
import datetime
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from dnapredict.data.files.digests import keyed_hash
from dnapredict.fairness.disclosure.count_differences import OF_A_LIST, rows_of_one_count
from dnapredict.fairness.disclosure.derived_ranges import DerivedRanges, LinkedCounts, Range, Unknown
from dnapredict.fairness.disclosure.further_figures import is_of_fifths, plain_name
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
_DAYS_OF_A_MONTH: Final = 20
_MOST_REPORTS: Final = 12  # earlier reports of the same days that are held against a new one, the newest

Kind = Literal["audit", "access", "counts"]  # the last: a file of counts for a pooled audit, with exact numbers
Row = tuple[tuple[int, float], ...]


class PublishedNumber(NamedTuple):
    """One number of a report.

    `name` is the hashed name of the count, `low` and `high` what a reader knows of it (`high` is None where nothing
    bounds it), `month` the month that it is of, "" for the whole window. `adds_up` says whether counts of two
    windows add up, which those of people and of appointments without an outcome do not.
    """

    name: str
    low: float
    high: float | None
    of_a_list: bool
    adds_up: bool
    month: str


class Publication(BaseModel):
    """The numbers of one report, and the sums that link them.

    `data` and `listed` are digests of the extract and of the list (model, capacity and rule); the sums are rows of
    positions in `numbers` with weights, which add up to 0 or to at most 0.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    first: datetime.date
    last: datetime.date
    data: str
    listed: str
    numbers: tuple[PublishedNumber, ...]
    equal: tuple[Row, ...]
    at_most: tuple[Row, ...]

    def overlaps(self, first: datetime.date, last: datetime.date) -> bool:
        """Whether the report is of any of these days."""
        return self.first <= last and first <= self.last


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
            at_most=tuple(_row(row, place) for row in linked.at_most if _is_of_one_count(row)),
        )

    def _number(self, cell: CountCell, known: Range) -> PublishedNumber:
        low, high = known
        count = _SAME_IN_ACCESS.get(cell.counted, cell.counted) if self.kind != "access" else cell.counted
        grouping, code, month = cell.grouping, cell.code, ""
        if grouping.endswith(_BY_MONTH):
            grouping, (code, _, month) = grouping.removesuffix(_BY_MONTH), code.rpartition("|")
        # The ends of fifths of risk are those of one report.
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
            for assumed in _ASSUMED:
                tried = _Builder.link(own, [*recent[start:], new], assumed)
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
        tried = _Builder.link(own, [same[-1], new], _Assumed())
        return tried if DerivedRanges.are_consistent(tried.counts) else None


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


def _is_of_one_count(row: Mapping[Unknown, float]) -> bool:
    """Whether a row links numbers of one count: only these are followed over several reports, one count at a time."""
    return len({cell.counted for cell in row if isinstance(cell, CountCell)}) == 1


def _row(row: Mapping[Unknown, float], place: Mapping[CountCell, int]) -> Row:
    return tuple((place[cell], weight) for cell, weight in row.items() if isinstance(cell, CountCell))


class _Assumed(NamedTuple):
    """What an attacker takes for granted of several reports."""

    same_records: bool = False  # all extracts tell the same of the same days
    months: bool = False  # a report holds the whole of its first and last month
    no_gaps: bool = False  # nobody had an appointment in the few days between two reports, such as a weekend


# From what tells an attacker most; the first that agrees with the printed numbers is protected against.
_ASSUMED: Final = (
    _Assumed(same_records=True, months=True, no_gaps=True),
    _Assumed(same_records=True, no_gaps=True),
    _Assumed(same_records=True),
    _Assumed(),
)
_DAYS_OF_A_GAP: Final = 7


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


_NOBODY: Final = (0.0, math.inf)


@dataclass
class _Builder:
    """Adds unknowns and rows for what several reports have in common; the last report is the new one."""

    counts: LinkedCounts
    reports: Sequence[Publication]
    cells: Sequence[CountCell]
    assumed: _Assumed
    parts: dict[_Part, bool] = field(default_factory=dict)  # whether nobody is in it
    added: list[_Added] = field(default_factory=list)

    @classmethod
    def link(cls, own: LinkedCounts, reports: Sequence[Publication], assumed: _Assumed) -> LinkedReports:
        """All reports as one system."""
        at_most = [row for row in own.at_most if _is_of_one_count(row)]
        copied = LinkedCounts(dict(own.ranges), rows_of_one_count(own), at_most)
        cells = [cell for cell in own.ranges if isinstance(cell, CountCell)]
        builder = cls(copied, reports, cells, assumed)
        builder.add_reports()
        builder.add_parts()
        builder.add_order()
        if assumed.months:
            builder.add_months()
        return LinkedReports(copied, tuple(builder.secrets()))

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

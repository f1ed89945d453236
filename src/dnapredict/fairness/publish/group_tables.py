"""Published tables of figures by group: rounded, with small numbers hidden."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dnapredict.config.fairness_policy import Disclosure
from dnapredict.data.small_numbers import publish_count
from dnapredict.errors import DataError
from dnapredict.fairness.compare.heterogeneity import between_group_sd, slope_index
from dnapredict.fairness.disclosure.count_differences import counts_in_rate
from dnapredict.fairness.disclosure.hidden_counts import HiddenCells, find_hidden_counts
from dnapredict.fairness.disclosure.rounded_figures import (
    publish_allocation,
    publish_group_rate,
    publish_rate,
    publish_ratio,
)
from dnapredict.fairness.measure.counts import CountedGrouping, GroupCounts
from dnapredict.fairness.measure.group_metrics import (
    RATES,
    allocation_index,
    by_fairlearn,
    enough_for_calibration_line,
    group_calibration_line,
    observed_over_expected,
    own_top_reach,
    ranking_quality,
    rate,
    separated,
)
from dnapredict.fairness.measure.intervals import Interval, Rate, Ratio, gap, printed_interval, rate_ratio
from dnapredict.fairness.measure.membership import Group

COUNTS = ("appointments", "missed", "selected", "reached")
_AGREEMENT = 1e-9
_FEWEST_FOR_RANKING = 8  # missed and attended, below which a rank figure could point at a person


@dataclass(frozen=True)
class GroupRow:
    """One group's figures. None is *hidden or not estimable*; ranges are at the policy's confidence.

    `reach_gap` says how much lower the reach is than everyone else's (in points, positive: worse off),
    `reach_ratio` which multiple of everyone else's it is. `no_line_because` says why a group with enough
    appointments has no calibration line; empty where it has one, or is too small.
    """

    group: Group
    counts: dict[str, int | None]
    rates: dict[str, Interval | None]
    reach_gap: Interval | None
    reach_ratio: Interval | None
    own_top_reach: Interval | None
    observed_over_expected: Interval | None
    allocation_index: Interval | None
    ranking_quality: float | None
    calibration_slope: Interval | None
    calibration_intercept: Interval | None
    no_line_because: str = ""


@dataclass(frozen=True)
class GroupTable:
    """The rows of one grouping, and how much its groups differ beyond chance.

    `spread_of_reach` is the between-group standard deviation, `equal_reach_p` the p-value of the test that
    all groups are reached alike, `slope_of_reach` (ordered groups only) how much higher the reach is at
    the last end of the scale than at the first.
    """

    name: str
    title: str
    exploratory: bool
    rows: tuple[GroupRow, ...]
    spread_of_reach: float | None
    equal_reach_p: float | None
    slope_of_reach: Interval | None


def published_table(
    counted: CountedGrouping, *, rule: Disclosure, z: float, share: float, hidden: HiddenCells | None = None
) -> GroupTable:
    """The table of one grouping, in which small groups are put together (see `disclosure.merged_groups`).

    Without `hidden`, what is hidden is what this table alone needs hidden.
    """
    grouping, hidden = counted.grouping, hidden or find_hidden_counts({counted.grouping.name: counted}, rule)
    printed = CountedGrouping(grouping, *hidden.merged.apply(grouping.name, counted.groups, counted.counts))
    publisher = _Publisher(printed, hidden, rule, z, share)
    rows = tuple(publisher.row(index) for index in range(len(printed.groups)))
    known = [(row, reach) for index, row in enumerate(rows) if row.group.known and (reach := publisher.reach(index))]
    spread = between_group_sd([reach for _, reach in known])
    sizes = [float(row.counts["appointments"] or 0) for row, _ in known]
    slope = slope_index([reach for _, reach in known], sizes, z=z) if grouping.ordered else None
    return GroupTable(
        grouping.name,
        grouping.title,
        grouping.exploratory,
        rows,
        round(spread[0], 3) if spread else None,
        round(spread[1], 3) if spread else None,
        slope.rounded() if slope else None,
    )


def require_agreement_with_fairlearn(tables: Sequence[CountedGrouping]) -> None:
    """Each audit checks the rates of all its tables against an independent implementation, at once.

    Raises
    ------
    DataError
        If a rate differs from fairlearn's.
    """
    for one in tables:
        for counts in one.counts:
            for name, value in by_fairlearn(counts).items():
                own = rate(counts, name).value
                if (own is None) != (value is None) or abs((own or 0.0) - (value or 0.0)) > _AGREEMENT:
                    raise DataError(f"audit: {name} of '{one.grouping.name}' differs from fairlearn's figure.")


@dataclass(frozen=True)
class _Publisher:
    """A grouping with the settings by which its figures are published."""

    counted: CountedGrouping
    hidden: HiddenCells
    rule: Disclosure
    z: float
    share: float

    def blocked(self, index: int, names: Iterable[str]) -> bool:
        """Whether any of the counts `names` is hidden."""
        return self.hidden.hides(self.counted.grouping.name, self.counted.groups[index].code, tuple(names))

    def rate(self, index: int, name: str) -> Rate | None:
        """A rate as it may be printed."""
        blocked = self.blocked(index, counts_in_rate(name))
        return None if blocked else publish_group_rate(self.counted.counts[index], name, self.rule)

    def reach(self, index: int) -> Rate | None:
        """Reach as it may be printed, where all counts of the group are printed."""
        return None if self.blocked(index, COUNTS) else self.rate(index, "reach")

    def reach_of_others(self, index: int) -> Rate | None:
        """Reach of everyone except the group, as it may be printed."""
        grouping, code = self.counted.grouping, self.counted.groups[index].code
        if grouping.exploratory or self.hidden.hides_others(grouping.name, code, ("missed", "reached")):
            return None
        return publish_rate(rate(self.counted.rest(index), "reach"), self.rule)

    def row(self, index: int) -> GroupRow:
        """All figures of a group."""
        counts, rest = self.counted.counts[index], self.counted.rest(index)
        whole = not self.blocked(index, COUNTS)
        quality = ranking_quality(counts) if whole and _enough(counts, _FEWEST_FOR_RANKING) else None
        fitted = whole and enough_for_calibration_line(counts)
        line = group_calibration_line(counts) if fitted else None
        group, others = self.reach(index), self.reach_of_others(index)
        both = (others, group) if others and group else None
        return GroupRow(
            group=self.counted.groups[index],
            counts={name: None if self.blocked(index, [name]) else self._count(index, name) for name in COUNTS},
            rates={name: self._ranged(self.rate(index, name)) for name in RATES},
            reach_gap=_rounded(gap(*both, z=self.z)) if both else None,
            reach_ratio=_rounded(rate_ratio(*both, z=self.z)) if both else None,
            own_top_reach=self._ranged(publish_rate(own_top_reach(counts, self.share), self.rule), whole),
            observed_over_expected=self._ranged(publish_ratio(observed_over_expected(counts), self.rule), whole),
            allocation_index=self._ranged(
                publish_allocation(allocation_index(counts, rest), counts, self.counted.total, self.rule),
                whole,
            ),
            ranking_quality=None if quality is None else round(quality, 2),
            calibration_slope=_two_decimals(line[0].interval(self.z)) if line else None,
            calibration_intercept=_two_decimals(line[1].interval(self.z)) if line else None,
            no_line_because=_no_line_because(counts) if fitted and line is None else "",
        )

    def _count(self, index: int, name: str) -> int | None:
        return publish_count(self.counted.counts[index].total(name), self.rule)

    def _ranged(self, figure: Rate | Ratio | None, shown: bool = True) -> Interval | None:
        return printed_interval(figure, self.z) if shown else None


def _no_line_because(counts: GroupCounts) -> str:
    """Why a group with enough appointments has no calibration line."""
    if separated(counts):
        return "not estimable: the risks separate those who missed from those who came"
    return "not estimable: all risks are alike, or nearly separate the outcomes"


def _enough(counts: GroupCounts, fewest: int) -> bool:
    """Whether enough were missed and enough attended that a metric without a numerator reveals no person."""
    return min(counts.missed, counts.appointments - counts.missed) >= fewest


def _rounded(figure: Interval | None) -> Interval | None:
    return figure.rounded() if figure else None


def _two_decimals(figure: Interval) -> Interval:
    return Interval(round(figure.value, 2), round(figure.low, 2), round(figure.high, 2))

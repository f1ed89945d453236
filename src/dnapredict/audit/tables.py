"""Tables of figures by group as they may leave the trust: rounded, small numbers hidden."""

from dataclasses import dataclass

from dnapredict.audit.counts import Counted, GroupCounts
from dnapredict.audit.disclosure import publish_count, publish_rate, publish_ratio
from dnapredict.audit.figures import (
    RATES,
    allocation_index,
    by_fairlearn,
    calibration_line,
    observed_over_expected,
    own_top_reach,
    ranking_quality,
    rate,
)
from dnapredict.audit.groups import Group
from dnapredict.audit.intervals import Interval, Rate, Ratio, between_group_sd, slope_index
from dnapredict.audit.suppression import also_hidden
from dnapredict.config.policy import Disclosure
from dnapredict.errors import DataError

__all__ = ["COUNTS", "GroupTable", "Row", "published_table"]

COUNTS = ("appointments", "missed", "selected", "reached")
_AGREEMENT = 1e-9
_FEWEST_FOR_A_LINE = 50  # missed and attended, below which a fitted line says nothing
_FEWEST_FOR_RANKING = 8  # missed and attended, below which a rank figure could point at a person


@dataclass(frozen=True)
class Row:
    """One group's figures. None is *hidden or not estimable*; ranges are at the policy's confidence."""

    group: Group
    counts: dict[str, int | None]
    rates: dict[str, Interval | None]
    own_top_reach: Interval | None
    observed_over_expected: Interval | None
    allocation_index: Interval | None
    ranking_quality: float | None
    calibration_slope: Interval | None
    calibration_intercept: Interval | None


@dataclass(frozen=True)
class GroupTable:
    """The rows of one grouping and how far its groups differ beyond chance.

    `spread_of_reach` is the between-group standard deviation, `equal_reach_p` the p-value of the test that
    all groups are reached alike, `slope_of_reach` (ordered groups only) how much higher the reach is at
    the last end of the scale than at the first.
    """

    name: str
    title: str
    exploratory: bool
    rows: tuple[Row, ...]
    spread_of_reach: float | None
    equal_reach_p: float | None
    slope_of_reach: Interval | None


def published_table(counted: Counted, *, rule: Disclosure, z: float, share: float) -> GroupTable:
    """The table of one grouping.

    Raises
    ------
    DataError
        If a figure differs from fairlearn's: each audit checks itself against the oracle.
    """
    _agree_with_fairlearn(counted)
    hidden = _hidden(counted, rule)
    rows = tuple(
        _row(
            group,
            (counted.counts[place], counted.rest(place)),
            rule=rule,
            z=z,
            share=share,
            hidden=hidden[place],
        )
        for place, group in enumerate(counted.groups)
    )
    known = [
        rate(counts, "reach")
        for group, counts in zip(counted.groups, counted.counts, strict=True)
        if group.known and counts.missed >= rule.suppress_below
    ]
    spread = between_group_sd(known)
    grouping = counted.grouping
    return GroupTable(
        grouping.name,
        grouping.title,
        grouping.exploratory,
        rows,
        round(spread[0], 3) if spread else None,
        round(spread[1], 3) if spread else None,
        _slope(counted, rule=rule, z=z) if grouping.ordered else None,
    )


def _slope(counted: Counted, *, rule: Disclosure, z: float) -> Interval | None:
    """Slope index of inequality of reach, from published rates."""
    pairs = zip(counted.groups, counted.counts, strict=True)
    known = [(publish_rate(rate(counts, "reach"), rule), counts) for group, counts in pairs if group.known]
    shown = [(reach, float(counts.appointments)) for reach, counts in known if reach]
    found = slope_index([reach for reach, _ in shown], [size for _, size in shown], z=z)
    return found.rounded() if found else None


def _agree_with_fairlearn(counted: Counted) -> None:
    for name, values in by_fairlearn(counted).items():
        for counts, value in zip(counted.counts, values, strict=True):
            own = rate(counts, name).value
            if (own is None) != (value is None) or abs((own or 0.0) - (value or 0.0)) > _AGREEMENT:
                where = f"{name} of '{counted.grouping.name}'"
                raise DataError(f"audit: {where} differs from fairlearn's figure.")


def _hidden(counted: Counted, rule: Disclosure) -> list[set[str]]:
    """Counts to hide beyond the small ones, so that no printed total gives a hidden one back."""
    hidden: list[set[str]] = [set() for _ in counted.groups]
    parents = [group.parent for group in counted.groups]
    for name in COUNTS:
        for place in also_hidden([counts.total(name) for counts in counted.counts], rule, parents=parents):
            hidden[place].add(name)
    return hidden


def _row(
    group: Group,
    pair: tuple[GroupCounts, GroupCounts],
    *,
    rule: Disclosure,
    z: float,
    share: float,
    hidden: set[str],
) -> Row:
    counts, rest = pair
    shown = {name: None if name in hidden else publish_count(counts.total(name), rule) for name in COUNTS}
    enough = min(counts.missed, counts.appointments - counts.missed) >= _FEWEST_FOR_RANKING
    ratios = [
        _published(publish_ratio(ratio, rule), z, blocked=bool(hidden))
        for ratio in (observed_over_expected(counts), allocation_index(counts, rest))
    ]
    quality = ranking_quality(counts)
    line = _line(counts, z, blocked=bool(hidden))
    return Row(
        group=group,
        counts=shown,
        rates={
            name: _published(publish_rate(rate(counts, name), rule), z, blocked=_uses(name, hidden))
            for name in RATES
        },
        own_top_reach=_published(publish_rate(own_top_reach(counts, share), rule), z, blocked=bool(hidden)),
        observed_over_expected=ratios[0],
        allocation_index=ratios[1],
        ranking_quality=round(quality, 2) if enough and quality is not None and not hidden else None,
        calibration_slope=line[0],
        calibration_intercept=line[1],
    )


def _line(counts: GroupCounts, z: float, *, blocked: bool) -> tuple[Interval | None, Interval | None]:
    """Slope and intercept to two decimals, where enough missed and came that no one person shows."""
    enough = min(counts.missed, counts.appointments - counts.missed) >= _FEWEST_FOR_A_LINE
    found = calibration_line(counts) if enough and not blocked else None
    if found is None:
        return None, None
    slope, intercept = (one.interval(z) for one in found)
    return _two_decimals(slope), _two_decimals(intercept)


def _two_decimals(figure: Interval) -> Interval:
    return Interval(round(figure.value, 2), round(figure.low, 2), round(figure.high, 2))


def _uses(name: str, hidden: set[str]) -> bool:
    return any(part in hidden for parts in RATES[name] for part in parts)


def _published(figure: Rate | Ratio | None, z: float, *, blocked: bool) -> Interval | None:
    if figure is None or blocked:
        return None
    interval = figure.interval(z)
    return interval.rounded() if interval else None

"""Alarms on weekly counts with a known rate of false alarms: e-detectors of the ratio of observed to expected counts.

A chart is in control while the expected value of a week's count, given all earlier weeks, is within a band around what
was predicted. For `dispersion` times a Poisson count (so that its variance is `dispersion` times its mean),
`exp((k * observed - limit * expected * (exp(k) - 1)) / dispersion)` then has a mean of at most 1 (an e-value) for any
`k` above 0 and the upper limit of the band, and for any `k` below 0 and the lower limit. The Shiryaev-Roberts recursion
over these, `R = (1 + R) * e`, is an e-detector: a chart that alarms once it exceeds `c` has a mean time to a false
alarm of at least `c` weeks, whatever the distribution of the weeks. Weighted sums of e-detectors are e-detectors, so
that one budget covers all charts together (Shin, Ramdas and Rinaldo 2024, New England Journal of Statistics in Data
Science 2:229).

A count may also be watched as a share of a total (`WeeklyShare`): given the total, a Poisson count is binomial, and
`exp((k * observed - total * log(1 + share * (exp(k) - 1))) / dispersion)` is an e-value in the same way. What moves
everyone alike, such as a season or a week of snow, is then no evidence, and one detector averages both.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

WEEKS_TO_FALSE_ALARM: Final = 20 * 52
"""Mean time to a false alarm of all charts of a trust together, in weeks, at least."""

# Ratios beyond the limit of the band at which bets are placed, and their stakes. Most is staked on an increase by 10 to
# 20 in 100, which is large enough to act on and small enough to need weeks.
_BETS: Final = np.array([1.06, 1.13, 1.2, 1.35, 2.5])
_STAKES_ABOVE: Final = np.array([2.0, 6.0, 3.0, 1.0, 0.5])
_STAKES_BELOW: Final = np.array([1.0, 2.0, 1.0, 0.5, 0.25])
_STAKES: Final = np.concatenate([_STAKES_ABOVE, _STAKES_BELOW]) / (_STAKES_ABOVE.sum() + _STAKES_BELOW.sum())
# One week alone raises no alarm, since a week of snow or of strikes is no drift: its evidence counts up to this share.
_LARGEST_SHARE_OF_A_WEEK: Final = 0.6
# The dispersion before any week was seen, and for how many weeks that counts.
_DISPERSION: Final = 1.15
_WEEKS_OF_DISPERSION: Final = 12.0
# The squared difference of two weeks, in units of its variance, counts up to this value.
_LARGEST_DIFFERENCE: Final = 9.0
# Nearly nobody of a chart may be predicted to miss in a week; a ratio to less would overflow.
_LEAST_EXPECTED: Final = 1e-9


@dataclass(frozen=True)
class WeeklyRatio:
    """Observed and expected counts of one chart by week, shape (weeks,).

    Attributes
    ----------
    expected
        The predicted count, above 0 in each week.
    variance_factor
        Factor on the variance of a week's count that is known beforehand: for weighted rows, the sum of squared
        weights over the sum of weights.
    """

    observed: Floats
    expected: Floats
    variance_factor: Floats | None = None

    @property
    def ratio(self) -> Floats:
        """Observed divided by expected count."""
        return np.asarray(self.observed / np.maximum(self.expected, _LEAST_EXPECTED))

    def ratio_of(self, weeks: slice) -> float:
        """The ratio of several weeks together."""
        return float(self.observed[weeks].sum() / self.expected[weeks].sum())

    def dispersion(self) -> Floats:
        """Variance of each week's count as a multiple of that of a Poisson count, estimated from earlier weeks only.

        From differences of successive weeks, which a lasting change of the level does not move (von Neumann 1941,
        Annals of Mathematical Statistics 12:367). At least 1.
        """
        known = np.ones(len(self.observed)) if self.variance_factor is None else np.maximum(1.0, self.variance_factor)
        variance = known * self._of_poisson() / np.maximum(self.expected, _LEAST_EXPECTED)
        squared = np.diff(self.ratio) ** 2 / np.maximum(variance[1:] + variance[:-1], np.finfo(float).tiny)
        # In units of the chart's own level, which is not 1 after a change.
        squared = np.minimum(squared / np.maximum(self.ratio[:-1], 1.0), _LARGEST_DIFFERENCE)
        earlier = np.concatenate([[0.0, 0.0], np.cumsum(squared)[:-1]])[: len(known)]
        weeks = np.maximum(0, np.arange(len(known)) - 1)
        estimate = (_DISPERSION * _WEEKS_OF_DISPERSION + earlier) / (_WEEKS_OF_DISPERSION + weeks)
        return np.asarray(known * np.maximum(1.0, estimate))

    def _of_poisson(self) -> Floats:
        """The variance as a multiple of that of a Poisson count, where patients miss independently."""
        return np.ones(len(self.observed))

    def cost(self, ratio: float | Floats, bet: float) -> Floats:
        """The logarithm of the mean of `exp(bet * observed)` at this ratio of observed to expected, shape (weeks,)."""
        return np.asarray(ratio * self.expected * math.expm1(bet))


@dataclass(frozen=True)
class WeeklyShare(WeeklyRatio):
    """A count as a share of a total, given the total.

    `expected` is the total times the predicted share, and a ratio that of the odds of the share.

    Attributes
    ----------
    total
        The counts that `observed` is a part of, above 0 in each week; shape (weeks,).
    """

    total: Floats = field(kw_only=True)

    def ratio_of(self, weeks: slice) -> float:
        """The ratio of the odds of several weeks together."""
        observed, expected, total = (float(each[weeks].sum()) for each in (self.observed, self.expected, self.total))
        least = np.finfo(float).tiny
        return observed / max(total - observed, least) * max(total - expected, least) / expected

    def _of_poisson(self) -> Floats:
        return np.asarray(1 - self.expected / self.total)

    def cost(self, ratio: float | Floats, bet: float) -> Floats:
        """As of a count, given the total."""
        share = self.expected / self.total
        return np.asarray(self.total * np.log1p(ratio * share / (1 + (ratio - 1) * share) * math.expm1(bet)))


@dataclass(frozen=True)
class ControlBand:
    """Ratios of observed to expected counts that are in control, one for all weeks or of shape (weeks,)."""

    low: float | Floats
    high: float | Floats


@dataclass(frozen=True)
class Detection:
    """An alarm of one chart.

    Attributes
    ----------
    week
        Position of the week that raised the alarm.
    since
        Position of the week since which the evidence is largest: the estimate of when it began.
    ratio
        Observed divided by expected count from `since` to the last week, or to `week` if the change is over.
    lasts
        Whether the evidence since then still holds in the last week.
    """

    week: int
    since: int
    ratio: float
    lasts: bool


def detect(
    series: WeeklyRatio, band: ControlBand, *, weight: float, beside: "WatchedShare | None" = None
) -> tuple[Detection, ...]:
    """The alarms of a chart, in order of time; after an alarm the chart starts again.

    Parameters
    ----------
    weight
        The chart's share of the budget of false alarms; the shares of all charts of a trust add up to at most 1.
    beside
        The same count as a share of a total, which gives half of the evidence. There is an alarm only if `series`
        left its own band in the same direction, by at least half as much: otherwise the rest of the total moved.
    """
    limit = _log_limit(weight)
    evidence, stakes = _evidence(series, band, most=limit), _STAKES
    if beside is not None:
        evidence = np.hstack([evidence, _evidence(beside.series, beside.band, most=limit)])
        stakes = np.concatenate([_STAKES, _STAKES]) / 2
    return tuple(_alarms(series, band, beside, evidence=evidence, stakes=np.log(stakes), limit=limit))


def log_detector(series: WeeklyRatio, band: ControlBand, *, weight: float) -> Floats:
    """The logarithm of the detector after each week over that at which it alarms: above 0 is an alarm. No restarts."""
    limit = _log_limit(weight)
    evidence = _evidence(series, band, most=limit)
    value, found = np.full(evidence.shape[1], -np.inf), np.empty(len(evidence))
    for week, step in enumerate(evidence):
        value = np.logaddexp(value, 0.0) + step
        found[week] = np.logaddexp.reduce(value + np.log(_STAKES)) - limit
    return found


def _log_limit(weight: float) -> float:
    return math.log(WEEKS_TO_FALSE_ALARM / weight)


@dataclass(frozen=True)
class WatchedShare:
    """A count as a share of a total, and the ratios of its odds to the predicted ones that are in control."""

    series: WeeklyShare
    band: ControlBand


def _evidence(series: WeeklyRatio, band: ControlBand, *, most: float) -> Floats:
    """Log e-values of each week for each bet, shape (weeks, bets): bets on an increase, then on a decrease."""
    bets = np.log(_BETS)
    gain = [(bet * series.observed - series.cost(band.high, bet)) for bet in bets]
    gain += [(-bet * series.observed - series.cost(band.low, -bet)) for bet in bets]
    return np.asarray(np.minimum(np.array(gain) / series.dispersion(), most * _LARGEST_SHARE_OF_A_WEEK)).T


def _alarms(
    series: WeeklyRatio,
    band: ControlBand,
    beside: WatchedShare | None,
    *,
    evidence: Floats,
    stakes: Floats,
    limit: float,
) -> Iterator[Detection]:
    bets = evidence.shape[1]
    value, start = np.full(bets, -np.inf), 0
    for week, step in enumerate(evidence):
        value = np.logaddexp(value, 0.0) + step
        if np.logaddexp.reduce(value + stakes) < limit:
            continue
        bet = int(np.argmax(value + stakes))
        since = start + _beginning(evidence[start : week + 1, bet])
        above = bet % len(_STAKES) < len(_BETS)
        if not _has_moved(series, band, beside, slice(since, week + 1), above=above):
            continue
        lasts = _lasts(evidence[since:], limit=limit)
        seen = slice(since, None if lasts else week + 1)
        yield Detection(week=week, since=since, ratio=series.ratio_of(seen), lasts=lasts)
        value, start = np.full(bets, -np.inf), week + 1


def _excess(series: WeeklyRatio, band: ControlBand, weeks: slice, *, above: bool) -> float:
    """How far the ratio of these weeks together is beyond the limit of the band in that direction, as a logarithm."""
    limit = np.broadcast_to(band.high if above else band.low, len(series.expected))[weeks]
    allowed = float((limit * series.expected[weeks]).sum() / series.expected[weeks].sum())
    ratio = max(series.ratio_of(weeks), np.finfo(float).tiny)
    return math.log(ratio / allowed) if above else math.log(allowed / ratio)


def _has_moved(
    series: WeeklyRatio, band: ControlBand, beside: WatchedShare | None, weeks: slice, *, above: bool
) -> bool:
    """Whether the count left its own band in that direction, and its share did not because the others moved."""
    own = _excess(series, band, weeks, above=above)
    return own > 0 and (beside is None or own >= _excess(beside.series, beside.band, weeks, above=above) / 2)


def _beginning(evidence: Floats) -> int:
    """The first week of the run of weeks, up to the last, with the most evidence."""
    return int(len(evidence) - 1 - np.argmax(np.cumsum(evidence[::-1])))


def _lasts(evidence: Floats, *, limit: float) -> bool:
    """Whether the evidence over all these weeks is enough for some bet, and has not halved since its maximum."""
    total = np.cumsum(evidence, axis=0)
    return bool((total[-1] >= np.maximum(limit, total.max(axis=0) / 2)).any())

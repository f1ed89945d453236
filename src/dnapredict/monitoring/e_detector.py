"""Alarms on weekly counts with a known rate of false alarms: e-detectors of the ratio of observed to expected counts.

A chart is in control while the expected value of a week's count, given all earlier weeks, is within a band around what
was predicted. For `dispersion` times a Poisson count (so that its variance is `dispersion` times its mean),
`exp((k * observed - limit * expected * (exp(k) - 1)) / dispersion)` then has a mean of at most 1 (an e-value) for any
`k` above 0 and the upper limit of the band, and for any `k` below 0 and the lower limit. The Shiryaev-Roberts recursion
over these, `R = (1 + R) * e`, is an e-detector: a chart that alarms once it exceeds `c` has a mean time to a false
alarm of at least `c` weeks, whatever the distribution of the weeks. Weighted sums of e-detectors are e-detectors, so
that one budget covers all charts together (Shin, Ramdas and Rinaldo 2024, New England Journal of Statistics in Data
Science 2:229).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

WEEKS_TO_FALSE_ALARM: Final = 20 * 52
"""Mean time to a false alarm of all charts of a trust together, in weeks, at least."""

# Ratios beyond the limit of the band at which the bets are placed, with equal stakes.
_BETS: Final = np.array([1.06, 1.13, 1.35, 2.5])
# One week alone raises no alarm, since a week of snow or of strikes is no drift: its evidence counts up to this share.
_LARGEST_SHARE_OF_A_WEEK: Final = 0.6
# The dispersion before any week was seen, and for how many weeks that counts.
_DISPERSION: Final = 1.15
_WEEKS_OF_DISPERSION: Final = 12.0
# The squared difference of two weeks, in units of its variance, counts up to this value.
_LARGEST_DIFFERENCE: Final = 9.0


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
        return self.observed / self.expected

    def dispersion(self) -> Floats:
        """Variance of each week's count as a multiple of that of a Poisson count, estimated from earlier weeks only.

        From differences of successive weeks, which a lasting change of the level does not move (von Neumann 1941,
        Annals of Mathematical Statistics 12:367). At least 1.
        """
        known = np.ones(len(self.observed)) if self.variance_factor is None else np.maximum(1.0, self.variance_factor)
        variance = known / self.expected
        squared = np.diff(self.ratio) ** 2 / np.maximum(variance[1:] + variance[:-1], np.finfo(float).tiny)
        # In units of the chart's own level, which is not 1 after a change.
        squared = np.minimum(squared / np.maximum(self.ratio[:-1], 1.0), _LARGEST_DIFFERENCE)
        earlier = np.concatenate([[0.0, 0.0], np.cumsum(squared)[:-1]])[: len(known)]
        weeks = np.maximum(0, np.arange(len(known)) - 1)
        estimate = (_DISPERSION * _WEEKS_OF_DISPERSION + earlier) / (_WEEKS_OF_DISPERSION + weeks)
        return np.asarray(known * np.maximum(1.0, estimate))


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


def detect(series: WeeklyRatio, band: ControlBand, *, weight: float) -> tuple[Detection, ...]:
    """The alarms of a chart, in order of time; after an alarm the chart starts again.

    Parameters
    ----------
    weight
        The chart's share of the budget of false alarms; the shares of all charts of a trust add up to at most 1.
    """
    return tuple(_alarms(series, _evidence(series, band, most=_log_limit(weight)), limit=_log_limit(weight)))


def log_detector(series: WeeklyRatio, band: ControlBand, *, weight: float) -> Floats:
    """The logarithm of the detector after each week over that at which it alarms: above 0 is an alarm. No restarts."""
    evidence, limit = _evidence(series, band, most=_log_limit(weight)), _log_limit(weight)
    value, found = np.full(evidence.shape[1], -np.inf), np.empty(len(evidence))
    for week, step in enumerate(evidence):
        value = np.logaddexp(value, 0.0) + step
        found[week] = _mean(value) - limit
    return found


def _log_limit(weight: float) -> float:
    return math.log(WEEKS_TO_FALSE_ALARM / weight)


def _evidence(series: WeeklyRatio, band: ControlBand, *, most: float) -> Floats:
    """Log e-values of each week for each bet, shape (weeks, bets)."""
    dispersion = series.dispersion()[:, None]
    observed, expected = series.observed[:, None], series.expected[:, None]
    bet = np.log(_BETS)
    low, high = (np.asarray(limit, dtype=np.float64).reshape(-1, 1) for limit in (band.low, band.high))
    above = (bet * observed - high * expected * np.expm1(bet)) / dispersion
    below = (-bet * observed - low * expected * np.expm1(-bet)) / dispersion
    return np.asarray(np.minimum(np.hstack([above, below]), most * _LARGEST_SHARE_OF_A_WEEK))


def _alarms(series: WeeklyRatio, evidence: Floats, *, limit: float) -> Iterator[Detection]:
    bets = evidence.shape[1]
    value, start = np.full(bets, -np.inf), 0
    for week, step in enumerate(evidence):
        value = np.logaddexp(value, 0.0) + step
        if _mean(value) < limit:
            continue
        bet = int(np.argmax(value))
        since = start + _beginning(evidence[start : week + 1, bet])
        lasts = _lasts(evidence[since:], limit=limit)
        seen = slice(since, None if lasts else week + 1)
        ratio = float(series.observed[seen].sum() / series.expected[seen].sum())
        yield Detection(week=week, since=since, ratio=ratio, lasts=lasts)
        value, start = np.full(bets, -np.inf), week + 1


def _mean(value: Floats) -> float:
    return float(np.logaddexp.reduce(value)) - math.log(len(value))


def _beginning(evidence: Floats) -> int:
    """The first week of the run of weeks, up to the last, with the most evidence."""
    return int(len(evidence) - 1 - np.argmax(np.cumsum(evidence[::-1])))


def _lasts(evidence: Floats, *, limit: float) -> bool:
    """Whether the evidence over all these weeks is enough for some bet, and has not halved since its maximum."""
    total = np.cumsum(evidence, axis=0)
    return bool((total[-1] >= np.maximum(limit, total.max(axis=0) / 2)).any())

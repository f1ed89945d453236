"""Appointments of a group by risk, outcome and call, and logistic lines through them for many resamples at once."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from dnapredict.fairness.measure.counts import GroupCounts
from dnapredict.fairness.measure.group_metrics import rate
from dnapredict.model.evaluate.logistic import log_odds

Floats = NDArray[np.float64]

_SMALLEST_BIN: Final = 0.004  # share of all appointments below which neighbouring bins are pooled
_STEPS: Final = 12
_SETTLED: Final = 1e-10  # a step of Newton's method after which the next would change no digit that is used
_LONGEST_STEP: Final = 1.5
_RIDGE: Final = 1e-6
_STEEPEST: Final = 12.0


@dataclass(frozen=True)
class RiskBins:
    """Counts of a group in bins of risk.

    Attributes
    ----------
    odds : (k,) log odds of the mean risk of everybody in the bin, ascending
    cells : (b, 2, 2, k) appointments by not called/called and attended/missed; the first of b is as counted, the
        others are resamples
    """

    odds: Floats
    cells: Floats

    @property
    def appointments(self) -> Floats:
        """(b, k) appointments."""
        return np.asarray(self.cells.sum(axis=(1, 2)))

    @property
    def missed(self) -> Floats:
        """(b, k) missed appointments."""
        return np.asarray(self.cells[:, :, 1].sum(axis=1))

    @property
    def called(self) -> Floats:
        """(b, k) selected appointments."""
        return np.asarray(self.cells[:, 1].sum(axis=1))

    @property
    def reach(self) -> Floats:
        """(b,) share of the missed that were selected."""
        return np.asarray(self.cells[:, 1, 1].sum(axis=-1) / np.maximum(self.missed.sum(axis=-1), _RIDGE))


def risk_bins(group: GroupCounts, rest: GroupCounts, *, resamples: int = 0) -> tuple[RiskBins, RiskBins]:
    """Both groups in the same bins of risk, with Poisson resamples whose variance is that of repeat patients.

    A cell is resampled as `deff * Poisson(n / deff)`, where `deff` is the design effect of the group's reach.
    """
    edges, odds = _pooled(group + rest)
    random = np.random.default_rng(0)
    both = []
    for counts in (group, rest):
        whole = np.add.reduceat(_cells(counts), edges, axis=-1)
        effect = max(1.0, rate(counts, "reach").design_effect) if counts.missed else 1.0
        drawn = effect * random.poisson(whole / effect, (resamples, *whole.shape))
        both.append(RiskBins(odds, np.concatenate([whole[None], drawn])))
    return both[0], both[1]


def _cells(counts: GroupCounts) -> Floats:
    called = counts.called_histogram
    return np.maximum(0.0, np.stack([counts.histogram - called, called]))


def _pooled(everyone: GroupCounts) -> tuple[NDArray[np.int64], Floats]:
    """Where each pooled bin starts, and the log odds of its mean risk."""
    rows, expected = everyone.histogram.sum(axis=0), everyone.expected.sum(axis=0)
    number = np.floor(np.cumsum(rows) / max(rows.sum() * _SMALLEST_BIN, 1.0)).astype(int)
    starts = np.flatnonzero(np.diff(number, prepend=-1) > 0)
    sizes, sums = np.add.reduceat(rows, starts), np.add.reduceat(expected, starts)
    filled = sizes > 0
    return starts[filled], np.asarray(log_odds(sums[filled] / sizes[filled]))


def fit_shift(margin: Floats, appointments: Floats, missed: Floats) -> Floats:
    """(b,) shifts of log odds `margin` by which as many are expected as were missed."""
    shift = np.zeros(len(missed))
    for _ in range(_STEPS):
        risk = expit(margin + shift[:, None])
        slope = (appointments * risk * (1 - risk)).sum(axis=-1) + _RIDGE
        step = np.clip((missed - appointments * risk).sum(axis=-1) / slope, -_LONGEST_STEP, _LONGEST_STEP)
        shift += step
        if np.abs(step).max(initial=0.0) < _SETTLED:
            break
    return shift


def fit_line(margin: Floats, appointments: Floats, missed: Floats) -> tuple[Floats, Floats, Floats]:
    """(b,) intercepts and slopes of logistic lines on `margin`, and the standard errors of the slopes."""
    middle = float((appointments[0] * margin).sum() / max(appointments[0].sum(), 1.0))
    centred = margin - middle  # intercept and slope are then nearly independent, and Newton's steps short
    level, slope = np.zeros(len(missed)) + middle, np.ones(len(missed))
    error = np.full(len(missed), np.inf)
    for _ in range(_STEPS):
        risk = expit(level[:, None] + slope[:, None] * centred)
        weight, residual = appointments * risk * (1 - risk), missed - appointments * risk
        a, b, c = ((weight * centred**power).sum(axis=-1) + _RIDGE * (power != 1) for power in (0, 1, 2))
        first, second = residual.sum(axis=-1), (residual * centred).sum(axis=-1)
        determinant = np.maximum(a * c - b * b, _RIDGE**2)
        steps = np.array([c * first - b * second, a * second - b * first]) / determinant
        level, slope = np.array([level, slope]) + steps / np.maximum(1.0, np.abs(steps).max(axis=0) / _LONGEST_STEP)
        slope = np.clip(slope, 0, _STEEPEST)
        error = np.sqrt(a / determinant)
        if np.abs(steps).max(initial=0.0) < _SETTLED:
            break
    return level - slope * middle, slope, error

"""The figures of a group, in fairlearn's vocabulary, read from counts.

fairlearn works on four weighted cells a group (missed or not, selected or not) instead of on rows:
the same numbers to the last digit in milliseconds. Where there is nothing to take a share of,
fairlearn answers 0; here the figure is *not estimable* (None), since nobody is not the same as none.
"""

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
from fairlearn.metrics import (
    MetricFrame,
    false_negative_rate,
    false_positive_rate,
    selection_rate,
    true_positive_rate,
)
from numpy.typing import NDArray
from scipy.special import expit, log_expit
from sklearn.metrics import precision_score

from dnapredict.fairness.measure.counts import BINS, SUMS, Counted, GroupCounts
from dnapredict.fairness.measure.intervals import Rate, RateDifference, Ratio

_LOWEST = 1e-6  # risks are kept this far from 0 and 1
_STEPS = 50
_ILL_CONDITIONED = 1e12
_STEEPEST = 50.0  # log-odds for one standard deviation of the risk: beyond it outcomes are separated but for one
_FEWEST_FOR_A_LINE = 50  # missed and attended, below which a fitted line says nothing
KNOWS_THE_OUTCOME = (
    "The scores tell everyone who missed from everyone who came. No forecast does that: "
    "check that they were made before the appointments and without their outcomes."
)

# Numerator and denominator of each rate, as sums: {name: (plus, minus)}.
_APPOINTMENTS, _MISSED, _SELECTED, _REACHED = ("appointments", "missed", "selected", "reached")
RATES: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "base_rate": ((_MISSED,), (), (_APPOINTMENTS,), ()),
    "selection_rate": ((_SELECTED,), (), (_APPOINTMENTS,), ()),
    "reach": ((_REACHED,), (), (_MISSED,), ()),
    "missed_support": ((_MISSED,), (_REACHED,), (_MISSED,), ()),
    "unneeded_calls": ((_SELECTED,), (_REACHED,), (_APPOINTMENTS,), (_MISSED,)),
    "precision": ((_REACHED,), (), (_SELECTED,), ()),
    "trust_side": (("trust_side",), (), (_MISSED,), ()),
    "live_reach": (("live_reached",), (), (_MISSED,), ()),
    "ethnicity_unknown": (("unrecorded",), (), (_APPOINTMENTS,), ()),
}
FAIRLEARN = {
    "selection_rate": selection_rate,
    "reach": true_positive_rate,
    "missed_support": false_negative_rate,
    "unneeded_calls": false_positive_rate,
    "precision": partial(precision_score, zero_division=0.0),
}


def _combination(plus: Sequence[str], minus: Sequence[str]) -> NDArray[np.float64]:
    found = np.zeros(len(SUMS))
    found[[SUMS.index(name) for name in plus]] = 1.0
    found[[SUMS.index(name) for name in minus]] = -1.0
    return found


_PARTS = {
    name: (_combination(plus, minus), _combination(below, without))
    for name, (plus, minus, below, without) in RATES.items()
}


def rate(counts: GroupCounts, name: str) -> Rate:
    """One of `RATES` with its design effect: how much less its n tells than so many independent people.

    The design effect is the patient-clustered variance over the binomial one. At a rate of 0 or 1,
    where both are 0, Kish's bound for people who always act alike takes its place. Never below 1.
    """
    above, below = _PARTS[name]
    numerator, denominator = float(above @ counts.totals), float(below @ counts.totals)
    if denominator <= 0:
        return Rate(numerator, denominator)
    share = numerator / denominator
    if 0 < share < 1:
        effect = counts.spread(above, below) * denominator / (share * (1 - share))
    else:
        effect = float(below @ counts.second @ below) / denominator
    return Rate(numerator, denominator, max(1.0, effect))


def by_fairlearn(counted: Counted) -> dict[str, tuple[float | None, ...]]:
    """Selection rate, reach, missed support, unneeded calls and precision of each group, by fairlearn.

    None where the group has nothing to take a share of.
    """
    cells = pd.concat([_cells(place, counts) for place, counts in enumerate(counted.counts)])
    cells = cells[cells["n"] > 0]
    frame = MetricFrame(
        metrics=FAIRLEARN,
        y_true=cells["missed"],
        y_pred=cells["selected"],
        sensitive_features=cells["group"],
        sample_params={name: {"sample_weight": cells["n"]} for name in FAIRLEARN},
    ).by_group
    return {name: tuple(_estimable(frame, name, place, counts) for place, counts in enumerate(counted.counts))
            for name in FAIRLEARN}  # fmt: skip


def _cells(place: int, counts: GroupCounts) -> pd.DataFrame:
    total = {name: counts.total(name) for name in SUMS}
    reached, selected, missed = total["reached"], total["selected"], total["missed"]
    attended_uncalled = total["appointments"] - missed - selected + reached
    return pd.DataFrame(
        {
            "group": place,
            "missed": [1, 1, 0, 0],
            "selected": [1, 0, 1, 0],
            "n": [reached, missed - reached, selected - reached, attended_uncalled],
        }
    )


def _estimable(frame: pd.DataFrame, name: str, place: int, counts: GroupCounts) -> float | None:
    return float(frame[name].loc[place]) if rate(counts, name).denominator > 0 else None


def observed_over_expected(counts: GroupCounts) -> Ratio:
    """Missed appointments over the sum of their predicted risks: 1 where a risk means what it says.

    Above 1 the model under-states the group's risk. Error clustered by patient.
    """
    above, below = _combination(["missed"], []), _combination(["expected"], [])
    numerator, denominator = counts.total("missed"), counts.total("expected")
    if numerator <= 0 or denominator <= 0:
        return Ratio(numerator, denominator, float("inf"))
    error = float(np.sqrt(counts.spread(above, below))) / (numerator / denominator)
    return Ratio(numerator, denominator, error)


def calibration_line(counts: GroupCounts) -> tuple[RateDifference, RateDifference] | None:
    """Slope and intercept of the logistic calibration line, each with its standard error.

    Slope 1 and intercept 0: risks are as spread and as high as they should be. A slope below 1 means that
    high risks are too high and low ones too low (Cox 1958; Van Calster et al. 2019). Fitted by Newton's
    method on the score histogram, at the mean risk of each bin; errors are widened by the design effect.

    None where no line can be estimated: nobody missed, nobody came, all risks are alike, or the risks
    separate the outcomes (see `separated`). Under separation the likelihood has no maximum (Albert and
    Anderson 1984, Biometrika 71:1). Firth's penalty would give a finite slope, but one set by the penalty
    and the number of appointments, not by the calibration of the risks, so none is reported.
    """
    n, missed, odds = _binned(counts)
    spread = float(np.std(odds)) if len(odds) else 0.0
    if missed.sum() in (0, n.sum()) or spread < _LOWEST or separated(counts):
        return None
    centre = float(np.average(odds, weights=n))
    fit = _logistic((odds - centre) / spread, missed, n)
    if fit is None:
        return None
    (level, slope), covariance = fit
    back = np.array([[1.0, -centre / spread], [0.0, 1.0 / spread]])  # to the scale of the log-odds
    intercept, slope = back @ np.array([level, slope])
    effect = rate(counts, "base_rate").design_effect
    errors = np.sqrt(np.diag(back @ covariance @ back.T) * effect)
    return RateDifference(float(slope), float(errors[1])), RateDifference(float(intercept), float(errors[0]))


def separated(counts: GroupCounts) -> bool:
    """Whether a threshold of the risk tells all who missed from all who came, either way round.

    Real forecasts overlap. Scores that do not, on more than a handful of appointments, were most likely
    made with knowledge of the outcome. False where only one outcome occurred.
    """
    n, missed, odds = _binned(counts)
    came, absent = odds[n > missed], odds[missed > 0]
    if len(came) == 0 or len(absent) == 0 or np.ptp(odds) < _LOWEST:
        return False
    return bool(came.max() <= absent.min() or absent.max() <= came.min())


def knows_the_outcome(counts: GroupCounts) -> bool:
    """Whether the risks separate the outcomes of so many appointments that it cannot be a forecast."""
    return enough_for_a_line(counts) and separated(counts)


def enough_for_a_line(counts: GroupCounts) -> bool:
    """Whether as many missed and as many came as a fitted line needs."""
    return min(counts.missed, counts.appointments - counts.missed) >= _FEWEST_FOR_A_LINE


def _binned(
    counts: GroupCounts,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Appointments, missed ones and log-odds of the mean risk of each bin that is not empty."""
    rows = counts.histogram.sum(axis=0)
    filled = rows > 0
    n = rows[filled]
    risk = np.clip(counts.expected.sum(axis=0)[filled] / n, _LOWEST, 1 - _LOWEST)
    return n, counts.histogram[1][filled], np.log(risk / (1 - risk))


def _logistic(
    unit: NDArray[np.float64], missed: NDArray[np.float64], n: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Intercept and slope on a standardised scale, with their covariance; None without a stable maximum.

    Newton steps are halved until the likelihood rises, so that none leaves the hill.
    """
    x = np.column_stack([np.ones(len(n)), unit])
    beta = np.array([np.log(missed.sum() / (n.sum() - missed.sum())), 0.0])
    for _ in range(_STEPS):
        fitted = expit(x @ beta)
        information = (x * (n * fitted * (1 - fitted))[:, None]).T @ x
        if np.linalg.cond(information) > _ILL_CONDITIONED:
            return None
        step = np.linalg.solve(information, x.T @ (missed - n * fitted))
        while _likelihood(x @ (beta + step), missed, n) < _likelihood(x @ beta, missed, n):
            if np.abs(step).max() < _LOWEST:
                break
            step = step / 2
        beta = beta + step
        if np.abs(beta).max() > _STEEPEST:
            return None
        if np.abs(step).max() < _LOWEST:
            return beta, np.linalg.inv(information)
    return None


def _likelihood(odds: NDArray[np.float64], missed: NDArray[np.float64], n: NDArray[np.float64]) -> float:
    return float((missed * log_expit(odds) + (n - missed) * log_expit(-odds)).sum())


def allocation_index(group: GroupCounts, rest: GroupCounts) -> Ratio:
    """The group's share of calls over its share of all who missed: below 1, fewer than its share."""
    everyone = group + rest
    selected, missed = everyone.total("selected"), everyone.total("missed")
    above, below = group.total("selected"), group.total("missed")
    if min(above, below, selected, missed) <= 0:
        return Ratio(above, below, float("inf"))
    calls, need = _combination(["selected"], []), _combination(["missed"], [])
    outside = need / missed - calls / selected
    inside = outside + calls / above - need / below
    variance = inside @ group.second @ inside + outside @ rest.second @ outside
    # The two parts cancel where a group has (nearly) all calls and all need; rounding may leave -1e-18.
    return Ratio(above / selected * missed, below, math.sqrt(max(0.0, float(variance))))


def fall_in_reach(counts: GroupCounts) -> RateDifference:
    """How much lower the reach is than under the model in use, on the same missed appointments."""
    missed = _combination(["missed"], [])
    lost = _combination(["live_reached"], ["reached"])
    value = float(lost @ counts.totals) / counts.total("missed")
    return RateDifference(value, float(np.sqrt(counts.spread(lost, missed))))


def reach_at_share(counts: GroupCounts, share: float) -> float:
    """How many who missed are among the `share` of the group's own appointments with the highest risk."""
    attended, missed = counts.histogram[0][::-1], counts.histogram[1][::-1]
    calls = share * counts.appointments
    before = np.cumsum(attended + missed) - (attended + missed)
    taken = np.clip(calls - before, 0.0, attended + missed)
    within = np.divide(taken, attended + missed, out=np.zeros(BINS), where=attended + missed > 0)
    return float(within @ missed)


def own_top_reach(counts: GroupCounts, share: float) -> Rate:
    """Reach if the group had a list of its own, as long for its size as the whole list is.

    Lower than elsewhere: the model tells this group's members apart less well.
    """
    effect = rate(counts, "reach").design_effect
    return Rate(reach_at_share(counts, share), counts.total("missed"), effect)


def ranking_quality(counts: GroupCounts) -> float | None:
    """AUROC within the group, from the score histogram (ties within a thousandth count half)."""
    attended, missed = counts.histogram
    if attended.sum() == 0 or missed.sum() == 0:
        return None
    below = np.cumsum(attended) - attended
    return float((missed * (below + attended / 2)).sum() / (attended.sum() * missed.sum()))

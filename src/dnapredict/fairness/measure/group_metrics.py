"""Metrics of a group from its counts, checked against fairlearn.

fairlearn gets four weighted cells for each group (missed or not, selected or not) instead of rows: the same numbers
to the last digit. Where the denominator is 0, fairlearn returns 0; here the metric is not estimable
(None).
"""

import functools
import math
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from dnapredict.fairness.measure.counts import BINS, SUMS, GroupCounts
from dnapredict.fairness.measure.intervals import Rate, RateDifference, Ratio
from dnapredict.model.evaluate.logistic import calibration_line, log_odds
from dnapredict.model.evaluate.risk_metrics import TieGroups, discrimination

_LOWEST = 1e-6  # log odds nearer to each other than this are one risk
_LARGEST_SHIFT, _SAME_SHIFT, _STEPS = 12.0, 1e-12, 60
_FEWEST_FOR_A_LINE = 50  # missed and attended, below which a calibration line is not fitted
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
_MISSED_CELLS, _SELECTED_CELLS = np.array([1, 1, 0, 0]), np.array([1, 0, 1, 0])


@functools.cache
def _combination(plus: tuple[str, ...], minus: tuple[str, ...] = ()) -> NDArray[np.float64]:
    weights = np.zeros(len(SUMS))
    weights[[SUMS.index(name) for name in plus]] = 1.0
    weights[[SUMS.index(name) for name in minus]] = -1.0
    weights.flags.writeable = False  # it is kept
    return weights


_PARTS = {
    name: (_combination(plus, minus), _combination(below, without))
    for name, (plus, minus, below, without) in RATES.items()
}


def rate(counts: GroupCounts, name: str) -> Rate:
    """One of `RATES` with its design effect.

    The design effect is the patient-clustered variance over the binomial variance, at least 1. At a rate of 0 or 1,
    where both are 0, it is Kish's bound for perfectly correlated appointments of a patient.
    """
    above, below = _PARTS[name]
    numerator, denominator = float(above @ counts.totals), float(below @ counts.totals)
    if denominator <= 0:
        return Rate(numerator, denominator)
    share = numerator / denominator
    if 0 < share < 1:
        effect = counts.ratio_variance(above, below) * denominator / (share * (1 - share))
    else:
        effect = float(below @ counts.second @ below) / denominator
    return Rate(numerator, denominator, max(1.0, effect))


@functools.cache
def fairlearn_metrics() -> Mapping[str, Callable[..., float]]:
    """The rates of fairlearn by the names of `RATES`.

    With the number of missed appointments, all other rates follow from these: missed support is 1 minus reach. Metrics
    of scikit-learn take a millisecond for each group, so that fairlearn is asked for no rate that follows from others.
    """
    from fairlearn.metrics import false_positive_rate, selection_rate, true_positive_rate

    return {"selection_rate": selection_rate, "reach": true_positive_rate, "unneeded_calls": false_positive_rate}


def by_fairlearn(counts: GroupCounts) -> dict[str, float | None]:
    """Selection rate, reach and unneeded calls of a group, by fairlearn; None where the denominator is 0."""
    total = {name: counts.total(name) for name in SUMS}
    reached, selected, missed = total["reached"], total["selected"], total["missed"]
    attended_uncalled = total["appointments"] - missed - selected + reached
    numbers = np.array([reached, missed - reached, selected - reached, attended_uncalled])
    filled = numbers > 0
    return {
        name: float(metric(_MISSED_CELLS[filled], _SELECTED_CELLS[filled], sample_weight=numbers[filled]))
        if rate(counts, name).denominator > 0
        else None
        for name, metric in fairlearn_metrics().items()
    }


def observed_over_expected(counts: GroupCounts) -> Ratio:
    """Missed appointments over the sum of predicted risks: 1 is right, above 1 the model understates the risk.

    The error is clustered by patient.
    """
    above, below = _combination((_MISSED,)), _combination(("expected",))
    numerator, denominator = counts.total("missed"), counts.total("expected")
    if numerator <= 0 or denominator <= 0:
        return Ratio(numerator, denominator, float("inf"))
    error = float(np.sqrt(counts.ratio_variance(above, below))) / (numerator / denominator)
    return Ratio(numerator, denominator, error)


def group_calibration_line(counts: GroupCounts) -> tuple[RateDifference, RateDifference] | None:
    """Slope and intercept of the calibration line (see `calibration_line`), each with its standard error.

    Slope 1 and intercept 0 are right. Fitted on the score histogram, at the mean risk of each bin; errors are
    widened by the design effect.

    None where no line can be estimated: nobody missed, nobody came, all risks are alike, or the risks
    separate the outcomes (see `separated`). Under separation the likelihood has no maximum (Albert and
    Anderson 1984, Biometrika 71:1). Firth's penalty would give a finite slope, but one set by the penalty
    and the number of appointments, not by the calibration of the risks, so none is reported.
    """
    n, missed, odds = _binned(counts)
    if not len(odds) or np.std(odds) < _LOWEST or separated(counts):
        return None
    line = calibration_line(missed, odds, trials=n)
    if line is None:
        return None
    widening = math.sqrt(rate(counts, "base_rate").design_effect)
    return (
        RateDifference(line.slope, line.slope_error * widening),
        RateDifference(line.intercept, line.intercept_error * widening),
    )


def separated(counts: GroupCounts) -> bool:
    """Whether a threshold of the risk separates all missed from all attended appointments, in either direction.

    Risks of real forecasts overlap. Scores that do not, on more than a few appointments, were most likely made with
    knowledge of the outcome. False where only one outcome occurred.
    """
    n, missed, odds = _binned(counts)
    came, absent = odds[n > missed], odds[missed > 0]
    if len(came) == 0 or len(absent) == 0 or np.ptp(odds) < _LOWEST:
        return False
    return bool(came.max() <= absent.min() or absent.max() <= came.min())


def knows_the_outcome(counts: GroupCounts) -> bool:
    """Whether the risks separate the outcomes of too many appointments to be a forecast."""
    return enough_for_calibration_line(counts) and separated(counts)


def enough_for_calibration_line(counts: GroupCounts) -> bool:
    """Whether enough were missed and enough attended to fit a calibration line."""
    return min(counts.missed, counts.appointments - counts.missed) >= _FEWEST_FOR_A_LINE


def _binned(
    counts: GroupCounts,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Appointments, missed appointments and log odds of the mean risk of each non-empty bin."""
    rows = counts.histogram.sum(axis=0)
    filled = rows > 0
    n = rows[filled]
    return n, counts.histogram[1][filled], log_odds(counts.expected.sum(axis=0)[filled] / n)


def allocation_index(group: GroupCounts, rest: GroupCounts) -> Ratio:
    """The group's share of calls over its share of missed appointments: below 1, fewer than its share."""
    everyone = group + rest
    selected, missed = everyone.total("selected"), everyone.total("missed")
    above, below = group.total("selected"), group.total("missed")
    if min(above, below, selected, missed) <= 0:
        return Ratio(above, below, float("inf"))
    calls, need = _combination((_SELECTED,)), _combination((_MISSED,))
    outside = need / missed - calls / selected
    inside = outside + calls / above - need / below
    variance = inside @ group.second @ inside + outside @ rest.second @ outside
    # The two parts cancel where a group has (nearly) all calls and all need; rounding may leave -1e-18.
    return Ratio(above / selected * missed, below, math.sqrt(max(0.0, float(variance))))


def fall_in_reach(counts: GroupCounts) -> RateDifference:
    """Reach under the model in use minus reach under the audited model, on the same missed appointments."""
    missed = _combination((_MISSED,))
    lost = _combination(("live_reached",), (_REACHED,))
    value = float(lost @ counts.totals) / counts.total("missed")
    return RateDifference(value, float(np.sqrt(counts.ratio_variance(lost, missed))))


def reach_at_share(counts: GroupCounts, share: float, *, base_rate: float | None = None) -> float:
    """Share of the missed appointments among the `share` of the group's own appointments with the highest risk.

    With `base_rate`, of a group in which the odds of missing are multiplied so that this share is missed.
    """
    attended, missed = counts.histogram[0][::-1], counts.histogram[1][::-1]
    if base_rate is not None:
        attended, missed = _as_often_missed(attended, missed, base_rate)
    rows = attended + missed
    before = np.cumsum(rows) - rows
    called = np.clip(share * rows.sum() - before, 0.0, rows)
    within = np.divide(called, rows, out=np.zeros(BINS), where=rows > 0)
    # Where all are called, sums of parts can exceed the sum by a rounding error, and a rate above 1 has no interval.
    return min(1.0, float(within @ missed / missed.sum()))


def _as_often_missed(
    attended: NDArray[np.float64], missed: NDArray[np.float64], base_rate: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The same appointments by risk, with the odds of missing multiplied so that `base_rate` of them are missed."""
    filled = attended + missed > 0
    came, absent = attended[filled], missed[filled]
    rows = came + absent
    wanted, shift, low, high = base_rate * rows.sum(), 0.0, -_LARGEST_SHIFT, _LARGEST_SHIFT
    for _ in range(_STEPS):
        expected = rows * absent * math.exp(shift) / (came + absent * math.exp(shift))
        beyond = float(expected.sum()) - wanted
        low, high = (low, shift) if beyond > 0 else (shift, high)
        step = beyond / max(float((expected * (1 - expected / rows)).sum()), _LOWEST)
        # Newton's step, and half of what is left where that leads outside.
        further = shift - step if low < shift - step < high else (low + high) / 2
        if abs(further - shift) < _SAME_SHIFT:
            break
        shift = further
    shifted = np.zeros(BINS)
    shifted[filled] = expected
    return attended + missed - shifted, shifted


def own_top_reach(counts: GroupCounts, share: float, *, base_rate: float | None = None) -> Rate:
    """Reach of a separate list of the group that selects the same share as the whole list.

    Lower than elsewhere: the model ranks this group less well. `base_rate` as in `reach_at_share`.
    """
    number = counts.total("missed")
    if number <= 0:
        return Rate(0.0, 0.0)
    effect = rate(counts, "reach").design_effect
    return Rate(number * reach_at_share(counts, share, base_rate=base_rate), number, effect)


def ranking_quality(counts: GroupCounts) -> float | None:
    """AUROC within the group, from the score histogram (ties within a thousandth count half)."""
    attended, missed = counts.histogram[:, ::-1]  # from the highest risk down
    if attended.sum() == 0 or missed.sum() == 0:
        return None
    rows = attended + missed
    bins = TieGroups(before=np.cumsum(rows) - rows, rows=np.cumsum(rows), missed=np.cumsum(missed))
    return float(discrimination(bins, float(rows.sum())).auroc)

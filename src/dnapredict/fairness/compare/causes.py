"""Why a group is reached less: a cause is named only where the counts show it.

*Lower need* is a finding, not a default. It is reported where the group misses less often beyond chance, and where its
risks are shown to mean what everyone else's mean: slope and observed over expected, of the called and of the others,
are equivalent to everyone else's (two one-sided tests, Schuirmann 1987), need is at least a third of the gap, and the
rest of the gap is not significantly above the limit. Where nothing is shown, the cause is not known, and the verdict
stands.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from dnapredict.config.fairness_policy import CauseLimit
from dnapredict.fairness.compare.gap_parts import GapPoints, points_of
from dnapredict.fairness.compare.risk_bins import RiskBins, fit_line, fit_shift, risk_bins
from dnapredict.fairness.measure.counts import GroupCounts
from dnapredict.fairness.measure.group_metrics import rate
from dnapredict.fairness.measure.intervals import Interval, RateDifference, Ratio, gap, z_of
from dnapredict.fairness.verdicts import Cause

Floats = NDArray[np.float64]

_ONE_SIDED: Final = z_of(0.90)  # two one-sided tests at 5% are a 90% range inside the limits
_CLEAR: Final = z_of(0.95)
_VERY_CLEAR: Final = z_of(0.99)  # among as many groups as are compared, 95% would be crossed by chance
# Twice the log likelihood by which a constant share of wrong records must fit better than a shift of the risks.
_FITS_BETTER: Final = 3.0
_SHARES: Final = np.concatenate([[0.0], np.geomspace(0.001, 0.5, 120)])
_NEARLY_ALL: Final = 0.75  # share of the gap that need must be where too few are missed to show calibration
_LEADS: Final = 1 / 3  # a cause must explain this share of the gap to be named


@dataclass(frozen=True)
class CauseEvidence:
    """What the counts show of why a group is reached less than everyone else.

    Attributes
    ----------
    risk, risk_called, risk_others
        Observed over expected, relative to everyone else's outcomes at the same risk: of all, of those on the list
        and of those not on it.
    slope
        How much more (above 1) spread out outcomes are than risks, relative to everyone else.
    less_often
        How much less often the group misses, as a share of its appointments.
    recorded
        How much more of its missed appointments have a reason on the trust's side, where that is known.
    wrong_records
        Twice the log likelihood by which a constant share of wrongly recorded attendances fits better than risks that
        are too low.
    points
        The gap in points by cause.
    """

    risk: Ratio
    risk_called: Ratio
    risk_others: Ratio
    slope: RateDifference
    less_often: Interval | None
    recorded: Interval | None
    wrong_records: float
    points: GapPoints


def cause_evidence(group: GroupCounts, rest: GroupCounts) -> CauseEvidence | None:
    """What the counts show; None where group or rest has nobody missed or called, or one risk alone."""
    inside, outside = risk_bins(group, rest, resamples=200)
    points = points_of(inside, outside)
    if points is None:
        return None
    base, steepness, _ = fit_line(outside.odds, outside.appointments[:1], outside.missed[:1])
    margin = base[0] + steepness[0] * inside.odds
    effect = rate(group, "base_rate").design_effect
    _, slope, error = fit_line(margin, inside.appointments[:1], inside.missed[:1])
    everyone, called = inside.cells[0].sum(axis=0), inside.cells[0, 1]
    return CauseEvidence(
        risk=_ratio(everyone, margin, effect),
        risk_called=_ratio(called, margin, effect),
        risk_others=_ratio(everyone - called, margin, effect),
        slope=RateDifference(float(slope[0]), float(error[0] * np.sqrt(effect))),
        less_often=gap(rate(rest, "base_rate"), rate(group, "base_rate"), z=_CLEAR),
        recorded=gap(rate(group, "trust_side"), rate(rest, "trust_side"), z=_CLEAR),
        wrong_records=_wrong_records(inside, margin) / effect,
        points=points,
    )


def _ratio(cells: Floats, margin: Floats, effect: float) -> Ratio:
    """Missed over expected in (2, k) cells by attended/missed, with the error of its logarithm."""
    rows, missed, risk = cells.sum(axis=0), float(cells[1].sum()), expit(margin)
    expected = float((rows * risk).sum())
    variance = effect * float((rows * risk * (1 - risk)).sum())
    return Ratio(missed, expected, np.sqrt(variance) / missed if missed else float("inf"))


def _wrong_records(inside: RiskBins, margin: Floats) -> float:
    """Twice the gain in log likelihood of a constant share of wrong records over risks that are off.

    These are shifted, or shifted and stretched; the second has one parameter more, and pays for it (Akaike 1974).
    """
    rows, missed = inside.appointments[0], inside.missed[0]
    shift = fit_shift(margin, inside.appointments[:1], inside.missed[:1])[0]
    intercept, slope, _ = fit_line(margin, inside.appointments[:1], inside.missed[:1])
    shifted = _likelihood(expit(margin + shift), rows, missed)
    stretched = _likelihood(expit(intercept[0] + slope[0] * margin), rows, missed) - 1
    risk = expit(margin)
    with_wrong = risk + _SHARES[:, None] * (1 - risk)
    return 2 * float(_likelihood(with_wrong, rows, missed).max() - max(shifted, stretched))


def _likelihood(risk: Floats, rows: Floats, missed: Floats) -> Floats:
    safe = np.clip(risk, 1e-9, 1 - 1e-9)
    return np.asarray((missed * np.log(safe) + (rows - missed) * np.log1p(-safe)).sum(axis=-1))


def is_lower_need(evidence: CauseEvidence, limits: CauseLimit, *, tolerance: float) -> bool:
    """Whether lower need is shown: the group misses less often, and its risks mean what others' do.

    Need must also be at least a third of the gap, and the rest of the gap not significantly above the limit.
    """
    less = evidence.less_often is not None and evidence.less_often.low > 0
    return less and means_the_same(evidence, limits) and _leads(evidence) and not leaves_too_much(evidence, tolerance)


def _leads(evidence: CauseEvidence) -> bool:
    """Whether the part of the gap due to need is significantly above 0 and at least a third of the gap."""
    need = points_range(evidence.points.need, z=_ONE_SIDED)
    return need.low > 0 and need.value >= _LEADS * float(evidence.points.gap[0])


def means_the_same(evidence: CauseEvidence, limits: CauseLimit) -> bool:
    """Whether the risks are shown to be calibrated as everyone else's: level (all, called, uncalled) and slope."""
    ratios = (
        (evidence.risk, limits.risk),
        (evidence.risk_called, limits.risk_by_call),
        (evidence.risk_others, limits.risk_by_call),
    )
    alike = all(_equivalent(ratio.interval(_ONE_SIDED), limit) for ratio, limit in ratios)
    return alike and _equivalent(evidence.slope.interval(_ONE_SIDED), limits.slope)


def leaves_too_much(evidence: CauseEvidence, tolerance: float) -> bool:
    """Whether the part of the gap that need does not explain is significantly above the limit."""
    return points_range(evidence.points.beyond_need, z=_ONE_SIDED).low > tolerance


def leaves_less(evidence: CauseEvidence, limits: CauseLimit, *, tolerance: float) -> bool:
    """Whether the part of the gap that need does not explain is shown to be below the limit (non-inferiority at 5%).

    Used for a gap without an established cause. The group's risks must be calibrated as everyone else's are, since the
    part due to need is estimated from them.
    """
    left = points_range(evidence.points.beyond_need, z=_ONE_SIDED)
    return means_the_same(evidence, limits) and left.high < tolerance


def may_be_lower_need(evidence: CauseEvidence, *, tolerance: float) -> bool:
    """Whether lower need is likely, in a group with too few missed appointments to show that its risks are calibrated.

    The group misses significantly less often, need is at least three quarters of the gap, the rest is not significantly
    above the limit, and neither the level nor the slope of the risks differs significantly in the harmful direction.
    A FAIL is then a REVIEW, and the cause stays unknown.
    """
    need, risk = points_range(evidence.points.need, z=_VERY_CLEAR), evidence.risk.interval(_CLEAR)
    slope = evidence.slope.interval(_ONE_SIDED)
    less = evidence.less_often is not None and evidence.less_often.low > 0
    nearly_all = need.low > 0 and need.value >= _NEARLY_ALL * float(evidence.points.gap[0])
    nothing_against = risk is not None and risk.low <= 1 and slope.low <= 1
    return less and nearly_all and nothing_against and not leaves_too_much(evidence, tolerance)


def explains_all(evidence: CauseEvidence, *, tolerance: float) -> bool:
    """Whether need leaves nothing of the gap that would be a matter of the list (`leaves_nothing`)."""
    beyond = evidence.points.beyond_need
    return leaves_nothing(RateDifference(float(beyond[0]), float(np.std(beyond[1:]))), tolerance=tolerance)


def leaves_nothing(remainder: RateDifference, *, tolerance: float) -> bool:
    """Whether what is left of a gap is below the limit: shown to be, or below it and not behind beyond chance."""
    below = remainder.value < tolerance and remainder.interval(_VERY_CLEAR).low <= 0
    return below or remainder.interval(_ONE_SIDED).high < tolerance


def _equivalent(interval: Interval | None, limit: float) -> bool:
    """Whether a range around a ratio is inside 1/limit to limit."""
    return interval is not None and 1 / limit < interval.low and interval.high < limit


def points_range(points: Floats, *, z: float) -> Interval:
    """Estimate and range of points of a gap, by the standard deviation of the resamples."""
    value = float(points[0])
    half = z * float(np.std(points[1:]))
    return Interval(value, value - half, value + half)


def cause_of(evidence: CauseEvidence | None, limits: CauseLimit, *, tolerance: float) -> Cause:
    """The cause of a gap in reach that has most points and is shown; `Cause.UNKNOWN` where none is.

    Need is named only where `is_lower_need` holds; no other cause is named without points beyond chance and the
    evidence of its own kind.
    """
    if evidence is None:
        return Cause.UNKNOWN
    if is_badly_recorded(evidence, limits):
        return Cause.LABEL
    if is_lower_need(evidence, limits, tolerance=tolerance):
        return Cause.LOWER_NEED
    shown = shown_causes(evidence)
    return max(shown, key=shown.__getitem__) if shown else Cause.UNKNOWN


def is_badly_recorded(evidence: CauseEvidence, limits: CauseLimit) -> bool:
    """Whether the records of missed appointments explain what is seen.

    Either more of them have a reason on the trust's side, or more miss than the risks say, and by the same share at
    every risk: a shift of the risks would show most where they are middling.
    """
    flagged = evidence.recorded is not None and evidence.recorded.low > limits.recorded
    more = _above_one(evidence.risk)
    return flagged or (more and evidence.wrong_records > _FITS_BETTER and evidence.slope.value < 1)


def shown_causes(evidence: CauseEvidence) -> dict[Cause, float]:
    """Points of each cause but need and records that is shown beyond chance and explains a good part of the gap."""
    points = evidence.points
    clear = {
        Cause.WEAKER_INFORMATION: points.information,
        Cause.SQUEEZED_RISKS: points.slope if evidence.slope.interval(_VERY_CLEAR).low > 1 else None,
        Cause.UNDER_SCORED: points.level if _above_one(evidence.risk) else None,
        Cause.CAPACITY: points.capacity,
    }
    found = {cause: (part, points_range(part, z=_VERY_CLEAR)) for cause, part in clear.items() if part is not None}
    least = _LEADS * float(points.gap[0])
    return {cause: one.value for cause, (_, one) in found.items() if one.low > 0 and one.value > least}


def _above_one(ratio: Ratio) -> bool:
    interval = ratio.interval(_VERY_CLEAR)
    return interval is not None and interval.low > 1

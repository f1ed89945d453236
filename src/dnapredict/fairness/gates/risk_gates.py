"""Gates about the risks themselves: G2 does a risk mean the same in every group, G8 is the level of all risks right."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

from dnapredict.fairness.compare.causes import is_badly_recorded
from dnapredict.fairness.compare.comparisons import Evidence, GroupComparison, published_risk
from dnapredict.fairness.compare.multiple_testing import adjust_within_families
from dnapredict.fairness.gates.group_verdicts import as_tested, summary, sure_to_pass
from dnapredict.fairness.measure.group_metrics import (
    KNOWS_THE_OUTCOME,
    enough_for_calibration_line,
    group_calibration_line,
    knows_the_outcome,
    observed_over_expected,
    ranking_quality,
    rate,
)
from dnapredict.fairness.measure.intervals import Interval, Ratio
from dnapredict.fairness.measure.membership import Group
from dnapredict.fairness.verdicts import Cause, Check, Gate, Verdict, combine_checks

_NORMAL: Final = NormalDist()
_EVERYONE: Final = Group("all", "Everyone")
_SAME_RISK: Final = "Does a risk mean the same in every group?"
_LEVEL: Final = "Are the risks right, taken together?"
_MEASURE: Final = "observed over expected, against most people"
# Weight of "risks are right" among the groups' weights of missed appointments when most people's level is sought.
_RIGHT: Final = 0.25


@dataclass(frozen=True)
class RelativeRisk:
    """A group's observed over expected relative to that of most people, as log, with its standard error."""

    log: float
    error: float
    most: float

    def beyond(self, low: float, high: float) -> float:
        """Two-sided p-value for "outside `low` to `high`"."""
        above = _NORMAL.cdf((math.log(high) - self.log) / self.error)
        below = _NORMAL.cdf((self.log - math.log(low)) / self.error)
        return min(1.0, 2 * min(above, below))

    def interval(self, z: float) -> Interval:
        """Range of the ratio."""
        return Interval(*(math.exp(self.log + width * self.error) for width in (0, -z, z)))


def most_peoples_level(ratios: Sequence[Ratio]) -> Ratio:
    """Observed over expected of most people: the median of groups, weighted by missed appointments.

    The mean will not do: one group whose risks are half of what they should be moves it, so that all others look as if
    their risks were too high. "Right" counts as a group with a quarter of the weight.

    >>> level = most_peoples_level([Ratio(100, 100, 0.1), Ratio(90, 45, 0.1)])
    >>> level.numerator / level.denominator
    1.0
    """
    known = [ratio for ratio in ratios if ratio.numerator > 0 and ratio.denominator > 0]
    weights = [(ratio.numerator / ratio.denominator, ratio.numerator, ratio) for ratio in known]
    right = Ratio(1.0, 1.0, 0.0)
    weights.append((1.0, _RIGHT * sum(ratio.numerator for ratio in known), right))
    weights.sort(key=lambda one: one[0])
    half, passed = sum(weight for _, weight, _ in weights) / 2, 0.0
    for _, weight, ratio in weights:
        passed += weight
        if passed >= half:
            return ratio
    return right


def calibration_gate(evidence: Evidence) -> Gate:
    """G2: do as many miss as the model expects, in every group as among most people?"""
    checks = _meant_alike(evidence.compared, evidence)
    sentence = summary(
        checks,
        good="judged as others are: a risk means the same",
        bad="At the same risk clearly more or fewer miss",
    )
    return Gate("G2", "Meaning of a risk", _SAME_RISK, combine_checks(checks), sentence, checks)


def _meant_alike(compared: Sequence[GroupComparison], evidence: Evidence) -> tuple[Check, ...]:
    limits, smallest = evidence.policy.limits.calibration, evidence.policy.smallest_group
    levels = {name: most_peoples_level(ratios) for name, ratios in _by_grouping(compared).items()}
    measured = {
        at: relative
        for at, one in enumerate(compared)
        if one.counts.effective("missed") >= smallest and (relative := _relative(one, levels[one.grouping], evidence))
    }
    groupings = [compared[at].grouping for at in measured]
    outside = adjust_within_families([one.beyond(limits.low, limits.high) for one in measured.values()], groupings)
    off = adjust_within_families([one.beyond(1.0, 1.0) for one in measured.values()], groupings)
    # Each grouping is a family; a sign that a group is off must not be found in one of them by chance.
    off = tuple(min(1.0, len(set(groupings)) * p_value) for p_value in off)
    adjusted = dict(zip(measured, zip(outside, off, strict=True), strict=True))
    return tuple(
        _meant(one, measured[at], adjusted[at], evidence, number=len(measured)) if at in measured else _too_few(one)
        for at, one in enumerate(compared)
    )


def _by_grouping(compared: Sequence[GroupComparison]) -> dict[str, list[Ratio]]:
    """Observed over expected of the parts of each grouping; of one group alone, and of everyone else."""
    ratios: dict[str, list[Ratio]] = {}
    for one in compared:
        ratios.setdefault(one.grouping, []).append(observed_over_expected(one.counts))
    alone = {name for name, found in ratios.items() if len(found) == 1}
    for one in compared:
        if one.grouping in alone:
            ratios[one.grouping].append(observed_over_expected(one.rest))
    return ratios


def _relative(one: GroupComparison, level: Ratio, evidence: Evidence) -> RelativeRisk | None:
    """The group's observed over expected against most people; adjusted for other groups where pairs were counted."""
    effect = evidence.effect(one)
    if effect is not None and effect.missed > 0 and effect.expected > 0 and math.isfinite(effect.log_error):
        own, adjusted = observed_over_expected(one.counts), math.log(effect.missed / effect.expected)
        return RelativeRisk(adjusted, effect.log_error, own.numerator / own.denominator / math.exp(adjusted))
    own = observed_over_expected(one.counts)
    if own.numerator <= 0 or own.denominator <= 0 or not math.isfinite(own.log_error) or own.log_error <= 0:
        return None
    most = level.numerator / level.denominator
    value = own.numerator / own.denominator
    # A group that is itself most people has no distance from itself.
    error = own.log_error if level.numerator == own.numerator else math.hypot(own.log_error, level.log_error)
    return RelativeRisk(math.log(value / most), error, most)


def _meant(
    one: GroupComparison, relative: RelativeRisk, adjusted: tuple[float, float], evidence: Evidence, *, number: int
) -> Check:
    limits, level = evidence.policy.limits.calibration, 1 - evidence.policy.confidence
    range_, printed = relative.interval(evidence.z), _printed(one, relative, evidence)
    shown = printed or range_
    inside = limits.low <= min(range_.low, shown.low) and max(range_.high, shown.high) <= limits.high
    clear = shown.low > limits.high or shown.high < limits.low
    decidable = math.log(limits.high) > (evidence.z + sure_to_pass(number)) * relative.error
    cause = None
    if inside:
        verdict, meaning = Verdict.PASS, "a risk means what it means for most people."
    elif adjusted[0] < level and clear:
        verdict = Verdict.FAIL
        cause = _cause_of(one, relative, evidence)
        meaning = f"{_for_100(printed)}, {'more' if relative.log > 0 else 'fewer'} than among most people."
    elif adjusted[1] < level or decidable:
        verdict, meaning = Verdict.REVIEW, "a risk may mean something else than for most people; it could be chance."
    else:
        verdict, meaning = Verdict.NOT_ENOUGH_DATA, "not enough data to say whether a risk means the same."
    return Check(
        one.grouping,
        one.group,
        verdict,
        _MEASURE,
        f"{one.group.name}: {meaning}",
        printed,
        as_tested(adjusted[0], level) if printed else None,
        cause=cause,
        weight=one.weight,
    )


def _cause_of(one: GroupComparison, relative: RelativeRisk, evidence: Evidence) -> Cause:
    if relative.log < 0:
        return Cause.OVER_SCORED
    recorded = one.why is not None and is_badly_recorded(one.why, evidence.policy.limits.causes)
    return Cause.LABEL if recorded else Cause.UNDER_SCORED


def _printed(one: GroupComparison, relative: RelativeRisk, evidence: Evidence) -> Interval | None:
    """Missed over expected against most people, from rounded counts."""
    published = published_risk(one, evidence)
    if published is None:
        return None
    most = round(relative.most, 2)
    return Interval(*(value / most for value in (published.value, published.low, published.high))).rounded()


def _too_few(one: GroupComparison) -> Check:
    sentence = f"{one.group.name}: not enough data to say."
    return Check(one.grouping, one.group, Verdict.NOT_ENOUGH_DATA, _MEASURE, sentence, weight=one.weight)


def _for_100(printed: Interval | None) -> str:
    """Missed for every 100 that most people at the same risk would miss, in words."""
    if printed is None:
        return "a hidden number of appointments are missed for every 100 expected at these risks"
    return f"{100 * printed.value:.0f} appointments are missed for every 100 expected at these risks"


def level_gate(evidence: Evidence) -> Gate:
    """G8: the level, the spread and the skill of all risks, and whether they knew the outcomes.

    A risk that is too high for everyone alike does not change who is called; it is reported once, here.
    """
    checks = (*_level_and_slope(evidence), *_skill(evidence))
    verdict = combine_checks(checks)
    said = [check.sentence for check in checks if check.verdict is not Verdict.PASS]
    sentence = " ".join(said) if said else "The risks are right, taken together: as many miss as the model says."
    return Gate("G8", "Level of all risks", _LEVEL, verdict, sentence, checks)


def _level_and_slope(evidence: Evidence) -> list[Check]:
    limits, counts = evidence.policy.limits.level, evidence.everyone
    ratio = observed_over_expected(counts).interval(evidence.z)
    enough = counts.counted("missed") >= evidence.policy.smallest_group
    line = group_calibration_line(counts) if enough_for_calibration_line(counts) and enough else None
    slope = line[0].interval(evidence.z) if line else None
    return [
        _in_limits(ratio if enough else None, (limits.low, limits.high), "observed over expected", _LEVEL_SAID),
        _in_limits(slope, (limits.slope_low, limits.slope_high), "slope of the calibration line", _SLOPE_SAID),
    ]


_LEVEL_SAID: Final[Mapping[str, str]] = {
    "low": "Risks are too high for everyone: of every 100 appointments that should be missed by the model, "
    "{hundred} are.",
    "high": "Risks are too low for everyone: for every 100 missed appointments that the model expects, "
    "{hundred} are missed.",
    "between": "It is not sure whether as many miss as the model says.",
    "inside": "As many miss as the model says.",
    "none": "There is not enough data to say whether as many miss as the model says.",
}
_SLOPE_SAID: Final[Mapping[str, str]] = {
    "low": "High risks are stated too high and low ones too low, for everyone (slope {value}).",
    "high": "High risks are stated too low and low ones too high, for everyone (slope {value}).",
    "between": "Whether high and low risks are as far apart as they should be is not sure (slope {value}).",
    "inside": "High and low risks are as far apart as outcomes are.",
    "none": "Whether high and low risks are as far apart as they should be cannot be estimated.",
}


def _in_limits(interval: Interval | None, limits: tuple[float, float], measure: str, said: Mapping[str, str]) -> Check:
    low, high = limits
    printed = interval.rounded() if interval else None
    if printed is None:
        verdict, where = Verdict.NOT_ENOUGH_DATA, "none"
    elif printed.high < low or printed.low > high:
        verdict, where = Verdict.FAIL, "low" if printed.high < low else "high"
    elif low <= printed.low and printed.high <= high:
        verdict, where = Verdict.PASS, "inside"
    else:
        verdict, where = Verdict.REVIEW, "between"
    value = printed.value if printed else 0.0
    sentence = said[where].format(hundred=f"{100 * value:.0f}", value=f"{value:.2f}")
    cause = {"low": Cause.OVER_SCORED, "high": Cause.UNDER_SCORED}.get(where) if said is _LEVEL_SAID else None
    return Check("all", _EVERYONE, verdict, measure, sentence, printed, cause=cause)


_TOO_GOOD: Final = (
    "The risks tell those who miss from those who come better than published forecasts do. Check that they were made "
    "before the appointments and without their outcomes."
)


def _skill(evidence: Evidence) -> list[Check]:
    """No skill, or the skill of one who knew the outcome."""
    limits, counts = evidence.policy.limits.level, evidence.everyone
    measure = "ranking quality"
    if knows_the_outcome(counts):
        return [Check("all", _EVERYONE, Verdict.FAIL, measure, KNOWS_THE_OUTCOME)]
    quality = ranking_quality(counts)
    if quality is None or counts.counted("missed") < evidence.policy.smallest_group:
        sentence = "There is not enough data to say whether the risks tell people apart."
        return [Check("all", _EVERYONE, Verdict.NOT_ENOUGH_DATA, measure, sentence)]
    effect = rate(counts, "base_rate").design_effect
    half = evidence.z * ranking_error(quality, counts.missed / effect, (counts.appointments - counts.missed) / effect)
    printed = Interval(quality, max(0.0, quality - half), min(1.0, quality + half)).rounded()
    if printed.low > limits.most_ranking:
        verdict, sentence = Verdict.FAIL, KNOWS_THE_OUTCOME.replace("everyone", "nearly everyone", 1)
    elif printed.low > limits.doubtful_ranking:
        verdict, sentence = Verdict.REVIEW, _TOO_GOOD
    elif printed.high < limits.least_ranking:
        verdict, sentence = Verdict.FAIL, "The risks hardly tell those who miss from those who come."
    elif printed.low < limits.least_ranking:
        verdict, sentence = Verdict.REVIEW, "It is not sure that the risks tell those who miss from those who come."
    else:
        verdict, sentence = Verdict.PASS, "The risks tell those who miss from those who come."
    return [Check("all", _EVERYONE, verdict, measure, sentence, printed)]


def ranking_error(quality: float, missed: float, attended: float) -> float:
    """Standard error of an AUROC (Hanley and McNeil 1982, Radiology 143:29).

    >>> round(ranking_error(0.75, 100, 900), 3)
    0.029
    """
    first, second = quality / (2 - quality), 2 * quality**2 / (1 + quality)
    square = quality**2
    spread = quality * (1 - quality) + (missed - 1) * (first - square) + (attended - 1) * (second - square)
    return math.sqrt(max(0.0, spread) / (missed * attended))

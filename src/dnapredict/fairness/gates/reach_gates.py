"""Gates about who is reached: G3 reach, G3b ranking, G4 allocation, G6 change."""

import dataclasses
import datetime
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from dnapredict.fairness.compare.causes import (
    CauseEvidence,
    cause_of,
    explains_all,
    is_badly_recorded,
    leaves_less,
    leaves_nothing,
    may_be_lower_need,
)
from dnapredict.fairness.compare.comparisons import (
    Evidence,
    GroupComparison,
    equal_rates_p_values,
    published_allocation,
    published_fall,
    published_pair,
)
from dnapredict.fairness.compare.e_values import accumulated, enough_by, is_certain
from dnapredict.fairness.compare.exact_test import exact_gap_p_value
from dnapredict.fairness.disclosure.count_differences import counts_in_rate
from dnapredict.fairness.gates.group_verdicts import Harm, judge_groups, not_enough, summary
from dnapredict.fairness.gates.outcome_gate import is_behind_by_calls
from dnapredict.fairness.measure.group_metrics import (
    allocation_index,
    fall_in_reach,
    own_top_reach,
    rate,
)
from dnapredict.fairness.measure.intervals import Rate, RateDifference, detectable_gap, gap, gap_p_value
from dnapredict.fairness.verdicts import ACTIONS, Cause, Check, Gate, Verdict, combine_checks

_REACH = "Are people who would miss their appointment as likely to be called, whatever their group?"
_RANKING = "Does the model know enough about every group to find those who will miss?"
_ALLOCATION = "Does every group get its share of the calls?"
_CHANGE = "Does the new model take help away from any group?"
_MUCH: Final = 0.5  # what is left of a gap, below which it belongs elsewhere
_INDEX = "share of calls over share of need"


def reach_gate(checks: tuple[Check, ...]) -> Gate:
    """G3: is someone who will miss their appointment as likely to be called in every group? From `reach_checks`."""
    sentence = summary(checks, good="reached about as well as everyone else", bad="Clearly reached less")
    return Gate("G3", "Reach", _REACH, combine_checks(checks), sentence, checks)


def reach_checks(compared: Sequence[GroupComparison], evidence: Evidence) -> tuple[Check, ...]:
    """The reach of each compared group against everyone else (also used on the strict label)."""
    tolerance = evidence.policy.limits.reach.max_harm_gap
    checks = judge_groups(
        compared,
        evidence,
        lambda one: _gap(one, one.rates("reach"), evidence=evidence, tolerance=tolerance),
        tolerance=tolerance,
        measure="reach",
        alike=equal_rates_p_values(compared, evidence, lambda counts: rate(counts, "reach")),
    )
    certain = [_with_accumulated(check, one, evidence) for check, one in zip(checks, compared, strict=True)]
    return tuple(
        _with_effect_of_calls(_explained(check, one, evidence), one, evidence)
        for check, one in zip(certain, compared, strict=True)
    )


def _with_effect_of_calls(check: Check, comparison: GroupComparison, evidence: Evidence) -> Check:
    """The check, with calls as the cause where only the records show a gap; the verdict is without calls and stays."""
    if check.cause is not None or check.verdict is Verdict.FAIL or not is_behind_by_calls(comparison, evidence):
        return check
    sentence = f"{check.sentence} In the records it looks behind: {Cause.CALLS}. {said_of(Cause.CALLS)}"
    return dataclasses.replace(check, sentence=sentence, cause=Cause.CALLS)


def _with_accumulated(check: Check, comparison: GroupComparison, evidence: Evidence) -> Check:
    """The verdict where this audit alone is not certain, with the evidence of earlier audits of other appointments.

    A group that is too small for a verdict can fail by it, and never pass.
    """
    if check.verdict in (Verdict.PASS, Verdict.FAIL):
        return check
    pair, limit = comparison.rates("reach"), evidence.policy.limits.reach.max_harm_gap
    now = next((one for one in evidence.increments if (one.grouping, one.group) == _key(comparison)), None)
    if now is None or evidence.window is None:
        return check
    level, number = 1 - evidence.policy.confidence, len(evidence.increments)
    behind, alike = accumulated(evidence.accumulated, now)
    if evidence.accumulated and is_certain(behind, level=level, comparisons=number):
        return dataclasses.replace(
            check,
            verdict=Verdict.FAIL,
            sentence=_ADDED_UP[Verdict.FAIL].format(name=check.group.name, points=f"{100 * limit:g}"),
        )
    if evidence.accumulated and comparison.enough(evidence.policy) and is_certain(alike, level=level):
        return dataclasses.replace(
            check,
            verdict=Verdict.PASS,
            sentence=_ADDED_UP[Verdict.PASS].format(name=check.group.name, points=f"{100 * limit:g}"),
        )
    shown = published_pair(comparison, pair, made_of=counts_in_rate("reach"), evidence=evidence)
    if check.verdict is not Verdict.NOT_ENOUGH_DATA or shown is None or check.estimate is None:
        return check
    return _with_month(check, enough_by(*shown, limit=limit, log_e_pass=alike, level=level, window=evidence.window))


def _with_month(check: Check, day: datetime.date | None) -> Check:
    """The check with the month by which there will be enough data."""
    if day is None:
        return check
    sentence = f"{check.sentence} Enough by about {day:%B %Y} if it is not behind."
    return dataclasses.replace(check, sentence=sentence, enough_by=day)


def _key(comparison: GroupComparison) -> tuple[str, str]:
    return comparison.grouping, comparison.group.code


_ADDED_UP: Final[Mapping[Verdict, str]] = {
    Verdict.FAIL: "{name}: more than {points} points behind, by the evidence of all audits together.",
    Verdict.PASS: "{name}: not more than {points} points behind, by the evidence of all audits together.",
}


def _gap(comparison: GroupComparison, pair: tuple[Rate, Rate], *, evidence: Evidence, tolerance: float) -> Harm | None:
    exact = gap(*pair, z=evidence.z)
    few = not comparison.enough(evidence.policy)
    p_value, p_behind = (_p_value(pair, evidence, limit=limit, few=few) for limit in (tolerance, 0.0))
    if exact is None or p_value is None or p_behind is None:
        return None
    shown = published_pair(comparison, pair, made_of=counts_in_rate("reach"), evidence=evidence)
    if shown is None:
        return Harm(exact, p_value, None, p_behind=p_behind, few=few)
    published = gap(*shown, z=evidence.z)
    return Harm(
        exact,
        p_value,
        published.rounded() if published else None,
        _p_value(shown, evidence, limit=tolerance, few=few),
        None if few else lambda level: detectable_gap(*shown, tolerance=tolerance, level=level),
        p_behind,
        few,
    )


def _p_value(pair: tuple[Rate, Rate], evidence: Evidence, *, limit: float, few: bool) -> float | None:
    """P-value for "behind by more than `limit`", exact where few are missed; None where too few are."""
    if not few:
        return gap_p_value(*pair, tolerance=limit)
    rest, group = pair
    policy = evidence.policy
    if evidence.outcomes.are_weighted:
        return None  # an exact test is of people, and not of weights
    if rest.denominator < policy.smallest_group or group.denominator < max(1, policy.disclosure.suppress_below):
        return None
    return exact_gap_p_value(rest, group, tolerance=limit)


def _explained(check: Check, comparison: GroupComparison, evidence: Evidence) -> Check:
    """Add the cause of a gap. What is shown to be no fault of the list is a REVIEW and never a FAIL."""
    rest, group = comparison.rates("reach")
    behind = (rest.value or 0) - (group.value or 0)
    clearly = gap(rest, group, z=evidence.z)
    if check.verdict is Verdict.PASS or behind <= 0 or clearly is None or clearly.low <= 0:
        return check
    cause, explained = _belongs_elsewhere(comparison, evidence) or _own_cause(comparison, evidence)
    may_be_need = _may_be_need(cause, comparison.why, evidence)
    stands = not (cause.explains or may_be_need) and _stands_adjusted(comparison, evidence)
    verdict = Verdict.REVIEW if check.verdict is Verdict.FAIL and not stands else check.verdict
    # A FAIL is never explained: only a gap that may be due to chance, or that has a cause outside the list, can be.
    is_explained = explained and verdict is Verdict.REVIEW
    meaning = _too_few_outcomes(evidence) if may_be_need else said_of(cause)
    if is_explained and not cause.explains:
        meaning = _WITHIN.format(points=f"{100 * evidence.policy.limits.reach.max_harm_gap:g}")
    return dataclasses.replace(
        check,
        verdict=verdict,
        sentence=f"{check.sentence} Why: {cause}. {meaning}",
        cause=cause,
        is_explained=is_explained,
    )


_WITHIN: Final = (
    "A risk means the same in this group as in others. Apart from the part that is due to fewer missed appointments, "
    "the gap is shown to be below {points} points."
)


def _stands_adjusted(comparison: GroupComparison, evidence: Evidence) -> bool:
    """Whether a gap is above the limit beyond chance among people who are alike in everything else, too."""
    effect = evidence.effect(comparison)
    if effect is None:
        return True
    tolerance, level = evidence.policy.limits.reach.max_harm_gap, 1 - evidence.policy.confidence
    return RateDifference(-effect.reach.value, effect.reach.error).p_value(tolerance) < level


def _may_be_need(cause: Cause, why: CauseEvidence | None, evidence: Evidence) -> bool:
    """Whether a group misses less often, and there are too few outcomes to show whether that is all.

    A small group may have too few missed appointments; where patients were called, too few uncalled appointments are on
    the list, and calibration and discrimination are estimated from those. A FAIL becomes a REVIEW, and the cause stays
    as it is.
    """
    if why is None or cause not in (Cause.UNKNOWN, Cause.WEAKER_INFORMATION):
        return False
    if not evidence.outcomes.are_weighted:
        return cause is Cause.UNKNOWN and may_be_lower_need(why, tolerance=evidence.policy.limits.reach.max_harm_gap)
    return why.less_often is not None and why.less_often.low > 0


def _too_few_outcomes(evidence: Evidence) -> str:
    return _TOO_FEW_UNCALLED if evidence.outcomes.are_weighted else _TOO_FEW_MISSED


_TOO_FEW_MISSED: Final = (
    "Fewer of this group miss, and the gap is about as large as that makes it; too few miss to show that their risks "
    "mean the same. A named person looks."
)
_TOO_FEW_UNCALLED: Final = (
    "Fewer of this group miss; too few of its appointments on the list were not called to tell whether that is all. "
    "Keep a larger hold-out."
)


def _own_cause(comparison: GroupComparison, evidence: Evidence) -> tuple[Cause, bool]:
    """The cause in the group itself, and whether it is shown to leave less than the limit."""
    why, limits, tolerance = comparison.why, evidence.policy.limits.causes, evidence.policy.limits.reach.max_harm_gap
    cause = cause_of(why, limits, tolerance=tolerance)
    if why is None:
        return cause, False
    if cause.explains:
        return cause, explains_all(why, tolerance=tolerance)
    return cause, cause is not Cause.LABEL and leaves_less(why, limits, tolerance=tolerance)


def _belongs_elsewhere(comparison: GroupComparison, evidence: Evidence) -> tuple[Cause, bool] | None:
    """Whether the gap goes with the clinics that the group uses, or with other groups that it overlaps with."""
    effect = evidence.effect(comparison)
    rest, group = comparison.rates("reach")
    if effect is None or rest.value is None or group.value is None:
        return None
    tolerance, gap_found = evidence.policy.limits.reach.max_harm_gap, rest.value - group.value
    adjusted = RateDifference(-effect.reach.value, effect.reach.error)
    if adjusted.p_value(tolerance) < 1 - evidence.policy.confidence or adjusted.value > _MUCH * gap_found:
        return None
    explained = leaves_nothing(adjusted, tolerance=tolerance)
    within = effect.standardised_gap
    by_mix = within is not None and within.value < _MUCH * gap_found and effect.mix.interval(evidence.z).high < 0
    return (Cause.MIX if by_mix else Cause.OTHER_GROUP), explained


def said_of(cause: Cause) -> str:
    """What the figures show of a cause, and what helps, as a sentence or two."""
    return f"{_SHOWN[cause]} {ACTIONS[cause][0].upper()}{ACTIONS[cause][1:]}."


_SHOWN: Final[Mapping[Cause, str]] = {
    Cause.LOWER_NEED: "Fewer of this group miss, and a risk means the same in it, on the list and off it.",
    Cause.WEAKER_INFORMATION: "The model tells people in this group apart less well.",
    Cause.UNDER_SCORED: "People in this group miss more often than the model says.",
    Cause.OVER_SCORED: "People in this group miss less often than the model says.",
    Cause.SQUEEZED_RISKS: "High risks in this group are stated too low and low ones too high.",
    Cause.LABEL: "More of its appointments are recorded as missed, at every risk or for the trust's own reasons.",
    Cause.MIX: "Within the same clinics the gap is not there.",
    Cause.OTHER_GROUP: "Among people who are alike in everything else the gap is not there.",
    Cause.CAPACITY: "At the same risk fewer of this group are called.",
    Cause.CALLS: "In a trial, calls helped this group more than others, so that fewer of those who were called missed.",
    Cause.UNKNOWN: "No cause could be shown, and lower need could not be shown either.",
}


def ranking_gate(evidence: Evidence) -> Gate:
    """G3b: would a separate list of each group have the same reach?"""
    tolerance = evidence.policy.limits.ranking.max_harm_gap
    checks = judge_groups(
        evidence.compared,
        evidence,
        lambda one: _gap(one, one.own_top(evidence.share), evidence=evidence, tolerance=tolerance),
        tolerance=tolerance,
        measure="reach at the group's own top",
        alike=equal_rates_p_values(evidence.compared, evidence, partial(own_top_reach, share=evidence.share)),
    )
    by_group = zip(checks, evidence.compared, strict=True)
    checks = tuple(_with_cause(check, one, evidence) for check, one in by_group)
    sentence = summary(checks, good="known to the model about as well as others", bad="Clearly known less well")
    return Gate("G3b", "Ranking", _RANKING, combine_checks(checks), sentence, checks)


def _with_cause(check: Check, comparison: GroupComparison, evidence: Evidence) -> Check:
    """Why a group is known less well: badly recorded appointments look like chance to any model."""
    if check.verdict is not Verdict.FAIL:
        return check
    recorded = comparison.why is not None and is_badly_recorded(comparison.why, evidence.policy.limits.causes)
    return dataclasses.replace(check, cause=Cause.LABEL if recorded else Cause.WEAKER_INFORMATION)


def change_gate(evidence: Evidence) -> Gate | None:
    """G6: does any group lose reach against the model in use? None without the live model's list."""
    if not evidence.has_live:
        return None
    tolerance = evidence.policy.limits.change.max_fall
    checks = judge_groups(
        evidence.compared,
        evidence,
        lambda one: _fall(one, evidence, tolerance),
        tolerance=tolerance,
        measure="fall in reach against the model in use",
    )
    sentence = summary(checks, good="reached about as well as before", bad="Clearly reached less than before")
    return Gate("G6", "Change", _CHANGE, combine_checks(checks), sentence, checks)


def _fall(comparison: GroupComparison, evidence: Evidence, tolerance: float) -> Harm | None:
    """The fall in reach, paired by patient: both models ranked the same people. None for a group that is too small."""
    if not comparison.enough(evidence.policy):
        return None
    fall = fall_in_reach(comparison.counts)
    at = (comparison.grouping, comparison.group.code)
    printed = published_fall(comparison.counts, at=at, evidence=evidence)
    shown = printed and RateDifference(printed.value, (printed.high - printed.value) / evidence.z)
    printed_p = shown.p_value(tolerance) if shown else None
    return Harm(fall.interval(evidence.z), fall.p_value(tolerance), printed, printed_p, p_behind=fall.p_value(0.0))


def allocation_gate(evidence: Evidence) -> Gate:
    """G4: does every group get its share of calls? For information unless the board chose it."""
    checks = tuple(_allocated(comparison, evidence) for comparison in evidence.compared)
    chosen = evidence.policy.limits.allocation.chosen
    sentence = _short_of_calls(checks)
    sentence += "" if chosen else " For information: the board has not made this a rule."
    return Gate("G4", "Fair share of calls", _ALLOCATION, combine_checks(checks), sentence, checks, judged=chosen)


def _short_of_calls(checks: Sequence[Check]) -> str:
    judged = [check for check in checks if check.verdict is not Verdict.NOT_ENOUGH_DATA]
    short = sum(check.verdict is Verdict.REVIEW for check in judged)
    if not judged:
        return "There is not enough data to say of any group."
    get = f"{short} {'gets' if short == 1 else 'get'}" if short else "none gets"
    its = "their" if short > 1 else "its"
    return f"Of {len(judged)} groups that we can judge, {get} clearly fewer calls than {its} share of need."


def _allocated(comparison: GroupComparison, evidence: Evidence) -> Check:
    index = allocation_index(comparison.counts, comparison.rest)
    exact, printed = index.interval(evidence.z), published_allocation(comparison, evidence)
    if exact is None or not comparison.enough(evidence.policy):
        return not_enough(comparison, evidence, measure=_INDEX)
    verdict = Verdict.REVIEW if exact.high < 1 else Verdict.PASS
    number = f"{printed.value:.2f}" if printed else "a number that is hidden of"
    sentence = f"{comparison.group.name}: {number} calls for each call its share of need would give."
    return Check(comparison.grouping, comparison.group, verdict, _INDEX, sentence, printed)

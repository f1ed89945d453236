"""Gates about who is reached: G3 reach, G3b ranking, G4 allocation, G6 change."""

import dataclasses
from collections.abc import Sequence
from functools import partial

from dnapredict.fairness.compare.comparisons import (
    Evidence,
    GroupComparison,
    cause_of,
    comparisons,
    counts_in_rate,
    equal_rates_p_values,
    published_allocation,
    published_fall,
    published_pair,
)
from dnapredict.fairness.gates.group_verdicts import Harm, judge_groups, not_enough, summary
from dnapredict.fairness.measure.group_metrics import allocation_index, fall_in_reach, own_top_reach, rate
from dnapredict.fairness.measure.intervals import Rate, RateDifference, detectable_gap, gap, gap_p_value
from dnapredict.fairness.verdicts import Cause, Check, Gate, Verdict, combine_checks

_REACH = "Are people who would miss their appointment as likely to be called, whatever their group?"
_RANKING = "Does the model know enough about every group to find those who will miss?"
_ALLOCATION = "Does every group get its share of the calls?"
_CHANGE = "Does the new model take help away from any group?"
_INDEX = "share of calls over share of need"


def reach_gate(evidence: Evidence) -> Gate:
    """G3: is someone who will miss their appointment as likely to be called in every group?"""
    checks = reach_checks(list(comparisons(evidence.counted, evidence.policy)), evidence)
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
        alike=equal_rates_p_values(evidence, lambda counts: rate(counts, "reach")),
    )
    return tuple(_explained(check, one, evidence) for check, one in zip(checks, compared, strict=True))


def _gap(comparison: GroupComparison, pair: tuple[Rate, Rate], *, evidence: Evidence, tolerance: float) -> Harm | None:
    exact, p_value = gap(*pair, z=evidence.z), gap_p_value(*pair, tolerance=tolerance)
    if exact is None or p_value is None:
        return None
    shown = published_pair(comparison, pair, made_of=counts_in_rate("reach"), evidence=evidence)
    if shown is None:
        return Harm(exact, p_value, None)
    published = gap(*shown, z=evidence.z)
    return Harm(
        exact,
        p_value,
        published.rounded() if published else None,
        gap_p_value(*shown, tolerance=tolerance),
        lambda level: detectable_gap(*shown, tolerance=tolerance, level=level),
    )


def _explained(check: Check, comparison: GroupComparison, evidence: Evidence) -> Check:
    """Add the cause of a gap; lower need alone is a REVIEW and never a FAIL."""
    rest, group = comparison.rates("reach")
    lower = (rest.value or 0) - (group.value or 0) > evidence.policy.limits.reach.max_harm_gap
    if check.verdict not in (Verdict.FAIL, Verdict.REVIEW) or not lower:
        return check
    cause = cause_of(comparison, share=evidence.share, z=evidence.z)
    return dataclasses.replace(
        check,
        verdict=Verdict.REVIEW if cause is Cause.LOWER_NEED else check.verdict,
        sentence=f"{check.sentence} Why: {_EXPLAINED[cause]}",
        cause=cause,
    )


_EXPLAINED = {
    Cause.LOWER_NEED: "lower need. Risks in this group are right and fewer are high; no action by default.",
    Cause.WEAKER_INFORMATION: "weaker information. The model tells people in this group apart less well; "
    "look for better factors, give the group a fair share of calls, or offer a route that needs no model.",
    Cause.UNDER_SCORED: "under-scored. People in this group miss more often than the model says; "
    "recalibrate, and check how missed appointments are recorded.",
}


def ranking_gate(evidence: Evidence) -> Gate:
    """G3b: would a separate list of each group have the same reach?"""
    tolerance = evidence.policy.limits.ranking.max_harm_gap
    checks = judge_groups(
        list(comparisons(evidence.counted, evidence.policy)),
        evidence,
        lambda one: _gap(one, one.own_top(evidence.share), evidence=evidence, tolerance=tolerance),
        tolerance=tolerance,
        measure="reach at the group's own top",
        alike=equal_rates_p_values(evidence, partial(own_top_reach, share=evidence.share)),
    )
    sentence = summary(checks, good="known to the model about as well as others", bad="Clearly known less well")
    return Gate("G3b", "Ranking", _RANKING, combine_checks(checks), sentence, checks)


def change_gate(evidence: Evidence) -> Gate | None:
    """G6: does any group lose reach against the model in use? None without the live model's list."""
    if not evidence.has_live:
        return None
    tolerance = evidence.policy.limits.change.max_fall
    checks = judge_groups(
        list(comparisons(evidence.counted, evidence.policy)),
        evidence,
        lambda one: _fall(one, evidence, tolerance),
        tolerance=tolerance,
        measure="fall in reach against the model in use",
    )
    sentence = summary(checks, good="reached about as well as before", bad="Clearly reached less than before")
    return Gate("G6", "Change", _CHANGE, combine_checks(checks), sentence, checks)


def _fall(comparison: GroupComparison, evidence: Evidence, tolerance: float) -> Harm:
    """The fall in reach, paired by patient: both models ranked the same people."""
    fall = fall_in_reach(comparison.counts)
    at = (comparison.grouping, comparison.group.code)
    printed = published_fall(comparison.counts, at=at, evidence=evidence)
    shown = printed and RateDifference(printed.value, (printed.high - printed.value) / evidence.z)
    printed_p = shown.p_value(tolerance) if shown else None
    return Harm(fall.interval(evidence.z), fall.p_value(tolerance), printed, printed_p)


def allocation_gate(evidence: Evidence) -> Gate:
    """G4: does every group get its share of calls? For information unless the board chose it."""
    compared = comparisons(evidence.counted, evidence.policy)
    checks = tuple(_allocated(comparison, evidence) for comparison in compared)
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
    return f"Of {len(judged)} groups that we can judge, {get} clearly fewer calls than its share of need."


def _allocated(comparison: GroupComparison, evidence: Evidence) -> Check:
    index = allocation_index(comparison.counts, comparison.rest)
    exact, printed = index.interval(evidence.z), published_allocation(comparison, evidence)
    if exact is None or not comparison.enough(evidence.policy):
        return not_enough(comparison, evidence, measure=_INDEX)
    verdict = Verdict.REVIEW if exact.high < 1 else Verdict.PASS
    number = f"{printed.value:.2f}" if printed else "a number that is hidden of"
    sentence = f"{comparison.group.name}: {number} calls for each call its share of need would give."
    return Check(comparison.grouping, comparison.group, verdict, _INDEX, sentence, printed)

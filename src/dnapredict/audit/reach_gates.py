"""Gates about who is reached: G3 reach, G3b ranking, G4 allocation, G6 change."""

from collections.abc import Callable, Sequence

from dnapredict.audit.comparisons import (
    Comparison,
    Evidence,
    cause_of,
    comparisons,
    published_gap,
    published_interval,
)
from dnapredict.audit.figures import allocation_index
from dnapredict.audit.intervals import Rate, gap, gap_p_value, holm
from dnapredict.audit.verdicts import Cause, Check, Gate, Verdict, summed_up

__all__ = ["allocation_gate", "change_gate", "ranking_gate", "reach_checks", "reach_gate"]

Rates = Callable[[Comparison], tuple[Rate, Rate]]


def reach_gate(evidence: Evidence) -> Gate:
    """G3: is someone who will miss as likely to be called in every group?"""
    checks = reach_checks(list(comparisons(evidence.counted, evidence.policy)), evidence)
    return Gate(
        "G3",
        "Reach",
        "Are people who would miss their appointment as likely to be called, whatever their group?",
        summed_up(checks),
        _sentence(checks, "reached less than everyone else", evidence.policy.limits.reach.max_harm_gap),
        checks,
    )


def reach_checks(compared: Sequence[Comparison], evidence: Evidence) -> tuple[Check, ...]:
    """The reach of each compared group against everyone else (also used on the strict label)."""
    tolerance = evidence.policy.limits.reach.max_harm_gap
    found = _judged(compared, evidence, lambda c: c.rates("reach"), tolerance=tolerance, measure="reach")
    return tuple(
        _explained(check, comparison, evidence) for check, comparison in zip(found, compared, strict=True)
    )


def _explained(check: Check, comparison: Comparison, evidence: Evidence) -> Check:
    """Name the cause of a gap; lower need alone does not fail a model, a person looks at it."""
    rest, group = comparison.rates("reach")
    lower = (rest.value or 0) - (group.value or 0) > evidence.policy.limits.reach.max_harm_gap
    if check.verdict not in (Verdict.FAIL, Verdict.REVIEW) or not lower:
        return check
    cause = cause_of(comparison, share=evidence.share, z=evidence.z)
    verdict = Verdict.REVIEW if cause is Cause.LOWER_NEED else check.verdict
    sentence = f"{check.sentence} Why: {_EXPLAINED[cause]}"
    return Check(
        check.grouping, check.group, verdict, check.measure, sentence, check.estimate, check.p_adjusted, cause
    )


_EXPLAINED = {
    Cause.LOWER_NEED: "lower need. Risks in this group are right and fewer are high; no action by default.",
    Cause.WEAKER_INFORMATION: "weaker information. The model tells people in this group apart less well; "
    "look for better factors, give the group a fair share of calls, or offer a route that needs no model.",
    Cause.UNDER_SCORED: "under-scored. People in this group miss more often than the model says; "
    "recalibrate, and check how missed appointments are recorded.",
}


def ranking_gate(evidence: Evidence) -> Gate:
    """G3b: would a list of its own reach as many in every group?"""
    tolerance = evidence.policy.limits.ranking.max_harm_gap
    checks = _judged(
        list(comparisons(evidence.counted, evidence.policy)),
        evidence,
        lambda comparison: comparison.own_top(evidence.share),
        tolerance=tolerance,
        measure="reach at the group's own top",
    )
    return Gate(
        "G3b",
        "Ranking",
        "Does the model know enough about every group to find those who will miss?",
        summed_up(checks),
        _sentence(checks, "ranked less well than everyone else", tolerance),
        checks,
    )


def change_gate(evidence: Evidence) -> Gate | None:
    """G6: does any group lose reach against the model in use? None without the live model's list."""
    if not evidence.has_live:
        return None
    tolerance = evidence.policy.limits.change.max_fall
    checks = _judged(
        list(comparisons(evidence.counted, evidence.policy)),
        evidence,
        _live_and_new,
        tolerance=tolerance,
        measure="fall in reach against the model in use",
    )
    return Gate(
        "G6",
        "Change",
        "Does the new model take help away from any group?",
        summed_up(checks),
        _sentence(checks, "reached less than under the model in use", tolerance),
        checks,
    )


def _live_and_new(comparison: Comparison) -> tuple[Rate, Rate]:
    _, live = comparison.rates("live_reach")
    _, new = comparison.rates("reach")
    return live, new


def allocation_gate(evidence: Evidence) -> Gate:
    """G4: does every group get its share of calls? For information unless the board chose it."""
    compared = comparisons(evidence.counted, evidence.policy)
    checks = tuple(_allocated(comparison, evidence) for comparison in compared)
    short = sum(check.verdict is Verdict.REVIEW for check in checks)
    chosen = evidence.policy.limits.allocation.chosen
    sentence = f"{short} of {len(checks)} groups get clearly fewer calls than their share of need."
    sentence += "" if chosen else " For information: the board has not made this a rule."
    question = "Does every group get its share of the calls?"
    return Gate("G4", "Fair share of calls", question, summed_up(checks), sentence, checks, judged=chosen)


def _allocated(comparison: Comparison, evidence: Evidence) -> Check:
    index = allocation_index(comparison.counts, comparison.rest)
    exact = index.interval(evidence.z)
    if exact is None or not comparison.enough(evidence.policy):
        return _not_enough(comparison, "share of calls over share of need", evidence)
    verdict = Verdict.REVIEW if exact.high < 1 else Verdict.PASS
    sentence = f"{comparison.group.name}: {exact.value:.2f} calls for each call its share of need would give."
    return Check(
        comparison.grouping,
        comparison.group,
        verdict,
        "share of calls over share of need",
        sentence,
        published_interval(index, evidence=evidence),
    )


def _judged(
    compared: Sequence[Comparison], evidence: Evidence, rates: Rates, *, tolerance: float, measure: str
) -> tuple[Check, ...]:
    """One-sided verdicts with Holm's correction over the groups that can be judged."""
    judged = [comparison for comparison in compared if comparison.enough(evidence.policy)]
    p_values = [gap_p_value(*rates(comparison), tolerance=tolerance) or 0.0 for comparison in judged]
    adjusted = iter(holm(p_values))
    return tuple(
        _judge(comparison, evidence, rates(comparison), next(adjusted), tolerance=tolerance, measure=measure)
        if comparison.enough(evidence.policy)
        else _not_enough(comparison, measure, evidence)
        for comparison in compared
    )


def _judge(
    comparison: Comparison,
    evidence: Evidence,
    pair: tuple[Rate, Rate],
    p_adjusted: float,
    *,
    tolerance: float,
    measure: str,
) -> Check:
    exact = gap(*pair, z=evidence.z)
    verdict = Verdict.REVIEW
    if exact is not None and exact.high < tolerance:
        verdict = Verdict.PASS
    elif p_adjusted < 1 - evidence.policy.confidence:
        verdict = Verdict.FAIL
    printed = published_gap(*pair, evidence=evidence)
    return Check(
        comparison.grouping,
        comparison.group,
        verdict,
        measure,
        _MEANING[verdict].format(name=comparison.group.name, points=f"{100 * tolerance:g}"),
        printed,
        round(p_adjusted, 3),
    )


_MEANING = {
    Verdict.PASS: "{name}: not more than {points} points behind everyone else.",
    Verdict.REVIEW: "{name}: may be {points} points or more behind; it could be chance.",
    Verdict.FAIL: "{name}: more than {points} points behind, and chance does not explain it.",
}


def _not_enough(comparison: Comparison, measure: str, evidence: Evidence) -> Check:
    sentence = (
        f"{comparison.group.name}: not enough data to say. A verdict needs "
        f"{evidence.policy.smallest_group} missed appointments."
    )
    return Check(comparison.grouping, comparison.group, Verdict.NOT_ENOUGH_DATA, measure, sentence)


def _sentence(checks: Sequence[Check], harm: str, tolerance: float) -> str:
    if not checks:
        return "None of the groups that the policy compares is in this extract."
    number = {verdict: sum(check.verdict is verdict for check in checks) for verdict in Verdict}
    parts = [f"Of {len(checks)} groups, {number[Verdict.PASS]} are within {100 * tolerance:g} points"]
    if number[Verdict.FAIL]:
        parts.append(f"{number[Verdict.FAIL]} are clearly {harm}")
    if number[Verdict.REVIEW]:
        parts.append(f"{number[Verdict.REVIEW]} may be {harm}")
    if number[Verdict.NOT_ENOUGH_DATA]:
        parts.append(f"for {number[Verdict.NOT_ENOUGH_DATA]} there is not enough data to say")
    return "; ".join(parts) + "."

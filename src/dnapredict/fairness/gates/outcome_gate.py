"""Gates after calls: whether outcomes without a call are known, what figures rest on, and which gaps calls made."""

import math

from dnapredict.config.fairness_policy import Policy
from dnapredict.data.small_numbers import publish_count
from dnapredict.fairness.compare.comparisons import Evidence, GroupComparison
from dnapredict.fairness.compare.hold_out import hold_out_size
from dnapredict.fairness.measure.call_effects import arms_with_others, effect_of_calls, recorded_reach
from dnapredict.fairness.measure.counts import GroupCounts
from dnapredict.fairness.measure.group_metrics import observed_over_expected, rate
from dnapredict.fairness.measure.intervals import RateDifference, gap
from dnapredict.fairness.measure.uncalled_outcomes import UncalledOutcomes
from dnapredict.fairness.verdicts import Gate, Verdict

# Gates about the records alone stay.
_RECORDS = frozenset(("G0", "G1", "G7"))
_CANNOT = "This cannot be judged: nearly everyone at the risks of the list was called, and a call changes the outcome."


def refuse_called(gate: Gate, outcomes: UncalledOutcomes) -> Gate:
    """The gate, or no verdict where it rests on outcomes and nobody knows what they would be without a call."""
    if outcomes.can_be_judged or gate.code in _RECORDS:
        return gate
    return Gate(gate.code, gate.title, gate.question, Verdict.NOT_ENOUGH_DATA, _CANNOT, judged=gate.judged)


def is_behind_by_calls(comparison: GroupComparison, evidence: Evidence) -> bool:
    """Whether a group looks behind in the records because calls help it more than others, as a trial shows.

    Its recorded reach is below everyone else's, and a call lowers its missed appointments more than theirs, beyond
    chance among all groups that are compared (Bonferroni).
    """
    arms = evidence.arms.get(comparison.grouping)
    both = arms_with_others(arms, comparison.group.code) if arms else None
    if both is None:
        return False
    sides = (comparison.counts, comparison.rest)
    deffs = [rate(side, "base_rate").design_effect for side in sides]
    group, rest = (recorded_reach(arm, design_effect=deff) for arm, deff in zip(both, deffs, strict=True))
    behind = gap(rest, group, z=evidence.z)
    helped, others = (
        effect_of_calls(arm, observed_over_expected(side), design_effect=deff)
        for arm, side, deff in zip(both, sides, deffs, strict=True)
    )
    if behind is None or behind.low <= 0 or helped is None or others is None:
        return False
    more = RateDifference(helped.value - others.value, math.hypot(helped.error, others.error))
    return more.p_value(0.0) < (1 - evidence.policy.confidence) / len(evidence.compared)


def said_of_outcomes(outcomes: UncalledOutcomes, everyone: GroupCounts, policy: Policy) -> tuple[str, ...]:
    """Whose outcomes the figures rest on, in sentences for page 1; none where nobody was called."""
    if not outcomes.are_weighted:
        return ()
    if not outcomes.can_be_judged:
        return (_refusal(), _what_to_record(outcomes, everyone, policy))
    used, control = (publish_count(number, policy.disclosure) for number in (outcomes.used, outcomes.control))
    some = "those" if used is None else f"the about {used:,}"
    sentence = f"A call changes the outcome. The figures rest on {some} appointments that no call changed"
    if outcomes.control:
        few = "some" if not control else f"about {control:,}"
        sentence += f", {few} of them in the control arm of a trial"
    sentence += f". One of them represents up to {outcomes.largest_weight:.0f} of the same risk and week."
    if not outcomes.control:
        sentence += " This takes it that, at the same risk, who was reached did not depend on who would miss."
    return (sentence,)


def _refusal() -> str:
    return (
        "Whether people are reached cannot be judged. Nearly everyone at the risks of the list was called before the "
        "appointment, so that nobody knows who would have missed it. The rates below are those after the calls."
    )


def _what_to_record(outcomes: UncalledOutcomes, everyone: GroupCounts, policy: Policy) -> str:
    size = hold_out_size(
        missed=everyone.total("expected"),
        reached=float(everyone.called_expected.sum()),
        planned=outcomes.planned,
        weeks=outcomes.weeks,
        tolerance=policy.limits.reach.max_harm_gap,
        confidence=policy.confidence,
    )
    if size is None:
        return (
            "Leave some appointments of each week's list uncalled, chosen by lot, and record them in the column "
            "trial_arm as control, all others on the list as treatment. This service is too small to say how many."
        )
    points = f"{200 * policy.limits.reach.max_harm_gap:g}"
    return (
        f"Leave {size.per_week:,} appointments of each week's list uncalled for {size.weeks:,} weeks, chosen by lot, "
        "and record them in the column trial_arm as control, all others on the list as treatment. A group of one in "
        f"ten patients that is {points} points behind would then be found in 8 of 10 audits."
    )

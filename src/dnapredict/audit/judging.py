"""One-sided verdicts on many groups at once: is this one worse off, by more than the limit, beyond chance?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dnapredict.audit.comparisons import Comparison, Evidence
from dnapredict.audit.intervals import Interval, holm
from dnapredict.audit.verdicts import Check, Verdict

__all__ = ["Harm", "judged", "not_enough", "summary"]


@dataclass(frozen=True)
class Harm:
    """How much worse off a group is: range for the verdict, p-value against the limit, what is printed."""

    exact: Interval
    p_value: float
    printed: Interval | None


def judged(
    compared: Sequence[Comparison],
    evidence: Evidence,
    harm: Callable[[Comparison], Harm | None],
    *,
    tolerance: float,
    measure: str,
) -> tuple[Check, ...]:
    """A verdict on each group, with Holm's correction over the groups that can be judged.

    PASS when the upper bound is below the limit, FAIL when the corrected p-value says that the harm is
    above it, REVIEW between the two, NOT ENOUGH DATA below the policy's smallest group.
    """
    harms = [harm(one) if one.enough(evidence.policy) else None for one in compared]
    adjusted = iter(holm([found.p_value for found in harms if found]))
    return tuple(
        _check(one, evidence, found, next(adjusted), tolerance=tolerance, measure=measure)
        if found
        else not_enough(one, evidence, measure=measure)
        for one, found in zip(compared, harms, strict=True)
    )


def _check(
    comparison: Comparison,
    evidence: Evidence,
    harm: Harm,
    p_adjusted: float,
    *,
    tolerance: float,
    measure: str,
) -> Check:
    verdict = Verdict.REVIEW
    if harm.exact.high < tolerance:
        verdict = Verdict.PASS
    elif p_adjusted < 1 - evidence.policy.confidence:
        verdict = Verdict.FAIL
    return Check(
        comparison.grouping,
        comparison.group,
        verdict,
        measure,
        _MEANING[verdict].format(name=comparison.group.name, points=f"{100 * tolerance:g}"),
        harm.printed,
        round(p_adjusted, 3),
    )


_MEANING = {
    Verdict.PASS: "{name}: not more than {points} points behind.",
    Verdict.REVIEW: "{name}: may be {points} points or more behind; it could be chance.",
    Verdict.FAIL: "{name}: more than {points} points behind, and chance does not explain it.",
}


def not_enough(comparison: Comparison, evidence: Evidence, *, measure: str) -> Check:
    """The answer for a group too small to judge: not enough data, never a pass."""
    sentence = (
        f"{comparison.group.name}: not enough data to say. A verdict needs "
        f"{evidence.policy.smallest_group} missed appointments."
    )
    return Check(comparison.grouping, comparison.group, Verdict.NOT_ENOUGH_DATA, measure, sentence)


def summary(checks: Sequence[Check], *, good: str, bad: str) -> str:
    """How many groups got which answer, in plain words; those that fail are named.

    `good` and `bad` are such as "reached about as well as everyone else" and "Clearly reached less".
    """
    if not checks:
        return "None of the groups that the policy compares is in this extract."
    names = [check.group.name for check in checks if check.verdict is Verdict.FAIL]
    number = {verdict: sum(check.verdict is verdict for check in checks) for verdict in Verdict}
    well = number[Verdict.PASS]
    parts = [f"{well} of {len(checks)} groups {'is' if well == 1 else 'are'} {good}."]
    if names:
        parts.append(f"{bad}: {', '.join(names)}.")
    if number[Verdict.REVIEW]:
        parts.append(f"For {number[Verdict.REVIEW]} it could be chance.")
    if number[Verdict.NOT_ENOUGH_DATA]:
        parts.append(f"For {number[Verdict.NOT_ENOUGH_DATA]} there is not enough data to say.")
    return " ".join(parts)

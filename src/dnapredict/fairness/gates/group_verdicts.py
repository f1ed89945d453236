"""One-sided verdicts on many groups at once: is this one worse off, by more than the limit, beyond chance?"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from dnapredict.config.fairness_policy import Policy
from dnapredict.fairness.compare.comparisons import Evidence, GroupComparison
from dnapredict.fairness.compare.multiple_testing import corrected, first_level
from dnapredict.fairness.measure.intervals import Interval
from dnapredict.fairness.verdicts import Check, Verdict


@dataclass(frozen=True)
class Harm:
    """How much worse off a group is.

    `exact` and `p_value` (against the limit) decide; `printed`, `printed_p` and `detectable` come from
    rounded counts. `detectable` says, for a level, which true gap would be found in 8 of 10 audits.
    """

    exact: Interval
    p_value: float
    printed: Interval | None
    printed_p: float | None = None
    detectable: Callable[[float], float | None] | None = None


def judged(
    compared: Sequence[GroupComparison],
    evidence: Evidence,
    harm: Callable[[GroupComparison], Harm | None],
    *,
    tolerance: float,
    measure: str,
    alike: Mapping[str, float] | None = None,
) -> tuple[Check, ...]:
    """A verdict on each group, corrected for how many are asked about.

    PASS when the upper bound is below the limit, FAIL when the corrected p-value says that the harm is
    above it, REVIEW between the two, NOT ENOUGH DATA below the policy's smallest group. Where `alike`
    holds the p-value of a test that all groups of a grouping are alike and that test finds nothing, no
    group of it FAILs.
    """
    harms = [harm(one) if one.enough(evidence.policy) else None for one in compared]
    asked = [(one, found) for one, found in zip(compared, harms, strict=True) if found]
    groupings = [one.grouping for one, _ in asked]
    exact = corrected([found.p_value for _, found in asked], groupings)
    printed = corrected([1.0 if h.printed_p is None else h.printed_p for _, h in asked], groupings)
    judge = _Judge(evidence.policy, tolerance=tolerance, measure=measure, alike=alike or {})
    answers = (
        judge.check(one, found, p_exact=p, p_printed=q, level=level)
        for (one, found), p, q, level in zip(asked, exact, printed, _levels(asked, evidence.policy), strict=True)
    )
    return tuple(
        next(answers) if found else not_enough(one, evidence, measure=measure)
        for one, found in zip(compared, harms, strict=True)
    )


def _levels(asked: Sequence[tuple[GroupComparison, Harm]], policy: Policy) -> list[float]:
    """The level that each group's own p-value would have to be below, if it were behind."""
    p_values, groupings = [found.p_value for _, found in asked], [one.grouping for one, _ in asked]
    return [first_level(p_values, groupings, place, level=1 - policy.confidence) for place in range(len(asked))]


@dataclass(frozen=True)
class _Judge:
    """What one gate judges every group by."""

    policy: Policy
    tolerance: float
    measure: str
    alike: Mapping[str, float]

    def check(self, one: GroupComparison, harm: Harm, *, p_exact: float, p_printed: float, level: float) -> Check:
        """The verdict on one group."""
        verdict = self._verdict(one, harm, p_exact)
        points = f"{100 * self.tolerance:g}"
        smallest = harm.detectable(level) if harm.detectable else None
        return Check(
            one.grouping,
            one.group,
            verdict,
            self.measure,
            _MEANING[verdict].format(name=one.group.name, points=points),
            harm.printed,
            None if harm.printed_p is None else round(p_printed, 3),
            detectable=None if smallest is None else round(smallest, 3),
        )

    def _verdict(self, one: GroupComparison, harm: Harm, p_exact: float) -> Verdict:
        level = 1 - self.policy.confidence
        if harm.exact.high < self.tolerance:
            return Verdict.PASS
        differ = self.alike.get(one.grouping, 0.0) < level
        return Verdict.FAIL if differ and p_exact < level else Verdict.REVIEW


_MEANING = {
    Verdict.PASS: "{name}: not more than {points} points behind.",
    Verdict.REVIEW: "{name}: may be {points} points or more behind; it could be chance.",
    Verdict.FAIL: "{name}: more than {points} points behind, and chance does not explain it.",
}


def not_enough(comparison: GroupComparison, evidence: Evidence, *, measure: str) -> Check:
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
    if number[Verdict.NOT_ENOUGH_DATA] == len(checks):
        return f"There is not enough data to say of any of the {len(checks)} groups."
    well = number[Verdict.PASS]
    parts = [f"{well} of {len(checks)} groups {'is' if well == 1 else 'are'} {good}."]
    if names:
        parts.append(f"{bad}: {', '.join(names)}.")
    if number[Verdict.REVIEW]:
        parts.append(f"For {number[Verdict.REVIEW]} we cannot tell: it could be chance.")
    if number[Verdict.NOT_ENOUGH_DATA]:
        parts.append(f"For {number[Verdict.NOT_ENOUGH_DATA]} there is not enough data to say.")
    return " ".join(parts)

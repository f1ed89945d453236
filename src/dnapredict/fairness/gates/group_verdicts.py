"""Verdicts on many groups: is each worse off than everyone else by more than the limit, beyond chance?"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from dnapredict.config.fairness_policy import Policy
from dnapredict.fairness.compare.comparisons import Evidence, GroupComparison
from dnapredict.fairness.compare.multiple_testing import adjust_within_families, single_group_level
from dnapredict.fairness.measure.intervals import Interval
from dnapredict.fairness.verdicts import Check, Verdict


@dataclass(frozen=True)
class Harm:
    """How much worse off a group is.

    `exact` and `p_value` (against the limit) decide the verdict; `printed`, `printed_p` and `detectable` come from
    rounded counts. `detectable` returns, for a level, the gap that would be found with a power of 80%.
    """

    exact: Interval
    p_value: float
    printed: Interval | None
    printed_p: float | None = None
    detectable: Callable[[float], float | None] | None = None


def judge_groups(
    compared: Sequence[GroupComparison],
    evidence: Evidence,
    harm: Callable[[GroupComparison], Harm | None],
    *,
    tolerance: float,
    measure: str,
    alike: Mapping[str, float] | None = None,
) -> tuple[Check, ...]:
    """A verdict on each group, corrected for multiple comparisons.

    PASS where the upper bound of the harm is below the limit, FAIL where the corrected p-value says that the harm is
    above it, REVIEW in between, NOT ENOUGH DATA below the policy's smallest group. `alike` holds p-values of the test
    that all groups of a grouping are equal; no group of a grouping FAILs where that test is not significant.
    """
    harms = [harm(one) if one.enough(evidence.policy) else None for one in compared]
    tested = [(one, measured) for one, measured in zip(compared, harms, strict=True) if measured]
    groupings = [one.grouping for one, _ in tested]
    exact = adjust_within_families([measured.p_value for _, measured in tested], groupings)
    # A second correction of p-values from rounded counts, since exact ones would reveal the hidden counts.
    printed = adjust_within_families([1.0 if h.printed_p is None else h.printed_p for _, h in tested], groupings)
    judge = _Judge(evidence.policy, tolerance=tolerance, measure=measure, alike=alike or {})
    answers = (
        judge.check(one, measured, p_exact=p, p_printed=q, level=level)
        for (one, measured), p, q, level in zip(tested, exact, printed, _levels(tested, evidence.policy), strict=True)
    )
    return tuple(
        next(answers) if measured else not_enough(one, evidence, measure=measure)
        for one, measured in zip(compared, harms, strict=True)
    )


def _levels(tested: Sequence[tuple[GroupComparison, Harm]], policy: Policy) -> list[float]:
    """The level below which each group's own p-value would be significant."""
    p_values, groupings = [measured.p_value for _, measured in tested], [one.grouping for one, _ in tested]
    return [single_group_level(p_values, groupings, index, level=1 - policy.confidence) for index in range(len(tested))]


@dataclass(frozen=True)
class _Judge:
    """The limit, measure and policy by which one gate judges every group."""

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
        # PASS needs the upper bound below the limit, and not only an insignificant gap: absence of evidence is no pass.
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
    """How many groups have which verdict, in a sentence that names those that fail.

    `good` and `bad` are phrases such as "reached about as well as everyone else" and "Clearly reached less".
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

"""Verdicts on many groups: is each worse off than everyone else by more than the limit, beyond chance?"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from dnapredict.config.fairness_policy import Policy
from dnapredict.fairness.compare.comparisons import Evidence, GroupComparison
from dnapredict.fairness.compare.multiple_testing import adjust_within_families, single_group_level
from dnapredict.fairness.measure.intervals import Interval, z_of
from dnapredict.fairness.verdicts import Check, Verdict

# Two-sided confidence at which groups that are not behind all pass: 99 of 100 audits, one-sided.
_SURE: Final = 0.98


@dataclass(frozen=True)
class Harm:
    """How much worse off a group is.

    `exact` and `p_value` (against the limit) decide the verdict; `printed`, `printed_p` and `detectable` come from
    rounded counts. `p_behind` is against 0: a sign that the group is behind at all. `detectable` returns, for a level,
    the gap that would be found with a power of 80%. `few` marks a group below the policy's smallest, whose `p_value`
    is of an exact test: it can fail, and never pass.
    """

    exact: Interval
    p_value: float
    printed: Interval | None
    printed_p: float | None = None
    detectable: Callable[[float], float | None] | None = None
    p_behind: float = 1.0
    few: bool = False

    def is_decidable(self, tolerance: float, z: float, *, number: int) -> bool:
        """Whether a group of this size would pass in nearly every audit if none of the `number` groups were behind."""
        error = (self.exact.high - self.exact.low) / (2 * z)
        return not self.few and tolerance > (z + sure_to_pass(number)) * error


def sure_to_pass(number: int) -> float:
    """One-sided normal quantile at which `number` groups that are not behind all pass in 99 of 100 audits (Bonferroni).

    Without the correction, at least one of 40 such groups is a REVIEW in a third of audits.

    >>> round(sure_to_pass(1), 2), round(sure_to_pass(40), 2)
    (2.33, 3.48)
    """
    return z_of(1 - (1 - _SURE) / max(1, number))


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
    above it. In between, REVIEW where the group is behind beyond chance or is large enough that it should have passed,
    and NOT ENOUGH DATA otherwise. PASS and FAIL must hold on the rounded counts too, so that no verdict contradicts
    the range that is printed beside it. `alike` holds p-values of the test that all groups of a grouping are equal; no
    group of a grouping FAILs where that test is not significant.
    """
    harms = [harm(one) for one in compared]
    tested = [(one, measured) for one, measured in zip(compared, harms, strict=True) if measured]
    groupings = [one.grouping for one, _ in tested]
    exact = adjust_within_families([measured.p_value for _, measured in tested], groupings)
    # A second correction of p-values from rounded counts, since exact ones would reveal the hidden counts.
    printed = adjust_within_families([1.0 if h.printed_p is None else h.printed_p for _, h in tested], groupings)
    behind = adjust_within_families([measured.p_behind for _, measured in tested], groupings)
    # Each grouping is a family; a sign of harm must not be found in one of them by chance.
    families = max(1, len(set(groupings)))
    judge = _Judge(
        evidence.policy,
        tolerance=tolerance,
        measure=measure,
        alike=alike or {},
        families=families,
        number=len(tested),
    )
    answers = (
        judge.check(one, measured, _Adjusted(*p_values), level=level)
        for (one, measured), *p_values, level in zip(
            tested, exact, printed, behind, _levels(tested, evidence.policy), strict=True
        )
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
class _Adjusted:
    """P-values of one group, corrected for the number of groups."""

    exact: float
    printed: float
    behind: float


@dataclass(frozen=True)
class _Judge:
    """The limit, measure and policy by which one gate judges every group."""

    policy: Policy
    tolerance: float
    measure: str
    alike: Mapping[str, float]
    families: int
    number: int

    def check(self, one: GroupComparison, harm: Harm, adjusted: _Adjusted, *, level: float) -> Check:
        """The verdict on one group."""
        verdict = self._verdict(one, harm, adjusted)
        smallest = harm.detectable(level) if harm.detectable else None
        return Check(
            one.grouping,
            one.group,
            verdict,
            self.measure,
            self._sentence(one, harm, verdict),
            harm.printed,
            None if harm.printed_p is None else as_tested(adjusted.printed, 1 - self.policy.confidence),
            detectable=None if smallest is None else round(smallest, 3),
            weight=one.weight,
        )

    def _sentence(self, one: GroupComparison, harm: Harm, verdict: Verdict) -> str:
        points = f"{100 * self.tolerance:g}"
        alone = verdict is Verdict.REVIEW and harm.printed is not None and harm.printed.low > self.tolerance
        meaning = _ALONE if alone else _FEW[verdict] if harm.few else _MEANING[verdict]
        return meaning.format(name=one.group.name, points=points, smallest=self.policy.smallest_group)

    def _verdict(self, one: GroupComparison, harm: Harm, adjusted: _Adjusted) -> Verdict:
        level, z = 1 - self.policy.confidence, z_of(self.policy.confidence)
        # PASS needs the upper bound below the limit, and not only an insignificant gap: absence of evidence is no pass.
        highest = max(harm.exact.high, harm.printed.high if harm.printed else harm.exact.high)
        if not harm.few and highest < self.tolerance:
            return Verdict.PASS
        differ = harm.few or self.alike.get(one.grouping, 0.0) < level
        worst = max(adjusted.exact, 0.0 if harm.printed_p is None else adjusted.printed)
        if differ and worst < level:
            return Verdict.FAIL
        doubtful = adjusted.behind < level / self.families or harm.is_decidable(self.tolerance, z, number=self.number)
        return Verdict.REVIEW if doubtful else Verdict.NOT_ENOUGH_DATA


def as_tested(p_value: float, level: float) -> float:
    """A p-value rounded to three decimals so that it stays on the side of `level` on which it was tested.

    >>> as_tested(0.0496, 0.05), as_tested(0.05004, 0.05), as_tested(3e-16, 0.05)
    (0.049, 0.051, 0.001)
    """
    step = 1000
    below = p_value < level
    rounded = round(p_value, 3)
    if below and rounded >= level:
        rounded = (math.ceil(level * step) - 1) / step
    if not below and rounded <= level:
        rounded = (math.floor(level * step) + 1) / step
    # A p-value is never 0: the smallest that three decimals hold means "at most".
    return min(1.0, max(rounded, 1 / step))


_MEANING = {
    Verdict.PASS: "{name}: not more than {points} points behind.",
    Verdict.REVIEW: "{name}: may be {points} points or more behind; it could be chance.",
    Verdict.FAIL: "{name}: more than {points} points behind, and chance does not explain it.",
    Verdict.NOT_ENOUGH_DATA: "{name}: not enough data to say whether it is {points} points behind.",
}
_ALONE = (
    "{name}: more than {points} points behind if it were looked at alone; among as many groups as are compared "
    "it could be chance."
)
_FEW = {
    Verdict.REVIEW: "{name}: few missed appointments, and fewer of them reached than elsewhere; "
    "whether that is {points} points or more is not certain.",
    Verdict.FAIL: "{name}: more than {points} points behind. Few missed appointments, but so few of them reached that "
    "chance does not explain it.",
    Verdict.NOT_ENOUGH_DATA: "{name}: not enough data to say. A verdict needs {smallest} missed appointments.",
}


def not_enough(comparison: GroupComparison, evidence: Evidence, *, measure: str) -> Check:
    """The answer for a group too small to judge: not enough data, never a pass."""
    sentence = (
        f"{comparison.group.name}: not enough data to say. A verdict needs "
        f"{evidence.policy.smallest_group} missed appointments."
    )
    return Check(
        comparison.grouping, comparison.group, Verdict.NOT_ENOUGH_DATA, measure, sentence, weight=comparison.weight
    )


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
    parts = [f"{bad}: {', '.join(names)}."] if names else []
    if number[Verdict.PASS] == len(checks):
        parts.append(f"All {len(checks)} groups are {good}." if len(checks) > 1 else f"The group is {good}.")
    elif well := number[Verdict.PASS]:
        parts.append(f"{_groups(well)} {'is' if well == 1 else 'are'} {good}.")
    if number[Verdict.REVIEW]:
        parts.append(f"Of {_groups(number[Verdict.REVIEW]).lower()} we cannot tell: it could be chance.")
    if number[Verdict.NOT_ENOUGH_DATA]:
        parts.append(f"Of {_groups(number[Verdict.NOT_ENOUGH_DATA]).lower()} there is not enough data to say.")
    return " ".join(parts)


def _groups(number: int) -> str:
    return "One group" if number == 1 else f"{number} groups"

"""What a gate can say, and how many small answers become one."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from dnapredict.fairness.measure.intervals import Interval
from dnapredict.fairness.measure.membership import Group


class Verdict(StrEnum):
    """The answer of a gate. *Not enough data* is an answer of its own, never a pass."""

    PASS = "PASS"  # noqa: S105 - a verdict, not a password
    REVIEW = "REVIEW"
    FAIL = "FAIL"
    NOT_ENOUGH_DATA = "NOT ENOUGH DATA"


class Cause(StrEnum):
    """Why a group is reached less (fairness-audit, section 5)."""

    LOWER_NEED = "lower need"
    WEAKER_INFORMATION = "weaker information"
    UNDER_SCORED = "under-scored"


@dataclass(frozen=True)
class Check:
    """One group under one gate. The numbers may be printed: they come from rounded counts.

    `detectable` is the smallest true gap that this audit would call a FAIL in 8 of 10 cases.
    """

    grouping: str
    group: Group
    verdict: Verdict
    measure: str
    sentence: str
    estimate: Interval | None = None
    p_adjusted: float | None = None
    cause: Cause | None = None
    detectable: float | None = None


@dataclass(frozen=True)
class Gate:
    """One question that the audit asks, its answer and what the answer rests on."""

    code: str
    title: str
    question: str
    verdict: Verdict
    sentence: str
    checks: tuple[Check, ...] = ()
    notes: tuple[str, ...] = ()
    judged: bool = True  # False: shown for information, no part of the verdict


def summed_up(checks: Sequence[Check]) -> Verdict:
    """The verdict of a gate from its groups.

    A fail of one group fails the gate. Where fewer than half of the groups can be judged the answer
    is *not enough data*; then a review of one group is a review. A gate passes when every group
    that can be judged does; the groups that cannot are the business of gate G7.

    >>> def check(verdict): return Check("ethnicity", Group("A", "A"), verdict, "reach", "")
    >>> summed_up([check(Verdict.PASS), check(Verdict.REVIEW)]).value
    'REVIEW'
    >>> summed_up([]).value
    'NOT ENOUGH DATA'
    """
    found = [check.verdict for check in checks]
    judged = [verdict for verdict in found if verdict is not Verdict.NOT_ENOUGH_DATA]
    if Verdict.FAIL in found:
        return Verdict.FAIL
    if not judged or 2 * len(judged) < len(found):
        return Verdict.NOT_ENOUGH_DATA
    return Verdict.REVIEW if Verdict.REVIEW in found else Verdict.PASS


def overall(gates: Sequence[Gate], *, primary: str) -> Verdict:
    """The verdict of the report: a fail of any gate fails, and without the primary gate nothing passes."""
    verdicts = {gate.code: gate.verdict for gate in gates if gate.judged}
    if Verdict.FAIL in verdicts.values():
        return Verdict.FAIL
    if verdicts.get(primary) is not Verdict.PASS:
        return verdicts.get(primary, Verdict.NOT_ENOUGH_DATA)
    others = set(verdicts.values()) - {Verdict.PASS}
    return Verdict.REVIEW if others else Verdict.PASS

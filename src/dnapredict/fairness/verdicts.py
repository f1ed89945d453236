"""Verdicts of checks and gates, and the rules that combine them."""

import dataclasses
import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from dnapredict.fairness.measure.intervals import Interval
from dnapredict.fairness.measure.membership import Group


class Verdict(StrEnum):
    """The verdict of a check, a gate or the audit. *Not enough data* is never a pass."""

    PASS = "PASS"  # noqa: S105 - a verdict, not a password
    REVIEW = "REVIEW"
    FAIL = "FAIL"
    NOT_ENOUGH_DATA = "NOT ENOUGH DATA"


class Cause(StrEnum):
    """Why a group is reached less (fairness-audit, section 10). Each but `UNKNOWN` needs evidence."""

    LOWER_NEED = "lower need"
    WEAKER_INFORMATION = "weaker information"
    UNDER_SCORED = "under-scored"
    OVER_SCORED = "over-scored"
    SQUEEZED_RISKS = "squeezed risks"
    LABEL = "how missed appointments are recorded"
    MIX = "mix of clinics"
    OTHER_GROUP = "another group that it overlaps with"
    CAPACITY = "who is called at the same risk"
    CALLS = "effect of calls"
    UNKNOWN = "cause not known"

    @property
    def explains(self) -> bool:
        """Whether a gap with this cause is no fault of the list, so that a person looks and nothing fails."""
        return self in (Cause.LOWER_NEED, Cause.MIX, Cause.OTHER_GROUP)


ACTIONS: Final[Mapping[Cause, str]] = MappingProxyType(
    {
        Cause.LOWER_NEED: "no action by default; a named person looks",
        Cause.WEAKER_INFORMATION: "find factors that say more of this group, give it a fair share of calls, "
        "or offer a route that needs no model",
        Cause.UNDER_SCORED: "recalibrate the risks of this group, and check how missed appointments are recorded",
        Cause.OVER_SCORED: "recalibrate the risks of this group: fewer miss than the model says",
        Cause.SQUEEZED_RISKS: "recalibrate the spread of the risks of this group: the highest are stated too low",
        Cause.LABEL: "check how missed appointments are recorded, before any other figure is believed",
        Cause.MIX: "compare within clinics; the clinics that this group uses differ",
        Cause.OTHER_GROUP: "correct the finding about the group that it overlaps with",
        Cause.CAPACITY: "look at who is called: at the same risk this group is called less",
        Cause.CALLS: "no action on the list; judge on appointments that were not called, as here",
        Cause.UNKNOWN: "a named person looks into it before the list is used",
    }
)


@dataclass(frozen=True)
class GapPart:
    """Points of a group's gap in reach that are due to one cause; positive: the group is behind for it."""

    cause: Cause
    points: Interval
    action: str


@dataclass(frozen=True)
class GroupFinding:
    """One group that is behind or fails: the worst verdict on it, its gap in reach, why, and what closes it.

    `parts` add up to `gap`; both are None or empty where they must be hidden or cannot be estimated.
    """

    grouping: str
    group: Group
    verdict: Verdict
    gap: Interval | None
    parts: tuple[GapPart, ...]
    cause: Cause
    sentence: str
    action: str


@dataclass(frozen=True)
class Check:
    """The verdict on one group in one gate. Its numbers may be printed: they come from rounded counts.

    `detectable` is the smallest true gap that this audit would call a FAIL in 8 of 10 cases. `weight` is the group's
    share of all appointments, to two decimals; in a result it is from rounded counts, and 0 where it must be hidden.
    `is_explained` means that the gap is shown not to be caused by the list: a named person reviews it, and the list may
    pass.
    `enough_by` is the end of the month in which there will be enough data for a pass, if the group is not behind.
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
    weight: float = 1.0
    is_explained: bool = False
    enough_by: datetime.date | None = None


@dataclass(frozen=True)
class Gate:
    """One question of the audit, its verdict and the checks of the groups."""

    code: str
    title: str
    question: str
    verdict: Verdict
    sentence: str
    checks: tuple[Check, ...] = ()
    notes: tuple[str, ...] = ()
    judged: bool = True  # False: shown for information, no part of the verdict


def combine_checks(checks: Sequence[Check]) -> Verdict:
    """The verdict of a gate from its groups.

    A FAIL of one group fails the gate. Otherwise, where the groups that can be judged hold fewer than half of the
    people, the verdict is NOT ENOUGH DATA. Otherwise a REVIEW of one group is a REVIEW. A gate passes when every group
    that can be judged passes; gate G7 is about the groups that cannot.

    >>> def check(verdict): return Check("ethnicity", Group("A", "A"), verdict, "reach", "")
    >>> combine_checks([check(Verdict.PASS), check(Verdict.REVIEW)]).value
    'REVIEW'
    >>> combine_checks([]).value
    'NOT ENOUGH DATA'
    """
    verdicts = [check.verdict for check in checks]
    judged = [check for check in checks if check.verdict is not Verdict.NOT_ENOUGH_DATA]
    if Verdict.FAIL in verdicts:
        return Verdict.FAIL
    if not judged or 2 * sum(check.weight for check in judged) < sum(check.weight for check in checks):
        return Verdict.NOT_ENOUGH_DATA
    return Verdict.REVIEW if Verdict.REVIEW in verdicts else Verdict.PASS


def overall_verdict(gates: Sequence[Gate], *, primary: str) -> Verdict:
    """The verdict of the audit: a FAIL of any judged gate fails it, and it passes only if the primary gate does."""
    verdicts = {gate.code: gate.verdict for gate in gates if gate.judged}
    if Verdict.FAIL in verdicts.values():
        return Verdict.FAIL
    if verdicts.get(primary) is not Verdict.PASS:
        return verdicts.get(primary, Verdict.NOT_ENOUGH_DATA)
    others = set(verdicts.values()) - {Verdict.PASS}
    return Verdict.REVIEW if others else Verdict.PASS


@dataclass(frozen=True)
class AuditVerdicts:
    """Verdicts apart: on the list (is it fair?), on the records, and on the level of all risks.

    Records that are incomplete do not stop a fair list from passing, nor do risks that are too high for everyone.
    """

    list: Verdict
    records: Verdict
    level: Verdict


LIST_GATES: Final = ("G2", "G3", "G3b", "G4", "G5", "G6")
RECORD_GATES: Final = ("G0", "G1", "G7")
LEVEL_GATES: Final = ("G8",)


def separate_verdicts(gates: Sequence[Gate], *, primary: str) -> AuditVerdicts:
    """The verdicts on list, records and level.

    The list passes where every group that can be judged is inside the limits, or its gap is shown to be no fault of
    the list. Records and level have the worst verdict of their gates.
    """
    judged = [gate for gate in gates if gate.judged]
    of_list = [_without_explained(gate) for gate in judged if gate.code in LIST_GATES]
    records, level = ([gate.verdict for gate in judged if gate.code in codes] for codes in (RECORD_GATES, LEVEL_GATES))
    return AuditVerdicts(overall_verdict(of_list, primary=primary), _worst(records), _worst(level))


def _without_explained(gate: Gate) -> Gate:
    """The gate as if gaps that are shown to be no fault of the list were none."""
    if not any(check.is_explained for check in gate.checks):
        return gate
    checks = [dataclasses.replace(c, verdict=Verdict.PASS) if c.is_explained else c for c in gate.checks]
    return dataclasses.replace(gate, verdict=combine_checks(checks))


_WORST_FIRST: Final = (Verdict.FAIL, Verdict.REVIEW, Verdict.NOT_ENOUGH_DATA, Verdict.PASS)


def _worst(verdicts: Sequence[Verdict]) -> Verdict:
    return min(verdicts, key=_WORST_FIRST.index, default=Verdict.NOT_ENOUGH_DATA)


def furthest_behind(checks: Sequence[Check]) -> Check | None:
    """The judged group with the largest gap to everyone else; None where no group is behind, or it is hidden."""
    behind = [
        (check.estimate.value, check)
        for check in checks
        if check.estimate is not None and check.estimate.value > 0 and check.verdict is not Verdict.NOT_ENOUGH_DATA
    ]
    return max(behind, key=lambda pair: pair[0])[1] if behind else None

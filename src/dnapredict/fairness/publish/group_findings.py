"""The largest gaps of all comparisons: who is behind, by how much, why, and what closes the gap."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dnapredict.fairness.compare.causes import points_range
from dnapredict.fairness.compare.comparisons import Evidence, GroupComparison
from dnapredict.fairness.compare.gap_parts import GapPoints
from dnapredict.fairness.gates.search_gate import SEARCHED
from dnapredict.fairness.measure.intervals import Interval
from dnapredict.fairness.verdicts import ACTIONS, Cause, Check, GapPart, Gate, GroupFinding, Verdict

_REACH: Final = "G3"
_MOST: Final = 12
_DECIMALS: Final = 3
_WORST_FIRST: Final = (Verdict.FAIL, Verdict.REVIEW, Verdict.NOT_ENOUGH_DATA, Verdict.PASS)


def group_findings(gates: Sequence[Gate], evidence: Evidence) -> tuple[GroupFinding, ...]:
    """The groups that are behind beyond chance or fail, the worst verdict and the largest gap first.

    A group has one finding, with the worst verdict of its gates; its gap is in reach, its parts add up to the gap as
    printed.
    """
    reach = {_key(check): check for gate in gates if gate.code == _REACH for check in gate.checks}
    compared = {(one.grouping, one.group.code): one for one in evidence.compared}
    worst = _worst_checks(gates)
    # In the order of the gates, not sets: the order of groups with equal gaps would differ from run to run.
    behind = [
        key
        for key, check in reach.items()
        if check.verdict is not Verdict.PASS and check.estimate is not None and check.estimate.low > 0
    ]
    failed = [key for key, check in worst.items() if check.verdict is Verdict.FAIL]
    found = [
        _finding(worst[key], reach.get(key), compared.get(key), evidence) for key in dict.fromkeys((*behind, *failed))
    ]
    found.sort(key=lambda one: (_WORST_FIRST.index(one.verdict), -(one.gap.value if one.gap else 0.0)))
    return tuple(found[:_MOST])


def _key(check: Check) -> tuple[str, str]:
    return check.grouping, check.group.code


def _worst_checks(gates: Sequence[Gate]) -> dict[tuple[str, str], Check]:
    """The check with the worst verdict of each group, that on reach first among equals."""
    worst: dict[tuple[str, str], Check] = {}
    judged = sorted((gate for gate in gates if gate.judged), key=lambda gate: gate.code != _REACH)
    for check in (check for gate in judged for check in gate.checks if check.grouping != "all"):
        best = worst.get(_key(check))
        if best is None or _WORST_FIRST.index(check.verdict) < _WORST_FIRST.index(best.verdict):
            worst[_key(check)] = check
    return worst


def _finding(worst: Check, reach: Check | None, comparison: GroupComparison | None, evidence: Evidence) -> GroupFinding:
    cause = worst.cause or (reach.cause if reach else None) or Cause.UNKNOWN
    gap = reach.estimate if reach else None
    parts = gap_parts(comparison, cause, gap, evidence) if comparison and gap else ()
    return GroupFinding(
        grouping=worst.grouping,
        group=worst.group,
        verdict=worst.verdict,
        gap=gap,
        parts=parts,
        cause=cause,
        sentence=_sentence(worst, gap),
        action=ACTIONS[cause],
    )


def _sentence(worst: Check, gap: Interval | None) -> str:
    if gap is None or worst.grouping == SEARCHED or gap.value <= 0:
        return worst.sentence
    points = f"{100 * gap.value:.0f} points (likely range {100 * gap.low:.0f} to {100 * gap.high:.0f})"
    return f"{worst.group.name}: {points} behind everyone else in reach."


def gap_parts(comparison: GroupComparison, cause: Cause, gap: Interval, evidence: Evidence) -> tuple[GapPart, ...]:
    """The parts of a printed gap by cause, largest first; they add up to it. Empty where they cannot be told."""
    why = comparison.why
    if why is None:
        return ()
    parts = _by_cause(why.points, cause, comparison, evidence)
    ranges = {name: points_range(points, z=evidence.z) for name, points in parts.items()}
    rounded = {name: round(one.value, _DECIMALS) for name, one in ranges.items()}
    # The gap is printed from rounded counts: what that changes goes to the largest part, so that parts add up to it.
    largest = max(rounded, key=lambda name: abs(rounded[name]))
    rounded[largest] = round(rounded[largest] + gap.value - sum(rounded.values()), 4)
    moved = {name: rounded[name] - one.value for name, one in ranges.items()}
    found = (
        GapPart(name, Interval(rounded[name], one.low + moved[name], one.high + moved[name]).rounded(), ACTIONS[name])
        for name, one in ranges.items()
        if rounded[name] != 0
    )
    return tuple(sorted(found, key=lambda part: -part.points.value))


def _by_cause(
    points: GapPoints, cause: Cause, comparison: GroupComparison, evidence: Evidence
) -> dict[Cause, NDArray[np.float64]]:
    """Points of each cause; need is divided into that of the clinics and that of the group."""
    of_group = points.need + points.information + points.slope + points.level
    if cause is Cause.LABEL:
        return {Cause.LABEL: of_group, Cause.CAPACITY: points.capacity}
    effect = evidence.effect(comparison)
    mix = np.zeros_like(points.need)
    if effect is not None and effect.share < 1:
        random = np.random.default_rng(0)
        mix = (-effect.mix.value + effect.mix.error * _standard(random, len(mix))) / (1 - effect.share)
    return {
        Cause.LOWER_NEED: points.need - mix,
        Cause.MIX: mix,
        Cause.WEAKER_INFORMATION: points.information,
        Cause.SQUEEZED_RISKS: points.slope,
        Cause.UNDER_SCORED: points.level,
        Cause.CAPACITY: points.capacity,
    }


def _standard(random: np.random.Generator, number: int) -> NDArray[np.float64]:
    """Normal draws, of which the first is 0: the estimate itself."""
    drawn = random.standard_normal(number)
    drawn[0] = 0.0
    return drawn

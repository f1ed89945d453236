"""What calls did to outcomes, by group: both arms of a trial, and reach as it was recorded.

Figures leave out outcomes after a call (`uncalled_outcomes`). Where a trial chose by lot whom to call, its arms show
for each group how much fewer miss with a call, and so whether calls are why a group looks behind in the records.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dnapredict.data.contract.codes import CONTROL, TREATMENT
from dnapredict.fairness.measure.audited_appointments import AuditData
from dnapredict.fairness.measure.intervals import Rate, RateDifference, Ratio
from dnapredict.fairness.measure.membership import Membership
from dnapredict.fairness.measure.pair_counts import CountCube
from dnapredict.fairness.measure.uncalled_outcomes import arms_of

ARM_COUNTS: Final = (
    *("treated", "treated_missed", "treated_expected", "control", "control_missed"),
    *("missed", "reached"),
)
"""Appointments of each arm, those missed, and the sum of the risks of those called (in billionths); then all that were
recorded as missed, and those of them on the list."""
_TREATED, _TREATED_MISSED, _TREATED_EXPECTED, _CONTROL, _CONTROL_MISSED, _MISSED, _REACHED = range(len(ARM_COUNTS))
_RISK_SCALE: Final = 10**9
Counts = NDArray[np.int64]


def count_arms(audited: AuditData, members: Iterable[Membership]) -> dict[str, CountCube]:
    """`ARM_COUNTS` of each group of each grouping, without weights; empty where no trial has both arms."""
    arm = arms_of(audited.table)
    treated, control = arm == TREATMENT, arm == CONTROL
    if not (treated.any() and control.any()):
        return {}
    missed, called = (audited.table[name].to_numpy(zero_copy_only=False).astype(bool) for name in ("dna", "selected"))
    risk = np.rint(audited.table["probability"].to_numpy() * _RISK_SCALE)
    weights = (treated, treated & missed, treated * risk, control, control & missed, missed, missed & called)
    return {one.grouping.name: _counted(one, weights) for one in members}


def _counted(members: Membership, weights: Sequence[NDArray[Any]]) -> CountCube:
    groups = sorted(range(len(members.groups)), key=lambda place: members.groups[place].code)
    sums = np.stack([np.bincount(members.index, each, minlength=len(groups)) for each in weights], axis=-1)
    return CountCube((tuple(members.groups[place].code for place in groups),), sums[groups].astype(np.int64))


def arms_with_others(cube: CountCube, code: str) -> tuple[Counts, Counts] | None:
    """`ARM_COUNTS` of a group and of everyone else; None where the group is not in it."""
    codes = cube.codes[0]
    if code not in codes:
        return None
    own = cube.sums[codes.index(code)]
    return own, cube.sums.sum(axis=0) - own


def effect_of_calls(counts: Counts, uncalled: Ratio, *, design_effect: float) -> RateDifference | None:
    """By how much a call lowers the logarithm of how many miss; None where an arm is too thin to say.

    Missed over expected of those called, against missed over expected of outcomes without a call (`uncalled`): the
    control arm alone is often a handful of a small group. By the arms themselves fewer of those called must miss.
    """
    treated, missed, control, control_missed = (
        float(counts[at]) for at in (_TREATED, _TREATED_MISSED, _CONTROL, _CONTROL_MISSED)
    )
    if min(treated, missed, control, control_missed, uncalled.numerator) <= 0:
        return None
    if missed / treated >= control_missed / control:
        return None
    called = missed / (float(counts[_TREATED_EXPECTED]) / _RISK_SCALE)
    effect = math.log(uncalled.numerator / uncalled.denominator) - math.log(called)
    return RateDifference(effect, math.hypot(math.sqrt(design_effect / missed), uncalled.log_error))


def recorded_reach(counts: Counts, *, design_effect: float) -> Rate:
    """Reach in the records, outcomes after a call included."""
    return Rate(float(counts[_REACHED]), float(counts[_MISSED]), design_effect)

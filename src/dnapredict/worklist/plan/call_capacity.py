"""The number of calls that can be made, for a list, a team, a clinic or a week."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dnapredict.config.worklist_config import WorklistConfig
from dnapredict.data.contract.calendar_weeks import week_of
from dnapredict.worklist.plan.ranking import NOBODY, RankingInputs, calls_for
from dnapredict.worklist.plan.working_days import working_days_of_week

_WORKING_DAYS: Final = 5
# A number of calls may differ by this share from the audited one: a colleague's leave needs no new audit.
_LIKE_AUDITED: Final = 0.25
# Share of a list's patients who may enter a trial. If all of them entered it, every patient without a call would be
# known to be held out.
_MOST_IN_TRIAL: Final = Fraction(1, 2)


def call_rules(worklist: WorklistConfig) -> dict[str, Any]:
    """The number of calls and the rules for sharing them: the settings on which an audit of the lists depends.

    Numbers are calls (or their share of a list, below 1), by team; other values are texts.
    """
    teams = {f"team {team.name}": team.capacity for team in worklist.teams}
    calls = worklist.capacity or worklist.capacity_share
    floor = {"floor_share": str(worklist.floor_share)} if worklist.allocation == "floor" else {}
    unit = ", ".join(worklist.capacity_per)
    benefit = {} if worklist.benefit is None else {"benefit": worklist.benefit.digest}
    return {"calls": calls, **teams, "capacity_per": unit, "allocation": worklist.allocation, **floor, **benefit}


def differ_from_audited(worklist: WorklistConfig, audited: Mapping[str, Any]) -> bool:
    """Whether lists are made by other rules than the audited ones (`call_rules`), or with over a quarter more or fewer
    calls.
    """
    now = call_rules(worklist)
    return now.keys() != audited.keys() or any(_differ(now[name], audited[name]) for name in now)


def _differ(now: float | str, audited: float | str) -> bool:
    if isinstance(now, str) or isinstance(audited, str):
        return now != audited
    # A share and a number of calls cannot be compared.
    return (now < 1) != (audited < 1) or abs(now - audited) > _LIKE_AUDITED * audited


@dataclass(frozen=True)
class CallCapacity:
    """The calls that can be made.

    Attributes
    ----------
    group
        Of each appointment, the group (team, clinic, week) whose calls it competes for.
    number
        The number of calls of each group.
    """

    group: NDArray[np.int64]
    number: NDArray[np.int64]


def call_capacity(inputs: RankingInputs, *, config: WorklistConfig, capacity: int | None = None) -> CallCapacity:
    """The capacity of a list: `capacity` for the whole list, or as configured.

    Raises
    ------
    UsageError
        If `capacity` is below 1.
    """
    n = len(inputs)
    if capacity is not None or not (config.teams or config.capacity_per):
        number = calls_for(n, config=config, capacity=capacity)
        return CallCapacity(np.zeros(n, dtype=np.int64), np.array([number]))
    group = inputs.team
    for part in _parts(inputs, config):
        group = (group + 1) * (part.max(initial=0) + 2) + part + 1  # one number for each combination; unknown is -1
    _, first, group, sizes = np.unique(group, return_index=True, return_inverse=True, return_counts=True)
    numbers = [
        _number(int(inputs.team[row]), int(size), call_by=inputs.call_by[[row]], config=config)
        for row, size in zip(first, sizes, strict=True)
    ]
    return CallCapacity(group.reshape(-1).astype(np.int64), np.array(numbers, dtype=np.int64))


def capacity_in_trial(
    calls: CallCapacity,
    inputs: RankingInputs,
    *,
    opted_out: NDArray[np.bool_],
    passed_over: NDArray[np.bool_],
    held_out: Fraction,
) -> CallCapacity:
    """The calls of a list in a trial: at most half of the patients of each group are in it, called or held out.

    Parameters
    ----------
    opted_out
        Rows of patients who are in no arm. They have an action of their own, among which nobody who is held out hides.
    passed_over
        Rows whose patient was called before. They count as called: otherwise, of a list that is exported again after
        each round of calls, only those held out would be left.
    held_out
        The share of the patients held out.
    """
    groups = len(calls.number)
    most = _patients(calls.group, inputs.patient, ~opted_out, groups) * float(_MOST_IN_TRIAL * (1 - held_out))
    called = _patients(calls.group, inputs.patient, passed_over & ~opted_out, groups)
    # Rounded down, but not by an error of the last digit.
    most = np.maximum(np.floor(most + 1e-9) - called, 0).astype(np.int64)
    return CallCapacity(calls.group, np.minimum(calls.number, most))


def _patients(
    group: NDArray[np.int64], patient: NDArray[np.int64], inside: NDArray[np.bool_], groups: int
) -> NDArray[np.int64]:
    """The number of patients of each group; a row of an unknown patient counts as one."""
    rows = np.flatnonzero(inside)
    each = np.where(patient[rows] == NOBODY, -2 - rows, patient[rows])
    pairs = np.unique(np.column_stack([group[rows], each]), axis=0)
    return np.bincount(pairs[:, 0], minlength=groups)


def _parts(inputs: RankingInputs, config: WorklistConfig) -> list[NDArray[np.int64]]:
    parts = []
    if "clinic" in config.capacity_per:
        parts.append(inputs.clinic)
    if "week" in config.capacity_per:
        parts.append(week_of(inputs.call_by))
    return parts


def _number(team: int, size: int, *, call_by: NDArray[np.datetime64], config: WorklistConfig) -> int:
    """The calls of a group of `size` appointments, one of which is due on `call_by`."""
    number = config.teams[team].capacity if team != NOBODY else config.capacity
    if number is None:
        return calls_for(size, config=config)
    if "week" in config.capacity_per:
        days = working_days_of_week(int(week_of(call_by)[0]))
        number = max(1, number * days // _WORKING_DAYS)
    return min(number, size)

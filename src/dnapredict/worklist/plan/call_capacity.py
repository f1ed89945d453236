"""The number of calls that can be made, for a list, a team, a clinic or a week."""

from collections.abc import Mapping
from dataclasses import dataclass
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

"""Rank appointments, choose as many as there are calls, and say what to do."""

from collections.abc import Container, Sequence

import numpy as np
from numpy.typing import NDArray

from dnapredict.config.worklist import WorklistConfig
from dnapredict.errors import UsageError
from dnapredict.lists.allocation import allocated

__all__ = ["action_for", "bands", "calls_for", "chosen", "ranks", "select_by_week"]

_EPOCH_THURSDAY_TO_MONDAY = 3
_WEEK = 7


def ranks(probability: NDArray[np.float64], selected: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
    """Place of each appointment on the worklist: those to call first, the highest risk first.

    Ties keep the order of the list. Without `selected`, or where the highest risks are called, this is
    the rank of the risk.

    >>> ranks(np.array([0.2, 0.5, 0.2])).tolist()
    [2, 1, 3]
    >>> ranks(np.array([0.2, 0.5, 0.3]), np.array([True, False, False])).tolist()
    [1, 2, 3]
    """
    called = np.zeros(len(probability), dtype=bool) if selected is None else selected
    order = np.lexsort((-probability, ~called))
    place = np.empty(len(probability), dtype=np.int64)
    place[order] = np.arange(1, len(probability) + 1)
    return place


def calls_for(appointments: int, *, config: WorklistConfig, capacity: int | None = None) -> int:
    """How many of a list's appointments can be called: what was asked, else the configured number or share.

    A share is rounded up, so that a short list still gets its call.

    Raises
    ------
    UsageError
        If `capacity` is below 1.
    """
    if capacity is not None and capacity < 1:
        raise UsageError(f"A capacity of {capacity} calls was asked for; it must be at least 1.")
    wanted = capacity or config.capacity or int(np.ceil(config.capacity_share * appointments))
    return min(wanted, appointments)


def chosen(
    probability: NDArray[np.float64],
    decile: NDArray[np.float64],
    *,
    config: WorklistConfig,
    capacity: int | None = None,
) -> NDArray[np.bool_]:
    """Who is called of one list, under the configured number of calls and rule of sharing them.

    Parameters
    ----------
    decile : (n,) float
        IMD decile of the area, NaN where it is not known.
    """
    calls = calls_for(len(probability), config=config, capacity=capacity)
    return allocated(probability, decile, calls=calls, rule=config.allocation, floor_share=config.floor_share)


def select_by_week(
    probability: NDArray[np.float64],
    decile: NDArray[np.float64],
    *,
    starts_at: NDArray[np.datetime64],
    config: WorklistConfig,
) -> NDArray[np.bool_]:
    """Who would have been called, week by week, under the configured capacity and rule.

    Parameters
    ----------
    starts_at : (n,) datetime64
        Each calendar week, Monday to Sunday, is one list.
    """
    days = starts_at.astype("datetime64[D]").astype(np.int64)
    weeks = (days + _EPOCH_THURSDAY_TO_MONDAY) // _WEEK
    selected = np.zeros(len(probability), dtype=bool)
    order = np.argsort(weeks, kind="stable")
    for week in np.split(order, np.flatnonzero(np.diff(weeks[order])) + 1):
        selected[week] = chosen(probability[week], decile[week], config=config)
    return selected


def bands(probability: NDArray[np.float64], *, config: WorklistConfig) -> list[str]:
    """The name of the band of each risk."""
    starts = np.array([band.from_probability for band in config.bands])
    first = (probability[:, None] >= starts[None, :]).argmax(axis=1) if len(probability) else []
    return [config.bands[position].name for position in first]


def action_for(factors: Sequence[str], *, config: WorklistConfig, without: Container[str | None] = ()) -> str:
    """What to do for an appointment whose reasons rest on `factors`, the strongest first.

    Actions of the kinds `without` are passed over: a need of the patient already stands for them.
    """
    agreed = (config.action_of(name) for name in factors)
    found = (action.do for action in agreed if action is not None and action.kind not in without)
    return next(found, config.default_action)

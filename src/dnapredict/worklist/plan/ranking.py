"""Ranking: appointments as arrays, their ranks and bands, and the action to offer."""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dnapredict.config.worklist_config import WorklistConfig
from dnapredict.errors import UsageError
from dnapredict.worklist.plan import needs
from dnapredict.worklist.plan.allocation import allocated
from dnapredict.worklist.plan.working_days import due

# Stands for a patient or a group that is not known.
NOBODY: Final = -1
# The contract columns that are weighed, beside what was judged.
WEIGHED: Final = (
    "imd_decile",
    "patient_id",
    "clinic_code",
    "site_code",
    "treatment_function_code",
    "starts_local",
    *needs.COLUMNS,
    "opt_out",
)


@dataclass(frozen=True)
class RankingInputs:
    """The appointments of a list, arrays of one length in the order of the list.

    Attributes
    ----------
    decile
        IMD decile of the area, NaN where it is not known.
    patient
        A number for each patient of the list, `NOBODY` where the patient is not known.
    day
        Local day of the appointment.
    call_by
        The day by which to call.
    """

    table: pa.Table
    probability: NDArray[np.float64]
    decile: NDArray[np.float64]
    patient: NDArray[np.int64]
    day: NDArray[np.datetime64]
    call_by: NDArray[np.datetime64]

    @classmethod
    def of(cls, judged: pa.Table, *, config: WorklistConfig) -> "RankingInputs":
        """Read it off a table with `probability` and the columns of `WEIGHED`."""
        day = judged["starts_local"].to_numpy().astype("datetime64[D]")
        before = config.call_working_days_before
        return cls(
            judged,
            probability=judged["probability"].to_numpy(),
            decile=judged["imd_decile"].cast("float64").to_numpy(),
            patient=_numbers(judged["patient_id"]),
            day=day,
            call_by=day if before is None else due(day, working_days_before=before),
        )

    def __len__(self) -> int:
        return len(self.probability)

    @cached_property
    def clinic(self) -> NDArray[np.int64]:
        """A number for each clinic."""
        return _numbers(self.table["clinic_code"])

    def is_one_of(self, column: str, codes: Sequence[str]) -> NDArray[np.bool_]:
        """Which appointments have one of these `codes` in `column`."""
        found = pc.is_in(self.table[column], value_set=pa.array(codes, pa.string()))
        return np.asarray(found.to_numpy(), dtype=bool)


def _numbers(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """Equal texts have equal numbers, and those that are missing have `NOBODY`."""
    codes = column.combine_chunks().dictionary_encode().indices
    return np.asarray(codes.cast(pa.int64()).fill_null(NOBODY))


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

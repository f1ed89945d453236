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
from dnapredict.worklist.plan.working_days import call_by_day, week_of

# The code of an unknown patient or group.
NOBODY: Final = -1
# The contract columns that the call plan needs, in addition to the predictions.
RANKING_COLUMNS: Final = (
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
        A code for each patient of the list; `NOBODY` if unknown.
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
    def of(cls, table: pa.Table, *, config: WorklistConfig) -> "RankingInputs":
        """Read the arrays from a table with `probability` and `RANKING_COLUMNS`."""
        day = table["starts_local"].to_numpy().astype("datetime64[D]")
        before = config.call_working_days_before
        return cls(
            table,
            probability=table["probability"].to_numpy(),
            decile=table["imd_decile"].cast("float64").to_numpy(),
            patient=_numbers(table["patient_id"]),
            day=day,
            call_by=day if before is None else call_by_day(day, working_days_before=before),
        )

    def __len__(self) -> int:
        return len(self.probability)

    @cached_property
    def clinic(self) -> NDArray[np.int64]:
        """An integer code for each clinic."""
        return _numbers(self.table["clinic_code"])

    def is_one_of(self, column: str, codes: Sequence[str]) -> NDArray[np.bool_]:
        """A mask of the appointments with one of these `codes` in `column`."""
        is_in = pc.is_in(self.table[column], value_set=pa.array(codes, pa.string()))
        return np.asarray(is_in.to_numpy(), dtype=bool)


def _numbers(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """Integer codes of the texts, equal for equal texts; `NOBODY` for null."""
    codes = column.combine_chunks().dictionary_encode().indices
    return np.asarray(codes.cast(pa.int64()).fill_null(NOBODY))


def ranks(probability: NDArray[np.float64], selected: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
    """Rank of each appointment on the worklist, from 1: those to call first, the highest risk first.

    Ties keep the order of the list. Without `selected`, or where the highest risks are called, this is
    the rank of the risk.

    >>> ranks(np.array([0.2, 0.5, 0.2])).tolist()
    [2, 1, 3]
    >>> ranks(np.array([0.2, 0.5, 0.3]), np.array([True, False, False])).tolist()
    [1, 2, 3]
    """
    called = np.zeros(len(probability), dtype=bool) if selected is None else selected
    order = np.lexsort((-probability, ~called))
    rank = np.empty(len(probability), dtype=np.int64)
    rank[order] = np.arange(1, len(probability) + 1)
    return rank


def calls_for(appointments: int, *, config: WorklistConfig, capacity: int | None = None) -> int:
    """The number of calls for a list: `capacity`, else the configured number or share.

    A share is rounded up, so that even a short list gets a call.

    Raises
    ------
    UsageError
        If `capacity` is below 1.
    """
    if capacity is not None and capacity < 1:
        raise UsageError(f"A capacity of {capacity} calls was asked for; it must be at least 1.")
    wanted = capacity or config.capacity or int(np.ceil(config.capacity_share * appointments))
    return min(wanted, appointments)


def select_calls(
    probability: NDArray[np.float64],
    decile: NDArray[np.float64],
    *,
    config: WorklistConfig,
    capacity: int | None = None,
) -> NDArray[np.bool_]:
    """A mask of the rows of one list that are called, under the configured capacity and allocation rule.

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
    """A mask of the rows that would have been called, week by week, under the configured capacity and rule.

    Parameters
    ----------
    starts_at : (n,) datetime64
        Each calendar week, Monday to Sunday, is one list.
    """
    weeks = week_of(starts_at.astype("datetime64[D]"))
    selected = np.zeros(len(probability), dtype=bool)
    order = np.argsort(weeks, kind="stable")
    for week in np.split(order, np.flatnonzero(np.diff(weeks[order])) + 1):
        selected[week] = select_calls(probability[week], decile[week], config=config)
    return selected


def bands(probability: NDArray[np.float64], *, config: WorklistConfig) -> list[str]:
    """The name of the band of each risk."""
    starts = np.array([band.from_probability for band in config.bands])
    first = (probability[:, None] >= starts[None, :]).argmax(axis=1) if len(probability) else []
    return [config.bands[index].name for index in first]


def action_for(factors: Sequence[str], *, config: WorklistConfig, without: Container[str | None] = ()) -> str:
    """The action for an appointment whose reasons are from `factors`, the strongest first.

    Actions of the kinds `without` are skipped, since a need of the patient already covers them.
    """
    actions = (config.action_of(name) for name in factors)
    offers = (action.do for action in actions if action is not None and action.kind not in without)
    return next(offers, config.default_action)

"""Ranking: appointments as arrays, their ranks and bands, and the action to offer."""

from collections.abc import Container, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dnapredict.config.worklist_config import WorklistConfig
from dnapredict.errors import ConfigurationError, UsageError
from dnapredict.model.cohort import appointment_keys
from dnapredict.worklist.plan import needs
from dnapredict.worklist.plan.benefit_ranking import MODE_COLUMNS, expected_benefit, is_remote
from dnapredict.worklist.plan.working_days import call_by_day

# The code of an unknown patient or group.
NOBODY: Final = -1
ASSIGNMENT_COLUMNS: Final = (
    "imd_decile",
    "patient_id",
    "clinic_code",
    "site_code",
    "treatment_function_code",
    "starts_local",
    "opt_out",
    *MODE_COLUMNS,
)
"""The contract columns that decide who is called, in addition to `appointment_id` and the risk."""

RANKING_COLUMNS: Final = tuple(dict.fromkeys((*ASSIGNMENT_COLUMNS, *needs.COLUMNS)))
"""The same, and those that decide what is offered."""


@dataclass(frozen=True)
class RankingInputs:
    """The appointments of a list, arrays of one length in the order of the list.

    Attributes
    ----------
    place
        Rank by risk alone, or by the expected benefit of a call where it ranks the list, from 0. Ties are broken by
        a hash of the appointment's identifier, so that neither the order of the list nor anything about the patient
        decides.
    decile
        IMD decile of the area, NaN where it is not known.
    patient, clinic
        A code for each patient and clinic of the list; `NOBODY` if unknown.
    team
        The first configured team that matches; `NOBODY` where none does.
    day
        Local day of the appointment.
    call_by
        The day by which to call.
    """

    probability: NDArray[np.float64]
    place: NDArray[np.int64]
    decile: NDArray[np.float64]
    patient: NDArray[np.int64]
    clinic: NDArray[np.int64]
    team: NDArray[np.int64]
    day: NDArray[np.datetime64]
    call_by: NDArray[np.datetime64]

    @classmethod
    def of(
        cls, table: pa.Table, *, config: WorklistConfig, probability: NDArray[np.float64] | None = None
    ) -> "RankingInputs":
        """Read the arrays from a table with `appointment_id` and `ASSIGNMENT_COLUMNS`.

        The risks are its column `probability`, or those given.
        """
        day = table["starts_local"].to_numpy().astype("datetime64[D]")
        before = config.call_working_days_before
        if probability is None:
            probability = table["probability"].to_numpy()
        return cls(
            probability,
            place=_places(_ranked_by(probability, table, config), table["appointment_id"]),
            decile=table["imd_decile"].cast("float64").to_numpy(),
            patient=text_codes(table["patient_id"]),
            clinic=text_codes(table["clinic_code"]),
            team=_teams(table, config),
            day=day,
            call_by=day if before is None else call_by_day(day, working_days_before=before),
        )

    @classmethod
    def of_risks(cls, probability: NDArray[np.float64], decile: NDArray[np.float64]) -> "RankingInputs":
        """Appointments of which only risk and decile are known, on one day; ties keep their order."""
        unknown = np.full(len(probability), NOBODY)
        day = np.zeros(len(probability), dtype="datetime64[D]")
        place = np.empty(len(probability), dtype=np.int64)
        place[np.argsort(-probability, kind="stable")] = np.arange(len(probability))
        return cls(probability, place, decile, patient=unknown, clinic=unknown, team=unknown, day=day, call_by=day)

    def __len__(self) -> int:
        return len(self.probability)

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """The rows from the highest risk down."""
        return np.argsort(self.place, kind="stable")

    def take(self, rows: NDArray[np.int64]) -> "RankingInputs":
        """The appointments of one of several lists."""
        return RankingInputs(*(getattr(self, field.name)[rows] for field in fields(self)))


def _ranked_by(probability: NDArray[np.float64], table: pa.Table, config: WorklistConfig) -> NDArray[np.float64]:
    """What decides the rank: the risk, or the expected benefit of a call."""
    if config.rank_by == "risk":
        return probability
    if config.benefit is None:
        raise ConfigurationError(
            'serving/worklist.toml: rank_by = "benefit" needs the benefit model of a home, and none is in use here. '
            'Set rank_by = "risk".'
        )
    return expected_benefit(config.benefit, probability, is_remote(table))


def text_codes(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """Integer codes of the texts, equal for equal texts; `NOBODY` for null."""
    codes = column.combine_chunks().dictionary_encode().indices
    return np.asarray(codes.cast(pa.int64()).fill_null(NOBODY))


def _places(probability: NDArray[np.float64], appointment_id: pa.ChunkedArray) -> NDArray[np.int64]:
    """The rank of each risk from 0."""
    order = np.argsort(-probability, kind="stable")
    same = np.diff(probability[order]) == 0
    tied = np.zeros(len(order), dtype=bool)
    tied[1:] |= same
    tied[:-1] |= same
    rows = order[tied]
    if len(rows):
        # A fixed hash, the same on every machine: an identifier's own order may tell when an appointment was booked.
        keys = appointment_keys(pc.fill_null(appointment_id.take(pa.array(rows)).cast(pa.string()), ""))
        order[tied] = rows[np.lexsort((keys, -probability[rows]))]
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    return place


def _teams(table: pa.Table, config: WorklistConfig) -> NDArray[np.int64]:
    team = np.full(table.num_rows, NOBODY)
    for number in reversed(range(len(config.teams))):
        one = config.teams[number]
        team[_is_one_of(table["clinic_code"], one.clinics)] = number
        team[_is_one_of(table["site_code"], one.sites)] = number
        team[_is_one_of(table["treatment_function_code"], one.specialties)] = number
    return team


def _is_one_of(column: pa.ChunkedArray, codes: Sequence[str]) -> NDArray[np.bool_]:
    return np.asarray(pc.is_in(column, value_set=pa.array(codes, pa.string())).to_numpy(), dtype=bool)


def ranks(place: NDArray[np.int64], selected: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
    """Rank of each appointment on the worklist, from 1: those to call first, the highest risk first.

    Parameters
    ----------
    place
        The rank by risk alone, as in `RankingInputs`.

    >>> ranks(np.array([2, 0, 1])).tolist()
    [3, 1, 2]
    >>> ranks(np.array([2, 0, 1]), np.array([True, False, False])).tolist()
    [1, 2, 3]
    """
    called = np.zeros(len(place), dtype=bool) if selected is None else selected
    order = np.lexsort((place, ~called))
    rank = np.empty(len(place), dtype=np.int64)
    rank[order] = np.arange(1, len(place) + 1)
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


def bands(probability: NDArray[np.float64], *, config: WorklistConfig) -> list[str]:
    """The name of the band of each risk."""
    starts = np.array([band.from_probability for band in config.bands])
    first = (probability[:, None] >= starts[None, :]).argmax(axis=1) if len(probability) else []
    return [config.bands[index].name for index in first]


def action_for(
    factors: Sequence[str], *, config: WorklistConfig, without: Container[str | None] = ()
) -> tuple[str, tuple[str, ...]]:
    """The action for an appointment whose reasons are from `factors`, the strongest first, and what to add to it.

    Actions of the kinds `without` are skipped, since a need of the patient already covers them. A further reason adds
    the `also` of its own action, but nothing of a kind that is already offered. A general question (`gives_way`) comes
    last if a further reason has an action of its own, so that the call begins with the specific action.
    """
    known = (config.action_of(name) for name in factors)
    actions = [action for action in known if action is not None and action.kind not in without]
    if not actions:
        return config.default_action, ()
    actions.sort(key=lambda action: action.gives_way)  # stable: the strongest reason of each kind stays first
    first, added, offered = actions[0], [], {actions[0].kind} - {"confirm"}
    for action in actions[1:]:
        if action.also and action.do != first.do and action.also not in added and action.kind not in offered:
            added.append(action.also)
            offered |= {action.kind} - {"confirm"}
    return first.do, tuple(added)

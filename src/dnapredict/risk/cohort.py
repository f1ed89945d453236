"""Labelled appointments, as arrays: what a model is trained and tested on."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["BOOKED_1_DAY", "EVERYONE", "FIRST_TIME", "POPULATIONS", "SITE", "WEEKLY", "Cohort", "Grouping"]

EVERYONE = "all"
BOOKED_1_DAY = "booked_1_day"
WEEKLY = "weekly"
FIRST_TIME = "first_time"
SITE = "site"
POPULATIONS = (EVERYONE, BOOKED_1_DAY, WEEKLY, FIRST_TIME)


Rows = NDArray[np.bool_] | NDArray[np.int64] | slice


@dataclass(frozen=True)
class Grouping:
    """To which specialty, site or mode each appointment belongs.

    `names[codes[i]]` is the group of row i; -1 is not known.
    """

    names: tuple[str, ...]
    codes: NDArray[np.int64]

    def take(self, rows: Rows) -> "Grouping":
        """The same names for some of the rows."""
        return Grouping(self.names, self.codes[rows])

    @property
    def labels(self) -> list[str | None]:
        """The name of each row's group."""
        return [None if code < 0 else self.names[code] for code in self.codes]


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """Appointments with a known outcome: arrays of one length n, ordered by `starts_at`.

    Parameters
    ----------
    factors : names of the columns of `matrix`
    matrix : (n, p) float64
        The agreed factors as known at each appointment's `scored_at`; NaN is "not known".
    dna : (n,) bool
        Whether the appointment was missed, by the configured label rule.
    patient : (n,) int64
        A code for each patient, by which figures are resampled. An unknown patient has a code alone.
    starts_at : (n,) datetime64[us], UTC
    lead_days : (n,) int64
        Whole local calendar days from booking to appointment.
    first_time : (n,) bool
        No past appointment of this patient was known at `scored_at`.
    contacted : (n,) bool, where the extract has the column
        The patient was reached by a validation call before the appointment, which may have
        changed its outcome.
    weight : (n,) float64, where not all weigh alike
        How many appointments each stands for when a model is fitted (see `treatment`).
    appointment : (n,) uint64, where known
        A fingerprint of each `appointment_id`, by which the tests of two models are paired.
    groupings : by name, how the appointments are grouped beside the populations
    zone : the clinic's time zone, in which days and weeks begin

    Raises
    ------
    ValueError
        If the arrays differ in length, the matrix has another width, or time runs backwards.
    """

    factors: tuple[str, ...]
    matrix: NDArray[np.float64]
    dna: NDArray[np.bool_]
    patient: NDArray[np.int64]
    starts_at: NDArray[np.datetime64]
    lead_days: NDArray[np.int64]
    first_time: NDArray[np.bool_]
    contacted: NDArray[np.bool_] | None = None
    weight: NDArray[np.float64] | None = None
    appointment: NDArray[np.uint64] | None = None
    groupings: Mapping[str, Grouping] = field(default_factory=dict)
    zone: str = "Europe/London"

    def __post_init__(self) -> None:
        """Refuse arrays that cannot belong together."""
        if self.matrix.shape != (len(self), len(self.factors)):
            raise ValueError(f"matrix is {self.matrix.shape}, not {(len(self), len(self.factors))}")
        if any(len(values) != len(self) for values in self._arrays().values()):
            raise ValueError("the arrays of a cohort must have one length")
        if (np.diff(self.starts_at) < np.timedelta64(0)).any():
            raise ValueError("a cohort must be ordered by starts_at")

    def __len__(self) -> int:
        """Appointments in the cohort."""
        return len(self.dna)

    def take(self, rows: Rows) -> "Cohort":
        """The appointments of a mask, or of positions in rising order; neighbours are not copied."""
        wanted = _neighbours(rows)
        taken: dict[str, Any] = {name: values[wanted] for name, values in self._arrays().items()}
        groupings = {name: grouping.take(wanted) for name, grouping in self.groupings.items()}
        return replace(self, **taken, groupings=groupings)

    def without_factors(self) -> "Cohort":
        """The same appointments without what is known of their patients: enough to judge risks by."""
        return replace(self, factors=(), matrix=np.empty((len(self), 0)))

    @property
    def sites(self) -> list[str | None] | None:
        """The site of each appointment, where the extract tells."""
        return self.groupings[SITE].labels if SITE in self.groupings else None

    def populations(self) -> dict[str, NDArray[np.bool_]]:
        """A mask for each population that is reported apart.

        Same-day bookings are rarely missed and easy to tell, so that they flatter a figure over
        all rows; a weekly call list holds only what was booked a week ahead.
        """
        return {
            EVERYONE: np.ones(len(self), dtype=bool),
            BOOKED_1_DAY: self.lead_days >= 1,
            WEEKLY: self.lead_days >= 7,
            FIRST_TIME: self.first_time,
        }

    def _arrays(self) -> dict[str, NDArray[Any]]:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, np.ndarray)}


def _neighbours(rows: Rows) -> Rows:
    """A mask of one run of rows as a slice: a window in time is one, and may be most of the matrix."""
    if isinstance(rows, slice) or rows.dtype != np.bool_ or not rows.any():
        return rows
    first, after = int(rows.argmax()), len(rows) - int(rows[::-1].argmax())
    return slice(first, after) if rows[first:after].all() else rows

"""Outcomes as they would be without a call, where some patients were called before their appointment.

A call changes the outcome that the audit reads: a group that calls help would look as if it were ranked badly, since
those on the list come. Outcomes after a call are left out, and similar appointments whose patient was not called stand
for them: of the control arm where there is a trial, otherwise those that were not contacted. Each is weighted by the
inverse probability of not being called in its stratum of risk within the week (Robins, Hernan and Brumback 2000). Where
nobody at some risk was left uncalled, no outcome represents those appointments, and reach cannot be judged.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dnapredict.data.contract.calendar_weeks import week_of
from dnapredict.data.contract.codes import CONTROL, TREATMENT
from dnapredict.fairness.measure.audited_appointments import WEIGHT_PARTS, AuditData

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Codes = NDArray[np.int64]

# Upper ends of the bands of risk: shares of a week's appointments from the highest risk down. Narrow at the top, where
# the end of a call list falls.
_BANDS: Final = np.array([0.01, 0.02, 0.035, 0.05, 0.075, 0.10, 0.125, 0.15, 0.20, 0.30, 0.50])
# The first band of each wider one: the top 5, 10 and 20 in 100, and the others.
_WIDE_BANDS: Final = np.array([4, 6, 9])
# Weeks are put together until the narrowest band has about 50 appointments.
_ROWS_OF_A_BLOCK: Final = 5_000
# A stratum with fewer uncalled appointments than this is put together with others: one would stand for too many.
_FEWEST: Final = 20
_FEWEST_OF_WIDE: Final = 5
# Share of the expected missed appointments for which nothing may stand.
_MOST_UNREPRESENTED: Final = 0.05


@dataclass(frozen=True)
class UncalledOutcomes:
    """Whose outcomes the figures rest on. Counts of several trusts add up.

    Attributes
    ----------
    rows, used
        Appointments, and those whose outcome no call has changed.
    control
        Those of them that a trial put in its control arm.
    called
        Appointments whose patient was reached by a call.
    largest_weight
        The number of appointments for which one of those used stands, at most.
    unrepresented
        Share of the expected missed appointments (on the list, or at all if more) at risks at which nobody was left
        uncalled.
    planned, weeks
        Appointments on the list, and calendar weeks: for the size of a hold-out.
    """

    rows: int = 0
    used: int = 0
    control: int = 0
    called: int = 0
    largest_weight: float = 1.0
    unrepresented: float = 0.0
    planned: int = 0
    weeks: int = 0

    def __add__(self, other: "UncalledOutcomes") -> "UncalledOutcomes":
        """Of both extracts."""
        shares = [side.unrepresented * side.rows for side in (self, other)]
        return UncalledOutcomes(
            rows=self.rows + other.rows,
            used=self.used + other.used,
            control=self.control + other.control,
            called=self.called + other.called,
            largest_weight=max(self.largest_weight, other.largest_weight),
            unrepresented=sum(shares) / max(1, self.rows + other.rows),
            planned=self.planned + other.planned,
            weeks=max(self.weeks, other.weeks),
        )

    @property
    def are_weighted(self) -> bool:
        """Whether some outcomes are left out."""
        return self.used < self.rows

    @property
    def can_be_judged(self) -> bool:
        """Whether appointments that were not called stand for nearly all that were."""
        return self.unrepresented <= _MOST_UNREPRESENTED


def uncalled_outcomes(audited: AuditData) -> tuple[AuditData, UncalledOutcomes]:
    """The appointments with the weight of each (0: its outcome is left out), and what the weights rest on.

    The weights add up to the number of appointments. Where calls are not known, or reach cannot be judged, every
    appointment counts once.
    """
    table = audited.table
    contacted, arm = _contacted(table), arms_of(table)
    usable = ~contacted & (arm != TREATMENT)
    if usable.all():
        return audited, UncalledOutcomes(rows=len(audited), used=len(audited), control=int((arm == CONTROL).sum()))
    strata = _Strata.of(audited, randomised=arm != "")
    weight, stood_for = strata.weights(usable)
    unrepresented = strata.share(~stood_for)
    outcomes = UncalledOutcomes(
        rows=len(audited),
        used=int(usable.sum()),
        control=int((usable & (arm == CONTROL)).sum()),
        called=int(contacted.sum()),
        largest_weight=float(weight.max(initial=1.0)),
        unrepresented=unrepresented,
        planned=int(strata.selected.sum()),
        weeks=strata.weeks,
    )
    return (audited.with_weights(weight) if outcomes.can_be_judged else audited), outcomes


def _contacted(table: pa.Table) -> Mask:
    if "contacted" not in table.column_names:
        return np.zeros(table.num_rows, dtype=bool)
    return np.asarray(pc.fill_null(table["contacted"], False).to_numpy(), dtype=bool)


def arms_of(table: pa.Table) -> NDArray[np.str_]:
    """The arm of the trial that each appointment was in; "" where it was in none."""
    if "trial_arm" not in table.column_names:
        return np.full(table.num_rows, "")
    arm = table["trial_arm"].cast(pa.string())
    known = pc.if_else(pc.is_in(arm, pa.array([TREATMENT, CONTROL])), arm, "")
    return np.asarray(pc.fill_null(known, "").to_numpy(zero_copy_only=False).astype(str))


@dataclass(frozen=True)
class _Strata:
    """Appointments of like risk within a week; `levels` are strata from fine to coarse."""

    probability: Floats
    selected: Mask
    weeks: int
    levels: tuple[Codes, ...] = field(repr=False)

    @classmethod
    def of(cls, audited: AuditData, *, randomised: Mask) -> "_Strata":
        table = audited.table
        probability = table["probability"].to_numpy()
        selected = np.asarray(table["selected"].to_numpy(zero_copy_only=False), dtype=bool)
        _, week = np.unique(week_of(table["starts_at"].to_numpy().astype("datetime64[D]")), return_inverse=True)
        week = week.reshape(-1)
        rows = np.bincount(week)
        block = ((np.cumsum(rows) - rows) // _ROWS_OF_A_BLOCK)[week]
        band = 2 * _band(probability, week, rows) + selected
        apart = 2 * band + randomised
        wide = 2 * np.searchsorted(_WIDE_BANDS, band // 2, side="right") + selected
        return cls(probability, selected, len(rows), (block * (apart.max() + 1) + apart, apart, band, wide))

    def weights(self, usable: Mask) -> tuple[Floats, Mask]:
        """The weight of each appointment, and which appointments usable ones of the same risk stand for.

        Appointments of a stratum with too few usable ones are stood for by the next coarser stratum.
        """
        weight, waiting = np.zeros(len(usable)), np.ones(len(usable), dtype=bool)
        for stratum in self.levels:
            _, cell = np.unique(stratum, return_inverse=True)
            fewest = _FEWEST if stratum is not self.levels[-1] else _FEWEST_OF_WIDE
            waiting = _stand_for(waiting, cell.reshape(-1), usable, weight, fewest=fewest)
        stood_for = ~waiting
        # So that the weights add up in any case; whether that may be judged is for the caller.
        for cell in (self.selected.astype(np.int64), np.zeros(len(usable), dtype=np.int64)):
            waiting = _stand_for(waiting, cell, usable, weight, fewest=1)
        return _in_parts(weight, self.levels[-1]), stood_for

    def share(self, rows: Mask) -> float:
        """Share of the expected missed appointments in `rows`: of those on the list, or of all if that is more."""
        shares = [
            float(self.probability[rows & among].sum() / max(self.probability[among].sum(), np.finfo(float).tiny))
            for among in (self.selected, np.ones(len(rows), dtype=bool))
        ]
        return max(shares)


def _band(probability: Floats, week: Codes, rows: Codes) -> Codes:
    """The band of each risk within its week, 0 for the highest; equal risks are in one band."""
    order = np.lexsort((-probability, week))
    new = np.append(True, (np.diff(probability[order]) != 0) | (np.diff(week[order]) != 0))
    first = np.flatnonzero(new)[np.cumsum(new) - 1]
    place = np.empty(len(order), dtype=np.int64)
    place[order] = first - (np.cumsum(rows) - rows)[week[order]]
    return np.asarray(np.searchsorted(_BANDS, (place + 0.5) / rows[week], side="left"))


def _stand_for(waiting: Mask, cell: Codes, usable: Mask, weight: Floats, *, fewest: int) -> Mask:
    """Add to the `weight` of usable rows those of their cell that wait; return which still wait."""
    cells = int(cell.max(initial=0)) + 1
    need, number = np.bincount(cell[waiting], minlength=cells), np.bincount(cell[usable], minlength=cells)
    served = number >= fewest
    each = np.where(served, need / np.maximum(number, 1), 0.0)
    weight[usable] += each[cell[usable]]
    return waiting & ~served[cell]


def _in_parts(weight: Floats, stratum: Codes) -> Floats:
    """The weights in whole parts of an appointment: what is rounded off goes to the next row of the stratum."""
    order = np.argsort(stratum, kind="stable")
    rounded = np.empty(len(weight))
    rounded[order] = np.diff(np.rint(np.cumsum(weight[order]) * WEIGHT_PARTS), prepend=0.0) / WEIGHT_PARTS
    return rounded

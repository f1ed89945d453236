"""Weekly counts of outcomes, predicted risks and calls, for everyone and for each group."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dnapredict.data.contract.calendar_weeks import monday_of, week_of
from dnapredict.fairness.measure.audited_appointments import AuditData
from dnapredict.fairness.measure.groupings import EVERYONE, everyone_membership, grouping_named
from dnapredict.fairness.measure.membership import Group, Grouping, Membership, membership

Floats = NDArray[np.float64]

WATCHED_GROUPINGS: Final = ("core20", "ethnicity_5", "age", "site")
"""The groupings that are watched by week, beside everyone."""

RISK_BANDS: Final = 3
"""Bands of risk with equal numbers of expected missed appointments: the slope is watched by them."""

# Outcomes that are still to be recorded may move the level of a week by at most this part, were they all missed.
_MOST_TO_COME: Final = 0.1
_EPSILON: Final = 1e-12


@dataclass(frozen=True)
class GroupWeeks:
    """The weekly figures of one group, each of shape (weeks,). Weighted rows count by their weight.

    Attributes
    ----------
    appointments
        Rows, unweighted.
    rows, missed, expected, squared
        Sums of weights, of missed appointments, of predicted risks, and of squared weights times risk.
    missed_on_list, expected_on_list
        Missed appointments, and predicted risks, of those that the list selected.
    log_loss
        Sum of the log loss.
    """

    grouping: Grouping
    group: Group
    appointments: Floats
    rows: Floats
    missed: Floats
    expected: Floats
    squared: Floats
    missed_on_list: Floats
    expected_on_list: Floats
    log_loss: Floats


@dataclass(frozen=True)
class WeeklyCounts:
    """The figures of all watched groups by week.

    Attributes
    ----------
    weeks
        The Monday of each week, ascending; weeks without an appointment are left out.
    groups
        Everyone first, then the groups of each grouping.
    band_missed, band_expected
        Missed and expected missed appointments by band of risk, from the lowest up, shape (bands, weeks).
    """

    weeks: NDArray[np.datetime64]
    groups: tuple[GroupWeeks, ...]
    band_missed: Floats = field(repr=False)
    band_expected: Floats = field(repr=False)

    @property
    def everyone(self) -> GroupWeeks:
        """The figures of all appointments."""
        return self.groups[0]


def weeks_of(starts_at: pa.ChunkedArray) -> tuple[NDArray[np.datetime64], NDArray[np.int64]]:
    """The Mondays of the weeks of these times, ascending, and the position of each row's week."""
    number, week = np.unique(week_of(starts_at.to_numpy().astype("datetime64[D]")), return_inverse=True)
    return monday_of(number), week.reshape(-1).astype(np.int64)


def in_settled_weeks(week: NDArray[np.int64], *, recorded: NDArray[np.bool_], probability: Floats) -> NDArray[np.bool_]:
    """Whether each row is in a week whose outcomes are recorded as far as they usually are, shape (n,).

    In many trusts a missed appointment is recorded later than an attended one, so that the last weeks seem to have few
    of them. The last weeks are not settled while so many more outcomes than usual are not recorded that, were they all
    missed, the level would move by a tenth. Earlier weeks are settled: what was not recorded by then never will be.

    Parameters
    ----------
    week : (n,) int
        The position of each row's week.
    recorded : (n,) bool
        Whether the outcome is recorded, a cancelled appointment included.
    probability : (n,) float in [0, 1]
    """
    rows = np.maximum(np.bincount(week), 1)
    to_come = np.bincount(week, weights=~recorded, minlength=len(rows)) / rows
    may_move = _MOST_TO_COME * np.bincount(week, weights=probability, minlength=len(rows)) / rows
    usual = float(np.median(to_come[to_come < 1])) if (to_come < 1).any() else 1.0
    settled = np.flatnonzero(to_come - usual <= may_move)
    return np.asarray(week <= settled[-1]) if len(settled) else np.zeros(len(week), dtype=bool)


def weekly_counts(appointments: AuditData) -> WeeklyCounts:
    """Count appointments with a known outcome by week and group.

    Rows whose outcome a call may have changed have a weight of 0, and others represent them (`uncalled_outcomes`).
    """
    weeks, week = weeks_of(appointments.table["starts_at"])
    columns = _CountedColumns.of(appointments, week, len(weeks))
    found = [membership(appointments, grouping_named(name)) for name in WATCHED_GROUPINGS]
    memberships = [everyone_membership(len(appointments)), *(each for each in found if each is not None)]
    band = _risk_band(columns)
    return WeeklyCounts(
        weeks=weeks,
        groups=tuple(group for each in memberships for group in columns.by_group(each)),
        band_missed=columns.sums(band, RISK_BANDS, columns.weight * columns.missed),
        band_expected=columns.sums(band, RISK_BANDS, columns.weight * columns.probability),
    )


@dataclass(frozen=True)
class _CountedColumns:
    weeks: int
    week: NDArray[np.int64]
    weight: Floats
    missed: Floats
    probability: Floats
    selected: Floats

    @classmethod
    def of(cls, appointments: AuditData, week: NDArray[np.int64], weeks: int) -> "_CountedColumns":
        table = appointments.table
        missed, selected = (
            np.asarray(table[name].to_numpy(zero_copy_only=False)).astype(np.float64) for name in ("dna", "selected")
        )
        return cls(weeks, week, appointments.weight, missed, np.asarray(table["probability"].to_numpy()), selected)

    def sums(self, index: NDArray[np.integer], groups: int, values: Floats | None) -> Floats:
        """Sums of `values` (or numbers of rows) by group and week, shape (groups, weeks)."""
        cell = index.astype(np.int64) * self.weeks + self.week
        return (
            np.bincount(cell, weights=values, minlength=groups * self.weeks).reshape(groups, self.weeks).astype(float)
        )

    def by_group(self, each: Membership) -> list[GroupWeeks]:
        """The figures of every group of a grouping that has a row."""
        groups = len(each.groups)
        weighted = self.weight * self.probability
        clipped = np.clip(self.probability, _EPSILON, 1 - _EPSILON)
        loss = -self.weight * np.where(self.missed > 0, np.log(clipped), np.log1p(-clipped))
        figures = [
            self.sums(each.index, groups, values)
            for values in (
                None,
                self.weight,
                self.weight * self.missed,
                weighted,
                weighted * self.weight,
                self.weight * self.missed * self.selected,
                weighted * self.selected,
                loss,
            )
        ]
        present = np.flatnonzero(figures[0].sum(axis=1))
        grouping = each.grouping if each.grouping is not EVERYONE else EVERYONE
        return [GroupWeeks(grouping, each.groups[at], *(figure[at] for figure in figures)) for at in present]


def _risk_band(columns: _CountedColumns) -> NDArray[np.int64]:
    """The band of each row: bands have equal expected numbers of missed appointments over all weeks."""
    order = np.argsort(columns.probability, kind="stable")
    total = np.cumsum((columns.weight * columns.probability)[order])
    band = np.empty(len(order), dtype=np.int64)
    share = total / max(float(total[-1]), _EPSILON)
    band[order] = np.minimum((share * RISK_BANDS).astype(np.int64), RISK_BANDS - 1)
    return band

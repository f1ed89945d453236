"""From appointments to counts: all groupings in one pass over batches of patients.

Appointments are ordered by patient once. In each batch the sums of a patient are computed once too, and serve every
grouping whose group is the same at all of the patient's appointments, such as ethnicity; only patients with several
groups, such as sites, are summed again. Probabilities are summed as scaled integers, so that sums depend neither on
the order of rows nor on the batches.
"""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dnapredict.errors import DataError
from dnapredict.fairness.measure.audited_appointments import WEIGHT_PARTS, AuditData
from dnapredict.fairness.measure.counts import BINS, SUMS, CountedGrouping, GroupCounts
from dnapredict.fairness.measure.groupings import grouping_named
from dnapredict.fairness.measure.membership import Membership, membership

SCALE: Final = 10**9  # of summed probabilities
_BATCH: Final = 400_000  # appointments
_CELLS: Final = 4 * BINS  # of a histogram: selected or not, missed or not, score
Floats = NDArray[np.float64]


def count_groups(audited: AuditData, members: Membership) -> CountedGrouping:
    """Count each group of a grouping.

    Raises
    ------
    DataError
        If the groups do not add up to all rows.
    """
    return count_memberships(audited, [members])[0]


def count_memberships(
    audited: AuditData, members: Iterable[Membership], *, rows: NDArray[np.bool_] | None = None
) -> list[CountedGrouping]:
    """Count each group of several groupings, on the appointments that the mask `rows` keeps (all without it).

    Raises
    ------
    DataError
        If the groups of a grouping do not add up to all rows.
    """
    sums = [_GroupSums(one) for one in members]
    total = 0
    for batch in _batches(audited, rows):
        total += round(float(batch.numbers[0].sum()) * WEIGHT_PARTS)
        for one in sums:
            one.add(batch)
    counted = [one.counted() for one in sums]
    for grouping in counted:
        if round(grouping.total.total("appointments") * WEIGHT_PARTS) != total:
            every = f"{total // WEIGHT_PARTS:,}"
            raise DataError(f"audit: the groups of '{grouping.grouping.name}' do not add up to all {every} rows.")
    return counted


@dataclass(frozen=True)
class _Batch:
    """All appointments of some patients, in order of patient.

    Attributes
    ----------
    rows : (n,) places in the table
    patient : (n,) the patient's number within the batch
    starts : (p,) the first place of each patient
    numbers : (len(SUMS), n) what is summed, by weight; the last are scaled probabilities
    cell : (n,) of the histogram
    flags : (len(SUMS) - 1, n) the same without weights; none where every row has weight 1
    """

    rows: NDArray[np.intp]
    patient: NDArray[np.intp]
    starts: NDArray[np.intp]
    numbers: Floats
    cell: NDArray[np.int64]
    flags: NDArray[np.int8] | None

    @cached_property
    def sums(self) -> Floats:
        """(len(SUMS), p) the sums of each patient."""
        return np.add.reduceat(self.numbers, self.starts, axis=1)

    def within(self, group: NDArray[np.int64], groups: int) -> tuple[NDArray[np.int64], Floats]:
        """The group and the sums of each patient within each of the patient's groups."""
        first = group[self.starts]
        changes = group != first[self.patient]
        if not changes.any():
            return first, self.sums
        several = np.zeros(len(self.starts), dtype=bool)
        several[self.patient[changes]] = True
        places = np.flatnonzero(several[self.patient])
        key = self.patient[places] * groups + group[places]
        order = np.argsort(key, kind="stable")
        key, places = key[order], places[order]
        starts = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]]))
        again = np.add.reduceat(self.numbers[:, places], starts, axis=1)
        return (
            np.concatenate([first[~several], key[starts] % groups]),
            np.concatenate([self.sums[:, ~several], again], axis=1),
        )


def _batches(audited: AuditData, rows: NDArray[np.bool_] | None) -> Iterator[_Batch]:
    """The appointments in batches; all of one patient are in the same batch."""
    columns = _Columns.of(audited)
    patient = audited.table["patient"].to_numpy()
    order = np.argsort(patient, kind="stable")
    kept = columns.weight > 0 if rows is None else rows & (columns.weight > 0)
    order = order[kept[order]]
    patient = patient[order]
    ends = [0]
    while ends[-1] < len(order):
        last = patient[min(ends[-1] + _BATCH, len(order)) - 1]
        ends.append(int(np.searchsorted(patient, last, side="right")))
    for start, end in itertools.pairwise(ends):
        yield columns.batch(order[start:end], patient[start:end])


@dataclass(frozen=True)
class _Columns:
    """What is counted of each appointment; `flags` are those of `SUMS` in order."""

    flags: tuple[NDArray[np.int8], ...]
    probability: Floats
    weight: Floats

    @classmethod
    def of(cls, audited: AuditData) -> "_Columns":
        table = audited.table
        missed, selected = _ones(table["dna"]), _ones(table["selected"])
        flags = (
            np.ones(len(audited), np.int8),
            missed,
            selected,
            missed & selected,
            missed & audited.trust_side().astype(np.int8),
            missed & _live(table),
            _unrecorded(audited),
        )
        return cls(flags, table["probability"].to_numpy(), audited.weight)

    def batch(self, rows: NDArray[np.intp], patient: NDArray[Any]) -> _Batch:
        """The appointments at `rows`, which are in order of `patient`."""
        changes = np.concatenate([[True], patient[1:] != patient[:-1]])
        probability, weight = self.probability[rows], self.weight[rows]
        flags = np.stack([flag[rows] for flag in self.flags])
        numbers = np.empty((len(SUMS), len(rows)))
        numbers[:-1] = flags * weight
        numbers[-1] = np.rint(probability * weight * SCALE)
        missed, selected = (flags[SUMS.index(name)].astype(np.int64) for name in ("missed", "selected"))
        scores = np.minimum((probability * BINS).astype(np.int64), BINS - 1)
        return _Batch(
            rows=rows,
            patient=np.cumsum(changes) - 1,
            starts=np.flatnonzero(changes),
            numbers=numbers,
            cell=(selected * 2 + missed) * BINS + scores,
            flags=flags if (weight != 1).any() else None,
        )


class _GroupSums:
    """The counts of one grouping, summed over batches."""

    def __init__(self, members: Membership) -> None:
        self._members = members
        size = len(members.groups)
        # The smallest type: of ten million appointments each grouping would be 40 MB otherwise.
        self._index = members.index.astype(np.min_scalar_type(size))
        self._patients = np.zeros(size, dtype=np.int64)
        self._totals = np.zeros((size, len(SUMS)))
        self._second = np.zeros((size, len(SUMS), len(SUMS)))
        self._rows = np.zeros((size, len(SUMS)))
        self._bins = np.zeros((2, size * _CELLS))

    def add(self, batch: _Batch) -> None:
        """Add the appointments of a batch."""
        group = self._index[batch.rows].astype(np.int64)
        place = group * _CELLS + batch.cell
        cells = self._bins.shape[1]
        self._bins[0] += np.bincount(place, batch.numbers[0], minlength=cells)
        self._bins[1] += np.bincount(place, batch.numbers[-1], minlength=cells)
        before = self._totals.copy()
        self._add_patients(*batch.within(group, len(self._patients)))
        if batch.flags is None:
            self._rows += self._totals - before
        else:
            for number, flag in enumerate(batch.flags):
                self._rows[:, number] += np.bincount(group, flag, minlength=len(self._rows))

    def _add_patients(self, group: NDArray[np.int64], sums: Floats) -> None:
        patients = np.bincount(group, minlength=len(self._patients))
        order = np.argsort(group.astype(self._index.dtype), kind="stable")
        ends = np.cumsum(patients)
        self._patients += patients
        for index in np.flatnonzero(patients):
            part = sums[:, order[ends[index] - patients[index] : ends[index]]]
            self._totals[index] += part.sum(axis=1)
            products = part @ part.T
            # Squares of scaled sums exceed the integers of a float: rounded one by one, they add up in any order.
            products[-1, -1] = np.rint(part[-1] ** 2 / SCALE).sum()
            self._second[index] += products

    def counted(self) -> CountedGrouping:
        """The counts of the groups."""
        unscaled = np.append(np.ones(len(SUMS) - 1), 1 / SCALE)
        second = self._second * np.minimum(unscaled[:, None], unscaled)
        bins = self._bins.reshape(2, len(self._patients), 2, 2, BINS)
        every, called = bins.sum(axis=2), bins[:, :, 1]
        counts = tuple(
            GroupCounts(
                totals=self._totals[index] * unscaled,
                second=second[index],
                patients=int(self._patients[index]),
                histogram=every[0, index],
                expected=every[1, index] / SCALE,
                called_histogram=called[0, index],
                called_expected=called[1, index] / SCALE,
                rows=self._rows[index] * unscaled,
            )
            for index in range(len(self._patients))
        )
        return CountedGrouping(self._members.grouping, self._members.groups, counts)


def _ones(column: pa.ChunkedArray) -> NDArray[np.int8]:
    ones: NDArray[np.int8] = pc.fill_null(column, False).to_numpy().astype(np.int8)
    return ones


def _live(table: pa.Table) -> NDArray[np.int8]:
    absent = "live_selected" not in table.column_names
    return np.zeros(table.num_rows, np.int8) if absent else _ones(table["live_selected"])


def _unrecorded(audited: AuditData) -> NDArray[np.int8]:
    """1 where the ethnic group is unknown, for whatever reason."""
    members = membership(audited, grouping_named("ethnicity"))
    if members is None:
        return np.ones(len(audited), np.int8)
    unknown = np.array([not group.known for group in members.groups], dtype=np.int8)
    unrecorded: NDArray[np.int8] = unknown[members.index]
    return unrecorded

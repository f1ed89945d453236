"""Count every pair of groups of the appointments of an extract once, a batch of rows at a time (`pair_counts`)."""

import functools
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas as pd
import pyarrow.compute as pc
from numpy.typing import NDArray

from dnapredict.fairness.measure.audited_appointments import WEIGHT_PARTS, AuditData
from dnapredict.fairness.measure.groupings import DERIVED
from dnapredict.fairness.measure.membership import Membership, membership
from dnapredict.fairness.measure.pair_counts import (
    ALL_GROUPINGS,
    BAND_ENDS,
    BANDS,
    CLUSTERS,
    EVERYONE,
    HALVES,
    MEASURES,
    ORDER,
    OVERLAPS,
    RESIDUAL_SCALE,
    RISK_SCALE,
    SERVICE,
    TRIPLE,
    Code,
    CountCube,
    PairCounts,
)

# Rows counted at a time: bounds the memory, and keeps scaled sums within the integers of a float64.
_BATCH: Final = 1_000_000


@dataclass(frozen=True)
class _Coded:
    """The code of each row in one grouping, as an index into sorted codes that occur."""

    codes: Code
    index: NDArray[np.int32]

    @classmethod
    def of(cls, members: Membership) -> "_Coded":
        occurs = np.flatnonzero(np.bincount(members.index, minlength=len(members.groups)))
        order = sorted(occurs.tolist(), key=lambda place: members.groups[place].code)
        lookup = np.zeros(len(members.groups), dtype=np.int32)
        lookup[order] = np.arange(len(order), dtype=np.int32)
        return cls(tuple(members.groups[place].code for place in order), lookup[members.index])


@dataclass(frozen=True)
class _Rows:
    """What is summed of each appointment."""

    cell: NDArray[np.int32]  # (n,) band of risk, half, missed and called as one number
    weight: NDArray[np.float64] | None  # in `WEIGHT_PARTS`; None where every row has weight 1
    expected: NDArray[np.float64]  # scaled integers, as are the next two
    variance: NDArray[np.float64]
    clustered: NDArray[np.float64]

    def take(self, rows: slice) -> "_Rows":
        weight = None if self.weight is None else self.weight[rows]
        return _Rows(self.cell[rows], weight, self.expected[rows], self.variance[rows], self.clustered[rows])


def count_pairs(audited: AuditData) -> PairCounts:
    """Count every pair of groups of the groupings that the extract has.

    In batches: 1,000,000 appointments with 14 groupings take 2 seconds of one processor.
    """
    coded = _coded(audited)
    rows, clusters = _rows(audited)
    starts = range(0, len(audited), _BATCH)
    batches = (slice(start, min(start + _BATCH, len(audited))) for start in starts)
    counted = functools.reduce(PairCounts.__add__, (_count_batch(coded, rows.take(batch), batch) for batch in batches))
    return replace(counted, clusters=clusters)


def _coded(audited: AuditData) -> dict[str, _Coded]:
    """Every grouping, unions too."""
    found = {grouping.name: membership(audited, grouping) for grouping in ALL_GROUPINGS}
    return {name: _Coded.of(members) for name, members in found.items() if members is not None}


def _rows(audited: AuditData) -> tuple[_Rows, NDArray[np.int64]]:
    table = audited.table
    probability = table["probability"].to_numpy()
    missed = pc.fill_null(table["dna"], False).to_numpy().astype(np.int32)
    called = pc.fill_null(table["selected"], False).to_numpy().astype(np.int32)
    patient, half = _patients(audited)
    weight = audited.weight
    residual = np.rint((missed - probability) * weight * RESIDUAL_SCALE)
    band = np.searchsorted(BAND_ENDS, probability, side="right").astype(np.int32)
    parts = np.rint(weight * WEIGHT_PARTS)
    rows = _Rows(
        cell=((band * HALVES + half) * 2 + missed) * 2 + called,
        weight=None if (weight == 1).all() else parts,
        expected=np.rint(probability * weight * RISK_SCALE),
        # Of a weighted outcome, so that chance is as large as the fewer outcomes that are used make it.
        variance=np.rint(probability * (1 - probability) * weight**2 * RISK_SCALE),
        clustered=residual * np.bincount(patient, residual)[patient],
    )
    return rows, _clusters(patient, half, missed=missed * parts, reached=missed * called * parts)


def _clusters(
    patient: NDArray[np.int64], half: NDArray[np.int32], *, missed: NDArray[np.float64], reached: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Sums over the patients of each half of the products of their missed and reached appointments."""
    of_patient = [np.bincount(patient, values).astype(np.int64) for values in (missed, reached)]
    half_of = np.zeros(len(of_patient[0]), dtype=np.int32)
    half_of[patient] = half
    sums = np.zeros((HALVES, len(CLUSTERS)), dtype=np.int64)
    for number in range(HALVES):
        own, called = (values[half_of == number] for values in of_patient)
        sums[number] = own @ own, own @ called, called @ called
    return sums


def _patients(audited: AuditData) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """A dense code of each row's patient, and the half that the patient is in."""
    given = audited.table["patient"].to_numpy()
    dense = pd.factorize(given)[0].astype(np.int64)
    if audited.has(["patient_half"]):
        return dense, pc.fill_null(audited.table["patient_half"], 0).to_numpy().astype(np.int32)
    return dense, half_by_code(given)


def half_by_code(patient: NDArray[np.int64]) -> NDArray[np.int32]:
    """The half, 0 or 1, of patients who have a number and nothing else: one bit of a mixed number.

    The finaliser of SplitMix64 (Steele, Lea and Flood 2014): neighbouring numbers get independent bits.

    >>> half_by_code(np.arange(8)).tolist()
    [1, 1, 0, 1, 0, 0, 0, 1]
    """
    mixed = patient.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((mixed ^ (mixed >> np.uint64(31))) & np.uint64(1)).astype(np.int32)


def _count_batch(coded: Mapping[str, _Coded], rows: _Rows, batch: slice) -> PairCounts:
    taken = {name: _Coded(one.codes, one.index[batch]) for name, one in coded.items()}
    names = tuple(name for name in ORDER if name in taken)
    everyone = _Coded((EVERYONE,), np.zeros(len(rows.cell), dtype=np.int32))
    singles = {EVERYONE: everyone} | {name: taken[name] for name in names}
    pairs = {
        (first, second): _cube([taken[first], taken[second]], rows, banded=not {first, second} <= set(SERVICE))
        for first, second in itertools.combinations(names, 2)
    }
    triple = None
    if all(name in taken for name in TRIPLE):
        triple = _cube([taken[name] for name in TRIPLE], rows, banded=True)
    counted = {name: _cube([one], rows, banded=True) for name, one in singles.items()}
    return PairCounts(counted, pairs, triple, dict(_overlaps(taken, rows, names)))


def _cell_of(groups: Sequence[_Coded]) -> tuple[NDArray[np.int32], tuple[int, ...]]:
    """Each row's cell of crossed groupings, and the number of codes of each."""
    shape = tuple(len(one.codes) for one in groups)
    cell = groups[0].index
    for one in groups[1:]:
        cell = cell * np.int32(len(one.codes)) + one.index
    return cell, shape


def _cube(groups: Sequence[_Coded], rows: _Rows, *, banded: bool) -> CountCube:
    """Sums by band of risk and half. Three weighted counts and one of integers: faster than a query or a product."""
    cell, shape = _cell_of(groups)
    bands = BANDS if banded else 1
    inner = bands * HALVES * 4
    own = rows.cell if banded else rows.cell % np.int32(inner)
    number = cell * np.int32(inner) + own
    cells = int(np.prod(shape)) * bands * HALVES
    if rows.weight is None:
        outcomes = np.bincount(number, minlength=cells * 4).reshape(cells, 2, 2) * WEIGHT_PARTS
    else:
        outcomes = np.bincount(number, rows.weight, minlength=cells * 4).astype(np.int64).reshape(cells, 2, 2)
    sums = np.empty((cells, len(MEASURES)), dtype=np.int64)
    sums[:, 0] = outcomes.sum(axis=(1, 2))
    sums[:, 1] = outcomes[:, 1].sum(axis=1)
    sums[:, 2] = outcomes[:, :, 1].sum(axis=1)
    sums[:, 3] = outcomes[:, 1, 1]
    number >>= 2
    for place, weights in enumerate((rows.expected, rows.variance, rows.clustered), start=4):
        sums[:, place] = np.bincount(number, weights, minlength=cells)
    return CountCube(tuple(one.codes for one in groups), sums.reshape(*shape, bands, HALVES, len(MEASURES)))


def _overlaps(
    coded: Mapping[str, _Coded], rows: _Rows, names: Sequence[str]
) -> Iterator[tuple[tuple[str, ...], CountCube]]:
    """Expected and variance of three crossed groupings, at most one of them of the service.

    Appointments are first added up over those that are alike in everything about the patient, of whom there are few.
    """
    patients = [name for name in names if name not in SERVICE]
    services = [name for name in names if name in SERVICE]
    alike = _alike([coded[name] for name in patients], rows=len(rows.cell))
    for service in (None, *services):
        weights, one_row = _added_up(alike, coded[service] if service else None, rows)
        cells = {name: _Coded(one.codes, one.index[one_row]) for name, one in coded.items()}
        for key in _crossings(patients, service):
            if all(name in cells for name in key):
                yield key, _overlap([cells[name] for name in key], weights)


def _crossings(patients: Sequence[str], service: str | None) -> Iterator[tuple[str, ...]]:
    """Three groupings, or `TRIPLE` and a fourth; with a grouping of the service where one is named."""
    if service is not None:
        yield from ((*pair, service) for pair in itertools.combinations(patients, 2))
        yield (*TRIPLE, service)
        return
    yield from itertools.combinations(patients, 3)
    inside = {DERIVED.get(name, name) for name in TRIPLE}
    yield from ((*TRIPLE, name) for name in patients if name not in inside)


def _alike(groups: Sequence[_Coded], *, rows: int) -> NDArray[np.int64]:
    """A number for each distinct combination of codes."""
    number = np.zeros(rows, dtype=np.int64)
    for one in groups:
        # Made dense at each step: the product of all numbers of codes may be too large for an integer.
        number = pd.factorize(number * len(one.codes) + one.index)[0].astype(np.int64)
    return number


def _added_up(
    alike: NDArray[np.int64], service: _Coded | None, rows: _Rows
) -> tuple[tuple[NDArray[np.float64], ...], NDArray[np.int64]]:
    """Sums of `OVERLAPS` over rows that are alike, and one row of each such cell."""
    number = alike if service is None else alike * len(service.codes) + service.index
    cells, values = pd.factorize(number)
    weights = tuple(
        np.asarray(np.bincount(cells, sums, minlength=len(values)), dtype=np.float64)
        for sums in (rows.expected, rows.variance)
    )
    one = np.zeros(len(values), dtype=np.int64)
    one[cells] = np.arange(len(cells))
    return weights, one


def _overlap(groups: Sequence[_Coded], weights: Sequence[NDArray[np.float64]]) -> CountCube:
    cell, shape = _cell_of(groups)
    total = int(np.prod(shape))
    sums = [np.bincount(cell, values, minlength=total).astype(np.int64) for values in weights]
    return CountCube(tuple(one.codes for one in groups), np.stack(sums, axis=-1).reshape(*shape, len(OVERLAPS)))

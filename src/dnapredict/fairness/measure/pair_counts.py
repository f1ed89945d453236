"""Count every pair of groups once: additive integers from which effects are adjusted and harm is searched.

A grouping divides the appointments, and two groupings cross to a table of cells. Each cell holds sums of integers,
apart for a band of risk and for each half of the patients. Sums of two trusts add up to those of their pooled rows,
whatever the order of rows, since probabilities are summed as scaled integers.
"""

import functools
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

import numpy as np
import pandas as pd
import pyarrow.compute as pc
from numpy.typing import NDArray

from dnapredict.fairness.measure.audited_appointments import WEIGHT_PARTS, AuditData
from dnapredict.fairness.measure.groupings import DERIVED, GROUPINGS, LEAD, PLACE_GROUPINGS
from dnapredict.fairness.measure.membership import Membership, membership

HALVES: Final = 2
# Upper ends of the bands of risk, at which calls and outcomes of equal risks are compared.
BAND_ENDS: Final = (
    *(0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.09, 0.10, 0.115, 0.13, 0.15),
    *(0.17, 0.20, 0.23, 0.27, 0.32, 0.40, 0.50, 0.65),
)
BANDS: Final = len(BAND_ENDS) + 1
# `clustered` is each appointment's residual (missed minus risk) times the sum of its patient's residuals: over a
# group it adds up to the patient-clustered variance of missed minus expected, whatever the group.
MEASURES: Final = ("appointments", "missed", "selected", "reached", "expected", "variance", "clustered")
OVERLAPS: Final = ("expected", "variance")
# Sums over patients of products of their own sums, for the design effect of reach and of calls.
CLUSTERS: Final = ("missed_missed", "missed_reached", "reached_reached")
_RISK_SCALE: Final = 10**9
_RESIDUAL_SCALE: Final = 10**3
_SCALES: Final = np.array([*[WEIGHT_PARTS] * 4, _RISK_SCALE, _RISK_SCALE, _RESIDUAL_SCALE**2], dtype=np.float64)
# Rows counted at a time: bounds the memory, and keeps scaled sums within the integers of a float64.
_BATCH: Final = 1_000_000
# The one crossing of three groupings that is searched for harm.
TRIPLE: Final = ("ethnicity", "sex", "core20")
SERVICE: Final = tuple(grouping.name for grouping in (*PLACE_GROUPINGS, LEAD))
EVERYONE: Final = "all"

_ALL: Final = (*GROUPINGS, *PLACE_GROUPINGS, LEAD)
_ORDER: Final = tuple(grouping.name for grouping in _ALL if grouping.name not in DERIVED)
_Key = TypeVar("_Key")
Code = tuple[str, ...]  # codes of one grouping


@dataclass(frozen=True)
class CountCube:
    """Sums in every cell of crossed groupings.

    `codes` are those of each grouping, sorted; `sums` has an axis for each grouping and, after these, those that
    `PairCounts` describes.
    """

    codes: tuple[Code, ...]
    sums: NDArray[np.int64]

    def __add__(self, other: "CountCube") -> "CountCube":
        """The sums of both; a code that only one of them has keeps its sums."""
        if self.codes == other.codes:
            return CountCube(self.codes, self.sums + other.sums)
        codes = tuple(tuple(sorted({*a, *b})) for a, b in zip(self.codes, other.codes, strict=True))
        return CountCube(codes, self._placed(codes) + other._placed(codes))

    def _placed(self, codes: tuple[Code, ...]) -> NDArray[np.int64]:
        places = [np.searchsorted(np.array(to), np.array(own)) for to, own in zip(codes, self.codes, strict=True)]
        tail = self.sums.shape[len(codes) :]
        placed = np.zeros((*map(len, codes), *tail), dtype=np.int64)
        placed[np.ix_(*places)] = self.sums
        return placed


@dataclass(frozen=True)
class PairCounts:
    """Sums of every pair of groups; adds up over trusts whose patients do not overlap.

    Parameters
    ----------
    singles : "all" and each grouping, to sums of (code, band of risk, half of the patients, `MEASURES`)
    pairs : two groupings, in the order of `groupings`, to sums of the same shape after two axes of codes
        Crossings of two groupings of the service (site and specialty) have one band only.
    triple : ethnicity, sex and Core20, to sums after three axes of codes; None where the extract lacks one of them
    overlaps : three groupings, and `TRIPLE` with a fourth, to sums of `OVERLAPS`
        How much of one group's risk lies within another.
    clusters : (halves, 3) sums over patients of the products `CLUSTERS`

    Where outcomes after a call are left out, all sums are of weights (`uncalled_outcomes`).
    """

    singles: Mapping[str, CountCube]
    pairs: Mapping[tuple[str, str], CountCube]
    triple: CountCube | None
    overlaps: Mapping[tuple[str, ...], CountCube]
    clusters: NDArray[np.int64] = field(default_factory=lambda: np.zeros((HALVES, len(CLUSTERS)), np.int64))

    def __add__(self, other: "PairCounts") -> "PairCounts":
        """The sums of both. A grouping that one of them lacks is blank there, as in an extract of pooled rows."""
        first, second = self._with(other.groupings), other._with(self.groupings)
        return PairCounts(
            added_cubes(first.singles, second.singles),
            added_cubes(first.pairs, second.pairs),
            first.triple + second.triple if first.triple and second.triple else first.triple or second.triple,
            added_cubes(first.overlaps, second.overlaps),
            self.clusters + other.clusters,
        )

    @functools.cached_property
    def groupings(self) -> tuple[str, ...]:
        """Names of the groupings, those of the service last; Core20, fifths and broad ethnic groups are unions."""
        return tuple(name for name in _ORDER if name in self.singles)

    @functools.cached_property
    def columns(self) -> tuple[tuple[str, str], ...]:
        """Grouping and code of every column of `matrix`."""
        return tuple((name, code) for name in self.groupings for code in self.codes(name))

    def codes(self, grouping: str) -> Code:
        """The codes of a grouping that occur, sorted."""
        return self.singles[grouping].codes[0]

    def matrix(self, measure: str, *, half: int | None = None) -> NDArray[np.float64]:
        """The symmetric (p, p) matrix of a measure over pairs of `columns`.

        The diagonal is a group's own sum; two groups of one grouping have nothing in common. `half` takes one half
        of the patients.
        """
        starts = np.cumsum([0, *(len(self.codes(name)) for name in self.groupings)])
        at = {name: slice(a, b) for name, a, b in zip(self.groupings, starts[:-1], starts[1:], strict=True)}
        found = np.zeros((starts[-1], starts[-1]))
        for (first, second), cube in self.pairs.items():
            cells = _unscaled(cube.sums, measure, half).sum(axis=2)
            found[at[first], at[second]], found[at[second], at[first]] = cells, cells.T
        for name in self.groupings:
            found[at[name], at[name]] = np.diag(_unscaled(self.singles[name].sums, measure, half).sum(axis=1))
        return found

    def single(self, grouping: str) -> NDArray[np.float64]:
        """Sums of each group of a grouping: (codes, bands, halves, `MEASURES`)."""
        return self.singles[grouping].sums / _SCALES

    def pair(self, first: str, second: str) -> NDArray[np.float64]:
        """Sums of each pair of groups: (codes of `first`, codes of `second`, bands, halves, `MEASURES`)."""
        if (first, second) in self.pairs:
            return self.pairs[first, second].sums / _SCALES
        return np.swapaxes(self.pairs[second, first].sums, 0, 1) / _SCALES

    def triples(self) -> NDArray[np.float64] | None:
        """Sums of each group of `TRIPLE`: (ethnicity, sex, Core20, bands, halves, `MEASURES`)."""
        return None if self.triple is None else self.triple.sums / _SCALES

    def overlap(self, groupings: tuple[str, ...]) -> NDArray[np.float64]:
        """Expected missed appointments of each cell of crossed groupings, of which `overlaps` has the sums."""
        return self.overlaps[groupings].sums[..., OVERLAPS.index("expected")] / _RISK_SCALE

    def total(self, measure: str, *, half: int | None = None) -> float:
        """A measure summed over all appointments."""
        return float(_unscaled(self.singles[EVERYONE].sums, measure, half).sum())

    def reach_design_effect(self) -> float:
        """Patient-clustered over binomial variance of the share reached among the missed, at least 1."""
        missed, both, reached = (float(number) / WEIGHT_PARTS**2 for number in self.clusters.sum(axis=0))
        total, called = self.total("missed"), self.total("reached")
        if not 0 < called < total:
            return 1.0
        share = called / total
        return max(1.0, (reached - 2 * share * both + share**2 * missed) / (total * share * (1 - share)))

    def _with(self, groupings: Sequence[str]) -> "PairCounts":
        """The same sums with further groupings, in which every appointment here is blank."""
        extended = self
        for name in (name for name in groupings if name not in self.singles):
            extended = extended._with_blank(name)
        return extended

    def _with_blank(self, blank: str) -> "PairCounts":
        code: Code = (next(g.assign(None) for g in _ALL if g.name == blank),)
        singles = {**self.singles, blank: CountCube((code,), self.singles[EVERYONE].sums)}
        pairs, overlaps = dict(self.pairs), dict(self.overlaps)
        for name in self.groupings:
            own = self.singles[name]
            if {name, blank} <= set(SERVICE):
                own = CountCube(own.codes, own.sums.sum(axis=1, keepdims=True))
            (first, second), cube = _inserted(own, (name,), blank=blank, code=code)
            pairs[first, second] = cube
        for names, pair in self.pairs.items():
            if sum(name in SERVICE for name in (*names, blank)) < 2:
                key, cube = _inserted(CountCube(pair.codes, _overlapping(pair.sums)), names, blank=blank, code=code)
                overlaps[key] = cube
        if self.triple is not None and blank not in TRIPLE:
            sums = np.expand_dims(_overlapping(self.triple.sums), -2)
            overlaps[(*TRIPLE, blank)] = CountCube((*self.triple.codes, code), sums)
        return PairCounts(singles, pairs, self.triple, overlaps, self.clusters)


def added_cubes(first: Mapping[_Key, CountCube], second: Mapping[_Key, CountCube]) -> dict[_Key, CountCube]:
    """The sums of both, by key. A crossing that only one of them has is of groups that the other lacks."""
    return {
        key: first[key] + second[key] if key in first and key in second else first.get(key) or second[key]
        for key in dict.fromkeys((*first, *second))
    }


def _overlapping(sums: NDArray[np.int64]) -> NDArray[np.int64]:
    """`OVERLAPS` over all bands and halves."""
    chosen: NDArray[np.int64] = sums.sum(axis=(-3, -2))[..., [MEASURES.index(name) for name in OVERLAPS]]
    return chosen


def _inserted(cube: CountCube, names: tuple[str, ...], *, blank: str, code: Code) -> tuple[tuple[str, ...], CountCube]:
    """A crossing with one more grouping of a single code, at its place in the order of groupings."""
    place = sum(_ORDER.index(name) < _ORDER.index(blank) for name in names)
    key = (*names[:place], blank, *names[place:])
    return key, CountCube((*cube.codes[:place], code, *cube.codes[place:]), np.expand_dims(cube.sums, place))


def _unscaled(sums: NDArray[np.int64], measure: str, half: int | None) -> NDArray[np.float64]:
    index = MEASURES.index(measure)
    chosen = sums[..., index].sum(axis=-1) if half is None else sums[..., half, index]
    unscaled: NDArray[np.float64] = chosen / _SCALES[index]
    return unscaled


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
    weight: NDArray[np.float64] | None  # in `WEIGHT_PARTS`; None where every row stands for itself
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
    found = {grouping.name: membership(audited, grouping) for grouping in _ALL}
    return {name: _Coded.of(members) for name, members in found.items() if members is not None}


def _rows(audited: AuditData) -> tuple[_Rows, NDArray[np.int64]]:
    table = audited.table
    probability = table["probability"].to_numpy()
    missed = pc.fill_null(table["dna"], False).to_numpy().astype(np.int32)
    called = pc.fill_null(table["selected"], False).to_numpy().astype(np.int32)
    patient, half = _patients(audited)
    weight = audited.weight
    residual = np.rint((missed - probability) * weight * _RESIDUAL_SCALE)
    band = np.searchsorted(BAND_ENDS, probability, side="right").astype(np.int32)
    parts = np.rint(weight * WEIGHT_PARTS)
    rows = _Rows(
        cell=((band * HALVES + half) * 2 + missed) * 2 + called,
        weight=None if (weight == 1).all() else parts,
        expected=np.rint(probability * weight * _RISK_SCALE),
        # Of a weighted outcome, so that chance is as large as the fewer outcomes that are used make it.
        variance=np.rint(probability * (1 - probability) * weight**2 * _RISK_SCALE),
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
    names = tuple(name for name in _ORDER if name in taken)
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

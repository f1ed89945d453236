"""Count each grouping once: from rows to integers by group, from which every figure is computed.

DuckDB sums each patient's appointments within a group, then counts how many patients have the same
sums. These *profiles* are enough for every rate and for the exact patient-clustered variance of each
(a quadratic form in the sums), so that rows never leave this module.
"""

import functools
import operator
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Self

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dnapredict.data.contract import codes
from dnapredict.errors import DataError
from dnapredict.fairness.measure.audited_appointments import AuditData
from dnapredict.fairness.measure.groupings import grouping_named
from dnapredict.fairness.measure.membership import Group, Grouping, Membership, membership, united_groups

BINS = 1_000
# What is summed for each patient; `expected` is the sum of probabilities.
SUMS = (
    "appointments",
    "missed",
    "selected",
    "reached",
    "trust_side",
    "live_reached",
    "unrecorded",
    "expected",
)
_COLUMN = {name: column for column, name in enumerate(SUMS)}
_SCALE = 10**9  # probabilities are summed as integers: the same sum whatever the order of threads

_ROWS = """
SELECT g, patient, count(*) AS appointments, sum(dna) AS missed, sum(selected) AS selected,
       sum(dna * selected) AS reached, sum(dna * trust_side) AS trust_side,
       sum(dna * live) AS live_reached, sum(unrecorded) AS unrecorded, sum(scaled) AS expected
FROM audited GROUP BY g, patient
"""
_PROFILES = f"""
SELECT g, {", ".join(f"{name}::BIGINT AS {name}" for name in SUMS[:-1])},
       count(*)::BIGINT AS patients, sum(expected)::DOUBLE AS expected,
       sum(expected::HUGEINT * expected::HUGEINT)::DOUBLE AS squared
FROM ({_ROWS}) GROUP BY ALL ORDER BY ALL
"""
_HISTOGRAM = """
SELECT g, selected, dna, bin, count(*)::BIGINT AS n, sum(scaled)::DOUBLE AS expected FROM audited GROUP BY ALL
"""


@dataclass(frozen=True)
class _Profiles:
    """How many patients of a group share the same sums: one row for each distinct profile."""

    sums: NDArray[np.float64]  # (p, 7) each such patient's sums, in the order of SUMS without `expected`
    patients: NDArray[np.int64]  # (p,) how many patients have them
    expected: NDArray[np.float64]  # (p,) total expected DNAs of these patients
    squared: NDArray[np.float64]  # (p,) total of their squared expected DNAs


@dataclass(frozen=True)
class SummedCounts:
    """A record of sums over the patients of a group, which adds and subtracts field by field."""

    def __add__(self, other: Self) -> Self:
        """Both groups together; a patient in both counts as two."""
        return self._joined(other, sign=1)

    def __sub__(self, other: Self) -> Self:
        """This group without a group that is part of it."""
        return self._joined(other, sign=-1)

    def _joined(self, other: Self, *, sign: int) -> Self:
        return type(self)(*(getattr(self, f.name) + sign * getattr(other, f.name) for f in fields(self)))


def _no_bins() -> NDArray[np.float64]:
    return np.zeros((2, BINS))


@dataclass(frozen=True)
class GroupCounts(SummedCounts):
    """Sums over a group: enough for any rate and its variance."""

    totals: NDArray[np.float64]  # (8,) in the order of SUMS
    second: NDArray[np.float64]  # (8, 8) sum over patients of products of their sums
    patients: int
    histogram: NDArray[np.float64]  # (2, BINS) appointments by attended/missed and score
    expected: NDArray[np.float64]  # (2, BINS) sums of probabilities in the same bins
    called_histogram: NDArray[np.float64] = field(default_factory=_no_bins)  # (2, BINS) those that are selected
    called_expected: NDArray[np.float64] = field(default_factory=_no_bins)  # (2, BINS) their sums of probabilities

    @classmethod
    def nobody(cls) -> "GroupCounts":
        """The counts of an empty group."""
        sums = len(SUMS)
        return cls(np.zeros(sums), np.zeros((sums, sums)), 0, np.zeros((2, BINS)), np.zeros((2, BINS)))

    def total(self, name: str) -> float:
        """Total of one of `SUMS`."""
        return float(self.totals[_COLUMN[name]])

    @property
    def appointments(self) -> int:
        """Appointments in the group."""
        return int(self.total("appointments"))

    @property
    def missed(self) -> int:
        """Missed appointments in the group."""
        return int(self.total("missed"))

    def ratio_variance(self, numerator: NDArray[np.float64], denominator: NDArray[np.float64]) -> float:
        """Patient-clustered variance of the ratio of two combinations of the sums.

        Linearised: each patient contributes `numerator - ratio * denominator`; the squares are summed
        by a quadratic form in `second` (Williams 2000, cluster-robust variance of a ratio).
        """
        below = float(denominator @ self.totals)
        ratio = float(numerator @ self.totals) / below
        leverage = numerator - ratio * denominator
        # As in cluster-robust variances of regression packages: n / (n - 1) for n clusters.
        small_sample = self.patients / max(1, self.patients - 1)
        # The quadratic form can be -1e-18 by rounding where all patients have the same ratio.
        return max(0.0, small_sample * float(leverage @ self.second @ leverage)) / below**2


@dataclass(frozen=True)
class CountedGrouping:
    """The counts of every group of one grouping."""

    grouping: Grouping
    groups: tuple[Group, ...]
    counts: tuple[GroupCounts, ...]

    @cached_property
    def total(self) -> GroupCounts:
        """Everyone: the sum of the groups."""
        return functools.reduce(operator.add, self.counts)

    def __add__(self, other: "CountedGrouping") -> "CountedGrouping":
        """The grouping of both extracts: groups of the same code are added."""
        groups = united_groups(self.grouping, self.groups, other.groups)
        sides = [dict(zip((g.code for g in side.groups), side.counts, strict=True)) for side in (self, other)]
        parts = ([side[group.code] for side in sides if group.code in side] for group in groups)
        counts = tuple(functools.reduce(operator.add, part, GroupCounts.nobody()) for part in parts)
        return CountedGrouping(self.grouping, groups, counts)

    def rest(self, index: int) -> GroupCounts:
        """Everyone except the group at `index`."""
        return self.total - self.counts[index]


def count_groups(audited: AuditData, members: Membership) -> CountedGrouping:
    """Count each group of a grouping.

    Raises
    ------
    DataError
        If the groups do not add up to all rows.
    """
    grouping = members.grouping
    with duckdb.connect() as engine:
        engine.register("audited", _numbers(audited, members))
        profiles = engine.sql(_PROFILES).to_arrow_table()
        histogram = engine.sql(_HISTOGRAM).to_arrow_table()
    bins = _bins(histogram, len(members.groups))
    counts = tuple(_summed(_profiles_of(profiles, index), four) for index, four in enumerate(bins))
    counted = CountedGrouping(grouping, members.groups, counts)
    if counted.total.appointments != len(audited):
        raise DataError(f"audit: the groups of '{grouping.name}' do not add up to all {len(audited):,} rows.")
    return counted


def _numbers(audited: AuditData, members: Membership) -> pa.Table:
    table = audited.table
    probability = table["probability"].to_numpy()
    return pa.table(
        {
            "g": members.index,
            "patient": table["patient"],
            "dna": _ones(table["dna"]),
            "selected": _ones(table["selected"]),
            "trust_side": _trust_side(audited),
            "live": _live(table),
            "unrecorded": _unrecorded(audited),
            "scaled": np.rint(probability * _SCALE).astype(np.int64),
            "bin": np.minimum((probability * BINS).astype(np.int32), BINS - 1),
        }
    )


def _ones(column: pa.ChunkedArray) -> NDArray[np.int8]:
    ones: NDArray[np.int8] = pc.fill_null(column, False).to_numpy().astype(np.int8)
    return ones


def _live(table: pa.Table) -> NDArray[np.int8]:
    absent = "live_selected" not in table.column_names
    return np.zeros(table.num_rows, np.int8) if absent else _ones(table["live_selected"])


def _trust_side(audited: AuditData) -> NDArray[np.int8]:
    """1 where the trust had a part in the missed appointment.

    That is a recorded reason, or outcome code 7: the patient came late and was not seen.
    """
    trust_side = np.zeros(len(audited), np.int8)
    if audited.has(["trust_side_reason"]):
        trust_side |= _ones(audited.table["trust_side_reason"])
    if audited.has(["outcome_code"]):
        trust_side |= _ones(pc.equal(audited.table["outcome_code"], codes.ARRIVED_TOO_LATE))
    return trust_side


def _unrecorded(audited: AuditData) -> NDArray[np.int8]:
    """1 where the ethnic group is unknown, for whatever reason."""
    members = membership(audited, grouping_named("ethnicity"))
    if members is None:
        return np.ones(len(audited), np.int8)
    unknown = np.array([not group.known for group in members.groups], dtype=np.int8)
    unrecorded: NDArray[np.int8] = unknown[members.index]
    return unrecorded


def _profiles_of(table: pa.Table, index: int) -> _Profiles:
    part = table.filter(pc.equal(table["g"], index))
    sums = np.column_stack([part[name].to_numpy().astype(np.float64) for name in SUMS[:-1]])
    return _Profiles(
        sums=sums,
        patients=part["patients"].to_numpy(),
        expected=part["expected"].to_numpy() / _SCALE,
        squared=part["squared"].to_numpy() / _SCALE**2,
    )


def _summed(profiles: _Profiles, bins: Sequence[NDArray[np.float64]]) -> GroupCounts:
    sums, weight = profiles.sums, profiles.patients.astype(np.float64)
    integers = len(SUMS) - 1
    second = np.zeros((len(SUMS), len(SUMS)))
    second[:integers, :integers] = (sums * weight[:, None]).T @ sums
    second[:integers, integers] = second[integers, :integers] = profiles.expected @ sums
    second[integers, integers] = profiles.squared.sum()
    totals = np.append(weight @ sums, profiles.expected.sum())
    return GroupCounts(totals, second, int(weight.sum()), *bins)


def _bins(table: pa.Table, groups: int) -> list[tuple[NDArray[np.float64], ...]]:
    """Histogram and expected of each group, of all its appointments and of those that are selected."""
    numbers, expected = np.zeros((groups, 2, 2, BINS)), np.zeros((groups, 2, 2, BINS))
    cell = tuple(table[name].to_numpy() for name in ("g", "selected", "dna", "bin"))
    numbers[cell] = table["n"].to_numpy()
    expected[cell] = table["expected"].to_numpy() / _SCALE
    called = zip(numbers[:, 1], expected[:, 1], strict=True)
    return [(n.sum(axis=0), e.sum(axis=0), *one) for n, e, one in zip(numbers, expected, called, strict=True)]

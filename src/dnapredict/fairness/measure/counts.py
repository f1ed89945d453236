"""Counts of groups, from which every figure is computed: sums over appointments, and over patients of products of sums.

The second moments of the patients' sums give the exact patient-clustered variance of every rate, as a quadratic form,
so that rows are not needed any more. `row_counting` makes these counts.
"""

import functools
import operator
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from dnapredict.fairness.measure.membership import Group, Grouping, united_groups

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
    """Sums over a group: enough for any rate and its variance.

    Where outcomes after a call are left out, the sums are of weights: estimates of the numbers without any call.
    """

    totals: NDArray[np.float64]  # (8,) in the order of SUMS
    second: NDArray[np.float64]  # (8, 8) sum over patients of products of their sums
    patients: int
    histogram: NDArray[np.float64]  # (2, BINS) appointments by attended/missed and score
    expected: NDArray[np.float64]  # (2, BINS) sums of probabilities in the same bins
    called_histogram: NDArray[np.float64] = field(default_factory=_no_bins)  # (2, BINS) those that are selected
    called_expected: NDArray[np.float64] = field(default_factory=_no_bins)  # (2, BINS) their sums of probabilities
    # (8,) the sums without weights; where rows have none, `totals`. Whether a number is small is decided on these.
    rows: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        """Without `rows`, every row has weight 1."""
        if self.rows is None:
            object.__setattr__(self, "rows", self.totals)

    @classmethod
    def nobody(cls) -> "GroupCounts":
        """The counts of an empty group."""
        sums = len(SUMS)
        return cls(np.zeros(sums), np.zeros((sums, sums)), 0, np.zeros((2, BINS)), np.zeros((2, BINS)))

    def total(self, name: str) -> float:
        """Total of one of `SUMS`."""
        return float(self.totals[_COLUMN[name]])

    def counted(self, name: str) -> float:
        """The same without weights: how many appointments, and so at most how many people, the total rests on."""
        rows = self.totals if self.rows is None else self.rows
        return float(rows[_COLUMN[name]])

    def effective(self, name: str) -> float:
        """Effective sample size of weighted counts by patient, (sum of w) ** 2 / sum of w ** 2 (Kish 1965).

        `counted` where appointments have no weights.
        """
        if not self.are_weighted:
            return self.counted(name)
        squares = float(self.second[_COLUMN[name], _COLUMN[name]])
        return self.total(name) ** 2 / squares if squares > 0 else 0.0

    @cached_property
    def are_weighted(self) -> bool:
        """Whether some appointments stand for others."""
        return self.rows is not None and bool((self.rows[:-1] != self.totals[:-1]).any())

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
        # Nobody is in a group that a file of suppressed counts names and has no row for.
        counts = tuple(functools.reduce(operator.add, part) if part else GroupCounts.nobody() for part in parts)
        return CountedGrouping(self.grouping, groups, counts)

    def rest(self, index: int) -> GroupCounts:
        """Everyone except the group at `index`."""
        return self.total - self.counts[index]

"""Where missed appointments stand in a list from the highest risk down: AUROC and average precision.

One sort serves both, and one pair of formulas serves rows as they are and rows that are drawn again.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Discrimination", "Runs", "Standing", "discrimination", "falling"]

Counts = NDArray[np.float64]


class Runs(NamedTuple):
    """Runs of equal risks, between which no list can tell rows apart; those that hold a missed one.

    Positions are in falling order of risk: `first` and `last` are those of each run's rows, and `missed`
    says how many missed appointments stand up to its end.
    """

    first: NDArray[np.int64]
    last: NDArray[np.int64]
    missed: NDArray[np.int64]

    @classmethod
    def of(cls, risk: NDArray[np.float64], missed: NDArray[np.int64]) -> "Runs":
        """The runs of risks in falling order, at the positions `missed` of which somebody missed."""
        ends = np.flatnonzero(np.append(np.diff(risk) != 0, True))
        run = np.searchsorted(ends, missed)
        last_missed = np.flatnonzero(np.append(np.diff(run) != 0, True))
        held = run[last_missed]
        return cls(np.where(held > 0, ends[held - 1] + 1, 0), ends[held], last_missed + 1)

    def stretches(self, rows: int) -> NDArray[np.int64]:
        """Where each of `rows` positions lies: 0 before the first run, 1 in it, 2 between it and the next.

        >>> Runs.of(np.array([0.9, 0.5, 0.5, 0.1]), np.array([1])).stretches(4).tolist()
        [0, 1, 1, 2]
        """
        bounds = np.column_stack([self.first, self.last + 1]).ravel()
        return np.searchsorted(bounds, np.arange(rows), side="right")

    @property
    def standing(self) -> "Standing":
        """How many rows stand before and up to the end of each run, each row counted once."""
        return Standing(*(np.asarray(n, dtype=float) for n in (self.first, self.last + 1, self.missed)))


class Standing(NamedTuple):
    """For each run of equal risks: rows `before` it, rows and missed rows up to its end.

    The first axis is the runs, from the highest risk down; a second may be draws of the same rows.
    """

    before: Counts
    rows: Counts
    missed: Counts


class Discrimination(NamedTuple):
    """How well risks tell who will miss from who will come (see `metrics.Figures`)."""

    auroc: Counts
    average_precision: Counts


def discrimination(standing: Standing, total: Counts | float) -> Discrimination:
    """AUROC and average precision of `total` rows of which some missed and some came.

    AUROC is the share of pairs of a missed and an attended row in which the missed one stands first,
    pairs of equal risk counting half (Mann and Whitney 1947). Average precision is the mean, over
    missed rows, of the share missed among all rows down to theirs. Both are scikit-learn's.

    >>> tied = Runs.of(np.array([0.9, 0.5, 0.5]), np.array([0, 2]))
    >>> discrimination(tied.standing, 3).auroc.item()
    0.75
    """
    before, rows, found = standing
    more = np.diff(found, axis=0, prepend=0)
    missed = found[-1]
    came = total - missed
    below = came - (before - (found - more) + rows - found) / 2
    precision = found / np.maximum(rows, 1)
    return Discrimination(
        np.asarray((more * below).sum(axis=0) / (missed * came)),
        np.asarray((more * precision).sum(axis=0) / missed),
    )


def falling(probability: NDArray[np.float64]) -> NDArray[np.int64]:
    """Positions from the highest risk down, equal risks as they are given, so that a list is reproducible."""
    return np.argsort(-probability, kind="stable")

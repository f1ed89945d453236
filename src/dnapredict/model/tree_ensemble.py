"""LightGBM trees, whose sum is the margin, and the exact SHAP values of many rows by table look-up.

A shallow tree depends on a few factors, and on each only through the interval between two thresholds in which it
lies, so that it has at most a few thousand distinct SHAP vectors. LightGBM computes one row for each combination of
intervals; other rows are looked up. The values are LightGBM's own; a table costs milliseconds, a row microseconds.
"""

import itertools
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

_MOST_COMBINATIONS: Final = 4_096
_BATCH_ROWS: Final = 20_000

Thresholds = Mapping[int, NDArray[np.float64]]


@dataclass(frozen=True)
class _Table:
    """One tree: the table index of a row is the sum over its factors of `offsets[factor][bin]`."""

    offsets: dict[int, NDArray[np.int32]]
    values: dict[int, NDArray[np.float64]]


@dataclass(frozen=True)
class ShapTables:
    """The tables of all trees, over shared bins."""

    thresholds: Thresholds
    trees: tuple[_Table, ...]
    width: int

    def contributions(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """SHAP values of each row, (n, p), equal to LightGBM's `pred_contrib`."""
        total = np.zeros(matrix.shape)
        for start in range(0, len(matrix), _BATCH_ROWS):
            total[start : start + _BATCH_ROWS] = self._of(matrix[start : start + _BATCH_ROWS]).T
        return total

    def _of(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        bins = {factor: _bins(matrix[:, factor], known) for factor, known in self.thresholds.items()}
        # Factors in rows, so that each addition runs over contiguous memory.
        total = np.zeros((self.width, len(matrix)))
        for tree in self.trees:
            index = np.zeros(len(matrix), dtype=np.int32)
            for factor, offsets in tree.offsets.items():
                index += offsets[bins[factor]]
            for factor, values in tree.values.items():
                total[factor] += values[index]
        return total


def shap_tables(booster: lgb.Booster) -> ShapTables | None:
    """The tables of the trees of `booster`; None where a tree is so deep that its table would be large."""
    grown = [_thresholds(tree["tree_structure"]) for tree in booster.dump_model()["tree_info"]]
    # All or none: with one deep tree, LightGBM's own method is needed for all rows in any case.
    if any(_combinations(tree) > _MOST_COMBINATIONS for tree in grown):
        return None
    shared = _shared_thresholds(grown)
    width = booster.num_feature()
    return ShapTables(shared, tuple(_table(booster, n, tree, shared) for n, tree in enumerate(grown)), width)


def _table(booster: lgb.Booster, number: int, tree: Thresholds, shared: Thresholds) -> _Table:
    """Let LightGBM compute the SHAP values of one row for each combination of intervals."""
    rows = np.zeros((_combinations(tree), booster.num_feature()))
    # One value for each interval: LightGBM goes left if value <= threshold, so that a threshold itself represents the
    # interval below it, the next larger number for the last interval, and NaN for unknown values.
    specimens = [np.concatenate([t, [np.nextafter(t[-1], np.inf), np.nan]]) for t in tree.values()]
    if tree:
        rows[:, list(tree)] = np.array(list(itertools.product(*specimens)))
    values = booster.predict(rows, pred_contrib=True, start_iteration=number, num_iteration=1, num_threads=1)
    offsets, stride = {}, 1
    # The order of itertools.product: the last factor varies fastest, so that its stride is 1.
    for factor in reversed(list(tree)):
        offsets[factor] = (_coarser(shared[factor], tree[factor]) * stride).astype(np.int32)
        stride *= len(tree[factor]) + 2
    return _Table(offsets, {factor: np.ascontiguousarray(values[:, factor]) for factor in tree})


def _bins(values: NDArray[np.float64], thresholds: NDArray[np.float64]) -> NDArray[np.int64]:
    """Interval (.., t1], (t1, t2], .. of each value; unknown values have a bin of their own, the last."""
    # side="left" puts a value equal to a threshold into the interval below it, as LightGBM's <= does.
    intervals = np.searchsorted(thresholds, values, side="left")
    return np.where(np.isnan(values), len(thresholds) + 1, intervals)


def _coarser(fine: NDArray[np.float64], coarse: NDArray[np.float64]) -> NDArray[np.int64]:
    """For each bin of the thresholds `fine`, and for unknown values, its bin among the thresholds `coarse`."""
    return np.append(np.searchsorted(coarse, np.append(fine, np.inf), side="left"), len(coarse) + 1)


def _thresholds(node: dict[str, Any]) -> Thresholds:
    thresholds: dict[int, set[float]] = {}
    for split in _splits(node):
        thresholds.setdefault(split["split_feature"], set()).add(split["threshold"])
    return {factor: np.array(sorted(values)) for factor, values in thresholds.items()}


def _splits(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "split_feature" in node:
        yield node
        yield from _splits(node["left_child"])
        yield from _splits(node["right_child"])


def _shared_thresholds(trees: list[Thresholds]) -> Thresholds:
    factors = sorted({factor for tree in trees for factor in tree})
    return {f: np.unique(np.concatenate([tree[f] for tree in trees if f in tree])) for f in factors}


def _combinations(tree: Thresholds) -> int:
    return int(np.prod([len(values) + 2 for values in tree.values()], dtype=np.int64))


def imputation_values(matrix: NDArray[np.float64], *, enough: int) -> NDArray[np.float64]:
    """Value to impute in each column: the median, or NaN where trees can learn from unknown values.

    With fewer than `enough` unknown values trees cannot learn what they mean and LightGBM would read zero: an
    unknown age would be a newborn's. A column that is always unknown stays NaN.

    >>> imputation_values(np.array([[1.0, np.nan], [3.0, np.nan], [np.nan, 5.0]]), enough=2).tolist()
    [2.0, nan]
    """
    gaps = np.array([np.isnan(column).sum() for column in matrix.T])
    fill = np.full(matrix.shape[1], np.nan)
    for column in np.flatnonzero((gaps < enough) & (gaps < len(matrix))):
        values = matrix[:, column]
        fill[column] = np.median(values[~np.isnan(values)])
    return fill


def impute(matrix: NDArray[np.float64], fill: NDArray[np.float64]) -> NDArray[np.float64]:
    """The matrix with unknown values replaced by `fill`; they stay NaN where `fill` is NaN.

    Where nothing is to be imputed the matrix itself is returned, and not a copy.

    >>> impute(np.array([[np.nan, np.nan]]), np.array([2.0, np.nan])).tolist()
    [[2.0, nan]]
    """
    gaps = np.isnan(matrix) & ~np.isnan(fill)
    return np.where(gaps, fill, matrix) if gaps.any() else matrix


_ONE_THREAD_BELOW: Final = 2_000
_ROWS_AT_ONCE: Final = 250_000
_LOOK_UP_FROM: Final = 200

# LightGBM prints to standard output, where `train --json` writes one JSON object.
lgb.register_logger(logging.getLogger("dnapredict.lightgbm"))


@dataclass(frozen=True)
class Trees:
    """LightGBM's trees.

    Parameters
    ----------
    booster : the trees; their sum is the margin, in log odds before calibration
    fill : (p,) float64
        Value to impute in columns that were (almost) always known in training, where LightGBM would silently
        read an unknown value as zero. NaN in columns where unknown values were common enough to be learned.
    """

    booster: lgb.Booster
    fill: NDArray[np.float64]

    def margin(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum of the trees for each row."""
        total = np.empty(len(matrix))
        # Some at a time, since imputed rows are a copy.
        for first in range(0, len(matrix), _ROWS_AT_ONCE):
            known = impute(matrix[first : first + _ROWS_AT_ONCE], self.fill)
            # A numpy array and not a data frame: one row takes LightGBM about 25 microseconds instead of 213.
            total[first : first + len(known)] = self.booster.predict(
                known, raw_score=True, num_threads=_threads(len(known))
            )
        return total

    def contributions(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """Path-dependent SHAP values of the margin (Lundberg et al. 2020): (n, p), exact.

        Many rows are looked up, which gave the same values 34 times as fast (see `shap_tables`).
        """
        if not len(matrix):
            return np.empty(matrix.shape)
        known = impute(matrix, self.fill)
        if len(known) >= _LOOK_UP_FROM and self._tables is not None:
            return self._tables.contributions(known)
        values = self.booster.predict(known, pred_contrib=True, num_threads=_threads(len(known)))
        return np.asarray(values, dtype=np.float64)[:, :-1]

    @cached_property
    def _tables(self) -> ShapTables | None:
        return shap_tables(self.booster)


def _threads(rows: int) -> int:
    """Threads for that many rows: for few rows, starting them costs more than it saves."""
    return 1 if rows < _ONE_THREAD_BELOW else (os.cpu_count() or 1)

"""Exact SHAP values for many rows: each shallow tree as a small table, asked of LightGBM once.

A tree asks at most a few factors where they lie between its thresholds, so that it can only ever
answer a few hundred different ways. We make one row for each way, let LightGBM attribute it, and
then look rows up. The values are LightGBM's own; a table costs milliseconds, a row microseconds.
"""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

_MOST_WAYS: Final = 4_096
_ROWS_AT_ONCE: Final = 20_000

Thresholds = Mapping[int, NDArray[np.float64]]


@dataclass(frozen=True)
class _Table:
    """One tree: the place of a row is the sum over its factors of `places[factor][bin]`."""

    places: dict[int, NDArray[np.int32]]
    values: dict[int, NDArray[np.float64]]


@dataclass(frozen=True)
class Tables:
    """All trees as tables, over bins that they share."""

    thresholds: Thresholds
    trees: tuple[_Table, ...]
    width: int

    def contributions(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """What each factor adds to each row's margin: (n, p), equal to LightGBM's `pred_contrib`."""
        total = np.zeros(matrix.shape)
        for start in range(0, len(matrix), _ROWS_AT_ONCE):
            total[start : start + _ROWS_AT_ONCE] = self._of(matrix[start : start + _ROWS_AT_ONCE]).T
        return total

    def _of(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        bins = {factor: _bins(matrix[:, factor], known) for factor, known in self.thresholds.items()}
        total = np.zeros((self.width, len(matrix)))
        for tree in self.trees:
            place = np.zeros(len(matrix), dtype=np.int32)
            for factor, places in tree.places.items():
                place += places[bins[factor]]
            for factor, values in tree.values.items():
                total[factor] += values[place]
        return total


def tables(booster: lgb.Booster) -> Tables | None:
    """The trees of `booster` as tables; None where a tree is so deep that its table would be large."""
    grown = [_thresholds(tree["tree_structure"]) for tree in booster.dump_model()["tree_info"]]
    if any(_ways(tree) > _MOST_WAYS for tree in grown):
        return None
    together = _together(grown)
    width = booster.num_feature()
    return Tables(together, tuple(_asked(booster, n, tree, together) for n, tree in enumerate(grown)), width)


def _asked(booster: lgb.Booster, number: int, tree: Thresholds, together: Thresholds) -> _Table:
    """Have LightGBM attribute one row for each way through the tree."""
    rows = np.zeros((_ways(tree), booster.num_feature()))
    specimens = [np.concatenate([t, [np.nextafter(t[-1], np.inf), np.nan]]) for t in tree.values()]
    if tree:
        rows[:, list(tree)] = np.array(list(itertools.product(*specimens)))
    found = booster.predict(rows, pred_contrib=True, start_iteration=number, num_iteration=1, num_threads=1)
    places, stride = {}, 1
    for factor in reversed(list(tree)):
        places[factor] = (_coarser(together[factor], tree[factor]) * stride).astype(np.int32)
        stride *= len(tree[factor]) + 2
    return _Table(places, {factor: np.ascontiguousarray(found[:, factor]) for factor in tree})


def _bins(values: NDArray[np.float64], thresholds: NDArray[np.float64]) -> NDArray[np.int64]:
    """Which interval (.., t1], (t1, t2], .. each value lies in; one more bin for not known."""
    found = np.searchsorted(thresholds, values, side="left")
    return np.where(np.isnan(values), len(thresholds) + 1, found)


def _coarser(fine: NDArray[np.float64], coarse: NDArray[np.float64]) -> NDArray[np.int64]:
    """For each bin of `fine`, and for not known, its bin among fewer thresholds."""
    return np.append(np.searchsorted(coarse, np.append(fine, np.inf), side="left"), len(coarse) + 1)


def _thresholds(node: dict[str, Any]) -> Thresholds:
    found: dict[int, set[float]] = {}
    for split in _splits(node):
        found.setdefault(split["split_feature"], set()).add(split["threshold"])
    return {factor: np.array(sorted(values)) for factor, values in found.items()}


def _splits(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "split_feature" in node:
        yield node
        yield from _splits(node["left_child"])
        yield from _splits(node["right_child"])


def _together(trees: list[Thresholds]) -> Thresholds:
    factors = sorted({factor for tree in trees for factor in tree})
    return {f: np.unique(np.concatenate([tree[f] for tree in trees if f in tree])) for f in factors}


def _ways(tree: Thresholds) -> int:
    return int(np.prod([len(values) + 2 for values in tree.values()], dtype=np.int64))

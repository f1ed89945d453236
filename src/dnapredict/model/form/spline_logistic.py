"""A margin that is a sum of one curve for each factor: logistic regression, bent at quantiles.

It is the rival of the trees on every run and, where they are no better beyond chance, the model:
a person can read it off a chart.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

_ENOUGH: Final = 100_000
_ENOUGH_OF_ONE: Final = 20_000
_BENDS: Final = (0, 20, 40, 60, 80, 95, 100)
# Chosen on rolling weeks of real data (docs/results.md).
_FREEDOM: Final = 0.1


@dataclass(frozen=True)
class Spline:
    """What one factor adds to the margin: straight between `knots`, level beyond them.

    `missing` is added where the factor is not known, `usual` is the mean over the training rows.
    """

    knots: tuple[float, ...]
    values: tuple[float, ...]
    missing: float
    usual: float

    def added(self, factor: NDArray[np.float64]) -> NDArray[np.float64]:
        """What each value adds, in log odds."""
        known = np.interp(factor, self.knots, self.values)
        return np.where(np.isnan(factor), self.missing, known)


@dataclass(frozen=True)
class SplineLogistic:
    """One curve for each factor, and where they start."""

    intercept: float
    curves: tuple[Spline, ...]

    def margin(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum of the curves for each row."""
        total = np.full(len(matrix), self.intercept)
        for column, curve in enumerate(self.curves):
            total += curve.added(matrix[:, column])
        return total

    def contributions(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """SHAP values: what each factor adds beyond what it usually adds: (n, p), exact."""
        added = [curve.added(matrix[:, column]) - curve.usual for column, curve in enumerate(self.curves)]
        return np.column_stack(added) if added else np.empty(matrix.shape)


def fit_curves(
    matrix: NDArray[np.float64],
    dna: NDArray[np.bool_],
    *,
    weight: NDArray[np.float64] | None = None,
    freedom: float = _FREEDOM,
) -> SplineLogistic:
    """Fit logistic regression to each factor bent at its quantiles, with a sign where it is not known.

    Straight lines would be a straw man: risk climbs over the first days of lead time and then
    stays. Of very many rows an even share is used: a few hundred numbers need no more, and the few of a
    single factor fewer.

    Parameters
    ----------
    freedom : how freely curves may bend, the inverse of the strength by which weights are drawn to 0
    """
    rows = slice(None, None, -(-len(matrix) // (_ENOUGH if matrix.shape[1] > 1 else _ENOUGH_OF_ONE)))
    matrix, dna = matrix[rows], dna[rows]
    weight = None if weight is None else weight[rows]
    knots = [_knots(column) for column in matrix.T]
    # Newton's steps, since the default solver stops far from the optimum of so many columns.
    line = LogisticRegression(C=freedom, solver="newton-cholesky")
    line.fit(_design(matrix, knots), dna, sample_weight=weight)
    weights = iter(line.coef_[0])
    curves = (_curve(column, at, weights=weights) for column, at in zip(matrix.T, knots, strict=True))
    return SplineLogistic(float(line.intercept_[0]), tuple(curves))


def _knots(values: NDArray[np.float64]) -> tuple[float, ...]:
    known = values[~np.isnan(values)]
    return tuple(map(float, np.unique(np.percentile(known, _BENDS)))) if len(known) else (0.0,)


def _design(matrix: NDArray[np.float64], knots: list[tuple[float, ...]]) -> NDArray[np.float64]:
    """For each factor, how near its value is to each knot but the first, and whether it is not known."""
    design = np.zeros((len(matrix), sum(map(len, knots))))
    column = 0
    for values, at in zip(matrix.T, knots, strict=True):
        known = ~np.isnan(values)
        place = np.interp(values, at, np.arange(len(at)))  # 1.5 is half way from the second knot to the third
        for knot in range(1, len(at)):
            near = np.maximum(1 - np.abs(place - knot), 0)
            design[:, column] = np.where(known, near, 0)
            column += 1
        design[:, column] = ~known
        column += 1
    return design


def _curve(values: NDArray[np.float64], knots: tuple[float, ...], *, weights: Iterator[float]) -> Spline:
    """Take a factor's weights, in the order of `_design`, as its curve, which starts at 0."""
    at_knots = (0.0, *(float(next(weights)) for _ in knots[1:]))
    missing = float(next(weights))
    curve = Spline(knots, at_knots, missing, usual=0.0)
    return replace(curve, usual=float(curve.added(values).mean()))

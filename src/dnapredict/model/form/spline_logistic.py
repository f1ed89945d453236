"""Logistic regression on linear splines: the margin is a sum of one curve for each factor.

It is compared with the trees on every run and is the model where they are not better beyond chance: a person can
read it off a chart.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

_MOST_ROWS: Final = 100_000
_MOST_ROWS_OF_ONE: Final = 20_000
_KNOT_PERCENTILES: Final = (0, 20, 40, 60, 80, 95, 100)
# Chosen on rolling weeks of real data (docs/results.md).
_INVERSE_PENALTY: Final = 0.1


@dataclass(frozen=True)
class Spline:
    """Contribution of one factor to the margin: linear between `knots`, constant beyond them.

    `missing` is the contribution of an unknown value, `usual` the mean over the training rows.
    """

    knots: tuple[float, ...]
    values: tuple[float, ...]
    missing: float
    usual: float

    def added(self, factor: NDArray[np.float64]) -> NDArray[np.float64]:
        """Contribution of each value, in log odds."""
        known = np.interp(factor, self.knots, self.values)
        return np.where(np.isnan(factor), self.missing, known)


@dataclass(frozen=True)
class SplineLogistic:
    """A spline for each factor, and the intercept."""

    intercept: float
    curves: tuple[Spline, ...]

    def margin(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum of intercept and contributions for each row."""
        total = np.full(len(matrix), self.intercept)
        for column, curve in enumerate(self.curves):
            total += curve.added(matrix[:, column])
        return total

    def contributions(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """Exact SHAP values: the contribution of each factor minus its mean, (n, p)."""
        added = [curve.added(matrix[:, column]) - curve.usual for column, curve in enumerate(self.curves)]
        return np.column_stack(added) if added else np.empty(matrix.shape)


def fit_splines(
    matrix: NDArray[np.float64],
    dna: NDArray[np.bool_],
    *,
    weight: NDArray[np.float64] | None = None,
    inverse_penalty: float = _INVERSE_PENALTY,
) -> SplineLogistic:
    """Fit logistic regression on linear splines with knots at quantiles, and an indicator of unknown values.

    Straight lines would be too weak a baseline: risk climbs over the first days of lead time and then stays. Of
    very many rows an even sample is used: a few hundred weights need no more, and those of one factor fewer.

    Parameters
    ----------
    freedom : inverse of the ridge penalty on the weights (`C` of scikit-learn)
    """
    rows = slice(None, None, -(-len(matrix) // (_MOST_ROWS if matrix.shape[1] > 1 else _MOST_ROWS_OF_ONE)))
    matrix, dna = matrix[rows], dna[rows]
    weight = None if weight is None else weight[rows]
    knots = [_knots(column) for column in matrix.T]
    # Newton's steps, since the default solver stops far from the optimum of so many columns.
    line = LogisticRegression(C=inverse_penalty, solver="newton-cholesky")
    line.fit(_design(matrix, knots), dna, sample_weight=weight)
    weights = iter(line.coef_[0])
    curves = (_curve(column, at, weights=weights) for column, at in zip(matrix.T, knots, strict=True))
    return SplineLogistic(float(line.intercept_[0]), tuple(curves))


def _knots(values: NDArray[np.float64]) -> tuple[float, ...]:
    known = values[~np.isnan(values)]
    return tuple(map(float, np.unique(np.percentile(known, _KNOT_PERCENTILES)))) if len(known) else (0.0,)


def _design(matrix: NDArray[np.float64], knots: list[tuple[float, ...]]) -> NDArray[np.float64]:
    """For each factor, the hat function of each knot but the first, and whether the value is unknown."""
    design = np.zeros((len(matrix), sum(map(len, knots))))
    column = 0
    for values, at in zip(matrix.T, knots, strict=True):
        known = ~np.isnan(values)
        position = np.interp(values, at, np.arange(len(at)))  # 1.5 is half way from the second knot to the third
        for knot in range(1, len(at)):
            near = np.maximum(1 - np.abs(position - knot), 0)
            design[:, column] = np.where(known, near, 0)
            column += 1
        design[:, column] = ~known
        column += 1
    return design


def _curve(values: NDArray[np.float64], knots: tuple[float, ...], *, weights: Iterator[float]) -> Spline:
    """The spline of a factor from its weights, in the order of `_design`; it is 0 at its first knot."""
    at_knots = (0.0, *(float(next(weights)) for _ in knots[1:]))
    missing = float(next(weights))
    curve = Spline(knots, at_knots, missing, usual=0.0)
    return replace(curve, usual=float(curve.added(values).mean()))

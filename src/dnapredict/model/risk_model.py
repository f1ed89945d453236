"""A trained model: trees or splines that give a margin in log odds, and a calibrator that turns it into a risk.

The splines are a logistic regression whose margin is a sum of one curve for each factor. They are compared with the
trees on every run and are the model where the trees are not better beyond chance: a person can read them off a chart.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit
from sklearn.linear_model import LogisticRegression

from dnapredict.errors import ModelError
from dnapredict.model.evaluate.logistic import log_odds
from dnapredict.model.tree_ensemble import Trees

Margins = NDArray[np.float64]


@dataclass(frozen=True)
class Platt:
    """Logistic in the margin (Platt 1999); slope 1 and intercept 0 leave the risk as it is."""

    slope: float = 1.0
    intercept: float = 0.0
    method: Literal["platt"] = "platt"

    def probability(self, margin: Margins) -> Margins:
        """Risk of each margin, in (0, 1); monotone, since the slope is positive."""
        return np.asarray(expit(self.slope * margin + self.intercept), dtype=np.float64)


@dataclass(frozen=True)
class Beta:
    """Platt's line with one slope for low risks and one for high risks (Kull et al. 2017, AISTATS).

    The log odds are `low * log(risk) - high * log(1 - risk) + intercept`, where `risk` is the uncalibrated
    risk; both slopes are positive, so that the order is kept.
    """

    low: float
    high: float
    intercept: float
    method: Literal["beta"] = "beta"

    def probability(self, margin: Margins) -> Margins:
        """Risk of each margin, in (0, 1)."""
        odds = self.low * log_expit(margin) - self.high * log_expit(-margin) + self.intercept
        return np.asarray(expit(odds), dtype=np.float64)


@dataclass(frozen=True)
class Isotonic:
    """Isotonic regression (Zadrozny and Elkan 2002): linear between `margins`, constant beyond them.

    Neighbouring margins may get the same risk; no risk is below 0.0001 or above 0.9999.
    """

    margins: tuple[float, ...]
    risks: tuple[float, ...]
    method: Literal["isotonic"] = "isotonic"

    def probability(self, margin: Margins) -> Margins:
        """Risk of each margin, in (0, 1)."""
        return np.interp(margin, self.margins, self.risks)


Calibrator = Platt | Beta | Isotonic


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


Form = Trees | SplineLogistic


@dataclass(frozen=True)
class RiskModel:
    """Risk of a missed appointment from a matrix of agreed factors.

    Parameters
    ----------
    factors : columns of the matrix, in order
    form : trees, or a spline for each factor; gives the margin, in log odds before calibration
    calibrator : turns the margin into a risk
    site_shifts : log odds to add to the risks of a site, where sites differ beyond chance
    """

    factors: tuple[str, ...]
    form: Form
    calibrator: Calibrator
    site_shifts: Mapping[str, float] = field(default_factory=dict)

    def margin(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """Margin of each row, in log odds before calibration.

        Raises
        ------
        ModelError
            If the matrix has not one column for each factor.
        """
        self._require_width(matrix)
        return self.form.margin(matrix)

    def probability(
        self, matrix: NDArray[np.float64], *, sites: Sequence[str | None] | None = None
    ) -> NDArray[np.float64]:
        """Risk of each row, in (0, 1); a row's risk does not depend on the other rows.

        Parameters
        ----------
        sites : the `site_code` of each row; without it no site is recalibrated
        """
        return recalibrate_sites(self.calibrator.probability(self.margin(matrix)), sites, self.site_shifts)

    def contributions(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """What each factor adds to each row's margin: exact SHAP values, (n, p).

        A row's values and the model's expected margin add up to the row's margin.
        """
        self._require_width(matrix)
        return self.form.contributions(matrix)

    def _require_width(self, matrix: NDArray[np.float64]) -> None:
        if matrix.ndim != 2 or matrix.shape[1] != len(self.factors):
            raise ModelError(f"The model reads {len(self.factors)} factors; the matrix is {matrix.shape}.")


def recalibrate_sites(
    probability: NDArray[np.float64], sites: Sequence[str | None] | None, shifts: Mapping[str, float]
) -> NDArray[np.float64]:
    """Risks with the log odds of their sites shifted; an unknown or new site is not.

    >>> recalibrate_sites(np.array([0.5, 0.5]), ["A", None], {"A": 1.0}).round(3).tolist()
    [0.731, 0.5]
    """
    if sites is None or not shifts:
        return probability
    shift = np.array([0.0 if site is None else shifts.get(site, 0.0) for site in sites])
    return np.where(shift == 0, probability, expit(log_odds(probability) + shift))

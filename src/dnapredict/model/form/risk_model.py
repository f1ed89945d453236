"""A trained model: trees or splines that give a margin, and a calibrator that turns the margin into a risk."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from dnapredict.errors import ModelError
from dnapredict.model.evaluate.logistic import log_odds
from dnapredict.model.form.calibrators import Calibrator
from dnapredict.model.form.spline_logistic import SplineLogistic
from dnapredict.model.form.tree_ensemble import Trees

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

"""A trained model: a form that gives a margin, and a calibration that turns the margin into a risk."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dnapredict.errors import ModelError
from dnapredict.model.form.calibrators import Calibrator
from dnapredict.model.form.site_recalibration import shifted
from dnapredict.model.form.spline_logistic import SplineLogistic
from dnapredict.model.form.tree_ensemble import Trees

Form = Trees | SplineLogistic


@dataclass(frozen=True)
class RiskModel:
    """Risk of a missed appointment from a matrix of agreed factors.

    Parameters
    ----------
    factors : columns of the matrix, in order
    form : trees, or a curve for each factor; gives the margin, in log odds before calibration
    calibrator : turns the margin into a risk
    site_shifts : what to add to the log odds of a site's risks, where its weeks told more than chance
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
        self._refuse_other_width(matrix)
        return self.form.margin(matrix)

    def probability(
        self, matrix: NDArray[np.float64], *, sites: Sequence[str | None] | None = None
    ) -> NDArray[np.float64]:
        """Risk of each row, in (0, 1); a row's risk does not depend on the rows beside it.

        Parameters
        ----------
        sites : the `site_code` of each row; without it, the level of risk is that of the whole
        """
        return shifted(self.calibrator.probability(self.margin(matrix)), sites, self.site_shifts)

    def contributions(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """What each factor adds to each row's margin: exact SHAP values, (n, p).

        A row's values and the model's expected margin add up to the row's margin.
        """
        self._refuse_other_width(matrix)
        return self.form.contributions(matrix)

    def _refuse_other_width(self, matrix: NDArray[np.float64]) -> None:
        if matrix.ndim != 2 or matrix.shape[1] != len(self.factors):
            raise ModelError(f"The model reads {len(self.factors)} factors; the matrix is {matrix.shape}.")

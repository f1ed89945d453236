"""Inverse probability weights for appointments whose patient was reached by a call.

The model estimates the risk without a call. A call changes the outcome: a patient at high risk who was called and
came would teach a model that such patients come. So contacted appointments are left out of fitting, calibration
and test, and similar ones that were not contacted are weighted by `1 / (1 - propensity)`, the inverse probability
of not being called given the same factors (Robins et al. 2000, Epidemiology). This assumes that calls depend on
the factors only, as with a list ranked by risk, and that some patients at every risk are not reached.
`benchmarks/contacted.py` shows the bias that it removes.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from dnapredict.model.cohort.cohort import Cohort
from dnapredict.model.cohort.time_split import Windows
from dnapredict.model.form.spline_logistic import fit_splines

# Larger weights would let a few appointments dominate the fit.
_LARGEST_WEIGHT: Final = 20.0
# With fewer contacted appointments the propensity cannot be estimated, and no weights are used.
_FEWEST_CONTACTED: Final = 100
_FREEDOM: Final = 1.0


@dataclass(frozen=True)
class ExcludedContacts:
    """Appointments that were left out of each window because their patient was reached by a call.

    `most_weight` is the largest weight of the others; 1 where no weights are used.
    """

    trained: int
    tested: int
    most_weight: float

    def __str__(self) -> str:
        """The method in words, for the model card."""
        return (
            f"{self.trained:,} appointments of the training window and {self.tested:,} of the test were left "
            "out because a validation call had reached the patient; the model gives the risk without a call. "
            "Similar patients who were not called represent them, with a weight of up to "
            f"{self.most_weight:.1f}."
        )


def exclude_contacted(cohort: Cohort, windows: Windows) -> tuple[Cohort, Windows, ExcludedContacts | None]:
    """The cohort with weights, the windows without contacted appointments, and a summary (None if nobody was)."""
    called = cohort.contacted
    if called is None or not (called & (windows.train | windows.test)).any():
        return cohort, windows, None
    weight = _weights(cohort, called, windows)
    contacts = ExcludedContacts(
        trained=int((called & windows.train).sum()),
        tested=int((called & windows.test).sum()),
        most_weight=float(weight[windows.train & ~called].max(initial=1.0)),
    )
    return replace(cohort, weight=weight), windows.restrict(cohort, ~called), contacts


def _weights(cohort: Cohort, called: NDArray[np.bool_], windows: Windows) -> NDArray[np.float64]:
    """Inverse probability of not being called for rows of the training window; 1 elsewhere."""
    weight = np.ones(len(cohort))
    train = windows.train
    if min(called[train].sum(), (~called[train]).sum()) < _FEWEST_CONTACTED:
        return weight
    # A weak penalty: a call list has a sharp threshold, and shrunken propensities would leave bias.
    propensity = fit_splines(cohort.matrix[train], called[train], inverse_penalty=_FREEDOM)
    not_called = 1 - expit(propensity.margin(cohort.matrix[train]))
    weight[train] = np.minimum(1 / np.maximum(not_called, 1 / _LARGEST_WEIGHT), _LARGEST_WEIGHT)
    return weight

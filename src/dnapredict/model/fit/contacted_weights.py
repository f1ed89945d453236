"""Appointments whose patient was reached by a call: the model tells the risk without one.

A call changes the outcome that is recorded: a patient at high risk who was called and came would
teach a model that such patients come. So the called are left out of fitting, calibration and
test, and those like them who were not called stand for them: each weighs `1 / (1 - propensity)`, the
inverse probability of not having been called given the same factors (Robins et al. 2000,
Epidemiology). That holds where who is called follows from the factors, as with a list ranked by risk,
and some at every risk are not reached. `benchmarks/contacted.py` shows the bias it removes.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from dnapredict.model.cohort.cohort import Cohort
from dnapredict.model.cohort.time_split import Windows
from dnapredict.model.form.spline_logistic import fit_curves

# Weights above it would let a few appointments speak for very many.
_MOST_WEIGHT: Final = 20.0
# Fewer calls tell nothing about who is called; they are left out and the others weigh alike.
_FEWEST: Final = 100
_FREEDOM: Final = 1.0


@dataclass(frozen=True)
class Contacts:
    """How many appointments were left out of each window because their patient was reached by a call.

    `most_weight` is the largest weight given to one that was not; 1 where all weigh alike.
    """

    trained: int
    tested: int
    most_weight: float

    def __str__(self) -> str:
        """The method in two sentences, for the model card."""
        return (
            f"{self.trained:,} appointments of the training window and {self.tested:,} of the test were left "
            "out because a validation call had reached the patient; the model tells the risk without a call. "
            "Appointments of similar patients who were not called stand for them, with a weight of up to "
            f"{self.most_weight:.1f}."
        )


def without_contacted(cohort: Cohort, windows: Windows) -> tuple[Cohort, Windows, Contacts | None]:
    """The cohort with weights, its windows without the called, and what was done; None: nothing to do."""
    called = cohort.contacted
    if called is None or not (called & (windows.train | windows.test)).any():
        return cohort, windows, None
    weight = _weights(cohort, called, windows)
    contacts = Contacts(
        trained=int((called & windows.train).sum()),
        tested=int((called & windows.test).sum()),
        most_weight=float(weight[windows.train & ~called].max(initial=1.0)),
    )
    return replace(cohort, weight=weight), windows.only(cohort, ~called), contacts


def _weights(cohort: Cohort, called: NDArray[np.bool_], windows: Windows) -> NDArray[np.float64]:
    """Inverse probability of not being called, among rows of the training window; 1 elsewhere."""
    weight = np.ones(len(cohort))
    train = windows.train
    if min(called[train].sum(), (~called[train]).sum()) < _FEWEST:
        return weight
    # Freely, since a call list has sharp edges, and weights drawn together leave the bias in.
    propensity = fit_curves(cohort.matrix[train], called[train], freedom=_FREEDOM)
    free = 1 - expit(propensity.margin(cohort.matrix[train]))
    weight[train] = np.minimum(1 / np.maximum(free, 1 / _MOST_WEIGHT), _MOST_WEIGHT)
    return weight

"""The methods of the study: each turns one half of the patients into calls on the other.

Rules look at risk and the deprivation of the area. Research methods also need each person's ethnic group,
which is held for monitoring: they are fitted to learn what they would do, never to make a list.
"""

import warnings
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pandas as pd
from fairlearn.postprocessing import ThresholdOptimizer
from fairlearn.reductions import ExponentiatedGradient, TruePositiveRateParity
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dnapredict.audit.study.halves import Half

__all__ = ["RESEARCH", "RULES", "Calls", "by_risk"]

Calls = NDArray[np.bool_]
_BOUND: Final = 0.02  # reach may differ by this much between groups in the reduction
_ROUNDS: Final = 15


def by_risk(_fit: Half, judged: Half, calls: int) -> Calls:
    """The highest risks."""
    return _top(judged.risk, calls)


def recalibrated(fit: Half, judged: Half, calls: int) -> Calls:
    """The highest risks, after the level of risk is set right in each fifth of deprivation."""
    risk = judged.risk.copy()
    for fifth in np.unique(judged.fifth):
        learnt, asked = fit.fifth == fifth, judged.fifth == fifth
        if fit.missed[learnt].any():
            risk[asked] *= fit.missed[learnt].mean() / fit.risk[learnt].mean()
    return _top(risk, calls)


def optimised(fit: Half, judged: Half, seed: int, *, leave_out: int | None = None) -> Calls:
    """fairlearn's threshold optimiser: a threshold, partly drawn by lot, for each ethnic group.

    `leave_out` is a group that the fit does not see.
    """
    kept = fit.group != (-1 if leave_out is None else leave_out)
    optimiser = ThresholdOptimizer(
        estimator=_Given(),
        constraints="true_positive_rate_parity",
        objective="balanced_accuracy_score",
        prefit=True,
        predict_method="predict_proba",
    )
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # it warns of an estimator that was not fitted: there is nothing to fit
        optimiser.fit(_column(fit.risk[kept]), fit.missed[kept], sensitive_features=fit.group[kept])
        found = optimiser.predict(_column(judged.risk), sensitive_features=judged.group, random_state=seed)
    return np.asarray(found).astype(bool)


def reduced(fit: Half, judged: Half, seed: int, *, leave_out: int | None = None) -> Calls:
    """fairlearn's exponentiated gradient over logistic regression, reach alike within two points.

    Missed appointments weigh as much as attended ones; without that it calls nobody at all.
    """
    kept = fit.group != (-1 if leave_out is None else leave_out)
    prepare = make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of convergence inside its own search
        reduction = ExponentiatedGradient(
            _Balanced(), TruePositiveRateParity(difference_bound=_BOUND), max_iter=_ROUNDS
        )
        reduction.fit(
            prepare.fit_transform(fit.factors[kept]),
            fit.missed[kept].astype(int),
            sensitive_features=fit.group[kept],
        )
        found = reduction.predict(prepare.transform(judged.factors), random_state=seed)
    return np.asarray(found).astype(bool)


RULES: Final[dict[str, Callable[[Half, Half, int], Calls]]] = {
    "by_risk": by_risk,
    "recalibrated": recalibrated,
}
RESEARCH: Final[dict[str, Callable[..., Calls]]] = {"optimised": optimised, "reduced": reduced}


def _top(risk: NDArray[np.float64], calls: int) -> Calls:
    chosen = np.zeros(len(risk), dtype=bool)
    chosen[np.argsort(-risk, kind="stable")[:calls]] = True
    return chosen


def _column(risk: NDArray[np.float64]) -> pd.DataFrame:
    return pd.DataFrame({"risk": risk})


class _Given(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A model that answers with the risk it is given."""

    classes_ = np.array([0, 1])

    def fit(self, *_: Any) -> "_Given":
        """Nothing to learn."""
        return self

    def predict_proba(self, asked: pd.DataFrame) -> NDArray[np.float64]:
        """The risk, and its complement first."""
        risk = asked["risk"].to_numpy()
        return np.column_stack([1 - risk, risk])


class _Balanced(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Logistic regression in which missed appointments weigh as much as attended ones."""

    def fit(self, x: NDArray[np.float64], y: NDArray[np.int64], sample_weight: Any = None) -> "_Balanced":
        """Fit with the weights of the reduction, times those of balance."""
        given = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight)
        self.model_ = LogisticRegression(class_weight="balanced", max_iter=200).fit(x, y, sample_weight=given)
        self.classes_ = self.model_.classes_
        return self

    def predict(self, x: NDArray[np.float64]) -> NDArray[np.int64]:
        """1 for those to call."""
        found: NDArray[np.int64] = self.model_.predict(x)
        return found

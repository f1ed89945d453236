"""The methods of the study, each fitted on one half of the patients and applied to the other."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
from fairlearn.postprocessing import ThresholdOptimizer
from fairlearn.reductions import ExponentiatedGradient, TruePositiveRateParity
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dnapredict.fairness.measure.audited_appointments import AuditData
from dnapredict.fairness.measure.groupings import QUINTILE, grouping_named
from dnapredict.fairness.measure.membership import membership

MOST_ROWS: Final = 60_000  # a reduction fits dozens of models: more rows take minutes and change little


@dataclass(frozen=True)
class Half:
    """Appointments of half of the patients, with the input of a method.

    `factors` are the model's factors, or the log odds of the risk for other scores. `group` is the index of the broad
    ethnic group, unknown last; `fifth` that of deprivation.
    """

    audited: AuditData
    missed: NDArray[np.bool_]
    risk: NDArray[np.float64]
    factors: NDArray[np.float64]
    group: NDArray[np.int64]
    fifth: NDArray[np.int64]


def halves(audited: AuditData, factors: NDArray[np.float64] | None, *, seed: int) -> tuple[Half, Half]:
    """Two halves of a sample of at most `MOST_ROWS` appointments, split by patient."""
    random = np.random.default_rng(seed)
    patient = audited.table["patient"].to_numpy()
    people = random.permutation(np.unique(patient))
    share = min(1.0, MOST_ROWS / len(patient))
    sampled = people[: max(2, int(share * len(people)))]
    first, second = np.array_split(sampled, 2)
    fit, judged = (_half(audited, factors, np.isin(patient, people)) for people in (first, second))
    return _with_both_outcomes(fit, judged)


def _with_both_outcomes(fit: Half, judged: Half) -> tuple[Half, Half]:
    """Merge groups in which nobody missed, or nobody attended, into the largest: no method can be fitted on them."""
    sizes = np.bincount(fit.group)
    missed = np.bincount(fit.group, weights=fit.missed)
    one_sided = (missed == 0) | (missed == sizes)
    thin = np.flatnonzero(one_sided & (sizes > 0))
    largest = int(np.where(one_sided, 0, sizes).argmax())  # all go to the first where every group is thin
    return (
        replace(fit, group=np.where(np.isin(fit.group, thin), largest, fit.group)),
        replace(judged, group=np.where(np.isin(judged.group, thin), largest, judged.group)),
    )


def _half(audited: AuditData, factors: NDArray[np.float64] | None, inside: NDArray[np.bool_]) -> Half:
    kept = AuditData(audited.table.filter(pa.array(inside)).combine_chunks())
    risk = np.clip(kept.table["probability"].to_numpy(), 1e-6, 1 - 1e-6)
    seen = np.log(risk / (1 - risk))[:, None] if factors is None else factors[inside]
    return Half(
        audited=kept,
        missed=kept.table["dna"].to_numpy(zero_copy_only=False).astype(bool),
        risk=risk,
        factors=seen,
        group=_known_group_index(kept, "ethnicity_5"),
        fifth=_known_group_index(kept, QUINTILE.name),
    )


def _known_group_index(audited: AuditData, name: str) -> NDArray[np.int64]:
    """Index of each row's group; unknown groups are one, the last."""
    grouping = QUINTILE if name == QUINTILE.name else grouping_named(name)
    members = membership(audited, grouping)
    if members is None:
        return np.zeros(len(audited), dtype=np.int64)
    known = [new_index for new_index, group in enumerate(members.groups) if group.known]
    new_index = np.full(len(members.groups), len(known), dtype=np.int64)
    new_index[known] = np.arange(len(known))
    index: NDArray[np.int64] = new_index[members.index]
    return index


Calls = NDArray[np.bool_]
_BOUND: Final = 0.02  # reach may differ by this much between groups in the reduction
_ROUNDS: Final = 15


def by_risk(_fit: Half, judged: Half, calls: int) -> Calls:
    """The highest risks."""
    return _top(judged.risk, calls)


def recalibrated(fit: Half, judged: Half, calls: int) -> Calls:
    """The highest risks, after recalibration in each fifth of deprivation."""
    risk = judged.risk.copy()
    for fifth in np.unique(judged.fifth):
        in_fit, in_judged = fit.fifth == fifth, judged.fifth == fifth
        if fit.missed[in_fit].any():
            risk[in_judged] *= fit.missed[in_fit].mean() / fit.risk[in_fit].mean()
    return _top(risk, calls)


def optimised(fit: Half, judged: Half, seed: int, *, leave_out: int | None = None) -> Calls:
    """fairlearn's threshold optimiser: a threshold, partly drawn by lot, for each ethnic group.

    `leave_out` is a group that the fit does not see.
    """
    kept = fit.group != (-1 if leave_out is None else leave_out)
    optimiser = ThresholdOptimizer(
        estimator=_IdentityModel(),
        constraints="true_positive_rate_parity",
        objective="balanced_accuracy_score",
        prefit=True,
        predict_method="predict_proba",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of an estimator that was not fitted: there is nothing to fit
        optimiser.fit(_column(fit.risk[kept]), fit.missed[kept], sensitive_features=fit.group[kept])
        called = optimiser.predict(_column(judged.risk), sensitive_features=judged.group, random_state=seed)
    return np.asarray(called).astype(bool)


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
        called = reduction.predict(prepare.transform(judged.factors), random_state=seed)
    return np.asarray(called).astype(bool)


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


class _IdentityModel(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A model whose prediction is its input."""

    classes_ = np.array([0, 1])

    def fit(self, *_: Any) -> "_IdentityModel":
        """Nothing to learn."""
        return self

    def predict_proba(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """The risk, and its complement first."""
        risk = frame["risk"].to_numpy()
        return np.column_stack([1 - risk, risk])


class _Balanced(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Logistic regression with balanced class weights."""

    def fit(self, x: NDArray[np.float64], y: NDArray[np.int64], sample_weight: Any = None) -> "_Balanced":
        """Fit with the weights of the reduction, times those of balance."""
        given = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight)
        self.model_ = LogisticRegression(class_weight="balanced", max_iter=200).fit(x, y, sample_weight=given)
        self.classes_ = self.model_.classes_
        return self

    def predict(self, x: NDArray[np.float64]) -> NDArray[np.int64]:
        """1 for those to call."""
        called: NDArray[np.int64] = self.model_.predict(x)
        return called

"""Learn the benefit of a call from the arms of a trial: a doubly robust learner with a simple final stage.

Scores of both arms from models of the outcome that have not seen the patient (Kennedy 2023, Electronic Journal of
Statistics 17:3008), then a ridge regression of their difference on a broken line over the risk for each mode. Of the
learners that were compared on planted worlds (`benchmarks/benefit_learners.py`, docs/decisions.md) it kept the most
appointments at the sizes of a trust's trial: with an effect of a few points in 100, flexible learners fit noise.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from dnapredict.config.benefit_model import BenefitModel
from dnapredict.trial.effect_estimates import ArmScores, Floats, Mask, Rows
from dnapredict.worklist.plan.benefit_ranking import expected_benefit, log_odds

FOLDS: Final = 5
_SEED: Final = 20_261_129
_FARTHEST: Final = 0.0005  # from 0 and 1
_KNOTS: Final = (0.02, 0.2, 0.4, 0.6, 0.8, 0.98)  # quantiles of the risk
# Of a second difference of the line, in units of the variance of a score: chosen by cross-fitted loss.
_PENALTIES: Final = (1.0, 10.0, 100.0, 1_000.0, 10_000.0, 1e6)


@dataclass(frozen=True)
class BenefitRows:
    """What benefit is learned from: the rows of a trial as arrays.

    `missed` and `treated` are (n,) bool, `share` the probability of the arm with calls, `patient` codes.
    """

    missed: Mask
    treated: Mask
    share: Floats
    probability: Floats
    is_remote: Mask
    patient: Rows

    def __len__(self) -> int:
        return len(self.missed)


@dataclass(frozen=True)
class CrossFitted:
    """Benefit predicted for each row by models that have not seen its patient, and the scores to judge it by.

    `benefit` is (n,): the share of missed appointments that a call prevents.
    """

    benefit: Floats
    scores: ArmScores


def cross_fit(rows: BenefitRows) -> CrossFitted:
    """Predict each row's benefit from the other patients."""
    fold = patient_folds(rows.patient)
    benefit = np.zeros(len(rows))
    scores = cross_fitted_scores(rows, fold)
    for number in range(FOLDS):
        test = fold == number
        fitted = _fit(rows, scores, fold, ~test)
        benefit[test] = expected_benefit(fitted, rows.probability[test], rows.is_remote[test])
    return CrossFitted(benefit, scores)


def learn_benefit(rows: BenefitRows, *, trial: str) -> BenefitModel:
    """The model of all rows."""
    fold = patient_folds(rows.patient)
    everyone = np.ones(len(rows), dtype=bool)
    return _fit(rows, cross_fitted_scores(rows, fold), fold, everyone, trial=trial)


def patient_folds(patient: Rows) -> Rows:
    """The fold of each row: all appointments of a patient are in one, and the same rows give the same folds."""
    values, code = np.unique(patient, return_inverse=True)
    order = np.random.default_rng(_SEED).permutation(len(values))
    return np.asarray((order % FOLDS)[code], dtype=np.int64)


def cross_fitted_scores(rows: BenefitRows, fold: Rows) -> ArmScores:
    """Scores of both arms by models of the outcome in the other folds."""
    design = _design(rows.probability, rows.is_remote, _knots(rows.probability))
    outcome = rows.missed.astype(np.float64)
    treated, control = np.zeros(len(rows)), np.zeros(len(rows))
    for number in range(FOLDS):
        test = fold == number
        # Weight 0 outside the training folds would do the same; fewer rows are quicker.
        for arm, found in ((rows.treated, treated), (~rows.treated, control)):
            found[test] = _ridge_line(design[arm & ~test], outcome[arm & ~test], design[test])
    return ArmScores(
        treated + rows.treated / rows.share * (outcome - treated),
        control + ~rows.treated / (1 - rows.share) * (outcome - control),
        np.unique(rows.patient, return_inverse=True)[1].astype(np.int64),
    )


def _ridge_line(design: Floats, outcome: Floats, at: Floats) -> Floats:
    """A least squares line of the outcome: the working model needs no shape, since arms are drawn by lot."""
    if not len(outcome):
        return np.zeros(len(at))
    gram = design.T @ design + np.eye(design.shape[1])
    return np.asarray(np.clip(at @ np.linalg.solve(gram, design.T @ outcome), 0.0, 1.0), dtype=np.float64)


def _knots(probability: Floats) -> Floats:
    """Risks at which the lines bend; fewer than six where many risks are equal."""
    inside = np.clip(np.quantile(probability, _KNOTS), _FARTHEST, 1 - _FARTHEST)
    return np.unique(np.round(inside, 4))


def _design(probability: Floats, is_remote: Mask, knots: Floats) -> Floats:
    """The value of each knot's hat function, for appointments in person and then for remote ones; (n, 2k)."""
    odds, bends = log_odds(probability), log_odds(knots)
    hats = np.column_stack([np.interp(odds, bends, unit) for unit in np.eye(len(knots))])
    return np.column_stack([hats * ~is_remote[:, None], hats * is_remote[:, None]])


def _fit(rows: BenefitRows, scores: ArmScores, fold: Rows, inside: Mask, *, trial: str = "") -> BenefitModel:
    """The line of the rows `inside`, with the penalty that predicts the scores of their own left out folds best."""
    knots = _knots(rows.probability[inside])
    design = _design(rows.probability, rows.is_remote, knots)
    benefit = -scores.difference
    losses = np.zeros(len(_PENALTIES))
    for number in np.unique(fold[inside]):
        test, train = inside & (fold == number), inside & (fold != number)
        if train.any():
            for place, weights in enumerate(_lines(design[train], benefit[train], len(knots))):
                losses[place] += float(((benefit[test] - design[test] @ weights) ** 2).sum())
    weights = _lines(design[inside], benefit[inside], len(knots))[int(losses.argmin())]
    in_person, remote = (np.round(part, 6).tolist() for part in np.split(weights, 2))
    appointments = int(round(float(inside.sum()), -1))
    return BenefitModel(
        trial=trial, appointments=appointments, knots=knots.tolist(), in_person=in_person, remote=remote
    )


def _lines(design: Floats, benefit: Floats, knots: int) -> list[Floats]:
    """Weights at each penalty: on the bends of each line, and a little on how far a remote line is from the other."""
    bends = np.diff(np.eye(knots), n=2, axis=0) if knots > 2 else np.zeros((0, knots))
    none = np.zeros_like(bends)
    apart = np.hstack([np.eye(knots), -np.eye(knots)]) / np.sqrt(10)
    roughness = np.vstack([np.hstack([bends, none]), np.hstack([none, bends]), apart])
    gram, target = design.T @ design, design.T @ benefit
    ridge = 1e-6 * len(benefit) * np.eye(2 * knots) / knots
    return [np.linalg.solve(gram + size * roughness.T @ roughness + ridge, target) for size in _PENALTIES]

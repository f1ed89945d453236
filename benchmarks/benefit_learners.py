"""Which learner of the benefit of a call keeps the most appointments, on planted worlds whose truth is known.

    python -m benchmarks.benefit_learners          # about four minutes on one core

T-, S- and X-learners on LightGBM, a T-learner of logistic regressions, doubly robust learners with LightGBM and with a
broken line as the final stage (Kuenzel et al. 2019, PNAS 116:4156; Kennedy 2023). Each learns from a trial, and ranks
50,000 new appointments, of which half are called. Printed: appointments kept of 100, by the truth, and the standard
error of its mean over the trials.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from dnapredict.trial.benefit_learner import BenefitRows, cross_fitted_scores, learn_benefit, patient_folds
from dnapredict.worklist.plan.benefit_ranking import expected_benefit

TRIALS, SIZES, NEW, CALLED = 12, (4_000, 20_000), 50_000, 0.5
SEED = 20_261_129
_TREES = {
    "n_estimators": 60,
    "num_leaves": 7,
    "learning_rate": 0.05,
    "min_child_samples": 100,
    "verbose": -1,
    "n_jobs": 1,
}

Floats = NDArray[np.float64]
Benefit = Callable[[Floats], Floats]
"""The benefit of appointments with features (n, 2): log odds of the risk, and whether it is remote."""


@dataclass(frozen=True)
class PlantedTrial:
    """A trial with the features of its rows."""

    rows: BenefitRows
    features: Floats


WORLDS: Mapping[str, Benefit] = {
    "middle risks only": lambda x: 0.6 * np.exp(-(((x[:, 0] + 1.6) / 0.45) ** 2)),
    "same relative risk": lambda x: np.full(len(x), 0.39),
    "not if remote": lambda x: np.where(x[:, 1] == 1, 0.0, 0.45),
    "falls with risk": lambda x: 0.5 * expit(-2 * (x[:, 0] + 1.6)),
    "no effect": lambda x: np.zeros(len(x)),
}


def features(generator: np.random.Generator, number: int) -> Floats:
    """Log odds of the risk, and whether the appointment is remote."""
    return np.column_stack([generator.normal(-1.6, 0.7, number), generator.random(number) < 0.25])


def planted(generator: np.random.Generator, number: int, prevented: Benefit) -> PlantedTrial:
    """A trial of so many appointments in which calls prevent that share of the missed ones."""
    x = features(generator, number)
    patients = int(number / 1.4)
    patient = generator.integers(0, patients, number)
    treated = (generator.random(patients) < 0.7)[patient]
    odds = x[:, 0] + generator.normal(0, 0.6, patients)[patient]
    missed = generator.random(number) < expit(odds) * np.where(treated, 1 - prevented(x), 1.0)
    share = np.full(number, treated.mean())
    return PlantedTrial(BenefitRows(missed, treated, share, expit(x[:, 0]), x[:, 1] == 1, patient), x)


def _classifier(x: Floats, missed: NDArray[np.bool_]) -> Benefit:
    model = lgb.LGBMClassifier(**_TREES, random_state=0).fit(x, missed)
    return lambda new: model.predict_proba(new)[:, 1]


def _regression(x: Floats, target: Floats) -> Benefit:
    model = lgb.LGBMRegressor(**_TREES, random_state=0).fit(x, target)
    return lambda new: np.asarray(model.predict(new))


def t_learner(trial: PlantedTrial) -> Benefit:
    """A model of each arm, and their difference."""
    treated, missed = trial.rows.treated, trial.rows.missed
    with_calls, without = (_classifier(trial.features[arm], missed[arm]) for arm in (treated, ~treated))
    return lambda new: without(new) - with_calls(new)


def t_logistic(trial: PlantedTrial) -> Benefit:
    """The same with logistic regressions on risk, its square and mode."""

    def terms(x: Floats) -> Floats:
        return np.column_stack([x[:, 0], x[:, 0] ** 2, x[:, 1], x[:, 0] * x[:, 1]])

    treated, missed = trial.rows.treated, trial.rows.missed
    with_calls, without = (
        LogisticRegression(max_iter=500).fit(terms(trial.features[arm]), missed[arm]) for arm in (treated, ~treated)
    )
    return lambda new: without.predict_proba(terms(new))[:, 1] - with_calls.predict_proba(terms(new))[:, 1]


def s_learner(trial: PlantedTrial) -> Benefit:
    """One model with the arm as a feature."""
    model = _classifier(np.column_stack([trial.features, trial.rows.treated]), trial.rows.missed)
    return lambda new: (
        model(np.column_stack([new, np.zeros(len(new))])) - model(np.column_stack([new, np.ones(len(new))]))
    )


def x_learner(trial: PlantedTrial) -> Benefit:
    """Models of what each arm would have had in the other one, weighted by the share of the arms."""
    treated, missed, x = trial.rows.treated, trial.rows.missed.astype(float), trial.features
    with_calls, without = (_classifier(x[arm], trial.rows.missed[arm]) for arm in (treated, ~treated))
    of_treated = _regression(x[treated], without(x[treated]) - missed[treated])
    of_control = _regression(x[~treated], missed[~treated] - with_calls(x[~treated]))
    share = float(treated.mean())
    return lambda new: share * of_control(new) + (1 - share) * of_treated(new)


def dr_trees(trial: PlantedTrial) -> Benefit:
    """Doubly robust scores, and LightGBM as the final stage."""
    scores = cross_fitted_scores(trial.rows, patient_folds(trial.rows.patient))
    return _regression(trial.features, -scores.difference)


def dr_line(trial: PlantedTrial) -> Benefit:
    """Doubly robust scores, and a broken line for each mode: what `dnapredict` uses."""
    model = learn_benefit(trial.rows, trial="planted")
    return lambda new: expected_benefit(model, expit(new[:, 0]), new[:, 1] == 1)


LEARNERS: Mapping[str, Callable[[PlantedTrial], Benefit]] = {
    "T, logistic": t_logistic,
    "T, LightGBM": t_learner,
    "S, LightGBM": s_learner,
    "X, LightGBM": x_learner,
    "DR, LightGBM": dr_trees,
    "DR, broken line": dr_line,
}


def kept(order: Floats, true: Floats) -> float:
    """Appointments kept of 100, if the first half by `order` is called."""
    called = np.argsort(-order, kind="stable")[: int(CALLED * len(order))]
    return 100 * float(true[called].sum()) / len(order)


def main() -> None:
    """Print a line for each world and size."""
    for name, prevented in WORLDS.items():
        for size in SIZES:
            start, generator, results = time.perf_counter(), np.random.default_rng(SEED), []
            new = features(generator, NEW)
            true = expit(new[:, 0]) * prevented(new)
            for _ in range(TRIALS):
                trial = planted(generator, size, prevented)
                results.append([kept(learn(trial)(new), true) for learn in LEARNERS.values()])
            mean, error = np.mean(results, axis=0), np.std(results, axis=0, ddof=1) / np.sqrt(TRIALS)
            told = "; ".join(f"{who} {m:.2f} ({e:.2f})" for who, m, e in zip(LEARNERS, mean, error, strict=True))
            print(
                f"{name}, {size:,}: by risk {kept(new[:, 0], true):.2f}, best possible {kept(true, true):.2f}; {told} "
                f"[{time.perf_counter() - start:.0f} s]",
                flush=True,
            )


if __name__ == "__main__":
    main()

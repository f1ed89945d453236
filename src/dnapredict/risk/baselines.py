"""Simple rivals, scored beside every model: what it must beat to be worth having."""

import numpy as np
from numpy.typing import NDArray
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from dnapredict.risk.calibration import fit_platt, log_odds
from dnapredict.risk.cohort import Cohort
from dnapredict.risk.windows import Windows

__all__ = ["BASE_RATE", "LOGISTIC", "baselines"]

BASE_RATE = "base_rate"
LOGISTIC = "logistic_regression"


def baselines(cohort: Cohort, *, windows: Windows) -> dict[str, NDArray[np.float64]]:
    """Risk of each test appointment by each rival.

    Every rival has the same chances as the model: the same factors, the same windows, and the
    same recalibration on the latest slice.
    """
    return {
        BASE_RATE: _base_rate(cohort, windows),
        LOGISTIC: _logistic_regression(cohort, windows),
    }


def _base_rate(cohort: Cohort, windows: Windows) -> NDArray[np.float64]:
    """Everyone at the rate of the latest slice."""
    return np.full(int(windows.test.sum()), cohort.dna[windows.calibrate].mean())


def _logistic_regression(cohort: Cohort, windows: Windows) -> NDArray[np.float64]:
    """Logistic regression on the same factors: medians for gaps, a sign that there was one, one scale."""
    line = _line().fit(cohort.matrix[windows.fit], cohort.dna[windows.fit])
    calibrator = fit_platt(cohort.dna[windows.calibrate], _margin(line, cohort, windows.calibrate))
    return calibrator.probability(_margin(line, cohort, windows.test))


def _line() -> Pipeline:
    return make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
        StandardScaler(),
        LogisticRegression(max_iter=1_000),
    )


def _margin(line: Pipeline, cohort: Cohort, rows: NDArray[np.bool_]) -> NDArray[np.float64]:
    return log_odds(line.predict_proba(cohort.matrix[rows])[:, 1])

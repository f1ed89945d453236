"""Simple rivals, scored beside every model: what it must beat to be worth having."""

import numpy as np
from numpy.typing import NDArray
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import SplineTransformer, StandardScaler

from dnapredict.risk.calibration import fit_platt, log_odds
from dnapredict.risk.cohort import Cohort
from dnapredict.risk.windows import Windows

__all__ = ["BASE_RATE", "LOGISTIC", "baselines"]

BASE_RATE = "base_rate"
LOGISTIC = "logistic_regression"
_ENOUGH = 200_000
_AT_ONCE = 50_000


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
    """Logistic regression on the same factors, each bent at its quartiles, gaps marked.

    Straight lines would be a straw man: risk climbs over the first days of lead time and then stays.
    """
    rows = _thinned(np.flatnonzero(windows.fit))
    line = _line().fit(cohort.matrix[rows], cohort.dna[rows])
    calibrator = fit_platt(cohort.dna[windows.calibrate], _margin(line, cohort, windows.calibrate))
    return calibrator.probability(_margin(line, cohort, windows.test))


def _line() -> Pipeline:
    return make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
        SplineTransformer(n_knots=5, degree=1, knots="quantile", extrapolation="constant"),
        StandardScaler(),
        LogisticRegression(max_iter=1_000),
    )


def _margin(line: Pipeline, cohort: Cohort, rows: NDArray[np.bool_]) -> NDArray[np.float64]:
    pieces = np.array_split(np.flatnonzero(rows), rows.sum() // _AT_ONCE + 1)
    return np.concatenate([log_odds(line.predict_proba(cohort.matrix[piece])[:, 1]) for piece in pieces])


def _thinned(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Every k-th row, evenly over time, so that at most `_ENOUGH` stay: a line needs no more."""
    return rows[:: -(-len(rows) // _ENOUGH)]

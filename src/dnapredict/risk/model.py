"""A trained model: trees that give a margin, and a line that turns the margin into a risk."""

import logging
import os
from dataclasses import dataclass

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from dnapredict.errors import ModelError
from dnapredict.risk.calibration import Platt
from dnapredict.risk.gaps import fill_gaps

__all__ = ["RiskModel", "threads"]

_ONE_THREAD_BELOW = 2_000

# LightGBM prints to standard output, where `train --json` writes one JSON object.
lgb.register_logger(logging.getLogger("dnapredict.lightgbm"))


@dataclass(frozen=True)
class RiskModel:
    """Risk of a missed appointment from a matrix of agreed factors.

    Parameters
    ----------
    factors : columns of the matrix, in order
    booster : LightGBM's trees; their sum is the margin, in log odds before calibration
    calibrator : turns the margin into a risk
    fill : (p,) float64
        What stands in for a value that is not known, in columns that (almost) always were known in
        training, where LightGBM would silently read it as zero. NaN in a column where
        "not known" was common enough to be learned.
    """

    factors: tuple[str, ...]
    booster: lgb.Booster
    calibrator: Platt
    fill: NDArray[np.float64]

    def margin(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """Margin of each row, in log odds before calibration.

        Raises
        ------
        ModelError
            If the matrix has not one column for each factor.
        """
        known = self.filled(matrix)
        if not len(known):
            return np.empty(0)
        raw = self.booster.predict(known, raw_score=True, num_threads=threads(len(known)))
        return np.asarray(raw, dtype=np.float64)

    def probability(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """Risk of each row, in (0, 1); a row's risk does not depend on the rows beside it."""
        return self.calibrator.probability(self.margin(matrix))

    def filled(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """The matrix as the trees read it: see `fill`."""
        if matrix.ndim != 2 or matrix.shape[1] != len(self.factors):
            raise ModelError(f"The model reads {len(self.factors)} factors; the matrix is {matrix.shape}.")
        return fill_gaps(matrix, self.fill)


def threads(rows: int) -> int:
    """Threads worth starting for that many rows: for few, starting them costs more than it saves."""
    return 1 if rows < _ONE_THREAD_BELOW else (os.cpu_count() or 1)

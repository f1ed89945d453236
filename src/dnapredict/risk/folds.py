"""Rolling-origin folds inside the training window: each learns from the past and is judged on later weeks."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dnapredict.risk.cohort import Cohort
from dnapredict.risk.windows import Windows, midnight

__all__ = ["Fold", "rolling"]

_DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class Fold:
    """One cut of the training window, as masks over the cohort.

    `fit` grows trees, `later` tells when to stop and calibrates, `held` judges. Between the last two
    lies the gap that a model in use has. No row of the test is in any.
    """

    fit: NDArray[np.bool_]
    later: NDArray[np.bool_]
    held: NDArray[np.bool_]


def rolling(cohort: Cohort, *, windows: Windows, most: int, gap_days: int) -> tuple[Fold, ...]:
    """Up to `most` folds, the latest first, each as long as the calibration slice and one slice apart.

    A fold whose part to fit would be shorter than a slice, or that lacks missed or attended
    appointments in any part, is left out; a short extract may have none.
    """
    split = windows.split
    ends = midnight(split.train.last, cohort.zone) + _DAY
    slice_ = ((split.calibrate.last - split.calibrate.first).days + 1) * _DAY
    begins = midnight(split.train.first, cohort.zone)
    found = []
    for number in range(most):
        held = ends - (number + 1) * slice_
        later = held - gap_days * _DAY - slice_
        if later - slice_ < begins:
            break
        found.append(
            Fold(
                fit=windows.train & (cohort.starts_at < later),
                later=windows.train & _within(cohort, later, later + slice_),
                held=windows.train & _within(cohort, held, held + slice_),
            )
        )
    return tuple(fold for fold in found if all(_both(cohort, rows) for rows in vars(fold).values()))


def _within(cohort: Cohort, begins: np.datetime64, ends: np.datetime64) -> NDArray[np.bool_]:
    return (cohort.starts_at >= begins) & (cohort.starts_at < ends)


def _both(cohort: Cohort, rows: NDArray[np.bool_]) -> bool:
    dna = cohort.dna[rows]
    return bool(dna.any() and not dna.all())

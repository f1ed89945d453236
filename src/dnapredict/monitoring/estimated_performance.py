"""Performance of a model in the weeks whose outcomes are not recorded yet, as its own risks foretell it.

If the risks are calibrated, each row is missed with the probability that it was given, and the expected value of a
metric follows from the risks alone (confidence-based performance estimation). A drift of the outcomes themselves does
not show in it: these are estimates, and are compared with what was seen once outcomes are in.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_EPSILON: Final = 1e-12


@dataclass(frozen=True)
class EstimatedPerformance:
    """Expected metrics of one week's rows, if their risks are calibrated.

    Attributes
    ----------
    share_missed, log_loss, brier, auroc
        Expected values; `auroc` is NaN for fewer than two rows.
    """

    rows: int
    share_missed: float
    log_loss: float
    brier: float
    auroc: float

    @classmethod
    def of(cls, probability: Floats) -> "EstimatedPerformance":
        """The expected metrics of rows with these risks, shape (n,), n at least 1."""
        risk = np.clip(probability, _EPSILON, 1 - _EPSILON)
        entropy = -(risk * np.log(risk) + (1 - risk) * np.log1p(-risk))
        return cls(
            rows=len(risk),
            share_missed=float(risk.mean()),
            log_loss=float(entropy.mean()),
            brier=float((risk * (1 - risk)).mean()),
            auroc=_expected_auroc(risk),
        )


def estimated_by_week(probability: Floats, week: NDArray[np.int64]) -> dict[int, EstimatedPerformance]:
    """The expected metrics of each week, by its position."""
    order = np.argsort(week, kind="stable")
    positions, starts = np.unique(week[order], return_index=True)
    parts = np.split(probability[order], starts[1:])
    return {int(at): EstimatedPerformance.of(part) for at, part in zip(positions, parts, strict=True)}


def _expected_auroc(risk: Floats) -> float:
    """The probability that a missed appointment has a higher risk than an attended one; ties count half."""
    levels, index = np.unique(risk, return_inverse=True)
    missed = np.bincount(index.reshape(-1), weights=risk, minlength=len(levels))
    attended = np.bincount(index.reshape(-1), weights=1 - risk, minlength=len(levels))
    below = np.concatenate([[0.0], np.cumsum(attended)[:-1]])
    pairs = missed.sum() * attended.sum()
    return float((missed * (below + attended / 2)).sum() / pairs) if len(risk) > 1 else float("nan")

"""Calibrators: monotone functions from a margin, in log odds, to a risk."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit

Margins = NDArray[np.float64]


@dataclass(frozen=True)
class Platt:
    """Logistic in the margin (Platt 1999); slope 1 and intercept 0 leave the risk as it is."""

    slope: float = 1.0
    intercept: float = 0.0
    method: Literal["platt"] = "platt"

    def probability(self, margin: Margins) -> Margins:
        """Risk of each margin, in (0, 1); monotone, since the slope is positive."""
        return np.asarray(expit(self.slope * margin + self.intercept), dtype=np.float64)


@dataclass(frozen=True)
class Beta:
    """Platt's line with one slope for low risks and one for high risks (Kull et al. 2017, AISTATS).

    The log odds are `low * log(risk) - high * log(1 - risk) + intercept`, where `risk` is the uncalibrated
    risk; both slopes are positive, so that the order is kept.
    """

    low: float
    high: float
    intercept: float
    method: Literal["beta"] = "beta"

    def probability(self, margin: Margins) -> Margins:
        """Risk of each margin, in (0, 1)."""
        odds = self.low * log_expit(margin) - self.high * log_expit(-margin) + self.intercept
        return np.asarray(expit(odds), dtype=np.float64)


@dataclass(frozen=True)
class Isotonic:
    """Isotonic regression (Zadrozny and Elkan 2002): linear between `margins`, constant beyond them.

    Neighbouring margins may get the same risk; no risk is below 0.0001 or above 0.9999.
    """

    margins: tuple[float, ...]
    risks: tuple[float, ...]
    method: Literal["isotonic"] = "isotonic"

    def probability(self, margin: Margins) -> Margins:
        """Risk of each margin, in (0, 1)."""
        return np.interp(margin, self.margins, self.risks)


Calibrator = Platt | Beta | Isotonic

"""Specialties of the simulated trusts: who comes, how often remotely, how long the wait is."""

from dataclasses import dataclass
from typing import Final

import numpy as np

__all__ = ["MIX", "REFERRALS", "REFERRAL_SHARE", "REMOTE_SHARE", "RISK", "SPECIALTIES", "Specialty"]


@dataclass(frozen=True)
class Specialty:
    """One treatment function.

    Attributes
    ----------
    code
        ACTIVITY TREATMENT FUNCTION CODE.
    share
        Relative number of pathways of children, of adults under 65, of the older (our assumption).
    female
        Share of its adult patients who are women, over that of a specialty open to all.
    remote
        Relative share of telephone and video.
    risk
        Log-odds of a DNA against the average. Published: hepatology 17% and oncology 6% where
        all specialties have 11.2% (Philpott-Morgan et al. 2021); the others are our assumption.
    """

    code: str
    share: tuple[float, float, float]
    female: float = 1.0
    remote: float = 1.0
    risk: float = 0.0


SPECIALTIES: Final = (
    Specialty("100", (2, 6, 5), remote=0.8),
    Specialty("101", (1, 4, 7), female=0.5, remote=1.1),
    Specialty("104", (0, 3, 4)),
    Specialty("110", (6, 12, 11), remote=0.6, risk=0.05),
    Specialty("120", (8, 6, 6), remote=0.6, risk=0.1),
    Specialty("130", (5, 5, 16), remote=0.2, risk=-0.1),
    Specialty("140", (5, 4, 2), remote=0.5, risk=0.2),
    Specialty("300", (0, 4, 4), remote=1.3),
    Specialty("301", (1, 6, 5), remote=1.6, risk=0.15),
    Specialty("306", (0, 1.5, 1), remote=1.2, risk=0.47),
    Specialty("320", (1, 5, 9), remote=1.2, risk=-0.05),
    Specialty("330", (4, 7, 7), remote=0.5),
    Specialty("340", (1, 4, 6), remote=1.5, risk=0.15),
    Specialty("370", (0, 3, 5), remote=1.9, risk=-0.62),
    Specialty("410", (1, 4, 4), remote=1.5, risk=-0.15),
    Specialty("420", (45, 0, 0), remote=1.2, risk=0.1),
    Specialty("502", (0, 10, 3), female=2.0, remote=0.8, risk=-0.05),
    Specialty("650", (3, 8, 6), remote=1.1, risk=0.25),
)


def _mix() -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Cumulative share of each specialty, a row for each of 3 ages x (man, woman)."""
    rows = []
    for age in range(3):
        for woman in (False, True):
            tilt = [1.0 if age == 0 else each.female if woman else 2 - each.female for each in SPECIALTIES]
            share = np.array([each.share[age] for each in SPECIALTIES]) * tilt
            rows.append(np.cumsum(share) / share.sum())
    return np.array(rows)


MIX: Final = _mix()
RISK: Final = np.array([each.risk for each in SPECIALTIES])
REMOTE_SHARE: Final = np.array([each.remote for each in SPECIALTIES])
# SOURCE OF REFERRAL FOR OUT-PATIENTS; the shares are our assumption.
REFERRALS: Final = ("03", "05", "04", "01", "13", "14", "15", "06", "92", "12", "97")
REFERRAL_SHARE: Final = (0.55, 0.15, 0.08, 0.05, 0.03, 0.04, 0.03, 0.02, 0.02, 0.02, 0.01)

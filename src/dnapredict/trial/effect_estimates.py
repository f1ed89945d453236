"""The effect of an arm on an outcome: differences, ratios and the effect of being reached, with intervals.

Each appointment gets two scores, one an arm, whose means estimate what the outcome would be if everybody were in that
arm: the augmented inverse probability estimator with the known allocation of the trial (Robins, Rotnitzky and Zhao
1994; Tsiatis et al. 2008, Statistics in Medicine 27:4658). A working model of the outcome by predicted risk takes away
variance that the risk explains. Since arms are drawn by lot, a wrong working model costs precision and never validity.

Arms are drawn by patient, so that variances are sums over patients of squared sums over their appointments.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from dnapredict.fairness.measure.intervals import Interval, RateDifference, Ratio
from dnapredict.model.evaluate.logistic import fit_logistic, log_odds

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]

_FEWEST_IN_STRATUM: Final = 20  # rows of each arm, below which a stratum has no share of its own
_FEWEST_EVENTS: Final = 10  # for each weight of a working model
_SPLINE_FROM: Final = 2_000


@dataclass(frozen=True)
class ArmScores:
    """What each appointment contributes to the mean outcome under each arm.

    Attributes
    ----------
    treated, control : (n,) float64
        Scores whose means are the mean outcomes if everybody were called or held out.
    cluster : (n,) int64
        Codes from 0 of whom arms were drawn for: patients.
    """

    treated: Floats
    control: Floats
    cluster: Rows

    def __len__(self) -> int:
        return len(self.cluster)

    @property
    def difference(self) -> Floats:
        """Each appointment's contribution to the risk difference."""
        return self.treated - self.control

    def take(self, rows: Mask | Rows) -> "ArmScores":
        """The scores of some rows."""
        return ArmScores(self.treated[rows], self.control[rows], self.cluster[rows])


def share_treated(treated: Mask, stratum: Rows) -> Floats:
    """The share of each row's stratum that is in the arm with calls: its estimated allocation probability.

    The observed share and not the planned one, which takes away the chance imbalance between strata (Hirano, Imbens
    and Ridder 2003). A stratum with fewer than 20 rows in either arm has the share of everybody.
    """
    rows = np.bincount(stratum)
    inside = np.bincount(stratum, weights=treated)
    enough = np.minimum(inside, rows - inside) >= _FEWEST_IN_STRATUM
    everybody = float(treated.mean())
    share = np.where(enough, inside / np.maximum(rows, 1), everybody)
    return np.asarray(share[stratum], dtype=np.float64)


def risk_design(probability: Floats) -> Floats:
    """Columns of the working models: 1, log odds of the risk, and from 2,000 rows on its square; (n, 2 or 3)."""
    odds = log_odds(probability)
    spread = float(odds.std())
    if spread <= 0:
        return np.ones((len(odds), 1))
    unit = (odds - odds.mean()) / spread
    columns = [np.ones_like(unit), unit]
    if len(unit) >= _SPLINE_FROM:
        columns.append(unit**2)
    return np.column_stack(columns)


def arm_scores(outcome: Floats, treated: Mask, *, share: Floats, design: Floats, cluster: Rows) -> ArmScores:
    """The scores of both arms.

    Parameters
    ----------
    outcome : (n,) float64 in [0, 1]
    treated : (n,) bool
        Whether the appointment is in the arm with calls.
    share : (n,) float64
        The probability of that, see `share_treated`.
    design : (n, k) float64
        Columns of the working models, the first of them 1; see `risk_design`.
    cluster : (n,) int64
    """
    under_treatment = _expected(outcome, treated, design)
    under_control = _expected(outcome, ~treated, design)
    return ArmScores(
        under_treatment + treated / share * (outcome - under_treatment),
        under_control + ~treated / (1 - share) * (outcome - under_control),
        np.unique(cluster, return_inverse=True)[1].astype(np.int64),
    )


def _expected(outcome: Floats, inside: Mask, design: Floats) -> Floats:
    """The expected outcome of every row by a model of one arm; its mean where it has too few events for a model."""
    events = float(outcome[inside].sum())
    rows = float(inside.sum())
    if min(events, rows - events) >= _FEWEST_EVENTS * design.shape[1]:
        fit = fit_logistic(design[inside], outcome[inside])
        if fit is not None:
            return np.asarray(expit(design @ fit.weights), dtype=np.float64)
    return np.full(len(outcome), events / max(rows, 1.0))


def cluster_covariance(influence: Floats, cluster: Rows) -> Floats:
    """Covariance of the means of several columns, robust to dependence within clusters; (k, k).

    Parameters
    ----------
    influence : (n, k) float64
        Contributions to each estimate, of mean 0, already divided by the number of rows.
    """
    sums = np.column_stack([np.bincount(cluster, weights=column) for column in influence.T])
    clusters = int(np.count_nonzero(np.bincount(cluster)))
    # G / (G - 1): the mean was estimated from the same clusters.
    return np.asarray(sums.T @ sums * clusters / max(clusters - 1, 1), dtype=np.float64)


def _centred(values: Floats) -> Floats:
    return np.asarray((values - values.mean()) / len(values), dtype=np.float64)


def risk_difference(scores: ArmScores) -> RateDifference:
    """Mean outcome with calls minus mean outcome without: below 0, calls lower it."""
    variance = cluster_covariance(_centred(scores.difference)[:, None], scores.cluster)[0, 0]
    return RateDifference(float(scores.difference.mean()), float(np.sqrt(variance)))


def relative_risk(scores: ArmScores) -> Ratio | None:
    """Mean outcome with calls divided by the mean without; None where either is not above 0.

    The error of the logarithm is by the delta method.
    """
    treated, control = float(scores.treated.mean()), float(scores.control.mean())
    if treated <= 0 or control <= 0:
        return None
    influence = _centred(scores.treated) / treated - _centred(scores.control) / control
    variance = cluster_covariance(influence[:, None], scores.cluster)[0, 0]
    return Ratio(treated, control, float(np.sqrt(variance)))


def effect_of_being_reached(outcome: ArmScores, reached: ArmScores, *, z: float) -> Interval | None:
    """Effect on patients who are reached because they are in the arm with calls: Wald's ratio with Fieller's interval.

    The complier average causal effect (Imbens and Angrist 1994): effect on the outcome divided by the effect on being
    reached. It rests on the assumption that an arm changes the outcome only by reaching somebody: messages that are
    left, and calls that nobody answers, do nothing. Fieller's set (Fieller 1954) is valid however few are reached;
    where it is unbounded, too few are reached to say anything and the result is None.
    """
    above, below = float(outcome.difference.mean()), float(reached.difference.mean())
    influence = np.column_stack([_centred(outcome.difference), _centred(reached.difference)])
    covariance = cluster_covariance(influence, outcome.cluster)
    square = below**2 - z**2 * covariance[1, 1]
    if below <= 0 or square <= 0:
        return None
    middle = above * below - z**2 * covariance[0, 1]
    constant = above**2 - z**2 * covariance[0, 0]
    half = float(np.sqrt(max(middle**2 - square * constant, 0.0)))
    return Interval(above / below, (middle - half) / square, (middle + half) / square)

"""The effect by group: risk, deprivation, ethnic group, age, mode; with shrinkage and one error rate over all of them.

With two dozen groups, one of them almost always looks helped or harmed by chance. So the intervals of all groups hold
together (largest |t|, Westfall and Young 1993; Hothorn, Bretz and Westfall 2008, Biometrical Journal 50:346), whether a
group differs from everyone else is judged over all comparisons at once, and each estimate is also given moved towards
the effect of everyone, by as much as chance alone explains (empirical Bayes, DerSimonian and Laird 1986).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from scipy.stats import t as student

from dnapredict.fairness.measure.intervals import Interval, RateDifference
from dnapredict.fairness.measure.membership import Group, Membership
from dnapredict.model.evaluate.logistic import between_group_variance
from dnapredict.trial.effect_estimates import ArmScores, Floats, Mask, Rows, cluster_covariance

FEWEST_MISSED: Final = 10
"""Missed appointments in each arm, of a group and of everyone else, below which nothing is estimated."""

# Share of trials in which any group may seem to differ where none does. Tested at 3 for a promise of 5 in 100: with few
# missed appointments t is still too sure (tested at 4, a group differed in 5.6 of 100 simulated trials without any).
_DIFFERS_ALPHA: Final = 0.03
_DRAWS: Final = 20_000
_SEED: Final = 20_261_129  # of the simulation of the largest |t|: the same figures give the same report
_SINGULAR: Final = 1e-12


@dataclass(frozen=True)
class GroupEffect:
    """The effect in one group.

    Attributes
    ----------
    estimate
        Risk difference with its standard error, of this group alone.
    interval
        The same with the interval that holds together with those of all other groups.
    shrunken
        The estimate moved towards everyone's.
    differs
        Whether the effect is another one than in everyone else, beyond chance over all comparisons.
    """

    grouping: str
    group: Group
    estimate: RateDifference
    interval: Interval
    shrunken: float
    differs: bool


@dataclass(frozen=True)
class _JointEstimates:
    """Estimates of several groups and their joint covariance."""

    values: Floats
    covariance: Floats
    freedom: Floats  # (k,) degrees of freedom of each variance

    @property
    def errors(self) -> Floats:
        return np.asarray(np.sqrt(np.maximum(np.diag(self.covariance), _SINGULAR)), dtype=np.float64)

    @property
    def standard_scores(self) -> Floats:
        """Each |t| as the normal score with the same p-value."""
        found = norm.isf(student.sf(np.abs(self.values) / self.errors, self.freedom))
        return np.asarray(found, dtype=np.float64)

    def critical(self, score: float) -> Floats:
        """Standard errors to either side of each estimate that a normal score gives."""
        return np.asarray(student.isf(norm.sf(score), self.freedom), dtype=np.float64)

    @property
    def largest(self) -> Floats:
        """Draws of the largest |t| of all columns where every true value is 0, in order of size."""
        errors = self.errors
        correlation = self.covariance / np.outer(errors, errors)
        values, vectors = np.linalg.eigh(correlation)
        normal = np.random.default_rng(_SEED).standard_normal((_DRAWS, len(values)))
        draws = normal @ (vectors * np.sqrt(np.maximum(values, 0.0))).T
        return np.asarray(np.sort(np.abs(draws).max(axis=1)), dtype=np.float64)


def group_effects(
    scores: ArmScores,
    memberships: Sequence[Membership],
    *,
    missed: Mask,
    treated: Mask,
    alpha: float = 0.05,
    least_critical: float = 0.0,
) -> tuple[GroupEffect, ...]:
    """The effects in all groups that have enough missed appointments.

    Parameters
    ----------
    scores
        Of the outcome "missed".
    missed, treated : (n,) bool
    alpha
        Share of trials in which any interval may leave out its true value.
    least_critical
        Standard errors that an interval and a difference have at least: those of a look before the planned end.
    """
    places = [(members, place) for members in memberships for place in range(len(members.groups))]
    inside = [members.index == place for members, place in places]
    enough = [_has_enough(rows, missed, treated) for rows in inside]
    places = [place for place, is_enough in zip(places, enough, strict=True) if is_enough]
    inside = [rows for rows, is_enough in zip(inside, enough, strict=True) if is_enough]
    if not inside:
        return ()
    effects = _joint_estimates(scores, [_share_of(rows) for rows in inside])
    contrasts = _joint_estimates(scores, [_share_of(rows) - _share_of(~rows) for rows in inside])
    critical = effects.critical(max(float(np.quantile(effects.largest, 1 - alpha)), least_critical))
    threshold = max(float(np.quantile(contrasts.largest, 1 - _DIFFERS_ALPHA)), least_critical)
    differs = contrasts.standard_scores >= threshold
    shrunken = _shrunken(effects, [members.grouping.name for members, _ in places])
    return tuple(
        GroupEffect(
            members.grouping.name,
            members.groups[place],
            estimate := RateDifference(float(effects.values[number]), float(effects.errors[number])),
            estimate.interval(float(critical[number])),
            float(shrunken[number]),
            bool(differs[number]),
        )
        for number, (members, place) in enumerate(places)
    )


def _has_enough(rows: Mask, missed: Mask, treated: Mask) -> bool:
    """Whether a group and everyone else have enough missed appointments in both arms."""
    cells = (part & arm & missed for part in (rows, ~rows) for arm in (treated, ~treated))
    return all(int(cell.sum()) >= FEWEST_MISSED for cell in cells)


def _share_of(rows: Mask) -> Floats:
    """Weights that make a sum the mean of some rows."""
    return np.asarray(rows / rows.sum(), dtype=np.float64)


def _joint_estimates(scores: ArmScores, weights: Sequence[Floats]) -> _JointEstimates:
    """Weighted sums of the contributions, and their covariance by patient.

    Weights are positive inside a group and, for a contrast, negative outside, and each part is centred at its own mean.
    """
    difference = scores.difference
    values = np.array([float(weight @ difference) for weight in weights])
    influence = np.column_stack([_influence(difference, weight) for weight in weights])
    covariance = cluster_covariance(influence, scores.cluster)
    return _JointEstimates(values, covariance, _freedom(influence, scores.cluster))


def _freedom(influence: Floats, cluster: Rows) -> Floats:
    """Degrees of freedom of the variances, by their own sampling variance (Satterthwaite 1946).

    A group with 20 missed appointments has thousands of rows and few degrees of freedom: its variance is known from
    those 20, and a normal critical value would find differences too often.
    """
    sums = np.column_stack([np.bincount(cluster, weights=column) for column in influence.T])
    variance = (sums**2).sum(axis=0)
    of_variance = (sums**4).sum(axis=0) - variance**2 / len(sums)
    return np.asarray(np.maximum(2 * variance**2 / np.maximum(of_variance, _SINGULAR**3), 1.0), dtype=np.float64)


def _influence(difference: Floats, weight: Floats) -> Floats:
    found = np.zeros(len(difference))
    for part in (weight > 0, weight < 0):
        if part.any():
            found[part] = weight[part] * (difference[part] - difference[part].mean())
    return found


def _shrunken(effects: _JointEstimates, groupings: Sequence[str]) -> Floats:
    """Each estimate, moved to the mean of its grouping by as much of the variance as chance explains."""
    found = effects.values.copy()
    variances = effects.errors**2
    names: NDArray[np.str_] = np.array(groupings)
    for name in dict.fromkeys(groupings):
        rows = np.flatnonzero(names == name)
        own, error = effects.values[rows], variances[rows]
        between = between_group_variance(own, error).variance if len(rows) > 1 else 0.0
        weights = 1 / (error + between)
        mean = float((weights * own).sum() / weights.sum())
        found[rows] = mean + between / (between + error) * (own - mean)
    return found

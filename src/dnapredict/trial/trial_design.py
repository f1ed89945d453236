"""The size of a trial of the calls: how many weeks it needs, and what effect it can show.

Two shares are compared, those missed of the appointments that are called and of those held out. The formula is that of
two independent proportions with unequal groups and a test with the pooled variance under the null hypothesis (Fleiss,
Levin and Paik 2003, Statistical Methods for Rates and Proportions, third edition, section 4.4, without the correction
for continuity), or with the variance of each arm where that is larger: the analysis of a trial does not pool the arms,
and with few held out their own variance decides. Patients with several appointments are clusters: sizes are multiplied
by the design effect for clusters of unequal size (Eldridge, Ashby and Kerry 2006, International Journal of Epidemiology
35:1292).
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import norm

from dnapredict.errors import DataError

EVIDENCE_RELATIVE_RISK: Final = 0.61
"""Share missed of patients whom a list by risk called, divided by the share of those whom it did not: the median of
three randomised trials. What a trust may look for as long as nothing is known of its own calls."""

INTRACLUSTER_CORRELATION: Final = 0.15
"""Of missing between appointments of one patient, where a trust's own appointments are too few to estimate it."""

FEWEST_MISSED: Final = 20
"""Missed appointments in each arm, below which no claim is made: intervals need that many to hold."""

# A planned trial expects so many standard errors more, and 99 of 100 trials have enough.
_MARGIN: Final = 2.33
_POWER: Final = 0.80
_ALPHA: Final = 0.05
_ALPHA_OF_LOOKS: Final = 0.005


@dataclass(frozen=True)
class TrialInputs:
    """What the size of a trial follows from.

    Attributes
    ----------
    calls_a_week
        Appointments with a call of their own in a week.
    share_missed
        Share of those whom the list would call that are missed without a call.
    share_held_out
        Share of the patients held out.
    design_effect
        By how much the clusters of patients raise the variance; 1 if each patient has one appointment.
    power
        Chance to find the effect that is looked for.
    alpha
        Two-sided chance to claim an effect of calls that do nothing.
    alpha_of_looks
        The part of `alpha` that looks before the end use up (`sequential_intervals`).
    """

    calls_a_week: float
    share_missed: float
    share_held_out: float
    design_effect: float = 1.0
    power: float = _POWER
    alpha: float = _ALPHA
    alpha_of_looks: float = _ALPHA_OF_LOOKS

    @property
    def critical(self) -> float:
        """The standard errors that an effect must be away from 0 at the planned end."""
        return float(norm.ppf(1 - (self.alpha - self.alpha_of_looks) / 2))

    @property
    def appointments_a_week(self) -> float:
        """Appointments that enter the trial in a week: calls that are held out are made to the next in line."""
        return self.calls_a_week / (1 - self.share_held_out)


@dataclass(frozen=True)
class TrialSize:
    """Appointments that a trial needs in each arm, and the weeks in which they come."""

    called: int
    held_out: int
    weeks: int

    @property
    def appointments(self) -> int:
        """Appointments of both arms."""
        return self.called + self.held_out


def power_of(inputs: TrialInputs, relative_risk: float, appointments: float) -> float:
    """The chance that a trial of so many appointments finds an effect of that size.

    Parameters
    ----------
    relative_risk
        Share missed of those with a planned call divided by the share missed of those held out.

    >>> inputs = TrialInputs(calls_a_week=80, share_missed=0.25, share_held_out=0.5)
    >>> round(power_of(inputs, 0.61, 600), 2)
    0.84
    """
    held_out, called = inputs.share_missed, inputs.share_missed * relative_risk
    effective = appointments / inputs.design_effect
    n_held_out, n_called = effective * inputs.share_held_out, effective * (1 - inputs.share_held_out)
    pooled = inputs.share_held_out * held_out + (1 - inputs.share_held_out) * called
    alternative = math.sqrt(held_out * (1 - held_out) / n_held_out + called * (1 - called) / n_called)
    null = max(alternative, math.sqrt(pooled * (1 - pooled) * (1 / n_held_out + 1 / n_called)))
    return float(norm.cdf((abs(held_out - called) - inputs.critical * null) / alternative))


def size_for(inputs: TrialInputs, relative_risk: float = EVIDENCE_RELATIVE_RISK) -> TrialSize:
    """The appointments and weeks that a trial needs to find an effect with the power of `inputs`.

    Raises
    ------
    DataError
        If the relative risk is 1, or the shares leave nothing to find.

    >>> size_for(TrialInputs(calls_a_week=80, share_missed=0.25, share_held_out=0.5))
    TrialSize(called=273, held_out=273, weeks=4)
    """
    called = inputs.share_missed * relative_risk
    if not (0 < inputs.share_missed < 1 and 0 <= called < 1) or relative_risk == 1:
        raise DataError(
            f"A trial cannot be planned for a share missed of {inputs.share_missed:.3f} and a relative risk of "
            f"{relative_risk}: both shares must lie between 0 and 1, and differ."
        )
    held_out_share = inputs.share_held_out
    pooled = held_out_share * inputs.share_missed + (1 - held_out_share) * called
    missed = inputs.share_missed
    alternative = math.sqrt(missed * (1 - missed) / held_out_share + called * (1 - called) / (1 - held_out_share))
    null = max(alternative, math.sqrt(pooled * (1 - pooled) / (held_out_share * (1 - held_out_share))))
    errors = inputs.critical * null + float(norm.ppf(inputs.power)) * alternative
    total = inputs.design_effect * (errors / (missed - called)) ** 2
    # A large effect is seen in few appointments, of which too few are missed to claim it.
    total = max(total, _expected_missed(inputs) / _fewest_missed_of_one(inputs, relative_risk))
    return TrialSize(
        called=math.ceil(total * (1 - held_out_share)),
        held_out=math.ceil(total * held_out_share),
        weeks=math.ceil(total / inputs.appointments_a_week),
    )


def _expected_missed(inputs: TrialInputs) -> float:
    """The expected missed appointments of an arm that has `FEWEST_MISSED` of them in 99 of 100 trials."""
    margin = _MARGIN * math.sqrt(inputs.design_effect)
    return ((margin + math.sqrt(margin**2 + 4 * FEWEST_MISSED)) / 2) ** 2


def _fewest_missed_of_one(inputs: TrialInputs, relative_risk: float) -> float:
    """The expected missed appointments of the arm with fewer of them, for each appointment of the trial."""
    return inputs.share_missed * min(inputs.share_held_out, (1 - inputs.share_held_out) * relative_risk)


def detectable_relative_risk(inputs: TrialInputs, *, weeks: float) -> float | None:
    """The relative risk nearest to 1, below it, that a trial of so many weeks finds with the power of `inputs`.

    None if it could not even find that every called appointment is kept, or too few are missed for any claim.

    >>> inputs = TrialInputs(calls_a_week=80, share_missed=0.25, share_held_out=0.5)
    >>> round(detectable_relative_risk(inputs, weeks=10), 2)
    0.76
    """
    appointments = inputs.appointments_a_week * weeks
    smallest, largest = 1e-6, 1 - 1e-6
    if appointments <= 0 or power_of(inputs, smallest, appointments) < inputs.power:
        return None
    found = float(brentq(lambda risk: power_of(inputs, risk, appointments) - inputs.power, smallest, largest))
    return found if appointments * _fewest_missed_of_one(inputs, found) >= _expected_missed(inputs) else None


def design_effect(appointments: NDArray[np.int64], correlation: float = INTRACLUSTER_CORRELATION) -> float:
    """The design effect of patients with these numbers of appointments: 1 + (sum m^2 / sum m - 1) * correlation.

    >>> design_effect(np.array([1, 1, 2]), 0.2)
    1.1
    """
    total = float(appointments.sum())
    if total == 0:
        return 1.0
    size = float((appointments.astype(float) ** 2).sum()) / total
    return 1 + (size - 1) * max(correlation, 0.0)


def intracluster_correlation(missed: NDArray[np.bool_], patient: NDArray[np.int64]) -> float:
    """The correlation of missing between appointments of one patient, by analysis of variance.

    The estimator for clusters of unequal size (Donner and Klar 2000, Design and Analysis of Cluster Randomization
    Trials, section 1.4), at least 0; `INTRACLUSTER_CORRELATION` if no patient has two appointments.

    Parameters
    ----------
    patient : (n,) int64
        Codes from 0.

    >>> intracluster_correlation(np.array([True, True, False, False]), np.array([0, 0, 1, 1]))
    1.0
    """
    sizes = np.bincount(patient).astype(float)
    sums = np.bincount(patient, weights=missed.astype(float))
    sums, sizes = sums[sizes > 0], sizes[sizes > 0]
    total, clusters = float(sizes.sum()), len(sizes)
    if clusters < 2 or total == clusters:
        return INTRACLUSTER_CORRELATION
    means = sums / sizes
    within = float((sums - sums**2 / sizes).sum()) / (total - clusters)
    between = float((sizes * (means - missed.mean()) ** 2).sum()) / (clusters - 1)
    typical = (total - float((sizes**2).sum()) / total) / (clusters - 1)
    variance = between + (typical - 1) * within
    return max(0.0, (between - within) / variance) if variance > 0 else 0.0


def relative_risk_of_reached(relative_risk: float, share_reached: float) -> float:
    """The relative risk that a call must have for those whom it reaches, if it does nothing for the others.

    Below 0 no call can have it.

    >>> round(relative_risk_of_reached(0.8, 0.5), 2)
    0.6
    """
    return 1 - (1 - relative_risk) / share_reached

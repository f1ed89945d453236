"""Intervals that are valid however often somebody looks: asymptotic confidence sequences.

A fixed 95% interval that is looked at each week until it excludes 0 does so far more often than in 5 of 100 trials
without an effect. A confidence sequence holds the true value at all looks together in 95 of 100 trials, whatever the
rule to stop (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2024, Annals of Statistics 52:2613, theorem 2.2). It is
wider: at the planned size about one and a half times as wide.
"""

import math

from dnapredict.fairness.measure.intervals import Interval, RateDifference

LOOK_ALPHA = 0.005
END_ALPHA = 0.045
"""The share of false claims that looks before the end, and the analysis at the planned end, may each make: 5% together.

A claim of benefit is one-sided, so that calls that do nothing are said to help in at most 2.5 of 100 trials. Looks get
little of it, because the planned analysis decides: that costs it 2 of 100 of its power.
"""


def sequential_critical(progress: float, *, alpha: float) -> float:
    """How many standard errors wide to either side a confidence sequence is.

    Parameters
    ----------
    progress
        Appointments with an outcome so far, divided by the planned number, at which the sequence is narrowest for its
        level; above 0.
    alpha
        Share of trials in which the sequence may leave out the true value, at any look.

    >>> round(sequential_critical(1.0, alpha=0.05), 2), round(sequential_critical(0.1, alpha=0.05), 2)
    (3.04, 3.86)
    """
    # The boundary of a normal mixture whose variance makes it tightest at the planned size (their equation 27).
    tuning = -2 * math.log(alpha) + math.log(1 - 2 * math.log(alpha))
    scaled = progress * tuning
    return math.sqrt(2 * (1 + 1 / scaled) * math.log(math.sqrt(scaled + 1) / alpha))


def sequential_interval(estimate: RateDifference, *, progress: float, alpha: float = 0.05) -> Interval:
    """The always-valid interval of an estimate at one look."""
    return estimate.interval(sequential_critical(progress, alpha=alpha))

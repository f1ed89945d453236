"""An exact test of a small group's reach: certain harm is found where a normal approximation would say nothing."""

from typing import Final

from scipy.stats import beta

from dnapredict.fairness.measure.intervals import Rate

# Level of the range of everyone else's reach within which the p-value is taken at its largest.
_RANGE: Final = 1e-6
_Z_OF_RANGE: Final = 4.892


def exact_gap_p_value(rest: Rate, group: Rate, *, tolerance: float) -> float | None:
    """One-sided p-value for "the group's rate is lower than everyone else's by more than `tolerance`".

    The binomial tail at the effective sample size, so that repeat patients count once and not as often as they come,
    is taken at the lowest rate of everyone else that a range of 1 in 1,000,000 allows (Berger and Boos 1994, Journal of
    the American Statistical Association 89:1012): the test is valid however few the group are. None where a rate
    cannot be estimated or everyone else's is within the tolerance of 0.

    >>> round(exact_gap_p_value(Rate(4000, 10_000), Rate(0, 84), tolerance=0.05), 6)
    1e-06
    >>> exact_gap_p_value(Rate(4000, 10_000), Rate(30, 84), tolerance=0.05) > 0.2
    True
    """
    everyone = rest.interval(_Z_OF_RANGE)
    if everyone is None or group.denominator <= 0:
        return None
    limit = everyone.low - tolerance
    if limit <= 0:
        return None
    number, reached = group.denominator / group.design_effect, group.numerator / group.design_effect
    if reached >= number:
        return 1.0
    # P(X <= reached) of a binomial, which the beta distribution continues to numbers that are not whole.
    tail = float(beta.sf(limit, reached + 1, number - reached))
    return min(1.0, tail + _RANGE)

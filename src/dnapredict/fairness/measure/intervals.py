"""Rates and differences of rates with confidence intervals and p-values.

Appointments of one patient are not independent. Every interval therefore uses the effective sample size: the
denominator divided by the design effect, which `fairness.measure.group_metrics.rate` computes from patients' sums.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

from scipy.optimize import brentq

_NORMAL = NormalDist()
_BISECTIONS = 34  # to less than 1e-10 of a rate; printed are three decimals
_Z_MAX = 12.0
_Z_EXACT = 1e-12
_POWER = 0.8
_ALMOST_NOTHING = 1e-6
_WIDEST_LOG_RANGE = 20.0


def z_of(confidence: float) -> float:
    """Normal quantile of a two-sided confidence.

    >>> round(z_of(0.95), 2)
    1.96
    """
    return _NORMAL.inv_cdf(0.5 + confidence / 2)


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval."""

    value: float
    low: float
    high: float

    def rounded(self) -> "Interval":
        """Rounded to four decimals, as it is printed."""
        return Interval(round(self.value, 4), round(self.low, 4), round(self.high, 4))


@dataclass(frozen=True)
class Rate:
    """`numerator` out of `denominator`, with an effective sample size of `denominator / design_effect`.

    >>> Rate(0, 0).value is None        # the share of nothing is not 0
    True
    """

    numerator: float
    denominator: float
    design_effect: float = 1.0

    @property
    def value(self) -> float | None:
        """The rate, or None where the denominator is 0."""
        return self.numerator / self.denominator if self.denominator > 0 else None

    @property
    def variance(self) -> float:
        """Variance at the effective sample size, with half a person added to either side so that it is never 0."""
        number = self.denominator / self.design_effect
        return _softened_variance(self.numerator / self.design_effect, number)

    def interval(self, z: float) -> Interval | None:
        """Wilson's interval at the effective sample size (Wilson 1927; Korn and Graubard 1998 for clusters).

        >>> interval = Rate(5, 10).interval(z_of(0.95))
        >>> round(interval.low, 3), round(interval.high, 3)
        (0.237, 0.763)
        """
        share = self.value
        if share is None:
            return None
        return Interval(share, *_wilson(share, self.denominator / self.design_effect, z))


def _softened_variance(above: float, number: float) -> float:
    """Variance of the share `above` of `number`, with half a person added to either side.

    Plain p(1 - p)/n is 0 at a rate of 0 or 1, which would make a group of ten as certain as one of ten thousand.
    """
    softened = (above + 0.5) / (number + 1)
    return softened * (1 - softened) / number


def _wilson(share: float, number: float, z: float) -> tuple[float, float]:
    """Ends of Wilson's interval of a share of `number`.

    Wilson and not Wald: at rates near 0 and small groups, Wald's interval is too narrow and can leave [0, 1].
    """
    middle = (share + z * z / (2 * number)) / (1 + z * z / number)
    half = z / (1 + z * z / number) * math.sqrt(share * (1 - share) / number + z * z / (4 * number**2))
    return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True)
class Ratio:
    """A ratio such as observed over expected, with the standard error of its logarithm.

    >>> interval = Ratio(110, 100, log_error=0.05).interval(z_of(0.95))
    >>> round(interval.low, 3), round(interval.high, 3)
    (0.997, 1.213)
    """

    numerator: float
    denominator: float
    log_error: float

    def interval(self, z: float) -> Interval | None:
        """Interval on the logarithmic scale; None where either part is 0 or the interval is unbounded.

        An interval of more than a factor `exp(20)` to either side is uninformative, and infinity could not be
        written to JSON.
        """
        if self.numerator <= 0 or self.denominator <= 0 or not z * self.log_error < _WIDEST_LOG_RANGE:
            return None
        value, factor = self.numerator / self.denominator, math.exp(z * self.log_error)
        return Interval(value, value / factor, value * factor)


@dataclass(frozen=True)
class RateDifference:
    """A paired difference, measured on the same people, with its standard error."""

    value: float
    error: float

    def interval(self, z: float) -> Interval:
        """Interval by the normal approximation."""
        return Interval(self.value, self.value - z * self.error, self.value + z * self.error)

    def p_value(self, tolerance: float) -> float:
        """One-sided p-value for "the difference is larger than `tolerance`".

        >>> round(RateDifference(0.10, 0.02).p_value(0.05), 4)
        0.0062
        """
        if self.error <= 0:
            return float(self.value <= tolerance)
        return _NORMAL.cdf((tolerance - self.value) / self.error)


def printed_interval(figure: "Rate | Ratio | None", z: float) -> Interval | None:
    """The interval of a figure that may be published, rounded as it is printed; None where there is none."""
    interval = figure.interval(z) if figure else None
    return interval.rounded() if interval else None


def gap(rest: Rate, group: Rate, *, z: float) -> Interval | None:
    """How much lower the group's rate is than everyone else's, with Newcombe's hybrid interval.

    Positive: the group is worse off. Newcombe (1998), method 10, on effective sample sizes; a patient who is in both
    counts as two, which widens the interval slightly.

    >>> estimate = gap(Rate(50, 100), Rate(40, 100), z=z_of(0.95))
    >>> round(estimate.value, 2), round(estimate.low, 3), round(estimate.high, 3)
    (0.1, -0.037, 0.232)
    """
    first, second = rest.interval(z), group.interval(z)
    if first is None or second is None:
        return None
    value = first.value - second.value
    # The one-sided widths of both Wilson intervals, which are skewed near 0 and 1, are squared and added; a sum of
    # variances would give a symmetric interval with too low a coverage for small groups.
    down = math.hypot(first.value - first.low, second.high - second.value)
    up = math.hypot(first.high - first.value, second.value - second.low)
    return Interval(value, value - down, value + up)


def rate_ratio(rest: Rate, group: Rate, *, z: float) -> Interval | None:
    """The group's rate as a multiple of everyone else's: below 1, lower.

    Interval on the logarithmic scale, on effective sample sizes (Katz et al. 1978). None where a rate is 0 or cannot
    be estimated.

    >>> estimate = rate_ratio(Rate(50, 100), Rate(40, 100), z=z_of(0.95))
    >>> round(estimate.value, 2), round(estimate.low, 2), round(estimate.high, 2)
    (0.8, 0.59, 1.09)
    """
    if not rest.value or not group.value:
        return None
    errors = (one.design_effect * (1 / one.numerator - 1 / one.denominator) for one in (rest, group))
    return Ratio(group.value, rest.value, math.sqrt(sum(errors))).interval(z)


def gap_p_value(rest: Rate, group: Rate, *, tolerance: float) -> float | None:
    """One-sided p-value for "the gap is larger than `tolerance`".

    By inversion of the interval: the level at which its bound touches the tolerance, so that a verdict and the
    printed interval never contradict each other.

    >>> gap_p_value(Rate(900, 1000), Rate(500, 1000), tolerance=0.05) < 1e-6
    True
    >>> gap_p_value(Rate(500, 1000), Rate(500, 1000), tolerance=0.05) > 0.5
    True
    """
    first, second = rest.value, group.value
    if first is None or second is None:
        return None
    value = first - second
    above = value > tolerance
    sizes = rest.denominator / rest.design_effect, group.denominator / group.design_effect

    def distance(z: float) -> float:
        """How far the bound of `gap` at `z` is from the tolerance; it falls as `z` grows.

        Some ten are computed for a p-value, and two p-values for each group and gate, so that no `Interval` is made.
        """
        (low, high), (group_low, group_high) = _wilson(first, sizes[0], z), _wilson(second, sizes[1], z)
        if above:
            return value - math.hypot(first - low, group_high - second) - tolerance
        return tolerance - (value + math.hypot(high - first, second - group_low))

    z = _Z_MAX if distance(_Z_MAX) >= 0 else float(brentq(distance, 0.0, _Z_MAX, xtol=_Z_EXACT))
    return _NORMAL.cdf(-z if above else z)


def detectable_gap(rest: Rate, group: Rate, *, tolerance: float, level: float) -> float | None:
    """The smallest true gap that would be found to be above `tolerance` with a power of 80%.

    `rest` and `group` give the sizes and everyone else's rate; normal approximation. None where no gap would be:
    the group is too small, everyone else's rate too low, or the tolerance so wide that a reach of 0 is within it.

    >>> smallest = detectable_gap(Rate(20_000, 45_000), Rate(441, 980), tolerance=0.05, level=0.025)
    >>> round(smallest, 3)
    0.093
    """
    if rest.value is None or group.denominator <= 0 or rest.value <= tolerance:
        return None
    distance = _NORMAL.inv_cdf(1 - level) + _NORMAL.inv_cdf(_POWER)
    low, high = tolerance, rest.value
    others, size, effect = rest.variance, group.denominator, group.design_effect
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        # The group's variance at its assumed lower rate, not at the observed one: the gap is what is being sought.
        own = _softened_variance((rest.value - middle) * size / effect, size / effect)
        low, high = (middle, high) if middle - tolerance < distance * math.sqrt(others + own) else (low, middle)
    return None if high >= rest.value - _ALMOST_NOTHING else high

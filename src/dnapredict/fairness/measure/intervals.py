"""Rates, gaps and how sure one can be of them.

Repeat patients are not independent: a patient with five appointments tells less than five patients.
Every interval here therefore works on an *effective* number, the denominator divided by the design
effect that :mod:`dnapredict.fairness.measure.counts` measures from the patients' sums.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

_NORMAL = NormalDist()
_BISECTIONS = 60
_Z_MAX = 12.0
_OFTEN = 0.8
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
    """An estimate with its likely range."""

    value: float
    low: float
    high: float

    def rounded(self) -> "Interval":
        """To four decimals, as it is printed."""
        return Interval(round(self.value, 4), round(self.low, 4), round(self.high, 4))


@dataclass(frozen=True)
class Rate:
    """`numerator` out of `denominator`, as informative as `denominator / design_effect` independent people.

    >>> Rate(0, 0).value is None        # the share of nothing is not 0
    True
    """

    numerator: float
    denominator: float
    design_effect: float = 1.0

    @property
    def value(self) -> float | None:
        """The rate, or None where there is nothing to take a share of."""
        return self.numerator / self.denominator if self.denominator > 0 else None

    @property
    def variance(self) -> float:
        """That of the share at the effective number, with half a person added to either side; never 0."""
        number = self.denominator / self.design_effect
        softened = (self.numerator / self.design_effect + 0.5) / (number + 1)
        return softened * (1 - softened) / number

    def interval(self, z: float) -> Interval | None:
        """Wilson's interval at the effective number (Wilson 1927; Korn and Graubard 1998 for clusters).

        >>> found = Rate(5, 10).interval(z_of(0.95))
        >>> round(found.low, 3), round(found.high, 3)
        (0.237, 0.763)
        """
        share = self.value
        if share is None:
            return None
        number = self.denominator / self.design_effect
        middle = (share + z * z / (2 * number)) / (1 + z * z / number)
        half = z / (1 + z * z / number) * math.sqrt(share * (1 - share) / number + z * z / (4 * number**2))
        return Interval(share, max(0.0, middle - half), min(1.0, middle + half))


@dataclass(frozen=True)
class Ratio:
    """A ratio such as observed over expected, with the standard error of its logarithm.

    >>> found = Ratio(110, 100, log_error=0.05).interval(z_of(0.95))
    >>> round(found.low, 3), round(found.high, 3)
    (0.997, 1.213)
    """

    numerator: float
    denominator: float
    log_error: float

    def interval(self, z: float) -> Interval | None:
        """Range on the logarithmic scale; None where either part is 0 or the range has no useful end.

        A range that spans a factor of more than `exp(20)` to either side says nothing, and one without
        an end (infinity) could not be written to JSON.
        """
        if self.numerator <= 0 or self.denominator <= 0 or not z * self.log_error < _WIDEST_LOG_RANGE:
            return None
        value, factor = self.numerator / self.denominator, math.exp(z * self.log_error)
        return Interval(value, value / factor, value * factor)


@dataclass(frozen=True)
class RateDifference:
    """A difference measured on the same people, with its standard error."""

    value: float
    error: float

    def interval(self, z: float) -> Interval:
        """Range by the normal distribution."""
        return Interval(self.value, self.value - z * self.error, self.value + z * self.error)

    def p_value(self, tolerance: float) -> float:
        """One-sided p-value for "the difference is larger than `tolerance`".

        >>> round(RateDifference(0.10, 0.02).p_value(0.05), 4)
        0.0062
        """
        if self.error <= 0:
            return float(self.value <= tolerance)
        return _NORMAL.cdf((tolerance - self.value) / self.error)


def gap(rest: Rate, group: Rate, *, z: float) -> Interval | None:
    """How much lower the group's rate is than everyone else's, with Newcombe's hybrid interval.

    Positive: the group is worse off. Newcombe (1998), method 10, on effective numbers; a patient
    who is in both is counted as two, which widens the range slightly.

    >>> found = gap(Rate(50, 100), Rate(40, 100), z=z_of(0.95))
    >>> round(found.value, 2), round(found.low, 3), round(found.high, 3)
    (0.1, -0.037, 0.232)
    """
    first, second = rest.interval(z), group.interval(z)
    if first is None or second is None:
        return None
    value = first.value - second.value
    down = math.hypot(first.value - first.low, second.high - second.value)
    up = math.hypot(first.high - first.value, second.value - second.low)
    return Interval(value, value - down, value + up)


def rate_ratio(rest: Rate, group: Rate, *, z: float) -> Interval | None:
    """The group's rate as a multiple of everyone else's: below 1, lower.

    Range on the logarithmic scale, on effective numbers (Katz et al. 1978). None where a rate is 0 or
    cannot be estimated: a multiple of nothing says nothing.

    >>> found = rate_ratio(Rate(50, 100), Rate(40, 100), z=z_of(0.95))
    >>> round(found.value, 2), round(found.low, 2), round(found.high, 2)
    (0.8, 0.59, 1.09)
    """
    if not rest.value or not group.value:
        return None
    errors = (one.design_effect * (1 / one.numerator - 1 / one.denominator) for one in (rest, group))
    return Ratio(group.value, rest.value, math.sqrt(sum(errors))).interval(z)


def gap_p_value(rest: Rate, group: Rate, *, tolerance: float) -> float | None:
    """One-sided p-value for "the gap is larger than `tolerance`".

    Found by turning the interval round: the level at which its bound touches the tolerance,
    so that a verdict and the printed range never contradict each other.

    >>> gap_p_value(Rate(900, 1000), Rate(500, 1000), tolerance=0.05) < 1e-6
    True
    >>> gap_p_value(Rate(500, 1000), Rate(500, 1000), tolerance=0.05) > 0.5
    True
    """
    found = gap(rest, group, z=1.0)
    if found is None:
        return None
    above = found.value > tolerance
    low, high = 0.0, _Z_MAX
    for _ in range(_BISECTIONS):
        z = (low + high) / 2
        reached = gap(rest, group, z=z) or found
        clear = reached.low > tolerance if above else reached.high < tolerance
        low, high = (z, high) if clear else (low, z)
    return _NORMAL.cdf(-low if above else low)


def smallest_gap(rest: Rate, group: Rate, *, tolerance: float, level: float) -> float | None:
    """The smallest true gap that would be found to be above `tolerance` in 8 of 10 audits like this one.

    `rest` and `group` give the sizes and everyone else's rate. By the normal approximation at the gap's own
    rate. None where no gap would be: the group is too small, everyone else's rate too low, or the tolerance
    so loose that a group reached by nobody is within it.

    >>> found = smallest_gap(Rate(20_000, 45_000), Rate(441, 980), tolerance=0.05, level=0.025)
    >>> round(found, 3)
    0.093
    """
    if rest.value is None or group.denominator <= 0 or rest.value <= tolerance:
        return None
    sure = _NORMAL.inv_cdf(1 - level) + _NORMAL.inv_cdf(_OFTEN)
    low, high = tolerance, rest.value
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        behind = Rate((rest.value - middle) * group.denominator, group.denominator, group.design_effect)
        error = math.sqrt(rest.variance + behind.variance)
        low, high = (middle, high) if middle - tolerance < sure * error else (low, middle)
    return None if high >= rest.value - _ALMOST_NOTHING else high

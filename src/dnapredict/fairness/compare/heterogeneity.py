"""How far many groups lie apart, in one figure: beyond chance, and along a scale."""

import math
from collections.abc import Sequence

from scipy.special import gammaincc

from dnapredict.fairness.measure.intervals import Interval, Rate


def between_group_sd(rates: Sequence[Rate]) -> tuple[float, float] | None:
    """How far groups differ beyond chance: (standard deviation, p-value of the test that all are equal).

    DerSimonian and Laird (1986). The largest gap among many equal groups is never 0 and grows with
    their number; this figure is 0 when they differ no more than chance makes them.
    None with fewer than two groups that can be estimated.
    """
    values = [(rate.value, rate.variance) for rate in rates if rate.value is not None]
    if len(values) < 2:
        return None
    weights = [1 / variance for _, variance in values]
    mean = sum(w * v for w, (v, _) in zip(weights, values, strict=True)) / sum(weights)
    q = sum(w * (v - mean) ** 2 for w, (v, _) in zip(weights, values, strict=True))
    freedom = len(values) - 1
    scale = sum(weights) - sum(w * w for w in weights) / sum(weights)
    return math.sqrt(max(0.0, (q - freedom) / scale)), chi_squared_tail(q, freedom)


def slope_index(rates: Sequence[Rate], sizes: Sequence[float], *, z: float) -> Interval | None:
    """Slope index of inequality: how much higher the rate is at the end of a scale than at its start.

    A line through the groups' rates, each at the middle of its share of all people and weighted by how
    well it is known (Mackenbach and Kunst 1997). One figure for ten deciles, instead of 45 pairs.

    >>> found = slope_index([Rate(40, 100), Rate(45, 100), Rate(50, 100)], [1, 1, 1], z=1.96)
    >>> round(found.value, 2)
    0.15
    """
    total, before, points = sum(sizes), 0.0, []
    for rate, size in zip(rates, sizes, strict=True):
        if rate.value is not None:
            points.append(((before + size / 2) / total, rate.value, 1 / rate.variance))
        before += size
    weight = sum(w for *_, w in points)
    if len(points) < 3:
        return None
    x_mean = sum(w * x for x, _, w in points) / weight
    y_mean = sum(w * y for _, y, w in points) / weight
    spread = sum(w * (x - x_mean) ** 2 for x, _, w in points)
    slope = sum(w * (x - x_mean) * (y - y_mean) for x, y, w in points) / spread
    error = 1 / math.sqrt(spread)
    return Interval(slope, slope - z * error, slope + z * error)


def chi_squared_tail(value: float, freedom: int) -> float:
    """Probability that a chi-squared variable with `freedom` degrees is above `value`.

    >>> round(chi_squared_tail(3.841, 1), 3)
    0.05
    """
    return float(gammaincc(freedom / 2, value / 2))

"""Differences among many groups in one number: between-group standard deviation and slope index of inequality."""

import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import chi2

from dnapredict.fairness.measure.intervals import Interval, Rate
from dnapredict.model.evaluate.logistic import between_group_variance


def between_group_sd(rates: Sequence[Rate]) -> tuple[float, float] | None:
    """Between-group standard deviation beyond chance, and the p-value of the test that all rates are equal.

    DerSimonian and Laird (1986). The largest gap among many equal groups is never 0 and grows with their number;
    this is 0 where they differ no more than by chance. None with fewer than two groups that can be estimated.
    """
    values = [(rate.value, rate.variance) for rate in rates if rate.value is not None]
    if len(values) < 2:
        return None
    between = between_group_variance(*np.array(values).T)
    return math.sqrt(between.variance), float(chi2.sf(between.q, between.freedom))


def slope_index(rates: Sequence[Rate], sizes: Sequence[float], *, z: float) -> Interval | None:
    """Slope index of inequality: the rate at the end of a scale minus that at its start.

    A regression line through the groups' rates, each at the middle of its share of all people and weighted by the
    inverse of its variance (Mackenbach and Kunst 1997). One number for ten deciles instead of 45 pairs.

    >>> slope = slope_index([Rate(40, 100), Rate(45, 100), Rate(50, 100)], [1, 1, 1], z=1.96)
    >>> round(slope.value, 2)
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

"""How far groups differ beyond chance: DerSimonian and Laird's variance between groups."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Heterogeneity(NamedTuple):
    """The variance between groups, and Cochran's Q with its degrees of freedom."""

    variance: float
    q: float
    freedom: int


def between_group_variance(
    values: NDArray[np.float64], variances: NDArray[np.float64], *, mean: float | None = None
) -> Heterogeneity:
    """Variance of the groups' true values beyond sampling error, 0 where chance explains the differences.

    The moment estimator of DerSimonian and Laird (1986, Control Clin Trials 7:177).

    Parameters
    ----------
    values, variances : (k,) each group's estimate and its sampling variance
    mean : the common value where it is known; otherwise it is estimated, which costs one degree of freedom

    >>> between_group_variance(np.array([-1.0, 1.0]), np.array([0.25, 0.25]), mean=0.0)
    Heterogeneity(variance=0.75, q=8.0, freedom=2)
    """
    weights = 1 / variances
    total = float(weights.sum())
    scale, freedom = total, len(values)
    if mean is None:
        mean = float((weights * values).sum()) / total
        scale, freedom = total - float((weights**2).sum()) / total, len(values) - 1
    q = float((weights * (values - mean) ** 2).sum())
    return Heterogeneity(max((q - freedom) / scale, 0.0), q, freedom)

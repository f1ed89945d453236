"""Draws that the other files of the simulation share."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["choose", "generator", "logistic"]


def generator(seed: int, *stream: int) -> np.random.Generator:
    """The random stream of one part of one seed: the parts can be made in any order.

    >>> generator(1, 5).random() == generator(1, 5).random() != generator(1, 6).random()
    True
    """
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed, spawn_key=stream)))


def choose(
    rng: np.random.Generator, shares: Sequence[float] | NDArray[np.float64], *, size: int
) -> NDArray[np.int64]:
    """Positions drawn with these shares; shares are scaled to add up to 1."""
    upto = np.cumsum(shares, dtype=np.float64)
    return np.searchsorted(upto[:-1] / upto[-1], rng.random(size), side="right")


def logistic(log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probability of these log-odds.

    >>> logistic(np.array([0.0]))
    array([0.5])
    """
    return 1.0 / (1.0 + np.exp(-log_odds))

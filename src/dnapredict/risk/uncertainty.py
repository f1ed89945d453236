"""How sure the figures are: patients drawn again, all of a patient's appointments together.

Appointments of one patient are alike, so that intervals over appointments are too narrow
(Field and Welsh 2007, JRSS B). Two models are compared on the same draws, which removes what
they share.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dnapredict.risk.metrics import figures, row_losses
from dnapredict.risk.resampling import People, Resampled, replicates

__all__ = ["Difference", "Interval", "difference", "intervals", "loss_difference"]

_TAIL: Final = 2.5


class Interval(NamedTuple):
    """The middle 95 of 100 draws."""

    low: float
    high: float


class Difference(NamedTuple):
    """A figure of one model less that of another, with the interval of the paired difference."""

    value: float
    low: float
    high: float

    @property
    def is_certain(self) -> bool:
        """Whether the interval leaves out 0: the difference is beyond chance."""
        return self.low > 0 or self.high < 0


def intervals(
    dna: NDArray[np.bool_],
    probability: NDArray[np.float64],
    *,
    populations: Mapping[str, NDArray[np.bool_]],
    patient: NDArray[np.int64],
    seed: int,
) -> dict[str, dict[str, Interval]]:
    """95% interval of each figure that the data can give, by population and by its name in `Figures`.

    Patients are drawn once, from all rows, for every population: how many of a population's patients
    are drawn is left to chance, as it was when the test came about. One in which nobody, or everybody,
    missed has no intervals.
    """
    people = People.of(patient)
    able = [name for name, rows in populations.items() if dna[rows].any() and not dna[rows].all()]
    masks = [populations[name] for name in able]
    models = [Resampled(dna[rows], probability[rows], people.take(rows)) for rows in masks]
    found = dict(zip(able, replicates(models, people, seed=seed), strict=True)) if able else {}
    return {
        name: {figure: Interval(*_middle(values)) for figure, values in found.get(name, {}).items()}
        for name in populations
    }


def difference(
    dna: NDArray[np.bool_],
    one: NDArray[np.float64],
    other: NDArray[np.float64],
    *,
    patient: NDArray[np.int64],
    seed: int,
) -> dict[str, Difference]:
    """Each figure of `one` less that of `other`, on the same appointments and the same draws.

    For log loss and Brier a value below 0 says that `one` is better.
    """
    if dna.all() or not dna.any():
        return {}
    people = People.of(patient)
    models = [Resampled(dna, risk, people) for risk in (one, other)]
    drawn, rival = replicates(models, people, seed=seed)
    here, there = figures(dna, one).as_dict(), figures(dna, other).as_dict()
    return {
        name: Difference((here[name] or 0.0) - (there[name] or 0.0), *_middle(drawn[name] - rival[name]))
        for name in drawn
        if name in rival and here[name] is not None and there[name] is not None
    }


def loss_difference(
    dna: NDArray[np.bool_],
    one: NDArray[np.float64],
    other: NDArray[np.float64],
    *,
    patient: NDArray[np.int64],
    seed: int,
) -> Difference:
    """Log loss of `one` less that of `other`: what `difference` gives, without the other figures."""
    people = People.of(patient)
    less = row_losses(dna, one) - row_losses(dna, other)
    sums = people.sums(np.column_stack([np.ones(len(dna)), less]))
    drawn = [sums @ times for times in people.drawn(seed=seed)]
    total, lost = np.concatenate(drawn, axis=1)
    return Difference(float(less.mean()), *_middle(lost / total))


def _middle(values: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.nanpercentile(values, [_TAIL, 100 - _TAIL])
    return float(low), float(high)

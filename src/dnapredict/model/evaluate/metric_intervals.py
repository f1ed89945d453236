"""Intervals of metrics, and paired differences of two models: patients are drawn again with all their rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dnapredict.errors import DataError
from dnapredict.model.cohort.cohort import EVERYONE, Cohort
from dnapredict.model.evaluate.patient_bootstrap import PatientIndex, Resampled, replicates
from dnapredict.model.evaluate.risk_metrics import Figures, figures, row_losses

_TAIL: Final = 2.5


class PercentileInterval(NamedTuple):
    """The middle 95 of 100 draws."""

    low: float
    high: float


class PairedDifference(NamedTuple):
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
) -> dict[str, dict[str, PercentileInterval]]:
    """95% interval of each figure that the data can give, by population and by its name in `Figures`.

    Patients are drawn once, from all rows, for every population: how many of a population's patients
    are drawn is left to chance, as it was when the test came about. One in which nobody, or everybody,
    missed has no intervals.
    """
    people = PatientIndex.of(patient)
    able = [name for name, rows in populations.items() if dna[rows].any() and not dna[rows].all()]
    masks = [populations[name] for name in able]
    models = [Resampled(dna[rows], probability[rows], people.take(rows)) for rows in masks]
    found = dict(zip(able, replicates(models, people, seed=seed), strict=True)) if able else {}
    return {
        name: {figure: PercentileInterval(*_middle(values)) for figure, values in found.get(name, {}).items()}
        for name in populations
    }


def difference(
    dna: NDArray[np.bool_],
    one: NDArray[np.float64],
    other: NDArray[np.float64],
    *,
    patient: NDArray[np.int64],
    seed: int,
) -> dict[str, PairedDifference]:
    """Each figure of `one` less that of `other`, on the same appointments and the same draws.

    For log loss and Brier a value below 0 says that `one` is better.
    """
    if dna.all() or not dna.any():
        return {}
    people = PatientIndex.of(patient)
    models = [Resampled(dna, risk, people) for risk in (one, other)]
    drawn, rival = replicates(models, people, seed=seed)
    here, there = figures(dna, one).as_dict(), figures(dna, other).as_dict()
    return {
        name: PairedDifference((here[name] or 0.0) - (there[name] or 0.0), *_middle(drawn[name] - rival[name]))
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
) -> PairedDifference:
    """Log loss of `one` less that of `other`: what `difference` gives, without the other figures."""
    people = PatientIndex.of(patient)
    less = row_losses(dna, one) - row_losses(dna, other)
    sums = people.sums(np.column_stack([np.ones(len(dna)), less]))
    drawn = [sums @ times for times in people.drawn(seed=seed)]
    total, lost = np.concatenate(drawn, axis=1)
    return PairedDifference(float(less.mean()), *_middle(lost / total))


def _middle(values: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.nanpercentile(values, [_TAIL, 100 - _TAIL])
    return float(low), float(high)


# Below it a difference is chance, and a table of few may point at a patient.
_FEWEST: Final = 100


@dataclass(frozen=True)
class Tested:
    """A model's risks of the appointments it was tested on: one of each for each row of `cohort`.

    The cohort needs no factors; its `appointment` tells which rows another model was tested on too.
    """

    cohort: Cohort
    probability: NDArray[np.float64]


@dataclass(frozen=True)
class ModelComparison:
    """Figures of two models on the same appointments, and their paired differences.

    `one`, `other` : the figures of each, by population
    `differences` : `one` less `other`, by population and figure, with the 95% interval (patients
        drawn again, the same draws for both). For log loss and Brier below 0 says that `one` is better.
    """

    one: Mapping[str, Figures]
    other: Mapping[str, Figures]
    differences: Mapping[str, Mapping[str, PairedDifference]]

    @property
    def n(self) -> int:
        """Appointments on which both were tested."""
        return self.one[EVERYONE].n

    def verdict(self, one: str, other: str, *, population: str = EVERYONE) -> str:
        """In a sentence, which is better by log loss; `one` and `other` are what they are called."""
        found = self.differences[population].get("log_loss")
        if found is None:
            return f"{one} and {other} cannot be compared: nobody, or everybody, missed."
        if not found.is_certain:
            return f"No difference in log loss between {one} and {other} beyond chance."
        better, worse = (one, other) if found.value < 0 else (other, one)
        return f"{better} is better than {worse} beyond chance, by {abs(found.value):.4f} of log loss."


def compare(one: Tested, other: Tested, *, seed: int) -> ModelComparison:
    """Hold two models against each other on the appointments that neither learned from.

    Both were tested on these: none is in the training of either.

    Raises
    ------
    DataError
        If the tests have fewer than 100 appointments in common, or tell their outcomes differently.
    """
    here, there = _common(one.cohort, other.cohort)
    both, risk, rival = one.cohort.take(here), one.probability[here], other.probability[there]
    if (both.dna != other.cohort.dna[there]).any():
        raise DataError(
            "The two models were tested on different outcomes of the same appointments: their label rules "
            "('dna_codes') or their extracts differ. Train both on one extract with one rule."
        )
    masks = both.populations()
    return ModelComparison(
        one={name: figures(both.dna[mask], risk[mask]) for name, mask in masks.items()},
        other={name: figures(both.dna[mask], rival[mask]) for name, mask in masks.items()},
        differences={
            name: difference(both.dna[mask], risk[mask], rival[mask], patient=both.patient[mask], seed=seed)
            for name, mask in masks.items()
        },
    )


def _common(one: Cohort, other: Cohort) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions of the appointments that both hold, in the order of time."""
    if one.appointment is None or other.appointment is None:
        raise DataError("Appointments without an identifier cannot be paired.")
    shared, here, there = np.intersect1d(one.appointment, other.appointment, assume_unique=True, return_indices=True)
    if len(shared) < _FEWEST:
        raise DataError(
            f"The tests of the two models have {len(shared):,} appointments in common; {_FEWEST} are needed. "
            "Train both with the same 'test_from' under [split]."
        )
    order = np.argsort(here)
    return here[order], there[order]

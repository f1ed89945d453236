"""Which of two models is better: on the appointments that both were tested on, and beyond chance or not."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dnapredict.errors import DataError
from dnapredict.risk.cohort import EVERYONE, Cohort
from dnapredict.risk.metrics import Figures, figures
from dnapredict.risk.uncertainty import Difference, difference

__all__ = ["Comparison", "Tested", "compare"]

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
class Comparison:
    """Figures of two models on the same appointments, and their paired differences.

    `one`, `other` : the figures of each, by population
    `differences` : `one` less `other`, by population and figure, with the 95% interval (patients
        drawn again, the same draws for both). For log loss and Brier below 0 says that `one` is better.
    """

    one: Mapping[str, Figures]
    other: Mapping[str, Figures]
    differences: Mapping[str, Mapping[str, Difference]]

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


def compare(one: Tested, other: Tested, *, seed: int) -> Comparison:
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
    return Comparison(
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
    shared, here, there = np.intersect1d(
        one.appointment, other.appointment, assume_unique=True, return_indices=True
    )
    if len(shared) < _FEWEST:
        raise DataError(
            f"The tests of the two models have {len(shared):,} appointments in common; {_FEWEST} are needed. "
            "Train both with the same 'test_from' under [split]."
        )
    order = np.argsort(here)
    return here[order], there[order]

"""Bootstrap intervals of metrics, and paired differences of two models; patients are resampled with all their rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dnapredict.data.small_numbers import SMALLEST_EVALUATED
from dnapredict.errors import DataError
from dnapredict.model.cohort.cohort import EVERYONE, Cohort
from dnapredict.model.evaluate.patient_bootstrap import PatientIndex, ResampledMetrics, bootstrap_replicates
from dnapredict.model.evaluate.risk_metrics import RiskMetrics, compute_metrics, row_losses

_TAIL: Final = 2.5


class PercentileInterval(NamedTuple):
    """The 2.5th and 97.5th percentile of the bootstrap replicates."""

    low: float
    high: float


class PairedDifference(NamedTuple):
    """A metric of one model minus that of another, with the 95% interval of the paired difference."""

    value: float
    low: float
    high: float

    @property
    def is_certain(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low > 0 or self.high < 0


def bootstrap_intervals(
    dna: NDArray[np.bool_],
    probability: NDArray[np.float64],
    *,
    populations: Mapping[str, NDArray[np.bool_]],
    patient: NDArray[np.int64],
    seed: int,
) -> dict[str, dict[str, PercentileInterval]]:
    """95% interval of each metric that the data can give, by population and by its name in `RiskMetrics`.

    Patients are resampled once, from all rows, for every population, so that the size of a population varies
    between replicates as it would between samples. A population in which nobody, or everybody, missed has no
    intervals.
    """
    patients = PatientIndex.of(patient)
    estimable = [name for name, rows in populations.items() if dna[rows].any() and not dna[rows].all()]
    masks = [populations[name] for name in estimable]
    models = [ResampledMetrics(dna[rows], probability[rows], patients.take(rows)) for rows in masks]
    drawn = bootstrap_replicates(models, patients, seed=seed) if estimable else []
    by_population = dict(zip(estimable, drawn, strict=True))
    return {
        name: {figure: PercentileInterval(*_middle(values)) for figure, values in by_population.get(name, {}).items()}
        for name in populations
    }


def paired_difference(
    dna: NDArray[np.bool_],
    one: NDArray[np.float64],
    other: NDArray[np.float64],
    *,
    patient: NDArray[np.int64],
    seed: int,
) -> dict[str, PairedDifference]:
    """Each metric of `one` minus that of `other`, on the same appointments and the same bootstrap replicates.

    For log loss and Brier score a value below 0 says that `one` is better.
    """
    if dna.all() or not dna.any():
        return {}
    people = PatientIndex.of(patient)
    models = [ResampledMetrics(dna, risk, people) for risk in (one, other)]
    drawn, rival = bootstrap_replicates(models, people, seed=seed)
    here, there = compute_metrics(dna, one).as_dict(), compute_metrics(dna, other).as_dict()
    return {
        name: PairedDifference((here[name] or 0.0) - (there[name] or 0.0), *_middle(drawn[name] - rival[name]))
        for name in drawn
        if name in rival and here[name] is not None and there[name] is not None
    }


def log_loss_difference(
    dna: NDArray[np.bool_],
    one: NDArray[np.float64],
    other: NDArray[np.float64],
    *,
    patient: NDArray[np.int64],
    seed: int,
) -> PairedDifference:
    """Log loss of `one` minus that of `other`, as in `paired_difference` without the other metrics."""
    people = PatientIndex.of(patient)
    less = row_losses(dna, one) - row_losses(dna, other)
    sums = people.sums(np.column_stack([np.ones(len(dna)), less]))
    drawn = [sums @ times for times in people.resampling_weights(seed=seed)]
    total, lost = np.concatenate(drawn, axis=1)
    return PairedDifference(float(less.mean()), *_middle(lost / total))


def _middle(values: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.nanpercentile(values, [_TAIL, 100 - _TAIL])
    return float(low), float(high)


@dataclass(frozen=True)
class HoldoutRisks:
    """A model's risk of each appointment of its test window, a row of `cohort` each.

    The cohort needs no factors; its `appointment` identifies the rows that another model was tested on too.
    """

    cohort: Cohort
    probability: NDArray[np.float64]


@dataclass(frozen=True)
class ModelComparison:
    """Metrics of two models on the same appointments, and their paired differences.

    `one`, `other` : the metrics of each, by population
    `differences` : `one` minus `other`, by population and metric, with the 95% interval (patients resampled, the
        same replicates for both). For log loss and Brier score below 0 says that `one` is better.
    """

    one: Mapping[str, RiskMetrics]
    other: Mapping[str, RiskMetrics]
    differences: Mapping[str, Mapping[str, PairedDifference]]

    @property
    def n(self) -> int:
        """Appointments on which both models were tested."""
        return self.one[EVERYONE].n

    def verdict(self, one: str, other: str, *, population: str = EVERYONE) -> str:
        """Which model has the lower log loss, in a sentence; `one` and `other` are their names."""
        difference = self.differences[population].get("log_loss")
        if difference is None:
            return f"{one} and {other} cannot be compared: nobody, or everybody, missed."
        if not difference.is_certain:
            return f"No difference in log loss between {one} and {other} beyond chance."
        better, worse = (one, other) if difference.value < 0 else (other, one)
        return f"{better} is better than {worse} beyond chance, by {abs(difference.value):.4f} of log loss."


def compare_models(one: HoldoutRisks, other: HoldoutRisks, *, seed: int) -> ModelComparison:
    """Compare two models on the appointments that both were tested on, which neither was trained on.

    Raises
    ------
    DataError
        If the tests have fewer than 100 appointments in common, or their outcomes differ.
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
        one={name: compute_metrics(both.dna[mask], risk[mask]) for name, mask in masks.items()},
        other={name: compute_metrics(both.dna[mask], rival[mask]) for name, mask in masks.items()},
        differences={
            name: paired_difference(both.dna[mask], risk[mask], rival[mask], patient=both.patient[mask], seed=seed)
            for name, mask in masks.items()
        },
    )


def _common(one: Cohort, other: Cohort) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row numbers, in `one` and in `other`, of the appointments that both hold, in order of time."""
    if one.appointment is None or other.appointment is None:
        raise DataError("Appointments without an identifier cannot be paired.")
    shared, here, there = np.intersect1d(one.appointment, other.appointment, assume_unique=True, return_indices=True)
    if len(shared) < SMALLEST_EVALUATED:
        raise DataError(
            f"The tests of the two models have {len(shared):,} appointments in common; {SMALLEST_EVALUATED} are "
            "needed. Train both with the same 'test_from' under [split]."
        )
    order = np.argsort(here)
    return here[order], there[order]

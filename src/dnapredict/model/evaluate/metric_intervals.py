"""Bootstrap intervals of metrics, and paired differences of two models; patients are resampled with all their rows.

A replicate only changes how often each patient counts, so that no row is copied: counts and sums are products
with the resampling weights.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from dnapredict.data.small_numbers import SMALLEST_EVALUATED
from dnapredict.errors import DataError
from dnapredict.model.cohort import EVERYONE, Cohort
from dnapredict.model.evaluate.logistic import calibration_in_the_large, calibration_line, log_odds, newton_terms
from dnapredict.model.evaluate.risk_metrics import (
    RiskMetrics,
    TiedRuns,
    TieGroups,
    by_descending_risk,
    compute_metrics,
    discrimination,
    row_losses,
)

_DRAWS: Final = 400
_FEWEST_DRAWS: Final = 100
_WORK: Final = 40_000_000
_AT_ONCE: Final = 2_000_000
_TENTH: Final = 0.1

Weights = NDArray[np.float64]
Replicates = dict[str, NDArray[np.float64]]


@dataclass(frozen=True)
class PatientIndex:
    """The patient of each row, as a number from 0 to `n_patients - 1`."""

    codes: NDArray[np.int64]
    n_patients: int

    @classmethod
    def of(cls, patient: NDArray[np.int64]) -> "PatientIndex":
        """Number the patients of rows."""
        names, codes = np.unique(patient, return_inverse=True)
        return cls(codes, len(names))

    def take(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> "PatientIndex":
        """The patients of some of the rows, with the same numbers."""
        return PatientIndex(self.codes[rows], self.n_patients)

    def sums(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Each column of `rows` added up over the rows of each patient: (columns, n_patients)."""
        return np.stack([np.bincount(self.codes, weights=column, minlength=self.n_patients) for column in rows.T])

    def resampling_weights(self, *, seed: int) -> Iterator[Weights]:
        """How often each patient is drawn, a column for each replicate, in batches that fit the cache.

        There are 400 replicates; for very many rows, whose replicates vary less, fewer, down to 100.
        """
        random = np.random.default_rng(seed)
        draws = int(np.clip(_WORK // len(self.codes), _FEWEST_DRAWS, _DRAWS))
        at_once = int(np.clip(_AT_ONCE // len(self.codes), 1, draws))
        for start in range(0, draws, at_once):
            some = min(at_once, draws - start)
            picked = random.integers(0, self.n_patients, (some, self.n_patients))
            cells = picked * some + np.arange(some)[:, None]
            times = np.bincount(cells.ravel(), minlength=self.n_patients * some)
            yield times.reshape(self.n_patients, some).astype(np.float64)


def bootstrap_replicates(models: Sequence["ResampledMetrics"], people: PatientIndex, *, seed: int) -> list[Replicates]:
    """Every metric in every replicate, for each model; the replicates are the same for all.

    The calibration line of a replicate is one Newton step from that of all rows, which differs from the fitted
    one by far less than replicates differ.
    """
    parts: list[list[Replicates]] = [[] for _ in models]
    for times in people.resampling_weights(seed=seed):
        for model, found in zip(models, parts, strict=True):
            found.append(model.metrics(times))
    return [{name: np.concatenate([part[name] for part in found]) for name in found[0]} for found in parts]


class ResampledMetrics:
    """Outcomes and risks of rows, prepared for metrics under resampling weights.

    Rank metrics need the number of rows before and in each run of equal risks that holds a missed one, and those
    runs are few; every other metric is a sum over patients.
    """

    def __init__(self, dna: NDArray[np.bool_], probability: NDArray[np.float64], people: PatientIndex) -> None:
        order = by_descending_risk(probability)
        self._dna, risk, self._people = dna[order], probability[order], people.take(order)
        missed = np.flatnonzero(self._dna)
        self._runs = TiedRuns.of(risk, missed)
        self._rows = _counter(self._runs.segments(len(risk)), self._people)
        self._hits = _counter(np.searchsorted(self._runs.last, missed), self._people.take(missed))
        self._steps = _NewtonSteps(self._dna, log_odds(risk))
        counts = [np.ones(len(risk)), self._dna, (risk - self._dna) ** 2, row_losses(self._dna, risk)]
        self._sums = self._people.sums(np.column_stack([*counts, self._steps.parts]))

    def metrics(self, times: Weights) -> Replicates:
        """Every metric, for each column of `times`, which says how often each patient is drawn."""
        total, missed, brier, loss, *parts = self._sums @ times
        places = np.cumsum(self._rows @ times, axis=0)
        tie_groups = TieGroups(places[0:-1:2], places[1::2], np.cumsum(self._hits @ times, axis=0))
        reached = self._reached(tie_groups, places, times, _TENTH * total)
        with np.errstate(invalid="ignore", divide="ignore"):  # of few rows a replicate may hold nobody who missed
            return {
                "base_rate": missed / total,
                "brier": brier / total,
                "log_loss": loss / total,
                **discrimination(tie_groups, total)._asdict(),
                **self._steps.lines(np.array(parts)),
                "sensitivity_at_10": reached / missed,
                "ppv_at_10": reached / (_TENTH * total),
            }

    def _reached(self, tie_groups: TieGroups, places: Weights, times: Weights, capacity: Weights) -> Weights:
        """Missed appointments among the first `capacity` calls; the last row may count in part."""
        segment = (places < capacity).sum(axis=0)  # in which the last call falls
        before = np.vstack([np.zeros(len(capacity)), tie_groups.missed])
        reached: Weights = before[segment // 2, np.arange(len(capacity))]
        for draw in np.flatnonzero(segment % 2):  # among rows of which some missed
            run = segment[draw] // 2
            rows = slice(self._runs.first[run], self._runs.last[run] + 1)
            weights, calls = (
                times[self._people.codes[rows], draw],
                capacity[draw] - tie_groups.before[run, draw],
            )
            reached[draw] += _hits_in_order(weights, self._dna[rows], calls=calls)
        return reached


class _NewtonSteps:
    """One Newton step of the calibration line, and of the level alone, from their fit to all rows.

    `parts` are the terms of a step, row by row; the step of a replicate follows from their weighted sums.
    """

    def __init__(self, dna: NDArray[np.bool_], margin: NDArray[np.float64]) -> None:
        self._line = calibration_line(dna, margin)
        self._level = calibration_in_the_large(dna, margin)
        at = margin if self._line is None else self._line.intercept + self._line.slope * margin
        self.parts = np.hstack(
            [newton_terms(dna, margin, at), newton_terms(dna, margin, margin + (self._level or 0.0))]
        )

    def lines(self, sums: NDArray[np.float64]) -> Replicates:
        """Slope and intercept for each column of `sums`, the weighted sums of `parts`: (10, replicates)."""
        g0, g1, h00, h01, h11, pull, _, bend, *_ = sums
        found = {"calibration_intercept": (self._level or 0.0) + pull / bend}
        if self._line is not None:
            found["calibration_slope"] = self._line.slope + (h00 * g1 - h01 * g0) / (h00 * h11 - h01**2)
        return found


def _counter(index: NDArray[np.int64], people: PatientIndex) -> csr_array:
    """A matrix that turns weights of patients into counts of rows at each index; `index` is sorted."""
    begins = np.searchsorted(index, np.arange(index[-1] + 2))
    return csr_array((np.ones(len(index)), people.codes, begins), shape=(index[-1] + 1, people.n_patients))


def _hits_in_order(weights: Weights, dna: NDArray[np.bool_], *, calls: float) -> float:
    """Missed rows among the first `calls`, each row as often as `weights` says."""
    so_far = np.cumsum(weights)
    last = int(np.searchsorted(so_far, calls))
    part = calls - (so_far[last - 1] if last else 0.0)
    return float((weights[:last] * dna[:last]).sum() + part * dna[last])


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

"""Cluster bootstrap by patient: every metric in every replicate.

A replicate only changes how often each patient counts, so that no row is copied: counts and sums are products
with the resampling weights.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from dnapredict.model.evaluate.logistic import calibration_in_the_large, calibration_line, log_odds, newton_terms
from dnapredict.model.evaluate.risk_metrics import TiedRuns, TieGroups, by_descending_risk, discrimination, row_losses

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

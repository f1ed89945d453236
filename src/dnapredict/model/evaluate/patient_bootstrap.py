"""Patients drawn again, with all their appointments: every figure in every draw.

A draw only changes how often each patient counts, so that no row is copied: counts and sums are a
product with how often each was drawn.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from dnapredict.model.evaluate.risk_metrics import Runs, TieGroups, discrimination, falling, row_losses
from dnapredict.model.form.calibrators import calibration_in_the_large, calibration_line, log_odds

_DRAWS: Final = 400
_FEWEST_DRAWS: Final = 100
_WORK: Final = 40_000_000
_AT_ONCE: Final = 2_000_000
_TENTH: Final = 0.1

Weights = NDArray[np.float64]
Replicates = dict[str, NDArray[np.float64]]


@dataclass(frozen=True)
class PatientIndex:
    """Who is drawn: a number from 0 to `known - 1` for the patient of each row."""

    codes: NDArray[np.int64]
    known: int

    @classmethod
    def of(cls, patient: NDArray[np.int64]) -> "PatientIndex":
        """The patients of rows, numbered."""
        names, codes = np.unique(patient, return_inverse=True)
        return cls(codes, len(names))

    def take(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> "PatientIndex":
        """The patients of some of the rows, numbered as among all."""
        return PatientIndex(self.codes[rows], self.known)

    def sums(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Each column of `rows` added up over the rows of each patient: (columns, known)."""
        return np.stack([np.bincount(self.codes, weights=column, minlength=self.known) for column in rows.T])

    def drawn(self, *, seed: int) -> Iterator[Weights]:
        """How often each patient is drawn, a column a draw, as many draws at once as stay in the cache.

        There are 400 draws, and fewer, down to 100, of very many rows, which differ less.
        """
        random = np.random.default_rng(seed)
        draws = int(np.clip(_WORK // len(self.codes), _FEWEST_DRAWS, _DRAWS))
        at_once = int(np.clip(_AT_ONCE // len(self.codes), 1, draws))
        for start in range(0, draws, at_once):
            some = min(at_once, draws - start)
            picked = random.integers(0, self.known, (some, self.known))
            places = picked * some + np.arange(some)[:, None]
            times = np.bincount(places.ravel(), minlength=self.known * some)
            yield times.reshape(self.known, some).astype(np.float64)


def replicates(models: Sequence["Resampled"], people: PatientIndex, *, seed: int) -> list[Replicates]:
    """Every figure in every draw of `people`, for each model; the draws are the same for all.

    The calibration line of a draw is one Newton step from that of all rows, which differs from
    the fitted one by far less than draws differ.
    """
    parts: list[list[Replicates]] = [[] for _ in models]
    for times in people.drawn(seed=seed):
        for model, found in zip(models, parts, strict=True):
            found.append(model.figures(times))
    return [{name: np.concatenate([part[name] for part in found]) for name in found[0]} for found in parts]


class Resampled:
    """Outcomes and risks of rows, with what every draw needs of them.

    Ranking asks how many rows stand before and in each run of equal risks that holds a missed one, and
    those runs are few; all else is a sum over patients.
    """

    def __init__(self, dna: NDArray[np.bool_], probability: NDArray[np.float64], people: PatientIndex) -> None:
        order = falling(probability)
        self._dna, risk, self._people = dna[order], probability[order], people.take(order)
        missed = np.flatnonzero(self._dna)
        self._runs = Runs.of(risk, missed)
        self._rows = _counter(self._runs.stretches(len(risk)), self._people)
        self._hits = _counter(np.searchsorted(self._runs.last, missed), self._people.take(missed))
        self._steps = _NewtonSteps(self._dna, log_odds(risk))
        counts = [np.ones(len(risk)), self._dna, (risk - self._dna) ** 2, row_losses(self._dna, risk)]
        self._sums = self._people.sums(np.column_stack([*counts, self._steps.parts]))

    def figures(self, times: Weights) -> Replicates:
        """Every figure, for each column of `times`: how often each patient is drawn."""
        total, missed, brier, loss, *parts = self._sums @ times
        places = np.cumsum(self._rows @ times, axis=0)
        standing = TieGroups(places[0:-1:2], places[1::2], np.cumsum(self._hits @ times, axis=0))
        reached = self._reached(standing, places, times, _TENTH * total)
        with np.errstate(invalid="ignore", divide="ignore"):  # of few rows a draw may hold nobody who missed
            return {
                "base_rate": missed / total,
                "brier": brier / total,
                "log_loss": loss / total,
                **discrimination(standing, total)._asdict(),
                **self._steps.lines(np.array(parts)),
                "sensitivity_at_10": reached / missed,
                "ppv_at_10": reached / (_TENTH * total),
            }

    def _reached(self, standing: TieGroups, places: Weights, times: Weights, capacity: Weights) -> Weights:
        """Missed appointments on a list of `capacity` calls; the last row may count in part."""
        stretch = (places < capacity).sum(axis=0)  # the one in which the last call falls
        before = np.vstack([np.zeros(len(capacity)), standing.missed])
        reached: Weights = before[stretch // 2, np.arange(len(capacity))]
        for draw in np.flatnonzero(stretch % 2):  # among rows of which some missed
            run = stretch[draw] // 2
            rows = slice(self._runs.first[run], self._runs.last[run] + 1)
            weights, calls = (
                times[self._people.codes[rows], draw],
                capacity[draw] - standing.before[run, draw],
            )
            reached[draw] += _hits_in_order(weights, self._dna[rows], calls=calls)
        return reached


class _NewtonSteps:
    """One Newton step of the calibration line, and of the level alone, from their fit to all rows.

    `parts` are each row's parts of what a step is made of; a draw is given by their weighted sums.
    """

    def __init__(self, dna: NDArray[np.bool_], margin: NDArray[np.float64]) -> None:
        self._line = calibration_line(dna, margin)
        self._level = calibration_in_the_large(dna, margin)
        at = margin if self._line is None else self._line.intercept + self._line.slope * margin
        self.parts = np.hstack([_moments(dna, margin, at), _moments(dna, margin, margin + (self._level or 0.0))])

    def lines(self, sums: NDArray[np.float64]) -> Replicates:
        """Slope and level for each column of `sums`, which are the parts added up: (10, draws)."""
        g0, g1, h00, h01, h11, pull, _, bend, *_ = sums
        found = {"calibration_intercept": (self._level or 0.0) + pull / bend}
        if self._line is not None:
            found["calibration_slope"] = self._line.slope + (h00 * g1 - h01 * g0) / (h00 * h11 - h01**2)
        return found


def _moments(dna: NDArray[np.bool_], margin: NDArray[np.float64], fitted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each row's part of gradient and curvature of the log likelihood at `fitted`."""
    risk = 1 / (1 + np.exp(-fitted))
    bend = risk * (1 - risk)
    pull = dna - risk
    return np.column_stack([pull, pull * margin, bend, bend * margin, bend * margin**2])


def _counter(place: NDArray[np.int64], people: PatientIndex) -> csr_array:
    """What turns counts of patients into counts of rows at each place; `place` never falls."""
    begins = np.searchsorted(place, np.arange(place[-1] + 2))
    return csr_array((np.ones(len(place)), people.codes, begins), shape=(place[-1] + 1, people.known))


def _hits_in_order(weights: Weights, dna: NDArray[np.bool_], *, calls: float) -> float:
    """Missed rows among the first `calls`, each row as often as `weights` says."""
    so_far = np.cumsum(weights)
    last = int(np.searchsorted(so_far, calls))
    part = calls - (so_far[last - 1] if last else 0.0)
    return float((weights[:last] * dna[:last]).sum() + part * dna[last])

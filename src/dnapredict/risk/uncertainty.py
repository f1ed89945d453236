"""How sure the figures are: patients drawn again, all of a patient's appointments together.

Appointments of one patient are alike, so that intervals over appointments are too narrow
(Field and Welsh 2007, JRSS B). Two models are compared on the same draws, which removes what
they share.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dnapredict.risk.calibration import calibration_in_the_large, calibration_line, log_odds
from dnapredict.risk.metrics import figures

__all__ = ["Difference", "Interval", "difference", "intervals", "loss_difference", "replicates"]

_DRAWS: Final = 400
_FEWEST_DRAWS: Final = 100
_WORK: Final = 40_000_000
_AT_ONCE: Final = 1_000_000
_TAIL: Final = 2.5
_TENTH: Final = 0.1
_LEAST_LOSS: Final = 1e-15

Weights = NDArray[np.float64]
Replicates = dict[str, NDArray[np.float64]]


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
    patient: NDArray[np.int64],
    seed: int,
) -> dict[str, Interval]:
    """95% interval of each figure that the data can give, by its name in `Figures`."""
    if dna.all() or not dna.any():
        return {}
    drawn = replicates(dna, [probability], patient=patient, seed=seed)[0]
    return {name: Interval(*_middle(values)) for name, values in drawn.items()}


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
    drawn, rival = replicates(dna, [one, other], patient=patient, seed=seed)
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
    people = np.unique(patient, return_inverse=True)[1]
    less = _row_losses(dna, one) - _row_losses(dna, other)
    sums = _by_person(np.column_stack([np.ones(len(dna)), less]), people)
    drawn = [(times @ sums).T for times in _drawn(people, seed=seed)]
    total, lost = np.concatenate(drawn, axis=1)
    return Difference(float(less.mean()), *_middle(lost / total))


def replicates(
    dna: NDArray[np.bool_],
    probabilities: list[NDArray[np.float64]],
    *,
    patient: NDArray[np.int64],
    seed: int,
) -> list[Replicates]:
    """Every figure in every draw, for each model; the draws are the same for all.

    There are 400 draws, and fewer, down to 100, of very many rows, which differ less.

    The calibration line of a draw is one Newton step from that of all rows, which differs from
    the fitted one by far less than draws differ.
    """
    people = np.unique(patient, return_inverse=True)[1]
    models = [_Prepared(dna, probability, people) for probability in probabilities]
    parts: list[list[Replicates]] = [[] for _ in models]
    for times in _drawn(people, seed=seed):
        for model, found in zip(models, parts, strict=True):
            found.append(model.figures(times))
    return [{name: np.concatenate([part[name] for part in found]) for name in found[0]} for found in parts]


class _Prepared:
    """Outcomes in falling order of risk, with what every draw needs of them.

    A draw counts rows. All that ranking asks is asked at rows that were missed, which are few, and
    losses and the calibration line are sums over patients, so that one pass over all rows is left.
    """

    def __init__(
        self, dna: NDArray[np.bool_], probability: NDArray[np.float64], people: NDArray[np.int64]
    ) -> None:
        order = np.argsort(-probability, kind="stable")
        self._people, self._dna, risk = people[order], dna[order], probability[order]
        self._missed = np.flatnonzero(self._dna)
        self._ties = _Ties.of(risk, self._missed)
        losses = np.column_stack([(risk - self._dna) ** 2, _row_losses(self._dna, risk)])
        counts = np.column_stack([np.ones(len(risk)), self._dna])
        self._steps = _NewtonSteps(self._dna, log_odds(risk))
        self._sums = _by_person(np.hstack([counts, losses, self._steps.parts]), self._people)

    def figures(self, times: Weights) -> Replicates:
        """Every figure, for each row of `times`: how often each person is drawn."""
        total, missed, brier, loss, *parts = (times @ self._sums).T
        weights = times[:, self._people]
        called = np.cumsum(weights, axis=1)
        found = np.cumsum(weights[:, self._missed], axis=1)
        reached = self._reached(called, found, _TENTH * total)
        with np.errstate(invalid="ignore", divide="ignore"):  # of few rows a draw may hold nobody who missed
            return {
                "base_rate": missed / total,
                "brier": brier / total,
                "log_loss": loss / total,
                **self._ties.ranking(called, found, total=total),
                **self._steps.lines(np.array(parts)),
                "sensitivity_at_10": reached / missed,
                "ppv_at_10": reached / (_TENTH * total),
            }

    def _reached(self, called: Weights, found: Weights, capacity: Weights) -> Weights:
        """Missed appointments on a list of `capacity` calls; the last row may count in part."""
        reached = np.empty(len(called))
        for draw, (so_far, hits, calls) in enumerate(zip(called, found, capacity, strict=True)):
            last = int(np.searchsorted(so_far, calls))
            before = int(np.searchsorted(self._missed, last))
            part = calls - (so_far[last - 1] if last else 0.0) if self._dna[last] else 0.0
            reached[draw] = (hits[before - 1] if before else 0.0) + part
        return reached


class _Ties(NamedTuple):
    """Runs of equal risks, between which no list can tell rows apart; those that hold a missed one.

    `before` and `end` are the last row before and of each run, `found` its last missed row.
    """

    before: NDArray[np.int64]
    end: NDArray[np.int64]
    found: NDArray[np.int64]

    @classmethod
    def of(cls, risk: NDArray[np.float64], missed: NDArray[np.int64]) -> "_Ties":
        """The runs of risks in falling order."""
        ends = np.flatnonzero(np.append(np.diff(risk) != 0, True))
        run = np.searchsorted(ends, missed)
        last = np.flatnonzero(np.append(np.diff(run) != 0, True))
        runs = run[last]
        return cls(np.where(runs > 0, ends[runs - 1], -1), ends[runs], last)

    def ranking(self, called: Weights, found: Weights, *, total: Weights) -> Replicates:
        """AUROC and average precision from counts at each distinct risk."""
        hits, reached = found[:, self.found], called[:, self.end]
        more = np.diff(hits, axis=1, prepend=0)
        came_before = np.where(self.before >= 0, called[:, self.before], 0.0) - (hits - more)
        missed = hits[:, -1]
        below = (total - missed)[:, None] - (came_before + reached - hits) / 2
        precision = hits / np.maximum(reached, 1e-300)
        return {
            "auroc": (more * below).sum(axis=1) / (missed * (total - missed)),
            "average_precision": (more * precision).sum(axis=1) / missed,
        }


class _NewtonSteps:
    """One Newton step of the calibration line, and of the level alone, from their fit to all rows.

    `parts` are each row's parts of what a step is made of; a draw is given by their weighted sums.
    """

    def __init__(self, dna: NDArray[np.bool_], margin: NDArray[np.float64]) -> None:
        self._line = calibration_line(dna, margin)
        self._level = calibration_in_the_large(dna, margin)
        at = margin if self._line is None else self._line.intercept + self._line.slope * margin
        self.parts = np.hstack(
            [_moments(dna, margin, at), _moments(dna, margin, margin + (self._level or 0.0))]
        )

    def lines(self, sums: NDArray[np.float64]) -> Replicates:
        """Slope and level for each column of `sums`, which are the parts added up: (10, draws)."""
        g0, g1, h00, h01, h11, pull, _, bend, *_ = sums
        found = {"calibration_intercept": (self._level or 0.0) + pull / bend}
        if self._line is not None:
            found["calibration_slope"] = self._line.slope + (h00 * g1 - h01 * g0) / (h00 * h11 - h01**2)
        return found


def _row_losses(dna: NDArray[np.bool_], risk: NDArray[np.float64]) -> NDArray[np.float64]:
    return -np.log(np.maximum(np.where(dna, risk, 1 - risk), _LEAST_LOSS))


def _moments(
    dna: NDArray[np.bool_], margin: NDArray[np.float64], fitted: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Each row's part of gradient and curvature of the log likelihood at `fitted`."""
    risk = 1 / (1 + np.exp(-fitted))
    bend = risk * (1 - risk)
    pull = dna - risk
    return np.column_stack([pull, pull * margin, bend, bend * margin, bend * margin**2])


def _by_person(rows: NDArray[np.float64], people: NDArray[np.int64]) -> NDArray[np.float64]:
    """Each column added up over the rows of each person."""
    return np.column_stack([np.bincount(people, weights=column) for column in rows.T])


def _drawn(people: NDArray[np.int64], *, seed: int) -> Iterator[Weights]:
    """How often each person is drawn, for as many draws at once as stay in the processor's cache."""
    known, random = int(people.max()) + 1, np.random.default_rng(seed)
    draws = int(np.clip(_WORK // len(people), _FEWEST_DRAWS, _DRAWS))
    at_once = max(1, _AT_ONCE // len(people))
    for start in range(0, draws, at_once):
        picked = random.integers(0, known, (min(at_once, draws - start), known))
        yield np.stack([np.bincount(row, minlength=known) for row in picked]).astype(np.float64)


def _middle(values: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.nanpercentile(values, [_TAIL, 100 - _TAIL])
    return float(low), float(high)

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

__all__ = ["Difference", "Interval", "difference", "intervals", "replicates"]

_DRAWS: Final = 400
_FEWEST_DRAWS: Final = 100
_WORK: Final = 80_000_000
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
    """Outcomes in falling order of risk, with what every draw needs of them."""

    def __init__(
        self, dna: NDArray[np.bool_], probability: NDArray[np.float64], people: NDArray[np.int64]
    ) -> None:
        order = np.argsort(-probability, kind="stable")
        self._people = people[order]
        self._dna = dna[order]
        risk = probability[order]
        # Last row of each run of equal risks: between them no list can tell rows apart.
        self._ends = np.flatnonzero(np.append(np.diff(risk) != 0, True))
        given = np.where(self._dna, risk, 1 - risk)
        self._losses = np.column_stack([(risk - self._dna) ** 2, -np.log(np.maximum(given, _LEAST_LOSS))])
        self._steps = _NewtonSteps(self._dna, log_odds(risk))

    def figures(self, times: Weights) -> Replicates:
        """Every figure, for each row of `times`: how often each person is drawn."""
        weights = times[:, self._people]
        total = weights.sum(axis=1)
        missed = np.cumsum(weights * self._dna, axis=1)
        called = np.cumsum(weights, axis=1)
        losses = weights @ self._losses / total[:, None]
        found = {
            "base_rate": missed[:, -1] / total,
            "brier": losses[:, 0],
            "log_loss": losses[:, 1],
            **_ranking(missed[:, self._ends], called[:, self._ends]),
            **self._steps.lines(weights),
        }
        reached = _at(called, missed, _TENTH * total)
        return found | {
            "sensitivity_at_10": reached / missed[:, -1],
            "ppv_at_10": reached / (_TENTH * total),
        }


class _NewtonSteps:
    """One Newton step of the calibration line, and of the level alone, from their fit to all rows."""

    def __init__(self, dna: NDArray[np.bool_], margin: NDArray[np.float64]) -> None:
        self._line = calibration_line(dna, margin)
        self._level = calibration_in_the_large(dna, margin)
        if self._line is not None:
            self._sloped = _moments(dna, margin, self._line.intercept + self._line.slope * margin)
        self._shifted = _moments(dna, margin, margin + (self._level or 0.0))

    def lines(self, weights: Weights) -> Replicates:
        """Slope and level for each row of `weights`."""
        pull, _, bend, *_ = (weights @ self._shifted).T
        found = {"calibration_intercept": (self._level or 0.0) + pull / bend}
        if self._line is not None:
            g0, g1, h00, h01, h11 = (weights @ self._sloped).T
            found["calibration_slope"] = self._line.slope + (h00 * g1 - h01 * g0) / (h00 * h11 - h01**2)
        return found


def _moments(
    dna: NDArray[np.bool_], margin: NDArray[np.float64], fitted: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Each row's part of gradient and curvature of the log likelihood at `fitted`."""
    risk = 1 / (1 + np.exp(-fitted))
    bend = risk * (1 - risk)
    pull = dna - risk
    return np.column_stack([pull, pull * margin, bend, bend * margin, bend * margin**2])


def _ranking(missed: Weights, called: Weights) -> Replicates:
    """AUROC and average precision from counts at each distinct risk."""
    came = called - missed
    more_missed = np.diff(missed, axis=1, prepend=0)
    more_came = np.diff(came, axis=1, prepend=0)
    above = (missed - more_missed / 2) * more_came
    precision = missed / np.maximum(called, 1e-300)
    return {
        "auroc": above.sum(axis=1) / (missed[:, -1] * came[:, -1]),
        "average_precision": (more_missed * precision).sum(axis=1) / missed[:, -1],
    }


def _at(called: Weights, missed: Weights, capacity: NDArray[np.float64]) -> NDArray[np.float64]:
    """Missed appointments on a list of `capacity` calls; the last row may count in part."""
    return np.array([np.interp(k, row, hit) for k, row, hit in zip(capacity, called, missed, strict=True)])


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

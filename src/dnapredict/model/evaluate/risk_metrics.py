"""Metrics of a risk: discrimination (AUROC, average precision), calibration, and reach of a call list."""

from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dnapredict.errors import NoEventsError
from dnapredict.model.form.calibrators import calibration_in_the_large, calibration_line, log_odds

Counts = NDArray[np.float64]


class Runs(NamedTuple):
    """Runs of equal risks, between which no list can tell rows apart; those that hold a missed one.

    Positions are in falling order of risk: `first` and `last` are those of each run's rows, and `missed`
    says how many missed appointments stand up to its end.
    """

    first: NDArray[np.int64]
    last: NDArray[np.int64]
    missed: NDArray[np.int64]

    @classmethod
    def of(cls, risk: NDArray[np.float64], missed: NDArray[np.int64]) -> "Runs":
        """The runs of risks in falling order, at the positions `missed` of which somebody missed."""
        ends = np.flatnonzero(np.append(np.diff(risk) != 0, True))
        run = np.searchsorted(ends, missed)
        last_missed = np.flatnonzero(np.append(np.diff(run) != 0, True))
        held = run[last_missed]
        return cls(np.where(held > 0, ends[held - 1] + 1, 0), ends[held], last_missed + 1)

    def stretches(self, rows: int) -> NDArray[np.int64]:
        """Where each of `rows` positions lies: 0 before the first run, 1 in it, 2 between it and the next.

        >>> Runs.of(np.array([0.9, 0.5, 0.5, 0.1]), np.array([1])).stretches(4).tolist()
        [0, 1, 1, 2]
        """
        bounds = np.column_stack([self.first, self.last + 1]).ravel()
        return np.searchsorted(bounds, np.arange(rows), side="right")

    @property
    def standing(self) -> "TieGroups":
        """How many rows stand before and up to the end of each run, each row counted once."""
        return TieGroups(*(np.asarray(n, dtype=float) for n in (self.first, self.last + 1, self.missed)))


class TieGroups(NamedTuple):
    """For each run of equal risks: rows `before` it, rows and missed rows up to its end.

    The first axis is the runs, from the highest risk down; a second may be draws of the same rows.
    """

    before: Counts
    rows: Counts
    missed: Counts


class Discrimination(NamedTuple):
    """How well risks tell who will miss from who will come (see `metrics.Figures`)."""

    auroc: Counts
    average_precision: Counts


def discrimination(standing: TieGroups, total: Counts | float) -> Discrimination:
    """AUROC and average precision of `total` rows of which some missed and some came.

    AUROC is the share of pairs of a missed and an attended row in which the missed one stands first,
    pairs of equal risk counting half (Mann and Whitney 1947). Average precision is the mean, over
    missed rows, of the share missed among all rows down to theirs. Both are scikit-learn's.

    >>> tied = Runs.of(np.array([0.9, 0.5, 0.5]), np.array([0, 2]))
    >>> discrimination(tied.standing, 3).auroc.item()
    0.75
    """
    before, rows, found = standing
    more = np.diff(found, axis=0, prepend=0)
    missed = found[-1]
    came = total - missed
    below = came - (before - (found - more) + rows - found) / 2
    precision = found / np.maximum(rows, 1)
    return Discrimination(
        np.asarray((more * below).sum(axis=0) / (missed * came)),
        np.asarray((more * precision).sum(axis=0) / missed),
    )


def falling(probability: NDArray[np.float64]) -> NDArray[np.int64]:
    """Positions from the highest risk down, equal risks as they are given, so that a list is reproducible."""
    return np.argsort(-probability, kind="stable")


_TOP_TENTH = 10
_NEVER_CERTAIN = 1e-15


@dataclass(frozen=True)
class Figures:
    """The figures of one model on one population; None where the data cannot give one.

    n : appointments.
    base_rate : share missed.
    auroc : chance that a missed appointment was given a higher risk than an attended one; 0.5 is
        blind, honest whole-trust models stand at 0.74 to 0.77, above 0.80 look for a leak.
    average_precision : area under the precision-recall steps; blind is `base_rate`.
    brier, log_loss : mean squared error and mean negative log likelihood (nats); lower is better.
    calibration_slope : 1 is right; below 1 the risks are too far apart (overfitted).
    calibration_intercept : log odds to add to every risk so that the mean agrees; 0 is right,
        below 0 the model foretells too many missed appointments.
    sensitivity_at_10 : reach when the tenth with the highest risk is called (see `reach_at_capacity`).
    ppv_at_10 : share of those calls that would go to someone who missed.
    """

    n: int
    base_rate: float | None
    auroc: float | None
    average_precision: float | None
    brier: float | None
    log_loss: float | None
    calibration_slope: float | None
    calibration_intercept: float | None
    sensitivity_at_10: float | None
    ppv_at_10: float | None

    def as_dict(self) -> dict[str, float | int | None]:
        """The figures by name, in the order above."""
        return asdict(self)


def figures(dna: NDArray[np.bool_], probability: NDArray[np.float64]) -> Figures:
    """All figures of one model on one population.

    Without an appointment only `n` is known; where nobody or everybody missed, what compares
    missed with attended appointments is None.

    >>> figures(np.array([True, False]), np.array([0.9, 0.2])).auroc
    1.0
    >>> figures(np.array([False, False]), np.array([0.9, 0.2])).auroc is None
    True
    """
    n = len(dna)
    if n == 0:
        return Figures(0, *(None,) * 9)
    order = falling(probability)
    dna, probability = dna[order], probability[order]  # what sorts again below finds it done
    both = bool(dna.any() and not dna.all())
    capacity, margin = _tenth(n), log_odds(probability)
    line = calibration_line(dna, margin) if both else None
    told = discrimination(Runs.of(probability, np.flatnonzero(dna)).standing, n) if both else None
    return Figures(
        n=n,
        base_rate=float(dna.mean()),
        auroc=float(told.auroc) if told else None,
        average_precision=float(told.average_precision) if told else None,
        brier=brier(dna, probability),
        log_loss=log_loss(dna, probability),
        calibration_slope=line.slope if line else None,
        calibration_intercept=calibration_in_the_large(dna, margin) if both else None,
        sensitivity_at_10=reach_at_capacity(dna, probability, capacity=capacity) if dna.any() else None,
        ppv_at_10=ppv_at_capacity(dna, probability, capacity=capacity),
    )


def brier(dna: NDArray[np.bool_], probability: NDArray[np.float64]) -> float:
    """Mean squared distance of risk and outcome, 0 to 1, lower is better (Brier 1950).

    Everyone at the base rate r scores r * (1 - r).

    >>> brier(np.array([True, False]), np.array([0.5, 0.5]))
    0.25
    """
    return float(np.mean((probability - dna) ** 2))


def log_loss(dna: NDArray[np.bool_], probability: NDArray[np.float64]) -> float:
    """Mean negative log likelihood in nats, lower is better; the figure a model is chosen by.

    A risk of exactly 0 or 1 is taken as 1e-15 from it, so that one certain mistake stays finite.

    >>> round(log_loss(np.array([True, False]), np.array([0.5, 0.5])), 4)
    0.6931
    """
    return float(row_losses(dna, probability).mean())


def row_losses(dna: NDArray[np.bool_], probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """The part of each appointment in `log_loss`, in nats."""
    given = np.where(dna, probability, 1 - probability)
    losses: NDArray[np.float64] = -np.log(np.clip(given, _NEVER_CERTAIN, 1))
    return losses


def reach_at_capacity(dna: NDArray[np.bool_], probability: NDArray[np.float64], *, capacity: int) -> float:
    """Share of the people who went on to miss their appointment that a list of `capacity` calls holds.

    The figure a booking team feels: of 100 people who missed, how many had we planned to call?
    A list drawn at random reaches `capacity / n`. Published: 0.287 when the top tenth is called
    (Philpott-Morgan et al. 2021, PLoS Medicine).

    Parameters
    ----------
    dna : (n,) bool
        Whether each appointment was missed.
    probability : (n,) float in [0, 1]
        Predicted risk; ties are broken by position, so that a list is reproducible.
    capacity
        Calls that can be made, 1 <= capacity <= n.

    Raises
    ------
    NoEventsError
        If nobody missed: the share of nothing is not 0.

    >>> reach_at_capacity(np.array([True, False, True, False]), np.array([.9, .8, .1, .2]), capacity=1)
    0.5
    """
    if not dna.any():
        raise NoEventsError("Reach cannot be given: nobody in this group missed their appointment.")
    return float(dna[falling(probability)[:capacity]].sum() / dna.sum())


def ppv_at_capacity(dna: NDArray[np.bool_], probability: NDArray[np.float64], *, capacity: int) -> float:
    """Share of `capacity` calls, made from the highest risk down, that go to someone who missed.

    The rest are unneeded calls: a courtesy to people who would have come. Blind: the base rate.

    >>> ppv_at_capacity(np.array([True, False, True, False]), np.array([.9, .8, .1, .2]), capacity=2)
    0.5
    """
    return float(dna[falling(probability)[:capacity]].mean())


def _tenth(n: int) -> int:
    return max(1, round(n / _TOP_TENTH))

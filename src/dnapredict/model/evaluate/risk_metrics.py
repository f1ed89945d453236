"""Metrics of a risk: discrimination (AUROC, average precision), calibration and its table, reach of a call list."""

from dataclasses import asdict, dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.isotonic import IsotonicRegression

from dnapredict.data.small_numbers import SMALLEST_EVALUATED
from dnapredict.errors import NoEventsError
from dnapredict.model.evaluate.logistic import calibration_in_the_large, calibration_line, log_odds

Counts = NDArray[np.float64]


class TiedRuns(NamedTuple):
    """Runs of equal risks (ties) that hold at least one missed appointment.

    Rows are sorted by descending risk: `first` and `last` are the row numbers of each run, and `missed` is the
    number of missed appointments up to its end.
    """

    first: NDArray[np.int64]
    last: NDArray[np.int64]
    missed: NDArray[np.int64]

    @classmethod
    def of(cls, risk: NDArray[np.float64], missed: NDArray[np.int64]) -> "TiedRuns":
        """The runs of descending risks; `missed` are the row numbers of missed appointments."""
        ends = np.flatnonzero(np.append(np.diff(risk) != 0, True))
        run = np.searchsorted(ends, missed)
        last_missed = np.flatnonzero(np.append(np.diff(run) != 0, True))
        held = run[last_missed]
        return cls(np.where(held > 0, ends[held - 1] + 1, 0), ends[held], last_missed + 1)

    def segments(self, rows: int) -> NDArray[np.int64]:
        """Segment of each of `rows` row numbers: 0 before the first run, 1 in it, 2 between it and the next.

        >>> TiedRuns.of(np.array([0.9, 0.5, 0.5, 0.1]), np.array([1])).segments(4).tolist()
        [0, 1, 1, 2]
        """
        bounds = np.column_stack([self.first, self.last + 1]).ravel()
        return np.searchsorted(bounds, np.arange(rows), side="right")

    @property
    def tie_groups(self) -> "TieGroups":
        """Rows before and up to the end of each run, each row counted once."""
        return TieGroups(*(np.asarray(n, dtype=float) for n in (self.first, self.last + 1, self.missed)))


class TieGroups(NamedTuple):
    """For each run of equal risks: rows `before` it, rows and missed rows up to its end.

    The first axis is the runs by descending risk; a second axis may be bootstrap replicates.
    """

    before: Counts
    rows: Counts
    missed: Counts


class Discrimination(NamedTuple):
    """Metrics of discrimination (see `RiskMetrics`)."""

    auroc: Counts
    average_precision: Counts


def discrimination(tie_groups: TieGroups, total: Counts | float) -> Discrimination:
    """AUROC and average precision of `total` rows of which some missed and some came.

    AUROC is the share of pairs of a missed and an attended row in which the missed one is ranked first,
    ties counting half (Mann and Whitney 1947). Average precision is the mean, over
    missed rows, of the share missed among all rows down to theirs. Both equal scikit-learn's.

    >>> tied = TiedRuns.of(np.array([0.9, 0.5, 0.5]), np.array([0, 2]))
    >>> discrimination(tied.tie_groups, 3).auroc.item()
    0.75
    """
    before, rows, hits = tie_groups
    more = np.diff(hits, axis=0, prepend=0)
    missed = hits[-1]
    came = total - missed
    below = came - (before - (hits - more) + rows - hits) / 2
    precision = hits / np.maximum(rows, 1)
    return Discrimination(
        np.asarray((more * below).sum(axis=0) / (missed * came)),
        np.asarray((more * precision).sum(axis=0) / missed),
    )


def auroc(dna: NDArray[np.bool_], probability: NDArray[np.float64]) -> float:
    """Chance that a missed appointment was given a higher risk than an attended one, ties counting half.

    Some must be missed and some attended. Equal to scikit-learn's `roc_auc_score`, which tests hold.

    >>> auroc(np.array([True, False, True]), np.array([0.9, 0.5, 0.5]))
    0.75
    """
    order = by_descending_risk(probability)
    runs = TiedRuns.of(probability[order], np.flatnonzero(dna[order]))
    return float(discrimination(runs.tie_groups, len(dna)).auroc)


def by_descending_risk(probability: NDArray[np.float64]) -> NDArray[np.int64]:
    """Row numbers by descending risk; ties keep their order, so that a list is reproducible."""
    return np.argsort(-probability, kind="stable")


_TOP_TENTH = 10
_SMALLEST_LIKELIHOOD = 1e-15


@dataclass(frozen=True)
class RiskMetrics:
    """The metrics of one model on one population; None where one cannot be estimated.

    n : appointments.
    base_rate : share missed.
    auroc : chance that a missed appointment was given a higher risk than an attended one; 0.5 is
        chance, honest models of a whole trust have 0.74 to 0.77, above 0.80 look for a leak.
    average_precision : area under the precision-recall steps; chance is `base_rate`.
    brier, log_loss : mean squared error and mean negative log likelihood (nats); lower is better.
    calibration_slope : 1 is right; below 1 the risks are too far apart (overfitted).
    calibration_intercept : log odds to add to every risk so that the mean agrees; 0 is right,
        below 0 the model predicts too many missed appointments.
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
        """The metrics by name, in the order above."""
        return asdict(self)


def compute_metrics(dna: NDArray[np.bool_], probability: NDArray[np.float64]) -> RiskMetrics:
    """All metrics of one model on one population.

    Without an appointment only `n` is known; where nobody or everybody missed, metrics that compare missed with
    attended appointments are None.

    >>> compute_metrics(np.array([True, False]), np.array([0.9, 0.2])).auroc
    1.0
    >>> compute_metrics(np.array([False, False]), np.array([0.9, 0.2])).auroc is None
    True
    """
    n = len(dna)
    if n == 0:
        return RiskMetrics(0, *(None,) * 9)
    order = by_descending_risk(probability)
    dna, probability = dna[order], probability[order]  # sorted once: the metrics below sort in linear time then
    both = bool(dna.any() and not dna.all())
    capacity, margin = _tenth(n), log_odds(probability)
    line = calibration_line(dna, margin) if both else None
    ranking = discrimination(TiedRuns.of(probability, np.flatnonzero(dna)).tie_groups, n) if both else None
    return RiskMetrics(
        n=n,
        base_rate=float(dna.mean()),
        auroc=float(ranking.auroc) if ranking else None,
        average_precision=float(ranking.average_precision) if ranking else None,
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
    """Mean negative log likelihood in nats, lower is better; models are chosen by it.

    Risks are kept 1e-15 away from 0 and 1, so that one certain mistake stays finite.

    >>> round(log_loss(np.array([True, False]), np.array([0.5, 0.5])), 4)
    0.6931
    """
    return float(row_losses(dna, probability).mean())


def row_losses(dna: NDArray[np.bool_], probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """Negative log likelihood of each appointment, in nats; `log_loss` is its mean."""
    likelihood = np.where(dna, probability, 1 - probability)
    losses: NDArray[np.float64] = -np.log(np.clip(likelihood, _SMALLEST_LIKELIHOOD, 1))
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
    return float(dna[by_descending_risk(probability)[:capacity]].sum() / dna.sum())


def ppv_at_capacity(dna: NDArray[np.bool_], probability: NDArray[np.float64], *, capacity: int) -> float:
    """Share of `capacity` calls, by descending risk, whose appointment was missed (precision).

    The rest are unneeded calls to people who would have come. At random it is the base rate.

    >>> ppv_at_capacity(np.array([True, False, True, False]), np.array([.9, .8, .1, .2]), capacity=2)
    0.5
    """
    return float(dna[by_descending_risk(probability)[:capacity]].mean())


def _tenth(n: int) -> int:
    return max(1, round(n / _TOP_TENTH))


_MOST_BINS: Final = 10


@dataclass(frozen=True)
class ReliabilityBin:
    """Appointments of similar risk: their mean risk, and the share missed with its 95% interval."""

    n: int
    mean_risk: float
    share_missed: float
    low: float
    high: float


class BrierDecomposition(NamedTuple):
    """A Brier score in three parts: `miscalibration - discrimination + uncertainty`.

    miscalibration : what perfect recalibration would gain; 0 is best.
    discrimination : what ranking gains over predicting the base rate for everyone; higher is better.
    uncertainty : the score of predicting the base rate for everyone.
    """

    miscalibration: float
    discrimination: float
    uncertainty: float


def reliability_table(dna: NDArray[np.bool_], probability: NDArray[np.float64]) -> tuple[ReliabilityBin, ...]:
    """Share missed in up to ten bins of increasing risk and equal size, none below 100 appointments.

    In a well-calibrated model each bin's mean risk is inside the interval (Wilson 1927). Fewer than 100
    appointments have no table (`SMALLEST_EVALUATED`).
    """
    bins = min(_MOST_BINS, len(dna) // SMALLEST_EVALUATED)
    order = np.argsort(probability, kind="stable")
    return tuple(_bin(dna[rows], probability[rows]) for rows in np.array_split(order, bins)) if bins else ()


def brier_decomposition(dna: NDArray[np.bool_], probability: NDArray[np.float64]) -> BrierDecomposition:
    """Decompose the Brier score by isotonic recalibration (CORP; Dimitriadis et al. 2021, PNAS).

    No bins are chosen, and the parts add up exactly.

    >>> BrierDecomposition(*np.round(brier_decomposition(np.array([True, False]), np.array([0.9, 0.2])), 3).tolist())
    BrierDecomposition(miscalibration=0.025, discrimination=0.25, uncertainty=0.25)
    """
    isotonic = IsotonicRegression().fit(probability, dna).predict(probability)
    uncertainty = float(dna.mean() * (1 - dna.mean()))
    recalibrated = brier(dna, isotonic)
    return BrierDecomposition(brier(dna, probability) - recalibrated, uncertainty - recalibrated, uncertainty)


def _bin(dna: NDArray[np.bool_], probability: NDArray[np.float64]) -> ReliabilityBin:
    interval = binomtest(int(dna.sum()), len(dna)).proportion_ci(method="wilson")
    return ReliabilityBin(
        len(dna), float(probability.mean()), float(dna.mean()), float(interval.low), float(interval.high)
    )

"""The best that could be known: the risk to somebody who knows the world's rules and what is on record.

No column tells a patient's tendency, and no factor may use ethnicity or inclusion group; but each visit
that was attended, missed or cancelled tells of them. By Bayes' rule over a grid of what is hidden, the risk
of a visit follows from those of the patient that had begun when it is scored. Their true outcomes are taken
as known at once, where a record comes late and can be wrong: no model can do better, on average, and one
that comes near has learned the world.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.polynomial.hermite_e import hermegauss
from numpy.typing import NDArray
from scipy.special import expit, logit

from dnapredict.synthetic.habit import HABIT, Lived, last_seen, opening_habits
from dnapredict.synthetic.visit_outcomes import VisitOutcomes
from dnapredict.synthetic.visits import CANCELLED_BY_PATIENT, KEPT, Visits, cancelling

_TENDENCIES: Final = 12
_TRAITS: Final = 3


@dataclass(frozen=True)
class UnobservedTraits:
    """What no column tells of each patient: arrays of (patients,).

    Attributes
    ----------
    tendency
        The lasting tendency to miss and to cancel.
    odds_of_tendency
        Log-odds of missing that one unit of it adds.
    traits
        Log-odds that come with what no factor may use.
    """

    tendency: NDArray[np.float64]
    odds_of_tendency: float
    traits: NDArray[np.float64]

    @property
    def log_odds(self) -> NDArray[np.float64]:
        """What all of it adds to each patient's log-odds."""
        return self.odds_of_tendency * self.tendency + self.traits


def knowable_risk(
    visits: Visits,
    came: VisitOutcomes,
    *,
    hidden: UnobservedTraits,
    log_odds: NDArray[np.float64],
    scored: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Chance that a DNA is recorded of each visit if not cancelled, to one who knows all but what is hidden.

    Parameters
    ----------
    log_odds
        Of missing each visit, but for habit.
    scored
        Minute at which each visit is scored; only what had begun before it counts.
    """
    lived, patient = came.lived, visits.patient
    error = (came.recorded_probability - lived.probability) / (1 - lived.probability)
    opening = np.flatnonzero(visits.order == 0)
    told = logit(lived.probability) - hidden.log_odds[patient]
    told -= HABIT * lived.carried * lived.brought[patient]
    past = _Past.of(visits, lived, scored=scored)
    best = np.full(len(told), -np.inf)
    total, missed = np.zeros(len(told)), np.zeros(len(told))
    for tendency, trait, rare in _grid(hidden):
        own = hidden.odds_of_tendency * tendency + trait
        prior = rare + float(np.log(cancelling(np.array(tendency))[1]))  # nobody cancels this visit
        for habit, likely in opening_habits(log_odds[opening] - hidden.log_odds + own):
            chance = expit(told + own + HABIT * habit * lived.carried)
            recorded = chance + (1 - chance) * error
            weight = prior + likely[patient] + past.so_far(past.evidence(chance, tendency=tendency))
            higher = np.maximum(best, weight)
            scale, added = np.exp(best - higher), np.exp(weight - higher)
            total, missed, best = total * scale + added, missed * scale + added * recorded, higher
    return missed / total


def _grid(hidden: UnobservedTraits) -> Iterator[tuple[float, float, float]]:
    """Pairs of a tendency, which is standard normal, and traits; and the logarithm of how likely each is."""
    tendencies, weights = hermegauss(_TENDENCIES)
    for tendency, weight in zip(tendencies, np.log(weights / weights.sum()), strict=True):
        for trait in _quantiles(hidden.traits, _TRAITS):
            yield float(tendency), trait, float(weight)


def _quantiles(values: NDArray[np.float64], parts: int) -> list[float]:
    """The mean of each of so many equal parts of the values, in their order."""
    return [float(part.mean()) for part in np.array_split(np.sort(values), parts) if len(part)]


@dataclass(frozen=True)
class _Past:
    """What became of each visit, and which of the patient's had begun when each is scored."""

    missed: NDArray[np.bool_]
    attended: NDArray[np.bool_]
    cancelled: NDArray[np.bool_]
    kept: NDArray[np.bool_]
    seen: NDArray[np.int64]
    first: NDArray[np.int64]

    @classmethod
    def of(cls, visits: Visits, lived: Lived, *, scored: NDArray[np.int64]) -> "_Past":
        kept = visits.cancelled == KEPT
        return cls(
            missed=kept & lived.missed,
            attended=kept & ~lived.missed,
            cancelled=visits.cancelled == CANCELLED_BY_PATIENT,
            kept=kept,
            seen=last_seen(visits, scored)[0],
            first=np.arange(len(scored)) - visits.order,
        )

    def evidence(self, chance: NDArray[np.float64], *, tendency: float) -> NDArray[np.float64]:
        """Log-likelihood of what became of each visit, with that chance of missing it if nobody cancels."""
        by_patient, by_nobody = (float(np.log(chance)) for chance in cancelling(np.array(tendency)))
        whole: NDArray[np.float64] = np.where(self.missed, np.log(chance), 0.0)
        whole += np.where(self.attended, np.log1p(-chance), 0.0)
        whole += by_patient * self.cancelled + by_nobody * self.kept
        return whole

    def so_far(self, evidence: NDArray[np.float64]) -> NDArray[np.float64]:
        """For each visit, the sum over those of the same patient that had begun when it is scored."""
        summed = np.concatenate([[0.0], np.cumsum(evidence)])
        whole: NDArray[np.float64] = summed[self.seen + 1] - summed[self.first]
        whole[self.seen < 0] = 0.0
        return whole

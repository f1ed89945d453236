"""The best possible prediction: the risk given the rules of the simulation and everything on record.

A patient's tendency is in no column, and no factor may use ethnicity or inclusion group, but each visit that was
attended, missed or cancelled is evidence about them. The risk of a visit is the posterior mean over a grid of these
hidden traits, given the patient's visits that had begun when it is scored. True outcomes are used, and at once, where
real records come late and can be wrong: no model can do better on average, and one that comes near has learned all
there is to learn.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.polynomial.hermite_e import hermegauss
from numpy.typing import NDArray
from scipy.special import expit, logit

from dnapredict.synthetic.habit import HABIT, SimulatedAttendance, initial_habits, last_visit_before_scoring
from dnapredict.synthetic.visit_outcomes import VisitOutcomes
from dnapredict.synthetic.visits import CANCELLED_BY_PATIENT, KEPT, Visits, cancellation_chance

_TENDENCIES: Final = 12
_TRAITS: Final = 3


@dataclass(frozen=True)
class UnobservedTraits:
    """Traits of each patient that are in no column a factor may use; arrays of (patients,).

    Attributes
    ----------
    tendency
        The lasting tendency to miss and to cancel.
    odds_of_tendency
        Log-odds of missing that one unit of tendency adds.
    traits
        Log-odds that ethnicity and inclusion group add.
    """

    tendency: NDArray[np.float64]
    odds_of_tendency: float
    traits: NDArray[np.float64]

    @property
    def log_odds(self) -> NDArray[np.float64]:
        """Sum of all hidden contributions to each patient's log-odds."""
        return self.odds_of_tendency * self.tendency + self.traits


def knowable_risk(
    visits: Visits,
    outcomes: VisitOutcomes,
    *,
    hidden: UnobservedTraits,
    log_odds: NDArray[np.float64],
    scored: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Probability that each visit, if not cancelled, is recorded as a DNA, given all but the hidden traits.

    Parameters
    ----------
    log_odds
        Log-odds of missing each visit, without habit.
    scored
        Minute at which each visit is scored; only what had begun before it counts.
    """
    attendance, patient = outcomes.attendance, visits.patient
    error = (outcomes.recorded_probability - attendance.probability) / (1 - attendance.probability)
    opening = np.flatnonzero(visits.order == 0)
    known = logit(attendance.probability) - hidden.log_odds[patient]
    known -= HABIT * attendance.carried * attendance.initial_habit[patient]
    past = _Past.of(visits, attendance, scored=scored)
    best = np.full(len(known), -np.inf)
    total, missed = np.zeros(len(known)), np.zeros(len(known))
    for tendency, trait, rare in _grid(hidden):
        own = hidden.odds_of_tendency * tendency + trait
        prior = rare + float(np.log(cancellation_chance(np.array(tendency))[1]))  # nobody cancels this visit
        for habit, likely in initial_habits(log_odds[opening] - hidden.log_odds + own):
            chance = expit(known + own + HABIT * habit * attendance.carried)
            recorded = chance + (1 - chance) * error
            weight = prior + likely[patient] + past.so_far(past.evidence(chance, tendency=tendency))
            higher = np.maximum(best, weight)
            scale, added = np.exp(best - higher), np.exp(weight - higher)
            total, missed, best = total * scale + added, missed * scale + added * recorded, higher
    return missed / total


def _grid(hidden: UnobservedTraits) -> Iterator[tuple[float, float, float]]:
    """Grid of (tendency, traits, log weight); the tendency is standard normal."""
    tendencies, weights = hermegauss(_TENDENCIES)
    for tendency, weight in zip(tendencies, np.log(weights / weights.sum()), strict=True):
        for trait in _quantiles(hidden.traits, _TRAITS):
            yield float(tendency), trait, float(weight)


def _quantiles(values: NDArray[np.float64], parts: int) -> list[float]:
    """The mean of each of so many equal parts of the values, in their order."""
    return [float(part.mean()) for part in np.array_split(np.sort(values), parts) if len(part)]


@dataclass(frozen=True)
class _Past:
    """The outcome of each visit, and the last visit of the patient that had begun when each is scored."""

    missed: NDArray[np.bool_]
    attended: NDArray[np.bool_]
    cancelled: NDArray[np.bool_]
    kept: NDArray[np.bool_]
    seen: NDArray[np.int64]
    first: NDArray[np.int64]

    @classmethod
    def of(cls, visits: Visits, attendance: SimulatedAttendance, *, scored: NDArray[np.int64]) -> "_Past":
        kept = visits.cancelled == KEPT
        return cls(
            missed=kept & attendance.missed,
            attended=kept & ~attendance.missed,
            cancelled=visits.cancelled == CANCELLED_BY_PATIENT,
            kept=kept,
            seen=last_visit_before_scoring(visits, scored)[0],
            first=np.arange(len(scored)) - visits.order,
        )

    def evidence(self, chance: NDArray[np.float64], *, tendency: float) -> NDArray[np.float64]:
        """Log-likelihood of the outcome of each visit, given `chance` of missing it if nobody cancels."""
        by_patient, by_nobody = (float(np.log(chance)) for chance in cancellation_chance(np.array(tendency)))
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

"""The true risk, in log odds of missing a visit that is not cancelled, and the best possible prediction of it.

A patient's tendency is in no column, and no factor may use ethnicity or inclusion group, but each visit that was
attended, missed or cancelled is evidence about them. The knowable risk of a visit is the posterior mean over a grid of
these hidden traits, given the patient's visits that had begun when it is scored. True outcomes are used, and at once,
where real records come late and can be wrong: no model can do better on average, and one that comes near has learned
all there is to learn.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.polynomial.hermite_e import hermegauss
from numpy.typing import NDArray
from scipy.special import expit, logit

from dnapredict.synthetic.calendar import DAYS_KNOWN, MINUTES_A_DAY, diary
from dnapredict.synthetic.pathways import Pathways
from dnapredict.synthetic.people import PatientBlock, in_group
from dnapredict.synthetic.places import RISK, SPECIALTIES
from dnapredict.synthetic.visit_outcomes import (
    HABIT,
    SimulatedAttendance,
    VisitOutcomes,
    initial_habits,
    last_visit_before_scoring,
)
from dnapredict.synthetic.visits import CANCELLED_BY_PATIENT, KEPT, Visits, cancellation_chance
from dnapredict.synthetic.worlds import World

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


CHANGE_DAYS: Final = 105  # within the last fifth of the window, on which a model is tested

# Log-odds of an average visit: first and follow-up face to face, first and follow-up remote. Fitted, so
# that the rates have the ratios .092, .107, .125, .104 (Kerr et al. 2023) and 5.9% of all are missed.
_BASE: Final = np.array([[-3.34, -3.09], [-2.98, -3.09]])
_TENDENCY: Final = 0.83
_LEAD: Final = 0.4  # a logarithm of days; odds ratio over 4 weeks against under a day 5.45 (PMC11149957)
_LEAD_LONGEST: Final = 90
_DECILE: Final = -0.039  # each decile less deprived, all else equal
# Log-odds by age; odds ratio .82 a decade among adults (PMC11149957); children come with a parent.
_AGE: Final = [0, 10, 16, 22, 30, 40, 50, 60, 70, 82, 95]
_AGE_RISK: Final = [0.1, 0.05, 0.25, 0.55, 0.5, 0.32, 0.12, -0.12, -0.36, -0.3, 0.0]
_MALE: Final = 0.13  # odds ratio 1.14 (PMC11149957)
# The rest is our assumption: modest, in the direction that the literature reports.
_ETHNICITY: Final = np.array([0.0, 0.05, 0.15, 0.3, 0.25, 0.15, 0.2, 0.05, 0.2, 0.25, 0.1, 0.3, 0.2, 0.25, -0.1, 0.15])
_INTERPRETER: Final = 0.25
_NO_MOBILE: Final = 0.2
_PLUS_GROUP: Final = np.array([0.0, 0.8, 0.2, 0.4, 0.3])
_PER_KM: Final = 0.012
_FARTHEST: Final = 40.0
_TRANSPORT: Final = -0.2
_MOVED: Final = 0.12
_PRIORITY: Final = np.array([0.06, -0.1, -0.35])
_WEEKDAY: Final = np.array([0.08, 0.0, -0.04, -0.02, 0.04, 0.12, 0.2])
_HOUR: Final = np.interp(np.arange(24), [8, 10, 13, 15, 17], [0.15, -0.05, 0.05, -0.02, 0.08])
_AVERAGE: Final = (
    0.093  # mean contribution of patient and journey, subtracted so that a world without them has the same rate
)
_CLINIC_SPREAD: Final = 0.18
_SITE_SPREAD: Final = 0.05


@dataclass(frozen=True)
class Clinics:
    """Lasting log-odds of each site, specialty and clinic: (sites, specialties, clinics)."""

    risk: NDArray[np.float64]


def draw_clinics(rng: np.random.Generator, *, sites: int, each: int, world: World) -> Clinics:
    """Draw the effect of each site, specialty and clinic on the log-odds; zero on average.

    In a world without group effects sites do not differ either, since they serve richer and poorer towns.
    """
    site = world.group_effects * _SITE_SPREAD * rng.standard_normal((sites, 1, 1))
    clinic = _CLINIC_SPREAD * rng.standard_normal((sites, len(SPECIALTIES), each))
    clinic -= clinic.mean(axis=(0, 2), keepdims=True)
    return Clinics(site - site.mean() + clinic + RISK[:, None])


def log_odds(
    people: PatientBlock,
    visits: Visits,
    pathways: Pathways,
    *,
    booked: NDArray[np.int64],
    clinics: Clinics,
    world: World,
) -> NDArray[np.float64]:
    """Log-odds of missing each visit when it is scored, without habit."""
    patient = visits.patient
    total = _visit_effects(visits, pathways, booked=booked)
    total += clinics.risk[pathways.site, pathways.specialty, pathways.clinic]
    total += (_TENDENCY * people.tendency)[patient]
    total += world.group_effects * (_patient_effects(people)[patient] + _journey_effects(pathways) - _AVERAGE)
    total += world.drift * _drift_share(visits)
    if world.group:
        ended = visits.starts >= (DAYS_KNOWN - CHANGE_DAYS) * MINUTES_A_DAY
        change = np.where(ended, world.risk_after, world.risk_before)
        total += change * in_group(people, world.group)[patient]
    return total


def unobserved_traits(people: PatientBlock, *, world: World) -> UnobservedTraits:
    """The part of `log_odds` that no factor may use or can see: tendency, ethnicity and inclusion group."""
    return UnobservedTraits(people.tendency, odds_of_tendency=_TENDENCY, traits=world.group_effects * _withheld(people))


def _visit_effects(visits: Visits, pathways: Pathways, *, booked: NDArray[np.int64]) -> NDArray[np.float64]:
    day, minute = np.divmod(visits.starts, MINUTES_A_DAY)
    lead = np.minimum(day - booked // MINUTES_A_DAY, _LEAD_LONGEST)
    total: NDArray[np.float64] = (
        _BASE[pathways.remote.astype(np.int64), (~pathways.first).astype(np.int64)]
        + _LEAD * (np.log1p(lead) - np.log1p(30))
        + _WEEKDAY[diary().weekday[day]]
        + _HOUR[minute // 60]
        + _PRIORITY[pathways.priority]
        + _MOVED * np.minimum(visits.times_moved, 4)
    )
    return total


def _patient_effects(people: PatientBlock) -> NDArray[np.float64]:
    total: NDArray[np.float64] = (
        _DECILE * (np.where(people.decile > 0, people.decile, 4) - 5.5)
        + np.interp(people.age, _AGE, _AGE_RISK)
        + _MALE * ((people.gender == 0) - 0.43)
        + _INTERPRETER * people.interpreter
        + _NO_MOBILE * ~people.mobile
        + _withheld(people)
    )
    return total


def _withheld(people: PatientBlock) -> NDArray[np.float64]:
    """Contribution of traits that are held for the audit only."""
    withheld: NDArray[np.float64] = _ETHNICITY[people.ethnicity] + _PLUS_GROUP[people.plus_group]
    return withheld


def _journey_effects(pathways: Pathways) -> NDArray[np.float64]:
    distance = np.minimum(np.nan_to_num(pathways.distance_km, nan=8.0), _FARTHEST)
    return np.where(pathways.remote, 0.0, _PER_KM * (distance - 8) + _TRANSPORT * pathways.transport)


def _drift_share(visits: Visits) -> NDArray[np.float64]:
    """0 until `CHANGE_DAYS` before the extract was drawn, rising linearly to 1 when it is drawn."""
    since = visits.starts / MINUTES_A_DAY - (DAYS_KNOWN - CHANGE_DAYS)
    return np.clip(since / CHANGE_DAYS, 0.0, 1.0)

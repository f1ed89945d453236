"""The true risk: log-odds of missing an appointment that is not cancelled."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dnapredict.synthetic.calendar import DAYS_KNOWN, MINUTES_A_DAY, diary
from dnapredict.synthetic.knowable_risk import UnobservedTraits
from dnapredict.synthetic.pathways import Pathways
from dnapredict.synthetic.people import PatientBlock, in_group
from dnapredict.synthetic.places import RISK, SPECIALTIES
from dnapredict.synthetic.visits import Visits
from dnapredict.synthetic.worlds import World

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

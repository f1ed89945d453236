"""Pathways of the simulated patients: specialty, site and clinic of each visit, referral, booking and scoring time.

Referrals and learning disability come from a random stream of their own, so that the columns that were there before
are the same for every seed.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from dnapredict.synthetic.calendar import DAYS_KNOWN, MINUTES_A_DAY, choose, diary
from dnapredict.synthetic.people import PLUS_GROUPS, PatientBlock
from dnapredict.synthetic.places import MIX, REFERRAL_SHARE, REMOTE_SHARE, Places
from dnapredict.synthetic.visit_outcomes import OUTCOME_CODES
from dnapredict.synthetic.visits import CANCELLED_BY_PROVIDER, Visits

CLINICS_MOST: Final = 6
# Chance that a visit belongs to another referral than the one before, by days between them.
_NEW_PATHWAY: Final = ([60, 240], [0.17, 0.7])
# Chance that the first visit we see is a follow-up: not in care as the window begins, and in care.
_SEEN_BEFORE: Final = np.array([0.1, 0.8])
_ELSEWHERE: Final = 0.12  # referrals to another site than the usual
_REMOTE: Final = 0.206
_REMOTE_IF_FIRST: Final = 0.75
_VIDEO: Final = 0.25
_TRANSPORT_BY_AGE: Final = ([60, 70, 90], [0.015, 0.05, 0.2])


@dataclass(frozen=True)
class Pathways:
    """The referral that each visit belongs to; arrays with one entry for each visit.

    Attributes
    ----------
    begins
        Whether the visit is the first that we see of its pathway.
    first
        Whether it is a first attendance (a moved one stays first).
    mechanism
        0 face to face, 1 telephone, 2 video.
    priority
        0 routine, 1 urgent, 2 two week wait.
    distance_km
        NaN where the area is not known.
    """

    begins: NDArray[np.bool_]
    first: NDArray[np.bool_]
    mechanism: NDArray[np.int64]
    priority: NDArray[np.int64]
    referral: NDArray[np.int64]
    specialty: NDArray[np.int64]
    site: NDArray[np.int64]
    clinic: NDArray[np.int64]
    transport: NDArray[np.bool_]
    distance_km: NDArray[np.float64]

    @property
    def remote(self) -> NDArray[np.bool_]:
        """Whether the visit is by telephone or video."""
        return self.mechanism > 0


def assign_pathways(
    rng: np.random.Generator, people: PatientBlock, *, visits: Visits, places: Places, clinics: int, tilt: float
) -> Pathways:
    """Group each patient's visits into pathways of one referral each.

    Parameters
    ----------
    clinics
        Clinics of each specialty at each site.
    tilt
        1 where deprived patients have fewer remote visits (published), 0 where nobody differs.
    """
    n = len(visits.patient)
    opens = visits.order == 0
    days = np.diff(visits.starts, prepend=0) / MINUTES_A_DAY
    begins = opens | ((visits.times_moved == 0) & (rng.random(n) < np.interp(days, *_NEW_PATHWAY)))
    pathway = np.cumsum(begins) - 1
    of = visits.patient[begins]
    seen_before = _SEEN_BEFORE[visits.in_care[of].astype(np.int64)]
    known_before = opens[begins] & (rng.random(len(of)) < seen_before)
    first = begins[visits.origin] & ~known_before[pathway]
    specialty = _specialty(rng, people, of)[pathway]
    site = _site(rng, people, of, sites=len(places.sites))[pathway]
    mechanism = _mechanism(rng, people, visits, specialty, first=first, tilt=tilt)
    return Pathways(
        begins=begins,
        first=first,
        mechanism=mechanism,
        priority=_priority(rng, len(of))[pathway] * (first | (rng.random(n) < 0.1)[visits.origin]),
        referral=choose(rng, REFERRAL_SHARE, size=len(of))[pathway],
        specialty=specialty,
        site=site,
        clinic=rng.integers(clinics, size=len(of))[pathway],
        transport=_transport(rng, people, visits) & (mechanism == 0),
        distance_km=_distance(people, visits, places, site),
    )


def _specialty(rng: np.random.Generator, people: PatientBlock, of: NDArray[np.int64]) -> NDArray[np.int64]:
    kind = np.searchsorted([16, 65], people.age, side="right") * 2 + (people.gender == 1)
    chance = rng.random(len(of))
    return np.asarray((chance[:, None] >= MIX[kind[of], :-1]).sum(axis=1), dtype=np.int64)


def _site(rng: np.random.Generator, people: PatientBlock, of: NDArray[np.int64], *, sites: int) -> NDArray[np.int64]:
    return np.where(rng.random(len(of)) < _ELSEWHERE, rng.integers(sites, size=len(of)), people.site[of])


def _priority(rng: np.random.Generator, pathways: int) -> NDArray[np.int64]:
    return choose(rng, (0.72, 0.16, 0.12), size=pathways)  # routine, urgent, two-week wait


def _mechanism(
    rng: np.random.Generator,
    people: PatientBlock,
    visits: Visits,
    specialty: NDArray[np.int64],
    *,
    first: NDArray[np.bool_],
    tilt: float,
) -> NDArray[np.int64]:
    """Attendances by telephone or video: 16.4% in decile 1, 17.9% in decile 10 (2024-25)."""
    decile = people.decile[visits.patient]
    by_decile = 1 + tilt * np.where(decile > 0, (decile - 5.5) * 0.0095, 0.0)
    share = _REMOTE * REMOTE_SHARE[specialty] * by_decile * np.where(first, _REMOTE_IF_FIRST, 1.0)
    n = len(decile)
    how = np.where(rng.random(n) < _VIDEO, 2, 1)
    return np.where(rng.random(n)[visits.origin] < share, how[visits.origin], 0)


def _transport(rng: np.random.Generator, people: PatientBlock, visits: Visits) -> NDArray[np.bool_]:
    n = len(visits.patient)
    return rng.random(n) < np.interp(people.age[visits.patient], *_TRANSPORT_BY_AGE)


def _distance(people: PatientBlock, visits: Visits, places: Places, site: NDArray[np.int64]) -> NDArray[np.float64]:
    distance = places.distance_km[people.home[visits.patient], site]
    return np.where(people.area[visits.patient] < 0, np.nan, distance)


_LEARNING_DISABILITY: Final = "learning disability"
# All of this is our assumption.
_DAYS_TO_BOOKING: Final = 12.0  # mean, from referral to the first booking of a pathway
_DAYS_IN_CARE: Final = 200.0  # mean, further back where the first visit that we see is a follow-up
_NO_REFERRAL_DATE: Final = 0.08
_NOT_ON_RECORD: Final = 0.25  # whether a patient has a learning disability
_CARER_IS_CALLED: Final = 0.6  # of people with a learning disability
_TREATED: Final = 0.35  # of follow-ups: after the first treatment


@dataclass(frozen=True)
class Referrals:
    """Columns of one block, one entry for each visit."""

    referred: NDArray[np.int64]
    """Minutes from the midnight that begins the window."""
    is_recorded: NDArray[np.bool_]
    rtt_status: pa.Array
    learning_disability: pa.Array
    carer: pa.Array


def draw_referrals(
    rng: np.random.Generator,
    people: PatientBlock,
    visits: Visits,
    pathways: Pathways,
    *,
    booked: NDArray[np.int64],
    outcome: NDArray[np.int64],
) -> Referrals:
    """Draw the columns.

    Parameters
    ----------
    booked
        Minute at which each visit was booked.
    outcome
        Index of each visit's outcome in `OUTCOME_CODES`.
    """
    pathway = np.cumsum(pathways.begins) - 1
    of = np.flatnonzero(pathways.begins)
    days = rng.exponential(_DAYS_TO_BOOKING, len(of))
    days += np.where(pathways.first[of], 0.0, rng.exponential(_DAYS_IN_CARE, len(of)))
    referred = booked[of] - (days * MINUTES_A_DAY).astype(np.int64)
    is_recorded = rng.random(len(of)) >= _NO_REFERRAL_DATE
    has, carer = _learning_disability(rng, people)
    return Referrals(
        referred=referred[pathway] // MINUTES_A_DAY * MINUTES_A_DAY,
        is_recorded=is_recorded[pathway],
        rtt_status=_rtt_status(rng, pathways, outcome),
        learning_disability=has.take(pa.array(visits.patient)),
        carer=carer.take(pa.array(visits.patient)),
    )


def _learning_disability(rng: np.random.Generator, people: PatientBlock) -> tuple[pa.Array, pa.Array]:
    """Whether each patient has one, and whether a carer is called; blank where that is not on record."""
    has = people.plus_group == PLUS_GROUPS.index(_LEARNING_DISABILITY)
    chance = rng.random((2, len(has)))
    on_record = has | (chance[0] >= _NOT_ON_RECORD)
    flag = pa.array(np.where(has, "Y", "N"), pa.string(), mask=~on_record)
    with_carer = has & (chance[1] < _CARER_IS_CALLED)
    return flag, pa.array(with_carer, mask=~with_carer)


def _rtt_status(rng: np.random.Generator, pathways: Pathways, outcome: NDArray[np.int64]) -> pa.Array:
    """Blank for cancelled and coming appointments."""
    code = np.array([code or "" for code in OUTCOME_CODES])[outcome]
    missed, came = np.isin(code, ("3", "7")), np.isin(code, ("5", "6"))
    treated = rng.random(len(code)) < _TREATED
    follow_up = np.where(treated, "90", "20")
    status = np.where(pathways.first, np.where(missed, "33", "10"), follow_up)
    return pa.array(status, pa.string(), mask=~(missed | came))


HORIZON_DAYS: Final = 7
_LAST_BOOKING: Final = DAYS_KNOWN * MINUTES_A_DAY - 2 * MINUTES_A_DAY - 7 * 60  # Friday 17:00
# Median wait in days and its spread (of the logarithm): routine, urgent, two week wait, follow-up.
_WAIT: Final = np.array([58.0, 18.0, 9.0, 46.0])
_SPREAD: Final = np.array([0.8, 0.6, 0.4, 0.9])
_FOLLOW_UP: Final = 3
_LONGEST: Final = 400
_SHORT_NOTICE: Final = 0.06  # fracture clinics, cancellations filled
_GAP_BEFORE_WINDOW: Final = 60.0  # days, mean
_NOTICE_OF_PATIENT: Final = 8.0  # days between a cancellation and the visit, mean
_NOTICE_OF_PROVIDER: Final = 15.0


def booking_times(rng: np.random.Generator, visits: Visits, pathways: Pathways) -> NDArray[np.int64]:
    """Minute at which each visit was booked: before it starts, and not after the extract was drawn.

    A follow-up is booked at the visit before it or later, and a moved appointment at the
    moment when the one before it was cancelled.
    """
    day = visits.starts // MINUTES_A_DAY
    lead = _wait(rng, pathways, at_least=day - (DAYS_KNOWN - 3))
    booked = diary().office_day(day - lead) * MINUTES_A_DAY + rng.integers(8 * 60, 18 * 60, size=len(day))
    last = _visit_before(rng, visits, pathways)
    booked = np.maximum(booked, last + 20)
    booked = _latest(visits, booked)
    notice = _notice(rng, visits)
    for times in range(1, int(visits.times_moved.max(initial=0)) + 1):
        moved = np.flatnonzero(visits.times_moved == times)
        cancelled = np.maximum(booked[moved - 1], visits.starts[moved - 1] - notice[moved - 1])
        booked[moved] = _office_time(cancelled)
        booked = _latest(visits, booked)
    return booked


def scoring_times(visits: Visits, booked: NDArray[np.int64]) -> NDArray[np.int64]:
    """Minute at which each visit is scored: a week ahead, or when it is booked if that is later."""
    return np.maximum(booked, visits.starts - HORIZON_DAYS * MINUTES_A_DAY)


def _wait(rng: np.random.Generator, pathways: Pathways, *, at_least: NDArray[np.int64]) -> NDArray[np.int64]:
    """Waiting time in days; a visit after the extract was drawn waits at least long enough to be in it."""
    kind = np.where(pathways.first, pathways.priority, _FOLLOW_UP)
    median, spread = _WAIT[kind], _SPREAD[kind]
    least = np.maximum(at_least, 0)
    below = np.where(least > 0, ndtr(np.log(np.maximum(least, 1) / median) / spread), 0.0)
    chance = below + (1 - below) * rng.random(len(kind))
    days = median * np.exp(spread * ndtri(np.minimum(chance, 0.9999)))
    short = rng.random(len(kind)) < _SHORT_NOTICE
    days = np.where(short & (least == 0), rng.integers(4, size=len(kind)), days)
    return np.clip(days.astype(np.int64), least, _LONGEST)


def _visit_before(rng: np.random.Generator, visits: Visits, pathways: Pathways) -> NDArray[np.int64]:
    """Start of the visit at which this one was requested; far in the past where there is none.

    For a patient in care before the window, the visit before the first is drawn, since it is not in the extract.
    """
    opens = visits.order == 0
    unseen = opens & visits.in_care[visits.patient] & ~pathways.first
    gap = rng.standard_exponential(len(opens)) * _GAP_BEFORE_WINDOW * MINUTES_A_DAY
    before = np.where(opens, _office_time(visits.starts - gap.astype(np.int64)), np.roll(visits.starts, 1))
    asked = unseen | (~pathways.begins & (visits.times_moved == 0))
    return np.where(asked, before, -_LONGEST * 2 * MINUTES_A_DAY)


def _latest(visits: Visits, booked: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.minimum(booked, np.minimum(visits.starts - 5, _LAST_BOOKING))


def _notice(rng: np.random.Generator, visits: Visits) -> NDArray[np.int64]:
    by_provider = visits.cancelled == CANCELLED_BY_PROVIDER
    mean = np.where(by_provider, _NOTICE_OF_PROVIDER, _NOTICE_OF_PATIENT) * MINUTES_A_DAY
    return (mean * rng.standard_exponential(len(mean))).astype(np.int64)


def _office_time(minute: NDArray[np.int64]) -> NDArray[np.int64]:
    """The same day, moved to between 8:00 and 18:00, so that no booking falls into the hour that summer time skips."""
    day, time = np.divmod(minute, MINUTES_A_DAY)
    in_hours: NDArray[np.int64] = day * MINUTES_A_DAY + 8 * 60 + time * 10 // 24
    return in_hours

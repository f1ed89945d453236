"""Simulated appointments as Arrow tables: the contract's columns, and a table of their true risk."""

import datetime
from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dnapredict.synthetic.calendar import FIRST_DAY, MINUTES_A_DAY
from dnapredict.synthetic.pathways import Pathways, Referrals
from dnapredict.synthetic.people import DISABILITY, GENDERS, LANGUAGES, PLUS_GROUPS, RECORDED_ETHNICITIES, PatientBlock
from dnapredict.synthetic.places import REFERRALS, SPECIALTIES, Places
from dnapredict.synthetic.visit_outcomes import CAUSES, OUTCOME_CODES, VisitOutcomes
from dnapredict.synthetic.visits import Visits

_TIMES: Final = ("booked_at", "starts_at", "recorded_at", "referred_at", "rtt_period_start")
APPOINTMENTS: Final = pa.schema(
    [pa.field(name, pa.string()) for name in ("appointment_id", "patient_id")]
    + [pa.field(name, pa.timestamp("us")) for name in _TIMES]
    + [
        pa.field(name, pa.string())
        for name in (
            "rtt_status_code",
            "outcome_code",
            "site_code",
            "provider_code",
            "clinic_code",
            "treatment_function_code",
            "first_attendance_code",
            "consultation_mechanism_code",
            "priority_type_code",
            "referral_source_code",
        )
    ]
    + [
        pa.field("age_years", pa.int64()),
        pa.field("gender_code", pa.string()),
        pa.field("lsoa_code", pa.string()),
        pa.field("place_code", pa.string()),
        pa.field("imd_decile", pa.int64()),
        pa.field("distance_km", pa.float64()),
        pa.field("interpreter_needed", pa.bool_()),
        pa.field("transport_booked", pa.bool_()),
        pa.field("has_mobile", pa.bool_()),
        pa.field("times_rescheduled", pa.int64()),
        pa.field("ethnic_category_code", pa.string()),
        pa.field("disability_flag", pa.string()),
        pa.field("learning_disability_flag", pa.string()),
        pa.field("language_code", pa.string()),
        pa.field("plus_group", pa.string()),
        pa.field("carer_or_child", pa.bool_()),
    ]
)
TRUTH: Final = pa.schema(
    [
        pa.field("appointment_id", pa.string()),
        pa.field("probability", pa.float64()),
        pa.field("recorded_probability", pa.float64()),
        pa.field("knowable_probability", pa.float64()),
        pa.field("cause", pa.string()),
    ]
)
_MIDNIGHT: Final = np.datetime64(datetime.datetime.combine(FIRST_DAY, datetime.time()), "us")
_DAYS_A_YEAR: Final = 365.25


def appointments(
    people: PatientBlock,
    visits: Visits,
    pathways: Pathways,
    outcomes: VisitOutcomes,
    *,
    referrals: Referrals,
    places: Places,
    booked: NDArray[np.int64],
    offsets: tuple[int, int],
) -> pa.Table:
    """One row an appointment, in the contract's columns; times are local and without a zone.

    Parameters
    ----------
    offsets
        Appointments and patients already written, so that ids continue from there.
    """
    patient = visits.patient
    unknown = outcomes.code == OUTCOME_CODES.index(None)
    age = people.age[patient] + visits.starts / (MINUTES_A_DAY * _DAYS_A_YEAR)
    columns = {
        "appointment_id": _ids("SYN-", offsets[0], len(patient)),
        "patient_id": _ids("SYN-P", offsets[1], int(patient[-1]) + 1).take(pa.array(patient)),
        "booked_at": _time(booked),
        "starts_at": _time(visits.starts),
        "recorded_at": pc.if_else(pa.array(unknown), None, _time(outcomes.recorded)),
        "outcome_code": _words(OUTCOME_CODES, outcomes.code),
        "site_code": _words(places.sites, pathways.site),
        "clinic_code": _clinic(places, pathways),
        "treatment_function_code": _words([each.code for each in SPECIALTIES], pathways.specialty),
        "first_attendance_code": _words("1234", 2 * pathways.remote + ~pathways.first),
        "consultation_mechanism_code": _words(("01", "02", "11"), pathways.mechanism),
        "priority_type_code": _words("123", pathways.priority),
        "referral_source_code": _words(REFERRALS, pathways.referral),
        "age_years": pa.array(age.astype(np.int64)),
        "gender_code": _words(GENDERS, people.gender[patient]),
        "lsoa_code": _words((*places.lsoa_codes.tolist(), None), people.area[patient]),
        "imd_decile": pa.array(people.decile[patient], mask=people.decile[patient] == 0),
        "distance_km": pa.array(pathways.distance_km, mask=np.isnan(pathways.distance_km)),
        "interpreter_needed": pa.array(people.interpreter[patient]),
        "transport_booked": pa.array(pathways.transport),
        "has_mobile": pa.array(people.mobile[patient]),
        "times_rescheduled": pa.array(visits.times_moved),
        "ethnic_category_code": _words(RECORDED_ETHNICITIES, people.recorded_ethnicity[patient]),
        "disability_flag": _words(DISABILITY, people.disability[patient]),
        "language_code": _words(LANGUAGES, people.language[patient]),
        "plus_group": _words(PLUS_GROUPS, people.plus_group[patient]),
        "provider_code": _words([site[:3] for site in places.sites], pathways.site),
        "place_code": _words((*places.place_codes, None), people.area[patient]),
        "referred_at": _time(referrals.referred, mask=~referrals.is_recorded),
        "rtt_period_start": _time(referrals.referred, mask=~referrals.is_recorded),
        "rtt_status_code": referrals.rtt_status,
        "learning_disability_flag": referrals.learning_disability,
        "carer_or_child": referrals.carer,
    }
    return pa.table(columns, schema=APPOINTMENTS)


def truth(outcomes: VisitOutcomes, *, knowable: NDArray[np.float64], offset: int) -> pa.Table:
    """One row an appointment: its true risk, the best possible prediction, and the true outcome."""
    columns = {
        "appointment_id": _ids("SYN-", offset, len(outcomes.cause)),
        "probability": pa.array(outcomes.attendance.probability),
        "recorded_probability": pa.array(outcomes.recorded_probability),
        "knowable_probability": pa.array(knowable),
        "cause": _words(CAUSES, outcomes.cause),
    }
    return pa.table(columns, schema=TRUTH)


def _ids(prefix: str, offset: int, n: int) -> pa.Array:
    number = pc.utf8_lpad(pa.array(np.arange(offset + 1, offset + n + 1)).cast(pa.string()), 9, "0")
    return pc.binary_join_element_wise(prefix, number, "")


def _words(words: Sequence[str | None], position: NDArray[np.int64]) -> pa.Array:
    """The labels at these indices; -1 is the last."""
    return pa.array(words, pa.string()).take(pa.array(np.where(position < 0, len(words) - 1, position)))


def _time(minute: NDArray[np.int64], *, mask: NDArray[np.bool_] | None = None) -> pa.Array:
    return pa.array(_MIDNIGHT + minute.astype("timedelta64[m]"), mask=mask)


def _clinic(places: Places, pathways: Pathways) -> pa.Array:
    """Site, specialty and a letter: SYA01-110-B."""
    names = [f"{site}-{each.code}-{letter}" for site in places.sites for each in SPECIALTIES for letter in "ABCDEF"]
    return _words(names, (pathways.site * len(SPECIALTIES) + pathways.specialty) * 6 + pathways.clinic)

"""Simulated patients: demographics, home area, and a lasting tendency to miss appointments."""

from dataclasses import dataclass, fields, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dnapredict.synthetic.calendar import choose
from dnapredict.synthetic.places import Places
from dnapredict.synthetic.worlds import TargetGroup

APPOINTMENTS_A_PATIENT: Final = 4.61  # Kerr et al. 2023
_MOST_APPOINTMENTS: Final = 60

ETHNICITIES: Final = tuple("ABCDEFGHJKLMNPRS")
RECORDED_ETHNICITIES: Final = (*ETHNICITIES, "Z", "99", None)
# Attendances 2024-25 (hospital statistics): White .650, Mixed .016, Asian .073, Black .039, other .029 of
# all, each over the .808 that is known; the split inside the five is our assumption.
_WHITE: Final = (0.590, 0.010, 0.050)
_MIXED: Final = (0.005, 0.003, 0.004, 0.004)
_ASIAN: Final = (0.025, 0.024, 0.009, 0.015)
_BLACK: Final = (0.010, 0.022, 0.007)
_OTHER: Final = (0.007, 0.022)
_ETHNICITY_SHARE: Final = np.array([*_WHITE, *_MIXED, *_ASIAN, *_BLACK, *_OTHER]) / 0.807
_MINORITY_BY_DECILE: Final = np.array([1.45, 1.4, 1.25, 1.1, 1.0, 0.9, 0.8, 0.75, 0.7, 0.65])
# Share whose ethnicity is not known: .192 (2024-25); the split into declined, not asked and blank is ours.
_NOT_KNOWN: Final = np.array([0.063, 0.088, 0.045])
_INTERPRETER: Final = np.array(
    [0.001, 0.001, 0.13, 0.004, 0.03, 0.01, 0.04, 0.06, 0.1, 0.16, 0.11, 0.004, 0.1, 0.05, 0.13, 0.2]
)
LANGUAGES: Final = ("en", "pl", "ro", "ur", "bn", "pa", "ar", "so", "fr", "zh", "pt", "tr")
PLUS_GROUPS: Final = (None, "homelessness", "learning disability", "traveller community", "asylum seeker")
_PLUS_SHARE: Final = np.array([0.975, 0.006, 0.012, 0.003, 0.004])
_NO_AREA: Final = np.array([0.004, 0.7, 0.0, 0.2, 0.1])  # no fixed abode, or an address outside England
GENDERS: Final = ("1", "2", "9", "X")
_GENDER_SHARE: Final = (0.431, 0.565, 0.0005, 0.0035)
DISABILITY: Final = ("N", "Y", None)
_DISABILITY_NOT_RECORDED: Final = 0.3
_SITE_CHOICE: Final = (0.75, 0.18, 0.07)  # the nearest site, the second, the third
_AGES: Final = np.array([0, 5, 16, 25, 35, 45, 55, 65, 75, 85, 98])
_AGED_BELOW: Final = np.array([0, 0.05, 0.12, 0.19, 0.29, 0.40, 0.52, 0.68, 0.83, 0.96, 1])


@dataclass(frozen=True)
class PatientBlock:
    """Patients of one block, arrays of one length; positions point into the tuples of this module.

    Attributes
    ----------
    home, area
        Position of the area lived in, and of the area on record: -1 where none is.
    site
        Position of the site the patient is mostly sent to.
    decile
        1 (most deprived) to 10; 0 where the area is not known.
    age
        Years on the first day of the window, with a fraction.
    tendency
        Standard normal: the patient's lasting tendency to miss, which is in no column.
    """

    home: NDArray[np.int64]
    area: NDArray[np.int64]
    site: NDArray[np.int64]
    decile: NDArray[np.int64]
    age: NDArray[np.float64]
    gender: NDArray[np.int64]
    ethnicity: NDArray[np.int64]
    recorded_ethnicity: NDArray[np.int64]
    interpreter: NDArray[np.bool_]
    language: NDArray[np.int64]
    mobile: NDArray[np.bool_]
    disability: NDArray[np.int64]
    plus_group: NDArray[np.int64]
    tendency: NDArray[np.float64]

    def take(self, positions: NDArray[np.int64]) -> "PatientBlock":
        """These patients, in this order."""
        return PatientBlock(**{field.name: getattr(self, field.name)[positions] for field in fields(self)})


def appointments_per_patient(rng: np.random.Generator, *, total: int) -> NDArray[np.int64]:
    """Number of appointments of each patient, at least one; the last one is cut so that they add up to `total`.

    One and a negative binomial of mean 3.61: most come once or twice and a few come weekly.
    """
    expected = int(total / APPOINTMENTS_A_PATIENT * 1.2) + 50
    shape = 0.8
    busy = rng.gamma(shape, (APPOINTMENTS_A_PATIENT - 1) * 1.003 / shape, size=expected)
    each = np.minimum(1 + rng.poisson(busy), _MOST_APPOINTMENTS)
    upto = np.cumsum(each)
    patients = int(np.searchsorted(upto, total)) + 1
    each = each[:patients]
    each[-1] -= upto[patients - 1] - total
    return each.astype(np.int64)


def draw_patients(rng: np.random.Generator, places: Places, *, patients: int) -> PatientBlock:
    """Draw patients who live in `places`."""
    home = rng.integers(len(places.lsoa_codes), size=patients)
    plus_group = choose(rng, _PLUS_SHARE, size=patients)
    area = np.where(rng.random(patients) < _NO_AREA[plus_group], -1, home)
    decile = np.where(area < 0, 0, places.decile[home])
    age = _age(rng, places.decile[home])
    ethnicity = _ethnicity(rng, places.decile[home])
    interpreter = rng.random(patients) < _INTERPRETER[ethnicity]
    site = places.nearest[home, choose(rng, _SITE_CHOICE, size=patients)]
    return PatientBlock(
        area=area,
        decile=decile,
        home=home,
        site=site,
        age=age,
        gender=choose(rng, _GENDER_SHARE, size=patients),
        ethnicity=ethnicity,
        recorded_ethnicity=_record(rng, ethnicity, _not_asked_more_at(places)[site]),
        interpreter=interpreter,
        language=np.where(interpreter, rng.integers(1, len(LANGUAGES), size=patients), 0),
        mobile=rng.random(patients) > np.interp(age, [16, 60, 90], [0.05, 0.06, 0.45]),
        disability=_disability(rng, age),
        plus_group=plus_group,
        tendency=rng.standard_normal(patients),
    )


def split(
    people: PatientBlock, each: NDArray[np.int64], *, apart: NDArray[np.bool_], rng: np.random.Generator
) -> PatientBlock:
    """Replace each patient in `apart` by one new patient for each of their appointments.

    The new patients keep demographics and home, and each draws a new tendency: one appointment says nothing
    about another.
    """
    copies = np.where(apart, each, 1)
    apiece = people.take(np.repeat(np.arange(len(each)), copies))
    alone = np.repeat(apart, copies)
    tendency = np.where(alone, rng.standard_normal(len(alone)), apiece.tendency)
    return replace(apiece, tendency=tendency)


def in_group(people: PatientBlock, group: TargetGroup) -> NDArray[np.bool_]:
    """Whether each patient is one of `group`."""
    match group.attribute:
        case "ethnicity":
            return np.equal(people.ethnicity, ETHNICITIES.index(group.value))
        case "decile":
            return np.equal(people.decile, int(group.value))
        case "core20":
            return np.isin(people.decile, (1, 2))
        case "sex":
            return np.equal(people.gender, GENDERS.index(group.value))
        case "interpreter":
            return people.interpreter
        case _:
            return np.equal(people.disability, DISABILITY.index("Y"))


def _ethnicity(rng: np.random.Generator, decile: NDArray[np.int64]) -> NDArray[np.int64]:
    shares = np.tile(_ETHNICITY_SHARE, (10, 1))
    shares[:, 1:] *= _MINORITY_BY_DECILE[:, None]
    shares[:, 0] += 1 - shares.sum(axis=1)
    upto = np.cumsum(shares, axis=1)[:, :-1]
    chance = rng.random(len(decile))
    return np.asarray((chance[:, None] >= upto[decile - 1]).sum(axis=1), dtype=np.int64)


def _not_asked_more_at(places: Places) -> NDArray[np.float64]:
    """How much more often than average each site does not record ethnicity; the average over patients is 1."""
    habit = np.linspace(0.6, 1.4, len(places.sites))
    return np.asarray(habit / habit[places.nearest[:, 0]].mean(), dtype=np.float64)


def _record(rng: np.random.Generator, ethnicity: NDArray[np.int64], more: NDArray[np.float64]) -> NDArray[np.int64]:
    chance = rng.random(len(ethnicity)) / more
    gap = np.searchsorted(np.cumsum(_NOT_KNOWN), chance, side="right")
    return np.where(gap < len(_NOT_KNOWN), len(ETHNICITIES) + gap, ethnicity)


def _age(rng: np.random.Generator, decile: NDArray[np.int64]) -> NDArray[np.float64]:
    """Age: outpatients are old, and younger in deprived areas."""
    older = rng.random(len(decile)) ** (1 + (5.5 - decile) / 30)
    return np.asarray(np.interp(older, _AGED_BELOW, _AGES), dtype=np.float64)


def _disability(rng: np.random.Generator, age: NDArray[np.float64]) -> NDArray[np.int64]:
    disabled = rng.random(len(age)) < np.interp(age, [0, 50, 90], [0.06, 0.15, 0.45])
    return np.where(rng.random(len(age)) < _DISABILITY_NOT_RECORDED, 2, disabled.astype(np.int64))

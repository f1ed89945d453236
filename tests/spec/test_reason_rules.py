"""Which reasons a clerk reads, and which never: a specification for booking teams and the groups that agree on factors.

The model of the table adds these amounts to the log odds of missing, each measured from what is usual:
0.02 for each day of lead time above 20; 0.4 for each past miss above 1; 1.0 for the share of past appointments missed
above 0.2; 0.1 for each kilometre above 5; 0.5 for each move above 1; and 0.05 for each year of age below 40. Past misses
and their share say the same thing. A blank cell is a value that is not known, which adds 0.6 here.
The middle half of its appointments has 10 to 30 days of lead time, a share missed of 0.1 to 0.3, 3 to 8 km and at most
one move; what lies within is no reason, whatever it adds.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.reasons_by_row import reasons

from dnapredict.config.factor_register import FactorRegister, ReasonNumber
from dnapredict.config.loading import load, shipped
from dnapredict.config.needs_config import NEEDS
from dnapredict.errors import ConfigurationError
from dnapredict.features.factors import verify
from dnapredict.model.reasons import Explainer, UsualRange
from dnapredict.model.risk_model import Platt, RiskModel, Spline, SplineLogistic
from dnapredict.worklist.plan.needs import with_words

# name: slope, usual value, class, sentence, what it says
FACTORS = {
    "lead_days": (0.02, 20, "operational", "Booked {value} days ahead", ""),
    "missed": (0.4, 1, "attendance history", "Missed {value} of {past} past appointments", "missed before"),
    "missed_share": (1.0, 0.2, "attendance history", "Missed {value:.0%} of past appointments", "missed before"),
    "past": (0.0, 0, "attendance history", "", ""),
    "distance_km": (0.1, 5, "geographic", "Lives {value} km away", ""),
    "moved": (0.5, 1, "operational", "Moved {value} times", ""),
    "age_years": (-0.05, 40, "personal", "Is {value} years old", ""),
}
MORE = {
    "missed": {"reason_once": "Missed {past:one_of}", "unusual": "missed_share"},
    "distance_km": {"unless": "remote"},
}
USUAL = UsualRange(
    low=np.array([10, 0, 0.1, 1, 3, 0, 30], dtype=float),
    high=np.array([30, 1, 0.3, 8, 8, 1, 60], dtype=float),
)

ROWS = """
    lead_days | missed | missed_share | past | distance_km | moved | age_years | the reasons that are shown
    20        | 1      | 0.2          | 5    | 5           | 1     | 40        |
    60        | 1      | 0.2          | 5    | 5           | 1     | 40        | Booked 60 days ahead
    60        | 4      | 0.8          | 5    | 5           | 1     | 40        | Missed 4 of 5 past appointments; Booked 60 days ahead
    60        | 4      | 0.8          | 5    | 12          | 3     | 40        | Missed 4 of 5 past appointments; Moved 3 times; Booked 60 days ahead
    60        | 4      | 0.8          | 5    | 25          | 3     | 40        | Lives 25 km away; Missed 4 of 5 past appointments; Moved 3 times
    5         | 1      | 0.2          | 5    | 12          | 1     | 40        | Lives 12 km away
    20        | 0      | 0.0          | 5    | 5           | 0     | 40        |
    20        | 1      | 0.2          | 5    | 5           | 1     | 19        |
    60        | 1      | 0.2          | 5    | 5           | 1     | 19        | Booked 60 days ahead
              | 1      | 0.2          | 5    | 5           | 1     | 40        |
    20        |        |              |      | 12          | 1     | 40        | Lives 12 km away
    20        | 4      | 0.8          |      | 5           | 1     | 40        | Missed 80% of past appointments
    20        | 1      | 0.2          | 5    | 12.26       | 1     | 40        | Lives 12.3 km away
    29        | 1      | 0.2          | 5    | 7           | 1     | 40        |
    30        | 1      | 0.2          | 5    | 8           | 1     | 40        |
    31        | 1      | 0.2          | 5    | 8.5         | 1     | 40        | Lives 8.5 km away; Booked 31 days ahead
    20        | 3      | 0.2          | 15   | 5           | 1     | 40        |
    20        | 1      | 1.0          | 1    | 5           | 1     | 40        | Missed 100% of past appointments
    20        | 2      | 1.0          | 2    | 5           | 1     | 40        | Missed 100% of past appointments
    20        | 3      | 0.4          | 8    | 5           | 1     | 40        | Missed 3 of 8 past appointments
"""
WHY = """
    nothing is unusual
    one thing is, and the sentence has the patient's own number
    the strongest comes first; two factors that say the same are one reason
    three at most: the fourth, 12 km, is left out
    the three that raise the risk most
    what lowers the risk is no reason
    a reason is never "0 times"
    age raises the risk here and is never shown: a personal factor
    nor in place of another
    a value that is not known raises the risk here and cannot be told
    nor one of which a part is not known
    then the other sentence with that meaning is used, if it is known
    a number that is not whole has one decimal
    both raise the risk, and as much is true of half of all patients
    what lies at the bound is usual
    what lies beyond is not
    missed 3 is much, and 3 of 15 is what is usual: the share decides, since the sentence tells it
    one miss of one: the count adds nothing, and the share is told
    and what adds most is told
    three misses are much, and so is their share
"""


def lines(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")] for line in table.strip().splitlines()]


def spline(slope: float, usual: float) -> Spline:
    return Spline(knots=(0.0, 1_000.0), values=(0.0, 1_000 * slope), missing=0.6 + slope * usual, usual=slope * usual)


def model_of(factors: dict) -> RiskModel:
    return RiskModel(
        tuple(factors),
        SplineLogistic(-2.0, tuple(spline(slope, usual) for slope, usual, *_ in factors.values())),
        Platt(),
    )


def register_of(factors: dict, more: dict) -> FactorRegister:
    return FactorRegister.model_validate(
        {
            "version": "spec",
            "factors": [
                {
                    "name": name,
                    "title": name,
                    "class": kind,
                    "columns": ["starts_at"],
                    "why": "A specification.",
                    "agreed_by": "A group",
                    "agreed_on": "2026-01-01",
                    "reason": sentence,
                    "says": meaning,
                }
                | more.get(name, {})
                for name, (_, _, kind, sentence, meaning) in factors.items()
            ],
        }
    )


MODEL = model_of(FACTORS)
REGISTER = register_of(FACTORS | {"remote": (1.0, 0, "operational", "By telephone", "")}, MORE)


@pytest.mark.parametrize(
    ("row", "why"), list(zip(lines(ROWS)[1:], (line for (line,) in lines(WHY)), strict=True)), ids=lambda x: str(x)[:60]
)
def test_a_reason_raises_the_risk_is_unusual_and_is_not_about_who_the_patient_is(row: list[str], why: str):
    *cells, expected = row
    matrix = np.array([[float(cell) if cell else np.nan for cell in cells]])
    shown = [reason.text for reason in reasons(MODEL, matrix, register=REGISTER, usual=USUAL)[0]]
    assert "; ".join(shown) == expected, why


# A single event is told as one, early and late are two sentences, and a long journey is none to a telephone.

OTHERS = {
    "cancelled": (0.4, 0, "attendance history", "{value} appointments were cancelled by the patient", ""),
    "missed": (0.4, 0, "attendance history", "Missed {value} of {past} past appointments", ""),
    "past": (0.0, 0, "attendance history", "", ""),
    "hour": (0.1, 8, "operational", "Late in the day, {value:clock}", ""),
    "days_ago": (-0.01, 90, "attendance history", "", ""),
    "distance_km": (0.1, 5, "geographic", "Lives {value} km away", ""),
    "remote": (0.0, 0, "operational", "", ""),
}
OTHER_WORDS = {
    "cancelled": {"reason_once": "One appointment was cancelled by the patient"},
    "missed": {"reason_once": "Missed {past:one_of}"},
    "hour": {"reason_below": "Early in the day, {value:clock}"},
    "days_ago": {"reason_below": "Missed an appointment about {value:rounded} ago"},
    "distance_km": {"unless": "remote"},
}
SINGLE = """
    cancelled | missed | past | hour | days_ago | distance_km | remote | the reasons that are shown
    0         | 1      | 1    | 11   |          | 5           | 0      | Missed the only past appointment on record
    0         | 1      | 5    | 11   |          | 5           | 0      | Missed one of 5 past appointments
    0         | 2      | 5    | 11   |          | 5           | 0      | Missed 2 of 5 past appointments
    1         | 0      | 5    | 11   |          | 5           | 0      | One appointment was cancelled by the patient
    2         | 0      | 5    | 11   |          | 5           | 0      | 2 appointments were cancelled by the patient
    0         | 0      | 5    | 16   |          | 5           | 0      | Late in the day, between 4 and 5 pm
    0         | 0      | 5    | 9    |          | 5           | 0      | Early in the day, between 9 and 10 am
    0         | 0      | 5    | 11   | 21       | 5           | 0      | Missed an appointment about 3 weeks ago
    0         | 0      | 5    | 11   | 80       | 5           | 0      |
    0         | 0      | 5    | 11   |          | 40          | 0      | Lives 40 km away
    0         | 0      | 5    | 11   |          | 40          | 1      |
"""
# The middle half: no event, 10 am to 2 pm, a miss 30 to 300 days ago, 3 to 8 km, in person.
OTHER_USUAL = UsualRange(
    low=np.array([0, 0, 1, 10, 30, 3, 0], dtype=float),
    high=np.array([0, 0, 8, 14, 300, 8, 0], dtype=float),
)


@pytest.mark.parametrize("row", lines(SINGLE)[1:], ids=lambda row: row[-1] or "nothing")
def test_a_single_event_is_told_as_one_and_each_direction_in_its_own_words(row: list[str]):
    *cells, expected = row
    matrix = np.array([[float(cell) if cell else np.nan for cell in cells]])
    register = register_of(OTHERS, OTHER_WORDS)
    # An unknown time since the last miss adds nothing here.
    curves = [spline(slope, usual) for slope, usual, *_ in OTHERS.values()]
    curves[4] = Spline(knots=(0.0, 1_000.0), values=(0.0, -10.0), missing=-0.9, usual=-0.9)
    model = RiskModel(tuple(OTHERS), SplineLogistic(-2.0, tuple(curves)), Platt())
    shown = [reason.text for reason in reasons(model, matrix, register=register, usual=OTHER_USUAL)[0]]
    assert "; ".join(shown) == expected


@given(st.integers(0, 1_500), st.integers(0, 15), st.integers(0, 30), st.floats(0, 90), st.integers(0, 6))
def test_no_reason_is_given_of_a_value_in_the_middle_half_or_on_the_other_side(lead, missed, attended, km, moved):
    past = missed + attended
    share = missed / past if past else 0.2
    matrix = np.array([[lead, missed, share, past, km, moved, 40]], dtype=float)
    told = {reason.factor: reason.text for reason in reasons(MODEL, matrix, register=REGISTER, usual=USUAL)[0]}
    assert ("lead_days" not in told) or lead > 30
    assert ("distance_km" not in told) or km > 8
    assert ("moved" not in told) or moved > 1
    assert not {"missed", "missed_share"} & told.keys() or share > 0.3


# The words of the shipped register.

SHIPPED = load(shipped("training/factors.toml"), FactorRegister)
SAID = """
    factor                     | values                          | value is | what a clerk reads
    lead_days                  | lead_days=91                    | high     | Booked 13 weeks ahead
    lead_days                  | lead_days=9                     | high     | Booked 9 days ahead
    lead_days                  | lead_days=1                     | high     | Booked 1 day ahead
    lead_days                  | lead_days=240                   | high     | Booked 8 months ahead
    lead_days                  | lead_days=430                   | high     | Booked 14 months ahead
    days_since_last_attendance | days_since_last_attendance=400  | high     | Last came more than a year ago
    days_since_last_attendance | days_since_last_attendance=800  | high     | Last came more than 2 years ago
    days_since_last_attendance | days_since_last_attendance=300  | high     | Last came more than 9 months ago
    days_since_last_attendance | days_since_last_attendance=190  | high     | Last came more than 6 months ago
    days_since_last_contact    | days_since_last_contact=400     | high     | Last had an appointment more than a year ago
    past_dnas                  | past_dnas=3 past_appointments=5 | high     | Missed 3 of 5 past appointments
    past_dnas                  | past_dnas=1 past_appointments=5 | high     | Missed one of 5 past appointments
    past_dnas                  | past_dnas=1 past_appointments=1 | high     | Missed the only past appointment on record
    past_dna_rate              | past_dnas=1 past_appointments=2 | high     | Missed one of 2 past appointments
    last_outcome_dna           | last_outcome_dna=1              | high     | Missed the last appointment
    days_since_last_dna        | days_since_last_dna=22          | low      | Missed an appointment about 3 weeks ago
    times_rescheduled          | times_rescheduled=1             | high     | This appointment was moved once
    times_rescheduled          | times_rescheduled=3             | high     | This appointment was moved 3 times
    past_cancelled_by_patient  | past_cancelled_by_patient=1     | high     | One past appointment was cancelled by the patient
    past_cancelled_by_patient  | past_cancelled_by_patient=4     | high     | 4 past appointments were cancelled by the patient
    past_cancelled_by_provider | past_cancelled_by_provider=1    | high     | The trust cancelled one of this patient's past appointments
    past_cancelled_by_provider | past_cancelled_by_provider=3    | high     | The trust cancelled 3 of this patient's past appointments
    clinic_rate                | clinic_rate=0.17                | high     | In this clinic about 1 in 6 appointments are missed
    distance_km                | distance_km=24.6                | high     | Lives about 25 km (15 miles) away
    appointment_hour           | appointment_hour=8              | low      | Early in the day, between 8 and 9 am
    appointment_hour           | appointment_hour=16             | high     | Late in the day, between 4 and 5 pm
"""


def sentence_of(name: str, values: dict[str, float], side: str) -> str:
    """The sentence of the shipped register about one factor, of a patient with these values, all high or all low."""
    names = tuple(dict.fromkeys([name, *values]))
    raises = 1.0 if side == "high" else -1.0
    model = RiskModel(
        names, SplineLogistic(0.0, tuple(spline(raises * (each == name), raises * -1_000.0) for each in names)), Platt()
    )
    bound = np.full(len(names), 0.0 if side == "high" else 900.0)
    matrix = np.array([[values.get(each, 0.5) for each in names]])
    told = reasons(model, matrix, register=SHIPPED, usual=UsualRange(bound, bound))
    return "; ".join(reason.text for reason in told[0] if reason.factor == name)


@pytest.mark.parametrize(("name", "values", "side", "said"), lines(SAID)[1:])
def test_a_reason_is_said_as_a_person_would(name: str, values: str, side: str, said: str):
    pairs = (pair.split("=") for pair in values.split())
    assert sentence_of(name, {key: float(value) for key, value in pairs}, side) == said


@pytest.mark.parametrize(
    ("of_an_adult", "of_a_child"),
    [
        ("Missed 3 of 5 past appointments", "Was not brought to 3 of 5 past appointments"),
        ("Missed the last appointment", "Was not brought to the last appointment"),
        ("Missed one of 5 past appointments", "Was not brought to one of 5 past appointments"),
        ("Missed an appointment about 3 weeks ago", "Was not brought to an appointment about 3 weeks ago"),
        ("4 past appointments were cancelled by the patient", "4 past appointments were cancelled by the family"),
        ("In this clinic about 1 in 6 appointments are missed", "In this clinic about 1 in 6 appointments are missed"),
    ],
)
def test_a_child_was_not_brought_whatever_the_sentence(of_an_adult: str, of_a_child: str):
    assert with_words(of_an_adult, [need for need in NEEDS if need.badge == "Child"]) == of_a_child


# What a number in words says is true of the number.

DAYS = {"day": 1.0, "week": 7.0, "month": 365.25 / 12, "year": 365.25}


def days_in(said: str) -> tuple[float, float]:
    """A time in words as a number of days, and the length of its unit."""
    count, unit = said.split()
    length = DAYS[unit.removesuffix("s")]
    return (1 if count == "a" else int(count)) * length, length


@given(st.integers(2, 6_000))
def test_more_than_a_time_is_true_and_the_next_whole_unit_would_not_be(days: int):
    said, length = days_in(f"{ReasonNumber(days):completed}")
    assert said < days <= said + length + 1e-6


@given(st.integers(1, 6_000))
def test_a_time_to_the_nearest_unit_is_off_by_half_a_unit_at_most(days: int):
    said, length = days_in(f"{ReasonNumber(days):rounded}")
    assert abs(said - days) <= length / 2 + 1e-6
    assert abs(said - days) <= max(0.26 * days, 0)


@given(st.integers(0, 23))
def test_an_hour_is_said_as_the_hour_that_begins_then(hour: int):
    names = ["midnight", *(f"{n} am" for n in range(1, 12)), "noon", *(f"{n} pm" for n in range(1, 12)), "midnight"]
    said = f"{ReasonNumber(hour):clock}"
    ends = names[hour + 1]
    assert said.startswith("between ")
    assert said.endswith(f" and {ends}")
    begins = said.removeprefix("between ").removesuffix(f" and {ends}")
    assert names[hour] in (begins, f"{begins} {ends[-2:]}")


@given(st.floats(0.01, 1))
def test_one_in_so_many_is_the_nearest_whole_number(share: float):
    n = int(f"{ReasonNumber(share):one_in}".removeprefix("1 in "))
    assert abs(n - 1 / share) <= 0.5 + 1e-9


@given(st.integers(2, 60), st.integers(0, 60), st.integers(15, 400), st.integers(2, 30), st.floats(20, 300))
def test_every_number_of_a_sentence_is_the_patients_own(missed: int, attended: int, lead: int, moved: int, km: float):
    names = ("past_dnas", "past_appointments", "lead_days", "times_rescheduled", "distance_km", "remote")
    matrix = np.array([[missed, missed + attended, lead, moved, km, 0]], dtype=float)
    curves = tuple(spline(0.0 if name in ("past_appointments", "remote") else 1.0, -1.0) for name in names)
    usual = UsualRange(np.zeros(6), np.zeros(6))
    found = Explainer.of(RiskModel(names, SplineLogistic(0.0, curves), Platt()), SHIPPED, usual).explain(matrix)
    told = dict(zip((each[0] for each in found.factors), (each[0] for each in found.texts), strict=True))
    expected = {
        "past_dnas": f"Missed {missed} of {missed + attended} past appointments",
        "lead_days": f"Booked {ReasonNumber(lead):rounded} ahead",
        "times_rescheduled": f"This appointment was moved {ReasonNumber(moved):times}",
        "distance_km": f"Lives about {round(km)} km ({round(km * 0.621371)} miles) away",
    }
    assert len(told) == 3
    assert told.items() <= expected.items()


# What a register may not say.


def test_no_sentence_of_the_shipped_register_names_a_protected_characteristic():
    verify(SHIPPED)
    assert sum(bool(factor.sentences) for factor in SHIPPED.agreed) > 15


@pytest.mark.parametrize(
    "sentence",
    ["Is {lead_days} years old", "Young men miss more", "Has a disability", "An Asian patient", "Is pregnant"],
)
@pytest.mark.parametrize("part", ["reason", "reason_once", "reason_below"])
def test_a_sentence_that_names_one_is_refused(sentence: str, part: str):
    factors = {"lead_days": (0.02, 20, "operational", "Booked {value} days ahead", "")}
    with pytest.raises(ConfigurationError, match="names no protected characteristic"):
        verify(register_of(factors, {"lead_days": {part: sentence}}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"reason": "Booked {value:weeks_ago}"}, "have a form that is not known"),
        ({"reason_once": "Booked {value"}, "the braces in 'reason' do not pair"),
        ({"unusual": "shoe_size"}, "quotes 'shoe_size', which is no factor of the register"),
        ({"unless": "shoe_size"}, "quotes 'shoe_size', which is no factor of the register"),
        ({"reason_below": "{shoe_size}"}, "quotes 'shoe_size', which is no factor of the register"),
    ],
)
def test_a_sentence_that_cannot_be_said_is_refused(change: dict[str, str], message: str):
    factors = {"lead_days": (0.02, 20, "operational", "Booked {value} days ahead", "")}
    with pytest.raises(ValueError, match=message):
        register_of(factors, {"lead_days": change})


# Shares lie so close together that the register asks for more than being in the upper quarter.

CLOSE = """
    clinic_rate | past_dna_rate | past_dnas | past_appointments | days_since_last_attendance | the reasons that are shown
    0.08        | 0.07          | 0         | 0                 | 20                         |
    0.10        | 0.07          | 0         | 0                 | 20                         |
    0.125       | 0.07          | 0         | 0                 | 20                         | In this clinic about 1 in 8 appointments are missed
    0.07        | 0.078         | 1         | 13                | 20                         |
    0.07        | 0.082         | 2         | 24                | 20                         |
    0.07        | 0.087         | 1         | 11                | 20                         |
    0.07        | 0.117         | 2         | 16                | 20                         | Missed 2 of 16 past appointments
    0.07        | 0.15          | 1         | 5                 | 20                         | Missed one of 5 past appointments
    0.07        | 0.28          | 2         | 5                 | 20                         | Missed 2 of 5 past appointments
    0.07        | 0.07          | 0         | 0                 | 70                         |
    0.07        | 0.07          | 0         | 0                 | 182                        | Last came more than 5 months ago
    0.07        | 0.07          | 0         | 0                 | 181                        |
"""


@pytest.mark.parametrize("row", lines(CLOSE)[1:], ids=" ".join)
def test_what_a_person_would_call_average_is_no_reason(row: list[str]):
    *cells, expected = row
    names = tuple(lines(CLOSE)[0][:-1])
    # The usual share is 0.07; the middle half of visits to the clinics was 10 to 60 days after the last.
    usual = UsualRange(np.array([0.06, 0.04, 0, 0, 10]), np.array([0.08, 0.073, 0, 4, 60]))
    middle = (0.07, 0.07, 0.0, 2.0, 25.0)
    curves = tuple(spline(slope, at) for slope, at in zip((10, 10, 0.1, 0, 0.01), middle, strict=True))
    matrix = np.array([[float(cell) for cell in cells]])
    told = reasons(RiskModel(names, SplineLogistic(0.0, curves), Platt()), matrix, register=SHIPPED, usual=usual)[0]
    assert "; ".join(reason.text for reason in told) == expected

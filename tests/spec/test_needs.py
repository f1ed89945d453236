"""Needs first: what a patient needs shapes every action, whatever the reasons are, and never who is called."""

import datetime
import tomllib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.spec.test_worklist import appointments
from tests.unit.test_latest import WORKLIST

from dnapredict.config.loading import load, shipped
from dnapredict.config.needs_config import Need
from dnapredict.config.worklist_config import WorklistConfig
from dnapredict.data.contract.columns import never_factors
from dnapredict.features.factors import factor_register
from dnapredict.worklist.files import latest_list, list_store
from dnapredict.worklist.files.kept_list import KeptList
from dnapredict.worklist.files.worklist_columns import FACTORS
from dnapredict.worklist.plan.call_plan import plan_calls
from dnapredict.worklist.plan.needs import COLUMNS, Needs, badges_of, kept_needs

SHIPPED = load(shipped("serving/worklist.toml"), WorklistConfig)
RULES = SHIPPED.model_copy(update={"call_working_days_before": None})


def lines(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")] for line in table.strip().splitlines()]


def actions(table: str, *, capacity: int = 99) -> list[str]:
    """What the shipped file says is to be done with each row."""
    return plan_calls(appointments(table), config=RULES, capacity=capacity).table["action"].to_pylist()


# Row by row. The strongest reason of each is a miss in the past, so that nothing but the need changes the action.

CALLED = """
    age | carer | interpreter | transport | km | mechanism | learning | mobile | accessible               | what is to be done
    40  |       |             |           |    |           |          |        |                          | Call and ask what would make it easier to come
    40  |       | yes         |           |    |           |          |        |                          | Book an interpreter, then call with one and ask what would make it easier to come
    7   |       |             |           |    |           |          |        |                          | Call the parent or carer and ask what would make it easier to bring the child
    15  | no    |             |           |    |           |          |        |                          | Call and ask what would make it easier to bring the child
    40  | yes   |             |           |    |           |          |        |                          | Call the parent or carer and ask what would make it easier to come
    40  |       |             | yes       |    |           |          |        |                          | Call and ask what would make it easier to come; confirm the transport that is booked
    40  |       |             |           | 16 |           |          |        |                          | Call and ask what would make it easier to come; offer transport, or a telephone or video appointment
    40  |       |             |           | 15 |           |          |        |                          | Call and ask what would make it easier to come
    40  |       |             | yes       | 16 |           |          |        |                          | Call and ask what would make it easier to come; confirm the transport that is booked
    40  |       |             |           | 60 | 02        |          |        |                          | Call and ask what would make it easier to come
    40  |       |             |           |    |           | yes      |        |                          | Call and ask what would make it easier to come; use plain words, allow time and ask who helps with appointments
    40  |       |             |           |    |           | No       |        |                          | Call and ask what would make it easier to come
    40  |       |             |           |    |           | None     |        |                          | Call and ask what would make it easier to come
    40  |       |             |           |    |           |          | no     |                          | Call and ask what would make it easier to come; confirm by letter, as no text message arrives
    40  |       |             |           |    |           |          | yes    |                          | Call and ask what would make it easier to come
    40  |       |             |           |    |           |          |        | BSL interpreter          | Book the interpreter or communication professional on record, then call with them and ask what would make it easier to come
    40  |       | yes         |           |    |           |          |        | BSL interpreter          | Book the interpreter or communication professional on record, then call with them and ask what would make it easier to come
    40  |       |             |           |    |           |          |        | Contact by text message  | Contact the patient in the way on record (no voice call) and ask what would make it easier to come
    7   |       |             |           |    |           |          |        | Textphone                | Contact the parent or carer in the way on record (no voice call) and ask what would make it easier to bring the child
    40  |       |             |           |    |           |          |        | Large print              | Call and ask what would make it easier to come; confirm in the information format on record
    40  |       |             |           |    |           |          |        | Uses hearing aid         | Call and ask what would make it easier to come; ask whether the communication support on record is arranged
    40  |       |             |           |    |           |          |        | See the care plan        | Look up the communication needs on record, then call and ask what would make it easier to come
    40  |       |             |           |    |           |          |        | None                     | Call and ask what would make it easier to come
    9   |       | yes         |           | 30 |           |          | no     |                          | Book an interpreter, then call the parent or carer with one and ask what would make it easier to bring the child; offer transport, or a telephone or video appointment; confirm by letter, as no text message arrives
"""


@pytest.mark.parametrize("row", lines(CALLED)[1:], ids=lambda row: " ".join(filter(None, row[:-1])))
def test_what_a_patient_needs_is_in_the_action(row: list[str]):
    head = " | ".join(["appointment", "risk", "reason", *lines(CALLED)[0][:-1]])
    cells = " | ".join(["a", "0.9", "past_dnas", *row[:-1]])
    assert actions(f"{head}\n{cells}") == [row[-1]]


UNCALLED = """
    age | interpreter | transport | km | learning | mobile | accessible              | what is to be done
    40  |             |           |    |          |        |                         | Usual reminder
    40  | yes         |           |    |          |        |                         | Usual reminder; check that an interpreter is booked
    7   |             |           |    |          |        |                         | Usual reminder; any reminder goes to the parent or carer
    40  |             | yes       |    |          |        |                         | Usual reminder; confirm the transport that is booked
    40  |             |           | 60 |          |        |                         | Usual reminder
    40  |             |           |    | yes      |        |                         | Usual reminder; send any reminder in easy read
    40  |             |           |    |          | no     |                         | Usual reminder; send the reminder as a letter, as no text message arrives
    40  |             |           |    |          |        | Easy read; BSL          | Usual reminder; check that the interpreter or communication professional on record is booked; send any letter or reminder in the information format on record
    40  |             |           |    |          |        | No telephone            | Usual reminder; send any reminder in the way on record (no voice call)
"""


@pytest.mark.parametrize("row", lines(UNCALLED)[1:], ids=lambda row: " ".join(filter(None, row[:-1])))
def test_who_is_not_called_is_reminded_in_a_way_that_arrives(row: list[str]):
    head = " | ".join(["appointment", "risk", *lines(UNCALLED)[0][:-1]])
    cells = [" | ".join(["b", "0.1", *row[:-1]]), "a | 0.9" + " | " * len(row[:-1])]
    assert actions("\n".join([head, *cells]), capacity=1)[0] == row[-1]


FURTHER = """
    reason_1        | reason_2                  | reason_3       | km | what is to be done
    past_dnas       | lead_days                 |                |    | Call to confirm that the appointment still suits; ask what would make it easier to come
    past_dnas       | past_cancelled_by_patient | distance_km    | 30 | Call and offer another time; ask what would make it easier to come; offer transport, or a telephone or video appointment
    past_dnas       | distance_km               |                | 12 | Call and offer transport, or a telephone or video appointment; ask what would make it easier to come
    lead_days       | past_dnas                 | remote         |    | Call to confirm that the appointment still suits; check the number and the device; ask what would make it easier to come
    times_rescheduled | past_cancelled_by_patient | appointment_hour |  | Call and offer another time
    clinic_rate     | appointment_hour          | lead_days      |    | Call and offer another time of day; ask whether it still suits
    past_dnas       | past_dna_rate             | last_outcome_dna |  | Call and ask what would make it easier to come
    past_dnas       | past_dna_rate             | lead_days      |    | Call to confirm that the appointment still suits; ask what would make it easier to come
    clinic_rate     |                           |                |    | Call to confirm that the patient can come
"""


@pytest.mark.parametrize("row", lines(FURTHER)[1:], ids=lambda row: " ".join(filter(None, row[:-2])))
def test_each_reason_adds_what_it_has_to_offer_and_nothing_is_offered_twice(row: list[str]):
    *reasons, km, expected = row
    table = appointments(f"appointment | risk | km\na | 0.9 | {km}")
    for name, reason in zip(FACTORS, reasons, strict=True):
        table = table.set_column(table.column_names.index(name), name, pa.array([reason or None], pa.string()))
    assert plan_calls(table, config=RULES, capacity=1).table["action"].to_pylist() == [expected]


# The Accessible Information Standard has four kinds of need, and a trust records them in words of its own.

RECORDED = """
    what the record says                                   | the badges
    BSL interpreter                                        | Communication professional
    Requires British Sign Language interpreter             | Communication professional
    Lipspeaker                                             | Communication professional
    Requires contact by text message                       | No voice call
    No telephone calls                                     | No voice call
    textphone                                              | No voice call
    Requires information in Braille                        | Information format
    LARGE PRINT letters                                    | Information format
    Requires information by email                          | Information format
    Hearing loop                                           | Communication support
    Needs a longer appointment                             | Communication support
    Large print; BSL interpreter                           | Communication professional; Information format
    Large print, hearing aid, contact by text              | No voice call; Information format; Communication support
    Deaf                                                   | Communication needs on record
    Y                                                      | Communication needs on record
    Easy read; see the care plan                           | Information format; Communication needs on record
    N                                                      |
    None                                                   |
    Not asked                                              |
    No interpreter needed                                  |
    No interpreter needed; large print                     | Information format
"""


def badges_of_row(column: str, value: object) -> tuple[str, ...]:
    """The badges of an appointment of which the list says no more than this."""
    return badges_of(Needs.of(pa.table({column: [value]}), SHIPPED.needs).at(0))


@pytest.mark.parametrize("row", lines(RECORDED)[1:], ids=lambda row: row[0])
def test_each_kind_of_accessible_information_is_read_from_the_trusts_own_words(row: list[str]):
    assert "; ".join(badges_of_row("accessible_information_code", row[0])) == row[1]


BADGES = """
    column                   | value          | the badges
    interpreter_needed       | yes            | Interpreter
    interpreter_needed       | no             |
    transport_booked         | yes            | Transport booked
    carer_or_child           | yes            | Parent or carer
    has_mobile               | no             | No mobile
    has_mobile               | yes            |
    age_years                | 15.9           | Child
    age_years                | 16             |
    distance_km              | 15.1           | Long journey
    distance_km              | 15             |
    learning_disability_flag | On LD register | Plain words, more time
    learning_disability_flag | N              |
    ethnic_category_code     | A              |
    language_code            | pl             |
    disability_flag          | Y              |
"""


@pytest.mark.parametrize("row", lines(BADGES)[1:], ids=" ".join)
def test_a_badge_says_what_to_do_and_nothing_about_who_somebody_is(row: list[str]):
    column, cell, expected = row
    number = column in ("age_years", "distance_km")
    value = float(cell) if number else {"yes": True, "no": False}.get(cell, cell)
    assert "; ".join(badges_of_row(column, value)) == expected
    assert badges_of_row(column, None) == ()


def test_neither_action_nor_badge_names_a_disability():
    said = " ".join(" ".join((need.badge, *need.texts())) for need in SHIPPED.needs).lower()
    for word in ("disab", "deaf", "blind", "impair", "autis", "dementia", "learning"):
        assert word not in said


# Needs say how, and never who.

CELLS = {
    "interpreter_needed": st.sampled_from([True, False, None]),
    "transport_booked": st.sampled_from([True, False, None]),
    "carer_or_child": st.sampled_from([True, False, None]),
    "has_mobile": st.sampled_from([True, False, None]),
    "age_years": st.sampled_from([3.0, 15.0, 40.0, 90.0, None]),
    "distance_km": st.sampled_from([1.0, 30.0, None]),
    "learning_disability_flag": st.sampled_from(["Y", "No", None]),
    "accessible_information_code": st.sampled_from(["BSL", "Large print; no telephone", "None", None]),
    "consultation_mechanism_code": st.sampled_from(["01", "02", None]),
    "first_attendance_code": st.sampled_from(["1", "4", None]),
}
TYPES = {name: pa.bool_() for name in CELLS} | {name: pa.float64() for name in ("age_years", "distance_km")}
TYPES |= {name: pa.string() for name in COLUMNS if name.endswith(("_code", "_flag"))}
TEN = "appointment | patient | risk | day\n" + "\n".join(
    f"{n} | p{n % 7} | {0.9 - n / 20} | {10 + n % 3}" for n in range(10)
)


@given(st.lists(st.fixed_dictionaries(CELLS), min_size=10, max_size=10))
def test_no_need_changes_who_is_called_in_which_order_or_by_when(rows: list[dict[str, object]]):
    table = appointments(TEN)
    plain = plan_calls(table, config=SHIPPED, capacity=3)
    for name in COLUMNS:
        cells = pa.array([row[name] for row in rows], TYPES[name])
        at = table.column_names.index(name) if name in table.column_names else None
        table = table.append_column(name, cells) if at is None else table.set_column(at, name, cells)
    needed = plan_calls(table, config=SHIPPED, capacity=3)
    assert needed.table.select(["rank", "selected", "band"]).equals(plain.table.select(["rank", "selected", "band"]))
    assert (needed.call_by == plain.call_by).all()


def test_what_is_recorded_for_contact_alone_feeds_no_factor():
    read = {name for factor in factor_register().factors for name in factor.columns}
    for name in ("carer_or_child", "learning_disability_flag", "accessible_information_code"):
        assert name in never_factors()
        assert name not in read


# Badges are kept with the list, for the page.


def test_the_badges_of_a_call_are_those_of_all_its_appointments():
    listed = """
        appointment | patient | risk | day | interpreter | transport
        a           | p       | 0.9  | 10  | no          |
        b           | p       | 0.8  | 11  | yes         | yes
        c           | q       | 0.3  | 10  |             |
    """
    plan = plan_calls(appointments(listed), config=RULES, capacity=1)
    both = ("Interpreter", "Transport booked")
    assert [badges_of(kept_needs(SHIPPED, names)) for names in plan.table["needs"].to_pylist()] == [both, both, ()]


def test_a_kept_list_has_its_badges_and_one_of_an_earlier_release_opens_without(tmp_path: Path):
    needed = WORKLIST.append_column("needs", pa.array(["interpreter_needed age_years gone", None, None], pa.string()))
    for worklist, expected in ((needed, ("Interpreter", "Child")), (WORKLIST, ())):
        kept = KeptList.new(worklist, name="week-48.csv", model_version="7", synthetic=True)
        list_store.keep(tmp_path, kept)
        latest_list.save_latest(tmp_path, kept)
        for found in (list_store.find(tmp_path, kept.heading.list_id), latest_list.latest(tmp_path)):
            row = found.row_at(1) if found else None
            assert row is not None
            assert badges_of(kept_needs(SHIPPED, row["needs"])) == expected


def test_a_kept_need_says_whom_to_call_and_in_which_way():
    listed = "appointment | patient | risk | age | accessible\na | p | 0.9 | 9 | Large print; BSL; no telephone"
    (names,) = plan_calls(appointments(listed), config=RULES, capacity=1).table["needs"].to_pylist()
    assert names == "communication_professional age_years carer_or_child contact_method information_format"
    needs = kept_needs(SHIPPED, names)
    assert next(need.whom for need in needs if need.whom) == "the parent or carer"
    assert [need.verb for need in needs if need.verb] == ["contact"]
    assert any(need.kind == "interpreter" for need in needs)


# What is refused.


@pytest.mark.parametrize(
    ("need", "sentence"),
    [
        ({"column": "ethnic_category_code", "also": "x"}, "interpreter_needed"),
        ({"column": "language_code", "also": "x"}, "interpreter_needed"),
        ({"column": "disability_flag", "also": "x"}, "interpreter_needed"),
        ({"column": "distance_km", "also": "x"}, "'above' belongs to column 'distance_km'"),
        ({"column": "has_mobile", "above": 3, "also": "x"}, "'above' belongs to column 'distance_km', and to no other"),
        ({"column": "has_mobile", "mentions": ["no"], "also": "x"}, "'mentions' belongs to a column of text"),
        ({"column": "learning_disability_flag", "when": "no", "also": "x"}, "'when' belongs to a column of yes and no"),
        ({"column": "has_mobile", "when": "maybe", "also": "x"}, "when"),
        ({"column": "has_mobile", "badge": "No mobile"}, "names nothing to do"),
    ],
)
def test_a_need_that_cannot_be_read_from_the_list_is_refused(need: dict[str, object], sentence: str):
    with pytest.raises(ValidationError, match=sentence):
        Need.model_validate(need | {"why": "A specification."})


def test_a_badge_of_a_prohibited_use_is_refused():
    content = tomllib.loads(shipped("serving/worklist.toml").read_text(encoding="utf-8"))
    content["needs"][0]["badge"] = "Discharge if absent"
    with pytest.raises(ValidationError, match="never for overbooking"):
        WorklistConfig.model_validate(content)


def test_the_day_by_which_to_call_follows_the_needs():
    config = SHIPPED.model_copy(update={"call_working_days_before": 2})
    table = appointments("appointment | risk | day | mobile\na | 0.9 | 30 | no")
    made = plan_calls(table, config=config, capacity=1, today=datetime.date(2026, 11, 20)).table
    assert made["action"].to_pylist() == [
        "Call to confirm that the patient can come; confirm by letter, as no text message arrives, by Thu 26 Nov"
    ]
    assert np.asarray(made["selected"]).tolist() == [True]

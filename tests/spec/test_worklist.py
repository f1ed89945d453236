"""From risks to calls: how many, to whom, by when, and what to offer. Each table is a list in its own order."""

import datetime
import tomllib
from itertools import product

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from dnapredict.config.loading import shipped
from dnapredict.config.needs_config import NEEDS, Need
from dnapredict.config.worklist_config import Action, Band, Team, WorklistConfig
from dnapredict.data.contract.columns import CHILD_BELOW_YEARS, audit_only
from dnapredict.worklist.files.worklist_columns import FACTORS
from dnapredict.worklist.plan.call_assignment import OPTED_OUT, REACHED, UNCALLED
from dnapredict.worklist.plan.call_capacity import call_rules, differ_from_audited
from dnapredict.worklist.plan.call_plan import plan_calls
from dnapredict.worklist.plan.needs import COLUMNS, Needs, with_needs, with_words
from dnapredict.worklist.plan.working_days import call_by_day

RULES = {
    "use": "supportive contact",
    "capacity": 2,
    "mute_days": 14,
    "bands": (Band(name="High", from_probability=0.2), Band(name="Usual", from_probability=0)),
    "default_action": "Call",
    "unselected_action": "Usual reminder",
    "muted_action": "Called lately",
    "reached_action": "Reached already",
    "opted_out_action": "Asked not to be called",
    "actions": (
        Action(do="Call", kind="confirm", evidence="randomised trials"),
        Action(do="Offer transport", kind="transport", evidence="unproven", factors=("distance_km",)),
        Action(do="Book an interpreter", kind="interpreter", evidence="unproven", factors=("interpreter",)),
    ),
}


def rules(**changes: object) -> WorklistConfig:
    return WorklistConfig.model_validate(RULES | changes)


def appointments(text: str) -> pa.Table:
    """A judged list; columns that are not there are unknown, and a day is one of November 2026."""
    lines = [[cell.strip() for cell in line.split("|")] for line in text.strip().splitlines()]
    rows = [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]
    day = [datetime.datetime(2026, 11, int(row.get("day", "30")), 9) for row in rows]
    texts = {"appointment": "appointment_id", "patient": "patient_id", "clinic": "clinic_code"}
    texts |= {"specialty": "treatment_function_code", "site": "site_code", "reason": FACTORS[0]}
    columns = {new: pa.array([row.get(old) or None for row in rows], pa.string()) for old, new in texts.items()}
    columns |= {name: pa.nulls(len(rows), pa.string()) for name in FACTORS[1:]}
    columns["probability"] = pa.array([float(row["risk"]) for row in rows])
    columns["imd_decile"] = pa.array([int(row.get("decile", "0")) or None for row in rows], pa.int64())
    columns["starts_local"] = pa.array(day, pa.timestamp("us"))
    columns["interpreter_needed"] = pa.array([_yes(row.get("interpreter")) for row in rows], pa.bool_())
    columns["transport_booked"] = pa.array([_yes(row.get("transport")) for row in rows], pa.bool_())
    ages = [float(row["age"]) if row.get("age") else None for row in rows]
    columns["age_years"] = pa.array(ages, pa.float64())
    # As the contract fills it: whom a call goes to follows from age where the list does not say.
    carers = [_yes(row.get("carer")) for row in rows]
    by_age = [None if age is None else age < CHILD_BELOW_YEARS for age in ages]
    filled = [age if carer is None else carer for carer, age in zip(carers, by_age, strict=True)]
    columns["carer_or_child"] = pa.array(filled, pa.bool_())
    columns["has_mobile"] = pa.array([_yes(row.get("mobile")) for row in rows], pa.bool_())
    columns["distance_km"] = pa.array([float(row["km"]) if row.get("km") else None for row in rows], pa.float64())
    texts = {"learning": "learning_disability_flag", "accessible": "accessible_information_code"}
    texts |= {"mechanism": "consultation_mechanism_code"}
    columns |= {new: pa.array([row.get(old) or None for row in rows], pa.string()) for old, new in texts.items()}
    return pa.table(columns)


def _yes(cell: str | None) -> bool | None:
    return {"yes": True, "no": False}.get(cell or "")


def plan(text: str, *, capacity: int | None = None, muted=None, **changes: object) -> list[str]:
    """What is to be done with each row: its rank and its action."""
    made = plan_calls(appointments(text), config=rules(**changes), capacity=capacity, muted=muted).table
    return [f"{row['rank']} {row['action']}" for row in made.to_pylist()]


def test_the_highest_risks_are_called_and_ties_are_broken_by_a_hash_of_the_appointment():
    listed = """
        appointment | patient | risk
        a           | p       | 0.1
        b           | q       | 0.3
        c           | r       | 0.3
        d           | s       | 0.3
    """
    # SHA-256 of d begins with 18, of c with 2e, of b with 3e.
    assert plan(listed) == ["4 Usual reminder", "3 Usual reminder", "2 Call", "1 Call"]


def test_one_call_is_about_all_appointments_of_a_patient_that_are_near():
    listed = """
        appointment | patient | day | risk
        a           | p       | 10  | 0.9
        b           | p       | 12  | 0.8
        c           | q       | 10  | 0.5
        d           | p       | 30  | 0.4
        e           | r       | 10  | 0.1
    """
    assert plan(listed, capacity=3) == [
        "1 Call; in the same call, speak about place 2 too",
        "2 Mention it in the call at place 1",
        "3 Call",
        "4 Call",  # twenty days on: a call of its own
        "5 Usual reminder",
    ]


def test_patients_who_are_not_known_are_not_one_patient():
    listed = """
        appointment | patient | risk
        a           |         | 0.9
        b           |         | 0.8
    """
    assert plan(listed) == ["1 Call", "2 Call"]


def test_somebody_who_was_to_be_called_lately_is_passed_over_and_the_call_goes_to_the_next():
    listed = """
        appointment | patient | risk
        a           | p       | 0.9
        b           | q       | 0.5
        c           | r       | 0.4
    """
    assert plan(listed, muted=lambda call_by: np.arange(len(call_by)) == 0) == ["1 Called lately", "2 Call", "3 Call"]


def test_each_team_has_calls_of_its_own_and_the_rest_share_the_others():
    listed = """
        appointment | patient | specialty | clinic | risk
        a           | p       | 130       | X      | 0.9
        b           | q       | 130       | X      | 0.8
        c           | r       | 320       | H1     | 0.3
        d           | s       | 100       | X      | 0.2
        e           | t       | 100       | X      | 0.1
    """
    teams = (
        Team(name="Eyes", capacity=1, specialties=("130",)),
        Team(name="Hearts", capacity=5, clinics=("H1",)),
    )
    assert plan(listed, teams=teams, capacity_per=()) == [
        "1 Call",
        "5 Usual reminder",
        "2 Call",
        "3 Call",
        "4 Call",
    ]
    assert plan(listed, teams=teams, capacity=1)[2] == "3 Usual reminder"  # asked for by hand: the whole list


def test_a_patient_whom_one_team_cannot_call_is_called_by_another_about_both():
    listed = """
        appointment | patient | specialty | risk
        a           | p       | 130       | 0.9
        b           | q       | 130       | 0.8
        c           | q       | 320       | 0.3
    """
    teams = (
        Team(name="Eyes", capacity=1, specialties=("130",)),
        Team(name="Hearts", capacity=1, specialties=("320",)),
    )
    assert plan(listed, teams=teams) == [
        "1 Call",
        "2 Mention it in the call at place 3",
        "3 Call; in the same call, speak about place 2 too",
    ]


def test_a_number_can_be_for_each_clinic():
    listed = """
        appointment | patient | clinic | risk
        a           | p       | X      | 0.9
        b           | q       | X      | 0.8
        c           | r       | Y      | 0.1
    """
    assert plan(listed, capacity=None, capacity_per=("clinic",), capacity_share=0.5) == [
        "1 Call",
        "2 Call",  # two of two, since 'capacity' is 2 for each
        "3 Call",
    ]


def test_a_week_with_a_bank_holiday_has_fewer_calls():
    days = np.array(["2026-12-24"] * 20 + ["2026-12-15"] * 20, dtype="datetime64[us]")
    listed = appointments("appointment | risk\n" + "\n".join(f"{n} | 0.5" for n in range(40)))
    listed = listed.set_column(listed.column_names.index("starts_local"), "starts_local", pa.array(days))
    made = plan_calls(listed, config=rules(capacity=10, capacity_per=("week",)), capacity=None)
    called = np.asarray(made.table["selected"])
    assert (called[:20].sum(), called[20:].sum()) == (8, 10)  # Christmas Day 2026 is a Friday


@pytest.mark.parametrize(
    ("appointment", "before", "by"),
    [
        ("2026-11-26", 2, "2026-11-24"),
        ("2026-11-30", 2, "2026-11-26"),  # a Monday: over the weekend
        ("2026-11-29", 1, "2026-11-27"),  # a Sunday clinic
        ("2026-12-29", 2, "2026-12-23"),  # over Christmas and the day in lieu of 26 December, a Saturday
        ("2027-03-30", 1, "2027-03-25"),  # over Good Friday and Easter Monday
        ("2026-11-30", 0, "2026-11-30"),
    ],
)
def test_calls_are_due_in_working_days_of_england(appointment: str, before: int, by: str):
    day = np.array([appointment], dtype="datetime64[D]")
    assert str(call_by_day(day, working_days_before=before)[0]) == by


def test_the_action_says_by_when():
    listed = """
        appointment | patient | day | risk | reason
        a           | p       | 30  | 0.9  | distance_km
        b           | q       | 27  | 0.8  | past_dnas
    """
    assert plan(listed, call_working_days_before=2) == [
        "1 Offer transport, by Thu 26 Nov",
        "2 Call, by Wed 25 Nov",
    ]


@pytest.mark.parametrize(
    ("today", "action"),
    [
        ("2026-11-20", "1 Call, by Tue 24 Nov"),
        ("2026-11-24", "1 Call, by Tue 24 Nov"),
        ("2026-11-25", "1 Call, by Wed 25 Nov"),  # the day by which has passed: today
        ("2026-11-26", "1 Call, by Thu 26 Nov"),  # the day of the appointment
        ("2026-11-27", "1 Call, by Tue 24 Nov"),  # it has been: such a list is looked at and not worked through
    ],
)
def test_no_action_asks_for_a_call_by_a_day_that_has_passed(today: str, action: str):
    listed = appointments("appointment | patient | day | risk\na | p | 26 | 0.9")
    config = rules(call_working_days_before=2)
    made = plan_calls(listed, config=config, capacity=1, today=datetime.date.fromisoformat(today))
    (row,) = made.table.to_pylist()
    assert f"{row['rank']} {row['action']}" == action
    assert str(made.call_by[0]) == "2026-11-24"  # mute period and weeks are counted from the day it was due


# Three calls for five patients of two areas. Need is the sum of risks: 1.2 of 1.6 in decile 1, 0.4 in decile 9.
SHARED = """
    appointment | patient | decile | risk
    a           | p       | 1      | 0.5
    b           | q       | 1      | 0.4
    c           | r       | 1      | 0.3
    d           | s       | 9      | 0.2
    e           | t       | 9      | 0.2
"""


@pytest.mark.parametrize(
    ("rule", "called"),
    [
        ("global", "a b c"),  # the highest risks
        ("proportionate", "a b d"),  # 2.25 and 0.75 calls: two, and the last one to the largest remainder
        ("floor", "a b c"),  # at least 80% of its share: 1.8 and 0.6, in whole calls 1 and 0; the rest by risk
    ],
)
def test_each_allocation_rule_shares_the_calls_between_areas(rule: str, called: str):
    made = plan(SHARED, capacity=3, allocation=rule)
    assert [name for name, action in zip("abcde", made, strict=True) if action.endswith("Call")] == called.split()


def test_a_guaranteed_share_keeps_a_call_for_an_area_whose_risks_are_lower():
    # Need is 1.2 in decile 1 and 0.8 in decile 9: of three calls 90% of 1.8 and of 1.2, in whole calls 1 and 1.
    wider = SHARED + "    f           | u       | 9      | 0.2\n    g           | v       | 9      | 0.2\n"
    made = plan(wider, capacity=3, allocation="floor", floor_share=0.9)
    assert [name for name, action in zip("abcdefg", made, strict=True) if action.endswith("Call")] == ["a", "b", "d"]


def test_calls_shared_by_need_go_to_each_fifth_and_a_call_saved_goes_on():
    listed = """
        appointment | patient | decile | risk
        a           | p       | 1      | 0.41
        b           | p       | 1      | 0.39
        c           | q       | 1      | 0.2
        d           | r       | 9      | 0.52
        e           | s       | 9      | 0.48
    """
    assert plan(listed, allocation="proportionate", capacity=4) == [
        "3 Call; in the same call, speak about place 4 too",
        "4 Mention it in the call at place 3",
        "5 Call",
        "1 Call",
        "2 Call",
    ]


# What a patient needs.

SHIPPED = tomllib.loads(shipped("serving/worklist.toml").read_text(encoding="utf-8"))


def shipped_plan(text: str, **changes: object) -> list[str]:
    """What the shipped file says is to be done with each row, without the day by which."""
    config = WorklistConfig.model_validate(SHIPPED | {"call_working_days_before": None} | changes)
    return plan_calls(appointments(text), config=config, capacity=99).table["action"].to_pylist()


def test_what_a_patient_needs_shapes_the_action_whatever_the_strongest_reason_is():
    listed = """
        appointment | risk | reason           | interpreter | transport | age
        a           | 0.9  |                  | yes         |           | 40
        b           | 0.9  | past_dnas        | yes         |           |
        c           | 0.9  | interpreter_needed | yes       |           |
        d           | 0.9  | distance_km      | yes         | yes       | 70
        e           | 0.9  | distance_km      | no          | no        | 70
        f           | 0.9  | lead_days        |             |           | 15.9
        g           | 0.9  | lead_days        |             |           | 16
        h           | 0.9  | times_rescheduled | yes        | yes       | 3
        i           | 0.9  | days_since_last_contact | yes  |           | 0
        j           | 0.9  | remote           | yes         |           |
        k           | 0.9  | remote           |             |           | 9
        l           | 0.9  |                  |             | yes       | 9
    """
    confirm = "that the patient can come"
    assert shipped_plan(listed) == [
        f"Book an interpreter, then call with one to confirm {confirm}",
        "Book an interpreter, then call with one and ask what would make it easier to come",
        f"Book an interpreter, then call with one to confirm {confirm}",
        f"Book an interpreter, then call with one to confirm {confirm}; confirm the transport that is booked",
        "Call and offer transport, or a telephone or video appointment",
        "Call the parent or carer to confirm that the appointment still suits",
        "Call to confirm that the appointment still suits",
        (
            "Book an interpreter, then call the parent or carer with one and offer another time; "
            "confirm the transport that is booked"
        ),
        "Book an interpreter, check the contact details, then call the parent or carer with one to confirm",
        (
            "Book an interpreter, then call with one: check the number and the device, or offer to see the "
            "patient in person"
        ),
        "Call the parent or carer: check the number and the device, or offer to see the patient in person",
        ("Call the parent or carer to confirm that the child can be brought; confirm the transport that is booked"),
    ]


def test_every_shipped_action_has_an_interpreter_where_one_is_needed():
    factors = [factor for action in SHIPPED["actions"] for factor in action.get("factors", ())]
    listed = "appointment | risk | reason | interpreter | age\n" + "\n".join(
        f"{n} | 0.5 | {factor} | yes | {age}" for n, (factor, age) in enumerate(product(factors, (8, 30)))
    )
    for action in shipped_plan(listed):
        assert action.startswith("Book an interpreter, ")
        assert " with one" in action
    assert sum("parent or carer" in action for action in shipped_plan(listed)) == len(factors)


def test_who_is_not_called_is_given_what_the_appointment_needs():
    listed = """
        appointment | patient | risk | day | interpreter | transport | age
        a           | p       | 0.9  | 10  | no          |           | 40
        b           | q       | 0.8  | 10  |             |           | 40
        c           | r       | 0.3  | 10  | yes         |           | 40
        d           | s       | 0.2  | 10  |             | yes       | 8
        e           | p       | 0.12 | 11  | yes         |           | 40
        f           | t       | 0.1  | 11  |             |           | 40
    """
    assert plan(listed) == [
        # one of the two appointments needs one, so the call about both has one
        "1 Book an interpreter, then call with one; in the same call, speak about place 5 too",
        "2 Call",
        "3 Usual reminder; check that an interpreter is booked",
        "4 Usual reminder; any reminder goes to the parent or carer; confirm the transport that is booked",
        "5 Mention it in the call at place 1; check that an interpreter is booked",
        "6 Usual reminder",
    ]


def test_who_is_passed_over_still_needs_an_interpreter_at_the_appointment():
    listed = """
        appointment | patient | risk | interpreter
        a           | p       | 0.9  | yes
        b           | q       | 0.5  | no
    """
    assert plan(listed, muted=lambda call_by: np.arange(len(call_by)) == 0)[0] == (
        "1 Called lately; check that an interpreter is booked"
    )


def test_a_patient_whose_needs_are_not_known_is_called_as_before():
    listed = """
        appointment | risk | reason      | interpreter | transport | age
        a           | 0.9  | distance_km |             |           |
    """
    assert plan(listed) == ["1 Offer transport"]
    assert plan("appointment | risk\na | 0.9") == ["1 Call"]


def test_the_day_by_which_to_call_comes_last():
    listed = """
        appointment | risk | interpreter | transport
        a           | 0.9  | yes         | yes
    """
    assert plan(listed, call_working_days_before=2) == [
        "1 Book an interpreter, then call with one; confirm the transport that is booked, by Thu 26 Nov"
    ]


def test_words_of_a_trusts_own_that_name_no_call_are_kept_beside_the_need():
    own = (Action(do="Ring at home", kind="confirm", evidence="unproven"),)
    listed = "appointment | risk | interpreter | age\na | 0.9 | yes | 8"
    assert plan(listed, actions=own, default_action="Ring at home") == [
        "1 Book an interpreter, then call the parent or carer with one: ring at home"
    ]


def test_a_child_was_not_brought_and_did_not_miss_anything():
    assert with_words("Missed 3 of 5 past appointments", [need for need in NEEDS if need.column == "age_years"]) == (
        "Was not brought to 3 of 5 past appointments"
    )
    assert with_words("In this clinic about 8% of appointments are missed", NEEDS) == (
        "In this clinic about 8% of appointments are missed"
    )


def test_a_file_of_an_earlier_release_honours_needs_and_the_shipped_file_says_the_same():
    before = {name: value for name, value in SHIPPED.items() if name != "needs"}
    assert WorklistConfig.model_validate(before).needs == NEEDS
    assert WorklistConfig.model_validate(SHIPPED).needs == NEEDS
    assert WorklistConfig.model_validate(before | {"needs": []}).needs == ()


def test_what_is_held_for_monitoring_alone_cannot_be_a_need():
    assert not audit_only() & set(COLUMNS)
    for name in sorted(audit_only()):
        with pytest.raises(ValidationError, match="interpreter_needed"):
            Need.model_validate({"column": name, "before": "Book an interpreter", "why": "x"})


def test_a_need_can_be_a_call_to_the_parent_or_carer_whatever_the_age():
    need = Need.model_validate({"column": "carer_or_child", "whom": "the parent or carer", "why": "As agreed."})
    table = pa.table({"age_years": [12.0, 45.0, 45.0, None], "carer_or_child": [True, True, False, None]})
    needs = Needs.of(table, (need,))
    actions = [with_needs("Call and offer another time", needs.at(row)) for row in range(4)]
    called = "Call the parent or carer and offer another time"
    assert actions == [called, called, "Call and offer another time", "Call and offer another time"]
    with pytest.raises(ValidationError, match="'below' belongs to column 'age_years'"):
        Need.model_validate({"column": "carer_or_child", "below": 16, "whom": "the parent or carer", "why": "x"})


# Patients who are passed over, as the list says. From one list to the next: tests/spec/test_contacts.py.


def test_somebody_who_asked_not_to_be_called_is_told_apart_and_the_call_goes_to_the_next():
    listed = """
        appointment | patient | day | risk
        a           | p       | 10  | 0.9
        b           | p       | 12  | 0.8
        c           | q       | 10  | 0.5
        d           | r       | 10  | 0.1
    """
    excluded = np.array([OPTED_OUT, UNCALLED, REACHED, UNCALLED])
    made = plan_calls(appointments(listed), config=rules(), capacity=1, excluded=excluded).table.to_pylist()
    assert [row["action"] for row in made] == [
        "Asked not to be called",
        "Call",
        "Reached already",
        "Usual reminder",
    ]
    assert [row["selected"] for row in made] == [False, True, False, False]


def test_an_appointment_that_was_settled_is_not_mentioned_in_a_call_about_another():
    listed = """
        appointment | patient | day | risk
        a           | p       | 10  | 0.9
        b           | p       | 12  | 0.8
    """
    excluded = np.array([UNCALLED, REACHED])
    made = plan_calls(appointments(listed), config=rules(), capacity=2, excluded=excluded).table
    assert made["action"].to_pylist() == ["Call", "Reached already"]


def test_a_file_of_an_earlier_release_still_loads_and_has_words_for_the_new_actions():
    earlier = WorklistConfig.model_validate(
        {name: value for name, value in RULES.items() if not name.startswith(("reached", "opted"))}
    )
    assert "asked not to be called" in earlier.opted_out_action
    assert "already reached" in earlier.reached_action


# What is refused.


NEED = {"column": "interpreter_needed", "how": "with an interpreter", "why": "To be understood."}


@pytest.mark.parametrize(
    "said",
    [
        "Overbook this slot",
        "Double-book the slot",
        "Discharge back to the GP",
        "Delay the appointment",
        "Withhold further appointments",
        "Remove from the waiting list",
    ],
)
def test_prohibited_uses_are_refused_in_whatever_words_of_the_file(said: str):
    for change in (
        {"unselected_action": said},
        {"muted_action": said},
        {"opted_out_action": said},
        {"reached_action": said},
        {"outcomes": (said,)},
        {"actions": (*RULES["actions"], Action(do=said, kind="confirm", evidence="unproven"))},
        *({"needs": [NEED | {part: said}]} for part in ("before", "whom", "how", "also", "uncalled")),
        {"needs": [NEED | {"words": {"Missed": said}}]},
    ):
        with pytest.raises(ValidationError, match="never for overbooking"):
            rules(**change)
    with pytest.raises(ValidationError):
        rules(use="overbooking")


@pytest.mark.parametrize(
    ("need", "sentence"),
    [
        ({"column": "age_years", "whom": "the parent", "why": "x"}, "'below' belongs to column 'age_years'"),
        (NEED | {"below": 16}, "'below' belongs to column 'age_years', and to no other"),
        ({"column": "transport_booked", "why": "x"}, "names nothing to do"),
        ({"column": "transport_booked", "also": "x"}, "why"),
        (NEED | {"kind": "letter"}, "kind"),
    ],
)
def test_a_need_that_says_nothing_or_has_no_reason_is_refused(need, sentence):
    with pytest.raises(ValidationError, match=sentence):
        rules(needs=[need])
    with pytest.raises(ValidationError, match="named more than once"):
        rules(needs=[NEED, NEED])


def test_an_action_without_its_evidence_is_refused():
    with pytest.raises(ValidationError, match="evidence"):
        Action.model_validate({"do": "Call", "kind": "confirm"})
    with pytest.raises(ValidationError, match="nobody knows its evidence"):
        rules(default_action="Send a letter")
    with pytest.raises(ValidationError, match="'distance_km' has more than one action"):
        rules(actions=(*RULES["actions"], RULES["actions"][1]))


# Whether lists are still those that were audited.
AUDITED = """
    audited calls | audited rule  | calls now | rule now      | other lists
    --------------+---------------+-----------+---------------+------------
    100           | global        | 100       | global        | no
    100           | global        | 125       | global        | no
    100           | global        | 126       | global        | yes
    100           | global        | 74        | global        | yes
    0.1           | global        | 0.1       | global        | no
    0.1           | global        | 0.3       | global        | yes
    0.1           | global        | 100       | global        | yes
    0.1           | proportionate | 0.1       | global        | yes
    0.1           | floor         | 0.1       | proportionate | yes
"""


@pytest.mark.parametrize(
    ("then", "rule_then", "now", "rule_now", "other"),
    [[cell.strip() for cell in line.split("|")] for line in AUDITED.strip().splitlines()[2:]],
)
def test_lists_by_another_rule_or_with_a_quarter_more_or_fewer_calls_are_not_those_that_were_audited(
    then, rule_then, now, rule_now, other
):
    def config(calls: str, rule: str) -> WorklistConfig:
        number = {"capacity_share": float(calls), "capacity": None} if "." in calls else {"capacity": int(calls)}
        return rules(allocation=rule, **number)

    audited = call_rules(config(then, rule_then))
    assert differ_from_audited(config(now, rule_now), audited) == (other == "yes")


def test_a_team_that_was_not_audited_makes_other_lists():
    team = Team(name="Eye clinic desk", capacity=40, specialties=("130",))
    audited = call_rules(rules())
    assert differ_from_audited(rules(teams=(team,)), audited)
    assert differ_from_audited(rules(), call_rules(rules(teams=(team,))))
    assert differ_from_audited(rules(capacity_per=("week",)), audited)
    assert differ_from_audited(rules(allocation="floor", floor_share=0.5), call_rules(rules(allocation="floor")))

"""The audited list is the worked list: the same appointments, through the audit and through scoring.

Each table is a list, or the weeks of an extract, in its own order. `called` says who is called about an appointment:
with a call of its own, or mentioned in a call to the same patient.
"""

import datetime
from types import SimpleNamespace

import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pytest
from tests.spec.test_worklist import appointments, rules

from dnapredict.config.fairness_policy import Disclosure
from dnapredict.config.worklist_config import Team
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.validation.checked import NO_OPT_OUTS
from dnapredict.features.matrix import Matrix
from dnapredict.features.scoring_clock import LabelRule
from dnapredict.pipeline.audit_inputs import knows_cancellations, not_trained_on, since_monday
from dnapredict.pipeline.audited_lists import PastLists, assumptions, capacity_phrase, opted_out_phrase, replayed
from dnapredict.worklist.calls.known_contacts import KnownContacts
from dnapredict.worklist.plan.call_plan import plan_calls
from dnapredict.worklist.scorer import rows_without_call

LABEL = LabelRule(("3", "7"))
EYES, HEARTS = (
    Team(name="Eyes", capacity=1, specialties=("130",)),
    Team(name="Hearts", capacity=1, clinics=("H1",)),
)


def extract(text: str) -> pa.Table:
    """A list with what became of its appointments; an outcome of 5 where the table has none."""
    table = appointments(text)
    cells = [[cell.strip() for cell in line.split("|")] for line in text.strip().splitlines()]
    rows = [dict(zip(cells[0], line, strict=True)) for line in cells[1:]]
    starts = table["starts_local"].to_pylist()
    scored = [start - datetime.timedelta(days=7) for start in starts]
    recorded = [None if not row.get("recorded") else datetime.datetime(2026, 11, int(row["recorded"])) for row in rows]
    return (
        table.append_column("outcome_code", pa.array([row.get("outcome", "5") or None for row in rows]))
        .append_column("recorded_at", pa.array(recorded, pa.timestamp("us")))
        .append_column("scored_at", pa.array(scored, pa.timestamp("us")))
        .append_column("opt_out", pa.array([row.get("opt out") == "yes" for row in rows]))
        .append_column("called", pa.array([row.get("called", "") for row in rows]))
    )


def audited(table: pa.Table, **changes: object) -> list[str]:
    """The appointments that the audit takes as called about."""
    config = rules(**changes)
    lists = PastLists.of(Matrix(table, ()), outcomes=LABEL)
    called = replayed(lists, lists.matrix.table["probability"].to_numpy(), worklist=config, refused=NO_OPT_OUTS)
    return sorted(lists.matrix.table["appointment_id"].filter(pa.array(called[config.allocation])).to_pylist())


def scored(table: pa.Table, **changes: object) -> list[str]:
    """The appointments that a scored list calls about."""
    config = rules(**changes)
    excluded = rows_without_call(table, KnownContacts(), opted_out=NO_OPT_OUTS)
    plan = plan_calls(table, config=config, capacity=None, excluded=excluded).table
    about = [
        called or "Mention" in action
        for called, action in zip(*(plan[n].to_pylist() for n in ("selected", "action")), strict=True)
    ]
    return sorted(table["appointment_id"].filter(pa.array(about)).to_pylist())


WEEKS = {
    "the highest risks": (
        {},
        """
        appointment | patient | day | risk | called
        a           | p       | 23  | 0.2  |
        b           | q       | 24  | 0.5  | yes
        c           | r       | 25  | 0.4  | yes
        """,
    ),
    "one call is about both appointments of a patient": (
        {},
        """
        appointment | patient | day | risk | called
        a           | p       | 23  | 0.9  | yes
        b           | p       | 25  | 0.3  | yes
        c           | q       | 24  | 0.5  | yes
        d           | r       | 24  | 0.4  |
        """,
    ),
    "each team has calls of its own": (
        {"teams": (EYES, HEARTS), "capacity": 1},
        """
        appointment | patient | day | specialty | clinic | risk | called
        a           | p       | 23  | 130       | X      | 0.9  | yes
        b           | q       | 23  | 130       | X      | 0.8  |
        c           | r       | 23  | 320       | H1     | 0.3  | yes
        d           | s       | 23  | 100       | X      | 0.2  | yes
        e           | t       | 23  | 100       | X      | 0.1  |
        """,
    ),
    "each clinic has calls of its own": (
        {"capacity_per": ("clinic",), "capacity": 1},
        """
        appointment | patient | day | clinic | risk | called
        a           | p       | 23  | X      | 0.9  | yes
        b           | q       | 23  | X      | 0.8  |
        c           | r       | 23  | Y      | 0.1  | yes
        """,
    ),
    "who asked not to be called is not called about any appointment": (
        {},
        """
        appointment | patient | day | risk | opt out | called
        a           | p       | 23  | 0.9  | yes     |
        b           | p       | 25  | 0.8  |         |
        c           | q       | 23  | 0.2  |         | yes
        d           | r       | 23  | 0.3  |         | yes
        """,
    ),
    "calls shared by need": (
        {"allocation": "proportionate", "capacity": 2},
        """
        appointment | patient | day | decile | risk | called
        a           | p       | 23  | 1      | 0.3  | yes
        b           | q       | 23  | 1      | 0.2  |
        c           | r       | 23  | 9      | 0.5  | yes
        d           | s       | 23  | 9      | 0.4  |
        """,
    ),
    "of equal risks a hash of the identifier decides": (
        {},
        """
        appointment | patient | day | risk | called
        a           | p       | 23  | 0.1  |
        b           | q       | 23  | 0.3  |
        c           | r       | 23  | 0.3  | yes
        d           | s       | 23  | 0.3  | yes
        """,
    ),
}


@pytest.mark.parametrize("name", WEEKS)
def test_a_week_of_appointments_gets_the_same_calls_in_the_audit_and_when_it_is_scored(name):
    changes, text = WEEKS[name]
    table = extract(text)
    called = sorted(
        table["appointment_id"].filter(pa.array([cell == "yes" for cell in table["called"].to_pylist()])).to_pylist()
    )
    assert (scored(table, **changes), audited(table, **changes)) == (called, called)


def test_a_patient_who_was_called_is_not_called_again_for_the_same_clinic_within_the_mute_period():
    weeks = """
        appointment | patient | clinic | day | risk
        a           | p       | X      | 9   | 0.9
        b           | p       | X      | 17  | 0.9
        c           | q       | X      | 17  | 0.1
        d           | p       | Y      | 24  | 0.9
        e           | q       | Y      | 24  | 0.1
        f           | p       | X      | 30  | 0.9
    """
    # b is eight days after a call for clinic X; d is another clinic, and f is 21 days on.
    assert audited(extract(weeks), capacity=1) == ["a", "c", "d", "f"]
    assert audited(extract(weeks), capacity=1, mute_days=0) == ["a", "b", "d", "f"]


def test_an_appointment_that_is_cancelled_after_it_was_scored_takes_a_call_and_is_not_judged():
    """`recorded` is the day on which the outcome was recorded; each is scored seven days before."""
    week = """
        appointment | patient | day | risk | outcome | recorded
        a           | p       | 23  | 0.9  | 2       | 20
        b           | q       | 23  | 0.8  | 4       | 10
        c           | r       | 23  | 0.3  | 3       | 24
        d           | s       | 23  | 0.2  | 5       | 24
        e           | t       | 23  | 0.1  |         |
    """
    table = extract(week)
    assert audited(table) == ["a", "c"]
    lists = PastLists.of(Matrix(table, ()), outcomes=LABEL)
    assert lists.matrix.table["appointment_id"].to_pylist() == ["a", "c", "d", "e"]  # b was gone before
    assert lists.judged.table["appointment_id"].to_pylist() == ["c", "d"]


def test_where_nothing_tells_when_an_appointment_was_cancelled_it_was_gone_before():
    week = """
        appointment | patient | day | risk | outcome
        a           | p       | 23  | 0.9  | 2
        b           | q       | 23  | 0.3  | 3
    """
    assert audited(extract(week), capacity=1) == ["b"]


def _in_time(rows: ir.Table) -> str:
    return f"FROM {rows.get_name()} ORDER BY starts_local, appointment_id"


def test_lists_read_from_the_monday_of_a_test_are_those_of_the_whole_extract():
    """The test of the model begins on Wednesday 18 November; the week's only outcome before it keeps its list."""
    weeks = """
        appointment | patient | day | risk | outcome | recorded
        a           | p       | 9   | 0.9  | 5       | 10
        b           | q       | 11  | 0.8  | 2       | 6
        c           | r       | 16  | 0.7  | 3       | 17
        d           | s       | 17  | 0.6  | 2       | 16
        e           | t       | 18  | 0.5  | 2       | 17
        f           | u       | 19  | 0.4  |         |
        g           | v       | 24  | 0.3  | 5       | 25
        h           | w       | 25  | 0.2  | 2       |
        i           | x       | 30  | 0.1  |         |
    """
    whole, begins = Matrix(extract(weeks), ()), datetime.date(2026, 11, 18)
    stored = SimpleNamespace(manifest=SimpleNamespace(provenance=SimpleNamespace(test_from=begins)))
    with Workspace() as workspace:
        part = Matrix(workspace.fetch(_in_time(since_monday(workspace.keep(whole.table), workspace, of=begins))), ())
    assert part.table["appointment_id"].to_pylist() == list("cdefghi")
    lists = [
        not_trained_on(PastLists.of(matrix, outcomes=LABEL, knows_cancellations=known), stored, source="extract")
        for matrix, known in ((whole, None), (part, True))
    ]
    for each in lists:
        assert each.matrix.table["appointment_id"].to_pylist() == ["e", "f", "g"]
        assert each.cancelled.tolist() == [True, False, False]
        assert each.knows_cancellations


@pytest.mark.parametrize(
    ("outcomes", "recorded", "known"),
    [
        (["5", "3"], [None, None], True),
        (["5", "2"], [None, None], False),
        (["2", "4", "5"], [None, datetime.datetime(2026, 11, 2), None], True),
        (["2", "5"], [None, datetime.datetime(2026, 11, 2)], False),
    ],
)
def test_an_extract_knows_of_cancellations_if_it_says_when_one_was_recorded_or_has_none(outcomes, recorded, known):
    rows = pa.table({"outcome_code": outcomes, "recorded_at": pa.array(recorded, pa.timestamp("us"))})
    with Workspace() as workspace:
        checked = SimpleNamespace(rows=workspace.keep(rows))
        assert knows_cancellations(checked, workspace) is known


def test_a_share_of_a_list_counts_all_that_was_on_it():
    week = "appointment | patient | day | risk | outcome | recorded\n" + "\n".join(
        f"a{n} | p{n} | 23 | 0.{n} | {2 if n > 5 else 5} | {20 if n > 5 else 24}" for n in range(1, 10)
    )
    # A fifth of nine appointments is two calls; both go to appointments that are cancelled later.
    assert audited(extract(week), capacity=None, capacity_share=0.2) == ["a8", "a9"]


def test_a_week_with_a_bank_holiday_has_fewer_calls():
    """Christmas Day 2026 is a Friday; the list of a calling week holds what is due in it."""
    table = extract("appointment | risk\n" + "\n".join(f"a{n} | 0.5" for n in range(40)))
    days = np.array(["2026-12-24"] * 20 + ["2026-12-15"] * 20, dtype="datetime64[us]")
    table = table.set_column(table.column_names.index("starts_local"), "starts_local", pa.array(days))
    changes = {"capacity": 10, "capacity_per": ("week",)}
    called = audited(table, **changes)
    assert called == scored(table, **changes)
    assert len([name for name in called if int(name[1:]) < 20]) == 8
    assert len(called) == 18


def test_the_report_says_what_the_lists_were_taken_to_be(policy_rule):
    week = """
        appointment | patient | day | risk | outcome | recorded
        a           | p       | 23  | 0.9  | 2       |
        b           | q       | 23  | 0.3  | 3       |
    """
    said = assumptions(PastLists.of(Matrix(extract(week), ()), outcomes=LABEL), rules(), policy_rule)
    assert any("does not say when appointments were cancelled" in sentence for sentence in said)
    assert any("For 14 days the patient is then not called again for the same clinic" in sentence for sentence in said)
    assert capacity_phrase(rules(teams=(EYES,))) == (
        "the calls of each team in each week (Eyes 1), and for all other appointments 2 appointments of each week, "
        "those most likely to miss"
    )


@pytest.fixture
def policy_rule():
    from dnapredict.config.fairness_policy import Policy
    from dnapredict.config.loading import load, shipped

    return load(shipped("fairness/policy.toml"), Policy).disclosure


@pytest.mark.parametrize(
    ("people", "said"),
    [
        (0, ""),
        (2, "A few appointments were of patients who asked not to be called: no calls are spent on them."),
        (20, "About 40 appointments were of patients who asked not to be called: no calls are spent on them."),
    ],
)
def test_appointments_of_patients_who_asked_not_to_be_called_are_counted_for_page_one(people: int, said: str):
    """Each of them has two appointments on the list, and says so in one of them; forty others say nothing."""
    rows = [
        f"{name}{patient} | {name if patient >= people else ''}p{patient} | 23 | 0.{5 if name == 'a' else 4} | "
        f"{'yes' if patient < people and name == 'a' else ''}"
        for patient in range(40)
        for name in "ab"
    ]
    table = extract("\n".join(["appointment | patient | day | risk | opt out", *rows]))
    lists = PastLists.of(Matrix(table, ()), outcomes=LABEL)
    assert opted_out_phrase(lists, rules(), Disclosure(why="As agreed."), refused=NO_OPT_OUTS) == said

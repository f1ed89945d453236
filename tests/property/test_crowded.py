"""Where one identifier stands for very many appointments, what is counted is the same."""

import datetime
import random

import pyarrow as pa
from hypothesis import given, settings
from tests.examples import examples
from tests.property.test_history import appointments, contract_table
from tests.property.test_prepared_queries import SLOW

from dnapredict.data.engine.duckdb_engine import Workspace, compiled, placeholder
from dnapredict.data.engine.prepared_queries import Engine, PreparedQueries
from dnapredict.data.validation import contract_check
from dnapredict.features.booking_context import AROUND, other_bookings
from dnapredict.features.matrix import Past
from dnapredict.features.scoring_clock import Clock

CLOCK = Clock(7, 3)
OF_CANCELLED = ("2", "4")


@compiled
def counting(schema, crowded):
    known = placeholder("known", schema)
    return other_bookings(known, known, clock=CLOCK, crowded=crowded)


def counted(table: pa.Table, engine: Engine, *, crowded: bool) -> dict[int, tuple[int, ...]]:
    """What is counted around each row; a row with nothing around it is left out."""
    checked = contract_check.check(engine.keep(table), engine, source="table")
    rows = engine.materialise(checked.rows)
    found = engine.fetch(counting(rows.schema(), crowded).bind(known=rows)).to_pylist()
    counts = {row["row_number"]: tuple(int(row[name]) for name in AROUND) for row in found}
    return {number: around for number, around in counts.items() if any(around)}


def by_hand(table: pa.Table) -> dict[int, tuple[int, ...]]:
    """The same, appointment by appointment as the definition reads; times are those of winter."""
    rows = table.to_pylist()
    found = {row["row_number"]: _around(row, rows) for row in rows if row["patient_id"]}
    return {number: around for number, around in found.items() if any(around)}


def _around(row: dict, rows: list[dict]) -> tuple[int, ...]:
    moment = _scored_at(row)
    others = [
        other
        for other in rows
        if other["patient_id"] == row["patient_id"]
        and other["appointment_id"] != row["appointment_id"]
        and other["booked_at"] < moment
        and not (other["outcome_code"] in OF_CANCELLED and _known_at(other) < moment)
    ]
    apart = [abs((other["starts_at"].date() - row["starts_at"].date()).days) for other in others]
    booked_alike = [other["booked_at"].date() == row["booked_at"].date() for other in others]
    return apart.count(0), sum(days <= 14 for days in apart), sum(booked_alike)


def _scored_at(row: dict) -> datetime.datetime:
    return max(row["booked_at"], row["starts_at"] - datetime.timedelta(days=CLOCK.horizon_days))


def _known_at(row: dict) -> datetime.datetime:
    delayed = row["starts_at"] + datetime.timedelta(days=CLOCK.recording_delay_days)
    return max(row["recorded_at"] or delayed, _scored_at(row))


@settings(SLOW, max_examples=examples(12))
@given(appointments)
def test_bookings_around_an_appointment_are_counted_alike_by_pairs_by_sums_and_by_hand(drawn):
    table = contract_table(drawn)
    expected = by_hand(table)
    with Workspace() as workspace:
        assert counted(table, workspace, crowded=False) == expected
    with Workspace() as workspace:
        assert counted(table, workspace, crowded=True) == expected
    assert counted(table, PreparedQueries(), crowded=True) == expected


def drawn_for(patients: int, *, rows: int) -> pa.Table:
    """So many appointments of so many patients, booked over two months."""
    chance = random.Random(7)  # noqa: S311 - any appointments will do
    places = {"clinic_code": "EYE", "treatment_function_code": "130", "site_code": "RX1"}
    return contract_table(
        [
            {
                "patient_id": f"p{chance.randrange(patients)}",
                "booked": chance.randrange(60),
                "lead": chance.randrange(60),
                "delay": chance.choice([None, 0, 9]),
                "outcome_code": chance.choice(["2", "3", "4", "5", None]),
            }
            | places
            for _ in range(rows)
        ]
    )


def test_a_patient_of_hundreds_of_appointments_has_the_same_counts_by_sums():
    table = drawn_for(2, rows=600)
    with Workspace() as workspace:
        assert counted(table, workspace, crowded=True) == by_hand(table)


def is_crowded(table: pa.Table) -> bool:
    with Workspace() as workspace:
        checked = contract_check.check(workspace.keep(table), workspace, source="table")
        return Past.of(workspace.materialise(checked.rows), clock=CLOCK, workspace=workspace).crowded


def test_sums_are_taken_where_pairs_would_be_very_many_and_nowhere_else():
    assert is_crowded(drawn_for(2, rows=5_000))
    assert not is_crowded(drawn_for(1_000, rows=5_000))
    assert not is_crowded(drawn_for(2, rows=1_000))  # pairs of so few rows are quick

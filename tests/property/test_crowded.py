"""Where one identifier stands for very many appointments, what is counted is the same."""

import datetime

import pyarrow as pa
from hypothesis import given, settings
from tests.property.test_handful import SLOW
from tests.property.test_history import appointments, contract_table

from dnapredict.data import contract
from dnapredict.data.engines import Engine
from dnapredict.data.handful.engine import Handful
from dnapredict.data.plan import compiled, placeholder
from dnapredict.data.workspace import Workspace
from dnapredict.features.bookings import AROUND, other_bookings
from dnapredict.features.clock import Clock

CLOCK = Clock(7, 3)
OF_CANCELLED = ("2", "4")


@compiled
def counting(schema, crowded):
    known = placeholder("known", schema)
    return other_bookings(known, known, clock=CLOCK, crowded=crowded)


def counted(table: pa.Table, engine: Engine, *, crowded: bool) -> dict[int, tuple[int, ...]]:
    """What is counted around each row; a row with nothing around it is left out."""
    checked = contract.check(engine.keep(table), engine, source="table")
    rows = engine.settled(checked.rows)
    found = engine.fetch(counting(rows.schema(), crowded).over(known=rows)).to_pylist()
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


@settings(SLOW, max_examples=40)
@given(appointments)
def test_bookings_around_an_appointment_are_counted_alike_by_pairs_by_sums_and_by_hand(drawn):
    table = contract_table(drawn)
    expected = by_hand(table)
    with Workspace() as workspace:
        assert counted(table, workspace, crowded=False) == expected
    with Workspace() as workspace:
        assert counted(table, workspace, crowded=True) == expected
    assert counted(table, Handful(), crowded=True) == expected

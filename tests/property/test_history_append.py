"""A history that takes in an extract part by part holds what one of the whole extract holds, byte for byte."""

import tempfile
from pathlib import Path

import hypothesis.strategies as st
import pyarrow as pa
import pytest
from hypothesis import given
from tests.property.test_history import appointments, contract_table
from tests.property.test_history_store import CLOCK, SLOW, row, stored, without_outcome

from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.validation import contract_check
from dnapredict.errors import DataError, StoreError
from dnapredict.features.scoring_clock import Clock
from dnapredict.features.store.history_store import HistoryStore


def appended(store: HistoryStore, table: pa.Table, place: Path, *, clock: Clock = CLOCK) -> tuple[HistoryStore, tuple]:
    """The store with `table` appended, and how many rows were added, updated and unchanged."""
    with Workspace() as workspace:
        checked = contract_check.check(workspace.keep(table), workspace, source="extract.csv")
        new, found = store.append(checked.rows, place, clock=clock, workspace=workspace, source="extract.csv")
    return new, (found.added, found.updated, found.unchanged)


def contents(store: HistoryStore) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in store.folder.iterdir()}


def with_outcomes_where(table: pa.Table, known: list[bool]) -> pa.Table:
    """The table as it was before the other outcomes were known."""
    for name in ("outcome_code", "recorded_at"):
        column = table[name].combine_chunks()
        kept = pa.array([value if k else None for value, k in zip(column.to_pylist(), known, strict=True)], column.type)
        table = table.set_column(table.column_names.index(name), name, kept)
    return table


@SLOW
@given(appointments, st.data())
def test_appending_equals_writing_the_whole(drawn, data):
    """Of each appointment the first extract holds nothing, the booking, or the booking and its outcome."""
    table = contract_table(drawn)
    n = len(drawn)
    states = data.draw(st.lists(st.sampled_from(["absent", "booked", "known"]), min_size=n, max_size=n))
    states[0] = "known"
    first = with_outcomes_where(table, [state == "known" for state in states])
    first = first.filter(pa.array([state != "absent" for state in states]))
    repeated = data.draw(st.lists(st.booleans(), min_size=n, max_size=n))
    second = table.filter(pa.array([state != "known" or again for state, again in zip(states, repeated, strict=True)]))
    with tempfile.TemporaryDirectory() as place:
        whole = contents(stored(table, Path(place) / "whole"))
        store = stored(first, Path(place) / "parts")
        if second.num_rows:
            store, _ = appended(store, second, Path(place) / "parts")
        assert {name for name in whole if contents(store)[name] != whole[name]} == set()


def test_each_row_is_added_given_its_outcome_or_skipped(tmp_path):
    table = contract_table([row("p", "3"), row("p", "5"), row("q", "5"), row("r", "3")])
    first = with_outcomes_where(table, [True, False, True, True]).slice(0, 3)
    store, counts = appended(stored(first, tmp_path), table, tmp_path)
    assert counts == (1, 1, 2)
    assert HistoryStore.current(tmp_path) == store


@pytest.mark.parametrize(
    "changed",
    [
        {"outcome_code": "5"},
        {"site_code": "RX9"},
        {"treatment_function_code": "320"},
        {"patient_id": "z"},
        {"lead": 11},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_another_change_of_a_stored_appointment_is_refused_and_nothing_is_written(tmp_path, changed):
    store = stored(contract_table([row("p", "3"), row("q", "5")]), tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError, match=r"^extract\.csv: 1 appointments are in the history .* without --append"):
        appended(store, contract_table([row("p", "3") | changed]), tmp_path)
    assert sorted(tmp_path.rglob("*")) == before
    assert HistoryStore.current(tmp_path) == store


def test_an_outcome_that_is_taken_back_is_refused(tmp_path):
    table = contract_table([row("p", "3")])
    with pytest.raises(DataError, match="with other values"):
        appended(stored(table, tmp_path), without_outcome(table), tmp_path)


@pytest.mark.parametrize("clock", [Clock(14, 3), Clock(7, 5)], ids=["horizon", "recording delay"])
def test_rows_counted_by_another_clock_are_not_mixed_in(tmp_path, clock):
    store = stored(contract_table([row("p", "3")]), tmp_path)
    with pytest.raises(StoreError, match=r"another (horizon|recording delay).*dnapredict refresh"):
        appended(store, contract_table([row("p", "3")]), tmp_path, clock=clock)

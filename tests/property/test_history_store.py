"""A history store changes no factor: asked for one appointment or for all, it answers as the whole would."""

import json
import tempfile
from pathlib import Path

import hypothesis.strategies as st
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from tests.examples import examples
from tests.property.test_history import appointments, contract_table
from tests.spec.appointments import BOTH, factors_of

from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.engine.prepared_queries import borrow_engine
from dnapredict.data.files.digests import file_sha256
from dnapredict.data.validation import contract_check
from dnapredict.errors import StoreError
from dnapredict.features.factors import EXPRESSIONS
from dnapredict.features.matrix import question
from dnapredict.features.scoring_clock import Clock, LabelRule
from dnapredict.features.store import store_files
from dnapredict.features.store.history_store import HistoryStore

CLOCK = Clock(7, 3)
# Each example asks a store many times: a failing one is shown as it is found, not made smaller.
SLOW = settings(
    max_examples=examples(6),
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow],
)


def stored(table: pa.Table, place: Path, *, clock: Clock = CLOCK) -> HistoryStore:
    with Workspace() as workspace:
        checked = contract_check.check(workspace.keep(table), workspace, source="table")
        return HistoryStore.write(checked.rows, place, clock=clock, workspace=workspace)


# A store of an earlier version cannot give the rates of providers and places.
EARLIER = tuple(name for name in EXPRESSIONS if name not in ("provider_rate", "place_rate"))


def asked(
    store: HistoryStore, table: pa.Table, *, clock: Clock = CLOCK, factors: tuple[str, ...] | None = None
) -> dict[str, dict]:
    """The factors of the appointments in `table`, known from the store."""
    with borrow_engine(rows=table.num_rows) as workspace:
        checked = contract_check.check(workspace.keep(table), workspace, source="table")
        points = workspace.materialise(checked.rows)
        asked = question(
            points,
            past := store.past(points, clock=clock, workspace=workspace),
            factors=factors or (tuple(EXPRESSIONS) if past.with_unidentified else EARLIER),
            clock=clock,
            outcomes=LabelRule(BOTH),
            extra_columns=(),
            order_by=["appointment_id"],
        )
        return {row["appointment_id"]: row for row in workspace.fetch(asked).to_pylist()}


def same(one: dict, other: dict) -> bool:
    return all(
        one[name] == (None if other[name] is None else pytest.approx(other[name], abs=1e-12)) for name in EXPRESSIONS
    )


def without_outcome(table: pa.Table) -> pa.Table:
    names = ("outcome_code", "recorded_at")
    return table.drop_columns([name for name in names if name in table.column_names])


@SLOW
@given(appointments)
def test_one_appointment_at_a_time_equals_all_at_once(drawn):
    table = contract_table(drawn)
    whole = factors_of(table)
    with tempfile.TemporaryDirectory() as place:
        store = stored(table, Path(place))
        for number in range(table.num_rows):
            one = without_outcome(table.slice(number, 1))
            name = one["appointment_id"][0].as_py()
            assert same(asked(store, one)[name], whole[name]), name
        together = asked(store, table)
    assert all(same(together[name], whole[name]) for name in whole)


@SLOW
@given(appointments, st.data())
def test_past_appointments_in_a_request_count_once_whether_the_store_holds_them_or_not(drawn, data):
    drawn = [one | {"patient_id": one["patient_id"] or "r"} for one in drawn]
    table = contract_table(drawn)
    held = data.draw(st.lists(st.booleans(), min_size=table.num_rows, max_size=table.num_rows))
    if not any(held):
        held[0] = True
    with tempfile.TemporaryDirectory() as place:
        store = stored(table.filter(pa.array(held)), Path(place))
        found = asked(store, table)
    whole = factors_of(table)
    assert all(same(found[name], whole[name]) for name in whole)


@SLOW
@given(appointments, st.data())
def test_bookings_without_a_patient_in_a_request_count_once_whether_the_store_holds_them_or_not(drawn, data):
    """The request may also lack the patient whom the store knows, or know one whom the store lacks."""
    drawn = [one | {"booked": one["booked"] % 4, "lead": 9 + one["lead"] % 2} for one in drawn]
    whole, patients = contract_table(drawn), st.sampled_from(["p", None])
    known = data.draw(st.lists(patients, min_size=whole.num_rows, max_size=whole.num_rows))
    held = data.draw(st.lists(st.booleans(), min_size=whole.num_rows, max_size=whole.num_rows))
    held[0] = True
    as_asked = whole.set_column(whole.column_names.index("patient_id"), "patient_id", pa.array(known, pa.string()))
    expected = factors_of(whole)
    with tempfile.TemporaryDirectory() as place:
        store = stored(whole.filter(pa.array(held)), Path(place))
        together = asked(store, as_asked)
        alone = asked(stored(whole, Path(place)), without_outcome(as_asked.slice(0, 1)))
    for name in ("booked_together", "booked_just_before"):
        assert {each: row[name] for each, row in together.items()} == {
            each: row[name] for each, row in expected.items()
        }
        assert alone["a00"][name] == expected["a00"][name]


def test_a_store_of_an_earlier_version_counts_as_it_did(tmp_path):
    """It has no list of bookings and counts none without a patient; nothing can be appended to it."""
    table = contract_table([row(patient, "5") | {"lead": 30} for patient in ("p", "q", "r")])
    points = contract_table([row(patient, "5") | {"lead": 30} for patient in (None, None, "p")])
    points = without_outcome(points.set_column(1, "appointment_id", pa.array(["new1", "new2", "a00"])))
    earlier = as_of_an_earlier_version(stored(table, tmp_path))
    counts = {name: found["booked_together"] for name, found in asked(earlier, points).items()}
    assert counts == {"new1": 3, "new2": 3, "a00": 2}
    now = {name: found["booked_together"] for name, found in asked(stored(table, tmp_path), points).items()}
    assert now == {"new1": 4, "new2": 4, "a00": 4}
    with Workspace() as workspace:
        rows = contract_check.check(workspace.keep(table), workspace, source="table").rows
        with pytest.raises(StoreError, match=r"earlier version.*without a patient number.*without --append"):
            earlier.append(rows, tmp_path, clock=CLOCK, workspace=workspace, source="extract.csv")


def test_a_store_of_an_earlier_version_is_not_asked_for_rates_that_it_does_not_have(tmp_path):
    table = contract_table([row("p", "5"), row("q", "3")])
    earlier = as_of_an_earlier_version(stored(table, tmp_path))
    assert asked(earlier, table, factors=("site_rate", "lead_days"))["a00"]["lead_days"] == 10
    with pytest.raises(StoreError, match=r"did not count outcomes by provider and place.*dnapredict refresh"):
        asked(earlier, table, factors=("place_rate",))


def as_of_an_earlier_version(store: HistoryStore) -> HistoryStore:
    """The same history in the files of form 3; every patient of it is known."""
    (store.folder / "bookings.arrow").unlink()
    manifest = store.folder / "store.json"
    about = json.loads(manifest.read_text())
    about["form"] = 3
    del about["files"]["bookings.arrow"]
    manifest.write_text(json.dumps(about, indent=1) + "\n")
    return HistoryStore(store.folder, file_sha256(manifest))


def test_a_store_is_swapped_whole_and_the_old_one_still_answers(tmp_path):
    before = contract_table([row("p", "3"), row("q", "5")])
    first = stored(before, tmp_path)
    second = stored(contract_table([row("p", "5")]), tmp_path)
    assert HistoryStore.current(tmp_path) == second
    point = without_outcome(contract_table([row("p", "5") | {"booked": 50, "lead": 9}]))
    point = point.set_column(1, "appointment_id", pa.array(["new"]))
    assert asked(first, point)["new"]["past_dnas"] == 1
    assert asked(second, point)["new"]["past_dnas"] == 0


def test_a_store_keeps_only_what_factors_read(tmp_path):
    store = stored(contract_table([row("p", "3")]), tmp_path)
    kept = pa.ipc.open_file(store.folder / "appointments.arrow").schema.names
    assert not {"ethnic_category_code", "age_years", "gender_code", "lsoa_code", "imd_decile"} & set(kept)


def test_a_store_for_another_delay_or_a_damaged_one_says_what_to_do(tmp_path):
    store = stored(contract_table([row("p", "3")]), tmp_path)
    point = without_outcome(contract_table([row("p", "3")]))
    with pytest.raises(StoreError, match=r"another recording delay.*dnapredict refresh"):
        asked(store, point, clock=Clock(7, 5))
    (store.folder / "appointments.arrow").write_bytes(b"cut short")
    with pytest.raises(StoreError, match=r"damaged.*dnapredict refresh"):
        asked(HistoryStore(store.folder, store.digest), point)


@pytest.fixture(scope="module")
def small_store(tmp_path_factory: pytest.TempPathFactory) -> HistoryStore:
    place = tmp_path_factory.mktemp("history")
    return stored(contract_table([row("p", "3"), row("q", "5"), row("q", "3")]), place)


@settings(max_examples=examples(300), deadline=None)
@given(st.data())
def test_any_single_byte_that_changes_in_any_file_of_a_store_is_refused(small_store: HistoryStore, data):
    place = small_store.folder.parent
    path = data.draw(st.sampled_from(sorted(path for path in place.rglob("*") if path.is_file())))
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != whole[at]))
    path.write_bytes(whole[:at] + bytes([byte]) + whole[at + 1 :])
    try:
        with pytest.raises(StoreError, match=r"(damaged|missing).*dnapredict refresh"):
            read_anew(place)
    finally:
        path.write_bytes(whole)


def read_anew(place: Path) -> None:
    """As a process does that opens the store for the first time."""
    store_files._OPEN.clear()
    store = HistoryStore.current(place)
    assert store is not None
    store.verify()


def test_a_sound_store_is_read_anew(small_store: HistoryStore):
    read_anew(small_store.folder.parent)


def test_files_that_were_refused_are_hashed_again_only_when_they_were_written(tmp_path, monkeypatch):
    store = stored(contract_table([row("p", "3")]), tmp_path)
    path = store.folder / "minutes.arrow"
    whole, hashed = path.read_bytes(), []
    path.write_bytes(whole[:-1] + b"x")
    monkeypatch.setattr(store_files, "file_sha256", lambda path: hashed.append(path) or file_sha256(path))
    for _ in range(2):
        with pytest.raises(StoreError, match=r"minutes\.arrow: is damaged"):
            store.verify()
    assert len(hashed) == 7  # each file once
    path.write_bytes(whole)
    store.verify()


def test_a_store_whose_writing_fails_leaves_nothing_behind(tmp_path, monkeypatch):
    first = stored(contract_table([row("p", "3")]), tmp_path)
    before = sorted(path.name for path in tmp_path.iterdir())

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store_files, "_settled", full)
    with pytest.raises(StoreError, match="cannot be written"):
        stored(contract_table([row("q", "5")]), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert HistoryStore.current(tmp_path) == first


def row(patient: str, outcome: str) -> dict:
    places = {"clinic_code": "EYE", "treatment_function_code": "130", "site_code": "RX1"}
    return {"patient_id": patient, "booked": 0, "lead": 10, "delay": None, "outcome_code": outcome} | places

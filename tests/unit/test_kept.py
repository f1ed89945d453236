"""Lists that are kept: found again as they were, with a heading that says what they are."""

import datetime
import logging
import os
import secrets
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.examples import examples
from tests.unit.test_latest import WORKLIST

from dnapredict.errors import StoreError
from dnapredict.worklist.files import latest_list, list_store
from dnapredict.worklist.files.excel_worklist import Note
from dnapredict.worklist.files.kept_list import Counts, Heading, KeptList

NOTE = Note(("A list", "Never for overbooking"), (("Bands", (("20 of 100", "High"),)),), outcomes=("Confirmed",))
NINE = datetime.datetime(2026, 11, 23, 9, tzinfo=datetime.UTC)


def keep(home: Path, *, hour: int = 9) -> Heading:
    heading = Heading(
        list_id=secrets.token_hex(8),
        name="week-47.csv",
        created_at=NINE.replace(hour=hour),
        model_version="7",
        synthetic=True,
        counts=Counts.of(WORKLIST),
        note=NOTE,
    )
    list_store.keep(home, KeptList(heading, WORKLIST))
    return heading


def test_a_list_is_found_again_with_its_heading_and_its_note(tmp_path: Path) -> None:
    heading = keep(tmp_path)
    found = list_store.find(tmp_path, heading.list_id)
    assert found is not None
    assert found.heading == heading
    assert found.heading.note == NOTE
    assert found.heading.counts == Counts(appointments=3, selected=1, not_scored=1)
    assert found.worklist.to_pylist() == WORKLIST.to_pylist()


def test_headings_come_newest_first_and_damaged_files_are_left_out(tmp_path: Path) -> None:
    headings = [keep(tmp_path, hour=hour) for hour in (9, 11, 10)]
    (tmp_path / "lists" / ("0" * 16 + ".parquet")).write_bytes(b"zebra")
    pq.write_table(WORKLIST, tmp_path / "lists" / ("1" * 16 + ".parquet"))
    assert list_store.headings(tmp_path) == tuple(headings[place] for place in (1, 2, 0))


@pytest.mark.parametrize("name", ["0" * 16, "../latest", "x", "", "A" * 16])
def test_what_is_not_there_is_none(tmp_path: Path, name: str) -> None:
    keep(tmp_path)
    assert list_store.find(tmp_path, name) is None


def test_a_damaged_list_is_named_without_its_content(tmp_path: Path) -> None:
    heading = keep(tmp_path)
    (tmp_path / "lists" / f"{heading.list_id}.parquet").write_bytes(b"zebra-4711")
    with pytest.raises(StoreError, match=r"\.parquet: the list cannot be read") as refused:
        list_store.find(tmp_path, heading.list_id)
    assert "zebra" not in str(refused.value)


def test_a_list_that_is_lost_is_told_and_one_that_was_removed_in_its_time_is_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lost, removed, there = keep(tmp_path), keep(tmp_path), keep(tmp_path)
    (tmp_path / "lists" / f"{lost.list_id}.parquet").unlink()
    list_store.forget(tmp_path / "lists" / f"{removed.list_id}.parquet")
    with pytest.raises(StoreError, match=r"the list scored on 2026-11-23 is lost\. Restore it from a backup"):
        list_store.find(tmp_path, lost.list_id)
    assert list_store.find(tmp_path, removed.list_id) is None
    assert list_store.headings(tmp_path) == (there,)
    (record,) = caplog.records
    assert f"{lost.list_id}.parquet: the list scored on 2026-11-23 is lost" in record.message


def test_a_damaged_marker_of_a_lost_list_is_not_repeated(tmp_path: Path) -> None:
    path = tmp_path / "lists" / f"{keep(tmp_path).list_id}.parquet"
    path.unlink()
    path.with_suffix(".kept").write_text("9434765919")
    with pytest.raises(StoreError, match="scored on an unknown day is lost") as refused:
        list_store.find(tmp_path, path.stem)
    assert "9434765919" not in str(refused.value)


def test_an_older_copy_of_a_list_of_which_a_row_was_corrected_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "lists" / f"{keep(tmp_path).list_id}.parquet"
    older = path.read_bytes()
    for _ in range(2):
        found = list_store.find(tmp_path, path.stem)
        assert found is not None
        list_store.keep_changed(tmp_path, found)
    newest = path.read_bytes()
    path.write_bytes(older)
    with pytest.raises(StoreError, match="is an older copy: a row of this list was corrected later"):
        list_store.find(tmp_path, path.stem)
    assert list_store.headings(tmp_path) == ()
    assert "is an older copy" in caplog.text
    assert [said for said in list_store.damaged(tmp_path) if "is an older copy" in said]
    path.write_bytes(newest)
    path.unlink()
    with pytest.raises(StoreError, match="the list scored on 2026-11-23 is lost"):
        list_store.find(tmp_path, path.stem)


def test_a_corrected_list_is_kept_also_where_its_marker_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heading = keep(tmp_path)
    found = list_store.find(tmp_path, heading.list_id)
    assert found is not None

    def full(*_: object, **__: object) -> None:
        raise StoreError("No space left on device")

    monkeypatch.setattr(list_store, "write_private", full)
    monkeypatch.setattr(list_store, "write_count", full)
    list_store.keep_changed(tmp_path, found)
    assert list_store.find(tmp_path, heading.list_id) is not None


def test_a_list_without_its_heading_is_scored_again(tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    pq.write_table(WORKLIST, tmp_path / "lists" / ("1" * 16 + ".parquet"))
    with pytest.raises(StoreError, match=r"has no valid heading\. Score it again"):
        list_store.find(tmp_path, "1" * 16)


def test_a_line_is_found_by_its_place_if_it_was_scored(tmp_path: Path) -> None:
    found = list_store.find(tmp_path, keep(tmp_path).list_id)
    assert found is not None
    lines = [found.row_at(number) for number in (0, 1, 2, 3, 4)]
    assert [line and line["appointment_id"] for line in lines] == [None, "b", "a", None, None]
    assert found.calls == ["b"]


def test_what_is_kept_of_the_latest_has_the_same_shape(tmp_path: Path) -> None:
    starts_at = pa.array([datetime.datetime(2026, 7, 1, 9), None, None], pa.timestamp("us"))
    worklist = WORKLIST.append_column("starts_at", starts_at)
    kept = KeptList.new(worklist, name="w", model_version="7", synthetic=False, note=NOTE)
    last = latest_list.save_latest(tmp_path, kept)
    assert last.page_rows.schema == kept.page_rows.schema
    assert last.page_rows["starts_at"].to_pylist() == worklist["starts_at"].to_pylist()
    assert last.heading == kept.heading.model_copy(update={"page_only": True, "ends_at": None})
    assert latest_list.latest(tmp_path) == list_store.newest(tmp_path) == last
    assert list_store.find_shown(tmp_path, last.heading.list_id) == last
    assert list_store.headings(tmp_path) == (last.heading,)
    list_store.keep(tmp_path, kept)
    assert list_store.newest(tmp_path) == list_store.find_shown(tmp_path, last.heading.list_id) == kept
    assert list_store.headings(tmp_path) == (kept.heading,)


@settings(max_examples=examples(200), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_byte_of_a_kept_list_that_changes_is_refused(tmp_path: Path, data: st.DataObject) -> None:
    list_id = keep(tmp_path).list_id
    path = tmp_path / "lists" / f"{list_id}.parquet"
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != whole[at]))
    path.write_bytes(whole[:at] + bytes([byte]) + whole[at + 1 :])
    with pytest.raises(StoreError, match=r"the list (is damaged|cannot be read|has no valid heading)"):
        list_store.find(tmp_path, list_id)


def test_a_list_under_the_name_of_another_is_refused(tmp_path: Path) -> None:
    one, other = keep(tmp_path), keep(tmp_path)
    folder = tmp_path / "lists"
    shutil.copy(folder / f"{one.list_id}.parquet", folder / f"{other.list_id}.parquet")
    with pytest.raises(StoreError, match=r"the list is damaged; it is not what was kept\. Score it again"):
        list_store.find(tmp_path, other.list_id)


def test_a_list_that_was_kept_by_an_earlier_version_is_found(tmp_path: Path) -> None:
    heading = keep(tmp_path)
    path = tmp_path / "lists" / f"{heading.list_id}.parquet"
    before = {b"dnapredict.list": heading.model_dump_json().encode()}
    pq.write_table(WORKLIST.replace_schema_metadata(before), path)
    found = list_store.find(tmp_path, heading.list_id)
    assert found is not None
    assert found.heading == heading
    assert list_store.headings(tmp_path) == (heading,)


def test_a_damaged_list_is_said_in_the_log_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "lists" / f"{keep(tmp_path).list_id}.parquet"
    path.write_bytes(path.read_bytes()[:-9])
    with caplog.at_level(logging.ERROR):
        assert [list_store.headings(tmp_path) for _ in range(2)] == [(), ()]
    assert caplog.text.count("the list is damaged") == 1


def test_a_named_pipe_among_the_lists_is_no_list_and_keeps_nobody_waiting(tmp_path: Path) -> None:
    heading = keep(tmp_path)
    for name in ("0" * 16 + ".parquet", "latest.json"):
        os.mkfifo(tmp_path / "lists" / name)
    assert list_store.kept_files(tmp_path) == [tmp_path / "lists" / f"{heading.list_id}.parquet"]
    assert list_store.find(tmp_path, "0" * 16) is None
    with pytest.raises(StoreError, match=r"latest\.json: cannot be read"):
        latest_list.latest(tmp_path)
    assert list_store.headings(tmp_path) == (heading,)

"""The list scored last, kept for the page."""

import datetime
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnapredict.data.files.digests import unsealed_json
from dnapredict.errors import StoreError
from dnapredict.worklist.files import latest_list
from dnapredict.worklist.files.kept_list import Counts, KeptList

WORKLIST = pa.table(
    {
        "appointment_id": ["b", "a", None],
        "probability": pa.array([0.5, 0.25, None]),
        "band": ["High", "Lower", None],
        "rank": pa.array([1, 2, None], pa.int64()),
        "selected": pa.array([True, False, None]),
        "action": ["Call", "", None],
        "reason_1": ["Booked 9 weeks ago", None, None],
        "reason_2": pa.array([None] * 3, pa.string()),
        "reason_3": pa.array([None] * 3, pa.string()),
        "model_version": ["7"] * 3,
        "error": [None, None, "has no appointment_id"],
    }
)


def keep(home: Path, worklist: pa.Table = WORKLIST, *, name: str = "week-47.csv") -> KeptList:
    return latest_list.save_latest(home, KeptList.new(worklist, name=name, model_version="7", synthetic=True))


def test_there_is_none_before_the_first(tmp_path: Path) -> None:
    assert latest_list.latest(tmp_path) is None


def test_what_is_saved_is_read_back(tmp_path: Path) -> None:
    saved = keep(tmp_path)
    assert latest_list.latest(tmp_path) == saved
    assert saved.heading.counts == Counts(appointments=3, selected=1, not_scored=1)
    assert saved.worklist["appointment_id"].to_pylist() == ["b", "a", None]
    assert saved.worklist["reason_1"].to_pylist() == ["Booked 9 weeks ago", None, None]
    assert saved.heading.created_at.utcoffset() == datetime.timedelta(0)


def test_a_time_is_kept_as_utc_and_columns_that_no_page_shows_are_left_out(tmp_path: Path) -> None:
    starts_at = pa.array([datetime.datetime(2026, 7, 1, 9), None, None], pa.timestamp("us"))
    worklist = WORKLIST.append_column("starts_at", starts_at).append_column("secret", pa.array(["zebra"] * 3))
    saved = keep(tmp_path, worklist)
    assert saved.worklist["starts_at"].to_pylist() == [datetime.datetime(2026, 7, 1, 9), None, None]
    text = (tmp_path / "lists" / "latest.json").read_text()
    assert '"starts_at":"2026-07-01T09:00:00Z"' in text
    assert "zebra" not in text


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    keep(tmp_path)
    assert (tmp_path / "lists" / "latest.json").stat().st_mode & 0o077 == 0


def test_a_list_longer_than_a_page_can_hold_is_cut_and_counted_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latest_list, "KEPT_ROWS", 1)
    saved = keep(tmp_path)
    assert saved.worklist.num_rows == 1
    assert saved.heading.counts.appointments == 3


def test_a_damaged_list_is_named_without_its_content(tmp_path: Path) -> None:
    keep(tmp_path)
    (tmp_path / "lists" / "latest.json").write_text('{"name": "zebra-4711"}')
    with pytest.raises(StoreError, match=r"latest\.json: is damaged\. Score a list again") as refused:
        latest_list.latest(tmp_path)
    assert "zebra-4711" not in str(refused.value)


def test_a_home_that_cannot_be_written_to_leaves_nothing_behind(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.write_text("a file where the folder should be")
    with pytest.raises(StoreError, match="cannot be written"):
        keep(home)


@given(name=st.text(max_size=40))
def test_any_name_survives(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    home = tmp_path_factory.mktemp("home")
    keep(home, name=name)
    kept = latest_list.latest(home)
    assert kept is not None
    assert kept.heading.name == name


@given(st.data())
def test_any_byte_that_changes_is_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    home = tmp_path_factory.getbasetemp() / "any-byte"
    keep(home)
    path = home / "lists" / "latest.json"
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != whole[at]))
    path.write_bytes(whole[:at] + bytes([byte]) + whole[at + 1 :])
    with pytest.raises(StoreError, match=r"latest\.json: is damaged\. Score a list again to replace it"):
        latest_list.latest(home)


def test_a_list_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    saved = keep(tmp_path)
    path = tmp_path / "lists" / "latest.json"
    path.write_bytes(unsealed_json(path.read_bytes()) or b"")
    assert latest_list.latest(tmp_path) == saved

"""The outcome store: whole, sealed, private, the same bytes for the same rows."""

import stat
from pathlib import Path

import pyarrow as pa
import pytest

from dnapredict.data.files import digests
from dnapredict.errors import StoreError
from dnapredict.worklist.follow_up.outcome_store import OUTCOME_SCHEMA, OutcomeStore


def rows_of(*appointments: str) -> pa.Table:
    rows = [{"appointment": each, "probability": 0.25, "rank": number} for number, each in enumerate(appointments)]
    return pa.Table.from_pylist(rows, schema=OUTCOME_SCHEMA)


def test_rows_come_back_by_appointment_with_the_agreed_columns(tmp_path: Path) -> None:
    OutcomeStore(tmp_path).write(rows_of("b", "a"))
    read = OutcomeStore(tmp_path).read()
    assert read.schema.equals(OUTCOME_SCHEMA)
    assert read["appointment"].to_pylist() == ["a", "b"]
    assert OutcomeStore(tmp_path).read(["rank"]).to_pydict() == {"rank": [1, 0]}


def test_the_order_of_rows_does_not_change_the_file(tmp_path: Path) -> None:
    store = OutcomeStore(tmp_path)
    store.write(rows_of("a", "b").take([1, 0]))
    first = store.path.read_bytes()
    store.write(rows_of("a", "b"))
    assert store.path.read_bytes() == first


def test_only_the_owner_may_read_the_file(tmp_path: Path) -> None:
    store = OutcomeStore(tmp_path)
    store.write(rows_of("a"))
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(store.path.parent.stat().st_mode) == 0o700


def test_a_missing_store_names_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"no outcomes were read in this home yet\. Run 'dnapredict outcomes EXTRACT'"):
        OutcomeStore(tmp_path).read()


@pytest.mark.parametrize("position", [10, -20, -200])
def test_a_changed_byte_is_found(tmp_path: Path, position: int) -> None:
    store = OutcomeStore(tmp_path)
    store.write(rows_of("a", "b"))
    content = bytearray(store.path.read_bytes())
    content[position] ^= 1
    store.path.write_bytes(content)
    with pytest.raises(StoreError, match="is damaged; it is not what was written"):
        store.read()


@pytest.mark.parametrize("content", [b"", b"PAR1", b"sha256:" + b"0" * 64])
def test_a_file_that_is_cut_off_is_damaged(tmp_path: Path, content: bytes) -> None:
    store = OutcomeStore(tmp_path)
    store.write(rows_of("a"))
    store.path.write_bytes(content)
    with pytest.raises(StoreError, match="is damaged"):
        store.read()


@pytest.mark.parametrize("part", [1, 7, 64, 1_000])
def test_a_seal_is_the_same_in_parts_of_any_size(tmp_path: Path, part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    store = OutcomeStore(tmp_path)
    store.write(rows_of("a", "b"))
    assert digests.is_intact(store.path.read_bytes(), name="outcomes")
    monkeypatch.setattr(digests, "_BYTES_AT_ONCE", part)
    assert digests.is_intact_file(store.path, name="outcomes")
    assert not digests.is_intact_file(store.path, name="other")

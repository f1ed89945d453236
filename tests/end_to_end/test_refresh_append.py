"""`refresh --append`: a home that takes in an extract in parts has the history of the whole extract."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from dnapredict.synthetic.simulation import simulate


@pytest.fixture(scope="module")
def extract(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("extract") / "extract.parquet"
    simulate(path, appointments=2_000, seed=3)
    return path


def files(home: Path) -> dict[str, bytes]:
    """The contents of the history's files, `store.json` with their digests among them."""
    name = (home / "history" / "CURRENT").read_text(encoding="ascii").split("\n")[0]
    return {path.name: path.read_bytes() for path in (home / "history" / name).iterdir()}


def test_weeks_that_are_appended_give_the_history_of_the_whole(extract, dnapredict, tmp_path):
    table = pq.read_table(extract)
    blank = {name: pa.nulls(table.num_rows, table.schema.field(name).type) for name in ("outcome_code", "recorded_at")}
    booked = table
    for name, column in blank.items():
        booked = booked.set_column(booked.column_names.index(name), name, column)
    first = pa.concat_tables([table.slice(0, 1_000), booked.slice(1_000, 500)])
    first_path, second_path = tmp_path / "first.parquet", tmp_path / "second.parquet"
    pq.write_table(first, first_path)
    pq.write_table(table.slice(900), second_path)  # a hundred stand in both
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for words in (
        ("refresh", extract, "--home", whole),
        ("refresh", first_path, "--home", parts),
        ("refresh", "--append", second_path, "--home", parts),
    ):
        done = dnapredict(*words)
        assert done.returncode == 0, done.stderr
    assert "500 appointments were added to the history" in done.stdout
    assert files(parts) == files(whole)


def test_a_changed_appointment_or_a_home_without_history_is_refused(extract, dnapredict, tmp_path):
    done = dnapredict("refresh", "--append", extract, "--home", tmp_path)
    assert (done.returncode, "has no history to append to" in done.stderr) == (14, True), done.stderr
    assert dnapredict("refresh", extract, "--home", tmp_path).returncode == 0
    before = files(tmp_path)
    table = pq.read_table(extract)
    turned = pc.if_else(pc.equal(table["outcome_code"], "5"), "3", table["outcome_code"])
    changed = tmp_path / "changed.parquet"
    pq.write_table(table.set_column(table.column_names.index("outcome_code"), "outcome_code", turned), changed)
    done = dnapredict("refresh", "--append", changed, "--home", tmp_path)
    assert done.returncode == 10
    assert "in the history with other values" in done.stderr
    assert files(tmp_path) == before

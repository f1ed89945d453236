"""`dnapredict monitor` as a person types it: the model in use on an extract, and what its exit code says."""

import json

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.usefixtures("drawn")


def test_the_model_in_use_is_watched_since_its_test_period(dnapredict, trust, tmp_path):
    out = tmp_path / "monitor"
    done = dnapredict("monitor", trust.extract, "--home", trust.home, "--out", out, "--json")
    assert done.returncode == 0, done.stderr
    assert "No alarm holds, up to the week of" in done.stderr
    figures = json.loads(done.stdout)
    assert figures == json.loads((out / "monitor.json").read_text(encoding="utf-8"))
    assert figures["model"] == "version 1"
    assert {"alarms", "level", "slope", "reach", "factors", "estimated_performance"} <= set(figures)
    assert figures["level"][0]["week"] > "2025"


def test_an_alarm_that_holds_is_told_and_ends_with_13(dnapredict, trust, tmp_path):
    table = pq.read_table(trust.extract)
    # One in ten of those who attended since the middle of the test period are recorded as missed.
    first = dnapredict("monitor", trust.extract, "--home", trust.home, "--out", tmp_path / "first", "--json")
    weeks = [row["week"] for row in json.loads(first.stdout)["level"]]
    late = pc.greater_equal(table["starts_at"].cast(pa.string()), weeks[len(weeks) // 2])
    odd = pc.equal(pc.utf8_slice_codeunits(table["appointment_id"].cast(pa.string()), -1), "1")
    changed = pc.and_(pc.and_(late, odd), pc.fill_null(pc.equal(table["outcome_code"], "5"), False))
    codes = pc.if_else(changed, "3", table["outcome_code"])
    moved = table.set_column(table.column_names.index("outcome_code"), "outcome_code", codes)
    pq.write_table(moved, tmp_path / "moved.parquet")
    done = dnapredict("monitor", tmp_path / "moved.parquet", "--home", trust.home, "--out", tmp_path / "second")
    assert done.returncode == 13, done.stderr
    assert "ALARM (level): Everyone: " in done.stderr
    assert "more missed appointments than predicted" in (tmp_path / "second" / "monitor.html").read_text()

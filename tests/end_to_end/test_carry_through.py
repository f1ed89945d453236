"""Names and telephones reach the written worklist where that is configured, and nothing else."""

from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from tests.end_to_end.world import Trust

from dnapredict.config.loading import shipped
from dnapredict.worklist.files.worklist_files import COLUMNS

MARKED = "Marked-Surname"


def test_names_go_into_the_worklist_and_nowhere_else(trust: Trust, dnapredict, tmp_path: Path, monkeypatch):
    configuration = shipped("serving/worklist.toml").read_text()
    (tmp_path / "serving").mkdir()
    (tmp_path / "serving" / "worklist.toml").write_text(
        configuration.replace("carry_through = []", 'carry_through = ["Surname"]')
    )
    weekly = pq.read_table(trust.weekly)
    names = pa.array([f"{MARKED}-{row}" for row in range(weekly.num_rows)])
    pa_csv.write_csv(weekly.append_column("Surname", names), tmp_path / "list.csv")
    monkeypatch.chdir(tmp_path)
    done = dnapredict("score", tmp_path / "list.csv", "--out", tmp_path / "out.csv", "--home", trust.home)
    assert done.returncode == 0, done.stderr
    worklist = pa_csv.read_csv(tmp_path / "out.csv")
    assert worklist.column_names == [*COLUMNS, "Surname"]
    expected = dict(zip(weekly["appointment_id"].to_pylist(), names.to_pylist(), strict=True))
    found = dict(zip(worklist["appointment_id"].to_pylist(), worklist["Surname"].to_pylist(), strict=True))
    assert found == expected
    assert MARKED not in done.stdout + done.stderr
    kept = [path for path in trust.home.rglob("*") if path.is_file()]
    assert kept
    assert not [path for path in kept if MARKED.encode() in path.read_bytes()]

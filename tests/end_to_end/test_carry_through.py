"""Names and telephones reach the written worklist where that is configured, and nothing else."""

import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from tests.end_to_end.world import Trust

from dnapredict.config.loading import shipped
from dnapredict.worklist.files import contact_details, list_store
from dnapredict.worklist.files.worklist_columns import COLUMNS
from dnapredict.worklist.plan.working_days import local_today

MARKED = "Marked-Surname"


def test_names_go_into_the_worklist_and_nowhere_else(trust: Trust, dnapredict, tmp_path: Path, monkeypatch):
    configured(tmp_path, '["Surname"]')
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


def configured(folder: Path, carry_through: str) -> None:
    configuration = shipped("serving/worklist.toml").read_text()
    (folder / "serving").mkdir()
    (folder / "serving" / "worklist.toml").write_text(
        configuration.replace("carry_through = []", f"carry_through = {carry_through}")
    )


MAPPING = """
[columns]
person_family_name = { from = "Last" }
person_given_name = { from = "First" }
mobile_telephone = { from = "Mob" }
"""


def test_contact_columns_are_carried_by_their_contract_names_and_kept_encrypted(
    trust: Trust, dnapredict, tmp_path: Path, monkeypatch
):
    configured(tmp_path, '["person_full_name", "mobile_telephone"]')
    weekly = pq.read_table(trust.weekly)
    ahead = datetime.timedelta(days=(local_today() - weekly["starts_at"][0].as_py().date()).days + 7)
    for name in ("booked_at", "starts_at"):
        moved = pc.add(weekly[name], pa.scalar(ahead))
        weekly = weekly.set_column(weekly.column_names.index(name), name, moved)
    numbers = [f"{7_700_900_000 + row}" for row in range(weekly.num_rows)]
    for name, cells in {"Last": [MARKED] * weekly.num_rows, "First": numbers, "Mob": numbers}.items():
        weekly = weekly.append_column(name, pa.array(cells))
    pa_csv.write_csv(weekly, tmp_path / "list.csv")
    (tmp_path / "mapping.toml").write_text(MAPPING)
    monkeypatch.chdir(tmp_path)
    arguments = ("score", "list.csv", "--mapping", "mapping.toml", "--home", trust.home)
    done = dnapredict(*arguments, "--out", "out.csv")
    assert done.returncode == 0, done.stderr
    text = pa_csv.ConvertOptions(column_types={"mobile_telephone": pa.string()})
    worklist = pa_csv.read_csv(tmp_path / "out.csv", convert_options=text)
    assert worklist.column_names == [*COLUMNS, "person_full_name", "mobile_telephone"]
    of_row = dict(zip(weekly["appointment_id"].to_pylist(), numbers, strict=True))
    for row in worklist.select(["appointment_id", "person_full_name", "mobile_telephone"]).to_pylist():
        number = of_row[row["appointment_id"]]
        assert row["person_full_name"] == f"{number} {MARKED}"
        assert row["mobile_telephone"] == f"0{number}"  # as it is dialled
    kept = list_store.newest(trust.home)
    assert kept is not None
    details = contact_details.read(trust.home, kept.heading.list_id)
    appointments = kept.worklist["appointment_id"].to_pylist()
    assert [each.telephones for each in details.values()] == [(f"0{of_row[name]}",) for name in appointments]
    assert list(details) == list(range(1, len(appointments) + 1))
    assert MARKED not in done.stdout + done.stderr
    files = [path for path in trust.home.rglob("*") if path.is_file()]
    assert not [path for path in files if MARKED.encode() in path.read_bytes()]


def test_a_contact_column_that_the_list_does_not_have_is_named(trust: Trust, dnapredict, tmp_path: Path, monkeypatch):
    configured(tmp_path, '["person_full_name", "home_telephone"]')
    weekly = pq.read_table(trust.weekly)
    weekly = weekly.append_column("Last", pa.array([MARKED] * weekly.num_rows))
    pa_csv.write_csv(weekly, tmp_path / "list.csv")
    (tmp_path / "mapping.toml").write_text('[columns]\nperson_family_name = { from = "Last" }\n')
    monkeypatch.chdir(tmp_path)
    arguments = ("score", "list.csv", "--mapping", "mapping.toml", "--home", trust.home)
    done = dnapredict(*arguments, "--out", "out.csv")
    assert done.returncode == 10
    assert "column 'home_telephone', to be carried through (serving/worklist.toml), is missing" in done.stderr
    assert MARKED not in done.stderr

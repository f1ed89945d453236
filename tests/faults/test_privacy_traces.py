"""Patients' values that verbs leave behind: in files of their owner alone, and gone after a kill.

These are some runs of some verbs; `python -m benchmarks.privacy_traces` does every verb and route.
"""

import gzip
import hashlib
import io
import json
import os
import shutil
import sqlite3
import stat
import struct
import subprocess
import sys
import zipfile
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.end_to_end.conftest import QUICK
from tests.end_to_end.conftest import trust as trust
from tests.end_to_end.world import Trust
from tests.faults.mark_search import PATIENTS_FROM, MarkSearch, hashed
from tests.faults.marked_world import faults_of, marked
from tests.faults.test_write_faults import library as library

from dnapredict.config.loading import shipped
from dnapredict.data.files.atomic_write import create_folder

ROOT = Path(__file__).parents[2]
NAME = "Qzxname Smith 3"


def deleted_row(folder: Path) -> bytes:
    """A database from which the row was deleted."""
    with closing(sqlite3.connect(folder / "x.db")) as connection:
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute("CREATE TABLE t (a)")
        connection.executemany("INSERT INTO t VALUES (?)", [(f"the name {NAME}",), ("b",)])
        connection.commit()
        connection.execute("DELETE FROM t WHERE a LIKE '%Smith%'")
        connection.commit()
    return (folder / "x.db").read_bytes()


def archive(content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("sheet.xml", content)
    return out.getvalue()


def parquet(values: pa.Array) -> bytes:
    out = pa.BufferOutputStream()
    pq.write_table(pa.table({"a": values}), out, compression="zstd")
    return bytes(out.getvalue())


def test_a_value_is_found_in_each_form_in_which_it_could_be_written(tmp_path: Path) -> None:
    search, patient = MarkSearch(hashed(["QZXAPPT1"])), PATIENTS_FROM + 4_711
    forms = {
        "letters": (NAME.encode(), "name"),
        "UTF-16": (NAME.encode("utf-16"), "name"),
        "gzip": (gzip.compress(NAME.encode()), "name"),
        "workbook": (archive(NAME.encode()), "name"),
        "archive in an archive": (archive(archive(NAME.encode())), "name"),
        "Parquet": (parquet(pa.array([NAME] * 9)), "name"),
        "deleted row": (deleted_row(tmp_path), "name"),
        "number in letters": (str(patient).encode(), "patient"),
        "integer": (struct.pack("<q", patient), "patient"),
        "float": (struct.pack("<d", float(patient)), "patient"),
        "integers in Parquet": (parquet(pa.array([patient] * 9)), "patient"),
        "digest in letters": (hashlib_of("sha256"), "digest"),
        "half of a digest in Parquet": (
            parquet(pa.array([int.from_bytes(bytes.fromhex(hashlib_of("md5").decode())[:8], "little")], pa.uint64())),
            "digest",
        ),
    }
    assert {name: kind in search.in_content(content) for name, (content, kind) in forms.items()} == dict.fromkeys(
        forms, True
    )
    assert search.in_content(b"98876543 qzx 07700900123" + bytes(range(256))) == frozenset()


def hashlib_of(kind: str) -> bytes:
    return hashlib.new(kind, b"QZXAPPT1").hexdigest().encode()


def test_a_value_that_others_may_read_or_that_is_where_none_may_be_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "home" / "lists").mkdir(parents=True, mode=0o700)
    (tmp_path / "out" / "report").mkdir(parents=True)
    (tmp_path / "tmp").mkdir()
    for name in ("home/lists/a.parquet", "out/report/audit.json", "out/worklist.csv", "out/.x-draft", "tmp/x"):
        (tmp_path / name).write_text("QZXAPPT1")
        (tmp_path / name).chmod(0o600)
    (tmp_path / "home").chmod(0o750)
    found = {(fault.file, fault.why) for fault in faults_of(tmp_path, "QZXAPPT2", MarkSearch())}
    assert found == {
        ("printed", "printed or logged"),
        ("home/lists/a.parquet", "home has mode 0750"),
        ("out/report/audit.json", "must not be there"),
        ("out/.x-draft", "is left by a process that was not killed"),
        ("tmp/x", "is left by a process that was not killed"),
    }


def test_a_folder_for_its_owner_holds_files_for_its_owner(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        with create_folder(tmp_path / "kept") as draft:
            (draft / "rows" / "of").mkdir(parents=True)
            (draft / "rows" / "of" / "patients").write_text("x")
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "kept", *tmp_path.rglob("*"))}
    assert modes == {"kept": 0o700, "rows": 0o700, "of": 0o700, "patients": 0o600}


@pytest.fixture(scope="module")
def small_world(trust: Trust, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trust's home, and a short extract and a list of 40 appointments whose values are marked."""
    place = tmp_path_factory.mktemp("traces") / "world"
    shutil.copytree(trust.home, place / "home")
    shutil.rmtree(place / "home" / "history")  # of patients who are not marked
    (place / "home" / "history.json").unlink()
    extract = pq.read_table(trust.extract)
    later = marked(extract.slice(extract.num_rows - 1_500))
    for name in ("later", "short", "append"):
        pq.write_table(later, place / f"{name}.parquet")
    pq.write_table(marked(pq.read_table(trust.weekly).slice(0, 40)), place / "next.parquet")
    (place / "config.toml").write_text(QUICK, encoding="utf-8")
    (place / "serving").mkdir()
    shutil.copyfile(shipped("serving/worklist.toml"), place / "serving" / "worklist.toml")
    (place / "made").touch()
    return place


@pytest.mark.usefixtures("library")
def test_what_a_success_a_failure_and_a_kill_leave_is_its_owners_alone_and_goes(small_world: Path) -> None:
    names = ["refresh=", "check bad-cells.csv=", "watch=", "score no room=", "route: upload="]
    command = [sys.executable, "-m", "benchmarks.privacy_traces", "--runs", *names, "--kills", "1"]
    done = subprocess.run(
        [*command, "--world", str(small_world)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(done.stdout[done.stdout.index("{") :])
    assert figures["runs"] == {"done": 5, "killed": 3}
    assert figures["faults"] == 0
    # It was searched where the values are: the history, the kept list, the lists of the watched folder.
    assert set(figures["held"]) >= {"appointment", "patient", "name", "free text", "postcode", "email"}

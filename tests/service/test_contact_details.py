"""Who is called and how, from upload to deletion: kept encrypted, and in no other place, after a kill either.

Each mark stands in another column of an uploaded list or in a note.
"""

import csv
import datetime
import http.client
import io
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import openpyxl
import pyarrow as pa
import pytest
from tests.service.conftest import client_of, served_at
from tests.service.double import steady_champion
from tests.service.process import ROOT, Running, running

from dnapredict.config.mapping_config import Mapping
from dnapredict.config.service_config import Retention
from dnapredict.data.retention_clock import confirm_clock
from dnapredict.errors import DataError
from dnapredict.pipeline.run_inputs import worklist_config
from dnapredict.service import app
from dnapredict.service.api import uploaded_lists
from dnapredict.service.log.retention import RetentionThread, remove_lists
from dnapredict.service.log.scoring_log import ScoringLog
from dnapredict.worklist.files import contact_details, excel_worklist, filled_workbook, list_store, worklist_files
from dnapredict.worklist.files.contact_table import ContactDetails
from dnapredict.worklist.files.excel_worklist import Note
from dnapredict.worklist.plan.working_days import local_today

MARKS = ("Marknamen", "Markvorname", "07700900123", "01514960999", "Markish", "Marktime", "1951-03-09")
NOTE = "mark-note ask for the daughter"
SOON = local_today() + datetime.timedelta(days=7)
HEADER = "appointment_id,booked_at,starts_at,age_years,Surname,person_given_name,Mobile,home_telephone,"
HEADER += "preferred_language,preferred_contact_time,person_birth_date"
MAPPING = Mapping.model_validate(
    {"columns": {"person_family_name": {"from": "Surname"}, "mobile_telephone": {"from": "Mobile"}}}
)


def as_list(rows: int = 1, *, day: datetime.date = SOON) -> bytes:
    line = f"2026-10-01 09:00,{day} 10:00,70,Marknamen,Markvorname,7700900123,01514960999,Markish,Marktime,09/03/1951"
    return "\n".join([HEADER, *(f"a{row},{line}" for row in range(rows))]).encode() + b"\n"


def content_of(folder: Path) -> bytes:
    """The bytes of every file below a folder; of a link, where it leads to, if it still leads anywhere."""
    return b"\n".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def marks_in(content: bytes) -> list[str]:
    return [mark for mark in (*MARKS, "7700900123", "09/03/1951", NOTE) if mark.encode() in content]


def test_an_error_in_the_contact_columns_leaves_no_list_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def failing(*_: object, **__: object) -> None:
        raise DataError("patients.csv: cannot be joined.")

    monkeypatch.setattr(uploaded_lists, "contact_rows", failing)
    with served_at(tmp_path, mapping=MAPPING) as client:
        answer = client.post("/v1/lists", files={"file": ("week.csv", as_list())})
    assert (answer.status_code, answer.json()["error"]) == (400, "patients.csv: cannot be joined.")
    assert not list_store.headings(tmp_path)
    assert ScoringLog(tmp_path).verify().entries == 0


def test_an_uploaded_list_keeps_who_is_called_encrypted_and_nothing_else_keeps_it(tmp_path: Path, caplog, monkeypatch):
    home, temporary = tmp_path / "home", tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    with served_at(home, mapping=MAPPING) as client:
        answer = client.post("/v1/lists", files={"file": ("week.csv", as_list())})
        list_id = answer.json()["list_id"]
        contact_details.set_note(home, list_id, 1, NOTE, until=SOON)
        action = {"appointment_id": "a0", "outcome": "no_answer"}
        seen = [answer, client.post(f"/v1/lists/{list_id}/actions", json=action)]
        row = dict(zip(HEADER.split(","), as_list().decode().splitlines()[1].split(","), strict=True))
        seen += [client.post("/v1/score", json={"appointments": [row]})]
        seen += [client.post("/v1/lists", files={"file": ("week.xlsx", b"PK" + as_list())})]
        seen += [client.get(address) for address in ("/metrics", f"/v1/lists/{list_id}", "/v1/model", "/docs.json")]
    assert contact_details.read(home, list_id) == {
        1: ContactDetails(
            *("Markvorname Marknamen", datetime.date(1951, 3, 9), ("07700900123", "01514960999"), "Markish"),
            *("Marktime", ("mobile", "home")),
        )
    }
    assert contact_details.notes(home, list_id)[1] == NOTE
    assert (home / "lists" / f"{list_id}.contacts").is_file()
    assert seen[2].status_code == 400
    for answer in seen:
        assert marks_in(answer.content) == []
    assert marks_in(content_of(home)) == []
    assert marks_in(content_of(temporary)) == []
    assert marks_in("\n".join(record.getMessage() for record in caplog.records).encode()) == []


def test_a_backup_of_the_scoring_log_holds_no_name_number_or_note(tmp_path: Path):
    home = tmp_path / "home"
    with served_at(home, mapping=MAPPING) as client:
        list_id = client.post("/v1/lists", files={"file": ("week.csv", as_list())}).json()["list_id"]
        contact_details.set_note(home, list_id, 1, NOTE, until=SOON)
        client.post(f"/v1/lists/{list_id}/actions", json={"appointment_id": "a0", "outcome": "confirmed"})
    # As docs/how-to-run-in-production.md makes it.
    for database in ("scoring-log.db", "lists/calls.db"):
        copy = tmp_path / Path(database).name
        subprocess.run(
            [
                *(sys.executable, "-c"),
                "import sqlite3, sys; sqlite3.connect(sys.argv[1]).backup(sqlite3.connect(sys.argv[2]))",
                *(home / database, copy),
            ],
            check=True,
        )
        assert copy.stat().st_size
        assert marks_in(copy.read_bytes()) == []


def test_they_are_deleted_at_the_start_of_the_service_and_by_its_thread(tmp_path: Path, monkeypatch):
    with served_at(tmp_path, mapping=MAPPING) as client:
        list_id = client.post("/v1/lists", files={"file": ("week.csv", as_list())}).json()["list_id"]
    path = tmp_path / "lists" / f"{list_id}.contacts"
    kept, log = path.read_bytes(), ScoringLog(tmp_path)
    later = SOON + datetime.timedelta(days=1)
    confirm_clock(tmp_path)
    deletions = {
        "the start": lambda: RetentionThread(tmp_path, log, Retention()).watch(),
        "the thread": lambda: RetentionThread(tmp_path, log, Retention()).run_once(),
        "the next upload": lambda: remove_lists(tmp_path, Retention(), log),
    }
    for delete in deletions.values():
        path.write_bytes(kept)
        monkeypatch.setattr(contact_details, "_today", lambda: SOON)
        delete()
        assert path.is_file()
        monkeypatch.setattr(contact_details, "_today", lambda: later)
        delete()
        assert not path.exists()
    with client_of(steady_champion(), tmp_path) as client:  # the list can be worked on without them
        assert "a0" in client.get(f"/lists/{list_id}?show=all").text
        action = {"appointment_id": "a0", "outcome": "confirmed"}
        assert client.post(f"/v1/lists/{list_id}/actions", json=action).status_code == 201


@pytest.mark.parametrize("chosen", [(), ("Surname", "mobile_telephone", "person_full_name", "person_birth_date")])
def test_downloads_from_the_page_carry_the_contact_columns_that_the_team_chose(tmp_path: Path, monkeypatch, chosen):
    config = worklist_config().model_copy(update={"carry_through": chosen})
    monkeypatch.setattr(app, "worklist_config", lambda *_: config)
    with served_at(tmp_path, mapping=MAPPING) as client:
        list_id = client.post("/v1/lists", files={"file": ("week.csv", as_list(2))}).json()["list_id"]
        for address in (f"/v1/lists/{list_id}?form=csv", f"/lists/{list_id}/file?form=csv"):
            rows = list(csv.DictReader(io.StringIO(client.get(address).text)))
            carried = [{name: row[name] for name in chosen if name in row} for row in rows]
            expected = ("07700900123", "Markvorname Marknamen", "09/03/1951")
            # "Surname" is a column of the file, which only a worklist written by `score` can copy.
            assert carried == [dict(zip(chosen[1:], expected, strict=False))] * 2
            assert list(rows[0])[-1] == "outcome"
        book = openpyxl.load_workbook(io.BytesIO(client.get(f"/lists/{list_id}/file").content))
        shown = [str(cell) for sheet in book for row in sheet.iter_rows(values_only=True) for cell in row]
        assert ("Markvorname Marknamen" in shown) == bool(chosen)
        contact_details.contacts_file(tmp_path, list_id).unlink()
        assert marks_in(client.get(f"/lists/{list_id}/file?form=csv").content) == []


def test_of_a_list_whose_appointments_are_over_none_are_kept(tmp_path: Path):
    with served_at(tmp_path, mapping=MAPPING) as client:
        yesterday = local_today() - datetime.timedelta(days=1)
        client.post("/v1/lists", files={"file": ("week.csv", as_list(day=yesterday))})
    assert len(list_store.kept_files(tmp_path)) == 1
    assert list(tmp_path.rglob("*.contacts")) == []


# The process is killed where the list is read, and where a copy of it in another encoding is.
_KILLED = """
import os, signal, sys
from dnapredict.data.readers import csv_reader, excel_reader, table_file
from dnapredict.service.api import uploaded_files

def kill(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

setattr({"file_type_of": table_file, "_load": csv_reader}[sys.argv[1]], sys.argv[1], kill)
content = sys.stdin.buffer.read()
uploaded_files.read_upload(content, "week.csv")
"""


@pytest.mark.parametrize("stage", ["file_type_of", "_load"])
@pytest.mark.parametrize("codec", ["utf-8", "utf-16"])
@pytest.mark.skipif(sys.platform != "linux", reason="files without a name are Linux's")
def test_a_process_that_is_killed_while_it_reads_a_list_leaves_no_copy_of_it(tmp_path: Path, stage: str, codec: str):
    content = as_list(2_000).decode().encode(codec)
    killed = subprocess.run(
        [sys.executable, "-c", _KILLED, stage],
        input=content,
        env=os.environ | {"TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT / "src")},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert list(tmp_path.rglob("*"))  # its folder stays, with links that lead nowhere
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def sending(service: Running, content: bytes, *, sent: int) -> http.client.HTTPConnection:
    """An upload of which `sent` bytes have arrived."""
    boundary = "----7d4a6d158c9"
    body = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="week.csv"\r\n'
        f"Content-Type: text/csv\r\n\r\n"
    ).encode() + content
    whole = len(body) + len(f"\r\n--{boundary}--\r\n")
    connection = http.client.HTTPConnection(service.address.removeprefix("http://"), timeout=30)
    connection.putrequest("POST", "/v1/lists")
    connection.putheader("Content-Type", f"multipart/form-data; boundary={boundary}")
    connection.putheader("Content-Length", str(whole))
    connection.endheaders()
    connection.send(body[:sent])
    return connection


def test_a_service_that_is_killed_in_the_middle_of_an_upload_leaves_no_name_on_disk(tmp_path: Path):
    home, temporary = tmp_path / "home", tmp_path / "temporary"
    temporary.mkdir()
    content = as_list(20_000)
    with running(home, settings="workers = 1\n", environment={"TMPDIR": str(temporary)}) as service:
        connection = sending(service, content, sent=len(content) * 3 // 4)
        time.sleep(0.5)
        for worker in service.workers():
            os.kill(worker, signal.SIGKILL)
        assert marks_in(content_of(home) + content_of(temporary)) == []
        connection.close()
        with urllib.request.urlopen(f"{service.address}/metrics", timeout=60) as answer:  # noqa: S310
            assert marks_in(answer.read()) == []
        assert marks_in(service.log.read_bytes()) == []


def named_files(folder: Path) -> list[str]:
    """The files below a folder that outlive a process which is killed; links to files without a name do not."""
    return [path.name for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]


@pytest.mark.skipif(sys.platform != "linux", reason="files without a name are Linux's")
@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_a_download_and_its_return_are_in_no_file_at_any_moment(tmp_path: Path, monkeypatch, form: str):
    # A service that is killed, by the system too when memory is short, removes no file.
    config = worklist_config().model_copy(update={"carry_through": ("person_full_name",)})
    monkeypatch.setattr(app, "worklist_config", lambda *_: config)
    home, temporary = tmp_path / "home", tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    left: list[list[str]] = []

    def watched(function: Callable[..., object]) -> Callable[..., object]:
        def call(*given: object, **named: object) -> object:
            done = function(*given, **named)
            left.append(named_files(temporary))
            return done

        return call

    for module, name in ((worklist_files, "write_sheet"), (worklist_files, "_write_csv"), (filled_workbook, "read")):
        monkeypatch.setattr(module, name, watched(getattr(module, name)))
    with served_at(home, mapping=MAPPING) as client:
        list_id = client.post("/v1/lists", files={"file": ("week.csv", as_list(2))}).json()["list_id"]
        content = client.get(f"/lists/{list_id}/file?form={form}").content
        files = {"file": (f"filled.{form}", content)}
        assert client.post(f"/v1/lists/{list_id}/outcomes", files=files).json()["empty"] == 2
    assert left == [[], []]


def test_rows_of_a_workbook_wait_in_the_folder_of_its_draft(tmp_path: Path, monkeypatch):
    temporary, folder = tmp_path / "temporary", tmp_path / "next to the worklist"
    temporary.mkdir()
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    waiting = []

    def tables() -> Iterator[pa.Table]:
        yield pa.table({"appointment_id": ["a1"], "Surname": ["Marknamen"]})
        waiting.append((named_files(temporary), bool(named_files(folder))))

    excel_worklist.write_sheet(tables(), folder / "draft.xlsx", note=Note(("A note",)))
    assert waiting == [([], True)]
    assert named_files(folder) == ["draft.xlsx"]

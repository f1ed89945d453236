"""Who saw, downloaded or printed what: an entry of the scoring log for each, before the page is sent."""

import io
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient
from tests.end_to_end.conftest import command
from tests.service.conftest import served_at
from tests.service.pages import week

from dnapredict.errors import StoreError
from dnapredict.service.auth import api_keys
from dnapredict.service.auth.staff import StaffRole
from dnapredict.service.log import log_database
from dnapredict.service.log.access_entries import Access, AccessLog, Seen
from dnapredict.service.log.answer_entries import Hashes
from dnapredict.service.log.log_tables import ACCESSES
from dnapredict.service.log.scoring_log import ScoringLog

Done = subprocess.CompletedProcess[str]
FILE = {"file": ("week-49.csv", week())}
PAGE = {"accept": "text/html"}


@pytest.fixture
def ada(home: Path) -> str:
    return api_keys.create_personal(home, name="Ada Okafor", team="North", role=StaffRole.TEAM_LEAD).token


@pytest.fixture
def signed_in(home: Path, ada: str) -> Iterator[TestClient]:
    with served_at(home) as client:
        assert client.post("/sign-in", data={"key": ada}, follow_redirects=False).status_code == 303
        yield client


def accesses(home: Path) -> list[tuple[str, str | None, bool]]:
    """What was logged: access, list, and whether it is about one appointment."""
    columns = select(ACCESSES.c.access, ACCESSES.c.list, ACCESSES.c.appointment).order_by(ACCESSES.c.number)
    return [(row.access, row.list, row.appointment is not None) for row in ScoringLog(home).query(columns)]


def upload(client: TestClient) -> str:
    return str(client.post("/upload", files=FILE, follow_redirects=False).headers["location"])


@pytest.mark.parametrize(
    ("method", "path", "sent", "logged"),
    [
        ("GET", "/", {}, Access.LIST_OPENED),
        ("GET", "{list}", {}, Access.LIST_OPENED),
        ("GET", "{list}?show=not-scored", {}, Access.LIST_OPENED),
        ("POST", "{list}/outcomes", {"line": "1"}, Access.LIST_OPENED),  # no outcome chosen: the list again
        ("GET", "{list}/delete", {}, Access.LIST_OPENED),
        ("GET", "{list}/call/1", {}, Access.PATIENT_OPENED),
        ("POST", "{list}/call/1", {"note": ""}, Access.PATIENT_OPENED),  # no outcome chosen: the patient again
        ("POST", "{list}/search", {"words": "05"}, Access.SEARCHED),
        ("GET", "{list}/sheet", {}, Access.PRINTED),
        ("GET", "{list}/file?form=xlsx", {}, Access.DOWNLOADED),
        ("GET", "{list}/file?form=csv", {}, Access.DOWNLOADED),
        ("GET", "/v1{list}", {}, Access.DOWNLOADED),
        ("GET", "/v1{list}?form=csv", {}, Access.DOWNLOADED),
        ("POST", "{list}/delete", {}, Access.DELETED),
        ("POST", "/sign-out", {}, Access.SIGNED_OUT),
    ],
)
def test_each_page_with_patients_is_logged_with_its_list_and_person(
    signed_in: TestClient, home: Path, method: str, path: str, sent: dict[str, str], logged: Access
) -> None:
    address = upload(signed_in)
    before = len(accesses(home))
    answer = signed_in.request(
        method, path.format(list=address), headers=PAGE, data=sent or None, follow_redirects=False
    )
    assert answer.status_code < 500
    list_id = None if logged is Access.SIGNED_OUT else address.rpartition("/")[2]
    assert accesses(home)[before:] == [(logged, list_id, logged is Access.PATIENT_OPENED)]
    (last,) = ScoringLog(home).query(select(ACCESSES.c.asked_by).order_by(ACCESSES.c.number.desc()).limit(1))
    assert last.asked_by == api_keys.all_keys(home)[0].key_id
    assert ScoringLog(home).verify().entries > 0


@pytest.mark.parametrize(
    "path", ["/lists", "/week", "/model", "/about", "/upload", "/lists/ffffffffffffffff", "/livez"]
)
def test_a_page_without_patients_is_not_logged(signed_in: TestClient, home: Path, path: str) -> None:
    before = accesses(home)
    signed_in.get(path, headers=PAGE)
    assert accesses(home) == before


def test_signing_in_is_logged_with_the_person(signed_in: TestClient, home: Path) -> None:
    assert signed_in.get("/lists").status_code == 200
    assert accesses(home) == [(Access.SIGNED_IN, None, False)]


def test_a_page_that_loads_itself_again_is_one_access(signed_in: TestClient, home: Path) -> None:
    address = upload(signed_in)
    before = len(accesses(home))
    for _ in range(3):
        signed_in.get(address)
    signed_in.get(f"{address}/call/1")
    signed_in.get(f"{address}/call/2")
    signed_in.get(f"{address}/call/1")
    assert [access for access, *_ in accesses(home)[before:]] == ["list_opened", "patient_opened", "patient_opened"]


def test_the_same_view_is_logged_again_after_ten_minutes(tmp_path: Path) -> None:
    now = [0.0]
    log = ScoringLog(tmp_path)
    trail = AccessLog(log, Hashes(tmp_path, log), clock=lambda: now[0])
    for seconds in (0, 599, 600, 1_300):
        now[0] = seconds
        trail.note(Access.LIST_OPENED, Seen(list_id="a"))
        trail.note(Access.DOWNLOADED, Seen(list_id="b"))
    logged = [access for access, *_ in accesses(tmp_path)]
    assert (logged.count("list_opened"), logged.count("downloaded")) == (3, 4)


def test_what_cannot_be_logged_is_not_shown(signed_in: TestClient, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address = upload(signed_in)
    full = StoreError(f"{home}/scoring-log.db: the scoring log cannot be written (the disk is full).")

    def refuse(*_: object) -> None:
        raise full

    monkeypatch.setattr(ScoringLog, "write_accesses", refuse)
    for path in (address, f"{address}/call/1", f"{address}/file", f"/v1{address}", f"{address}/sheet"):
        answer = signed_in.get(path, headers=PAGE)
        assert answer.status_code == 503, path
        assert "cannot be logged who saw it" in answer.text
        assert "apt-0" not in answer.text
        assert str(home) not in answer.text
    assert signed_in.get("/lists", headers=PAGE).status_code == 200


@pytest.fixture
def seen_home(signed_in: TestClient, home: Path) -> tuple[Path, str]:
    """A home in which Ada opened a list, a patient and a download."""
    address = upload(signed_in)
    for path in (address, f"{address}/call/1", f"{address}/file"):
        signed_in.get(path)
    return home, address.rpartition("/")[2]


def test_log_who_names_the_person_the_act_and_the_list(seen_home: tuple[Path, str]) -> None:
    home, list_id = seen_home
    done = command("log", "who", "--home", home)
    assert done.returncode == 0
    lines = re.findall(r"^\S+ \S+  Ada Okafor \([0-9a-f]{8}\)  (.+)$", done.stdout, re.MULTILINE)
    expected = ["scored 40 appointments", "opened the list", "opened a patient", "downloaded the list"]
    assert lines == ["signed in", *(f"{what}  {list_id}" for what in expected)]


def asked_about(appointment: str, monkeypatch: pytest.MonkeyPatch, *arguments: object) -> Done:
    monkeypatch.setattr("sys.stdin", io.StringIO(appointment + "\n"))
    return command("log", "who", "--appointment", *arguments)


def test_log_who_finds_everybody_who_could_see_an_appointment(
    seen_home: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, list_id = seen_home
    first = "apt-059"  # the line that was opened
    asked = asked_about(first, monkeypatch, "--home", home, "--output", tmp_path / "who.csv")
    assert asked.returncode == 0, asked.stderr
    table = (tmp_path / "who.csv").read_text(encoding="utf-8")
    assert [line.split(",")[3:] for line in table.splitlines()[1:]] == [
        [what, list_id]
        for what in ("scored 1 appointment", "opened the list", "opened a patient", "downloaded the list")
    ]
    assert first not in table + asked.stdout + asked.stderr
    assert (tmp_path / "who.csv").stat().st_mode & 0o077 == 0
    other = asked_about("apt-021", monkeypatch, "--home", home)
    assert "opened a patient" not in other.stdout
    assert "downloaded the list" in other.stdout
    unknown = asked_about("apt-999", monkeypatch, "--home", home)
    assert unknown.stdout == ""


def test_log_who_about_an_appointment_without_a_number_is_refused(
    seen_home: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = asked_about("", monkeypatch, "--home", seen_home[0])
    assert (done.returncode, done.stdout) == (2, "")
    assert "No appointment number was given" in done.stderr


def test_log_who_narrows_by_person_and_day(seen_home: tuple[Path, str]) -> None:
    home, _ = seen_home
    assert command("log", "who", "--person", "ada okafor", "--home", home).stdout.count("\n") == 5
    assert command("log", "who", "--person", "Somebody Else", "--home", home).stdout == ""
    assert command("log", "who", "--until", "2020-01-01", "--home", home).stdout == ""
    assert command("log", "who", "--since", "2020-01-01", "--home", home).stdout.count("\n") == 5


def test_log_who_without_a_log_is_a_sentence(tmp_path: Path) -> None:
    done = command("log", "who", "--home", tmp_path)
    assert (done.returncode, "there is no scoring log yet" in done.stderr) == (14, True)


@pytest.mark.parametrize("where", ["sqlite", "postgresql"])
def test_accesses_are_only_added_to(where: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    from sqlalchemy import delete, update

    address = request.getfixturevalue("postgres_database") if where == "postgresql" else None
    log = ScoringLog(tmp_path, address)
    log.upgrade()
    AccessLog(log, Hashes(tmp_path, log)).note(Access.PRINTED, Seen(list_id="a"))
    opened = log_database.Database(tmp_path, address)
    for change in (update(ACCESSES).values(asked_by="x"), delete(ACCESSES)):
        with pytest.raises(StoreError), opened.writing() as connection:
            connection.execute(change)
    assert log.verify().entries == 1
    opened.close()
    log.close()

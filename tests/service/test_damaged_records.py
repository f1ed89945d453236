"""What a damaged record of the home takes from the pages: what it holds, and nothing else."""

import datetime
import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest
from sqlalchemy import select
from starlette.testclient import TestClient
from tests.kept_states import CLAIM, registered, reported
from tests.service.conftest import served_at
from tests.service.pages import record, upload_to

from dnapredict.config.mapping_config import IDENTITY
from dnapredict.service.auth import api_keys
from dnapredict.service.auth.staff import StaffRole
from dnapredict.service.home_checks.examination import examine
from dnapredict.service.log.log_tables import ACTIONS
from dnapredict.service.log.scoring_log import ScoringLog
from dnapredict.worklist.files import contact_details, list_store, unscored_rows
from dnapredict.worklist.follow_up.outcome_store import OUTCOME_SCHEMA, OutcomeStore
from dnapredict.worklist.plan.working_days import local_today

# For each damaged file: a page that does not need it, and what that page says. EARLIER and LATER are two exports of one
# list; calls were recorded on both, and lines of the later one were handed over.
DAMAGES = """
    damaged file               | page        | says
    EARLIER.parquet            | /           | The list before this one is damaged
    EARLIER.parquet            | LATER       | The list before this one is damaged
    EARLIER.parquet            | LATER/call  | later.csv
    EARLIER.parquet            | /lists      | later.csv
    EARLIER.parquet            | /week       | they count as ‘Area not known’
    LATER.parquet              | EARLIER     | earlier.csv
    LATER.parquet              | /lists      | earlier.csv
    LATER.parquet              | /week       | they count as ‘Area not known’
    LATER.assigned             | /           | Everybody calls all lines until they are handed over again
    LATER.assigned             | LATER/call  | calls left
    LATER.contacts             | LATER/call  | later.csv
    LATER.contacts             | LATER       | that were uploaded with this list cannot be read
    latest.json                | /           | later.csv
    latest.json                | /lists      | later.csv
    latest.json                | EARLIER     | There is a later export of this list
    latest.json                | LATER/call  | later.csv
    latest.json                | LATER/sheet | Call sheet
    latest.json                | LATER/workbook | Give the filled spreadsheet back
    latest.json                | /week       | What the calls led to
    outcomes/outcomes.parquet  | /week       | The file of outcomes is damaged
    trial/Calls.json           | /week       | A record of the trial is damaged
    trial/reports/latest.json  | /week       | A record of the trial is damaged
    decisions/ledger.json      | /week       | A record of the trial is damaged
"""
SOON = local_today() + datetime.timedelta(days=9)


def appointments(ages: range) -> str:
    """A list with contact details, whose appointments are to come."""
    head = "appointment_id,booked_at,starts_at,age_years,clinic_code,person_full_name,mobile_telephone"
    lines = (f"apt-{age},2026-09-01,{SOON} 10:00,{age},ENT1,Alex Sample,07700 900{age:03d}" for age in ages)
    return "\n".join([head, *lines])


@dataclass(frozen=True)
class Desk:
    """A team lead's browser, and the home whose files are damaged."""

    client: TestClient
    home: Path
    earlier: str
    later: str

    def damage(self, name: str) -> None:
        """Cut a file of the home in the middle."""
        for word, address in (("EARLIER", self.earlier), ("LATER", self.later)):
            name = name.replace(word, address.rsplit("/", 1)[-1])
        path = self.home / name if "/" in name else self.home / "lists" / name
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    def delete(self, ending: str) -> Path:
        """Delete a file of the later list, and return its path."""
        path = self.home / "lists" / (self.later.rsplit("/", 1)[-1] + ending)
        path.unlink()
        return path

    def text(self, address: str) -> tuple[int, str]:
        """The status and the words of a page."""
        answer = self.client.get(address.replace("EARLIER", self.earlier).replace("LATER", self.later))
        return answer.status_code, html.unescape(" ".join(re.sub("<[^>]+>", " ", answer.text).split()))


@pytest.fixture
def desk(home: Path) -> Iterator[Desk]:
    key = api_keys.create_personal(home, name="Ada Okafor", team="North", role=StaffRole.TEAM_LEAD).token
    with served_at(home) as served:
        client = TestClient(served.app, base_url="http://127.0.0.1", headers={"authorization": f"Bearer {key}"})
        earlier = upload_to(client, appointments(range(20, 140)), "earlier.csv")
        for line in range(1, 11):
            assert record(client, earlier, line=line).status_code == 303
        later = upload_to(client, appointments(range(30, 150)), "later.csv")
        assert record(client, later, line=1).status_code == 303
        assert client.post(f"{later}/assign", data={"colleague": "Ben Ali"}).status_code == 200
        hashed = {row.appointment for row in ScoringLog(home).query(select(ACTIONS.c.appointment))}
        rows = [dict.fromkeys(OUTCOME_SCHEMA.names) | {"appointment": each} for each in hashed]
        OutcomeStore(home).write(pa.Table.from_pylist(rows, schema=OUTCOME_SCHEMA))
        registered(home, start=-90, end=-1)
        reported(home)
        yield Desk(client, home, earlier, later)


def rows_of(text: str) -> list[tuple[str, ...]]:
    return [tuple(cell.strip() for cell in line.split("|")) for line in text.strip("\n").splitlines()[1:]]


@pytest.mark.parametrize("damaged", sorted({row[0] for row in rows_of(DAMAGES)}))
def test_a_damaged_record_takes_only_what_it_holds_from_the_pages(
    desk: Desk, damaged: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert desk.text("/week")[1].count(CLAIM) == 1
    desk.damage(damaged)
    for _, page, says in (row for row in rows_of(DAMAGES) if row[0] == damaged):
        status, text = desk.text(page)
        assert (status, says in text) == (200, True), (damaged, page, text)
        assert "no trial is running here" not in text
    assert (CLAIM in desk.text("/week")[1]) is not damaged.startswith(("trial", "decisions"))
    assert damaged.rsplit(".", 1)[-1] in caplog.text  # the operator finds the path in the log
    assert "apt-" not in caplog.text


def test_a_damaged_list_is_a_page_that_says_so_and_can_be_uploaded_again(desk: Desk) -> None:
    desk.damage("LATER.parquet")
    status, text = desk.text("LATER")
    assert (status, "the list is damaged" in text, "Score it again" in text) == (503, True, True)
    again = upload_to(desk.client, appointments(range(30, 150)), "later.csv")
    assert again != desk.later
    status, text = desk.text(f"{again}?show=all")
    assert (status, "Confirmed" in text) == (200, True)  # what was recorded is kept


@pytest.mark.parametrize("damaged", ["latest.json", "EARLIER.parquet"])
def test_a_list_can_be_uploaded_whatever_other_list_is_damaged(desk: Desk, damaged: str) -> None:
    desk.damage(damaged)
    assert desk.text(upload_to(desk.client, appointments(range(40, 160)), "third.csv"))[0] == 200


def test_lines_are_handed_over_again_where_the_file_that_says_to_whom_is_damaged(desk: Desk) -> None:
    desk.damage("LATER.assigned")
    assert "For Ben Ali" not in desk.text("LATER")[1]
    assert desk.client.post(f"{desk.later}/assign", data={"colleague": "Ben Ali"}).status_code == 200
    text = desk.text("LATER")[1]
    assert ("For Ben Ali" in text, "Everybody calls all lines" in text) == (True, False)


# For each file that is deleted: what the page of its list says, and what the log and `doctor` say.
LOST = {
    ".assigned": ("damaged or lost. Everybody calls all lines", "the file that says to whom is missing"),
    ".contacts": ("that were uploaded with this list cannot be read", "the contact details of this list are missing"),
}


@pytest.mark.parametrize("ending", LOST)
def test_a_lost_file_of_a_list_is_named_on_its_page_in_the_log_and_by_doctor(
    desk: Desk, ending: str, caplog: pytest.LogCaptureFixture
) -> None:
    on_page, in_log = LOST[ending]
    assert on_page not in desk.text("LATER")[1]
    path = desk.delete(ending)
    status, text = desk.text("LATER")
    assert (status, on_page in text) == (200, True), text
    assert desk.text("LATER/call")[0] == 200
    assert f"{path}: " in caplog.text
    assert in_log in caplog.text
    (found,) = (each for each in examine(desk.home).findings if each.path == f"lists/{path.name}")
    assert in_log in found.problem
    assert f"remove {path.name}.made too" in found.mend


def test_rows_to_mend_that_are_lost_are_named_in_the_log_and_by_doctor(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    list_id = "0" * 16
    rows = unscored_rows.UnscoredRows(("booked_at",), {1: {"booked_at": "never"}}, IDENTITY)
    unscored_rows.keep(home, list_id, rows)
    path = home / "lists" / f"{list_id}.unscored"
    assert unscored_rows.read(home, list_id) == rows
    path.unlink()
    assert unscored_rows.read(home, list_id) is None
    says = "the rows that could not be scored cannot be read"
    assert f"{path}: {says}" in caplog.text
    assert any(says in sentence for sentence in unscored_rows.damaged(home))
    unscored_rows.keep(home, list_id, rows.without(1))  # the last row is scored: nothing is lost any more
    assert list(unscored_rows.damaged(home)) == []


def test_an_older_copy_of_the_rows_to_correct_does_not_ask_again_for_a_row_that_was_corrected(tmp_path: Path) -> None:
    home, list_id = tmp_path, "0" * 16
    rows = unscored_rows.UnscoredRows(("booked_at",), {1: {"booked_at": "never"}, 2: {"booked_at": "x"}}, IDENTITY)
    path = home / "lists" / f"{list_id}.unscored"
    unscored_rows.keep(home, list_id, rows)
    older = path.read_bytes()
    unscored_rows.keep(home, list_id, rows.without(1))
    assert unscored_rows.read(home, list_id) == rows.without(1)
    path.write_bytes(older)
    assert unscored_rows.read(home, list_id) is None
    (said,) = unscored_rows.damaged(home)
    assert said.startswith(f"{path}: is an older copy: a row of this list was corrected later.")


@pytest.mark.parametrize("is_lost", [False, True])
def test_with_a_list_everything_that_belongs_to_it_is_deleted(desk: Desk, is_lost: bool) -> None:
    list_id = desk.later.rsplit("/", 1)[-1]
    if is_lost:
        desk.delete(".contacts")
        desk.delete(".assigned")
    assert list_store.delete(desk.home, list_id)
    assert [path.name for path in (desk.home / "lists").iterdir() if list_id in path.name] == []


def test_no_note_replaces_contact_details_that_are_lost_and_the_outcome_of_its_call_is_recorded(desk: Desk) -> None:
    path = desk.delete(".contacts")
    said = {"note": "ask for the daughter", "only_note": "yes"}
    refused = desk.client.post(f"{desk.later}/call/2", data=said, follow_redirects=False)
    assert (refused.status_code, "nothing is added to them" in refused.text) == (503, True)
    answer = desk.client.post(f"{desk.later}/call/2", data={"note": "x", "outcome": "confirmed"})
    assert "The outcome was recorded, but not the note." in answer.text
    assert not path.exists()


def test_contact_details_that_are_past_their_day_are_not_lost(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    path = desk.delete(".contacts")
    assert contact_details.is_unreadable(desk.home, path.stem)
    contact_details.remove_due(desk.home, today=SOON)
    assert contact_details.is_unreadable(desk.home, path.stem)  # its day is not over
    contact_details.remove_due(desk.home, today=SOON + datetime.timedelta(days=400))
    assert not contact_details.is_unreadable(desk.home, path.stem)
    caplog.clear()
    assert "cannot be read" not in desk.text("LATER")[1]
    assert path.name not in caplog.text

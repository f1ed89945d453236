"""A list is deleted by who may, after a question: what came with it goes, what was recorded stays."""

import datetime
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient
from tests.service.conftest import served_at
from tests.service.pages import record, upload_to, week
from tests.service.test_team_lists import export

from dnapredict.service.auth import api_keys
from dnapredict.service.auth.staff import StaffRole
from dnapredict.service.log.log_tables import ACTIONS, ANSWERS
from dnapredict.service.log.scoring_log import ScoringLog
from dnapredict.worklist.files import contact_details
from dnapredict.worklist.files.contact_table import ContactDetails
from dnapredict.worklist.plan.working_days import LOCAL_ZONE


@pytest.fixture
def people(home: Path) -> Iterator[dict[str, TestClient]]:
    """A browser for a clerk and a lead of North, the lead of South, and an administrator."""
    staff = {
        "clerk": ("North", StaffRole.CLERK),
        "lead": ("North", StaffRole.TEAM_LEAD),
        "other lead": ("South", StaffRole.TEAM_LEAD),
        "administrator": ("", StaffRole.ADMINISTRATOR),
    }
    keys = {
        name: api_keys.create_personal(home, name=name, team=team, role=role).token
        for name, (team, role) in staff.items()
    }
    with served_at(home) as first:
        yield {
            name: TestClient(first.app, base_url="http://127.0.0.1", headers={"authorization": f"Bearer {key}"})
            for name, key in keys.items()
        }


def logged(home: Path) -> int:
    """The number of answers and actions in the scoring log."""
    tables = (ANSWERS, ACTIONS)
    return sum(len(ScoringLog(home).query(select(table.c.number))) for table in tables)


def test_a_list_is_deleted_with_all_that_came_with_it_and_nothing_else(client: TestClient, home: Path) -> None:
    list_id = (kept := upload_to(client, week())).rpartition("/")[2]
    other = upload_to(client, export("x y z"), name="other.csv")
    contact_details.keep(home, list_id, {1: ContactDetails("Zara Okoro")}, datetime.date(2099, 1, 1))
    record(client, kept)
    answers_and_actions = logged(home)
    assert "Delete the list" in client.get(kept + "/delete").text
    assert client.get(kept).status_code == 200  # the question alone deletes nothing
    assert client.post(kept + "/delete", follow_redirects=False).headers["location"] == "/lists"
    assert client.get(kept).status_code == 404
    assert not list((home / "lists").glob(f"{list_id}*"))
    assert client.get(other).status_code == 200
    assert logged(home) == answers_and_actions
    assert ScoringLog(home).verify().entries > answers_and_actions  # who saw and deleted it is logged too
    assert "Confirmed" in client.get(upload_to(client, week(), name="again.csv") + "?show=all").text


def test_a_list_that_was_scored_last_goes_from_the_first_page_too(client: TestClient, home: Path) -> None:
    before = upload_to(client, export("x y z"), name="before.csv")
    kept = upload_to(client, week(), name="last.csv")
    client.post(kept + "/delete")
    client.cookies.clear()
    assert "last.csv" not in client.get("/").text
    assert "before.csv" in client.get("/").text
    assert not (home / "lists" / "latest.json").exists()
    client.post(before + "/delete")
    assert "No list has been scored yet" in client.get("/").text


def test_the_question_tells_of_call_backs_that_would_be_forgotten(client: TestClient) -> None:
    address = upload_to(client, export("a b c d e f g h i j"))
    assert "call-back" not in client.get(address + "/delete").text
    assert "1 of its calls has no recorded outcome yet" in client.get(address + "/delete").text
    tomorrow = datetime.datetime.now(LOCAL_ZONE) + datetime.timedelta(days=1)
    agreed = {"outcome": "call_back", "call_back_at": f"{tomorrow:%Y-%m-%dT%H:%M}", "seen": ""}
    client.post(f"{address}/call/1", data=agreed)
    page = client.get(address + "/delete").text
    assert "1 call-back that was agreed is still to be made on this list" in page
    assert "no recorded outcome yet" not in page


@pytest.mark.parametrize(
    ("name", "status"), [("clerk", 403), ("other lead", 404), ("lead", 303), ("administrator", 303)]
)
def test_only_a_lead_of_the_team_and_an_administrator_delete_its_lists(
    people: dict[str, TestClient], name: str, status: int
) -> None:
    address = upload_to(people["clerk"], week())
    shown = people[name].get(address).text
    assert ("Delete this list" in shown) == (status == 303)
    assert people[name].post(address + "/delete", follow_redirects=False).status_code == status
    assert people["clerk"].get(address).status_code == (404 if status == 303 else 200)


def test_a_lead_does_not_take_a_list_of_no_team_from_the_others(people: dict[str, TestClient]) -> None:
    address = upload_to(people["administrator"], week())
    assert "Delete this list" not in people["lead"].get(address).text
    assert people["lead"].post(address + "/delete").status_code == 403
    assert people["administrator"].post(address + "/delete", follow_redirects=False).status_code == 303


def test_a_list_that_is_gone_already_is_no_fault(client: TestClient, address: str) -> None:
    assert client.post(address + "/delete", follow_redirects=False).status_code == 303
    assert client.post(address + "/delete").status_code == 404
    assert client.get(address + "/delete").status_code == 404

"""Each team's current list: an upload displaces no other, and the next export of a list takes its place alone."""

import re
from pathlib import Path
from typing import Final

import pytest
from starlette.testclient import TestClient
from tests.service.conftest import served_at
from tests.service.test_lists import upload
from tests.spec.test_service_access import rows

from dnapredict.config.service_config import Retention
from dnapredict.service.auth import api_keys
from dnapredict.service.auth.staff import StaffRole
from dnapredict.service.log.retention import remove_lists
from dnapredict.service.log.scoring_log import ScoringLog

# One step a line: who uploads which appointments under which name, and what the page / then shows to whom.
STEPS: Final = """
    uploads | name      | appointments | Ada (North) sees  | Ben (North) sees  | Cy (South) sees
    Ada     | monday    | a b c d      | monday            | monday            | nothing
    Cy      | south     | s t u        | monday            | monday            | south
    Ben     | tuesday   | b c d e      | tuesday           | tuesday           | south
    Ben     | eyes      | x y z        | tuesday           | eyes              | south
    Cy      | other     | v w          | tuesday           | eyes              | other
"""
PEOPLE: Final = {"Ada": "North", "Ben": "North", "Cy": "South"}
YEAR: Final = 2099


def export(appointments: str, *, year: int = YEAR) -> str:
    lines = [f"{name},2026-09-01,{year}-12-07 09:00,{40 + ord(name[0]) - 97}" for name in appointments.split()]
    return "\n".join(["appointment_id,booked_at,starts_at,age_years", *lines])


@pytest.fixture
def people(home: Path):
    """A browser for each person."""
    keys = {
        name: api_keys.create_personal(home, name=name, team=team, role=StaffRole.CLERK).token
        for name, team in PEOPLE.items()
    }
    clients = {}
    with served_at(home) as first:
        for name, key in keys.items():
            clients[name] = TestClient(
                first.app, base_url="http://127.0.0.1", headers={"authorization": f"Bearer {key}"}
            )
        yield clients


def seen(client: TestClient) -> str:
    page = client.get("/").text
    if "No list has been scored yet" in page:
        return "nothing"
    if "Which list do you work on?" in page:
        return "one of " + " ".join(sorted(re.findall(r">([a-z]+)\.csv</a>", page)))
    return re.findall(r'nhsuk-caption-l">([a-z]+)\.csv<', page)[0]


def test_each_team_sees_its_own_list_and_each_person_the_one_they_work_on(people: dict[str, TestClient]) -> None:
    for step in rows(STEPS):
        sent = upload(people[step["uploads"]], export(step["appointments"]), name=step["name"] + ".csv", to="/upload")
        assert sent.status_code == 303
        for name, team in PEOPLE.items():
            assert seen(people[name]) == step[f"{name} ({team}) sees"], (step["name"], name)


def test_a_colleague_without_a_list_of_their_own_chooses_among_those_of_the_team(
    people: dict[str, TestClient],
) -> None:
    upload(people["Ada"], export("a b c d"), name="ears.csv", to="/upload")
    upload(people["Ada"], export("x y z"), name="eyes.csv", to="/upload")
    assert seen(people["Ben"]) == "one of ears eyes"
    assert "Uploaded by Ada" in people["Ben"].get("/").text


def test_the_lists_of_another_team_are_closed(people: dict[str, TestClient]) -> None:
    address = upload(people["Ada"], export("a b c d"), to="/upload").headers["location"]
    for path in (address, address + "/file", "/v1" + address, "/v1" + address + "?form=csv"):
        assert people["Ben"].get(path).status_code == 200
        assert people["Cy"].get(path).status_code == 404
    answer = people["Cy"].post(address + "/outcomes", data={"line": "1", "outcome": "confirmed"})
    assert answer.status_code == 404
    assert "week-49.csv" not in people["Cy"].get("/lists").text


def test_the_week_of_a_team_counts_calls_on_its_own_lists(people: dict[str, TestClient]) -> None:
    """The calls that are planned are those of lists that the team sees, and so are the calls that were made."""
    north = upload(people["Ada"], export("a b c d"), to="/upload").headers["location"]
    upload(people["Cy"], export("s t u"), to="/upload")
    people["Ada"].post(north + "/outcomes", data={"line": "1", "outcome": "confirmed"})
    pages = {name: re.sub("<[^>]+>", "", people[name].get("/lists").text) for name in PEOPLE}
    made = {name: re.findall(r"This week, [^:]*: (\d+) of \d+", page) for name, page in pages.items()}
    assert made == {"Ada": ["1"], "Ben": ["1"], "Cy": ["0"]}


def test_a_list_of_appointments_that_are_over_is_no_current_list(people: dict[str, TestClient]) -> None:
    upload(people["Ada"], export("a b c d"), name="next.csv", to="/upload")
    upload(people["Ada"], export("x y z", year=2025), name="last.csv", to="/upload")
    assert seen(people["Ben"]) == "next"
    assert seen(people["Ada"]) == "next"


def test_no_upload_removes_a_list_that_a_team_works_on(people: dict[str, TestClient], home: Path) -> None:
    address = upload(people["Ada"], export("a b c d", year=2025), name="worked on.csv", to="/upload").headers[
        "location"
    ]
    people["Ada"].post(address + "/outcomes", data={"line": "1", "outcome": "no_answer"})
    ahead = upload(people["Ben"], export("x y z"), name="ahead.csv", to="/upload").headers["location"]
    for number in range(4):
        upload(people["Cy"], export(f"s t u{number}", year=2025), name=f"{number}.csv", to="/upload")
    remove_lists(home, Retention(lists=1), ScoringLog(home))
    assert people["Ada"].get(address).status_code == 200
    assert people["Ada"].get(ahead).status_code == 200
    assert len(list((home / "lists").glob("*.parquet"))) == 3


def test_an_export_of_the_next_day_keeps_the_history_and_says_what_is_gone(people: dict[str, TestClient]) -> None:
    first = upload(people["Ada"], export("a b c d"), name="monday.csv", to="/upload").headers["location"]
    people["Ada"].post(first + "/outcomes", data={"line": "1", "outcome": "no_answer"})
    people["Ada"].post(first + "/outcomes", data={"line": "2", "outcome": "confirmed"})
    second = upload(people["Ben"], export("a b c e"), name="tuesday.csv", to="/upload").headers["location"]
    page = people["Ben"].get(second + "?show=all").text
    assert "This is a later export of" in page
    assert "1 appointment is new and 1 appointment is no longer on this list." in page
    assert re.search(r"<li>d, Mon 7 Dec 2099, 09:00: No answer, ", page)
    assert "<strong>Confirmed</strong>" in page
    page = people["Ada"].get(first).text
    assert "There is a later export of this list. It includes everything that was recorded here." in page
    assert re.search(r"<li><a[^>]*>Whole list \(4\)", people["Ada"].get(first).text)
    assert seen(people["Ada"]) == "tuesday"

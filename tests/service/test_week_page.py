"""The page of a week: its counts, what it hides, and that nobody can be found on it."""

import datetime
import re
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from starlette.testclient import TestClient
from tests.kept_states import CLAIM, registered, reported
from tests.service.conftest import served_at
from tests.service.pages import record, upload_to, week

from dnapredict.config.fairness_policy import Disclosure
from dnapredict.service.auth import api_keys
from dnapredict.service.auth.staff import StaffRole
from dnapredict.service.call_actions import WeekEntry
from dnapredict.service.call_outcomes import Outcome
from dnapredict.service.log.log_tables import ACTIONS
from dnapredict.service.log.scoring_log import ScoringLog
from dnapredict.service.pages.rendering import day_words
from dnapredict.service.week_counts import FIFTHS, Ending, WeekCounts, count_week
from dnapredict.worklist.follow_up.outcome_store import OUTCOME_SCHEMA, OutcomeStore
from dnapredict.worklist.plan.working_days import local_today

RULE = Disclosure(why="The rule of hospital statistics.")
# Calls by fifth of deprivation in two weeks, and what may be printed of them ("-" is hidden). In the first, rounding
# leaves the hidden fifth seven values. In the second, somebody who knows of 109 calls in all would know the one.
WEEKS = """
    week | fifth  | called | reached | called is printed as | reached is printed as
    a    | 1      | 40     | 20      | 40                   | 20
    a    | 2      | 30     | 14      | 30                   | 15
    a    | 3      | 30     | 12      | 30                   | 10
    a    | 4      | 20     | 10      | 20                   | 10
    a    | 5      | 3      | 2       | -                    | -
    a    |        | 0      | 0       | 0                    | 0
    b    | 1      | 108    | 50      | -                    | 50
    b    | 5      | 1      | 0       | -                    | 0
"""


def table(text: str) -> list[dict[str, str]]:
    head, *lines = ([cell.strip() for cell in line.split("|")] for line in text.strip("\n").splitlines())
    return [dict(zip(head, line, strict=True)) for line in lines]


def counted(called: dict[str, int], reached: dict[str, int], barrier: str | None = None) -> WeekCounts:
    entries, fifths = [], {}
    for code, calls in called.items():
        for number in range(calls):
            name = f"{code}-{number}"
            outcome = Outcome.CONFIRMED if number < reached[code] else Outcome.NO_ANSWER
            entries.append(WeekEntry(name, "l", outcome, barrier))
            fifths[name] = int(code) if code else None
    return count_week(entries, fifths, RULE)


@pytest.mark.parametrize("week_of", ["a", "b"])
def test_small_numbers_are_hidden_and_others_from_which_they_would_follow(week_of: str) -> None:
    rows = [row for row in table(WEEKS) if row["week"] == week_of]
    counts = counted(
        {row["fifth"]: int(row["called"]) for row in rows}, {row["fifth"]: int(row["reached"]) for row in rows}
    )
    printed = {code: tuple("-" if n is None else str(n) for n in pair) for code, pair in counts.by_fifth.items()}
    wanted = {row["fifth"]: (row["called is printed as"], row["reached is printed as"]) for row in rows}
    assert printed == dict.fromkeys(FIFTHS, ("0", "0")) | wanted
    assert (counts.made, counts.reached) == {"a": (125, 60), "b": (110, 50)}[week_of]


@given(st.dictionaries(st.sampled_from(FIFTHS), st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1))
def test_a_count_is_printed_rounded_and_a_small_one_never(pairs: dict[str, tuple[int, int]]) -> None:
    called = {code: sum(pair) for code, pair in pairs.items()}
    counts = counted(called, {code: pair[0] for code, pair in pairs.items()})
    for code in called:
        for exact, shown in zip((called[code], pairs[code][0]), counts.by_fifth[code], strict=True):
            assert shown in (None, 5 * ((exact + 2) // 5))
            assert not 0 < exact < 8 or shown is None


def test_a_barrier_is_counted_by_the_same_rule() -> None:
    counts = counted({"1": 20, "": 4}, {"1": 20, "": 4}, "transport")
    assert counts.barriers == {"transport": 25}
    assert counted({"1": 4}, {"1": 4}, "cost").barriers == {"cost": None}
    assert counted({"1": 4}, {"1": 4}).barriers == {}


def test_how_appointments_ended_is_counted_by_the_same_rule() -> None:
    entries = [WeekEntry(str(number), "l", Outcome.CONFIRMED, None) for number in range(60)]
    ended = dict.fromkeys(map(str, range(30)), Ending.CAME) | dict.fromkeys(map(str, range(30, 45)), Ending.MISSED)
    counts = count_week(entries, {}, RULE, ended=ended)
    assert counts.endings == {Ending.CAME: 30, Ending.MISSED: 15, Ending.CANCELLED: 0, Ending.NOT_KNOWN: 15}
    few = count_week(entries, {}, RULE, ended=ended | {"59": Ending.CANCELLED, "58": Ending.CANCELLED})
    assert few.endings[Ending.CANCELLED] is None
    assert count_week(entries, {}, RULE).endings == {}


def test_the_page_says_who_came_once_outcomes_were_read(client: TestClient, home: Path) -> None:
    address = upload_to(client, week(200))
    for line in range(1, 21):
        record(client, address, line=line, outcome="confirmed")
    assert "No outcomes were read in this home yet" in client.get("/week").text
    hashed = [row.appointment for row in ScoringLog(home).query(select(ACTIONS.c.appointment))]
    rows = [dict.fromkeys(OUTCOME_SCHEMA.names) | {"appointment": each} for each in hashed]
    for row in rows[:10]:
        row |= {"outcome_code": "5", "missed": False}
    OutcomeStore(home).write(pa.Table.from_pylist(rows, schema=OUTCOME_SCHEMA))
    page = " ".join(re.sub("<[^>]+>", " ", client.get("/week").text).split())
    assert re.search(r"How it ended Came Appointments 10\b", page)
    assert re.search(r"How it ended Not known yet Appointments 10\b", page)
    assert "No outcomes were read" not in page


def test_the_page_counts_what_was_recorded_and_names_no_patient(client: TestClient) -> None:
    address = upload_to(client, week(200))
    for line in range(1, 21):
        outcome = "transport_arranged" if line <= 10 else "no_answer" if line <= 19 else "confirmed"
        assert record(client, address, line=line, outcome=outcome).status_code == 303
    record(client, address, line=20, outcome="withdrawn")
    page = client.get("/week").text
    text = " ".join(re.sub(r"<[^>]*>", " ", page).split())
    assert "Appointments with a call 20 Somebody was reached 10" in text
    assert re.search(r"Transport arranged Appointments 10 ", text)
    assert re.search(r"No answer Appointments 10 ", text)
    assert "Area not known Called 20 Reached 10" in text
    assert "Which patients came. No outcomes were read in this home yet" in text
    assert "apt-" not in page
    assert not re.search(r"/lists/[0-9a-f]{16}", page)


@pytest.mark.parametrize("asked", ["", "?week=2020-01-01", "?week=2999-01-01", "?week=yesterday"])
def test_a_week_without_calls_or_that_does_not_exist_is_a_page_too(client: TestClient, asked: str) -> None:
    answer = client.get(f"/week{asked}")
    assert answer.status_code == 200
    monday = re.search(r"nhsuk-caption-l\">\w{3} (\d+ \w+ \d{4}) to", answer.text)
    assert monday is not None
    assert datetime.datetime.strptime(monday[1], "%d %b %Y").weekday() == 0  # noqa: DTZ007 - a date


def text_of(client: TestClient) -> str:
    return " ".join(re.sub("<[^>]+>", " ", client.get("/week").text).split())


def test_without_a_trial_the_page_says_that_only_a_trial_can_tell(client: TestClient) -> None:
    text = text_of(client)
    assert "Do calls help?" not in text
    assert "Only a trial can show that, and no trial is running here." in text


@pytest.mark.parametrize(
    ("start", "end", "sentence"),
    [
        (0, 90, "A trial of the calls runs until {end}."),
        (-90, 0, "A trial of the calls runs until {end}."),
        (7, 90, "A trial of the calls runs from {start} to {end}."),
        (-90, -1, "ended on {end}. Its report has not been made yet."),
    ],
)
def test_a_registered_trial_is_told_with_its_dates(
    client: TestClient, home: Path, start: int, end: int, sentence: str
) -> None:
    registered(home, start=start, end=end)
    text, today = text_of(client), local_today()
    of_days = {"start": start, "end": end}
    dates = {name: day_words(today + datetime.timedelta(days=days)) for name, days in of_days.items()}
    assert sentence.format(**dates) in text
    assert "Only a trial can show that, and none has been reported here yet." in text


def test_the_claim_of_the_last_report_is_told_word_for_word(client: TestClient, home: Path) -> None:
    registered(home, start=-90, end=-1)
    reported(home)
    text = text_of(client)
    assert CLAIM in text
    assert "the trial ‘Calls’ of Mon 2 Nov 2026, about appointments from Mon 1 Jun 2026 to Fri 30 Oct 2026" in text
    assert "Only a trial can show that" not in text
    assert "Its report has not been made yet" not in text


def test_while_a_trial_runs_its_claim_and_its_end_are_told_once_and_no_arm(client: TestClient, home: Path) -> None:
    registered(home, start=-30, end=60)
    reported(home, "It is not known yet whether calls help. The trial runs until 1 February 2027.")
    text = text_of(client)
    assert "It is not known yet whether calls help. The trial runs until 1 February 2027." in text
    assert "A trial of the calls runs until" not in text
    reported(home, name="Calls of last year")
    assert "A trial of the calls runs until" in text_of(client)
    page = client.get("/week").text.lower()
    assert not re.search(r"control|treatment arm|held out|hold-out|stratum|arms", page)


# Who asks for which page of a week in which North made 20 calls, South 10 and no team 3, and what it shows.
READERS = """
    reader   | asks for | sees        | calls
    Ada      |          | North       | 20
    Ada      | South    | North       | 20
    Cy       |          | South       | 10
    Rae      |          | all teams   | 35
    Rae      | North    | North       | 20
    Rae      | South    | South       | 10
    Rae      | No team  | No team     | hidden
    Rae      | nobody   | all teams   | 35
    Max      | South    | South       | 10
"""
PEOPLE = {
    "Ada": ("North", StaffRole.CLERK),
    "Lee": ("South", StaffRole.TEAM_LEAD),
    "Cy": ("South", StaffRole.CLERK),
    "Rae": ("", StaffRole.REVIEWER),
    "Max": ("", StaffRole.ADMINISTRATOR),
}


def test_a_clerk_sees_the_week_of_the_team_and_a_reviewer_that_of_any(home: Path) -> None:
    keys = {
        name: api_keys.create_personal(home, name=name, team=team, role=role).token
        for name, (team, role) in PEOPLE.items()
    }
    with served_at(home) as served:

        def client_of(name: str) -> TestClient:
            headers = {"authorization": f"Bearer {keys[name]}"}
            return TestClient(served.app, base_url="http://127.0.0.1", headers=headers)

        for name, calls in (("Ada", 20), ("Lee", 10), ("Max", 3)):
            client = client_of(name)
            address = upload_to(client, week(200, mark=f"apt-{name}"))
            for line in range(1, calls + 1):
                assert record(client, address, line=line).status_code == 303
        for row in table(READERS):
            asked = {"team": row["asks for"]} if row["asks for"] else {}
            page = client_of(row["reader"]).get("/week", params=asked).text
            text = " ".join(re.sub(r"<[^>]*>", " ", page).split())
            assert f", {row['sees']} What the calls led to" in text, row
            assert f"Appointments with a call {row['calls']} " in text, row
            assert ('<select class="nhsuk-select" id="team"' in page) is (row["reader"] in ("Rae", "Max")), row
            assert ("That is too few to show any number." in text) is (row["calls"] == "hidden"), row
            assert ("Called" in text) is (row["calls"] != "hidden"), row


def test_a_team_without_a_call_is_told_that_outcomes_were_read_and_of_calls_on_lists_of_no_team(home: Path) -> None:
    keys = {
        name: api_keys.create_personal(home, name=name, team=team, role=role).token
        for name, (team, role) in PEOPLE.items()
    }
    with served_at(home) as served:
        by_name = {
            name: TestClient(served.app, base_url="http://127.0.0.1", headers={"authorization": f"Bearer {key}"})
            for name, key in keys.items()
        }
        record(by_name["Max"], upload_to(by_name["Max"], week(200)))
        OutcomeStore(home).write(OUTCOME_SCHEMA.empty_table())
        text = text_of(by_name["Ada"])
        assert "No outcomes were read in this home yet" not in text
        assert "Calls of this week on lists that belong to no team are not counted here." in text
        assert "lists that belong to no team" not in text_of(by_name["Rae"])


def test_the_week_before_is_that_of_the_same_team(home: Path) -> None:
    key = api_keys.create_personal(home, name="Max", team="", role=StaffRole.ADMINISTRATOR).token
    with served_at(home) as served:
        client = TestClient(served.app, base_url="http://127.0.0.1", headers={"authorization": f"Bearer {key}"})
        address = upload_to(client, week(200))
        record(client, address)
        page = client.get("/week", params={"team": "No team"}).text
        (before,) = re.findall(r'<a href="(/week[^"]*)">The week before', page)
        assert re.fullmatch(r"/week\?week=\d{4}-\d\d-\d\d&amp;team=No\+team", before)

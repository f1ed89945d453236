"""Any spreadsheet: its columns are asked about once, its file waits unreadable, and the answer is remembered."""

import os
import re
from pathlib import Path

import pytest
from httpx import Response
from starlette.testclient import TestClient
from tests.service.pages import MARK, week
from tests.service.test_lists import upload, workbook

from dnapredict.data.mapping.column_meanings import WORDS
from dnapredict.errors import StoreError
from dnapredict.pipeline.run_inputs import worklist_config
from dnapredict.service.pages import upload_pages
from dnapredict.worklist.files import list_store

PAS = [
    ["Appt ID", "Booked Date", "Appt Date", "Appt Time", "Patient Age", "Clinic Code", "Ward Remark"],
    [f"A-{MARK}", "01/09/2026", "07/12/2026", "09:30", "80", "ENT1", MARK],
    ["A-2", "01/09/2026", "07/12/2026", "10:00", "20", "ENT1", ""],
]


def sheet(rows: list[list[str]] = PAS) -> str:
    return "\n".join(",".join(row) for row in rows) + "\n"


def chosen(page: str) -> dict[str, str]:
    """What each select of the page has chosen, by the name of the column."""
    asked = re.findall(r"Your <strong>(.*?)</strong> is</label>(.*?)</select>", page, re.DOTALL)
    return {name: (re.findall(r'value="([^"]*)" selected', options) or [""])[0] for name, options in asked}


def answers(page: str, **changes: str) -> dict[str, str]:
    """The fields that a browser sends, with other choices by the name of the column."""
    keys = chosen(page) | changes
    fields = {f"column-{number}": key for number, key in enumerate(keys.values(), start=1)}
    return fields | {"ticket": re.findall(r'name="ticket" value="([^"]*)"', page)[0]}


def confirm(client: TestClient, page: str, **changes: str) -> Response:
    return client.post("/upload/columns", data=answers(page, **changes), follow_redirects=False)


@pytest.fixture
def question(client: TestClient) -> str:
    answer = upload(client, sheet(), to="/upload")
    assert answer.status_code == 200
    return answer.text


def test_a_file_with_its_own_columns_is_asked_about_and_not_refused(question: str) -> None:
    assert chosen(question) == {
        "Appt ID": "appointment_id",
        "Booked Date": "booked_at",
        "Appt Date": "starts_at",
        "Appt Time": "starts_at.time",
        "Patient Age": "age_years",
        "Clinic Code": "clinic_code",
        "Ward Remark": "",
    }
    assert "Your <strong>Appt ID</strong> is</label>" in question
    assert '<option value="appointment_id" selected>the appointment number</option>' in question
    assert MARK not in question


def test_every_column_that_holds_a_need_can_be_chosen() -> None:
    assert {need.column for need in worklist_config().needs} <= WORDS.keys()


@pytest.mark.parametrize(
    ("name", "cell", "meaning"),
    [
        ("AIS needs", "Large print", "accessible_information_code"),
        ("Learning Disability", "Y", "learning_disability_flag"),
        ("Interp?", "Yes", "interpreter_needed"),
        ("Transport", "Booked", "transport_booked"),
        ("Tel (M)", "07700 900123", "mobile"),
        ("Tel (H)", "01632 960001", "home_telephone"),
        ("Lang", "Polish", "language"),
    ],
)
def test_what_a_call_needs_is_known_by_its_usual_names(client: TestClient, name: str, cell: str, meaning: str) -> None:
    rows = [[*PAS[0], name], *([*row, cell] for row in PAS[1:])]
    assert chosen(upload(client, sheet(rows), to="/upload").text)[name] == meaning


def test_columns_that_hold_nothing_are_not_asked_about(client: TestClient) -> None:
    rows = [[*row[:6], "", cell, row[6]] for row, cell in zip(PAS, ("", "x", ""), strict=True)]
    asked = upload(client, workbook([["Clinic list"], [], *rows]), name="titles.xlsx", to="/upload").text
    assert "column_7" not in asked
    assert '<input type="hidden" name="column-7" value="">' in asked
    assert 'for="column-8"><span class="dna-columns__letter">Column H</span> Your column without a name is' in asked
    keys = [*list(chosen(asked).values())[:6], "", "", ""]
    ticket = re.findall(r'name="ticket" value="([^"]*)"', asked)[0]
    fields = {f"column-{number}": key for number, key in enumerate(keys, start=1)} | {"ticket": ticket}
    assert client.post("/upload/columns", data=fields, follow_redirects=False).status_code == 303


@pytest.mark.parametrize("name", ["Appointment No", "Appt No", "Booking Number", "Attendance No."])
def test_an_appointment_number_is_known_by_its_usual_names(client: TestClient, name: str) -> None:
    asked = upload(client, sheet([[name, *PAS[0][1:]], *PAS[1:]]), to="/upload").text
    assert chosen(asked)[name] == "appointment_id"
    assert "No column is used as the appointment number" not in asked


def test_a_list_without_an_appointment_number_says_what_that_means(client: TestClient) -> None:
    rows = [["Hospital Number", *PAS[0][1:]], *PAS[1:]]
    asked = upload(client, sheet(rows), to="/upload").text
    assert "No column is used as the appointment number" in asked


def test_a_confirmed_choice_scores_the_list(client: TestClient, question: str) -> None:
    answer = confirm(client, question)
    assert answer.status_code == 303
    page = client.get(answer.headers["location"]).text
    assert "Mon 7 Dec 2026, 09:30" in page
    assert f"A-{MARK}" in page


def test_the_next_file_with_the_same_columns_goes_straight_through(client: TestClient, question: str) -> None:
    confirm(client, question)
    tomorrow = sheet([*PAS, ["A-3", "01/09/2026", "08/12/2026", "09:00", "50", "ENT1", ""]])
    assert upload(client, tomorrow, name="tomorrow.csv", to="/upload").status_code == 303
    rows = [row[::-1] for row in PAS]  # the same columns in another order, as a workbook
    assert upload(client, workbook(rows), name="other order.xlsx", to="/upload").status_code == 303
    assert upload(client, sheet().replace("Ward", "Bed"), name="other.csv", to="/upload").status_code == 200


def test_a_correction_counts_and_not_the_suggestion(client: TestClient, question: str) -> None:
    confirm(client, question, **{"Appt Time": ""})
    (page,) = [client.get("/").text]
    assert "Mon 7 Dec 2026</span>" in page


def test_a_wrong_meaning_by_which_no_row_could_be_scored_is_not_remembered(client: TestClient, question: str) -> None:
    first = confirm(client, question, **{"Booked Date": "", "Clinic Code": "booked_at"})
    assert "no row could be scored" in client.get(first.headers["location"]).text
    again = upload(client, sheet(), to="/upload")  # the same file, so soon that it could be a second click
    assert again.status_code == 200
    second = confirm(client, again.text)
    assert second.headers["location"].split("#")[0] != first.headers["location"].split("#")[0]
    assert "Mon 7 Dec 2026, 09:30" in client.get(second.headers["location"]).text
    assert upload(client, sheet(), name="next.csv", to="/upload").status_code == 303


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"Booked Date": ""}, "Choose which column is when the appointment was booked."),
        ({"Appt Date": ""}, "A column with the time of day needs another with the date"),
        ({"Ward Remark": "appointment_id"}, "Two columns are the appointment number. Choose one of them."),
        ({"Appt ID": MARK}, "Choose which column is the appointment number."),
    ],
)
def test_a_choice_that_makes_no_list_is_asked_again_with_the_answers_kept(
    client: TestClient, question: str, changes: dict[str, str], sentence: str
) -> None:
    answer = confirm(client, question, **changes)
    assert answer.status_code == 400
    assert f'<a href="#column-1">{sentence}' in answer.text
    assert MARK not in answer.text
    assert chosen(answer.text)["Clinic Code"] == "clinic_code"
    assert confirm(client, answer.text, **dict(zip(PAS[0], chosen(question).values(), strict=True))).status_code == 303


def test_nothing_of_the_file_lies_readable_on_disk_while_it_waits(
    client: TestClient, question: str, home: Path, tmp_path: Path
) -> None:
    waiting = list((home / "uploads").iterdir())
    assert len(waiting) == 1
    assert waiting[0].stat().st_mode & 0o077 == 0
    key = answers(question)["ticket"].partition(".")[2].encode()
    for path in [each for each in tmp_path.rglob("*") if each.is_file()]:
        content = path.read_bytes()
        assert MARK.encode() not in content, path
        assert key not in content, path
    confirm(client, question)
    remembered = [path.read_text() for path in (home / "mappings").rglob("*.toml")]
    assert len(remembered) == 1
    assert MARK not in remembered[0]


@pytest.mark.parametrize("ticket", ["", "0" * 16, "0" * 16 + "." + "A" * 43 + "=", MARK, "../../x"])
def test_a_file_that_does_not_wait_any_more_is_asked_for_again(client: TestClient, question: str, ticket: str) -> None:
    answer = client.post("/upload/columns", data=answers(question) | {"ticket": ticket})
    assert answer.status_code == 400
    assert "The file was deleted: an upload is kept for half an hour. Choose it again." in answer.text
    assert MARK not in answer.text


def test_a_file_that_waited_for_too_long_is_read_no_more_and_removed(
    client: TestClient, question: str, home: Path
) -> None:
    (old,) = (home / "uploads").iterdir()
    os.utime(old, (0, 0))
    page = confirm(client, question).text
    assert "The file was deleted: an upload is kept for half an hour. Choose it again." in page
    upload(client, sheet(), to="/upload")
    assert not old.exists()


# A spreadsheet none of whose columns has a name that is known here.
OWN_WORDS = [
    ["Ref", "Put in the book", "Is on", "Years"],
    [f"A-{MARK}", "01/09/2026", "07/12/2026 09:30", "80"],
    ["A-2", "01/09/2026", "07/12/2026 10:00", "20"],
]
MEANT = {"Ref": "appointment_id", "Put in the book": "booked_at", "Is on": "starts_at", "Years": "age_years"}


def test_a_spreadsheet_without_a_known_name_is_asked_about_and_not_refused(client: TestClient) -> None:
    answer = upload(client, sheet(OWN_WORDS), to="/upload")
    assert answer.status_code == 200
    assert set(chosen(answer.text)) == set(OWN_WORDS[0])
    assert "What is the first row of your file?" in answer.text
    assert "<li>when the appointment starts: the date, with or without a time</li>" in answer.text
    again = client.post("/upload/columns", data=answers(answer.text) | {"first-row": "names"})
    assert again.status_code == 400
    assert 'value="names" checked' in again.text
    fields = answers(answer.text, **MEANT) | {"first-row": "names"}
    scored = client.post("/upload/columns", data=fields, follow_redirects=False)
    assert scored.status_code == 303
    assert "Mon 7 Dec 2026, 09:30" in client.get(scored.headers["location"]).text
    assert upload(client, sheet([*OWN_WORDS, ["A-3", *OWN_WORDS[1][1:]]]), to="/upload").status_code == 303


@pytest.mark.parametrize(
    ("first_row", "sentence"),
    [
        ("", "Say what the first row of your file is: the names of its columns, or an appointment."),
        ("appointment", "Put the names of the columns above the first row, such as Appointment number,"),
        (MARK, "Say what the first row of your file is"),
    ],
)
def test_a_first_row_that_may_be_a_patient_is_not_remembered_as_columns(
    client: TestClient, home: Path, first_row: str, sentence: str
) -> None:
    """The names of columns are kept readable, for the files that follow."""
    page = upload(client, f"{MARK},Jones,x\n1,2,y\n", to="/upload").text
    assert MARK not in page
    fields = answers(page) | {"first-row": first_row}
    fields |= {"column-1": "appointment_id", "column-2": "booked_at", "column-3": "starts_at"}
    answer = client.post("/upload/columns", data=fields)
    assert answer.status_code == 400
    assert sentence in answer.text
    assert MARK not in answer.text
    assert not list(home.rglob("mappings/**/*.toml"))


def test_a_second_click_makes_no_second_list(client: TestClient, question: str, home: Path) -> None:
    first, second = confirm(client, question), confirm(client, question)
    assert first.headers["location"] == second.headers["location"]
    again = upload(client, sheet(), to="/upload")
    assert again.headers["location"] == first.headers["location"]
    assert len(list((home / "lists").glob("*.parquet"))) == 1


LONG = week(10_000, mark="a-long-name-that-makes-a-long-file")


def test_a_long_list_tells_how_far_it_is_and_leads_to_itself_without_a_script(client: TestClient, home: Path) -> None:
    answer = upload(client, LONG, name="<b>long.csv", to="/upload")
    assert answer.status_code == 200
    assert "The list is being scored" in answer.text
    assert "<b>" not in answer.text
    (address,) = re.findall(r'<meta http-equiv="refresh" content="0; url=(/lists/[0-9a-f]{16})">', answer.text)
    assert f'<a href="{address}">Go to the list</a>' in answer.text
    assert answer.text.rstrip().endswith("</html>")
    assert "Out of 10,000 appointments on the list." in client.get(address).text
    assert address in upload(client, LONG, name="<b>long.csv", to="/upload").text
    assert len(list((home / "lists").glob("*.parquet"))) == 1


def test_a_long_list_that_cannot_be_scored_says_so_where_it_waited(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise StoreError(f"{home}: cannot be written.")

    monkeypatch.setattr(list_store, "keep", fail)
    answer = upload(client, LONG, name="long.csv", to="/upload")
    assert "The list could not be scored or kept; the log of the service names the cause." in answer.text
    assert str(home) not in answer.text
    assert "refresh" not in answer.text


@pytest.fixture
def slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every workbook is long enough for a page with progress, which has a step each hundredth of a second."""
    monkeypatch.setattr(upload_pages, "_LONG_WORKBOOK", 0)
    monkeypatch.setattr(upload_pages, "_SECONDS_A_STEP", 0.01)
    monkeypatch.setattr(upload_pages, "_STEPS_UNTIL_LATE", 3)


@pytest.mark.usefixtures("slowly")
def test_the_page_counts_the_rows_while_a_workbook_is_read_and_then_leads_to_the_list(client: TestClient) -> None:
    rows = [line.split(",") for line in week(5_000).splitlines()]
    answer = upload(client, workbook(rows), name="long.xlsx", to="/upload")
    reading, scoring = answer.text.split("Scoring since:")
    counted = re.findall(r"<span>([\d,]+) rows</span>", reading.partition("Reading the file:")[2])
    # Which thousands a step meets depends on the speed of the machine.
    assert {"5,000"} < set(counted) <= {"0", "1,000", "2,000", "3,000", "4,000", "5,000"}
    assert counted == sorted(counted, key=lambda rows: int(rows.replace(",", "")))
    assert 'look under <a href="/lists">Recent lists</a> in a few minutes, before you send the file again' in reading
    (address,) = re.findall(r'<meta http-equiv="refresh" content="0; url=(/lists/[0-9a-f]{16})">', scoring)
    assert "Out of 5,000 appointments on the list." in client.get(address).text
    assert answer.text.rstrip().endswith("</html>")


@pytest.mark.usefixtures("slowly")
def test_a_long_workbook_asks_about_its_columns_on_the_page_where_it_waited(client: TestClient) -> None:
    asked = upload(client, workbook(PAS), name="own.xlsx", to="/upload").text
    assert "Reading the file:" in asked
    assert chosen(asked)["Appt Date"] == "starts_at"
    wrong = client.post("/upload/columns", data=answers(asked, **{"Booked Date": ""})).text
    assert "Choose which column is when the appointment was booked." in wrong
    scored = client.post("/upload/columns", data=answers(wrong, **{"Booked Date": "booked_at"})).text
    (address,) = re.findall(r'content="0; url=(/lists/[0-9a-f]{16})">', scored)
    assert f"A-{MARK}" in client.get(address).text


@pytest.mark.usefixtures("slowly")
def test_a_long_workbook_that_is_no_list_says_so_where_it_waited(client: TestClient) -> None:
    answer = upload(client, b"PK no workbook", name="<b>.xlsx", to="/upload").text
    assert re.search(r'role="alert"><strong>_b_\.xlsx: [^<]+</strong> <a href="/upload">Choose the file again', answer)
    assert "Scoring since" not in answer

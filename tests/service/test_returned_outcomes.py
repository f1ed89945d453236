"""A worklist that was downloaded, filled in and given back: what becomes of each row.

Each row of a table is an appointment: what was recorded when the workbook was downloaded, what a colleague recorded on
the page after that, what a clerk put into the workbook ("=" leaves the cell as it was, "-" empties it), what the page
then says of the row, and what counts. Nothing is lost, and nothing is recorded twice.
"""

import io
import re
from pathlib import Path
from typing import Any, Final

import openpyxl
import pytest
from starlette.testclient import TestClient
from tests.end_to_end.conftest import command
from tests.service.pages import record, upload_to

from dnapredict.errors import DataError
from dnapredict.service.call_outcomes import WORDS, Outcome
from dnapredict.worklist.files.calls_sheet import APPOINTMENT, HAPPENED

LIST: Final = """
    appointment_id | booked_at  | starts_at        | age_years | clinic_code
    a              | 2026-09-01 | 2026-12-07 09:00 | 80        | ENT1
    b              | 2026-09-01 | 2026-12-07 09:30 | 79        | ENT1
    c              | 2026-09-01 | 2026-12-07 10:00 | 78        | EYE2
    d              | 2026-09-01 | 2026-12-08 09:00 | 77        | EYE2
    e              | 2026-09-01 | 2026-12-08 09:30 | 76        | EYE2
    f              | 2026-09-01 | 2026-12-08 10:00 | 75        | EYE2
    g              | 2026-09-01 | 2026-12-08 10:30 | 74        | EYE2
    h              | 2026-09-01 | 2026-12-08 11:00 | 73        | EYE2
    i              | 2026-09-01 | 2026-12-08 11:30 | 72        | EYE2
    j              | 2026-09-01 | 2026-12-08 12:00 | 71        | EYE2
"""
ROWS: Final = """
    row | at download | after it  | in the workbook          | what became of it                    | counts
    a   |             |           | Confirmed                | recorded                             | confirmed
    b   |             |           | =                        |                                      |
    c   | no_answer   |           | Confirmed                | recorded                             | confirmed
    d   | no_answer   |           | =                        | recorded already                     | no_answer
    e   |             | rebooked  | Confirmed                | a colleague recorded another outcome | rebooked
    f   | no_answer   | rebooked  | Confirmed                | a colleague recorded another outcome | rebooked
    g   |             | confirmed | Confirmed                | recorded already                     | confirmed
    h   | no_answer   | rebooked  | =                        | as it was downloaded                 | rebooked
    i   | no_answer   |           | -                        | an outcome was taken out             | no_answer
    j   |             |           | Rang, will ring back     | not one of the outcomes              |
"""
AGAIN: Final = """
    row | what became of it
    a   | recorded already
    c   | recorded already
    d   | recorded already
    e   | a colleague recorded another outcome
    f   | a colleague recorded another outcome
    g   | recorded already
    h   | as it was downloaded
    i   | an outcome was taken out
    j   | not one of the outcomes
"""


def table(text: str) -> list[dict[str, str]]:
    head, *lines = ([cell.strip() for cell in line.split("|")] for line in text.strip().splitlines())
    return [dict(zip(head, line, strict=True)) for line in lines]


def as_csv(rows: list[dict[str, str]]) -> str:
    return "\n".join(",".join(cells) for cells in [list(rows[0]), *(list(row.values()) for row in rows)])


@pytest.fixture
def address(client: TestClient) -> str:
    return upload_to(client, as_csv(table(LIST)))


def download(client: TestClient, address: str) -> Any:
    return openpyxl.load_workbook(io.BytesIO(client.get(f"{address}/file?form=xlsx").content))


def content_of(book: Any) -> bytes:
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def give_back(client: TestClient, address: str, content: bytes | str, name: str = "filled.xlsx") -> dict[str, Any]:
    answer = client.post(f"/v1{address}/outcomes", files={"file": (name, content)})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def fill(book: Any, appointment: str, outcome: str | None, sheet: str = "Worklist") -> None:
    """Put an outcome beside an appointment; "=" leaves the cell, "-" empties it."""
    rows = book[sheet]
    heads = [cell.value for cell in rows[1]]
    column = heads.index("outcome" if sheet == "Worklist" else HAPPENED) + 1
    number = heads.index("appointment_id" if sheet == "Worklist" else APPOINTMENT) + 1
    (line,) = (cells[0].row for cells in rows.iter_rows(min_row=2) if cells[number - 1].value == appointment)
    if outcome != "=":
        rows.cell(line, column).value = None if outcome == "-" else outcome


def fates(answer: dict[str, Any]) -> dict[str, str]:
    return {row["appointment_id"]: row["fate"] for row in answer["rows"]}


def counts(client: TestClient, address: str) -> dict[str, str]:
    """What counts for each appointment, read from a new download."""
    rows = download(client, address)["Worklist"].iter_rows(min_row=2, values_only=True)
    by_words = {words: outcome.value for outcome, words in WORDS.items()}
    return {row[0]: by_words.get(row[-1], "") for row in rows}


def line_of(appointment: str) -> int:
    return [row["appointment_id"] for row in table(LIST)].index(appointment) + 1


def filled(client: TestClient, address: str) -> bytes:
    """The workbook of `ROWS`, filled in while colleagues go on."""
    for row in table(ROWS):
        if row["at download"]:
            record(client, address, line=line_of(row["row"]), outcome=row["at download"])
    book = download(client, address)
    for row in table(ROWS):
        if row["after it"]:
            record(client, address, line=line_of(row["row"]), outcome=row["after it"])
        for sheet in ("Worklist", *(["Calls"] if row["row"] == "a" else [])):
            fill(book, row["row"], row["in the workbook"], sheet)
    return content_of(book)


def test_each_row_has_its_fate_and_the_page_keeps_what_a_colleague_recorded(client: TestClient, address: str) -> None:
    answer = give_back(client, address, filled(client, address))
    assert fates(answer) == {row["row"]: row["what became of it"] for row in table(ROWS) if row["what became of it"]}
    assert counts(client, address) == {row["row"]: row["counts"] for row in table(ROWS)}
    assert (answer["recorded"], answer["attention"], answer["empty"]) == (2, 4, 1)


def test_given_back_again_nothing_is_recorded_twice(client: TestClient, address: str) -> None:
    content = filled(client, address)
    give_back(client, address, content)
    before = client.get(address, params={"show": "all"}).text.count("dna-history__words")
    answer = give_back(client, address, content)
    assert fates(answer) == {row["row"]: row["what became of it"] for row in table(AGAIN)}
    assert answer["recorded"] == 0
    assert client.get(address, params={"show": "all"}).text.count("dna-history__words") == before
    assert counts(client, address) == {row["row"]: row["counts"] for row in table(ROWS)}


def test_the_page_says_of_each_row_what_became_of_it(client: TestClient, address: str) -> None:
    content = filled(client, address)
    shown = client.post(f"{address}/workbook", files={"file": ("filled.xlsx", content)}).text
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", shown))
    assert "2 outcomes were recorded. 2 were recorded already. 1 is unchanged since the download." in text
    assert "4 rows need a look. Nothing was recorded for them, and nothing recorded before was changed." in text
    assert (
        "A colleague recorded another outcome. Nothing was changed. Decide on the page which of the two counts." in text
    )
    assert f'href="{address}?show=all#line-5"' in shown
    assert "Worklist, row 11" in text


FAULTS: Final = """
    sheet    | appointment | outcome                 | what became of it             | counts
    Calls    | a           | Confirmed               | two outcomes for one appointment |
    Worklist | a           | Rebooked                |                               |
    Worklist | b           | =A1                     | a formula                     |
    Worklist | x-99        | Confirmed               | not on this list              |
    Worklist |             | No answer               | no appointment number         |
    Worklist | c           | Recorded by mistake     | not one of the outcomes       |
    Worklist | d           | CONFIRMED               | recorded                      | confirmed
    Worklist | e           | no_answer               | recorded                      | no_answer
    Worklist | f           | "  Message   left "     | recorded                      | message_left
"""


def test_rows_that_cannot_be_recorded_are_said_and_the_others_are_recorded(client: TestClient, address: str) -> None:
    book = download(client, address)
    for row in table(FAULTS):
        outcome = row["outcome"].strip('"')
        if row["appointment"] in {each["appointment_id"] for each in table(LIST)}:
            fill(book, row["appointment"], outcome if outcome != "=A1" else '=IF(1=1,"Confirmed","")', row["sheet"])
        else:
            cells = [row["appointment"] or None, *[None] * 10, outcome]
            book[row["sheet"]].append(cells)
    answer = give_back(client, address, content_of(book))
    told = [(row["appointment_id"] or "", row["fate"]) for row in answer["rows"]]
    wanted = [(row["appointment"], row["what became of it"]) for row in table(FAULTS) if row["what became of it"]]
    assert sorted(set(told)) == sorted(wanted)
    assert answer["recorded"] == 3
    now = counts(client, address)
    assert {row["appointment"]: row["counts"] for row in table(FAULTS) if row["counts"]} == {
        name: now[name] for name in ("d", "e", "f")
    }
    assert not any(now[name] for name in ("a", "b", "c"))
    assert all(row["advice"] for row in answer["rows"] if row["fate"] != "recorded")


def test_a_workbook_of_another_list_is_refused_whole_and_its_own_page_is_named(
    client: TestClient, address: str
) -> None:
    book = download(client, address)
    fill(book, "a", "Confirmed")
    other = upload_to(client, as_csv(table(LIST)[:9]), "week-50.csv")
    answer = client.post(f"/v1{other}/outcomes", files={"file": ("filled.xlsx", content_of(book))})
    assert answer.status_code == 400
    assert answer.json()["error"] == (
        "This workbook belongs to another list than week-50.csv. Nothing was recorded. Give it back on the page of its "
        f"own list: {address}"
    )
    page = client.post(f"{other}/workbook", files={"file": ("filled.xlsx", content_of(book))})
    assert page.status_code == 400
    assert address in page.text
    assert not any(counts(client, other).values())


def test_a_file_that_says_no_list_and_has_no_appointment_of_this_one_is_refused(
    client: TestClient, address: str
) -> None:
    sent = "appointment_id,outcome\nx,Confirmed\ny,No answer\n"
    answer = client.post(f"/v1{address}/outcomes", files={"file": ("filled.csv", sent)})
    assert answer.status_code == 400
    assert "None of the 2 appointments in this file is on the list week-49.csv" in answer.json()["error"]


def test_a_csv_file_counts_too_and_replaces_nothing_that_it_cannot_have_seen(client: TestClient, address: str) -> None:
    record(client, address, line=2, outcome="rebooked")
    sent = client.get(f"{address}/file?form=csv").text.replace('"",""', '"",""')
    lines = sent.splitlines()
    filled_in = [line + '"Confirmed"' if line.startswith('"a"') else line for line in lines]
    filled_in[2] = filled_in[2].replace("Rebooked", "Confirmed")
    answer = give_back(client, address, "\n".join(filled_in), "filled.csv")
    assert fates(answer) == {"a": "recorded", "b": "a colleague recorded another outcome"}
    assert counts(client, address)["b"] == "rebooked"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("filled.xlsm", b"PK", "A workbook with macros is not read: save it as .xlsx."),
        ("filled.pdf", b"%PDF", "give the outcomes back as .xlsx or .csv."),
        ("filled.xlsx", b"not a workbook", "workbook"),
        ("filled.csv", b"appointment_id,booked_at\na,2026-09-01\n", "has no column for the outcomes"),
    ],
)
def test_a_file_that_is_no_filled_worklist_is_refused_with_what_to_do(
    client: TestClient, address: str, name: str, content: bytes, message: str
) -> None:
    answer = client.post(f"/v1{address}/outcomes", files={"file": (name, content)})
    assert answer.status_code == 400
    assert message in answer.json()["error"]
    assert "dnapredict-" not in answer.json()["error"]
    page = client.post(f"{address}/workbook", files={"file": (name, content)})
    assert page.status_code == 400
    assert "Nothing was recorded" in page.text


def test_a_cut_off_workbook_records_nothing(client: TestClient, address: str) -> None:
    book = download(client, address)
    fill(book, "a", "Confirmed")
    whole = content_of(book)
    answer = client.post(f"/v1{address}/outcomes", files={"file": ("filled.xlsx", whole[: len(whole) // 2])})
    assert answer.status_code == 400
    assert not any(counts(client, address).values())


def test_rows_may_be_sorted_columns_moved_and_sheets_renamed(client: TestClient, address: str) -> None:
    book = download(client, address)
    fill(book, "a", "Confirmed", "Calls")
    calls = book["Calls"]
    moved = [[row[-1], *row[:-1]] for row in calls.iter_rows(values_only=True)]
    del book["Worklist"], book["Calls"]
    sheet = book.create_sheet("My calls")
    sheet.append(["Week 49", None])
    for row in [moved[0], *reversed(moved[1:])]:
        sheet.append(row)
    answer = give_back(client, address, content_of(book))
    assert fates(answer) == {"a": "recorded"}
    assert answer["rows"][0]["sheet"] == "My calls"


def test_an_appointment_number_that_a_spreadsheet_would_run_is_found_again(client: TestClient) -> None:
    rows = [{**table(LIST)[0], "appointment_id": "=1+1"}, table(LIST)[1]]
    address = upload_to(client, as_csv(rows))
    book = download(client, address)
    fill(book, "'=1+1", "Confirmed", "Calls")
    assert fates(give_back(client, address, content_of(book))) == {"'=1+1": "recorded"}


def test_an_opt_out_in_a_workbook_is_honoured_on_the_page(client: TestClient, address: str) -> None:
    book = download(client, address)
    fill(book, "a", WORDS[Outcome.OPTED_OUT])
    assert give_back(client, address, content_of(book))["recorded"] == 1
    assert "Does not wish to be called" in client.get(address, params={"show": "all"}).text


def test_the_command_line_records_as_the_page_does(
    client: TestClient, address: str, home: Path, tmp_path: Path
) -> None:
    (file := tmp_path / "filled.xlsx").write_bytes(filled(client, address))
    done = command("log", "record", file, "--home", home)
    assert done.returncode == DataError.exit_code
    assert done.stdout == "Recorded: 2. Recorded already: 2. Without an outcome: 1.\n"
    assert done.stderr.count("a colleague recorded another outcome") == 2
    assert counts(client, address) == {row["row"]: row["counts"] for row in table(ROWS)}
    again = command("log", "record", file, "--home", home)
    assert again.stdout == "Recorded: 0. Recorded already: 4. Without an outcome: 1.\n"


def test_a_file_that_names_no_list_needs_its_id(client: TestClient, address: str, home: Path, tmp_path: Path) -> None:
    (file := tmp_path / "filled.csv").write_text("appointment_id,outcome\na,Confirmed\n", encoding="utf-8")
    refused = command("log", "record", file, "--home", home)
    assert (refused.returncode, "--list ID" in refused.stderr) == (DataError.exit_code, True)
    unknown = command("log", "record", file, "--list", "0" * 16, "--home", home)
    assert (unknown.returncode, "is not in this home" in unknown.stderr) == (DataError.exit_code, True)
    done = command("log", "record", file, "--list", address.rpartition("/")[2], "--home", home)
    assert (done.returncode, done.stdout.startswith("Recorded: 1.")) == (0, True)
    assert counts(client, address)["a"] == "confirmed"

"""Lists as they really are: each is refused in a sentence, or every row of it comes back exactly once."""

import csv
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.end_to_end.conftest import Run
from tests.end_to_end.world import Trust
from tests.nasty_lists import MARK, Case, every_case

from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.readers import table_file
from dnapredict.data.validation import contract_check
from dnapredict.errors import DataError

CASES = every_case()
BY_NAME = {case.name: case for case in CASES}
MOST_REJECTED = 0.02
REFUSED = 10
# Of each kind some that go through the command itself, and a few through a process of their own.
CHECKED = CASES[::20]
SCORED = (
    *("cp1252-59-crlf", "utf-16-le-9-crlf", "title and date, crlf", "a total, then more rows"),
    *("a break in a cell", "many bare commas", "id of 10,000 characters, sheet", "id like a formula, text"),
    *("half turned round by a spreadsheet", "merged cells down a column", "compressed", "picture"),
    *("quotes that swallow rows", "sheet that grows a thousandfold", "no header"),
    *("no header, dates and ids in letters", "no header, a workbook"),
)
IN_A_PROCESS = ("cp1252-59-crlf", "a total", "password")


def write(case: Case, folder: Path) -> Path:
    path = folder / case.file
    path.write_bytes(case.content)
    return path


def code_of_check(case: Case) -> int:
    return REFUSED if case.refused or case.rejected > MOST_REJECTED * case.rows else 0


def require_quiet(case: Case, output: str) -> None:
    """No patient's value and no traceback; a refusal in one sentence that gives the reason."""
    assert MARK not in output
    assert "Traceback" not in output
    assert "Internal error" not in output
    assert case.refused in output


def test_there_are_two_hundred_of_them_and_each_has_its_own_name():
    assert len(CASES) >= 200
    assert len(BY_NAME) == len(CASES)


@pytest.fixture(scope="module")
def workspace() -> Iterator[Workspace]:
    with Workspace() as workspace:
        yield workspace


@pytest.mark.parametrize("case", [case for case in CASES if case.refused], ids=lambda case: case.name)
def test_what_is_no_list_is_refused_with_the_reason(case: Case, workspace: Workspace, tmp_path: Path):
    path = write(case, tmp_path)
    with pytest.raises(DataError) as refusal:
        contract_check.check(table_file.read(path, workspace), workspace, source=case.file, future=True)
    require_quiet(case, str(refusal.value))


@pytest.mark.cases(60)
@pytest.mark.parametrize("case", [case for case in CASES if not case.refused], ids=lambda case: case.name)
def test_every_row_is_accounted_for_exactly_once(case: Case, workspace: Workspace, tmp_path: Path):
    told: list[str] = []
    table = table_file.read(write(case, tmp_path), workspace, tell=told.append)
    checked = contract_check.check(table, workspace, source=case.file, future=True)
    kept = workspace.fetch(f"SELECT row_number FROM {checked.rows.get_name()}")["row_number"].to_pylist()
    rejected = checked.rejected["row_number"].to_pylist()
    assert (checked.total, len(rejected)) == (case.rows, case.rejected), checked.rejections
    assert len({*kept, *rejected}) == len(kept) + len(rejected) == case.rows
    require_quiet(case, " ".join([*told, *map(str, checked.rejections)]))


@pytest.mark.parametrize("case", CHECKED, ids=lambda case: case.name)
def test_check_ends_as_documented_and_tells_no_value(case: Case, dnapredict: Run, tmp_path: Path):
    report = tmp_path / "report.json"
    done = dnapredict("check", write(case, tmp_path), "--report", report)
    assert done.returncode == code_of_check(case), done.stderr
    require_quiet(case, done.stdout + done.stderr)
    if not case.refused:
        kept = case.rows - case.rejected
        assert f"{kept:,} of {case.rows:,} rows keep the contract" in done.stderr
    for written in (path for path in tmp_path.rglob("*") if path.name != case.file and path.is_file()):
        assert MARK.encode() not in written.read_bytes(), written.name


@pytest.mark.cases(5)
@pytest.mark.parametrize("name", SCORED)
def test_a_scored_list_holds_every_row_once_and_no_value_but_the_id(
    name: str, dnapredict: Run, trust: Trust, tmp_path: Path
):
    case, out = BY_NAME[name], tmp_path / "worklist.csv"
    done = dnapredict("score", write(case, tmp_path), "--out", out, "--home", trust.home)
    require_quiet(case, done.stdout + done.stderr)
    if case.refused:
        assert done.returncode == REFUSED, done.stderr
        assert not out.exists()
        return
    assert done.returncode == 0, done.stderr
    with out.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == case.rows
    assert sum(bool(row["error"]) for row in rows) == case.rejected
    assert [row["rank"] != "" for row in rows] == [row["error"] == "" for row in rows]
    beside = [value for row in rows for column, value in row.items() if column != "appointment_id"]
    assert MARK not in "".join(beside)


@pytest.mark.cases(1)
@pytest.mark.parametrize("name", IN_A_PROCESS)
def test_a_process_of_its_own_ends_alike(name: str, tmp_path: Path):
    case = BY_NAME[name]
    words = [sys.executable, "-m", "dnapredict.cli", "check", str(write(case, tmp_path))]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    assert done.returncode == code_of_check(case), done.stderr
    require_quiet(case, done.stdout + done.stderr)


def test_row_numbers_are_those_a_person_sees(dnapredict: Run, tmp_path: Path):
    done = dnapredict("check", write(BY_NAME["a total after a blank line, then more rows"], tmp_path))
    (told,) = re.findall(r"\(row ([\d,]+)\)", done.stderr.partition("Error")[0])
    # A header, six rows, a blank line, the total.
    assert told == "9"

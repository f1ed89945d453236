"""`docs/how-to-prove-that-calls-help.md` and `docs/how-to-monitor.md`, typed as they stand, in one home.

A list is scored in a trial, its worklist comes back filled in, outcomes come back, and the trial and the model are
reported. Half of the patients would miss; a call that reaches a patient helps.
"""

import json
import re
import shlex
from collections.abc import Sequence
from contextlib import redirect_stdout
from datetime import timedelta
from io import StringIO
from pathlib import Path

import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from tests.end_to_end.conftest import Run
from tests.end_to_end.test_outcomes_return import in_the_future
from tests.end_to_end.world import Trust, weekly_list
from tests.unit.registry_homes import copy_of

from dnapredict.config.loading import shipped
from dnapredict.worklist.follow_up.outcome_store import OutcomeStore
from dnapredict.worklist.plan.working_days import local_today

DOCS = Path(__file__).resolve().parents[2] / "docs"
PROVE = (DOCS / "how-to-prove-that-calls-help.md").read_text(encoding="utf-8")
MONITOR = (DOCS / "how-to-monitor.md").read_text(encoding="utf-8")
ROWS = 900
CALLED_SHARE = 0.45
ALARM = 13


def typed(page: str, *, section: str) -> list[list[str]]:
    """What a section of a page asks a person to type, in order."""
    text = page.partition(f"## {section}\n")[2].partition("\n## ")[0] if section else page.partition("\n## ")[0]
    blocks = re.findall(r"```(\w*)\n(.*?)```", text, re.DOTALL)
    typed_blocks = [block for language, block in blocks if language in ("", "sh")]
    lines = [shlex.split(line, comments=True) for block in typed_blocks for line in block.splitlines()]
    return [words[1:] for words in lines if words]


def configuration() -> str:
    """The shipped worklist.toml with the trial of the page, from today on, and more calls."""
    trial = re.search(r"```toml\n(\[trial\]\n.*?)```", PROVE, re.DOTALL)
    assert trial
    text = trial.group(1).replace("2027-01-04", str(local_today()))
    text = text.replace("2027-06-27", str(local_today() + timedelta(days=100)))
    shipped_text = shipped("serving/worklist.toml").read_text(encoding="utf-8")
    assert "\ncapacity_share = 0.10\n" in shipped_text
    # At the end of the file, a table ends no other.
    return shipped_text.replace("\ncapacity_share = 0.10\n", f"\ncapacity_share = {CALLED_SHARE}\n") + f"\n{text}"


class Desk:
    """A booking team with an analyst: a folder in which commands are typed, and what each of them printed."""

    def __init__(self, folder: Path, dnapredict: Run) -> None:
        self.folder = folder
        self.dnapredict = dnapredict
        self.printed: list[tuple[Sequence[str], str]] = []

    def type(self, words: Sequence[str], *, code: int = 0) -> str:
        done = self.dnapredict(*words)
        assert done.returncode == code, (words, done.stdout, done.stderr)
        self.printed.append((words, done.stdout + done.stderr))
        return self.printed[-1][1]

    def said(self, *words: str) -> str:
        """What the last command that begins with these words printed."""
        return next(text for each, text in reversed(self.printed) if tuple(each[: len(words)]) == words)


def fill_in(worklist: Path) -> dict[str, str]:
    """Choose an outcome for each planned call, as a clerk does in the workbook: four of five patients are reached."""
    book = openpyxl.load_workbook(worklist)
    sheet = next(each for each in book.worksheets if each.sheet_state == "visible" and _header(each))
    columns = _header(sheet)
    said: dict[str, str] = {}
    for cells in sheet.iter_rows(min_row=2):
        if cells[columns["selected"]].value not in (True, "TRUE", "yes"):
            continue
        outcome = "No answer" if len(said) % 5 == 4 else "Confirmed"
        cells[columns["outcome"]].value = outcome
        said[cells[columns["appointment_id"]].value] = outcome
    book.save(worklist)
    return said


def _header(sheet: "openpyxl.worksheet.worksheet.Worksheet") -> dict[str, int]:
    names = {cell.value: index for index, cell in enumerate(sheet[1])}
    return names if {"appointment_id", "selected", "outcome"} <= names.keys() else {}


def a_week_later(extract: Path, weekly: pa.Table, said: dict[str, str]) -> pa.Table:
    """The extract with what became of the list: three of four patients would miss, unless a call reached them.

    So large an effect is found by an interval for looks whatever arms the key of the home draws.
    """
    ids = weekly["appointment_id"].to_pylist()
    is_missed = [number % 4 != 0 and said.get(each) != "Confirmed" for number, each in enumerate(ids)]
    later = pc.add(weekly["starts_at"], pa.scalar(timedelta(hours=2), pa.duration("us")))
    done = weekly.append_column("outcome_code", pa.array(np.where(is_missed, "3", "5"), pa.string()))
    done = done.append_column("recorded_at", later)
    table = pq.read_table(extract)
    others = table.filter(pc.invert(pc.is_in(table["appointment_id"], weekly["appointment_id"].combine_chunks())))
    return pa.concat_tables([others, done.select(table.column_names).cast(table.schema)])


@pytest.fixture(scope="module")
def desk(trust: Trust, dnapredict: Run, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """The folder after everything on both pages was typed."""
    folder = tmp_path_factory.mktemp("team")
    copy_of(trust.home, folder / ".dnapredict")
    weekly_list(trust.extract, folder / "weekly.parquet", rows=ROWS)
    weekly = in_the_future(pq.read_table(folder / "weekly.parquet"))
    desk = Desk(folder, dnapredict)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("DNAPREDICT_HOME", raising=False)
        unknown, given, register = typed(PROVE, section="Plan it")
        desk.type(unknown)
        desk.type(given)
        (folder / "serving").mkdir()
        (folder / "serving" / "worklist.toml").write_text(configuration(), encoding="utf-8")
        desk.type(register)
        weekly.to_pandas().to_excel(folder / "next-week.xlsx", index=False)
        score, record, outcomes = typed(PROVE, section="Run it")
        list_id = re.search(r"dnapredict log record worklist.xlsx --list ([0-9a-f]{16})", desk.type(score))
        assert list_id
        said = fill_in(folder / "worklist.xlsx")
        desk.type([list_id.group(1) if word == "ID" else word for word in record])
        pq.write_table(a_week_later(trust.extract, weekly, said), folder / "outpatients.parquet")
        desk.type(outcomes)
        (report,) = typed(PROVE, section="Report it")
        desk.type(report)
        outcomes, monitor = typed(MONITOR, section="")
        desk.type(outcomes)
        # No model predicts that most of the patients miss: an alarm holds, and the page says with which code that ends.
        desk.type(monitor, code=ALARM)
    return desk


def test_the_plan_says_how_long_the_trial_must_be_and_is_registered(desk: Desk) -> None:
    first, second, third, *_ = (text for words, text in desk.printed if words[:2] == ["trial", "plan"])
    assert "Nothing is registered" in first
    assert "weeks" in second
    assert "Nothing is registered" in second
    assert "The trial 'Calls 2027' is registered now" in third
    registered = json.loads((desk.folder / ".dnapredict" / "trial" / "Calls-2027.json").read_text(encoding="utf-8"))
    assert registered["settings"]["share_held_out"] == 0.2
    page = (desk.folder / ".dnapredict" / "trial" / "Calls-2027.md").read_text(encoding="utf-8")
    assert "There are fewer calls than patients who might need one" in page


def test_each_call_of_the_worklist_is_recorded_and_comes_back_with_its_outcome(desk: Desk) -> None:
    rows = OutcomeStore(desk.folder / ".dnapredict").read().to_pylist()
    called = [row for row in rows if row["selected"]]
    assert f"Recorded: {len(called):,}." in desk.said("log", "record")
    assert len(rows) == ROWS
    assert {row["attempts"] for row in called} == {1}
    assert {row["trial_arm"] for row in called} == {"TREATMENT"}
    held_out = [row for row in rows if row["trial_arm"] == "CONTROL"]
    assert len(held_out) >= 60
    assert not any(row["attempts"] for row in held_out)
    assert not any(row["missed"] for row in called if row["reached"])


def test_the_report_of_the_trial_finds_the_effect_that_was_planted(desk: Desk) -> None:
    sentence = "In this trial calls lowered missed appointments, beyond chance"
    assert sentence in desk.said("trial", "report")
    folder = desk.folder / "reports" / "trial"
    assert sentence in (folder / "report.html").read_text(encoding="utf-8")
    figures = json.loads((folder / "trial.json").read_text(encoding="utf-8"))
    assert figures["trial"]["plan"] == "registered"


def test_the_same_home_watches_the_model_on_the_outcomes(desk: Desk) -> None:
    figures = json.loads((desk.folder / "reports" / "monitor" / "monitor.json").read_text(encoding="utf-8"))
    assert figures["model"] == "version 1"
    assert figures["source"] == "the outcomes that came back"
    assert figures["outcomes_of_uncalled_only"]
    assert "The command ends with 13 while an alarm\nholds" in MONITOR
    assert "ALARM (level): Everyone: " in desk.said("monitor")


def test_an_auditor_draws_the_arms_again_as_the_page_says(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(desk.folder)
    example = re.search(r"```python\n(.*?)```", PROVE, re.DOTALL)
    assert example
    printed = StringIO()
    with redirect_stdout(printed):
        exec(compile(example.group(1), "the page", "exec"), {})  # noqa: S102 - the example is ours
    arms = json.loads(printed.getvalue().lower())
    assert len(arms) == 20
    assert 1 <= sum(arms) <= 7


def test_an_amendment_is_registered_with_its_reason(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(desk.folder)
    monkeypatch.delenv("DNAPREDICT_HOME", raising=False)
    path = desk.folder / "serving" / "worklist.toml"
    end, earlier = (f"end = {local_today() + timedelta(days=days)}" for days in (100, 90))
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(end, earlier), encoding="utf-8")
    command = re.search(r"`dnapredict (trial plan --amend [^`]*)`", PROVE)
    assert command
    desk.type(["trial", "plan"], code=11)
    assert "is registered now" in desk.type(shlex.split(command.group(1)))

"""The README's steps on one's own extract, typed as they stand, by someone who has read nothing else."""

import contextlib
import datetime
import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.end_to_end.conftest import command

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
APPOINTMENTS = 16_000
GATE_FAILED = 13
UNTIL = datetime.date.today() + datetime.timedelta(days=90)  # noqa: DTZ011 - any day to come
SIGNED = (
    "--name",
    "Ann Reviewer",
    "--role",
    "Rehearsal",
    "--decision",
    "conditions",
    "--until",
    UNTIL.isoformat(),
    "--reason",
    "To rehearse",
)


def steps(block: int = 0) -> list[list[str]]:
    """What the README says to type on one's own extract, but for the service, which does not end.

    Block 0 is for the first day, block 1 for each week after it.
    """
    section = README.partition("## On your own extract")[2]
    text = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)[block]
    lines = [shlex.split(line, comments=True) for line in text.splitlines()]
    return [words[1:] for words in lines if words[1] != "serve"]


def run(*words: str, folder: Path) -> int:
    with contextlib.chdir(folder):
        done = command(*words)
    assert done.returncode in (0, GATE_FAILED), done.stderr
    return done.returncode


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an extract and next week's list, where the README's steps have been typed."""
    folder = tmp_path_factory.mktemp("trust")
    run("simulate", "outpatients.parquet", "--appointments", str(APPOINTMENTS), "--upcoming", folder=folder)
    next_week(folder).to_excel(folder / "next-week.xlsx", index=False)
    for words in steps():
        code = run(*words, folder=folder)
        if words[0] == "promote" and code == GATE_FAILED:
            run("sign", "reports/1", *SIGNED, folder=folder)
            run(*words, folder=folder)
    a_week_later(folder)
    for words in steps(1):
        run(*words, folder=folder)
    return folder


def next_week(folder: Path) -> pd.DataFrame:
    """A list of 300 booked appointments, as a clinic sends them: no outcome yet."""
    extract = pd.read_parquet(folder / "outpatients.parquet")
    booked = extract[extract["outcome_code"].isna()].head(300)
    return booked.drop(columns=["outcome_code", "recorded_at"]).dropna(axis=1, how="all")


def a_week_later(folder: Path) -> None:
    """The extract is exported again, with what became of the listed appointments: one in five was missed."""
    path = folder / "outpatients.parquet"
    extract = pd.read_parquet(path)
    listed = extract["appointment_id"].isin(pd.read_excel(folder / "next-week.xlsx")["appointment_id"])
    extract.loc[listed, "outcome_code"] = np.where(np.arange(listed.sum()) % 5 == 0, "3", "5")
    extract.loc[listed, "recorded_at"] = extract.loc[listed, "starts_at"] + pd.Timedelta(hours=2)
    extract.to_parquet(path, index=False)


def test_the_steps_are_the_ones_that_a_trust_needs():
    asked = ["check", "factors", "train", "audit", "promote", "versions", "refresh", "score"]
    assert [words[0] for words in steps()] == asked
    assert [words[0] for words in steps(1)] == ["outcomes", "monitor", "cycle"]


def test_every_row_of_the_list_comes_back_once_in_rank_order_within_the_calls(folder: Path):
    worklist = pd.read_excel(folder / "worklist.xlsx")
    asked = pd.read_excel(folder / "next-week.xlsx")
    assert sorted(worklist["appointment_id"]) == sorted(asked["appointment_id"])
    assert worklist["error"].isna().all()
    assert worklist["rank"].is_monotonic_increasing
    assert worklist["probability"].is_monotonic_decreasing
    assert worklist["selected"].sum() == 120


def test_the_reviewer_finds_a_report_that_needs_no_network(folder: Path):
    report = (folder / "reports/1/report.html").read_text(encoding="utf-8")
    assert "SYNTHETIC" in report.upper()
    links = set(re.findall(r"""(?:src|href)=["'](?!#|data:)([^"']*)""", report))
    assert links == {"figures.html"}  # the tables, in the same folder


def test_the_files_of_the_models_and_lists_stay_in_the_home(folder: Path):
    made = {path.name for path in folder.iterdir()}
    checked = {"check.json", "check.html"}
    named = {"outpatients.parquet", "next-week.xlsx", "reports", "worklist.xlsx"} | checked
    assert made == {".dnapredict"} | named


def test_the_outcomes_of_the_list_come_back_and_are_watched(folder: Path):
    status = (folder / "reports/monitor/monitor.html").read_text(encoding="utf-8")
    assert "SYNTHETIC" in status.upper()

"""All steps on synthetic patients: the first thing a newcomer runs."""

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from dnapredict import pipeline
from dnapredict.config.fairness_policy import Policy
from dnapredict.config.loading import load, shipped
from dnapredict.config.training_config import Setting
from dnapredict.data.files.atomic_write import private_folder, write_atomically
from dnapredict.data.system_clock import set_back, utc_now
from dnapredict.pipeline.in_use.trial_reporting import TrialReport, report_trial
from dnapredict.pipeline.rehearsal.demo_quarter import CallLog, DemoQuarter
from dnapredict.registry import Registry
from dnapredict.synthetic.made_up_calls import TRUE_EFFECT, SyntheticRecords
from dnapredict.synthetic.made_up_contacts import with_made_up_contacts
from dnapredict.synthetic.moved_dates import move_extract, next_monday, week_to_come
from dnapredict.synthetic.simulation import simulate
from dnapredict.worklist.plan.working_days import local_today

_APPOINTMENTS: Final = 200_000
_SEED: Final = 1
_OUTCOME = ("outcome_code", "recorded_at")
_A_YEAR: Final = datetime.timedelta(days=365)

Say = Callable[[str], None]


@dataclass(frozen=True)
class DemoFiles:
    """The results of the demo: a worklist, three reports, a list to upload, and a sentence of two of the reports."""

    worklist: Path
    report: Path
    to_upload: Path
    trial: Path
    trial_sentence: str
    monitor: Path
    monitor_sentence: str


def run(home: Path, *, say: Say, log: CallLog) -> DemoFiles:
    """Go through every step with made-up patients, and score a list of next week, counted from today.

    A model is trained, audited and put in use as of a day 15 weeks ago. Then come 13 weeks of lists, calls and
    outcomes, on their own days (`data.system_clock`), with a trial of the calls.

    Parameters
    ----------
    say
        Receives a sentence on each step.
    log
        The scoring log of the home.
    """
    folder = private_folder(home / "demo")
    extract, truth = folder / "synthetic-extract.parquet", folder / "truth.parquet"
    monday = next_monday(local_today())
    say("Everything below is SYNTHETIC: no row is, or comes from, a real person.")
    say(f"1 of 8  Making up {_APPOINTMENTS:,} appointments, with names and telephone numbers for those of next week")
    simulate(extract, appointments=_APPOINTMENTS, seed=_SEED, truth=truth)
    move_extract(extract, monday=monday)
    records = SyntheticRecords(extract, truth, seed=_SEED)
    quarter = DemoQuarter(home, folder=private_folder(folder / "quarter"), records=records, log=log, next_list=monday)
    with set_back(quarter.moment_of_training):
        audited = _model_in_use(quarter, home=home, folder=folder, say=say)
    say(f"6 of 8  A quarter of calls: {quarter.words}")
    say(f"        Made up: {TRUE_EFFECT}. The trial has to find out")
    for sentence in quarter.run():
        say(f"        {sentence}")
    records.write(extract, at=quarter.drawn)
    say("7 of 8  Reporting the trial, and watching the model in use")
    trial, monitored = _reports(home, folder)
    say(f"8 of 8  Scoring the list of next week, from {_day_words(monday)}")
    weekly, to_upload = folder / "synthetic-weekly-list.parquet", folder / "synthetic-weekly-list.xlsx"
    _write_list(week_to_come(extract, monday=monday), weekly, to_upload)
    worklist = folder / "synthetic-worklist.xlsx"
    scored = pipeline.score_list(weekly, out=worklist, home=home, recorded=log.contacts)
    say(f"        {scored.counts.words}")
    return DemoFiles(
        worklist,
        audited.report,
        to_upload,
        trial=trial.page,
        trial_sentence=trial.result.claim.sentence,
        monitor=monitored.report,
        monitor_sentence=monitored.result.summary,
    )


def _model_in_use(quarter: DemoQuarter, *, home: Path, folder: Path, say: Say) -> pipeline.Audit:
    """Train, audit and promote a model on the extract of the day; return the audit."""
    setting, extract = Setting(), folder / "quarter" / "synthetic-extract-for-training.parquet"
    say(f"2 of 8  As of {_day_words(local_today())}: holding the extract against the data contract, and keeping it")
    quarter.records.write(extract, at=quarter.trained_at)
    checked = pipeline.refresh(extract, home=home, setting=setting)
    say(f"        {checked.kept:,} of {checked.total:,} rows keep it")
    say("3 of 8  Training")
    trained = pipeline.train(extract, home=home, setting=setting, say=lambda text: say(f"        {text}"))
    version = trained.registered.version
    say("4 of 8  Auditing who is reached")
    policy = load(shipped("fairness/policy.toml"), Policy)
    audited = pipeline.audit(extract, out=folder / "audit", setting=setting, policy=policy, home=home, model=version)
    say(f"        Verdict: {audited.result.verdict}; the report says why, in words, and for which groups")
    say("5 of 8  Signing its report, as a reviewer would, and promoting the model to champion")
    _sign(audited, home)
    Registry(home).promote(version)
    return audited


def _sign(audited: pipeline.Audit, home: Path) -> None:
    """Every verdict but PASS needs a person who signs: here nobody is at risk, and nobody real signs."""
    has_failed = str(audited.result.verdict) == "FAIL"
    pipeline.sign(
        audited.report.parent,
        home=home,
        name="Demo Reviewer",
        role="demonstration, no real person",
        decision="conditions" if has_failed else "approve",
        reason="Made-up patients only.",
        until=utc_now().date() + _A_YEAR if has_failed else None,
    )


def _reports(home: Path, folder: Path) -> tuple[TrialReport, pipeline.Monitored]:
    """The report of the trial, and the page of the monitor."""
    policy = load(shipped("fairness/policy.toml"), Policy)
    trial = report_trial(home, folder / "trial", policy=policy)
    return trial, pipeline.monitor(None, out=folder / "monitor", setting=Setting(), policy=policy, home=home)


def _write_list(week: pa.Table, out: Path, workbook: Path) -> None:
    """The appointments as a clinic list: a file to score, and a spreadsheet to upload on the page."""
    rows = with_made_up_contacts(week.drop_columns(list(_OUTCOME)))
    with write_atomically(out) as draft:
        pq.write_table(rows, draft)
    with (
        write_atomically(workbook) as draft,
        draft.open("wb") as file,
        pd.ExcelWriter(file, engine="xlsxwriter") as book,
    ):
        rows.to_pandas().to_excel(book, sheet_name="Appointments", index=False)


def _day_words(day: datetime.date) -> str:
    return f"{day.day} {day:%B %Y}"

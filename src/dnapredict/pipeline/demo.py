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
from dnapredict.registry import Registry
from dnapredict.synthetic.made_up_contacts import with_made_up_contacts
from dnapredict.synthetic.moved_dates import move_extract, next_monday, week_to_come
from dnapredict.synthetic.simulation import simulate
from dnapredict.worklist.plan.working_days import local_today

_APPOINTMENTS: Final = 200_000
_SEED: Final = 1
_OUTCOME = ("outcome_code", "recorded_at")


@dataclass(frozen=True)
class DemoFiles:
    """The results of the demo: a worklist, the report of an audit, and a list to upload."""

    worklist: Path
    report: Path
    to_upload: Path


def run(home: Path, *, say: Callable[[str], None]) -> DemoFiles:
    """Simulate, check, train, audit, promote, and score a list of next week, counted from today."""
    folder = private_folder(home / "demo")
    extract, weekly = folder / "synthetic-extract.parquet", folder / "synthetic-weekly-list.parquet"
    to_upload, worklist = folder / "synthetic-weekly-list.xlsx", folder / "synthetic-worklist.xlsx"
    monday = next_monday(local_today())
    say("Everything below is SYNTHETIC: no row is, or comes from, a real person.")
    say(f"1 of 6  Making up {_APPOINTMENTS:,} appointments, with names and telephone numbers for those of next week")
    simulate(extract, appointments=_APPOINTMENTS, seed=_SEED, truth=folder / "truth.parquet")
    move_extract(extract, monday=monday)
    _write_list(week_to_come(extract, monday=monday), weekly, to_upload)
    setting = Setting()
    say("2 of 6  Holding them against the data contract, and keeping them as history")
    checked = pipeline.refresh(extract, home=home, setting=setting)
    say(f"        {checked.kept:,} of {checked.total:,} rows keep it")
    say("3 of 6  Training")
    trained = pipeline.train(extract, home=home, setting=setting, say=lambda text: say(f"        {text}"))
    version = trained.registered.version
    say("4 of 6  Auditing who is reached")
    policy = load(shipped("fairness/policy.toml"), Policy)
    audited = pipeline.audit(extract, out=folder / "audit", setting=setting, policy=policy, home=home, model=version)
    say(f"        Verdict: {audited.result.verdict}; the report says why, in words, and for which groups")
    say("5 of 6  Signing its report, as a reviewer would, and promoting the model to champion")
    _sign(audited, home)
    Registry(home).promote(version)
    say(f"6 of 6  Scoring the list of next week, from {monday.day} {monday:%B %Y}")
    scored = pipeline.score_list(weekly, out=worklist, home=home)
    say(f"        {scored.counts.words}")
    return DemoFiles(worklist, audited.report, to_upload)


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
        until=datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(days=365) if has_failed else None,
    )


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

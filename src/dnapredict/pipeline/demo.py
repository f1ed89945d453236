"""All steps on synthetic patients: the first thing a newcomer runs."""

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dnapredict import pipeline
from dnapredict.config.fairness_policy import Policy
from dnapredict.config.loading import load, shipped
from dnapredict.config.training_config import Setting
from dnapredict.data.files.atomic_write import private_folder, write_atomically
from dnapredict.registry import Registry
from dnapredict.synthetic.simulation import simulate

_APPOINTMENTS: Final = 200_000
_SEED: Final = 1
_OUTCOME = ("outcome_code", "recorded_at")


def run(home: Path, *, say: Callable[[str], None]) -> None:
    """Simulate, check, train, audit, promote and score a weekly list; print the paths of the results."""
    folder = private_folder(home / "demo")
    extract, weekly = folder / "synthetic-extract.parquet", folder / "synthetic-weekly-list.parquet"
    to_upload, worklist = folder / "synthetic-weekly-list.xlsx", folder / "synthetic-worklist.xlsx"
    say("Everything below is SYNTHETIC: no row is, or comes from, a real person.")
    say(f"1 of 6  Making up {_APPOINTMENTS:,} appointments")
    made = simulate(extract, appointments=_APPOINTMENTS, seed=_SEED, truth=folder / "truth.parquet")
    _cut_week(extract, weekly, after=made.as_of)
    _write_workbook(weekly, to_upload)
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
    say("6 of 6  Scoring next week's list")
    scored = pipeline.score_list(weekly, out=worklist, home=home)
    say(f"        {scored.rows:,} appointments, {scored.selected:,} to call")
    say("")
    say(f"The worklist:   {worklist}")
    say(f"The audit:      {audited.report}")
    say(f"The page:       dnapredict serve --home {home}   then open http://127.0.0.1:3000")
    say(f"A list for it:  {to_upload}")
    say(f"The runs:       mlflow ui --backend-store-uri sqlite:///{home / 'mlflow.db'}")


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


def _cut_week(extract: Path, out: Path, *, after: datetime.datetime) -> None:
    """The appointments of the first whole week after the extract was drawn, as a clinic list."""
    monday = after.date() + datetime.timedelta(days=7 - after.weekday())
    table = pq.read_table(extract)
    first = pa.scalar(datetime.datetime.combine(monday, datetime.time()), table["starts_at"].type)
    last = pa.scalar(datetime.datetime.combine(monday + datetime.timedelta(days=7), datetime.time()), first.type)
    inside = pc.and_(pc.greater_equal(table["starts_at"], first), pc.less(table["starts_at"], last))
    with write_atomically(out) as draft:
        pq.write_table(table.filter(inside).drop_columns(list(_OUTCOME)), draft)


def _write_workbook(weekly: Path, out: Path) -> None:
    """The same list as a spreadsheet, to upload on the page."""
    rows = pq.read_table(weekly).to_pandas()
    with (
        write_atomically(out) as draft,
        draft.open("wb") as file,
        pd.ExcelWriter(file, engine="xlsxwriter") as book,
    ):
        rows.to_excel(book, sheet_name="Appointments", index=False)

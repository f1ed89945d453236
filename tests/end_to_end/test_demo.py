"""The demo, on fewer appointments: a quarter on its own days, in an order that a trust would have to keep."""

import datetime
import json
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.compute as pc
import pytest

from dnapredict.cli.data import _log_of_the_demo
from dnapredict.pipeline.rehearsal import demo
from dnapredict.pipeline.rehearsal.demo_quarter import TRIAL_NAME
from dnapredict.registry import Registry
from dnapredict.worklist.files import list_store
from dnapredict.worklist.follow_up.outcome_store import OutcomeStore
from dnapredict.worklist.plan.working_days import local_today

APPOINTMENTS = 25_000


@dataclass
class Shown:
    home: Path
    files: demo.DemoFiles
    said: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    home, said = tmp_path_factory.mktemp("demo") / "home", list[str]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "_APPOINTMENTS", APPOINTMENTS)
        files = demo.run(home, say=said.append, log=_log_of_the_demo(home))
    return Shown(home, files, said)


def test_decisions_are_of_the_day_on_which_they_would_have_been_made(shown: Shown) -> None:
    entries = Registry(shown.home).entries()
    by_kind = {entry.kind: datetime.datetime.fromisoformat(entry.at).date() for entry in entries}
    monday = local_today() - datetime.timedelta(days=local_today().weekday())
    assert by_kind["promotion"] == by_kind["training"] == monday - datetime.timedelta(weeks=15, days=-2)
    assert by_kind["trial"] == by_kind["training"] + datetime.timedelta(weeks=1)
    registered = json.loads((shown.home / "trial" / "Synthetic-demo-calls.json").read_text(encoding="utf-8"))
    assert datetime.date.fromisoformat(registered["settings"]["start"]) > by_kind["trial"]


def test_each_list_is_scored_and_called_before_its_appointments_and_12_of_13_are_in_the_trial(shown: Shown) -> None:
    rows = OutcomeStore(shown.home).read()
    assert len(pc.unique(rows["list_id"])) == 13
    assert pc.all(pc.less(rows["scored_at"], rows["starts_at"])).as_py()
    of_trial = rows.filter(pc.is_valid(rows["trial"]))
    assert pc.unique(of_trial["trial"]).to_pylist() == [TRIAL_NAME]
    assert len(pc.unique(of_trial["list_id"])) == 12
    arms = {each["values"]: each["counts"] for each in pc.value_counts(of_trial["trial_arm"]).to_pylist()}
    assert 0.25 < arms["CONTROL"] / of_trial.num_rows < 0.35
    called = rows.filter(rows["selected"])
    assert pc.min(called["attempts"]).as_py() == 1
    assert 0.6 < pc.mean(called["reached"].cast("float64")).as_py() < 0.8
    assert pc.max(of_trial.filter(pc.equal(of_trial["trial_arm"], "CONTROL"))["attempts"]).as_py() == 0
    assert rows["missed"].null_count < rows.num_rows / 3


def test_the_reports_say_that_they_are_synthetic_and_that_the_plan_was_registered(shown: Shown) -> None:
    for page in (shown.files.trial, shown.files.monitor, shown.files.report):
        assert "SYNTHETIC DATA" in page.read_text(encoding="utf-8")
    figures = json.loads((shown.files.trial.parent / "trial.json").read_text(encoding="utf-8"))
    assert figures["trial"]["plan"] == "registered"
    assert shown.files.trial_sentence in shown.files.trial.read_text(encoding="utf-8")
    assert "one in two is kept" in " ".join(shown.said)


def test_the_list_of_next_week_is_in_no_trial_and_plans_its_calls(shown: Shown) -> None:
    newest = max(
        (list_store.find(shown.home, path.stem) for path in list_store.kept_files(shown.home)),
        key=lambda kept: kept.heading.created_at,
    )
    rows = newest.worklist
    planned = sum(bool(each) for each in rows["selected"].to_pylist())
    assert planned == round(rows.num_rows / 10)
    assert all(risk is not None for risk in rows["probability"].to_pylist())
    last = pc.max(rows["starts_at"]).as_py().date()
    assert local_today() < last <= local_today() + datetime.timedelta(days=14)

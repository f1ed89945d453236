"""A trial on a real home: planned, registered, allocated on a list, and told by nothing that a team sees."""

import datetime
import json
from pathlib import Path

import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from tests.end_to_end.conftest import Run
from tests.end_to_end.world import Trust
from tests.unit.registry_homes import copy_of

from dnapredict import pipeline
from dnapredict.config.loading import load, shipped
from dnapredict.config.worklist_config import WorklistConfig
from dnapredict.service.api.response_models import results
from dnapredict.worklist.calls.trial_register import TrialRegister
from dnapredict.worklist.plan.working_days import local_today

CAPACITY = 40


def written(text: str, *, share: str = "0.5") -> str:
    """The shipped worklist.toml with its example of a trial, from today on."""
    start = text.index("# [trial]")
    example, rest = text[start:].split("\n\n", maxsplit=1)
    trial = example.replace("# ", "", 1).replace("\n# ", "\n").replace("0.2", share)
    trial = trial.replace("2027-01-04", local_today().isoformat())
    trial = trial.replace("2027-06-27", (local_today() + datetime.timedelta(days=100)).isoformat())
    return f"{text[:start]}{trial}\n\n{rest}"


@pytest.fixture
def home(trust: Trust, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a registered trial that holds out a half, in whose folder dnapredict runs."""
    text = shipped("serving/worklist.toml").read_text(encoding="utf-8")
    (tmp_path / "serving").mkdir()
    (tmp_path / "serving" / "worklist.toml").write_text(written(text), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return copy_of(trust.home, tmp_path / "home")


def scored(dnapredict: Run, trust: Trust, home: Path, out: Path) -> list[dict[str, object]]:
    done = dnapredict("score", trust.weekly, "--home", home, "--out", out, "--capacity", CAPACITY)
    assert done.returncode == 0, done.stderr
    return pa_csv.read_csv(out).to_pylist()  # type: ignore[no-any-return]


def test_a_list_of_a_trial_calls_as_many_and_tells_no_arm(
    dnapredict: Run, trust: Trust, home: Path, tmp_path: Path
) -> None:
    assert dnapredict("score", trust.weekly, "--home", home, "--out", tmp_path / "w.csv").returncode == 11
    planned = dnapredict("trial", "plan", "--home", home, "--calls-a-week", 80, "--share-missed", 0.25, "--json")
    assert planned.returncode == 0, planned.stderr
    plan = json.loads(planned.stdout)
    assert plan["registered"]
    assert plan["weeks_needed"] == 4
    assert plan["detectable_relative_risk"] > 0.61

    worklist = scored(dnapredict, trust, home, tmp_path / "worklist.csv")
    assert sum(bool(row["selected"]) for row in worklist) == CAPACITY
    # Scored again, also by another process, the same patients are called.
    assert scored(dnapredict, trust, home, tmp_path / "again.csv") == worklist

    uncalled = [row for row in worklist if not row["selected"]]
    assert all(row["probability"] is None or row["error"] for row in uncalled)
    shown = [path.read_text(encoding="utf-8") for path in (tmp_path / "worklist.csv", home / "lists" / "latest.json")]
    assert not any(word in text for text in shown for word in ("CONTROL", "TREATMENT", "trial_arm", "risk_band"))
    latest = json.loads((home / "lists" / "latest.json").read_text(encoding="utf-8"))
    hidden = [row for row in latest["rows"] if not row["selected"] and not row.get("error")]
    assert hidden
    assert not {"probability", "band", "reason_1", "needs", "clinic_code", "imd_fifth"} & set().union(*hidden)

    config = load(tmp_path / "serving" / "worklist.toml", WorklistConfig).trial
    assert config is not None
    listed = pq.read_table(trust.weekly, columns=["appointment_id", "patient_id"]).to_pylist()
    places = TrialRegister(home, config, local_today()).known([row["patient_id"] for row in listed])
    called = {row["appointment_id"] for row in worklist if row["selected"]}
    held_out = [row for row in listed if row["patient_id"] in places and places[row["patient_id"]].is_held_out]
    assert abs(2 * sum(place.is_held_out for place in places.values()) - len(places)) <= 60
    assert not called & {row["appointment_id"] for row in held_out}
    assert called <= {row["appointment_id"] for row in listed if row["patient_id"] in places}


def test_a_request_for_scores_gets_neither_calls_nor_risks_while_a_trial_runs(
    dnapredict: Run, trust: Trust, home: Path
) -> None:
    assert dnapredict("trial", "plan", "--home", home).returncode == 0
    worklist = pipeline.open_scorer(home).score(pq.read_table(trust.weekly).slice(0, 20))
    answers = [answer.model_dump() for answer in results(worklist)]
    assert {(answer["probability"], answer["band"], answer["selected"]) for answer in answers} == {(None, None, False)}
    assert all(answer["action"] and not answer["reasons"] for answer in answers)


def test_a_lost_secret_and_a_changed_trial_stop_the_lists(
    dnapredict: Run, trust: Trust, home: Path, tmp_path: Path
) -> None:
    assert dnapredict("trial", "plan", "--home", home).returncode == 0
    scored(dnapredict, trust, home, tmp_path / "worklist.csv")
    secret = home / "trial" / "arms.secret"
    kept = secret.read_text(encoding="utf-8")
    secret.unlink()
    lost = dnapredict("score", trust.weekly, "--home", home, "--out", tmp_path / "w.csv")
    assert lost.returncode == 14
    assert "nobody can tell them without it" in lost.stderr
    secret.write_text(kept, encoding="utf-8")

    shipped_text = (tmp_path / "serving" / "worklist.toml").read_text(encoding="utf-8")
    (tmp_path / "serving" / "worklist.toml").write_text(
        shipped_text.replace("share_held_out = 0.5", "share_held_out = 0.1"), encoding="utf-8"
    )
    changed = dnapredict("score", trust.weekly, "--home", home, "--out", tmp_path / "w.csv")
    assert changed.returncode == 11
    assert "share_held_out is 0.1, and 0.5 is registered" in changed.stderr

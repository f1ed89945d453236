"""The registration of a trial, and whether it runs on a day: what is refused, in which words."""

import datetime
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest
from tests.spec.test_trial_arms import TRIAL
from tests.spec.test_worklist import rules

from dnapredict.config.trial_config import TrialConfig
from dnapredict.data.files.digests import SecretError
from dnapredict.errors import ConfigurationError, StoreError, UsageError
from dnapredict.pipeline.in_use import trial_planning
from dnapredict.pipeline.in_use.trial_planning import plan_trial, trial_on
from dnapredict.registry.decision_ledger import DecisionEntry, Decisions, HeadFile, NewEntry
from dnapredict.worklist.calls.trial_register import TrialRegister
from dnapredict.worklist.follow_up.outcome_store import OutcomeStore

TODAY = datetime.date(2026, 11, 2)
LATER = datetime.date(2026, 12, 1)


class LedgerOnly:
    """A registry without MLflow: its ledger."""

    def __init__(self, home: Path) -> None:
        self._ledger = Decisions(home, (HeadFile(home),))

    def entries(self) -> tuple[DecisionEntry, ...]:
        return self._ledger.entries() if self._ledger.exists else ()

    def log_trial(self, *_: object, **__: object) -> None:
        """Nothing is logged without MLflow."""

    def enter(self, kind: str, data: Mapping[str, str]) -> DecisionEntry:
        return self._ledger.append(kind, data)  # type: ignore[arg-type]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a ledger that begins before the trial."""
    past = datetime.datetime.combine(TODAY, datetime.time(9), datetime.UTC)
    monkeypatch.setattr("dnapredict.registry.decision_ledger.utc_now", lambda: past)
    monkeypatch.setattr(trial_planning, "Registry", LedgerOnly)
    monkeypatch.setattr(trial_planning, "local_today", lambda: TODAY)
    Decisions(tmp_path, (HeadFile(tmp_path),)).create([NewEntry("training", {"version": "1"})])
    return tmp_path


def configured(monkeypatch: pytest.MonkeyPatch, **changes: object) -> None:
    settings = {"start": datetime.date(2026, 11, 9)} | changes
    trial = None if changes.get("name", "") is None else TRIAL | settings
    monkeypatch.setattr(trial_planning, "worklist_config", lambda *_: rules(trial=trial))


def runs(home: Path, day: datetime.date = LATER) -> TrialRegister | None:
    return trial_on(day, home=home, worklist=trial_planning.worklist_config())


def test_a_trial_is_registered_once_with_its_digest_in_the_ledger(home: Path, monkeypatch: pytest.MonkeyPatch):
    configured(monkeypatch)
    planned = plan_trial(home, calls_a_week=80, share_missed=0.25)
    assert planned.is_new
    assert planned.file is not None
    assert planned.size is not None
    assert planned.size.weeks == 11
    *_, entry = LedgerOnly(home).entries()
    assert (entry.kind, entry["name"]) == ("trial", "Calls")
    assert entry["sha256"] == planned.registration.sha256  # type: ignore[union-attr]
    written = json.loads(planned.file.read_text(encoding="utf-8"))
    assert written["settings"]["share_held_out"] == 0.2
    assert written["sizes"]["weeks_needed"] == 11
    assert entry["sha256"] in planned.file.with_suffix(".md").read_text(encoding="utf-8")
    assert not plan_trial(home, calls_a_week=80, share_missed=0.25).is_new
    assert len(LedgerOnly(home).entries()) == 2
    register = runs(home)
    assert register is not None
    assert register.trial.name == "Calls"


def test_without_a_trial_or_a_model_nothing_is_registered(home: Path, tmp_path_factory, monkeypatch):
    configured(monkeypatch, name=None)
    assert plan_trial(home).registration is None
    assert runs(home) is None
    configured(monkeypatch)
    assert plan_trial(tmp_path_factory.mktemp("empty")).registration is None


def test_no_list_of_a_trial_that_is_not_registered_is_scored(home: Path, monkeypatch: pytest.MonkeyPatch):
    configured(monkeypatch)
    assert runs(home, datetime.date(2026, 11, 8)) is None  # before its start
    with pytest.raises(ConfigurationError, match="'Calls' began on 2026-11-09 and is not registered"):
        runs(home)


def test_a_trial_is_registered_before_its_first_call(home: Path, monkeypatch: pytest.MonkeyPatch):
    configured(monkeypatch, start=datetime.date(2026, 11, 1))
    with pytest.raises(ConfigurationError, match="set a start from today on"):
        plan_trial(home)


def test_a_changed_trial_is_refused_until_it_is_amended_with_a_reason(home: Path, monkeypatch: pytest.MonkeyPatch):
    configured(monkeypatch)
    plan_trial(home)
    configured(monkeypatch, end=datetime.date(2027, 4, 30))
    with pytest.raises(ConfigurationError, match="end is '2027-04-30', and '2027-03-31' is registered"):
        runs(home)
    with pytest.raises(ConfigurationError, match="was changed after it was registered"):
        plan_trial(home)
    with pytest.raises(UsageError, match="needs the reason"):
        plan_trial(home, amend=" ")
    plan_trial(home, amend="Fewer patients than planned")
    assert LedgerOnly(home).entries()[-1]["reason"] == "Fewer patients than planned"
    assert runs(home) is not None
    with pytest.raises(UsageError, match="there is nothing to amend"):
        plan_trial(home, amend="Again")


def test_once_patients_have_an_arm_the_share_and_strata_stay(home: Path, monkeypatch: pytest.MonkeyPatch):
    configured(monkeypatch)
    plan_trial(home)
    configured(monkeypatch, share_held_out=0.3)
    plan_trial(home, amend="Nobody is allocated yet")
    register = runs(home)
    assert register is not None
    register.add({"patient": ""})
    configured(monkeypatch, share_held_out=0.4)
    with pytest.raises(ConfigurationError, match="share_held_out cannot be amended any more"):
        plan_trial(home, amend="More")


def test_a_trial_that_is_taken_out_or_replaced_is_refused_until_it_ends(home: Path, monkeypatch: pytest.MonkeyPatch):
    configured(monkeypatch)
    plan_trial(home)
    configured(monkeypatch, name=None)
    with pytest.raises(ConfigurationError, match="patients who are held out would be called"):
        runs(home)
    assert runs(home, datetime.date(2027, 4, 1)) is None
    configured(monkeypatch, name="Another")
    with pytest.raises(ConfigurationError, match="'Another' overlaps with 'Calls'"):
        plan_trial(home)


def test_two_trials_have_two_files(home: Path, monkeypatch: pytest.MonkeyPatch):
    configured(monkeypatch, name="Calls 1")
    plan_trial(home)
    later = {"start": datetime.date(2027, 5, 1), "end": datetime.date(2027, 6, 1)}
    configured(monkeypatch, name="calls-1", **later)
    with pytest.raises(ConfigurationError, match="'calls-1' is too like 'Calls 1'"):
        plan_trial(home)
    configured(monkeypatch, name="Calls 2", **later)
    assert plan_trial(home).is_new


def test_a_clock_that_is_turned_back_ends_no_trial(home: Path, monkeypatch: pytest.MonkeyPatch):
    configured(monkeypatch)
    plan_trial(home)
    register = runs(home)
    assert register is not None
    register.add({"patient": ""})
    back = runs(home, datetime.date(2020, 1, 1))
    assert back is not None
    assert back.today == LATER
    assert back.known(["patient"]) == register.known(["patient"])


def test_a_registration_that_was_changed_on_disk_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch):
    configured(monkeypatch)
    planned = plan_trial(home)
    assert planned.file is not None
    planned.file.write_text(planned.file.read_text(encoding="utf-8").replace("0.2", "0.3"), encoding="utf-8")
    with pytest.raises(StoreError, match="is not the registration whose digest stands in the ledger"):
        runs(home)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"relative_risk": 1.2}, "between 0 and 1"),
        ({"calls_a_week": 0.0}, "above 0"),
        ({"share_missed": 25.0}, "between 0 and 1"),
    ],
)
def test_a_figure_out_of_range_is_refused(home: Path, monkeypatch, given: dict[str, float], message: str):
    configured(monkeypatch)
    with pytest.raises(UsageError, match=message):
        plan_trial(home, **given)  # type: ignore[arg-type]


def test_the_share_is_drawn_as_a_small_fraction():
    assert str(TrialConfig.model_validate(TRIAL | {"share_held_out": 0.333}).share) == "1/3"


def test_arms_cannot_be_drawn_again_with_another_secret(home: Path, monkeypatch: pytest.MonkeyPatch):
    configured(monkeypatch)
    plan_trial(home)
    register = runs(home)
    assert register is not None
    register.add({"patient": ""})
    for name in ("arms.secret", "register.db"):
        (home / "trial" / name).unlink()
    with pytest.raises(StoreError, match="is an older copy"):
        runs(home)
    (home / "newest" / "trial-register").unlink()
    with pytest.raises(SecretError, match="is another secret than the arms of the trial were drawn with"):
        runs(home)
    configured(monkeypatch, end=datetime.date(2027, 5, 31))
    with pytest.raises(SecretError, match="another secret"):
        plan_trial(home, amend="It takes longer")


def test_a_share_missed_counts_cancelled_appointments_as_the_trial_does(home: Path):
    from tests.unit.test_trial_report import outcomes, with_values  # which imports this module

    rows = outcomes(4_000)
    held_out = rows.filter(pc.equal(rows["trial_arm"], "CONTROL"))
    of_all = np.mean([one == "3" for one in held_out["outcome_code"].to_pylist()])
    OutcomeStore(home).write(with_values(rows, selected=[arm == "TREATMENT" for arm in rows["trial_arm"].to_pylist()]))
    figures = trial_planning.trust_figures(home)
    assert figures is not None
    assert figures.share_missed == pytest.approx(of_all, abs=1e-9)

"""What a home keeps of a monitor run and of a trial, made up."""

import datetime
from pathlib import Path

from dnapredict.config.trial_config import TrialConfig
from dnapredict.monitoring.monitor_state import LastingAlarm, MonitorState, keep_state, page_digest
from dnapredict.pipeline.in_use.trial_state import ReportedTrial
from dnapredict.registry.decision_ledger import Decisions, HeadFile, NewEntry
from dnapredict.trial.pre_registration import PreRegistration
from dnapredict.worklist.plan.working_days import local_today

__all__ = ["CLAIM", "MONDAY", "monitored", "registered", "reported"]

MONDAY = datetime.date(2026, 10, 26)
CLAIM = "In this trial calls lowered missed appointments, beyond chance: 3.1 fewer of 100 appointments."


def monitored(home: Path, **changes: object) -> MonitorState:
    """A monitor run of last week is kept in the home."""
    alarm = LastingAlarm(
        what="level", grouping="all", group="all", raised=MONDAY, since=MONDAY, message="Everyone: 30 in 100 more."
    )
    values = {
        "model_version": "7",
        "created_at": datetime.datetime(2026, 11, 2, 9, tzinfo=datetime.UTC),
        "synthetic": True,
        "last_week": MONDAY,
        "last_outcome_week": MONDAY,
        "figures_from": MONDAY,
        "level": 1.312,
        "reach": 0.25,
        "alarms": (alarm,),
        "summary": "1 alarm holds.",
        "page_sha256": page_digest("<h1>The page</h1>"),
    }
    state = MonitorState.model_validate(values | changes)
    keep_state(state, "<h1>The page</h1>", home=home)
    return state


def registered(home: Path, *, start: int, end: int) -> None:
    """A trial is registered in the home, which starts and ends so many days from today."""
    settings = TrialConfig(
        name="Calls",
        start=local_today() + datetime.timedelta(days=start),
        end=local_today() + datetime.timedelta(days=end),
        approved_by="The research committee",
        why_ethical="Nobody knows yet whether these calls help anybody at all.",
    )
    registration = PreRegistration(registered_on=settings.start, settings=settings, share_drawn="1/5")
    registration.write(home)
    entry = NewEntry("trial", {"name": "Calls", "sha256": registration.sha256, "until": str(settings.end)})
    Decisions(home, (HeadFile(home),)).create([entry])


def reported(home: Path, claim: str = CLAIM, **changes: object) -> None:
    """A trial report was made of the home."""
    values = {
        "name": "Calls",
        "created_at": datetime.datetime(2026, 11, 2, 9, tzinfo=datetime.UTC),
        "synthetic": True,
        "window": (datetime.date(2026, 6, 1), datetime.date(2026, 10, 30)),
        "claim": claim,
        "claim_kind": "helps",
        "effect": {"value": -0.031, "low": -0.043, "high": -0.019},
        "versions": ("7",),
    }
    folder = home / "trial" / "reports"
    folder.mkdir(parents=True, exist_ok=True)
    record = ReportedTrial.model_validate(values | changes)
    (folder / "latest.json").write_text(record.model_dump_json(), encoding="utf-8")

"""Monitor runs and trial reports as runs in MLflow: their published figures and pages, linked to the models."""

import datetime
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from dnapredict.model.report.training_records import RunMetric
from dnapredict.monitoring.monitor_state import MonitorState
from dnapredict.registry.mlflow_store import TrackingStore
from dnapredict.registry.run_logging import log_linked_run, model_ids_of
from dnapredict.registry.served.audit_run import interval_metrics

_BY_WEEK: Final = ("level", "reach", "share_missed", "log_loss", "slope")
_EFFECTS: Final = ("intention_to_treat", "always_valid", "complier", "relative_risk", "attended")


def log_monitor(
    store: TrackingStore,
    records: Sequence[Any],
    *,
    state: MonitorState,
    figures: Mapping[str, Any],
    page: str,
    began: datetime.datetime | None = None,
) -> str:
    """Log a monitor run as a run about a version, and return its id.

    Parameters
    ----------
    records
        MLflow's record of the version alone.
    figures
        The content of `monitor.json`; its weekly figures of everyone become metrics with a step for each week.
    page
        The page as HTML, which is kept as an artefact.
    """
    alarms = len(state.alarms)
    alarm_words = {0: "no alarm", 1: "1 alarm"}.get(alarms, f"{alarms} alarms")
    (record,) = records
    version = str(record.version)
    return log_linked_run(
        store,
        model_ids_of(records),
        name=f"Monitor of version {version}: {alarm_words}",
        kind="monitor",
        command="dnapredict monitor",
        note="\n\n".join([state.summary, *(alarm.message for alarm in state.alarms), "The page is `monitor.html`."]),
        tags={"version": version, "alarms": str(alarms), "last_outcome_week": state.last_outcome_week.isoformat()},
        figures=_weekly(figures, alarms),
        files={"monitor.html": page},
        began=began,
    )


def _weekly(figures: Mapping[str, Any], alarms: int) -> Iterator[RunMetric]:
    """The figures of everyone that are printed; the step is the number of the week, from 1."""
    yield RunMetric("alarms", float(alarms))
    for name in _BY_WEEK:
        for step, week in enumerate(figures[name], start=1):
            if week[name] is not None:
                yield RunMetric(f"weekly/{name}", float(week[name]), step)


def log_trial(
    store: TrackingStore,
    records: Sequence[Any],
    *,
    figures: Mapping[str, Any],
    page: str,
    began: datetime.datetime | None = None,
) -> str:
    """Log a trial report as a run about the versions that scored the trial, and return its id.

    Parameters
    ----------
    records
        MLflow's records of these versions; none where all were of other homes.
    figures
        The content of `trial.json`.
    page
        The page as HTML, which is kept as an artefact.
    """
    name, kind = figures["trial"]["name"], figures["claim_kind"]
    versions = ", ".join(sorted((str(record.version) for record in records), key=int))
    return log_linked_run(
        store,
        model_ids_of(records),
        name=f"Trial '{name}': {kind}",
        kind="trial_report",
        command=f"dnapredict trial report --name '{name}'",
        note="\n\n".join([figures["claim"], figures["ranking_reason"], "The page is `report.html`."]),
        tags={"version": versions, "trial": name, "claim_kind": kind, "plan": figures["trial"]["plan"]},
        figures=_effects(figures["effect"]),
        files={"report.html": page},
        began=began,
    )


def _effects(effect: Mapping[str, Mapping[str, float] | None]) -> Iterator[RunMetric]:
    for name in _EFFECTS:
        value = "relative_risk" if name == "relative_risk" else "risk_difference"
        yield from interval_metrics(f"effect/{name}", effect[name], value=value)

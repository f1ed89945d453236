"""An audit as a run in MLflow: the published verdicts and gaps of its `audit.json`, linked to the model."""

import datetime
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from dnapredict.model.report.training_records import RunMetric
from dnapredict.registry.mlflow_store import TrackingStore
from dnapredict.registry.run_logging import log_linked_run, model_ids_of

_FIGURES: Final = "audit.json"
_NOT_IN_NAMES: Final = re.compile(r"[^\w\-. /]", re.ASCII)
_OVERALL: Final = ("reach", "selection_rate", "base_rate", "precision")


def log_audit(
    store: TrackingStore,
    records: Sequence[Any],
    report: Path,
    *,
    verdict: str,
    digest: str,
    began: datetime.datetime | None = None,
) -> str:
    """Log the audit in the folder `report` as a run about a version, and return its id.

    `records` holds MLflow's record of the version alone. Only what `audit.json` publishes is logged, which is rounded
    and suppressed, and none of its counts.
    """
    (record,) = records
    figures = _read(report / _FIGURES)
    gates = {f"gate_{gate['code']}": str(gate["verdict"]) for gate in figures.get("gates", ())}
    return log_linked_run(
        store,
        model_ids_of(records),
        name=f"Audit of version {record.version}: {verdict}",
        kind="audit",
        command=f"dnapredict audit --model {record.version}",
        note=_note(figures, digest),
        tags={"version": str(record.version), "verdict": verdict, "report_sha256": digest} | gates,
        figures=_metrics(figures),
        began=began,
    )


def _read(path: Path) -> Mapping[str, Any]:
    """The figures; none where a report has none."""
    return dict(json.loads(path.read_bytes())) if path.is_file() else {}


def _note(figures: Mapping[str, Any], digest: str) -> str:
    lines = [str(figures.get("sentence", "")), *map(str, figures.get("headline", ()))]
    kept = f"The report is kept with the run of the version's training, in `audits/{digest}`."
    return "\n\n".join([*filter(None, lines), kept])


def _metrics(figures: Mapping[str, Any]) -> Iterator[RunMetric]:
    overall = figures.get("overall", {})
    rates = overall.get("rates", {}) | {"observed_over_expected": overall.get("observed_over_expected")}
    for name in (*_OVERALL, "observed_over_expected"):
        yield from interval_metrics(f"overall/{name}", rates.get(name))
    for finding in figures.get("findings", ()):
        name = f"gap/{finding['grouping']}/{finding['group']['code']}"
        yield from interval_metrics(_NOT_IN_NAMES.sub("_", name), finding.get("gap"))


def interval_metrics(name: str, figure: Mapping[str, float] | None, *, value: str = "value") -> Iterator[RunMetric]:
    """A figure, by its key `value`, and the ends of its interval; nothing where it is suppressed."""
    if not figure or figure.get(value) is None:
        return
    yield RunMetric(name, float(figure[value]))
    for end in ("low", "high"):
        if figure.get(end) is not None:
            yield RunMetric(f"{name}/{end}", float(figure[end]))

"""Messages and results for the person who typed a command, and results as JSON for a program."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from dnapredict.config.fairness_policy import Disclosure
    from dnapredict.data.validation.checked import CheckedExtract
    from dnapredict.model.evaluate.metric_intervals import ModelComparison
    from dnapredict.model.evaluate.risk_metrics import RiskMetrics
    from dnapredict.monitoring.monitor_state import MonitorState
    from dnapredict.pipeline import Trained
    from dnapredict.pipeline.in_use.trial_state import ReportedTrial
    from dnapredict.registry.version_summaries import VersionSummary
    from dnapredict.service.home_checks.home_findings import HomeFinding


def say(text: str) -> None:
    """Print a message on standard error; standard output holds only the result that was asked for."""
    typer.echo(text, err=True)


def findings_sentence(findings: Sequence["HomeFinding"]) -> str:
    """How many findings a home has, after they were printed."""
    return (
        "1 finding. It says what mends it."
        if len(findings) == 1
        else f"{len(findings):,} findings. Each says what mends it."
    )


def say_rejections(extract: Path, checked: "CheckedExtract") -> None:
    """Print how many rows keep the contract, and which rules the others break; never a value."""
    from dnapredict.pipeline.run_inputs import contract_sentences

    for sentence in contract_sentences(checked, source=extract.name):
        say(sentence)


def training_lines(trained: "Trained") -> Iterator[str]:
    """The result of a training for a person: version, test metrics, next command."""
    from dnapredict.public_api.results import POPULATIONS

    training, version = trained.training, trained.registered.version
    if trained.stored.manifest.provenance.synthetic:
        yield "SYNTHETIC: trained on made-up patients, for demonstration only."
    yield f"Version {version} is registered as challenger ({len(training.model.factors)} factors)."
    if trained.dropped:
        yield f"The extract lacks the columns for: {', '.join(trained.dropped)}."
    yield f"Tested on {training.split.test}:"
    rule = _disclosure()
    for name, metrics in training.test.items():
        yield f"  {POPULATIONS[name]}: {population_words(metrics, rule)}"
    yield f"Next: dnapredict audit EXTRACT --model {version} --out reports/{version}"


def population_words(metrics: "RiskMetrics", rule: "Disclosure") -> str:
    """The test metrics of a population, counts rounded; none where so few appointments may point at a patient."""
    from dnapredict.data.small_numbers import publish_count

    shown = publish_count(round(metrics.n * (metrics.base_rate or 0.0)), rule)
    total = publish_count(metrics.n, rule)
    is_small = _is_small(metrics, rule)
    if is_small or not shown or not total or metrics.auroc is None or metrics.sensitivity_at_10 is None:
        return "too few appointments to give figures"
    return (
        f"{total:,} appointments, {shown / total:.1%} missed; AUROC {metrics.auroc:.3f}, "
        f"log loss {metrics.log_loss:.4f}; the riskiest tenth holds {metrics.sensitivity_at_10 * 100:.0f} in 100 of "
        "those who missed"
    )


def _is_small(metrics: "RiskMetrics", rule: "Disclosure") -> bool:
    """Whether figures of so few appointments, missed or attended ones, may point at a patient."""
    from dnapredict.data.small_numbers import SMALLEST_EVALUATED, publish_count

    missed = round(metrics.n * (metrics.base_rate or 0.0))
    return metrics.n < SMALLEST_EVALUATED or None in (
        publish_count(missed, rule),
        publish_count(metrics.n - missed, rule),
    )


def _disclosure() -> "Disclosure":
    from dnapredict.config.fairness_policy import Policy
    from dnapredict.config.loading import load, shipped

    return load(shipped("fairness/policy.toml"), Policy).disclosure


_COMPARED = {
    "log_loss": "log loss",
    "brier": "Brier",
    "auroc": "AUROC",
    "average_precision": "average precision",
    "sensitivity_at_10": "reach of the top tenth",
}


def comparison_json(comparison: "ModelComparison", *, versions: tuple[str, str]) -> dict[str, Any]:
    """`versions`, `verdict`, and for each population the metrics of both and their paired `differences`.

    A population of so few that its figures may point at a patient is left out.
    """
    rule = _disclosure()
    return {
        "versions": list(versions),
        "verdict": comparison.verdict(*_versions(versions)),
        "populations": {
            name: {
                "one": comparison.one[name].as_dict(),
                "other": comparison.other[name].as_dict(),
                "differences": {metric: difference._asdict() for metric, difference in differences.items()},
            }
            for name, differences in comparison.differences.items()
            if not _is_small(comparison.one[name], rule)
        },
    }


def comparison_lines(comparison: "ModelComparison", *, versions: tuple[str, str]) -> Iterator[str]:
    """The comparison for a person, with the verdict first; counts rounded, none of a population of few."""
    from dnapredict.data.small_numbers import publish_count

    one, other = versions
    yield comparison.verdict(*_versions(versions))
    total = publish_count(comparison.n, _disclosure())
    yield f"On {total:,} appointments that both were tested on; version {one} less version {other}:"
    yield from _difference_lines(comparison)


def live_lines(comparison: "ModelComparison | None", *, versions: tuple[str, str]) -> Iterator[str]:
    """The comparison on live appointments for a person; a sentence where there are too few of them."""
    from dnapredict.data.small_numbers import publish_count

    if comparison is None:
        yield "Too few live appointments that both scored have a known outcome to compare them there."
        return
    one, other = versions
    total = publish_count(comparison.n, _disclosure())
    yield (
        f"Live, on {total:,} appointments that both scored at the same moment, without those whose patient a call "
        f"reached: {comparison.verdict(*_versions(versions))} Version {one} less version {other}:"
    )
    yield from _difference_lines(comparison)


def _difference_lines(comparison: "ModelComparison") -> Iterator[str]:
    from dnapredict.data.small_numbers import publish_count
    from dnapredict.public_api.results import POPULATIONS

    rule = _disclosure()
    for population, differences in comparison.differences.items():
        if differences and _is_small(comparison.one[population], rule):
            yield f"  {POPULATIONS[population]}: too few appointments to give figures"
            continue
        if differences:
            yield f"  {POPULATIONS[population]} ({publish_count(comparison.one[population].n, rule):,}):"
        for metric, name in _COMPARED.items():
            if (difference := differences.get(metric)) is not None:
                interval = f"{difference.low:+.4f} to {difference.high:+.4f}"
                yield f"    {name}: {difference.value:+.4f} (95% interval {interval})"


def versions_json(
    summaries: "Sequence[VersionSummary]",
    *,
    monitor: "MonitorState | None" = None,
    trial: "ReportedTrial | None" = None,
) -> list[dict[str, Any]]:
    """Each version with its audit, signature and test metrics; null where so few rows may point at a patient.

    `monitor` is the last monitor run where it watched the version, and `trial` the last trial report where the version
    scored the trial; null otherwise.
    """
    rule = _disclosure()
    return [
        asdict(summary)
        | {"test": None if summary.test is None or _is_small(summary.test, rule) else _ratios(summary.test)}
        | {"monitor": None if (run := _of_version(summary, monitor)) is None else run.model_dump(mode="json")}
        | {"trial": None if (report := _trial_of(summary, trial)) is None else report.model_dump(mode="json")}
        for summary in summaries
    ]


def _of_version(summary: "VersionSummary", monitor: "MonitorState | None") -> "MonitorState | None":
    return monitor if monitor is not None and monitor.model_version == summary.version else None


def _trial_of(summary: "VersionSummary", trial: "ReportedTrial | None") -> "ReportedTrial | None":
    return trial if trial is not None and summary.version in trial.versions else None


def _ratios(metrics: "RiskMetrics") -> dict[str, float | int | None]:
    """The metrics without the number of appointments."""
    return {name: value for name, value in metrics.as_dict().items() if name != "n"}


def versions_lines(
    summaries: "Sequence[VersionSummary]",
    *,
    monitor: "MonitorState | None" = None,
    trial: "ReportedTrial | None" = None,
) -> Iterator[str]:
    """The versions for a person, oldest first; `monitor` and `trial` as in `versions_json`."""
    rule = _disclosure()
    if not summaries:
        yield "No model is registered here. Next: dnapredict train EXTRACT"
    for summary in summaries:
        names = [
            *summary.aliases,
            *(["in use"] if summary.in_use else []),
            *(["SYNTHETIC"] if summary.synthetic else []),
        ]
        yield f"Version {summary.version}{': ' if names else ''}{', '.join(names)}"
        yield f"  trained {summary.trained_at[:10]} on {summary.data_from} to {summary.data_to}"
        tested = "MLflow holds no figures" if summary.test is None else population_words(summary.test, rule)
        yield f"  test, booked a week or more ahead: {tested}"
        yield f"  audit: {_audit_words(summary)}"
        if (run := _of_version(summary, monitor)) is not None:
            yield f"  monitor, {run.created_at.date()}: {run.summary}"
        if (report := _trial_of(summary, trial)) is not None:
            yield f"  trial '{report.name}', {report.created_at.date()}: {report.claim}"
        if summary.problem:
            yield f"  scores no list: {summary.problem}"


def _audit_words(summary: "VersionSummary") -> str:
    if not summary.verdict:
        return "none yet"
    until = f" until {summary.signed_until}" if summary.signed_until else ""
    signed = f"signed by {summary.signed_by}: {summary.signed}{until}" if summary.signed else "not signed"
    return f"{summary.verdict} on {summary.audited_at[:10]}, {signed}"


def _versions(versions: tuple[str, str]) -> tuple[str, str]:
    return f"Version {versions[0]}", f"version {versions[1]}"

"""A training as MLflow tags, parameters and metrics, and as CSV tables."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from dnapredict.config.training_config import Worth
from dnapredict.data.small_numbers import SMALLEST_EVALUATED
from dnapredict.data.spreadsheet_formulas import neutral_cell
from dnapredict.model.artefact import StoredModel
from dnapredict.model.cohort import EVERYONE, WEEKLY
from dnapredict.model.evaluate.capacity_metrics import (
    SHARES,
    WeeklyCapacity,
    net_benefit_curve,
    reach_by_week,
    total_reach,
)
from dnapredict.model.evaluate.metric_intervals import ModelComparison
from dnapredict.model.evaluate.model_checks import metrics_by_group
from dnapredict.model.evaluate.risk_metrics import RiskMetrics, reliability_table
from dnapredict.model.fit.training import Training


class RunMetric(NamedTuple):
    """One metric of a run, at a step where it has steps."""

    name: str
    value: float
    step: int = 0


def run_tags(stored: StoredModel) -> dict[str, str]:
    """Tags of provenance: code, data, register, seed, and whether its patients are made up."""
    origin = stored.manifest.provenance
    return {
        "code_revision": origin.code_revision,
        "code_dirty": str(origin.code_revision.endswith("+dirty")).lower(),
        "data_from": origin.data_from.isoformat(),
        "data_to": origin.data_to.isoformat(),
        "data_sha256": origin.data_sha256,
        "register_sha256": stored.manifest.register_sha256,
        "manifest_sha256": stored.digest,
        "seed": str(origin.config.seed),
        "synthetic": str(origin.synthetic).lower(),
    }


def selection_tags(training: Training) -> dict[str, str]:
    """Tags of the form that was chosen, and whether it beats the base rate beyond chance."""
    selection = training.selection
    tags = {
        "form": selection.chosen,
        "skill": "yes" if selection.beats_base_rate else "none",
        "skill_verdict": str(selection),
    }
    if training.tuned:
        tags["tuning"] = str(training.tuned)
    if training.leakage_warning:
        tags["leak_alarm"] = training.leakage_warning
    return tags


def run_parameters(stored: StoredModel) -> dict[str, str]:
    """The configuration, flattened under the names of its file, and the factors."""
    config = stored.manifest.provenance.config.model_dump(mode="json")
    flat: dict[str, str] = {}
    for key, value in config.items():
        inside = {f"{key}.{name}": v for name, v in value.items()} if isinstance(value, dict) else {key: value}
        flat |= {name: str(v) for name, v in inside.items()}
    factors = stored.manifest.factors
    return flat | {"factors": " ".join(factors), "n_factors": str(len(factors))}


def run_metrics(training: Training) -> Iterator[RunMetric]:
    """Every metric on the test, as `weekly/log_loss` or `logistic_regression/weekly/log_loss`.

    Includes the log loss on the later slice after each round; metrics that are not estimable are left out.
    """
    yield from _of("", training.test)
    for rival, populations in training.baselines.items():
        yield from _of(f"{rival}/", populations)
    yield RunMetric("log_loss_less_base_rate", training.selection.over_base_rate.value)
    yield RunMetric("lightgbm_log_loss_less_logistic", training.selection.over_logistic.value)
    for step, value in enumerate(training.iterations, start=1):
        yield RunMetric("validation_log_loss", value, step)


def comparison_metrics(comparison: ModelComparison) -> Iterator[RunMetric]:
    """Every paired difference, as `difference/weekly/log_loss`, with `.../low` and `.../high`."""
    for population, differences in comparison.differences.items():
        for name, difference in differences.items():
            at = f"difference/{population}/{name}"
            yield RunMetric(at, difference.value)
            yield RunMetric(f"{at}/low", difference.low)
            yield RunMetric(f"{at}/high", difference.high)


def comparison_table(comparison: ModelComparison, *, versions: tuple[str, str]) -> str:
    """The comparison as CSV, one row for each population and metric."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["population", "n", "figure", *(f"version_{v}" for v in versions), "difference", "low", "high"])
    for population, differences in comparison.differences.items():
        one, other = comparison.one[population], comparison.other[population]
        for name, difference in differences.items():
            values = (one.as_dict()[name], other.as_dict()[name], *difference)
            writer.writerow([population, one.n, name, *(f"{value:.6f}" for value in values)])
    return text.getvalue()


def _of(prefix: str, populations: dict[str, RiskMetrics]) -> Iterator[RunMetric]:
    for population, figures in populations.items():
        for name, value in figures.as_dict().items():
            if value is not None:
                yield RunMetric(f"{prefix}{population}/{name}", float(value))


_FIGURES: Final = tuple(RiskMetrics.__dataclass_fields__)
_PLACES: Final = 6


def table_files(training: Training, *, worth: Worth) -> Iterator[tuple[str, str]]:
    """File names and CSV text of every table; weeks of fewer than 100 appointments are left out, such groups pooled."""
    dna, risk = training.test_dna, training.test_probability
    yield (
        "figures-by-population.csv",
        csv_table(("model", "population", *_FIGURES), _populations(training)),
    )
    groups = metrics_by_group(training.tested, risk)
    rows = ((g.grouping, g.name, *g.metrics.as_dict().values(), g.observed_over_expected) for g in groups)
    yield "figures-by-group.csv", csv_table(("grouping", "group", *_FIGURES, "observed_over_expected"), rows)
    yield "reach.csv", csv_table(("population", "week", "calls", "n", "reach", "ppv"), _reach(training))
    weeks = (
        (week.monday, week.n, week.share_missed, week.mean_risk, week.observed_over_expected) for week in training.weeks
    )
    head = ("week", "n", "share_missed", "mean_risk", "observed_over_expected")
    yield "share-missed-by-week.csv", csv_table(head, weeks)
    bins = ((b.n, b.mean_risk, b.share_missed, b.low, b.high) for b in reliability_table(dna, risk))
    yield "reliability.csv", csv_table(("n", "mean_risk", "share_missed", "low", "high"), bins)
    yield "net-benefit.csv", csv_table(("share", "pounds", "blind"), net_benefit_curve(dna, risk, worth=worth))


def reach_table(training: Training, population: str) -> Iterator[tuple[str, float, float]]:
    """Reach and PPV of all weekly lists, for capacities of 5%, 10%, 20% and the configured one."""
    rows = training.tested.populations()[population]
    cohort, risk = training.tested.take(rows), training.test_probability[rows]
    if not cohort.dna.any():
        return
    for calls in _capacities(training.calls):
        total = total_reach(reach_by_week(cohort, risk, calls=calls))
        yield str(calls), total.reach, total.ppv


def csv_table(head: Sequence[str], rows: Iterable[Iterable[Any]]) -> str:
    """CSV text: numbers to six decimals, unknown values empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    for row in rows:
        writer.writerow([round(cell, _PLACES) if isinstance(cell, float) else neutral_cell(cell) for cell in row])
    return text.getvalue()


def _populations(training: Training) -> Iterator[tuple[Any, ...]]:
    for model, by_population in ({"this model": training.test} | training.baselines).items():
        for population, figures in by_population.items():
            yield (model, population, *figures.as_dict().values())


def _reach(training: Training) -> Iterator[tuple[Any, ...]]:
    populations = training.tested.populations()
    for population in (EVERYONE, WEEKLY):
        rows = populations[population]
        cohort, risk = training.tested.take(rows), training.test_probability[rows]
        for name, reach, ppv in reach_table(training, population):
            yield population, "every week", name, len(cohort), reach, ppv
        for calls in _capacities(training.calls):
            for week in reach_by_week(cohort, risk, calls=calls):
                if week.n >= SMALLEST_EVALUATED:
                    yield population, week.monday, str(calls), week.n, week.reach, week.ppv


def _capacities(configured: WeeklyCapacity) -> tuple[WeeklyCapacity, ...]:
    shares = tuple(WeeklyCapacity(share) for share in SHARES)
    return shares if configured in shares else (*shares, configured)

"""A training as flat names and plain values, and as CSV tables: by group, week and share called."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from dnapredict.config.training_config import Worth
from dnapredict.data.spreadsheet_formulas import neutral_cell
from dnapredict.model.artefact import StoredModel
from dnapredict.model.cohort.cohort import EVERYONE, WEEKLY
from dnapredict.model.evaluate.capacity_metrics import (
    SHARES,
    WeeklyCapacity,
    net_benefit_curve,
    reach_by_week,
    together,
)
from dnapredict.model.evaluate.metric_intervals import ModelComparison
from dnapredict.model.evaluate.model_checks import FEWEST, by_group
from dnapredict.model.evaluate.reliability import reliability
from dnapredict.model.evaluate.risk_metrics import Figures
from dnapredict.model.fit.training import Training


class RunFigure(NamedTuple):
    """One figure of a run, at a step where it has steps."""

    name: str
    value: float
    step: int = 0


def tags(stored: StoredModel) -> dict[str, str]:
    """Where the model comes from: code, data, register, seed, and whether its patients are made up."""
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


def verdict(training: Training) -> dict[str, str]:
    """Which form was chosen, whether it beats the base rate beyond chance, and that in a sentence."""
    skill = training.skill
    said = {"form": skill.chosen, "skill": "yes" if skill.exists else "none", "skill_verdict": str(skill)}
    if training.tuned:
        said["tuning"] = str(training.tuned)
    if training.alarm:
        said["leak_alarm"] = training.alarm
    return said


def parameters(stored: StoredModel) -> dict[str, str]:
    """The configuration, flat, by the names it has in its file; and the factors."""
    config = stored.manifest.provenance.config.model_dump(mode="json")
    flat: dict[str, str] = {}
    for key, value in config.items():
        inside = {f"{key}.{name}": v for name, v in value.items()} if isinstance(value, dict) else {key: value}
        flat |= {name: str(v) for name, v in inside.items()}
    factors = stored.manifest.factors
    return flat | {"factors": " ".join(factors), "n_factors": str(len(factors))}


def measured(training: Training) -> Iterator[RunFigure]:
    """Every figure on the test, as `weekly/log_loss` or `logistic_regression/weekly/log_loss`.

    With them the log loss on the later slice after each round. What is not estimable is left out.
    """
    yield from _of("", training.test)
    for rival, populations in training.baselines.items():
        yield from _of(f"{rival}/", populations)
    yield RunFigure("log_loss_less_base_rate", training.skill.over_base_rate.value)
    yield RunFigure("lightgbm_log_loss_less_logistic", training.skill.over_logistic.value)
    for step, value in enumerate(training.iterations, start=1):
        yield RunFigure("validation_log_loss", value, step)


def compared(comparison: ModelComparison) -> Iterator[RunFigure]:
    """Every paired difference, as `difference/weekly/log_loss`, with `.../low` and `.../high`."""
    for population, found in comparison.differences.items():
        for name, difference in found.items():
            at = f"difference/{population}/{name}"
            yield RunFigure(at, difference.value)
            yield RunFigure(f"{at}/low", difference.low)
            yield RunFigure(f"{at}/high", difference.high)


def comparison_table(comparison: ModelComparison, *, versions: tuple[str, str]) -> str:
    """The comparison as CSV, one row for each population and figure."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["population", "n", "figure", *(f"version_{v}" for v in versions), "difference", "low", "high"])
    for population, found in comparison.differences.items():
        one, other = comparison.one[population], comparison.other[population]
        for name, difference in found.items():
            values = (one.as_dict()[name], other.as_dict()[name], *difference)
            table.writerow([population, one.n, name, *(f"{value:.6f}" for value in values)])
    return text.getvalue()


def _of(prefix: str, populations: dict[str, Figures]) -> Iterator[RunFigure]:
    for population, figures in populations.items():
        for name, value in figures.as_dict().items():
            if value is not None:
                yield RunFigure(f"{prefix}{population}/{name}", float(value))


_FIGURES: Final = tuple(Figures.__dataclass_fields__)
_PLACES: Final = 6


def tables(training: Training, *, worth: Worth) -> Iterator[tuple[str, str]]:
    """File names and CSV text of every table; groups and weeks of fewer than 100 are not shown apart."""
    dna, risk = training.test_dna, training.test_probability
    yield (
        "figures-by-population.csv",
        table(("model", "population", *_FIGURES), _populations(training)),
    )
    groups = by_group(training.tested, risk)
    rows = ((g.grouping, g.name, *g.figures.as_dict().values(), g.observed_over_expected) for g in groups)
    yield "figures-by-group.csv", table(("grouping", "group", *_FIGURES, "observed_over_expected"), rows)
    yield "reach.csv", table(("population", "week", "calls", "n", "reach", "ppv"), _reach(training))
    weeks = (
        (week.monday, week.n, week.share_missed, week.mean_risk, week.observed_over_expected) for week in training.weeks
    )
    head = ("week", "n", "share_missed", "mean_risk", "observed_over_expected")
    yield "share-missed-by-week.csv", table(head, weeks)
    bins = ((b.n, b.mean_risk, b.share_missed, b.low, b.high) for b in reliability(dna, risk))
    yield "reliability.csv", table(("n", "mean_risk", "share_missed", "low", "high"), bins)
    yield "net-benefit.csv", table(("share", "pounds", "blind"), net_benefit_curve(dna, risk, worth=worth))


def reach_table(training: Training, population: str) -> Iterator[tuple[str, float, float]]:
    """For 5, 10 and 20 in 100 and the configured capacity: what weekly lists together reach, and PPV."""
    rows = training.tested.populations()[population]
    cohort, risk = training.tested.take(rows), training.test_probability[rows]
    if not cohort.dna.any():
        return
    for calls in _capacities(training.calls):
        found = together(reach_by_week(cohort, risk, calls=calls))
        yield str(calls), found.reach, found.ppv


def table(head: Sequence[str], rows: Iterable[Iterable[Any]]) -> str:
    """CSV text: numbers to six places, what is not known empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    for row in rows:
        writer.writerow([round(cell, _PLACES) if isinstance(cell, float) else neutral_cell(cell) for cell in row])
    return text.getvalue()


def _populations(training: Training) -> Iterator[tuple[Any, ...]]:
    for model, found in ({"this model": training.test} | training.baselines).items():
        for population, figures in found.items():
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
                if week.n >= FEWEST:
                    yield population, week.monday, str(calls), week.n, week.reach, week.ppv


def _capacities(configured: WeeklyCapacity) -> tuple[WeeklyCapacity, ...]:
    shares = tuple(WeeklyCapacity(share) for share in SHARES)
    return shares if configured in shares else (*shares, configured)

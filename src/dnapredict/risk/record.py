"""A training as flat names and plain values: what is written down to compare runs by."""

import csv
import io
from collections.abc import Iterator
from typing import NamedTuple

from dnapredict.risk.artefact import StoredModel
from dnapredict.risk.comparing import Comparison
from dnapredict.risk.metrics import Figures
from dnapredict.risk.training import Training

__all__ = ["Figure", "compared", "comparison_table", "measured", "parameters", "tags", "verdict"]


class Figure(NamedTuple):
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
        inside = (
            {f"{key}.{name}": v for name, v in value.items()} if isinstance(value, dict) else {key: value}
        )
        flat |= {name: str(v) for name, v in inside.items()}
    factors = stored.manifest.factors
    return flat | {"factors": " ".join(factors), "n_factors": str(len(factors))}


def measured(training: Training) -> Iterator[Figure]:
    """Every figure on the test, as `weekly/log_loss` or `logistic_regression/weekly/log_loss`.

    With them the log loss on the later slice after each round. What is not estimable is left out.
    """
    yield from _of("", training.test)
    for rival, populations in training.baselines.items():
        yield from _of(f"{rival}/", populations)
    yield Figure("log_loss_less_base_rate", training.skill.over_base_rate.value)
    yield Figure("lightgbm_log_loss_less_logistic", training.skill.over_logistic.value)
    for step, value in enumerate(training.iterations, start=1):
        yield Figure("validation_log_loss", value, step)


def compared(comparison: Comparison) -> Iterator[Figure]:
    """Every paired difference, as `difference/weekly/log_loss`, with `.../low` and `.../high`."""
    for population, found in comparison.differences.items():
        for name, difference in found.items():
            at = f"difference/{population}/{name}"
            yield Figure(at, difference.value)
            yield Figure(f"{at}/low", difference.low)
            yield Figure(f"{at}/high", difference.high)


def comparison_table(comparison: Comparison, *, versions: tuple[str, str]) -> str:
    """The comparison as CSV, one row for each population and figure."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(
        ["population", "n", "figure", *(f"version_{v}" for v in versions), "difference", "low", "high"]
    )
    for population, found in comparison.differences.items():
        one, other = comparison.one[population], comparison.other[population]
        for name, difference in found.items():
            values = (one.as_dict()[name], other.as_dict()[name], *difference)
            table.writerow([population, one.n, name, *(f"{value:.6f}" for value in values)])
    return text.getvalue()


def _of(prefix: str, populations: dict[str, Figures]) -> Iterator[Figure]:
    for population, figures in populations.items():
        for name, value in figures.as_dict().items():
            if value is not None:
                yield Figure(f"{prefix}{population}/{name}", float(value))

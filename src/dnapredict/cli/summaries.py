"""What a training or a comparison came to: as one JSON object for a program, as a few lines for a person."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dnapredict.public_api.results import POPULATIONS

if TYPE_CHECKING:
    from dnapredict.model.evaluate.metric_intervals import ModelComparison
    from dnapredict.pipeline import Trained


def training_lines(trained: "Trained") -> Iterator[str]:
    """The result of a training for a person: version, test metrics, next command."""
    training, version = trained.training, trained.registered.version
    if trained.stored.manifest.provenance.synthetic:
        yield "SYNTHETIC: trained on made-up patients, for demonstration only."
    yield f"Version {version} is registered as challenger ({len(training.model.factors)} factors)."
    if trained.dropped:
        yield f"The extract cannot feed: {', '.join(trained.dropped)}."
    yield f"Tested on {training.split.test}:"
    for name, figures in training.test.items():
        if figures.n and figures.auroc is not None and figures.sensitivity_at_10 is not None:
            yield (
                f"  {POPULATIONS[name]}: {figures.n:,} appointments, {figures.base_rate:.1%} missed; "
                f"AUROC {figures.auroc:.3f}, log loss {figures.log_loss:.4f}; the riskiest tenth holds "
                f"{figures.sensitivity_at_10 * 100:.0f} in 100 of those who missed"
            )
    yield f"Next: dnapredict audit EXTRACT --model {version} --out reports/{version}"


_COMPARED = {
    "log_loss": "log loss",
    "brier": "Brier",
    "auroc": "AUROC",
    "average_precision": "average precision",
    "sensitivity_at_10": "reach of the top tenth",
}


def comparison_json(comparison: "ModelComparison", *, versions: tuple[str, str]) -> dict[str, Any]:
    """`versions`, `verdict`, and by population the figures of both and the paired `differences`."""
    return {
        "versions": list(versions),
        "verdict": comparison.verdict(*_versions(versions)),
        "populations": {
            name: {
                "one": comparison.one[name].as_dict(),
                "other": comparison.other[name].as_dict(),
                "differences": {figure: found._asdict() for figure, found in differences.items()},
            }
            for name, differences in comparison.differences.items()
        },
    }


def comparison_lines(comparison: "ModelComparison", *, versions: tuple[str, str]) -> Iterator[str]:
    """The same for a person: the verdict first."""
    one, other = versions
    yield comparison.verdict(*_versions(versions))
    yield f"On {comparison.n:,} appointments that both were tested on; version {one} less version {other}:"
    for population, differences in comparison.differences.items():
        if differences:
            yield f"  {POPULATIONS[population]} ({comparison.one[population].n:,}):"
        for figure, name in _COMPARED.items():
            if (found := differences.get(figure)) is not None:
                yield f"    {name}: {found.value:+.4f} (95% interval {found.low:+.4f} to {found.high:+.4f})"


def _versions(versions: tuple[str, str]) -> tuple[str, str]:
    return f"Version {versions[0]}", f"version {versions[1]}"

"""The versions of a home in short, for `dnapredict versions`."""

from dataclasses import dataclass, fields
from typing import Any, Final

from dnapredict.model.cohort import WEEKLY
from dnapredict.model.evaluate.risk_metrics import RiskMetrics
from dnapredict.registry.judgement import Judgement

_COUNT: Final = "n"


@dataclass(frozen=True)
class VersionSummary:
    """One version of a home.

    Attributes
    ----------
    aliases
        What MLflow calls it. The ledger says which version is in use, and not an alias.
    trained_at, data_from, data_to
        When it was registered (UTC), and the first and last day of its extract.
    verdict, audited_at
        Of its last audit; "" where there was none.
    signed, signed_by, signed_until
        The decision on its report; "" where there is none.
    in_use
        Whether `promote` or `rollback` put it in use last.
    problem
        Why no list may be scored with the version in use; "" if lists may be scored, and for every other version.
    test
        Its metrics on the test, on appointments booked a week or more ahead; None where MLflow has lost them.
    """

    version: str
    aliases: tuple[str, ...]
    trained_at: str
    data_from: str
    data_to: str
    synthetic: bool
    verdict: str
    audited_at: str
    signed: str
    signed_by: str
    signed_until: str
    in_use: bool
    problem: str
    test: RiskMetrics | None


def version_summary(
    record: Any, judged: Judgement, *, figures: dict[str, float], in_use: bool, trained_at: str, problem: str
) -> VersionSummary:
    """The summary of MLflow's `record` of a version, with the metrics `figures` of its run."""
    tags = record.tags
    decided = judged.tags  # MLflow's own tags of audits can be set by anybody
    return VersionSummary(
        version=str(record.version),
        aliases=tuple(sorted(map(str, record.aliases))),
        trained_at=trained_at,
        data_from=tags.get("data_from", ""),
        data_to=tags.get("data_to", ""),
        synthetic=tags.get("synthetic") == "true",
        verdict=decided.get("audit_verdict", ""),
        audited_at=decided.get("audited_at", ""),
        signed=decided.get("signed_decision", ""),
        signed_by=decided.get("signed_by", ""),
        signed_until=decided.get("signed_until", ""),
        in_use=in_use,
        problem=problem,
        test=metrics_of_test(figures),
    )


def metrics_of_test(figures: dict[str, float]) -> RiskMetrics | None:
    """The weekly population of a training's metrics, from those of its MLflow run; None where there are none."""
    names = [each.name for each in fields(RiskMetrics)]
    values: dict[str, Any] = {name: figures.get(f"{WEEKLY}/{name}") for name in names}
    if values[_COUNT] is None:
        return None
    return RiskMetrics(**values | {_COUNT: int(values[_COUNT])})

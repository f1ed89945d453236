"""Audit a model, report on access before there is one, and record a decision."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dnapredict.config.fairness_policy import Policy
from dnapredict.config.training_config import Setting
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.pipeline.run_inputs import sound_extract
from dnapredict.registry import Registry

if TYPE_CHECKING:
    from dnapredict.fairness import AuditResult, Signature
    from dnapredict.fairness.access import AccessAssessment


@dataclass(frozen=True)
class Audit:
    """The result of an audit and the path of its report."""

    result: "AuditResult"
    report: Path


@dataclass(frozen=True)
class Assessment:
    """The result of an access report and its path."""

    result: "AccessAssessment"
    report: Path


@dataclass(frozen=True)
class Signed:
    """A decision, and the versions in the registry that it applies to."""

    signature: "Signature"
    versions: tuple[str, ...]


def audit(
    path: Path,
    *,
    out: Path,
    setting: Setting,
    policy: Policy,
    home: Path,
    model: str | None = None,
    scores: Path | None = None,
    previous: Path | None = None,
    extras: frozenset[str] = frozenset(),
    say: Callable[[str], None] | None = None,
) -> Audit:
    """Audit a model of the home, or anybody's scores, on the outcomes in the extract at `path`.

    A model is audited on the appointments since the start of its test period, which its training did not see,
    and compared with the champion where that is another model. `previous` is the previous report, for what
    changed. `extras` of `fairness.EXTRA_OUTPUTS` are written with the report. `say` is called with a warning for
    values that no code list has: these people are in the group "not known".
    """
    from dnapredict import fairness as auditing  # fairlearn and matplotlib take seconds to import
    from dnapredict.pipeline import audit_inputs, audit_source

    auditing.require_free(out)
    registry = Registry(home)
    kept = registry.last_audit() if model is not None else None
    earlier = audit_inputs.previous_figures(previous, out=out, kept=kept)
    source = audit_source.read_source(path, setting=setting, policy=policy, registry=registry, model=model, say=say)
    given = audit_source.audit_input(source, scores=scores, previous=earlier)
    result = auditing.run(given.appointments, policy=policy, context=given.context)
    studied = None
    if "study" in extras:
        studied = audit_inputs.studied(
            given.appointments,
            None if source.stored is None else given.lists.judged.values,
            policy=policy,
            worklist=source.worklist,
            seed=source.config.seed,
        )
    report = auditing.write(result, out, extra_files=auditing.extra_files(result, extras, studied=studied))
    if source.version is not None:
        registry.keep_audit(source.version, report.parent, verdict=str(result.verdict))
    return Audit(result, report)


def access(
    path: Path,
    *,
    out: Path,
    setting: Setting,
    policy: Policy,
    say: Callable[[str], None] | None = None,
) -> Assessment:
    """Report who is booked, who waits and who misses in the extract at `path`, without a model."""
    from dnapredict.fairness import access as assessing
    from dnapredict.pipeline import access_inputs, audit_source

    assessing.require_free(out)
    with Workspace() as workspace:
        checked = sound_extract(path, setting, workspace)
        audit_source.warn_of_unknown_values(checked, workspace, policy, say)
        codes = setting.training.dna_codes
        listed = access_inputs.listed(checked, dna_codes=codes, source=path.name, workspace=workspace)
    result = assessing.assess(
        listed, policy=policy, context=access_inputs.access_context(listed, path, timezone=setting.mapping.timezone)
    )
    return Assessment(result, assessing.write(result, out))


def sign(report: Path, *, home: Path, name: str, role: str, decision: str, reason: str, dissent: str = "") -> Signed:
    """Record a person's decision with a report, and with the versions of the home that it applies to."""
    from dnapredict import fairness as auditing

    registry, versions = Registry(home), list[str]()
    signature = auditing.sign(
        report,
        name=name,
        role=role,
        decision=decision,
        reason=reason,
        dissent=dissent,
        on_record=registry.signature_on(report),
        record=lambda signature: versions.extend(registry.keep_signature(report, signature)),
    )
    return Signed(signature, tuple(versions))

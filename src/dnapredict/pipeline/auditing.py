"""Audit a model, report on access before there is one, and record a decision."""

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dnapredict.config.fairness_policy import Policy, Signatory
from dnapredict.config.training_config import Setting
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.validation.checked import Checked
from dnapredict.features.matrix import Matrix
from dnapredict.features.scoring_clock import LabelRule
from dnapredict.model.artefact import StoredModel
from dnapredict.model.artefact import load as load_model
from dnapredict.pipeline.audited_lists import PastLists, assumptions
from dnapredict.pipeline.run_inputs import matrix_of, sound_extract, worklist_config
from dnapredict.pipeline.vendor_scores import vendor_scores
from dnapredict.quality.unknown_values import unknown_value_sentences
from dnapredict.registry import CHAMPION, Registry
from dnapredict.registry.audit_book import AuditBook
from dnapredict.registry.audit_record import AuditRecord
from dnapredict.registry.tested_appointments import RecordedOutcomes

if TYPE_CHECKING:
    from dnapredict.fairness import AuditResult, Signature
    from dnapredict.fairness.access import AccessAssessment
    from dnapredict.fairness.signatories import Proof


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
    """A decision, the versions in the registry that it applies to, and whether another signature is owed."""

    signature: "Signature"
    versions: tuple[str, ...]
    is_owed: bool = False


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
    from dnapredict.pipeline import audit_inputs

    auditing.require_free(out)
    registry, worklist = Registry(home), worklist_config()
    book = AuditBook(registry)
    version = None if model is None else registry.version_of(model)
    stored = None if version is None else load_model(registry.folder(version))
    config = setting.training if stored is None else stored.manifest.provenance.config
    outcomes = LabelRule(config.dna_codes)
    if stored is not None:
        book.require_policy(policy)
    require, kept = (book.require_report, registry.last_audit()) if stored else (_accept, None)
    earlier = audit_inputs.previous_figures(previous, out=out, kept=kept, require=require)
    with Workspace() as workspace:
        checked = sound_extract(path, setting, workspace)
        _warn(checked, workspace, policy, say)
        if stored is not None:
            stored.manifest.provenance.require_release(checked.ingest.areas.release)
        factors, extra = stored.model.factors if stored else (), audit_inputs.EXTRA_COLUMNS
        matrix = matrix_of(checked, config, factors=factors, extra_columns=extra, workspace=workspace)
        live = _live_risk(registry, stored, checked, workspace)
        expected = audit_inputs.rows_expected(checked, stored, workspace)
    lists = PastLists.of(matrix, outcomes=outcomes)
    appointments = coverage = None
    if stored is not None and version is not None:
        lists = audit_inputs.not_trained_on(lists, stored, source=path.name)
        sites = lists.matrix.table["site_code"].to_pylist()
        probability = stored.model.probability(lists.matrix.values, sites=sites)
        appointments = audit_inputs.recorded_outcomes(lists, outcomes=outcomes)
        coverage = book.coverage(version, appointments)
    else:
        known = (matrix.table["appointment_id"], checked.rejected["appointment_id"])
        ids = lists.matrix.table["appointment_id"]
        probability = vendor_scores(scores, ids, required=lists.has_outcome, known=known)
        lists, probability = lists.take(~np.isnan(probability)), probability[~np.isnan(probability)]
    audited = audit_inputs.audited(
        lists,
        probability,
        outcomes=outcomes,
        worklist=worklist,
        live=live and live(lists.matrix),
        refused=checked.opt_outs,
    )
    zone = setting.mapping.timezone
    origin = audit_inputs.Origin(path, config, worklist, stored=stored, version=version, scores=scores, timezone=zone)
    assumed = assumptions(lists, worklist, policy.disclosure)
    context = audit_inputs.context(audited, origin, previous=earlier, rows=expected, assumed=assumed, coverage=coverage)
    result = auditing.run(audited, policy=policy, context=context)
    studied = None
    if "study" in extras:
        seen = None if stored is None else lists.judged.values
        studied = audit_inputs.studied(audited, seen, policy=policy, worklist=worklist, seed=config.seed)
    report = auditing.write(result, out, extra_files=auditing.extra_files(result, extras, studied=studied))
    if version is not None:
        book.enter(version, report.parent, _record(result, appointments))
    return Audit(result, report)


def _record(result: "AuditResult", appointments: RecordedOutcomes | None) -> AuditRecord:
    """The audit as it is entered in the ledger."""
    coverage = result.context.coverage
    return AuditRecord(
        verdict=str(result.verdict),
        policy=result.policy,
        gates={gate.code: str(gate.verdict) for gate in result.gates},
        appointments=appointments,
        coverage=None if coverage is None else coverage.share,
    )


def _accept(_: Path) -> None:
    """Scores of another product have no home: any earlier report may be named."""


def _live_risk(
    registry: Registry, stored: StoredModel | None, checked: Checked, workspace: Workspace
) -> Callable[[Matrix], NDArray[np.float64]] | None:
    """A function that gives the champion's risks, where there is a champion and it is not the audited model."""
    if stored is None or not registry.has(CHAMPION):
        return None
    live = load_model(registry.folder(CHAMPION))
    if live.digest == stored.digest:
        return None
    config = live.manifest.provenance.config
    extra = ("appointment_id", "site_code")
    matrix = matrix_of(checked, config, factors=live.model.factors, extra_columns=extra, workspace=workspace)
    risk = live.model.probability(matrix.values, sites=matrix.table["site_code"].to_pylist())
    index = pd.Index(matrix.table["appointment_id"].to_pandas())
    return lambda audited: risk[index.get_indexer(audited.table["appointment_id"].to_pandas())]


def _warn(checked: Checked, workspace: Workspace, policy: Policy, say: Callable[[str], None] | None) -> None:
    if say is not None:
        for sentence in unknown_value_sentences(checked, workspace, rule=policy.disclosure):
            say(f"WARNING: {sentence}")


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
    from dnapredict.pipeline import access_inputs

    assessing.require_free(out)
    with Workspace() as workspace:
        checked = sound_extract(path, setting, workspace)
        _warn(checked, workspace, policy, say)
        codes = setting.training.dna_codes
        listed = access_inputs.listed(checked, dna_codes=codes, source=path.name, workspace=workspace)
    result = assessing.assess(
        listed, policy=policy, context=access_inputs.access_context(listed, path, timezone=setting.mapping.timezone)
    )
    return Assessment(result, assessing.write(result, out))


def sign(
    report: Path,
    *,
    home: Path,
    name: str,
    role: str,
    decision: str,
    reason: str,
    dissent: str = "",
    until: datetime.date | None = None,
    prove: Callable[[], "Proof"] | None = None,
    signatories: tuple[Signatory, ...] = (),
) -> Signed:
    """Record a person's decision with a report, and with the versions of the home that it applies to.

    Parameters
    ----------
    until
        The last day on which conditions hold.
    prove
        Gives the person's key or OpenID subject; called where the policy names who may sign.
    signatories
        Those of the policy in use, for a report whose audit in this home names nobody.
    """
    from dnapredict import fairness as auditing
    from dnapredict.fairness.signatories import NO_PROOF, require_signatory

    registry, versions = Registry(home), list[str]()
    book = AuditBook(registry)
    named = book.signatories(report) or signatories
    proof = prove() if prove is not None and named else NO_PROOF
    person = require_signatory(name, proof, signatories=named)
    signature = auditing.sign(
        report,
        name=name if person is None else person.name,
        role=role if person is None else person.role,
        decision=decision,
        reason=reason,
        dissent=dissent,
        until=until,
        proven="" if person is None else proof.kind,
        on_record=registry.signature_on(report),
        before=book.signatures_before(report),
        record=lambda signature: versions.extend(registry.keep_signature(report, signature)),
    )
    return Signed(signature, tuple(versions), is_owed=bool(versions) and book.is_owed(report))

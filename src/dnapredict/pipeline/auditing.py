"""Audit a model, report on access before there is one, and record a decision."""

import datetime
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dnapredict.config.fairness_policy import Policy, Signatory
from dnapredict.config.training_config import Setting
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.errors import UsageError
from dnapredict.pipeline.run_inputs import sound_extract
from dnapredict.registry import Registry
from dnapredict.registry.audit_book import AuditBook
from dnapredict.registry.audit_record import AuditRecord, ModelsAudited
from dnapredict.worklist.plan.call_capacity import call_rules

if TYPE_CHECKING:
    from dnapredict.data.engine.spark_engine import SparkFrame
    from dnapredict.fairness import AuditResult, ReportContext, Signature
    from dnapredict.fairness.access import AccessAssessment, AccessContext
    from dnapredict.fairness.disclosure.publication_memory import PublicationMemory
    from dnapredict.fairness.disclosure.publications import Kind
    from dnapredict.fairness.disclosure.published_before import PublishedBefore
    from dnapredict.fairness.signatories import Proof
    from dnapredict.pipeline.audit_source import AuditSource


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
    from dnapredict.pipeline import audit_source

    read = partial(audit_source.read_source, path, setting=setting, model=model, say=say)
    return _audited(
        read, out=out, policy=policy, home=home, model=model, scores=scores, previous=previous, extras=extras, say=say
    )


def audit_on_spark(
    source: "str | SparkFrame",
    *,
    out: Path,
    setting: Setting,
    policy: Policy,
    home: Path,
    model: str,
    previous: Path | None = None,
    extras: frozenset[str] = frozenset(),
    say: Callable[[str], None] | None = None,
) -> Audit:
    """Audit a model of the home as `audit` does, on an extract that Apache Spark reads, checks and scores.

    Parameters
    ----------
    source
        A Parquet file, a folder of them, a table of the catalogue, or a data frame.

    Raises
    ------
    UsageError
        Also if the study is wanted, which fits models on factors; if Spark, Java or a package is missing.
    StoreError
        Also if the executors and this machine have no disk in common for the home, or Spark stops.
    """
    from dnapredict.pipeline.on_spark.spark_audit import source_on_spark

    if "study" in extras:
        raise UsageError("--study fits models on the factors of one machine: leave out --engine spark.")
    read = partial(source_on_spark, source, setting=setting, model=model, say=say)
    return _audited(
        read, out=out, policy=policy, home=home, model=model, scores=None, previous=previous, extras=extras, say=say
    )


def _audited(
    read: "Callable[..., AuditSource]",
    *,
    out: Path,
    policy: Policy,
    home: Path,
    model: str | None,
    scores: Path | None,
    previous: Path | None,
    extras: frozenset[str],
    say: Callable[[str], None] | None,
) -> Audit:
    """The audit of the source that `read` gives for a `policy` and the audits of a home (`book`)."""
    from dnapredict import fairness as auditing  # fairlearn and matplotlib take seconds to import
    from dnapredict.pipeline import audit_inputs, audit_source

    began = datetime.datetime.now(datetime.UTC)
    auditing.require_free(out)
    registry = Registry(home)
    book = AuditBook(registry)
    kept = registry.last_audit() if model is not None else None
    if model is not None:
        book.require_policy(policy)
    require = book.require_report if model is not None else _accept
    earlier = audit_inputs.previous_figures(previous, out=out, kept=kept, require=require)
    source = read(policy=policy, book=book)
    given = audit_source.audit_input(source, scores=scores, previous=earlier)
    with auditing.remembered(home, has_reports=registry.last_audit() is not None) as memory:
        context = remembered_context(given.context, memory, say)
        if source.version is not None:
            context = replace(
                context,
                accumulated=book.evidence(source.version, context.window),
                other_models=other_models_phrase(book.other_models(source.version)),
            )
        result = auditing.run(given.appointments, policy=policy, context=context)
        studied = None
        if "study" in extras:
            seen = None if source.stored is None else given.lists.judged.values
            studied = audit_inputs.studied(
                given.appointments, seen, policy=policy, worklist=source.worklist, seed=source.config.seed
            )
        files = auditing.extra_files(result, extras, studied=studied)
        memory.keep(result.publication)
        report = auditing.write(result, out, extra_files=files)
    if source.version is not None:
        book.enter(source.version, report.parent, _record(result, source), began=began)
    return Audit(result, report)


def _record(result: "AuditResult", source: "AuditSource") -> AuditRecord:
    """The audit as it is entered in the ledger."""
    coverage = result.context.coverage
    return AuditRecord(
        verdict=str(result.verdict),
        policy=result.policy,
        gates={gate.code: str(gate.verdict) for gate in result.gates},
        appointments=source.outcomes_recorded,
        coverage=None if coverage is None else coverage.share,
        evidence=result.increments,
        call_rules=call_rules(source.worklist),
    )


def other_models_phrase(others: ModelsAudited) -> str:
    """A sentence on the other models that were audited in a home; "" where there are none."""
    if not others.models:
        return ""
    models = "1 other model was" if others.models == 1 else f"{others.models:,} other models were"
    verb = "were" if others.not_passed > 1 else "was"
    outcome = f"{others.not_passed or 'none'} of them failed the audit or {verb} rejected"
    by_chance = " Of several models, one may pass by chance." if others.not_passed else ""
    return f"{models} audited in this home; {outcome}.{by_chance}"


def _accept(_: Path) -> None:
    """Scores of another product have no home: any earlier report may be named."""


def remembered_context(
    context: "ReportContext", memory: "PublicationMemory", say: Callable[[str], None] | None
) -> "ReportContext":
    """The context with what the home has published on the same days, from which no small number may be derived."""
    return replace(context, before=published_before("audit", context, memory, say), not_protected=memory.note)


def published_before(
    kind: "Kind", context: "ReportContext", memory: "PublicationMemory", say: Callable[[str], None] | None
) -> "PublishedBefore | None":
    """What the home has published on the days of `context`; with a warning where it is not known."""
    _tell(memory.note, say)
    return memory.before(
        kind,
        context.window,
        data_sha256=context.data_sha256,
        listed=(context.model_sha256, context.capacity, context.allocation),
    )


def _tell(note: str, say: Callable[[str], None] | None) -> None:
    if note and say is not None:
        say(f"WARNING: {note}")


def access(
    path: Path,
    *,
    out: Path,
    setting: Setting,
    policy: Policy,
    home: Path | None = None,
    say: Callable[[str], None] | None = None,
) -> Assessment:
    """Report who is booked, who waits and who misses in the extract at `path`, without a model.

    `home` remembers what was published; without it, comparisons with other reports are not protected. Where its
    outcome store says what made it hard to come, the report counts that by group.
    """
    from dnapredict.fairness import access as assessing
    from dnapredict.pipeline import access_inputs, audit_inputs

    assessing.require_free(out)
    with Workspace() as workspace:
        checked = sound_extract(path, setting, workspace)
        audit_inputs.warn_of_unknown_values(checked, workspace, policy, say)
        codes = setting.training.dna_codes
        listed = access_inputs.listed(checked, dna_codes=codes, source=path.name, workspace=workspace, home=home)
    context = access_inputs.access_context(listed, path, timezone=setting.mapping.timezone)
    assess = partial(assessing.assess, listed)
    return _assessment(assess, context, out=out, policy=policy, home=home, say=say)


def access_on_spark(
    source: "str | SparkFrame",
    *,
    out: Path,
    setting: Setting,
    policy: Policy,
    home: Path | None = None,
    say: Callable[[str], None] | None = None,
) -> Assessment:
    """Report on an extract as `access` does, from counts that Apache Spark makes.

    Raises
    ------
    UsageError
        Also if the outcome store of the home says what made it hard to come, which executors cannot read.
    """
    from dnapredict.fairness import access as assessing
    from dnapredict.pipeline import access_inputs

    assessing.require_free(out)
    counts, context = access_inputs.counted_on_spark(source, setting=setting, policy=policy, home=home, say=say)
    assess = partial(assessing.assess_counts, counts, has_barriers=False)
    return _assessment(assess, context, out=out, policy=policy, home=home, say=say)


def _assessment(
    assess: "Callable[..., AccessAssessment]",
    context: "AccessContext",
    *,
    out: Path,
    policy: Policy,
    home: Path | None,
    say: Callable[[str], None] | None,
) -> Assessment:
    """Assess beside what the home has published, and write the report."""
    from dnapredict.fairness import access as assessing
    from dnapredict.fairness import remembered

    with remembered(home) as memory:
        before = memory.before("access", context.window, data_sha256=context.data_sha256)
        context = replace(context, before=before, not_protected=memory.note)
        _tell(memory.note, say)
        result = assess(policy=policy, context=context)
        memory.keep(result.publication)
        return Assessment(result, assessing.write(result, out))


def consent(policy: Policy, *, home: Path, name: str, reason: str, prove: Callable[[], "Proof"]) -> Signatory:
    """Record that a signatory agrees to a policy that differs from the last one of the home; return the signatory.

    Raises
    ------
    UsageError
        If no signatories are on record, the person is not one of them, the proof is wrong, or there is no reason.
    """
    from dnapredict.fairness.signatories import require_signatory
    from dnapredict.fairness.signing import require_words

    book = AuditBook(Registry(home))
    named = book.signatories_on_record()
    if not named:
        raise UsageError(
            "No signatories are on record in this home, so that nobody has to sign its policy: the first audit by a "
            "policy that names them puts them on record."
        )
    require_words(name=name, reason=reason)
    proof = prove()
    person = require_signatory(name, proof, signatories=named)
    assert person is not None  # noqa: S101 - somebody is named
    book.consent(policy, person, reason=reason.strip(), proven=proof.kind)
    return person


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
    is_owed = bool(versions) and book.is_owed(report)
    if not is_owed:
        auditing.write_signed_page(report, signature, seal=registry.seal_of_decision(signature.report_sha256))
    return Signed(signature, tuple(versions), is_owed=is_owed)

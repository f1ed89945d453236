"""One audit over several trusts: write the counts of one, and audit the counts of all."""

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from dnapredict.config.fairness_policy import Policy
from dnapredict.config.training_config import Setting
from dnapredict.data.files.digests import read_secret
from dnapredict.errors import UsageError
from dnapredict.pipeline.audit_source import AuditInput, AuditSource, Say, audit_input, read_source
from dnapredict.pipeline.auditing import Audit, published_before, remembered_context
from dnapredict.pipeline.run_inputs import code_revision
from dnapredict.registry import Registry
from dnapredict.registry.audit_book import AuditBook

if TYPE_CHECKING:
    from dnapredict.data.engine.spark_engine import SparkFrame
    from dnapredict.fairness.disclosure.publication_memory import PublicationMemory
    from dnapredict.fairness.measure.audit_counts import AuditCounts
    from dnapredict.fairness.pooling.counts_file import CountsProvenance


@dataclass(frozen=True)
class CountsWritten:
    """A file of counts, and sentences on what the pooled audit cannot know from it."""

    path: Path
    appointments: int
    unknown: tuple[str, ...]
    is_exact: bool
    is_keyed: bool


def audit_counts(
    path: Path,
    *,
    out: Path,
    trust: str,
    setting: Setting,
    policy: Policy,
    home: Path,
    model: str | None = None,
    scores: Path | None = None,
    seal_key: Path | None = None,
    say: Say | None = None,
) -> CountsWritten:
    """Count the extract of one trust for a pooled audit, and write the counts to the file `out`.

    They are protected as the policy's table `pooling` says. `trust` names the trust in the pooled report; `seal_key` is
    a file with a key of 64 hexadecimal characters that the trusts share with who makes the pooled report.

    Raises
    ------
    UsageError
        If `trust` is blank.
    DataError
        If protected counts are of days that overlap with those of another file of this home, or small numbers follow
        from them and earlier reports whatever is put together.
    """
    read = partial(read_source, path, setting=setting, model=model, say=say)
    return _counted(read, out=out, trust=trust, policy=policy, home=home, scores=scores, seal_key=seal_key, say=say)


def audit_counts_on_spark(
    source: "str | SparkFrame",
    *,
    out: Path,
    trust: str,
    setting: Setting,
    policy: Policy,
    home: Path,
    model: str,
    seal_key: Path | None = None,
    say: Say | None = None,
) -> CountsWritten:
    """Count an extract as `audit_counts` does, that Apache Spark reads, checks and scores.

    Parameters
    ----------
    source
        A Parquet file, a folder of them, a table of the catalogue, or a data frame.

    Raises
    ------
    UsageError, DataError
        As `audit_counts`; also if Spark, Java or a package is missing.
    StoreError
        If the executors and this machine have no disk in common for the home, or Spark stops.
    """
    from dnapredict.pipeline.on_spark.spark_audit import source_on_spark

    read = partial(source_on_spark, source, setting=setting, model=model, say=say)
    return _counted(read, out=out, trust=trust, policy=policy, home=home, scores=None, seal_key=seal_key, say=say)


def _counted(
    read: Callable[..., AuditSource],
    *,
    out: Path,
    trust: str,
    policy: Policy,
    home: Path,
    scores: Path | None,
    seal_key: Path | None,
    say: Say | None,
) -> CountsWritten:
    """The counts of the source that `read` gives for a `policy` and the audits of a home (`book`)."""
    from dnapredict import fairness as auditing
    from dnapredict.fairness.measure.audit_counts import count
    from dnapredict.fairness.pooling.counts_file import write_counts

    if not trust.strip():
        raise UsageError("--trust must name the trust, as the pooled report is to call it.")
    key = _key(seal_key)
    source = read(policy=policy, book=AuditBook(Registry(home)))
    given = audit_input(source, scores=scores)
    counts, unknown = count(given.appointments, policy), tuple[str, ...]()
    with auditing.remembered(home) as memory:
        if policy.pooling.protect == "suppressed":
            counts, unknown = _protected(counts, given, memory, policy=policy, say=say)
        provenance = _provenance(source, given, scores=scores, trust=trust.strip(), unknown=unknown)
        write_counts(out, provenance, counts, key=key)
    is_exact = policy.pooling.protect == "none"
    return CountsWritten(out, counts.rows, unknown, is_exact=is_exact, is_keyed=bool(key))


def _protected(
    counts: "AuditCounts", given: AuditInput, memory: "PublicationMemory", *, policy: Policy, say: Say | None
) -> tuple["AuditCounts", tuple[str, ...]]:
    """The counts as they may leave the trust; the memory of the home keeps what they tell."""
    from dnapredict.fairness.pooling.protection import protected_counts
    from dnapredict.fairness.pooling.published_counts import protect_beside_reports

    before = published_before("counts", given.context, memory, say)
    if before is None:
        return protected_counts(counts, policy.disclosure)
    found = protect_beside_reports(counts, rule=policy.disclosure, before=before, tell=say)
    memory.keep(found.publication)
    return found.counts, found.unknown


def _provenance(
    source: AuditSource, given: AuditInput, *, scores: Path | None, trust: str, unknown: tuple[str, ...]
) -> "CountsProvenance":
    from dnapredict.fairness.pooling.counts_file import CountsProvenance, contract_digest, policy_digest

    context = given.context
    # Each trust scores its own appointments, so that the digests of scores differ: their file names the product.
    model = source.stored.digest if source.stored else f"scores of {scores.name if scores else ''}"
    return CountsProvenance(
        trust=trust,
        policy_sha256=policy_digest(source.policy),
        contract_sha256=contract_digest(),
        model=model,
        model_version=context.model_version,
        model_sha256=context.model_sha256,
        data_sha256=context.data_sha256,
        capacity=context.capacity,
        allocation=context.allocation,
        outcomes=tuple(source.config.dna_codes),
        window=(context.window[0].isoformat(), context.window[1].isoformat()),
        code_revision=context.code_revision,
        synthetic=context.synthetic,
        rows_expected=context.rows_expected,
        created_at=(context.created_at or datetime.datetime.now(datetime.UTC)).isoformat(timespec="seconds"),
        protect=source.policy.pooling.protect,
        unknown=unknown,
    )


def audit_pool(
    folder: Path,
    *,
    out: Path,
    policy: Policy,
    timezone: str,
    home: Path,
    previous: Path | None = None,
    extras: frozenset[str] = frozenset(),
    seal_key: Path | None = None,
    say: Say | None = None,
) -> Audit:
    """Audit the files of counts in `folder`: one verdict on all trusts, and each trust's place.

    Raises
    ------
    UsageError
        If there is no file of counts, or the study is wanted, which needs appointments.
    ConfigurationError, DataError
        As `fairness.pooling.pooled_audit.read_pool`.
    """
    from dnapredict import fairness as auditing
    from dnapredict.fairness.pooling import pooled_audit
    from dnapredict.pipeline import audit_inputs

    if "study" in extras:
        raise UsageError("--study fits models on appointments, and a pool holds counts only. Leave it out.")
    auditing.require_free(out)
    earlier = audit_inputs.previous_figures(previous, out=out, kept=None, require=lambda _: None)
    trusts = pooled_audit.read_pool(folder, policy=policy, key=_key(seal_key))
    now = datetime.datetime.now(ZoneInfo(timezone))
    context = pooled_audit.pool_context(trusts, code_revision=code_revision(), created_at=now, previous=earlier)
    with auditing.remembered(home) as memory:
        context = remembered_context(context, memory, say)
        result = pooled_audit.audit_pool(trusts, policy=policy, context=context)
        files = auditing.extra_files(result, extras)
        memory.keep(result.publication)
        return Audit(result, auditing.write(result, out, extra_files=files))


def _key(path: Path | None) -> bytes:
    return b"" if path is None else read_secret(path).strip()

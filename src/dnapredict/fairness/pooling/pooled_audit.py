"""The audit of several trusts from their files of counts: one verdict, and each trust's place beside it."""

import datetime
import functools
import hashlib
import operator
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from dnapredict.config.fairness_policy import Policy
from dnapredict.data.small_numbers import publish_count
from dnapredict.errors import ConfigurationError, DataError, UsageError
from dnapredict.fairness.compare.comparisons import Evidence, published_rate
from dnapredict.fairness.compare.harm_search import FoundHarm
from dnapredict.fairness.disclosure.hidden_counts import find_hidden_counts
from dnapredict.fairness.disclosure.linked_tables import EVERYONE
from dnapredict.fairness.disclosure.suppression import CountCell, SumConstraint, cells_to_hide
from dnapredict.fairness.gates.outcome_gate import refuse_called
from dnapredict.fairness.gates.reach_gates import reach_checks, reach_gate
from dnapredict.fairness.measure.audit_counts import AuditCounts
from dnapredict.fairness.measure.counts import GroupCounts
from dnapredict.fairness.pooling.counts_file import SUFFIX, CountsProvenance, TrustCounts, policy_digest, read_counts
from dnapredict.fairness.run_audit import (
    AuditResult,
    ReportContext,
    TrustPlace,
    evidence_of,
    found_harms,
    judge,
    verdict_without_search,
)
from dnapredict.fairness.verdicts import Check, Verdict, furthest_behind

# What all files of a pool must have in common, in words.
_ALIKE: Final[Mapping[str, str]] = {
    "model": "another model or product",
    "capacity": "another number of calls",
    "allocation": "another rule by which calls are allocated",
    "outcomes": "other outcome codes that count as missed",
    "protect": "another protection of small numbers",
}
_PRINTED: Final = ("appointments", "missed", "selected", "reached")


def read_pool(folder: Path, *, policy: Policy, key: bytes = b"") -> tuple[TrustCounts, ...]:
    """The files of counts in a folder, in order of trust.

    Raises
    ------
    UsageError
        If there is no such folder, or no file of counts in it.
    ConfigurationError
        If a file was counted under another policy.
    DataError
        If a file cannot be read or was changed, two files are of one trust or of one extract, or the files are of
        different models, capacities, allocation rules or outcome codes.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: is not a folder. Put the trusts' files of counts into one.")
    paths = sorted(path for path in folder.iterdir() if path.name.endswith(".json") and not path.name.startswith("."))
    if not paths:
        raise UsageError(f"{folder}: holds no file of counts. `dnapredict audit-counts` writes one, *{SUFFIX}.")
    with ThreadPoolExecutor() as readers:  # unpacking and hashing, most of the work, run in parallel
        read = list(readers.map(functools.partial(read_counts, key=key), paths))
    trusts = sorted(read, key=lambda one: one.provenance.trust.casefold())
    _require_policy(trusts, policy)
    _require_alike(trusts)
    _require_once(trusts, "trust", lambda one: one.trust.strip().casefold())
    _require_once(trusts, "extract", lambda one: one.data_sha256)
    return tuple(trusts)


def _require_policy(trusts: Sequence[TrustCounts], policy: Policy) -> None:
    digest = policy_digest(policy)
    for one in trusts:
        if one.provenance.policy_sha256 != digest:
            raise ConfigurationError(
                f"{one.source}: was counted under another policy than the one of this audit. Agree on one "
                "policy.toml, and count again or name the agreed one with --policy."
            )


def _require_alike(trusts: Sequence[TrustCounts]) -> None:
    first = trusts[0]
    for one in trusts[1:]:
        for name, words in _ALIKE.items():
            if getattr(one.provenance, name) != getattr(first.provenance, name):
                raise DataError(
                    f"{one.source}: is of {words} than {first.source}. A pooled audit has one verdict on one list: "
                    "make all files with the same settings."
                )


def _require_once(trusts: Sequence[TrustCounts], what: str, of: Callable[[CountsProvenance], str]) -> None:
    seen: dict[str, str] = {}
    for one in trusts:
        earlier = seen.setdefault(of(one.provenance), one.source)
        if earlier != one.source:
            raise DataError(
                f"{one.source}: is of the same {what} as {earlier}. Its appointments would be counted twice: keep one."
            )


def audit_pool(trusts: Sequence[TrustCounts], *, policy: Policy, context: ReportContext) -> AuditResult:
    """One audit of the trusts' counts; `context` is that of `pool_context`.

    Raises
    ------
    ConfigurationError
        As `fairness.judge`.
    """
    pool = functools.reduce(operator.add, (one.counts for one in trusts))
    return replace(judge(pool, policy=policy, context=context), trusts=_places(trusts, pool, context, policy))


def pool_context(
    trusts: Sequence[TrustCounts],
    *,
    code_revision: str,
    created_at: datetime.datetime,
    previous: Mapping[str, Any] | None = None,
) -> ReportContext:
    """The provenance of a pooled report: what all files have in common, and all their days."""
    provenances = [one.provenance for one in trusts]
    first = provenances[0]
    days = [datetime.date.fromisoformat(day) for one in provenances for day in one.window]
    data = hashlib.sha256("".join(one.data_sha256 for one in provenances).encode()).hexdigest()
    expected = [one.rows_expected for one in provenances if one.rows_expected is not None]
    return ReportContext(
        model_version=first.model_version,
        model_sha256=first.model_sha256 if len({one.model_sha256 for one in provenances}) == 1 else "",
        data_sha256=data,
        window=(min(days), max(days)),
        capacity=first.capacity,
        code_revision=code_revision,
        synthetic=any(one.synthetic for one in provenances),
        created_at=created_at,
        rows_expected=sum(expected) if len(expected) == len(provenances) else None,
        previous=previous,
        allocation=first.allocation,
    )


def _places(
    trusts: Sequence[TrustCounts], pool: AuditCounts, context: ReportContext, policy: Policy
) -> tuple[TrustPlace, ...]:
    hidden = _hidden_numbers(trusts, pool, policy)
    return tuple(_place(one, pool, context, policy, hidden={cell for cell in hidden if cell.code == one.source})
                 for one in trusts)  # fmt: skip


def _hidden_numbers(trusts: Sequence[TrustCounts], pool: AuditCounts, policy: Policy) -> frozenset[CountCell]:
    """Totals of trusts that must be hidden, so that the pool less the others gives no small one back."""
    exact: dict[CountCell, float] = {}
    sums: list[SumConstraint] = []
    for name in _PRINTED:
        parts = tuple(CountCell(name, "trust", one.source) for one in trusts)
        total = CountCell(name, "trust", "")
        exact |= {cell: one.counts.everyone.total(name) for cell, one in zip(parts, trusts, strict=True)}
        exact[total] = pool.everyone.total(name)
        sums.append(SumConstraint(parts, total))
    return cells_to_hide(exact, sums, policy.disclosure).cells


def _place(
    one: TrustCounts, pool: AuditCounts, context: ReportContext, policy: Policy, *, hidden: set[CountCell]
) -> TrustPlace:
    # A trust's extract may lack what the policy asks of the pool.
    lenient = policy.model_copy(update={"may_be_absent": policy.compared})
    own = replace(context, rows_expected=one.provenance.rows_expected, previous=None, before=None, accumulated={})
    # No table of this trust is printed, only its totals and one gap, whose counts are rounded and hidden separately.
    totals = {name: group for name, group in one.counts.judged_groupings().items() if name == EVERYONE[0]}
    no_tables = find_hidden_counts(totals, policy.disclosure)
    # Without the window: the month by which there is enough data is printed of the pool only.
    evidence = replace(evidence_of(one.counts, policy=lenient, context=own, hidden=no_tables), window=None)
    reached = reach_checks(evidence.compared, evidence)
    verdict = _verdict(evidence, reached, functools.partial(found_harms, one.counts, policy=lenient, context=own))
    blocked = {cell.counted for cell in hidden}
    numbers = {
        name: None if name in blocked else publish_count(one.counts.everyone.total(name), policy.disclosure)
        for name in _PRINTED
    }
    reach = published_rate(one.counts.everyone, "reach", at=("all", "all"), evidence=evidence)
    checks = () if evidence.policy.primary != "reach" else refuse_called(reach_gate(reached), evidence.outcomes).checks
    behind = furthest_behind([check for check in checks if not _is_given_back(check, evidence, pool)])
    return TrustPlace(
        trust=one.provenance.trust,
        verdict=verdict,
        appointments=numbers["appointments"],
        missed=numbers["missed"],
        reach=None if {"missed", "reached"} & blocked else reach,
        behind=behind.group.name if behind else None,
        largest_gap=behind.estimate if behind else None,
        notes=one.provenance.unknown,
    )


def _verdict(
    evidence: Evidence, reached: tuple[Check, ...], harms: Callable[[], tuple[FoundHarm, ...] | None]
) -> Verdict:
    """The verdict of a trust. What takes longest is asked for last: the harm search, and verdicts on the strict label.

    A harm is a FAIL, and a verdict that turns on the strict label is a REVIEW, so that neither changes a FAIL.
    """
    verdict = verdict_without_search(replace(evidence, strict={}), reached)
    if verdict is not Verdict.FAIL and evidence.policy.primary == "reach" and harms():
        return Verdict.FAIL
    return verdict_without_search(evidence, reached) if verdict is Verdict.PASS else verdict


def _is_given_back(check: Check, evidence: Evidence, pool: AuditCounts) -> bool:
    """Whether the group's counts in the other trusts are small, so that the pool less this trust would show them."""
    own, whole = evidence.counted[check.grouping], pool.counted[check.grouping]
    mine = _of(own.groups, own.counts, check.group.code)
    everywhere = _of(whole.groups, whole.counts, check.group.code)
    least = evidence.policy.disclosure.suppress_below
    return any(0 < everywhere.total(name) - mine.total(name) < least for name in ("missed", "reached"))


def _of(groups: Sequence[Any], counts: Sequence[GroupCounts], code: str) -> GroupCounts:
    return next(one for group, one in zip(groups, counts, strict=True) if group.code == code)

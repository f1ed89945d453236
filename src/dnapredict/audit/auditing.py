"""Run the audit: count, judge, and keep only what may be published."""

import datetime
from collections.abc import Collection
from dataclasses import dataclass

from dnapredict.audit.appointments import Audited
from dnapredict.audit.comparisons import Evidence
from dnapredict.audit.counts import Counted, count
from dnapredict.audit.gates import judge
from dnapredict.audit.groups import GROUPINGS, Group, Grouping
from dnapredict.audit.tables import GroupTable, published_table
from dnapredict.audit.verdicts import Gate, Verdict
from dnapredict.config.policy import Policy

__all__ = ["AuditResult", "ReportContext", "run"]

_EVERYONE = Grouping("all", "Everyone", "dna", (Group("all", "Everyone"),), lambda _: "all")


@dataclass(frozen=True)
class ReportContext:
    """What the report says about where its numbers come from.

    `capacity` is a phrase such as "the 10 in 100 with the highest risk of each week's list".
    `rows_expected` is the number of labelled appointments in the extract, so that a lost one shows.
    """

    model_version: str
    model_sha256: str
    data_sha256: str
    window: tuple[datetime.date, datetime.date]
    capacity: str
    code_revision: str
    synthetic: bool
    seed: int | None = None
    created_at: datetime.datetime | None = None
    rows_expected: int | None = None


@dataclass(frozen=True)
class AuditResult:
    """Verdict, gates and published tables. Exact counts do not leave `run`."""

    verdict: Verdict
    gates: tuple[Gate, ...]
    everyone: GroupTable
    tables: tuple[GroupTable, ...]
    absent: tuple[str, ...]
    policy: Policy
    context: ReportContext

    def table(self, name: str) -> GroupTable | None:
        """The table of a grouping by its name, None where the extract lacks it."""
        return next((table for table in self.tables if table.name == name), None)

    def gate(self, code: str) -> Gate | None:
        """The gate of that code, None where it was not asked."""
        return next((gate for gate in self.gates if gate.code == code), None)


def run(audited: Audited, *, policy: Policy, context: ReportContext) -> AuditResult:
    """Audit labelled appointments under `policy`.

    Reads every row once a grouping, judges the gates on exact counts, and returns only figures
    that may be printed under the policy's small-number rule.
    """
    counted = _count(audited, [grouping.name for grouping in GROUPINGS])
    strict = audited.with_strict_label()
    evidence = Evidence(
        counted=counted,
        strict=_count(strict, policy.compared) if strict else {},
        policy=policy,
        rows=len(audited),
        rows_expected=context.rows_expected,
        has_live=audited.has(["live_selected"]),
        has_trust_side=audited.has(["trust_side_reason"]) or audited.has(["outcome_code"]),
    )
    verdict, gates = judge(evidence)
    tables = [
        published_table(group, rule=policy.disclosure, z=evidence.z, share=evidence.share)
        for group in counted.values()
    ]
    absent = tuple(grouping.title for grouping in GROUPINGS if grouping.name not in counted)
    return AuditResult(verdict, gates, tables[0], tuple(tables[1:]), absent, policy, context)


def _count(audited: Audited, names: Collection[str]) -> dict[str, Counted]:
    asked = (_EVERYONE, *(grouping for grouping in GROUPINGS if grouping.name in names))
    found = ((grouping.name, count(audited, grouping)) for grouping in asked)
    return {name: counted for name, counted in found if counted is not None}

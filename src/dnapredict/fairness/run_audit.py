"""Run the audit: count each grouping, judge every gate, and return only what may be published."""

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from dnapredict.config.fairness_policy import Policy
from dnapredict.errors import ConfigurationError
from dnapredict.fairness.compare.allocation_cost import AllocationCost, allocation_costs
from dnapredict.fairness.compare.comparisons import Evidence
from dnapredict.fairness.disclosure.hidden_counts import find_hidden_counts
from dnapredict.fairness.disclosure.publications import Publication, PublishedBefore
from dnapredict.fairness.gates.label_gate import label_gate
from dnapredict.fairness.gates.reach_gates import allocation_gate, change_gate, ranking_gate, reach_gate
from dnapredict.fairness.gates.record_gates import calibration_gate, evidence_gate, records_gate
from dnapredict.fairness.measure.audited_appointments import AuditData
from dnapredict.fairness.measure.counts import CountedGrouping, count_groups
from dnapredict.fairness.measure.groupings import (
    GROUPINGS,
    PLACE_GROUPINGS,
    QUINTILE,
    everyone_membership,
    grouping_named,
    grouping_phrases,
)
from dnapredict.fairness.measure.membership import Membership, cross_memberships, membership, months
from dnapredict.fairness.publish.change_since import refuse_silent_changes
from dnapredict.fairness.publish.chart_data import ChartData, published_chart_data
from dnapredict.fairness.publish.group_tables import GroupTable, published_table
from dnapredict.fairness.verdicts import Gate, Verdict, overall_verdict

PRIMARY_GATE = {"reach": "G3", "calibration": "G2"}


def judge_gates(evidence: Evidence) -> tuple[Verdict, tuple[Gate, ...]]:
    """The verdict of every gate, and the overall verdict.

    Capacity planning calls nobody, so that the gates about reach do not apply.
    """
    gates: list[Gate | None] = [records_gate(evidence), label_gate(evidence), calibration_gate(evidence)]
    if evidence.policy.primary == "reach":
        gates += [
            reach_gate(evidence),
            ranking_gate(evidence),
            allocation_gate(evidence),
            change_gate(evidence),
        ]
    gates.append(evidence_gate(evidence))
    applied = tuple(gate for gate in gates if gate is not None)
    return overall_verdict(applied, primary=PRIMARY_GATE[evidence.policy.primary]), applied


@dataclass(frozen=True)
class ReportContext:
    """Provenance of the figures, as the report prints it.

    `capacity` is a phrase such as "10 of every 100 appointments of each week, those most likely to miss".
    `rows_expected` is the number of labelled appointments in the extract, so that a dropped row is noticed.
    `previous` is the `audit.json` of the last audit, for what has changed. `allocation` is the rule by which calls
    are allocated between areas. `before` is what the home has published before, `not_protected` says which
    comparisons with other reports could give a small number back.
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
    previous: Mapping[str, Any] | None = None
    allocation: str = "global"
    before: PublishedBefore | None = None
    not_protected: str = ""


@dataclass(frozen=True)
class AuditResult:
    """Verdict, gates and published tables; it holds no exact counts.

    `publication` is what the memory of the home keeps of the printed numbers.
    """

    verdict: Verdict
    gates: tuple[Gate, ...]
    everyone: GroupTable
    tables: tuple[GroupTable, ...]
    chart_data: ChartData
    allocation_costs: tuple[AllocationCost, ...]
    absent: tuple[str, ...]
    policy: Policy
    context: ReportContext
    publication: Publication | None = None

    def table(self, name: str) -> GroupTable | None:
        """The table of a grouping by its name, None where the extract lacks it."""
        return next((table for table in self.tables if table.name == name), None)

    def gate(self, code: str) -> Gate | None:
        """The gate of that code, None where it does not apply."""
        return next((gate for gate in self.gates if gate.code == code), None)


def run(audited: AuditData, *, policy: Policy, context: ReportContext) -> AuditResult:
    """Audit labelled appointments under `policy`.

    Every row is read once for each grouping. Gates are judged on exact counts; the result holds only figures that
    may be printed under the policy's small-number rule.

    Raises
    ------
    ConfigurationError
        If the policy compares a grouping that the extract lacks and does not allow that, or a limit
        differs from the last audit's without two names.
    """
    _require_groupings(audited, policy)
    if context.previous is not None:
        refuse_silent_changes(policy, context.previous)
    counted = {members.grouping.name: count_groups(audited, members) for members in _memberships(audited)}
    evidence = Evidence(
        counted=counted,
        strict=_strictly_counted(audited, policy),
        policy=policy,
        rows=len(audited),
        hidden=find_hidden_counts(counted, policy.disclosure, before=context.before),
        rows_expected=context.rows_expected,
        has_live=audited.has(["live_selected"]),
        has_trust_side=audited.has(["trust_side_reason"]) or audited.has(["outcome_code"]),
    )
    verdict, gates = judge_gates(evidence)
    tables = [
        published_table(group, rule=policy.disclosure, z=evidence.z, share=evidence.share, hidden=evidence.hidden)
        for group in counted.values()
        if group.grouping.shown
    ]
    absent = grouping_phrases(grouping for grouping in GROUPINGS if grouping.name not in counted)
    return AuditResult(
        verdict,
        gates,
        everyone=tables[0],
        tables=tuple(tables[1:]),
        chart_data=published_chart_data(evidence),
        allocation_costs=allocation_costs(audited, evidence, in_use=context.allocation),
        absent=absent,
        policy=policy,
        context=replace(context, not_protected=evidence.hidden.not_protected(context.not_protected)),
        publication=evidence.hidden.publication,
    )


def _require_groupings(audited: AuditData, policy: Policy) -> None:
    required = (grouping_named(name) for name in policy.compared if name not in policy.may_be_absent)
    absent = [grouping for grouping in required if not audited.has([grouping.column])]
    if absent:
        first = absent[0]
        raise ConfigurationError(
            f"fairness policy: 'compared' names '{first.name}', and the extract holds nothing in its column "
            f"'{first.column}'. Bring the column in, or name '{first.name}' under 'may_be_absent' too: the "
            "report then says that it is missing, and does not pass."
        )


def _memberships(audited: AuditData) -> Iterator[Membership]:
    """Everyone first, then each grouping that the extract has, then those that only charts show."""
    yield everyone_membership(len(audited))
    for grouping in (*GROUPINGS, *PLACE_GROUPINGS):
        members = membership(audited, grouping)
        if members is not None:
            yield members
    five = membership(audited, grouping_named("ethnicity_5"))
    fifths = membership(audited, QUINTILE)
    for first, second in ((five, fifths), *_by_month(audited, five)):
        if first is not None and second is not None:
            yield cross_memberships(first, second)


def _by_month(audited: AuditData, five: Membership | None) -> list[tuple[Membership | None, Membership | None]]:
    month = months(audited)
    if len(month.groups) < 2:
        return []
    return [(membership(audited, grouping_named("core20")), month), (five, month)]


def _strictly_counted(audited: AuditData, policy: Policy) -> dict[str, CountedGrouping]:
    """The compared groupings, counted with only outcome code 3 as missed."""
    strict = audited.with_strict_label()
    if strict is None:
        return {}
    memberships = (membership(strict, grouping_named(name)) for name in policy.compared)
    return {members.grouping.name: count_groups(strict, members) for members in memberships if members is not None}

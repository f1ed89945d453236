"""Run the audit: count each grouping, judge every gate, and return only what may be published."""

import datetime
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from dnapredict.config.fairness_policy import Policy
from dnapredict.data.engine import running_step
from dnapredict.errors import ConfigurationError
from dnapredict.fairness.compare.adjusted_effects import adjusted_effects
from dnapredict.fairness.compare.allocation_cost import AllocationCost, allocation_costs
from dnapredict.fairness.compare.comparisons import Evidence, published_weight
from dnapredict.fairness.compare.e_values import EvidenceIncrement
from dnapredict.fairness.compare.harm_search import FoundHarm, HarmLimits, search_harms
from dnapredict.fairness.disclosure.further_figures import FurtherFigures
from dnapredict.fairness.disclosure.hidden_counts import HiddenCells, find_hidden_counts
from dnapredict.fairness.disclosure.publications import Publication
from dnapredict.fairness.disclosure.published_before import PublishedBefore
from dnapredict.fairness.gates.label_gate import label_gate
from dnapredict.fairness.gates.outcome_gate import refuse_called, said_of_outcomes
from dnapredict.fairness.gates.reach_gates import allocation_gate, change_gate, ranking_gate, reach_checks, reach_gate
from dnapredict.fairness.gates.record_gates import evidence_gate, records_gate
from dnapredict.fairness.gates.risk_gates import calibration_gate, level_gate
from dnapredict.fairness.gates.search_gate import search_gate, without_blame_for_parts
from dnapredict.fairness.measure.audit_counts import BY_RISK, AuditCounts, count
from dnapredict.fairness.measure.audited_appointments import AuditData
from dnapredict.fairness.measure.counts import CountedGrouping
from dnapredict.fairness.measure.coverage import Coverage
from dnapredict.fairness.measure.groupings import GROUPINGS, grouping_named, grouping_phrases
from dnapredict.fairness.measure.intervals import Interval
from dnapredict.fairness.measure.pair_counts import PairCounts
from dnapredict.fairness.measure.risk_fifths import charted_groups, counts_of_fifths
from dnapredict.fairness.publish.change_since import refuse_silent_changes
from dnapredict.fairness.publish.chart_data import ChartData, published_chart_data
from dnapredict.fairness.publish.group_findings import group_findings
from dnapredict.fairness.publish.group_tables import GroupTable, published_table, require_agreement_with_fairlearn
from dnapredict.fairness.publish.harm_findings import HarmFinding, groups_of_harms, published_harms
from dnapredict.fairness.verdicts import (
    AuditVerdicts,
    Check,
    Gate,
    GroupFinding,
    Verdict,
    overall_verdict,
    separate_verdicts,
)

_DECILES: Final = "imd_decile"
PRIMARY_GATE = {"reach": "G3", "calibration": "G2"}


def judge_gates(evidence: Evidence) -> tuple[Verdict, tuple[Gate, ...]]:
    """The verdict of every gate, and the overall verdict.

    Capacity planning calls nobody, so that the gates about reach do not apply.
    """
    gates = tuple(_gates(evidence, reach_checks(evidence.compared, evidence)))
    applied = tuple(refuse_called(gate, evidence.outcomes) for gate in without_blame_for_parts(gates, evidence))
    return overall_verdict(applied, primary=PRIMARY_GATE[evidence.policy.primary]), applied


def verdict_without_search(evidence: Evidence, reached: tuple[Check, ...]) -> Verdict:
    """The overall verdict of evidence without harms, from `reach_checks`; no gate is judged after one that FAILs.

    A harm that is found is a FAIL, too: a group is cleared of one only where the part that is harmed FAILs instead.
    """
    judged: list[Gate] = []
    for gate in _gates(evidence, reached):
        judged.append(refuse_called(gate, evidence.outcomes))
        if judged[-1].judged and judged[-1].verdict is Verdict.FAIL:
            return Verdict.FAIL
    return overall_verdict(judged, primary=PRIMARY_GATE[evidence.policy.primary])


def _gates(evidence: Evidence, reached: tuple[Check, ...]) -> Iterator[Gate]:
    """Every gate that applies, each judged when it is asked for."""
    judges: tuple[Callable[[], Gate | None], ...] = (
        lambda: records_gate(evidence),
        lambda: label_gate(evidence, reached),
        lambda: calibration_gate(evidence),
    )
    if evidence.policy.primary == "reach":
        judges += (
            lambda: reach_gate(reached),
            lambda: ranking_gate(evidence),
            lambda: allocation_gate(evidence),
            lambda: change_gate(evidence),
            lambda: search_gate(evidence),
        )
    judges += (lambda: evidence_gate(evidence), lambda: level_gate(evidence))
    return (gate for judge_one in judges if (gate := judge_one()) is not None)


@dataclass(frozen=True)
class ReportContext:
    """Provenance of the figures, as the report prints it.

    `capacity` is a phrase such as "10 of every 100 appointments of each week, those most likely to miss".
    `rows_expected` is the number of labelled appointments in the extract, so that a dropped row is noticed.
    `previous` is the `audit.json` of the last audit, for what has changed. `allocation` is the rule by which calls
    are allocated between areas. `assumptions` are sentences on the assumptions of the replay of the lists, `opted_out`
    is a sentence on the appointments of patients who asked not to be called, and `other_models` one on models that were
    audited before.
    `coverage` compares the audited appointments with those on which the model was tested; None for another product's
    scores, and if the training kept none. `before` is what the home has published before; `not_protected` says which
    comparisons with other reports could reveal a small number.
    `accumulated` is the evidence of earlier audits of other appointments, by grouping and code: logarithms of e-values
    against "not behind" and against "behind" (`EvidenceIncrement`).
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
    assumptions: tuple[str, ...] = ()
    opted_out: str = ""
    coverage: Coverage | None = None
    before: PublishedBefore | None = None
    not_protected: str = ""
    other_models: str = ""
    accumulated: Mapping[tuple[str, str], tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class TrustPlace:
    """A trust's place beside the verdict of a pooled audit; None is hidden or not estimable.

    `largest_gap` is how far the group `behind` is reached less than everyone else of that trust, in points. `notes` say
    what the trust's counts cannot tell, where they left it protected.
    """

    trust: str
    verdict: Verdict
    appointments: int | None
    missed: int | None
    reach: Interval | None
    behind: str | None
    largest_gap: Interval | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class AuditResult:
    """Verdict, gates and published tables; it holds no exact counts.

    `trusts` are those of a pooled audit; empty where the audit is of one extract.
    `outcomes` says in sentences whose outcomes the figures rest on, where some patients were called.
    `publication` is what the memory of the home keeps of the printed numbers.
    """

    verdict: Verdict
    verdicts: AuditVerdicts
    gates: tuple[Gate, ...]
    everyone: GroupTable
    tables: tuple[GroupTable, ...]
    chart_data: ChartData
    allocation_costs: tuple[AllocationCost, ...]
    absent: tuple[str, ...]
    policy: Policy
    context: ReportContext
    outcomes: tuple[str, ...] = ()
    publication: Publication | None = None
    findings: tuple[GroupFinding, ...] = ()
    increments: tuple[EvidenceIncrement, ...] = ()
    harms: tuple[HarmFinding, ...] = ()
    trusts: tuple[TrustPlace, ...] = ()

    def table(self, name: str) -> GroupTable | None:
        """The table of a grouping by its name, None where the extract lacks it."""
        return next((table for table in self.tables if table.name == name), None)

    def gate(self, code: str) -> Gate | None:
        """The gate of that code, None where it does not apply."""
        return next((gate for gate in self.gates if gate.code == code), None)


def run(audited: AuditData, *, policy: Policy, context: ReportContext) -> AuditResult:
    """Audit labelled appointments under `policy`: count them, then judge the counts.

    Raises
    ------
    ConfigurationError
        If the policy compares a grouping that the extract lacks and does not allow that, or a limit
        differs from the last audit's without two names.
    """
    return judge(count(audited, policy), policy=policy, context=context)


def judge(counts: AuditCounts, *, policy: Policy, context: ReportContext) -> AuditResult:
    """Judge the counts of one extract, or of several that were added up.

    Gates are judged on exact counts; the result holds only figures that may be printed under the policy's
    small-number rule.

    Raises
    ------
    ConfigurationError
        As `run`.
    DataError
        If a rate differs from fairlearn's.
    """
    running_step.begin("Judging each group, and hiding small counts")
    evidence = evidence_of(counts, policy=policy, context=context)
    counted = evidence.counted
    verdict, gates = judge_gates(evidence)
    shown = [group for group in counted.values() if group.grouping.shown]
    require_agreement_with_fairlearn(shown)
    tables = [
        published_table(group, rule=policy.disclosure, z=evidence.z, share=evidence.share, hidden=evidence.hidden)
        for group in shown
    ]
    absent = grouping_phrases(grouping for grouping in GROUPINGS if grouping.name not in counted)
    return AuditResult(
        verdict,
        separate_verdicts(gates, primary=PRIMARY_GATE[policy.primary]),
        _with_published_weights(gates, evidence),
        everyone=tables[0],
        tables=tuple(tables[1:]),
        chart_data=published_chart_data(evidence),
        allocation_costs=allocation_costs(counts.allocated, evidence, in_use=context.allocation),
        absent=absent,
        policy=policy,
        context=replace(context, not_protected=evidence.hidden.not_protected(context.not_protected)),
        outcomes=said_of_outcomes(counts.outcomes, counts.everyone, policy),
        publication=evidence.hidden.publication,
        findings=group_findings(gates, evidence),
        increments=evidence.increments,
        harms=_published_harms(evidence, counts.pairs) if counts.pairs else (),
    )


def _with_published_weights(gates: tuple[Gate, ...], evidence: Evidence) -> tuple[Gate, ...]:
    """The gates with weights that may be printed; verdicts are decided with exact weights."""
    return tuple(
        replace(gate, checks=tuple(_with_published_weight(check, evidence) for check in gate.checks)) for gate in gates
    )


def _with_published_weight(check: Check, evidence: Evidence) -> Check:
    """The check with a printable weight; of everyone and of intersections it stays as it is."""
    counted = evidence.counted.get(check.grouping)
    if counted is None or check.group.code not in {group.code for group in counted.groups}:
        return check
    return replace(check, weight=published_weight(check.grouping, check.group.code, evidence))


def evidence_of(
    counts: AuditCounts, *, policy: Policy, context: ReportContext, hidden: HiddenCells | None = None
) -> Evidence:
    """What the gates judge, from counts; `hidden` is by default what the tables of all groups need hidden.

    With `hidden` given, nobody is searched for harm yet: `found_harms` does.

    Raises
    ------
    ConfigurationError
        As `run`.
    """
    counted = counts.judged_groupings()
    _require_groupings(counted, policy)
    if context.previous is not None:
        refuse_silent_changes(policy, context.previous)
    harms = found_harms(counts, policy=policy, context=context) if hidden is None else None
    if hidden is None:
        hidden = _hidden(counts, counted, harms, policy=policy, before=context.before)
    return Evidence(
        counted=counted,
        strict=counts.judged_strictly() if counts.outcomes.can_be_judged else {},
        policy=policy,
        rows=counts.rows,
        hidden=hidden,
        rows_expected=context.rows_expected,
        coverage=context.coverage,
        has_live=counts.has_live,
        has_trust_side=counts.has_trust_side,
        outcomes=counts.outcomes,
        effects=adjusted_effects(counts.pairs) if counts.pairs else None,
        window=context.window,
        accumulated=context.accumulated,
        harms=harms,
        arms=counts.arms,
    )


def _hidden(
    counts: AuditCounts,
    counted: Mapping[str, CountedGrouping],
    harms: tuple[FoundHarm, ...] | None,
    *,
    policy: Policy,
    before: PublishedBefore | None,
) -> HiddenCells:
    """What the tables of all groups, and the figures beside them, need hidden."""
    charted = charted_groups(counted, smallest=policy.smallest_group)
    further = FurtherFigures(
        groups=groups_of_harms(harms, counts.pairs, counted) if harms and counts.pairs else (),
        fifths={(name, group.code): counts_of_fifths(own) for name, group, own in charted},
        allocated=counts.allocated,
    )
    return find_hidden_counts(counted, policy.disclosure, further=further, before=before)


def found_harms(counts: AuditCounts, *, policy: Policy, context: ReportContext) -> tuple[FoundHarm, ...] | None:
    """Harm that no comparison names; None where pairs were not counted or reach cannot be judged.

    Calls that are shared by area on purpose are no harm.
    """
    if counts.pairs is None or not counts.outcomes.can_be_judged:
        return None
    shared = None if context.allocation == BY_RISK else _DECILES
    return search_harms(counts.pairs, limits=HarmLimits.of(policy, counts.pairs), called_by=shared)


def _published_harms(evidence: Evidence, pairs: PairCounts) -> tuple[HarmFinding, ...]:
    return published_harms(
        evidence.harms or (), pairs, evidence.policy.disclosure, z=evidence.z, hidden=evidence.hidden
    )


def _require_groupings(counted: Mapping[str, CountedGrouping], policy: Policy) -> None:
    required = (grouping_named(name) for name in policy.compared if name not in policy.may_be_absent)
    first = next((grouping for grouping in required if grouping.name not in counted), None)
    if first is not None:
        raise ConfigurationError(
            f"fairness policy: 'compared' names '{first.name}', and the extract holds nothing in its column "
            f"'{first.column}'. Bring the column in, or name '{first.name}' under 'may_be_absent' too: the "
            "report then says that it is missing, and does not pass."
        )

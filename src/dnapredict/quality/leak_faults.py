"""Faults of columns that give the outcome away: within an extract, and compared with lists from before it."""

from collections.abc import Sequence
from typing import Final

from dnapredict.config.fairness_policy import Disclosure
from dnapredict.config.training_config import TrainingConfig
from dnapredict.data.contract.columns import audit_only
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.validation.checked import Checked
from dnapredict.features.scoring_clock import LabelRule
from dnapredict.quality.count_words import in_100, shown_count
from dnapredict.quality.extreme_shares import FALSE_ALARM, is_surely_above, is_surely_below
from dnapredict.quality.measures.label_counts import LabelCounts
from dnapredict.quality.measures.list_changes import ChangedColumn, ListComparison, list_changes
from dnapredict.quality.measures.outcome_leaks import VALUES, OutcomeLeak
from dnapredict.quality.report_figures import LabelFault

_CONDITIONS: Final = {
    "blank": "is blank",
    "filled": "is filled",
    "clock": "holds a time of day",
    "no clock": "holds a date without a time of day",
}


def leak_fault(leak: OutcomeLeak, counts: LabelCounts, *, rule: Disclosure, limit: float) -> LabelFault:
    """The fault of a column of which some values go with one outcome only.

    It stops a training where a factor may read the column, and where it concerns more than `limit` of the outcomes.
    Values with which hardly any are missed are only a warning: nobody misses a walk-in clinic.
    """
    may_be_right = leak.what == VALUES and not leak.all_missed
    right = " If nobody can miss there, as in a walk-in clinic, nothing is wrong." if may_be_right else ""
    holds = "one value" if leak.values == 1 else f"one of {leak.values} values"
    condition = _CONDITIONS.get(leak.what, f"holds {holds}")
    missed = "nearly all were missed" if leak.all_missed else "hardly any was missed"
    return LabelFault(
        "outcome_given_away",
        not may_be_right and leak.column not in audit_only() and leak.rows > limit * counts.known,
        f"{leak.column} gives the outcome away: of {shown_count(leak.rows, rule)} appointments in which it "
        f"{condition}, {missed} (usually {in_100(counts.missed, counts.known, rule)}).",
        f"See whether it is filled or changed at the appointment or after it: {_harm(leak.column)}. Export it as it "
        f"stood before the appointment, or leave it out.{right}",
    )


def _harm(column: str) -> str:
    if column in audit_only():
        return "groups of the audit would depend on the outcome"
    return "a model would learn the outcome from it"


def list_faults(
    checked: Checked, lists: Sequence[Checked], workspace: Workspace, *, config: TrainingConfig, rule: Disclosure
) -> tuple[LabelFault, ...]:
    """Columns that differ from lists drawn before the appointments, with differences associated with the outcome.

    A column is reported if the share missed among the appointments in which it has changed differs from that of all,
    beyond chance: over all columns the error is `extreme_shares.FALSE_ALARM`.
    """
    compared = list_changes(checked, lists, workspace, labels=LabelRule(config.dna_codes))
    if not compared.known:
        return ()
    share, error = compared.missed / compared.known, FALSE_ALARM / (2 * max(len(compared.columns), 1))
    if not 0 < share < 1:
        return ()
    return tuple(
        _changed(each, compared, rule=rule, limit=config.max_rejected_share)
        for each in compared.columns
        if is_surely_above(each.missed, each.changed, share, error=error)
        or is_surely_below(each.missed, each.changed, share, error=error)
    )


def _changed(each: ChangedColumn, compared: ListComparison, *, rule: Disclosure, limit: float) -> LabelFault:
    changed, known = shown_count(each.changed, rule), shown_count(compared.known, rule)
    return LabelFault(
        "changed_since_list",
        each.column not in audit_only() and each.changed > limit * compared.known,
        f"{each.column} has changed since the list in {changed} of {known} appointments, and "
        f"{in_100(each.missed, each.changed, rule)} of these were missed "
        f"({in_100(compared.missed, compared.known, rule)} of all).",
        f"It is filled or corrected at the appointment or after it: {_harm(each.column)}. Export it as it stood when "
        "the list was drawn, or leave it out.",
    )

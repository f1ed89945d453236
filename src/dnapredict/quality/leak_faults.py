"""Faults of columns that give the outcome away: within an extract, and compared with lists from before it.

What changes between a list and the extract was not known when the list was scored. Where it changes more often for
missed or for attended appointments, a model that is trained on the extract learns the outcome from it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dnapredict.config.fairness_policy import Disclosure
from dnapredict.config.training_config import TrainingConfig
from dnapredict.data.contract.columns import COLUMNS, Role, never_factors
from dnapredict.data.engine.portable_sql import SqlEngine
from dnapredict.data.small_numbers import publish_count
from dnapredict.data.validation.checked import CheckedExtract
from dnapredict.features.scoring_clock import LabelRule
from dnapredict.quality.extreme_shares import FALSE_ALARM, is_surely_above, is_surely_below
from dnapredict.quality.outcome_counts import VALUES, LabelCounts, OutcomeLeak
from dnapredict.quality.report_figures import LabelFault


def shown_count(count: int, rule: Disclosure) -> str:
    """A count as it may be printed: rounded, and without its figure if it is small.

    >>> [shown_count(count, Disclosure(why="The rule of hospital statistics.")) for count in (0, 3, 1_234)]
    ['0', 'a few', '1,235']
    """
    shown = publish_count(count, rule)
    return "a few" if shown is None else f"{shown:,}"


def in_100(part: int, whole: int, rule: Disclosure) -> str:
    """A share in words, from counts as they may be printed.

    >>> rule = Disclosure(why="The rule of hospital statistics.")
    >>> [in_100(part, whole, rule) for part, whole in ((70, 1_000), (5, 1_000), (5, 12), (12, 12))]
    ['7 in 100', 'under 1 in 100', 'a few', '100 in 100']
    """
    shown, total = publish_count(part, rule), publish_count(whole, rule)
    if not total:
        return "a few"
    if shown is None:
        return "under 1 in 100" if 100 * rule.suppress_below < whole else "a few"
    share = 100 * min(shown / total, 1.0)
    return f"{share:.0f} in 100" if share >= 1 or shown == 0 else "under 1 in 100"


_COMPARED: Final = (Role.KEY, Role.TIME, Role.FACTOR, Role.FACTOR_AND_AUDIT, Role.AUDIT, Role.AUDIT_AND_CONTACT)
# These are empty before the appointment, and `appointment_id` joins the two.
_NOT_COMPARED: Final = frozenset({"appointment_id", "recorded_at", "trust_side_reason", "rtt_status_code"})


@dataclass(frozen=True)
class ChangedColumn:
    """Appointments with a known outcome in which a column differs from the list, and those of them that were missed."""

    column: str
    changed: int
    missed: int


@dataclass(frozen=True)
class ListComparison:
    """Appointments of the lists with a known outcome, those missed, and what has changed in each column."""

    known: int
    missed: int
    columns: tuple[ChangedColumn, ...]


def list_changes(
    checked: CheckedExtract, lists: Sequence[CheckedExtract], workspace: SqlEngine, *, labels: LabelRule
) -> ListComparison:
    """Compare the kept rows of an extract with those of `lists`, by `appointment_id`.

    An appointment that is in several lists is compared with the first. Columns that not every list has are left out.
    """
    names = [
        column.name
        for column in COLUMNS
        if column.role in _COMPARED
        and column.name not in _NOT_COMPARED
        and all(column.name in each.present for each in (checked, *lists))
    ]
    missed, known = _in_list(labels.dna_codes), _in_list((*labels.dna_codes, *labels.came_codes))
    columns = ", ".join(["appointment_id", *names])
    drawn = " UNION ALL ".join(
        f"SELECT {number} AS list_number, {columns} FROM {each.rows.get_name()}" for number, each in enumerate(lists)
    )
    counts = ", ".join(
        f"count(*) FILTER ({_differs(name)}) AS changed_{name}, "
        f"count(*) FILTER ({_differs(name)} AND x.outcome_code IN ({missed})) AS missed_{name}"
        for name in names
    )
    (row,) = workspace.fetch(
        f"SELECT count(*) AS n, count(*) FILTER (x.outcome_code IN ({missed})) AS m, {counts} "
        f"FROM {checked.rows.get_name()} x JOIN (SELECT DISTINCT ON (appointment_id) * FROM ({drawn}) "
        f"ORDER BY appointment_id, list_number) l USING (appointment_id) WHERE x.outcome_code IN ({known})"
    ).to_pylist()
    changes = tuple(ChangedColumn(name, row[f"changed_{name}"], row[f"missed_{name}"]) for name in names)
    return ListComparison(row["n"], row["m"], changes)


def _differs(name: str) -> str:
    return f"x.{name} IS DISTINCT FROM l.{name}"


def _in_list(values: tuple[str, ...]) -> str:
    return ", ".join(f"'{value}'" for value in values)


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
        not may_be_right and leak.column not in never_factors() and leak.rows > limit * counts.known,
        f"{leak.column} gives the outcome away: of {shown_count(leak.rows, rule)} appointments in which it "
        f"{condition}, {missed} (usually {in_100(counts.missed, counts.known, rule)}).",
        f"See whether it is filled or changed at the appointment or after it: {_harm(leak.column)}. Export it as it "
        f"stood before the appointment, or leave it out.{right}",
    )


def _harm(column: str) -> str:
    if column in never_factors():
        return "groups of the audit would depend on the outcome"
    return "a model would learn the outcome from it"


def list_faults(
    checked: CheckedExtract,
    lists: Sequence[CheckedExtract],
    workspace: SqlEngine,
    *,
    config: TrainingConfig,
    rule: Disclosure,
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
        each.column not in never_factors() and each.changed > limit * compared.known,
        f"{each.column} has changed since the list in {changed} of {known} appointments, and "
        f"{in_100(each.missed, each.changed, rule)} of these were missed "
        f"({in_100(compared.missed, compared.known, rule)} of all).",
        f"It is filled or corrected at the appointment or after it: {_harm(each.column)}. Export it as it stood when "
        "the list was drawn, or leave it out.",
    )

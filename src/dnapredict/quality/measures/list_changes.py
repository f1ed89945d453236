"""Compare an extract with lists that were drawn before the appointments: which columns have changed since.

What changes between the list and the extract was not known when the list was scored. Where it changes more often for
missed or for attended appointments, a model that is trained on the extract learns the outcome from it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dnapredict.data.contract.columns import COLUMNS, Role
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.validation.checked import Checked
from dnapredict.features.scoring_clock import LabelRule

_COMPARED: Final = (Role.KEY, Role.TIME, Role.FACTOR, Role.FACTOR_AND_AUDIT, Role.AUDIT)
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
    checked: Checked, lists: Sequence[Checked], workspace: Workspace, *, labels: LabelRule
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

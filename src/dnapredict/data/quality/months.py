"""How an extract is filled, month by month: its columns and its outcomes."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass

from dnapredict.data import codes
from dnapredict.data.checked import Checked
from dnapredict.data.columns import NAMES
from dnapredict.data.workspace import Workspace

__all__ = ["BLANK", "Month", "months"]

BLANK = "blank"


@dataclass(frozen=True)
class Month:
    """The kept rows of one month of appointments.

    Attributes
    ----------
    first_day
        The month of `starts_at` by the clinic's clock.
    filled
        Rows in which each contract column of the extract holds something readable.
    outcomes
        Rows with each national outcome code, and `BLANK`.
    """

    first_day: datetime.date
    rows: int
    filled: Mapping[str, int]
    outcomes: Mapping[str, int]


def months(checked: Checked, workspace: Workspace) -> tuple[Month, ...]:
    """Every month of the extract in time, counted in one pass."""
    names = [name for name in NAMES if name in checked.present]
    filled = [f'count("{name}") AS "filled_{name}"' for name in names]
    outcomes = [f"count(*) FILTER (outcome_code = '{code}') AS outcome_{code}" for code in codes.OUTCOME]
    found = workspace.fetch(
        f"SELECT date_trunc('month', starts_local)::DATE AS first_day, count(*) AS rows, "
        f"{', '.join([*filled, *outcomes])}, count(*) FILTER (outcome_code IS NULL) AS outcome_{BLANK} "
        f"FROM {checked.rows.get_name()} GROUP BY first_day ORDER BY first_day"
    )
    return tuple(
        Month(
            row["first_day"],
            row["rows"],
            {name: row[f"filled_{name}"] for name in names},
            {code: row[f"outcome_{code}"] for code in (*codes.OUTCOME, BLANK)},
        )
        for row in found.to_pylist()
    )

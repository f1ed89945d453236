"""Small tables that a domain person can read, as contract rows; and the factors of one of them."""

from typing import Any

import pyarrow as pa

from dnapredict.data.contract.columns import NAMES
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.validation import contract_check
from dnapredict.features.factors import EXPRESSIONS
from dnapredict.features.matrix import Past, question
from dnapredict.features.scoring_clock import Clock, LabelRule

BOTH = ("3", "7")


def cells(text: str) -> list[list[str]]:
    """The cells between the bars, line by line; the first line is the header."""
    return [[cell.strip() for cell in line.split("|")] for line in text.strip().splitlines()]


def table(text: str) -> pa.Table:
    """Columns between bars, one row a line; a blank cell is not known."""
    header, *rows = cells(text)
    unknown = set(header) - set(NAMES)
    assert not unknown, f"not in the contract: {unknown}"
    columns = {name: [row[place] or None for row in rows] for place, name in enumerate(header)}
    numbers = pa.array(range(2, len(rows) + 2), pa.int64())
    return pa.table({"row_number": numbers} | {k: pa.array(v, pa.string()) for k, v in columns.items()})


def factors_of(
    appointments: pa.Table,
    *,
    horizon_days: int = 7,
    clock: Clock | None = None,
    dna_codes: tuple[str, ...] = BOTH,
) -> dict[str, dict[str, Any]]:
    """Every factor of every appointment, by its id."""
    clock = clock or Clock(horizon_days, recording_delay_days=3)
    with Workspace() as workspace:
        checked = contract_check.check(workspace.keep(appointments), workspace, source="table")
        assert not checked.rejected.num_rows, [str(rejection) for rejection in checked.rejections]
        asked = question(
            checked.rows,
            Past.of(checked.rows, clock=clock, workspace=workspace),
            factors=tuple(EXPRESSIONS),
            clock=clock,
            outcomes=LabelRule(dna_codes),
            extra_columns=(),
            order_by=["appointment_id"],
        )
        return {row["appointment_id"]: row for row in workspace.fetch(asked).to_pylist()}

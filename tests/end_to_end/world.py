"""A small synthetic trust with a champion, made once for all tests that need a whole product."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

__all__ = ["Trust", "weekly_list"]


@dataclass(frozen=True)
class Trust:
    """A home with a champion and a history, the extract it came from and next week's list."""

    home: Path
    extract: Path
    weekly: Path


def weekly_list(extract: Path, out: Path, *, rows: int = 400) -> None:
    """The next appointments without an outcome, as a clinic list."""
    table = pq.read_table(extract)
    future = table.filter(pc.is_null(table["outcome_code"])).sort_by("starts_at").slice(0, rows)
    pq.write_table(future.drop_columns(["outcome_code", "recorded_at"]), out)


def as_requests(table: pa.Table) -> list[dict[str, object]]:
    """Rows as a client of the service would send them: JSON values, nothing for what is not known."""
    return [
        {
            name: value.isoformat() if hasattr(value, "isoformat") else value
            for name, value in row.items()
            if value is not None
        }
        for row in table.to_pylist()
    ]

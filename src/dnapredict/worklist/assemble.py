"""Gather the worklist of a long list from its parts, in rank order, a few thousand rows at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.readers.csv_dialect import ROW_NUMBER
from dnapredict.worklist.answer_table import COLUMNS, PLACES, REASONS, rejected_rows

_ROWS_AT_ONCE: Final = 20_000
_TYPES: Final = {"probability": pa.float64(), "rank": pa.int64(), "selected": pa.bool_()}
_SCHEMA: Final = pa.schema(
    [(name, _TYPES.get(name, pa.string())) for name in COLUMNS]
    + [("starts_at", pa.timestamp("us")), ("clinic_code", pa.string()), ("site_code", pa.string())]
)


@dataclass(frozen=True)
class Gathered:
    """The answers to a list, where each piece of them is.

    Attributes
    ----------
    listed, read
        Tables of `workspace`: the sound rows, and the list as it was read.
    plan
        What is to be done with each sound row.
    rejected
        The other rows, each with the rule that it broke.
    parts
        Files with what was judged.
    carried
        Columns of the list that the worklist shows after its own.
    """

    workspace: Workspace
    listed: str
    read: str
    plan: pa.Table
    rejected: pa.Table
    parts: Sequence[Path]
    model_version: str
    carried: tuple[str, ...]

    def tables(self) -> Iterator[pa.Table]:
        """Scored rows in rank order, and then refused ones by row number, each of them once.

        Beside `COLUMNS` they hold `PLACES`, and what is carried through under names of its own.
        """
        for batch in self._scored():
            yield self._answered(pa.Table.from_batches([batch]))
        yield self._refused()

    def written(self, table: pa.Table) -> pa.Table:
        """What is written of one of the tables: `COLUMNS`, and what is carried through by its own name."""
        carried = [pc.cast(table[name], pa.string()) for name in self._numbered]
        return pa.table([*(table[name] for name in COLUMNS), *carried], names=[*COLUMNS, *self.carried])

    @property
    def _numbered(self) -> list[str]:
        return [f"carried {place}" for place in range(len(self.carried))]

    def _scored(self) -> Iterator[pa.RecordBatch]:
        own = ["j.probability", "n.band", "n.rank", "n.selected", "n.action"]
        reasons = [f"j.{name}" for name in REASONS]
        beside = [f"p.{name}" for name in PLACES]
        files = ", ".join("'" + str(path).replace("'", "''") + "'" for path in self.parts)
        connection = self.workspace.backend.con
        connection.register("planned_rows", self.plan)
        try:
            yield from connection.sql(
                f"SELECT p.appointment_id, {', '.join([*own, *reasons, *beside, *self._carried()])} "
                f"FROM planned_rows n JOIN {self.listed} p USING ({ROW_NUMBER}) "
                f"JOIN read_parquet([{files}]) j USING ({ROW_NUMBER}) {self._joined()} ORDER BY n.rank"
            ).to_arrow_reader(_ROWS_AT_ONCE)
        finally:
            connection.unregister("planned_rows")

    def _carried(self) -> list[str]:
        quoted = [name.replace('"', '""') for name in self.carried]
        return [f'l."{name}" AS "{alias}"' for name, alias in zip(quoted, self._numbered, strict=True)]

    def _joined(self) -> str:
        return f"LEFT JOIN {self.read} l USING ({ROW_NUMBER})" if self.carried else ""

    def _answered(self, table: pa.Table) -> pa.Table:
        n = table.num_rows
        columns = {name: table[name] for name in table.column_names if name in _SCHEMA.names}
        columns["model_version"] = pa.array([self.model_version] * n, pa.string())
        columns["error"] = pa.nulls(n, pa.string())
        return self._with_carried(pa.table(columns).select(_SCHEMA.names).cast(_SCHEMA), table)

    def _with_carried(self, answers: pa.Table, table: pa.Table) -> pa.Table:
        for name in self._numbered:
            answers = answers.append_column(name, table[name])
        return answers

    def _refused(self) -> pa.Table:
        refused = self.rejected.sort_by(ROW_NUMBER)
        answers = rejected_rows(refused, _SCHEMA, model_version=self.model_version)
        if not self.carried:
            return self._with_carried(answers, refused)
        connection = self.workspace.backend.con
        connection.register("refused_rows", refused.select([ROW_NUMBER]))
        try:
            asked = f"SELECT {', '.join(self._carried())} FROM refused_rows {self._joined()}"
            found = connection.sql(f"{asked} ORDER BY {ROW_NUMBER}").to_arrow_table()
        finally:
            connection.unregister("refused_rows")
        return self._with_carried(answers, found)

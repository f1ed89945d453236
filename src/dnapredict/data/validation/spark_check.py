"""The contract on Spark: rows that one machine does not hold, typed and checked by the executors.

Cells are parsed by the same DuckDB expression as on one machine, some thousands of rows at a time, since the date
functions of two engines differ. The rules, some of which compare rows, are the same Ibis expressions, run by Spark.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from dnapredict.config.mapping_config import IDENTITY, Mapping
from dnapredict.data.contract.columns import column
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.engine.spark_engine import SparkEngine, arrow_schema
from dnapredict.data.mapping.apply_mapping import MappingRequest, map_columns
from dnapredict.data.mapping.ingest import Areas, IngestReport
from dnapredict.data.mapping.pseudonyms import FEWEST_NUMBERS, nhs_number_counts, refuse_counted_nhs_numbers
from dnapredict.data.readers.csv_dialect import ROW_NUMBER
from dnapredict.data.validation import contract_check
from dnapredict.data.validation.checked import (
    CODED,
    FIRST_ROWS,
    NO_OPT_OUTS,
    Rejection,
    UnreadableCells,
    flagged,
    share_at_fault,
)
from dnapredict.data.validation.rules import with_repeats
from dnapredict.errors import DataError, UsageError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_MEMORY: Final = "256MB"


@dataclass(frozen=True)
class CheckedOnSpark:
    """A table checked against the contract, whose rows stay on the executors.

    Attributes
    ----------
    rows
        The valid rows, with the columns of `checked.Checked.rows`.
    rejected
        `row_number`, `appointment_id` and the first broken rule of each rejected row.
    total
        Number of rows read.
    all_rows, extract, mapping, ingest, rejections, unreadable, unknown_columns
        As in `checked.Checked`.
    """

    rows: ir.Table
    rejected: ir.Table
    total: int
    present: frozenset[str]
    all_rows: ir.Table
    extract: ir.Table
    mapping: Mapping
    rejections: tuple[Rejection, ...]
    unreadable: tuple[UnreadableCells, ...]
    unknown_columns: frozenset[str]

    @property
    def kept(self) -> int:
        """Number of valid rows."""
        return self.total - sum(each.count for each in self.rejections)

    @property
    def rejected_share(self) -> float:
        """Share of all rows with an error; administrative events are no error of the extract."""
        return share_at_fault(self.rejections, total=self.total)

    @property
    def described_columns(self) -> frozenset[str]:
        """Every coded column: descriptions are replaced on the executors, which do not report them."""
        return self.present & frozenset(CODED)

    @property
    def ingest(self) -> IngestReport:
        """The release of the deciles that the mapping states; nothing is joined or looked up."""
        return IngestReport(areas=Areas(self.mapping.geography.imd_release or ""))


def check_on_spark(
    table: "DataFrame", engine: SparkEngine, *, mapping: Mapping = IDENTITY, source: str, future: bool = False
) -> CheckedOnSpark:
    """Check the rows of `table`, which has `row_number`, as `contract_check.check` does.

    Raises
    ------
    DataError, ConfigurationError
        As `contract_check.check`; also if the table has no rows.
    UsageError
        If the mapping joins files or makes pseudonyms: executors have neither the files nor the key.
    """
    _refuse_lookups(mapping)
    request = MappingRequest(mapping, source, future=future, release=mapping.geography.imd_release or "")
    columns = arrow_schema(table)
    present = map_columns(ibis.table(ibis.Schema.from_pyarrow(columns), name="extract"), request).present
    contract_check.require_columns(present, columns.names, mapping=mapping, source=source)
    parse = partial(_typed_tables, request=request)
    types = next(parse(iter([columns.empty_table()]))).schema
    typed = engine.keep(engine.map_tables(table, parse, types))
    total = engine.count(typed)
    if not total:
        raise DataError(f"{source}: holds no rows.")
    if total >= FEWEST_NUMBERS and "patient_id" in present:
        refuse_counted_nhs_numbers(engine.fetch(nhs_number_counts(typed)), source=source)
    rejected = engine.keep(contract_check.rejected_rows(with_repeats(typed)))
    return CheckedOnSpark(
        engine.keep(contract_check.kept_rows(typed, rejected)),
        rejected,
        total,
        present,
        all_rows=typed,
        extract=engine.view(table),
        mapping=mapping,
        rejections=_rejections(rejected, engine),
        unreadable=tuple(_unreadable(typed, engine)),
        unknown_columns=_unknown_columns(typed, present, engine),
    )


def refused_opt_outs(checked: CheckedOnSpark, engine: SparkEngine) -> pa.Table:
    """The opt-outs of rejected rows, as `checked.Checked.opt_outs`; few, as a check refuses many rejected rows."""
    if "opt_out" not in checked.present:
        return NO_OPT_OUTS
    rows = checked.all_rows.semi_join(checked.rejected, ROW_NUMBER)
    wish = rows.opt_out.fill_null(False) | rows.bad_opt_out.fill_null(False)
    return engine.fetch(rows.filter(wish).select("appointment_id", "patient_id")).cast(NO_OPT_OUTS.schema)


def _refuse_lookups(mapping: Mapping) -> None:
    places = mapping.geography
    if mapping.joins or mapping.makes_pseudonyms or any(isinstance(each, Path) for _, each in places):
        raise UsageError(
            "--engine spark: the mapping joins files, looks up areas or makes pseudonyms, for which executors have "
            "neither the files nor the key. Do that on the platform first, and map the table that results."
        )


def _typed_tables(tables: Iterable[pa.Table], *, request: MappingRequest) -> Iterator[pa.Table]:
    """Each table in the types of the contract; this runs on the executors."""
    for table in tables:
        with Workspace(memory_limit=_MEMORY) as workspace:
            workspace.backend.raw_sql("SET threads = 1")  # Spark gives a task one processor
            typed = contract_check.typed_rows(workspace.keep(table), request, workspace)
            yield workspace.fetch(f"FROM {typed.get_name()}")


def _rejections(rejected: ir.Table, engine: SparkEngine) -> tuple[Rejection, ...]:
    counts = engine.fetch(rejected.group_by("rule").agg(n=rejected.count())).to_pylist()
    in_order = ibis.window(group_by=rejected.rule, order_by=rejected[ROW_NUMBER])
    first = rejected.mutate(place=ibis.row_number().over(in_order))
    first = first.filter(first.place < FIRST_ROWS).select("rule", ROW_NUMBER)
    rows: dict[str, list[int]] = {}
    for row in engine.fetch(first).to_pylist():
        rows.setdefault(row["rule"], []).append(row[ROW_NUMBER])
    found = (Rejection(row["rule"], row["n"], tuple(sorted(rows[row["rule"]]))) for row in counts)
    return tuple(sorted(found, key=lambda rejection: (-rejection.count, rejection.rule)))


def _unknown_columns(typed: ir.Table, present: frozenset[str], engine: SparkEngine) -> frozenset[str]:
    names = [name for name in CODED if name in present]
    if not names:
        return frozenset()
    unknown = {name: typed[name].notin(list(column(name).codes)).sum().fill_null(0) for name in names}
    counts = engine.fetch(typed.agg(**unknown)).to_pylist()[0]
    return frozenset(name for name in names if counts[name])


def _unreadable(typed: ir.Table, engine: SparkEngine) -> Iterator[UnreadableCells]:
    names = flagged(typed.columns)
    if not names:
        return
    counted = typed.agg(
        **{f"bad_{name}": typed[f"bad_{name}"].sum().fill_null(0) for name in names},
        **{name: typed[name].count() for name in names},
    )
    counts = engine.fetch(counted).to_pylist()[0]
    for name in names:
        if bad := int(counts[f"bad_{name}"]):
            first = typed.filter(typed[f"bad_{name}"]).select(ROW_NUMBER).order_by(ROW_NUMBER).limit(FIRST_ROWS)
            rows = engine.fetch(first)[ROW_NUMBER].to_pylist()
            yield UnreadableCells(name, bad, counts[name] + bad, tuple(rows))

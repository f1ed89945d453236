"""Predict the risk and reasons of each appointment, and assemble the worklist from predictions and the plan of calls.

A row gets the same prediction alone, in a list, or in a part of a long list, since it depends on that appointment's
own factors. Predictions are in memory for a request or an uploaded list, and on disk for a file of any length. Both
supply the columns that the plan needs and the rows in rank order; everything else is done here once.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Final, Protocol

import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dnapredict.config.needs_config import Need
from dnapredict.data.engine.duckdb_engine import BoundQuery, Workspace
from dnapredict.data.engine.prepared_queries import Engine
from dnapredict.data.readers.csv_dialect import ROW_NUMBER
from dnapredict.features.matrix import Matrix, Past, question
from dnapredict.features.scoring_clock import Clock, LabelRule
from dnapredict.model.artefact import StoredModel
from dnapredict.model.reasons import ReasonColumns
from dnapredict.worklist.files.calls_sheet import with_call_columns
from dnapredict.worklist.files.withheld_risks import without_uncalled_risks
from dnapredict.worklist.files.worklist_columns import COLUMNS, FACTORS, LOCATION_COLUMNS, REASONS, SCHEMA
from dnapredict.worklist.files.worklist_files import rebatch, rejected_rows, scored_rows
from dnapredict.worklist.plan.call_plan import CallPlan
from dnapredict.worklist.plan.needs import has_need, with_words
from dnapredict.worklist.plan.ranking import RANKING_COLUMNS

# The predictions of a row: all that checkpoints of a long list hold of it, without an identifier.
PREDICTION_SCHEMA: Final = pa.schema(
    [(ROW_NUMBER, pa.int64()), ("probability", pa.float64())] + [(name, pa.string()) for name in (*REASONS, *FACTORS)]
)


@dataclass(frozen=True)
class Predictor:
    """A model with its history and configuration, which predicts risks with reasons.

    Attributes
    ----------
    needs
        Needs that change the wording of reasons: a child "was not brought" rather than "missed".
    """

    stored: StoredModel
    with_reasons: bool = True
    needs: tuple[Need, ...] = ()

    @property
    def clock(self) -> Clock:
        """The model's scoring clock."""
        return Clock.of(self.stored.manifest.provenance.config)

    def predict(
        self, points: ir.Table, past: Past, *, extra_columns: Sequence[str] = (), workspace: Engine
    ) -> pa.Table:
        """The columns of `PREDICTION_SCHEMA` for the contract rows `points`, by row number, then `extra_columns`."""
        table = workspace.fetch(self._query(points, past, extra_columns))
        return self.predictions_of(table, extra_columns)

    def predict_in_parts(
        self, points: ir.Table, past: Past, *, rows: int, workspace: Workspace
    ) -> Iterator[Callable[[], pa.Table]]:
        """The same in parts of `rows` rows, each as a function that predicts it.

        The factors of all parts come from one query, since some factors depend on other rows of the list.
        """
        batches = workspace.stream(self._query(points, past, ()), rows=rows)
        for table in rebatch((pa.Table.from_batches([batch]) for batch in batches), rows=rows):
            yield partial(self.predictions_of, table, ())

    def predictions_of(self, table: pa.Table, extra_columns: Sequence[str] = ()) -> pa.Table:
        """The same from a table with the factors of the model and `columns_read`."""
        values = Matrix(table, self.stored.model.factors).values
        probability = self.stored.model.probability(values, sites=table["site_code"].to_pylist())
        reasons = self.stored.explainer.explain(values) if self.with_reasons else ReasonColumns.empty(len(values))
        texts = self._in_agreed_words(reasons.texts, table)
        columns = [table[ROW_NUMBER], pa.array(probability), *texts, *reasons.factors]
        predictions = pa.table(dict(zip(PREDICTION_SCHEMA.names, columns, strict=True)), schema=PREDICTION_SCHEMA)
        for name in extra_columns:
            predictions = predictions.append_column(name, table[name])
        return predictions

    def _in_agreed_words(
        self, texts: tuple[NDArray[np.object_], ...], table: pa.Table
    ) -> tuple[NDArray[np.object_], ...]:
        """The reasons in the wording agreed for patients with a need, such as children."""
        for need in self._needs_with_words:
            for row in np.flatnonzero(has_need(table, need)).tolist():
                for column in texts:
                    if column[row] is not None:
                        column[row] = with_words(column[row], [need])
        return texts

    @property
    def _needs_with_words(self) -> list[Need]:
        return [need for need in self.needs if need.words] if self.with_reasons else []

    @property
    def columns_read(self) -> tuple[str, ...]:
        """The contract columns that a prediction reads in addition to the factors."""
        need_columns = (need.column for need in self._needs_with_words)
        return tuple(dict.fromkeys((ROW_NUMBER, "site_code", *need_columns)))

    def _query(self, points: ir.Table, past: Past, extra_columns: Sequence[str]) -> BoundQuery:
        return question(
            points,
            past,
            factors=self.stored.model.factors,
            clock=self.clock,
            outcomes=LabelRule(self.stored.manifest.provenance.config.dna_codes),
            extra_columns=tuple(dict.fromkeys((*self.columns_read, *extra_columns))),
            order_by=[ROW_NUMBER],
        )


_ROWS_AT_ONCE: Final = 20_000
RECORDED_COLUMNS: Final = ("starts_at", "booked_at")
"""Contract columns that are kept of a scored row, beside its risk and its plan (`follow_up.scored_rows`)."""
EXTRA_COLUMNS: Final = tuple(dict.fromkeys(("appointment_id", *LOCATION_COLUMNS, *RANKING_COLUMNS, *RECORDED_COLUMNS)))
"""Contract columns of predictions in memory, in addition to the predictions."""


class Predictions(Protocol):
    """The predictions for the valid rows of a list."""

    @property
    def ranking_inputs(self) -> pa.Table:
        """The columns that the plan needs, one row for each valid row, by row number."""

    def ranked(self, plan: pa.Table) -> Iterator[pa.Table]:
        """The rows in rank order, each with its predictions, its plan and its passthrough columns."""

    def passthrough_of(self, rejected: pa.Table) -> pa.Table:
        """The passthrough columns of rejected rows, under numbered names."""


@dataclass(frozen=True)
class PredictionsInMemory:
    """Predictions as one table, with `EXTRA_COLUMNS`."""

    ranking_inputs: pa.Table

    def ranked(self, plan: pa.Table) -> Iterator[pa.Table]:
        """All rows in one table."""
        table = self.ranking_inputs
        for name in plan.column_names:
            table = table.append_column(name, plan[name])
        yield table.take(pa.array(np.argsort(plan["rank"].to_numpy())))

    def passthrough_of(self, rejected: pa.Table) -> pa.Table:
        """No columns: the sender of the list has its other columns."""
        return rejected.select([])


@dataclass(frozen=True)
class PredictionsOnDisk:
    """Predictions as files, and the list as tables of a workspace, joined and sorted by the engine.

    Attributes
    ----------
    sound, read
        Tables of `workspace`: the valid rows, and the whole list as read.
    parts
        Files with the predictions, in the order of the list.
    passthrough
        Columns of the list that the worklist shows after its own.
    """

    workspace: Workspace
    sound: str
    read: str
    parts: Sequence[Path]
    passthrough: tuple[str, ...]

    @cached_property
    def ranking_inputs(self) -> pa.Table:
        """The only columns of the whole list in memory at once; reasons and other texts stay on disk."""
        columns = [ROW_NUMBER, "probability", *FACTORS]
        inputs = pa.concat_tables(
            pq.read_table(path, columns=columns, read_dictionary=list(FACTORS)) for path in self.parts
        ).unify_dictionaries()
        names = ("appointment_id", *RANKING_COLUMNS, *RECORDED_COLUMNS)
        contract = self.workspace.fetch(f"SELECT {', '.join(names)} FROM {self.sound} ORDER BY {ROW_NUMBER}")
        for name, column in zip(names, contract.columns, strict=True):
            inputs = inputs.append_column(name, column)
        return inputs.combine_chunks()

    def ranked(self, plan: pa.Table) -> Iterator[pa.Table]:
        """A few thousand rows at a time."""
        columns = [
            ROW_NUMBER,
            *(f"s.{name}" for name in ("appointment_id", *LOCATION_COLUMNS, "imd_decile")),
            *(f"m.{name}" for name in ("probability", *REASONS)),
            *(f"p.{name}" for name in plan.column_names),
            *self._passthrough_columns,
        ]
        files = ", ".join("'" + str(path).replace("'", "''") + "'" for path in self.parts)
        connection = self.workspace.backend.con
        numbers = self.ranking_inputs[ROW_NUMBER]
        connection.register("planned_rows", plan.append_column(ROW_NUMBER, numbers))
        batches = connection.sql(
            f"SELECT {', '.join(columns)} FROM planned_rows p JOIN {self.sound} s USING ({ROW_NUMBER}) "
            f"JOIN read_parquet([{files}]) m USING ({ROW_NUMBER}) {self._join} ORDER BY p.rank"
        ).to_arrow_reader(_ROWS_AT_ONCE)
        yield from (pa.Table.from_batches([batch]) for batch in batches)
        # Not in `finally`: where the rows cannot be written, the workspace is closed before this generator.
        connection.unregister("planned_rows")

    def passthrough_of(self, rejected: pa.Table) -> pa.Table:
        """Read from the list, by row number."""
        if not self.passthrough:
            return rejected.select([])
        connection = self.workspace.backend.con
        connection.register("rejected_rows", rejected.select([ROW_NUMBER]))
        try:
            sql = f"SELECT {', '.join(self._passthrough_columns)} FROM rejected_rows {self._join} ORDER BY {ROW_NUMBER}"
            return connection.sql(sql).to_arrow_table()
        finally:
            connection.unregister("rejected_rows")

    @property
    def _passthrough_columns(self) -> list[str]:
        """Numbered names, since a passthrough column may have the name of another column of the page."""
        quoted = (name.replace('"', '""') for name in self.passthrough)
        return [f'l."{name}" AS "{_numbered(number)}"' for number, name in enumerate(quoted)]

    @property
    def _join(self) -> str:
        return f"LEFT JOIN {self.read} l USING ({ROW_NUMBER})" if self.passthrough else ""


@dataclass(frozen=True)
class Worklist:
    """A planned worklist whose rows are assembled when they are read.

    Attributes
    ----------
    plan
        Rank, selection and action of each valid row.
    rejected
        The rejected rows, each with the rule that it breaks.
    """

    predictions: Predictions
    plan: CallPlan
    rejected: pa.Table
    model_version: str

    def tables(self) -> Iterator[pa.Table]:
        """Scored rows in rank order, then rejected rows by row number: each row of the list exactly once.

        The columns are those of `SCHEMA` that the predictions have, and then the passthrough columns.
        """
        schema = SCHEMA
        for table in self.predictions.ranked(self.plan.table):
            answers = scored_rows(table, model_version=self.model_version)
            schema = answers.schema
            if self.plan.is_of_trial:
                answers = without_uncalled_risks(answers)
            yield _with_passthrough(answers, table)
        rejected = self.rejected.sort_by(ROW_NUMBER)
        answers = rejected_rows(rejected, schema, model_version=self.model_version)
        yield _with_passthrough(answers, self.predictions.passthrough_of(rejected))


def file_columns(table: pa.Table, *, passthrough: Sequence[str]) -> pa.Table:
    """The columns of a worklist file: `COLUMNS`, the passthrough columns under their own names, those of the calls."""
    extra = [pc.cast(table[_numbered(number)], pa.string()) for number in range(len(passthrough))]
    columns = pa.table([*(table[name] for name in COLUMNS), *extra], names=[*COLUMNS, *passthrough])
    return with_call_columns(columns, table)


def _numbered(number: int) -> str:
    return f"passthrough {number}"


def _with_passthrough(answers: pa.Table, table: pa.Table) -> pa.Table:
    for name in table.column_names:
        if name.startswith("passthrough "):
            answers = answers.append_column(name, table[name])
    return answers

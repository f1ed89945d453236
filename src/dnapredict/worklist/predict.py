"""Predict the risk of each appointment and its reasons, from that appointment's own factors.

A row gets the same prediction alone, in a list, or in a part of a long list.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dnapredict.config.worklist_config import Need
from dnapredict.data.engine.duckdb_engine import BoundQuery, Workspace
from dnapredict.data.engine.prepared_queries import Engine
from dnapredict.data.readers.csv_dialect import ROW_NUMBER
from dnapredict.features.matrix import Matrix, Past, question
from dnapredict.features.scoring_clock import Clock, LabelRule
from dnapredict.model.artefact import StoredModel
from dnapredict.model.reasons import ReasonColumns
from dnapredict.worklist.files.worklist_files import FACTORS, REASONS, rebatch
from dnapredict.worklist.plan.needs import has_need, with_words

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
        return self._predictions(table, extra_columns)

    def predict_in_parts(
        self, points: ir.Table, past: Past, *, rows: int, workspace: Workspace
    ) -> Iterator[Callable[[], pa.Table]]:
        """The same in parts of `rows` rows, each as a function that predicts it.

        The factors of all parts come from one query, since some factors depend on other rows of the list.
        """
        batches = workspace.stream(self._query(points, past, ()), rows=rows)
        for table in rebatch((pa.Table.from_batches([batch]) for batch in batches), rows=rows):
            yield partial(self._predictions, table, ())

    def _predictions(self, table: pa.Table, extra_columns: Sequence[str]) -> pa.Table:
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

    def _query(self, points: ir.Table, past: Past, extra_columns: Sequence[str]) -> BoundQuery:
        need_columns = (need.column for need in self._needs_with_words)
        return question(
            points,
            past,
            factors=self.stored.model.factors,
            clock=self.clock,
            outcomes=LabelRule(self.stored.manifest.provenance.config.dna_codes),
            extra_columns=tuple(dict.fromkeys((ROW_NUMBER, "site_code", *need_columns, *extra_columns))),
            order_by=[ROW_NUMBER],
        )

"""What a model says of appointments: the risk and the reasons, with nothing of any other appointment.

A row's answer is the same whether it is asked alone, in a list, or in a part of a long list.
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
from dnapredict.data.engine.bound_query import BoundQuery
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.engine.engine_pool import Engine
from dnapredict.data.readers.csv_dialect import ROW_NUMBER
from dnapredict.features.matrix import Matrix, Past, question
from dnapredict.features.scoring_clock import Clock, LabelRule
from dnapredict.model.artefact import StoredModel
from dnapredict.model.reasons import Told
from dnapredict.worklist.answer_table import FACTORS, REASONS
from dnapredict.worklist.files.worklist_files import of_one_size
from dnapredict.worklist.plan.needs import has_need, with_words

# What is judged of a row, and all that is kept of it until a long list is done: no one's identifier.
JUDGED: Final = pa.schema(
    [(ROW_NUMBER, pa.int64()), ("probability", pa.float64())] + [(name, pa.string()) for name in (*REASONS, *FACTORS)]
)


@dataclass(frozen=True)
class Judge:
    """A model that says how likely each appointment is to be missed, and why."""

    stored: StoredModel
    with_reasons: bool = True
    needs: tuple[Need, ...] = ()
    """Needs whose words the reasons are put into; what was not brought did not miss."""

    @property
    def clock(self) -> Clock:
        """When the model scores an appointment."""
        return Clock.of(self.stored.manifest.provenance.config)

    def judged(self, points: ir.Table, past: Past, *, extra_columns: Sequence[str] = (), workspace: Engine) -> pa.Table:
        """The columns of `JUDGED` for the contract rows `points`, by row number, and then `extra_columns`."""
        table = workspace.fetch(self._question(points, past, extra_columns))
        return self._said(table, extra_columns)

    def judged_in_parts(
        self, points: ir.Table, past: Past, *, rows: int, workspace: Workspace
    ) -> Iterator[Callable[[], pa.Table]]:
        """The same in parts of so many `rows`; each is judged when it is called.

        The factors of all parts come from one question, since some look at other rows of the list.
        """
        stream = workspace.stream(self._question(points, past, ()), rows=rows)
        for table in of_one_size(map(_as_table, stream), rows=rows):
            yield partial(self._said, table, ())

    def _said(self, table: pa.Table, extra_columns: Sequence[str]) -> pa.Table:
        values = Matrix(table, self.stored.model.factors).values
        probability = self.stored.model.probability(values, sites=table["site_code"].to_pylist())
        said = self.stored.teller.told(values) if self.with_reasons else Told.nothing(len(values))
        texts = self._in_their_words(said.texts, table)
        columns = [table[ROW_NUMBER], pa.array(probability), *texts, *said.factors]
        judged = pa.table(dict(zip(JUDGED.names, columns, strict=True)), schema=JUDGED)
        for name in extra_columns:
            judged = judged.append_column(name, table[name])
        return judged

    def _in_their_words(
        self, texts: tuple[NDArray[np.object_], ...], table: pa.Table
    ) -> tuple[NDArray[np.object_], ...]:
        """The reasons in the words agreed for patients with a need, such as of a child."""
        for need in self._worded:
            for row in np.flatnonzero(has_need(table, need)).tolist():
                for place in texts:
                    if place[row] is not None:
                        place[row] = with_words(place[row], [need])
        return texts

    @property
    def _worded(self) -> list[Need]:
        return [need for need in self.needs if need.words] if self.with_reasons else []

    def _question(self, points: ir.Table, past: Past, extra_columns: Sequence[str]) -> BoundQuery:
        return question(
            points,
            past,
            factors=self.stored.model.factors,
            clock=self.clock,
            outcomes=LabelRule(self.stored.manifest.provenance.config.dna_codes),
            extra_columns=tuple(
                dict.fromkeys((ROW_NUMBER, "site_code", *(need.column for need in self._worded), *extra_columns))
            ),
            order_by=[ROW_NUMBER],
        )


def _as_table(batch: pa.RecordBatch) -> pa.Table:
    return pa.Table.from_batches([batch])

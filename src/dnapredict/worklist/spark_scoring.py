"""Score the rows of a list on Apache Spark: the executors predict, with the code of the one-machine path.

The files of the model travel with the task. Each Python process of an executor checks their digests and reads them
once.
"""

import datetime
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import ibis.expr.types as ir
import pyarrow as pa

from dnapredict.config.worklist_config import WorklistConfig
from dnapredict.data.engine.spark_engine import SparkEngine, without_zones
from dnapredict.data.files.temporary_folder import temporary_folder
from dnapredict.data.readers.csv_dialect import ROW_NUMBER
from dnapredict.data.validation.spark_check import CheckedOnSpark
from dnapredict.errors import ModelError
from dnapredict.features.scoring_clock import LabelRule
from dnapredict.features.spark_features import spark_factors, spark_past
from dnapredict.model.artefact import StoredModel, load
from dnapredict.worklist.calls.known_contacts import KnownContacts
from dnapredict.worklist.files.worklist_columns import FACTORS, REASONS, SCHEMA
from dnapredict.worklist.files.worklist_files import rejected_rows, scored_rows
from dnapredict.worklist.plan.call_plan import plan_calls
from dnapredict.worklist.plan.ranking import RANKING_COLUMNS, bands
from dnapredict.worklist.predictions import Predictor
from dnapredict.worklist.scorer import rows_without_call

if TYPE_CHECKING:
    from dnapredict.data.engine.spark_engine import SparkFrame

_FIRST: Final = ("appointment_id", "probability", "band")
_LAST: Final = (*REASONS, *FACTORS, "model_version", "error", ROW_NUMBER)
SCORED_COLUMNS: Final = (*_FIRST, *_LAST)
"""The columns of a scored table without a plan of calls."""
PLANNED_COLUMNS: Final = (*_FIRST, "rank", "selected", "action", *_LAST)
"""The columns of a scored table with the plan of its calls."""
_SCHEMA: Final = pa.schema([SCHEMA.field(name) for name in SCORED_COLUMNS])
_PLAN: Final = pa.schema([SCHEMA.field(name) for name in (ROW_NUMBER, "rank", "selected", "action")])


@dataclass(frozen=True)
class ModelFiles:
    """The files of a stored model, by name, and its digest, to be sent to executors."""

    digest: str
    contents: tuple[tuple[str, bytes], ...] = field(repr=False)

    @classmethod
    def of(cls, folder: Path, digest: str) -> "ModelFiles":
        """The files in `folder`."""
        files = sorted(path for path in folder.iterdir() if path.is_file())
        return cls(digest, tuple((path.name, path.read_bytes()) for path in files))

    def loaded(self) -> StoredModel:
        """The model, whose files are checked and read once in a process.

        Raises
        ------
        ModelError
            If a file is not as it was written, or the model is another than the one that was sent.
        """
        if self.digest not in _LOADED:
            with temporary_folder() as folder:
                for name, content in self.contents:
                    (folder / name).write_bytes(content)
                stored = load(folder)
            if stored.digest != self.digest:
                raise ModelError("An executor got another model than the one that was sent.")
            _LOADED[self.digest] = stored
        return _LOADED[self.digest]


_LOADED: Final[dict[str, StoredModel]] = {}


def score_on_executors(
    checked: CheckedOnSpark,
    files: ModelFiles,
    *,
    history: ir.Table | None,
    config: WorklistConfig,
    model_version: str,
    engine: SparkEngine,
) -> "SparkFrame":
    """`SCORED_COLUMNS` of every row of a checked list exactly once, in no order; a rejected row has its error.

    Parameters
    ----------
    history
        Contract rows of past appointments; without it the rows of the list know each other alone.
    """
    predictor = Predictor(files.loaded(), needs=config.needs)
    clock, model = predictor.clock, predictor.stored
    factors = spark_factors(
        checked.rows,
        spark_past(checked.rows, engine, clock=clock, history=history),
        engine,
        factors=model.model.factors,
        clock=clock,
        outcomes=LabelRule(model.manifest.provenance.config.dna_codes),
        extra_columns=predictor.columns_read,
    )
    predict = partial(_scored, files=files, config=config, model_version=model_version)
    reject = partial(_rejected, model_version=model_version)
    scored = engine.map_tables(engine.frame(factors), predict, _SCHEMA)
    return scored.union(engine.map_tables(engine.frame(checked.rejected), reject, _SCHEMA))


@dataclass(frozen=True)
class ListPlan:
    """What the plan of a list's calls depends on beside its rows.

    Attributes
    ----------
    capacity
        Calls that can be made; None as configured.
    refused
        Opt-outs of refused rows (`Checked.opt_outs`).
    today
        The day on which the list is scored.
    """

    config: WorklistConfig
    capacity: int | None
    refused: pa.Table = field(repr=False)
    today: datetime.date


def with_plan(scored: "SparkFrame", checked: CheckedOnSpark, plan: ListPlan, engine: SparkEngine) -> "SparkFrame":
    """A scored list with rank, selection and action: `PLANNED_COLUMNS`, in no order.

    One task plans the calls, since they are shared among all rows of a list and a patient is called once: it holds the
    columns of the plan, about 0.5 KB a row.
    """
    kept = engine.keep(scored)
    columns = checked.rows.select(ROW_NUMBER, "appointment_id", *RANKING_COLUMNS)
    inputs = (
        kept.filter(kept.error.isnull()).select(ROW_NUMBER, "probability", *FACTORS).inner_join(columns, ROW_NUMBER)
    )
    planned = engine.map_tables(without_zones(engine.frame(inputs)).coalesce(1), partial(_planned, plan=plan), _PLAN)
    plans = engine.keep(planned).rename(planned_row=ROW_NUMBER)
    joined = kept.left_join(plans, kept[ROW_NUMBER] == plans.planned_row)
    return engine.frame(joined.mutate(selected=joined.selected.fill_null(False)).select(*PLANNED_COLUMNS))


def _planned(tables: Iterable[pa.Table], *, plan: ListPlan) -> Iterator[pa.Table]:
    """The plan of the calls of a whole list; this runs on one executor."""
    rows = list(tables)
    if not rows:
        return
    inputs = pa.concat_tables(rows).sort_by(ROW_NUMBER)
    planned = plan_calls(
        inputs,
        config=plan.config,
        capacity=plan.capacity,
        excluded=rows_without_call(inputs, KnownContacts(), opted_out=plan.refused),
        today=plan.today,
    )
    yield planned.table.append_column(ROW_NUMBER, inputs[ROW_NUMBER]).select(_PLAN.names)


def _scored(
    tables: Iterable[pa.Table], *, files: ModelFiles, config: WorklistConfig, model_version: str
) -> Iterator[pa.Table]:
    """The scored rows of each table of factors; this runs on the executors."""
    predictor = Predictor(files.loaded(), needs=config.needs)
    for table in tables:
        predictions = predictor.predictions_of(table, ("appointment_id",))
        names = pa.array(bands(predictions["probability"].to_numpy(), config=config), pa.string())
        yield scored_rows(predictions.append_column("band", names), model_version=model_version).select(SCORED_COLUMNS)


def _rejected(tables: Iterable[pa.Table], *, model_version: str) -> Iterator[pa.Table]:
    """The rejected rows of each table with their errors; this runs on the executors."""
    for table in tables:
        yield rejected_rows(table, _SCHEMA, model_version=model_version)

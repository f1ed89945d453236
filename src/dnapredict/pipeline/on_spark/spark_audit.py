"""The appointments of an audit from an extract on Apache Spark: the executors check, compute factors and score.

What the lists of the test period are made from comes to this process, part by part and without factors: each list
follows from the calls of the lists before it, and the appointments are compared with those that the model was tested
on, by a secret that no executor gets. From there on an audit is that of one machine.
"""

import dataclasses
import datetime
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dnapredict.config.fairness_policy import Policy
from dnapredict.config.training_config import Setting, TrainingConfig
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.engine.spark_engine import SparkEngine, arrow_schema, spark_engine, without_zones
from dnapredict.data.readers.csv_dialect import ROW_NUMBER
from dnapredict.data.readers.frames import SYNTHETIC_KEY
from dnapredict.data.validation.spark_check import CheckedOnSpark, refused_opt_outs
from dnapredict.features.matrix import LEAD_DAYS, PAST_APPOINTMENTS, Matrix
from dnapredict.features.scoring_clock import Clock, LabelRule
from dnapredict.features.spark_features import spark_factors, spark_past
from dnapredict.model.artefact import StoredModel
from dnapredict.model.artefact import load as load_model
from dnapredict.pipeline import audit_inputs
from dnapredict.pipeline.audit_source import AuditSource, Say, live_model
from dnapredict.pipeline.audited_lists import PastLists
from dnapredict.pipeline.in_use.contacted_from_calls import with_recorded_calls
from dnapredict.pipeline.on_spark.spark_verbs import handover_folder, rows_on_spark, sound_on_spark, source_name
from dnapredict.pipeline.run_inputs import IN_TIME, worklist_config
from dnapredict.registry import CHAMPION, Registry
from dnapredict.registry.audit_book import AuditBook
from dnapredict.worklist.spark_scoring import ModelFiles

if TYPE_CHECKING:
    from dnapredict.data.engine.spark_engine import SparkFrame

_AUDITED: Final = "probability"
_LIVE: Final = "live"
# What the expression of the factors adds to columns of the contract.
_MADE: Final = ("scored_at", LEAD_DAYS, PAST_APPOINTMENTS)
_KEPT: Final = (*audit_inputs.EXTRA_COLUMNS, *_MADE)


def source_on_spark(
    source: "str | SparkFrame",
    *,
    setting: Setting,
    policy: Policy,
    book: AuditBook,
    model: str,
    say: Say | None = None,
) -> AuditSource:
    """An extract for the audit of a model of the home, as `audit_source.read_source` gives it.

    Its risks are those of the executors. The sentence on recorded calls counts the appointments of the audit alone.

    Raises
    ------
    DataError
        If the extract cannot be used, or has no outcome since the start of the model's test period.
    UsageError, StoreError
        As `spark_refresh.refresh_on_spark`.
    """
    registry, name = book.registry, source_name(source, "extract")
    version = registry.version_of(model)
    stored = load_model(registry.folder(version))
    config = stored.manifest.provenance.config
    models = _models(registry, version, stored)
    with spark_engine() as engine, handover_folder(registry.home) as folder, Workspace() as workspace:
        rows = rows_on_spark(engine, source)
        checked = sound_on_spark(rows, engine, setting=setting, source=name)
        audit_inputs.warn_of_unknown_values(checked, engine, policy, say)
        stored.manifest.provenance.require_release(checked.ingest.areas.release)
        since = audit_inputs.monday_before(stored.manifest.provenance.test_from)
        scored = scored_since(checked, engine, workspace, models=models, since=since, folder=folder)
        table = with_calls(dataclasses.replace(checked, rows=scored), registry.home, workspace, say=say)
        outcomes, knows = LabelRule(config.dna_codes), audit_inputs.knows_cancellations(checked, engine)
        lists = PastLists.of(Matrix(table, ()), outcomes=outcomes, knows_cancellations=knows)
        lists = audit_inputs.not_trained_on(lists, stored, source=name)
        recorded = audit_inputs.recorded_outcomes(lists, outcomes=outcomes)
        return AuditSource(
            engine.digest(rows, number=ROW_NUMBER),
            engine.every_file_says(rows, SYNTHETIC_KEY, "true"),
            config,
            worklist_config(registry.home),
            policy,
            setting.mapping.timezone,
            stored=stored,
            version=version,
            lists=lists,
            known=(),
            risk=partial(_column, name=_AUDITED),
            live=partial(_column, name=_LIVE) if _LIVE in models else None,
            expected=audit_inputs.rows_expected(checked, stored, engine),
            refused=refused_opt_outs(checked, engine),
            outcomes_recorded=recorded,
            coverage=book.coverage(version, recorded),
        )


def _models(registry: Registry, version: str, stored: StoredModel) -> dict[str, ModelFiles]:
    """The audited model and, where it is another one, the champion, by the names of their columns."""
    models = {_AUDITED: ModelFiles.of(registry.folder(version), stored.digest)}
    live = live_model(registry, stored)
    if live is not None:
        models[_LIVE] = ModelFiles.of(registry.folder(CHAMPION), live.digest)
    return models


def with_calls(scored: CheckedOnSpark, home: Path, workspace: Workspace, *, say: Say | None) -> pa.Table:
    """The scored appointments in order of time, with the calls that are recorded in the home."""
    recorded, filled = with_recorded_calls(scored, home, workspace)
    if filled and say is not None:
        say(filled)
    return workspace.fetch(f"FROM {recorded.rows.get_name()} ORDER BY {', '.join(IN_TIME)}")


def scored_since(
    checked: CheckedOnSpark,
    engine: SparkEngine,
    workspace: Workspace,
    *,
    models: Mapping[str, ModelFiles],
    since: datetime.date,
    folder: Path,
    columns: Sequence[str] = (),
) -> ir.Table:
    """A table of the workspace: the appointments since a day, with the risks by each model in a column of its name.

    They have the columns that lists are made from, and `columns`: contract columns and factors of the models.
    """
    by_config: dict[TrainingConfig, dict[str, ModelFiles]] = {}
    for name, files in models.items():
        by_config.setdefault(files.loaded().manifest.provenance.config, {})[name] = files
    tables = []
    for number, (config, alike) in enumerate(by_config.items()):
        kept = tuple(dict.fromkeys((*_KEPT, *columns)))
        scored = engine.keep(_risks_on_executors(checked, engine, models=alike, config=config, since=since, kept=kept))
        rows = engine.hand_over(scored, folder / f"scored-{number}", rows=engine.count(scored))
        tables.append(workspace.keep(rows).get_name())
    first, *others = tables
    columns = "".join(f", {other}.{_LIVE}" for other in others)
    joins = "".join(f" JOIN {other} USING (appointment_id)" for other in others)
    return workspace.view(f"SELECT {first}.*{columns} FROM {first}{joins}")


def _risks_on_executors(
    checked: CheckedOnSpark,
    engine: SparkEngine,
    *,
    models: Mapping[str, ModelFiles],
    config: TrainingConfig,
    since: datetime.date,
    kept: tuple[str, ...],
) -> "SparkFrame":
    """The columns `kept`, and the risks by models that were trained by one configuration."""
    clock, rows = Clock.of(config), checked.rows
    factors = dict.fromkeys(name for files in models.values() for name in files.loaded().model.factors)
    made = spark_factors(
        rows.filter(rows.starts_local >= ibis.literal(datetime.datetime.combine(since, datetime.time()))),
        spark_past(rows, engine, clock=clock),
        engine,
        factors=tuple(factors),
        clock=clock,
        outcomes=LabelRule(config.dna_codes),
        extra_columns=tuple(name for name in kept if name not in _MADE),
    )
    frame = without_zones(engine.frame(made))
    given = arrow_schema(frame)
    schema = pa.schema([*(given.field(name) for name in kept), *((name, pa.float64()) for name in models)])
    return engine.map_tables(frame, partial(_risks, models=models, schema=schema), schema)


def _risks(tables: Iterable[pa.Table], *, models: Mapping[str, ModelFiles], schema: pa.Schema) -> Iterator[pa.Table]:
    """The risks of each row of each table, as its last columns; this runs on the executors."""
    for table in tables:
        sites, scored = table["site_code"].to_pylist(), table
        for name, files in models.items():
            model = files.loaded().model
            risk = model.probability(Matrix(table, model.factors).values, sites=sites)
            scored = scored.append_column(name, pa.array(risk))
        yield scored.select(schema.names)


def _column(matrix: Matrix, *, name: str) -> NDArray[np.float64]:
    values: NDArray[np.float64] = matrix.table[name].to_numpy()
    return values

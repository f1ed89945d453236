"""Watch the model in use on an extract on Apache Spark: the executors check, compute factors and score.

The executors write two sets of rows as files, which this process reads in parts: the appointments of the test period
with their risks, and, of the appointments before it, the input columns that need no other row. The rest is the monitor
of one machine.
"""

import dataclasses
import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import ibis
import pyarrow as pa

from dnapredict.config.fairness_policy import Policy
from dnapredict.config.training_config import Setting
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.engine.spark_engine import SparkEngine, spark_engine
from dnapredict.data.readers.frames import SYNTHETIC_KEY
from dnapredict.data.validation.spark_check import CheckedOnSpark, refused_opt_outs
from dnapredict.features.matrix import Matrix, own_factors
from dnapredict.features.scoring_clock import Clock, LabelRule
from dnapredict.model.artefact import StoredModel
from dnapredict.model.artefact import load as load_model
from dnapredict.pipeline import audit_inputs
from dnapredict.pipeline.audited_lists import PastLists
from dnapredict.pipeline.on_spark.spark_audit import scored_since, with_calls
from dnapredict.pipeline.on_spark.spark_verbs import handover_folder, rows_on_spark, sound_on_spark, source_name
from dnapredict.pipeline.routine.model_monitoring import (
    Monitored,
    MonitoredExtract,
    Say,
    input_names,
    monitor_by,
    no_outcome,
    reference_inputs,
    row_factors,
    watched_lists,
)
from dnapredict.pipeline.routine.reference_inputs import ReferenceInputs
from dnapredict.registry import CHAMPION, Registry
from dnapredict.worklist.spark_scoring import ModelFiles

if TYPE_CHECKING:
    from dnapredict.data.engine.spark_engine import SparkFrame
    from dnapredict.monitoring.monitor_result import MonitorContext, Watched

_RISK: Final = "probability"
_ROWS_AT_ONCE: Final = 100_000


def monitor_on_spark(
    source: "str | SparkFrame", *, out: Path, setting: Setting, policy: Policy, home: Path, say: Say | None = None
) -> Monitored:
    """Watch the champion of the home on an extract, as `pipeline.monitor` does; the figures are the same.

    The sentence on recorded calls counts the appointments that are watched alone.

    Parameters
    ----------
    source
        A Parquet file, a folder of them, a table of the catalogue, or a data frame.

    Raises
    ------
    DataError, ModelError
        As `pipeline.monitor`.
    UsageError, StoreError
        As `spark_refresh.refresh_on_spark`.
    """
    read = partial(_read_table, source=source, setting=setting, policy=policy, say=say)
    return monitor_by(read, out=out, home=home)


def _read_table(
    registry: Registry, *, source: "str | SparkFrame", setting: Setting, policy: Policy, say: Say | None
) -> tuple["Watched", "MonitorContext"]:
    version = registry.version_of(CHAMPION)
    stored, name = load_model(registry.folder(version)), source_name(source, "extract")
    with spark_engine() as engine, handover_folder(registry.home) as folder, Workspace() as workspace:
        rows = rows_on_spark(engine, source)
        checked = sound_on_spark(rows, engine, setting=setting, source=name)
        audit_inputs.warn_of_unknown_values(checked, engine, policy, say)
        if not audit_inputs.rows_expected(checked, None, engine):
            raise no_outcome(name)
        with reference_inputs(stored) as earlier:
            _collect(earlier, checked, engine, workspace, stored=stored, folder=folder / "earlier")
            references = earlier.references(outcomes=_outcomes(stored))
        table = _scored(checked, engine, workspace, registry=registry, stored=stored, folder=folder, say=say)
        knows = audit_inputs.knows_cancellations(checked, engine)
        lists = PastLists.of(Matrix(table, ()), outcomes=_outcomes(stored), knows_cancellations=knows)
        lists = audit_inputs.not_trained_on(lists, stored, source=name)
        extract = MonitoredExtract(
            source=name,
            risks_of=f"version {version}",
            synthetic=engine.every_file_says(rows, SYNTHETIC_KEY, "true"),
            lists=lists,
            probability=lists.matrix.table[_RISK].to_numpy(),
            refused=refused_opt_outs(checked, engine),
            references=references,
        )
    return watched_lists(extract, stored=stored, version=version, setting=setting, policy=policy, registry=registry)


def _outcomes(stored: StoredModel) -> LabelRule:
    return LabelRule(stored.manifest.provenance.config.dna_codes)


def _collect(
    earlier: ReferenceInputs,
    checked: CheckedOnSpark,
    engine: SparkEngine,
    workspace: Workspace,
    *,
    stored: StoredModel,
    folder: Path,
) -> None:
    """Collect the inputs of the appointments before the test period from the files that the executors write."""
    clock, factors, rows = Clock.of(stored.manifest.provenance.config), row_factors(stored.model.factors), checked.rows
    made = own_factors(
        rows.filter(rows.starts_local < ibis.literal(datetime.datetime.combine(earlier.until, datetime.time()))),
        factors=factors,
        clock=clock,
        extra_columns=tuple(name for name in earlier.columns if name in rows.columns),
    )
    kept = engine.keep(made.select(*(name for name in earlier.columns if name in made.columns)))
    given = workspace.keep(engine.hand_over(kept, folder, rows=engine.count(kept)))
    for batch in workspace.stream(f"FROM {given.get_name()}", rows=_ROWS_AT_ONCE):
        earlier.keep(batch)


def _scored(
    checked: CheckedOnSpark,
    engine: SparkEngine,
    workspace: Workspace,
    *,
    registry: Registry,
    stored: StoredModel,
    folder: Path,
    say: Say | None,
) -> pa.Table:
    """The appointments since the week in which the test period began, in order of time, with their risks."""
    scored = scored_since(
        checked,
        engine,
        workspace,
        models={_RISK: ModelFiles.of(registry.folder(CHAMPION), stored.digest)},
        since=audit_inputs.monday_before(stored.manifest.provenance.test_from),
        folder=folder,
        columns=input_names(stored),
    )
    return with_calls(dataclasses.replace(checked, rows=scored), registry.home, workspace, say=say)

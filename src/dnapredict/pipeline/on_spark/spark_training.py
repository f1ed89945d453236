"""Train on an extract on Apache Spark: the executors make the factors, and this machine trains on their files.

One machine holds the bins of all appointments, and serial trees are the same in every run. So the executors check the
extract, compute the factors and write them as Parquet files into a folder of the home; from there on it is the training
of one machine, which sorts them on disk and maps the matrix into memory.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import ibis.expr.types as ir

from dnapredict.config.factor_register import FactorRegister
from dnapredict.config.training_config import Setting
from dnapredict.data.contract.columns import NAMES
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.engine.spark_engine import SparkEngine, spark_engine
from dnapredict.data.readers.csv_dialect import ROW_NUMBER
from dnapredict.data.readers.frames import SYNTHETIC_KEY
from dnapredict.data.validation.spark_check import CheckedOnSpark
from dnapredict.features.matrix import Matrix, write_matrix
from dnapredict.features.scoring_clock import Clock, LabelRule
from dnapredict.features.spark_features import spark_factors, spark_past
from dnapredict.model.cohort import COHORT_COLUMNS, cohort_of
from dnapredict.model.fit.tuning import ProgressCallback
from dnapredict.pipeline import training_inputs
from dnapredict.pipeline.in_use.contacted_from_calls import with_recorded_calls
from dnapredict.pipeline.model_building import (
    BUILDING,
    READING,
    Say,
    Trained,
    TrainingData,
    require_trainable,
    train_on,
)
from dnapredict.pipeline.on_spark.spark_verbs import handover_folder, rows_on_spark, sound_on_spark, source_name
from dnapredict.pipeline.run_inputs import IN_TIME, factors_fed
from dnapredict.registry.tested_appointments import GROUP_COLUMNS

if TYPE_CHECKING:
    from dnapredict.data.engine.spark_engine import SparkFrame

# Of each valid appointment: what `training_extract` counts, and what the calls that the home recorded may say.
_COUNTED: Final = tuple(
    dict.fromkeys(
        (
            *(ROW_NUMBER, "appointment_id", "outcome_code", "starts_local", "contacted", "trial_arm"),
            *(name for name in GROUP_COLUMNS if name in NAMES),
        )
    )
)
_OF_COHORT: Final = tuple(dict.fromkeys((*COHORT_COLUMNS, *IN_TIME)))


def train_on_spark(
    source: "str | SparkFrame", *, home: Path, setting: Setting, say: Say, watch: ProgressCallback | None = None
) -> Trained:
    """Train as `pipeline.train` does; the model is the same, but for the digest of the extract in its provenance.

    Parameters
    ----------
    source
        A Parquet file, a folder of them, a table of the catalogue, or a data frame.

    Raises
    ------
    DataError
        As `pipeline.train`; also if a file of the extract has changed meanwhile.
    UsageError
        If Spark, Java or a package is missing.
    StoreError
        If the executors and this machine have no disk in common for the home, or Spark stops.
    """
    read = partial(_training_data, source, home=home, setting=setting, say=say)
    return train_on(read, home=home, setting=setting, say=say, watch=watch)


def _training_data(
    source: "str | SparkFrame", register: FactorRegister, *, home: Path, setting: Setting, say: Say
) -> TrainingData:
    """Check the extract on the executors, and build its cohort here from the factors that they write."""
    outcomes, name = LabelRule(setting.training.dna_codes), source_name(source, "extract")
    with spark_engine() as engine, handover_folder(home) as folder, Workspace() as workspace:
        say(READING)
        rows = rows_on_spark(engine, source)
        synthetic = engine.every_file_says(rows, SYNTHETIC_KEY, "true")
        checked = sound_on_spark(rows, engine, setting=setting, source=name)
        require_trainable(checked, engine, source=name, synthetic=synthetic, setting=setting, say=say)
        here, filled = with_recorded_calls(_counted(checked, engine, workspace, folder / "rows"), home, workspace)
        if filled:
            say(filled)
        say(BUILDING)
        factors = factors_fed(here, register)
        made = _factors_made(checked, engine, factors=factors, setting=setting)
        given = workspace.keep(engine.hand_over(made, folder / "factors", rows=engine.count(made)))
        matrix = _matrix(given, here, workspace, factors=factors)
        appointments = training_inputs.training_extract(here, workspace, outcomes=outcomes)
        digest = engine.digest(rows, number=ROW_NUMBER)
    cohort = cohort_of(matrix, outcomes=outcomes, zone=setting.mapping.timezone)
    return TrainingData(here, cohort, appointments, digest, synthetic)


def _counted(checked: CheckedOnSpark, engine: SparkEngine, workspace: Workspace, folder: Path) -> CheckedOnSpark:
    """The extract with `_COUNTED` of its valid rows as a table of the workspace, in the order of the extract."""
    given = engine.hand_over(checked.rows.select(*_COUNTED), folder, rows=checked.kept)
    ordered = workspace.compute(f"FROM {workspace.keep(given).get_name()} ORDER BY {ROW_NUMBER}")
    return replace(checked, rows=ordered)


def _factors_made(
    checked: CheckedOnSpark, engine: SparkEngine, *, factors: tuple[str, ...], setting: Setting
) -> ir.Table:
    """The factors of the appointments that were attended or missed, as the executors keep them."""
    clock, outcomes, rows = Clock.of(setting.training), LabelRule(setting.training.dna_codes), checked.rows
    made = spark_factors(
        rows.filter(rows.outcome_code.isin([*outcomes.dna_codes, *outcomes.came_codes])),
        spark_past(rows, engine, clock=clock),
        engine,
        factors=factors,
        clock=clock,
        outcomes=outcomes,
        extra_columns=_OF_COHORT,
    )
    return engine.keep(made)


def _matrix(given: ir.Table, here: CheckedOnSpark, workspace: Workspace, *, factors: tuple[str, ...]) -> Matrix:
    """The matrix in order of time, as `run_inputs.labelled_matrix` gives it, with the calls that `here` knows of."""
    joined = (
        f"SELECT m.* REPLACE (r.contacted AS contacted) FROM {given.get_name()} m "
        f"JOIN {here.rows.get_name()} r USING (appointment_id) ORDER BY {', '.join(f'm.{name}' for name in IN_TIME)}"
    )
    return write_matrix(joined, factors=factors, columns=_OF_COHORT, workspace=workspace)

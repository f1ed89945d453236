"""Train a model: the matrix of an extract, and the training on it."""

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from dnapredict.config.factor_register import FactorRegister
from dnapredict.config.fairness_policy import Policy
from dnapredict.config.loading import load, shipped
from dnapredict.config.training_config import Setting
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.engine.portable_sql import SqlEngine
from dnapredict.data.files.atomic_write import require_apart, write_atomically
from dnapredict.data.files.temporary_folder import temporary_folder
from dnapredict.data.readers import table_file
from dnapredict.data.validation.checked import CheckedExtract
from dnapredict.errors import UsageError
from dnapredict.features.factors import factor_register
from dnapredict.features.matrix import Matrix
from dnapredict.features.scoring_clock import LabelRule
from dnapredict.model.artefact import StoredModel, save
from dnapredict.model.cohort import Cohort, cohort_of
from dnapredict.model.fit.training import Training
from dnapredict.model.fit.training import train as train_model
from dnapredict.model.fit.tuning import ProgressCallback
from dnapredict.pipeline import training_inputs
from dnapredict.pipeline.in_use.contacted_from_calls import with_recorded_calls
from dnapredict.pipeline.run_inputs import checked_lists, labelled_matrix, matrix_of, sound_extract
from dnapredict.quality.label_checks import extract_label_faults, require_labels
from dnapredict.quality.published_figures import unknown_value_sentences
from dnapredict.registry import Registered, Registry
from dnapredict.registry.tested_appointments import TrainingExtract

# The first columns of a file of factors, by which it is recognised.
FACTOR_KEYS: Final = ("appointment_id", "scored_at")

READING: Final = "Reading the extract and holding it against the contract"
BUILDING: Final = "Building the factors as known when each appointment would have been scored"

Say = Callable[[str], None]


@dataclass(frozen=True)
class Trained:
    """A model in the registry and the results of its training."""

    registered: Registered
    training: Training
    stored: StoredModel
    checked: CheckedExtract
    dropped: tuple[str, ...]


def features(path: Path, out: Path, *, setting: Setting) -> Matrix:
    """Write the matrix of agreed factors of every appointment in an extract to the Parquet file `out`.

    Raises
    ------
    UsageError
        If `out` is one of the inputs, a folder, or a file without factors.
    """
    require_apart({"--out": out}, {"EXTRACT": path, **setting.mapping.files_read})
    _require_replaceable(out)
    with Workspace() as workspace:
        checked = sound_extract(path, setting, workspace)
        matrix = matrix_of(checked, setting.training, factor_register(), extra_columns=(), workspace=workspace)
    table = matrix.table.select([*FACTOR_KEYS, *matrix.factors])
    with write_atomically(out) as draft:
        pq.write_table(table, draft)
    return Matrix(table, matrix.factors)


def _require_replaceable(out: Path) -> None:
    """Refuse to replace a file that has no factors, such as an extract."""
    if out.is_dir():
        raise UsageError(f"{out}: is a folder. Name a Parquet file in it.")
    if not out.exists():
        return
    try:
        names = pq.read_schema(out).names
    except (pa.ArrowException, OSError):
        names = []
    if tuple(names[: len(FACTOR_KEYS)]) != FACTOR_KEYS:
        raise UsageError(f"{out}: exists already and holds no factors. Give the output another name.")


@dataclass(frozen=True)
class TrainingData:
    """A checked extract as training needs it, with its digest and whether its patients are made up."""

    checked: CheckedExtract
    cohort: Cohort
    appointments: TrainingExtract
    data_sha256: str
    synthetic: bool


def train(
    path: Path,
    *,
    home: Path,
    setting: Setting,
    say: Say,
    watch: ProgressCallback | None = None,
    lists: Sequence[Path] = (),
) -> Trained:
    """Train on the extract at `path`, test on its latest part, register the model as challenger.

    `watch` is called after each trial, where the configuration has tuning. `lists` are lists as they were before
    the appointments of the extract, with which its columns are compared.

    Raises
    ------
    DataError
        If too many rows are faulty, or the outcomes cannot be trained on (`quality.label_checks`).
    """
    read = partial(_training_data, path, home=home, setting=setting, say=say, lists=lists)
    return train_on(read, home=home, setting=setting, say=say, watch=watch)


def train_on(
    read: Callable[[FactorRegister], TrainingData],
    *,
    home: Path,
    setting: Setting,
    say: Say,
    watch: ProgressCallback | None = None,
) -> Trained:
    """Train on what `read` gives for the register of factors, and register the model as challenger."""
    began, register = datetime.datetime.now(datetime.UTC), factor_register()
    given = read(register)
    say("Training, calibrating and testing in time")
    training = train_model(
        given.cohort,
        config=setting.training,
        directions=[register.factor(name).direction for name in given.cohort.factors],
        calls=training_inputs.calls(),
        study=training_inputs.study(home, given.data_sha256, setting),
        on_trial=watch,
    )
    if training.tuned is not None:
        say(str(training.tuned))
    if training.leakage_warning:
        say(f"ALARM: {training.leakage_warning}")
    say("Storing the model and its record")
    with temporary_folder() as temporary:
        folder = temporary / "model"
        origin = training_inputs.provenance(
            training,
            setting,
            register,
            data_sha256=given.data_sha256,
            synthetic=given.synthetic,
            imd_release=given.checked.ingest.areas.release,
        )
        stored = save(training.model, folder, provenance=origin, specimens=training.specimens)
        files = training_inputs.reproduction(stored, setting)
        registered = Registry(home).register(
            folder, training, files=files, appointments=given.appointments, began=began
        )
    dropped = tuple(factor.name for factor in register.agreed if factor.name not in given.cohort.factors)
    return Trained(registered, training, stored, given.checked, dropped)


def _training_data(
    path: Path, register: FactorRegister, *, home: Path, setting: Setting, say: Say, lists: Sequence[Path]
) -> TrainingData:
    """Check the extract at `path`, and build its cohort."""
    config, outcomes, synthetic = setting.training, LabelRule(setting.training.dna_codes), table_file.is_synthetic(path)
    with Workspace() as workspace:
        say(READING)
        checked = sound_extract(path, setting, workspace)
        earlier = checked_lists(lists, workspace, mapping=setting.mapping)
        require_trainable(
            checked, workspace, source=path.name, synthetic=synthetic, setting=setting, say=say, lists=earlier
        )
        checked, filled = with_recorded_calls(checked, home, workspace)
        if filled:
            say(filled)
        say(BUILDING)
        matrix = labelled_matrix(checked, config, register, workspace=workspace)
        appointments = training_inputs.training_extract(checked, workspace, outcomes=outcomes)
    cohort = cohort_of(matrix, outcomes=outcomes, zone=setting.mapping.timezone)
    return TrainingData(checked, cohort, appointments, table_file.sha256(path), synthetic)


def require_trainable(
    checked: CheckedExtract,
    engine: SqlEngine,
    *,
    source: str,
    synthetic: bool,
    setting: Setting,
    say: Say,
    lists: Sequence[CheckedExtract] = (),
) -> None:
    """Say what is doubtful in an extract.

    Raises
    ------
    DataError
        If its outcomes cannot be trained on.
    """
    rule = load(shipped("fairness/policy.toml"), Policy).disclosure
    for sentence in unknown_value_sentences(checked, engine, rule=rule):
        say(f"WARNING: {sentence}")
    labels = extract_label_faults(checked, engine, synthetic=synthetic, setting=setting, lists=lists)
    for fault in labels:
        if not fault.stops:
            say(f"WARNING: {fault.found} {fault.action}")
    require_labels(labels, source=source)

"""Inputs of a training other than the matrix: capacity, storage of trials, provenance."""

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dnapredict.config.factor_register import FactorRegister
from dnapredict.config.loading import as_toml
from dnapredict.config.training_config import Setting, Tuning
from dnapredict.data.contract.codes import NOT_APPLICABLE
from dnapredict.data.contract.columns import NAMES
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.files.atomic_write import create_private_file
from dnapredict.data.validation.checked import CheckedExtract
from dnapredict.features.scoring_clock import LabelRule
from dnapredict.model.artefact import Provenance, StoredModel
from dnapredict.model.evaluate.capacity_metrics import WeeklyCapacity
from dnapredict.model.fit.training import Training
from dnapredict.model.fit.tuning import StudyStorage
from dnapredict.pipeline.run_inputs import code_revision, worklist_config
from dnapredict.registry.tested_appointments import (
    ATTENDED,
    CANCELLED,
    GROUP_COLUMNS,
    MISSED,
    NO_OUTCOME,
    RecordedOutcomes,
    TrainingExtract,
)


def calls() -> WeeklyCapacity:
    """The weekly capacity of calls in serving/worklist.toml."""
    worklist = worklist_config()
    return WeeklyCapacity(worklist.capacity_share, worklist.capacity)


def training_extract(checked: CheckedExtract, workspace: Workspace, *, outcomes: LabelRule) -> TrainingExtract:
    """Every valid appointment of an extract with its outcome, and counts by day, outcome and group.

    Its `rows` are a table of the workspace.
    """
    rows, missed = checked.rows.get_name(), ", ".join(f"'{code}'" for code in outcomes.dna_codes)
    columns = [name for name in GROUP_COLUMNS if name in NAMES]
    sql = f"SELECT appointment_id, outcome_code, CAST(starts_local AS DATE) AS day, {', '.join(columns)} FROM {rows}"
    table = workspace.fetch(sql)
    codes = table["outcome_code"]
    outcome = np.full(len(table), NO_OUTCOME, dtype=np.int8)
    is_unrecorded = pc.or_kleene(pc.is_null(codes), pc.equal(codes, NOT_APPLICABLE))
    outcome[~is_unrecorded.to_numpy()] = CANCELLED
    for code, named in ((MISSED, outcomes.dna_codes), (ATTENDED, outcomes.came_codes)):
        outcome[pc.is_in(codes, pa.array(named)).to_numpy()] = code
    came = ", ".join(f"'{code}'" for code in outcomes.came_codes)
    counts: dict[str, pa.Table] = {
        str(column): workspace.fetch(
            f"SELECT {column}, CAST(starts_local AS DATE) AS day, outcome_code IN ({missed}) AS missed, count(*) AS n "
            f"FROM {rows} WHERE outcome_code IN ({missed}, {came}) GROUP BY ALL"
        )
        for column in columns
    }
    day = table["day"].to_numpy().astype("datetime64[D]")
    appointments = RecordedOutcomes(table["appointment_id"], outcome, day, table.select(columns))
    return TrainingExtract(appointments, counts)


def study(home: Path, data_sha256: str, setting: Setting) -> StudyStorage | None:
    """Storage of the trials of tuning: in the home, one study for each digest of an extract and configuration.

    The study's name does not depend on the length of the search, so that a longer one continues a shorter one.
    """
    config = setting.training
    if not config.tuning.trials:
        return None
    create_private_file(home / "tuning.db")
    settings = config.model_dump_json(exclude={"tuning": {"trials", "minutes"}, "worth": True})
    digest = hashlib.sha256(f"{data_sha256} {settings}".encode()).hexdigest()
    return StudyStorage(f"sqlite:///{(home / 'tuning.db').as_posix()}", digest[:16])


def reproduction(stored: StoredModel, setting: Setting) -> dict[str, str]:
    """Files from which the model can be reproduced byte for byte, to be kept with its run.

    The mapping is written without the path of a key.
    """
    origin = stored.manifest.provenance
    mapping = setting.mapping.model_dump_json(by_alias=True, exclude={"key_file"}, exclude_defaults=True)
    command = f"""# With dnapredict at {origin.code_revision}, and the extract whose SHA-256 is
# {origin.data_sha256}.
# mapping.json is the mapping that was used; give its original file, if there was one.
dnapredict train EXTRACT --config config.toml{"" if mapping == "{}" else " --mapping MAPPING.toml"}
"""
    return {
        "reproduce/command.txt": command,
        "reproduce/config.toml": as_toml(origin.config),
        "reproduce/mapping.json": mapping + "\n",
        "factor-register.toml": as_toml(origin.register_of_factors),
    }


def provenance(
    training: Training,
    setting: Setting,
    register: FactorRegister,
    *,
    data_sha256: str,
    synthetic: bool,
    imd_release: str,
) -> Provenance:
    """The provenance of a model that was trained on an extract with that digest.

    Its configuration reproduces the model: it has the settings that were used, and no search.
    """
    split = training.split
    return Provenance(
        config=setting.training.model_copy(update={"model": training.settings, "tuning": Tuning()}),
        register_of_factors=register,
        data_sha256=data_sha256,
        data_from=split.fit.first,
        data_to=split.test.last,
        test_from=split.test.first,
        code_revision=code_revision(),
        synthetic=synthetic,
        imd_release=imd_release,
    )

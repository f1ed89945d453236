"""What a training needs beside the matrix: calls, a place for trials, where it comes from."""

import hashlib
from pathlib import Path

from dnapredict.config.code_revision import code_revision
from dnapredict.config.factor_register import FactorRegister
from dnapredict.config.toml_writing import as_toml
from dnapredict.config.training_config import Setting, Tuning
from dnapredict.data.files.atomic_write import private_folder
from dnapredict.data.readers import table_file
from dnapredict.model.artefact import StoredModel
from dnapredict.model.evaluate.capacity_metrics import WeeklyCapacity
from dnapredict.model.fit.training import Training
from dnapredict.model.fit.tuning import StudyStorage
from dnapredict.model.manifest import Provenance
from dnapredict.pipeline.run_inputs import worklist_config


def calls() -> WeeklyCapacity:
    """How many calls a list can have, as serving/worklist.toml says."""
    worklist = worklist_config()
    return WeeklyCapacity(worklist.capacity_share, worklist.capacity)


def study(home: Path, path: Path, setting: Setting) -> StudyStorage | None:
    """Where the trials of tuning are kept: in the home, one study for each extract and configuration.

    How long to search is no part of its name, so that a longer search goes on where a shorter one ended.
    """
    config = setting.training
    if not config.tuning.trials:
        return None
    private_folder(home)
    asked = config.model_dump_json(exclude={"tuning": {"trials", "minutes"}, "worth": True})
    digest = hashlib.sha256(f"{table_file.sha256(path)} {asked}".encode()).hexdigest()
    return StudyStorage(f"sqlite:///{(home / 'tuning.db').as_posix()}", digest[:16])


def reproduction(stored: StoredModel, setting: Setting) -> dict[str, str]:
    """What makes the model again, byte for byte, as files to keep with its run.

    The mapping is told without the place of a key.
    """
    origin = stored.manifest.provenance
    mapping = setting.mapping.model_dump_json(by_alias=True, exclude={"key_file"}, exclude_defaults=True)
    command = f"""# With dnapredict at {origin.code_revision}, and the extract whose SHA-256 is
# {origin.data_sha256}.
# mapping.json is what the mapping came to; give the mapping's own file, where there was one.
dnapredict train EXTRACT --config config.toml{"" if mapping == "{}" else " --mapping MAPPING.toml"}
"""
    return {
        "reproduce/command.txt": command,
        "reproduce/config.toml": as_toml(origin.config),
        "reproduce/mapping.json": mapping + "\n",
        "factor-register.toml": as_toml(origin.register_of_factors),
    }


def provenance(
    path: Path, training: Training, setting: Setting, register: FactorRegister, *, imd_release: str
) -> Provenance:
    """Where a model comes from.

    Its configuration is the one that makes it again: with the settings that were used, and without a search.
    """
    split = training.split
    return Provenance(
        config=setting.training.model_copy(update={"model": training.settings, "tuning": Tuning()}),
        register_of_factors=register,
        data_sha256=table_file.sha256(path),
        data_from=split.fit.first,
        data_to=split.test.last,
        test_from=split.test.first,
        code_revision=code_revision(),
        synthetic=table_file.is_synthetic(path),
        imd_release=imd_release,
    )

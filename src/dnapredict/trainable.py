"""What a training needs beside the matrix: calls, a place for trials, where it comes from."""

import hashlib
from pathlib import Path

from dnapredict.config.register import FactorRegister
from dnapredict.config.setting import Setting
from dnapredict.config.training import Tuning
from dnapredict.config.writing import as_toml
from dnapredict.data import extract
from dnapredict.prepared import worklist_config
from dnapredict.revision import code_revision
from dnapredict.risk.artefact import Provenance, StoredModel
from dnapredict.risk.calling import Calls
from dnapredict.risk.training import Training
from dnapredict.risk.tuning import Place
from dnapredict.whole_files import private_folder

__all__ = ["calls", "provenance", "reproduction", "study"]


def calls() -> Calls:
    """How many calls a list can have, as serving/worklist.toml says."""
    worklist = worklist_config()
    return Calls(worklist.capacity_share, worklist.capacity)


def study(home: Path, path: Path, setting: Setting) -> Place | None:
    """Where the trials of tuning are kept: in the home, one study for each extract and configuration.

    How long to search is no part of its name, so that a longer search goes on where a shorter one ended.
    """
    config = setting.training
    if not config.tuning.trials:
        return None
    private_folder(home)
    asked = config.model_dump_json(exclude={"tuning": {"trials", "minutes"}, "worth": True})
    digest = hashlib.sha256(f"{extract.sha256(path)} {asked}".encode()).hexdigest()
    return Place(f"sqlite:///{(home / 'tuning.db').as_posix()}", digest[:16])


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
        data_sha256=extract.sha256(path),
        data_from=split.fit.first,
        data_to=split.test.last,
        test_from=split.test.first,
        code_revision=code_revision(),
        synthetic=extract.is_synthetic(path),
        imd_release=imd_release,
    )

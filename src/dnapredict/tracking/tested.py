"""What each version was tested on, kept in the home so that two versions can be compared.

One row an appointment: a fingerprint of its identifier, a number for its patient that means nothing
outside the file, its outcome and the risk it was given. No factor is kept. It lies beside MLflow's
folders and not in them, so that `mlflow ui` does not show it.
"""

from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dnapredict.digests import UNSEALED, has_seal, is_intact, seal
from dnapredict.errors import ModelError
from dnapredict.risk.cohort import Cohort
from dnapredict.risk.comparing import Tested
from dnapredict.risk.training import Training

__all__ = ["FOLDER", "keep", "kept"]

FOLDER: Final = "tested"
_KEPT: Final = ("appointment", "patient", "dna", "starts_at", "lead_days", "first_time")


def keep(home: Path, training: Training, *, digest: str) -> None:
    """Write the tested appointments of a training; those without an identifier are kept nowhere."""
    if training.tested.appointment is None:
        return
    columns = {name: pa.array(getattr(training.tested, name)) for name in _KEPT}
    table = pa.table(columns | {"probability": pa.array(training.test_probability)})
    path = _path(home, digest)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".unfinished")
    pq.write_table(table.replace_schema_metadata(UNSEALED), draft)
    seal(draft, name=digest)
    draft.replace(path)


def kept(home: Path, *, digest: str, version: str) -> Tested:
    """The tested appointments of the version whose manifest has that digest.

    Raises
    ------
    ModelError
        If they were not kept, or cannot be read.
    """
    path = _path(home, digest)
    try:
        content = path.read_bytes()
        if has_seal(content) and not is_intact(content, name=digest):
            raise ModelError(f"{path}: is damaged. Train version {version} again to compare it.")
        table = pq.read_table(pa.BufferReader(content))
        read: dict[str, Any] = {name: np.asarray(table[name].to_numpy()) for name in _KEPT}
        probability = np.asarray(table["probability"].to_numpy())
    except (OSError, pa.ArrowException, KeyError):
        raise ModelError(
            f"What version {version} was tested on is not in {home / FOLDER}: it was removed, or the version "
            "is older than this comparison. Train it again to compare it."
        ) from None
    nothing = np.empty((len(probability), 0))
    return Tested(Cohort(factors=(), matrix=nothing, **read), probability)


def _path(home: Path, digest: str) -> Path:
    return home / FOLDER / f"{digest}.parquet"

"""Rank a list by the expected benefit of a call: the benefit of each appointment, and the file of the benefit model."""

import json
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import ValidationError

from dnapredict.config.benefit_model import BenefitModel
from dnapredict.data.contract import codes
from dnapredict.data.files.atomic_write import write_private
from dnapredict.errors import ModelError

FILE: Final = "benefit.json"
"""In the folder `trial` of a home."""

MODE_COLUMNS: Final = ("consultation_mechanism_code", "first_attendance_code")
_SMALLEST_RISK: Final = 1e-6

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


def expected_benefit(model: BenefitModel, probability: Floats, is_remote: Mask) -> Floats:
    """How many missed appointments a call to each patient is expected to prevent; below 0, it does harm.

    Constant above the highest risk of the trial. Below the lowest, where the trial called nobody, it is in proportion
    to the risk. Never more than the risk itself.

    Parameters
    ----------
    probability : (n,) float64
        Predicted risk.
    is_remote : (n,) bool
        See `is_remote`.

    >>> model = BenefitModel(trial="t", appointments=0, knots=(0.2, 0.5), in_person=(0.0, 0.1), remote=(0.0, 0.0))
    >>> expected_benefit(model, np.array([0.5, 0.5]), np.array([False, True])).tolist()
    [0.1, 0.0]
    """
    odds, knots = log_odds(probability), log_odds(np.array(model.knots))
    in_person, remote = (np.interp(odds, knots, line) for line in (model.in_person, model.remote))
    known = np.where(is_remote, remote, in_person) * np.minimum(probability / model.knots[0], 1.0)
    return np.asarray(np.minimum(known, probability), dtype=np.float64)


def log_odds(probability: Floats) -> Floats:
    """The scale on which benefit is a broken line."""
    inside = np.clip(probability, _SMALLEST_RISK, 1 - _SMALLEST_RISK)
    return np.asarray(np.log(inside) - np.log1p(-inside), dtype=np.float64)


def is_remote(table: pa.Table) -> Mask:
    """Whether each appointment is by telephone or video; where nothing says so, it is taken to be in person.

    By CONSULTATION MECHANISM, which is the more precise, and where that is not recorded by FIRST ATTENDANCE.
    """
    mechanism, attendance = (_column(table, name) for name in MODE_COLUMNS)
    by_attendance = pc.is_in(attendance, value_set=pa.array(codes.REMOTE_FIRST_ATTENDANCE))
    by_mechanism = pc.is_in(mechanism, value_set=pa.array(codes.REMOTE_MECHANISMS))
    return np.asarray(pc.if_else(pc.is_null(mechanism), by_attendance, by_mechanism).to_numpy(), dtype=bool)


def _column(table: pa.Table, name: str) -> pa.ChunkedArray:
    if name in table.column_names:
        return table[name].cast(pa.string())
    return pa.chunked_array([pa.nulls(table.num_rows, pa.string())])


def write_benefit_model(model: BenefitModel, path: Path) -> None:
    """Write the model as text with its hash, whole or not at all."""
    content = {"model": model.model_dump(mode="json"), "sha256": model.digest}
    write_private(path, json.dumps(content, indent=1) + "\n")


def read_benefit_model(path: Path) -> BenefitModel:
    """The model at `path`.

    Raises
    ------
    ModelError
        If it does not exist, is not as it was written, or is not a benefit model.
    """
    try:
        content = json.loads(path.read_bytes())
        model, expected = BenefitModel.model_validate(content["model"]), content["sha256"]
    except FileNotFoundError:
        raise ModelError(
            f"{path}: there is no benefit model. 'dnapredict trial report' writes one where a trial has shown that "
            'ranking by benefit keeps more appointments; until then set rank_by = "risk" in serving/worklist.toml.'
        ) from None
    except (OSError, ValueError, KeyError, TypeError, ValidationError):
        raise ModelError(f"{path}: is not a benefit model. Make it again with 'dnapredict trial report'.") from None
    if model.digest != expected:
        raise ModelError(
            f"{path}: its hash differs from what it says, so that it was changed. Make it again with "
            "'dnapredict trial report'."
        )
    return model

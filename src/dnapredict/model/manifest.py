"""The manifest of a stored model: records whose errors quote no value, and their bytes."""

import datetime
import hashlib
import json
import math
from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from dnapredict.config.factor_register import FactorRegister
from dnapredict.config.training_config import TrainingConfig
from dnapredict.errors import ConfigurationError
from dnapredict.model.form.calibrators import Calibrator
from dnapredict.model.form.spline_logistic import SplineLogistic

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Record(BaseModel):
    """A frozen record whose errors quote no value."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Provenance(_Record):
    """Where a model comes from: data, configuration, register and code.

    `data_from` and `data_to` are the first and last local date of the appointments with an outcome;
    `synthetic` says that the patients were made up; `config` holds label rule, horizon and seed;
    `imd_release` is the release of the Indices of Deprivation that the deciles are of, where it is known.
    """

    config: TrainingConfig
    register_of_factors: FactorRegister
    data_sha256: Digest
    data_from: datetime.date
    data_to: datetime.date
    test_from: datetime.date
    code_revision: str
    synthetic: bool
    imd_release: str = ""

    def require_release(self, release: str) -> None:
        """Refuse deprivation deciles of another release than the model was trained on, where both are known.

        Raises
        ------
        ConfigurationError
        """
        if release and self.imd_release and release != self.imd_release:
            raise ConfigurationError(
                f"mapping: the deprivation deciles are of release {release}, and the model learned from "
                f"release {self.imd_release}. Give the lookup of {self.imd_release}, or train a model with "
                f"that of {release}."
            )


class GoldenRow(_Record):
    """A made-up row and the risk that the model gave it when it was saved; None is an unknown value."""

    row: tuple[float | None, ...]
    probability: float


class Manifest(_Record):
    """The manifest of a stored model; the same training writes the same bytes."""

    format: Literal[1] = 1
    factors: tuple[str, ...]
    provenance: Provenance
    register_sha256: Digest
    libraries: dict[str, str]
    files: dict[str, Digest]
    golden: tuple[GoldenRow, ...]


class CalibrationRecord(_Record):
    """The whole of `calibration.json`; `fill` only where the form is trees."""

    calibrator: Annotated[Calibrator, Field(discriminator="method")]
    site_shifts: dict[str, float] = {}
    fill: tuple[float | None, ...] | None


class CurvesRecord(_Record):
    """The whole of `curves.json`."""

    curves: SplineLogistic


def as_json(record: BaseModel) -> bytes:
    """The record as bytes; equal records are equal bytes."""
    content = record.model_dump(mode="json", by_alias=True)
    return (json.dumps(content, indent=2, allow_nan=False) + "\n").encode()


def sha256(content: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def row_to_json(row: NDArray[np.float64]) -> tuple[float | None, ...]:
    """A row as JSON can hold it: None for unknown values.

    >>> row_to_json(np.array([1.5, np.nan]))
    (1.5, None)
    """
    return tuple(None if math.isnan(value) else float(value) for value in row)


def row_from_json(values: Sequence[float | None]) -> NDArray[np.float64]:
    """The inverse of `row_to_json`."""
    return np.array([math.nan if value is None else value for value in values], dtype=np.float64)

"""A model on disk: text and plain numbers with a hash each, and no pickle.

A pickle runs whatever it holds when it is opened, and breaks with the next release of a library. The manifest names
every file with its hash, and holds made-up rows with the risks that the model gave them, which every reading repeats.
Errors of the records name a field and quote no value.
"""

import datetime
import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dnapredict.config.factor_register import FactorRegister
from dnapredict.config.training_config import TrainingConfig
from dnapredict.data.files.atomic_write import SHARED_FOLDER, create_folder
from dnapredict.errors import ConfigurationError, ModelError, StoreError
from dnapredict.model.reasons import Explainer, UsualRange
from dnapredict.model.risk_model import Calibrator, Form, RiskModel, SplineLogistic
from dnapredict.model.tree_ensemble import Trees

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


# The golden rows of a training: lower quartile, median and upper quartile of each factor, and a row of unknown values.
_QUARTILES_AND_UNKNOWN: Final = 4


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

    @property
    def usual(self) -> UsualRange | None:
        """The range of the middle half of the training rows; None where other rows are stored than `Training` makes."""
        rows = [row_from_json(golden.row) for golden in self.golden]
        return UsualRange(rows[0], rows[2]) if len(rows) == _QUARTILES_AND_UNKNOWN else None


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


_TREES: Final = "model.txt"
_CURVES: Final = "curves.json"
_CALIBRATION: Final = "calibration.json"
_MANIFEST: Final = "manifest.json"
_LIBRARIES: Final = ("dnapredict", "lightgbm", "numpy")
_SAME: Final = 1e-12


@dataclass(frozen=True)
class StoredModel:
    """A model and its manifest."""

    model: RiskModel
    manifest: Manifest
    digest: str
    """SHA-256 of the manifest, which holds the hashes of the other files: it identifies the model."""

    @cached_property
    def explainer(self) -> Explainer:
        """The explainer of its risks, with the sentences of the register that it was trained with."""
        return Explainer.of(self.model, self.manifest.provenance.register_of_factors, self.manifest.usual)


def save(model: RiskModel, folder: Path, *, provenance: Provenance, specimens: NDArray[np.float64]) -> StoredModel:
    """Write the model to `folder`, atomically.

    Parameters
    ----------
    specimens : (k, p) float64
        Made-up rows (see `Training`) whose risks are stored, to check the model when it is loaded.

    Raises
    ------
    StoreError
        If the folder exists, or cannot be written.
    """
    if folder.exists():
        raise StoreError(f"{folder}: exists already; a stored model is never overwritten.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with create_folder(folder, mode=SHARED_FOLDER) as draft:
            _write(model, draft, provenance=provenance, specimens=specimens)
    except OSError as error:
        raise StoreError(f"{folder}: the model cannot be written ({error.strerror}).") from None
    return load(folder)


def load(folder: Path) -> StoredModel:
    """Read a stored model after checking every hash and every golden row.

    Raises
    ------
    ModelError
        If a file is missing or was changed. LightGBM never reads a changed text file: some of them abort the process.
    """
    content = _bytes(folder / _MANIFEST)
    manifest = _parsed(content, Manifest, folder / _MANIFEST)
    numbers = _parsed(_intact(folder, _CALIBRATION, manifest), CalibrationRecord, folder / _CALIBRATION)
    # Hashes first: 5 of 8 edits of a text model abort the whole process within LightGBM, past any exception handler.
    form = _trees(folder, manifest, numbers.fill) if numbers.fill else _curves(folder, manifest)
    model = RiskModel(manifest.factors, form, numbers.calibrator, numbers.site_shifts)
    _require_same_risks(model, manifest, folder)
    return StoredModel(model, manifest, sha256(content))


def _write(model: RiskModel, draft: Path, *, provenance: Provenance, specimens: NDArray[np.float64]) -> None:
    contents = _contents(model)
    manifest = Manifest(
        factors=model.factors,
        provenance=provenance,
        register_sha256=sha256(as_json(provenance.register_of_factors)),
        libraries={name: version(name) for name in _LIBRARIES},
        files={name: sha256(content) for name, content in contents.items()},
        golden=tuple(
            GoldenRow(row=row_to_json(row), probability=float(risk))
            for row, risk in zip(specimens, model.probability(specimens), strict=True)
        ),
    )
    for name, content in {**contents, _MANIFEST: as_json(manifest)}.items():
        (draft / name).write_bytes(content)


def _contents(model: RiskModel) -> dict[str, bytes]:
    fill = row_to_json(model.form.fill) if isinstance(model.form, Trees) else None
    numbers = {_CALIBRATION: as_json(_calibration(model, fill))}
    if isinstance(model.form, Trees):
        return {_TREES: _text(model.form.booster)} | numbers
    return {_CURVES: as_json(CurvesRecord(curves=model.form))} | numbers


def _calibration(model: RiskModel, fill: tuple[float | None, ...] | None) -> CalibrationRecord:
    shifts = dict(model.site_shifts)
    return CalibrationRecord(calibrator=model.calibrator, fill=fill, site_shifts=shifts)


def _text(booster: lgb.Booster) -> bytes:
    """LightGBM's text up to the parameters, which name the threads of the machine that trained."""
    text: str = booster.model_to_string(num_iteration=booster.best_iteration)
    return text.partition("\nparameters:")[0].encode()


def _trees(folder: Path, manifest: Manifest, fill: Sequence[float | None]) -> Form:
    text = _intact(folder, _TREES, manifest)
    try:
        booster = lgb.Booster(model_str=text.decode())
    except (lgb.basic.LightGBMError, ValueError):
        raise _damaged(folder / _TREES, "LightGBM cannot read it") from None
    if booster.feature_name() != list(manifest.factors) or len(fill) != len(manifest.factors):
        raise _damaged(folder, "its files disagree on the factors")
    return Trees(booster, row_from_json(fill))


def _curves(folder: Path, manifest: Manifest) -> Form:
    content = _intact(folder, _CURVES, manifest)
    curves: SplineLogistic = _parsed(content, CurvesRecord, folder / _CURVES).curves
    if len(curves.curves) != len(manifest.factors):
        raise _damaged(folder, "its files disagree on the factors")
    return curves


def _require_same_risks(model: RiskModel, manifest: Manifest, folder: Path) -> None:
    rows = np.array([row_from_json(golden.row) for golden in manifest.golden])
    then = np.array([golden.probability for golden in manifest.golden])
    # Equal hashes do not show that this release of LightGBM or numpy reads the files as the one that wrote them.
    if not len(rows) or np.abs(model.probability(rows) - then).max() > _SAME:
        raise _damaged(folder, "it does not give the risks it gave when it was saved")


def _intact(folder: Path, name: str, manifest: Manifest) -> bytes:
    content = _bytes(folder / name)
    if sha256(content) != manifest.files.get(name):
        raise _damaged(folder / name, "its hash is not the one written in the manifest")
    return content


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _damaged(path, f"it cannot be read: {error.strerror}") from None


def _parsed(content: bytes, record: Any, path: Path) -> Any:
    try:
        return record.model_validate_json(content)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"]) or "the whole"
        raise _damaged(path, f"'{where}' is not as it was written") from None


def _damaged(path: Path, what: str) -> ModelError:
    return ModelError(f"{path}: the model is damaged; {what}. Restore it from a backup, or train again.")

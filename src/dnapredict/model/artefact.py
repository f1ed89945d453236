"""A model on disk: text and plain numbers with a hash each, and no pickle."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from dnapredict.data.files.atomic_write import SHARED_FOLDER, create_folder
from dnapredict.errors import ModelError, StoreError
from dnapredict.model.form.risk_model import Form, RiskModel
from dnapredict.model.form.spline_logistic import SplineLogistic
from dnapredict.model.form.tree_ensemble import Trees
from dnapredict.model.manifest import (
    CalibrationRecord,
    CurvesRecord,
    GoldenRow,
    Manifest,
    Provenance,
    as_json,
    row_from_json,
    row_to_json,
    sha256,
)
from dnapredict.model.reasons import Explainer

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
        return Explainer.of(self.model, self.manifest.provenance.register_of_factors)


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

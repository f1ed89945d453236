"""The test set of each version with its predicted risks, kept in the home to compare two versions.

One row an appointment: a keyed fingerprint of its identifier, a patient number that has no meaning outside the
file, its outcome and its predicted risk. No factor is kept. The key is a secret of the home,
because anybody can hash every possible appointment number; only the owner may read the files. They are
outside MLflow's folders, so that `mlflow ui` does not show them.
"""

import contextlib
import hashlib
import hmac
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dnapredict.data.files.atomic_write import private_folder, write_atomically
from dnapredict.data.files.digests import UNSEALED, has_seal, is_intact, read_or_make, seal
from dnapredict.data.files.drafts import PRIVATE_FILE, PRIVATE_FOLDER
from dnapredict.errors import ModelError, StoreError
from dnapredict.model.cohort import Cohort
from dnapredict.model.evaluate.metric_intervals import HoldoutRisks
from dnapredict.model.fit.training import Training

FOLDER: Final = "tested"
_SECRET: Final = "tested.secret"  # noqa: S105 - the name of a file
_KEPT: Final = ("appointment", "patient", "dna", "starts_at", "lead_days", "first_time")
# In a file's metadata: the name of the secret that its fingerprints are keyed with. Early releases had no key.
_KEYED_WITH: Final = b"dnapredict.keyed_with"


def keep(home: Path, training: Training, *, digest: str) -> None:
    """Write the test set of a training, unless its appointments have no identifier.

    Raises
    ------
    StoreError
        If the file cannot be written; if the secret of the home is damaged, or was lost while files are
        keyed with it.
    OSError
        If the folder cannot be created.
    """
    if training.tested.appointment is None:
        return
    columns = {name: pa.array(getattr(training.tested, name)) for name in _KEPT}
    table = pa.table(columns | {"probability": pa.array(training.test_probability)})
    private_folder(home / FOLDER)
    secret = _secret(home)
    _upgrade(home, secret)
    _write(_keyed(table, secret), file_of(home, digest))


def kept(home: Path, *, digest: str, version: str) -> HoldoutRisks:
    """The test set of the version whose manifest has that digest.

    Raises
    ------
    ModelError
        If it was not kept, or cannot be read.
    StoreError
        If the secret of the home is damaged, or is not the one that it is keyed with.
    """
    try:
        table = _read(file_of(home, digest), version=version)
        if _is_keyed(table.schema):
            _require_key(table.schema, home, _secret(home))
        else:
            secret = _secret(home)
            table = _keyed(table, secret)
            with contextlib.suppress(OSError):  # without write permission, compare all the same
                _upgrade(home, secret)
        read: dict[str, Any] = {name: np.asarray(table[name].to_numpy()) for name in _KEPT}
        probability = np.asarray(table["probability"].to_numpy())
    except (OSError, pa.ArrowException, KeyError):
        raise ModelError(
            f"What version {version} was tested on is not in {home / FOLDER}: it was removed, or the version "
            "is older than this comparison. Train it again to compare it."
        ) from None
    nothing = np.empty((len(probability), 0))
    return HoldoutRisks(Cohort(factors=(), matrix=nothing, **read), probability)


def damaged(home: Path) -> Iterator[str]:
    """A sentence for each test set that is not as it was written, or is keyed with another secret; nothing is changed.

    Raises
    ------
    StoreError
        If the secret of the home is damaged, or was lost while files are keyed with it.
    """
    paths = sorted((home / FOLDER).glob("[!.]*.parquet"))
    key = _secret(home) if paths else b""
    for path in paths:
        try:
            schema = _read(path, version="of that digest").schema
            if _is_keyed(schema):
                _require_key(schema, home, key)
        except ModelError as error:
            yield str(error)
        except (OSError, pa.ArrowException):
            yield f"{path}: cannot be read. Train the version of that digest again to compare it."


def secret(home: Path) -> bytes:
    """The secret of the home with which appointments are keyed; it is created when first needed.

    Raises
    ------
    StoreError
        If it is damaged, or was lost while files are keyed with it.
    """
    private_folder(home / FOLDER)
    return _secret(home)


def fingerprints(home: Path, appointment: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Keyed fingerprints of appointments, given by their `cohort.appointment_keys`.

    Raises
    ------
    StoreError
        If the secret of the home is damaged, or was lost while files are keyed with it.
    """
    return _fingerprints(appointment.astype(">u8").tobytes(), secret(home))


def _read(path: Path, *, version: str) -> pa.Table:
    """A file, after checking its digest; files of earlier releases have none."""
    content = path.read_bytes()
    if has_seal(content) and not is_intact(content, name=path.stem):
        raise ModelError(f"{path}: is damaged. Train version {version} again to compare it.")
    return pq.read_table(pa.BufferReader(content))


def _upgrade(home: Path, secret: bytes) -> None:
    """Key and seal the files of earlier releases, and make all files private."""
    (home / FOLDER).chmod(PRIVATE_FOLDER)
    for path in sorted((home / FOLDER).glob("[!.]*.parquet")):
        path.chmod(PRIVATE_FILE)
        with contextlib.suppress(pa.ArrowException, ModelError):  # damaged: `kept` raises when it is needed
            table = _read(path, version="")
            if _is_keyed(table.schema):
                _require_key(table.schema, home, secret)
            else:
                _write(_keyed(table, secret), path)


def _write(table: pa.Table, path: Path) -> None:
    with write_atomically(path) as draft:
        pq.write_table(table, draft)
        seal(draft, name=path.stem)


def _keyed(table: pa.Table, secret: bytes) -> pa.Table:
    """`table` with keyed fingerprints: 64 bits of HMAC-SHA-256 of the plain ones."""
    plain = table["appointment"].to_numpy().astype(">u8").tobytes()
    keyed = pa.array(_fingerprints(plain, secret))
    named = table.set_column(table.column_names.index("appointment"), "appointment", keyed)
    return named.replace_schema_metadata({_KEYED_WITH: _name_of(secret), **UNSEALED})


def _fingerprints(plain: bytes, secret: bytes) -> NDArray[np.uint64]:
    keyed = hmac.new(secret, digestmod=hashlib.sha256)
    digests = bytearray()
    for start in range(0, len(plain), 8):
        one = keyed.copy()
        one.update(plain[start : start + 8])
        digests += one.digest()[:8]
    return np.frombuffer(bytes(digests), dtype=">u8").astype(np.uint64)


def _secret(home: Path) -> bytes:
    """The secret of the home, created when first needed, and never again while files are keyed with it."""
    path = home / _SECRET
    keyed = not path.exists() and any(map(_is_keyed_file, (home / FOLDER).glob("[!.]*.parquet")))
    used_for = (
        f"what versions were tested on is keyed with it (without a backup, remove {home / FOLDER} and train "
        "again what is to be compared)"
    )
    return bytes.fromhex(read_or_make(path, used_for=used_for if keyed else "").decode())


def _require_key(schema: pa.Schema, home: Path, secret: bytes) -> None:
    if schema.metadata[_KEYED_WITH] != _name_of(secret):
        raise StoreError(
            f"{home / _SECRET}: is not the secret that {home / FOLDER} is keyed with. Restore it from a backup."
        )


def _name_of(secret: bytes) -> bytes:
    """A digest that identifies a secret without revealing it."""
    return hashlib.sha256(b"name of a secret" + secret).hexdigest()[:16].encode()


def _is_keyed(schema: pa.Schema) -> bool:
    return _KEYED_WITH in (schema.metadata or {})


def _is_keyed_file(path: Path) -> bool:
    try:
        return _is_keyed(pq.read_schema(path))
    except (OSError, pa.ArrowException):
        return False


def file_of(home: Path, digest: str) -> Path:
    """The file with the test set of the version whose manifest has that digest."""
    return home / FOLDER / f"{digest}.parquet"

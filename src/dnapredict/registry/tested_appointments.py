"""The appointments of each training, test and audit, kept in the home as keyed fingerprints.

`HOME/tested/coverage/MODEL.parquet` holds a keyed fingerprint, the day and the outcome of each appointment of a
training's extract, and counts by group of those in the test. `HOME/tested/audits/DIGEST` holds the fingerprints of an
audit's appointments, each with its outcome in the last bit. Both are private, keyed with the secret of `holdout_store`,
and named in the ledger by their digests, so that an audit of fewer or edited appointments is detected. No
patient's group is kept: an exchange of appointments between two groups is detected from sums over two or more of them.
"""

import datetime
import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dnapredict.data.files.atomic_write import private_folder, write_atomically
from dnapredict.data.files.digests import file_sha256
from dnapredict.data.files.drafts import is_abandoned
from dnapredict.errors import ModelError, StoreError
from dnapredict.model.cohort import appointment_keys
from dnapredict.registry import holdout_store

if TYPE_CHECKING:
    from dnapredict.fairness.measure.coverage import Cell, Coverage

MISSED: Final = 1
ATTENDED: Final = 0
CANCELLED: Final = 2
NO_OUTCOME: Final = -1
GROUP_COLUMNS: Final = (
    "ethnic_category_code",
    "imd_decile",
    "gender_code",
    "age_years",
    "interpreter_needed",
    "disability_flag",
    "learning_disability_flag",
    "plus_group",
    "site_code",
    "treatment_function_code",
    "provider_code",
    "place_code",
)
"""Contract columns from which groups are made that a training's extract and an audit's share."""
_HASHED_AT_ONCE: Final = 100_000
COVERAGE: Final = "coverage"
AUDITS: Final = "audits"
_COMPOSITION: Final = b"dnapredict.composition"
_SUMS: Final = b"dnapredict.group_sums"
_TESTED_FROM: Final = b"dnapredict.test_from"
# Share of an earlier audit's appointments, with the same outcome, that a later one must hold to replace it.
LEAST_COVERED: Final = 0.98


@dataclass(frozen=True)
class RecordedOutcomes:
    """Appointments with their outcomes.

    Attributes
    ----------
    appointment : (n,) string
        Identifiers of the appointments.
    outcome : (n,) int8
        MISSED, ATTENDED, CANCELLED or NO_OUTCOME.
    day : (n,) datetime64[D]
        The clinic's local day.
    groups
        Contract columns from which groups are made, n rows; None where they are not known.
    """

    appointment: pa.ChunkedArray
    outcome: NDArray[np.int8]
    day: NDArray[np.datetime64]
    groups: pa.Table | None = None
    _keyed: dict[bytes, NDArray[np.uint64]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def fingerprints(self, secret: bytes) -> NDArray[np.uint64]:
        """A keyed fingerprint of each appointment, 64 bits of BLAKE2b; computed once for each secret.

        Not those of `holdout_store`, which hash twice: a million take 0.8 s here and 4 s there.
        """
        if secret not in self._keyed:
            digests = bytearray()
            for start in range(0, len(self.appointment), _HASHED_AT_ONCE):
                names = self.appointment.slice(start, _HASHED_AT_ONCE).to_pylist()
                digests += b"".join([blake2b(name.encode(), digest_size=8, key=secret).digest() for name in names])
            self._keyed[secret] = np.frombuffer(bytes(digests), dtype="<u8")
        return self._keyed[secret]

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """Whether each was missed or attended."""
        return np.isin(self.outcome, (MISSED, ATTENDED))


@dataclass(frozen=True)
class TrainingExtract:
    """The appointments of an extract that a model was trained and tested on.

    `counts` has a table for each contract column from which groups are made: its values, `day`, `missed`, and `n`, the
    number of appointments that were attended or missed.
    """

    appointments: RecordedOutcomes
    counts: Mapping[str, pa.Table]


def keep_training(home: Path, extract: TrainingExtract, *, digest: str, test_from: datetime.date) -> str:
    """Keep what the model with that manifest was trained and tested on; returns the SHA-256 of the file.

    Raises
    ------
    StoreError
        If it cannot be written, or the secret of the home is damaged.
    """
    from dnapredict.fairness.measure.coverage import composition  # imports libraries that take seconds

    rows = extract.appointments
    keys = rows.fingerprints(holdout_store.secret(home))
    counts = composition(extract.counts, since=test_from)
    columns = {
        "appointment": keys,
        "day": rows.day.astype("datetime64[D]"),
        "outcome": rows.outcome,
    }
    metadata = {_COMPOSITION: json.dumps(counts).encode(), _TESTED_FROM: test_from.isoformat().encode()}
    has_groups = rows.groups is not None and rows.groups.num_columns > 0
    metadata |= {_SUMS: _sums_of_test(rows, keys, test_from)} if has_groups else {}
    path = _training_file(home, digest)
    private_folder(path.parent)
    with write_atomically(path) as draft:
        pq.write_table(pa.table(columns).replace_schema_metadata(metadata), draft)
    return file_sha256(path)


def _sums_of_test(rows: RecordedOutcomes, keys: NDArray[np.uint64], test_from: datetime.date) -> bytes:
    """The `group_sums` of the appointments that the model was tested on, compressed."""
    from dnapredict.fairness.measure.coverage import group_sums

    assert rows.groups is not None  # noqa: S101 - for the type
    tested = rows.labelled & (rows.day >= np.datetime64(test_from))
    sums = group_sums(rows.groups.filter(pa.array(tested)), rows.outcome[tested] == MISSED, keys[tested])
    return zlib.compress(json.dumps([[*cell, values.tolist()] for cell, values in sums.items()]).encode())


def _kept_sums(metadata: Mapping[bytes, bytes]) -> "dict[Cell, NDArray[np.int64]]":
    """What `_sums_of_test` kept; empty in a file of an earlier release."""
    kept = json.loads(zlib.decompress(metadata[_SUMS])) if _SUMS in metadata else []
    return {(name, code, outcome): np.array(values, dtype=np.int64) for name, code, outcome, values in kept}


def coverage(home: Path, audited: RecordedOutcomes, *, digest: str, version: str, sha256: str) -> "Coverage | None":
    """What the labelled appointments of an audit cover of the model's test.

    Parameters
    ----------
    sha256
        Digest of the file that the training kept; "" for one of a release that kept none: then only the test set that
        is kept to compare models is held against the audit. None where that was not kept either.

    Raises
    ------
    StoreError
        If the file is missing or was changed.
    """
    from dnapredict.fairness.measure.coverage import Coverage, coverage_cells  # imports libraries that take seconds

    if not sha256:
        return _covered_by_holdout(home, audited, digest=digest, version=version)
    keys = audited.fingerprints(holdout_store.secret(home))
    table = _training_table(_training_file(home, digest), version=version, sha256=sha256)
    kept = _Kept.of(
        table["appointment"].to_numpy(), table["outcome"].to_numpy(), table["day"].to_numpy().astype("datetime64[D]")
    )
    metadata = table.schema.metadata
    test_from = np.datetime64(metadata[_TESTED_FROM].decode())
    tested = kept.labelled & (kept.day >= test_from)
    at = kept.places(keys)
    known = at >= 0
    was, day = kept.outcome[at], kept.day[at]
    same_day, same_outcome = known & (day == audited.day), known & (was == audited.outcome)
    found = same_day & same_outcome & tested[at]
    # An appointment without outcome when the model was trained has one by now; any other change is no matter of time.
    late = same_day & (was == NO_OUTCOME)
    in_test = (audited.day >= test_from) & (audited.day <= np.append(kept.day[tested], test_from).max())
    trained = known & kept.labelled[at] & (day < test_from)
    foreign = ((in_test & ~found & ~late) | trained) & ~(same_day & tested[at])
    cells = coverage_cells(
        json.loads(metadata[_COMPOSITION]),
        audited.groups if audited.groups is not None else pa.table({}),
        audited.outcome == MISSED,
        found=found,
        foreign=foreign,
        keys=keys,
        sums=_kept_sums(metadata),
    )
    return Coverage(
        tested=int(tested.sum()),
        found=int(found.sum()),
        changed=int((same_day & tested[at] & ~same_outcome).sum()),
        moved=int((known & tested[at] & ~same_day).sum()),
        audited=len(keys),
        foreign=int(foreign.sum()),
        cells=tuple(cells),
    )


def _training_table(path: Path, *, version: str, sha256: str) -> pa.Table:
    if not path.is_file() or file_sha256(path) != sha256:
        raise StoreError(
            f"{path}: is missing or was changed. It holds which appointments version {version} was tested on, and no "
            "audit of the version counts without it. Restore the folder tested of the home from a backup, or train "
            "again."
        )
    return pq.read_table(path)


def _covered_by_holdout(home: Path, audited: RecordedOutcomes, *, digest: str, version: str) -> "Coverage | None":
    from dnapredict.fairness.measure.coverage import Coverage

    try:
        tested = holdout_store.kept(home, digest=digest, version=version).cohort
    except ModelError:
        return None
    if tested.appointment is None:
        return None
    keys = holdout_store.fingerprints(home, appointment_keys(audited.appointment))
    outcome = np.where(tested.dna, MISSED, ATTENDED)
    kept = _Kept.of(tested.appointment, outcome, tested.starts_at.astype("datetime64[D]"))
    at = kept.places(keys)
    known = at >= 0
    # Its days are UTC's and those of the audit the clinic's.
    same_day = known & (np.abs((kept.day[at] - audited.day).astype(int)) <= 1)
    same_outcome = known & (kept.outcome[at] == audited.outcome)
    return Coverage(
        tested=len(tested),
        found=int((same_day & same_outcome).sum()),
        changed=int((same_day & ~same_outcome).sum()),
        moved=int((known & ~same_day).sum()),
        audited=len(keys),
        foreign=0,
    )


@dataclass(frozen=True)
class _Kept:
    """Kept appointments, ordered by fingerprint."""

    appointment: NDArray[np.uint64]
    outcome: NDArray[np.int64]
    day: NDArray[np.datetime64]

    @classmethod
    def of(cls, appointment: NDArray[np.uint64], outcome: NDArray[np.int64], day: NDArray[np.datetime64]) -> "_Kept":
        order = np.argsort(appointment)
        return cls(appointment[order], outcome[order], day[order])

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """Whether each was missed or attended."""
        return np.isin(self.outcome, (MISSED, ATTENDED))

    def places(self, wanted: NDArray[np.uint64]) -> NDArray[np.int64]:
        """The position of each fingerprint, -1 where it was not kept."""
        if not len(self.appointment):
            return np.full(len(wanted), -1)
        at = np.minimum(np.searchsorted(self.appointment, wanted), len(self.appointment) - 1)
        return np.where(self.appointment[at] == wanted, at, -1)


def keep_audited(home: Path, audited: RecordedOutcomes) -> str:
    """Keep which appointments an audit was made of, with their outcomes; returns the name, a SHA-256.

    Raises
    ------
    StoreError
        If they cannot be written.
    """
    content = _with_outcome(audited.fingerprints(holdout_store.secret(home)), audited.outcome).tobytes()
    name = hashlib.sha256(content).hexdigest()
    path = _audits(home) / name
    if not path.exists():
        private_folder(path.parent)
        with write_atomically(path) as draft:
            draft.write_bytes(content)
    return name


def kept_files(home: Path, data: Mapping[str, str]) -> dict[Path, str]:
    """The files that a training or an audit with that data in the ledger rests on, with their SHA-256."""
    found: dict[Path, str] = {}
    if coverage_sha256 := data.get("coverage", ""):
        found[_training_file(home, data["model"])] = coverage_sha256
    if name := data.get("appointments", ""):
        found[_audits(home) / name] = name
    return found


class _LedgerItem(Protocol):
    """An entry of the ledger of decisions (which knows the folders of this module)."""

    @property
    def kind(self) -> str: ...

    @property
    def when(self) -> str: ...

    def __getitem__(self, key: str) -> str: ...


def files_of(home: Path, entry: _LedgerItem) -> dict[Path, str]:
    """The files that a training or an audit in the ledger rests on, with their SHA-256; none for another entry."""
    # `coverage` of an audit is a share.
    names = {"training": ("model", "coverage"), "audit": ("appointments",)}.get(entry.kind, ())
    return kept_files(home, {name: entry[name] for name in names})


def files_past_retention(
    home: Path, entries: Iterable[_LedgerItem], *, before: datetime.datetime, kept: frozenset[str]
) -> list[Path]:
    """The files of trainings and audits before that moment, but for models whose `content` is in `kept`.

    The ledger says when: a copy changes the times of a file.
    """
    due: set[Path] = set()
    needed: set[Path] = set()
    for entry in entries:
        files = set(files_of(home, entry))
        files |= {holdout_store.file_of(home, entry["model"])} if entry.kind == "training" else set()
        is_due = datetime.datetime.fromisoformat(entry.when) < before and entry["content"] not in kept
        (due if is_due else needed).update(files)
    return sorted(path for path in due - needed if path.is_file())


def unrecorded_files(home: Path, entries: Iterable[_LedgerItem]) -> list[Path]:
    """The files that no training or audit of the ledger names: those of a run that was killed before its entry.

    Left out are files of the last hour, which a run may be about to enter.
    """
    named: set[Path] = set()
    for entry in entries:
        named |= {*files_of(home, entry), holdout_store.file_of(home, entry["model"])}
    folder = home / holdout_store.FOLDER
    kept = [*folder.glob("[!.]*.parquet"), *folder.glob(f"{COVERAGE}/[!.]*.parquet"), *folder.glob(f"{AUDITS}/[!.]*")]
    return sorted(path for path in kept if path not in named and is_abandoned(path.stat().st_mtime))


def removed_files(home: Path, entries: Iterable[_LedgerItem]) -> frozenset[Path]:
    """The files that retention has deleted, as the ledger says."""
    named = (name for entry in entries if entry.kind == "removal" for name in json.loads(entry["files"]))
    return frozenset(home / holdout_store.FOLDER / name for name in named)


def is_covered(home: Path, earlier: str, *, by: str) -> bool:
    """Whether the audit `by` holds the appointments of an earlier one, those missed and those attended each.

    False where what an audit was made of is not kept, or was changed.
    """
    if earlier == by:
        return _audited(home, by) is not None
    before, now = _audited(home, earlier), _audited(home, by)
    if before is None or now is None:
        return False
    held = np.isin(before, now, assume_unique=True)
    outcomes = [(before & np.uint64(1)) == outcome for outcome in (MISSED, ATTENDED)]
    return all(held[rows].mean() >= LEAST_COVERED for rows in outcomes if rows.any())


def _audited(home: Path, name: str) -> NDArray[np.uint64] | None:
    try:
        content = (_audits(home) / name).read_bytes()
    except OSError:
        return None
    if hashlib.sha256(content).hexdigest() != name:
        return None
    return np.frombuffer(content, dtype="<u8")


def _with_outcome(keys: NDArray[np.uint64], outcome: NDArray[np.int8]) -> NDArray[np.uint64]:
    marked = (keys & ~np.uint64(1)) | (outcome == MISSED).astype(np.uint64)
    return np.unique(marked).astype("<u8")


def _training_file(home: Path, digest: str) -> Path:
    return home / holdout_store.FOLDER / COVERAGE / f"{digest}.parquet"


def _audits(home: Path) -> Path:
    return home / holdout_store.FOLDER / AUDITS

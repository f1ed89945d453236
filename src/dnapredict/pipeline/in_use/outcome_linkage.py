"""Bring outcomes back: what became of the appointments that were scored, in the outcome store of the home."""

import datetime
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dnapredict.config.fairness_policy import Disclosure, Policy
from dnapredict.config.loading import load, shipped
from dnapredict.config.service_config import Retention
from dnapredict.config.training_config import Setting
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.files.atomic_write import close_to_others, private_folder
from dnapredict.data.files.digests import keyed_hash, read_or_make
from dnapredict.data.files.file_lock import locked
from dnapredict.data.files.loss_marks import mark_of
from dnapredict.data.files.temporary_folder import PREFIX
from dnapredict.data.retention_clock import is_clock_believed
from dnapredict.data.small_numbers import publish_count
from dnapredict.data.validation.checked import Checked
from dnapredict.errors import StoreError
from dnapredict.features.scoring_clock import LabelRule
from dnapredict.pipeline.run_inputs import sound_extract
from dnapredict.worklist.calls.calls_ledger import Ledger
from dnapredict.worklist.calls.recorded_calls import CallRecords, RecordedCalls
from dnapredict.worklist.follow_up.hash_ranges import HashRanges, may_be_scored
from dnapredict.worklist.follow_up.outcome_join import EXTRACT_SCHEMA, JoinCounts, JoinSources, OutcomeJoin
from dnapredict.worklist.follow_up.outcome_store import FOLDER, GROUP_COLUMNS, OutcomeStore
from dnapredict.worklist.follow_up.scored_rows import ScoredFiles

_LOCK: Final = "outcomes.lock"
_ROWS_AT_ONCE: Final = 100_000
# What the engine may hold of an extract, and of the join, before it goes to disk.
_MEMORY: Final = "1GB"
_READ: Final = ("starts_at", "booked_at", "outcome_code", "recorded_at", "contacted", *GROUP_COLUMNS.names)
EXTRACT_COLUMNS: Final = ("appointment_id", "patient_id", *_READ)
"""The contract columns of an extract that are joined, and kept where the appointment was scored."""


@dataclass(frozen=True)
class OutcomeSummary:
    """What came back: exact counts, and what could not be joined. Print `sentences`, which round them.

    `rejected` rows of the extract broke the contract; a repeated appointment counts once.
    """

    counts: JoinCounts
    rejected: int
    notices: tuple[str, ...] = ()

    def sentences(self) -> Iterator[str]:
        """What was done, in words; small counts are hidden and others rounded."""
        counts = self.counts
        yield (
            f"The outcome store holds {count_words(counts.rows)} scored appointments; of "
            f"{count_words(counts.known)} the outcome is known."
        )
        yield f"New outcomes: {count_words(counts.new)}. Outcomes that are another now: {count_words(counts.changed)}."
        yield (
            f"Appointments with a recorded call: {count_words(counts.called)}; patients reached: "
            f"{count_words(counts.reached)}."
        )
        if counts.other_patient:
            yield (
                f"The patient has another number than when they were scored: {count_words(counts.other_patient)} "
                "appointments. The number in the extract counts."
            )
        if counts.late:
            yield f"Scored after they began, and so left out: {count_words(counts.late)} appointments."
        yield from self.notices

    def as_dict(self) -> dict[str, Any]:
        """The rounded counts, None where one is hidden, for a program."""
        counts = vars(self.counts) | {"rejected": self.rejected}
        return {name: publish_count(n, _disclosure()) for name, n in counts.items()} | {"notices": list(self.notices)}


def outcomes(
    path: Path,
    *,
    home: Path,
    setting: Setting,
    records: CallRecords | None = None,
    retention: Retention = Retention(),  # noqa: B008 - frozen
) -> tuple[OutcomeSummary, Checked]:
    """Join the extract at `path` to what was scored and called in `home`, and write the outcome store.

    `records` is the scoring log; without it, only the calls database says who was called.

    Raises
    ------
    DataError
        If the extract cannot be used.
    StoreError
        If nothing was scored in this home yet; or the store is damaged or cannot be written. It stays as it was.
    """
    with Workspace(memory_limit=_MEMORY) as workspace:
        checked = sound_extract(path, setting, workspace)
        require_scored(home, records)
        rejected = checked.rejected.num_rows
        return bring_back(
            checked.rows, rejected=rejected, home=home, setting=setting, records=records, retention=retention
        ), checked


def require_scored(home: Path, records: CallRecords | None) -> None:
    """Refuse a home in which nothing was scored.

    Raises
    ------
    StoreError
    """
    if not was_scored(home, records):
        raise StoreError(
            f"{home}: nothing was scored here yet, so that no outcome can come back. Run 'dnapredict score LIST' "
            "or 'dnapredict serve' first."
        )


def count_words(count: int) -> str:
    """A count in words, rounded, or "a few" where it may point at a patient."""
    shown = publish_count(count, _disclosure())
    return "a few" if shown is None else f"{shown:,}"


def was_scored(home: Path, records: CallRecords | None = None) -> bool:
    """Whether an appointment was ever scored in the home."""
    is_on_file = bool(ScoredFiles(home).lists()) or OutcomeStore(home).exists
    return is_on_file or (records is not None and any(True for _ in records.answers()))


def bring_back(
    extract: ir.Table,
    *,
    rejected: int,
    home: Path,
    setting: Setting,
    records: CallRecords | None = None,
    retention: Retention = Retention(),  # noqa: B008 - frozen
) -> OutcomeSummary:
    """Join rows of an extract to what was scored and called in `home`, as `outcomes` does.

    Parameters
    ----------
    extract
        A table of a workspace with valid rows and the columns `EXTRACT_COLUMNS`.
    rejected
        How many rows of the extract broke the contract.

    Raises
    ------
    StoreError
        If the store is damaged or cannot be written, another process writes it, or a secret is lost.
    """
    close_to_others(home)
    folder = private_folder(home / FOLDER)
    with locked(folder / _LOCK, busy_message=f"{folder}: another process is bringing outcomes back. Wait for it."):
        _remove_what_a_killed_process_left(folder)
        store, files = OutcomeStore(home), ScoredFiles(home)
        secret = hashing_secret(home, used=bool(files.lists()) or store.exists)
        readable, notices = _readable(files, check=keyed_hash(secret, "secret", "check"))
        if store.exists:
            store.verify()
        with Workspace(folder=folder, memory_limit=_MEMORY) as workspace:
            sources = JoinSources(store, HashRanges.for_rows(readable.rows + _rows_in(store)), workspace)
            prefixes = sources.add_scored(readable.lists, () if records is None else records.answers())
            sources.add_challenger(readable.challenger)
            for rows in _extract_rows(extract, prefixes, secret, LabelRule(setting.training.dna_codes)):
                sources.add_extract(rows)
            del prefixes
            join = OutcomeJoin(sources, RecordedCalls(Ledger(home).all_calls(records)), workspace)
            is_believed = is_clock_believed(home)
            store.write_in_order(_kept(rows, retention.outcome_days) if is_believed else rows for rows in join.rows())
            counts = join.counts
    return OutcomeSummary(counts, rejected, notices)


@dataclass(frozen=True)
class _Readable:
    lists: list[Path]
    challenger: list[Path]

    @property
    def rows(self) -> int:
        """Rows of all lists."""
        return sum(pq.read_metadata(path).num_rows for path in self.lists)


def hashing_secret(home: Path, *, used: bool) -> bytes:
    """The secret of the scoring log, with which all is hashed.

    Raises
    ------
    SecretError
        If it is missing although appointments were hashed with it, or damaged.
    """
    used_for = "scored appointments were hashed with it, so that no outcome can be joined to them" if used else ""
    return read_or_make(home / "scoring-log.secret", used_for=used_for)


def _readable(files: ScoredFiles, *, check: str) -> tuple[_Readable, tuple[str, ...]]:
    """The files that are as they were written and hashed with the present secret, and what is wrong with others."""
    damaged, foreign = set(files.damaged()), set[Path]()
    for path in {*files.lists(), *files.challenger()} - damaged:
        if not files.is_hashed_with(path, check):
            foreign.add(path)
    left_out = damaged | foreign
    notices = []
    if lost := set(files.lost()):
        first = min(lost)
        notices.append(
            f"{first}: is missing, so that what it held is not joined{_more(lost)}. Restore it from a backup; if "
            f"there is none, remove {mark_of(first).name}."
        )
    if damaged:
        first = min(damaged)
        notices.append(f"{first}: is damaged, and left out{_more(damaged)}. Restore it from a backup, or score again.")
    if foreign:
        notices.append(
            f"{min(foreign)}: was hashed with another secret than this home has now, and cannot be joined"
            f"{_more(foreign)}. Restore scoring-log.secret from a backup."
        )
    kept = _Readable(
        [path for path in files.lists() if path not in left_out],
        [path for path in files.challenger() if path not in left_out],
    )
    return kept, tuple(notices)


def _more(paths: set[Path]) -> str:
    return f", and {len(paths) - 1:,} more" if len(paths) > 1 else ""


def _rows_in(store: OutcomeStore) -> int:
    return store.num_rows if store.exists else 0


def _remove_what_a_killed_process_left(folder: Path) -> None:
    """Remove the temporary folders of earlier joins; the lock says that none is running."""
    for left in folder.glob(f"{PREFIX}*"):
        shutil.rmtree(left, ignore_errors=True)


def _extract_rows(
    extract: ir.Table, prefixes: NDArray[np.uint64], secret: bytes, outcomes: LabelRule
) -> Iterator[pa.Table]:
    """The rows of the extract whose appointment was scored, with hashes in place of identifiers.

    Of those that were not, few are left.
    """
    query = f"SELECT {', '.join(EXTRACT_COLUMNS)} FROM {extract.get_name()}"
    for batch in extract.get_backend().con.sql(query).to_arrow_reader(_ROWS_AT_ONCE):
        read = pa.table(batch)
        hashed = pa.chunked_array([keyed_hashes(read["appointment_id"], secret, "appointment")])
        is_scored = pa.array(may_be_scored(hashed, prefixes))
        rows, appointment = read.filter(is_scored), hashed.filter(is_scored)
        columns = {name: rows[name] for name in _READ} | {
            "appointment": appointment,
            "patient": keyed_hashes(rows["patient_id"], secret, "patient"),
            "missed": _missed(rows["outcome_code"], outcomes),
        }
        yield pa.table([columns[f.name].cast(f.type) for f in EXTRACT_SCHEMA], schema=EXTRACT_SCHEMA)


def keyed_hashes(values: pa.Array | pa.ChunkedArray, secret: bytes, kind: str) -> pa.Array:
    """The keyed hash of each value of a kind, "appointment" or "patient"; null where there is none."""
    texts = values.cast(pa.string()).to_pylist()
    return pa.array((None if text is None else keyed_hash(secret, kind, text) for text in texts), pa.string())


def _missed(codes: pa.ChunkedArray, outcomes: LabelRule) -> pa.ChunkedArray:
    """Whether an appointment was missed; null where it was neither missed nor attended."""
    has_label = pc.is_in(codes, pa.array([*outcomes.dna_codes, *outcomes.came_codes]))
    return pc.if_else(has_label, pc.is_in(codes, pa.array(outcomes.dna_codes)), pa.scalar(None, pa.bool_()))


def _kept(rows: pa.Table, days: int) -> pa.Table:
    """The rows of appointments that are not past their retention."""
    now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    return rows.filter(
        pc.greater(rows["starts_at"], pa.scalar(now - datetime.timedelta(days=days), pa.timestamp("us")))
    )


def _disclosure() -> Disclosure:
    return load(shipped("fairness/policy.toml"), Policy).disclosure

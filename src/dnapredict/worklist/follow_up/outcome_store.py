"""The outcome store of a home: one row for each scored appointment, with its risk, its calls and its outcome.

Appointments and patients are keyed hashes (HMAC-SHA-256). Groups (age, deprivation, ethnic category and others) are as
in the extract from which the outcome was read, by the names and codes of the contract. Times are UTC
without a zone; `scored_at` is when the list was scored.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from dnapredict.data.files.atomic_write import write_atomically
from dnapredict.data.files.digests import UNSEALED, is_intact_file, seal, seal_of
from dnapredict.data.files.loss_marks import is_lost, loss_message, mark_made, mark_of
from dnapredict.data.files.newest_marks import NewestMark, NewestState
from dnapredict.errors import StoreError
from dnapredict.worklist.files.worklist_files import rebatch

FOLDER: Final = "outcomes"
"""The folder of a home with what was scored and what came of it."""

GROUP_COLUMNS: Final = pa.schema(
    [
        ("provider_code", pa.string()),
        ("site_code", pa.string()),
        ("clinic_code", pa.string()),
        ("treatment_function_code", pa.string()),
        ("consultation_mechanism_code", pa.string()),
        ("first_attendance_code", pa.string()),
        ("age_years", pa.float64()),
        ("gender_code", pa.string()),
        ("imd_decile", pa.int64()),
        ("ethnic_category_code", pa.string()),
        ("disability_flag", pa.string()),
        ("interpreter_needed", pa.bool_()),
        ("has_mobile", pa.bool_()),
        ("plus_group", pa.string()),
    ]
)
"""The columns of the contract by which effects and alarms are reported."""

OUTCOME_SCHEMA: Final = pa.schema(
    [
        ("appointment", pa.string()),
        ("patient", pa.string()),
        # The last list with the appointment before its calls ended; a later export replaces an earlier one. In a trial,
        # the first list that gave the appointment an arm.
        ("list_id", pa.string()),
        ("scored_at", pa.timestamp("us")),
        ("starts_at", pa.timestamp("us")),
        ("booked_at", pa.timestamp("us")),
        ("model_version", pa.string()),
        ("probability", pa.float64()),
        ("challenger_version", pa.string()),
        ("challenger_probability", pa.float64()),
        ("rank", pa.int64()),
        # Whether the list planned a call, and the day on which it was due.
        ("selected", pa.bool_()),
        ("call_by", pa.date32()),
        # The trial that the appointment was allocated in, its stratum and its arm (codes.TRIAL_ARM); null without one.
        ("trial", pa.string()),
        ("stratum", pa.string()),
        ("trial_arm", pa.string()),
        # Calls that were recorded before the appointment, by any list; `call_outcome` is the last one's code.
        ("attempts", pa.int64()),
        ("reached", pa.bool_()),
        ("opted_out", pa.bool_()),
        ("call_outcome", pa.string()),
        ("barrier", pa.string()),
        ("offered", pa.string()),
        # From the extract; null while it is not recorded. `outcome_code` has the contract's codes.
        ("outcome_code", pa.string()),
        ("missed", pa.bool_()),
        ("recorded_at", pa.timestamp("us")),
        # `calls` or `extract`: where `contacted` came from. The extract's own value comes first.
        ("contacted", pa.bool_()),
        ("contacted_source", pa.string()),
        *((field.name, field.type) for field in GROUP_COLUMNS),
    ]
)
"""The columns of the store. Null means not known."""

_FILE: Final = "outcomes.parquet"
_WITHOUT_BACKUP: Final = "and run 'dnapredict outcomes EXTRACT' again with all extracts since the first list"
# Hashes do not compress as runs or dictionaries, but their hexadecimal digits do.
_COMPRESSION: Final = "zstd"
# What a writer or a reader in parts holds at once; the file's bytes depend on it.
_ROW_GROUP: Final = 131_072
_TRIES: Final = 3
MARK: Final = "outcomes"
"""The name of the mark of the newest store, which names the store by its seal and not by a count."""


@dataclass(frozen=True)
class OutcomeStore:
    """The outcome store of one home, a Parquet file with a seal that is replaced as a whole."""

    home: Path

    @property
    def path(self) -> Path:
        """The file of the store."""
        return self.home / FOLDER / _FILE

    @property
    def exists(self) -> bool:
        """Whether outcomes were read in this home, also where the file is lost: then `read` raises."""
        return self.path.is_file() or is_lost(self.path)

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows of the store, by appointment, after checking that the file is as it was written.

        Parameters
        ----------
        columns
            Names of `OUTCOME_SCHEMA` to read; by default all.

        Returns
        -------
        Table with those columns of `OUTCOME_SCHEMA`, one row an appointment. A column that an earlier release did not
        write is null.

        Raises
        ------
        StoreError
            If there is no store yet, or it is damaged.
        """
        self.verify()
        try:
            table = pq.read_table(self.path) if columns is None else pq.read_table(self.path, columns=list(columns))
        except (OSError, pa.ArrowException):
            raise self._damaged() from None
        return _as_schema(table, OUTCOME_SCHEMA.names if columns is None else columns)

    def verify(self) -> None:
        """Check that the file is as it was written; it is read in parts.

        Raises
        ------
        StoreError
            If there is no store yet, or it is damaged.
        """
        if not self.exists:
            raise StoreError(
                f"{self.path}: no outcomes were read in this home yet. Run 'dnapredict outcomes EXTRACT' with an "
                "extract of past appointments."
            )
        if is_lost(self.path):
            raise StoreError(loss_message(self.path, what="the outcome store", without_backup=_WITHOUT_BACKUP))
        try:
            is_intact = is_intact_file(self.path, name=self.path.stem)
        except OSError:
            raise self._damaged() from None
        if not is_intact:
            raise self._damaged()
        self._require_newest()

    def _require_newest(self) -> None:
        for _ in range(_TRIES):  # another process may replace the file between the two
            found, newest = seal_of(self.path), self._mark.read()
            if newest is None or found in (newest.seal, newest.before):
                return
        raise self._mark.older(str(self.path))

    @property
    def _mark(self) -> NewestMark:
        loses = "outcomes since then are missing until 'dnapredict outcomes EXTRACT' reads them again"
        return NewestMark(self.home, MARK, "the outcome store", loses)

    def batches(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Those columns of a verified store, by appointment, so many rows at a time."""
        with pq.ParquetFile(self.path) as file:
            present = [name for name in columns if name in file.schema_arrow.names]
            for batch in file.iter_batches(_ROW_GROUP, columns=present):
                yield _as_schema(pa.Table.from_batches([batch]), columns)

    def read_between(
        self, first: str, end: str | None, *, columns: Sequence[str] = tuple(OUTCOME_SCHEMA.names)
    ) -> pa.Table:
        """The rows of a verified store from appointment `first` to before `end`, or to the last where that is None.

        `columns` are names of `OUTCOME_SCHEMA`; by default all.
        """
        within = [("appointment", ">=", first), *([] if end is None else [("appointment", "<", end)])]
        present = [name for name in columns if name in pq.read_schema(self.path).names]
        return _as_schema(pq.read_table(self.path, filters=within, columns=present), columns)

    @property
    def num_rows(self) -> int:
        """Rows of a verified store."""
        return int(pq.read_metadata(self.path).num_rows)

    def write(self, table: pa.Table) -> None:
        """Replace the store by the rows of `table`, which has the columns of `OUTCOME_SCHEMA`, by appointment.

        The same rows give the same bytes, in whatever order they come.

        Raises
        ------
        StoreError
            If the home cannot be written to; the earlier store stays.
        """
        self.write_in_order([table.sort_by("appointment")])

    def write_in_order(self, tables: Iterable[pa.Table]) -> None:
        """Replace the store by the rows of several tables, which follow each other by appointment.

        The bytes do not depend on how the rows are divided into tables.

        Raises
        ------
        StoreError
            If the home cannot be written to; the earlier store stays.
        """
        schema = OUTCOME_SCHEMA.with_metadata(UNSEALED)
        rows = (table.select(OUTCOME_SCHEMA.names).cast(OUTCOME_SCHEMA) for table in tables)
        with write_atomically(self.path) as draft:
            with pq.ParquetWriter(draft, schema, compression=_COMPRESSION) as writer:
                for part in rebatch(rows, rows=_ROW_GROUP):
                    # Of one chunk, since pages end where chunks do.
                    writer.write_table(part.combine_chunks(), row_group_size=_ROW_GROUP)
            seal(draft, name=self.path.stem)
            newest = NewestState(number=1, seal=seal_of(draft))
            before = seal_of(self.path) if self.path.exists() else ""
            self._mark.announce(newest.model_copy(update={"before": before}))
        mark_made(self.path)
        self._mark.note(newest)

    def _damaged(self) -> StoreError:
        return StoreError(
            f"{self.path}: is damaged; it is not what was written. Remove it and {mark_of(self.path).name}, "
            f"{_WITHOUT_BACKUP}."
        )


def _as_schema(table: pa.Table, names: Sequence[str]) -> pa.Table:
    fields = [OUTCOME_SCHEMA.field(name) for name in names]
    known = set(table.column_names)
    columns = [table[field.name] if field.name in known else pa.nulls(table.num_rows, field.type) for field in fields]
    return pa.table(columns, schema=pa.schema(fields))

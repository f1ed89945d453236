"""What was scored: a row for each appointment of each list, kept until its outcome is known.

Every list leaves a file in `outcomes/scored/` of the home, whichever door it came through. Appointments and patients
are keyed hashes, with the secret of the scoring log, so that calls and outcomes can be joined. Nothing else says who a
patient is.

A file is named after the time of scoring and the list. A row that is scored again on its list has a file of its own.
The risks by the challenger are a second file, `-challenger`, since it scores a list after it is delivered.
"""

import contextlib
import datetime
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dnapredict.data.files.atomic_write import write_atomically
from dnapredict.data.files.digests import UNSEALED, is_intact_file, seal
from dnapredict.data.files.loss_marks import MADE, is_lost, mark_made, mark_of
from dnapredict.errors import StoreError
from dnapredict.worklist.files.kept_list import ListIdentity
from dnapredict.worklist.follow_up.outcome_store import FOLDER, OUTCOME_SCHEMA
from dnapredict.worklist.plan.call_plan import CallPlan

_OF_PLAN: Final = ("trial", "stratum", "trial_arm")
_NAMES: Final = (
    *("appointment", "patient", "list_id", "scored_at", "starts_at", "booked_at", "model_version", "probability"),
    *("rank", "selected", "call_by", *_OF_PLAN),
)
SCORED_SCHEMA: Final = pa.schema([OUTCOME_SCHEMA.field(name) for name in _NAMES])
"""The columns of a scored list, as in the outcome store."""

_BY_CHALLENGER: Final = ("appointment", "list_id", "scored_at", "challenger_version", "challenger_probability")
CHALLENGER_SCHEMA: Final = pa.schema([OUTCOME_SCHEMA.field(name) for name in _BY_CHALLENGER])
"""The columns of the risks by the challenger."""

_NAMED: Final = re.compile(r"(\d{8}T\d{12})-[0-9a-f]{16}(-challenger)?")
_TIME: Final = "%Y%m%dT%H%M%S%f"
_CHALLENGER: Final = "-challenger"
_HASHED_WITH: Final = b"dnapredict.hashed-with"

Hash = Callable[[str, str], str]
"""The keyed hash of a value of a kind, "appointment" or "patient"."""


@dataclass(frozen=True)
class ScoredRows:
    """The scored rows of one home; `hashed` gives keyed hashes with the secret of its scoring log."""

    home: Path
    hashed: Hash

    def record(
        self, inputs: pa.Table, plan: CallPlan, *, identity: ListIdentity, model_version: str
    ) -> tuple[str, ...]:
        """Record the rows of a scored list.

        Parameters
        ----------
        inputs
            `appointment_id`, `patient_id`, `starts_at`, `booked_at` and `probability` of each valid row.

        Returns
        -------
        A notice if they cannot be recorded: the list is delivered all the same.
        """
        try:
            rows = self._rows(inputs, plan, identity=identity, model_version=model_version)
            self._write(rows, identity)
        except StoreError as error:
            return (f"What was scored on this list is not recorded, so that its outcomes will not be known. {error}",)
        return ()

    def record_challenger(self, scored: Sequence[tuple[pa.Table, ListIdentity]], *, version: str) -> None:
        """Record the risks by the challenger: `appointment_id` and `probability` of each, and the list.

        They share a file. The id of an answer about a single appointment, which is on no list, is "".

        Raises
        ------
        StoreError
            If that cannot be written.
        """
        tables = [self._challenger_rows(risks, identity, version) for risks, identity in scored]
        if tables:
            first = scored[0][1]
            # A name of its own, since several answers share a file.
            name = first if len(scored) == 1 and first.list_id else ListIdentity.new()
            self._write(pa.concat_tables(tables), name, ending=_CHALLENGER)

    def _challenger_rows(self, risks: pa.Table, identity: ListIdentity, version: str) -> pa.Table:
        n = risks.num_rows
        columns = {
            "appointment": self._hashes("appointment", risks["appointment_id"]),
            "list_id": pa.array([identity.list_id or None] * n, pa.string()),
            "scored_at": _repeated(identity.scored_at, n),
            "challenger_version": pa.array([version] * n, pa.string()),
            "challenger_probability": risks["probability"],
        }
        return pa.table(columns, schema=CHALLENGER_SCHEMA)

    def _rows(self, inputs: pa.Table, plan: CallPlan, *, identity: ListIdentity, model_version: str) -> pa.Table:
        n, planned, is_alone = inputs.num_rows, plan.table, identity.row_called is not None
        columns = {
            "appointment": self._hashes("appointment", inputs["appointment_id"]),
            "patient": self._hashes("patient", inputs["patient_id"]),
            "list_id": pa.array([identity.list_id] * n, pa.string()),
            "scored_at": _repeated(identity.scored_at, n),
            "starts_at": inputs["starts_at"],
            "booked_at": inputs["booked_at"],
            "model_version": pa.array([model_version] * n, pa.string()),
            "probability": inputs["probability"],
            # The plan of one row alone says nothing about its place on the list.
            "rank": pa.nulls(n, pa.int64()) if is_alone else planned["rank"],
            "selected": pa.array([identity.row_called] * n) if is_alone else planned["selected"],
            "call_by": pa.array(plan.call_by.astype("datetime64[D]")),
        }
        known = set(planned.column_names)
        columns |= {name: planned[name] if name in known else pa.nulls(n, pa.string()) for name in _OF_PLAN}
        fields = [columns[field.name].cast(field.type) for field in SCORED_SCHEMA]
        return pa.table(fields, schema=SCORED_SCHEMA)

    def _hashes(self, kind: str, values: pa.ChunkedArray) -> pa.Array:
        hashed = self.hashed
        texts = values.cast(pa.string()).to_pylist()
        return pa.array((None if text is None else hashed(kind, text) for text in texts), pa.string(), size=len(texts))

    def _write(self, rows: pa.Table, identity: ListIdentity, *, ending: str = "") -> None:
        if not rows.num_rows:
            return
        path = _folder(self.home) / f"{identity.scored_at:{_TIME}}-{identity.list_id}{ending}.parquet"
        # Tells later that the secret was replaced, so that these hashes match nothing.
        noted = rows.replace_schema_metadata({_HASHED_WITH: self.hashed("secret", "check").encode(), **UNSEALED})
        with write_atomically(path) as draft:
            pq.write_table(noted, draft, compression="zstd")
            seal(draft, name=path.stem)
        mark_made(path)


@dataclass(frozen=True)
class ScoredFiles:
    """The files of scored lists of one home, to be read by the engine."""

    home: Path

    def lists(self) -> list[Path]:
        """The files of scored lists, oldest first."""
        return [path for path in self._all() if not path.stem.endswith(_CHALLENGER)]

    def challenger(self) -> list[Path]:
        """The files of the risks by challengers, oldest first."""
        return [path for path in self._all() if path.stem.endswith(_CHALLENGER)]

    def damaged(self) -> list[Path]:
        """The files that are not as they were written."""
        return [path for path in self._all() if not _is_intact(path)]

    def lost(self) -> list[Path]:
        """The files that were written and are missing."""
        # A name with a dot is the draft of a mark: its process was killed, or still writes it.
        marks = sorted(_folder(self.home).glob(f"[!.]*.parquet{MADE}"))
        return [path for path in (mark.with_suffix("") for mark in marks) if is_lost(path)]

    def is_hashed_with(self, path: Path, check: str) -> bool:
        """Whether a sound file was hashed with the secret that has this check value."""
        metadata: dict[bytes, bytes] = pq.read_schema(path).metadata or {}
        return metadata.get(_HASHED_WITH, b"") == check.encode()

    def oldest_day(self) -> datetime.date | None:
        """The day (UTC) of the first list; None where nothing was scored."""
        first = next(self._all(), None)
        return None if first is None else _day_of(first)

    def remove_before(self, day: datetime.date) -> int:
        """Delete the files of lists that were scored before that day (UTC), and return their number.

        Raises
        ------
        StoreError
            If one cannot be deleted.
        """
        due = [path for path in self._all() if _day_of(path) < day]
        for path in due:
            try:
                # The mark first: a process that is killed in between leaves a file without one, and not a lost file.
                mark_of(path).unlink(missing_ok=True)
                path.unlink(missing_ok=True)
            except OSError as error:
                raise StoreError(f"{path}: cannot be deleted ({type(error).__name__}).") from None
        return len(due)

    def _all(self) -> Iterator[Path]:
        """The names alone decide, so that a draft of a process that was killed is never read."""
        return (path for path in sorted(_folder(self.home).glob("*.parquet")) if _NAMED.fullmatch(path.stem))


def _folder(home: Path) -> Path:
    return home / FOLDER / "scored"


def _day_of(path: Path) -> datetime.date:
    return datetime.datetime.strptime(path.stem[:8], "%Y%m%d").date()  # noqa: DTZ007 - a day has no zone


def _is_intact(path: Path) -> bool:
    with contextlib.suppress(OSError):
        return is_intact_file(path, name=path.stem)
    return False


def _repeated(at: datetime.datetime, n: int) -> pa.Array:
    """A time with a zone as a column in UTC without one."""
    moment = np.datetime64(at.astimezone(datetime.UTC).replace(tzinfo=None), "us")
    return pa.array(np.full(n, moment))

"""Weekly lists that people upload: score one, keep it, give it back in the form they like."""

import datetime
import re
import secrets
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dnapredict.config.mapping import IDENTITY, Mapping
from dnapredict.config.service import Retention
from dnapredict.data import extract, limits
from dnapredict.data.columns import NAMES
from dnapredict.data.mapped import contract_name
from dnapredict.data.workspace import Workspace
from dnapredict.errors import DataError, StoreError
from dnapredict.lists import files, latest
from dnapredict.service.champion import Champion
from dnapredict.service.logbook import Logbook
from dnapredict.service.purpose import NEVER_FOR, USE
from dnapredict.service.retention import forget_lists

__all__ = ["MOST_ROWS", "KeptLists", "ScoredList", "as_file"]


MOST_ROWS: Final = 20_000
_MOST_COLUMNS: Final = 60
# A list of 20,000 rows and 40 columns unpacks to about 30 MB. Lines are more than rows: titles, blanks.
_LIMITS: Final = replace(
    limits.WORKBOOK, expanded_bytes=50 * 1_048_576, rows=5 * MOST_ROWS, columns=2 * _MOST_COLUMNS
)
_ID: Final = re.compile(r"[0-9a-f]{16}")
_FORMS: Final = (".csv", ".xlsx")


@dataclass(frozen=True)
class ScoredList:
    """A list that was scored and kept."""

    list_id: str
    worklist: pa.Table
    model_version: str
    scored_at: datetime.datetime

    def line(self, appointment_id: str) -> dict[str, Any] | None:
        """The line of that appointment; None if it is not on the list. The first, if it is there twice."""
        found = self.worklist.filter(pc.equal(self.worklist["appointment_id"], appointment_id)).slice(0, 1)
        return next(iter(found.to_pylist()), None)


class KeptLists:
    """The lists of one home, each a Parquet file in `lists/`."""

    def __init__(
        self,
        home: Path,
        *,
        champion: Champion,
        logbook: Logbook,
        mapping: Mapping = IDENTITY,
        retention: Retention = Retention(),  # noqa: B008 - frozen
    ) -> None:
        """Read nothing yet. Lists are read through `mapping`, and kept as `retention` says."""
        self._home = home
        self._folder = home / "lists"
        self._champion = champion
        self._logbook = logbook
        self._mapping = mapping
        self._retention = retention

    def score(self, content: bytes, *, name: str) -> ScoredList:
        """Score the list in an uploaded file, put it on record and keep it as the latest.

        Parameters
        ----------
        name
            What the sender calls the file; its ending says the form.

        Raises
        ------
        DataError
            If it is no list of appointments: the message names file, column and rule.
        ModelError, StoreError
            If there is no model yet, or the answer cannot be put on record.
        """
        name = _plain(name)
        at = datetime.datetime.now(datetime.UTC)
        scorer = self._champion.require()
        appointments = _read(content, name)
        reader = scorer if self._mapping == IDENTITY else scorer.through(self._mapping)
        worklist = reader.score(appointments, capacity=None, reasons=True, remember=True)
        asked = _by_number(_under_own_names(appointments, self._mapping))
        list_id = secrets.token_hex(8)
        self._logbook.note(worklist, asked=asked, scorer=scorer, at=at, list_id=list_id)
        self._keep(worklist, list_id)
        latest.save(
            self._home,
            worklist,
            name=name,
            model_version=scorer.model_version,
            synthetic=scorer.synthetic,
            list_id=list_id,
        )
        return ScoredList(list_id, worklist, scorer.model_version, at)

    def find(self, list_id: str) -> ScoredList | None:
        """The list of that id; None if there is none, or none any more."""
        path = self._folder / f"{list_id}.parquet"
        if not _ID.fullmatch(list_id) or not path.is_file():
            return None
        try:
            worklist = pq.read_table(path)
            written = path.stat().st_mtime
        except (OSError, pa.ArrowException) as error:
            raise StoreError(f"{path}: the list cannot be read ({type(error).__name__}).") from None
        at = datetime.datetime.fromtimestamp(written, datetime.UTC)
        return ScoredList(list_id, worklist, worklist["model_version"][0].as_py(), at)

    def _keep(self, worklist: pa.Table, list_id: str) -> None:
        with files.whole(self._folder / f"{list_id}.parquet") as draft:
            pq.write_table(worklist, draft)
        forget_lists(self._home, self._retention)


def as_file(found: ScoredList, *, form: str) -> bytes:
    """A kept list as the bytes of a CSV or XLSX file."""
    with tempfile.TemporaryDirectory(prefix="dnapredict-") as folder:
        out = Path(folder) / f"worklist.{form}"
        files.write(found.worklist, out, note=_note(found))
        return out.read_bytes()


def _note(found: ScoredList) -> str:
    never = "\n".join(f"- {use}" for use in NEVER_FOR)
    return (
        f"A worklist for {USE}, made by model version {found.model_version} on "
        f"{found.scored_at:%d %B %Y}.\nNever use it to\n{never}"
    )


def _read(content: bytes, name: str) -> pa.Table:
    ending = Path(name).suffix.lower()
    if ending not in _FORMS:
        raise DataError(f"{name}: a file of this kind cannot be read. Send CSV or XLSX.")
    with tempfile.TemporaryDirectory(prefix="dnapredict-") as folder, Workspace() as workspace:
        path = Path(folder) / f"list{ending}"
        path.write_bytes(content)
        try:
            table = workspace.backend.to_pyarrow(extract.read(path, workspace, limits=_LIMITS))
        except DataError as error:
            # The sender knows the file by its own name.
            raise DataError(str(error).replace(str(path), name)) from None
    columns = len(set(table.column_names) - {extract.ROW_NUMBER, extract.ROW_FAULT})
    if table.num_rows > MOST_ROWS or columns > _MOST_COLUMNS:
        raise DataError(
            f"{name}: has {table.num_rows:,} rows and {columns} columns, and may have "
            f"{MOST_ROWS:,} and {_MOST_COLUMNS}. Score it as a file with `dnapredict score`."
        )
    return table


def _under_own_names(appointments: pa.Table, mapping: Mapping) -> pa.Table:
    """What the log is told: a list as it is, of a foreign one the mapped columns by their new names."""
    if mapping == IDENTITY:
        return appointments
    had = set(appointments.column_names)
    own = {name: appointments[name] for name in had if contract_name(name) in NAMES}
    drawn = {name: origin.source for name, origin in mapping.columns.items() if origin.source in had}
    mapped = {name: appointments[source] for name, source in drawn.items()}
    return pa.table({extract.ROW_NUMBER: appointments[extract.ROW_NUMBER]} | own | mapped)


def _by_number(appointments: pa.Table) -> dict[int, dict[str, object]]:
    return {row[extract.ROW_NUMBER]: row for row in appointments.to_pylist()}


def _plain(name: str) -> str:
    """The file's name without folders and without what a page or a log would stumble over."""
    bare = PurePosixPath(PureWindowsPath(name).name).name
    return re.sub(r"[^\w .()+-]", "_", bare)[-80:] or "list"

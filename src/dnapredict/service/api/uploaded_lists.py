"""Weekly lists that people upload: score one, keep it, give it back in the form they like."""

import datetime
import logging
import re
import tempfile
from dataclasses import replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final

import pyarrow as pa

from dnapredict.config.mapping_config import IDENTITY, Mapping
from dnapredict.config.service_config import Retention
from dnapredict.data.contract.columns import NAMES
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.mapping.apply_mapping import contract_name
from dnapredict.data.readers import file_limits, table_file
from dnapredict.data.readers.csv_dialect import ROW_FAULT, ROW_NUMBER
from dnapredict.data.validation import contract_check
from dnapredict.errors import DataError
from dnapredict.service.api.champion import Champion
from dnapredict.service.log.answer_entries import Logbook
from dnapredict.service.log.retention import forget_lists, require_room
from dnapredict.service.log.scoring_log import ScoringLog
from dnapredict.service.scorer_protocol import Scoring
from dnapredict.worklist.answer_table import notices_of
from dnapredict.worklist.files import latest_list, list_store
from dnapredict.worklist.files.excel_worklist import Note

MOST_ROWS: Final = 20_000
_MOST_COLUMNS: Final = 60
# A list of 20,000 rows and 40 columns unpacks to about 30 MB. Lines are more than rows: titles, blanks.
_LIMITS: Final = replace(
    file_limits.WORKBOOK, expanded_bytes=50 * 1_048_576, rows=5 * MOST_ROWS, columns=2 * _MOST_COLUMNS
)
_LOG: Final = logging.getLogger("dnapredict.service")
_FORMS: Final = (".csv", ".xlsx")


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
        log: ScoringLog | None = None,
    ) -> None:
        """Read nothing yet.

        Lists are read through `mapping`, and kept as `retention` says; `log` knows which are worked on, and
        is the one of the home if it is not given.
        """
        self._log = log or ScoringLog(home)
        self._home = home
        self._champion = champion
        self._logbook = logbook
        self._mapping = mapping
        self._retention = retention

    @property
    def retention(self) -> Retention:
        """How many lists are kept, and for how long."""
        return self._retention

    def score(self, content: bytes, *, name: str) -> list_store.KeptList:
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
        require_room(self._home, self._retention, self._log)
        at = datetime.datetime.now(datetime.UTC)
        scorer = self._champion.require()
        appointments = _read(content, name)
        reader = scorer if self._mapping == IDENTITY else scorer.through(self._mapping)
        worklist = reader.score(appointments, capacity=None, reasons=True, remember=True)
        notices = notices_of(worklist)
        for notice in notices:
            _LOG.error("%s", notice)
        asked = _by_number(_under_own_names(appointments, self._mapping))
        heading = list_store.Heading(
            list_id=list_store.new_id(),
            name=name,
            scored_at=at,
            model_version=scorer.model_version,
            synthetic=scorer.synthetic,
            counts=latest_list.counted(worklist),
            note=self._note(reader, appointments, name=name, day=at.date()).with_notices(notices),
            notices=notices,
        )
        self._logbook.note(worklist, asked=asked, scorer=scorer, at=at, list_id=heading.list_id)
        worklist = _with_specialties(worklist, asked)
        self._keep(worklist, heading)
        return list_store.KeptList(heading, worklist)

    def find(self, list_id: str) -> list_store.KeptList | None:
        """The list of that id, kept whole; None if there is none, or none any more."""
        found = list_store.find(self._home, list_id)
        return None if found is None or found.heading.page_only else found

    def shown(self, list_id: str) -> list_store.KeptList | None:
        """The list that a page of that id shows: one that is kept whole, or what is kept of the latest."""
        found = list_store.find(self._home, list_id)
        if found is None:
            last = latest_list.read(self._home)
            found = list_store.of_latest(last) if last is not None and last.list_id == list_id else None
        return found

    def newest(self) -> list_store.KeptList | None:
        """The list that was scored last, by whatever door; None where there is none."""
        last = latest_list.read(self._home)
        return None if last is None else list_store.find(self._home, last.list_id) or list_store.of_latest(last)

    def newest_heading(self) -> list_store.Heading | None:
        """What the list that was scored last says of itself, without its rows."""
        last = latest_list.read(self._home)
        return None if last is None else list_store.heading_of_latest(last)

    def hold(self, found: list_store.KeptList) -> None:
        """Keep a list that somebody works on, where it would be gone as soon as another one is scored.

        Raises
        ------
        StoreError
            If the home cannot be written to.
        """
        if found.heading.page_only and list_store.find(self._home, found.heading.list_id) is None:
            list_store.keep(self._home, found.worklist, found.heading)

    def every(self) -> tuple[list_store.Heading, ...]:
        """What each list that can be shown says of itself, newest first."""
        whole = list_store.every(self._home)
        last = latest_list.read(self._home)
        if last is None or any(heading.list_id == last.list_id for heading in whole):
            return whole
        headings = [list_store.of_latest(last).heading, *whole]
        return tuple(sorted(headings, key=lambda heading: heading.scored_at, reverse=True))

    def _note(self, scorer: Scoring, appointments: pa.Table, *, name: str, day: datetime.date) -> Note:
        present = contract_check.present(appointments.column_names, self._mapping)
        return scorer.note(name, day=day, unknown=scorer.unknown_factors(present))

    def _keep(self, worklist: pa.Table, heading: list_store.Heading) -> None:
        list_store.keep(self._home, worklist, heading)
        forget_lists(self._home, self._retention, self._log)
        latest_list.save(
            self._home,
            worklist,
            name=heading.name,
            model_version=heading.model_version,
            synthetic=heading.synthetic,
            list_id=heading.list_id,
            note=heading.note,
            notices=heading.notices,
        )


def _read(content: bytes, name: str) -> pa.Table:
    ending = Path(name).suffix.lower()
    if ending not in _FORMS:
        raise DataError(f"{name}: a file of this kind cannot be read. Send CSV or XLSX.")
    with tempfile.TemporaryDirectory(prefix="dnapredict-") as folder, Workspace() as workspace:
        path = Path(folder) / f"list{ending}"
        path.write_bytes(content)
        try:
            table = workspace.backend.to_pyarrow(table_file.read(path, workspace, limits=_LIMITS))
        except DataError as error:
            # The sender knows the file by its own name.
            raise DataError(str(error).replace(str(path), name)) from None
    columns = len(set(table.column_names) - {ROW_NUMBER, ROW_FAULT})
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
    return pa.table({ROW_NUMBER: appointments[ROW_NUMBER]} | own | mapped)


def _by_number(appointments: pa.Table) -> dict[int, dict[str, object]]:
    return {row[ROW_NUMBER]: row for row in appointments.to_pylist()}


def _with_specialties(worklist: pa.Table, asked: dict[int, dict[str, object]]) -> pa.Table:
    """The worklist with the specialty that each row was asked about, by which a team may be named."""
    specialties = [asked[number].get(list_store.SPECIALTY) for number in worklist[ROW_NUMBER].to_pylist()]
    told = [None if each is None else str(each).strip() for each in specialties]
    return worklist.append_column(list_store.SPECIALTY, pa.array(told, pa.string()))


def _plain(name: str) -> str:
    """The file's name without folders and without what a page or a log would stumble over."""
    bare = PurePosixPath(PureWindowsPath(name).name).name
    return re.sub(r"[^\w .()+-]", "_", bare)[-80:] or "list"

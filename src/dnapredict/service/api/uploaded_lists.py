"""Uploaded weekly lists: score one, keep it, and find it again."""

import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final
from zoneinfo import ZoneInfo

import pyarrow as pa

from dnapredict.config.mapping_config import IDENTITY, Mapping
from dnapredict.config.service_config import Retention
from dnapredict.data.contract.columns import NAMES
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.mapping.apply_mapping import contract_name, without_contacts
from dnapredict.data.mapping.contact_columns import contact_rows
from dnapredict.data.readers import file_type, table_file
from dnapredict.data.readers.csv_dialect import ROW_FAULT, ROW_NUMBER
from dnapredict.data.validation import contract_check
from dnapredict.errors import DataError
from dnapredict.service.api.champion import Champion
from dnapredict.service.log.answer_entries import AnswerLog
from dnapredict.service.log.retention import remove_lists, require_room
from dnapredict.service.log.scoring_log import ScoringLog
from dnapredict.worklist.files import contact_details, list_store
from dnapredict.worklist.files.list_store import SPECIALTY, Heading, KeptList
from dnapredict.worklist.files.worklist_files import notices_of
from dnapredict.worklist.plan.working_days import local_today

MOST_ROWS: Final = 20_000
_MOST_COLUMNS: Final = 60
# A list of 20,000 rows and 40 columns unpacks to about 30 MB. A sheet has more lines than rows: titles, blanks.
_LIMITS: Final = replace(
    file_type.WORKBOOK, expanded_bytes=50 * 1_048_576, rows=5 * MOST_ROWS, columns=2 * _MOST_COLUMNS
)
_LOG: Final = logging.getLogger("dnapredict.service")
_FORMS: Final = (".csv", ".xlsx")


class ListService:
    """The lists of one home, each a Parquet file in `lists/`."""

    def __init__(
        self,
        home: Path,
        *,
        champion: Champion,
        logbook: AnswerLog,
        mapping: Mapping = IDENTITY,
        retention: Retention = Retention(),  # noqa: B008 - frozen
        log: ScoringLog | None = None,
    ) -> None:
        """Read lists through `mapping`, and keep them for as long as `retention` says.

        `log` (by default that of the home) tells which lists are in use.
        """
        self._log = log or ScoringLog(home)
        self._home = home
        self._champion = champion
        self._logbook = logbook
        self._mapping = mapping
        self._retention = retention

    @property
    def home(self) -> Path:
        """The home of the lists."""
        return self._home

    @property
    def retention(self) -> Retention:
        """The limits on kept lists: their number and age."""
        return self._retention

    def score(self, content: bytes, *, name: str) -> KeptList:
        """Score the list in an uploaded file, log the answers, and keep it as the latest list.

        Parameters
        ----------
        name
            The file name given by the sender; its ending decides the format.

        Raises
        ------
        DataError
            If it is not a list of appointments: the message names file, column and rule.
        ModelError, StoreError
            If there is no model yet, or the answers cannot be logged.
        """
        name = _plain(name)
        require_room(self._home, self._retention, self._log)
        scorer = self._champion.require()
        appointments = _read(content, name)
        reader = scorer if self._mapping == IDENTITY else scorer.with_mapping(self._mapping)
        worklist = reader.score(appointments, capacity=None, reasons=True, record_calls=True)
        notices = notices_of(worklist)
        for notice in notices:
            _LOG.error("%s", notice)
        rows = {row[ROW_NUMBER]: row for row in _under_contract_names(appointments, self._mapping).to_pylist()}
        present = contract_check.present(appointments.column_names, self._mapping)
        day = local_today(ZoneInfo(self._mapping.timezone))
        kept = KeptList.new(
            _with_specialties(worklist, rows),
            name=name,
            model_version=scorer.model_version,
            synthetic=scorer.synthetic,
            note=reader.note(name, day=day, unknown=reader.unknown_factors(present)).with_notices(notices),
            notices=notices,
            timezone=self._mapping.timezone,
        )
        heading = kept.heading
        self._logbook.note(worklist, rows=rows, scorer=scorer, at=heading.created_at, list_id=heading.list_id)
        list_store.keep(self._home, kept)
        contacts = contact_rows(appointments, self._mapping, source=name)
        contact_details.keep_those_of(self._home, kept, contacts, contact_days=self._retention.contact_days)
        remove_lists(self._home, self._retention, self._log)
        list_store.save_latest(self._home, kept)
        return kept

    def find(self, list_id: str) -> KeptList | None:
        """The whole list of that id; None if it never existed or was deleted."""
        kept = list_store.find(self._home, list_id)
        return None if kept is None or kept.heading.page_only else kept

    def shown(self, list_id: str) -> KeptList | None:
        """The list to show for that id: a whole list, or the stored part of the latest one."""
        return list_store.find_shown(self._home, list_id)

    def newest(self) -> KeptList | None:
        """The list that was scored last, through the page, the API or a file; None where there is none."""
        return list_store.newest(self._home)

    def newest_heading(self) -> Heading | None:
        """The heading of the list that was scored last, without reading its rows."""
        last = list_store.latest(self._home)
        return None if last is None else last.heading

    def carried(self, kept: KeptList, names: Sequence[str]) -> pa.Table:
        """The contact columns that the team chose for downloads, a row for each line of the list."""
        return contact_details.carried_lines(self._home, kept, names)

    def hold(self, kept: KeptList) -> None:
        """Keep a list that somebody works on, if only the next scoring would otherwise replace it.

        Raises
        ------
        StoreError
            If the home cannot be written to.
        """
        if kept.heading.page_only and list_store.find(self._home, kept.heading.list_id) is None:
            list_store.keep(self._home, kept)

    def headings(self) -> tuple[Heading, ...]:
        """The headings of all lists that can be shown, newest first."""
        return list_store.headings(self._home)


def _read(content: bytes, name: str) -> pa.Table:
    ending = Path(name).suffix.lower()
    if ending not in _FORMS:
        raise DataError(f"{name}: a file of this kind cannot be read. Send CSV or XLSX.")
    with Workspace() as workspace:
        path = workspace.new_file(ending=ending)
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


def _under_contract_names(appointments: pa.Table, mapping: Mapping) -> pa.Table:
    """The rows to log: contract columns, and mapped columns under their contract names; nothing else of a patient."""
    names = set(appointments.column_names)
    own = {name: appointments[name] for name in sorted(names) if contract_name(name) in NAMES}
    columns = without_contacts(mapping).columns
    sources = {name: origin.source for name, origin in columns.items() if origin.source in names}
    mapped = {name: appointments[source] for name, source in sources.items()}
    return pa.table({ROW_NUMBER: appointments[ROW_NUMBER]} | own | mapped)


def _with_specialties(worklist: pa.Table, rows: dict[int, dict[str, object]]) -> pa.Table:
    """The worklist with the specialty of each row as sent, since teams can be defined by specialty."""
    specialties = [rows[number].get(SPECIALTY) for number in worklist[ROW_NUMBER].to_pylist()]
    texts = [None if each is None else str(each).strip() for each in specialties]
    return worklist.append_column(SPECIALTY, pa.array(texts, pa.string()))


def _plain(name: str) -> str:
    """The file's name without folders and control characters."""
    bare = PurePosixPath(PureWindowsPath(name).name).name
    return re.sub(r"[^\w .()+-]", "_", bare)[-80:] or "list"

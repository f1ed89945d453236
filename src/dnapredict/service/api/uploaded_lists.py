"""Uploaded weekly lists: score one, keep it, and find it again."""

import contextlib
import datetime
import hashlib
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final
from zoneinfo import ZoneInfo

import pyarrow as pa

from dnapredict.config.mapping_config import IDENTITY, Mapping
from dnapredict.config.service_config import Retention
from dnapredict.config.worklist_config import WorklistConfig
from dnapredict.data.contract.columns import NAMES, REQUIRED
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.files.atomic_write import private_folder
from dnapredict.data.files.file_lock import locked
from dnapredict.data.mapping.apply_mapping import columns_supplied, contract_name, without_contacts
from dnapredict.data.mapping.contact_columns import contact_rows
from dnapredict.data.readers import file_type, table_file
from dnapredict.data.readers.csv_dialect import ROW_FAULT, ROW_NUMBER
from dnapredict.data.validation import contract_check
from dnapredict.errors import DataError
from dnapredict.pipeline.run_inputs import worklist_config
from dnapredict.service.api import pending_uploads
from dnapredict.service.api.champion import Champion
from dnapredict.service.api.list_columns import (
    ColumnAnswers,
    ColumnQuestion,
    ask,
    chosen_sources,
    columns_of_file,
    error_cells,
    has_pseudonym_key,
    lacking_words,
)
from dnapredict.service.api.mended_rows import unscored_line, with_row
from dnapredict.service.api.pending_uploads import PendingUpload
from dnapredict.service.api.team_lists import followed_list, is_own, last_export, may_open, own_name, own_team
from dnapredict.service.api.team_mappings import TeamMappings
from dnapredict.service.log.answer_entries import REQUESTED_BY, AnswerLog, Hashes
from dnapredict.service.log.retention import remove_lists, require_room
from dnapredict.service.log.scoring_log import ScoringLog
from dnapredict.worklist.calls import assignments
from dnapredict.worklist.calls.assignments import Assignment
from dnapredict.worklist.files import contact_details, list_store, unscored_rows
from dnapredict.worklist.files.contact_details import ContactDetails
from dnapredict.worklist.files.list_store import ERROR_CELL, SPECIALTY, Heading, KeptList, ListOrigin
from dnapredict.worklist.files.unscored_rows import UnscoredRows
from dnapredict.worklist.files.worklist_files import FIFTH, notices_of
from dnapredict.worklist.plan.working_days import local_today

MOST_ROWS: Final = 20_000
_MOST_COLUMNS: Final = 60
# A list of 20,000 rows and 40 columns unpacks to about 30 MB. A sheet has more lines than rows: titles, blanks.
UPLOAD_LIMITS: Final = replace(
    file_type.WORKBOOK, expanded_bytes=50 * 1_048_576, rows=5 * MOST_ROWS, columns=2 * _MOST_COLUMNS
)
_LOG: Final = logging.getLogger("dnapredict.service")
_FORMS: Final = (".csv", ".xlsx")
# The same file from the same person within this time is a second click or a page that was reloaded.
_SENT_AGAIN_WITHIN: Final = datetime.timedelta(minutes=10)
_SECONDS_TO_WAIT: Final = 50.0
_MENDING: Final = "Another row is being scored just now. Try again."
_BUSY: Final = "This list is being scored already. Look under Recent lists in a minute."


@dataclass(frozen=True)
class ReadUpload:
    """An uploaded file and its rows."""

    upload: PendingUpload
    table: pa.Table = field(repr=False)

    @property
    def name(self) -> str:
        """The name of the file without folders and control characters."""
        return _plain(self.upload.name)


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
        worklist: Callable[[], WorklistConfig] = worklist_config,
    ) -> None:
        """Read lists through `mapping`, and keep them for as long as `retention` says.

        `log` (by default that of the home) tells which lists are in use, and `worklist` what is done without a call.
        """
        self._log = log or ScoringLog(home)
        self._home = home
        self._champion = champion
        self._logbook = logbook
        self._mapping = mapping
        self._retention = retention
        self._mappings = TeamMappings(home)
        self._worklist = worklist

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
        self._require_ready()
        return self._score(_read(content, name), name=name, mapping=self._mapping)

    def read(self, upload: PendingUpload) -> "ReadUpload":
        """The rows of an uploaded file: reading a long one takes seconds, so that it is done once for all that follows.

        Raises
        ------
        DataError, ModelError, StoreError
            As `score`.
        """
        self._require_ready()
        return ReadUpload(upload, _read(upload.content, _plain(upload.name)))

    def question(self, read: "ReadUpload") -> ColumnQuestion | None:
        """What its columns mean has to be asked about an uploaded file; None where the service or the team knows.

        Raises
        ------
        DataError
            As `score`.
        """
        return ask(read.table, name=read.name) if self._mapping_for(read.table) is None else None

    def upload(self, read: "ReadUpload") -> KeptList:
        """Score the list that a person uploaded, once however often it is sent.

        Raises
        ------
        DataError, ModelError, StoreError
            As `score`, and if nobody has said what its columns mean.
        """
        with self._upload_lock(read.upload) as upload_hash:
            kept = self._uploaded_before(upload_hash)
            if kept is None:
                mapping = self._mapping_for(read.table) or self._mapping
                kept = self._score(read.table, name=read.name, mapping=mapping, upload_hash=upload_hash)
        return kept

    def wait_for_columns(self, upload: PendingUpload) -> str:
        """Keep an uploaded file until a person has said what its columns mean; return its ticket.

        Raises
        ------
        StoreError
            If the home cannot be written to.
        """
        return pending_uploads.keep(self._home, upload)

    def explain_columns(self, ticket: str, answers: ColumnAnswers) -> "ReadUpload":
        """Remember for the team what the columns of the file under `ticket` mean, and return the file.

        Raises
        ------
        ColumnsUnclear
            If a required column is missing, two columns have the same meaning, or nobody said what the first row is.
        DataError, StoreError
            If the file does not wait any more, its first row is an appointment, or the home cannot be written to.
        """
        read = self.read(pending_uploads.read(self._home, ticket))
        sources = chosen_sources(read.table, answers, name=read.name, has_key=has_pseudonym_key(self._mapping))
        self._mappings.remember(own_team(), columns_of_file(read.table), sources)
        return read

    def _require_ready(self) -> None:
        require_room(self._home, self._retention, self._log)
        self._champion.require()

    def _mapping_for(self, table: pa.Table) -> Mapping | None:
        """The mapping that reads this file; None where nobody has said yet what its columns mean."""
        columns = columns_of_file(table)
        if columns_supplied(columns, self._mapping) >= set(REQUIRED):
            return self._mapping
        remembered = self._mappings.find(own_team(), columns)
        return None if remembered is None else self._in_place(remembered)

    def _in_place(self, mapping: Mapping) -> Mapping:
        """A team's mapping, with the time zone, key and places that the service was started with."""
        served = self._mapping
        return mapping.model_copy(
            update={"timezone": served.timezone, "key_file": served.key_file, "geography": served.geography}
        )

    @contextlib.contextmanager
    def _upload_lock(self, upload: PendingUpload) -> Iterator[str]:
        """Hold off a second click on the same file in any worker process; yield the keyed hash of the upload."""
        whose = f"{REQUESTED_BY.get()}\0{upload.name}\0{hashlib.sha256(upload.content).hexdigest()}"
        upload_hash = Hashes(self._home, self._log).of("upload", whose)
        folder = private_folder(self._home / "lists")
        with locked(folder / f".upload-{upload_hash[:2]}.lock", busy_message=_BUSY, seconds=_SECONDS_TO_WAIT):
            yield upload_hash

    def _uploaded_before(self, upload_hash: str) -> KeptList | None:
        """The list of the same upload a few minutes ago."""
        since = datetime.datetime.now(datetime.UTC) - _SENT_AGAIN_WITHIN
        model_version = self._champion.require().model_version
        for heading in self.headings():
            is_same = heading.upload_hash == upload_hash and heading.model_version == model_version
            if is_same and heading.created_at >= since:
                return self.find(heading.list_id)
        return None

    def _score(self, appointments: pa.Table, *, name: str, mapping: Mapping, upload_hash: str = "") -> KeptList:
        scorer = self._champion.require()
        reader = scorer if mapping == IDENTITY else scorer.with_mapping(mapping)
        worklist = reader.score(appointments, capacity=None, reasons=True, record_calls=True)
        notices = notices_of(worklist)
        for notice in notices:
            _LOG.error("%s", notice)
        rows = {row[ROW_NUMBER]: row for row in _under_contract_names(appointments, mapping).to_pylist()}
        present = contract_check.present(appointments.column_names, mapping)
        unknown = reader.unknown_factors(present)
        day = local_today(ZoneInfo(mapping.timezone))
        kept = KeptList.new(
            _with_specialties(worklist, rows).append_column(ERROR_CELL, error_cells(worklist, appointments, mapping)),
            name=name,
            model_version=scorer.model_version,
            synthetic=scorer.synthetic,
            note=reader.note(name, day=day, unknown=unknown).with_notices(notices),
            notices=notices,
            timezone=mapping.timezone,
            origin=ListOrigin(
                team=own_team(),
                uploaded_by=own_name(),
                upload_hash=upload_hash,
                follows=self._followed(worklist),
                lacks=lacking_words(unknown, present, scorer),
            ),
        )
        heading = kept.heading
        self._logbook.note(worklist, rows=rows, scorer=scorer, at=heading.created_at, list_id=heading.list_id)
        list_store.keep(self._home, kept)
        unscored_rows.keep(self._home, heading.list_id, UnscoredRows.of(appointments, worklist, mapping))
        contacts = contact_rows(appointments, mapping, source=name)
        contact_details.keep_those_of(self._home, kept, contacts, contact_days=self._retention.contact_days)
        remove_lists(self._home, self._retention, self._log)
        list_store.save_latest(self._home, kept)
        return kept

    def unscored(self, list_id: str) -> UnscoredRows | None:
        """The rows of a list that could not be scored, as they were sent; None where there are none any more."""
        return unscored_rows.read(self._home, list_id)

    def mend(self, list_id: str, line: int, cells: MappingOf[str, str]) -> KeptList | None:
        """Score a row again with other cells, and keep it where it stands; None if it is not there any more.

        The row stays on its line, so that an outcome that somebody is about to record reaches the right one. Where the
        plan would call the patient and no call on the list has a lower risk, one more call is made.

        Parameters
        ----------
        line
            The number of the line on the list, from 1.
        cells
            The new values by the column of the file.

        Raises
        ------
        DataError, ModelError, StoreError
            As `score`.
        """
        folder = private_folder(self._home / "lists")
        with locked(folder / ".mend.lock", busy_message=_MENDING, seconds=_SECONDS_TO_WAIT):
            kept, unscored = self.find(list_id), self.unscored(list_id)
            row = None if kept is None else unscored_line(kept, line)
            if kept is None or unscored is None or row is None or row not in unscored.rows:
                return None
            unscored = unscored.with_cells(row, cells)
            changed = self._scored_again(kept, line, unscored, row=row)
            list_store.keep_changed(self._home, changed)
            is_scored = unscored_line(changed, line) is None
            unscored_rows.keep(self._home, list_id, unscored.without(row) if is_scored else unscored)
            if is_scored:
                self._keep_contact(changed, unscored, row)
            return changed

    def assign(self, kept: KeptList, lines: Sequence[int], *, to: str) -> None:
        """Hand lines of a list over to a colleague; to nobody, they go back to the team.

        Raises
        ------
        DataError
            If the name is too long or not printable.
        StoreError
            If the home cannot be written to.
        """
        at = datetime.datetime.now(datetime.UTC)
        assignment = Assignment(to=to, by=own_name(), at=at, lines=tuple(lines))
        assignments.assign(self._home, kept.heading.list_id, assignment)

    def delete(self, kept: KeptList) -> bool:
        """Delete a list, with contact details, notes and unscored rows; return False if it was gone already.

        The scoring log, and what was recorded about its appointments, stay: a later list shows that again.

        Raises
        ------
        StoreError
            If it cannot be removed.
        """
        list_id = kept.heading.list_id
        with locked(
            private_folder(self._home / "lists") / ".mend.lock", busy_message=_MENDING, seconds=_SECONDS_TO_WAIT
        ):
            removed = list_store.delete(self._home, list_id)
        if removed:
            _LOG.info("The list %s was deleted by key %s.", list_id, REQUESTED_BY.get())
        return removed

    def colleagues_by_line(self, kept: KeptList) -> MappingOf[int, str]:
        """The colleague who calls about each line of a list that was handed over; {} where none was.

        Raises
        ------
        StoreError
            If that cannot be read.
        """
        return {line: each.to for line, each in assignments.assigned(self._home, kept.heading.list_id).items()}

    def _scored_again(self, kept: KeptList, line: int, unscored: UnscoredRows, *, row: int) -> KeptList:
        scorer = self._champion.require()
        mapping, table = self._in_place(unscored.mapping), unscored.table(row)
        reader = scorer if mapping == IDENTITY else scorer.with_mapping(mapping)
        answer = reader.score(table, capacity=1, reasons=True)
        changed = with_row(kept, line, answer, unscored=unscored, unselected_action=self._worklist().unselected_action)
        answered = changed.worklist.slice(line - 1, 1)
        if answered["selected"][0].as_py():
            reader.score(table, capacity=1, reasons=False, record_calls=True)
        rows = {row: dict(_under_contract_names(table, mapping).to_pylist()[0])}
        at = datetime.datetime.now(datetime.UTC)
        self._logbook.note(answered, rows=rows, scorer=scorer, at=at, list_id=kept.heading.list_id)
        return changed

    def _keep_contact(self, kept: KeptList, unscored: UnscoredRows, row: int) -> None:
        """Add who is called about a row that is scored now to those of the list."""
        list_id, days = kept.heading.list_id, self._retention.contact_days
        contacts = contact_rows(unscored.table(row), self._in_place(unscored.mapping), source=kept.heading.name)
        until = contact_details.last_day(kept, contact_days=days)
        if contacts is not None and until is not None:
            own = contact_details.by_line(kept, contact_details.details_of(contacts))
            contact_details.keep(self._home, list_id, {**contact_details.read(self._home, list_id), **own}, until)

    def _followed(self, worklist: pa.Table) -> str:
        """The id of the team's list of which this is a later export; "" where there is none."""
        own = (self.find(heading.list_id) for heading in self.current())
        return followed_list([kept for kept in own if kept is not None], worklist)

    def current(self) -> tuple[Heading, ...]:
        """The lists that the person's team works on, newest first: not over, and without a later export."""
        now = datetime.datetime.now(datetime.UTC)
        own = [heading for heading in self.headings() if is_own(heading)]
        followed = {heading.follows for heading in own}
        return tuple(heading for heading in own if heading.list_id not in followed and not self._is_over(heading, now))

    def last_export(self, list_id: str) -> str:
        """The id of the latest export of the list of that id: itself where none follows it."""
        return last_export([heading for heading in self.headings() if is_own(heading)], list_id)

    def _is_over(self, heading: Heading, now: datetime.datetime) -> bool:
        if heading.ends_at is not None:
            return heading.ends_at < now
        kept = self.shown(heading.list_id)
        return kept is None or kept.is_over(now)

    def find(self, list_id: str) -> KeptList | None:
        """The whole list of that id; None if it never existed, was deleted, or belongs to another team."""
        kept = list_store.find(self._home, list_id)
        return None if kept is None or kept.heading.page_only or not may_open(kept.heading) else kept

    def shown(self, list_id: str) -> KeptList | None:
        """The list to show for that id: a whole list, or the stored part of the latest one."""
        kept = list_store.find_shown(self._home, list_id)
        return None if kept is None or not may_open(kept.heading) else kept

    def newest(self) -> KeptList | None:
        """The list that was scored last, through the page, the API or a file; None where there is none.

        Where that belongs to another team, the newest list that the person may open.
        """
        last = list_store.newest(self._home)
        if last is not None and may_open(last.heading):
            return last
        return next((kept for heading in self.headings() if (kept := self.shown(heading.list_id))), None)

    def newest_heading(self) -> Heading | None:
        """The heading of the newest list, without reading its rows."""
        last = list_store.latest(self._home)
        if last is not None and may_open(last.heading):
            return last.heading
        return next(iter(self.headings()), None)

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

    def contacts(self, list_id: str, lines: Sequence[int] | None = None) -> MappingOf[int, ContactDetails]:
        """Who is called and how, by line of a list; nothing where the details were deleted or never given."""
        return contact_details.read(self._home, list_id, lines)

    def headings(self) -> tuple[Heading, ...]:
        """The headings of all lists that the person may open, newest first."""
        return tuple(heading for heading in list_store.headings(self._home) if may_open(heading))

    def fifths(self, list_id: str) -> dict[str, int | None]:
        """The fifth of deprivation by appointment of a list of any team, for counts; {} where there is no such list."""
        kept = list_store.find_shown(self._home, list_id)
        rows = [] if kept is None else kept.page_rows.select(["appointment_id", FIFTH]).to_pylist()
        return {row["appointment_id"]: row[FIFTH] for row in rows if row["appointment_id"] is not None}

    def has_synthetic(self) -> bool:
        """Whether a list of any team is of made-up patients, so that counts are too."""
        return any(heading.synthetic for heading in list_store.headings(self._home))


def _read(content: bytes, name: str) -> pa.Table:
    ending = Path(name).suffix.lower()
    if ending not in _FORMS:
        raise DataError(f"{name}: a file of this kind cannot be read. Send CSV or XLSX.")
    with Workspace() as workspace:
        path = workspace.new_file(ending=ending)
        path.write_bytes(content)
        try:
            table = workspace.backend.to_pyarrow(table_file.read(path, workspace, limits=UPLOAD_LIMITS))
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

"""Score the weekly lists that people upload, and rows of them again that were put right."""

import contextlib
import datetime
import hashlib
import logging
from collections.abc import Callable, Iterator
from collections.abc import Mapping as MappingOf
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final
from zoneinfo import ZoneInfo

import pyarrow as pa

from dnapredict.config.mapping_config import IDENTITY, Mapping
from dnapredict.config.worklist_config import WorklistConfig
from dnapredict.data.contract.columns import NAMES, REQUIRED
from dnapredict.data.files.file_lock import locked
from dnapredict.data.mapping.apply_mapping import columns_supplied, contract_name, without_contacts
from dnapredict.data.mapping.contact_columns import contact_rows
from dnapredict.data.readers.csv_dialect import ROW_NUMBER
from dnapredict.data.retention_clock import is_clock_believed
from dnapredict.data.validation import contract_check
from dnapredict.errors import StoreError
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
from dnapredict.service.api.team_lists import TeamLists, followed_list, own_name, own_team
from dnapredict.service.api.team_mappings import TeamMappings
from dnapredict.service.api.uploaded_files import plain_name, read_upload
from dnapredict.service.log.answer_entries import REQUESTED_BY, AnswerLog, Hashes
from dnapredict.service.log.retention import remove_lists, require_room
from dnapredict.service.log.scoring_log import ScoringLog
from dnapredict.worklist.calls.carry_over import carry_over
from dnapredict.worklist.files import contact_details, latest_list, list_store, unscored_rows
from dnapredict.worklist.files.contact_table import details_of
from dnapredict.worklist.files.kept_list import ERROR_CELL, SPECIALTY, KeptList, ListIdentity, ListOrigin
from dnapredict.worklist.files.list_files import list_folder
from dnapredict.worklist.files.unscored_rows import UnscoredRows
from dnapredict.worklist.files.worklist_files import notices_of
from dnapredict.worklist.plan.working_days import local_today

_LOG: Final = logging.getLogger("dnapredict.service")
# The same file from the same person within this time is a second click or a page that was reloaded.
_SENT_AGAIN_WITHIN: Final = datetime.timedelta(minutes=10)
_SECONDS_TO_WAIT: Final = 50.0
_BUSY: Final = "This list is being scored already. Look under Recent lists in a minute."


@dataclass(frozen=True)
class ReadUpload:
    """An uploaded file and its rows."""

    upload: PendingUpload
    table: pa.Table = field(repr=False)

    @property
    def name(self) -> str:
        """The name of the file without folders and control characters."""
        return plain_name(self.upload.name)


class ListScoring:
    """Score lists for the people of one home, and keep each as a Parquet file in `lists/`."""

    def __init__(
        self,
        lists: TeamLists,
        *,
        champion: Champion,
        logbook: AnswerLog,
        mapping: Mapping = IDENTITY,
        log: ScoringLog | None = None,
        worklist: Callable[[], WorklistConfig] = worklist_config,
        scored: Callable[..., None] = lambda *_, **__: None,
    ) -> None:
        """Read lists through `mapping`, and keep them with `lists`.

        `log` (by default that of the home) records which lists are in use; `worklist` has the action without a call.
        `scored` is given each list that was kept, as `ChallengerThread.submit`.
        """
        self._lists = lists
        self._home = lists.home
        self._log = log or ScoringLog(lists.home)
        self._champion = champion
        self._logbook = logbook
        self._mapping = mapping
        self._retention = lists.retention
        self._mappings = TeamMappings(lists.home)
        self._worklist = worklist
        self._scored = scored

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
        name = plain_name(name)
        self._require_ready()
        return self._score(read_upload(content, name), name=name, mapping=self._mapping)

    def read(self, upload: PendingUpload, *, progress: Callable[[int], None] = lambda _: None) -> "ReadUpload":
        """The rows of an uploaded file. A long file takes seconds to read, so it is read once for all later steps.

        `progress` is called with the number of rows read so far.

        Raises
        ------
        DataError, ModelError, StoreError
            As `score`.
        """
        self._require_ready()
        return ReadUpload(upload, read_upload(upload.content, plain_name(upload.name), progress=progress))

    def question(self, read: "ReadUpload") -> ColumnQuestion | None:
        """The question about an uploaded file's columns; None if the service or the team knows their meaning.

        Raises
        ------
        DataError
            As `score`.
        """
        return ask(read.table, name=read.name) if self._mapping_for(read.table) is None else None

    def upload(self, read: "ReadUpload") -> KeptList:
        """Score the list that a person uploaded; the same file sent again is scored once.

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
                if not _has_scored(kept):
                    # The mapping of its columns may be wrong, so the team is asked for it again.
                    self._mappings.forget(own_team(), columns_of_file(read.table))
        return kept

    def wait_for_columns(self, upload: PendingUpload) -> str:
        """Keep an uploaded file until a person has said what its columns mean; return its ticket.

        Raises
        ------
        StoreError
            If the home cannot be written to.
        """
        return pending_uploads.keep(self._home, upload)

    def waiting(self, ticket: str) -> PendingUpload:
        """The file that waits under a ticket.

        Raises
        ------
        DataError
            If it does not wait any more.
        StoreError
            If it cannot be read.
        """
        return pending_uploads.read(self._home, ticket)

    def explain_columns(
        self, upload: PendingUpload, answers: ColumnAnswers, *, progress: Callable[[int], None] = lambda _: None
    ) -> "ReadUpload":
        """Remember for the team what the columns of a file mean, and return the file with its rows.

        `progress` is called with the number of rows read so far.

        Raises
        ------
        ColumnsUnclear
            If a required column is missing, two columns have the same meaning, or nobody said what the first row is.
        DataError, StoreError
            If its first row is an appointment, or the home cannot be written to.
        """
        read = self.read(upload, progress=progress)
        sources = chosen_sources(read.table, answers, name=read.name, has_key=has_pseudonym_key(self._mapping))
        self._mappings.remember(own_team(), columns_of_file(read.table), sources)
        return read

    def mend(self, list_id: str, line: int, cells: MappingOf[str, str]) -> KeptList | None:
        """Score a row again with other cells, and keep it on its line; None if the row is not there any more.

        The row keeps its line, so that an outcome that somebody is about to record is saved for the right one. If the
        plan would call the patient and no call on the list has a lower risk, the list gets one more call.

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
        with self._lists.changing():
            kept, unscored = self._lists.find(list_id), self._lists.unscored(list_id)
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
        path = list_folder(self._home) / f".upload-{upload_hash[:2]}.lock"
        with locked(path, busy_message=_BUSY, seconds=_SECONDS_TO_WAIT, make_folder=True):
            yield upload_hash

    def _uploaded_before(self, upload_hash: str) -> KeptList | None:
        """The list of the same upload a few minutes ago."""
        since = datetime.datetime.now(datetime.UTC) - _SENT_AGAIN_WITHIN
        model_version = self._champion.require().model_version
        for heading in self._lists.headings():
            is_same = heading.upload_hash == upload_hash and heading.model_version == model_version
            if is_same and heading.created_at >= since:
                kept = self._readable(heading.list_id)
                return kept if kept is not None and _has_scored(kept) else None
        return None

    def _score(self, appointments: pa.Table, *, name: str, mapping: Mapping, upload_hash: str = "") -> KeptList:
        scorer = self._champion.require()
        reader = scorer if mapping == IDENTITY else scorer.with_mapping(mapping)
        identity = ListIdentity.new()
        # Scoring keeps one core busy. Contact details are read on another one, and before anything is kept: an error in
        # them then leaves no list behind.
        with ThreadPoolExecutor(max_workers=1) as other_core:
            read_contacts = other_core.submit(contact_rows, appointments, mapping, source=name)
            worklist = reader.score(appointments, capacity=None, reasons=True, record_calls=True, identity=identity)
        contacts = read_contacts.result()
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
            identity=identity,
        )
        heading = kept.heading
        self._logbook.note(worklist, rows=rows, scorer=scorer, at=heading.created_at, list_id=heading.list_id)
        list_store.keep(self._home, kept)
        unscored_rows.keep(self._home, heading.list_id, UnscoredRows.of(appointments, worklist, mapping))
        contact_details.keep_those_of(self._home, kept, contacts, contact_days=self._retention.contact_days)
        self._carry_over(kept)
        if is_clock_believed(self._home):
            remove_lists(self._home, self._retention, self._log)
        latest_list.save_latest(self._home, kept)
        self._scored(appointments, identity=identity, mapping=mapping)
        return kept

    def _carry_over(self, kept: KeptList) -> None:
        """Give a later export the notes and colleagues of the list before; without them it is still a list to call."""
        before = self._readable(kept.heading.follows) if kept.heading.follows else None
        if before is None:
            return
        try:
            carry_over(self._home, before, kept, contact_days=self._retention.contact_days)
        except StoreError as error:
            _LOG.error("%s", error)

    def _scored_again(self, kept: KeptList, line: int, unscored: UnscoredRows, *, row: int) -> KeptList:
        scorer = self._champion.require()
        mapping, table = self._in_place(unscored.mapping), unscored.table(row)
        reader = scorer if mapping == IDENTITY else scorer.with_mapping(mapping)
        answer = reader.score(table, capacity=1, reasons=True)
        changed = with_row(kept, line, answer, unscored=unscored, unselected_action=self._worklist().unselected_action)
        answered = changed.worklist.slice(line - 1, 1)
        at = datetime.datetime.now(datetime.UTC)
        if answered["error"][0].as_py() is None:
            called = bool(answered["selected"][0].as_py())
            alone = ListIdentity(kept.heading.list_id, at, row_called=called)
            reader.score(table, capacity=1, reasons=False, record_calls=called, identity=alone)
        rows = {row: dict(_under_contract_names(table, mapping).to_pylist()[0])}
        self._logbook.note(answered, rows=rows, scorer=scorer, at=at, list_id=kept.heading.list_id)
        return changed

    def _keep_contact(self, kept: KeptList, unscored: UnscoredRows, row: int) -> None:
        """Add the contact details of a newly scored row to those of the list."""
        list_id, days = kept.heading.list_id, self._retention.contact_days
        contacts = contact_rows(unscored.table(row), self._in_place(unscored.mapping), source=kept.heading.name)
        until = contact_details.last_day(kept, contact_days=days)
        if contacts is not None and until is not None:
            own = contact_details.by_line(kept, details_of(contacts))
            try:
                contact_details.add_details(self._home, list_id, own, until)
            except StoreError as error:  # the row is scored, and can be called about without them
                _LOG.error("%s", error)

    def _followed(self, worklist: pa.Table) -> str:
        """The id of the team's list of which this is a later export; "" where there is none."""
        own = (self._readable(heading.list_id) for heading in self._lists.current())
        return followed_list([kept for kept in own if kept is not None], worklist)

    def _readable(self, list_id: str) -> KeptList | None:
        """A whole list; None also if it is damaged: its message asks to upload it again, and that must be possible."""
        kept = self._lists.readable(list_id)
        return None if kept is None or kept.heading.page_only else kept


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


def _has_scored(kept: KeptList) -> bool:
    """Whether at least one row of a list could be scored."""
    return kept.heading.counts.not_scored < kept.heading.counts.appointments

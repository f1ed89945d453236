"""Record the outcomes of a filled worklist, with a result for each row.

The rule is that of the page: an outcome replaces only an outcome that the person has seen. A workbook contains the
outcomes at the time of its download, so an outcome that a colleague has recorded since is kept and reported. An
outcome that is already recorded is not recorded again, so that the same workbook can be uploaded any number of times.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.readers.file_type import FileLimits
from dnapredict.data.spreadsheet_formulas import neutral
from dnapredict.errors import DataError, DnapredictError, StoreError
from dnapredict.service.api.response_models import ReturnedAnswer, ReturnedRowAnswer
from dnapredict.service.api.scoring_endpoints import LISTS, uploaded
from dnapredict.service.api.team_lists import TeamLists
from dnapredict.service.api.uploaded_files import UPLOAD_LIMITS
from dnapredict.service.call_actions import Actions, OutcomeChanged, RecordedAction
from dnapredict.service.call_outcomes import WORDS, Outcome
from dnapredict.service.error_responses import error_response, json_error
from dnapredict.service.log.answer_entries import Hashes
from dnapredict.service.log.scoring_log import ScoringLog
from dnapredict.service.logged_contacts import LoggedContacts
from dnapredict.worklist.calls.calls_ledger import Ledger
from dnapredict.worklist.files import filled_workbook, list_store
from dnapredict.worklist.files.excel_worklist import RecordedBefore
from dnapredict.worklist.files.filled_workbook import FilledRow, FilledWorklist
from dnapredict.worklist.files.kept_list import KeptList

RETURNED: Final = "/outcomes"
_NO_LIST: Final = "This list does not exist or has been deleted."
_OUTCOMES: Final = {words.casefold(): outcome for outcome, words in WORDS.items()} | {
    outcome.value: outcome for outcome in Outcome
}


class Fate(StrEnum):
    """The result for one row of a filled worklist."""

    RECORDED = "recorded"
    ALREADY = "recorded already"
    UNCHANGED = "as it was downloaded"
    CONFLICT = "a colleague recorded another outcome"
    DIFFERENT = "two outcomes for one appointment"
    UNKNOWN = "not one of the outcomes"
    FORMULA = "a formula"
    FOREIGN = "not on this list"
    NO_APPOINTMENT = "no appointment number"
    EMPTIED = "an outcome was taken out"
    FAILED = "could not be recorded"

    @property
    def needs_attention(self) -> bool:
        """Whether the row needs attention."""
        return self not in (Fate.RECORDED, Fate.ALREADY, Fate.UNCHANGED)


ADVICE: Final = {
    Fate.CONFLICT: "Nothing was changed. Decide on the page which of the two counts.",
    Fate.DIFFERENT: "The workbook has two outcomes for this appointment, and neither was recorded. Keep one of them.",
    Fate.UNKNOWN: "Choose one of the outcomes of the drop-down.",
    Fate.FORMULA: "The cell holds a formula, which is not read. Choose the outcome itself.",
    Fate.FOREIGN: "No appointment of this list has that number. It may belong to another list.",
    Fate.NO_APPOINTMENT: "There is an outcome and no appointment number beside it.",
    Fate.EMPTIED: "The recorded outcome is kept. If it was a mistake, choose 'Recorded by mistake' on the page.",
    Fate.FAILED: "The service cannot write now. Give the same workbook back again: nothing is recorded twice.",
}


@dataclass(frozen=True)
class ReturnedRow:
    """A row that was given back.

    Attributes
    ----------
    line
        The number of its line on the list, from 1; 0 if it has none.
    outcome
        The outcome in the row; None if it cannot be read.
    standing
        The current outcome of the appointment; None if there is none or it is not known.
    """

    fate: Fate
    source: FilledRow
    line: int = 0
    outcome: Outcome | None = None
    standing: RecordedAction | None = None

    @property
    def cell(self) -> str:
        """Where the row is in the file."""
        place = f"row {self.source.row:,}"
        return f"{self.source.sheet}, {place}" if self.source.sheet else place


@dataclass(frozen=True)
class Returned:
    """The result of a filled worklist: its rows with an outcome, and how many appointments have none."""

    rows: tuple[ReturnedRow, ...]
    empty: int

    @property
    def attention(self) -> tuple[ReturnedRow, ...]:
        """The rows that need attention."""
        return tuple(row for row in self.rows if row.fate.needs_attention)

    def count(self, fate: Fate) -> int:
        """The number of rows with that fate."""
        return Counter(row.fate for row in self.rows)[fate]


def read_returned(content: bytes, *, name: str, limits: FileLimits = UPLOAD_LIMITS) -> FilledWorklist:
    """The filled rows of an uploaded file called `name`.

    Raises
    ------
    DataError
        As `filled_workbook.read`, with the name that the sender knows.
    """
    with Workspace() as workspace:
        path = workspace.new_file(ending=Path(name).suffix.lower())
        path.write_bytes(content)
        try:
            return filled_workbook.read(path, limits=limits)
        except DataError as error:
            raise DataError(str(error).replace(str(path), "This file")) from None


def record_returned(filled: FilledWorklist, kept: KeptList, actions: Actions) -> Returned:
    """Record the outcomes of `filled` on the list, and return the result for each row.

    Raises
    ------
    DataError
        If the file says that it is of another list, or none of its appointments is on this one; nothing was recorded.
    StoreError
        If what was recorded before cannot be read; nothing was recorded.
    """
    lines = _lines(kept)
    _require_this_list(filled, kept, lines)
    by_appointment: dict[str | None, list[FilledRow]] = {}
    for row in filled.rows:
        by_appointment.setdefault(row.appointment, []).append(row)
    latest = actions.latest(str(lines[each][1]["appointment_id"]) for each in by_appointment if each in lines)
    recording = _Recording(kept.heading.list_id, lines, latest, filled.before, actions)
    fates = {appointment: recording.fates(appointment, rows) for appointment, rows in by_appointment.items()}
    empty = sum(not rows for appointment, rows in fates.items() if appointment in lines)
    return Returned(tuple(sorted((row for rows in fates.values() for row in rows), key=_in_order)), empty)


def record_file(path: Path, *, home: Path, list_id: str = "", database: str | None = None) -> Returned:
    """Record the outcomes of a filled worklist on this machine, as the page does. A workbook names its list.

    Parameters
    ----------
    list_id
        The list of a file that does not say which it is of, such as CSV.
    database
        The address of the scoring log; by default that of the home.

    Raises
    ------
    DataError
        As `filled_workbook.read` and `record_returned`, and if the list is not known or not kept any more.
    StoreError
        As `record_returned`.
    """
    filled = filled_workbook.read(path, limits=UPLOAD_LIMITS)
    list_id = list_id or filled.before.list_id
    if not list_id:
        raise DataError(
            f"{path}: does not name its list. Add --list ID, with the ID in the address of the list's page."
        )
    kept = list_store.find_shown(home, list_id)
    if kept is None:
        raise DataError(f"{path}: the list {list_id} is not in this home, or was deleted.")
    if kept.heading.page_only and list_store.find(home, list_id) is None:
        list_store.keep(home, kept)
    log = ScoringLog(home, database)
    hashes = Hashes(home, log)
    return record_returned(filled, kept, Actions(log, hashes, Ledger(home, LoggedContacts(log, hashes))))


def _in_order(row: ReturnedRow) -> tuple[bool, str, int]:
    return not row.fate.needs_attention, row.source.sheet, row.source.row


def _lines(kept: KeptList) -> dict[str | None, tuple[int, Mapping[str, Any]]]:
    """The lines of a list by appointment number, in the form of a cell of a workbook or of a CSV file."""
    lines: dict[str | None, tuple[int, Mapping[str, Any]]] = {}
    for number, row in enumerate(kept.page_rows.to_pylist(), start=1):
        if (name := row["appointment_id"]) is not None:
            for written in (name, neutral(name, workbook=True), neutral(name)):
                lines.setdefault(written, (number, row))
    return lines


def _require_this_list(filled: FilledWorklist, kept: KeptList, lines: Mapping[str | None, Any]) -> None:
    list_id = filled.before.list_id
    if list_id and list_id != kept.heading.list_id:
        raise DataError(
            f"This workbook belongs to another list than {kept.heading.name}. Nothing was recorded. Give it back on "
            f"the page of its own list: /lists/{list_id}"
        )
    named = [row for row in filled.rows if row.appointment is not None]
    if named and not any(row.appointment in lines for row in named):
        raise DataError(
            f"None of the {len(named):,} appointments in this file is on the list {kept.heading.name}, and nothing "
            "was recorded. It seems to belong to another list: give it back on the page of that list."
        )


@dataclass(frozen=True)
class _Recording:
    """The recording of the rows of one worklist."""

    list_id: str
    lines: Mapping[str | None, tuple[int, Mapping[str, Any]]]
    latest: Mapping[str, RecordedAction]
    before: RecordedBefore
    actions: Actions

    def fates(self, appointment: str | None, rows: Sequence[FilledRow]) -> Sequence[ReturnedRow]:
        """The results for all rows of one appointment, on any sheet; empty if it has no outcome."""
        if appointment is None or appointment not in self.lines:
            return _unknown(appointment, rows)
        number, line = self.lines[appointment]
        standing = self.latest.get(line["appointment_id"])
        made = partial(ReturnedRow, line=number, standing=standing)
        faulty = [made(fate, row) for row in rows if (fate := _fault(row)) is not None]
        asked = {row: _OUTCOMES[_folded(row)] for row in rows if _fault(row) is None and row.outcome}
        before = self._before(appointment, line["appointment_id"])
        changed = {row: outcome for row, outcome in asked.items() if outcome is not before}
        if len(set(changed.values())) > 1:
            return [*faulty, *(made(Fate.DIFFERENT, row, outcome=asked[row]) for row in changed)]
        if changed:
            row, outcome = next(iter(changed.items()))
            return [*faulty, self._recorded(made(Fate.RECORDED, row, outcome=outcome), outcome, line)]
        if asked:
            row, outcome = next(iter(asked.items()))
            fate = Fate.ALREADY if standing and standing.outcome is outcome else Fate.UNCHANGED
            return [*faulty, made(fate, row, outcome=outcome)]
        return faulty or ([made(Fate.EMPTIED, rows[0])] if before is not None else [])

    def _before(self, *names: str | None) -> Outcome | None:
        """The outcome that the workbook held at the download."""
        texts = (self.before.outcomes.get(name or "") for name in names)
        return next((_OUTCOMES.get(text[0].casefold()) for text in texts if text), None)

    def _seen(self, line: Mapping[str, Any]) -> str:
        """The time of the outcome in the workbook at its download; "" for none."""
        name = line["appointment_id"]
        text = self.before.outcomes.get(name) or self.before.outcomes.get(neutral(name, workbook=True))
        return text[1] if text else ""

    def _recorded(self, row: ReturnedRow, outcome: Outcome, line: Mapping[str, Any]) -> ReturnedRow:
        """Record the outcome, unless it is recorded already or somebody recorded another."""
        if row.standing is not None and row.standing.outcome is outcome:
            return replace(row, fate=Fate.ALREADY)
        try:
            done = self.actions.record(self.list_id, line, outcome, seen=self._seen(line))
        except OutcomeChanged as changed:
            fate = Fate.ALREADY if changed.last.outcome is outcome else Fate.CONFLICT
            return replace(row, fate=fate, standing=changed.last)
        except StoreError:
            # The earlier rows are recorded: an error here would hide which.
            return replace(row, fate=Fate.FAILED)
        return replace(row, standing=done)


def _unknown(appointment: str | None, rows: Iterable[FilledRow]) -> list[ReturnedRow]:
    """The results for rows whose appointment is not on the list; rows without an outcome are left out."""
    other = Fate.NO_APPOINTMENT if appointment is None else Fate.FOREIGN
    fates = ((Fate.FORMULA if row.has_formula else other, row) for row in rows)
    return [ReturnedRow(fate, row) for fate, row in fates if row.outcome or row.has_formula]


def _folded(row: FilledRow) -> str:
    return " ".join((row.outcome or "").split()).casefold()


def _fault(row: FilledRow) -> Fate | None:
    """Why the outcome of a row of this list cannot be read; None if it can."""
    if row.has_formula:
        return Fate.FORMULA
    known = _OUTCOMES.get(_folded(row))
    return Fate.UNKNOWN if row.outcome and known in (None, Outcome.WITHDRAWN) else None


def return_routes(lists: TeamLists, actions: Actions) -> Sequence[BaseRoute]:
    """The route to which a program sends a filled worklist."""

    async def give_back(request: Request) -> Response:
        try:
            name, content = await uploaded(request)
            filled = await run_in_threadpool(read_returned, content, name=name)
            return await run_in_threadpool(_answer, request.path_params["list_id"], filled, lists, actions)
        except DnapredictError as error:
            return error_response(error)

    return [Route(LISTS + "/{list_id}" + RETURNED, give_back, methods=["POST"])]


def _answer(list_id: str, filled: FilledWorklist, lists: TeamLists, actions: Actions) -> Response:
    kept = lists.find(list_id)
    if kept is None:
        return json_error(404, _NO_LIST)
    returned = record_returned(filled, kept, actions)
    answer = ReturnedAnswer(
        list_id=list_id,
        recorded=returned.count(Fate.RECORDED),
        attention=len(returned.attention),
        empty=returned.empty,
        rows=[
            ReturnedRowAnswer(
                sheet=row.source.sheet,
                row=row.source.row,
                appointment_id=row.source.appointment,
                fate=row.fate.value,
                outcome=row.outcome,
                advice=ADVICE.get(row.fate, ""),
            )
            for row in returned.rows
        ],
    )
    return Response(answer.model_dump_json(), media_type="application/json")

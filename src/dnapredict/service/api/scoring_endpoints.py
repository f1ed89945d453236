"""Answer `POST /v1/score` and `/v1/lists`: score appointments, return them as JSON or a file, record outcomes of calls.

A request with several appointments is kept as a list for the page, as an uploaded list is.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from dnapredict.config.worklist_config import WorklistConfig
from dnapredict.errors import DataError, DnapredictError, StoreError
from dnapredict.service.api.champion import Champion
from dnapredict.service.api.request_models import ActionRequest, ScoreRequest, as_table
from dnapredict.service.api.response_models import (
    FILE_TYPES,
    NEVER_FOR,
    USE,
    ActionAnswer,
    Conflict,
    ListAnswer,
    Recorded,
    ScoreAnswer,
    results,
)
from dnapredict.service.api.team_lists import TeamLists
from dnapredict.service.api.uploaded_lists import ListScoring
from dnapredict.service.background.challenger_thread import ChallengerThread
from dnapredict.service.call_actions import Actions, OutcomeChanged, RecordedAction
from dnapredict.service.call_outcomes import OFFERED_WORDS, WORDS
from dnapredict.service.error_responses import error_response, json_error
from dnapredict.service.log.answer_entries import AnswerLog
from dnapredict.service.scorer_protocol import ScorerProtocol
from dnapredict.worklist.files import worklist_files
from dnapredict.worklist.files.calls_sheet import with_call_columns
from dnapredict.worklist.files.excel_worklist import Note, RecordedBefore
from dnapredict.worklist.files.kept_list import Heading, KeptList, ListIdentity
from dnapredict.worklist.files.latest_list import save_latest
from dnapredict.worklist.files.worklist_columns import COLUMNS, OUTCOME
from dnapredict.worklist.files.worklist_files import notices_of

_LOG: Final = logging.getLogger("dnapredict.service")
# One appointment is a single query; two or more are a list that people may want to work through.
_FEWEST_FOR_A_LIST: Final = 2
_LIST_NAME: Final = "A list sent by another system"


def answer(
    request: ScoreRequest, *, champion: Champion, logbook: AnswerLog, home: Path, challenger: ChallengerThread
) -> ScoreAnswer:
    """Score the appointments of `request` with the current champion, and log the answers.

    The `challenger` scores them after the answer.

    Raises
    ------
    ModelError
        If no model is loaded yet.
    StoreError
        If the scoring log cannot be written: no answer is given that is not logged.
    DnapredictError
        Whatever the scorer refuses.
    """
    identity = ListIdentity.new()
    at = identity.scored_at
    scorer, appointments = champion.require(), as_table(request.appointments)
    # Of a single appointment the scoring log says what was answered; a file for each would be slow.
    is_list = len(request.appointments) >= _FEWEST_FOR_A_LIST
    worklist = scorer.score(
        appointments,
        capacity=None,
        reasons=request.reasons,
        identity=identity if is_list else None,
    )
    notices = notices_of(worklist)
    for notice in notices:
        _LOG.error("%s", notice)
    logbook.note(worklist, rows=dict(enumerate(request.appointments, start=1)), scorer=scorer, at=at)
    if is_list:
        _keep(worklist, scorer=scorer, home=home, identity=identity)
    challenger.submit(appointments, identity=identity if is_list else replace(identity, list_id=""))
    return ScoreAnswer(
        model_version=scorer.model_version,
        created_at=at,
        results=results(worklist),
        notices=list(notices),
    )


def _keep(worklist: pa.Table, *, scorer: ScorerProtocol, home: Path, identity: ListIdentity) -> None:
    """Keep a list for the page. If that fails (full disk), the caller is answered all the same."""
    # During a trial such a list has neither calls nor risks, and would hide the one that a team works on.
    if pc.any(pc.and_(pc.is_null(worklist["probability"]), pc.is_null(worklist["error"]))).as_py():
        return
    try:
        kept = KeptList.new(
            worklist,
            name=_LIST_NAME,
            model_version=scorer.model_version,
            synthetic=scorer.synthetic,
            notices=notices_of(worklist),
            identity=identity,
        )
        save_latest(home, kept)
    except StoreError as error:
        _LOG.error("%s", error)


def as_file(
    kept: KeptList, *, form: str, latest: Mapping[str, RecordedAction], carried: pa.Table | None = None
) -> bytes:
    """A kept list as the bytes of a CSV or XLSX file, with the recorded outcome of each appointment.

    `carried` are the contact columns that the team chose to carry through, a row for each line of the list.
    The file is the same as the one that `dnapredict score` writes, with the note from the day of scoring. A workbook
    also contains the id of its list and the recorded outcomes with their times, so that it can be given back.
    """
    words = [WORDS[latest[each].outcome] if each in latest else None for each in _appointments(kept)]
    worklist = kept.worklist.select(COLUMNS)
    if carried is not None:
        for name, column in zip(carried.column_names, carried.columns, strict=True):
            worklist = worklist.append_column(name, column)
    worklist = worklist.append_column(OUTCOME, pa.array(words, pa.string()))
    recorded = {each: (WORDS[action.outcome], action.at.isoformat()) for each, action in latest.items()}
    note = kept.heading.note or _default_note(kept.heading)
    return worklist_files.worklist_bytes(
        with_call_columns(worklist, kept.page_rows),
        form=form,
        note=replace(note, timezone=kept.heading.timezone),
        recorded_before=RecordedBefore(kept.heading.list_id, recorded),
    )


def _appointments(kept: KeptList) -> list[str]:
    appointments: list[str] = kept.worklist["appointment_id"].to_pylist()
    return appointments


def _default_note(heading: Heading) -> Note:
    """The note of a list that another system sent."""
    never = (f"Never use it to {use}." for use in NEVER_FOR)
    first = f"Worklist for {USE}, made by model version {heading.model_version} on "
    synthetic = ("SYNTHETIC: made-up patients, for demonstration only.",) if heading.synthetic else ()
    day = heading.day
    return Note(
        (*synthetic, f"{first}{day.day} {day:%B %Y}.", *never),
        day=day,
        outcomes=OFFERED_WORDS,
        title=heading.name,
    )


LISTS: Final = "/v1/lists"
_FILE: Final = "file"
_NO_LIST: Final = "This list does not exist or has been deleted."


def list_routes(
    lists: TeamLists, scoring: ListScoring, actions: Actions, worklist: Callable[[], WorklistConfig]
) -> Sequence[BaseRoute]:
    """The routes for the lists of a home and the actions recorded on them.

    `worklist` gives the action for patients who opted out of calls.
    """
    return [
        Route(LISTS, _score_view(scoring), methods=["POST"]),
        Route(LISTS + "/{list_id}", _list_view(lists, actions, worklist), methods=["GET"]),
        Route(LISTS + "/{list_id}/actions", _action_view(lists, actions), methods=["POST"]),
    ]


def _score_view(scoring: ListScoring) -> Callable[[Request], Awaitable[Response]]:
    async def score(request: Request) -> Response:
        try:
            name, content = await uploaded(request)
            return _json(await run_in_threadpool(scoring.score, content, name=name))
        except DnapredictError as error:
            return error_response(error)

    return score


def _list_view(
    lists: TeamLists, actions: Actions, worklist: Callable[[], WorklistConfig]
) -> Callable[[Request], Response]:
    def show(request: Request) -> Response:
        try:
            kept = lists.find(request.path_params["list_id"])
            if kept is None:
                return json_error(404, _NO_LIST)
            kept = with_opt_outs(kept, actions, action=worklist().opted_out_action)
            form = request.query_params.get("form", "json")
            if form == "json":
                return _json(kept)
            return file_response(kept, form, actions=actions, carried=lists.carried(kept, worklist().carry_through))
        except DnapredictError as error:
            return error_response(error)

    return show


def _action_view(lists: TeamLists, actions: Actions) -> Callable[[Request], Awaitable[Response]]:
    async def act(request: Request) -> Response:
        try:
            action = ActionRequest.model_validate_json(await request.body())
        except ValidationError as error:
            # The same shape as BentoML's own errors; `PlainErrors` turns both into a sentence.
            return JSONResponse({"detail": error.errors(include_url=False, include_input=False)}, 400)
        try:
            return await run_in_threadpool(_act, request.path_params["list_id"], action, lists, actions)
        except DnapredictError as error:
            return error_response(error)

    return act


def _act(list_id: str, action: ActionRequest, lists: TeamLists, actions: Actions) -> Response:
    kept = lists.find(list_id)
    line = None if kept is None else kept.row_of(action.appointment_id)
    if line is None:
        sentence = _NO_LIST if kept is None else "There is no such appointment on this list."
        return json_error(404, sentence)
    try:
        recorded = actions.record(list_id, line, action.outcome, seen=action.seen, details=action.details)
    except OutcomeChanged as changed:
        return _conflict(changed.last)
    before = recorded.replaced
    answer = ActionAnswer(
        list_id=list_id,
        appointment_id=action.appointment_id,
        outcome=recorded.outcome,
        recorded_at=recorded.at,
        replaced=None if before is None else Recorded(outcome=before.outcome, recorded_at=before.at),
    )
    return Response(answer.model_dump_json(exclude_none=True), 201, media_type="application/json")


def _conflict(last: RecordedAction) -> Response:
    sentence = f"Somebody else recorded '{last.outcome}' in the meantime; nothing was recorded now."
    answer = Conflict(error=sentence, outcome=last.outcome, recorded_at=last.at)
    return Response(answer.model_dump_json(), 409, media_type="application/json")


def with_opt_outs(kept: KeptList, actions: Actions, *, action: str) -> KeptList:
    """The list without calls to patients who opted out after it was scored; their action becomes `action`.

    Raises
    ------
    StoreError
        If the scoring log cannot be read.
    """
    names = kept.worklist["appointment_id"]
    opted_out = actions.opted_out(each for each in names.to_pylist() if each is not None)
    if not opted_out:
        return kept
    is_out = pc.and_(pc.is_in(names, pa.array(sorted(opted_out))), pc.is_null(kept.worklist["error"]))
    worklist = kept.worklist
    for name, value in (("selected", pa.scalar(False)), ("action", pa.scalar(action))):
        index = worklist.column_names.index(name)
        column = worklist[name].cast(value.type)
        worklist = worklist.set_column(index, name, pc.if_else(is_out, value, column))
    return replace(kept, worklist=worklist)


def file_response(kept: KeptList, form: str, *, actions: Actions, carried: pa.Table | None = None) -> Response:
    """A list as a file, with the recorded outcomes and the contact columns that are `carried` through.

    Raises
    ------
    DataError
        If there is no such format.
    StoreError
        If the scoring log cannot be read.
    """
    if form not in FILE_TYPES:
        raise DataError("'form' is one of json, csv, xlsx.")
    latest = actions.latest(each for each in kept.worklist["appointment_id"].to_pylist() if each is not None)
    return Response(
        as_file(kept, form=form, latest=latest, carried=carried),
        media_type=FILE_TYPES[form],
        headers={"content-disposition": _attachment(kept.heading, form)},
    )


def _attachment(heading: Heading, form: str) -> str:
    """The header with the file name of a download: name of the list without its ending, and local time of scoring."""
    stem = heading.name
    for ending in (".gz", ".csv", ".xlsx", ".parquet"):
        stem = stem[: -len(ending)] if stem.lower().endswith(ending) else stem
    scored = heading.created_at.astimezone(heading.zone)
    name = f"{stem.strip() or 'list'} scored {scored:%Y-%m-%d %H.%M}.{form}"
    # A header is ASCII; programs that know RFC 6266 take the second name.
    plain = name.encode("ascii", "replace").decode().replace("?", "_").replace('"', "_")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def _json(kept: KeptList) -> Response:
    answer = ListAnswer(
        list_id=kept.heading.list_id,
        model_version=kept.heading.model_version,
        created_at=kept.heading.created_at,
        results=results(kept.worklist),
        notices=list(kept.heading.notices),
    )
    return Response(answer.model_dump_json(), media_type="application/json")


async def uploaded(request: Request) -> tuple[str, bytes]:
    """Name and content of the one file in a form; `body_limits` has already limited its size.

    Raises
    ------
    DataError
        If there is none.
    """
    async with request.form(max_files=1, max_fields=1) as form:
        sent = form.get(_FILE)
        if not isinstance(sent, UploadFile) or not sent.filename:
            raise DataError(f"Choose a file: a form with one file, named '{_FILE}', was expected.")
        return sent.filename, await sent.read()

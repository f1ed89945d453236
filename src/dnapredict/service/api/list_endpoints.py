"""`/v1/lists`: score a list, give it back as JSON or a file, and record what was done."""

import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from dnapredict.config.worklist_config import WorklistConfig
from dnapredict.errors import DataError, DnapredictError
from dnapredict.service.api.request_models import ActionRequest
from dnapredict.service.api.response_models import (
    FILE_TYPES,
    ActionAnswer,
    Conflict,
    ListAnswer,
    Recorded,
    Refusal,
    refuse,
    results,
)
from dnapredict.service.api.uploaded_lists import KeptLists
from dnapredict.service.call_actions import OFFERED_WORDS, WORDS, Actions, OutcomeChanged, TakenAction
from dnapredict.service.purpose import NEVER_FOR, USE
from dnapredict.worklist.answer_table import COLUMNS
from dnapredict.worklist.files import list_store, worklist_files
from dnapredict.worklist.files.excel_worklist import OUTCOME, Note
from dnapredict.worklist.files.list_store import KeptList


def as_file(found: list_store.KeptList, *, form: str, taken: Mapping[str, TakenAction]) -> bytes:
    """A kept list as the bytes of a CSV or XLSX file, with what was recorded about each appointment.

    It is written as `dnapredict score` writes one, from the note that was made when it was scored.
    """
    said = [WORDS[taken[each].outcome] if each in taken else None for each in _appointments(found)]
    worklist = found.worklist.select(COLUMNS).append_column(OUTCOME, pa.array(said, pa.string()))
    with tempfile.TemporaryDirectory(prefix="dnapredict-") as folder:
        out = Path(folder) / f"worklist.{form}"
        worklist_files.write_tables([worklist], out, note=found.heading.note or _note_of_another(found.heading))
        return out.read_bytes()


def _appointments(found: list_store.KeptList) -> list[str]:
    appointments: list[str] = found.worklist["appointment_id"].to_pylist()
    return appointments


def _note_of_another(heading: list_store.Heading) -> Note:
    """What is known of a list that another system sent and that came without a note."""
    never = (f"Never use it to {use}." for use in NEVER_FOR)
    first = f"Worklist for {USE}, made by model version {heading.model_version} on "
    synthetic = ("SYNTHETIC: made-up patients, for demonstration only.",) if heading.synthetic else ()
    day = heading.scored_at.date()
    return Note(
        (*synthetic, f"{first}{day.day} {day:%B %Y}.", *never),
        day=day,
        outcomes=OFFERED_WORDS,
        title=heading.name,
    )


LISTS: Final = "/v1/lists"
_FILE: Final = "file"
_NO_LIST: Final = "This list does not exist or has been deleted."


def list_routes(lists: KeptLists, actions: Actions, worklist: Callable[[], WorklistConfig]) -> Sequence[BaseRoute]:
    """The routes, for the lists of a home and the actions taken on them.

    `worklist` tells what is done where a patient asked not to be called.
    """
    return [
        Route(LISTS, _score_view(lists), methods=["POST"]),
        Route(LISTS + "/{list_id}", _list_view(lists, actions, worklist), methods=["GET"]),
        Route(LISTS + "/{list_id}/actions", _action_view(lists, actions), methods=["POST"]),
    ]


def _score_view(lists: KeptLists) -> Callable[[Request], Awaitable[Response]]:
    async def score(request: Request) -> Response:
        try:
            name, content = await uploaded(request)
            return _json(await run_in_threadpool(lists.score, content, name=name))
        except DnapredictError as error:
            return refuse(error)

    return score


def _list_view(
    lists: KeptLists, actions: Actions, worklist: Callable[[], WorklistConfig]
) -> Callable[[Request], Response]:
    def show(request: Request) -> Response:
        try:
            found = lists.find(request.path_params["list_id"])
            if found is None:
                return JSONResponse(Refusal(error=_NO_LIST).model_dump(), 404)
            found = heeded(found, actions, action=worklist().opted_out_action)
            form = request.query_params.get("form", "json")
            return _json(found) if form == "json" else in_form(found, form, actions=actions)
        except DnapredictError as error:
            return refuse(error)

    return show


def _action_view(lists: KeptLists, actions: Actions) -> Callable[[Request], Awaitable[Response]]:
    async def act(request: Request) -> Response:
        try:
            asked = ActionRequest.model_validate_json(await request.body())
        except ValidationError as error:
            # As BentoML answers; middleware makes a sentence of it.
            return JSONResponse({"detail": error.errors(include_url=False, include_input=False)}, 400)
        try:
            return await run_in_threadpool(_act, request.path_params["list_id"], asked, lists, actions)
        except DnapredictError as error:
            return refuse(error)

    return act


def _act(list_id: str, asked: ActionRequest, lists: KeptLists, actions: Actions) -> Response:
    found = lists.find(list_id)
    line = None if found is None else found.line(asked.appointment_id)
    if line is None:
        sentence = _NO_LIST if found is None else "There is no such appointment on this list."
        return JSONResponse(Refusal(error=sentence).model_dump(), 404)
    try:
        taken = actions.record(list_id, line, asked.outcome, seen=asked.seen)
    except OutcomeChanged as changed:
        return _conflict(changed.last)
    before = taken.replaced
    answer = ActionAnswer(
        list_id=list_id,
        appointment_id=asked.appointment_id,
        outcome=taken.outcome,
        recorded_at=taken.at,
        replaced=None if before is None else Recorded(outcome=before.outcome, recorded_at=before.at),
    )
    return Response(answer.model_dump_json(exclude_none=True), 201, media_type="application/json")


def _conflict(last: TakenAction) -> Response:
    sentence = f"Somebody else recorded '{last.outcome}' in the meantime; nothing was recorded now."
    answer = Conflict(error=sentence, outcome=last.outcome, recorded_at=last.at)
    return Response(answer.model_dump_json(), 409, media_type="application/json")


def heeded(found: KeptList, actions: Actions, *, action: str) -> KeptList:
    """The list without calls to patients who asked since it was scored not to be called, but with `action`.

    Raises
    ------
    StoreError
        If the scoring log cannot be read.
    """
    names = found.worklist["appointment_id"]
    wished = actions.wished_no_calls(each for each in names.to_pylist() if each is not None)
    if not wished:
        return found
    theirs = pc.and_(pc.is_in(names, pa.array(sorted(wished))), pc.is_null(found.worklist["error"]))
    worklist = found.worklist
    for name, value in (("selected", pa.scalar(False)), ("action", pa.scalar(action))):
        place = worklist.column_names.index(name)
        column = worklist[name].cast(value.type)
        worklist = worklist.set_column(place, name, pc.if_else(theirs, value, column))
    return replace(found, worklist=worklist)


def in_form(found: KeptList, form: str, *, actions: Actions) -> Response:
    """A list as a file, with what was recorded about its appointments.

    Raises
    ------
    DataError
        If there is no such form.
    StoreError
        If the scoring log cannot be read.
    """
    if form not in FILE_TYPES:
        raise DataError("'form' is one of json, csv, xlsx.")
    taken = actions.latest(each for each in found.worklist["appointment_id"].to_pylist() if each is not None)
    named = f'attachment; filename="worklist-{found.heading.scored_at:%Y-%m-%d}.{form}"'
    return Response(
        as_file(found, form=form, taken=taken),
        media_type=FILE_TYPES[form],
        headers={"content-disposition": named},
    )


def _json(found: KeptList) -> Response:
    answer = ListAnswer(
        list_id=found.heading.list_id,
        model_version=found.heading.model_version,
        scored_at=found.heading.scored_at,
        results=results(found.worklist),
        notices=list(found.heading.notices),
    )
    return Response(answer.model_dump_json(), media_type="application/json")


async def uploaded(request: Request) -> tuple[str, bytes]:
    """Name and content of the one file of a form; its size was limited before it got here.

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

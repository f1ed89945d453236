"""The pages of an upload: choose a list to score, and confirm once what the columns of a spreadsheet mean."""

import asyncio
import html
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from dnapredict.data.mapping.column_meanings import MEANINGS
from dnapredict.errors import DataError, DnapredictError
from dnapredict.service.api.list_columns import ColumnAnswers, ColumnQuestion, ColumnsUnclear
from dnapredict.service.api.pending_uploads import PendingUpload
from dnapredict.service.api.scoring_endpoints import uploaded
from dnapredict.service.api.uploaded_lists import ReadUpload
from dnapredict.service.error_responses import status_of
from dnapredict.service.pages.lists.list_pages import ListPages, worked_on
from dnapredict.service.pages.lists.list_view import LIST_PAGES, list_address
from dnapredict.service.pages.posted_forms import PostedForm, body_text
from dnapredict.service.pages.rendering import block_text, page, page_text
from dnapredict.worklist.files.kept_list import KeptList

UPLOAD: Final = "/upload"
UPLOAD_COLUMNS: Final = "/upload/columns"
# A list of this many rows takes a second or two; for a longer one the page shows the progress.
_LONG_ROWS: Final = 2_000
# A workbook of this size has about 1,500 rows and is read in a fraction of a second; one of 20,000 rows takes seconds,
# so the page shows the progress from the start. By size and not by time: a smaller file has the same status on a busy
# machine. Every CSV is read in less than a second.
_LONG_WORKBOOK: Final = 100_000
_SECONDS_A_STEP: Final = 1.0
# The service cuts a page off after `seconds_to_answer` (60), while the work goes on; before that the page says so.
_STEPS_UNTIL_LATE: Final = 20
_LATE: Final = (
    f'This takes longer than usual. It goes on without this page: look under <a href="{LIST_PAGES}">Recent lists</a> '
    "in a few minutes, before you send the file again."
)
_FAILED: Final = "The list could not be scored or kept; the log of the service names the cause."
_LOG: Final = logging.getLogger("dnapredict.service")
_STEPS: Final = "<!-- steps -->"
# A ticket, and a field for each column of the widest file.
_MOST_FIELDS: Final = 80
_GROUPS: Final = tuple((group, tuple(of)) for group, of in groupby(MEANINGS, key=lambda meaning: meaning.group))


@dataclass(frozen=True)
class UploadPages:
    """The pages on which a list is uploaded."""

    pages: ListPages

    def routes(self) -> Sequence[BaseRoute]:
        """The routes of the pages."""
        return [
            Route(UPLOAD, self.form, methods=["GET"]),
            Route(UPLOAD, self.upload, methods=["POST"]),
            Route(UPLOAD_COLUMNS, self.columns, methods=["POST"]),
        ]

    def form(self, _: Request) -> Response:
        """The form to score a list."""
        return _form()

    async def upload(self, request: Request) -> Response:
        """Score the list that was sent and show it, or ask what its columns mean."""
        try:
            upload = PendingUpload(*await uploaded(request))
        except DnapredictError as error:
            return _form(complaint=str(error), status=status_of(error))
        return await self._answer(request, _Reading(upload, lambda progress: self._read(upload, progress)))

    async def columns(self, request: Request) -> Response:
        """Score the uploaded list with the meanings that were chosen for its columns."""
        body = await body_text(request)
        try:
            ticket, answers = _answers(body)
            upload = await run_in_threadpool(self.pages.scoring.waiting, ticket)
        except DnapredictError as error:
            return _form(complaint=str(error), status=status_of(error))

        def read(progress: Callable[[int], None]) -> "ReadUpload | _QuestionPage":
            try:
                return self.pages.scoring.explain_columns(upload, answers, progress=progress)
            except ColumnsUnclear as unclear:
                return _QuestionPage(unclear.question, ticket, complaint=str(unclear))

        return await self._answer(request, _Reading(upload, read))

    def _read(self, upload: PendingUpload, progress: Callable[[int], None]) -> "ReadUpload | _QuestionPage":
        scoring = self.pages.scoring
        read = scoring.read(upload, progress=progress)
        question = scoring.question(read)
        return read if question is None else _QuestionPage(question, scoring.wait_for_columns(upload))

    async def _answer(self, request: Request, reading: "_Reading") -> Response:
        """The list once it is scored, or a question or error; where that takes longer, a page with the progress."""
        if reading.is_long:
            return StreamingResponse(self._steps(reading), media_type="text/html")
        try:
            read = await reading.future
            if isinstance(read, _QuestionPage):
                return page("upload_columns.html", here=UPLOAD, status=400 if read.complaint else 200, **read.shown)
            if read.table.num_rows < _LONG_ROWS:
                return _shown(request, await run_in_threadpool(self.pages.scoring.upload, read))
        except DnapredictError as error:
            return _form(complaint=str(error), status=status_of(error))
        return StreamingResponse(self._steps(reading), media_type="text/html")

    async def _steps(self, reading: "_Reading") -> AsyncIterator[str]:
        """A page in parts: the rows read, the seconds of scoring, and at the end a redirect to the list.

        It works without JavaScript: the browser shows each part as it arrives, and the last part redirects. The first
        rows of a file may show that its columns are unknown: then the last part is the question about them.
        """
        start, end = page_text("upload_progress.html", here=UPLOAD, name=reading.upload.name).split(_STEPS)
        yield start + '<p class="dna-upload-progress">Reading the file:'
        async for step in _steps_of(reading.future, reading.words):
            yield step
        try:
            read = reading.future.result()
        except DnapredictError as error:
            yield "</p>" + _problem(error) + end
            return
        if isinstance(read, _QuestionPage):
            yield "</p>" + block_text("upload_columns.html", "content", **read.shown) + end
            return
        yield f' <span>{read.table.num_rows:,} rows</span></p><p class="dna-upload-progress">Scoring since:'
        scoring = asyncio.ensure_future(run_in_threadpool(self.pages.scoring.upload, read))
        async for step in _steps_of(scoring, lambda seconds: f"{seconds:.0f} s"):
            yield step
        yield "</p>" + _last_step(scoring) + end


async def _steps_of(work: "asyncio.Future[Any]", words: Callable[[float], str]) -> AsyncIterator[str]:
    """The words of each step, by the seconds so far, until the work ends; after a long time, where to look later."""
    steps = 0
    while not (await asyncio.wait([work], timeout=_SECONDS_A_STEP))[0]:
        steps += 1
        yield f" <span>{words(steps * _SECONDS_A_STEP)}</span>"
        if steps == _STEPS_UNTIL_LATE:
            yield f" <strong>{_LATE}</strong>"


@dataclass(frozen=True)
class _QuestionPage:
    """The question about the columns of a file that waits under a ticket; `complaint` is about the last answers."""

    question: ColumnQuestion
    ticket: str
    complaint: str = ""

    @property
    def shown(self) -> dict[str, Any]:
        """The values of its template."""
        return {"question": self.question, "groups": _GROUPS, "ticket": self.ticket, "complaint": self.complaint}


class _Reading:
    """A file that is being read in a worker thread, with the number of rows read so far."""

    def __init__(
        self, upload: PendingUpload, read: Callable[[Callable[[int], None]], ReadUpload | _QuestionPage]
    ) -> None:
        """Begin to read `upload`."""
        self.upload = upload
        self.rows = 0
        self.future = asyncio.ensure_future(run_in_threadpool(read, self._count))

    @property
    def is_long(self) -> bool:
        """Whether reading takes so long that the page shows its progress."""
        return self.upload.name.lower().endswith(".xlsx") and len(self.upload.content) >= _LONG_WORKBOOK

    def words(self, seconds: float) -> str:
        """The rows read so far; the seconds until the first of them are counted."""
        return f"{self.rows:,} rows" if self.rows else f"{seconds:.0f} s"

    def _count(self, rows: int) -> None:
        self.rows = rows


def _last_step(scoring: "asyncio.Future[KeptList]") -> str:
    """The end of the page: a redirect to the list, or an error."""
    try:
        address = list_address(scoring.result().heading.list_id)
    except DnapredictError as error:
        return _problem(error)
    on = f'<meta http-equiv="refresh" content="0; url={address}">'
    return f'<p role="status"><strong>The list is scored.</strong> <a href="{address}">Go to the list</a></p>{on}'


def _problem(error: DnapredictError) -> str:
    """An error at the end of the page; the cause of an internal one is only logged."""
    if isinstance(error, DataError):
        message = html.escape(str(error))
    else:
        _LOG.error("%s", error)
        message = _FAILED
    return f'<p role="alert"><strong>{message}</strong> <a href="{UPLOAD}">Choose the file again</a></p>'


def _answers(body: str) -> tuple[str, ColumnAnswers]:
    """The ticket of the file, and what the person says about it.

    Raises
    ------
    DataError
        If the body is not such a form.
    """
    form = PostedForm.of(body, most_fields=_MOST_FIELDS, advice="Choose the file again.")
    count = sum(name.startswith("column-") for name in form.fields)
    keys = [form.text(f"column-{number}") for number in range(1, count + 1)]
    return form.text("ticket"), ColumnAnswers(keys, form.text("first-row"))


def _form(*, complaint: str = "", status: int = 200) -> Response:
    return page("upload_page.html", here=UPLOAD, status=status, complaint=complaint)


def _shown(request: Request, kept: KeptList) -> Response:
    return worked_on(request, kept, RedirectResponse(list_address(kept.heading.list_id), 303))

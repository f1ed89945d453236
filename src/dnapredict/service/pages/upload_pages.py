"""The pages of an upload: choose a list to score, and confirm once what the columns of a spreadsheet mean."""

import asyncio
import html
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

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
from dnapredict.service.pages.lists.list_view import list_address
from dnapredict.service.pages.posted_forms import PostedForm, body_text
from dnapredict.service.pages.rendering import page, page_text
from dnapredict.worklist.files.kept_list import KeptList

UPLOAD: Final = "/upload"
UPLOAD_COLUMNS: Final = "/upload/columns"
# A list of this many rows takes a second or two; for a longer one the page shows the progress.
_LONG_ROWS: Final = 2_000
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
            read = await run_in_threadpool(self.pages.scoring.read, upload)
            question = await run_in_threadpool(self.pages.scoring.question, read)
            if question is None:
                return await self._scored(read)
            ticket = await run_in_threadpool(self.pages.scoring.wait_for_columns, upload)
            return _question(question, ticket=ticket)
        except DnapredictError as error:
            return _form(complaint=str(error), status=status_of(error))

    async def columns(self, request: Request) -> Response:
        """Score the uploaded list with the meanings that were chosen for its columns."""
        body = await body_text(request)
        try:
            ticket, answers = _answers(body)
            return await self._scored(await run_in_threadpool(self.pages.scoring.explain_columns, ticket, answers))
        except ColumnsUnclear as unclear:
            return _question(unclear.question, ticket=ticket, complaint=str(unclear))
        except DnapredictError as error:
            return _form(complaint=str(error), status=status_of(error))

    async def _scored(self, read: ReadUpload) -> Response:
        """The list once it is scored; for a long list, a page with its progress."""
        if read.table.num_rows < _LONG_ROWS:
            return _shown(await run_in_threadpool(self.pages.scoring.upload, read))
        return StreamingResponse(self._steps(read), media_type="text/html")

    async def _steps(self, read: ReadUpload) -> AsyncIterator[str]:
        """A page in parts: the step, the time each second, and at the end a redirect to the list.

        It works without JavaScript: the browser shows each part as it arrives, and the last part redirects.
        """
        start, end = page_text("upload_progress.html", here=UPLOAD, name=read.upload.name).split(_STEPS)
        yield start
        scoring = asyncio.ensure_future(run_in_threadpool(self.pages.scoring.upload, read))
        seconds = 0
        while not (await asyncio.wait([scoring], timeout=1))[0]:
            seconds += 1
            yield f"<span>{seconds} s </span>"
        yield _last_step(scoring) + end


def _last_step(scoring: "asyncio.Future[KeptList]") -> str:
    """The end of the page: a redirect to the list, or an error; the cause of an internal error is only logged."""
    try:
        address = list_address(scoring.result().heading.list_id)
    except DnapredictError as error:
        _LOG.error("%s", error)
        message = html.escape(str(error)) if isinstance(error, DataError) else _FAILED
        return f'</p><p role="alert"><strong>{message}</strong> <a href="{UPLOAD}">Choose the file again</a>'
    on = f'<meta http-equiv="refresh" content="0; url={address}">'
    return f'</p><p role="status"><strong>The list is scored.</strong> <a href="{address}">Go to the list</a>{on}'


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


def _question(question: ColumnQuestion, *, ticket: str, complaint: str = "") -> Response:
    return page(
        "upload_columns.html",
        here=UPLOAD,
        status=400 if complaint else 200,
        question=question,
        groups=_GROUPS,
        ticket=ticket,
        complaint=complaint,
    )


def _shown(kept: KeptList) -> Response:
    return worked_on(kept, RedirectResponse(list_address(kept.heading.list_id), 303))

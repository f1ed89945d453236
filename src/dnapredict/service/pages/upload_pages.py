"""The pages of an upload: a list to score, and what the columns of a spreadsheet mean, asked once."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from dnapredict.data.mapping.column_meanings import MEANINGS
from dnapredict.errors import DataError, DnapredictError
from dnapredict.service.api.list_columns import ColumnQuestion, ColumnsUnclear
from dnapredict.service.api.pending_uploads import PendingUpload
from dnapredict.service.api.scoring_endpoints import uploaded
from dnapredict.service.error_responses import status_of
from dnapredict.service.pages.list_pages import ListPages, worked_on
from dnapredict.service.pages.list_view import LIST_PAGES
from dnapredict.service.pages.rendering import page
from dnapredict.worklist.files.list_store import KeptList

UPLOAD: Final = "/upload"
UPLOAD_COLUMNS: Final = "/upload/columns"
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
            name, content = await uploaded(request)
            return await run_in_threadpool(self._upload, PendingUpload(name, content))
        except DnapredictError as error:
            return _form(complaint=str(error), status=status_of(error))

    async def columns(self, request: Request) -> Response:
        """Score the list that waits for the meaning of its columns."""
        body = (await request.body()).decode("utf-8", "replace")
        try:
            return await run_in_threadpool(self._columns, body)
        except DnapredictError as error:
            return _form(complaint=str(error), status=status_of(error))

    def _upload(self, upload: PendingUpload) -> Response:
        scored = self.pages.lists.upload(upload)
        if isinstance(scored, KeptList):
            return _shown(scored)
        return _question(scored, ticket=self.pages.lists.wait_for_columns(upload))

    def _columns(self, body: str) -> Response:
        ticket, keys = _answers(body)
        try:
            scored = self.pages.lists.upload_waiting(ticket, keys)
        except ColumnsUnclear as unclear:
            return _question(unclear.question, ticket=ticket, complaint=str(unclear))
        return _shown(scored)


def _answers(body: str) -> tuple[str, list[str]]:
    """The ticket of the file, and the meaning of each of its columns in their order.

    Raises
    ------
    DataError
        If the body is not such a form.
    """
    try:
        fields = parse_qs(body, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise DataError("The form could not be read. Choose the file again.") from None
    count = sum(name.startswith("column-") for name in fields)
    keys = [fields.get(f"column-{number}", [""])[0] for number in range(1, count + 1)]
    return fields.get("ticket", [""])[0], keys


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
    return worked_on(kept, RedirectResponse(f"{LIST_PAGES}/{kept.heading.list_id}", 303))

"""The page to upload a filled workbook, and its result for each row."""

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from dnapredict.errors import DnapredictError
from dnapredict.service.api.returned_outcomes import (
    ADVICE,
    Fate,
    Returned,
    ReturnedRow,
    read_returned,
    record_returned,
)
from dnapredict.service.api.scoring_endpoints import uploaded
from dnapredict.service.call_outcomes import WORDS
from dnapredict.service.error_responses import status_of
from dnapredict.service.pages.lists.list_pages import ListPages, list_not_found
from dnapredict.service.pages.lists.list_query import ListQuery
from dnapredict.service.pages.lists.list_slice import LINES_A_PAGE
from dnapredict.service.pages.lists.list_view import ONE_LIST, Who, list_address, outcome_shown
from dnapredict.service.pages.rendering import error_page, page
from dnapredict.worklist.files.kept_list import KeptList

WORKBOOK: Final = "/workbook"
_ONE: Final = ONE_LIST + WORKBOOK


@dataclass(frozen=True)
class ShownRow:
    """A row of the filled workbook in words; `address` is that of its line on the list, "" if it has none."""

    cell: str
    appointment: str
    entered: str
    standing: str
    fate: str
    advice: str
    address: str


@dataclass(frozen=True)
class ReturnedPages:
    """The page of the form, which is also the page of its result."""

    pages: ListPages

    def routes(self) -> Sequence[BaseRoute]:
        """The routes of the page."""
        return [Route(_ONE, self.form, methods=["GET"]), Route(_ONE, self.give_back, methods=["POST"])]

    def form(self, request: Request) -> Response:
        """The form to upload a filled workbook."""
        try:
            kept = self._kept(request)
        except DnapredictError as error:
            return error_page("The list cannot be shown", str(error), status=status_of(error))
        return list_not_found() if kept is None else self._page(request, kept)

    async def give_back(self, request: Request) -> Response:
        """Record the outcomes of a filled workbook, and show the result for each row."""
        try:
            kept = await run_in_threadpool(self._kept, request)
            if kept is None:
                return list_not_found()
            try:
                name, content = await uploaded(request)
                returned = await run_in_threadpool(self._recorded, kept, name, content)
            except DnapredictError as error:
                return self._page(request, kept, status=status_of(error), complaint=str(error))
        except DnapredictError as error:
            return error_page("Nothing was recorded", str(error), status=status_of(error))
        return self._page(request, kept, returned=returned)

    def _kept(self, request: Request) -> KeptList | None:
        return self.pages.lists.shown(request.path_params["list_id"])

    def _recorded(self, kept: KeptList, name: str, content: bytes) -> Returned:
        filled = read_returned(content, name=name)
        self.pages.lists.hold(kept)
        return record_returned(filled, kept, self.pages.actions)

    def _page(
        self,
        request: Request,
        kept: KeptList,
        *,
        status: int = 200,
        complaint: str = "",
        returned: Returned | None = None,
    ) -> Response:
        return page(
            "returned.html",
            here=self.pages.here(kept, request),
            status=status,
            synthetic=kept.heading.synthetic,
            name=kept.heading.name,
            address=list_address(kept.heading.list_id),
            complaint=complaint,
            result=None if returned is None else self._result(kept, returned),
        )

    def _result(self, kept: KeptList, returned: Returned) -> dict[str, Any]:
        """The counts and the rows of a result: first the rows that need attention."""
        done = [row for row in returned.rows if not row.fate.needs_attention and row.fate is not Fate.UNCHANGED]
        return {
            "recorded": returned.count(Fate.RECORDED),
            "already": returned.count(Fate.ALREADY),
            "unchanged": returned.count(Fate.UNCHANGED),
            "empty": returned.empty,
            "attention": _shown(returned.attention, kept, who=self.pages.who),
            "done": _shown(done, kept, who=self.pages.who),
        }


def _shown(rows: Iterable[ReturnedRow], kept: KeptList, *, who: Who) -> list[ShownRow]:
    zone = kept.heading.zone
    return [
        ShownRow(
            cell=row.cell,
            appointment=row.source.appointment or "(none)",
            entered=row.source.outcome or "" if row.outcome is None else WORDS[row.outcome],
            standing=_standing(row, who=who, zone=zone),
            fate=row.fate.value.capitalize(),
            advice=ADVICE.get(row.fate, ""),
            address=_line_address(kept, row.line) if row.line else "",
        )
        for row in rows
    ]


def _line_address(kept: KeptList, line: int) -> str:
    """The address of a line, on its page of the whole list."""
    shown = ListQuery(show="all", page=(line - 1) // LINES_A_PAGE + 1)
    return f"{list_address(kept.heading.list_id)}{shown.query()}#line-{line}"


def _standing(row: ReturnedRow, *, who: Who, zone: datetime.tzinfo) -> str:
    """The current outcome of the appointment, with its time and person."""
    if row.standing is None:
        return ""
    outcome = outcome_shown(row.standing, who=who, zone=zone)
    return f"{outcome.words}, {outcome.at}, {outcome.by}"

"""The page about the model: its fairness audit, the state of its monitor and its card, and both whole reports."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from dnapredict.errors import DnapredictError
from dnapredict.monitoring.monitor_state import read_page, readable_state
from dnapredict.service.api.champion import Champion
from dnapredict.service.api.model_documents import DocumentCache
from dnapredict.service.auth.permissions import may_reach
from dnapredict.service.auth.staff import SIGNED_IN
from dnapredict.service.error_responses import status_of
from dnapredict.service.pages.rendering import error_page, page

MODEL: Final = "/model"
REPORT: Final = MODEL + "/report"
# The two pages of a report name each other as files of one folder.
REPORT_FILE: Final = MODEL + "/report.html"
TABLES: Final = MODEL + "/figures.html"
MONITOR: Final = MODEL + "/monitor"
# The report is one file with inline styles and images, without scripts or requests.
_REPORT_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_DECISIONS: Final = {
    "approve": "Approved",
    "conditions": "Approved with conditions",
    "reject": "Rejected",
}


def model_routes(champion: Champion, cache: DocumentCache, *, home: Path) -> Sequence[BaseRoute]:
    """The routes of the pages about the champion, and of the page of the last monitor run of the home."""

    def model(_: Request) -> Response:
        try:
            scorer = champion.require()
            documents = cache.of(scorer.model_version)
        except DnapredictError as error:
            return error_page("The model cannot be shown", str(error), status=status_of(error))
        return page(
            "model.html",
            here=MODEL,
            synthetic=scorer.synthetic,
            version=scorer.model_version,
            documents=documents,
            card=card_html(documents.card),
            decision=_DECISIONS.get(documents.tags.get("signed_decision", ""), ""),
            report_address=REPORT,
            monitor=readable_state(home),
            monitor_address=MONITOR,
            sees_monitor=_sees_monitor(),
        )

    def report(request: Request) -> Response:
        try:
            document = cache.of(champion.require().model_version).report
        except DnapredictError as error:
            return error_page("The report cannot be shown", str(error), status=status_of(error))
        if document is None:
            return error_page("There is no report", "The model was not audited here.", status=404)
        of_tables = request.url.path.endswith(TABLES)
        content = document.tables if of_tables else document.html
        if content is None:
            return error_page("There is no page of tables", "It is not kept here as it was written.", status=404)
        return HTMLResponse(content, headers={"content-security-policy": _REPORT_POLICY})

    def monitor(_: Request) -> Response:
        state = readable_state(home)
        content = None if state is None else read_page(home, state)
        if content is None:
            sentence = "The model in use was not monitored here, or the page is not kept as it was written."
            return error_page("There is no page of the monitor", sentence, status=404)
        return HTMLResponse(content, headers={"content-security-policy": _REPORT_POLICY})

    reports = [Route(path, report) for path in (REPORT, REPORT_FILE, TABLES)]
    return [Route(MODEL, model), *reports, Route(MONITOR, monitor)]


def _sees_monitor() -> bool:
    """Whether the person who asks answers for the model; a clerk is told only whether anything has to be done."""
    person = SIGNED_IN.get()
    return person is not None and may_reach({person.role}, MONITOR)


def card_html(markdown: str) -> str:
    """A model card as HTML within a page, with its headings one level lower; HTML in the card is shown as text.

    Tables are wide: each is in a box that can be scrolled, also with the keyboard.
    """
    return str(_READER.render(markdown))


class _CardRenderer(RendererHTML):
    """The renderer of markdown-it with the classes of NHS.UK frontend. Empty headings are left out."""

    def heading_open(self, tokens: Sequence[Token], index: int, *_: object) -> str:
        return f"<{_beneath(tokens[index].tag)}>"

    def heading_close(self, tokens: Sequence[Token], index: int, *_: object) -> str:
        return f"</{_beneath(tokens[index].tag)}>"

    def table_open(self, tokens: Sequence[Token], index: int, *_: object) -> str:
        title = next((t.content for t in reversed(tokens[:index]) if t.type == "inline"), "Table")
        name = re.sub(r"[^\w .,:()?-]", "", title)[:80]
        box = f'<div class="dna-scroll" role="region" aria-label="Table: {name}" tabindex="0">'
        return box + '<table class="nhsuk-table">'

    def th_open(self, tokens: Sequence[Token], index: int, *_: object) -> str:
        return '<th scope="col">' if tokens[index + 1].content else "<td>"

    def th_close(self, tokens: Sequence[Token], index: int, *_: object) -> str:
        return "</th>" if tokens[index - 1].content else "</td>"

    def table_close(self, *_: object) -> str:
        return "</table></div>"


def _beneath(tag: str) -> str:
    """Render headings one level lower: the title of the card becomes an h2."""
    return f"h{min(int(tag[1]) + 1, 6)}"


_READER: Final = MarkdownIt("commonmark", {"html": False}, renderer_cls=_CardRenderer).enable("table")

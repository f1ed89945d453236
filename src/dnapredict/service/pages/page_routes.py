"""Routes of the public pages, and of the static files of all pages."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from dnapredict.config.factor_register import Factor, FactorClass
from dnapredict.service.api.champion import Champion
from dnapredict.service.api.model_documents import DocumentCache
from dnapredict.service.auth.access_control import ABOUT, ACCESSIBILITY, FailedKeys
from dnapredict.service.auth.accounts import Accounts
from dnapredict.service.pages.calls.call_mode import CallMode
from dnapredict.service.pages.calls.call_view import CallDesk
from dnapredict.service.pages.lists.call_sheet_page import call_sheet_routes
from dnapredict.service.pages.lists.entry_forms import EntryForms
from dnapredict.service.pages.lists.list_pages import ListPages
from dnapredict.service.pages.lists.returned_page import ReturnedPages
from dnapredict.service.pages.lists.row_forms import RowForms
from dnapredict.service.pages.model_pages import model_routes
from dnapredict.service.pages.rendering import page
from dnapredict.service.pages.sign_in import SignInPages
from dnapredict.service.pages.upload_pages import UploadPages
from dnapredict.service.pages.week_page import week_routes
from dnapredict.service.scorer_protocol import factors_of

# The classes of the factor register in a patient's words, in the order of the page.
_KINDS: Final = {
    FactorClass.ATTENDANCE_HISTORY: "Earlier appointments",
    FactorClass.OPERATIONAL: "How and when the appointment was booked",
    FactorClass.GEOGRAPHIC: "Where the appointment is, and how far away",
    FactorClass.SOCIO_ECONOMIC: "The area where the patient lives, and money",
    FactorClass.PERSONAL: "The patient",
}


def plain_routes(champion: Champion) -> Sequence[BaseRoute]:
    """The routes of the public pages, which list the champion's factors."""

    def about(_: Request) -> Response:
        scorer = champion.scorer
        factors = () if scorer is None else factors_of(scorer)
        return page("about.html", here=ABOUT, kinds=_by_kind(factors))

    def accessibility(_: Request) -> Response:
        return page("accessibility.html", here=ACCESSIBILITY)

    return [Route(ABOUT, about), Route(ACCESSIBILITY, accessibility)]


def _by_kind(factors: Iterable[Factor]) -> dict[str, list[str]]:
    """The titles of the factors by class."""
    titles_by_kind: dict[str, list[str]] = {words: [] for words in _KINDS.values()}
    for factor in factors:
        titles_by_kind[_KINDS[factor.factor_class]].append(factor.title)
    return {words: titles for words, titles in titles_by_kind.items() if titles}


STATIC_PATH: Final = "/static"


def page_routes(
    lists: ListPages, champion: Champion, *, documents: DocumentCache, accounts: Accounts, failed: FailedKeys
) -> Sequence[BaseRoute]:
    """Routes of every page."""
    return [
        *lists.routes(),
        *EntryForms(lists).routes(),
        *CallMode(CallDesk(lists)).routes(),
        *ReturnedPages(lists).routes(),
        *call_sheet_routes(lists),
        *UploadPages(lists).routes(),
        *RowForms(lists).routes(),
        *week_routes(lists),
        *model_routes(champion, documents, home=lists.lists.home),
        *plain_routes(champion),
        *SignInPages(accounts, failed).routes(),
        Mount(STATIC_PATH, StaticFiles(directory=Path(__file__).with_name("static"))),
    ]

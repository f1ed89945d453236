"""Pages that everybody may read: what the tool is, and how accessible these pages are."""

from collections.abc import Iterable, Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from dnapredict.config.register import Factor, FactorClass
from dnapredict.service.champion import Champion, factors_of
from dnapredict.service.middleware.access import ABOUT, ACCESSIBILITY
from dnapredict.service.pages.rendering import page

__all__ = ["plain_routes"]

# The classes of the register as a patient would call them, in the order in which they are told.
_KINDS: Final = {
    FactorClass.ATTENDANCE_HISTORY: "Earlier appointments",
    FactorClass.OPERATIONAL: "How and when the appointment was booked",
    FactorClass.GEOGRAPHIC: "Where the appointment is, and how far away",
    FactorClass.SOCIO_ECONOMIC: "The area where the patient lives, and money",
    FactorClass.PERSONAL: "The patient",
}


def plain_routes(champion: Champion) -> Sequence[BaseRoute]:
    """The routes, telling what the champion looks at."""

    def about(_: Request) -> Response:
        scorer = champion.scorer
        factors = () if scorer is None else factors_of(scorer)
        return page("about.html", here=ABOUT, kinds=_by_kind(factors))

    def accessibility(_: Request) -> Response:
        return page("accessibility.html", here=ACCESSIBILITY)

    return [Route(ABOUT, about), Route(ACCESSIBILITY, accessibility)]


def _by_kind(factors: Iterable[Factor]) -> dict[str, list[str]]:
    """The factors' names by the kind of thing that they are about."""
    found: dict[str, list[str]] = {words: [] for words in _KINDS.values()}
    for factor in factors:
        found[_KINDS[factor.factor_class]].append(factor.title)
    return {words: titles for words, titles in found.items() if titles}

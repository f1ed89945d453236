"""The query string of a list page; it holds nothing about a patient."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlencode

from dnapredict.service.pages.posted_forms import whole_number

SHOWS: Final = ("to-call", "all", "not-scored")
SORTS: Final = {"place": "Place on the list", "time": "Date and time", "clinic": "Clinic"}
PROGRESS: Final = {"open": "Still to call", "done": "Dealt with"}
FILTERS: Final = ("clinic", "day", "band", "progress", "assigned")
NOBODY: Final = "nobody yet"
"""The filter for lines that were not handed over to a colleague."""

_LONGEST: Final = 100


@dataclass(frozen=True)
class ListQuery:
    """The tab, filters, order and page of a list.

    Invalid values in an address are ignored: the list helps a clerk more than an error.

    Attributes
    ----------
    show
        One of `SHOWS`.
    clinic, day, band, progress
        Filters; "" for none. A day is written as 2026-11-30.
    said
        The line whose outcome was just recorded; 0 for none. The name is that of the parameter.
    assigned
        A filter: the colleague who calls, or `NOBODY`.
    mended
        The line that was just corrected; 0 for none.
    """

    show: str = SHOWS[0]
    clinic: str = ""
    day: str = ""
    band: str = ""
    progress: str = ""
    sort: str = "place"
    page: int = 1
    said: int = 0
    assigned: str = ""
    mended: int = 0

    @classmethod
    def of(cls, named: Mapping[str, str]) -> "ListQuery":
        """Parse the parameters of an address."""
        show, sort, progress = (named.get(name, "") for name in ("show", "sort", "progress"))
        return cls(
            show=show if show in SHOWS else SHOWS[0],
            clinic=named.get("clinic", "")[:_LONGEST],
            day=named.get("day", "")[:_LONGEST],
            band=named.get("band", "")[:_LONGEST],
            progress=progress if progress in PROGRESS else "",
            sort=sort if sort in SORTS else "place",
            page=_number(named.get("page", ""), otherwise=1),
            said=_number(named.get("said", ""), otherwise=0),
            assigned=named.get("assigned", "")[:_LONGEST],
            mended=_number(named.get("mended", ""), otherwise=0),
        )

    @property
    def filtered(self) -> bool:
        """Whether any filter is set."""
        return any(getattr(self, name) for name in FILTERS)

    def at(self, page: int) -> "ListQuery":
        """The same query for another page."""
        return replace(self, page=page)

    def without(self, filters: Collection[str]) -> "ListQuery":
        """The same query without some of the filters."""
        none: dict[str, Any] = dict.fromkeys(filters, "")
        return replace(self, **none)

    def query(self, **changes: Any) -> str:
        """The query as text with `changes`; "" where it has only default values."""
        named = replace(self, **{"said": 0, "mended": 0, **changes}).named
        return "?" + urlencode(named) if named else ""

    @property
    def named(self) -> dict[str, Any]:
        """The parameters that differ from their default values."""
        usual = ListQuery()
        return {name: value for name, value in vars(self).items() if value != getattr(usual, name)}


def _number(text: str, *, otherwise: int) -> int:
    number = whole_number(text)
    return otherwise if number is None else number

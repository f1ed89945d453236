"""What the list page shows, worked out from the list scored last and from the address asked for."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from dnapredict.lists.latest import LatestList, ListedAppointment

__all__ = ["LINES_A_PAGE", "Choice", "Line", "ListView", "view_of"]

LINES_A_PAGE: Final = 50

_LOCAL: Final = ZoneInfo("Europe/London")
# The strongest colour for the highest band; all below the second are grey. The words carry the meaning.
_COLOURS: Final = ("orange", "yellow")
_OTHER_COLOUR: Final = "grey"
_SHOWS: Final = ("to-call", "all", "not-scored")


@dataclass(frozen=True)
class Choice:
    """A link to another part of the list."""

    words: str
    address: str
    current: bool


@dataclass(frozen=True)
class Line:
    """One appointment as it is shown."""

    row: ListedAppointment
    when: str
    colour: str


@dataclass(frozen=True)
class ListView:
    """Everything the list page shows."""

    show: str
    heading: str
    summary: str
    saved_at: str
    caption: str
    choices: tuple[Choice, ...]
    pages: tuple[Choice, ...]
    lines: tuple[Line, ...]
    has_times: bool
    has_clinics: bool


def view_of(latest: LatestList, *, show: str, number: int) -> ListView:
    """The part `show` ("to-call", "all" or "not-scored") of a list, page `number` of it.

    An unknown part or page is answered with the nearest there is, since a clerk who
    mistypes an address is better served by the list than by an error.
    """
    show = show if show in _SHOWS else _SHOWS[0]
    rows = _part(latest, show)
    last = max(1, -(-len(rows) // LINES_A_PAGE))
    page = min(max(number, 1), last)
    shown = rows[(page - 1) * LINES_A_PAGE : page * LINES_A_PAGE]
    colours = _colours(latest.rows)
    return ListView(
        show=show,
        heading=f"{_counted(latest.selected, 'call', 'calls')} to make",
        summary=_summary(latest),
        saved_at=_local(latest.saved_at),
        caption=_caption(show, shown=len(shown), total=len(rows), page=page),
        choices=_choices(latest, show),
        pages=tuple(
            Choice(str(n), "/?" + urlencode({"show": show, "page": n}), n == page) for n in range(1, last + 1)
        ),
        lines=tuple(
            Line(row, _local(row.starts_at), colours.get(row.band or "", _OTHER_COLOUR)) for row in shown
        ),
        has_times=any(row.starts_at for row in latest.rows),
        has_clinics=any(row.clinic_code for row in latest.rows),
    )


def _part(latest: LatestList, show: str) -> Sequence[ListedAppointment]:
    if show == "not-scored":
        return [row for row in latest.rows if row.error]
    if show == "all":
        return [row for row in latest.rows if not row.error]
    return [row for row in latest.rows if row.selected]


def _summary(latest: LatestList) -> str:
    words = f"Out of {_counted(latest.appointments, 'appointment', 'appointments')} on the list."
    if latest.not_scored:
        words += f" {_counted(latest.not_scored, 'appointment', 'appointments')} could not be scored."
    if latest.appointments > len(latest.rows):
        words += f" This page holds the first {len(latest.rows):,}; the file that was written holds all."
    return words


def _caption(show: str, *, shown: int, total: int, page: int) -> str:
    part = {"to-call": "Call these first", "all": "The whole list, highest chance of missing first"}
    words = part.get(show, "These could not be scored: correct them and score the list again")
    if shown == total:
        return words
    first = (page - 1) * LINES_A_PAGE + 1
    return f"{words} ({first:,} to {first + shown - 1:,} of {total:,})"


def _choices(latest: LatestList, show: str) -> tuple[Choice, ...]:
    scored = latest.appointments - latest.not_scored
    words = {
        "to-call": f"To call ({latest.selected:,})",
        "all": f"Whole list ({scored:,})",
        "not-scored": f"Could not be scored ({latest.not_scored:,})",
    }
    there = [part for part in _SHOWS if part != "not-scored" or latest.not_scored]
    return tuple(Choice(words[part], "/?" + urlencode({"show": part}), part == show) for part in there)


def _colours(rows: Iterable[ListedAppointment]) -> dict[str, str]:
    """A colour a band, the first for the band that holds the highest risk."""
    highest: dict[str, float] = {}
    for row in rows:
        if row.band is not None and row.probability is not None:
            highest[row.band] = max(highest.get(row.band, 0.0), row.probability)
    bands = sorted(highest, key=lambda band: -highest[band])
    return dict(zip(bands, _COLOURS, strict=False))


def _counted(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


def _local(moment: datetime | None) -> str:
    """A moment as people in England write it.

    A day's last second is how the contract keeps a date that came without a clock time.
    """
    if moment is None:
        return ""
    local = moment.astimezone(_LOCAL)
    day = f"{local:%a} {local.day} {local:%b %Y}"
    return day if (local.hour, local.minute, local.second) == (23, 59, 59) else f"{day}, {local:%H:%M}"

"""Where a list page leads: its parts, what to filter and sort by, and its pages."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from dnapredict.lists.latest import Counts
from dnapredict.service.pages.asked import PROGRESS, SHOWS, SORTS, Asked
from dnapredict.service.pages.part import Part

__all__ = ["Choice", "Filter", "filters", "neighbour", "page_links", "parts"]

_NEIGHBOURS: Final = 2


@dataclass(frozen=True)
class Choice:
    """A link to another part of the list; without an address a gap between links."""

    words: str
    address: str
    current: bool


@dataclass(frozen=True)
class Filter:
    """One thing to filter or sort by, as a box to choose from: value and words."""

    name: str
    label: str
    everything: str
    options: Mapping[str, str]
    chosen: str


def parts(counts: Counts, asked: Asked, *, address: str) -> tuple[Choice, ...]:
    """To call, all, and what could not be scored."""
    words = {
        "to-call": f"To call ({counts.selected:,})",
        "all": f"Whole list ({counts.appointments - counts.not_scored:,})",
        "not-scored": f"Could not be scored ({counts.not_scored:,})",
    }
    there = [show for show in SHOWS if show != "not-scored" or counts.not_scored]
    return tuple(
        Choice(words[show], address + asked.at(1).query(show=show), show == asked.show) for show in there
    )


def filters(part: Part) -> tuple[Filter, ...]:
    """What the part can be filtered and sorted by."""
    if part.asked.show == "not-scored":
        return ()
    asked = part.asked
    every = (
        Filter("clinic", "Clinic", "All clinics", part.clinics, asked.clinic),
        Filter("day", "Day", "All days", part.days, asked.day),
        Filter("band", "Chance of missing it", "Any", part.bands, asked.band),
        Filter("progress", "Progress", "All", PROGRESS, asked.progress),
        Filter("sort", "Order", "", SORTS, asked.sort),
    )
    return tuple(each for each in every if each.options)


def page_links(part: Part, *, address: str) -> tuple[Choice, ...]:
    """The first and the last page and those around this one, with gaps between."""
    here = part.asked.page
    near = {1, part.pages, *range(here - _NEIGHBOURS, here + _NEIGHBOURS + 1)}
    numbers = sorted(number for number in near if 1 <= number <= part.pages)
    links = {n: Choice(str(n), address + part.asked.at(n).query(), n == here) for n in numbers}
    found = [links[numbers[0]]]
    for before, number in pairwise(numbers):
        found += [Choice("…", "", False)] * (number > before + 1) + [links[number]]
    return tuple(found)


def neighbour(part: Part, step: int, *, address: str) -> str:
    """The address of the page so many steps on; "" where there is none."""
    page = part.asked.page + step
    return address + part.asked.at(page).query() if 1 <= page <= part.pages else ""

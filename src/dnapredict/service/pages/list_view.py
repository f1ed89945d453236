"""What a list page shows: its lines, its parts, and where its links lead."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from dnapredict.service.call_actions import NEXT, WORDS, Outcome, TakenAction
from dnapredict.service.call_progress import CallProgress, of_calls
from dnapredict.service.pages.list_query import PROGRESS, SHOWS, SORTS, ListQuery
from dnapredict.service.pages.list_slice import LINES_A_PAGE, Part, Taken, part_of
from dnapredict.service.pages.rendering import moment_words
from dnapredict.worklist.files.latest_list import Counts
from dnapredict.worklist.files.list_store import KeptList

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


def parts(counts: Counts, asked: ListQuery, *, address: str) -> tuple[Choice, ...]:
    """To call, all, and what could not be scored."""
    words = {
        "to-call": f"To call ({counts.selected:,})",
        "all": f"Whole list ({counts.appointments - counts.not_scored:,})",
        "not-scored": f"Could not be scored ({counts.not_scored:,})",
    }
    there = [show for show in SHOWS if show != "not-scored" or counts.not_scored]
    return tuple(Choice(words[show], address + asked.at(1).query(show=show), show == asked.show) for show in there)


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


LIST_PAGES: Final = "/lists"

Entries = Callable[[Iterable[str]], Mapping[str, Sequence[TakenAction]]]
Who = Callable[[str], str]

# The strongest colour for the highest band; all below the second are grey. The words carry the meaning.
_COLOURS: Final = ("orange", "yellow")
_OTHER_COLOUR: Final = "grey"
# Two groups, since where nobody was reached somebody has to try again.
OFFERED: Final = tuple(
    (
        words,
        tuple((o.value, WORDS[o]) for o in Outcome if o is not Outcome.WITHDRAWN and o.reached is reached),
    )
    for words, reached in (("Somebody was reached", True), ("Nobody was reached", False))
)


@dataclass(frozen=True)
class RecordedOutcome:
    """What was recorded about a line, when and by whom."""

    words: str
    at: str
    next: str
    by: str


@dataclass(frozen=True)
class ListLine:
    """One appointment as it is shown.

    Attributes
    ----------
    said
        What counts by now; None where nothing does.
    history
        All that was recorded, the newest first.
    seen
        When the newest of it was recorded, "" where nothing was: the form sends it back, so that nobody
        replaces an outcome without having seen it.
    """

    number: int
    row: Mapping[str, Any]
    reasons: tuple[str, ...]
    when: str
    colour: str
    said: RecordedOutcome | None
    history: tuple[RecordedOutcome, ...]
    seen: str


@dataclass(frozen=True)
class ListView:
    """Everything the list page shows."""

    asked: ListQuery
    address: str
    query: str
    heading: str
    summary: str
    scored_at: str
    caption: str
    progress: CallProgress
    choices: tuple[Choice, ...]
    filters: tuple[Filter, ...]
    unfiltered: str
    sorted_by: Mapping[str, str]
    pages: tuple[Choice, ...]
    previous: str
    next: str
    last_page: int
    lines: tuple[ListLine, ...]
    recorded: str
    has_times: bool
    has_clinics: bool

    @property
    def asked_on_every_page(self) -> Mapping[str, Any]:
        """What is asked for beside the page, as fields of a form."""
        return self.asked.at(1).named

    @property
    def has_gap(self) -> bool:
        """Whether there are pages that no link leads to."""
        return any(not choice.address for choice in self.pages)

    @property
    def shows_recorded(self) -> bool:
        """Whether the line about which something was just recorded is on this page."""
        return any(line.number == self.asked.said for line in self.lines)


@dataclass(frozen=True)
class Wishes:
    """Which of some appointments are of patients who asked not to be called, and what to do about those."""

    among: Callable[[Iterable[str]], Collection[str]]
    action: str


def view_of(
    found: KeptList, asked: ListQuery, *, taken_of: Taken, entries_of: Entries, who: Who, wishes: Wishes
) -> ListView:
    """What a page shows of a list.

    Parameters
    ----------
    taken_of, entries_of
        What counts, and all that was recorded, by appointment.
    who
        What the holder of a key is called, by its id.
    wishes
        Who asked not to be called, perhaps since the list was scored: the page says so instead.

    Raises
    ------
    StoreError
        If what was recorded cannot be read.
    """
    part = part_of(found, asked, taken_of=taken_of)
    asked, address = part.asked, f"{LIST_PAGES}/{found.heading.list_id}"
    return ListView(
        asked=asked,
        address=address,
        query=asked.query(),
        heading=f"{_counted(found.heading.counts.selected, 'call', 'calls')} to make",
        summary=_summary(found),
        scored_at=moment_words(found.heading.scored_at),
        caption=_caption(part),
        progress=of_calls(part.calls, part.taken),
        choices=parts(found.heading.counts, asked, address=address),
        filters=filters(part),
        unfiltered=address + asked.without(("clinic", "day", "band", "progress")).at(1).query(),
        sorted_by={sort: address + asked.at(1).query(sort=sort) for sort in SORTS},
        pages=page_links(part, address=address),
        previous=neighbour(part, -1, address=address),
        next=neighbour(part, 1, address=address),
        last_page=part.pages,
        lines=_lines(part, entries_of=entries_of, who=who, wishes=wishes),
        recorded=_recorded(found, part),
        has_times=bool(part.days),
        has_clinics=bool(part.clinics),
    )


def _summary(found: KeptList) -> str:
    counts, held = found.heading.counts, found.worklist.num_rows
    words = f"Out of {_counted(counts.appointments, 'appointment', 'appointments')} on the list."
    if counts.not_scored:
        words += f" {_counted(counts.not_scored, 'appointment', 'appointments')} could not be scored."
    if counts.appointments > held:
        words += f" This page holds the first {held:,}; the file that was written holds all."
    return words


def _caption(part: Part) -> str:
    asked = part.asked
    words = {
        "to-call": "Call these",
        "all": "The whole list",
        "not-scored": "These could not be scored: correct them and score the list again",
    }[asked.show]
    if asked.show != "not-scored":
        words += {"time": ", by date and time", "clinic": ", by clinic"}.get(
            asked.sort, " first" if asked.show == "to-call" else ", highest chance of missing first"
        )
    if asked.filtered:
        words += ", filtered"
    shown = len(part.lines)
    if shown == part.total:
        return words
    first = (asked.page - 1) * LINES_A_PAGE + 1
    return f"{words} ({first:,} to {first + shown - 1:,} of {part.total:,})"


def _lines(part: Part, *, entries_of: Entries, who: Who, wishes: Wishes) -> tuple[ListLine, ...]:
    colours = dict(zip(part.bands, _COLOURS, strict=False))
    known = [row["appointment_id"] for row in part.lines if row["appointment_id"] is not None]
    entries, wished = entries_of(known), wishes.among(known)
    return tuple(
        _line(
            {**row, "action": wishes.action} if row["appointment_id"] in wished else row,
            colour=colours.get(row["band"], _OTHER_COLOUR),
            done=entries.get(row["appointment_id"], ()),
            who=who,
        )
        for row in part.lines
    )


def _line(row: Mapping[str, Any], *, colour: str, done: Sequence[TakenAction], who: Who) -> ListLine:
    last = done[-1] if done else None
    return ListLine(
        number=row["line"],
        row=row,
        reasons=tuple(row[name] for name in ("reason_1", "reason_2", "reason_3") if row[name]),
        when=moment_words(row["starts_at"]),
        colour=colour,
        said=None if last is None or last.outcome is Outcome.WITHDRAWN else said_of(last, who=who),
        history=tuple(said_of(each, who=who) for each in reversed(done)),
        seen="" if last is None else last.at.isoformat(),
    )


def said_of(taken: TakenAction, *, who: Who) -> RecordedOutcome:
    """An entry in words."""
    by = who(taken.asked_by) or taken.asked_by
    return RecordedOutcome(WORDS[taken.outcome], moment_words(taken.at), NEXT.get(taken.outcome, ""), by)


def _recorded(found: KeptList, part: Part) -> str:
    """What was just recorded, in a sentence; "" where nothing was."""
    line = found.line_at(part.asked.said)
    if line is None or (part.asked.show == "to-call" and not line["selected"]):
        return ""
    taken = part.taken.get(line["appointment_id"])
    if taken is None:
        return f"Place {line['rank']:,}: nothing is recorded any more"
    return f"Recorded for place {line['rank']:,}: {WORDS[taken.outcome]}"


def _counted(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"

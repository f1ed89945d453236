"""The view of a list page: its lines, its parts and its links."""

import datetime
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from dnapredict.service.call_actions import NEXT, WORDS, Outcome, RecordedAction
from dnapredict.service.call_progress import CallProgress, list_progress
from dnapredict.service.pages.list_query import PROGRESS, SHOWS, SORTS, ListQuery
from dnapredict.service.pages.list_slice import LINES_A_PAGE, LatestActions, ListSlice, slice_list
from dnapredict.service.pages.rendering import moment_words
from dnapredict.worklist.files.list_store import Counts, KeptList

_NEIGHBOURS: Final = 2


@dataclass(frozen=True)
class Choice:
    """A link to another part of the list; one without an address is an ellipsis."""

    words: str
    address: str
    current: bool


@dataclass(frozen=True)
class Filter:
    """A drop-down of a filter or of the order: values and labels."""

    name: str
    label: str
    everything: str
    options: Mapping[str, str]
    chosen: str


def parts(counts: Counts, list_query: ListQuery, *, address: str) -> tuple[Choice, ...]:
    """The tabs: to call, the whole list, and rows that could not be scored."""
    words = {
        "to-call": f"To call ({counts.selected:,})",
        "all": f"Whole list ({counts.appointments - counts.not_scored:,})",
        "not-scored": f"Could not be scored ({counts.not_scored:,})",
    }
    there = [show for show in SHOWS if show != "not-scored" or counts.not_scored]
    first = list_query.at(1)
    return tuple(Choice(words[show], address + first.query(show=show), show == list_query.show) for show in there)


def filters(part: ListSlice) -> tuple[Filter, ...]:
    """The drop-downs of filters and order."""
    if part.list_query.show == "not-scored":
        return ()
    list_query = part.list_query
    every = (
        Filter("clinic", "Clinic", "All clinics", part.clinics, list_query.clinic),
        Filter("day", "Day", "All days", part.days, list_query.day),
        Filter("band", "Chance of missing it", "Any", part.bands, list_query.band),
        Filter("progress", "Progress", "All", PROGRESS, list_query.progress),
        Filter("sort", "Order", "", SORTS, list_query.sort),
    )
    return tuple(each for each in every if each.options)


def page_links(part: ListSlice, *, address: str) -> tuple[Choice, ...]:
    """Links to the first and last page and those near this one, with ellipses between."""
    here = part.list_query.page
    near = {1, part.pages, *range(here - _NEIGHBOURS, here + _NEIGHBOURS + 1)}
    numbers = sorted(number for number in near if 1 <= number <= part.pages)
    links = {n: Choice(str(n), address + part.list_query.at(n).query(), n == here) for n in numbers}
    choices = [links[numbers[0]]]
    for before, number in pairwise(numbers):
        choices += [Choice("…", "", False)] * (number > before + 1) + [links[number]]
    return tuple(choices)


def neighbour(part: ListSlice, step: int, *, address: str) -> str:
    """The address of the page `steps` away; "" where there is none."""
    page = part.list_query.page + step
    return address + part.list_query.at(page).query() if 1 <= page <= part.pages else ""


LIST_PAGES: Final = "/lists"

Entries = Callable[[Iterable[str]], Mapping[str, Sequence[RecordedAction]]]
Who = Callable[[str], str]

# Colours of the bands from the highest; below the second all are grey. The label carries the meaning.
_COLOURS: Final = ("orange", "yellow")
_OTHER_COLOUR: Final = "grey"
# Two groups, since a call that reached nobody has to be repeated.
OFFERED: Final = tuple(
    (
        words,
        tuple((o.value, WORDS[o]) for o in Outcome if o is not Outcome.WITHDRAWN and o.reached is reached),
    )
    for words, reached in (("Somebody was reached", True), ("Nobody was reached", False))
)


@dataclass(frozen=True)
class RecordedOutcome:
    """A recorded outcome in words, with its time and the key's holder."""

    words: str
    at: str
    next: str
    by: str


@dataclass(frozen=True)
class ListLine:
    """An appointment as the page shows it.

    Attributes
    ----------
    outcome
        The current outcome; None where there is none.
    history
        All recorded outcomes, the newest first.
    seen
        Time of the newest entry, "" where there is none. The form sends it back, so that nobody replaces an
        outcome that they have not seen.
    """

    number: int
    row: Mapping[str, Any]
    reasons: tuple[str, ...]
    when: str
    colour: str
    outcome: RecordedOutcome | None
    history: tuple[RecordedOutcome, ...]
    seen: str


@dataclass(frozen=True)
class ListView:
    """Everything that a list page shows."""

    list_query: ListQuery
    address: str
    query: str
    heading: str
    summary: str
    created_at: str
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
    def query_fields(self) -> Mapping[str, Any]:
        """The query without the page number, as fields of a form."""
        return self.list_query.at(1).named

    @property
    def has_gap(self) -> bool:
        """Whether there are pages without a link."""
        return any(not choice.address for choice in self.pages)

    @property
    def shows_recorded(self) -> bool:
        """Whether the line whose outcome was just recorded is on this page."""
        return any(line.number == self.list_query.said for line in self.lines)


@dataclass(frozen=True)
class OptOuts:
    """Appointments of patients who opted out of calls, and the action for them."""

    among: Callable[[Iterable[str]], Collection[str]]
    action: str


def build_view(
    kept: KeptList, list_query: ListQuery, *, latest_of: LatestActions, entries_of: Entries, who: Who, opt_outs: OptOuts
) -> ListView:
    """The view of a list page.

    Parameters
    ----------
    latest_of, entries_of
        The latest action, and all recorded actions, by appointment.
    who
        The name of the holder of a key, by its id.
    opt_outs
        Patients who opted out, possibly after the list was scored: their action is replaced.

    Raises
    ------
    StoreError
        If what was recorded cannot be read.
    """
    part = slice_list(kept, list_query, latest_of=latest_of)
    list_query, address = part.list_query, f"{LIST_PAGES}/{kept.heading.list_id}"
    return ListView(
        list_query=list_query,
        address=address,
        query=list_query.query(),
        heading=kept.heading.counts.heading,
        summary=_summary(kept),
        created_at=moment_words(kept.heading.created_at, kept.heading.zone),
        caption=_caption(part),
        progress=list_progress(part.calls, part.latest),
        choices=parts(kept.heading.counts, list_query, address=address),
        filters=filters(part),
        unfiltered=address + list_query.without(("clinic", "day", "band", "progress")).at(1).query(),
        sorted_by={sort: address + list_query.at(1).query(sort=sort) for sort in SORTS},
        pages=page_links(part, address=address),
        previous=neighbour(part, -1, address=address),
        next=neighbour(part, 1, address=address),
        last_page=part.pages,
        lines=_lines(part, entries_of=entries_of, who=who, opt_outs=opt_outs, zone=kept.heading.zone),
        recorded=_recorded(kept, part),
        has_times=bool(part.days),
        has_clinics=bool(part.clinics),
    )


def _summary(kept: KeptList) -> str:
    counts, held = kept.heading.counts, kept.worklist.num_rows
    words = counts.summary
    if counts.appointments > held:
        words += f" This page holds the first {held:,}; the file that was written holds all."
    return words


def _caption(part: ListSlice) -> str:
    list_query = part.list_query
    words = {
        "to-call": "Call these",
        "all": "The whole list",
        "not-scored": "These could not be scored: correct them and score the list again",
    }[list_query.show]
    if list_query.show != "not-scored":
        words += {"time": ", by date and time", "clinic": ", by clinic"}.get(
            list_query.sort, " first" if list_query.show == "to-call" else ", highest chance of missing first"
        )
    if list_query.filtered:
        words += ", filtered"
    shown = len(part.lines)
    if shown == part.total:
        return words
    first = (list_query.page - 1) * LINES_A_PAGE + 1
    return f"{words} ({first:,} to {first + shown - 1:,} of {part.total:,})"


def _lines(
    part: ListSlice, *, entries_of: Entries, who: Who, opt_outs: OptOuts, zone: datetime.tzinfo
) -> tuple[ListLine, ...]:
    colours = dict(zip(part.bands, _COLOURS, strict=False))
    known = [row["appointment_id"] for row in part.lines if row["appointment_id"] is not None]
    entries, opted_out = entries_of(known), opt_outs.among(known)
    return tuple(
        _line(
            {**row, "action": opt_outs.action} if row["appointment_id"] in opted_out else row,
            colour=colours.get(row["band"], _OTHER_COLOUR),
            done=entries.get(row["appointment_id"], ()),
            who=who,
            zone=zone,
        )
        for row in part.lines
    )


def _line(
    row: Mapping[str, Any], *, colour: str, done: Sequence[RecordedAction], who: Who, zone: datetime.tzinfo
) -> ListLine:
    last = done[-1] if done else None
    return ListLine(
        number=row["line"],
        row=row,
        reasons=tuple(row[name] for name in ("reason_1", "reason_2", "reason_3") if row[name]),
        when=moment_words(row["starts_at"], zone),
        colour=colour,
        outcome=None if last is None or last.outcome is Outcome.WITHDRAWN else outcome_shown(last, who=who, zone=zone),
        history=tuple(outcome_shown(each, who=who, zone=zone) for each in reversed(done)),
        seen="" if last is None else last.at.isoformat(),
    )


def outcome_shown(action: RecordedAction, *, who: Who, zone: datetime.tzinfo) -> RecordedOutcome:
    """An entry in words, its time by the clock of `zone`."""
    by = who(action.requested_by) or action.requested_by
    return RecordedOutcome(WORDS[action.outcome], moment_words(action.at, zone), NEXT.get(action.outcome, ""), by)


def _recorded(kept: KeptList, part: ListSlice) -> str:
    """The message about the outcome that was just recorded; "" where there is none."""
    line = kept.row_at(part.list_query.said)
    if line is None or (part.list_query.show == "to-call" and not line["selected"]):
        return ""
    action = part.latest.get(line["appointment_id"])
    if action is None:
        return f"Place {line['rank']:,}: nothing is recorded any more"
    return f"Recorded for place {line['rank']:,}: {WORDS[action.outcome]}"

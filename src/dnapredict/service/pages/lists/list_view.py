"""The view of a list page: its lines, its parts and its links."""

import datetime
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Final

from dnapredict.service.call_actions import RecordedAction
from dnapredict.service.call_outcomes import NEXT, WORDS, Outcome
from dnapredict.service.call_progress import CallProgress, list_progress
from dnapredict.service.pages.lists.list_query import FILTERS, NOBODY, PROGRESS, SHOWS, SORTS, ListQuery
from dnapredict.service.pages.lists.list_slice import LINES_A_PAGE, LatestActions, ListSlice, slice_list
from dnapredict.service.pages.rendering import moment_words
from dnapredict.worklist.files.kept_list import Counts, KeptList

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
        Filter("assigned", "Who calls", "Everybody", part.colleagues, list_query.assigned),
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
ONE_LIST: Final = LIST_PAGES + "/{list_id}"

Entries = Callable[[Iterable[str]], Mapping[str, Sequence[RecordedAction]]]
Who = Callable[[str], str]

# Colours of the bands from the highest; below the second all are grey. The label carries the meaning.
_COLOURS: Final = ("orange", "yellow")
_OTHER_COLOUR: Final = "grey"


def _is_spoken(outcome: Outcome) -> bool:
    """Whether the outcome follows from a conversation and is offered in that group."""
    return outcome.reached or outcome is Outcome.CALLS_WISHED


def list_address(list_id: str) -> str:
    """The address of the page of a list."""
    return f"{LIST_PAGES}/{list_id}"


# Two groups, since a call that reached nobody has to be repeated.
OFFERED: Final = tuple(
    (
        words,
        tuple((o.value, WORDS[o]) for o in Outcome if o is not Outcome.WITHDRAWN and _is_spoken(o) is reached),
    )
    for words, reached in (("Somebody was reached", True), ("Nobody was reached", False))
)


@dataclass(frozen=True)
class RecordedOutcome:
    """A recorded outcome in words, with its time, the key's holder, and the barrier, offer and call-back time."""

    words: str
    at: str
    next: str
    by: str
    details: str = ""


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
    calling
        Which colleague is calling now, as "A. Name is calling"; "" for nobody.
    colleague
        Who calls, "" where the line is not handed over.
    """

    number: int
    row: Mapping[str, Any]
    reasons: tuple[str, ...]
    when: str
    colour: str
    outcome: RecordedOutcome | None
    history: tuple[RecordedOutcome, ...]
    seen: str
    calling: str = ""
    colleague: str = ""


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
    total: int = 0
    mended: str = ""

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
    kept: KeptList,
    list_query: ListQuery,
    *,
    latest_of: LatestActions,
    entries_of: Entries,
    who: Who,
    opt_outs: OptOuts,
    calling: Callable[[Iterable[str]], Mapping[str, str]] = lambda _: {},
    instead: Callable[[Sequence[RecordedAction]], str] = lambda _: "",
    assigned: Mapping[int, str] = MappingProxyType({}),
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
    calling
        Which colleague is calling about some of the appointments.
    instead
        The action that replaces a call after the recorded actions about an appointment; "" if it is called.
    assigned
        The colleague who calls, by line.

    Raises
    ------
    StoreError
        If what was recorded cannot be read.
    """
    part = slice_list(kept, list_query, latest_of=latest_of, assigned=assigned)
    list_query, address = part.list_query, list_address(kept.heading.list_id)
    progress = list_progress(part.calls, part.latest)
    return ListView(
        list_query=list_query,
        address=address,
        query=list_query.query(),
        heading=list_heading(kept, progress),
        summary=_summary(kept),
        created_at=moment_words(kept.heading.created_at, kept.heading.zone),
        caption=_caption(part),
        progress=progress,
        choices=parts(kept.heading.counts, list_query, address=address),
        filters=filters(part),
        unfiltered=address + list_query.without(FILTERS).at(1).query(),
        sorted_by={sort: address + list_query.at(1).query(sort=sort) for sort in SORTS},
        pages=page_links(part, address=address),
        previous=neighbour(part, -1, address=address),
        next=neighbour(part, 1, address=address),
        last_page=part.pages,
        lines=_with_callers(
            _lines(part, entries_of=entries_of, who=who, opt_outs=opt_outs, instead=instead, zone=kept.heading.zone),
            calling,
        ),
        recorded=_recorded(kept, part),
        total=part.total,
        mended=_mended(kept, list_query.mended),
        has_times=bool(part.days),
        has_clinics=bool(part.clinics),
    )


def list_heading(kept: KeptList, progress: CallProgress) -> str:
    """The calls to make, and once something was recorded, how many of them are left."""
    if not progress.made:
        return kept.heading.counts.heading
    return f"{progress.left:,} of {progress.capacity:,} {'call' if progress.capacity == 1 else 'calls'} left"


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
        "not-scored": "These could not be scored",
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
    part: ListSlice,
    *,
    entries_of: Entries,
    who: Who,
    opt_outs: OptOuts,
    instead: Callable[[Sequence[RecordedAction]], str],
    zone: datetime.tzinfo,
) -> tuple[ListLine, ...]:
    colours = dict(zip(part.bands, _COLOURS, strict=False))
    known = [row["appointment_id"] for row in part.lines if row["appointment_id"] is not None]
    entries, opted_out = entries_of(known), opt_outs.among(known)

    def action_of(row: Mapping[str, Any]) -> str:
        is_out = row["appointment_id"] in opted_out
        other = opt_outs.action if is_out else instead(entries.get(row["appointment_id"], ()))
        return other or row["action"] or ""

    return tuple(
        _line(
            {**row, "action": action_of(row)},
            colour=colours.get(row["band"], _OTHER_COLOUR),
            done=entries.get(row["appointment_id"], ()),
            who=who,
            zone=zone,
        )
        for row in part.lines
    )


def _with_callers(
    lines: tuple[ListLine, ...], calling: Callable[[Iterable[str]], Mapping[str, str]]
) -> tuple[ListLine, ...]:
    callers = calling(line.row["appointment_id"] for line in lines if line.row["appointment_id"] is not None)
    return tuple(replace(line, calling=callers.get(line.row["appointment_id"], "")) for line in lines)


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
        colleague="" if row["colleague"] == NOBODY else row["colleague"],
    )


def outcome_shown(action: RecordedAction, *, who: Who, zone: datetime.tzinfo) -> RecordedOutcome:
    """An entry in words, its time by the clock of `zone`."""
    by = who(action.requested_by) or action.requested_by
    at, details, back = moment_words(action.at, zone), action.details.words, action.details.call_back_at
    call_back = "" if back is None else f"Call back on {moment_words(back, zone)}"
    return RecordedOutcome(
        WORDS[action.outcome],
        at,
        NEXT.get(action.outcome, ""),
        by,
        ". ".join(part for part in (details, call_back) if part),
    )


def _recorded(kept: KeptList, part: ListSlice) -> str:
    """The message about the outcome that was just recorded; "" where there is none."""
    line = kept.row_at(part.list_query.said)
    if line is None or (part.list_query.show == "to-call" and not line["selected"]):
        return ""
    action = part.latest.get(line["appointment_id"])
    if action is None:
        return f"Place {line['rank']:,}: nothing is recorded any more"
    return f"Recorded for place {line['rank']:,}: {WORDS[action.outcome]}"


def _mended(kept: KeptList, line: int) -> str:
    """The message about the row that was just corrected; "" if there is none."""
    row = kept.row_at(line)
    if row is None:
        return ""
    called = "It is to be called." if row["selected"] else "No call is planned for it."
    return f"Appointment {row['appointment_id']} is scored now and has place {row['rank']:,}. {called}"


def _counted(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"

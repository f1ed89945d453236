"""The lists that a home keeps, which of them are a team's, and which one is a later export of another."""

import contextlib
import datetime
import logging
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from dnapredict.config.service_config import Retention
from dnapredict.data.files.file_lock import locked
from dnapredict.errors import StoreError
from dnapredict.service.auth.staff import SIGNED_IN, THIS_MACHINE, may_delete, may_see
from dnapredict.service.log.answer_entries import REQUESTED_BY
from dnapredict.worklist.calls import assignments
from dnapredict.worklist.calls.assignments import Assignment
from dnapredict.worklist.files import contact_details, latest_list, list_store, unscored_rows
from dnapredict.worklist.files.contact_table import ContactDetails
from dnapredict.worklist.files.kept_list import Heading, KeptList
from dnapredict.worklist.files.list_files import list_folder
from dnapredict.worklist.files.unscored_rows import UnscoredRows
from dnapredict.worklist.files.worklist_columns import FIFTH

# The next export of a list has some new appointments and some fewer. A list that shares fewer is another list.
_LEAST_IN_COMMON: Final = 0.5
_CHANGING: Final = ".mend.lock"
_SECONDS_TO_WAIT: Final = 50.0
_BUSY: Final = "Another row is being scored just now. Try again."
_LOG: Final = logging.getLogger("dnapredict.service")


def own_team() -> str:
    """The team of the person of this request; "" where nobody signs in, or for a key of no team."""
    person = SIGNED_IN.get()
    return "" if person is None else person.team


def own_name() -> str:
    """The name of the person of this request; "" where nobody signs in."""
    person = SIGNED_IN.get()
    return "" if person is None else person.name


def has_own_lists() -> bool:
    """Whether the person of this request may work only on the lists of a team or of a shared key."""
    person = SIGNED_IN.get()
    return person is not None and person is not THIS_MACHINE


def may_open(heading: Heading) -> bool:
    """Whether the person of this request may open a list; outside a request everything may be opened."""
    person = SIGNED_IN.get()
    return person is None or may_see(person, heading.team)


def may_delete_list(heading: Heading) -> bool:
    """Whether the person of this request may delete a list; outside a request every list may be deleted."""
    person = SIGNED_IN.get()
    return person is None or may_delete(person, heading.team)


def is_own(heading: Heading) -> bool:
    """Whether a list belongs to the person's team; for a key without a team, whether that key uploaded the list."""
    team = own_team()
    if team or not has_own_lists():
        return heading.team == team
    return not heading.team and heading.uploaded_by == own_name()


def followed_list(own: Sequence[KeptList], worklist: pa.Table) -> str:
    """The id of the list in `own` that shares most appointments with `worklist`, at least half of the shorter one.

    "" where there is none.
    """
    shares = {kept.heading.list_id: _in_common(kept.worklist, worklist) for kept in own}
    nearest = max(shares, key=lambda list_id: shares[list_id], default="")
    return nearest if nearest and shares[nearest] >= _LEAST_IN_COMMON else ""


def last_export(headings: Sequence[Heading], list_id: str) -> str:
    """The id of the latest export of a list; its own id if there is no later export."""
    follower = {heading.follows: heading.list_id for heading in headings if heading.follows}
    seen: set[str] = set()
    while list_id in follower and list_id not in seen:
        seen.add(list_id)
        list_id = follower[list_id]
    return list_id


def _in_common(one: pa.Table, other: pa.Table) -> float:
    """The appointments that two lists share, as a share of the shorter list."""
    names = [pc.unique(pc.drop_null(each["appointment_id"].combine_chunks())) for each in (one, other)]
    fewest = min(len(each) for each in names)
    return 0.0 if not fewest else int(pc.sum(pc.is_in(names[0], names[1])).as_py() or 0) / fewest


@dataclass(frozen=True)
class TeamLists:
    """The kept lists of one home, as far as the person of a request may open them.

    Attributes
    ----------
    retention
        The limits on kept lists: their number and age.
    """

    home: Path
    retention: Retention = Retention()  # noqa: RUF009 - frozen

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """Hold off others who put a row of a list right, or delete a list.

        Raises
        ------
        StoreError
            If that takes too long, or the home cannot be written to.
        """
        path = list_folder(self.home) / _CHANGING
        with locked(path, busy_message=_BUSY, seconds=_SECONDS_TO_WAIT, make_folder=True):
            yield

    def find(self, list_id: str) -> KeptList | None:
        """The whole list of that id; None if it never existed, was deleted, or belongs to another team."""
        kept = list_store.find(self.home, list_id)
        return None if kept is None or kept.heading.page_only or not may_open(kept.heading) else kept

    def shown(self, list_id: str) -> KeptList | None:
        """The list to show for that id: a whole list, or the stored part of the latest one."""
        kept = list_store.find_shown(self.home, list_id)
        return None if kept is None or not may_open(kept.heading) else kept

    def readable(self, list_id: str) -> KeptList | None:
        """As `shown`; None also if the list is damaged or lost, which is logged.

        For what a page says of other lists, which a damaged one must not take along.
        """
        try:
            return self.shown(list_id)
        except StoreError as error:
            _LOG.error("%s", error)
            return None

    def is_damaged(self, list_id: str) -> bool:
        """Whether a list that the person may open is damaged or lost."""
        try:
            self.shown(list_id)
        except StoreError:
            return True
        return False

    def newest(self) -> KeptList | None:
        """The list that was scored last, through the page, the API or a file; None where there is none.

        If that list belongs to another team: the newest list that the person may open.
        """
        last = list_store.newest(self.home)
        if last is not None and may_open(last.heading):
            return last
        return next((kept for heading in self.headings() if (kept := self.shown(heading.list_id))), None)

    def newest_heading(self) -> Heading | None:
        """The heading of the newest list, without reading its rows."""
        last = latest_list.readable_latest(self.home)
        if last is not None and may_open(last.heading):
            return last.heading
        return next(iter(self.headings()), None)

    def headings(self) -> tuple[Heading, ...]:
        """The headings of all lists that the person may open, newest first."""
        return tuple(heading for heading in list_store.headings(self.home) if may_open(heading))

    def states(self, headings: Iterable[Heading]) -> Hashable:
        """The ids and file states of lists: what was derived from the lists is valid as long as these are the same."""
        return list_store.shown_states(self.home, [heading.list_id for heading in headings])

    def current(self) -> tuple[Heading, ...]:
        """The lists that the person's team works on, newest first: not over, and without a later export."""
        now = datetime.datetime.now(datetime.UTC)
        own = [heading for heading in self.headings() if is_own(heading)]
        followed = {heading.follows for heading in own}
        return tuple(heading for heading in own if heading.list_id not in followed and not self._is_over(heading, now))

    def _is_over(self, heading: Heading, now: datetime.datetime) -> bool:
        if heading.ends_at is not None:
            return heading.ends_at < now
        kept = self.readable(heading.list_id)
        return kept is None or kept.is_over(now)

    def last_export(self, list_id: str) -> str:
        """The id of the latest export of the list of that id; the same id if there is no later export."""
        return last_export([heading for heading in self.headings() if is_own(heading)], list_id)

    def hold(self, kept: KeptList) -> None:
        """Keep a list that somebody works on, if only the next scoring would otherwise replace it.

        Raises
        ------
        StoreError
            If the home cannot be written to.
        """
        if kept.heading.page_only and list_store.find(self.home, kept.heading.list_id) is None:
            list_store.keep(self.home, kept)

    def assign(self, kept: KeptList, lines: Sequence[int], *, to: str) -> None:
        """Hand lines of a list over to a colleague; with an empty name, back to the team.

        Raises
        ------
        DataError
            If the name is too long or not printable.
        StoreError
            If the home cannot be written to.
        """
        at = datetime.datetime.now(datetime.UTC)
        assignment = Assignment(to=to, by=own_name(), at=at, lines=tuple(lines))
        assignments.assign(self.home, kept.heading.list_id, assignment)

    def colleagues_by_line(self, kept: KeptList) -> Mapping[int, str]:
        """The colleague who calls about each line of a list that was handed over; {} where none was.

        {} also if that cannot be read, which is logged: then everybody calls all lines, and none is left out.
        """
        return {line: each.to for line, each in (self._assigned(kept) or {}).items()}

    def is_assignment_lost(self, kept: KeptList) -> bool:
        """Whether lines of a list were handed over, and it cannot be read to whom."""
        return self._assigned(kept) is None

    def _assigned(self, kept: KeptList) -> Mapping[int, Assignment] | None:
        try:
            return assignments.assigned(self.home, kept.heading.list_id)
        except StoreError as error:
            _LOG.error("%s", error)
            return None

    def delete(self, kept: KeptList) -> bool:
        """Delete a list, with contact details, notes and unscored rows; return False if it was gone already.

        The scoring log and the recorded outcomes are kept: a later list with the same appointments shows them.

        Raises
        ------
        StoreError
            If it cannot be removed.
        """
        list_id = kept.heading.list_id
        with self.changing():
            removed = list_store.delete(self.home, list_id)
        if removed:
            _LOG.info("The list %s was deleted by key %s.", list_id, REQUESTED_BY.get())
        return removed

    def unscored(self, list_id: str) -> UnscoredRows | None:
        """The rows of a list that could not be scored, as they were sent; None where there are none any more."""
        return unscored_rows.read(self.home, list_id)

    def contacts(self, list_id: str, lines: Sequence[int] | None = None) -> Mapping[int, ContactDetails]:
        """The contact details by line of a list; empty if they were deleted, cannot be read, or the list had none."""
        return contact_details.read(self.home, list_id, lines)

    def are_contacts_lost(self, kept: KeptList) -> bool:
        """Whether contact details are kept for a list and cannot be read, which is logged."""
        return contact_details.is_unreadable(self.home, kept.heading.list_id)

    def carried(self, kept: KeptList, names: Sequence[str]) -> pa.Table:
        """The contact columns that the team chose for downloads, a row for each line of the list."""
        return contact_details.carried_lines(self.home, kept, names)

    def fifths(self, list_id: str) -> dict[str, int | None]:
        """The fifth of deprivation by appointment of a list of any team, for counts; {} where there is no such list.

        Raises
        ------
        StoreError
            If the list is damaged or lost.
        """
        kept = list_store.find_shown(self.home, list_id)
        rows = [] if kept is None else kept.page_rows.select(["appointment_id", FIFTH]).to_pylist()
        return {row["appointment_id"]: row[FIFTH] for row in rows if row["appointment_id"] is not None}

    def teams(self) -> dict[str, str]:
        """The team of each kept list by its id, for counts; "" for a list of no team."""
        return {heading.list_id: heading.team for heading in list_store.headings(self.home)}

    def of_others(self) -> frozenset[str]:
        """The ids of the kept lists that the person of this request may not open."""
        return frozenset(each.list_id for each in list_store.headings(self.home) if not may_open(each))

    def has_synthetic(self) -> bool:
        """Whether a list of any team is of made-up patients; counts that include it then are too."""
        return any(heading.synthetic for heading in list_store.headings(self.home))

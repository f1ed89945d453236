"""The pages of lists: the newest, the recent ones, a list with filters, and its download as a file."""

import datetime
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial, wraps
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from dnapredict.config.worklist_config import WorklistConfig
from dnapredict.errors import DnapredictError, StoreError
from dnapredict.service.api.scoring_endpoints import file_response, with_opt_outs
from dnapredict.service.api.team_lists import TeamLists, has_own_lists, may_delete_list
from dnapredict.service.api.uploaded_lists import ListScoring
from dnapredict.service.auth.session_cookie import cookie, is_secure, set_cookie
from dnapredict.service.call_actions import Actions, RecordedAction
from dnapredict.service.call_outcomes import Outcome
from dnapredict.service.call_progress import (
    CallProgress,
    CallWeek,
    PlannedCallsCache,
    has_weekly_number,
    list_progress,
    week_progress,
)
from dnapredict.service.error_responses import status_of
from dnapredict.service.log.access_entries import Access, seen_by
from dnapredict.service.pages.lists.list_notes import ListNotes, list_changes, list_warnings
from dnapredict.service.pages.lists.list_query import ListQuery
from dnapredict.service.pages.lists.list_view import (
    LIST_PAGES,
    OFFERED,
    ONE_LIST,
    OptOuts,
    Who,
    build_view,
    list_address,
)
from dnapredict.service.pages.lists.mend_forms import mend_forms, row_error
from dnapredict.service.pages.rendering import day_words, error_page, moment_words, page
from dnapredict.worklist.calls.attempts import NextStep, next_step
from dnapredict.worklist.calls.call_locks import CallLocks
from dnapredict.worklist.files.kept_list import Heading, KeptList
from dnapredict.worklist.plan.working_days import local_today

_LOG: Final = logging.getLogger("dnapredict.service")
WORKED_ON: Final = "dnapredict_list"
"""A cookie with the id of the list in use in a browser; it gives no access without a key."""

_SECONDS_A_WEEK: Final = 7 * 86_400
_FILE: Final = "/file"
# Days of lists in which a clinic's specialty is looked up; older lists are finished.
_DAYS_BACK: Final = 14
_CHOOSE: Final = "Choose what happened, then record it."
_PREVIOUS_UNREADABLE: Final = (
    "The list before this one is damaged, so this page cannot say what has changed since. Outcomes that were recorded "
    "there count here."
)
_ASSIGNMENTS_UNREADABLE: Final = (
    "Lines of this list were handed over to colleagues, but the file that says to whom is damaged or lost. Everybody "
    "calls all lines until they are handed over again."
)
_CONTACTS_UNREADABLE: Final = (
    "The names, telephone numbers and notes that were uploaded with this list cannot be read. Calls can be made and "
    "recorded without them; upload the list again to restore them, or tell the administrator of this service."
)

View = Callable[["ListPages", Request], Response]


@dataclass(frozen=True)
class Recent:
    """A kept list in the table of recent ones; `progress` is None if the list is damaged."""

    heading: Heading
    address: str
    created_at: str
    progress: CallProgress | None
    is_followed: bool = False


def _with_error_page(view: View) -> View:
    """The view, with an error page for dnapredict's own errors."""

    @wraps(view)
    def shown(pages: "ListPages", request: Request) -> Response:
        try:
            return view(pages, request)
        except DnapredictError as error:
            return error_page("The list cannot be shown", str(error), status=status_of(error))

    return shown


@dataclass(frozen=True)
class ListPages:
    """The pages of a home's lists.

    `worklist` returns the worklist configuration, read for each page so that a change takes effect. `who` returns
    the name of a key's holder, and `colleagues` the names of the people of the team. `last_number` returns the number
    of the last action in the scoring log.
    """

    lists: TeamLists
    scoring: ListScoring
    actions: Actions
    worklist: Callable[[], WorklistConfig]
    who: Who = lambda key_id: ""  # noqa: ARG005
    last_number: Callable[[], int] = lambda: 0
    colleagues: Callable[[], Sequence[str]] = tuple
    planned: PlannedCallsCache = field(default_factory=PlannedCallsCache)

    def routes(self) -> Sequence[BaseRoute]:
        """The routes of the pages."""
        return [
            Route("/", self.current),
            Route(LIST_PAGES, self.recent, methods=["GET"]),
            Route(ONE_LIST, self.one, methods=["GET"]),
            Route(ONE_LIST + _FILE, self.file, methods=["GET"]),
        ]

    @_with_error_page
    def current(self, request: Request) -> Response:
        """The list last used in this browser, the team's only current list, or the lists to choose from."""
        kept = self._worked_on(request)
        if kept is None and len(choices := self._choices()) > 1:
            return self._choose(choices)
        kept = kept or self._only_current() or self.lists.newest()
        if kept is None:
            return page("no_list.html", here="/", complaint="")
        seen_by(request).access = Access.LIST_OPENED
        return self.show(kept, request, here="/")

    def _choices(self) -> tuple[Heading, ...]:
        """The current lists of a team; none on a machine without teams, which shows the list that was scored last."""
        return self.lists.current() if has_own_lists() else ()

    def _only_current(self) -> KeptList | None:
        return next((kept for heading in self._choices() if (kept := self.lists.shown(heading.list_id))), None)

    def _choose(self, choices: Sequence[Heading]) -> Response:
        return page(
            "choose_list.html",
            here="/",
            synthetic=any(heading.synthetic for heading in choices),
            choices=[recent for heading in choices if (recent := self._recent(heading))],
        )

    @_with_error_page
    def one(self, request: Request) -> Response:
        """The list whose id is in the address."""
        kept = self.lists.shown(request.path_params["list_id"])
        return list_not_found() if kept is None else self.show(kept, request, here=self.here(kept, request))

    @_with_error_page
    def recent(self, _: Request) -> Response:
        """All kept lists, newest first, and the progress of the week."""
        headings = self.lists.headings()
        followed = {heading.follows for heading in headings}
        return page(
            "lists.html",
            here=LIST_PAGES,
            synthetic=any(heading.synthetic for heading in headings),
            retention=self.lists.retention,
            recent=[recent for heading in headings if (recent := self._recent(heading, followed))],
            **self._week(),
        )

    @_with_error_page
    def file(self, request: Request) -> Response:
        """The list as a workbook or CSV, with the recorded outcomes."""
        kept = self.lists.shown(request.path_params["list_id"])
        if kept is None:
            return list_not_found()
        kept = with_opt_outs(kept, self.actions, action=self.worklist().opted_out_action)
        carried = self.lists.carried(kept, self.worklist().carry_through)
        return file_response(kept, request.query_params.get("form", "xlsx"), actions=self.actions, carried=carried)

    def show(self, kept: KeptList, request: Request, *, here: str, wrong: int = 0) -> Response:
        """A page of a list; `wrong` is the line for which no outcome was chosen.

        Raises
        ------
        StoreError
            If the recorded outcomes cannot be read.
        """
        seen_by(request).list_id = kept.heading.list_id
        self._hold(kept)
        list_query = ListQuery.of(request.query_params)
        unscored = self.lists.unscored(kept.heading.list_id) if list_query.show == "not-scored" else None
        return page(
            "list.html",
            here=here,
            status=400 if wrong else 200,
            synthetic=kept.heading.synthetic,
            kept=kept.heading,
            live_since=self.last_number(),  # read before the lines: outcomes recorded meanwhile are sent again
            newest=self._newer(kept),
            notes=self._notes(kept),
            mend_forms=mend_forms(kept, unscored),
            row_error=row_error,
            colleagues=self.colleagues(),
            may_delete=may_delete_list(kept.heading),
            view=build_view(
                kept,
                list_query,
                latest_of=partial(self.actions.latest_of_list, kept),
                entries_of=self.actions.entries,
                who=self.who,
                opt_outs=OptOuts(self.actions.opted_out, self.worklist().opted_out_action),
                calling=self._calling,
                instead=self._instead(kept),
                assigned=self.lists.colleagues_by_line(kept),
            ),
            offered=OFFERED,
            mistake=Outcome.WITHDRAWN,
            wrong=wrong,
            complaint=_CHOOSE,
            **self._week(),
        )

    def _instead(self, kept: KeptList) -> Callable[[Sequence[RecordedAction]], str]:
        """The action that replaces a call after too many unanswered calls or a wrong number."""
        worklist, now = self.worklist(), datetime.datetime.now(datetime.UTC)

        def action(done: Sequence[RecordedAction]) -> str:
            step = next_step(
                [each.entry for each in done],
                now=now,
                most_attempts=worklist.attempts,
                zone=kept.heading.zone,
                exported_at=kept.heading.created_at,
            )
            return worklist.unanswered_action if step is NextStep.WRITE else ""

        return action

    def _calling(self, appointment_ids: Iterable[str]) -> dict[str, str]:
        """Who is calling about each of the appointments."""
        held = CallLocks(self.lists.home).held()
        if not held:
            return {}
        locks = {each: held.get(self.actions.hash_of(each)) for each in appointment_ids}
        return {each: f"{self.who(lock.key_id) or 'Somebody'} is calling" for each, lock in locks.items() if lock}

    def _notes(self, kept: KeptList) -> ListNotes:
        now = datetime.datetime.now(datetime.UTC)
        before = self.lists.readable(kept.heading.follows) if kept.heading.follows else None
        notes = ListNotes()
        if before is not None:
            address = list_address(before.heading.list_id)
            notes = list_changes(kept, before, latest_of=self.actions.latest, now=now, address=address)
        days = self.worklist().call_working_days_before
        warnings = list_warnings(kept, now=now, working_days_before=days)
        return replace(notes, warnings=(*warnings, *self._unreadable(kept, before)))

    def _unreadable(self, kept: KeptList, before: KeptList | None) -> Iterator[str]:
        """Sentences about damaged records that belong to a list."""
        if before is None and self.lists.is_damaged(kept.heading.follows):
            yield _PREVIOUS_UNREADABLE
        if self.lists.is_assignment_lost(kept):
            yield _ASSIGNMENTS_UNREADABLE
        if self.lists.are_contacts_lost(kept):
            yield _CONTACTS_UNREADABLE

    def _hold(self, kept: KeptList) -> None:
        """Keep the list that is shown, so that outcomes can be recorded on it after the next list is scored."""
        try:
            self.lists.hold(kept)
        except StoreError as error:
            _LOG.error("%s", error)

    def here(self, kept: KeptList, request: Request) -> str:
        """The address that the menu marks as current."""
        try:
            worked_on = self._worked_on(request)
        except StoreError as error:  # of another list, which the menu alone does not need
            _LOG.error("%s", error)
            worked_on = None
        current = None if worked_on is None else worked_on.heading
        current = current or next(iter(self._choices()), None) or self.lists.newest_heading()
        return "/" if current is not None and current.list_id == kept.heading.list_id else LIST_PAGES

    def _worked_on(self, request: Request) -> KeptList | None:
        """The list that this browser uploaded or recorded on last, until its appointments are over.

        Without it, a list that another team scores would replace the one that the callers have open.
        """
        list_id = cookie(request.scope, WORKED_ON)
        kept = self.lists.shown(self.lists.last_export(list_id)) if list_id else None
        return None if kept is None or _is_over(kept) else kept

    def _newer(self, kept: KeptList) -> Heading | None:
        """The list that was scored last, if that is another one."""
        if has_own_lists():
            later = self.lists.last_export(kept.heading.list_id)
            last = None if later == kept.heading.list_id else self.lists.readable(later)
            return None if last is None else last.heading
        newest = self.lists.newest_heading()
        return None if newest is None or newest.list_id == kept.heading.list_id else newest

    def _recent(self, heading: Heading, followed: Collection[str] = ()) -> Recent | None:
        kept = self.lists.readable(heading.list_id)
        if kept is None and not self.lists.is_damaged(heading.list_id):  # deleted in the meantime
            return None
        calls = () if kept is None else kept.calls
        return Recent(
            heading,
            list_address(heading.list_id),
            moment_words(heading.created_at, heading.zone),
            None if kept is None else list_progress(calls, self.actions.latest(calls)),
            heading.list_id in followed,
        )

    def _week(self) -> dict[str, Any]:
        day, config = local_today(), self.worklist()
        since = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=_DAYS_BACK)
        recent = [heading for heading in self.lists.headings() if heading.created_at >= since]
        planned = self.planned.of(
            day, states=self.lists.states(recent), lists=partial(self._still_there, recent), config=config
        )
        # The calls to make are those of lists that this person sees, and so are the calls that were made.
        without = () if has_weekly_number(config) else self.lists.of_others()
        calls = self.actions.of_week(day, without=without)
        week = week_progress(day, calls=calls, planned=planned, config=config)
        return {"week": week, "week_words": _week_words(week)}

    def _still_there(self, headings: Iterable[Heading]) -> Iterator[KeptList]:
        """The lists with these headings, without those that are deleted or damaged; read one at a time."""
        return (kept for heading in headings if (kept := self.lists.readable(heading.list_id)) is not None)


def worked_on(request: Request, kept: KeptList, response: Response) -> Response:
    """The response, with a cookie that makes this list the first one in this browser."""
    list_id, secure = kept.heading.list_id, is_secure(request.scope)
    set_cookie(response, WORKED_ON, list_id, max_age=_SECONDS_A_WEEK, secure=secure)
    return response


def _is_over(kept: KeptList) -> bool:
    return kept.is_over(datetime.datetime.now(datetime.UTC))


def _week_words(week: CallWeek) -> str:
    sunday = week.monday + datetime.timedelta(days=6)
    return f"This week, {day_words(week.monday)} to {day_words(sunday)}"


def list_not_found() -> Response:
    """The page for a list that does not exist."""
    return error_page(
        "There is no such list",
        "It may have been deleted after its retention period, or replaced by another list.",
        status=404,
    )

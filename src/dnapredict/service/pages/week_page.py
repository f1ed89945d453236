"""The page of a week: the results of its calls for the team and the equality lead, without patients' data."""

import datetime
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import pyarrow as pa
import pyarrow.compute as pc
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from dnapredict.config.fairness_policy import Policy
from dnapredict.config.loading import load, shipped
from dnapredict.errors import DnapredictError, StoreError
from dnapredict.service.auth.staff import SIGNED_IN
from dnapredict.service.call_actions import WeekEntry
from dnapredict.service.call_outcomes import WORDS, Outcome
from dnapredict.service.error_responses import status_of
from dnapredict.service.pages.lists.list_pages import ListPages
from dnapredict.service.pages.rendering import day_words, error_page, local_day, page
from dnapredict.worklist.follow_up.outcome_store import OutcomeStore
from dnapredict.worklist.plan.working_days import local_today

if TYPE_CHECKING:
    from dnapredict.pipeline.in_use.trial_state import TrialState
    from dnapredict.service.week_counts import Ending, WeekCounts

_LOG: Final = logging.getLogger("dnapredict.service")
WEEK: Final = "/week"
# How a claim says when its trial ends (`trial.claims`, whose libraries take seconds to import).
_END_IN_CLAIM: Final = " The trial runs until "
_A_WEEK: Final = datetime.timedelta(days=7)
_FIFTH_WORDS: Final = {
    "1": "The most deprived fifth of England",
    "2": "Second fifth",
    "3": "Third fifth",
    "4": "Fourth fifth",
    "5": "The least deprived fifth",
    "": "Area not known",
}
# Outcomes by which a need of the patient was met.
_NEEDS_MET: Final = (
    Outcome.REBOOKED,
    Outcome.TRANSPORT_ARRANGED,
    Outcome.INTERPRETER_ARRANGED,
    Outcome.MODE_CHANGED,
    Outcome.DETAILS_UPDATED,
)


def week_routes(pages: ListPages) -> Sequence[BaseRoute]:
    """The route of the page."""

    def week(request: Request) -> Response:
        try:
            asked = request.query_params
            return _week_page(pages, _monday(asked.get("week", "")), team=asked.get("team", ""))
        except DnapredictError as error:
            return error_page("The week cannot be shown", str(error), status=status_of(error))

    return [Route(WEEK, week, methods=["GET"])]


def _monday(text: str) -> datetime.date:
    """The Monday of the requested week; of this week if the parameter is not a week or is in the future."""
    today = local_today()
    try:
        day = min(datetime.date.fromisoformat(text), today)
    except ValueError:
        day = today
    return day - datetime.timedelta(days=day.weekday())


def _week_page(pages: ListPages, monday: datetime.date, *, team: str) -> Response:
    # These import libraries of the audit and of the registry, which take seconds.
    from dnapredict.pipeline.in_use.trial_state import TrialState, readable_trial_state
    from dnapredict.service.week_counts import count_teams

    entries = pages.actions.entries_of_week(monday)
    by_team = _by_team(pages, entries)
    team, choices = _team_and_choices(team, by_team)
    rule = load(shipped("fairness/policy.toml"), Policy).disclosure
    fifths, are_lists_damaged = _fifths(pages, entries)
    ended, are_outcomes_damaged = _readable_endings(pages, entries)
    weeks = count_teams(by_team, fifths, rule, ended=ended)
    # Of a team without a call in this week every count is 0.
    none = count_teams({}, {}, rule).everyone
    counts = weeks.by_team.get(team, none) if team else weeks.everyone
    this_monday = _monday("")
    # What is known of the trial today, whichever week is shown: it is the same for all of them, and names no arm.
    readable = readable_trial_state(pages.lists.home, local_today())
    trial = readable or TrialState(None, None)
    return page(
        "week.html",
        here=WEEK,
        synthetic=pages.lists.has_synthetic(),
        heading=f"{day_words(monday)} to {day_words(monday + datetime.timedelta(days=6))}",
        made=_number(counts.made, rule.suppress_below),
        reached=_number(counts.reached, rule.suppress_below),
        needs=_outcome_rows(counts, _NEEDS_MET, rule.suppress_below),
        others=_outcome_rows(counts, [each for each in counts.outcomes if each not in _NEEDS_MET], rule.suppress_below),
        areas=[
            (_FIFTH_WORDS[code], _number(called, rule.suppress_below), _number(reached, rule.suppress_below))
            for code, (called, reached) in counts.by_fifth.items()
        ],
        barriers=[
            (code.replace("_", " ").capitalize(), _number(count, rule.suppress_below))
            for code, count in counts.barriers.items()
        ],
        endings=[
            (ending.value.capitalize(), _number(count, rule.suppress_below)) for ending, count in counts.endings.items()
        ],
        reported=trial.reported,
        reported_on=day_words(local_day(trial.reported.created_at)) if trial.reported else "",
        trial_notice=_trial_notice(trial, local_today()),
        is_trial_damaged=readable is None,
        are_outcomes_damaged=are_outcomes_damaged,
        are_lists_damaged=are_lists_damaged,
        team=team,
        choices=choices,
        has_few=counts.made is None,
        monday=monday.isoformat(),
        before=_address(monday - _A_WEEK, team),
        after=_address(monday + _A_WEEK, team) if monday < this_monday else "",
        suppress_below=rule.suppress_below,
        round_to=rule.round_to,
    )


def _trial_notice(trial: "TrialState", today: datetime.date) -> str:
    """A sentence about the registered trial; "" without one, and where the claim of its report says it."""
    registered, reported = trial.registered, trial.reported
    is_reported = registered is not None and reported is not None and reported.name == registered.name
    if registered is None or (is_reported and today > registered.end):
        return ""
    if is_reported and reported is not None and _END_IN_CLAIM in reported.claim:
        return ""
    if today < registered.start:
        return f"A trial of the calls runs from {day_words(registered.start)} to {day_words(registered.end)}."
    if today <= registered.end:
        return f"A trial of the calls runs until {day_words(registered.end)}."
    return f"A trial of the calls ended on {day_words(registered.end)}. Its report has not been made yet."


def _by_team(pages: ListPages, entries: Iterable[WeekEntry]) -> dict[str, list[WeekEntry]]:
    """The entries by the team of the list on which they were recorded."""
    from dnapredict.service.week_counts import NO_TEAM

    teams = pages.lists.teams()
    by_team: dict[str, list[WeekEntry]] = {}
    for entry in entries:
        by_team.setdefault(teams.get(entry.list_id) or NO_TEAM, []).append(entry)
    return by_team


def _team_and_choices(asked: str, by_team: Mapping[str, Sequence[WeekEntry]]) -> tuple[str, Sequence[str]]:
    """The team whose counts are shown, "" for all teams, and the teams to choose from.

    Who works in a team sees that team. The others see all teams or the one that they ask for: administrators,
    reviewers, and holders of a key without a team. The counts of all teams are suppressed in one system, so nothing
    follows from two of these pages.
    """
    if own := _own_team():
        return own, ()
    teams = sorted(by_team)
    return (asked if asked in by_team else ""), teams if len(teams) > 1 else ()


def _own_team() -> str:
    """The team of a clerk or team lead; "" for somebody who sees the counts of all teams."""
    person = SIGNED_IN.get()
    return person.team if person is not None and person.role.needs_team else ""


def _address(monday: datetime.date, team: str) -> str:
    """The address of a week, of the same team."""
    asked = {"week": monday.isoformat()} | ({"team": team} if team and not _own_team() else {})
    return f"{WEEK}?{urlencode(asked)}"


def _fifths(pages: ListPages, entries: Iterable[WeekEntry]) -> tuple[dict[str, int | None], bool]:
    """The fifth of deprivation of each appointment by its hash, from the lists on which something was recorded.

    And whether one of these lists is damaged: the fifths of its appointments are then not known, which is logged.

    The lists are those of all teams, for every reader: a reviewer may open no list, and what is hidden of one team
    follows from the counts of all.
    """
    fifths: dict[str, int | None] = {}
    are_lists_damaged = False
    for list_id in {entry.list_id for entry in entries}:
        try:
            known = pages.lists.fifths(list_id)
        except StoreError as error:
            _LOG.error("%s", error)
            are_lists_damaged = True
            continue
        fifths.update((pages.actions.hash_of(appointment), fifth) for appointment, fifth in known.items())
    return fifths, are_lists_damaged


def _readable_endings(pages: ListPages, entries: Iterable[WeekEntry]) -> "tuple[dict[str, Ending] | None, bool]":
    """As `_endings`, and whether the outcome store is damaged, which is logged: the page then has no endings."""
    try:
        return _endings(pages, entries), False
    except StoreError as error:
        _LOG.error("%s", error)
        return None, True


def _endings(pages: ListPages, entries: Iterable[WeekEntry]) -> "dict[str, Ending] | None":
    """How the appointments of these entries ended, by their hash; None where no outcomes were read in this home.

    Raises
    ------
    StoreError
        If the outcome store is damaged.
    """
    from dnapredict.service.week_counts import Ending

    store = OutcomeStore(pages.lists.home)
    if not store.exists:
        return None
    rows = store.read(["appointment", "missed", "outcome_code"])
    wanted = pa.array(sorted({entry.appointment for entry in entries}), pa.string())
    rows = rows.filter(pc.and_(pc.is_in(rows["appointment"], wanted), pc.is_valid(rows["outcome_code"])))
    missed = {True: Ending.MISSED, False: Ending.CAME, None: Ending.CANCELLED}
    return {row["appointment"]: missed[row["missed"]] for row in rows.to_pylist()}


def _outcome_rows(counts: "WeekCounts", outcomes: Iterable[Outcome], suppress_below: int) -> list[tuple[Any, ...]]:
    """Words and number of each outcome, and whether somebody was reached."""
    return [(WORDS[each], _number(counts.outcomes[each], suppress_below), each.reached) for each in outcomes]


def _number(count: int | None, suppress_below: int) -> str:
    """A number as it is printed.

    >>> _number(None, 8), _number(1_235, 8)
    ('hidden', '1,235')
    """
    return "hidden" if count is None and suppress_below else f"{count or 0:,}"

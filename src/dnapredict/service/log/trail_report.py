"""The report of `dnapredict log who`: who scored, saw, downloaded, printed or recorded what, and when.

It combines the accesses, answers and actions of the scoring log. It contains ids of lists and names of staff, and
nothing about a patient: to ask about an appointment, its number must be known.
"""

import datetime
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, Table, and_, false, func, or_, select

from dnapredict.service.log.access_entries import Access
from dnapredict.service.log.log_tables import ACCESSES, ACTIONS, ANSWERS
from dnapredict.service.log.scoring_log import ScoringLog

_WORDS: Final = {
    Access.SIGNED_IN: "signed in",
    Access.SIGNED_OUT: "signed out",
    Access.LIST_OPENED: "opened the list",
    Access.PATIENT_OPENED: "opened a patient",
    Access.SEARCHED: "searched the list",
    Access.DOWNLOADED: "downloaded the list",
    Access.PRINTED: "printed the list",
    Access.DELETED: "deleted the list",
}
_RECORDED: Final = "recorded an outcome"


@dataclass(frozen=True)
class LoggedAccess:
    """A line of the report.

    Attributes
    ----------
    at
        Time in UTC, in ISO format.
    key_id
        The id under which the log knows the person, the team or the program.
    name
        The person's name; "" if it is not known any more.
    what
        What was done, in words.
    list_id
        The list; "" where there is none.
    """

    at: str
    key_id: str
    name: str
    what: str
    list_id: str


@dataclass(frozen=True)
class AccessQuery:
    """Which lines are asked for.

    Attributes
    ----------
    person
        Name or id of the person; "" for everybody.
    list_id
        A list; "" for all.
    appointment
        Keyed hash of an appointment; "" for all. Everybody who opened a list that contains it is included.
    since, until
        First and last day (UTC).
    """

    person: str = ""
    list_id: str = ""
    appointment: str = ""
    since: datetime.date | None = None
    until: datetime.date | None = None


def logged_accesses(log: ScoringLog, query: AccessQuery, *, name_of: Callable[[str], str]) -> list[LoggedAccess]:
    """The lines of the report, oldest first.

    Parameters
    ----------
    name_of
        Returns the name of the person with an id, "" if unknown.

    Raises
    ------
    StoreError
        If the log cannot be read.
    """
    lists = _lists_with(log, query.appointment) if query.appointment else []
    found = [*_accesses(log, query, lists), *_answers(log, query), *_actions(log, query)]
    lines = [LoggedAccess(at, key_id, name_of(key_id), what, list_id) for at, key_id, what, list_id in sorted(found)]
    return [line for line in lines if query.person.casefold() in ("", line.key_id.casefold(), line.name.casefold())]


_Line = tuple[str, str, str, str]


def _lists_with(log: ScoringLog, appointment: str) -> Sequence[str]:
    contains = and_(ANSWERS.c.appointment == appointment, ANSWERS.c.list.is_not(None))
    return [row.list for row in log.query(select(ANSWERS.c.list).where(contains).distinct())]


def _accesses(log: ScoringLog, query: AccessQuery, lists: Sequence[str]) -> Iterator[_Line]:
    wanted = _limits(ACCESSES, query)
    if query.appointment:
        whole = and_(ACCESSES.c.appointment.is_(None), ACCESSES.c.list.in_(lists) if lists else false())
        wanted.append(or_(ACCESSES.c.appointment == query.appointment, whole))
    for row in log.query(select(ACCESSES).where(*wanted)):
        words = {access.value: text for access, text in _WORDS.items()}
        yield row.at, row.asked_by, words.get(row.access, row.access), row.list or ""


def _answers(log: ScoringLog, query: AccessQuery) -> Iterator[_Line]:
    same = (ANSWERS.c.at, ANSWERS.c.asked_by, ANSWERS.c.request, ANSWERS.c.list)
    scored: Select[Any] = select(*same, func.count().label("rows")).where(*_limits(ANSWERS, query))
    if query.appointment:
        scored = scored.where(ANSWERS.c.appointment == query.appointment)
    for row in log.query(scored.group_by(*same)):
        many = f"{row.rows:,} appointments" if row.rows > 1 else "1 appointment"
        yield row.at, row.asked_by, f"scored {many}", row.list or ""


def _actions(log: ScoringLog, query: AccessQuery) -> Iterator[_Line]:
    recorded = select(ACTIONS).where(*_limits(ACTIONS, query))
    if query.appointment:
        recorded = recorded.where(ACTIONS.c.appointment == query.appointment)
    for row in log.query(recorded):
        yield row.at, row.asked_by, _RECORDED, row.list


def _limits(table: Table, query: AccessQuery) -> list[ColumnElement[bool]]:
    limits: list[ColumnElement[bool]] = []
    if query.list_id:
        limits.append(table.c.list == query.list_id)
    if query.since is not None:
        limits.append(table.c.at >= query.since.isoformat())
    if query.until is not None:
        limits.append(table.c.at < (query.until + datetime.timedelta(days=1)).isoformat())
    return limits

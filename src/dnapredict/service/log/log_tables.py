"""The tables of the scoring log after the newest migration, and the hash chain of their entries.

Four kinds of entry share one chain: an *answer* that was given, an *action* that a person recorded about it, an
*access* to a list or a patient, and an *anchor* that replaces entries removed by retention. Each entry has a number,
from 1, and a seal: SHA-256 over the seal of the entry before it and the entry itself as JSON, so that a change, a
removal or an insertion is detected. The database alone is enough to verify it. `head` holds number and seal of the last
entry, `secret` a check value of the hashing secret.
"""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from sqlalchemy import Boolean, Column, Connection, Float, Integer, MetaData, Table, Text, insert, select, update

from dnapredict.data.files.digests import FIRST_SEAL, entry_seal

_METADATA: Final = MetaData()

ANSWERS: Final = Table(
    "scores",
    _METADATA,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", Text, nullable=False),
    Column("asked_by", Text, nullable=False),
    Column("request", Text, nullable=False),
    Column("model_version", Text, nullable=False),
    Column("model_sha256", Text, nullable=False),
    Column("appointment", Text, nullable=False),
    Column("patient", Text),
    Column("inputs", Text, nullable=False),
    Column("probability", Float),
    Column("band", Text),
    Column("rank", Integer),
    Column("selected", Boolean),
    Column("reasons", Text),
    Column("action", Text),
    Column("error", Text),
    Column("seal", Text, nullable=False),
    # The columns that the seal covers: form 1 as in the first release, form 2 with the list.
    Column("form", Integer, nullable=False),
    Column("list", Text),
)
ACTIONS: Final = Table(
    "actions",
    _METADATA,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", Text, nullable=False),
    Column("asked_by", Text, nullable=False),
    Column("list", Text, nullable=False),
    Column("appointment", Text, nullable=False),
    Column("patient", Text),
    Column("clinic", Text),
    Column("site", Text),
    Column("outcome", Text, nullable=False),
    Column("seal", Text, nullable=False),
    # The columns that the seal covers: form 1 as in the first release, form 2 with those below.
    Column("form", Integer, nullable=False),
    # Codes of `call_outcomes`; a note in a person's words is never in the log.
    Column("barrier", Text),
    Column("offered", Text),
    # When the patient asked to be called, in UTC (ISO format).
    Column("call_back_at", Text),
)
ACCESSES: Final = Table(
    "accesses",
    _METADATA,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", Text, nullable=False),
    Column("asked_by", Text, nullable=False),
    # A value of `access_entries.Access`.
    Column("access", Text, nullable=False),
    Column("list", Text),
    # Only where the page is about one appointment.
    Column("appointment", Text),
    Column("seal", Text, nullable=False),
)
ANCHORS: Final = Table(
    "anchors",
    _METADATA,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", Text, nullable=False),
    Column("asked_by", Text, nullable=False),
    # The number of the first remaining entry, and the seal of the removed entry before it.
    Column("kept_from", Integer, nullable=False),
    Column("seal_before", Text, nullable=False),
    Column("seal", Text, nullable=False),
)
HEAD: Final = Table(
    "head",
    _METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, nullable=False),
    Column("seal", Text, nullable=False),
)
SECRET: Final = Table(
    "secret",
    _METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    # A keyed hash of a fixed text, which detects that the secret was replaced.
    Column("check_value", Text, nullable=False),
)
ENTRIES: Final = {"answer": ANSWERS, "action": ACTIONS, "access": ACCESSES, "anchor": ANCHORS}
"""The tables whose rows are entries of the chain, by the kind of entry."""

_CHAINS_OWN: Final = ("number", "seal", "form")


@cache
@cache
def entry_columns(table: Table) -> tuple[str, ...]:
    """The columns of an entry of `table`, without those of the chain (number, seal, form)."""
    return tuple(column.name for column in table.columns if column.name not in _CHAINS_OWN)


ANSWER_COLUMNS: Final = entry_columns(ANSWERS)
"""The columns of an answer."""

DETAIL_COLUMNS: Final = ("barrier", "offered", "call_back_at")
"""The columns of an action that may be left out."""

_ADDED_IN_FORM_2: Final = {"answer": ("list",), "action": DETAIL_COLUMNS}

_ROWS_AT_ONCE: Final = 10_000
_FIRST_FORM: Final = 1
_FORM: Final = 2


@dataclass(frozen=True)
class Link:
    """Number and seal of an entry."""

    number: int
    seal: str


class BrokenChain(Exception):  # noqa: N818 - turned into a StoreError where the file is known
    """The chain is broken at this entry."""

    def __init__(self, number: int) -> None:
        """`number` is the first entry that differs from what was written."""
        super().__init__(number)
        self.number = number


def append(connection: Connection, kind: str, rows: Sequence[Mapping[str, Any]]) -> Link:
    """Append `rows` to the chain and return the last link.

    Runs inside a transaction that excludes other writers: on SQLite by the lock of the database, on PostgreSQL by
    a lock on the row of `head`.
    """
    # FOR UPDATE: without it two hosts could read the same last seal, and the chain would fork. SQLAlchemy leaves it out
    # for SQLite, where the transaction locks the whole database when it begins.
    head = connection.execute(select(HEAD.c.number, HEAD.c.seal).with_for_update()).one()
    link, sealed = Link(head.number, head.seal), []
    for row in rows:
        entry = {**row, "number": link.number + 1}
        if kind in _ADDED_IN_FORM_2:
            entry["form"] = _FORM
        if kind == "action":
            entry = dict.fromkeys(DETAIL_COLUMNS) | entry
        link = Link(entry["number"], _seal_of(kind, entry, before=link.seal))
        sealed.append(entry | {"seal": link.seal})
    if sealed:
        connection.execute(insert(ENTRIES[kind]), sealed)
        connection.execute(update(HEAD).values(number=link.number, seal=link.seal))
    return link


def holds_entry(connection: Connection, link: Link) -> bool:
    """Whether the chain has the entry `link` with that seal, or retention has removed it.

    An entry that somebody removed within the chain is for `verify_chain` to find.
    """
    of_number = (select(table.c.seal).where(table.c.number == link.number) for table in ENTRIES.values())
    seals = {connection.execute(query).scalar() for query in of_number} - {None}
    if seals:
        return link.seal in seals
    last: int = connection.execute(select(HEAD.c.number)).scalar_one()
    return last >= link.number


def verify_chain(connection: Connection) -> tuple[int, Link]:
    """Check every seal; return how many entries the database holds, and the last link.

    Raises
    ------
    BrokenChain
        At the first entry whose seal does not follow from the entry before it, or if the head disagrees.
    """
    link = _start(connection)
    before = link.number
    for kind, entry in _entries(connection):
        number = link.number + 1
        if entry["number"] != number or entry["seal"] != _seal_of(kind, entry, before=link.seal):
            raise BrokenChain(number)
        link = Link(number, entry["seal"])
    head = connection.execute(select(HEAD.c.number, HEAD.c.seal)).one()
    # The seals alone cannot show that entries are missing at the end; the head can.
    if (head.number, head.seal) != (link.number, link.seal):
        raise BrokenChain(link.number + 1)
    return link.number - before, link


def _start(connection: Connection) -> Link:
    """The link before the first entry that was kept."""
    anchors = select(ANCHORS.c.kept_from, ANCHORS.c.seal_before).order_by(ANCHORS.c.number.desc()).limit(1)
    last = connection.execute(anchors).first()
    return Link(0, FIRST_SEAL) if last is None else Link(last.kept_from - 1, last.seal_before)


def _entries(connection: Connection) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every entry with its kind, by number, read in batches."""
    streams = [_of(connection, kind, table) for kind, table in ENTRIES.items()]
    yield from heapq.merge(*streams, key=lambda entry: entry[1]["number"])


def _of(connection: Connection, kind: str, table: Table) -> Iterator[tuple[str, Mapping[str, Any]]]:
    after = -1
    while True:
        query = select(table).where(table.c.number > after).order_by(table.c.number).limit(_ROWS_AT_ONCE)
        rows = connection.execute(query).mappings().all()
        for row in rows:
            yield kind, dict(row)
        if len(rows) < _ROWS_AT_ONCE:
            return
        after = rows[-1]["number"]


def _seal_of(kind: str, entry: Mapping[str, Any], *, before: str) -> str:
    """The seal of an entry; "" for one that no release wrote."""
    columns, added = entry_columns(ENTRIES[kind]), _ADDED_IN_FORM_2.get(kind, ())
    is_first_form = bool(added) and entry["form"] == _FIRST_FORM
    if is_first_form:
        # The seal of form 1 does not cover these columns: a value in one was added afterwards.
        if any(entry[name] is not None for name in added):
            return ""
        columns = tuple(name for name in columns if name not in added)
    values = [entry["number"], *(entry[name] for name in columns)]
    # Only answers of the first release have no kind in their seal.
    return entry_seal(values if is_first_form and kind == "answer" else [kind, *values], previous=before)

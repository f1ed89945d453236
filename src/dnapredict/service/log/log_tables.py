"""The tables of the scoring log after the newest migration.

Three kinds of entry share one chain: an *answer* that was given, an *action* that a person recorded about it,
and an *anchor* that replaces entries removed by retention. Each entry has a number, from 1, and a seal.
`head` holds number and seal of the last entry, `secret` a check value of the hashing secret.
"""

from typing import Final

from sqlalchemy import Boolean, Column, Float, Integer, MetaData, Table, Text

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
ENTRIES: Final = {"answer": ANSWERS, "action": ACTIONS, "anchor": ANCHORS}
"""The tables whose rows are entries of the chain, by the kind of entry."""

_CHAINS_OWN: Final = ("number", "seal", "form")


def entry_columns(table: Table) -> tuple[str, ...]:
    """The columns of an entry of `table`, without those of the chain (number, seal, form)."""
    return tuple(column.name for column in table.columns if column.name not in _CHAINS_OWN)


ANSWER_COLUMNS: Final = entry_columns(ANSWERS)
"""The columns of an answer."""

FIRST_FORM_COLUMNS: Final = tuple(name for name in ANSWER_COLUMNS if name != "list")
"""The columns of an answer of form 1, without the list."""

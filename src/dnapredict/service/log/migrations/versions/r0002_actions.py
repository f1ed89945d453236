"""Actions, the list of an answer, the head of the chain, and anchors for entries removed by retention.

Existing answers keep their seals: they are of form 1, which does not cover the list.
"""

import sqlalchemy as sa
from alembic import op

revision = "r0002"
down_revision = "r0001"

_ENTRIES = ("scores", "actions", "anchors")
_MESSAGE = "the scoring log is only ever added to"
_FIRST_SEAL = "0" * 64


def upgrade() -> None:
    """Add tables and columns, and triggers by which the database refuses to change entries."""
    _widen_answers()
    _make_actions()
    _make_anchors()
    _make_head()
    if op.get_bind().dialect.name == "postgresql":
        _guard_postgres()
    else:
        _guard_sqlite()


def _widen_answers() -> None:
    op.add_column("scores", sa.Column("form", sa.Integer, nullable=False, server_default="1"))
    op.add_column("scores", sa.Column("list", sa.Text))


def _make_actions() -> None:
    op.create_table(
        "actions",
        *_place(),
        sa.Column("list", sa.Text, nullable=False),
        sa.Column("appointment", sa.Text, nullable=False, index=True),
        sa.Column("patient", sa.Text, index=True),
        sa.Column("clinic", sa.Text),
        sa.Column("site", sa.Text),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("seal", sa.Text, nullable=False),
    )


def _make_anchors() -> None:
    op.create_table(
        "anchors",
        *_place(),
        sa.Column("kept_from", sa.Integer, nullable=False),
        sa.Column("seal_before", sa.Text, nullable=False),
        sa.Column("seal", sa.Text, nullable=False),
    )


def _place() -> list[sa.Column[object]]:
    at = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    return [
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", at, nullable=False, index=True),
        sa.Column("asked_by", sa.Text, nullable=False),
    ]


def _make_head() -> None:
    head = op.create_table(
        "head",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("seal", sa.Text, nullable=False),
    )
    last = sa.text("SELECT number, seal FROM scores ORDER BY number DESC LIMIT 1")
    row = op.get_bind().execute(last).first()
    number, seal = row or (0, _FIRST_SEAL)
    op.bulk_insert(head, [{"id": 1, "number": number, "seal": seal}])


def _guard_sqlite() -> None:
    for old in ("no_update", "no_delete"):
        op.execute(f"DROP TRIGGER IF EXISTS {old}")
    for table in _ENTRIES:
        op.execute(
            f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} BEGIN SELECT RAISE(ABORT, '{_MESSAGE}'); END"
        )
        op.execute(
            f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} "
            "WHEN OLD.number >= coalesce((SELECT max(kept_from) FROM anchors), 0) "
            f"BEGIN SELECT RAISE(ABORT, '{_MESSAGE}'); END"
        )


def _guard_postgres() -> None:
    op.execute(
        "CREATE FUNCTION dnapredict_only_added_to() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF TG_OP = 'DELETE' THEN "
        "IF OLD.number < (SELECT coalesce(max(kept_from), 0) FROM anchors) THEN RETURN OLD; END IF; "
        f"END IF; RAISE EXCEPTION '{_MESSAGE}'; END $$"
    )
    for table in _ENTRIES:
        op.execute(
            f"CREATE TRIGGER {table}_only_added_to BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION dnapredict_only_added_to()"
        )
        op.execute(
            f"CREATE TRIGGER {table}_not_emptied BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION dnapredict_only_added_to()"
        )

"""Accesses: who signed in, and who opened, searched, downloaded, printed or deleted a list."""

import sqlalchemy as sa
from alembic import op

revision = "r0005"
down_revision = "r0004"

_MESSAGE = "the scoring log is only ever added to"


def upgrade() -> None:
    """Add the table, with the triggers that the other entries have."""
    at = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.create_table(
        "accesses",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", at, nullable=False, index=True),
        sa.Column("asked_by", sa.Text, nullable=False, index=True),
        sa.Column("access", sa.Text, nullable=False),
        sa.Column("list", sa.Text, index=True),
        sa.Column("appointment", sa.Text, index=True),
        sa.Column("seal", sa.Text, nullable=False),
    )
    if op.get_bind().dialect.name == "postgresql":
        _guard_postgres()
    else:
        _guard_sqlite()


def _guard_sqlite() -> None:
    op.execute(
        f"CREATE TRIGGER accesses_no_update BEFORE UPDATE ON accesses BEGIN SELECT RAISE(ABORT, '{_MESSAGE}'); END"
    )
    op.execute(
        "CREATE TRIGGER accesses_no_delete BEFORE DELETE ON accesses "
        "WHEN OLD.number >= coalesce((SELECT max(kept_from) FROM anchors), 0) "
        f"BEGIN SELECT RAISE(ABORT, '{_MESSAGE}'); END"
    )


def _guard_postgres() -> None:
    """The function is the one of r0002."""
    op.execute(
        "CREATE TRIGGER accesses_only_added_to BEFORE UPDATE OR DELETE ON accesses "
        "FOR EACH ROW EXECUTE FUNCTION dnapredict_only_added_to()"
    )
    op.execute(
        "CREATE TRIGGER accesses_not_emptied BEFORE TRUNCATE ON accesses "
        "FOR EACH STATEMENT EXECUTE FUNCTION dnapredict_only_added_to()"
    )

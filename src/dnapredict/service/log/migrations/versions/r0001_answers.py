"""The table of answers, each sealed with the one before it.

Homes of the first release have this table already, without a recorded revision: it is left as it is.
"""

import sqlalchemy as sa
from alembic import op

revision = "r0001"
down_revision = None


def upgrade() -> None:
    """Create the table unless it exists."""
    if sa.inspect(op.get_bind()).has_table("scores"):
        return
    # Days are compared as text, which needs ordering by code point.
    at = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.create_table(
        "scores",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", at, nullable=False),
        sa.Column("asked_by", sa.Text, nullable=False),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("model_version", sa.Text, nullable=False),
        sa.Column("model_sha256", sa.Text, nullable=False),
        sa.Column("appointment", sa.Text, nullable=False, index=True),
        sa.Column("patient", sa.Text, index=True),
        sa.Column("inputs", sa.Text, nullable=False),
        sa.Column("probability", sa.Float),
        sa.Column("band", sa.Text),
        sa.Column("rank", sa.Integer),
        sa.Column("selected", sa.Boolean),
        sa.Column("reasons", sa.Text),
        sa.Column("action", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("seal", sa.Text, nullable=False),
    )

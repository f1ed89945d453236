"""Add the details of a call to its entry: the barrier, the offer, and when to call back.

Existing entries keep their seals: they are of form 1, which does not cover the new columns.
"""

import sqlalchemy as sa
from alembic import op

revision = "r0004"
down_revision = "r0003"


def upgrade() -> None:
    """Add the columns; the triggers of `actions` do not change."""
    op.add_column("actions", sa.Column("form", sa.Integer, nullable=False, server_default="1"))
    for name in ("barrier", "offered", "call_back_at"):
        op.add_column("actions", sa.Column(name, sa.Text))
    op.create_index("ix_actions_call_back_at", "actions", ["call_back_at"])

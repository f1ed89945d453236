"""A check value of the secret that appointments and patients are hashed with.

With a replaced secret, the hashes of new entries would not match older ones, unnoticed.
"""

import sqlalchemy as sa
from alembic import op

revision = "r0003"
down_revision = "r0002"


def upgrade() -> None:
    """Add the table; the first host that hashes fills it."""
    op.create_table(
        "secret",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("check_value", sa.Text, nullable=False),
    )

"""Run migrations on the connection that `record.database` gives, inside its transaction."""

from typing import Final

from alembic import context

from dnapredict.service.log.log_database import VERSION_TABLE

# The name under which alembic runs this file; imported under another, it does nothing.
_RUN_BY_ALEMBIC: Final = "env_py"


def run() -> None:
    """Every step that the database lacks."""
    context.configure(
        connection=context.config.attributes["connection"],
        version_table=VERSION_TABLE,
        # SQLite can take a change of its tables back; alembic does not trust it to unless told.
        transactional_ddl=True,
    )
    context.run_migrations()


if __name__ == _RUN_BY_ALEMBIC:
    run()

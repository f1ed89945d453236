"""Run migrations on the connection of `log_database`, inside its transaction."""

from typing import Final

from alembic import context

from dnapredict.service.log.log_database import VERSION_TABLE

# Alembic runs this file under this name; under any other name, importing it does nothing.
_RUN_BY_ALEMBIC: Final = "env_py"


def run() -> None:
    """Run every migration that the database lacks."""
    context.configure(
        connection=context.config.attributes["connection"],
        version_table=VERSION_TABLE,
        # SQLite can roll back schema changes; alembic assumes that it cannot unless told so.
        transactional_ddl=True,
    )
    context.run_migrations()


if __name__ == _RUN_BY_ALEMBIC:
    run()

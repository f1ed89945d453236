"""Run migrations on the connection that `record.database` gives, inside its transaction."""

from alembic import context

from dnapredict.service.record.database import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    version_table=VERSION_TABLE,
    # SQLite can take a change of its tables back; alembic does not trust it to unless told.
    transactional_ddl=True,
)
context.run_migrations()

"""The migrations of the scoring log's tables (alembic), one file each in `versions`."""

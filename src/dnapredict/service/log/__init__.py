"""The scoring log: tables, database, chain of seals, retention, and migrations."""

"""The scoring log's own workings: its tables, its database, its chain of seals, how it grew."""

"""MLflow keeps the whole address of each file in its database: set right where the home has moved.

With the addresses of the old place a training would fail or, where the old home still stands, write
its model into that one. Only addresses below the old home are changed.
"""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

from sqlalchemy import Connection, Engine, text

from dnapredict.errors import StoreError

__all__ = ["set_right"]

_LOG: Final = logging.getLogger("dnapredict.tracking")
# Columns that hold addresses, those of versions last: by their models we tell whether a home is whole.
_ADDRESSES: Final = (
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
)


def set_right(engine: Engine, home: Path, *, experiment: str) -> None:
    """Make the addresses in the database of `home` those of its files, and keep a note with the experiment.

    Nothing is done where they are, where the old address is this home by another name, and where files
    are kept on a server. The database and its address change together or not at all.

    Raises
    ------
    StoreError
        If models that the database tells of are not in `home`: it was not moved or copied whole.
    """
    here = (home / "mlruns").as_uri()
    with engine.begin() as connection:
        kept = _kept(connection, experiment)
        if (
            kept is None
            or kept == here
            or not kept.startswith("file:")
            or _same(_path(kept), home / "mlruns")
        ):
            return
        _refuse_parts(connection, home, kept)
        if not _move(connection, "experiments", "artifact_location", old=kept, new=here):
            return  # another process was faster
        changed = sum(_move(connection, *column, old=kept, new=here) for column in _ADDRESSES)
        _note(connection, experiment, old=kept)
    _LOG.warning(
        "%s: this home was at %s before; %s addresses in its mlflow.db are now those of its files.",
        home,
        _path(kept).parent,
        f"{changed:,}",
    )


def _kept(connection: Connection, experiment: str) -> str | None:
    asked = text("SELECT artifact_location FROM experiments WHERE name = :name")
    found = connection.execute(asked, {"name": experiment}).scalar()
    return None if found is None else str(found)


def _move(connection: Connection, table: str, column: str, *, old: str, new: str) -> int:
    """Put `new` in the place of `old` where an address begins with it; give how many there were."""
    # Tables and columns are ours, named above.
    statement = text(
        f"UPDATE {table} SET {column} = :new || substr({column}, length(:old) + 1) "
        f"WHERE {column} = :old OR substr({column}, 1, length(:old) + 1) = :old || '/'"
    )
    return connection.execute(statement, {"old": old, "new": new}).rowcount


def _note(connection: Connection, experiment: str, *, old: str) -> None:
    statement = text(
        "INSERT INTO experiment_tags (key, value, experiment_id) "
        "SELECT :key, :old, experiment_id FROM experiments WHERE name = :name"
    )
    when = f"{datetime.now(UTC):%Y-%m-%d %H.%M.%S.%f}"
    connection.execute(statement, {"key": f"moved_at {when}", "old": old, "name": experiment})


def _refuse_parts(connection: Connection, home: Path, kept: str) -> None:
    """Refuse a home that lacks models which the old one has, or all of them."""
    below = list(_models_below(connection, kept))
    lacking = [model for model in below if not (home / "mlruns" / model).is_dir()]
    left = [model for model in lacking if (_path(kept) / model).is_dir()]
    if left or (lacking and len(lacking) == len(below)):
        raise StoreError(
            f"{home}: was moved or copied from {_path(kept).parent}, and {len(lacking):,} of {len(below):,} "
            "models that its mlflow.db tells of are not in its mlruns. Copy the whole folder while nothing "
            "writes to it."
        )


def _models_below(connection: Connection, kept: str) -> Iterator[str]:
    for address in connection.execute(text("SELECT storage_location FROM model_versions")).scalars():
        if str(address).startswith(f"{kept}/"):
            yield str(address)[len(kept) + 1 :]


def _path(address: str) -> Path:
    parts = urlsplit(address)
    share = f"//{parts.netloc}" if parts.netloc else ""
    return Path(share + url2pathname(parts.path))


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False

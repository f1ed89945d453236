"""MLflow's addresses after a home was moved or copied: its database keeps absolute ones.

MLflow has no call that changes where a run or model lies, and would write new runs into the old folder, so
the addresses are corrected in its tables.
"""

import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

from sqlalchemy import Connection, create_engine, text

from dnapredict.errors import StoreError

_LOG: Final = logging.getLogger("dnapredict.registry")
_ADDRESS_COLUMNS: Final = (
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
)


def correct_addresses(database: str, home: Path, *, experiment: str) -> None:
    """Replace the addresses of the old home in the MLflow `database` of `home`, and note it with the experiment.

    Nothing changes where they are correct, where the old address is this home by another name, and where
    files are kept on a server. All addresses change in one transaction.

    Raises
    ------
    StoreError
        If models in the database are missing from `home`: it was not moved or copied completely.
    """
    engine = create_engine(database)
    try:
        with engine.begin() as connection:
            _correct(connection, home, experiment)
    finally:
        engine.dispose()


def _correct(connection: Connection, home: Path, experiment: str) -> None:
    new = (home / "mlruns").as_uri()
    query = text("SELECT artifact_location FROM experiments WHERE name = :name")
    old = connection.execute(query, {"name": experiment}).scalar()
    if old is None or old == new or not old.startswith("file:") or _same(_path(old), home / "mlruns"):
        return
    _refuse_incomplete(connection, home, old)
    if not _replace(connection, "experiments", "artifact_location", old=old, new=new):
        return  # another process was faster
    changed = sum(_replace(connection, *column, old=old, new=new) for column in _ADDRESS_COLUMNS)
    _note(connection, experiment, old=old)
    _LOG.warning(
        "%s: this home was at %s before; %s addresses in its mlflow.db are now those of its files.",
        home,
        _path(old).parent,
        f"{changed:,}",
    )


def _replace(connection: Connection, table: str, column: str, *, old: str, new: str) -> int:
    """Replace the prefix `old` of addresses by `new`; return how many changed."""
    # Tables and columns are the constants above, so that the text holds nothing foreign.
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


def _refuse_incomplete(connection: Connection, home: Path, old: str) -> None:
    """Refuse a home that lacks models which the old one still has, or all of them."""
    addresses = connection.execute(text("SELECT storage_location FROM model_versions")).scalars()
    models = [str(address)[len(old) + 1 :] for address in addresses if str(address).startswith(f"{old}/")]
    missing = [model for model in models if not (home / "mlruns" / model).is_dir()]
    left_behind = [model for model in missing if (_path(old) / model).is_dir()]
    if left_behind or (missing and len(missing) == len(models)):
        raise StoreError(
            f"{home}: was moved or copied from {_path(old).parent}, and {len(missing):,} of {len(models):,} "
            "models in its mlflow.db are missing from its mlruns. Copy the whole folder while nothing "
            "writes to it."
        )


def _path(address: str) -> Path:
    parts = urlsplit(address)
    share = f"//{parts.netloc}" if parts.netloc else ""
    return Path(share + url2pathname(parts.path))


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False

"""Correct the absolute addresses in MLflow's database after a home was moved or copied.

This is the one module that writes to MLflow's own tables, because no public call of MLflow can (looked up in 3.17):
the `artifact_location` of `create_experiment` cannot be changed later, `update_run` takes status and name, the
locations of a model version and a logged model are set once, and `mlflow db` upgrades the schema and moves between
workspaces. Left alone, MLflow would write new runs into the old folder, which can be another home that is in use. So
the write is bounded: to the major release of MLflow whose columns were checked, and to addresses below the old home.
"""

import logging
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

from sqlalchemy import Connection, create_engine, inspect, text

from dnapredict.errors import StoreError

_LOG: Final = logging.getLogger("dnapredict.registry")
# The major release of MLflow whose columns of addresses are listed below; a test compares them with its tables.
_CHECKED_MLFLOW: Final = "3"
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
        If models in the database are missing from `home`: it was not moved or copied completely. If the home was
        moved and this release of MLflow, or its database, is not one whose addresses can be corrected.
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
    _refuse_unknown_tables(connection, home, old)
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


def _refuse_unknown_tables(connection: Connection, home: Path, old: str) -> None:
    """Refuse to write to tables of MLflow that may mean something else in this release."""
    tables = inspect(connection)
    lacking = [
        f"{table}.{column}"
        for table, column in (("experiments", "artifact_location"), *_ADDRESS_COLUMNS)
        if column not in {known["name"] for known in tables.get_columns(table)}
    ]
    release = version("mlflow")
    if lacking or release.split(".")[0] != _CHECKED_MLFLOW:
        raise StoreError(
            f"{home}: was moved or copied from {_path(old).parent}, and its addresses cannot be corrected with MLflow "
            f"{release}. Move the home back, or install MLflow {_CHECKED_MLFLOW} as in requirements.lock."
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

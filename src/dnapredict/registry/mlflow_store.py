"""MLflow's store in a home: `mlflow.db` and `mlruns/`, with its addresses set right where the home has moved."""

import contextlib
import logging
import os
import sqlite3
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from dnapredict.errors import ModelError, StoreError

_LOG: Final = logging.getLogger("dnapredict.registry")
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
        if kept is None or kept == here or not kept.startswith("file:") or _same(_path(kept), home / "mlruns"):
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


# MLflow reads these when it is imported: nothing leaves this machine, and no bar or note of its own
# reaches a person who asked for a model.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")


MODEL_NAME: Final = "dna-risk"
CHAMPION: Final = "champion"
CHALLENGER: Final = "challenger"

_ADVICE: Final = {
    CHAMPION: "Choose one with `dnapredict promote V`, once `dnapredict audit` has passed it.",
    CHALLENGER: "`dnapredict train EXTRACT` makes one.",
}
_HAS_MODELS: Final = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'model_versions'"
# A longer number is none that SQLite can hold.
_MOST_DIGITS: Final = 18
_NONE_SUCH: Final = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


class Store:
    """MLflow's store of one home; nothing is made until something is written.

    Raises
    ------
    StoreError
        From any method, if the home cannot be read or written.
    """

    def __init__(self, home: Path) -> None:
        """Name the home."""
        self.home = home.resolve()
        self.address = f"sqlite:///{(self.home / 'mlflow.db').as_posix()}"

    @property
    def client(self) -> MlflowClient:
        """MLflow's client, bound to this home and to no other."""
        return MlflowClient(tracking_uri=self.address, registry_uri=self.address)

    def found(self, name: str) -> Any:
        """MLflow's record of a version, by its number or by an alias.

        Raises
        ------
        ModelError
            If there is none; the message names the command that makes one.
        """
        if not self.has_database():
            raise ModelError(f"{self.home}: holds no model. `dnapredict train EXTRACT` makes one.")
        if name.isdigit() and len(name) > _MOST_DIGITS:
            raise _none_such(f"{name[:_MOST_DIGITS]}...")
        with self.sentences(otherwise=_none_such(name)):
            if name.isdigit():
                return self.client.get_model_version(MODEL_NAME, name)
            return self.client.get_model_version_by_alias(MODEL_NAME, name)

    def has_database(self) -> bool:
        """Whether this home has a registry, once SQLite finds nothing wrong with its file.

        A file without tables is none, such as a first training that was killed leaves.

        Raises
        ------
        StoreError
            If it is damaged, or is missing or without tables where models are.
        """
        path = self.home / "mlflow.db"
        try:
            state = path.stat()
            has_tables = _has_tables(path, (state.st_ino, state.st_size, state.st_mtime_ns))
        except FileNotFoundError:
            has_tables = False
        except OSError as error:
            raise StoreError(f"{path}: cannot be read ({error.strerror}).") from None
        if not has_tables and any((self.home / "mlruns" / "models").glob("*")):
            raise _damaged(path, "is missing or empty, and mlruns holds models")
        return has_tables

    def experiment(self) -> str:
        """The experiment that holds every run, made at the first."""
        found = self.client.get_experiment_by_name(MODEL_NAME)
        if found is not None:
            return str(found.experiment_id)
        return str(self.client.create_experiment(MODEL_NAME, (self.home / "mlruns").as_uri()))

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Write files and records: in sentences, quietly, and into this home wherever it was before."""
        with self.sentences(), self.quiet():
            if self.has_database():
                engine = create_engine(self.address)
                try:
                    set_right(engine, self.home, experiment=MODEL_NAME)
                finally:
                    engine.dispose()
            yield

    @contextlib.contextmanager
    def sentences(self, *, otherwise: ModelError | None = None) -> Iterator[None]:
        """Whatever MLflow or its database raises, as one sentence: theirs may hold whole requests."""
        try:
            yield
        except MlflowException as error:
            if otherwise is not None and error.error_code in _NONE_SUCH:
                raise otherwise from None
            raise StoreError(f"{self.home}: the registry refused ({error.error_code}).") from None
        except SQLAlchemyError as error:
            raise StoreError(
                f"{self.home / 'mlflow.db'}: cannot be read or written ({type(error).__name__})."
            ) from None
        except OSError as error:
            raise StoreError(f"{self.home}: cannot be used ({error.strerror}).") from None

    @staticmethod
    @contextlib.contextmanager
    def quiet() -> Iterator[None]:
        """Keep MLflow's hints to programmers, and its database's notes, from an analyst."""
        logging.getLogger("alembic").setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield


@lru_cache(maxsize=4)
def _has_tables(path: Path, _state: tuple[int, ...]) -> bool:
    """Whether a database has the tables of a registry; refused where SQLite finds damage.

    It is looked at again once it has been written. Without this, MLflow would fill an empty file with new
    tables and say that there is no model.
    """
    # Opened by SQLite alone: who opens and closes the file beside it lets go of the locks of the process.
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True)) as connection:
            if connection.execute("PRAGMA integrity_check(1)").fetchone() != ("ok",):
                raise _damaged(path, "is damaged")
            return connection.execute(_HAS_MODELS).fetchone() is not None
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
            return True  # somebody is writing; MLflow, which reads it next, waits for that
        raise _damaged(path, f"cannot be read or written ({type(error).__name__})") from None


def _damaged(path: Path, what: str) -> StoreError:
    return StoreError(f"{path}: {what}. Restore it from a backup, with mlruns as it was at that time.")


def _none_such(name: str) -> ModelError:
    if name[:1].isdigit():
        return ModelError(f"There is no model version {name}. {_ADVICE[CHALLENGER]}")
    return ModelError(f"No model is {name}. {_ADVICE.get(name, 'Give a version number.')}")

"""MLflow's tracking server and registry of models; a home has its own in `mlflow.db` and `mlruns/`."""

import contextlib
import logging
import os
import sqlite3
import warnings
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sqlalchemy.exc import SQLAlchemyError

from dnapredict.data.files.atomic_write import create_private_file, private_folder
from dnapredict.errors import ModelError, StoreError
from dnapredict.registry.moved_home import correct_addresses

MODEL_NAME: Final = "dna-risk"
CHAMPION: Final = "champion"
CHALLENGER: Final = "challenger"
_VARIABLES: Final = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")
# MLflow takes None for its default and does not say so in its types.
_UNSET: Final[Any] = None
_LEDGER_TAG: Final = "decisions"
# MLflow's page opens an experiment of this kind on its runs and models, and others on pages for language models.
_EXPERIMENT_TAGS: Final = {
    "mlflow.experimentKind": "custom_model_development",
    "mlflow.note.content": "Trainings, comparisons, audits, monitor runs and trial reports of models of missed "
    "appointments, by dnapredict.",
}
_MODEL_NOTE: Final = (
    "Risk that a patient misses an appointment, to offer help first where it is needed. Which version is in use is "
    "decided by `dnapredict promote` and its ledger; an alias that is set here puts no version in use."
)

_ADVICE: Final = {
    CHAMPION: "Choose one with `dnapredict promote V`, once `dnapredict audit` has passed it.",
    CHALLENGER: "`dnapredict train EXTRACT` makes one.",
}
# MLflow prints each error of the database with the values of its statement.
_DATABASE_LOGGER: Final = "mlflow.store.db.utils"
_HAS_MODELS: Final = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'model_versions'"
# SQLite cannot hold a longer number.
_MAX_DIGITS: Final = 18
_NOT_FOUND: Final = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


class TrackingStore:
    """A tracking server with its registry of models, by its address."""

    def __init__(self, address: str, *, artefacts: str | None = None) -> None:
        """Bind to an address; nothing is read yet. A new experiment keeps its files at `artefacts`."""
        self.address = address
        self._artefacts = artefacts

    @property
    def client(self) -> MlflowClient:
        """MLflow's client, bound to this address and to no other."""
        return MlflowClient(tracking_uri=self.address, registry_uri=self.address)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Let MLflow's functions use this address, and afterwards what they used before.

        MLflow writes the address to the environment, where it would stand for the analyst's choice of a server.
        """
        before = {name: os.environ.get(name) for name in _VARIABLES}
        mlflow.set_tracking_uri(self.address)
        mlflow.set_registry_uri(self.address)
        try:
            yield
        finally:
            mlflow.set_tracking_uri(_UNSET)
            mlflow.set_registry_uri(_UNSET)
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value

    def experiment(self) -> str:
        """The experiment that holds every run; it is created with the first run."""
        client = self.client
        experiment = client.get_experiment_by_name(MODEL_NAME)
        if experiment is None:
            made = client.create_experiment(MODEL_NAME, self._artefacts, tags=_EXPERIMENT_TAGS)
            return str(made)
        for key, value in _EXPERIMENT_TAGS.items():
            if key not in experiment.tags:  # it was created by an earlier release
                client.set_experiment_tag(experiment.experiment_id, key, value)
        return str(experiment.experiment_id)

    def add_version(self, run_id: str, model_id: str, *, tags: dict[str, str], note: str = "") -> str:
        """Register a logged model as the next version; returns its number."""
        client = self.client
        with contextlib.suppress(MlflowException):  # it exists
            client.create_registered_model(MODEL_NAME, description=_MODEL_NOTE)
        source = f"models:/{model_id}"
        with self.alone():  # where the files are is asked of the address that MLflow's functions use
            made = client.create_model_version(
                MODEL_NAME, source, run_id, tags=tags, description=note, model_id=model_id
            )
        return str(made.version)

    def set_challenger(self, version: str) -> None:
        """Give a version the alias `challenger`, which another version loses."""
        self.client.set_registered_model_alias(MODEL_NAME, CHALLENGER, version)


class Store(TrackingStore):
    """MLflow's store of one home; nothing is created until something is written.

    Raises
    ------
    StoreError
        From any method, if the home cannot be read or written.
    """

    def __init__(self, home: Path) -> None:
        """Bind the store to a home; nothing is read yet."""
        self.home = home.resolve()
        database, files = self.home / "mlflow.db", self.home / "mlruns"
        super().__init__(f"sqlite:///{database.as_posix()}", artefacts=files.as_uri())

    def version(self, name: str) -> Any:
        """MLflow's record of a version, by its number or by an alias.

        Raises
        ------
        ModelError
            If there is none; the message names the command that makes one.
        """
        if not self.has_database():
            raise ModelError(f"{self.home}: holds no model. `dnapredict train EXTRACT` makes one.")
        if name.isdigit() and len(name) > _MAX_DIGITS:
            raise _not_found(f"{name[:_MAX_DIGITS]}...")
        with self.errors_as_messages(not_found=_not_found(name)):
            if name.isdigit():
                return self.client.get_model_version(MODEL_NAME, name)
            return self.client.get_model_version_by_alias(MODEL_NAME, name)

    def versions(self) -> list[Any]:
        """MLflow's records of all versions, oldest first; none in a home without a model."""
        if not self.has_database():
            return []
        client = self.client
        with self.errors_as_messages():
            records = list(client.search_model_versions(f"name='{MODEL_NAME}'"))
            # A search leaves the aliases out.
            named = client.get_registered_model(MODEL_NAME).aliases if records else {}
        for record in records:
            record.aliases = [alias for alias, version in named.items() if str(version) == str(record.version)]
        return sorted(records, key=lambda record: int(record.version))

    def metrics(self, run_id: str) -> dict[str, float]:
        """The metrics of a run; none where it was deleted."""
        try:
            with self.errors_as_messages(not_found=ModelError("no such run")):
                return dict(self.client.get_run(run_id).data.metrics)
        except ModelError:
            return {}

    def has_database(self) -> bool:
        """Whether this home has a registry, after SQLite has checked its file.

        A file without tables does not count: a first training that was killed leaves one.

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
            raise _damage(path, "is missing or empty, and mlruns holds models")
        return has_tables

    def set_alias(self, alias: str, version: str) -> None:
        """Let an alias name a version."""
        with self.errors_as_messages():
            self.client.set_registered_model_alias(MODEL_NAME, alias, version)

    def set_tags(self, version: str, tags: Mapping[str, str]) -> None:
        """Set tags of a version; its others stay."""
        with self.errors_as_messages():
            for key, value in tags.items():
                self.client.set_model_version_tag(MODEL_NAME, version, key, value)

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Prepare the home for writing: private files, and addresses of this home if it was moved."""
        with self.errors_as_messages(), self.without_warnings():
            if self.has_database():
                correct_addresses(self.address, self.home, experiment=MODEL_NAME)
            else:
                # MLflow would create both with the permissions of the umask, readable by others.
                create_private_file(self.home / "mlflow.db")
                private_folder(self.home / "mlruns")
            yield

    @contextlib.contextmanager
    def errors_as_messages(self, *, not_found: ModelError | None = None) -> Iterator[None]:
        """Turn errors of MLflow and its database into one sentence: their texts may hold whole requests."""
        logging.getLogger(_DATABASE_LOGGER).setLevel(logging.CRITICAL)
        try:
            yield
        except MlflowException as error:
            if not_found is not None and error.error_code in _NOT_FOUND:
                raise not_found from None
            if _is_full(error.__cause__):
                raise self._full_disk() from None
            raise StoreError(f"{self.home}: the registry refused ({error.error_code}).") from None
        except SQLAlchemyError as error:
            if _is_full(error):
                raise self._full_disk() from None
            raise StoreError(
                f"{self.home / 'mlflow.db'}: cannot be read or written ({type(error).__name__})."
            ) from None
        except OSError as error:
            raise StoreError(f"{self.home}: cannot be used ({error.strerror}).") from None

    def _full_disk(self) -> StoreError:
        return StoreError(f"{self.home / 'mlflow.db'}: cannot be written: the disk is full. Make room on it.")

    @staticmethod
    @contextlib.contextmanager
    def without_warnings() -> Iterator[None]:
        """Hide MLflow's hints to programmers, and the notes of its database migrations."""
        logging.getLogger("alembic").setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield


def _is_full(error: BaseException | None) -> bool:
    """Whether an error of the database is SQLite's about a full disk."""
    cause = getattr(error, "orig", None)
    return isinstance(cause, sqlite3.Error) and cause.sqlite_errorcode == sqlite3.SQLITE_FULL


@lru_cache(maxsize=4)
def _has_tables(path: Path, _state: tuple[int, ...]) -> bool:
    """Whether a database has the tables of a registry; raises where SQLite finds damage.

    The result is kept until the file changes. Without this check, MLflow would fill an empty file with new
    tables and report that there is no model.
    """
    # Only SQLite may open the file: opening and closing it elsewhere drops the locks of this process.
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True)) as connection:
            if connection.execute("PRAGMA integrity_check(1)").fetchone() != ("ok",):
                raise _damage(path, "is damaged")
            return connection.execute(_HAS_MODELS).fetchone() is not None
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
            return True  # another process is writing; MLflow waits for it
        raise _damage(path, f"cannot be read or written ({type(error).__name__})") from None


def _damage(path: Path, problem: str) -> StoreError:
    return StoreError(f"{path}: {problem}. Restore it from a backup, with mlruns as it was at that time.")


def _not_found(name: str) -> ModelError:
    if name[:1].isdigit():
        return ModelError(f"There is no model version {name}. {_ADVICE[CHALLENGER]}")
    return ModelError(f"No model is {name}. {_ADVICE.get(name, 'Give a version number.')}")


class LedgerTag:
    """The head of the ledger of decisions (`decision_ledger.HeadRecord`), as a tag of the registered model."""

    def __init__(self, store: Store) -> None:
        """Use the registered model of `store`; nothing is read yet."""
        self._store = store

    @property
    def place(self) -> str:
        """MLflow's database."""
        return "MLflow"

    def read(self) -> str:
        """The head that was written last; "" where none was, such as in a home without a model."""
        if not self._store.has_database():
            return ""
        try:
            with self._store.errors_as_messages(not_found=ModelError("no model is registered")):
                return str(self._store.client.get_registered_model(MODEL_NAME).tags.get(_LEDGER_TAG, ""))
        except ModelError:
            return ""

    def write(self, head: str) -> None:
        """Record the head; nothing is recorded in a home without a model."""
        with self._store.errors_as_messages():
            self._store.client.set_registered_model_tag(MODEL_NAME, _LEDGER_TAG, head)

"""Copies of a home's trainings and audits on the MLflow server that `MLFLOW_TRACKING_URI` names.

The home stays the only place that decides: nothing is read back. A copy holds the code and the requirements that
another machine needs to load the model. Where the server refuses, the work in the home stands and a warning is logged.
"""

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from dnapredict.model.artefact import StoredModel
from dnapredict.registry.mlflow_store import MODEL_NAME, Store, TrackingStore
from dnapredict.registry.served.model_logging import log_model

_LOG: Final = logging.getLogger("dnapredict.registry")
_VARIABLE: Final = "MLFLOW_TRACKING_URI"

LogRun = Callable[[TrackingStore, Sequence[Any]], str]
"""Logs a run about versions, given a store and its records of them; returns the id of the run."""


class TeamServer:
    """The server that analysts share, if the environment names one that is not this home."""

    def __init__(self, home: Store) -> None:
        """Read the address from the environment; nothing is asked of the server yet."""
        address = os.environ.get(_VARIABLE, "").strip()
        self._store = None if address in {"", home.address} else TrackingStore(address, artefacts=_beside(address))

    def add_training(
        self,
        folder: Path,
        stored: StoredModel,
        *,
        log: Callable[[TrackingStore], str],
        tags: dict[str, str],
        note: str,
    ) -> None:
        """Copy a training and its stored model in `folder`; `log` logs the training to a store and returns the run."""

        def copy(store: TrackingStore) -> None:
            run_id = log(store)
            model_id = log_model(store, folder, run_id, stored=stored, with_code=True)
            store.set_challenger(store.add_version(run_id, model_id, tags=tags, note=note))

        self._send(copy)

    def set_alias(self, alias: str, digest: str) -> None:
        """Let an alias name the copy of the version whose manifest has that digest."""

        def name(store: TrackingStore) -> None:
            if (copy := self._copy_of(store, digest)) is not None:
                store.client.set_registered_model_alias(MODEL_NAME, alias, copy.version)

        self._send(name)

    def add_run(self, digests: Iterable[str], log: LogRun) -> None:
        """Log a run about the versions whose manifests have these digests, of those that the server has a copy of."""

        def add(store: TrackingStore) -> None:
            if copies := [copy for digest in digests if (copy := self._copy_of(store, digest)) is not None]:
                log(store, copies)

        self._send(add)

    def _copy_of(self, store: TrackingStore, digest: str) -> Any:
        query = f"name = '{MODEL_NAME}' and tags.manifest_sha256 = '{digest}'"
        copies = store.client.search_model_versions(query)
        if not copies:
            _LOG.warning(
                "%s: %s holds no copy of this version, so nothing is recorded there. Versions that are trained while "
                "the variable is set are copied.",
                _VARIABLE,
                _shown(store.address),
            )
        return max(copies, key=lambda copy: int(copy.version), default=None)

    def _send(self, write: Callable[[TrackingStore], None]) -> None:
        if self._store is None:
            return
        try:
            with Store.without_warnings():
                write(self._store)
        except (MlflowException, SQLAlchemyError, OSError) as error:
            # Not the text of the error, which may hold whole requests.
            _LOG.warning(
                "%s: %s cannot be written to (%s). The home holds everything.",
                _VARIABLE,
                _shown(self._store.address),
                type(error).__name__,
            )


def _beside(address: str) -> str | None:
    """Where a database in a file keeps files: beside it, and not in the folder that somebody happens to work in."""
    path = address.partition(":///")[2]
    return (Path(path).resolve().parent / "mlruns").as_uri() if address.startswith("sqlite:///") else None


def _shown(address: str) -> str:
    """An address without a password."""
    parts = urlsplit(address)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()

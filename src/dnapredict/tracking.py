"""The registry of models and the record of every training, kept by MLflow in the home.

The home holds `mlflow.db` (SQLite) and `mlruns/` (files). With this home's address, an analyst can
look at the runs with `mlflow ui`. Nothing is sent anywhere.
"""

import contextlib
import hashlib
import logging
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any, Final

from sqlalchemy.exc import SQLAlchemyError

from dnapredict.errors import GateFailedError, ModelError, StoreError
from dnapredict.risk.artefact import StoredModel, load
from dnapredict.risk.card import card
from dnapredict.risk.figures import drawn
from dnapredict.risk.record import measured, parameters, tags, verdict
from dnapredict.risk.training import Training

# MLflow reads these when it is imported: nothing leaves this machine, and no bar or note of its own
# reaches a person who asked for a model.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")

import mlflow
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.tracking import MlflowClient
from mlflow.types import ColSpec, Schema

__all__ = ["CHALLENGER", "CHAMPION", "MODEL_NAME", "Registered", "Registry"]

MODEL_NAME: Final = "dna-risk"
CHAMPION: Final = "champion"
CHALLENGER: Final = "challenger"

_ADVICE: Final = {
    CHAMPION: "Choose one with `dnapredict promote V`, once `dnapredict audit` has passed it.",
    CHALLENGER: "`dnapredict train EXTRACT` makes one.",
}
_FAILED: Final = "FAIL"
_NONE_SUCH: Final = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


@dataclass(frozen=True)
class Registered:
    """A version in the registry, and the run that tells how it came to be."""

    version: str
    run_id: str


class Registry:
    """The models of one home.

    Raises
    ------
    StoreError
        From any method, if the home cannot be read or written.
    """

    def __init__(self, home: Path) -> None:
        """Name the home; nothing is made until a model is registered."""
        self._home = home.resolve()
        self._address = f"sqlite:///{(self._home / 'mlflow.db').as_posix()}"

    def register(self, folder: Path, training: Training) -> Registered:
        """Record a training and make its stored model the challenger."""
        stored = load(folder)
        with _sentences(self._home), _quiet():
            self._home.mkdir(parents=True, exist_ok=True)
            run_id = self._record(training, stored)
            model_id = self._log_model(folder, run_id, factors=stored.manifest.factors)
            version = self._add_version(run_id, model_id, tags(stored) | verdict(training))
        return Registered(version, run_id)

    def version_of(self, name: str) -> str:
        """The version that an alias (`champion`, `challenger`) or a number stands for.

        Raises
        ------
        ModelError
            If there is none; the message names the command that makes one.
        """
        return str(self._found(name).version)

    def folder(self, name: str) -> Path:
        """Where the stored model of a version or alias lies, once it is the one that was registered."""
        found = self._found(name)
        model_id = str(found.source).rpartition("/")[2]
        artefacts = self._home / "mlruns" / "models" / model_id / "artifacts" / "artifacts"
        return _registered(artefacts, digest=found.tags["manifest_sha256"])

    def tags(self, name: str) -> dict[str, str]:
        """What is written beside a version: its audit, who promoted it, whether it is synthetic."""
        return dict(self._found(name).tags)

    def set_audit(self, name: str, *, verdict: str, digest: str) -> None:
        """Write an audit's verdict (PASS, REVIEW, FAIL, NOT ENOUGH DATA) beside the version audited."""
        self._tag(name, audit_verdict=verdict, audit_sha256=digest, audited_at=_now())

    def promote(self, name: str, *, signed_by: str = "", why: str = "") -> str:
        """Make a version the champion, unless its audit failed and no named person signs for it.

        REVIEW and NOT ENOUGH DATA do not stop a promotion: the verdict stays beside the version, as
        a judgement that a reviewer owes.

        Raises
        ------
        ModelError
            If it was never audited, or has no skill over the base rate: that nobody can sign for.
        GateFailedError
            If a gate of its audit failed and nobody signs.
        """
        version = self.version_of(name)
        known = self.tags(version)
        _refuse_unskilled(version, known)
        _refuse_unaudited(version, known.get("audit_verdict"), signed=bool(signed_by and why))
        before = self._champion()
        self._tag(name, promoted_by=signed_by, promoted_why=why, promoted_at=_now(), champion_before=before)
        with _sentences(self._home):
            self._client.set_registered_model_alias(MODEL_NAME, CHAMPION, version)
        return version

    def log_files(self, name: str, folder: Path, *, under: str) -> None:
        """Keep the files of a folder, such as a fairness report, with the run of a version."""
        run_id = self._found(name).run_id
        with _sentences(self._home), _quiet():
            self._client.log_artifacts(run_id, str(folder), artifact_path=under)

    @property
    def _client(self) -> MlflowClient:
        return MlflowClient(tracking_uri=self._address, registry_uri=self._address)

    def _found(self, name: str) -> Any:
        if not (self._home / "mlflow.db").is_file():
            raise ModelError(f"{self._home}: holds no model. `dnapredict train EXTRACT` makes one.")
        with _sentences(self._home, otherwise=_none_such(name)):
            if name.isdigit():
                return self._client.get_model_version(MODEL_NAME, name)
            return self._client.get_model_version_by_alias(MODEL_NAME, name)

    def _champion(self) -> str:
        try:
            return self.version_of(CHAMPION)
        except ModelError:
            return ""

    def _tag(self, name: str, **tags: str) -> None:
        version = self.version_of(name)
        with _sentences(self._home):
            for key, value in tags.items():
                self._client.set_model_version_tag(MODEL_NAME, version, key, value)

    def _record(self, training: Training, stored: StoredModel) -> str:
        client = self._client
        run = client.create_run(self._experiment(), run_name=stored.digest[:8])
        known = tags(stored) | verdict(training)
        written = [RunTag(key, value) for key, value in known.items()]
        params = [Param(key, value) for key, value in parameters(stored).items()]
        client.log_batch(run.info.run_id, params=params, tags=written)
        for metrics in _batches(_metrics(training)):
            client.log_batch(run.info.run_id, metrics=metrics)
        client.log_text(run.info.run_id, card(training, stored), "model-card.md")
        for name, figure in drawn(training, titles=_titles(stored)):
            client.log_text(run.info.run_id, figure, f"figures/{name}")
        client.set_terminated(run.info.run_id)
        return str(run.info.run_id)

    def _experiment(self) -> str:
        found = self._client.get_experiment_by_name(MODEL_NAME)
        if found is not None:
            return str(found.experiment_id)
        return str(self._client.create_experiment(MODEL_NAME, (self._home / "mlruns").as_uri()))

    def _log_model(self, folder: Path, run_id: str, *, factors: tuple[str, ...]) -> str:
        mlflow.set_tracking_uri(self._address)
        mlflow.set_registry_uri(self._address)
        with mlflow.start_run(run_id=run_id):
            logged = mlflow.pyfunc.log_model(
                name="model",
                python_model=str(Path(__file__).with_name("served_model.py")),
                artifacts={"model": str(folder)},
                pip_requirements=[f"dnapredict=={installed('dnapredict')}"],
                signature=ModelSignature(outputs=Schema([ColSpec("double")])),
                metadata={"factors": list(factors)},
            )
        return str(logged.model_id)

    def _add_version(self, run_id: str, model_id: str, tags: dict[str, str]) -> str:
        client = self._client
        with contextlib.suppress(MlflowException):  # there is one already
            client.create_registered_model(MODEL_NAME)
        made = client.create_model_version(
            MODEL_NAME, f"models:/{model_id}", run_id, tags=tags, model_id=model_id
        )
        client.set_registered_model_alias(MODEL_NAME, CHALLENGER, made.version)
        return str(made.version)


def _titles(stored: StoredModel) -> list[str]:
    register = stored.manifest.provenance.register_of_factors
    return [register.factor(name).title for name in stored.manifest.factors]


def _metrics(training: Training) -> list[Metric]:
    now = int(datetime.now(UTC).timestamp() * 1000)
    return [Metric(figure.name, figure.value, now, figure.step) for figure in measured(training)]


def _batches(metrics: list[Metric]) -> Iterator[list[Metric]]:
    for start in range(0, len(metrics), 1_000):  # as many as MLflow takes at once
        yield metrics[start : start + 1_000]


def _registered(artefacts: Path, *, digest: str) -> Path:
    for manifest in artefacts.glob("*/manifest.json"):
        if hashlib.sha256(manifest.read_bytes()).hexdigest() == digest:
            return manifest.parent
    raise ModelError(f"{artefacts}: does not hold the model that was registered. Restore it from a backup.")


def _refuse_unskilled(version: str, known: dict[str, str]) -> None:
    if known.get("skill") == "none":
        raise ModelError(f"Version {version} is not promoted. {known['skill_verdict']}")


def _refuse_unaudited(version: str, verdict: str | None, *, signed: bool) -> None:
    if verdict is None:
        raise ModelError(
            f"Version {version} was never audited. `dnapredict audit EXTRACT --model {version} --out DIR` "
            "compares how well patients of different groups are reached."
        )
    if verdict == _FAILED and not signed:
        raise GateFailedError(
            f"Version {version} is not promoted: a fairness gate failed. Read the report; the person who "
            "answers for equality may sign for it with --signed-by and --why, which go on record."
        )


def _none_such(name: str) -> ModelError:
    if name.isdigit():
        return ModelError(f"There is no model version {name}. {_ADVICE[CHALLENGER]}")
    return ModelError(f"No model is {name}. {_ADVICE.get(name, 'Give a version number.')}")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@contextlib.contextmanager
def _sentences(home: Path, *, otherwise: ModelError | None = None) -> Iterator[None]:
    """Whatever MLflow or its database raises, as one sentence: theirs may hold whole requests."""
    try:
        yield
    except MlflowException as error:
        if otherwise is not None and error.error_code in (
            "RESOURCE_DOES_NOT_EXIST",
            "INVALID_PARAMETER_VALUE",
        ):
            raise otherwise from None
        raise StoreError(f"{home}: the registry refused ({error.error_code}).") from None
    except SQLAlchemyError as error:
        raise StoreError(
            f"{home / 'mlflow.db'}: cannot be read or written ({type(error).__name__})."
        ) from None
    except OSError as error:
        raise StoreError(f"{home}: cannot be used ({error.strerror}).") from None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep MLflow's hints to programmers, and its database's notes, from an analyst."""
    logging.getLogger("alembic").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield

"""The versions of one home: registered as challenger, audited, promoted to champion."""

import contextlib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from dnapredict.errors import ModelError
from dnapredict.risk.artefact import load
from dnapredict.risk.comparing import Comparison, compare
from dnapredict.risk.record import tags, verdict
from dnapredict.risk.training import Training
from dnapredict.tracking.audits import keep_report, kept_report, last_report, signed_versions
from dnapredict.tracking.cards import card_of, write_card
from dnapredict.tracking.promotion import refuse_against_audit, refuse_unskilled
from dnapredict.tracking.recording import log_comparison, log_model, record
from dnapredict.tracking.store import CHALLENGER, CHAMPION, MODEL_NAME, Store
from dnapredict.tracking.tested import keep, kept
from dnapredict.whole_files import close_to_others, private_folder

# isort: split
from mlflow.exceptions import MlflowException

if TYPE_CHECKING:
    from dnapredict.audit.signing import Signature

__all__ = ["CHALLENGER", "CHAMPION", "MODEL_NAME", "Registered", "Registry"]


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
        self._store = Store(home)

    def register(
        self, folder: Path, training: Training, *, files: Mapping[str, str] = MappingProxyType({})
    ) -> Registered:
        """Record a training and make its stored model the challenger; `files` are kept with the run."""
        stored, store = load(folder), self._store
        with store.writing():
            private_folder(store.home)
            close_to_others(store.home)
            run_id = record(store, training, stored, files=files)
            model_id = log_model(store, folder, run_id, factors=stored.manifest.factors)
            keep(store.home, training, digest=stored.digest)
            version = self._add_version(run_id, model_id, tags(stored) | verdict(training))
            self._write_card(version)
        return Registered(version, run_id)

    def version_of(self, name: str) -> str:
        """The version that an alias (`champion`, `challenger`) or a number stands for.

        Raises
        ------
        ModelError
            If there is none; the message names the command that makes one.
        """
        return str(self._store.found(name).version)

    def has(self, name: str) -> bool:
        """Whether there is a version of that number or alias."""
        try:
            self.version_of(name)
        except ModelError:
            return False
        return True

    def folder(self, name: str) -> Path:
        """Where the stored model of a version or alias lies, once it is the one that was registered."""
        found = self._store.found(name)
        model_id = str(found.source).rpartition("/")[2]
        artefacts = self._store.home / "mlruns" / "models" / model_id / "artifacts" / "artifacts"
        return _registered(artefacts, digest=found.tags["manifest_sha256"])

    def tags(self, name: str) -> dict[str, str]:
        """What is written beside a version: its audit, who promoted it, whether it is synthetic."""
        return dict(self._store.found(name).tags)

    def card(self, name: str) -> str:
        """The model card of a version as it stands, Markdown; "" where the home holds none.

        Raises
        ------
        ModelError
            If there is no such version.
        """
        return card_of(self._store.home, version=self.version_of(name))

    def report(self, name: str) -> Path | None:
        """The folder of the report of a version's last audit, None where none is kept."""
        kept_here = kept_report(self._store, self._store.found(name))
        return kept_here if kept_here.is_dir() else None

    def set_audit(self, name: str, *, verdict: str, digest: str) -> None:
        """Write an audit's verdict (PASS, REVIEW, FAIL, NOT ENOUGH DATA) beside the version audited."""
        self._tag(name, audit_verdict=verdict, audit_sha256=digest, audited_at=_now(), signed_decision="")

    def keep_audit(self, name: str, report: Path, *, verdict: str) -> None:
        """Keep an audit's `report` folder with the run of a version, its verdict and digest as tags."""
        digest = keep_report(self._store, self._store.found(name), report)
        self.set_audit(name, verdict=verdict, digest=digest)

    def last_audit(self) -> Path | None:
        """The newest kept report of any version here, None where there is none."""
        return last_report(self._store)

    def keep_signature(self, report: Path, signature: "Signature") -> tuple[str, ...]:
        """Keep a signed `report` with each version whose last audit it is, the decision as tags.

        Returns those versions: none where the report is of another home or of another product's scores,
        or a newer audit has taken its place.
        """
        signed = signed_versions(self._store, signature)
        for version in signed:
            keep_report(self._store, self._store.found(version), report)
            self._tag(version, **signature.tags)
        return signed

    def promote(self, name: str) -> str:
        """Make a version the champion, unless its audit failed or a reviewer rejected it.

        REVIEW and NOT ENOUGH DATA do not stop a promotion: the verdict stays beside the version, as
        a judgement that a reviewer owes. A failed version is promoted once its report is signed with
        conditions.

        Raises
        ------
        ModelError
            If it was never audited, or has no skill over the base rate: that nobody can sign for.
        GateFailedError
            If a gate of its audit failed and nobody signed, or a reviewer rejected it.
        StoreError
            If report or signature are not as they were signed.
        """
        found = self._store.found(name)
        version, known = str(found.version), dict(found.tags)
        refuse_unskilled(version, known)
        refuse_against_audit(version, known, report=kept_report(self._store, found))
        self._tag(version, promoted_at=_now(), champion_before=self._champion(instead_of=version))
        self._point(CHAMPION, version)
        return version

    def rollback(self, *, signed_by: str, why: str) -> str:
        """Make the version that was champion before this one the champion again, and give its number.

        Who did it and why stay beside the version that is left.

        Raises
        ------
        ModelError
            If no version was champion before, or its stored model is damaged or was never promoted.
        """
        leaving = self.version_of(CHAMPION)
        before = self.tags(leaving).get("champion_before", "")
        if not before:
            raise ModelError(f"Version {leaving} is the first champion: there is none to go back to.")
        load(self.folder(before))
        self._tag(
            leaving,
            rolled_back_by=signed_by,
            rolled_back_why=why,
            rolled_back_at=_now(),
            rolled_back_to=before,
        )
        self._point(CHAMPION, before)
        return before

    def compare(self, one: str, other: str) -> Comparison:
        """Hold two versions against each other on the appointments that both were tested on.

        The comparison is kept as a run of its own, beside those of the two trainings.

        Raises
        ------
        ModelError
            If there is no such version, or what it was tested on was not kept.
        DataError
            If the two tests have too few appointments in common.
        """
        store, found = self._store, [self._store.found(name) for name in (one, other)]
        tests = [kept(store.home, digest=f.tags["manifest_sha256"], version=f.version) for f in found]
        comparison = compare(tests[0], tests[1], seed=int(found[0].tags["seed"]))
        with store.writing():
            log_comparison(store, comparison, versions=(str(found[0].version), str(found[1].version)))
        return comparison

    def _champion(self, *, instead_of: str) -> str:
        """The champion that `instead_of` replaces; where it is champion already, the one it replaced then."""
        try:
            champion = self.version_of(CHAMPION)
        except ModelError:
            return ""
        return self.tags(champion).get("champion_before", "") if champion == instead_of else champion

    def _point(self, alias: str, version: str) -> None:
        with self._store.sentences():
            self._store.client.set_registered_model_alias(MODEL_NAME, alias, version)

    def _tag(self, name: str, **tags: str) -> None:
        version = self.version_of(name)
        with self._store.sentences():
            for key, value in tags.items():
                self._store.client.set_model_version_tag(MODEL_NAME, version, key, value)
            self._write_card(version)

    def _write_card(self, version: str) -> None:
        found = self._store.found(version)
        write_card(self._store.home, version=version, run_id=found.run_id, known=found.tags)

    def _add_version(self, run_id: str, model_id: str, tags: dict[str, str]) -> str:
        client = self._store.client
        with contextlib.suppress(MlflowException):  # there is one already
            client.create_registered_model(MODEL_NAME)
        made = client.create_model_version(
            MODEL_NAME, f"models:/{model_id}", run_id, tags=tags, model_id=model_id
        )
        client.set_registered_model_alias(MODEL_NAME, CHALLENGER, made.version)
        return str(made.version)


def _registered(artefacts: Path, *, digest: str) -> Path:
    for manifest in artefacts.glob("*/manifest.json"):
        if hashlib.sha256(manifest.read_bytes()).hexdigest() == digest:
            return manifest.parent
    raise ModelError(f"{artefacts}: does not hold the model that was registered. Restore it from a backup.")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")

"""The versions of one home: registered as challenger, audited, promoted to champion."""

import contextlib
from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from dnapredict.data.files.atomic_write import close_to_others, private_folder
from dnapredict.errors import ModelError
from dnapredict.model.artefact import load
from dnapredict.model.evaluate.metric_intervals import ModelComparison, compare_models
from dnapredict.model.fit.training import Training
from dnapredict.model.report.training_records import run_tags, selection_tags
from dnapredict.registry.adoption import adopt
from dnapredict.registry.card_files import card_of, write_card
from dnapredict.registry.decision_ledger import DecisionEntry, Decisions
from dnapredict.registry.holdout_store import keep, kept
from dnapredict.registry.ledger_tag import LedgerTag
from dnapredict.registry.mlflow_store import CHALLENGER, CHAMPION, MODEL_NAME, Store
from dnapredict.registry.promotion import (
    REPORT,
    Judgement,
    judgement,
    keep_report,
    keep_signature,
    kept_report,
    last_report,
    put_in_use,
    refuse_against_audit,
    refuse_changed_report,
    refuse_not_in_use,
    refuse_unskilled,
    report_digest,
    wrong_alias,
)
from dnapredict.registry.run_logging import log_comparison, log_model, record
from dnapredict.registry.signatures import bound_versions, data_of, decision_on, refuse_decision, signature_from
from dnapredict.registry.version_identity import Identity, content_of, identity_of, model_folder

# isort: split
from mlflow.exceptions import MlflowException

if TYPE_CHECKING:
    from dnapredict.fairness.signing import Signature


@dataclass(frozen=True)
class Registered:
    """A version in the registry, and the run that tells how it came to be."""

    version: str
    run_id: str


class Registry:
    """The models of one home.

    Which version is in use, and what was decided about it, is read from the ledger of decisions
    (`registry.decision_ledger`). Tags and the alias `champion` in MLflow are copies of it, for people to look at.

    Raises
    ------
    StoreError
        From any method, if the home cannot be read or written.
    """

    def __init__(self, home: Path) -> None:
        """Name the home; nothing is made until a model is registered."""
        self._store = Store(home)
        self._ledger = Decisions(self._store.home, LedgerTag(self._store))

    def register(
        self, folder: Path, training: Training, *, files: Mapping[str, str] = MappingProxyType({})
    ) -> Registered:
        """Record a training and make its stored model the challenger; `files` are kept with the run."""
        stored, store = load(folder), self._store
        with store.writing():
            private_folder(store.home)
            close_to_others(store.home)
            self._begin_ledger()
            run_id = record(store, training, stored, files=files)
            model_id = log_model(store, folder, run_id, factors=stored.manifest.factors)
            keep(store.home, training, digest=stored.digest)
            told = selection_tags(training)
            version = self._add_version(run_id, model_id, run_tags(stored) | told)
            identity = Identity(version, stored.digest, content_of(folder))
            self._ledger.append("training", identity.data | told)
            self._write_card(version)
        return Registered(version, run_id)

    def version_of(self, name: str) -> str:
        """The version that an alias (`champion`, `challenger`) or a number stands for.

        `champion` is the version that `promote` or `rollback` put in use last.

        Raises
        ------
        ModelError
            If there is none; the message names the command that makes one.
        """
        return str(self._found(name).version)

    def has(self, name: str) -> bool:
        """Whether there is a version of that number or alias."""
        try:
            self.version_of(name)
        except ModelError:
            return False
        return True

    def folder(self, name: str) -> Path:
        """Where the stored model of a version or alias lies, once it is the one that was registered."""
        found = self._found(name)
        return model_folder(self._store, found, digest=self._identity(found).model)

    def usable(self, name: str) -> str:
        """The version that an alias or a number stands for, if lists may be scored with it.

        Raises
        ------
        ModelError
            If `promote` or `rollback` did not put it in use, or MLflow's alias names another champion.
        GateFailedError
            If its audit or the decision on it stands no longer.
        StoreError
            If its report is not as it was signed.
        """
        found, entries = self._found(name), self._entries()
        if name == CHAMPION and (wrong := self._wrong_alias(entries)):
            raise ModelError(wrong)
        return self._usable(found, entries)

    def in_use(self) -> tuple[str, str]:
        """The version in use, if lists may be scored with it, and what is wrong with MLflow's alias of it or "".

        A service asks every few seconds, so the ledger is read once.

        Raises
        ------
        ModelError, GateFailedError, StoreError
            As `usable`; a wrong alias alone raises nothing.
        """
        entries = self._entries()
        used = "".join(put_in_use(entries)[-1:])
        if not used:  # raises what is wrong
            return self.usable(CHAMPION), ""
        return self._usable(self._store.found(used), entries), self._wrong_alias(entries)

    def _usable(self, found: Any, entries: tuple[DecisionEntry, ...]) -> str:
        identity = identity_of(self._store, found, entries)
        refuse_not_in_use(identity.version, entries, model=identity.model)
        judged = judgement(entries, identity.version, model=identity.model, content=identity.content)
        refuse_against_audit(identity.version, judged, done="used")
        refuse_changed_report(self._report_of(found, judged), judged)
        return identity.version

    def _wrong_alias(self, entries: tuple[DecisionEntry, ...]) -> str:
        """What is wrong where MLflow's alias `champion` is not the version in use; "" where nothing is."""
        try:
            named = str(self._store.found(CHAMPION).version)
        except ModelError:
            named = ""
        return wrong_alias(named, "".join(put_in_use(entries)[-1:]))

    def tags(self, name: str) -> dict[str, str]:
        """What is known of a version: its audit, who signed and promoted it, whether it is synthetic."""
        found = self._found(name)
        told = {key: value for key, value in found.tags.items() if not key.startswith(("audit", "signed_"))}
        return told | self._judged(self._identity(found)).tags

    def card(self, name: str) -> str:
        """The model card of a version as it stands, Markdown; "" where the home holds none.

        Raises
        ------
        ModelError
            If there is no such version.
        """
        return card_of(self._store.home, version=self.version_of(name))

    def decisions(self) -> tuple[DecisionEntry, ...]:
        """Every entry of the ledger, oldest first, once all were checked; none in a home that has no ledger yet."""
        return self._ledger.entries() if self._ledger.begun else ()

    def report(self, name: str) -> Path | None:
        """The folder of the report of a version's last audit, None where none is kept."""
        found = self._found(name)
        kept_here = self._report_of(found, self._judged(self._identity(found)))
        return kept_here if kept_here.is_dir() else None

    def set_audit(self, name: str, *, verdict: str, digest: str) -> None:
        """Write an audit's verdict (PASS, REVIEW, FAIL, NOT ENOUGH DATA) beside the version audited."""
        identity = self._identity(self._found(name))
        self._ledger.append("audit", identity.data | {"verdict": verdict, "report": digest})
        self._copy_judgement(identity.version)

    def keep_audit(self, name: str, report: Path, *, verdict: str) -> None:
        """Keep an audit's `report` folder with the run of a version, its verdict and digest on record."""
        digest = keep_report(self._store, self._found(name), report)
        self.set_audit(name, verdict=verdict, digest=digest)

    def last_audit(self) -> Path | None:
        """The newest kept report of any version here, None where there is none."""
        return last_report(self._store, self._entries())

    def signature_on(self, report: Path) -> "Signature | None":
        """The decision on a report since its last audit, None where there is none.

        It is on record before `signature.json` is written, which a process that was killed may not have done.
        """
        digest = report_digest(report) if (report / REPORT).is_file() else ""
        found = decision_on(self._entries(), digest)
        return None if found is None else signature_from(found)

    def keep_signature(self, report: Path, signature: "Signature") -> tuple[str, ...]:
        """Put the decision on a `report` on record, unless it is, and copy it to where it is looked for.

        Returns the versions that it binds: those whose last audit it is on; with a reject all versions of
        the model. None where the report is of another home or of another product's scores.

        Raises
        ------
        UsageError
            If the report was decided on already, or a model that failed would be approved.
        """
        entries = self._entries()
        content = next((e["content"] for e in entries if e["model"] == signature.model_sha256), "")
        if not content:
            return ()
        if self.signature_on(report) != signature:
            refuse = partial(refuse_decision, signature=signature, content=content)
            self._ledger.append("decision", data_of(signature, content=content), refuse=refuse)
        bound = bound_versions(self._entries(), signature, content=content)
        for version in bound:
            self._copy_signature(version, report, signature)
        return bound

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
        found = self._found(name)
        identity = self._identity(found)
        version = identity.version
        refuse_unskilled(version, self._trained(found, identity))

        def refuse(entries: tuple[DecisionEntry, ...]) -> None:
            judged = judgement(entries, version, model=identity.model, content=identity.content)
            refuse_against_audit(version, judged)
            refuse_changed_report(self._report_of(found, judged), judged)

        entry = self._ledger.append("promotion", identity.data, refuse=refuse)
        used = put_in_use(self._entries())
        self._tag(version, promoted_at=entry.at, promoted_by=entry.by, champion_before="".join(used[-2:-1]))
        self._point(CHAMPION, version)
        return version

    def rollback(self, *, signed_by: str, why: str) -> str:
        """Make the version that was champion before this one the champion again, and give its number.

        Who did it and why stay beside the version that is left.

        Raises
        ------
        ModelError
            If no version was champion before, or its stored model is damaged.
        GateFailedError
            If the audit of that version or the decision on it stands no longer.
        """
        leaving = self.version_of(CHAMPION)
        before = "".join(put_in_use(self._entries())[-2:-1])
        if not before:
            raise ModelError(f"Version {leaving} is the first champion: there is none to go back to.")
        identity = self._identity(self._found(before))
        load(self.folder(before))

        def refuse(entries: tuple[DecisionEntry, ...]) -> None:
            if put_in_use(entries)[-2:] != (before, leaving):
                raise ModelError("Another version was put in use meanwhile. Look, and try again.")
            judged = judgement(entries, before, model=identity.model, content=identity.content)
            refuse_against_audit(before, judged, done="put in use again")

        why_and_who = {"from": leaving, "signed_by": signed_by, "why": why}
        entry = self._ledger.append("rollback", identity.data | why_and_who, refuse=refuse)
        self._tag(
            leaving,
            rolled_back_by=signed_by,
            rolled_back_why=why,
            rolled_back_at=entry.at,
            rolled_back_to=before,
        )
        self._point(CHAMPION, before)
        return before

    def compare(self, one: str, other: str) -> ModelComparison:
        """Hold two versions against each other on the appointments that both were tested on.

        The comparison is kept as a run of its own, beside those of the two trainings.

        Raises
        ------
        ModelError
            If there is no such version, or what it was tested on was not kept.
        DataError
            If the two tests have too few appointments in common.
        """
        store, found = self._store, [self._found(name) for name in (one, other)]
        tests = [kept(store.home, digest=f.tags["manifest_sha256"], version=f.version) for f in found]
        comparison = compare_models(tests[0], tests[1], seed=int(found[0].tags["seed"]))
        with store.writing():
            log_comparison(store, comparison, versions=(str(found[0].version), str(found[1].version)))
        return comparison

    def _begin_ledger(self) -> None:
        if self._ledger.exists:
            return
        if (self._store.home / "mlflow.db").is_file():
            adopt(self._store, self._ledger)
        else:
            self._ledger.begin()

    def _entries(self) -> tuple[DecisionEntry, ...]:
        """The ledger; that of a home that was made before there was one is begun now."""
        if not self._ledger.exists and not (self._store.home / "mlflow.db").is_file():
            return ()
        self._begin_ledger()
        return self._ledger.entries()

    def _found(self, name: str) -> Any:
        """MLflow's record of a version; which one is champion, the ledger tells."""
        if name == CHAMPION and (used := put_in_use(self._entries())):
            return self._store.found(used[-1])
        found = self._store.found(name)
        if name == CHAMPION:
            raise ModelError(self._wrong_alias(self._entries()))
        return found

    def _identity(self, found: Any) -> Identity:
        return identity_of(self._store, found, self._entries())

    def _judged(self, identity: Identity) -> Judgement:
        return judgement(self._entries(), identity.version, model=identity.model, content=identity.content)

    def _trained(self, found: Any, identity: Identity) -> Mapping[str, str]:
        """The verdict of the trainings that gave this model; otherwise MLflow's tags."""
        same = [e.data for e in self._entries() if e.kind == "training" and e["content"] == identity.content]
        return ChainMap(*reversed(same)) if same else dict(found.tags)

    def _report_of(self, found: Any, judged: Judgement) -> Path:
        digest = "none" if judged.audit is None else judged.audit["report"]
        return kept_report(self._store, found, digest)

    def _copy_signature(self, version: str, report: Path, signature: "Signature") -> None:
        if not self.has(version):  # it was deleted in MLflow
            return
        found = self._found(version)
        folder = kept_report(self._store, found, signature.report_sha256)
        if signature.model_sha256 == self._identity(found).model:
            keep_report(self._store, found, report)
        if folder.is_dir():
            with self._store.sentences():
                keep_signature(folder, signature)
        self._copy_judgement(version)

    def _copy_judgement(self, version: str) -> None:
        """Copy what stands for or against a version to its tags in MLflow and to its card."""
        self._tag(version, **self._judged(self._identity(self._found(version))).tags)

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
        found = self._found(version)
        write_card(self._store.home, version=version, run_id=found.run_id, known=self.tags(version))

    def _add_version(self, run_id: str, model_id: str, tags: dict[str, str]) -> str:
        client = self._store.client
        with contextlib.suppress(MlflowException):  # there is one already
            client.create_registered_model(MODEL_NAME)
        made = client.create_model_version(MODEL_NAME, f"models:/{model_id}", run_id, tags=tags, model_id=model_id)
        client.set_registered_model_alias(MODEL_NAME, CHALLENGER, made.version)
        return str(made.version)

"""The model versions of one home: registered as challenger, audited, promoted to champion."""

import contextlib
import datetime
import json
import shutil
from collections import ChainMap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from dnapredict.data.files.atomic_write import close_to_others, private_folder, write_private
from dnapredict.data.files.digests import file_sha256
from dnapredict.data.retention_clock import has_jumped_ahead
from dnapredict.errors import DnapredictError, ModelError, StoreError
from dnapredict.model.artefact import StoredModel, load
from dnapredict.model.evaluate.metric_intervals import ModelComparison, compare_models
from dnapredict.model.fit.training import Training
from dnapredict.model.report.training_records import run_tags, selection_tags
from dnapredict.monitoring.monitor_state import MonitorState
from dnapredict.registry.adoption import adopt
from dnapredict.registry.decision_ledger import DecisionEntry, Decisions, HeadFile, Kind
from dnapredict.registry.holdout_store import FOLDER, keep, kept
from dnapredict.registry.judgement import (
    Identity,
    Judgement,
    content_of,
    deadline,
    identity_of,
    judgement,
    model_folder,
)
from dnapredict.registry.mlflow_store import CHALLENGER, CHAMPION, LedgerTag, Store
from dnapredict.registry.promotion import (
    REPORT,
    alias_problem,
    audited_reports,
    champion_before,
    champions,
    deadline_notice,
    keep_report,
    keep_signature,
    kept_report,
    kept_report_files,
    last_report,
    refuse_after_deadline,
    refuse_by_audit,
    refuse_changed_report,
    refuse_not_in_use,
    refuse_unsigned,
    refuse_unskilled,
    report_digest,
    uncopied,
    unrecorded_reports,
    wrong_signature,
)
from dnapredict.registry.run_files import (
    card_of,
    changed_run_files,
    copy_of_card,
    is_copied_as,
    run_card,
    run_digests,
)
from dnapredict.registry.run_logging import log_comparison, log_training, training_note
from dnapredict.registry.served.audit_run import log_audit
from dnapredict.registry.served.in_use_runs import log_monitor, log_trial
from dnapredict.registry.served.model_logging import log_model
from dnapredict.registry.served.team_server import LogRun, TeamServer
from dnapredict.registry.signatures import (
    audit_of,
    bound_versions,
    data_of,
    decision_on,
    decisions_on,
    refuse_decision,
    signature_from,
)
from dnapredict.registry.tested_appointments import (
    TrainingExtract,
    files_of,
    files_past_retention,
    keep_training,
    removed_files,
    unrecorded_files,
)
from dnapredict.registry.version_summaries import VersionSummary, version_summary

if TYPE_CHECKING:
    from dnapredict.fairness.signing import Signature

NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True)
class Registered:
    """A version in the registry, and the MLflow run of its training."""

    version: str
    run_id: str


class Registry:
    """The models of one home.

    The version in use and all decisions are read from the ledger (`registry.decision_ledger`). Tags and the
    alias `champion` in MLflow are copies for people to look at.

    Raises
    ------
    StoreError
        From any method, if the home cannot be read or written.
    """

    def __init__(self, home: Path) -> None:
        """Bind the registry to a home; nothing is created until a model is registered."""
        self._store = Store(home)
        self._team = TeamServer(self._store)
        self._ledger = Decisions(self._store.home, (LedgerTag(self._store), HeadFile(self._store.home)))

    def register(
        self,
        folder: Path,
        training: Training,
        *,
        files: Mapping[str, str] = MappingProxyType({}),
        appointments: TrainingExtract | None = None,
        began: datetime.datetime | None = None,
    ) -> Registered:
        """Record a training and make its stored model the challenger.

        `files` are kept with the run. `appointments` are those of the extract, of which an audit must find again what
        the model was tested on. `began` is when the training began.
        """
        stored, store = load(folder), self._store
        log = partial(log_training, training=training, stored=stored, files=files, began=began)
        note = training_note(training, stored)
        with store.writing():
            private_folder(store.home)
            close_to_others(store.home)
            self._ensure_ledger()
            run_id = log(store)
            model_id = log_model(store, folder, run_id, stored=stored)
            keep(store.home, training, digest=stored.digest)
            selection = selection_tags(training)
            version = store.add_version(run_id, model_id, tags=run_tags(stored) | selection, note=note)
            identity = Identity(version, stored.digest, content_of(folder))
            kept_as = self._keep_training(stored, appointments)
            files_of_run = run_digests(store.home, run_id=run_id, model_id=model_id)
            digests = {"card": file_sha256(run_card(store.home, run_id)), "files": files_of_run}
            self._ledger.append("training", identity.data | selection | kept_as | digests)
            # After the entry: a version without one can be neither audited nor scored with, and the earlier challenger
            # would have lost its place to it.
            store.set_challenger(version)
            self.copy_card(version)
        tags = run_tags(stored) | selection | {"home_version": version}
        self._team.add_training(folder, stored, log=log, tags=tags, note=note)
        return Registered(version, run_id)

    def version_of(self, name: str) -> str:
        """The version of an alias (`champion`, `challenger`) or a number.

        `champion` is the version that was put in use last, by `promote` or `rollback`.

        Raises
        ------
        ModelError
            If there is none; the message names the command that makes one.
        """
        return str(self._record(name).version)

    def has(self, name: str) -> bool:
        """Whether there is a version of that number or alias."""
        try:
            self.version_of(name)
        except ModelError:
            return False
        return True

    def folder(self, name: str) -> Path:
        """The folder of the stored model of a version or alias, after checking that it is the registered one."""
        record = self._record(name)
        return model_folder(self._store, record, digest=self._identity(record).model)

    def usable(self, name: str) -> str:
        """The version of an alias or a number, if lists may be scored with it.

        Raises
        ------
        ModelError
            If `promote` or `rollback` did not put it in use, or MLflow's alias names another champion.
        GateFailedError
            If its audit or the decision on it no longer allows it.
        StoreError
            If its report was changed since it was signed.
        """
        record, entries = self._record(name), self.entries()
        if name == CHAMPION and (problem := self._alias_problem(entries)):
            raise ModelError(problem)
        return self._usable(record, entries)

    def in_use(self, *, enters_end: bool = True) -> tuple[str, str]:
        """The version in use, if lists may be scored with it, and a message where MLflow's alias is another or "".

        A service asks every few seconds, so the ledger is read once.

        Parameters
        ----------
        enters_end
            Whether a deadline that has passed is entered in the ledger; False for a check that changes nothing.

        Raises
        ------
        ModelError, GateFailedError, StoreError
            As `usable`; a wrong alias alone raises nothing.
        """
        entries = self.entries()
        version = "".join(champions(entries)[-1:])
        if not version:  # raises the reason
            return self.usable(CHAMPION), ""
        record = self._store.version(version)
        return self._usable(record, entries, enters_end=enters_end), self._alias_problem(entries)

    def notice(self, name: str) -> str:
        """The sentence to print with each list while a version is used after its deadline; "" otherwise."""
        identity = self._identity(self._record(name))
        due = deadline(self._judged(identity), self.entries())
        return deadline_notice(identity.version, due, today=self._ledger.now().date())

    def _usable(self, record: Any, entries: tuple[DecisionEntry, ...], *, enters_end: bool = True) -> str:
        identity = identity_of(self._store, record, entries)
        refuse_not_in_use(identity.version, entries, model=identity.model)
        judged = judgement(entries, identity.version, model=identity.model, content=identity.content)
        refuse_by_audit(identity.version, judged, action="used")
        self._refuse_after_deadline(identity, judged, entries, enters_end=enters_end)
        refuse_changed_report(self._report_of(record, judged), judged)
        return identity.version

    def _refuse_after_deadline(
        self,
        identity: Identity,
        judged: Judgement,
        entries: tuple[DecisionEntry, ...],
        *,
        promoting: bool = False,
        enters_end: bool = True,
    ) -> None:
        """Refuse a version after its deadline, and enter that it passed: no clock turned back revives it.

        A clock that jumped ahead refuses it too, and nothing is entered: once it is right, the version is used again.
        """
        due, today = deadline(judged, entries), self._ledger.now().date()
        enters_end &= not promoting and not has_jumped_ahead(self._store.home)
        if due is not None and today > due.day and enters_end:
            ended = due.last_day if today > due.last_day else due.day
            data = identity.data | {"problem": due.problem, "day": ended.isoformat()}
            if not any(e.kind == "end" and (e["content"], e["day"]) == (data["content"], data["day"]) for e in entries):
                with contextlib.suppress(StoreError):  # a home that may only be read; the refusal stands all the same
                    self._ledger.append("end", data)
        action = "promoted" if promoting else "used"
        refuse_after_deadline(identity.version, due, today=today, with_grace=not promoting, action=action)

    def _alias_problem(self, entries: tuple[DecisionEntry, ...]) -> str:
        """A message where MLflow's alias `champion` is not the version in use; "" where it is."""
        try:
            alias = str(self._store.version(CHAMPION).version)
        except ModelError:
            alias = ""
        problem = alias_problem(alias, "".join(champions(entries)[-1:]))
        if problem and (begun := self._uncopied(entries)) is not None and alias == champion_before(entries, begun):
            return ""  # the process was killed before it set the alias; the ledger counts
        return problem

    def tags(self, name: str) -> dict[str, str]:
        """Tags of a version: its audit, who signed and promoted it, whether it is synthetic."""
        record = self._record(name)
        # Audit and decision are read from the ledger, since anybody can set tags in MLflow.
        others = {key: value for key, value in record.tags.items() if not key.startswith(("audit", "signed_"))}
        return others | self._judged(self._identity(record)).tags

    def versions(self) -> tuple[VersionSummary, ...]:
        """Every version in short, oldest first; a version that was registered by hand in MLflow is left out."""
        entries = self.entries()
        trained = {entry["version"]: entry.when for entry in entries if entry.kind == "training"}
        used = "".join(champions(entries)[-1:])
        return tuple(
            version_summary(
                record,
                self._judged(identity_of(self._store, record, entries)),
                figures=self._store.metrics(str(record.run_id)),
                in_use=str(record.version) == used,
                trained_at=trained[str(record.version)],
                problem=self._problem(str(record.version)) if str(record.version) == used else "",
            )
            for record in self._store.versions()
            if str(record.version) in trained
        )

    def _problem(self, version: str) -> str:
        try:
            self.usable(version)
        except DnapredictError as error:
            return str(error)
        return ""

    def card(self, name: str) -> str:
        """The current model card of a version, Markdown; "" where the home holds none.

        Raises
        ------
        ModelError
            If there is no such version.
        StoreError
            If the card of the training is damaged or missing.
        """
        record, version = self._record(name), self.version_of(name)
        trained = (entry for entry in self.entries() if entry.kind == "training" and entry["version"] == version)
        sha256 = next((entry["card"] for entry in trained), "")
        run_id, tags = str(record.run_id), self.tags(version)
        return card_of(self._store.home, version=version, run_id=run_id, tags=tags, sha256=sha256)

    def has_copied_card(self, version: str) -> bool:
        """Whether the copy of the card in `models/cards` is the current card.

        Raises
        ------
        StoreError
            If the card of the training is damaged or missing.
        """
        return is_copied_as(self._store.home, version, self.card(version))

    def copy_card(self, version: str) -> None:
        """Write the current card to `models/cards`. A damaged card of the training is not copied; `card` names it.

        Raises
        ------
        StoreError
            If it cannot be written.
        """
        try:
            card = self.card(version)
        except StoreError:
            return
        write_private(copy_of_card(self._store.home, version), card)

    def changed_files(self, version: str) -> tuple[Path, ...]:
        """The files of a version's run and model that are missing or not as its training wrote them."""
        trained = (entry for entry in self.entries() if entry.kind == "training" and entry["version"] == version)
        return tuple(path for entry in trained for path in changed_run_files(self._store.home, entry["files"]))

    def decisions(self) -> tuple[DecisionEntry, ...]:
        """Every entry of the ledger, oldest first, after checking all; none in a home that has no ledger yet."""
        return self._ledger.entries() if self._ledger.has_existed else ()

    def verify_kept(self) -> int:
        """Check the home's records of trainings and audits against the ledger; return the number of files.

        Raises
        ------
        StoreError
            Names the files that are missing or not as they were written.
        """
        entries, home = self.entries(), self._store.home
        expected = dict(kept_report_files(self._store, entries))
        for entry in entries:
            expected |= files_of(home, entry)
        for path in removed_files(home, entries):
            expected.pop(path, None)
        if wrong := [path for path, digest in expected.items() if not path.is_file() or file_sha256(path) != digest]:
            more = f" and {len(wrong) - 1:,} more" if len(wrong) > 1 else ""
            raise StoreError(
                f"{wrong[0]}{more}: missing, or not as written when the ledger of decisions named it. Restore the home "
                "from a backup; without one, audits and promotions that rest on it are refused."
            )
        return len(expected)

    def remove_tested(self, before: datetime.datetime) -> int:
        """Delete what versions were trained, tested and audited on before that moment; return the number of files.

        Kept whatever their age: those of the version in use, of the one before it, to which `rollback` returns, and of
        the challenger. The deletion is entered in the ledger first, so that a deleted file is not reported as missing.
        What a run that was killed has left, which has no entry, is deleted once it is an hour old.

        Raises
        ------
        StoreError
            If a file cannot be deleted.
        """
        if not (self._store.home / FOLDER).is_dir():
            return 0
        entries = self.entries()
        versions = {*champions(entries)[-2:], *([self.version_of(CHALLENGER)] if self.has(CHALLENGER) else [])}
        kept = frozenset(entry["content"] for entry in entries if entry["version"] in versions)
        due = files_past_retention(self._store.home, entries, before=before, kept=kept)
        removed = removed_files(self._store.home, entries)
        if new := [path for path in due if path not in removed]:
            names = [path.relative_to(self._store.home / FOLDER).as_posix() for path in new]
            self._ledger.append("removal", {"files": json.dumps(names)})
        due += self.unrecorded_tested()
        for path in due:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise StoreError(f"{path}: cannot be deleted ({type(error).__name__}).") from None
        return len(due)

    def unrecorded_tested(self) -> list[Path]:
        """The files of appointments that a training or audit kept and that the ledger does not name: it was killed."""
        return unrecorded_files(self._store.home, self.entries()) if self._ledger.exists else []

    def enter(self, kind: Kind, data: Mapping[str, str]) -> DecisionEntry:
        """Add an entry to the ledger."""
        return self._ledger.append(kind, data)

    def entries(self) -> tuple[DecisionEntry, ...]:
        """The entries of the ledger, which is created where the home is older than ledgers."""
        if not self._ledger.exists and not (self._store.home / "mlflow.db").is_file():
            return ()
        self._ensure_ledger()
        return self._ledger.entries()

    def report(self, name: str) -> Path | None:
        """The folder of the report of a version's last audit; None where none is kept, or a file of it was changed."""
        record = self._record(name)
        judged = self._judged(self._identity(record))
        folder = self._report_of(record, judged)
        with contextlib.suppress(StoreError):
            refuse_changed_report(folder, judged)
            return folder if folder.is_dir() else None
        return None

    def set_audit(self, name: str, *, verdict: str, digest: str, details: Mapping[str, str] = NOTHING) -> None:
        """Record an audit's verdict (PASS, REVIEW, FAIL, NOT ENOUGH DATA) of a version."""
        identity = self._identity(self._record(name))
        self._ledger.append("audit", identity.data | {"verdict": verdict, "report": digest} | dict(details))
        self._copy_judgement(identity.version)

    def keep_audit(
        self,
        name: str,
        report: Path,
        *,
        verdict: str,
        details: Mapping[str, str] = NOTHING,
        began: datetime.datetime | None = None,
    ) -> None:
        """Keep an audit's `report` folder with the run of a version, and record its verdict, digest and `details`.

        The audit becomes a run too, which began at `began`.
        """
        store, record = self._store, self._record(name)
        for folder in unrecorded_reports(store, record, self.entries()):
            shutil.rmtree(folder, ignore_errors=True)
        digest = keep_report(store, record, report)
        self.set_audit(name, verdict=verdict, digest=digest, details=details)
        log = partial(log_audit, report=report, verdict=verdict, digest=digest, began=began)
        self._add_run((name,), log)

    def unrecorded_reports(self, name: str) -> tuple[Path, ...]:
        """The folders of reports that killed audits of a version kept and did not enter in the ledger."""
        return tuple(unrecorded_reports(self._store, self._record(name), self.entries()))

    def wrong_signatures(self) -> tuple[Path, ...]:
        """The copies of signatures next to kept reports that are missing or not those that the ledger holds."""
        folders = (folder for _, folder in audited_reports(self._store, self.entries()) if folder.is_dir())
        signed = ((folder, self.signature_on(folder)) for folder in dict.fromkeys(folders))
        return tuple(path for folder, made in signed if made and (path := wrong_signature(folder, made)))

    def copy_signature(self, path: Path) -> None:
        """Write the signature in the ledger to such a copy."""
        if made := self.signature_on(path.parent):
            keep_signature(path.parent, made)

    def log_monitor(
        self,
        name: str,
        *,
        state: MonitorState,
        figures: Mapping[str, Any],
        page: str,
        began: datetime.datetime | None = None,
    ) -> None:
        """Log a monitor run of a version in MLflow; `figures` and `page` are its JSON and its page."""
        self._add_run((name,), partial(log_monitor, state=state, figures=figures, page=page, began=began))

    def log_trial(
        self, names: Iterable[str], *, figures: Mapping[str, Any], page: str, began: datetime.datetime | None = None
    ) -> None:
        """Log a trial report in MLflow about the versions that scored the trial, of those in this home.

        `figures` and `page` are its JSON and its page.
        """
        known = [name for name in names if self.has(name)]
        self._add_run(known, partial(log_trial, figures=figures, page=page, began=began))

    def _add_run(self, names: Sequence[str], log: LogRun) -> None:
        """Log a run about versions, here and on the server that analysts share."""
        if not self._store.has_database():  # a home without a model has no MLflow
            return
        with self._store.writing():
            log(self._store, [self._record(name) for name in names])
        self._team.add_run([self.identity(name).model for name in names], log)

    def last_audit(self) -> Path | None:
        """The newest kept report of any version here, None where there is none."""
        return last_report(self._store, self.entries())

    def signature_on(self, report: Path) -> "Signature | None":
        """The decision on a report since its last audit, None where there is none.

        It is recorded before `signature.json` is written, which a process that was killed may not have done.
        """
        digest = report_digest(report) if (report / REPORT).is_file() else ""
        decision = decision_on(self.entries(), digest)
        return None if decision is None else signature_from(decision, decisions_on(self.entries(), digest)[:-1])

    def seal_of_decision(self, report_sha256: str) -> str:
        """The seal of the entry that holds the last decision on a report; "" where none does."""
        made = decisions_on(self.entries(), report_sha256)
        return made[-1].seal if made else ""

    def keep_signature(self, report: Path, signature: "Signature") -> tuple[str, ...]:
        """Record the decision on a `report`, unless it is recorded, and copy it to the versions it applies to.

        Returns those versions: whose last audit it is on; for a rejection all versions of the model. Empty
        where the report is of another home or of another product's scores.

        Raises
        ------
        UsageError
            If there is a decision on the report, or a model that failed would be approved.
        """
        entries = self.entries()
        content = next((e["content"] for e in entries if e["model"] == signature.model_sha256), "")
        if not content:
            return ()
        if self.signature_on(report) != signature:
            refuse = partial(refuse_decision, signature=signature, content=content)
            audit = audit_of(entries, signature.report_sha256)
            self._ledger.append("decision", data_of(signature, content=content, audit=audit), refuse=refuse)
        bound = bound_versions(self.entries(), signature, content=content)
        for version in bound:
            self._copy_signature(version, report, signature)
        return bound

    def promote(self, name: str) -> str:
        """Make a version the champion, unless its audit failed, is not signed, or a reviewer rejected it.

        Every verdict but PASS needs a signature on its report, a failed one with conditions.

        Raises
        ------
        ModelError
            If it was never audited, or has no skill over the base rate, which no signature can allow.
        GateFailedError
            If a gate of its audit failed and nobody signed, or a reviewer rejected it.
        StoreError
            If the report was changed since it was signed.
        """
        record = self._record(name)
        identity = self._identity(record)
        version = identity.version
        refuse_unskilled(version, self._training_tags(record, identity))

        def refuse(entries: tuple[DecisionEntry, ...]) -> None:
            judged = judgement(entries, version, model=identity.model, content=identity.content)
            refuse_by_audit(version, judged)
            refuse_unsigned(version, judged)
            self._refuse_after_deadline(identity, judged, entries, promoting=True)
            refuse_changed_report(self._report_of(record, judged), judged)

        self._copy_in_use(self._ledger.append("promotion", identity.data, refuse=refuse))
        return version

    def rollback(self, *, signed_by: str, why: str) -> str:
        """Make the previous champion the champion again, and return its number.

        Name and reason are recorded with the version that goes out of use. A rollback that was interrupted is completed
        as it was recorded: another one would go back two versions.

        Raises
        ------
        ModelError
            If no version was champion before, or its stored model is damaged.
        GateFailedError
            If the audit of that version or the decision on it no longer allows it.
        """
        begun = self._uncopied(self.entries())
        if begun is not None and begun.kind == "rollback":
            self._copy_in_use(begun)
            return begun["version"]
        leaving = self.version_of(CHAMPION)
        before = "".join(champions(self.entries())[-2:-1])
        if not before:
            raise ModelError(f"Version {leaving} is the first champion: there is none to go back to.")
        identity = self._identity(self._record(before))
        load(self.folder(before))

        def refuse(entries: tuple[DecisionEntry, ...]) -> None:
            if champions(entries)[-2:] != (before, leaving):
                raise ModelError("Another version was put in use in the meantime. Check, and try again.")
            judged = judgement(entries, before, model=identity.model, content=identity.content)
            refuse_by_audit(before, judged, action="put in use again")
            self._refuse_after_deadline(identity, judged, entries, promoting=True)

        details = {"from": leaving, "signed_by": signed_by, "why": why}
        self._copy_in_use(self._ledger.append("rollback", identity.data | details, refuse=refuse))
        return before

    def compare(self, one: str, other: str) -> ModelComparison:
        """Compare two versions on the appointments that both were tested on.

        The comparison is recorded as an MLflow run.

        Raises
        ------
        ModelError
            If there is no such version, or what it was tested on was not kept.
        DataError
            If the two tests have too few appointments in common.
        """
        store, records = self._store, [self._record(name) for name in (one, other)]
        tests = [kept(store.home, digest=r.tags["manifest_sha256"], version=r.version) for r in records]
        comparison = compare_models(tests[0], tests[1], seed=int(records[0].tags["seed"]))
        with store.writing():
            log_comparison(store, comparison, versions=(str(records[0].version), str(records[1].version)))
        return comparison

    def complete_copy(self) -> None:
        """Copy to MLflow what an interrupted promotion or rollback has left out; nothing where it is complete."""
        if (entry := self._uncopied(self.entries())) is not None:
            self._copy_in_use(entry)

    def is_copied(self) -> bool:
        """Whether MLflow has all of the last promotion or rollback."""
        return self._uncopied(self.entries()) is None

    def _copy_in_use(self, entry: DecisionEntry) -> None:
        """Copy a promotion or rollback to MLflow; the tag with its time is the last, see `promotion.uncopied`."""
        identity = self._identity(self._record(entry["version"]))
        self._store.set_alias(CHAMPION, identity.version)
        self._team.set_alias(CHAMPION, identity.model)
        if entry.kind == "rollback":
            by, why, to = entry["signed_by"], entry["why"], entry["version"]
            self._tag(entry["from"], rolled_back_by=by, rolled_back_why=why, rolled_back_to=to, rolled_back_at=entry.at)
        else:
            before = "".join(champions(self.entries())[-2:-1])
            self._tag(identity.version, promoted_by=entry.by, champion_before=before, promoted_at=entry.at)

    def _uncopied(self, entries: tuple[DecisionEntry, ...]) -> DecisionEntry | None:
        def tags_of(version: str) -> Mapping[str, str]:
            try:
                return dict(self._store.version(version).tags)
            except ModelError:  # it was deleted in MLflow
                return {}

        return uncopied(entries, tags_of)

    def _ensure_ledger(self) -> None:
        if self._ledger.exists:
            return
        if (self._store.home / "mlflow.db").is_file():
            adopt(self._store, self._ledger)
        else:
            self._ledger.create()

    def _record(self, name: str) -> Any:
        """MLflow's record of a version; the ledger says which one is champion."""
        if name == CHAMPION and (versions := champions(self.entries())):
            return self._store.version(versions[-1])
        record = self._store.version(name)
        if name == CHAMPION:
            raise ModelError(self._alias_problem(self.entries()))
        return record

    def identity(self, name: str) -> Identity:
        """Version, manifest and content of an alias or a number."""
        return self._identity(self._record(name))

    def judged(self, name: str) -> Judgement:
        """The audits and decisions that count for a version."""
        return self._judged(self.identity(name))

    @property
    def home(self) -> Path:
        """The folder of the home."""
        return self._store.home

    def _identity(self, record: Any) -> Identity:
        return identity_of(self._store, record, self.entries())

    def _judged(self, identity: Identity) -> Judgement:
        return judgement(self.entries(), identity.version, model=identity.model, content=identity.content)

    def _training_tags(self, record: Any, identity: Identity) -> Mapping[str, str]:
        """Skill and leak alarm of the trainings of this model, from the ledger or else from MLflow's tags."""
        same = [e.data for e in self.entries() if e.kind == "training" and e["content"] == identity.content]
        return ChainMap(*reversed(same)) if same else dict(record.tags)

    def _keep_training(self, stored: StoredModel, appointments: TrainingExtract | None) -> dict[str, str]:
        if appointments is None:
            return {}
        test_from = stored.manifest.provenance.test_from
        sha256 = keep_training(self._store.home, appointments, digest=stored.digest, test_from=test_from)
        return {"coverage": sha256}

    def _report_of(self, record: Any, judged: Judgement) -> Path:
        digest = "none" if judged.audit is None else judged.audit["report"]
        return kept_report(self._store, record, digest)

    def _copy_signature(self, version: str, report: Path, signature: "Signature") -> None:
        if not self.has(version):  # it was deleted in MLflow
            return
        record = self._record(version)
        folder = kept_report(self._store, record, signature.report_sha256)
        if signature.model_sha256 == self._identity(record).model:
            keep_report(self._store, record, report)
        if folder.is_dir():
            keep_signature(folder, signature)
        self._copy_judgement(version)

    def _copy_judgement(self, version: str) -> None:
        """Copy audit and decision of a version to its tags in MLflow and to its card."""
        self._tag(version, **self._judged(self._identity(self._record(version))).tags)

    def _tag(self, name: str, **tags: str) -> None:
        version = self.version_of(name)
        self._store.set_tags(version, tags)
        with self._store.errors_as_messages():
            self.copy_card(version)

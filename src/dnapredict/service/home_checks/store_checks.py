"""Checks of the stores of a home: registry, ledger, models, history, scoring log, calls, outcomes, trial, reports.

Libraries that take seconds to import are imported where a check needs them, so that `/readyz` does not.
"""

import contextlib
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dnapredict.data.files.digests import keyed_hash, read_secret
from dnapredict.data.files.loss_marks import mark_of
from dnapredict.errors import DnapredictError
from dnapredict.fairness.disclosure import publication_memory
from dnapredict.monitoring import monitor_state
from dnapredict.service.home_checks.home_findings import REPAIR, RESTORE, HomeFinding, finding_of
from dnapredict.service.log.answer_entries import Hashes
from dnapredict.service.log.scoring_log import ScoringLog
from dnapredict.service.logged_contacts import LoggedContacts
from dnapredict.worklist.calls.calls_database import UnusableError
from dnapredict.worklist.calls.calls_ledger import Ledger
from dnapredict.worklist.calls.stated_opt_outs import LOG_SECRET
from dnapredict.worklist.calls.trial_register import FOLDER as TRIAL
from dnapredict.worklist.calls.trial_register import verify_register
from dnapredict.worklist.follow_up.outcome_store import OutcomeStore
from dnapredict.worklist.follow_up.scored_rows import ScoredFiles
from dnapredict.worklist.plan import benefit_ranking

if TYPE_CHECKING:
    from dnapredict.registry import Registry

_IN_USE: Final = ("promotion", "rollback")
_TUNING: Final = "tuning.db"


def registry(home: Path, _database: str | None = None) -> Iterator[HomeFinding]:
    """The registry's database, the ledger of decisions, its files, every model, and the version in use."""
    from dnapredict.registry import Registry

    models = Registry(home)
    decisions = models.decisions()
    if not decisions:  # no model yet, or a home of a release without a ledger
        models.has("1")
        return
    yield from _error_of(home, models.verify_kept)
    for version in dict.fromkeys(entry["version"] for entry in decisions if entry.kind == "training"):
        if models.has(version):  # a version that somebody deleted in MLflow is no fault
            yield from _error_of(home, partial(_load, models, version))
            yield from _card_findings(home, models, version)
            yield from _changed_files(home, models, version)
            yield from _unrecorded_reports(home, models, version)
    for path in models.wrong_signatures():
        problem = "is missing, or not the signature in the ledger."
        yield HomeFinding(path.relative_to(home).as_posix(), problem, REPAIR, partial(models.copy_signature, path))
    if any(entry.kind in _IN_USE for entry in decisions):
        _, warning = models.in_use(enters_end=False)
        if warning:
            yield finding_of(warning, home)
        if not models.is_copied():
            problem = "lacks a part of the last promotion or rollback, which was interrupted; the ledger has all of it."
            yield HomeFinding("mlflow.db", problem, REPAIR, models.complete_copy)


def _card_findings(home: Path, models: "Registry", version: str) -> Iterator[HomeFinding]:
    try:
        is_current = models.has_copied_card(version)
    except DnapredictError as error:
        yield finding_of(error, home)
        return
    if not is_current:
        problem = "is not the current card of this version."
        yield HomeFinding(f"models/cards/{version}.md", problem, REPAIR, partial(models.copy_card, version))


def _changed_files(home: Path, models: "Registry", version: str) -> Iterator[HomeFinding]:
    for path in models.changed_files(version):
        problem = f"is missing, or not as the training of version {version} wrote it."
        advice = f"{RESTORE} No list is scored with it, but MLflow may show it or run it."
        yield HomeFinding(path.relative_to(home).as_posix(), problem, advice)


def _unrecorded_reports(home: Path, models: "Registry", version: str) -> Iterator[HomeFinding]:
    for folder in models.unrecorded_reports(version):
        problem = "is the report of an audit that was interrupted before it was recorded."
        yield HomeFinding(folder.relative_to(home).as_posix(), problem, REPAIR, partial(shutil.rmtree, folder))


def _load(models: "Registry", version: str) -> None:
    from dnapredict.model.artefact import load

    load(models.folder(version))


def held_out(home: Path, _database: str | None = None) -> Iterator[HomeFinding]:
    """What each version was tested on, and what no version was."""
    from dnapredict.registry import Registry, holdout_store

    for message in holdout_store.damaged(home):
        yield finding_of(message, home)
    for path in Registry(home).unrecorded_tested():
        problem = "is left of a training or audit that was interrupted before it was recorded."
        yield HomeFinding(path.relative_to(home).as_posix(), problem, REPAIR, partial(path.unlink, missing_ok=True))


def reports(home: Path, _database: str | None = None) -> Iterator[HomeFinding]:
    """What was published, the last monitor run and trial report, the records of cycles, and the trials of tuning."""
    from dnapredict.pipeline.in_use.trial_state import last_reported
    from dnapredict.pipeline.routine import cycle_record

    yield from _error_of(home, lambda: publication_memory.verify(home))
    yield from _error_of(home, lambda: monitor_state.verify(home))
    yield from _error_of(home, lambda: last_reported(home))
    for message in cycle_record.damaged(home):
        yield finding_of(message, home)
    if (home / _TUNING).exists() and _is_damaged_database(home / _TUNING):
        yield HomeFinding(
            _TUNING, "is damaged.", "Remove it: the next 'dnapredict train --tune' begins its trials again."
        )


def history(home: Path, _database: str | None = None) -> Iterator[HomeFinding]:
    """The attendance history in use, each file by its digest, and the record of the last refresh."""
    from dnapredict.features.store.history_store import last_refresh
    from dnapredict.pipeline import history_in_use

    yield from _error_of(home, lambda: last_refresh(home))
    store = history_in_use(home)
    if store is not None:
        store.verify()
        if not store.digest:
            problem = "the history is of an earlier release and has no digests, so that damage to it cannot be seen."
            yield HomeFinding("history", problem, "Run 'dnapredict refresh EXTRACT' once.")


def scoring_log(home: Path, database: str | None = None) -> Iterator[HomeFinding]:
    """The scoring log with its chain, and the secret that its entries were hashed with."""
    log = ScoringLog(home, database)
    try:
        if log.exists:
            log.verify()
            if log.oldest_day() is not None:
                Hashes(home, log).of("secret", "check")
    finally:
        log.close()
    return iter(())


def calls(home: Path, database: str | None = None) -> Iterator[HomeFinding]:
    """The calls database with its secrets, and whether the scoring log still has what was copied from it."""
    log = ScoringLog(home, database)
    contacts = LoggedContacts(log, Hashes(home, log))
    ledger = Ledger(home, contacts)
    try:
        last = ledger.verify()
        if last[0] and not contacts.holds(*last):
            problem = "lacks entries about calls that were recorded in it: it is an older copy, or a new log."
            advice = "Restore the newest backup. The calls database still knows who was reached and who opted out."
            yield HomeFinding("scoring-log.db" if log.is_file else "", problem, advice)
    except UnusableError as error:
        problem = f"the calls database cannot be used: {error}."

        def rebuild() -> None:
            with contextlib.suppress(UnusableError):
                ledger.catch_up()

        yield HomeFinding("lists/calls.db", problem, f"{REPAIR} It is rebuilt from the scoring log.", rebuild)
    finally:
        log.close()


def outcomes(home: Path, _database: str | None = None) -> Iterator[HomeFinding]:
    """The outcome store, and what was scored on each list."""
    files, store = ScoredFiles(home), OutcomeStore(home)
    for path in files.lost():
        problem = "is missing: what was scored on that list cannot be joined to its outcomes."
        advice = f"{RESTORE} If there is none, remove {mark_of(path).name}."
        yield HomeFinding(path.relative_to(home).as_posix(), problem, advice)
    damaged = set(files.damaged())
    for path in sorted(damaged):
        advice = f"{RESTORE} Without it, its list is left out of the outcomes."
        yield HomeFinding(path.relative_to(home).as_posix(), "is not what was written.", advice)
    sound = [path for path in (*files.lists(), *files.challenger()) if path not in damaged]
    if store.exists:
        yield from _error_of(home, store.read)
    if sound:
        yield from _foreign_rows(home, files, sound)


def _foreign_rows(home: Path, files: ScoredFiles, paths: list[Path]) -> Iterator[HomeFinding]:
    secret = home / LOG_SECRET
    if not secret.exists():
        problem = "this secret is missing, and scored appointments were hashed with it."
        yield HomeFinding(LOG_SECRET.as_posix(), problem, RESTORE)
        return
    check = keyed_hash(read_secret(secret), "secret", "check")
    if foreign := [path for path in paths if not files.is_hashed_with(path, check)]:
        problem = f"is another secret than {len(foreign):,} scored lists were hashed with."
        yield HomeFinding(LOG_SECRET.as_posix(), problem, RESTORE)


def trial(home: Path, _database: str | None = None) -> Iterator[HomeFinding]:
    """The registration of each trial, the register of its patients, its secret, and the benefit model."""
    from dnapredict.pipeline.in_use.trial_planning import registered_trials
    from dnapredict.registry import Registry

    yield from _error_of(home, lambda: registered_trials(Registry(home).decisions(), home=home))
    yield from _error_of(home, lambda: verify_register(home))
    path = home / TRIAL / benefit_ranking.FILE
    if path.exists():
        yield from _error_of(home, lambda: benefit_ranking.read_benefit_model(path))


def _error_of(home: Path, work: Callable[[], object]) -> Iterator[HomeFinding]:
    try:
        work()
    except DnapredictError as error:
        yield finding_of(error, home)


def _is_damaged_database(path: Path) -> bool:
    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)) as connection:
            found: tuple[str] = connection.execute("PRAGMA integrity_check(1)").fetchone()
            return found != ("ok",)
    except sqlite3.OperationalError as error:
        return "locked" not in str(error)
    except sqlite3.DatabaseError:
        return True

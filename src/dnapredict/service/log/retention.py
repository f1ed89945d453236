"""Retention: delete scored lists, entries of the scoring log, and what else a home keeps of patients, after their days.

Nothing is deleted by a clock that jumped ahead (`data.retention_clock`).
"""

import contextlib
import datetime
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from sqlalchemy import select

from dnapredict.config.service_config import Retention
from dnapredict.data.files.temporary_folder import remove_abandoned
from dnapredict.data.retention_clock import is_clock_believed, was_clock_believed
from dnapredict.errors import DnapredictError, StoreError
from dnapredict.features.store.history_store import remove_superseded
from dnapredict.service.background.background_thread import Background
from dnapredict.service.log.log_tables import ACTIONS
from dnapredict.service.log.scoring_log import ScoringLog
from dnapredict.worklist.files import contact_details, list_store
from dnapredict.worklist.files.output_folders import remove_left_rows, remove_moved, remove_staging
from dnapredict.worklist.follow_up.scored_rows import ScoredFiles

_LOG: Final = logging.getLogger("dnapredict.service")
_HISTORY: Final = "history"
_SECONDS_A_DAY: Final = 86_400
_SECONDS_BETWEEN: Final = 6 * 3_600.0
_SECONDS_AFTER_FAILURE: Final = 600.0
# What an interrupted write left is an hour old by then, and is to go soon after.
_SECONDS_BETWEEN_LEFTOVERS: Final = 900.0
# Leave a starting service its processor time.
_SECONDS_BEFORE_FIRST: Final = 60.0
# A clock that jumped years ahead must not empty the log: deleting more at once takes `log prune`.
_MOST_DAYS_UNCONFIRMED: Final = 31


class RetentionThread:
    """A thread that applies retention every few hours; several of them, on several hosts, are harmless."""

    def __init__(
        self,
        home: Path,
        log: ScoringLog,
        retention: Retention,
        *,
        remove_leftovers: Callable[[Path], int] = lambda _home: 0,
    ) -> None:
        """Prepare the threads; `watch` starts them.

        `remove_leftovers` removes what interrupted writes have left in a home, and returns how much that was.
        """
        self._home = home
        self._leftovers = remove_leftovers
        self._log = log
        self._retention = retention
        self._background = Background(
            "retention",
            self.run_once,
            seconds_between=_SECONDS_BETWEEN,
            seconds_after_failure=_SECONDS_AFTER_FAILURE,
            seconds_before_first=_SECONDS_BEFORE_FIRST,
        )

        self._tidying = Background(
            "leftovers",
            partial(self._attempt, self.remove_leftovers),
            seconds_between=_SECONDS_BETWEEN_LEFTOVERS,
            seconds_after_failure=_SECONDS_AFTER_FAILURE,
            seconds_before_first=_SECONDS_BEFORE_FIRST,
        )

    def watch(self) -> None:
        """Delete contact details that are due, before the first request is answered, and start the thread."""
        if is_clock_believed(self._home):
            self._attempt(self._remove_contacts)
        self._background.start()
        self._tidying.start()

    def remove_leftovers(self) -> None:
        """Remove what killed processes have left, in the home, where it scores, and in the temporary folder."""
        remove_left_rows(self._home)
        removed = self._leftovers(self._home) + remove_abandoned()
        if removed:
            _LOG.info("%s drafts of processes that were killed are removed.", removed)

    def run_once(self) -> bool:
        """Delete what is due, and return whether that succeeded; failures are logged.

        Nothing is deleted while the clock is doubted; False where it jumped ahead, so that `/metrics` says so.
        """
        if not is_clock_believed(self._home):
            return not was_clock_believed(self._home)
        run = retention_run(self._home, self._log, self._retention, most_days=_MOST_DAYS_UNCONFIRMED)
        removed: dict[str, int] = {}
        succeeded = [self._attempt(partial(_note, removed, what, work)) for what, work in run.items()]
        _LOG.info("%s", retention_line(removed))
        return all(succeeded)

    def _remove_contacts(self) -> None:
        contact_details.remove_due(self._home)

    def _attempt(self, work: Callable[[], None]) -> bool:
        """Run one of the deletions, whether or not another fails."""
        try:
            work()
        except DnapredictError as error:
            _LOG.error("%s", error)
        except Exception as error:  # noqa: BLE001 - it is tried again
            _LOG.error("Retention cannot delete what is past its period now (%s).", type(error).__name__)
        else:
            return True
        return False


def retention_run(
    home: Path, log: ScoringLog, retention: Retention, *, most_days: int | None = None
) -> dict[str, Callable[[], int]]:
    """All deletions by age, by what each deletes; each returns how many, and raises StoreError where it cannot.

    `most_days` as in `remove_entries`.
    """
    return {
        "contact details": partial(contact_details.remove_due, home),
        "lists": partial(remove_lists, home, retention, log),
        "log entries": partial(remove_entries, log, retention, most_days=most_days),
        "scored lists": partial(remove_scored, home, retention, most_days=most_days),
        "old histories": partial(remove_histories, home, retention),
        "tested files": partial(remove_tested, home, retention),
        "interrupted scorings": partial(remove_staging, home, retention),
        "watched lists": lambda: sum(remove_moved(home, retention).values()),
    }


def retention_line(removed: Mapping[str, int]) -> str:
    """What a run has deleted, as a line for the log: numbers of files and rows, and nothing of what they held."""
    counts = ", ".join(f"{number} {what}" for what, number in removed.items() if number)
    return f"Retention run: deleted {counts or 'nothing'}."


def _note(removed: dict[str, int], what: str, work: Callable[[], int]) -> None:
    removed[what] = work()


def remove_histories(home: Path, retention: Retention) -> int:
    """Delete histories that another one replaced more than `old_history_days` ago, and return their number."""
    before = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=retention.old_history_days)
    return remove_superseded(home, home / _HISTORY, before=before)


def remove_tested(home: Path, retention: Retention) -> int:
    """Delete what versions out of use were tested on more than `tested_days` ago, and return the number of files."""
    from dnapredict.registry import Registry

    before = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=retention.tested_days)
    return Registry(home).remove_tested(before)


def remove_entries(log: ScoringLog, retention: Retention, *, most_days: int | None = None) -> int:
    """Delete entries of the log older than `log_days`, and return their number.

    Parameters
    ----------
    most_days
        Days of entries that may be deleted at once; None for no limit.

    Raises
    ------
    StoreError
        If the log cannot be written, or more than `most_days` would be deleted: then nothing is.
    """
    if retention.log_days is None:
        return 0
    kept_from = _first_day(retention.log_days)
    _require_few("The scoring log", log.oldest_day(), kept_from, most_days=most_days)
    return log.remove_before(kept_from)


def remove_scored(home: Path, retention: Retention, *, most_days: int | None = None) -> int:
    """Delete what was scored more than `scored_days` ago, and return the number of lists.

    Parameters
    ----------
    most_days
        Days of lists that may be deleted at once; None for no limit.

    Raises
    ------
    StoreError
        If a file cannot be deleted, or more than `most_days` would be: then nothing is.
    """
    files = ScoredFiles(home)
    kept_from = _first_day(retention.scored_days)
    _require_few("What was scored", files.oldest_day(), kept_from, most_days=most_days)
    return files.remove_before(kept_from)


def _first_day(days: int) -> datetime.date:
    """The first day that is kept."""
    return datetime.datetime.now(datetime.UTC).date() - datetime.timedelta(days=days)


def _require_few(what: str, oldest: datetime.date | None, kept_from: datetime.date, *, most_days: int | None) -> None:
    """Refuse to delete more than `most_days` at once: a clock that jumped ahead would delete what is still needed."""
    if most_days is not None and oldest is not None and (kept_from - oldest).days > most_days:
        raise StoreError(
            f"{what} goes back to {oldest}, and by its retention to {kept_from}: too much to remove unasked. "
            "If this machine's clock is right, run `dnapredict log prune`."
        )


def remove_lists(home: Path, retention: Retention, log: ScoringLog | None = None) -> int:
    """Delete lists older than `list_days`, and unused ones beyond the newest `lists`.

    A list is unused if its appointments are over and `log` has no action on it: a new list never displaces one
    that somebody works on.

    Returns
    -------
    The number of deleted lists.

    Raises
    ------
    StoreError
        If the log cannot be read: then only lists older than `list_days` were deleted.
    """
    removed = list_store.remove_older(home, time.time() - retention.list_days * _SECONDS_A_DAY)
    contact_details.remove_due(home)
    list_store.remove_unscored(home, datetime.datetime.now(datetime.UTC))
    list_store.remove_left_counts(home)
    idle = _idle(list_store.kept_files(home)[retention.lists :], log)
    return removed + sum(map(_remove, idle))


def require_room(home: Path, retention: Retention, log: ScoringLog) -> None:
    """Make room for another list: if kept lists take too much space, delete unused ones, oldest first.

    Raises
    ------
    StoreError
        If they still take more than `list_mb`, or the log cannot be read.
    """
    files = list_store.kept_files(home)
    if _megabytes(files) < retention.list_mb:
        return
    for path in reversed(_idle(files, log) if is_clock_believed(home) else []):
        _remove(path)
        if _megabytes(list_store.kept_files(home)) < retention.list_mb:
            return
    raise StoreError(
        f"The lists that are kept take {_megabytes(files):,.0f} MB of {retention.list_mb:,.0f}, and teams "
        "still work on them. This list was not scored, and none that is worked on was removed for it. Ask "
        "the administrator of this service for more space (list_mb in serving/service.toml) or fewer days (list_days)."
    )


def _idle(files: Sequence[Path], log: ScoringLog | None) -> list[Path]:
    """The unused lists: their appointments are over and nothing was recorded on them."""
    now = datetime.datetime.now(datetime.UTC)
    over = [path for path in files if list_store.is_over(path, now)]
    if not over or log is None:
        return over
    recorded = select(ACTIONS.c.list).where(ACTIONS.c.list.in_([path.stem for path in over])).distinct()
    worked_on = {row.list for row in log.query(recorded)}
    return [path for path in over if path.stem not in worked_on]


def _megabytes(files: Sequence[Path]) -> float:
    sizes = 0
    for path in files:
        with contextlib.suppress(OSError):  # another process removed it
            sizes += path.stat().st_size
    return sizes / 1_048_576


def _remove(path: Path) -> bool:
    with contextlib.suppress(OSError):
        list_store.forget(path)
        return True
    return False

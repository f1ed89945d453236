"""The last monitor run of a home: its state, its published figures and its page, for the service and for `versions`.

The folder `HOME/monitor` holds `latest.json` and the page that it names by digest. Both hold published figures only.
A worker of the service reads them, so that this module imports none of the libraries that count and draw.
"""

import datetime
import hashlib
import logging
from pathlib import Path
from typing import Final

from dnapredict.data.files.atomic_write import write_private
from dnapredict.data.files.json_records import StoredRecord, read_record
from dnapredict.data.files.loss_marks import is_lost, mark_made
from dnapredict.errors import StoreError

FOLDER: Final = "monitor"
_STATE: Final = "latest.json"
_PAGE: Final = "monitor.html"
_ADVICE: Final = "Run 'dnapredict monitor' again to replace it."
_DAYS_A_WEEK: Final = 7
_LOG: Final = logging.getLogger("dnapredict.monitoring")


class LastingAlarm(StoredRecord):
    """An alarm that holds in the last week; the attributes are those of `alarms.Alarm`."""

    what: str
    grouping: str
    group: str
    raised: datetime.date
    since: datetime.date
    message: str


class MonitorState(StoredRecord):
    """What a monitor run found, as the service and `versions` show it.

    Attributes
    ----------
    model_version
        The version that was watched.
    created_at
        When it was watched, with its zone.
    last_week
        The Monday of the last week with a scored appointment.
    last_outcome_week
        The Monday of the last week with an outcome.
    figures_from
        The Monday of the first week that `level` and `reach` are about; they are printed for four weeks
        together, or for what there is of them.
    level, reach
        Of everyone, as the page prints them: missed divided by predicted, and the share of the missed appointments that
        was on the list. None where too few were missed.
    summary
        The state in one sentence.
    page_sha256
        Digest of the page, which is then the page of this run.
    """

    schema_version: int = 1
    model_version: str
    created_at: datetime.datetime
    synthetic: bool
    last_week: datetime.date
    last_outcome_week: datetime.date
    figures_from: datetime.date
    level: float | None
    reach: float | None
    alarms: tuple[LastingAlarm, ...]
    summary: str
    page_sha256: str

    @property
    def since(self) -> datetime.date | None:
        """The Monday of the week in which the first change is estimated to have begun; None without an alarm."""
        return min((alarm.since for alarm in self.alarms), default=None)

    def weeks_since_outcome(self, today: datetime.date) -> int:
        """Calendar weeks from the last one with an outcome to that of `today`, at least 0.

        After a weekly extract it is 0 or 1; more means that outcomes do not come back.
        """
        monday = today - datetime.timedelta(days=today.weekday())
        return max(0, (monday - self.last_outcome_week).days // _DAYS_A_WEEK)


def keep_state(state: MonitorState, page: str, *, home: Path) -> None:
    """Keep the state of a run and its page in the home.

    Raises
    ------
    StoreError
        If the home cannot be written.
    """
    # The page first: a run that is killed between the two leaves a state without a page, and never a wrong one.
    write_private(home / FOLDER / _PAGE, page)
    write_private(home / FOLDER / _STATE, state.model_dump_json(indent=1) + "\n")
    mark_made(home / FOLDER / _STATE)


def page_digest(page: str) -> str:
    """The digest by which a state names its page."""
    return hashlib.sha256(page.encode()).hexdigest()


def read_state(home: Path) -> MonitorState | None:
    """The state of the last run; None if there was none.

    Raises
    ------
    StoreError
        If it is damaged, or was deleted: then nobody may take an alarm that held for none.
    """
    path = home / FOLDER / _STATE
    if is_lost(path):
        raise StoreError(f"{path}: the record of the last monitor run is missing. {_ADVICE}")
    return read_record(path, MonitorState, advice=_ADVICE)


def readable_state(home: Path) -> MonitorState | None:
    """The state of the last run; None if there was none or it cannot be read, which is logged.

    For figures beside others, which a damaged record must not take along.
    """
    try:
        return read_state(home)
    except StoreError as error:
        _LOG.warning("%s", error)
        return None


def read_page(home: Path, state: MonitorState) -> str | None:
    """The page of the run with that state; None, which is logged, if it is missing or is not the page of that run."""
    content = _page_of(home, state)
    if content is None:
        _LOG.warning("%s", _wrong_page(home))
    return content


def _page_of(home: Path, state: MonitorState) -> str | None:
    try:
        content = (home / FOLDER / _PAGE).read_bytes()
    except OSError:
        return None
    return content.decode() if hashlib.sha256(content).hexdigest() == state.page_sha256 else None


def _wrong_page(home: Path) -> str:
    return f"{home / FOLDER / _PAGE}: is not the page of the last monitor run. {_ADVICE}"


def verify(home: Path) -> None:
    """Check that the state of the last run can be read, and that the page is the one of that run.

    Raises
    ------
    StoreError
        If either is damaged, or the page is missing.
    """
    state = read_state(home)
    if state is not None and _page_of(home, state) is None:
        raise StoreError(_wrong_page(home))

"""Whether this machine's clock may be believed before something is deleted because its retention period is over.

One wrong reading of a clock (a flat battery, a wrong date after a restart) must not delete what cannot be made again.
`HOME/clock.json` holds the last reading that was believed. A reading at most `MOST_DAYS_AHEAD` after it is believed,
also one that is earlier: with an earlier clock less is deleted. A later reading, and the first one of a home, is
believed once the clock has gone on from it for `DAYS_OF_DOUBT`, or when a person confirms it. Until then nothing is
deleted; what is past its period is not shown either way.
"""

import datetime
import logging
from pathlib import Path
from typing import Final

from pydantic import AwareDatetime

from dnapredict.data.files.atomic_write import write_private
from dnapredict.data.files.json_records import StoredRecord, read_record
from dnapredict.errors import StoreError

MOST_DAYS_AHEAD: Final = 9
"""Days between two readings that are believed at once: a home that is used once a week, and a bank holiday."""

DAYS_OF_DOUBT: Final = 2
"""Days for which a clock that jumped ahead must go on before it is believed: a working day lies between."""

FILE: Final = "clock.json"
_ADVICE: Final = "It is written again, and the clock is believed in two days."
# A page or an upload need not write to the disk each time.
_BETWEEN_WRITES: Final = datetime.timedelta(hours=1)
_LOG: Final = logging.getLogger("dnapredict.retention")


class _Readings(StoredRecord):
    """Readings of the clock: the last one that was believed, and the first one since that was not."""

    believed: AwareDatetime | None = None
    doubted_since: AwareDatetime | None = None


def is_clock_believed(home: Path) -> bool:
    """Whether what is past its retention period may be deleted now; records the reading of the clock.

    A reason not to believe it is logged, except for the first reading of a home. False also where it cannot be
    recorded.
    """
    now = _now()
    try:
        before = _stored(home)
    except StoreError as error:
        _LOG.error("%s", error)
        before = _Readings()
    after = _judged(before, now)
    try:
        if _differs(before, after):
            write_private(home / FILE, after.model_dump_json() + "\n", durable=False)
    except StoreError as error:
        _LOG.error("%s Nothing is deleted for its age.", error)
        return False
    if after.doubted_since is not None and before.believed is not None:
        _LOG.error("%s", _doubt(before.believed, now))
    return after.doubted_since is None


def has_jumped_ahead(home: Path) -> bool:
    """Whether the clock is far ahead of its last reading in this home and has not gone on since; writes nothing.

    False without a reading, and where it cannot be read: then nothing says that the clock is wrong.
    """
    try:
        before = _stored(home)
    except StoreError:
        return False
    last = before.believed or before.doubted_since
    is_far = last is not None and _now() - last > datetime.timedelta(days=MOST_DAYS_AHEAD)
    return is_far and (before.believed is None or _judged(before, _now()).doubted_since is not None)


def was_clock_believed(home: Path) -> bool:
    """Whether a reading of the clock was ever believed in this home; False where that cannot be read."""
    try:
        return _stored(home).believed is not None
    except StoreError:
        return False


def confirm_clock(home: Path) -> None:
    """Believe the present reading of the clock, because a person says that it is right.

    Raises
    ------
    StoreError
        If the home cannot be written to.
    """
    write_private(home / FILE, _Readings(believed=_now()).model_dump_json() + "\n")


def verify_clock(home: Path) -> None:
    """Check the file of the readings.

    Raises
    ------
    StoreError
        If it is damaged.
    """
    read_record(home / FILE, _Readings, advice=_ADVICE)


def _stored(home: Path) -> _Readings:
    return read_record(home / FILE, _Readings, advice=_ADVICE) or _Readings()


def _judged(before: _Readings, now: datetime.datetime) -> _Readings:
    """The readings after one more."""
    if before.believed is not None and now - before.believed <= datetime.timedelta(days=MOST_DAYS_AHEAD):
        return _Readings(believed=now)
    since = before.doubted_since
    if since is None or now < since:  # the clock was set back since: doubt begins again
        return _Readings(believed=before.believed, doubted_since=now)
    if now - since >= datetime.timedelta(days=DAYS_OF_DOUBT):
        return _Readings(believed=now)
    return before


def _differs(before: _Readings, after: _Readings) -> bool:
    if before.believed is None or after.believed is None or before.doubted_since != after.doubted_since:
        return before != after
    return abs(after.believed - before.believed) >= _BETWEEN_WRITES


def _doubt(believed: datetime.datetime, now: datetime.datetime) -> str:
    return (
        f"This machine's clock says {now:%Y-%m-%d}, and said {believed:%Y-%m-%d} when it was last read in this home. "
        f"Nothing is deleted for its age until the clock has gone on for {DAYS_OF_DOUBT} days. If it is right, run "
        "`dnapredict log prune`; if not, set it."
    )


def _now() -> datetime.datetime:
    # Not `system_clock.utc_now`, which a rehearsal sets back: the age of a file follows the machine's clock.
    return datetime.datetime.now(datetime.UTC)

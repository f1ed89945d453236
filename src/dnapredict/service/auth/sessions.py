"""Sessions of people who signed in: a sealed text in a cookie, and one file for each session that was signed out.

A session can be copied, so that every worker must know at once, and after a restart, that it was ended. Checking
whether a file exists needs no lock and no open file. A file is removed a day after its session would have expired.

A lost file must not make an ended session valid again. So each file has a mark next to it, and either of the two ends
the session; the folder has a mark too, without which nobody is signed in by a session.
"""

import contextlib
import hashlib
import hmac
import os
import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from dnapredict.data.files.atomic_write import write_once, write_private
from dnapredict.data.files.digests import read_or_make
from dnapredict.data.files.loss_marks import MADE, is_lost, mark_made, mark_of
from dnapredict.data.retention_clock import is_clock_believed
from dnapredict.errors import StoreError

SESSION_SECONDS: Final = 12 * 3600
"""How long a session lasts at most: a long working day."""
IDLE_SECONDS: Final = 3600
"""How long a session lasts that nobody uses, as in NIST SP 800-63B: a computer in a clinic is left open."""

# A session in use is sent again at most this often, so that not every answer carries a cookie.
_SECONDS_BETWEEN_RENEWALS: Final = 300

# By so much the clocks of two hosts may differ.
_SECONDS_APART: Final = 300

# A clock that is set back must not make an ended session valid again.
_SECONDS_KEPT: Final = 86_400
_ENDED: Final = "ended-sessions"
_SECRET: Final = "session.secret"  # noqa: S105 - the name of a file
# The holder is a key (8 digits) or a person whom an issuer named (16 digits).
_SESSION: Final = re.compile(
    r"(?P<holder>(?:[0-9a-f]{8}){1,2})\.(?P<until>[0-9]{1,12})\.(?P<name>[0-9a-f]{32})"
    r"\.(?P<idle>[0-9]{1,12})\.(?P<seal>[0-9a-f]{64})"
)


class Sessions:
    """The sessions that are sealed with the secret of one folder, which all workers share."""

    def __init__(self, folder: Path) -> None:
        """`folder` holds the secret and the records of ended sessions; nothing is read yet."""
        self._folder = folder
        self._secret = b""

    def start(self, holder: str) -> str:
        """A new session: the id of its holder, its end, a random name, and its end if nobody uses it, sealed."""
        until = int(time.time()) + SESSION_SECONDS
        return self._text(holder, until, secrets.token_hex(16))

    def renewed(self, session: str) -> str | None:
        """A valid session with a new end of its idle time; None while the one that it has is nearly as late."""
        match = self._sealed(session)
        if match is None or self._is_over(match):
            return None
        until = int(match["until"])
        is_late = _idle_end(until) - int(match["idle"]) < _SECONDS_BETWEEN_RENEWALS
        return None if is_late else self._text(match["holder"], until, match["name"])

    def holder(self, session: str) -> str | None:
        """The id of the holder of a session; None if it was not sealed here, has expired, was idle or was ended.

        Raises
        ------
        StoreError
            If the ended sessions cannot be read, or all of them are lost.
        """
        match = self._sealed(session)
        if match is None or self._is_over(match) or self._is_ended(match["name"]):
            return None
        return match["holder"]

    def end(self, session: str) -> None:
        """End a session for every worker, so that a copy of its cookie, renewed or not, is useless.

        Raises
        ------
        StoreError
            If that cannot be written: the session then remains valid.
        """
        match = self._sealed(session)
        if match is not None:
            path = self._folder / _ENDED / match["name"]
            write_private(path, match["until"])
            self._mark(path, match["until"])

    def use_once(self, name: str, *, until: int) -> bool:
        """Whether `name`, which is valid until the Unix time `until`, is used for the first time.

        Raises
        ------
        StoreError
            If that cannot be recorded.
        """
        path = self._folder / _ENDED / name
        mine = f"{until} {secrets.token_hex(16)}"
        if self._is_ended(name):
            return False
        write_once(path, mine)
        self._mark(path, str(until))
        try:
            return path.read_text(encoding="ascii") == mine
        except OSError as error:
            raise StoreError(f"{path}: cannot be read ({type(error).__name__}).") from None

    def seal(self, named: str) -> str:
        """The seal of a text, as 64 hexadecimal digits."""
        # A missing secret is created: only the open sessions are lost.
        self._secret = self._secret or read_or_make(self._folder / _SECRET)
        return hmac.new(self._secret, named.encode(), hashlib.sha256).hexdigest()

    def _mark(self, path: Path, until: str) -> None:
        """Mark the record of an ended session and its folder, and remove the records that are outdated."""
        mark_made(path, until)
        mark_made(path.parent)
        if is_clock_believed(self._folder.parent):  # or an ended session would be valid once the clock is right again
            _remove_outdated(path.parent)

    def _text(self, holder: str, until: int, name: str) -> str:
        named = f"{holder}.{until}.{name}.{_idle_end(until)}"
        return f"{named}.{self.seal(named)}"

    @staticmethod
    def _is_over(match: re.Match[str]) -> bool:
        until, now = int(match["until"]), time.time()
        # A session that was begun while the clock was ahead would last until that time.
        return min(until, int(match["idle"])) < now or until > now + SESSION_SECONDS + _SECONDS_APART

    def _sealed(self, session: str) -> re.Match[str] | None:
        """The parts of a session whose seal is valid."""
        match = _SESSION.fullmatch(session)
        named = session[: match.end("idle")] if match else ""
        return match if match and hmac.compare_digest(match["seal"], self.seal(named)) else None

    def _is_ended(self, name: str) -> bool:
        path = self._folder / _ENDED / name
        if _is_there(path) or _is_there(mark_of(path)):
            return True
        if is_lost(path.parent):
            raise StoreError(_all_lost(path.parent))
        return False


def damaged(folder: Path) -> Iterator[tuple[Path, str]]:
    """The records of ended sessions in `folder` that are lost, each with a sentence: their sessions remain ended."""
    ended = folder / _ENDED
    if is_lost(ended):
        yield ended, _all_lost(ended)
    for mark in sorted(ended.glob(f"[!.]*{MADE}")):
        path = mark.with_name(mark.name.removesuffix(MADE))
        if not path.name.startswith(".") and not path.exists():
            yield path, f"{path}: the record of an ended session is missing. Its mark still ends the session."


def restore(path: Path) -> None:
    """Write the record of an ended session again from its mark.

    Raises
    ------
    OSError, StoreError
        If the mark cannot be read, or the record cannot be written.
    """
    write_private(path, mark_of(path).read_text(encoding="ascii", errors="replace"))


def _all_lost(folder: Path) -> str:
    return (
        f"{folder}: the records of ended sessions are missing, without which a session that was ended would be valid "
        "again. Restore the folder from a backup; if there is none, stop the service and remove "
        f"{mark_of(folder).name} and {_SECRET}: everybody signs in again."
    )


def _is_there(path: Path) -> bool:
    try:
        path.stat()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StoreError(f"{path.parent}: cannot be read ({type(error).__name__}).") from None
    return True


def _idle_end(until: int) -> int:
    """When a session that is used now, and ends at `until`, ends if nobody uses it again."""
    return min(until, int(time.time()) + IDLE_SECONDS)


def _remove_outdated(folder: Path) -> None:
    """Remove the files of sessions that have expired; another worker may be doing the same."""
    oldest = time.time() - _SECONDS_KEPT
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                if _expires(Path(entry)) < oldest:
                    os.unlink(entry)


def _expires(path: Path) -> float:
    """When the session of a record expires; of a damaged record, when any session that was begun by then would."""
    try:
        return int(path.read_text(encoding="ascii").split()[0])
    except (ValueError, IndexError):
        return path.stat().st_mtime + SESSION_SECONDS

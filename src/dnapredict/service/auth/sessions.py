"""Sessions of people who signed in: a sealed text in a cookie, and one file for each session that was signed out.

A session can be copied, so that every worker must know at once, and after a restart, that it was ended. Checking
whether a file exists needs no lock and no open file. A file is removed a day after its session would have expired.
"""

import contextlib
import hashlib
import hmac
import os
import re
import secrets
import time
from pathlib import Path
from typing import Final

from dnapredict.data.files.atomic_write import write_once, write_private
from dnapredict.data.files.digests import read_or_make
from dnapredict.errors import StoreError

SESSION_SECONDS: Final = 12 * 3600
"""How long a session lasts at most: a long working day."""
IDLE_SECONDS: Final = 3600
"""How long a session lasts that nobody uses, as in NIST SP 800-63B: a computer in a clinic is left open."""

# A session in use is sent again at most this often, so that not every answer carries a cookie.
_SECONDS_BETWEEN_RENEWALS: Final = 300

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
            If the ended sessions cannot be read.
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
            write_private(self._folder / _ENDED / match["name"], match["until"])
            _remove_outdated(self._folder / _ENDED)

    def use_once(self, name: str, *, until: int) -> bool:
        """Whether `name`, which is valid until the Unix time `until`, is used for the first time.

        Raises
        ------
        StoreError
            If that cannot be recorded.
        """
        path = self._folder / _ENDED / name
        mine = f"{until} {secrets.token_hex(16)}"
        write_once(path, mine)
        _remove_outdated(self._folder / _ENDED)
        try:
            return path.read_text(encoding="ascii") == mine
        except OSError as error:
            raise StoreError(f"{path}: cannot be read ({type(error).__name__}).") from None

    def seal(self, named: str) -> str:
        """The seal of a text, as 64 hexadecimal digits."""
        # A missing secret is created: only the open sessions are lost.
        self._secret = self._secret or read_or_make(self._folder / _SECRET)
        return hmac.new(self._secret, named.encode(), hashlib.sha256).hexdigest()

    def _text(self, holder: str, until: int, name: str) -> str:
        named = f"{holder}.{until}.{name}.{_idle_end(until)}"
        return f"{named}.{self.seal(named)}"

    @staticmethod
    def _is_over(match: re.Match[str]) -> bool:
        return min(int(match["until"]), int(match["idle"])) < time.time()

    def _sealed(self, session: str) -> re.Match[str] | None:
        """The parts of a session whose seal is valid."""
        match = _SESSION.fullmatch(session)
        named = session[: match.end("idle")] if match else ""
        return match if match and hmac.compare_digest(match["seal"], self.seal(named)) else None

    def _is_ended(self, name: str) -> bool:
        try:
            (self._folder / _ENDED / name).stat()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise StoreError(f"{self._folder / _ENDED}: cannot be read ({type(error).__name__}).") from None
        return True


def _idle_end(until: int) -> int:
    """When a session that is used now, and ends at `until`, ends if nobody uses it again."""
    return min(until, int(time.time()) + IDLE_SECONDS)


def _remove_outdated(folder: Path) -> None:
    """Remove the files of sessions that have expired; another worker may be doing the same."""
    oldest = time.time() - _SECONDS_KEPT
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError, ValueError, IndexError):
                if int(Path(entry).read_text(encoding="ascii").split()[0]) < oldest:
                    os.unlink(entry)

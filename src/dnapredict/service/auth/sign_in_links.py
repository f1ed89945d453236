"""Links that sign one person in once, without typing a key, such as a new colleague.

A link contains 256 random bits. Only their hash is stored, in a file of the home that is removed when the link is used.
If two people open the same link at the same moment, one of them removes the file and is signed in.
"""

import contextlib
import datetime
import hashlib
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from dnapredict.data.files.atomic_write import write_private
from dnapredict.data.files.json_records import StoredRecord, read_record
from dnapredict.errors import StoreError, UsageError
from dnapredict.service.auth import api_keys

LINK: Final = "/sign-in/link/"
"""The path of a link without its token."""

MINUTES: Final = 10
"""How long a link is valid by default, as OWASP ASVS 5 asks: enough time to start the service and open the link."""

# By so much the clocks of two hosts may differ.
_APART: Final = datetime.timedelta(minutes=5)
_LONGEST: Final = datetime.timedelta(days=1)

_FOLDER: Final = Path("sign-in") / "links"


class _StoredLink(StoredRecord):
    key_id: str
    until: datetime.datetime
    made_at: datetime.datetime | None = None  # an earlier release kept only the end

    @property
    def is_over(self) -> bool:
        """Whether it has expired, or was made while the clock was ahead: it would last until that time."""
        now = _now()
        is_early = self.until > now + _LONGEST + _APART if self.made_at is None else self.made_at > now + _APART
        return self.until <= now or is_early


def create(home: Path, key_id: str, *, minutes: int = MINUTES) -> str:
    """Make a link for the holder of a key, and return its path, which begins with a slash.

    Raises
    ------
    UsageError
        If there is no such key, or it was revoked.
    StoreError
        If the home cannot be read or written to.
    """
    key = next((key for key in api_keys.all_keys(home) if key.key_id == key_id), None)
    if key is None or key.revoked_at is not None:
        raise UsageError(f"There is no valid key '{key_id}'. `dnapredict keys list` names them all.")
    _remove_outdated(home)
    token = secrets.token_urlsafe(32)
    made_at = _now()
    stored = _StoredLink(key_id=key_id, until=made_at + datetime.timedelta(minutes=minutes), made_at=made_at)
    write_private(_file(home, token), stored.model_dump_json())
    return LINK + token


def find(home: Path, token: str) -> str | None:
    """The id of the key that a link signs in with; None if it was used, has expired or is not a link.

    Raises
    ------
    StoreError
        If the home cannot be read.
    """
    stored = _read(_file(home, token))
    return None if stored is None or stored.is_over else stored.key_id


def use(home: Path, token: str) -> str | None:
    """Use a link, and return the id of its key; None if it was used, has expired or is not a link.

    Raises
    ------
    StoreError
        If the home cannot be read or written to: then nobody is signed in.
    """
    key_id = find(home, token)
    path = _file(home, token)
    try:
        path.unlink()
    except FileNotFoundError:
        return None  # used by another request in this moment
    except OSError as error:
        raise StoreError(f"{path}: cannot be removed ({type(error).__name__}).") from None
    return key_id


def damaged(home: Path) -> Iterator[tuple[Path, str]]:
    """The files of links that cannot be read, each with a sentence; such a link signs nobody in."""
    for path in sorted((home / _FOLDER).glob("[!.]*.json")):
        try:
            _read(path)
        except StoreError as error:
            yield path, str(error)


def _file(home: Path, token: str) -> Path:
    return home / _FOLDER / f"{hashlib.sha256(token.encode('utf-8', 'surrogateescape')).hexdigest()}.json"


def _remove_outdated(home: Path) -> None:
    """Remove links that have expired and were never used."""
    with contextlib.suppress(OSError):
        for path in (home / _FOLDER).glob("[!.]*.json"):
            with contextlib.suppress(OSError, StoreError):
                stored = _read(path)
                if stored is not None and stored.is_over:
                    path.unlink()


def _read(path: Path) -> _StoredLink | None:
    return read_record(path, _StoredLink, advice="Remove it, and make another link.")


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)

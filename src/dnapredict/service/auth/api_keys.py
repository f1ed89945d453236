"""API keys: who may ask for what. A key is shown once; only its hash is kept.

Each key is a separate file in the home, so that making or revoking one cannot lose another.
While no key was ever made, the service answers this machine alone (`auth.access_control`); from
the first key on, everybody needs one. Revoking the last key therefore opens no door, nor does losing
the files of the keys: a mark in the home, and other files in their folder, show that there were some.

A key is 256 random bits, so a plain SHA-256 of it cannot be reversed by guessing.
"""

import datetime
import hashlib
import hmac
import re
import secrets
import time
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dnapredict.data.files.atomic_write import write_private
from dnapredict.data.files.secret_files import read_or_make
from dnapredict.errors import StoreError, UsageError
from dnapredict.service.auth import sessions

_FOLDER: Final = "keys"
_SECRET: Final = "session.secret"  # noqa: S105 - the name of a file
# Not in the folder of the keys, so that it stays where that is lost.
_MARK: Final = "keys-were-made"
_SAYS: Final = "From the first key on, the service asks everybody for one. Do not delete this file.\n"
_PREFIX: Final = "dnap"
_TOKEN: Final = re.compile(rf"{_PREFIX}_([0-9a-f]{{8}})_([A-Za-z0-9_-]{{43}})")
# How long a worker goes on with the keys that it last read: a revoked key is refused after this.
_SECONDS_REMEMBERED: Final = 1.0
_SESSION_SECONDS: Final = 12 * 3600
_SESSION: Final = re.compile(
    r"(?P<key_id>[0-9a-f]{8})\.(?P<until>[0-9]{1,12})\.(?P<name>[0-9a-f]{32})(?P<seal>[0-9a-f]{64})"
)


class KeyScope(StrEnum):
    """What a key may be used for."""

    SCORE = "score"  # POST /v1/score
    LIST = "list"  # the page and the lists
    ADMIN = "admin"  # metrics, and all of the above


class Key(BaseModel):
    """A key as it is kept: all but the key itself."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    key_id: Annotated[str, Field(pattern=r"^[0-9a-f]{8}$")]
    name: str
    scopes: tuple[KeyScope, ...]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    made_at: datetime.datetime
    revoked_at: datetime.datetime | None = None

    def may(self, scope: KeyScope) -> bool:
        """Whether the key is in force and reaches that far."""
        return self.revoked_at is None and (scope in self.scopes or KeyScope.ADMIN in self.scopes)


@dataclass(frozen=True)
class MadeKey:
    """A key that was just made. `token` is what its holder sends; it cannot be shown again."""

    key: Key
    token: str = field(repr=False)


def create(home: Path, *, name: str, scopes: tuple[KeyScope, ...]) -> MadeKey:
    """Make a key for `name`, a system or a team and not a patient.

    Raises
    ------
    UsageError
        If no scope is given.
    StoreError
        If the home cannot be written to.
    """
    if not scopes:
        raise UsageError(f"A key needs at least one scope: {', '.join(KeyScope)}.")
    key_id, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
    key = Key(key_id=key_id, name=name, scopes=scopes, sha256=_hashed(secret), made_at=_now())
    mark_keys_made(home)
    _write(home, key)
    return MadeKey(key, f"{_PREFIX}_{key_id}_{secret}")


def all_keys(home: Path) -> tuple[Key, ...]:
    """Every key that was ever made, revoked ones included, oldest first.

    Raises
    ------
    StoreError
        If one of them cannot be read, or none is left: a door whose list is damaged or lost stays shut.
    """
    folder = home / _FOLDER
    found = _files(folder)
    keys = [_read(path) for path in found if path.suffix == ".json"]
    if not keys and (found or _is_there(home / _MARK)):
        raise StoreError(
            f"{folder}: keys were made in this home, and none is there any more. Restore the folder from a "
            "backup, or make a new key with `dnapredict keys create`."
        )
    return tuple(sorted(keys, key=lambda key: (key.made_at, key.key_id)))


def mark_keys_made(home: Path) -> None:
    """Note that keys were made in this home; homes of earlier releases have no such note.

    Raises
    ------
    StoreError
        If the home cannot be written to.
    """
    if not _is_there(home / _MARK):
        write_private(home / _MARK, _SAYS)


def _files(folder: Path) -> list[Path]:
    """What lies in the folder of the keys; nothing where there is no such folder.

    Not with `Path.glob`, which finds nothing where it may not look: that would be a home without keys.
    """
    try:
        return [path for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not folder.is_symlink():
            return []
        raise StoreError(f"{folder}: cannot be read ({type(error).__name__}).") from None


def _is_there(path: Path) -> bool:
    """Whether there is such a file, or nobody can tell."""
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({type(error).__name__}).") from None
    return True


def revoke(home: Path, key_id: str) -> Key:
    """Take a key out of force, for good. A running service refuses it within a second.

    Raises
    ------
    UsageError
        If there is no such key.
    """
    found = next((key for key in all_keys(home) if key.key_id == key_id), None)
    if found is None:
        raise UsageError(f"There is no key '{key_id}'. `dnapredict keys list` names them all.")
    if found.revoked_at is None:
        found = found.model_copy(update={"revoked_at": _now()})
        _write(home, found)
    return found


class KeyRing:
    """The keys as a worker knows them, and the sessions of people who signed in with one."""

    def __init__(self, home: Path) -> None:
        """Read nothing yet."""
        self._home = home
        self._keys: dict[str, Key] = {}
        self._read_at = -float("inf")
        self._secret = b""

    @property
    def stale(self) -> bool:
        """Whether the next look-up reads the keys from disk."""
        return time.monotonic() - self._read_at > _SECONDS_REMEMBERED

    def refresh(self) -> None:
        """Read the keys now if they are stale.

        Raises
        ------
        StoreError
            If one of them cannot be read.
        """
        self._current()

    @property
    def required(self) -> bool:
        """Whether a key was ever made, so that everybody needs one."""
        return bool(self._current())

    def holder(self, token: str) -> Key | None:
        """The key that `token` is, if it is one and in force."""
        match = _TOKEN.fullmatch(token)
        key_id, secret = match.groups() if match else ("", "")
        key = self._current().get(key_id)
        # Compared whether there is such a key or not, so that the time taken tells nothing.
        same = hmac.compare_digest(_hashed(secret), key.sha256 if key else _hashed("no such key"))
        return key if key is not None and same and key.revoked_at is None else None

    def name_of(self, key_id: str) -> str:
        """What the key with that id is called, "" where there is none."""
        key = self._current().get(key_id)
        return "" if key is None else key.name

    def key_id(self, token: str) -> str:
        """The id of the key that `token` is meant for, right or wrong; "" where there is no such key."""
        key_id = token[len(_PREFIX) + 1 : len(_PREFIX) + 9]
        return key_id if token.startswith(f"{_PREFIX}_") and key_id in self._current() else ""

    def session(self, key: Key) -> str:
        """The value of a browser's cookie: the id of the key, the end, and a random name, sealed."""
        until = int(time.time()) + _SESSION_SECONDS
        named = f"{key.key_id}.{until}.{secrets.token_hex(16)}"
        return named + self._seal(named)

    def session_holder(self, session: str) -> Key | None:
        """The key behind a session, while both are in force.

        Raises
        ------
        StoreError
            If it cannot be read whether the session was ended.
        """
        match = self._sealed(session)
        if match is None or int(match["until"]) < time.time() or sessions.is_ended(self._home, match["name"]):
            return None
        key = self._current().get(match["key_id"])
        return key if key is not None and key.revoked_at is None else None

    def end_session(self, session: str) -> None:
        """Put a session out of force for every worker, so that a copy of its cookie is of no use.

        Raises
        ------
        StoreError
            If that cannot be written down.
        """
        match = self._sealed(session)
        if match is not None:
            sessions.end(self._home, match["name"], until=int(match["until"]))

    def _current(self) -> dict[str, Key]:
        if self.stale:
            self._keys = {key.key_id: key for key in all_keys(self._home)}
            self._read_at = time.monotonic()
        return self._keys

    def _sealed(self, session: str) -> re.Match[str] | None:
        """The parts of a session that was made here."""
        match = _SESSION.fullmatch(session)
        named = session[: match.start("seal")] if match else ""
        return match if match and hmac.compare_digest(match["seal"], self._seal(named)) else None

    def _seal(self, named: str) -> str:
        # The same for every worker. A missing one is made: only the sessions are lost.
        self._secret = self._secret or read_or_make(self._home / _FOLDER / _SECRET)
        return hmac.new(self._secret, named.encode(), hashlib.sha256).hexdigest()


def _hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _write(home: Path, key: Key) -> None:
    write_private(home / _FOLDER / f"{key.key_id}.json", key.model_dump_json(indent=2))


def _read(path: Path) -> Key:
    try:
        key = Key.model_validate_json(path.read_bytes())
        if key.key_id != path.stem:
            raise StoreError(f"{path}: is the file of another key. Remove it, and make its holder a new key.")
        return key
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({type(error).__name__}).") from None
    except ValidationError:
        raise StoreError(f"{path}: is damaged. Remove it, and make its holder a new key.") from None


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC).replace(microsecond=0)

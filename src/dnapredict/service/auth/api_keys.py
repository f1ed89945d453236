"""API keys and their scopes. A key is shown once; only its hash is stored.

Each key is a separate file in the home, so that making or revoking one cannot lose another.
Until a first key is created, the service answers this machine only (`auth.access_control`); afterwards every
request needs one. Revoking the last key, or losing the key files, does not open the service again: a marker in
the home, and other files in the folder, show that keys existed.

A revocation is kept twice: in the file of the key, and as a mark in the folder `revoked-keys`. An older copy of the
file, or of the whole folder of keys, opens nothing.

A key is 256 random bits, so a plain SHA-256 of it cannot be reversed by guessing.
"""

import datetime
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from dnapredict.data.files.atomic_write import write_private
from dnapredict.data.files.json_records import StoredRecord, read_record
from dnapredict.errors import StoreError, UsageError
from dnapredict.service.auth.permissions import Holds, KeyScope
from dnapredict.service.auth.sessions import Sessions
from dnapredict.service.auth.staff import SIGNED_IN, Person, StaffRole, require_person

_FOLDER: Final = "keys"
# Outside the folder of the keys, so that it survives the loss of that folder.
_MARK: Final = "keys-were-made"
# Outside that folder too: a mark for each revoked key.
REVOKED: Final = "revoked-keys"
"""The folder of a home with a file for each revoked key."""

_SAYS: Final = "From the first key on, the service asks everybody for one. Do not delete this file.\n"
_ANOTHER: Final = "Remove it, and make its holder a new key."
_PREFIX: Final = "dnap"
_TOKEN: Final = re.compile(rf"{_PREFIX}_([0-9a-f]{{8}})_([A-Za-z0-9_-]{{43}})")
# Seconds for which a worker uses the keys that it last read; a revoked key is refused after that.
_SECONDS_REMEMBERED: Final = 1.0


class Key(StoredRecord):
    """The stored record of a key, without the key itself.

    A key with a `role` is personal: `name` is the person. One without is shared by a team or used by a program; keys
    of earlier releases are of that kind.
    """

    key_id: Annotated[str, Field(pattern=r"^[0-9a-f]{8}$")]
    name: str
    scopes: tuple[KeyScope, ...]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    made_at: datetime.datetime
    revoked_at: datetime.datetime | None = None
    team: str = ""
    role: StaffRole | None = None

    @property
    def person(self) -> Person:
        """The person, or the team, that the key names."""
        if self.role is not None:
            return Person(self.key_id, self.name, self.team, self.role)
        role = StaffRole.ADMINISTRATOR if KeyScope.ADMIN in self.scopes else StaffRole.CLERK
        return Person(self.key_id, self.name, self.team, role, is_shared=True)

    @property
    def held(self) -> frozenset[Holds]:
        """What decides which addresses the key may use: its scopes, or the role of its person."""
        return frozenset(self.scopes if self.role is None else (self.role,))

    def may(self, scope: KeyScope) -> bool:
        """Whether the key is valid and has that scope."""
        return self.revoked_at is None and (scope in self.scopes or KeyScope.ADMIN in self.scopes)


@dataclass(frozen=True)
class MadeKey:
    """A key that was just made. `token` is what its holder sends; it cannot be shown again."""

    key: Key
    token: str = field(repr=False)


def create(home: Path, *, name: str, scopes: tuple[KeyScope, ...], team: str = "") -> MadeKey:
    """Create a key for `name`, a system or a team; `create_personal` makes one for a person.

    Parameters
    ----------
    team
        The team whose lists the key opens; "" for those of all teams.

    Raises
    ------
    UsageError
        If no scope is given.
    StoreError
        If the home cannot be written to.
    """
    if not scopes:
        raise UsageError(f"A key needs at least one scope: {', '.join(KeyScope)}.")
    return _create(home, name=name, scopes=scopes, team=team, role=None)


def create_personal(home: Path, *, name: str, team: str, role: StaffRole) -> MadeKey:
    """Create a key for one person. It has no scopes: the role decides what it opens.

    Raises
    ------
    UsageError
        If the name is empty, or the role needs a team and there is none.
    StoreError
        If the home cannot be written to.
    """
    require_person(name, team=team, role=role)
    return _create(home, name=name, scopes=(), team=team, role=role)


def _create(home: Path, *, name: str, scopes: tuple[KeyScope, ...], team: str, role: StaffRole | None) -> MadeKey:
    key_id, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
    hashed = _hashed(secret)
    key = Key(key_id=key_id, name=name, scopes=scopes, sha256=hashed, made_at=_now(), team=team, role=role)
    mark_keys_made(home)
    _write(home, key)
    return MadeKey(key, f"{_PREFIX}_{key_id}_{secret}")


def all_keys(home: Path) -> tuple[Key, ...]:
    """All keys including revoked ones, oldest first.

    Raises
    ------
    StoreError
        If one of them cannot be read, or all files are lost: the service then stays closed.
    """
    folder = home / _FOLDER
    paths = _files(folder)
    revoked = {path.name for path in _files(home / REVOKED)}
    stored = [_read(path) for path in paths if path.suffix == ".json"]
    keys = [_as_revoked(home, key) if key.key_id in revoked else key for key in stored]
    if not keys and (paths or _is_there(home / _MARK)):
        raise StoreError(
            f"{folder}: keys were created in this home, and all of them are missing. Restore the folder from a "
            "backup, or make a new key with `dnapredict keys create`."
        )
    return tuple(sorted(keys, key=lambda key: (key.made_at, key.key_id)))


def damaged(home: Path) -> Iterator[str]:
    """A sentence for each key that cannot be read, and one where all are lost."""
    paths = _files(home / _FOLDER)
    for path in sorted(path for path in paths if path.suffix == ".json"):
        try:
            _read(path)
        except StoreError as error:
            yield str(error)
    if not any(path.suffix == ".json" for path in paths):
        try:
            all_keys(home)
        except StoreError as error:
            yield str(error)


def put_back(home: Path) -> Iterator[Key]:
    """Revoked keys whose files are older copies, from before the revocation; they open nothing.

    Raises
    ------
    StoreError
        If the folder of keys cannot be read.
    """
    for mark in sorted(_files(home / REVOKED)):
        path = home / _FOLDER / f"{mark.name}.json"
        try:
            stored = _read(path) if path.exists() else None
        except StoreError:  # a damaged key is named as such
            continue
        if stored is not None and stored.revoked_at is None:
            yield _as_revoked(home, stored)


def mark_keys_made(home: Path) -> None:
    """Write the marker that keys exist in this home; homes of earlier releases lack it.

    Raises
    ------
    StoreError
        If the home cannot be written to.
    """
    if not _is_there(home / _MARK):
        write_private(home / _MARK, _SAYS)


def _files(folder: Path) -> list[Path]:
    """The files in the folder of the keys; empty if there is no folder.

    Not with `Path.glob`, which returns nothing for a folder that may not be read: the home would seem to have
    no keys.
    """
    try:
        return [path for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not folder.is_symlink():
            return []
        raise StoreError(f"{folder}: cannot be read ({type(error).__name__}).") from None


def _is_there(path: Path) -> bool:
    """Whether the file exists, or cannot be checked."""
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({type(error).__name__}).") from None
    return True


def revoke(home: Path, key_id: str) -> Key:
    """Revoke a key permanently. A running service refuses it within a second.

    Raises
    ------
    UsageError
        If there is no such key.
    """
    revoked = next((key for key in all_keys(home) if key.key_id == key_id), None)
    if revoked is None:
        raise UsageError(f"There is no key '{key_id}'. `dnapredict keys list` names them all.")
    if revoked.revoked_at is None:
        revoked = revoked.model_copy(update={"revoked_at": _now()})
    complete_revocation(home, revoked)
    return revoked


def complete_revocation(home: Path, revoked: Key) -> None:
    """Write mark and file of a revoked key; nothing changes where both are written.

    Raises
    ------
    StoreError
        If the home cannot be written to.
    """
    mark = home / REVOKED / revoked.key_id
    if not mark.exists() and revoked.revoked_at is not None:  # first: from now on it opens nothing
        write_private(mark, revoked.revoked_at.isoformat())
    if _read(home / _FOLDER / f"{revoked.key_id}.json").revoked_at is None:
        _write(home, revoked)


def _as_revoked(home: Path, key: Key) -> Key:
    """A key that has a mark, with the time of its revocation; of a damaged mark, with the time of the file."""
    if key.revoked_at is not None:
        return key
    mark = home / REVOKED / key.key_id
    try:
        at = datetime.datetime.fromisoformat(mark.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        at = datetime.datetime.fromtimestamp(mark.lstat().st_mtime, datetime.UTC).replace(microsecond=0)
    return key.model_copy(update={"revoked_at": at})


class KeyRing:
    """A worker's copy of the keys, and the sessions of people who signed in with one."""

    def __init__(self, home: Path) -> None:
        """Read nothing yet."""
        self._home = home
        self._keys: dict[str, Key] = {}
        self._read_at = -float("inf")
        self._sessions = Sessions(home / _FOLDER)

    @property
    def home(self) -> Path:
        """The home whose keys these are."""
        return self._home

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
        """Whether any key was ever created, so that every request needs one."""
        return bool(self._current())

    def holder(self, token: str) -> Key | None:
        """The valid key that `token` is; None if it is none."""
        match = _TOKEN.fullmatch(token)
        key_id, secret = match.groups() if match else ("", "")
        key = self._current().get(key_id)
        # Compared even if there is no such key, so that response times reveal nothing.
        same = hmac.compare_digest(_hashed(secret), key.sha256 if key else _hashed("no such key"))
        return key if key is not None and same and key.revoked_at is None else None

    def name_of(self, key_id: str) -> str:
        """The name of the key with that id, "" where there is none."""
        key = self._current().get(key_id)
        return "" if key is None else key.name

    def colleagues(self) -> tuple[str, ...]:
        """The names of the people who have a personal key and work in the team of the person of this request."""
        person = SIGNED_IN.get()
        team = "" if person is None else person.team
        people = (key.person for key in self._current().values() if key.revoked_at is None)
        return tuple(sorted({each.name for each in people if not each.is_shared and each.team == team}))

    def key_id(self, token: str) -> str:
        """The key id in `token`, whether or not the token is valid; "" if no key has that id."""
        key_id = token[len(_PREFIX) + 1 : len(_PREFIX) + 9]
        return key_id if token.startswith(f"{_PREFIX}_") and key_id in self._current() else ""

    def valid_key(self, key_id: str) -> Key | None:
        """The key of that id, if there is one and it was not revoked."""
        key = self._current().get(key_id)
        return key if key is not None and key.revoked_at is None else None

    def session(self, key: Key) -> str:
        """A new session for the holder of a key, the value of a browser's cookie."""
        return self._sessions.start(key.key_id)

    def session_holder(self, session: str) -> Key | None:
        """The key of a session, if both are still valid.

        Raises
        ------
        StoreError
            If the ended sessions cannot be read.
        """
        key_id = self._sessions.holder(session) if self._may_be_sealed(session) else None
        return None if key_id is None else self.valid_key(key_id)

    def renewed_session(self, session: str) -> str | None:
        """A session with a new end of its idle time; None if it is not one of these, or does not need one yet."""
        return self._sessions.renewed(session) if self._may_be_sealed(session) else None

    def end_session(self, session: str) -> None:
        """End a session for every worker, so that a copy of its cookie is useless.

        Raises
        ------
        StoreError
            If that cannot be written.
        """
        if self._may_be_sealed(session):
            self._sessions.end(session)

    def _may_be_sealed(self, session: str) -> bool:
        """Whether the session names a key of this home.

        Checking the seal of any other would make a secret in the folder of the keys, which says that keys existed: a
        browser's cookie from another home would shut a home without keys.
        """
        return session.partition(".")[0] in self._current()

    def _current(self) -> dict[str, Key]:
        if self.stale:
            self._keys = {key.key_id: key for key in all_keys(self._home)}
            self._read_at = time.monotonic()
        return self._keys


def _hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _write(home: Path, key: Key) -> None:
    write_private(home / _FOLDER / f"{key.key_id}.json", key.model_dump_json(indent=2))


def _read(path: Path) -> Key:
    key = read_record(path, Key, advice=_ANOTHER)
    if key is None:
        raise StoreError(f"{path}: cannot be read (FileNotFoundError).")
    if key.key_id != path.stem:
        raise StoreError(f"{path}: is the file of another key. {_ANOTHER}")
    return key


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC).replace(microsecond=0)

"""The ledger of decisions: trainings, audits, signatures, promotions and rollbacks, in `HOME/decisions/`.

Tags and aliases in MLflow can be set by anybody who can open its page. What `promote` did and what a
reviewer decided is therefore read from this ledger alone; MLflow holds a copy of it for people to look at.
Entries are only ever added. Each is sealed with a key of the home and with the seal of the entry before it.
"""

import getpass
import logging
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal, NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict, ValidationError

from dnapredict.data.files.digests import FIRST_SEAL, seal_of
from dnapredict.data.files.file_lock import held
from dnapredict.data.files.private_files import write_private
from dnapredict.errors import StoreError

_LOG: Final = logging.getLogger("dnapredict.registry")
FOLDER: Final = "decisions"
_LEDGER: Final = "ledger.json"
_SECRET: Final = "ledger.secret"  # noqa: S105 - the name of a file
_LOCK: Final = "lock"
_KEY: Final = re.compile(r"[0-9a-f]{64}")
_SECONDS_TO_WAIT: Final = 10.0

Kind = Literal["training", "audit", "decision", "promotion", "rollback"]


class DecisionEntry(BaseModel):
    """One thing that was done.

    Attributes
    ----------
    at, by
        When (UTC), and under which account of the machine.
    data
        What it was about. `version`, `model` (SHA-256 of the manifest) and `content` (SHA-256 of the
        model's files, whoever trained it and when) are in most; `report` is SHA-256 of a report's page.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    kind: Kind
    at: str
    by: str
    data: dict[str, str]
    seal: str

    def __getitem__(self, key: str) -> str:
        """A value of `data`, "" where there is none."""
        return self.data.get(key, "")

    @property
    def when(self) -> str:
        """When it happened, where the entry was made later (see `adoption`)."""
        return self["audited_at"] or self.at


class Draft(NamedTuple):
    """What is to become an entry."""

    kind: Kind
    data: Mapping[str, str]


class _Ledger(BaseModel):
    """The whole file. `head` and `count` tell a file that was cut at the end of an entry."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    form: Literal[1] = 1
    count: int
    head: str
    entries: tuple[DecisionEntry, ...]


class Witness(Protocol):
    """Another place that knows how far the ledger went: a removed ledger, or an older copy, is told by it."""

    def read(self) -> str:
        """What was told last; "" where nothing was."""

    def write(self, head: str) -> None:
        """Keep how far the ledger went; raises StoreError where that cannot be done."""


@dataclass
class Decisions:
    """The ledger of one home.

    Raises
    ------
    StoreError
        From any method, if the ledger or its key is missing, damaged, changed, older than the witness says
        or cannot be written.
    """

    home: Path
    witness: Witness | None = None
    _read: tuple[bytes, tuple[DecisionEntry, ...]] | None = field(default=None, repr=False)

    @property
    def exists(self) -> bool:
        """Whether the home has a ledger."""
        return self._folder.exists()

    @property
    def begun(self) -> bool:
        """Whether the home has, or had, a ledger."""
        return self.exists or bool(self._seen())

    def begin(self, drafts: Iterable[Draft] = ()) -> None:
        """Make the ledger with these entries; the first of several processes makes it.

        The folder with ledger and key appears whole: one without the other is damage, and never the trace
        of a process that was killed.
        """
        if self.exists:
            return
        if self._seen():
            raise self._damaged(self._folder, "it is missing")
        key = secrets.token_hex(32)
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            fresh = Path(tempfile.mkdtemp(prefix=f".{FOLDER}-", dir=self.home))
            try:
                write_private(fresh / _SECRET, key)
                write_private(fresh / _LEDGER, _text(_sealed(drafts, (), key.encode())))
                _rename(fresh, self._folder)
            finally:
                shutil.rmtree(fresh, ignore_errors=True)
        except OSError as error:
            raise StoreError(f"{self._folder}: cannot be written ({error.strerror}).") from None

    def entries(self) -> tuple[DecisionEntry, ...]:
        """Every entry, oldest first, once each seal was checked."""
        path, key = self._folder / _LEDGER, self._key()
        seen = self._seen()  # before the ledger, which may be written meanwhile
        try:
            content = path.read_bytes()
        except OSError as error:
            raise self._damaged(path, f"it cannot be read: {error.strerror}") from None
        if self._read is None or content != self._read[0]:
            self._read = content, self._checked(content, key)
        entries = self._read[1]
        if seen and seen not in (_head(entries[:number]) for number in range(1, len(entries) + 1)):
            raise self._damaged(path, "it is an older copy, or another ledger than MLflow was told of")
        return entries

    def append(
        self,
        kind: Kind,
        data: Mapping[str, str],
        *,
        refuse: Callable[[tuple[DecisionEntry, ...]], None] | None = None,
    ) -> DecisionEntry:
        """Add an entry; it is on disk when this returns.

        `refuse` sees the entries that are there, while nobody else can add one, and raises where this one
        may not follow them.
        """
        otherwise = f"{self._folder}: another process writes to it for too long. Try again."
        self._key()  # a ledger that is not there is not begun by a lock in its folder
        with held(self._folder / _LOCK, otherwise=otherwise, seconds=_SECONDS_TO_WAIT):
            before = self.entries()
            if refuse is not None:
                refuse(before)
            if before and self._seen() != _head(before):  # a process was killed before it could tell
                self._tell(before)
            entries = _sealed([Draft(kind, data)], before, self._key())
            # Whole and not by appending: a process that is killed leaves no half of an entry.
            write_private(self._folder / _LEDGER, _text(entries))
            try:
                self._tell(entries)
            except StoreError as error:  # what was decided stands; the next entry tells it
                _LOG.warning("%s", error)
        return entries[-1]

    def _seen(self) -> str:
        return "" if self.witness is None else self.witness.read()

    def _tell(self, entries: tuple[DecisionEntry, ...]) -> None:
        if self.witness is not None:
            self.witness.write(_head(entries))

    @property
    def _folder(self) -> Path:
        return self.home / FOLDER

    def _key(self) -> bytes:
        path = self._folder / _SECRET
        try:
            key = path.read_text(encoding="ascii")
        except (OSError, ValueError):
            raise self._damaged(path, "it cannot be read") from None
        if not _KEY.fullmatch(key):
            raise self._damaged(path, "it does not hold the 64 hexadecimal digits that were written")
        return key.encode()

    def _checked(self, content: bytes, key: bytes) -> tuple[DecisionEntry, ...]:
        path = self._folder / _LEDGER
        try:
            ledger = _Ledger.model_validate_json(content)
        except ValidationError:
            raise self._damaged(path, "it is not as it was written") from None
        before = FIRST_SEAL
        for number, entry in enumerate(ledger.entries, start=1):
            if entry.number != number or entry.seal != _seal(entry, before=before, key=key):
                raise self._damaged(path, f"entry {number} is not as it was written")
            before = entry.seal
        if (ledger.count, ledger.head) != (len(ledger.entries), before):
            raise self._damaged(path, "entries at the end are missing")
        return ledger.entries

    @staticmethod
    def _damaged(path: Path, what: str) -> StoreError:
        return StoreError(
            f"{path}: {what}. It holds which versions were audited, signed for and promoted. Restore the "
            f"folder {FOLDER} of the home from a backup, with mlflow.db and mlruns as they were at that time."
        )


def _sealed(drafts: Iterable[Draft], before: tuple[DecisionEntry, ...], key: bytes) -> tuple[DecisionEntry, ...]:
    entries = list(before)
    at, by = datetime.now(UTC).isoformat(timespec="seconds"), _account()
    for draft in drafts:
        number, seal = len(entries) + 1, entries[-1].seal if entries else FIRST_SEAL
        entry = DecisionEntry(number=number, kind=draft.kind, at=at, by=by, data=dict(draft.data), seal="")
        entries.append(entry.model_copy(update={"seal": _seal(entry, before=seal, key=key)}))
    return tuple(entries)


def _seal(entry: DecisionEntry, *, before: str, key: bytes) -> str:
    return seal_of([entry.number, entry.kind, entry.at, entry.by, entry.data], before=before, key=key)


def _text(entries: tuple[DecisionEntry, ...]) -> str:
    head = entries[-1].seal if entries else FIRST_SEAL
    return _Ledger(count=len(entries), head=head, entries=entries).model_dump_json(indent=1) + "\n"


def _head(entries: tuple[DecisionEntry, ...]) -> str:
    """How far a ledger went: the number and the seal of its last entry."""
    return f"{entries[-1].number}:{entries[-1].seal}"


def _account() -> str:
    """The account of the machine; a container's user may have no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}" if hasattr(os, "getuid") else ""


def _rename(fresh: Path, folder: Path) -> None:
    """Put a folder in its place, unless another process did so first."""
    try:
        fresh.rename(folder)
    except OSError:
        if not folder.exists():
            raise

"""The memory of what a home has published, in `HOME/published/`, sealed and private.

It holds for each report the ranges that its printed numbers tell (see `publications`), never an exact count. Entries
are only added; each is sealed with a key of the home and with the seal of the previous entry, so that a changed or
shortened memory is noticed.
"""

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from dnapredict.data.files.atomic_write import private_folder, write_private
from dnapredict.data.files.digests import FIRST_SEAL, SecretError, entry_seal, read_or_make, read_secret
from dnapredict.data.files.file_lock import locked
from dnapredict.errors import StoreError
from dnapredict.fairness.disclosure.publications import Kind, Publication
from dnapredict.fairness.disclosure.published_before import PublishedBefore

FOLDER: Final = "published"
_FILE: Final = "published.json"
_SECRET: Final = "published.secret"  # noqa: S105 - the name of a file
_LOCK: Final = "lock"
_SECONDS_TO_WAIT: Final = 900.0  # another report is being made: as long as an audit of a large trust may take
NO_HOME: Final = (
    "This report was made without a home, which remembers what was published. Numbers that follow from comparing it "
    "with another report of the same appointments are not protected."
)
LOST: Final = (
    "The home's memory of what was published is missing, and this home has made reports before. Numbers that follow "
    "from comparing this report with those are not protected."
)


class _Entry(BaseModel):
    """A publication with its seal."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    publication: Publication
    seal: str


class _Memory(BaseModel):
    """The whole file; `count` and `head` reveal one that was cut at the end of an entry."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    form: Literal[1] = 1
    count: int
    head: str
    entries: tuple[_Entry, ...]


@dataclass
class PublicationMemory:
    """What a home has published, while no other process can publish; made by `remembered`.

    `note` says what is not protected, "" where everything is.
    """

    folder: Path | None
    note: str = ""
    key: bytes = field(default=b"", repr=False)
    entries: tuple[_Entry, ...] = ()

    def before(
        self, kind: Kind, window: tuple[date, date], *, data_sha256: str, listed: tuple[str, ...] = ()
    ) -> PublishedBefore | None:
        """What a new report must not be combined with; None where there is no home.

        `listed` tells which list its calls are of: model, capacity and rule.
        """
        if self.folder is None:
            return None
        digest = hashlib.sha256("\0".join(listed).encode()).hexdigest() if listed else ""
        earlier = tuple(entry.publication for entry in self.entries)
        return PublishedBefore(self.key, earlier, kind, *window, data=data_sha256, listed=digest)

    def keep(self, publication: Publication | None) -> None:
        """Remember a report, before it is written: one that was remembered and not written gives nothing away.

        Raises
        ------
        StoreError
            If the memory cannot be written.
        """
        if self.folder is None or publication is None:
            return
        if any(entry.publication == publication for entry in self.entries):
            return  # the same report again tells nothing new
        previous = self.entries[-1].seal if self.entries else FIRST_SEAL
        seal = entry_seal([publication.model_dump(mode="json")], previous=previous, key=self.key)
        self.entries = (*self.entries, _Entry(publication=publication, seal=seal))
        memory = _Memory(count=len(self.entries), head=seal, entries=self.entries)
        write_private(self.folder / _FILE, memory.model_dump_json() + "\n")


@contextlib.contextmanager
def remembered(home: Path | None, *, has_reports: bool = False) -> Iterator[PublicationMemory]:
    """The memory of a home, locked until the report is written.

    Of two reports that are made at the same time the second waits, since it must know what the first one printed.
    Without a home (no folder at `home`) nothing is remembered. `has_reports` is whether the home is known to have
    made reports.

    Raises
    ------
    StoreError
        If the memory was changed, its key is missing, or another report takes too long.
    """
    if home is None or not home.is_dir():
        yield PublicationMemory(None, NO_HOME)
        return
    folder = home / FOLDER
    try:
        private_folder(folder)
    except OSError as error:
        raise StoreError(f"{folder}: cannot be written ({error.strerror}).") from None
    busy = f"{folder}: another report of this home is being made. Try again when it is done."
    with locked(folder / _LOCK, busy_message=busy, seconds=_SECONDS_TO_WAIT):
        yield _read(folder, has_reports=has_reports)


def _read(folder: Path, *, has_reports: bool) -> PublicationMemory:
    path, known = folder / _FILE, (folder / _FILE).exists()
    # The key is made first: a key without a file is a memory that was deleted.
    had_key = (folder / _SECRET).exists()
    try:
        key = read_or_make(folder / _SECRET, used_for="the memory of publications is sealed with it" if known else "")
    except SecretError as error:
        raise _damage(path, str(error)) from None
    if not known:
        memory = PublicationMemory(folder, LOST if has_reports or had_key else "", key)
        write_private(path, _Memory(count=0, head=FIRST_SEAL, entries=()).model_dump_json() + "\n")
        return memory
    return PublicationMemory(folder, "", key, _verified(path, key))


def verify(home: Path) -> None:
    """Check the memory of a home, and change nothing; nothing is checked where there is none.

    Raises
    ------
    StoreError
        If it was changed or is missing, or its key is.
    """
    path, secret = home / FOLDER / _FILE, home / FOLDER / _SECRET
    if not path.exists() and secret.exists():
        raise _damage(path, "it is missing")
    if path.exists():
        try:
            _verified(path, read_secret(secret))
        except SecretError as error:
            raise _damage(path, str(error)) from None


def _verified(path: Path, key: bytes) -> tuple[_Entry, ...]:
    try:
        memory = _Memory.model_validate_json(path.read_bytes())
    except OSError as error:
        raise _damage(path, f"it cannot be read: {error.strerror}") from None
    except ValidationError:
        raise _damage(path, "it is not as it was written") from None
    previous = FIRST_SEAL
    for number, entry in enumerate(memory.entries, start=1):
        if entry.seal != entry_seal([entry.publication.model_dump(mode="json")], previous=previous, key=key):
            raise _damage(path, f"entry {number} is not as it was written")
        previous = entry.seal
    if (memory.count, memory.head) != (len(memory.entries), previous):
        raise _damage(path, "entries at the end are missing")
    return memory.entries


def _damage(path: Path, problem: str) -> StoreError:
    return StoreError(
        f"{path}: {problem}. It holds what this home has published, so that two reports give no small number back. "
        f"Restore the folder {FOLDER} of the home from a backup. If there is none, move that folder away: the next "
        "report then says that it is not protected against earlier ones."
    )

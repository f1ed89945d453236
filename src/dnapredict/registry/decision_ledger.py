"""The ledger of decisions, in `HOME/decisions/`: trainings, audits, signatures, promotions, rollbacks, policies.

Anybody who can open MLflow's page can set tags and aliases there. Promotions and reviewers' decisions are
therefore read from this ledger only; MLflow holds a copy for people to look at. Entries are only added,
never changed. Each is sealed with a key of the home and with the seal of the previous entry.
"""

import getpass
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, Literal, NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict, ValidationError

from dnapredict.data.files.atomic_write import create_folder, private_folder, write_private
from dnapredict.data.files.digests import FIRST_SEAL, SecretError, entry_seal, read_or_make, read_secret
from dnapredict.data.files.file_lock import locked
from dnapredict.data.files.operating_system import account_number
from dnapredict.data.system_clock import utc_now
from dnapredict.errors import StoreError, UnverifiedDecisionError
from dnapredict.registry.holdout_store import FOLDER as TESTED
from dnapredict.registry.tested_appointments import AUDITS, COVERAGE

_LOG: Final = logging.getLogger("dnapredict.registry")
FOLDER: Final = "decisions"
_LEDGER: Final = "ledger.json"
_HEAD: Final = "decisions.head"
_SECRET: Final = "ledger.secret"  # noqa: S105 - the name of a file
_LOCK: Final = "lock"
_SECONDS_TO_WAIT: Final = 10.0

# `policy` is a policy that an audit was judged by for the first time, `consent` a signatory's approval of another one,
# `end` the end of conditions that was noticed, `trial` the registration of a trial of the calls or its amendment,
# `removal` what retention has deleted of what a version was tested on.
Kind = Literal["training", "audit", "decision", "promotion", "rollback", "policy", "consent", "end", "trial", "removal"]


class DecisionEntry(BaseModel):
    """One entry of the ledger.

    Attributes
    ----------
    at, by
        Time (UTC), and account on the machine.
    data
        Details. Most entries have `version`, `model` (SHA-256 of the manifest) and `content` (SHA-256 of the model's
        files without provenance); `report` is the SHA-256 of a report's page.
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
        """Time of the audit; audits of an older home are entered later (see `adoption`)."""
        return self["audited_at"] or self.at


class NewEntry(NamedTuple):
    """An entry that is not in the ledger yet."""

    kind: Kind
    data: Mapping[str, str]


class _Ledger(BaseModel):
    """The whole file. `head` and `count` reveal a file that was cut at the end of an entry.

    In form 2 every head record was there when the file was written, so that a missing one is noticed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    form: Literal[1, 2] = 1
    count: int
    head: str
    entries: tuple[DecisionEntry, ...]


class HeadRecord(Protocol):
    """Another place that records the ledger's last entry, so that a removed or older ledger is noticed."""

    @property
    def place(self) -> str:
        """Where it is, as words for a message."""

    def read(self) -> str:
        """The head that was written last; "" where none was."""

    def write(self, head: str) -> None:
        """Record the head; raises StoreError where that fails."""


class HeadFile:
    """The head of the ledger in a file beside what models were tested on (a `HeadRecord`).

    Ledger and MLflow's database can be put back together from an older backup, which would bring a rejected version
    into use again. `HOME/tested/decisions.head` is in neither.
    """

    def __init__(self, home: Path) -> None:
        """Use the file of that home; nothing is read yet."""
        self._path = home / TESTED / _HEAD

    @property
    def place(self) -> str:
        """The path of the file."""
        return str(self._path)

    def read(self) -> str:
        """The head that was written last; "" where none was, as in a home of an earlier release."""
        try:
            return self._path.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            raise StoreError(f"{self._path}: cannot be read ({type(error).__name__}).") from None

    def write(self, head: str) -> None:
        """Record the head."""
        try:
            private_folder(self._path.parent)
            write_private(self._path, head + "\n")
        except OSError as error:
            raise StoreError(f"{self._path}: cannot be written ({error.strerror}).") from None


@dataclass
class Decisions:
    """The ledger of one home.

    Raises
    ------
    StoreError
        From any method, if the ledger or its key is missing, damaged, changed, older than its recorded head,
        or cannot be written.
    """

    home: Path
    head_records: tuple[HeadRecord, ...] = ()
    _verified: tuple[bytes, _Ledger] | None = field(default=None, repr=False)

    @property
    def exists(self) -> bool:
        """Whether the home has a ledger."""
        return self._folder.exists()

    @property
    def has_existed(self) -> bool:
        """Whether the home has or had a ledger.

        Only releases with a ledger keep tested appointments: a home that has them is not of an earlier release.
        """
        kept = any((self.home / TESTED / name).exists() for name in (COVERAGE, AUDITS))
        return self.exists or kept or any(record.read() for record in self.head_records)

    def create(self, new: Iterable[NewEntry] = ()) -> None:
        """Create the ledger with these entries, unless there is one.

        The folder appears with ledger and key complete: one without the other is damage, and never the trace
        of a process that was killed. Of several processes, the first creates it.
        """
        if self.exists:
            return
        if self.has_existed:
            raise self._damage(self._folder, "it is missing")
        try:
            private_folder(self.home)
            with create_folder(self._folder) as draft:
                key = read_or_make(draft / _SECRET)
                write_private(draft / _LEDGER, _as_json(_extended((), new, key)))
        except OSError as error:
            if not self.exists:  # otherwise another process was first
                raise StoreError(f"{self._folder}: cannot be written ({error.strerror}).") from None

    def entries(self) -> tuple[DecisionEntry, ...]:
        """Every entry, oldest first, after checking each seal."""
        path, key = self._folder / _LEDGER, self._key()
        # Before the ledger is read, which another process may extend.
        recorded = {record.place: record.read() for record in self.head_records}
        try:
            content = path.read_bytes()
        except OSError as error:
            raise self._damage(path, f"it cannot be read: {error.strerror}") from None
        if self._verified is None or content != self._verified[0]:
            ledger = self._verify(content, key)
            if self._verified is not None and not _continues(ledger, self._verified[1]):
                raise self._damage(path, "an entry is missing that was there before")
            self._verified = content, ledger
        ledger, entries = self._verified[1], self._verified[1].entries
        heads = {_head(entries[:number]) for number in range(1, len(entries) + 1)}
        for place, head in recorded.items():
            if not head and ledger.form > 1:
                raise self._damage(path, f"its last entry is not recorded in {place} any more")
            if head and head not in heads:
                raise self._damage(path, f"it is an older copy, or not the ledger that {place} has recorded")
        return entries

    def now(self) -> datetime:
        """The time (UTC), never before the last entry: a clock that is turned back revives nothing."""
        last = [datetime.fromisoformat(entry.at) for entry in self.entries()[-1:]] if self.exists else []
        return max([utc_now(), *last])

    def append(
        self,
        kind: Kind,
        data: Mapping[str, str],
        *,
        refuse: Callable[[tuple[DecisionEntry, ...]], None] | None = None,
    ) -> DecisionEntry:
        """Add an entry; it is on disk when this returns. Its time is never before that of the last one.

        `refuse` is given the existing entries while no other process can add one, and raises where the new
        entry may not follow them.
        """
        busy = f"{self._folder}: another process writes to it for too long. Try again."
        self._key()  # a missing ledger must not be created by a lock file in its folder
        with locked(self._folder / _LOCK, busy_message=busy, seconds=_SECONDS_TO_WAIT):
            # Read again under the lock: another process may have added a rejection since the caller looked.
            before = self.entries()
            if refuse is not None:
                refuse(before)
            are_recorded = bool(before) and all(record.read() for record in self.head_records)
            for record in self.head_records:
                if before and record.read() != _head(before):  # a process was killed before it recorded it
                    record.write(_head(before))
            entries = _extended(before, [NewEntry(kind, data)], self._key())
            # The whole file is written: a process that is killed while appending would leave half an entry.
            write_private(self._folder / _LEDGER, _as_json(entries, form=2 if are_recorded else 1))
            for record in self.head_records:
                try:
                    record.write(_head(entries))
                except StoreError as error:  # the decision counts; the next entry records the head
                    _LOG.warning("%s", error)
        return entries[-1]

    @property
    def _folder(self) -> Path:
        return self.home / FOLDER

    def _key(self) -> bytes:
        path = self._folder / _SECRET
        try:
            return read_secret(path)
        except SecretError:
            raise self._damage(path, "it does not hold the 64 hexadecimal digits that were written") from None
        except StoreError:
            raise self._damage(path, "it cannot be read") from None

    def _verify(self, content: bytes, key: bytes) -> _Ledger:
        path = self._folder / _LEDGER
        try:
            ledger = _Ledger.model_validate_json(content)
        except ValidationError:
            raise self._damage(path, "it is not as it was written") from None
        previous = FIRST_SEAL
        for number, entry in enumerate(ledger.entries, start=1):
            if entry.number != number or entry.seal != _seal(entry, previous=previous, key=key):
                raise self._damage(path, f"entry {number} is not as it was written")
            previous = entry.seal
        if (ledger.count, ledger.head) != (len(ledger.entries), previous):
            raise self._damage(path, "entries at the end are missing")
        return ledger

    @staticmethod
    def _damage(path: Path, problem: str) -> UnverifiedDecisionError:
        return UnverifiedDecisionError(
            f"{path}: {problem}. It holds which versions were audited, signed for and promoted. Restore the "
            f"folder {FOLDER} of the home from a backup, with mlflow.db, mlruns and tested as they were at that time."
        )


def _extended(entries: tuple[DecisionEntry, ...], new: Iterable[NewEntry], key: bytes) -> tuple[DecisionEntry, ...]:
    extended = list(entries)
    now = max([utc_now(), *(datetime.fromisoformat(entry.at) for entry in entries[-1:])])
    at, by = now.isoformat(timespec="seconds"), account_name()
    for kind, data in new:
        previous = extended[-1].seal if extended else FIRST_SEAL
        entry = DecisionEntry(number=len(extended) + 1, kind=kind, at=at, by=by, data=dict(data), seal="")
        extended.append(entry.model_copy(update={"seal": _seal(entry, previous=previous, key=key)}))
    return tuple(extended)


def _seal(entry: DecisionEntry, *, previous: str, key: bytes) -> str:
    return entry_seal([entry.number, entry.kind, entry.at, entry.by, entry.data], previous=previous, key=key)


def _as_json(entries: tuple[DecisionEntry, ...], *, form: Literal[1, 2] = 1) -> str:
    head = entries[-1].seal if entries else FIRST_SEAL
    return _Ledger(form=form, count=len(entries), head=head, entries=entries).model_dump_json(indent=1) + "\n"


def _continues(ledger: _Ledger, before: _Ledger) -> bool:
    """Whether a ledger holds every entry of another one; only the last seal is compared, which seals the others."""
    return before.count == 0 or (
        ledger.count >= before.count and ledger.entries[before.count - 1].seal == before.entries[-1].seal
    )


def _head(entries: tuple[DecisionEntry, ...]) -> str:
    """Number and seal of the last entry."""
    return f"{entries[-1].number}:{entries[-1].seal}"


def account_name() -> str:
    """The account on the machine, by number where it has no name, as in some containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return account_number()

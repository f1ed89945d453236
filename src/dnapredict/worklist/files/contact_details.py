"""The contact details of a kept list: names, numbers and notes, encrypted in a file that is deleted after the list.

`lists/ID.contacts` holds them for the list `lists/ID.parquet`, by the number of the line on the list, from 1. The file
is encrypted with AES-256-GCM with a key of the home (`contacts.key`) and bound to the list and to its last day, so
that neither can be exchanged. The last day precedes the ciphertext in plain text, so that the file can be deleted
without the key. The mark `lists/ID.contacts.made` holds that day too, so that a lost file is known until then, and both
count the writes, so that an older copy is not shown. Calls can be made and recorded without the file.
"""

import contextlib
import datetime
import json
import logging
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from dnapredict.data.files.atomic_write import write_atomically
from dnapredict.data.files.digests import read_or_make, read_secret
from dnapredict.data.files.encryption import decrypt, encrypt
from dnapredict.data.files.file_lock import locked
from dnapredict.data.files.loss_marks import mark_of, mark_writes, marked_writes, remove_with_mark
from dnapredict.data.readers.csv_dialect import ROW_NUMBER
from dnapredict.errors import DataError, StoreError
from dnapredict.worklist.files.contact_table import CARRIED, ContactDetails, carried_row, details_of
from dnapredict.worklist.files.kept_list import ENGLAND, KeptList
from dnapredict.worklist.files.list_files import CONTACTS, contacts_file, kept_list_ids, written_files

LONGEST_NOTE: Final = 500
KEY: Final = "contacts.key"
_LOCK: Final = "contacts.lock"
_SECONDS_TO_WAIT: Final = 10.0
_BUSY: Final = "The contact details of this home are being written by another process. Try again in a minute."
# Version 1, of earlier releases, does not count the writes.
_HEAD: Final = re.compile(rb"dnapredict contacts (?:1|2 writes (?P<writes>\d{1,12})) (?P<until>\d{4}-\d\d-\d\d)\n")
_SECONDS_OF_A_DRAFT: Final = 3_600
_DAY: Final = len("2026-12-21")
# The time zone in which a day ends.
_ZONE: Final = ZoneInfo(ENGLAND)
# Made once: `json.dumps` makes one for each row.
_ROWS: Final = json.JSONEncoder(separators=(",", ":"))
_LOG: Final = logging.getLogger("dnapredict.worklist")


class _OlderCopyError(ValueError):
    """The file is one that was replaced later."""


@dataclass(frozen=True)
class _Content:
    """The content of a file: details, notes by line number, and the last day on which they are kept.

    `details` contains a text line for each line of the list, "NUMBER JSON". A page shows a few of 20,000 lines, so one
    is searched for and the others are not parsed.
    """

    until: datetime.date
    details: bytes = field(default=b"", repr=False)
    notes: Mapping[int, str] = field(default_factory=dict, repr=False)

    def of(self, numbers: Iterable[int]) -> dict[int, ContactDetails]:
        """The details of these lines; those that the file does not have are left out."""
        found = {}
        for number in numbers:
            label = b"%d " % number
            start = 0 if self.details.startswith(label) else self.details.find(b"\n" + label) + 1
            if start or self.details.startswith(label):
                end = self.details.find(b"\n", start)
                found[number] = _from_json(self.details[start + len(label) : end if end >= 0 else None])
        return found

    def all(self) -> dict[int, ContactDetails]:
        """The details of every line."""
        lines = (line.partition(b" ") for line in self.details.splitlines())
        return {int(number): _from_json(row) for number, _, row in lines}


def carried_lines(home: Path, kept: KeptList, names: Sequence[str]) -> pa.Table:
    """The columns of `CARRIED` among `names`, a row for each line of a list; none once the details are deleted."""
    details = read(home, kept.heading.list_id)
    chosen = [name for name in names if name in CARRIED] if details else []
    rows = [carried_row(details.get(line, ContactDetails())) for line in range(1, kept.worklist.num_rows + 1)]
    return pa.table({name: pa.array([row[name] for row in rows], pa.string()) for name in chosen})


def by_line(kept: KeptList, details: Mapping[int, ContactDetails]) -> dict[int, ContactDetails]:
    """The contact details by line number of a list, from those by row number of the file that was scored."""
    numbers = kept.worklist[ROW_NUMBER].to_pylist()
    return {line: details[row] for line, row in enumerate(numbers, start=1) if row in details}


def last_day(kept: KeptList, *, contact_days: int) -> datetime.date | None:
    """The last day on which the contact details of a list are kept; None where no appointment has a time."""
    scored = kept.worklist.filter(pc.is_null(kept.worklist["error"]))
    last: datetime.datetime | None = None
    if "starts_at" in scored.column_names:
        last = pc.max(scored["starts_at"]).as_py()
    if last is None:
        return None
    day = last.replace(tzinfo=datetime.UTC).astimezone(kept.heading.zone).date()
    return day + datetime.timedelta(days=contact_days)


def keep_those_of(
    home: Path, kept: KeptList, contacts: pa.Table | None, *, contact_days: int
) -> dict[int, ContactDetails]:
    """Save the contact columns of the file from which `kept` was made; return them by line.

    Nothing is saved for a list whose appointments are over.

    Raises
    ------
    StoreError
        If the home cannot be written to.
    """
    rows = {} if contacts is None else by_line(kept, details_of(contacts))
    until = last_day(kept, contact_days=contact_days)
    if rows and until is not None and until >= _today():
        keep(home, kept.heading.list_id, rows, until)
    return rows


def keep(home: Path, list_id: str, rows: Mapping[int, ContactDetails], until: datetime.date) -> None:
    """Save the contact details of a list, by line, until the end of the day `until`; its notes do not change.

    Raises
    ------
    StoreError
        If the home cannot be written to.
    """
    with _writing(home):
        before = _content(home, list_id)
        written = b"\n".join(b"%d %b" % (number, _as_json(each)) for number, each in rows.items())
        _write(home, list_id, _Content(until, written, {} if before is None else before.notes))


def add_details(home: Path, list_id: str, rows: Mapping[int, ContactDetails], until: datetime.date) -> None:
    """Add the contact details of these lines to those of a list, as `keep`.

    Raises
    ------
    StoreError
        If what is kept cannot be read, which would be replaced, or the home cannot be written to.
    """
    with _writing(home):
        content = _content_to_change(home, list_id) or _Content(until)
        added = b"\n".join(b"%d %b" % (number, _as_json(each)) for number, each in rows.items())
        others = b"\n".join(each for each in content.details.splitlines() if int(each.partition(b" ")[0]) not in rows)
        _write(home, list_id, _Content(until, b"\n".join(filter(None, (others, added))), content.notes))


def read(home: Path, list_id: str, rows: Sequence[int] | None = None) -> Mapping[int, ContactDetails]:
    """The contact details of a list by line, of all lines or of `rows`; {} where there are none any more.

    An unreadable or lost file is logged and counts as deleted: calls can be made and recorded without it.
    """
    return read_with_notes(home, list_id, rows)[0]


def read_with_notes(
    home: Path, list_id: str, rows: Sequence[int] | None = None
) -> tuple[Mapping[int, ContactDetails], Mapping[int, str]]:
    """The contact details of `read`, and the notes of the list, by line: the file is decrypted once for both."""
    content = _content(home, list_id)
    if content is None:
        return {}, {}
    return content.all() if rows is None else content.of(rows), content.notes


def notes(home: Path, list_id: str) -> Mapping[int, str]:
    """All notes of a list, by line."""
    return read_with_notes(home, list_id, ())[1]


def set_note(home: Path, list_id: str, row: int, text: str, *, until: datetime.date) -> None:
    """Replace the note about a line of a list; an empty text removes it.

    Parameters
    ----------
    until
        The last day on which the note is kept (`last_day`), where nothing else about the list is kept so far.

    Raises
    ------
    DataError
        If it is longer than `LONGEST_NOTE` characters: then the earlier note stays.
    StoreError
        If what is kept about the list cannot be read, which would be replaced, or the home cannot be written to.
    """
    text = "\n".join(" ".join(line.split()) for line in text.splitlines()).strip()
    if len(text) > LONGEST_NOTE:
        raise DataError(f"A note may have {LONGEST_NOTE} characters, and this one has {len(text)}. Shorten it.")
    with _writing(home):
        content = _content_to_change(home, list_id) or _Content(until)
        changed = {number: each for number, each in {**content.notes, row: text}.items() if each}
        _write(home, list_id, replace(content, notes=changed))


def add_notes(home: Path, list_id: str, notes: Mapping[int, str], *, until: datetime.date) -> None:
    """Add notes by line to a list; a line that has a note keeps its own.

    Raises
    ------
    StoreError
        As `set_note`.
    """
    with _writing(home):
        content = _content_to_change(home, list_id) or _Content(until)
        _write(home, list_id, replace(content, notes={**notes, **content.notes}))


def damaged(home: Path) -> Iterator[str]:
    """A sentence for each file of contact details that is not due and cannot be read or is lost."""
    for path in written_files(home, CONTACTS):
        until = _until(path) if path.exists() else _marked_day(path)
        if until is not None and until < _today():
            continue
        try:
            _opened(home, path.stem, marked=marked_writes(path), sealed=path.read_bytes())
        except FileNotFoundError:
            yield _lost(path)
        except (OSError, StoreError, ValueError) as error:
            yield _unreadable(path, error)


def remove_due(home: Path, *, today: datetime.date | None = None) -> int:
    """Delete the contact details of lists whose last day is over, and of lists that are gone; return their number.

    A file whose last day cannot be read is deleted too, because its day of deletion is unknown.
    """
    # The files first: each is written after its list, so that no list is missing that a file found here belongs to.
    files = [*written_files(home, CONTACTS), *_folder(home).glob(f".*{CONTACTS}")]
    lists, today = kept_list_ids(home), today or _today()
    return sum(map(_remove, (path for path in files if _is_due(path, lists=lists, today=today))))


def _is_due(path: Path, *, lists: frozenset[str], today: datetime.date) -> bool:
    if path.name.startswith("."):  # the draft of another process, or what a killed one left
        with contextlib.suppress(OSError):
            return time.time() - path.stat().st_mtime > _SECONDS_OF_A_DRAFT
        return False
    if path.stem not in lists:
        return True
    if path.exists():
        until = _until(path)
        return until is None or until < today
    until = _marked_day(path)
    return until is not None and until < today  # until then the loss is to be told


def _remove(path: Path) -> bool:
    try:
        return remove_with_mark(path)
    except OSError:  # another process was faster
        return False


def _folder(home: Path) -> Path:
    return contacts_file(home, "").parent


@contextlib.contextmanager
def _writing(home: Path) -> Iterator[None]:
    """Hold the lock for reading and rewriting these files, so that no note of another process is lost."""
    with locked(_folder(home) / _LOCK, busy_message=_BUSY, seconds=_SECONDS_TO_WAIT, make_folder=True):
        yield


def key_in(secret: bytes) -> bytes:
    """The key in the content of the file `KEY`, which has it in hexadecimal digits."""
    return bytes.fromhex(secret.decode("ascii").strip())


def _write(home: Path, list_id: str, content: _Content) -> None:
    path = contacts_file(home, list_id)
    writes = 1 + max(_head_of(path)[1], marked_writes(path))
    head = _head(content.until, writes)
    key = key_in(read_or_make(home / KEY))
    sealed = encrypt(_plain(content), key, bound_to=_bound_to(head, list_id))
    with write_atomically(path) as draft:
        draft.write_bytes(head + sealed)
    mark_writes(path, writes, says=content.until.isoformat())


def _content(home: Path, list_id: str) -> _Content | None:
    """The content of a list's file; None if there is no file, it is due to be deleted, or it cannot be read."""
    path = contacts_file(home, list_id)
    marked = marked_writes(path)
    try:
        sealed = path.read_bytes()
    except FileNotFoundError:
        if _is_lost(path):
            _log_once(_lost(path))
        return None
    except OSError as error:
        _log_once(f"{path}: the contact details cannot be read ({type(error).__name__}).")
        return None
    head = _HEAD.match(sealed)
    if head is not None and datetime.date.fromisoformat(head["until"].decode()) < _today():
        return None
    try:
        return _opened(home, list_id, sealed, marked=marked)
    except (StoreError, ValueError) as error:
        _log_once(_unreadable(path, error))
        return None


def _content_to_change(home: Path, list_id: str) -> _Content | None:
    """The content of a list's file, to which something is added; None where nothing is kept.

    A file that cannot be read may be whole again once it or the key is restored, and a lost one may come back: neither
    is replaced by one that holds the addition alone.
    """
    content, path = _content(home, list_id), contacts_file(home, list_id)
    if content is None and is_unreadable(home, list_id):
        raise StoreError(
            "The contact details of this list cannot be read, so that nothing is added to them: "
            f"{path.name} is missing, damaged or an older copy. `dnapredict doctor` says which; upload the list again, "
            f"restore the file, or remove {mark_of(path).name}, and the file if it is damaged, to go on without them."
        )
    return content


def _unreadable(path: Path, error: Exception) -> str:
    if isinstance(error, _OlderCopyError):
        return (
            f"{path}: is an older copy: contact details or notes of this list were written later. Calls can be made "
            "and recorded without them; upload the list again to restore them. No note is kept until then; to go on "
            f"with this copy on purpose, remove {mark_of(path).name}."
        )
    return (
        f"{path}: the contact details cannot be read ({type(error).__name__}): the file or {KEY} is damaged, or "
        "from another home. Calls can be made and recorded without them; upload the list again to restore them."
    )


def is_unreadable(home: Path, list_id: str) -> bool:
    """Whether the contact details of a list are kept and cannot be read, or were lost before their last day."""
    path = contacts_file(home, list_id)
    if not path.exists():
        return _is_lost(path)
    until = _until(path)
    return (until is None or until >= _today()) and _content(home, list_id) is None


def _is_lost(path: Path) -> bool:
    if not mark_of(path).exists() or path.exists():
        return False
    until = _marked_day(path)
    return until is None or until >= _today()


def _marked_day(path: Path) -> datetime.date | None:
    """The last day in the mark of a file; None where there is no mark, or it is damaged."""
    try:
        return datetime.date.fromisoformat(mark_of(path).read_text(encoding="ascii")[:_DAY])
    except (OSError, ValueError):
        return None


def _lost(path: Path) -> str:
    return (
        f"{path}: the contact details of this list are missing, and they were kept here. Calls can be made and "
        "recorded without them. Restore the file from a backup, or upload the list again; if it was removed on "
        f"purpose, remove {mark_of(path).name} too."
    )


def _opened(home: Path, list_id: str, sealed: bytes, *, marked: int) -> _Content:
    """The content of a file, `marked` being the writes in its mark, read before it."""
    head = _HEAD.match(sealed)
    if head is None:
        raise ValueError("no file of contact details")
    key = key_in(read_secret(home / KEY))
    plain = decrypt(sealed[head.end() :], key, bound_to=_bound_to(head[0], list_id))
    noted, _, details = plain.partition(b"\n")
    notes = {int(number): text for number, text in json.loads(noted).items()}
    if int(head["writes"] or 0) < marked:
        raise _OlderCopyError
    return _Content(datetime.date.fromisoformat(head["until"].decode()), details, notes)


def _head(until: datetime.date, writes: int) -> bytes:
    return f"dnapredict contacts 2 writes {writes} {until.isoformat()}\n".encode()


def _bound_to(head: bytes, list_id: str) -> bytes:
    """What the ciphertext is bound to: the count and the last day in front of it, and its list."""
    return head + list_id.encode()


def _plain(content: _Content) -> bytes:
    """The notes in one line, and a line for each row: JSON has no line breaks of its own."""
    notes = json.dumps(content.notes).encode()
    return b"\n".join([notes, content.details]) if content.details else notes


def _as_json(details: ContactDetails) -> bytes:
    birth_date = details.birth_date and details.birth_date.isoformat()
    row = [details.name, birth_date, details.telephones, details.language, details.preferred_time, details.kinds]
    return _ROWS.encode(row).encode()


def _from_json(row: bytes) -> ContactDetails:
    name, birth_date, telephones, language, preferred_time, kinds = json.loads(row)
    born = birth_date and datetime.date.fromisoformat(birth_date)
    return ContactDetails(name, born, tuple(telephones), language, preferred_time, tuple(kinds))


def _until(path: Path) -> datetime.date | None:
    return _head_of(path)[0]


def _head_of(path: Path) -> tuple[datetime.date | None, int]:
    """The last day and the count of writes in front of the ciphertext; None and 0 where they cannot be read."""
    try:
        with path.open("rb") as file:
            head = _HEAD.match(file.readline(80))
        return (
            (None, 0)
            if head is None
            else (datetime.date.fromisoformat(head["until"].decode()), int(head["writes"] or 0))
        )
    except (OSError, ValueError):
        return None, 0


def _today() -> datetime.date:
    return _now().astimezone(_ZONE).date()


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


@lru_cache(maxsize=1_000)
def _log_once(message: str) -> None:
    _LOG.error("%s", message)

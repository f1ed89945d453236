"""Uploaded files that are kept until a person has chosen the meaning of their columns, encrypted with a browser's key.

The next request may reach another worker process, so the file cannot be kept in memory. The disk holds only the
ciphertext (AES-256-GCM). The key is not stored: it is part of the form that the browser sends back. A file that a
killed process leaves behind cannot be read, and is removed after half an hour.
"""

import base64
import binascii
import contextlib
import re
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dnapredict.data.files.atomic_write import write_atomically
from dnapredict.data.files.encryption import decrypt, encrypt
from dnapredict.errors import DataError, StoreError
from dnapredict.service.log.answer_entries import REQUESTED_BY

_FOLDER: Final = "uploads"
_SUFFIX: Final = ".sealed"
_SECONDS_KEPT: Final = 1_800
# A person who uploads again and again must not fill the disk: 8 MB each.
_MOST_WAITING: Final = 100
_TICKET: Final = re.compile(r"(?P<id>[0-9a-f]{16})\.(?P<key>[A-Za-z0-9_-]{43}=)")
_GONE: Final = "The file was deleted: an upload is kept for half an hour. Choose it again."


@dataclass(frozen=True)
class PendingUpload:
    """An uploaded file: its name, as its sender gave it, and its bytes."""

    name: str
    content: bytes = field(repr=False)


def keep(home: Path, upload: PendingUpload) -> str:
    """Keep a file encrypted, and return its ticket: its id and its key, for the browser alone.

    Raises
    ------
    StoreError
        If the home cannot be written to.
    """
    _remove_outdated(home / _FOLDER)
    upload_id, key = secrets.token_hex(8), secrets.token_bytes(32)
    name = upload.name.encode()
    plain = len(name).to_bytes(4) + name + upload.content
    with write_atomically(_path(home, upload_id)) as draft:
        draft.write_bytes(encrypt(plain, key, bound_to=_bound_to(upload_id)))
    return f"{upload_id}.{base64.urlsafe_b64encode(key).decode()}"


def read(home: Path, ticket: str) -> PendingUpload:
    """The file of a ticket, for the person who uploaded it.

    Raises
    ------
    DataError
        If there is no such file any more, or somebody else uploaded it.
    StoreError
        If it cannot be read.
    """
    match = _TICKET.fullmatch(ticket)
    if match is None:
        raise DataError(_GONE)
    path = _path(home, match["id"])
    try:
        if path.stat().st_mtime < time.time() - _SECONDS_KEPT:  # it is removed when the next file comes
            raise DataError(_GONE)
        sealed = path.read_bytes()
        key = base64.urlsafe_b64decode(match["key"])
        plain = decrypt(sealed, key, bound_to=_bound_to(match["id"]))
    except (FileNotFoundError, binascii.Error, ValueError):
        raise DataError(_GONE) from None
    except OSError as error:
        raise StoreError(f"{home / _FOLDER}: cannot be read ({type(error).__name__}).") from None
    end = 4 + int.from_bytes(plain[:4])
    return PendingUpload(plain[4:end].decode(), plain[end:])


def _path(home: Path, upload_id: str) -> Path:
    return home / _FOLDER / f"{upload_id}{_SUFFIX}"


def _bound_to(upload_id: str) -> bytes:
    """What the ciphertext is bound to: its file, and the person who sent it."""
    return f"{upload_id} {REQUESTED_BY.get()}".encode()


def remove_expired(home: Path) -> int:
    """Remove files that waited for longer than half an hour, and return their number."""
    return _remove_outdated(home / _FOLDER)


def _remove_outdated(folder: Path) -> int:
    """Remove files that are too old, and the oldest if there are too many; other processes may do the same."""
    aged = []
    for path in folder.glob(f"*{_SUFFIX}"):
        with contextlib.suppress(OSError):
            aged.append((path.stat().st_mtime, path))
    aged.sort(reverse=True)
    oldest, removed = time.time() - _SECONDS_KEPT, 0
    for position, (at, path) in enumerate(aged, start=1):
        if at < oldest or position >= _MOST_WAITING:
            with contextlib.suppress(OSError):
                path.unlink()
                removed += 1
    return removed

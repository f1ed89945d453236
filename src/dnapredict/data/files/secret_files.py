"""Secrets of a home: 64 hexadecimal characters in a file that only its owner may read.

A secret is checked whenever it is read, and never replaced in silence: with another secret nothing that
was hashed before is found again, so that a patient's wish not to be called would be lost.
"""

import hashlib
import hmac
import re
import secrets
from pathlib import Path
from typing import Final

from dnapredict.data.files.private_files import written_once
from dnapredict.data.patient_numbers import one_form
from dnapredict.errors import StoreError

PATIENT: Final = "patient"
AS_WRITTEN: Final = "patient as written"
"""Kinds of values that are hashed, of which the second was the first before patients had one form."""

# An operator's editor may add a line end. It is part of the key, as it always was.
_FORM: Final = re.compile(rb"[0-9a-f]{64}\n?")


class SecretError(StoreError):
    """A secret of the home is missing, damaged or another one."""


def read_or_make(path: Path, *, used_for: str = "") -> bytes:
    """The secret at `path`; a new one where there is none and nothing was hashed with one yet.

    Parameters
    ----------
    used_for
        What was hashed with it, in words; "" where nothing was. A missing secret is then an error.

    Raises
    ------
    SecretError
        If it is missing although it was used, or is not 64 hexadecimal characters.
    StoreError
        If it cannot be read or made.
    """
    if used_for and not path.exists():
        raise SecretError(f"{path}: this secret is missing, and {used_for}. Restore it from a backup.")
    found = written_once(path, secrets.token_hex(32)).encode()
    if not _FORM.fullmatch(found):
        raise SecretError(
            f"{path}: this secret is damaged: expected 64 hexadecimal characters, found {len(found)} bytes. "
            "Restore it from a backup. Do not delete it: without it nothing recorded before is found again."
        )
    return found


def keyed_hash(secret: bytes, kind: str, value: str) -> str:
    """HMAC-SHA-256 of a value of that kind. Without the key ten digits could be found by trying them all.

    A number of the kind "patient" is hashed in its one form, so that a patient is known again whatever a
    spreadsheet made of it; "patient as written" gives what was recorded before that was so.
    """
    if kind == PATIENT:
        value = one_form(value)
    elif kind == AS_WRITTEN:
        kind = PATIENT
    return hmac.new(secret, f"{kind}\0{value}".encode(), hashlib.sha256).hexdigest()

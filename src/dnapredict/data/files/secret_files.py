"""Secrets of a home: 64 hexadecimal characters in a file that only its owner may read.

A secret is checked whenever it is read and never silently replaced: with a new secret no earlier hash can
be matched, so that a patient's wish not to be called would be lost.
"""

import hashlib
import hmac
import re
import secrets
from pathlib import Path
from typing import Final

from dnapredict.data.files.atomic_write import write_once
from dnapredict.data.patient_numbers import normal_form
from dnapredict.errors import StoreError

PATIENT: Final = "patient"
AS_WRITTEN: Final = "patient as written"
"""Kinds of values that are hashed. Releases before 0.3 hashed a patient's number as it was written."""

# An operator's editor may add a line end, which is then part of the key.
_FORM: Final = re.compile(rb"[0-9a-f]{64}\n?")


class SecretError(StoreError):
    """A secret of the home is missing, damaged, or not the one that was used before."""


def read_or_make(path: Path, *, used_for: str = "") -> bytes:
    """The secret at `path`; a new one is made where there is none and nothing was hashed with one yet.

    Parameters
    ----------
    used_for
        What was hashed with it, as a clause for the message; a missing secret is then an error. "" where
        nothing was hashed with it yet.

    Raises
    ------
    SecretError
        If it is missing although it was used, or is not 64 hexadecimal characters.
    StoreError
        If it cannot be read or made.
    """
    if used_for and not path.exists():
        raise SecretError(f"{path}: this secret is missing, and {used_for}. Restore it from a backup.")
    write_once(path, secrets.token_hex(32))
    return read_secret(path)


def read_secret(path: Path) -> bytes:
    """The secret at `path`, as it is in the file.

    Raises
    ------
    SecretError
        If it is not 64 hexadecimal characters.
    StoreError
        If it cannot be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({type(error).__name__}).") from None
    if not _FORM.fullmatch(content):
        raise SecretError(
            f"{path}: this secret is damaged: expected 64 hexadecimal characters, found {len(content)} bytes. "
            "Restore it from a backup. Do not delete it: without it nothing recorded before is found again."
        )
    return content


def keyed_hash(secret: bytes, kind: str, value: str) -> str:
    """HMAC-SHA-256 of a value of that kind. Without the key ten digits could be found by trying them all.

    A number of the kind `PATIENT` is hashed in its normal form, so that a patient is recognised whatever a
    spreadsheet made of the number; `AS_WRITTEN` matches what earlier releases recorded.
    """
    if kind == PATIENT:
        value = normal_form(value)
    elif kind == AS_WRITTEN:
        kind = PATIENT
    return hmac.new(secret, f"{kind}\0{value}".encode(), hashlib.sha256).hexdigest()

"""Digests of files, seals that chain the entries of a log, and the secrets with which patients' numbers are hashed.

A secret of a home is 64 hexadecimal characters in a file that only its owner may read. It is checked whenever it is
read and never silently replaced: with a new secret no earlier hash can be matched, so that a patient's wish not to be
called would be lost.
"""

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

from dnapredict.data.files.atomic_write import write_once
from dnapredict.errors import StoreError

# Made once: `json.dumps` makes one for each entry.
_ENTRIES: Final = json.JSONEncoder(allow_nan=False, sort_keys=True)
FIRST_SEAL: Final = "0" * 64
"""The seal before the first entry."""


def entry_seal(values: Sequence[Any], *, previous: str, key: bytes = b"") -> str:
    """The seal of an entry with these `values`, SHA-256 in hexadecimal.

    Parameters
    ----------
    previous
        The seal of the previous entry, or `FIRST_SEAL`.
    key
        With a key the seal is an HMAC, which nobody can make without the key; without one anybody can
        check the chain.
    """
    text = (previous + _ENTRIES.encode(values)).encode()
    return hmac.new(key, text, hashlib.sha256).hexdigest() if key else hashlib.sha256(text).hexdigest()


_KEY: Final = b"dnapredict.sha256"
_BLANK: Final = b"sha256:" + b"0" * 64
UNSEALED: Final = {_KEY: _BLANK}
"""Metadata of a Parquet file in which `seal` will replace the placeholder by the digest."""

# A Parquet file ends with the length of its metadata and four letters.
_END_BYTES: Final = 8
_BYTES_AT_ONCE: Final = 4_194_304
_SEAL: Final = re.compile(rb"sha256:[0-9a-f]{64}")
_SEALED_JSON: Final = re.compile(rb'\{"sha256":"([0-9a-f]{64})",')


def file_sha256(path: Path) -> str:
    """SHA-256 of a file in hexadecimal, as the command `sha256sum` prints it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def seal(path: Path, *, name: str) -> None:
    """Write the digest of a Parquet file into the file itself, whose metadata must hold `UNSEALED`.

    The file stays a valid Parquet file, since the digest replaces a placeholder of the same length. `name` is
    hashed too, so that one sealed file cannot be put in the place of another.
    """
    start = _footer_start(path)
    with path.open("rb+") as file:
        file.seek(start)
        at = start + file.read().rindex(_BLANK)
        digest = _streamed_seal(file, name, at=at)
        file.seek(at)
        file.write(digest)


def is_intact_file(path: Path, *, name: str) -> bool:
    """Whether a sealed Parquet file of any size is what was written under this name; it is read in parts.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    start = _footer_start(path)
    with path.open("rb") as file:
        found = _seal_in_footer(file, start)
        return found is not None and found.group() == _streamed_seal(file, name, at=start + found.start())


def seal_of(path: Path) -> str:
    """The digest that `seal` wrote into a Parquet file, in hexadecimal; "" where there is none.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    with path.open("rb") as file:
        found = _seal_in_footer(file, _footer_start(path))
    return "" if found is None else found.group().decode().removeprefix("sha256:")


def _seal_in_footer(file: BinaryIO, start: int) -> re.Match[bytes] | None:
    """The last seal in the metadata of a Parquet file, which begin at `start`."""
    file.seek(start)
    footer = file.read()
    at = footer.rfind(b"sha256:")
    return _SEAL.match(footer, at) if at >= 0 else None


def _footer_start(path: Path) -> int:
    """Where the metadata of a Parquet file begin; the end of a file that is too short to have any."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - _END_BYTES))
        length = int.from_bytes(file.read(4), "little")
    return max(0, size - _END_BYTES - length)


def _streamed_seal(file: BinaryIO, name: str, *, at: int) -> bytes:
    """The seal of an open file, with the placeholder in place of the seal at that position."""
    digest = hashlib.sha256(f"{name}\0".encode())
    file.seek(0)
    position = 0
    while part := file.read(_BYTES_AT_ONCE):
        # The seal may lie across two parts.
        first, last = max(at, position), min(at + len(_BLANK), position + len(part))
        if first < last:
            blank = _BLANK[first - at : last - at]
            part = part[: first - position] + blank + part[last - position :]
        digest.update(part)
        position += len(part)
    return b"sha256:" + digest.hexdigest().encode()


def has_seal(content: bytes) -> bool:
    """Whether a Parquet file was written with a seal; those of earlier releases were not."""
    return _KEY in content


def is_intact(content: bytes, *, name: str) -> bool:
    """Whether the content of a sealed Parquet file is what was written under this name."""
    # The seal is in the footer, after any text of the table that might look like one.
    start = content.rfind(b"sha256:")
    seal = _SEAL.match(content, start) if start >= 0 else None
    if seal is None:
        return False
    blank = content[:start] + _BLANK + content[seal.end() :]
    return seal.group() == _file_seal(blank, name)


def sealed_json(text: str) -> str:
    """A JSON object with its digest as first member, `sha256`.

    >>> sealed_json('{"a":1}')[:20]
    '{"sha256":"015abd7f5'
    """
    return f'{{"sha256":"{hashlib.sha256(text.encode()).hexdigest()}",{text[1:]}'


def unsealed_json(content: bytes) -> bytes | None:
    """The object that `sealed_json` was given; None where it was changed since.

    Content that does not begin with a digest is returned unchanged: earlier releases wrote none.

    >>> unsealed_json(sealed_json('{"a":1}').encode())
    b'{"a":1}'
    >>> unsealed_json(sealed_json('{"a":1}').replace("1}", "2}").encode()) is None
    True
    """
    sealed = _SEALED_JSON.match(content)
    if sealed is None:
        return content
    text = b"{" + content[sealed.end() :]
    return text if hashlib.sha256(text).hexdigest().encode() == sealed.group(1) else None


def _file_seal(blank: bytes, name: str) -> bytes:
    digest = hashlib.sha256(f"{name}\0".encode())
    digest.update(blank)
    return b"sha256:" + digest.hexdigest().encode()


_BLANKS: Final = re.compile(r"[\s\u200b\ufeff]+")
_DIGITS: Final = re.compile(r"[0-9]+(?:\.0)?")


def normal_form(number: str) -> str:
    """The number without blanks, leading zeros and ".0", so that its patient is always recognised.

    Excel drops leading zeros and adds ".0", systems pad with blanks, and NHS numbers are written in groups.
    Numbers with letters stay as they are: the case of a pseudonym may matter.

    >>> [normal_form(each) for each in ("0005913", "5913.0", " 943 476 5919", " Ab 17 ", "000")]
    ['5913', '5913', '9434765919', 'Ab 17', '0']
    """
    bare = _BLANKS.sub("", number)
    if not _DIGITS.fullmatch(bare):
        return number.strip(" \t\n\r\v\f\u00a0\u200b\ufeff")
    return bare.removesuffix(".0").lstrip("0") or "0"


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
    return hmac.digest(secret, f"{kind}\0{value}".encode(), "sha256").hex()  # a third of the time of `hmac.new`

"""SHA-256 digests that detect a changed file, and seals that chain the entries of a log."""

import hashlib
import hmac
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

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
    text = (previous + json.dumps(values, allow_nan=False, sort_keys=True)).encode()
    return hmac.new(key, text, hashlib.sha256).hexdigest() if key else hashlib.sha256(text).hexdigest()


_KEY: Final = b"dnapredict.sha256"
_BLANK: Final = b"sha256:" + b"0" * 64
UNSEALED: Final = {_KEY: _BLANK}
"""Metadata of a Parquet file in which `seal` will replace the placeholder by the digest."""

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
    content = path.read_bytes()
    at = content.rindex(_BLANK)
    with path.open("rb+") as file:
        file.seek(at)
        file.write(_file_seal(content, name))


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

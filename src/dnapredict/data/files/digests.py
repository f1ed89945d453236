"""SHA-256 digests that show whether a file is still as it was written, and seals that chain entries of a log."""

import hashlib
import hmac
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

FIRST_SEAL: Final = "0" * 64
"""Stands before the first entry."""


def seal_of(values: Sequence[Any], *, before: str, key: bytes = b"") -> str:
    """The seal of an entry with these `values`, SHA-256 in hexadecimal.

    Parameters
    ----------
    before
        The seal of the entry before it, or `FIRST_SEAL`.
    key
        With a key the seal is an HMAC, which nobody can make without the key; without one anybody can
        check the chain.
    """
    text = (before + json.dumps(values, allow_nan=False, sort_keys=True)).encode()
    return hmac.new(key, text, hashlib.sha256).hexdigest() if key else hashlib.sha256(text).hexdigest()


_KEY: Final = b"dnapredict.sha256"
_BLANK: Final = b"sha256:" + b"0" * 64
UNSEALED: Final = {_KEY: _BLANK}
"""Metadata of a Parquet file that `seal` will put the digest into."""

_SEAL: Final = re.compile(rb"sha256:[0-9a-f]{64}")
_SEALED_JSON: Final = re.compile(rb'\{"sha256":"([0-9a-f]{64})",')


def file_sha256(path: Path) -> str:
    """SHA-256 of a file in hexadecimal, as the command `sha256sum` prints it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def seal(path: Path, *, name: str) -> None:
    """Put the digest of a Parquet file into the file itself, which was written with `UNSEALED`.

    The file stays a valid Parquet file, since the digest replaces a blank of the same length. `name` is
    part of what is hashed, so that two sealed files cannot be taken for each other.
    """
    content = path.read_bytes()
    at = content.rindex(_BLANK)
    with path.open("rb+") as file:
        file.seek(at)
        file.write(_seal_of(content, name))


def has_seal(content: bytes) -> bool:
    """Whether a Parquet file was written to be sealed; those of earlier versions were not."""
    return _KEY in content


def is_intact(content: bytes, *, name: str) -> bool:
    """Whether the content of a sealed Parquet file is what was written under this name."""
    found = _last_seal(content)
    if found is None:
        return False
    blank = content[: found.start()] + _BLANK + content[found.end() :]
    return found.group() == _seal_of(blank, name)


def sealed_json(text: str) -> str:
    """A JSON object with its digest as first member, `sha256`.

    >>> sealed_json('{"a":1}')[:20]
    '{"sha256":"015abd7f5'
    """
    return f'{{"sha256":"{hashlib.sha256(text.encode()).hexdigest()}",{text[1:]}'


def unsealed_json(content: bytes) -> bytes | None:
    """The object that `sealed_json` was given, None where it is not as it was written.

    What does not begin with a digest is returned as it is: earlier versions wrote none.

    >>> unsealed_json(sealed_json('{"a":1}').encode())
    b'{"a":1}'
    >>> unsealed_json(sealed_json('{"a":1}').replace("1}", "2}").encode()) is None
    True
    """
    found = _SEALED_JSON.match(content)
    if found is None:
        return content
    text = b"{" + content[found.end() :]
    return text if hashlib.sha256(text).hexdigest().encode() == found.group(1) else None


def _seal_of(blank: bytes, name: str) -> bytes:
    digest = hashlib.sha256(f"{name}\0".encode())
    digest.update(blank)
    return b"sha256:" + digest.hexdigest().encode()


def _last_seal(content: bytes) -> re.Match[bytes] | None:
    """The seal stands in the footer, after any text of the table that might look like one."""
    at = content.rfind(b"sha256:")
    return _SEAL.match(content, at) if at >= 0 else None

"""Search all that a verb could write for marked values of patients, whatever form they have there.

A file is read as its bytes, in UTF-8 and UTF-16, and as what it holds: members of archives, columns of Parquet files,
rows of SQLite databases with what was deleted and not overwritten yet, unpacked gzip. Identifiers are also looked for
as binary numbers, and as digests that nobody needs a secret to make.
"""

import contextlib
import gzip
import hashlib
import io
import sqlite3
import stat
import struct
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

__all__ = ["MARKS", "PATIENTS_FROM", "Fault", "MarkSearch", "all_open", "hashed", "modes_that_are_open"]

PATIENTS_FROM = 988_765_432_000_000
"""The first of the patients' numbers: so long that no other number begins with the same nine digits."""
MARKS: Mapping[str, tuple[str, ...]] = {
    "appointment": ("qzxappt",),
    "patient": ("988765432", "9.88765432"),
    "area": ("qzxlsoa",),
    "ethnic code": ("qzxethnic",),
    "language": ("qzxlang",),
    "name": ("qzxname", "zebra made-up"),
    "telephone": ("7700900987", "7700 900987", "7700 900 987"),
    "email": ("qzxmail",),
    "postcode": ("qz7 9xq", "qz79xq"),
    "birth date": ("1903-02-11", "11/02/1903"),
    "free text": ("qzxfree", "prefers mornings"),
    "bad cell": ("qzxcell",),
}
"""What to look for, in small letters, by what it is."""
_LARGEST_MEMBER = 50_000_000


@dataclass(frozen=True)
class Fault:
    """A marked value where it must not be: the file, what was found, and why that is wrong."""

    file: str
    what: str
    why: str

    def __str__(self) -> str:
        return f"{self.file}: {self.what}: {self.why}"


def hashed(identifiers: Iterable[str]) -> dict[bytes, str]:
    """Digests of the identifiers that need no secret, in the forms in which they could be written."""
    found: dict[bytes, str] = {}
    for name in identifiers:
        for kind in ("md5", "sha1", "sha256", "blake2b"):
            digest = hashlib.new(kind, name.encode()).digest()
            found |= {digest.hex()[:16].encode(): kind, digest[:8]: kind, digest[:8][::-1]: kind}
        short = hashlib.blake2b(name.encode(), digest_size=8).digest()
        found |= dict.fromkeys((short, short[::-1], short.hex().encode()), "blake2b of 64 bits")
    return found


@dataclass
class MarkSearch:
    """A search for `MARKS` and digests; what a file of some content holds is searched once.

    `seen` is all that was found anywhere, to know that it was searched where values are.
    """

    digests: Mapping[bytes, str] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    _known: dict[str, frozenset[str]] = field(default_factory=dict)

    def in_file(self, path: Path) -> frozenset[str]:
        """What of `MARKS` the file holds, and "digest" where it holds one of an identifier."""
        try:
            content = path.read_bytes()
        except FileNotFoundError:  # a link that leads nowhere
            return frozenset()
        name = hashlib.sha256(content).hexdigest()
        if name not in self._known:
            self._known[name] = self.in_content(content)
        return self._known[name]

    def in_content(self, content: bytes) -> frozenset[str]:
        """As `in_file`, of bytes that are in no file."""
        found = frozenset(self._found(content))
        self.seen |= found
        return found

    def _found(self, content: bytes) -> Iterator[str]:
        for form in _forms(content):
            small = form.lower()
            for kind, texts in MARKS.items():
                if any(text.encode() in small or text.encode("utf-16-le") in small for text in texts):
                    yield kind
            if any(number in form for number in _NUMBERS):
                yield "patient"
            if any(digest in form for digest in self.digests):
                yield "digest"


def _numbers() -> Iterator[bytes]:
    """The upper bytes that all patients' numbers share, as integers and floats of 64 bits in either order."""
    for form in ("q", "d"):
        low, high = (struct.pack(f">{form}", PATIENTS_FROM + number) for number in (0, 99_999))
        shared = next(at for at in range(8) if low[at] != high[at])
        for last in range(low[shared], high[shared] + 1):
            start = low[:shared] + bytes([last])
            yield start
            yield start[::-1]


_NUMBERS = tuple(_numbers())


def _forms(content: bytes) -> Iterator[bytes]:
    """The bytes, and what they mean."""
    yield content
    with contextlib.suppress(OSError, ValueError, EOFError, pa.ArrowException, sqlite3.Error, zipfile.BadZipFile):
        if content[:4] == b"PAR1":
            yield from _columns(content)
        elif content[:2] == b"PK":
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                for member in archive.infolist():
                    if member.file_size < _LARGEST_MEMBER:
                        yield from _forms(archive.read(member))
        elif content[:2] == b"\x1f\x8b":
            yield from _forms(gzip.decompress(content))
        elif content[:15] == b"SQLite format 3":
            yield _rows(content)


def _columns(content: bytes) -> Iterator[bytes]:
    table = pq.read_table(pa.BufferReader(content))
    yield str(table.schema.metadata).encode()
    for column in table.columns:
        for chunk in column.chunks:
            yield str(chunk.to_pylist()).encode()
            yield b"\n".join(bytes(buffer) for buffer in chunk.buffers() if buffer is not None)


def _rows(content: bytes) -> bytes:
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(content)
        connection = sqlite3.connect(f"file:{file.name}?mode=ro&immutable=1", uri=True)
        with contextlib.closing(connection):
            return "\n".join(connection.iterdump()).encode()


def modes_that_are_open(path: Path, within: Path) -> Iterator[str]:
    """The file, and the folders above it within the folder `within`, that group or others may read or enter."""
    for each in (path, *path.parents):
        if each == within.parent:
            return
        mode = stat.S_IMODE(each.lstat().st_mode)
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            yield f"{each.name} has mode {mode:04o}"


def all_open(path: Path, within: Path) -> bool:
    """Whether another account can read the file: it and every folder above it within `within` is open to others."""
    above = path.relative_to(within).parents
    can_enter = all((within / each).stat().st_mode & (stat.S_IXGRP | stat.S_IXOTH) for each in above)
    return can_enter and bool(path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))

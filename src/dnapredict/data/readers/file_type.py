"""What a file is, and whether it may be read: its type by its first bytes, and limits on its size.

A name can say anything, so name and content must agree. Each limit is checked before the resource is used, so that no
file takes all of a machine's memory or disk: the size of a file before it is opened, the declared size of an archive
before it is unpacked, the growth of a compressed file while it is unpacked.
"""

import io
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO, Any, Final
from xml.parsers import expat

from dnapredict.errors import DataError

READ: Final = "CSV, CSV.GZ, XLSX or Parquet"


class FileType(StrEnum):
    """The types of files that can be read."""

    TEXT = "delimited text"
    WORKBOOK = "an XLSX workbook"
    PARQUET = "a Parquet file"


_ENDINGS: Final[Mapping[str, FileType]] = {
    ".csv": FileType.TEXT,
    ".csv.gz": FileType.TEXT,
    ".tsv": FileType.TEXT,
    ".txt": FileType.TEXT,
    ".xlsx": FileType.WORKBOOK,
    ".xlsm": FileType.WORKBOOK,
    ".parquet": FileType.PARQUET,
}
_SIGNATURES: Final = ((b"PK\x03\x04", FileType.WORKBOOK), (b"PAR1", FileType.PARQUET))
_FOREIGN: Final = (
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"BM", "a picture"),
    (b"II*\x00", "a picture"),
    (b"MM\x00*", "a picture"),
    (b"%PDF", "a PDF document"),
    (b"{\\rtf", "a text document"),
    (b"7z\xbc\xaf", "a compressed archive"),
    (b"Rar!", "a compressed archive"),
    (b"BZh", "a compressed archive"),
    (b"\x28\xb5\x2f\xfd", "a compressed archive"),
    (b"SQLite format 3", "a database"),
)
_OLD_OFFICE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
# The name of the stream that holds an encrypted workbook, as the old container writes names.
_ENCRYPTED: Final = "EncryptedPackage".encode("utf-16-le")
_MARKUP: Final = (b"<html", b"<table", b"<!doctype", b"<?xml")
# Bytes within which an old container has its list of streams.
_LOOKED_AT: Final = 1_048_576


def file_type_of(path: Path) -> FileType:
    """The type of `path`, where its name and its first bytes agree.

    Raises
    ------
    DataError
        If the file is missing or empty, of a type that cannot be read, or of another than its name says.
    """
    _require_content(path)
    with path.open("rb") as file:
        start = file.read(_LOOKED_AT)
    named = _type_by_name(path)
    actual = next((file_type for signature, file_type in _SIGNATURES if start.startswith(signature)), FileType.TEXT)
    _refuse_foreign(path, start, named)
    if named is not FileType.TEXT and actual is FileType.TEXT:
        raise DataError(f"{path}: is not {named}, or it is damaged.")
    if actual is not named:
        raise DataError(f"{path}: is {actual}, which its name does not say. Give it the right ending.")
    return actual


def require_file(path: Path) -> None:
    """Refuse a path that is no file.

    Raises
    ------
    DataError
        If it does not exist, or is a folder, a pipe or a device.
    """
    if path.is_dir():
        raise DataError(f"{path}: is a folder. Give a file ({READ}).")
    if not path.exists():
        raise DataError(f"{path}: no such file.")
    if not path.is_file():
        raise DataError(f"{path}: is no file but a pipe or a device. Give a file ({READ}).")


def _require_content(path: Path) -> None:
    require_file(path)
    if path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty. Expected a table of appointments ({READ}).")


def _type_by_name(path: Path) -> FileType:
    name = path.name.lower()
    if name.endswith(".xls"):
        raise DataError(f"{path}: is named as a workbook of the old form. Open it and save it as .xlsx.")
    file_type = next((file_type for ending, file_type in _ENDINGS.items() if name.endswith(ending)), None)
    if file_type is None:
        raise DataError(f"{path}: a file of this kind cannot be read. Expected {READ}.")
    return file_type


def _refuse_foreign(path: Path, start: bytes, named: FileType) -> None:
    if start.startswith(_OLD_OFFICE):
        if _ENCRYPTED in start:
            raise DataError(f"{path}: is protected by a password. Open it and save it without one.")
        raise DataError(f"{path}: is an Office file of the old form. Open it and save it as .xlsx.")
    for signature, what in _FOREIGN:
        # A text may begin with "BM" too, but only a binary file has a NUL soon.
        if start.startswith(signature) and b"\x00" in start[:4_096]:
            raise DataError(f"{path}: is {what}, not text. Expected {READ}.")
    if start[:4_096].lstrip(b"\xef\xbb\xbf \r\n\t").lower().startswith(_MARKUP):
        raise DataError(f"{path}: is a web page or XML, not {named}. Open it in Excel and save it as .xlsx.")
    if start.startswith((b"%PDF", b"\x89PNG", b"\xff\xd8\xff", b"{\\rtf")):
        raise DataError(f"{path}: is a document or a picture, not text. Expected {READ}.")


_MIB: Final = 1_048_576
_GIB: Final = 1_024 * _MIB
# Below this many bytes even a thousandfold growth is harmless.
_RATIO_COUNTS_FROM: Final = _MIB
_MOST_PARTS: Final = 1_000
# Bytes of an archive's table of contents; an entry takes 46 bytes and its name.
_MOST_CONTENTS: Final = 256 * 1_024


@dataclass(frozen=True)
class FileLimits:
    """The largest file that is read.

    Attributes
    ----------
    file_bytes
        On disk.
    expanded_bytes
        After unpacking; the same for a file that is not packed.
    ratio
        Unpacked to packed bytes. A synthetic extract is packed to a seventh, an archive bomb to less than a
        hundredth.
    rows, columns
        Of the table, without its header.
    """

    file_bytes: int
    expanded_bytes: int
    ratio: int
    rows: int
    columns: int

    def check_size(self, path: Path) -> None:
        """Refuse a file that is too large on disk.

        Raises
        ------
        DataError
        """
        if path.stat().st_size > self.file_bytes:
            raise DataError(f"{path}: is larger than {_size(self.file_bytes)}, the most that is read. Split it.")

    def check_growth(self, path: Path, *, packed: int, unpacked: int) -> None:
        """Refuse a compressed file that has grown too far.

        Raises
        ------
        DataError
        """
        grown = unpacked > _RATIO_COUNTS_FROM and unpacked > self.ratio * max(1, packed)
        if grown or unpacked > self.expanded_bytes:
            raise DataError(
                f"{path}: unpacks to more than {_size(self.expanded_bytes)}, or to more than {self.ratio} "
                "times its size, which no table of appointments does. Export it again."
            )

    def check_archive(self, path: Path) -> None:
        """Refuse a workbook that declares too large a size, or whose XML would grow when read.

        Python's unpacker stops at the declared size, so a false declaration gains nothing.

        Raises
        ------
        DataError
            Also if the file is no archive, or a damaged one.
        """
        try:
            with _Contents(path) as file, zipfile.ZipFile(file) as archive:
                self._check_parts(path, archive.infolist())
                grows = any(_declares_doctype(archive, part) for part in archive.infolist())
        except _TooLong:
            raise _too_many_parts(path) from None
        except (zipfile.BadZipFile, zlib.error, ValueError, RuntimeError, NotImplementedError, OSError):
            raise DataError(f"{path}: is not an XLSX workbook, or it is damaged.") from None
        if grows:
            raise DataError(f"{path}: declares a document type, which no workbook does. Export it again.")

    def _check_parts(self, path: Path, parts: Sequence[zipfile.ZipInfo]) -> None:
        if len(parts) > _MOST_PARTS:
            raise _too_many_parts(path)
        for part in parts:
            self.check_growth(path, packed=part.compress_size, unpacked=part.file_size)
        self.check_growth(path, packed=self.expanded_bytes, unpacked=sum(part.file_size for part in parts))

    def check_rows(self, path: Path, rows: int) -> None:
        """Refuse a table of too many rows.

        Raises
        ------
        DataError
        """
        if rows > self.rows:
            raise DataError(f"{path}: has more than {self.rows:,} rows, the most that is read. Split it.")

    def check_columns(self, path: Path, columns: int) -> None:
        """Refuse a table of too many columns.

        Raises
        ------
        DataError
        """
        if columns > self.columns:
            raise DataError(f"{path}: has {columns:,} columns, and may have {self.columns:,}.")


# Delimited text and Parquet: the appointments of a whole integrated care board over years.
EXTRACT: Final = FileLimits(64 * _GIB, 64 * _GIB, ratio=100, rows=1_000_000_000, columns=2_000)
# A workbook is unpacked and read cell by cell; a sheet of Excel has at most 1,048,576 rows.
WORKBOOK: Final = FileLimits(100 * _MIB, _GIB, ratio=100, rows=1_048_575, columns=2_000)


class _TooLong(Exception):  # noqa: N818 - caught by the function that opened the file
    """The table of contents of an archive is too long."""


class _Contents(io.FileIO):
    """A file that refuses to read a too long table of contents.

    `zipfile` reads the whole table and makes an object of each entry before it can tell their number: for a
    table of 6 MB that takes a quarter of a second and 200 MB.
    """

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > _MOST_CONTENTS:
            raise _TooLong
        return super().read(size)


_AT_ONCE: Final = 4_096


class _FirstMarkup(Exception):  # noqa: N818 - it ends the parsing and is no error
    """The first markup of a part was reached."""

    def __init__(self, is_doctype: bool) -> None:
        self.is_doctype = is_doctype


def declares_doctype(part: IO[bytes]) -> bool:
    """Whether a document type is declared, which XML allows only before the first element.

    Nothing after that is read. A part that is no XML declares none; the reader of the workbook refuses it.

    >>> import io
    >>> declares_doctype(io.BytesIO(b"<!DOCTYPE w [<!ENTITY a 'b'>]><w>&a;</w>"))
    True
    >>> declares_doctype(io.BytesIO(b"<w><!-- <!DOCTYPE w> --></w>"))
    False
    """
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = _doctype
    parser.StartElementHandler = _element
    try:
        while content := part.read(_AT_ONCE):
            parser.Parse(content)
    except _FirstMarkup as first:
        return first.is_doctype
    except (expat.ExpatError, ValueError, LookupError):
        return False
    return False


def _doctype(*_: Any) -> None:
    raise _FirstMarkup(True)


def _element(*_: Any) -> None:
    raise _FirstMarkup(False)


def _declares_doctype(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> bool:
    with archive.open(part) as content:
        return declares_doctype(content)


def _too_many_parts(path: Path) -> DataError:
    return DataError(f"{path}: has more than {_MOST_PARTS:,} parts, which no list of appointments has.")


def _size(count: int) -> str:
    return f"{count // _GIB:,} GiB" if count >= _GIB else f"{count // _MIB:,} MiB"

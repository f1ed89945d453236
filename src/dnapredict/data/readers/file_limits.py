"""Limits on the size of files, so that none takes all of a machine's memory or disk.

Each limit is checked before the resource is used: the size of a file before it is opened, the declared size of
an archive before it is unpacked, the growth of a compressed file while it is unpacked.
"""

import io
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dnapredict.data.readers.file_type import declares_doctype
from dnapredict.errors import DataError

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


class _TooLong(Exception):  # noqa: N818 - caught by whoever opened the file
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


def _declares_doctype(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> bool:
    with archive.open(part) as content:
        return declares_doctype(content)


def _too_many_parts(path: Path) -> DataError:
    return DataError(f"{path}: has more than {_MOST_PARTS:,} parts, which no list of appointments has.")


def _size(count: int) -> str:
    return f"{count // _GIB:,} GiB" if count >= _GIB else f"{count // _MIB:,} MiB"

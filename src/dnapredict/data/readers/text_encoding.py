"""Convert a text file of any compression and encoding to UTF-8.

The embedded engine reads UTF-8. A file that is UTF-8 already is used directly; any other is copied, a piece at a
time, into a folder that is removed with the workspace.
"""

import codecs
import gzip
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from dnapredict.data.readers.file_limits import FileLimits
from dnapredict.errors import DataError

_PIECE: Final = 4 * 1_048_576
_GZIP: Final = b"\x1f\x8b"
UTF_8: Final = "UTF-8"
UTF_16: Final = "UTF-16"
WINDOWS_1252: Final = "Windows-1252"
_MARKS: Final = ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


@dataclass(frozen=True)
class Plain:
    """UTF-8 text: its path, the original file, and the encoding of that."""

    path: Path
    source: Path
    encoding: str


def plain_text(source: Path, new_file: Callable[[], Path], *, limits: FileLimits) -> Plain:
    """The text of `source` as UTF-8.

    Text that is not UTF-8 is read as Windows-1252, which British spreadsheets write; UTF-16 is recognised by its
    byte-order mark.

    Parameters
    ----------
    new_file
        Returns the path of a new file, which the caller removes.

    Raises
    ------
    DataError
        If the compressed file is damaged, cut short or grows too far, or the bytes are no text.
    """
    path = _unpacked(source, new_file, limits)
    codec, encoding = _encoding(path)
    if encoding == UTF_8:
        return Plain(path, source, encoding)
    recoded = new_file()
    _recode(path, recoded, codec, source)
    if path != source:
        path.unlink()
    return Plain(recoded, source, encoding)


def _unpacked(source: Path, new_file: Callable[[], Path], limits: FileLimits) -> Path:
    with source.open("rb") as file:
        if file.read(2) != _GZIP:
            return source
    copy, packed, unpacked = new_file(), source.stat().st_size, 0
    try:
        with gzip.open(source) as archive, copy.open("wb") as out:
            while piece := archive.read(_PIECE):
                unpacked += len(piece)
                limits.check_growth(source, packed=packed, unpacked=unpacked)
                out.write(piece)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise DataError(f"{source}: the compressed file is damaged or cut short. Export it again.") from None
    if not unpacked:
        raise DataError(f"{source}: the file is empty. Expected a table of appointments.")
    return copy


def _encoding(path: Path) -> tuple[str, str]:
    """The codec, and its common name."""
    with path.open("rb") as file:
        start = file.read(2)
        codec = next((codec for mark, codec in _MARKS if start == mark), None)
        if codec:
            return codec, UTF_16
        file.seek(0)
        return ("utf-8", UTF_8) if _is_utf_8(file) else ("cp1252", WINDOWS_1252)


def _is_utf_8(file: BinaryIO) -> bool:
    """Whether all bytes are UTF-8. Most pieces are ASCII, which is checked much faster."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    between = False
    try:
        for piece in _pieces(file):
            if between or not piece.isascii():
                decoder.decode(piece)
                between = bool(decoder.getstate()[0])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _recode(path: Path, out: Path, codec: str, source: Path) -> None:
    decoder = codecs.getincrementaldecoder(codec)()
    try:
        with path.open("rb") as file, out.open("wb") as copy:
            for piece in _pieces(file):
                copy.write(decoder.decode(piece).encode())
            copy.write(decoder.decode(b"", final=True).encode())
    except UnicodeError:
        raise DataError(
            f"{source}: is not text in UTF-8, Windows-1252 or UTF-16. Save it as 'CSV UTF-8' and try again."
        ) from None


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(_PIECE):
        yield piece

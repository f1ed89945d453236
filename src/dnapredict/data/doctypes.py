"""Find XML that declares a document type: no workbook may have one, and its entities can grow without end."""

from typing import IO, Any, Final
from xml.parsers import expat

__all__ = ["declares_doctype"]

_AT_ONCE: Final = 4_096


class _Found(Exception):  # noqa: N818 - it ends the reading, and is no error
    """What came first in a part."""

    def __init__(self, is_doctype: bool) -> None:
        self.is_doctype = is_doctype


def declares_doctype(part: IO[bytes]) -> bool:
    """Whether a document type is declared before the first element, which is where it has to stand.

    Read no further than that. What is no XML declares none; whoever reads it on will say so.

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
    except _Found as found:
        return found.is_doctype
    except (expat.ExpatError, ValueError, LookupError):
        return False
    return False


def _doctype(*_: Any) -> None:
    raise _Found(True)


def _element(*_: Any) -> None:
    raise _Found(False)

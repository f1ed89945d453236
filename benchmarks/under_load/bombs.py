"""Workbooks of a few kilobytes or megabytes that would take a machine's time and memory if they were read."""

import io
import zipfile
from collections.abc import Mapping
from typing import Final

import openpyxl

__all__ = ["BOMBS", "form", "workbook"]

_SHEET: Final = "xl/worksheets/sheet1.xml"
_UNPACKED: Final = 400 * 1_048_576
_PARTS: Final = 60_000
_LAUGHS: Final = 10
_NAMESPACE: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def one_part() -> bytes:
    """400 MB in one part: the archive's table of contents says so."""
    return _archive({_SHEET: b"0" * _UNPACKED})


def many_parts() -> bytes:
    """60,000 parts with nothing in them, 6 MB of table of contents."""
    return _archive({f"xl/{number}": b"" for number in range(_PARTS)})


def far_cell() -> bytes:
    """Two cells: the first one, and the last that a sheet can have."""
    cells = '<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
    return _workbook(f'<worksheet xmlns="{_NAMESPACE}"><sheetData>{cells}</sheetData></worksheet>')


def laughs() -> bytes:
    """A cell whose text is an entity of entities, ten times over: gigabytes when it is written out."""
    entities = '<!ENTITY e0 "ha">' + "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, _LAUGHS))
    cell = f'<row r="1"><c r="A1" t="inlineStr"><is><t>&e{_LAUGHS - 1};</t></is></c></row>'
    head = f'<?xml version="1.0"?><!DOCTYPE w [{entities}]>'
    return _workbook(f'{head}<worksheet xmlns="{_NAMESPACE}"><sheetData>{cell}</sheetData></worksheet>')


def merged() -> bytes:
    """One value for all 17 billion cells of a sheet."""
    cells = '<row r="1"><c r="A1"><v>1</v></c><c r="B1"><v>1</v></c></row><row r="2"><c r="A2"><v>1</v></c></row>'
    whole = '<mergeCells count="1"><mergeCell ref="A1:XFD1048576"/></mergeCells>'
    sheet = f"<sheetData>{cells}</sheetData>{whole}"
    return _workbook(f'<worksheet xmlns="{_NAMESPACE}">{sheet}</worksheet>')


def workbook() -> bytes:
    """A small one that is no list of appointments."""
    cells = '<row r="1"><c r="A1"><v>1</v></c></row>'
    return _workbook(f'<worksheet xmlns="{_NAMESPACE}"><sheetData>{cells}</sheetData></worksheet>')


def form(content: bytes) -> bytes:
    """The workbook as a browser sends it, with the boundary `x`."""
    head = b'--x\r\ncontent-disposition: form-data; name="file"; filename="week.xlsx"\r\n\r\n'
    return head + content + b"\r\n--x--\r\n"


def _workbook(sheet: str) -> bytes:
    """A workbook as openpyxl writes it, with another sheet in it."""
    written = io.BytesIO()
    openpyxl.Workbook().save(written)
    with zipfile.ZipFile(written) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    return _archive(parts | {_SHEET: sheet.encode()})


def _archive(parts: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return packed.getvalue()


BOMBS: Final = {
    "of_400_mb": one_part(),
    "of_60000_parts": many_parts(),
    "with_a_far_cell": far_cell(),
    "of_entities": laughs(),
    "merged_as_a_whole": merged(),
}

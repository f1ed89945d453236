"""Rows of a worksheet are those that openpyxl reads, whatever wrote the workbook, and damage is refused as there."""

import datetime
import io
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import xlsxwriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl.worksheet._read_only import ReadOnlyWorksheet
from tests.nasty_lists import every_case

from dnapredict.data.readers.excel_rows import open_workbook, sheet_rows

FORMATS = (
    "General",
    "0.00%",
    "@",
    "dd/mm/yyyy",
    "[$-809]d mmmm yyyy;@",
    "hh:mm",
    "[h]:mm:ss",
    '"day" 0',
    "#,##0;[Red]-#,##0",
)
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=12) | st.sampled_from(
    [
        "",
        " ",
        "a & b <c>",
        " two  spaces ",
        "line\nline",
        "_x000D_",
        "_x005F_x",
        "x005F_",
        "#N/A",
        "]]>",
        "&#10;",
        "é\u2028",
    ]
)
NUMBERS = st.one_of(
    st.integers(-(10**18), 10**18),
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(-2, 60_000),
    st.sampled_from([0, 0.1 + 0.2, 1, 59, 59.5, 60, 61, 0.9999999999, 1e15, 2_958_466, 99_999_999, -1]),
)
MOMENTS = st.datetimes(datetime.datetime(1900, 1, 1), datetime.datetime(2100, 1, 1))
Cell = tuple[str, Any, str]


@st.composite
def cells(draw: st.DrawFn) -> Cell:
    """A kind of cell, its value, and its number format."""
    kind = draw(st.sampled_from(["text", "number", "moment", "bool", "formula", "blank", "nothing"]))
    values = {"text": TEXTS, "number": NUMBERS, "moment": MOMENTS, "bool": st.booleans()}
    results = st.one_of(TEXTS, NUMBERS, st.booleans(), st.sampled_from(["#DIV/0!", "#NUM!", "#N/A"]))
    return kind, draw(values.get(kind, results if kind == "formula" else st.none())), draw(st.sampled_from(FORMATS))


SHEETS = st.lists(st.lists(cells(), max_size=5), max_size=6)


def by_xlsxwriter(rows: list[list[Cell]], **options: Any) -> bytes:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True, "strings_to_formulas": False, **options}) as book:
        sheet = book.add_worksheet()
        formats = {each: book.add_format({"num_format": each}) for each in FORMATS}
        for number, row in enumerate(rows):
            for column, (kind, value, form) in enumerate(row):
                if kind == "formula":
                    sheet.write_formula(number, column, "=A1&B1", formats[form], value)
                elif kind == "blank":
                    sheet.write_blank(number, column, None, formats[form])
                elif kind == "text":
                    sheet.write_string(number, column, value, formats[form])
                elif kind == "moment":
                    sheet.write_datetime(number, column, value, formats[form])
                elif kind != "nothing":
                    sheet.write(number, column, value, formats[form])
        sheet.merge_range(7, 0, 9, 1, "merged")
    return out.getvalue()


def by_openpyxl(rows: list[list[Cell]]) -> bytes:
    book, out = openpyxl.Workbook(), io.BytesIO()
    for number, row in enumerate(rows, start=1):
        for column, (kind, value, form) in enumerate(row, start=1):
            if kind not in ("nothing", "formula"):
                book.active.cell(number, column, value).number_format = form
    book.save(out)
    return out.getvalue()


def parts(**changed: str) -> bytes:
    """A workbook with one of its parts written by hand."""
    out, whole = io.BytesIO(), by_xlsxwriter([[("text", "a", "General"), ("text", "b", "dd/mm/yyyy")]])
    with zipfile.ZipFile(io.BytesIO(whole)) as before, zipfile.ZipFile(out, "w") as after:
        for part in before.infolist():
            name = Path(part.filename).stem
            after.writestr(part.filename, changed.get(name, before.read(part)))
    return out.getvalue()


MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
HEAD = f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\r\n<worksheet xmlns="{MAIN}"><sheetData>'
TAIL = '</sheetData><pageMargins left="1" right="1" top="1" bottom="1" header="1" footer="1"/></worksheet>'
WRITTEN = [
    '<c r="{}"><v>7</v></c>',
    '<c r="{}" s="1"><v>45689.25</v></c>',
    '<c r="{}" t="n" s="0"><v>1E3</v></c>',
    '<c r="{}" t="s"><v>1</v></c>',
    '<c r="{}" s="1" t="s"><v>0</v></c>',
    '<c r="{}" t="b"><v>1</v></c>',
    '<c r="{}" t="e"><v>#NUM!</v></c>',
    '<c r="{}" t="d"><v>2026-11-30T09:30:00</v></c>',
    '<c r="{}" t="str"><f>A1&amp;"x"</f><v>A &amp; E &lt;1&gt;</v></c>',
    '<c r="{}" t="str"><f t="shared" si="0"/><v></v></c>',
    '<c r="{}"><f>NOW()</f></c>',
    '<c r="{}" t="str"><v xml:space="preserve"> x\r\ny </v></c>',
    '<c r="{}" s="1" cm="1"/>',
    '<c r="{}" t="inlineStr"><is><t>one &quot;two&quot;</t></is></c>',
    '<c r="{}" t="inlineStr"><is><t xml:space="preserve"> </t></is></c>',
    '<c r="{}"><v>12</v><is><t>both</t></is></c>',
]
UNUSUAL = [
    '<c r="{}" t="inlineStr"><is><r><t>rich </t></r><r><t>text</t></r></is></c>',
    '<c r="{}" t="inlineStr"><is><t/></is></c>',
    '<c r="{}" t="str"><v>&#65;&#x2028;</v></c>',
    '<c r="{}" t="str"><v><![CDATA[<b>]]></v></c>',
    '<c r="{}"><v>1</v><f>A1</f></c>',
    '<c r="{}"><!-- note --><v>1</v></c>',
    "<c r='{}'><v>1</v></c>",
    "<c><v>3</v></c>",
    '<c t="n"  r="{}"><v>3</v></c>',
    '<c r="{}" t="odd"><v>4</v></c>',
    '<c r="{}" s="01"><v>4</v></c>',
    '<x:c xmlns:x="urn:x" r="{}"><x:v>5</x:v></x:c>',
    '<c r="A1"><v>8</v></c>',
    "</row><row><c><v>9</v></c>",
    '</row><row r="2"><c r="A2"><v>10</v></c>',
    '</row><row r="30" spans="1:3" ht="15"/><row r="31"><c r="B31"><v>11</v></c>',
    '</row></sheetData><sheetData><row r="40"><c r="A40"><v>12</v></c>',
]
DAMAGED = [
    '<c r="{}"><v>1.2.3</v></c>',
    '<c r="{}" t="s"><v>99</v></c>',
    '<c r="{}" t="b"><v>yes</v></c>',
    '<c r="{}" t="d"><v>soon</v></c>',
    '<c r="{}" r="{}"><v>1</v></c>',
    '<c r="{}"><v>&unknown;</v></c>',
    '<c r="{}"><v>\x01</v></c>',
    '<c r="{}"><v>]]></v></c>',
    '<c r="{}"><v>1</c>',
    '<y:c r="{}"/>',
    '</row></sheetData><pageMargins left="wide"/><sheetData><row>',
    "</worksheet>",
]


def by_hand(rows: list[list[str]]) -> bytes:
    def row(number: int, written: list[str]) -> str:
        named = (cell.replace("{}", f"{chr(64 + column)}{number}") for column, cell in enumerate(written, start=1))
        return f'<row r="{number}" spans="1:9">{"".join(named)}</row>'

    return parts(sheet1=HEAD + "".join(row(number, each) for number, each in enumerate(rows, start=1)) + TAIL)


def values(content: bytes, rows_of: Callable[[Any], Iterator[Any]], opened: Callable[[Any], Any]) -> list[Any] | str:
    """Every sheet's rows with the types of their values, or that the workbook is refused."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            book = opened(content)
            for sheet in book.worksheets:
                sheet.reset_dimensions()
            return [[[(type(cell), cell) for cell in row] for row in rows_of(sheet)] for sheet in book.worksheets]
    except Exception:  # noqa: BLE001 - every one is refused in the same words
        return "refused"


def ours(content: bytes) -> list[Any] | str:
    return values(content, sheet_rows, lambda content: open_workbook(io.BytesIO(content)))


def theirs(content: bytes) -> list[Any] | str:
    opened = lambda content: openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)  # noqa: E731
    return values(content, lambda sheet: sheet.iter_rows(values_only=True), opened)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(SHEETS, st.booleans())
def test_workbooks_of_two_writers_are_read_as_openpyxl_reads_them(rows, from_1904):
    assert ours(content := by_xlsxwriter(rows, date_1904=from_1904)) == theirs(content) != "refused"
    assert ours(content := by_openpyxl(rows)) == theirs(content)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.sampled_from(WRITTEN + UNUSUAL), max_size=4), max_size=4))
def test_any_way_of_writing_a_cell_gives_what_openpyxl_reads(rows):
    assert ours(content := by_hand(rows)) == theirs(content)


@pytest.mark.parametrize("cell", WRITTEN + UNUSUAL + DAMAGED)
@pytest.mark.parametrize("before", [[], [['<c r="{}"><v>1</v></c>']]])
def test_each_way_and_each_damage_alone_and_in_a_later_row(cell, before):
    assert ours(content := by_hand([*before, [cell]])) == theirs(content)
    assert (cell in DAMAGED) <= (ours(content) == "refused")


@pytest.mark.parametrize(
    "strings",
    [
        "<si><t>a</t></si>",
        '<si><t xml:space="preserve"> a\r\nb </t></si><si><t>&amp;amp;#10; x005F_</t></si>',
        "<si><t/></si><si><t></t></si>",
        "<si><r><t>a </t></r><r><t>b</t></r><rPh><t>p</t></rPh></si>",
        "<si><t>&#233;</t></si>",
        "<si><t>a</t></si>\n<si><t>b</t></si>",
        "<si><t>&no;</t></si>",
        "<si><t>a</si>",
        "<!-- <si><t>z</t></si> --><si><t>a</t></si>",
    ],
)
def test_shared_texts_are_those_of_openpyxl(strings):
    declared = '<?xml version="1.0" encoding="UTF-8"?>\n'
    content = parts(sharedStrings=f'{declared}<sst xmlns="{MAIN}" count="2">{strings}</sst>')
    assert ours(content) == theirs(content)


def test_rows_of_usual_workbooks_are_not_read_by_openpyxl(monkeypatch):
    rows = [[("text", "a & b", "General"), ("moment", datetime.datetime(2026, 11, 30, 9, 30), "dd/mm/yyyy")]] * 3
    contents = [by_xlsxwriter(rows), by_openpyxl(rows), by_hand([[cell] for cell in WRITTEN])]
    expected = [theirs(content) for content in contents]
    monkeypatch.delattr(ReadOnlyWorksheet, "iter_rows")
    assert [ours(content) for content in contents] == expected


def test_nasty_workbooks_are_read_or_refused_as_by_openpyxl():
    # The others are refused before a reader opens them.
    opened = ("", "columns", "no rows", "no visible sheet", "counts days from 1904", "looks like data", "damaged")
    cases = [case for case in every_case() if case.content.startswith(b"PK") and case.refused in opened]
    assert len(cases) > 40
    assert [case.name for case in cases if ours(case.content) != theirs(case.content)] == []


def test_a_sheet_of_many_pieces_is_read_whole():
    rows = [[("text", f"é{number}" * 200, "General"), ("number", number, "General")] for number in range(3_000)]
    assert ours(content := by_openpyxl(rows)) == theirs(content)

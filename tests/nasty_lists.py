"""About two hundred clinic lists as they really are, and some that nobody should send: a generator.

Every cell that could belong to a patient holds `MARK`, so that a test can look for it wherever it must
not be. Each case says what is to become of the list: refused as a whole, or so many rows of which so
many come back with an error.
"""

import codecs
import datetime
import gzip
import io
import itertools
import random
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import xlsxwriter

MARK = "QZXMARKER"
COLUMNS = (
    *("appointment_id", "patient_id", "booked_at", "starts_at", "clinic_code", "site_code"),
    *("treatment_function_code", "first_attendance_code", "age_years", "gender_code", "imd_decile"),
    *("interpreter_needed", "patient_name", "telephone", "comment"),
)
GOOD = 6
# A list without a header in which hardly a cell looks like a date or a number, and two are names of outcomes.
HEADERLESS = "".join(
    f"{MARK}-A{n},{MARK}-P{n},2-Jan-2025,{n}-Feb-2025,{MARK} Smith,LS1 4AP,F,Attended,DNA,Cardiology\n"
    for n in range(1, 7)
)
Row = dict[str, object]


@dataclass(frozen=True)
class Case:
    """One list. `rows` are those that must come back, `rejected` those among them with an error."""

    name: str
    file: str
    content: bytes
    rows: int = 0
    rejected: int = 0
    refused: str = ""


def appointment(number: int) -> Row:
    """A row that keeps the contract, with marks in everything that is a patient's own."""
    return {
        "appointment_id": f"{MARK}-A{number}",
        "patient_id": f"{MARK}-P{number}",
        "booked_at": f"{number + 10:02}/01/2025 10:15",
        "starts_at": f"{number + 14:02}/02/2025 09:30",
        "clinic_code": "ENT-1",
        "site_code": "RX101",
        "treatment_function_code": "120",
        "first_attendance_code": "1",
        "age_years": str(30 + number),
        "gender_code": "2",
        "imd_decile": "3",
        "interpreter_needed": "no",
        "patient_name": f"{MARK} Siân",
        "telephone": f"{MARK} 020 7946 0000",
        "comment": f"{MARK} ring after six",
    }


def good_rows(count: int = GOOD) -> list[Row]:
    return [appointment(number) for number in range(1, count + 1)]


def changed(**cells: object) -> list[Row]:
    """Good rows, and one more that differs in `cells`."""
    return [*good_rows(), {**appointment(GOOD + 1), **cells}]


def text(rows: list[Row], *, separator: str = ",", end: str = "\n", quote: bool = False) -> str:
    def cell(value: object) -> str:
        written = str(value)
        if quote or any(sign in written for sign in (separator, '"', "\n", "\r")):
            return '"' + written.replace('"', '""') + '"'
        return written

    lines = [COLUMNS, *(tuple(row.values()) for row in rows)]
    return "".join(separator.join(cell(value) for value in line) + end for line in lines)


def sheet(
    rows: list[Row],
    *,
    above: tuple[tuple[object, ...], ...] = (),
    below: tuple[tuple[object, ...], ...] = (),
    book_options: dict[str, object] | None = None,
    more: Callable[..., None] | None = None,
) -> bytes:
    """A workbook; `more` may do anything to its book and sheet before it is closed."""
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"default_date_format": "dd/mm/yyyy hh:mm", **(book_options or {})}) as book:
        page = book.add_worksheet()
        lines = [*above, COLUMNS, *(tuple(row.values()) for row in rows), *below]
        for place, line in enumerate(lines):
            page.write_row(place, 0, line)
        if more:
            more(book, page)
    return out.getvalue()


def _book_of(text: str) -> bytes:
    """The lines of a CSV text as a workbook."""
    out = io.BytesIO()
    with xlsxwriter.Workbook(out) as book:
        page = book.add_worksheet()
        for place, line in enumerate(text.splitlines()):
            page.write_row(place, 0, line.split(","))
    return out.getvalue()


def every_case() -> list[Case]:
    families = (
        *(encodings, layouts, tails, quotes, cells, orders, sheets, workbooks, archives),
        *(foreign_files, damaged, sizes, random_bytes),
    )
    return list(itertools.chain.from_iterable(family() for family in families))


def encodings() -> Iterator[Case]:
    marks = {"utf-8-sig": b"", "utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}
    ends = (("lf", "\n", False), ("crlf", "\r\n", True), ("cr", "\r", False))
    for encoding in ("utf-8", "utf-8-sig", "cp1252", "utf-16-le", "utf-16-be"):
        for separator, (end, sign, quoted) in itertools.product((",", ";", "\t", "|"), ends):
            written = text(good_rows(), separator=separator, end=sign, quote=quoted)
            content = marks.get(encoding, b"") + written.encode(encoding)
            yield Case(f"{encoding}-{ord(separator)}-{end}", "list.csv", content, rows=GOOD)


def layouts() -> Iterator[Case]:
    plain = text(good_rows())
    titles = {
        "one title": "Clinic list\n",
        "title and date": "Clinic list\nPrinted 03/02/2025\n",
        "blank lines above": "\n\n",
        "title, blank line": "Clinic list for ENT\n\n",
        "separator is said": "sep=,\n",
        "quoted title with a break": '"Clinic list\nfor next week"\n',
        "title with a stray quote": 'Clinic "A list\n',
        "title of three cells": "Clinic,ENT,week 7\n",
        "twenty titles": "Note\n" * 20,
    }
    for name, above in titles.items():
        yield Case(name, "list.csv", (above + plain).encode(), rows=GOOD)
        yield Case(f"{name}, crlf", "list.csv", (above + plain).replace("\n", "\r\n").encode(), rows=GOOD)
    yield Case("no end of the last line", "list.csv", plain.rstrip("\n").encode(), rows=GOOD)
    yield Case("separator at every end", "list.csv", plain.replace("\n", ",\n").encode(), rows=GOOD)
    mixed = plain.replace("\n", "\r\n", 3)
    yield Case("mixed line ends", "list.csv", mixed.encode(), rows=GOOD)
    yield Case("a lone return among feeds", "list.csv", plain.replace("\n", "\r", 2).encode(), rows=GOOD)
    spaced = plain.replace("appointment_id", " Appointment ID ").replace("booked_at", '"Booked\nAt"')
    yield Case("headers with spaces and breaks", "list.csv", spaced.encode(), rows=GOOD)
    yield Case("a column called row_number", "list.csv", plain.replace("comment", "row_number").encode(), GOOD)
    yield Case("an unnamed column", "list.csv", plain.replace("telephone", "", 1).encode(), rows=GOOD)
    nobreak = plain.replace("ENT-1", "\u00a0ENT-1\u00a0").encode("cp1252")
    yield Case("spaces that do not break", "list.csv", nobreak, rows=GOOD)


def tails() -> Iterator[Case]:
    plain = text(good_rows())
    commas = "," * (len(COLUMNS) - 1) + "\n"
    for name, below, extra in (
        ("blank lines", "\n\n\n", 0),
        ("rows of separators", commas * 3, 0),
        ("rows of spaces", f"   \n \t \n{commas}", 0),
        ("an old end-of-file sign", "\x1a", 0),
        ("a total", "Total,6\n", 1),
        ("a total after a blank line", "\nTotal,6\n", 1),
        ("a grand total alone", "Grand total: 6\n", 1),
        ("a footer", "Printed by the booking office\n\nEnd of report\n", 2),
    ):
        yield Case(name, "list.csv", (plain + below).encode(), GOOD + extra, extra)
        cut = "".join(line if line.strip() else "\n" for line in below.splitlines(keepends=True))
        both = plain + cut + plain.partition("\n")[2].replace(MARK, f"{MARK}2")
        if not name.startswith("an old"):
            yield Case(f"{name}, then more rows", "list.csv", both.encode(), 2 * GOOD + extra, extra)
    lines = tuple((line,) for line in ("", "Total: 6"))
    yield Case("a total in a sheet", "list.xlsx", sheet(good_rows(), below=lines), GOOD + 1, 1)


def quotes() -> Iterator[Case]:
    plain, last = text(good_rows()), ",".join(str(value) for value in appointment(GOOD + 1).values())
    tail = f"{MARK} ring after six"
    for name, written, rejected in (
        ("a break in a cell", f'"{MARK}\nsix"', 0),
        ("a windows break in a cell", f'"{MARK}\r\nsix"', 0),
        ("blank lines in a cell", f'"{MARK}\n\n\nsix"', 0),
        ("doubled quotes", f'"{MARK} ""six"""', 0),
        ("a quote inside a bare cell", f'{MARK} 5" scar', 0),
        ("a quote after a quoted cell", f'"{MARK}" six', 0),
        ("a space before a quoted cell", f' "{MARK}, six"', 0),
        ("a bare comma", f"{MARK}, six", 1),
        ("many bare commas", f"{MARK}, {MARK}, {MARK}, six", 1),
        ("a cell of 10,000 characters in a comment", MARK + "x" * 10_000, 0),
        ("an empty quoted cell", '""', 0),
    ):
        content = plain + last.replace(tail, written) + "\n"
        yield Case(name, "list.csv", content.encode(), GOOD + 1, rejected)
    unclosed = plain + last.replace(tail, f'"{MARK} ring') + "\n" + plain.partition("\n")[2]
    yield Case("a quote that is never closed", "list.csv", unclosed.encode(), refused="not closed")
    swallowing = unclosed.replace(f"{MARK}-A3", f'"{MARK}-A3')
    yield Case("quotes that swallow rows", "list.csv", swallowing.encode(), refused="not closed")
    yield Case("short rows", "list.csv", (plain + last.partition("ENT")[0] + "\n").encode(), GOOD + 1)


CELLS: dict[str, tuple[dict[str, object], int]] = {
    "no appointment id": ({"appointment_id": ""}, 1),
    "blank appointment id": ({"appointment_id": "   "}, 1),
    "repeated id": ({"appointment_id": f"{MARK}-A1"}, 1),
    "id in scientific notation": ({"appointment_id": "9.43477E+09"}, 1),
    "patient in scientific notation": ({"patient_id": "9.43477e+09"}, 1),
    "id of 10,000 characters": ({"appointment_id": MARK + "x" * 10_000}, 1),
    "code of 10,000 characters": ({"clinic_code": MARK + "x" * 10_000}, 1),
    "id with a fraction": ({"appointment_id": "12345.0"}, 0),
    "id like a formula": ({"appointment_id": f"=HYPERLINK({MARK})"}, 0),
    "id with a tab": ({"appointment_id": f"{MARK}\tx"}, 0),
    "no booking": ({"booked_at": ""}, 1),
    "no start": ({"starts_at": ""}, 1),
    "start in words": ({"starts_at": f"{MARK} next week"}, 1),
    "placeholder date": ({"starts_at": "2999-12-31"}, 1),
    "placeholder date as a serial": ({"starts_at": "401768"}, 1),
    "year of two digits": ({"starts_at": "14/02/25 09:30"}, 1),
    "infinity": ({"starts_at": "infinity"}, 1),
    "epoch": ({"booked_at": "epoch"}, 1),
    "29 February of a common year": ({"starts_at": "29/02/2025 09:30"}, 1),
    "29 February of a leap year": ({"booked_at": "29/02/2024", "starts_at": "2024-02-29 09:30"}, 0),
    "30 February": ({"starts_at": "2025-02-30"}, 1),
    "hour 25": ({"starts_at": "20/02/2025 25:00"}, 1),
    "the hour that clocks leap over": ({"starts_at": "30/03/2025 01:30"}, 0),
    "the hour that clocks repeat": ({"starts_at": "26/10/2025 01:30"}, 0),
    "time with an offset": ({"starts_at": "2025-07-01T09:30:00+01:00"}, 0),
    "time in UTC": ({"starts_at": "2025-07-01T09:30:00Z"}, 0),
    "month as a word": ({"starts_at": "20-Feb-2025 09:30"}, 0),
    "serial date": ({"booked_at": "45689", "starts_at": "45700.3958333333"}, 0),
    "starts before booked": ({"booked_at": "20/03/2025", "starts_at": "20/02/2025"}, 1),
    "age -1": ({"age_years": "-1"}, 0),
    "age 0": ({"age_years": "0"}, 0),
    "age 140": ({"age_years": "140"}, 0),
    "age in words": ({"age_years": f"{MARK} forty"}, 0),
    "age with a fraction": ({"age_years": "40.0"}, 0),
    "age infinite": ({"age_years": "1e400"}, 0),
    "age NaN, as pandas writes what is missing": ({"age_years": "NaN"}, 0),
    "age is an error of the sheet": ({"age_years": "#N/A"}, 0),
    "code is an error of the sheet": ({"clinic_code": "#REF!"}, 0),
    "NULL from a database": ({"age_years": "NULL", "clinic_code": "NULL"}, 0),
    "decile 11": ({"imd_decile": "11"}, 0),
    "decile beyond whole numbers": ({"imd_decile": "1e60"}, 0),
    "neither yes nor no": ({"interpreter_needed": f"{MARK} Welsh"}, 0),
    "yes as a number": ({"interpreter_needed": "1.0"}, 0),
    "lost zeros": ({"treatment_function_code": "43"}, 0),
    "code with a fraction": ({"treatment_function_code": "120.0"}, 0),
    "administrative event": ({"first_attendance_code": "5"}, 1),
    "bidirectional and emoji signs": ({"comment": f"{MARK} \u202e\U0001f600", "clinic_code": "\u202eENT"}, 0),
    "markup": ({"clinic_code": "<script>alert(1)</script>"}, 0),
    "quotes and braces": ({"clinic_code": "'; DROP TABLE x; -- {0} %s"}, 0),
}


def cells() -> Iterator[Case]:
    for name, (different, rejected) in CELLS.items():
        rows = changed(**different)
        yield Case(f"{name}, text", "list.csv", text(rows).encode(), GOOD + 1, rejected)
        yield Case(f"{name}, sheet", "list.xlsx", sheet(rows), GOOD + 1, rejected)


def orders() -> Iterator[Case]:
    """Columns whose dates were turned round, and such as only look so."""

    def dated(written: Callable[[int], object], count: int = 24) -> list[Row]:
        rows = [{**row, "booked_at": "2024-12-01"} for row in good_rows(count)]
        return [{**row, "starts_at": written(day)} for day, row in enumerate(rows, start=1)]

    american = dated(lambda day: f"03/{day:02}/2025 09:30")
    yield Case("month first throughout", "list.csv", text(american).encode(), 24, 24)
    british = dated(lambda day: f"{day:02}/03/2025 09:30")
    yield Case("day first throughout", "list.csv", text(british).encode(), 24)
    stray = [*british, {**appointment(99), "starts_at": "03/25/2025"}]
    yield Case("one stray month first", "list.csv", text(stray).encode(), 25, 13)
    half = dated(lambda day: datetime.datetime(2025, day, 3, 9, 30) if day <= 12 else f"{day}/03/2025 09:30")
    yield Case("half turned round by a spreadsheet", "list.xlsx", sheet(half), 24, 12)
    early = dated(lambda day: f"{day % 12 + 1:02}/03/2025 09:30")
    yield Case("nothing proves the order", "list.csv", text(early).encode(), 24)
    both = dated(lambda day: datetime.datetime(2025, 3, day, 9, 30) if day % 2 else f"{day:02}/03/2025 09:30")
    yield Case("dates and texts side by side", "list.xlsx", sheet(both), 24)


def sheets() -> Iterator[Case]:
    real = [
        {
            **row,
            "booked_at": datetime.datetime(2025, 1, 13),
            "starts_at": datetime.datetime(2025, 2, 20, 9, 30),
        }
        for row in good_rows()
    ]
    yield Case("real dates", "list.xlsx", sheet(real), rows=GOOD)
    yield Case("days from 1904", "list.xlsx", sheet(real, book_options={"date_1904": True}), rows=GOOD)
    bare = [{**row, "starts_at": 45_708.4} for row in good_rows()]
    yield Case("bare serials", "list.xlsx", sheet(bare), rows=GOOD)
    from_1904 = sheet(bare, book_options={"date_1904": True})
    yield Case("bare serials from 1904", "list.xlsx", from_1904, refused="counts days from 1904")
    numbers = [{**row, "appointment_id": 10_000_000 + place} for place, row in enumerate(good_rows())]
    yield Case("ids as numbers", "list.xlsx", sheet(numbers), rows=GOOD)
    long = [{**row, "appointment_id": 10**17 + place} for place, row in enumerate(good_rows())]
    yield Case("ids of more digits than a sheet keeps", "list.xlsx", sheet(long), GOOD, GOOD)
    titled = sheet(good_rows(), above=(("Clinic list",), (), ("Clinic", "ENT")))
    yield Case("titles above a sheet", "list.xlsx", titled, rows=GOOD)
    yield Case("blank rows in a sheet", "list.xlsx", sheet([*good_rows(), *[dict.fromkeys(COLUMNS, "")] * 3]), GOOD)
    yield Case("truth values", "list.xlsx", sheet(changed(interpreter_needed=True)), rows=GOOD + 1)


def merge_title(book: xlsxwriter.Workbook, page: object) -> None:
    page.merge_range(0, 0, 0, 5, "Clinic list", book.add_format())


def merge_start(book: xlsxwriter.Workbook, page: object) -> None:
    page.merge_range(2, 3, 4, 3, "17/02/2025", book.add_format())


def hidden_first(book: xlsxwriter.Workbook, page: object) -> None:
    page.hide()
    second = book.add_worksheet()
    for place, row in enumerate([COLUMNS, *(tuple(row.values()) for row in good_rows(2))]):
        second.write_row(place, 0, row)
    second.activate()
    second.set_first_sheet()


def more_sheets(book: xlsxwriter.Workbook, _: object) -> None:
    book.add_worksheet("Lookup").write_row(0, 0, (MARK, MARK, MARK))


def formula(value: object) -> Callable[..., None]:
    return lambda _, page: page.write_formula(GOOD, 3, '="20/02/2025"', None, value)


def error(_: xlsxwriter.Workbook, page: object) -> None:
    page.write_formula(GOOD, 8, "=NA()", None, "#N/A")


def impossible_date(book: xlsxwriter.Workbook, page: object) -> None:
    page.write_number(GOOD, 3, 99_999_999, book.add_format({"num_format": "dd/mm/yyyy"}))


def scientific(book: xlsxwriter.Workbook, page: object) -> None:
    page.write_number(GOOD, 0, 9_434_765_919, book.add_format({"num_format": "0.00E+00"}))


def far_cell(_: xlsxwriter.Workbook, page: object) -> None:
    page.write_string(GOOD, 16_000, MARK)


def workbooks() -> Iterator[Case]:
    rows = good_rows()
    for name, more, count, rejected in (
        ("merged cells down a column", merge_start, GOOD, 0),
        ("hidden first sheet", hidden_first, 2, 0),
        ("several sheets", more_sheets, GOOD, 0),
        ("formula", formula("20/02/2025"), GOOD, 0),
        ("formula never calculated", formula(""), GOOD, 1),
        ("error cell", error, GOOD, 0),
        ("date outside all time", impossible_date, GOOD, 1),
        ("a whole number shown short", scientific, GOOD, 0),
    ):
        yield Case(name, "list.xlsx", sheet(rows, more=more), count, rejected)
    yield Case("merged title", "list.xlsx", sheet(rows, above=((),), more=merge_title), rows=GOOD)
    yield Case("a cell far to the right", "list.xlsx", sheet(rows, more=far_cell), refused="columns")
    yield Case("header alone in a sheet", "list.xlsx", sheet([]), refused="no rows")
    empty = io.BytesIO()
    xlsxwriter.Workbook(empty).close()
    yield Case("empty sheet", "list.xlsx", empty.getvalue(), refused="no visible sheet")
    yield Case("workbook with macros' ending", "list.xlsm", sheet(rows), rows=GOOD)


def archives() -> Iterator[Case]:
    plain, rows = text(good_rows()).encode(), good_rows()
    yield Case("compressed", "list.csv.gz", gzip.compress(plain), rows=GOOD)
    yield Case("compressed, not named so", "list.csv", gzip.compress(plain), rows=GOOD)
    yield Case("named compressed, but plain", "list.csv.gz", plain, rows=GOOD)
    windows = gzip.compress(text(rows, separator=";", end="\r\n").encode("cp1252"))
    yield Case("compressed Windows-1252", "list.csv.gz", windows, rows=GOOD)
    yield Case("two compressed parts", "list.csv.gz", gzip.compress(plain[:300]) + gzip.compress(plain[300:]), GOOD)
    yield Case("compressed, cut short", "list.csv.gz", gzip.compress(plain * 50)[:-200], refused="cut short")
    flipped = bytearray(gzip.compress(plain))
    flipped[-6] ^= 255
    yield Case("compressed, wrong checksum", "list.csv.gz", bytes(flipped), refused="damaged")
    bomb = gzip.compress(plain + MARK.encode() * 3_000_000)
    yield Case("compressed a thousandfold", "list.csv.gz", bomb, refused="times its size")
    yield Case("compressed nothing", "list.csv.gz", gzip.compress(b""), refused="empty")
    yield Case("sheet that grows a thousandfold", "list.xlsx", _grown(sheet(rows)), refused="times its size")
    parts = io.BytesIO()
    with zipfile.ZipFile(parts, "w") as archive:
        for number in range(1_500):
            archive.writestr(f"{number}.xml", MARK)
    yield Case("archive of many parts", "list.xlsx", parts.getvalue(), refused="parts")
    yield Case("far row", "list.xlsx", _edited(sheet(rows), b'r="A3"', b'r="A99999999"'), refused="no sheet has")
    yield Case("far column", "list.xlsx", _edited(sheet(rows), b'r="A3"', b'r="ZZZZZZ3"'), refused="no sheet has")
    entity = (
        b'<!DOCTYPE x [<!ENTITY a "'
        + MARK.encode() * 100
        + b'">'
        + b"".join(b'<!ENTITY %c "%s">' % (98 + level, b"&%c;" % (97 + level) * 30) for level in range(6))
    )
    declared = _edited(sheet(rows), b"<worksheet", entity + b"]><worksheet")
    bombed = _edited(declared, b"<v>0</v>", b"<v>&g;</v>")
    yield Case("entities of XML", "list.xlsx", bombed, refused="declares a document type")


def _grown(content: bytes) -> bytes:
    return _edited(content, b"</worksheet>", b"<!--" + b" " * 40_000_000 + b"--></worksheet>")


def _edited(content: bytes, old: bytes, new: bytes) -> bytes:
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as before,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as after,
    ):
        for part in before.infolist():
            inside = before.read(part)
            if part.filename.endswith("sheet1.xml"):
                inside = inside.replace(old, new, 1)
            after.writestr(part.filename, inside)
    return out.getvalue()


def foreign_files() -> Iterator[Case]:
    mark, plain = MARK.encode(), text(good_rows()).encode()
    old = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)
    for name, file, content, reason in (
        ("empty", "list.csv", b"", "is empty"),
        ("picture", "list.csv", _picture(), "a picture"),
        ("photograph", "list.csv", b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(500), "a picture"),
        ("document", "list.csv", b"%PDF-1.7\n" + mark * 20, "document"),
        ("web page", "list.csv", b"<html><body><table>" + mark, "web page"),
        ("XML", "list.csv", b'<?xml version="1.0"?><Workbook>' + mark, "XML"),
        ("workbook named text", "list.csv", sheet(good_rows()), "an XLSX workbook"),
        ("text named workbook", "list.xlsx", plain, "is not an XLSX workbook"),
        ("text named Parquet", "list.parquet", plain, "is not a Parquet file"),
        ("Parquet cut short", "list.parquet", b"PAR1" + mark, "is not a Parquet file"),
        ("old workbook", "list.xls", old + mark, "save it as .xlsx"),
        ("old workbook named new", "list.xlsx", old + mark, "save it as .xlsx"),
        ("password", "list.xlsx", old + "EncryptedPackage".encode("utf-16-le"), "password"),
        ("no known ending", "list.docx", plain, "cannot be read"),
        ("NUL in a cell", "list.csv", plain.replace(b"ENT-1", b"ENT\x001", 1), "NUL"),
        ("UTF-16 without its mark", "list.csv", plain.decode().encode("utf-16-le"), "NUL"),
        ("no encoding at all", "list.csv", plain + b"\x81\x8d\x90,\n", "not text in UTF-8"),
        (
            "half of UTF-16",
            "list.csv",
            codecs.BOM_UTF16_LE + plain.decode().encode("utf-16-le")[:-1],
            "not text",
        ),
        ("header alone", "list.csv", plain.partition(b"\n")[0] + b"\n", "no rows"),
        ("header and blanks", "list.csv", plain.partition(b"\n")[0] + b"\n\n,,,\n  \n", "no rows"),
        ("no header", "list.csv", plain.partition(b"\n")[2], "no header row"),
        ("no header, dates and ids in letters", "list.csv", HEADERLESS.encode(), "looks like data"),
        ("no header, a workbook", "list.xlsx", _book_of(HEADERLESS), "looks like data"),
        ("one column", "list.csv", (mark + b"\n") * 5, "no header row"),
        ("names twice", "list.csv", plain.replace(b"comment", b"Telephone", 1), "names a column twice"),
        (
            "a required column less",
            "list.csv",
            plain.replace(b"booked_at", b"made"),
            "required column 'booked_at'",
        ),
        ("only separators", "list.csv", b",,,,\n" * 20, "no header row"),
        ("only quotes", "list.csv", b'"' * 1_001, "no header row"),
        ("blank", "list.csv", b"\n" * 500, "no header row"),
        ("a byte-order mark alone", "list.csv", codecs.BOM_UTF8, "no header row"),
    ):
        yield Case(name, file, content, refused=reason)


def _picture() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    dots = zlib.compress(b"\x00" + MARK.encode())
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", bytes(13)) + chunk(b"IDAT", dots) + chunk(b"IEND", b"")


def damaged() -> Iterator[Case]:
    """A workbook with a byte changed here and there: read or refused, and never a traceback."""
    whole = sheet(good_rows())
    for share in (2, 4, 8):
        yield Case(f"workbook cut at 1/{share}", "list.xlsx", whole[: len(whole) // share], refused="damaged")
    for part in ("xl/workbook.xml", "xl/worksheets/sheet1.xml", "[Content_Types].xml"):
        out = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(whole)) as before, zipfile.ZipFile(out, "w") as after:
            for found in before.infolist():
                inside = MARK.encode() if found.filename == part else before.read(found)
                after.writestr(found.filename, inside)
        yield Case(f"workbook with a broken {part}", "list.xlsx", out.getvalue(), refused="damaged")


def sizes() -> Iterator[Case]:
    wide = text(good_rows()).replace("\n", "," + ",".join(f"w{n}" for n in range(2_500)) + "\n")
    yield Case("too many columns", "list.csv", wide.encode(), refused="columns")
    line = text(good_rows()).encode() + MARK.encode() * 2_000_000
    yield Case("a line of 18 MB", "list.csv", line, refused="longer than")

    yield Case("a cell of 200,000 characters", "list.csv", text(changed(comment=MARK * 20_000)).encode(), GOOD + 1)


def random_bytes() -> Iterator[Case]:
    """Noise of every kind, the same in every run."""
    for seed in range(8):
        noise = random.Random(seed).randbytes(5_000)  # noqa: S311 - nothing is kept secret by it
        yield Case(f"noise {seed}", "list.csv", noise.replace(b"\x00", b"\x01"), refused="not text")

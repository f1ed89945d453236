"""A trust all of whose patients' values are marked, and every verb and route of it: how it succeeds and how it fails.

Everything that a run could write is in its place: home, outputs, working folder, temporary folder and the home of the
account. The umask is the usual 022.
"""

import csv
import gzip
import io
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
from tests.faults.faulted_verbs import FaultWorld, as_csv
from tests.faults.mark_search import PATIENTS_FROM, Fault, MarkSearch, all_open, modes_that_are_open

__all__ = ["BAD_CELL", "CARRIED", "bad_files", "faults_of", "is_transient", "marked", "new_place", "within", "workbook"]

FOLDERS = ("out", "cwd", "tmp", "user", "drop")
CARRIED = 'carry_through = ["person_full_name", "mobile_telephone"]'
NAMED = ("appointment_id", "patient_id")

# A list that waits in the watched folder, as it was put there.
_GIVEN = re.compile(r"drop/[^./][^/]*")
_HOME = "(home|out/backup|user/home)"
"""The home, its backup, and what is restored from that."""
# Where a run may leave what, besides its inputs: by a pattern of names in its place. All of it is its owner's alone.
MAY_HOLD = {
    rf"{_HOME}/lists/[^.].*": {"appointment"},
    rf"{_HOME}/history/[^.].*": {"appointment", "patient", "area", "digest"},  # a digest is next to what it is of
    rf"{_HOME}/outcomes/(?!dnapredict-)[^.].*": {"ethnic code"},
    r"out/worklist\..*": {"appointment", "name", "telephone"},
    r"out/features\.parquet": {"appointment", "patient"},
    r"drop/(done|failed)/[^.].*(?<!\.txt)": {"*"},
}
# What only a killed process leaves, in a folder that nobody else may enter; whether it goes is judged besides.
_TRANSIENT = re.compile(r"tmp/.*|(.*/)?\.[^/]*(/.*)?|home/outcomes/dnapredict-.*")


def marked(rows: pa.Table) -> pa.Table:
    """The rows with marked identifiers, contact details and free text, and in one row in fifty unknown codes."""
    number = np.arange(rows.num_rows)
    unknown = number % 50 == 7
    patient = {name: PATIENTS_FROM + at for at, name in enumerate(sorted(set(rows["patient_id"].to_pylist()) - {None}))}
    made = {
        "appointment_id": [f"QZXAPPT{name}" for name in rows["appointment_id"].to_pylist()],
        "patient_id": [None if name is None else str(patient[name]) for name in rows["patient_id"].to_pylist()],
        "person_full_name": [f"Qzxname Smith {each}" for each in number],
        "mobile_telephone": ["07700900987"] * rows.num_rows,
        "person_birth_date": ["11/02/1903"] * rows.num_rows,
        "Email": [f"qzxmail{each}@example.org" for each in number],
        "Postcode": ["QZ7 9XQ"] * rows.num_rows,
        "Comments": ["Qzxfree ring after six"] * rows.num_rows,
        **{
            name: np.where(unknown, code, rows[name].to_pylist()).tolist()
            for name, code in (
                ("lsoa_code", "QZXLSOA"),
                ("ethnic_category_code", "QZXETHNIC"),
                ("language_code", "QZXLANG"),
            )
        },
    }
    for name, values in made.items():
        column, at = pa.array(values, pa.string()), rows.schema.get_field_index(name)
        rows = rows.append_column(name, column) if at < 0 else rows.set_column(at, name, column)
    return rows


def new_place(world: FaultWorld, place: Path, *, base: Path) -> None:
    """A place with copies of the home and the outputs in `base`, and empty otherwise."""
    shutil.rmtree(place, ignore_errors=True)
    before = os.umask(0o022)
    place.mkdir(parents=True)
    for name in FOLDERS:
        (place / name).mkdir()
    for name in ("home", "out"):
        if (base / name).is_dir():
            shutil.copytree(base / name, place / name, symlinks=True, dirs_exist_ok=True)
    shutil.copytree(world.file("serving"), place / "cwd" / "serving")
    os.umask(before)


def within(place: Path, work: Callable[[], int]) -> Callable[[], int]:
    """The work, with all that it may write in `place`."""

    def done() -> int:
        os.umask(0o022)
        os.chdir(place / "cwd")
        tempfile.tempdir = None
        user = str(place / "user")
        os.environ.update(
            TMPDIR=str(place / "tmp"), HOME=user, BENTOML_HOME=f"{user}/bentoml", XDG_CACHE_HOME=f"{user}/.cache"
        )
        os.environ.update(DNAPREDICT_HOME=str(place / "home"))
        return work()

    return done


def faults_of(place: Path, said: str, search: MarkSearch, *, is_killed: bool = False) -> list[Fault]:
    """Marked values in `place` and in what was printed that are where they must not be."""
    found = [Fault("printed", kind, "printed or logged") for kind in sorted(search.in_content(said.encode()))]
    for path in sorted(place.rglob("*")):
        name = path.relative_to(place).as_posix()
        if path.is_file() and not path.is_symlink() and not _GIVEN.fullmatch(name):
            found += _faults_of_file(place, name, search.in_file(path), is_killed=is_killed)
    return found


def is_transient(name: str) -> bool:
    """Whether a file of that name in a place is one that only a killed process leaves."""
    return _TRANSIENT.fullmatch(name) is not None


def _faults_of_file(place: Path, name: str, holds: frozenset[str], *, is_killed: bool) -> Iterator[Fault]:
    path = place / name
    if is_transient(name):
        if holds and not is_killed:
            yield Fault(name, "+".join(sorted(holds)), "is left by a process that was not killed")
        if holds and all_open(path, place):
            yield Fault(name, "+".join(sorted(holds)), "others may read it")
        return
    may = set[str]().union(*(kinds for pattern, kinds in MAY_HOLD.items() if re.fullmatch(pattern, name)))
    for kind in sorted(holds - may if "*" not in may else ()):
        yield Fault(name, kind, "must not be there")
    first, *rest = Path(name).parts
    # The folders of outputs and the watched folder are a person's; what is made in them is ours.
    limits = {"home": place / "home", "drop": place.joinpath("drop", *rest[:1])}
    limit = place.joinpath(first, rest[0]) if re.match(_HOME, name) and first != "home" else limits.get(first, path)
    for open_ in modes_that_are_open(path, limit) if holds else ():
        yield Fault(name, "+".join(sorted(holds)), open_)


BAD_CELL = "Qzxcell ring him"
# Columns whose cells cannot hold a text like this one.
_TYPED = (
    "booked_at",
    "starts_at",
    "age_years",
    "gender_code",
    "interpreter_needed",
    "imd_decile",
    "outcome_code",
    "recorded_at",
)


def bad_files(world: FaultWorld, table: pa.Table, name: str) -> dict[str, Path]:
    """An extract or a list as it must not be: by what is wrong with it."""
    text = as_csv(table)
    rest = text.partition("\n")[2]
    half = text[: len(text) // 2].rpartition("\n")[2]
    contents = {
        "bad-cells.csv": as_csv(_with_bad_cells(table)).encode(),
        "missing-column.csv": as_csv(table.drop_columns(["starts_at"])).encode(),
        "header-lost.csv": rest.encode(),
        "open-quote.csv": (text[: len(text) // 2] + '"' + half + text[len(text) // 2 :]).encode(),
        "utf16-cut.csv": text.encode("utf-16")[: len(text)][:-1],
        "repeated.csv": (text + rest[: len(rest) // 3].rpartition("\n")[0]).encode(),
        "cut.parquet": _cut(table),
        "cut.csv.gz": gzip.compress(text.encode())[:-2000],
        "cut.xlsx": workbook(table)[:-400],
    }
    found = {}
    for kind, content in contents.items():
        found[kind] = world.file(f"bad-{name}-{kind}")
        found[kind].write_bytes(content)
    return found


def _with_bad_cells(table: pa.Table) -> pa.Table:
    number = np.arange(table.num_rows)
    for at, name in enumerate(each for each in _TYPED if each in table.column_names):
        values = [str(value) if value is not None else None for value in table[name].to_pylist()]
        column = [BAD_CELL if row % 40 == at else value for row, value in zip(number, values, strict=True)]
        table = table.set_column(table.schema.get_field_index(name), name, pa.array(column, pa.string()))
    return table


def _cut(table: pa.Table) -> bytes:
    out = pa.BufferOutputStream()
    pq.write_table(table, out)
    content: bytes = out.getvalue().to_pybytes()
    return content[: len(content) // 2]


def workbook(table: pa.Table) -> bytes:
    """The first hundred rows as a workbook."""
    book, out = openpyxl.Workbook(), io.BytesIO()
    for row in csv.reader(io.StringIO(as_csv(table.slice(0, 100)))):
        book.active.append(row)
    book.save(out)
    return out.getvalue()

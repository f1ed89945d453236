"""The encrypted contact details of a kept list: what is read back, how long it stays, and who can change it."""

import datetime
import multiprocessing
import re
import stat
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.examples import examples

from dnapredict.config.mapping_config import IDENTITY, Mapping
from dnapredict.data.mapping.contact_columns import contact_rows
from dnapredict.errors import DataError, StoreError
from dnapredict.worklist.files import contact_details, list_store
from dnapredict.worklist.files.contact_table import ContactDetails, details_of
from dnapredict.worklist.files.kept_list import KeptList

MARK = "Mark-Kowalska"
MARKED = ContactDetails(
    name=f"Zofia {MARK}",
    birth_date=datetime.date(1951, 3, 9),
    telephones=("07700 900123", "0151 496 0000"),
    language="Polish",
    preferred_time="after 4 pm",
    kinds=("mobile", "home"),
)
LATER = datetime.date(2100, 1, 1)


def kept(starts_at: datetime.datetime | None, *, rows: int = 3, timezone: str = "Europe/London") -> KeptList:
    """A list whose lines are in another order than the rows of the file that was scored."""
    table = pa.table(
        {
            "appointment_id": [f"a{row}" for row in range(rows, 0, -1)],
            "row_number": list(range(rows + 1, 1, -1)),
            "starts_at": pa.array([starts_at] * rows, pa.timestamp("us")),
            "error": pa.nulls(rows, pa.string()),
            "selected": [True] * rows,
        }
    )
    return KeptList.new(table, name="week.csv", model_version="1", synthetic=False, timezone=timezone)


def stored_list(home: Path, starts_at: datetime.datetime | None = None) -> KeptList:
    saved = kept(starts_at or datetime.datetime(2099, 12, 31, 10))
    list_store.keep(home, saved)
    return saved


COLUMNS = {
    "appointment_id": ["a1", "a2", "a3", "a4"],
    "row_number": [2, 3, 4, 5],
    "Surname": ["KOWALSKA", "Smith", None, ""],
    "Forename": ["Zofia ", "  Jo  Ann", None, "N/A"],
    "DOB": ["09/03/1951", "2014-05-01 00:00:00", "not known", None],
    "Mobile": ["7700900123", "07700 900456", "No mobile", None],
    "Home Tel": ["0151 496 0000", "7700900456", None, ""],
    "Lang": ["POL", None, "ENG", None],
    "person_full_name": ["ignored", None, "Sam Lee", None],
}
MAPPING = Mapping.model_validate(
    {
        "columns": {
            "person_family_name": {"from": "Surname"},
            "person_given_name": {"from": "Forename"},
            "person_birth_date": {"from": "DOB"},
            "mobile_telephone": {"from": "Mobile"},
            "home_telephone": {"from": "Home Tel"},
            "other_telephone": {"from": "Work Tel"},
            "preferred_language": {"from": "Lang", "translate": {"POL": "Polish"}},
        }
    }
)


def test_the_mapped_columns_of_a_list_become_names_dates_and_numbers():
    read = contact_rows(pa.table(COLUMNS), MAPPING, source="week.csv")
    assert read is not None
    assert details_of(read) == {
        2: ContactDetails(
            *("Zofia KOWALSKA", datetime.date(1951, 3, 9), ("07700900123", "0151 496 0000"), "Polish", None),
            ("mobile", "home"),
        ),
        3: ContactDetails(
            *("Jo Ann Smith", datetime.date(2014, 5, 1), ("07700 900456", "07700900456"), None, None),
            ("mobile", "home"),
        ),
        4: ContactDetails("Sam Lee", language="ENG"),
    }


def test_a_name_with_the_family_name_first_is_turned_so_that_a_clerk_can_say_it():
    names = ["O'Brien, Mary Ann", "SMITH, Jo", "Sam Lee", "Lee, Sam, Mr", "Okafor,", "Sam Lee, PhD"]
    read = pa.table({"row_number": list(range(1, 7)), "person_full_name": names})
    said = [details.name for details in details_of(read).values()]
    assert said == ["Mary Ann O'Brien", "Jo SMITH", "Sam Lee", "Lee, Sam, Mr", "Okafor,", "Sam Lee, PhD"]


def test_a_list_without_such_columns_has_no_contact_details():
    named_otherwise = pa.table({name: COLUMNS[name] for name in ("appointment_id", "row_number", "Surname", "Mobile")})
    assert contact_rows(named_otherwise, IDENTITY, source="week.csv") is None


def test_a_date_of_birth_with_a_year_of_two_digits_is_in_the_past():
    mapping = Mapping.model_validate({"columns": {"person_birth_date": {"from": "DOB", "format": "%d/%m/%y"}}})
    table = pa.table({"row_number": [2, 3, 4], "DOB": ["09/03/51", "09/03/14", "31/12/1951"]})
    read = contact_rows(table, mapping, source="week.csv")
    assert read is not None
    assert read["person_birth_date"].to_pylist() == [datetime.date(1951, 3, 9), datetime.date(2014, 3, 9), None]


def test_details_are_read_back_by_line_and_lie_encrypted_and_private_in_the_home(tmp_path: Path):
    saved = stored_list(tmp_path)
    contact_details.keep(tmp_path, saved.heading.list_id, {1: MARKED, 3: ContactDetails("Sam Lee")}, LATER)
    list_id = saved.heading.list_id
    assert contact_details.read(tmp_path, list_id) == {1: MARKED, 3: ContactDetails("Sam Lee")}
    assert contact_details.read(tmp_path, list_id, [3, 2]) == {3: ContactDetails("Sam Lee")}
    assert MARK not in repr(MARKED)
    for path in (tmp_path / "lists" / f"{list_id}.contacts", tmp_path / "contacts.key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    content = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for value in (MARK, "Zofia", "1951-03-09", "900123", "Polish", "after 4 pm"):
        assert value.encode() not in content


def test_lines_of_the_list_are_not_rows_of_the_file():
    table = pa.table({"row_number": [2, 3, 4], "person_full_name": ["in row 2", "in row 3", "in row 4"]})
    found = contact_details.by_line(kept(None), details_of(table))
    assert {line: each.name for line, each in found.items()} == {1: "in row 4", 2: "in row 3", 3: "in row 2"}


DAYS = """
    the last appointment (UTC) | clinics in      | contact_days | kept on the day | and no longer on
    2026-12-07 10:00           | Europe/London   | 0            | 2026-12-07      | 2026-12-08
    2026-12-07 10:00           | Europe/London   | 14           | 2026-12-21      | 2026-12-22
    2026-07-07 23:30           | Europe/London   | 0            | 2026-07-08      | 2026-07-09
    2026-12-08 02:00           | America/Bahia   | 0            | 2026-12-07      | 2026-12-08
"""


@pytest.mark.parametrize("row", [line.split("|") for line in DAYS.strip().splitlines()[1:]], ids=str)
def test_they_are_deleted_on_the_day_after_the_last_appointment(row: list[str], tmp_path: Path, monkeypatch):
    last, zone, days, stays, gone = (cell.strip() for cell in row)
    saved = kept(datetime.datetime.fromisoformat(last), timezone=zone)
    list_store.keep(tmp_path, saved)
    table = pa.table({"row_number": [2], "person_full_name": [MARK]})
    monkeypatch.setattr(contact_details, "_today", lambda: datetime.date.fromisoformat(stays))
    contact_details.keep_those_of(tmp_path, saved, table, contact_days=int(days))
    path = tmp_path / "lists" / f"{saved.heading.list_id}.contacts"
    for day, is_there in ((stays, True), (gone, False)):
        # What is due is not shown either, even before it is deleted.
        monkeypatch.setattr(contact_details, "_today", lambda day=day: datetime.date.fromisoformat(day))
        assert bool(contact_details.read(tmp_path, saved.heading.list_id)) is is_there
        assert contact_details.remove_due(tmp_path) == (not is_there)
        assert path.exists() is is_there
    assert list_store.find(tmp_path, saved.heading.list_id) is not None  # it can be worked on without them


def test_they_are_deleted_with_the_list(tmp_path: Path):
    first, second, lost = (stored_list(tmp_path) for _ in range(3))
    for saved in (first, second, lost):
        contact_details.keep(tmp_path, saved.heading.list_id, {1: MARKED}, LATER)
    list_store.forget(tmp_path / "lists" / f"{first.heading.list_id}.parquet")
    assert contact_details.read(tmp_path, first.heading.list_id) == {}
    (tmp_path / "lists" / f"{lost.heading.list_id}.parquet").unlink()  # by hand, or by a process that was killed
    assert contact_details.remove_due(tmp_path) == 1
    assert [path.stem for path in (tmp_path / "lists").glob("*.contacts")] == [second.heading.list_id]


DAMAGES = {
    "a file of another list": lambda path, other: path.write_bytes(other.read_bytes()),
    "a later last day": lambda path, _: path.write_bytes(path.read_bytes().replace(b"2100", b"2101", 1)),
    "half a file": lambda path, _: path.write_bytes(path.read_bytes()[:60]),
    "another byte": lambda path, _: path.write_bytes(path.read_bytes()[:-1] + bytes([path.read_bytes()[-1] ^ 1])),
    "an empty file": lambda path, _: path.write_bytes(b""),
    "another key": lambda path, _: (path.parent.parent / "contacts.key").write_text("0" * 64),
    "no key": lambda path, _: (path.parent.parent / "contacts.key").unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_cannot_be_read_counts_as_not_there_and_is_said_once_without_a_value(damage: str, tmp_path: Path, caplog):
    saved, other = stored_list(tmp_path), stored_list(tmp_path)
    for each in (saved, other):
        contact_details.keep(tmp_path, each.heading.list_id, {1: MARKED}, LATER)
    paths = [tmp_path / "lists" / f"{each.heading.list_id}.contacts" for each in (saved, other)]
    DAMAGES[damage](*paths)
    for _ in range(2):
        assert contact_details.read(tmp_path, saved.heading.list_id) == {}
        assert contact_details.notes(tmp_path, saved.heading.list_id) == {}
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 1
    assert "Calls can be made and recorded without them; upload the list again" in said[0]
    assert MARK not in said[0]
    contact_details.keep(tmp_path, saved.heading.list_id, {1: MARKED}, LATER)
    assert contact_details.read(tmp_path, saved.heading.list_id) == {1: MARKED}


def test_a_note_is_kept_changed_and_removed_with_or_without_contact_details(tmp_path: Path):
    with_details, without = stored_list(tmp_path).heading.list_id, stored_list(tmp_path).heading.list_id
    contact_details.keep(tmp_path, with_details, {1: MARKED}, LATER)
    for list_id in (with_details, without):
        contact_details.set_note(tmp_path, list_id, 2, "  ask for the   daughter \n second line ", until=LATER)
        contact_details.set_note(tmp_path, list_id, 3, "x", until=LATER)
        contact_details.set_note(tmp_path, list_id, 3, " ", until=LATER)
        assert contact_details.notes(tmp_path, list_id) == {2: "ask for the daughter\nsecond line"}
        with pytest.raises(DataError, match="may have 500 characters, and this one has 501") as refused:
            contact_details.set_note(tmp_path, list_id, 2, MARK + "x" * 488, until=LATER)
        assert MARK not in str(refused.value)
        assert contact_details.notes(tmp_path, list_id)[2] == "ask for the daughter\nsecond line"
    contact_details.keep(tmp_path, with_details, {1: ContactDetails("Sam Lee")}, LATER)  # the list is mended
    assert contact_details.notes(tmp_path, with_details)[2]
    assert contact_details.read(tmp_path, with_details) == {1: ContactDetails("Sam Lee")}


@pytest.mark.parametrize("damage", ["older", "cut short", "lost"])
def test_a_note_or_a_corrected_row_does_not_replace_what_cannot_be_read(tmp_path: Path, damage: str):
    """The file may come back from where it was saved; removing its mark, and a damaged file, goes on without it."""
    list_id = stored_list(tmp_path).heading.list_id
    contact_details.keep(tmp_path, list_id, {1: MARKED}, LATER)
    path = tmp_path / "lists" / f"{list_id}.contacts"
    older = path.read_bytes()
    contact_details.set_note(tmp_path, list_id, 1, "not on this number", until=LATER)
    newest = path.read_bytes()
    left = {"older": older, "cut short": newest[:-1], "lost": None}[damage]
    path.unlink() if left is None else path.write_bytes(left)
    for write in (
        lambda: contact_details.set_note(tmp_path, list_id, 2, "x", until=LATER),
        lambda: contact_details.add_notes(tmp_path, list_id, {2: "x"}, until=LATER),
        lambda: contact_details.add_details(tmp_path, list_id, {2: ContactDetails("Sam Lee")}, LATER),
    ):
        with pytest.raises(StoreError, match=re.escape(f"remove {path.name}.made")) as refused:
            write()
        assert MARK not in str(refused.value)
        assert (path.read_bytes() if path.exists() else None) == left
    path.write_bytes(newest)
    contact_details.set_note(tmp_path, list_id, 2, "x", until=LATER)
    assert contact_details.notes(tmp_path, list_id) == {1: "not on this number", 2: "x"}
    path.unlink() if damage != "older" else path.write_bytes(older)
    path.with_name(f"{path.name}.made").unlink()  # a person decides to go on
    contact_details.set_note(tmp_path, list_id, 2, "x", until=LATER)
    assert contact_details.read_with_notes(tmp_path, list_id) == ({1: MARKED} if damage == "older" else {}, {2: "x"})


def test_an_older_copy_is_not_shown_is_told_and_goes_when_the_list_is_kept_again(tmp_path: Path, caplog):
    list_id = stored_list(tmp_path).heading.list_id
    contact_details.keep(tmp_path, list_id, {1: MARKED}, LATER)
    path = tmp_path / "lists" / f"{list_id}.contacts"
    older = path.read_bytes()
    contact_details.set_note(tmp_path, list_id, 1, "not on this number", until=LATER)
    newest = path.read_bytes()
    path.write_bytes(older)
    assert contact_details.read_with_notes(tmp_path, list_id) == ({}, {})
    assert contact_details.is_unreadable(tmp_path, list_id)
    (said,) = contact_details.damaged(tmp_path)
    assert said.startswith(f"{path}: is an older copy: contact details or notes of this list were written later.")
    assert [record.getMessage() for record in caplog.records] == [said]
    path.write_bytes(newest)
    assert contact_details.read_with_notes(tmp_path, list_id) == ({1: MARKED}, {1: "not on this number"})
    path.write_bytes(older)
    contact_details.keep(tmp_path, list_id, {1: ContactDetails("Sam Lee")}, LATER)  # it is uploaded again
    assert contact_details.read(tmp_path, list_id) == {1: ContactDetails("Sam Lee")}
    assert not list(contact_details.damaged(tmp_path))
    # A process that was killed after the file was written, before its mark: the file is the newer of the two.
    mark = path.with_name(f"{path.name}.made")
    before = mark.read_text()
    contact_details.set_note(tmp_path, list_id, 2, "x", until=LATER)
    mark.write_text(before)
    assert contact_details.notes(tmp_path, list_id) == {2: "x"}


def test_the_contact_details_of_an_earlier_release_are_read(tmp_path: Path):
    list_id = stored_list(tmp_path).heading.list_id
    key = contact_details.key_in(contact_details.read_or_make(tmp_path / "contacts.key"))
    head = b"dnapredict contacts 1 2100-01-01\n"
    plain = b'{"2": "a note"}\n1 ["Sam Lee", null, [], null, null, []]'
    path = tmp_path / "lists" / f"{list_id}.contacts"
    path.write_bytes(head + contact_details.encrypt(plain, key, bound_to=head + list_id.encode()))
    path.with_name(f"{path.name}.made").write_text("2100-01-01")
    assert contact_details.read_with_notes(tmp_path, list_id) == ({1: ContactDetails("Sam Lee")}, {2: "a note"})
    older = path.read_bytes()
    contact_details.set_note(tmp_path, list_id, 2, "another", until=LATER)
    path.write_bytes(older)
    assert contact_details.notes(tmp_path, list_id) == {}


def _write_notes(home: Path, list_id: str, first: int) -> None:
    for row in range(first, first + 20):
        contact_details.set_note(home, list_id, row, f"note {row}", until=LATER)


def test_two_processes_lose_none_of_each_others_notes(tmp_path: Path):
    list_id = stored_list(tmp_path).heading.list_id
    contact_details.keep(tmp_path, list_id, {1: MARKED}, LATER)
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=_write_notes, args=(tmp_path, list_id, first)) for first in (1, 101)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert contact_details.notes(tmp_path, list_id) == {
        row: f"note {row}" for first in (1, 101) for row in range(first, first + 20)
    }
    assert contact_details.read(tmp_path, list_id) == {1: MARKED}


TEXT = st.text(st.characters(codec="utf-8"), max_size=30)


@settings(max_examples=examples(30), deadline=None)
@given(
    st.dictionaries(
        st.integers(1, 5_000),
        st.builds(
            ContactDetails,
            name=st.none() | TEXT,
            birth_date=st.none() | st.dates(),
            telephones=st.tuples(TEXT, TEXT),
            language=st.none() | TEXT,
            preferred_time=st.none() | TEXT,
            kinds=st.just(("mobile", "other")),
        ),
    )
)
def test_whatever_is_kept_is_read_back(tmp_path_factory: pytest.TempPathFactory, rows: dict[int, ContactDetails]):
    home = tmp_path_factory.mktemp("home")
    contact_details.keep(home, "0123456789abcdef", rows, LATER)
    assert contact_details.read(home, "0123456789abcdef") == rows

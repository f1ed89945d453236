"""The calls database: locks that hold, damage that is said and mended, secrets that are never replaced."""

import datetime
import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from tests.spec.test_contacts import Recorded, SharedSecret, listed

from dnapredict.errors import StoreError
from dnapredict.worklist.calls import calls_database
from dnapredict.worklist.calls.calls_database import accept_rows
from dnapredict.worklist.calls.calls_ledger import Ledger, PlannedCall

WISH = "header\n2026-11-10 | a | p | X | wishes no calls\n2026-11-10 | b | q | X | confirmed"
ROWS = listed(("c", "p", "X"), ("d", "q", "X"), ("e", "r", "X"))
DAY = datetime.date(2026, 11, 20)
CALL = PlannedCall("c", "p", "X", DAY)
IS_LOCKED = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)
try:
    connection.execute("BEGIN IMMEDIATE")
except sqlite3.OperationalError:
    print("locked")
"""


def is_locked(path: Path) -> bool:
    """Whether another process finds a write lock on the database."""
    asked = [sys.executable, "-c", IS_LOCKED, str(path)]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout == "locked\n"


@pytest.fixture
def recorded() -> Recorded:
    return Recorded(WISH)


@pytest.fixture
def ledger(tmp_path: Path, recorded: Recorded) -> Ledger:
    """A ledger that was in use."""
    ledger = Ledger(tmp_path, recorded)
    ledger.plan("first", [CALL])
    assert ledger.known(ROWS).opted_out == {0}
    return ledger


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lists" / "calls.db"


def everything_known(ledger: Ledger, rows: pa.Table = ROWS) -> tuple[str, ...]:
    """The notices of a list, on which all that was recorded is known."""
    known = ledger.known(rows)
    assert known.opted_out == {0}
    assert [known.mutes(row, DAY, mute_days=14) for row in range(3)] == [True, True, False]
    return known.notices


def test_a_lock_on_the_database_holds_whatever_else_this_process_does_with_it(tmp_path, monkeypatch):
    """SQLite's locks are the process's: closing any other descriptor of the file would drop them."""
    monkeypatch.setattr(calls_database, "_SECONDS_TO_WAIT", 0.2, raising=False)
    Ledger(tmp_path).plan("first", [CALL])
    path = tmp_path / "lists" / "calls.db"
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("DELETE FROM calls")
    assert is_locked(path)
    others = [threading.Thread(target=Ledger(tmp_path).plan, args=("next", [CALL]), daemon=True)]
    for other in others:
        other.start()
        other.join(timeout=1)
    assert is_locked(path)
    writer.execute("ROLLBACK")
    writer.close()
    for other in others:
        other.join()
    assert not is_locked(path)


def test_the_first_use_of_a_home_says_nothing(tmp_path, recorded):
    assert everything_known(Ledger(tmp_path, recorded)) == ()


def set_aside(path: Path) -> list[Path]:
    found = path.parent.glob("calls.db.damaged-*")
    return [each for each in found if not each.name.endswith(("-wal", "-shm"))]


def zero_a_page(path: Path) -> None:
    held = bytearray(path.read_bytes())
    held[4096:8192] = bytes(4096)
    path.write_bytes(held)


def write_noise(path: Path) -> None:
    path.write_bytes(os.urandom(20_000))


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def drop_the_tables(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE other (a)")
    connection.close()


@pytest.mark.parametrize("harm", [zero_a_page, write_noise, truncate, empty, drop_the_tables])
@pytest.mark.usefixtures("ledger")
def test_a_damaged_database_is_set_aside_and_made_anew_and_the_list_says_so(tmp_path, path, recorded, harm):
    harm(path)
    calls_database._checked.clear()  # as in another process
    damaged = path.read_bytes()
    (said,) = everything_known(Ledger(tmp_path, recorded))
    (aside,) = set_aside(path)
    assert "was damaged and is kept as" in said
    assert aside.name in said
    assert "known from the scoring log" in said
    assert aside.read_bytes()[:4096] == damaged[:4096]
    assert everything_known(Ledger(tmp_path, recorded)) == (said,)  # for a day


@pytest.mark.usefixtures("ledger")
def test_a_lost_database_is_made_anew_and_the_list_says_so(tmp_path, path, recorded):
    for each in path.parent.glob("calls.db*"):
        each.unlink()
    (said,) = everything_known(Ledger(tmp_path, recorded))
    assert "was missing" in said


def test_what_can_be_read_of_a_damaged_database_is_kept_where_there_is_no_log(tmp_path, path):
    ledger = Ledger(tmp_path, SharedSecret(tmp_path))
    ledger.plan("first", [CALL])
    ledger.known(ROWS)
    flip(path, ledger, "X", "Y")
    known = Ledger(tmp_path).known(ROWS)
    assert any("Check both before each call" in said for said in known.notices)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM events").fetchone() == (1,)
        assert connection.execute("SELECT count(*) FROM calls").fetchone() == (1,)
    connection.close()


def flip(path: Path, ledger: Ledger, old: str, new: str) -> None:
    """Change a value in a file that is a sound database before and after."""
    assert ledger is not None
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE events SET clinic = ? WHERE clinic = ?", (new, old))
    connection.close()
    calls_database._checked.clear()


def test_a_value_that_was_changed_in_a_sound_file_is_damage_too(tmp_path, path, recorded, ledger):
    flip(path, ledger, "X", "Y")
    (said,) = everything_known(Ledger(tmp_path, recorded))
    assert "was damaged" in said


def test_a_locked_database_stops_no_list(ledger, path, monkeypatch):
    monkeypatch.setattr(calls_database, "_SECONDS_TO_WAIT", 0.1)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    other.execute("DELETE FROM calls")
    try:
        (said,) = everything_known(ledger)
        assert "another program has locked it" in said
        (said,) = ledger.plan("second", [CALL])
        assert "are not recorded" in said
    finally:
        other.close()
    assert everything_known(ledger) == ()


@pytest.mark.usefixtures("ledger")
def test_a_database_that_cannot_be_opened_stops_no_list(tmp_path, path, recorded):
    for each in path.parent.glob("calls.db*"):
        each.unlink()
    path.mkdir()
    (said,) = everything_known(Ledger(tmp_path, recorded))
    assert "cannot be used" in said
    known = Ledger(tmp_path).known(ROWS)
    assert "Check both before each call" in known.notices[0]


def test_where_neither_database_nor_log_can_be_read_the_list_says_what_to_check(tmp_path, path, ledger, recorded):
    assert ledger is not None
    recorded.is_broken = True
    assert ledger.known(ROWS).opted_out == {0}
    assert "scoring log cannot be read" in ledger.known(ROWS).notices[0]
    for each in path.parent.glob("calls.db*"):
        each.unlink()
    path.mkdir()
    known = Ledger(tmp_path, recorded).known(ROWS)
    assert not known.opted_out
    assert "Check both before each call" in known.notices[0]


def test_a_home_of_the_first_release_opens_and_its_planned_calls_mute_nobody(tmp_path, path, recorded):
    path.parent.mkdir()
    (path.parent / "calls.secret").write_text("ab" * 32)
    with sqlite3.connect(path) as connection:
        connection.execute(
            "CREATE TABLE calls (list TEXT NOT NULL, appointment TEXT NOT NULL, patient TEXT NOT NULL, "
            "clinic TEXT NOT NULL, call_by TEXT NOT NULL, planned_on TEXT NOT NULL, "
            "PRIMARY KEY (list, appointment)) WITHOUT ROWID"
        )
        connection.execute("INSERT INTO calls VALUES ('l', 'a', 'p', 'X', '2026-11-20', '2026-11-18')")
    connection.close()
    assert everything_known(Ledger(tmp_path, recorded)) == ()
    Ledger(tmp_path, recorded).plan("next", [CALL])
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM calls").fetchone() == (2,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_many_processes_may_find_the_damage_at_once(tmp_path, ledger, path):
    assert ledger is not None
    write_noise(path)
    look = (
        "import sys; from pathlib import Path; from tests.unit.test_calls_database import *;"
        "print(len(everything_known(Ledger(Path(sys.argv[1]), Recorded(WISH)))))"
    )
    asked = [sys.executable, "-c", look, str(tmp_path)]
    root = Path(__file__).resolve().parents[2]
    running = [
        subprocess.Popen(asked, stdout=subprocess.PIPE, cwd=root, env=os.environ | {"PYTHONPATH": f"{root}/src:{root}"})
        for _ in range(4)
    ]
    assert [each.communicate()[0] for each in running] == [b"1\n"] * 4
    assert len(set_aside(path)) == 1


# Secrets.


@pytest.fixture(params=["lists/calls.secret", "scoring-log.secret"])
def secret(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A secret of a home in which calls were planned and recorded."""
    ledger = Ledger(tmp_path)
    ledger.plan("first", [CALL], listed=[("c", "p")])
    with sqlite3.connect(tmp_path / "lists" / "calls.db") as connection:
        row = (1, 1, "a", "p", "X", "2026-11-10", "no_calls_wished", "opted out")
        connection.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        accept_rows(connection)
    connection.close()
    Ledger(tmp_path).known(ROWS)
    return tmp_path / request.param


@pytest.mark.parametrize(
    ("held", "sentence"),
    [
        (b"", "expected 64 hexadecimal characters, found 0 bytes"),
        (b"ab" * 31, "found 62 bytes"),
        (b"xy" * 32, "is damaged"),
        (b"\xff" * 64, "is damaged"),
        (b"ab" * 32, "another secret"),
        (None, "is missing"),
    ],
)
def test_a_secret_that_was_emptied_damaged_changed_or_lost_is_refused_and_not_replaced(
    tmp_path, secret, held, sentence
):
    secret.unlink() if held is None else secret.write_bytes(held)
    for _ in range(2):
        with pytest.raises(StoreError, match=sentence) as raised:
            Ledger(tmp_path).known(ROWS)
        assert str(secret) in str(raised.value)
        assert "backup" in str(raised.value)
    assert (secret.read_bytes() if secret.exists() else None) == held


def test_a_secret_that_an_editor_ended_with_a_line_is_the_same_each_time(tmp_path):
    (tmp_path / "scoring-log.secret").write_text("ab" * 32 + "\n")
    ledger = Ledger(tmp_path)
    ledger.plan("first", [CALL], listed=[("c", "p")])
    shutil.copytree(tmp_path, tmp_path.with_name("copy"))
    assert Ledger(tmp_path.with_name("copy")).plan("second", [CALL], listed=[("c", "p")]) == ()


def of_form_4(path: Path) -> None:
    """Make the database what an earlier release wrote: without the index by patient."""
    with sqlite3.connect(path) as connection:
        connection.executescript("DROP INDEX listed_of_patient; PRAGMA user_version = 4;")
    connection.close()
    calls_database._checked.clear()


@pytest.mark.usefixtures("ledger")
def test_a_database_without_the_index_by_patient_is_upgraded_with_its_rows(path, recorded):
    of_form_4(path)
    assert Ledger(path.parents[1], recorded).known(ROWS).opted_out == {0}
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (5,)
        assert connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'listed_of_patient'").fetchone()
    connection.close()


@pytest.mark.usefixtures("ledger")
def test_a_changed_event_is_found_also_in_a_database_of_form_4(path, recorded):
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE events SET patient = 'x' WHERE effect = 'opted out'")
    connection.close()
    of_form_4(path)
    with pytest.raises(calls_database.UnusableError, match="damaged"):
        Ledger(path.parents[1], recorded).verify()
    calls_database._checked.clear()
    assert Ledger(path.parents[1], recorded).known(ROWS).opted_out == {0}  # rebuilt from the log


@pytest.mark.parametrize("known_by", ["the log", "a list", "an entry"])
def test_an_opt_out_covers_every_appointment_of_the_patient_however_that_is_known(tmp_path, recorded, known_by):
    ledger = Ledger(tmp_path, recorded)
    ledger.plan("first", [], listed=[("c", "p")] if known_by == "a list" else [])
    name = "a" if known_by == "an entry" else "c"
    hashes = {each: ledger.hashed("appointment", each) for each in (name, "e")}
    logged = {hashes["c"]: ledger.hashed("patient", "p")} if known_by == "the log" else {}
    assert ledger.opted_out(list(hashes.values()), patients_of=lambda _: logged) == {hashes[name]}


# Databases of earlier releases, which had one row for each appointment.

EARLIER = """
    appointment | patient | day        | outcome         | reached | settled | opted_out
    a           | p       | 2026-11-10 | no_calls_wished | 1       | 1       | 1
    b           | q       | 2026-11-10 | confirmed       | 1       | 1       | 0
    c           | r       | 2026-11-10 | no_answer       | 0       | 0       | 2
    d           | s       | 2026-11-10 | rebooked        | 1       | 0       | 0
    e           | t       | 2026-11-10 | wrong_number    | 0       | 0       | 0
    f           |         | 2026-11-10 | no_calls_wished | 1       | 1       | 1
"""
EARLIER_SCHEMA = """
    CREATE TABLE calls (
        list TEXT NOT NULL, appointment TEXT NOT NULL, patient TEXT NOT NULL, clinic TEXT NOT NULL,
        call_by TEXT NOT NULL, planned_on TEXT NOT NULL, PRIMARY KEY (list, appointment)
    ) WITHOUT ROWID;
    CREATE TABLE contacts (
        appointment TEXT PRIMARY KEY, patient TEXT, clinic TEXT, day TEXT NOT NULL, outcome TEXT NOT NULL,
        reached INTEGER NOT NULL, settled INTEGER NOT NULL, opted_out INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE listed (appointment TEXT PRIMARY KEY, patient TEXT NOT NULL, day TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
LATER = listed(*(("g", patient, "X") for patient in "pqrs"), ("e", "t", "X"), ("f", "u", "X"), ("b", "q", "X"))


def of_earlier_release(path: Path, recorded: Recorded, *, form: int = 2, read_up_to: int = 9) -> None:
    """Write the database that release 2 made of `EARLIER`, with the sum of its rows."""
    path.parent.mkdir()
    (path.parent / "calls.secret").write_text("ab" * 32)
    with sqlite3.connect(path) as connection:
        connection.executescript(f"{EARLIER_SCHEMA} PRAGMA user_version = {form};")
        if form == 3:
            connection.execute("CREATE TABLE attempts (number INTEGER PRIMARY KEY, appointment TEXT)")
        total = 0
        for line in EARLIER.strip().splitlines()[1:]:
            appointment, patient, day, outcome, *flags = (cell.strip() or None for cell in line.split("|"))
            hashes = (recorded.hashed("appointment", appointment), patient and recorded.hashed("patient", patient))
            row = (*hashes, "X", day, outcome, *map(int, flags))
            connection.execute("INSERT INTO contacts VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
            total += int.from_bytes(hashlib.sha256(repr(row).encode()).digest()[:16], "big")
        of_log = {"log number": str(read_up_to), "log seal": f"seal {read_up_to}"}
        values = {"contacts sum": f"{total % (1 << 128):032x}", **of_log}
        connection.executemany("INSERT INTO settings VALUES (?, ?)", values.items())
    connection.close()


class Shortened(Recorded):
    """A log whose first nine entries were removed by retention."""

    def after(self, number: int, seal: str):
        return [each for each in super().after(number, seal) if each is not None]


class WithoutItsEnd(Recorded):
    """A log that does not find its own last entry, and returns all entries each time."""

    def after(self, _number: int, _seal: str):
        return self.contacts


def test_a_log_without_the_entry_that_was_copied_last_is_not_read_for_ever(tmp_path):
    recorded = WithoutItsEnd("header\n2026-11-10 | a | p | X | wishes no calls")
    rows = listed(("a", "p", "X"))
    for _ in range(2):
        assert Ledger(tmp_path, recorded).known(rows).opted_out == {0}


def test_a_database_of_an_earlier_release_opens_and_nothing_is_forgotten(tmp_path, path):
    recorded = Shortened()
    of_earlier_release(path, recorded)
    for _ in range(2):
        known = Ledger(tmp_path, recorded).known(LATER)
        assert known.notices == ()
        assert known.opted_out == {0, 2, 5}
        assert known.settled == {5, 6}
        assert [known.mutes(row, DAY, mute_days=14) for row in range(5)] == [True, True, False, True, False]
        assert known.attempts == {4: [datetime.date(2026, 11, 10)]}
        calls_database._checked.clear()  # as in another process
    recorded.contacts = [None] * 9
    recorded.record("2026-11-12", "g", "p", "X", "wishes calls")
    recorded.record("2026-11-12", "c", "r", "X", "mistake")
    recorded.record("2026-11-12", "c", "r", "X", "mistake")
    recorded.record("2026-11-12", "b", "q", "X", "mistake")
    known = Ledger(tmp_path, recorded).known(LATER)
    assert (known.opted_out, known.settled) == ({5}, {5})


def test_a_row_of_an_earlier_release_that_was_changed_is_damage(tmp_path, path):
    recorded = Recorded()
    of_earlier_release(path, recorded)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE contacts SET patient = 'other' WHERE outcome = 'confirmed'")
    connection.close()
    known = Ledger(tmp_path, recorded).known(LATER)
    assert "was damaged" in known.notices[0]
    assert known.opted_out == {0, 2, 5}
    assert set_aside(path)


def test_a_database_between_releases_is_completed_from_the_log(tmp_path, path):
    """It had the calls that reached nobody in another table, and said less of them than the log does."""
    text = "\n".join(["header", *["2026-11-10 | e | t | X | no answer"] * 3, "2026-11-10 | b | q | X | confirmed"])
    recorded = Recorded(text)
    of_earlier_release(path, recorded, form=3, read_up_to=4)
    known = Ledger(tmp_path, recorded).known(LATER)
    assert len(known.attempts[4]) == 3
    assert (known.opted_out, known.settled) == ({0, 2, 5}, {5, 6})
    recorded.record("2026-11-12", "b", "q", "X", "mistake")
    assert Ledger(tmp_path, recorded).known(LATER).settled == {5}


def test_the_events_of_a_rebuilt_database_are_in_the_order_of_the_log(tmp_path, path):
    text = "header\n2026-11-10 | a | p | X | wishes no calls\n2026-11-10 | a | p | X | confirmed"
    recorded = Recorded(f"{text}\n2026-11-10 | a | p | X | mistake\n2026-11-11 | b | q | X | confirmed")
    Ledger(tmp_path, recorded).known(ROWS)
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM events WHERE number = 2")  # so that "mistake" would withdraw the opt-out
    connection.close()
    calls_database._checked.clear()
    (said,) = everything_known(Ledger(tmp_path, recorded))
    assert "was damaged" in said
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT number FROM events ORDER BY id").fetchall() == [(1,), (2,), (3,), (4,)]
    connection.close()


def test_a_log_that_was_restored_from_a_backup_counts_no_call_twice(tmp_path):
    recorded = Recorded("header\n" + "\n".join(["2026-11-10 | a | p | X | no answer"] * 2))
    rows = listed(("a", "p", "X"))
    assert len(Ledger(tmp_path, recorded).known(rows).attempts[0]) == 2
    recorded.contacts = recorded.contacts[:1]
    recorded.record("2026-11-11", "b", "q", "X", "no answer")
    recorded.contacts[1] = replace(recorded.contacts[1], seal="seal of another entry")
    recorded.after = lambda number, seal: recorded.contacts if seal == "seal 2" else recorded.contacts[number:]
    assert len(Ledger(tmp_path, recorded).known(rows).attempts[0]) == 2

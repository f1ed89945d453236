"""Who is passed over, given what was recorded about calls. Each table is what clerks recorded, in order."""

import datetime
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from dnapredict.data.files.digests import keyed_hash
from dnapredict.errors import StoreError
from dnapredict.worklist.calls.calls_ledger import Ledger, PlannedCall
from dnapredict.worklist.calls.known_contacts import Contact

EFFECTS = {
    "confirmed": "reached",
    "rebooked": "rebooked",
    "no answer": "not reached",
    "message left": "not reached",
    "wrong number": "wrong number",
    "call back": "call back",
    "wishes no calls": "opted out",
    "mistake": "withdrawn",
}


class Recorded:
    """A scoring log in memory."""

    def __init__(self, text: str = "") -> None:
        self.contacts: list[Contact] = []
        self.is_broken = False
        for line in text.strip().splitlines()[1:]:
            day, appointment, patient, clinic, outcome = (cell.strip() or None for cell in line.split("|"))
            self.record(day, appointment, patient, clinic, outcome)

    def record(self, day: str, appointment: str, patient: str | None, clinic: str | None, outcome: str):
        number = len(self.contacts) + 1
        self.contacts.append(
            Contact(
                number,
                f"seal {number}",
                self.hashed("appointment", appointment),
                patient and self.hashed("patient", patient),
                clinic,
                datetime.date.fromisoformat(day),
                outcome,
                EFFECTS[outcome],
            )
        )

    def hashed(self, kind: str, value: str) -> str:
        return keyed_hash(b"a secret", kind, value)

    def after(self, number: int, seal: str) -> Iterable[Contact]:
        if self.is_broken:
            raise StoreError("cannot be read")
        known = number <= len(self.contacts) and seal in ("", f"seal {number}")
        return self.contacts[number if known else 0 :]


def listed(*rows: tuple[str, str | None, str | None]) -> pa.Table:
    columns = list(zip(*rows, strict=True))
    names = ("appointment_id", "patient_id", "clinic_code")
    return pa.table({name: pa.array(cells, pa.string()) for name, cells in zip(names, columns, strict=True)})


def passed_over(
    home: Path,
    recorded: str,
    row: tuple[str, str | None, str | None],
    *,
    call_by: str = "2026-11-20",
    mute_days: int = 14,
    today: str = "2026-11-12",
) -> str:
    """Why an appointment is not called about; "" if it is."""
    known = Ledger(home, Recorded(recorded)).known(listed(row))
    assert known.notices == ()
    if known.opted_out:
        return "opted out"
    if known.unanswered(datetime.date.fromisoformat(today), most_attempts=3):
        return "unanswered"
    if known.settled:
        return "settled"
    return "muted" if known.mutes(0, datetime.date.fromisoformat(call_by), mute_days=mute_days) else ""


@pytest.mark.parametrize(
    ("outcome", "why"),
    [
        ("confirmed", "muted"),
        ("rebooked", "muted"),
        ("no answer", ""),
        ("message left", ""),
        ("wrong number", ""),
        ("wishes no calls", "opted out"),
        ("mistake", ""),
    ],
)
def test_only_a_patient_who_was_reached_is_passed_over_for_another_appointment(tmp_path, outcome, why):
    recorded = f"""
        day        | appointment | patient | clinic | outcome
        2026-11-10 | a           | p       | X      | {outcome}
    """
    assert passed_over(tmp_path, recorded, ("b", "p", "X")) == why


@pytest.mark.parametrize(
    ("row", "call_by", "why"),
    [
        (("b", "p", "X"), "2026-11-24", "muted"),
        (("b", "p", "X"), "2026-11-25", ""),  # 15 days on
        (("b", "p", "X"), "2026-11-08", "muted"),  # overdue, and the patient was reached meanwhile
        (("b", "p", "Y"), "2026-11-11", ""),  # another clinic
        (("b", "q", "X"), "2026-11-11", ""),  # another patient
        (("b", None, "X"), "2026-11-11", ""),  # nobody knows whose it is
        (("b", "p", None), "2026-11-11", ""),  # nor where
        (("a", "p", "X"), "2027-02-01", "settled"),  # the same appointment, however long ago
        (("a", None, None), "2026-11-11", "settled"),
    ],
)
def test_a_patient_is_passed_over_for_the_clinic_where_they_were_reached(tmp_path, row, call_by, why):
    recorded = """
        day        | appointment | patient | clinic | outcome
        2026-11-10 | a           | p       | X      | confirmed
    """
    assert passed_over(tmp_path, recorded, row, call_by=call_by) == why


ATTEMPTS = """
    recorded about a, patient p                         | row   | today      | passed over as
    no answer, no answer                                | a p X | 2026-11-11 |
    no answer, message left, wrong number               | a p X | 2026-11-11 | unanswered
    no answer, no answer, no answer                     | a - X | 2026-11-11 | unanswered
    no answer, no answer, no answer                     | a p X | 2027-11-11 | unanswered
    no answer, no answer, no answer                     | b p X | 2026-11-11 | unanswered
    no answer, no answer, no answer                     | b p Y | 2026-11-24 | unanswered
    no answer, no answer, no answer                     | b p X | 2026-11-25 |
    no answer, no answer, no answer                     | b q X | 2026-11-11 |
    no answer, no answer, call back                     | a p X | 2026-11-11 |
    no answer, no answer, no answer, mistake            | a p X | 2026-11-11 |
    no answer, no answer, call back, mistake, no answer | a p X | 2026-11-11 | unanswered
    no answer, no answer, confirmed                     | a p X | 2026-11-11 | settled
    no answer, no answer, rebooked, no answer           | b p Y | 2026-11-11 |
"""


@pytest.mark.parametrize(
    ("outcomes", "row", "today", "why"),
    [[cell.strip() for cell in line.split("|")] for line in ATTEMPTS.strip("\n").splitlines()[1:]],
)
def test_after_three_calls_without_an_answer_nobody_calls_again(tmp_path, outcomes, row, today, why):
    """On every later list, whether it is the same appointment or, for two weeks, another one of the patient."""
    lines = [f"2026-11-10 | a | p | X | {outcome}" for outcome in outcomes.split(", ")]
    recorded = "\n".join(["day | appointment | patient | clinic | outcome", *lines])
    appointment, patient, clinic = (None if cell == "-" else cell for cell in row.split())
    assert passed_over(tmp_path, recorded, (appointment, patient, clinic), today=today, mute_days=0) == why


def test_without_a_mute_period_only_the_same_appointment_is_settled(tmp_path):
    recorded = """
        day        | appointment | patient | clinic | outcome
        2026-11-19 | a           | p       | X      | confirmed
    """
    assert passed_over(tmp_path, recorded, ("b", "p", "X"), mute_days=0) == ""
    assert passed_over(tmp_path, recorded, ("a", "p", "X"), mute_days=0) == "settled"


def test_an_appointment_that_was_moved_may_be_called_about_again_after_the_mute_period(tmp_path):
    recorded = """
        day        | appointment | patient | clinic | outcome
        2026-11-10 | a           | p       | X      | rebooked
    """
    assert passed_over(tmp_path, recorded, ("a", "p", "X"), call_by="2026-11-20") == "muted"
    assert passed_over(tmp_path, recorded, ("a", "p", "X"), call_by="2026-12-20") == ""


@pytest.mark.parametrize(
    ("outcomes", "why"),
    [
        (("no answer", "confirmed"), "settled"),
        (("confirmed", "no answer"), ""),  # put right by another clerk: the last one counts
        (("confirmed", "mistake"), ""),
        (("confirmed", "mistake", "confirmed"), "settled"),
        (("wishes no calls", "no answer"), "opted out"),  # a wish is not undone by another call
        (("wishes no calls", "confirmed"), "opted out"),
        (("wishes no calls", "mistake"), ""),
        (("wishes no calls", "no answer", "mistake"), "opted out"),  # the mistake was the last of them
        (("wishes no calls", "confirmed", "no answer", "mistake"), "opted out"),
        (("wishes no calls", "confirmed", "mistake", "mistake"), ""),
        (("wishes no calls", "confirmed", "wishes no calls", "mistake"), ""),
    ],
)
def test_the_last_outcome_counts_and_a_wish_holds_until_it_is_withdrawn(tmp_path, outcomes, why):
    lines = "\n".join(f"2026-11-10 | a | p | X | {outcome}" for outcome in outcomes)
    assert passed_over(tmp_path, f"header\n{lines}", ("a", "p", "X")) == why


@pytest.mark.parametrize(
    "row", [("b", "p", "X"), ("c", "p", "Y"), ("d", "p", None), ("a", None, None), ("a", "p", "X")]
)
def test_a_patient_who_asked_not_to_be_called_is_called_by_no_clinic_and_never_again(tmp_path, row):
    recorded = """
        day        | appointment | patient | clinic | outcome
        2019-01-10 | a           | p       | X      | wishes no calls
    """
    assert passed_over(tmp_path, recorded, row, mute_days=0) == "opted out"


@pytest.mark.parametrize(
    ("then", "now"),
    [
        ("0005913", "5913"),  # Excel drops zeros in front
        ("5913", "0005913"),
        ("5913.0", "5913"),
        ("943 476 5919", "9434765919"),
        ("  P 17 ", "P 17"),
    ],
)
def test_a_patient_is_known_in_whatever_form_a_spreadsheet_left_the_number(tmp_path, then, now):
    recorded = Recorded()
    recorded.contacts = [
        Contact(
            1,
            "seal 1",
            recorded.hashed("appointment", "a"),
            recorded.hashed("patient", then),
            "X",
            datetime.date(2026, 11, 10),
            "no_calls_wished",
            "opted out",
        )
    ]
    assert Ledger(tmp_path, recorded).known(listed(("b", now, "Y"))).opted_out == {0}


def test_a_wish_that_was_recorded_before_numbers_had_one_form_is_known(tmp_path):
    recorded = Recorded()
    recorded.record("2026-11-10", "a", "0005913", "X", "wishes no calls")
    (contact,) = recorded.contacts
    recorded.contacts = [replace(contact, patient=recorded.hashed("patient as written", "0005913"))]
    assert Ledger(tmp_path, recorded).known(listed(("b", "0005913", "Y"))).opted_out == {0}


def test_a_wish_of_nobody_knows_whom_holds_for_the_appointment(tmp_path):
    recorded = """
        day        | appointment | patient | clinic | outcome
        2026-11-10 | a           |         | X      | wishes no calls
    """
    assert passed_over(tmp_path, recorded, ("a", "p", "X")) == "opted out"
    assert passed_over(tmp_path, recorded, ("b", "p", "X")) == ""


def test_a_wish_is_withdrawn_on_any_appointment_of_the_patient_about_which_nothing_else_stands(tmp_path):
    wish = "header\n2026-11-10 | a | p | X | wishes no calls\n"
    elsewhere = "2026-11-12 | b | p | Y | mistake"
    assert passed_over(tmp_path / "1", wish + elsewhere, ("c", "p", "X")) == ""
    of_something_else = "2026-11-12 | b | p | Y | confirmed\n2026-11-12 | b | p | Y | mistake"
    assert passed_over(tmp_path / "2", wish + of_something_else, ("c", "p", "X")) == "opted out"
    of_another = "2026-11-12 | b | q | Y | mistake"
    assert passed_over(tmp_path / "3", wish + of_another, ("c", "p", "X")) == "opted out"


def test_a_call_that_was_only_planned_changes_nothing(tmp_path):
    ledger = Ledger(tmp_path, Recorded())
    day = datetime.date(2026, 11, 20)
    ledger.plan("monday", [PlannedCall(f"a{n}", f"p{n}", "X", day) for n in range(47)])
    again = listed(*((f"a{n}", f"p{n}", "X") for n in range(47)))
    known = ledger.known(again)
    assert (known.opted_out, known.settled) == (set(), set())
    assert not any(known.mutes(row, day, mute_days=14) for row in range(47))


def test_what_is_recorded_while_lists_are_made_is_known_to_the_next_list(tmp_path):
    recorded = Recorded()
    ledgers = [Ledger(tmp_path, recorded), Ledger(tmp_path / "another host", recorded)]
    row = listed(("b", "p", "X"))
    for ledger in ledgers:
        assert not ledger.known(row).opted_out
    recorded.record("2026-11-10", "a", "p", "X", "wishes no calls")
    for ledger in ledgers:
        assert ledger.known(row).opted_out
    recorded.record("2026-11-11", "a", "p", "X", "mistake")
    for ledger in ledgers:
        assert not ledger.known(row).opted_out


def test_a_home_whose_log_was_replaced_keeps_what_it_knows_and_learns_the_rest(tmp_path):
    old = Recorded("header\n2026-11-10 | a | p | X | wishes no calls\n2026-11-10 | b | q | X | confirmed")
    Ledger(tmp_path, old).known(listed(("c", "p", "X")))
    new = Recorded("header\n2026-11-12 | d | r | X | wishes no calls")
    known = Ledger(tmp_path, new).known(listed(("c", "p", "X"), ("e", "r", "X")))
    assert known.opted_out == {0, 1}


def test_a_list_of_thousands_is_answered_row_for_row(tmp_path):
    recorded = Recorded("header\n2026-11-10 | a | p1500 | X | wishes no calls")
    known = Ledger(tmp_path, recorded).known(listed(*((f"n{n}", f"p{n}", "X") for n in range(2_000))))
    assert known.opted_out == {1_500}


def test_a_list_that_was_a_file_tells_whose_appointment_a_wish_is_about(tmp_path):
    recorded = Recorded()
    ledger = Ledger(tmp_path, recorded)
    ledger.plan("file", [], listed=[("a", "p")])
    assert ledger.patient_of(recorded.hashed("appointment", "a")) == recorded.hashed("patient", "p")
    recorded.record("2026-11-10", "a", None, "X", "wishes no calls")
    assert ledger.known(listed(("b", "p", "Y"))).opted_out


def test_without_the_service_a_list_knows_what_the_home_knows(tmp_path):
    Ledger(tmp_path, SharedSecret(tmp_path)).catch_up()
    known = Ledger(tmp_path).known(listed(("b", "p", "X")))
    assert (known.opted_out, known.notices) == ({0}, ())


class SharedSecret(Recorded):
    """A scoring log whose secret is the home's."""

    def __init__(self, home: Path) -> None:
        secret = "0123456789abcdef" * 4
        (home / "scoring-log.secret").write_text(secret)
        self._secret = secret.encode()
        super().__init__("header\n2026-11-10 | a | p | X | wishes no calls")

    def hashed(self, kind: str, value: str) -> str:
        return keyed_hash(self._secret, kind, value)


def test_the_calls_database_names_nobody_and_is_its_owners_alone(tmp_path):
    recorded = Recorded("header\n2026-11-10 | Marked-A | Marked-P | X | confirmed")
    ledger = Ledger(tmp_path / "home", recorded)
    ledger.known(listed(("Marked-B", "Marked-P", "X")))
    call = PlannedCall("Marked-Appointment", "Marked-Patient", "X", datetime.date(2026, 11, 20))
    assert ledger.plan("second", [call], listed=[("Marked-Appointment", "Marked-Patient")]) == ()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert b"Marked" not in b"".join(path.read_bytes() for path in files)
    assert (tmp_path / "home" / "lists" / "calls.db") in files
    for path in (tmp_path / "home").rglob("*"):
        if path.name.endswith((".db", ".db-wal", ".db-shm", ".secret")):
            assert path.stat().st_mode & 0o077 == 0
    assert (tmp_path / "home").stat().st_mode & 0o077 == 0

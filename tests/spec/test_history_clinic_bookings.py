"""What was booked at the clinic around an appointment: examples to read."""

import pytest
from tests.spec.appointments import factors_of, table


def test_patients_booked_for_one_clinic_day_in_neighbouring_minutes_were_booked_together():
    appointments = table("""
        appointment_id | patient_id | booked_at           | starts_at        | clinic_code
        a              | p          | 2025-01-06 09:00:10 | 2025-02-10 09:00 | EYE
        b              | q          | 2025-01-06 09:00:50 | 2025-02-10 09:30 | EYE
        c              | r          | 2025-01-06 09:01:59 | 2025-02-10 10:00 | EYE
        d              | s          | 2025-01-06 09:02:00 | 2025-02-10 10:30 | EYE
        e              | t          | 2025-01-06 09:00:20 | 2025-02-11 09:00 | EYE
        f              | u          | 2025-01-06 09:00:20 | 2025-02-10 09:00 | EAR
    """)
    found = factors_of(appointments)
    assert {name: found[name]["booked_together"] for name in "abcdef"} == {
        "a": 2,  # b in its minute, c in the next
        "b": 2,
        "c": 3,  # a and b in the minute before, d in the one after
        "d": 1,
        "e": 0,  # another day
        "f": 0,  # another clinic
    }


def test_bookings_of_the_ten_minutes_before_tell_how_busy_the_desk_was():
    appointments = table("""
        appointment_id | patient_id | booked_at           | starts_at        | clinic_code
        a              | p          | 2025-01-06 08:49:59 | 2025-02-10 09:00 | EYE
        b              | q          | 2025-01-06 08:50:00 | 2025-03-10 09:30 | EYE
        c              | r          | 2025-01-06 08:59:59 | 2025-01-06 10:00 | EYE
        d              | s          | 2025-01-06 09:00:00 | 2025-02-11 10:30 | EYE
        e              | t          | 2025-01-06 09:00:30 | 2025-02-12 10:30 | EYE
    """)
    found = factors_of(appointments)
    assert [found[name]["booked_just_before"] for name in "abcde"] == [0, 1, 2, 2, 2]


@pytest.mark.parametrize(("starts_at", "known"), [("2025-01-06 11:00", 1), ("2025-01-13 09:30", 3)])
def test_a_minute_counts_once_it_is_over_when_the_appointment_is_scored(starts_at, known):
    """Booked for the same day, it is scored while its own minute still runs."""
    appointments = table(f"""
        appointment_id | patient_id | booked_at           | starts_at          | clinic_code
        a              | p          | 2025-01-06 08:59:10 | {starts_at}        | EYE
        b              | q          | 2025-01-06 09:00:10 | {starts_at}        | EYE
        c              | r          | 2025-01-06 09:00:10 | {starts_at}        | EYE
        d              | s          | 2025-01-06 09:01:10 | {starts_at}        | EYE
    """)
    assert factors_of(appointments)["b"]["booked_together"] == known


def test_without_a_clinic_or_a_clock_time_nothing_is_known():
    appointments = table("""
        appointment_id | patient_id | booked_at        | starts_at        | clinic_code
        a              | p          | 2025-01-06       | 2025-02-10 09:00 | EYE
        b              | q          | 2025-01-06       | 2025-02-10 09:30 | EYE
        c              | r          | 2025-01-06 09:00 | 2025-02-10 10:00 |
    """)
    found = factors_of(appointments)
    assert {found[name][factor] for name in "abc" for factor in ("booked_together", "booked_just_before")} == {None}


def test_a_list_moved_from_another_system_counts_as_twenty():
    rows = "\n".join(f"a{n} | p{n} | 2025-01-06 09:00:10 | 2025-02-10 09:00 | EYE" for n in range(40))
    found = factors_of(table(f"appointment_id | patient_id | booked_at | starts_at | clinic_code\n{rows}"))
    assert found["a7"]["booked_together"] == 20


def test_a_booking_counts_whether_its_patient_is_known_or_not():
    appointments = table("""
        appointment_id | patient_id | booked_at        | starts_at        | clinic_code
        a              |            | 2025-01-06 09:00 | 2025-02-10 09:00 | EYE
        b              | q          | 2025-01-06 09:00 | 2025-02-10 09:30 | EYE
        c              |            | 2025-01-06 09:05 | 2025-03-10 09:30 | EYE
    """)
    found = factors_of(appointments)
    assert {name: (row["booked_together"], row["booked_just_before"]) for name, row in found.items()} == {
        "a": (1, 0),
        "b": (1, 0),
        "c": (0, 2),
    }


def test_an_extract_without_patient_numbers_has_the_same_counts_as_one_with_them():
    rows = """
        appointment_id {} | booked_at           | starts_at        | clinic_code
        a              {} | 2025-01-06 09:00:10 | 2025-02-10 09:00 | EYE
        b              {} | 2025-01-06 09:00:50 | 2025-02-10 09:30 | EYE
        c              {} | 2025-01-06 09:01:59 | 2025-02-10 10:00 | EYE
        d              {} | 2025-01-06 09:04:00 | 2025-02-11 10:30 | EYE
    """
    numbered = factors_of(table(rows.format("| patient_id", "| p", "| p", "| q", "| r")))
    without = factors_of(table(rows.format("", "", "", "", "")))
    for name in ("booked_together", "booked_just_before"):
        assert {each: row[name] for each, row in without.items()} == {each: row[name] for each, row in numbered.items()}
    assert {name: row["booked_together"] for name, row in without.items()} == {"a": 2, "b": 2, "c": 2, "d": 0}

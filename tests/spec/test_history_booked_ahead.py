"""A past of appointments booked for the same day tells little: examples to read."""

import pytest
from tests.spec.appointments import factors_of, table


def test_same_day_bookings_are_left_out_of_what_is_told_of_those_booked_ahead():
    appointments = table("""
        appointment_id | patient_id | booked_at        | starts_at        | outcome_code
        a              | p          | 2025-01-02 09:00 | 2025-01-02 11:00 | 5
        b              | p          | 2025-01-03 09:00 | 2025-01-03 11:00 | 5
        c              | p          | 2025-01-03 09:00 | 2025-01-10 11:00 | 3
        d              | p          | 2025-02-01 09:00 | 2025-02-20 09:00 |
    """)
    found = factors_of(appointments)["d"]
    assert (found["past_appointments"], found["past_dnas"]) == (3, 1)
    assert (found["past_appointments_booked_ahead"], found["past_dnas_booked_ahead"]) == (1, 1)


def test_booked_the_evening_before_is_booked_ahead():
    appointments = table("""
        appointment_id | patient_id | booked_at        | starts_at        | outcome_code
        a              | p          | 2025-01-02 23:30 | 2025-01-03 08:00 | 3
        b              | p          | 2025-02-01 09:00 | 2025-02-20 09:00 |
    """)
    assert factors_of(appointments)["b"]["past_dnas_booked_ahead"] == 1


@pytest.mark.parametrize(("horizon_days", "known"), [(7, 0), (2, 1)])
def test_they_too_are_known_only_once_recorded(horizon_days, known):
    appointments = table("""
        appointment_id | patient_id | booked_at  | starts_at        | recorded_at      | outcome_code
        a              | p          | 2025-01-02 | 2025-02-01 09:00 | 2025-02-04 12:00 | 3
        b              | p          | 2025-01-20 | 2025-02-08 09:00 |                  |
    """)
    found = factors_of(appointments, horizon_days=horizon_days)["b"]
    assert found["past_dnas_booked_ahead"] == known


def test_a_patient_with_no_such_past_has_the_rate_of_the_whole():
    appointments = table("""
        appointment_id | patient_id | booked_at        | starts_at        | outcome_code
        a              | q          | 2025-01-02 09:00 | 2025-01-03 11:00 | 3
        b              | q          | 2025-01-02 09:00 | 2025-01-03 15:00 | 5
        c              | p          | 2025-01-03 09:00 | 2025-01-03 11:00 | 5
        d              | p          | 2025-02-01 09:00 | 2025-02-20 09:00 |
    """)
    found = factors_of(appointments)["d"]
    assert found["past_dna_rate_booked_ahead"] == found["overall_rate"] == pytest.approx(1 / 3)

"""What is known of a patient's past when an appointment is scored: examples to read."""

import pytest
from tests.spec.appointments import factors_of, table


def test_only_outcomes_recorded_before_scoring_count():
    appointments = table("""
        appointment_id | patient_id | booked_at  | starts_at        | recorded_at      | outcome_code
        a              | p          | 2025-01-02 | 2025-02-01 09:00 | 2025-02-04 12:00 | 3
        b              | p          | 2025-01-20 | 2025-02-08 09:00 |                  |
    """)
    assert factors_of(appointments, horizon_days=7)["b"]["past_dnas"] == 0  # scored 1 Feb: not yet recorded
    assert factors_of(appointments, horizon_days=2)["b"]["past_dnas"] == 1  # scored 6 Feb


def test_an_outcome_recorded_at_the_moment_of_scoring_is_not_known_yet():
    appointments = table("""
        appointment_id | patient_id | booked_at  | starts_at        | recorded_at      | outcome_code
        a              | p          | 2025-01-02 | 2025-02-01 09:00 | 2025-02-06 10:00 | 3
        b              | p          | 2025-01-20 | 2025-02-08 10:00 |                  |
        c              | p          | 2025-01-20 | 2025-02-08 10:01 |                  |
    """)
    found = factors_of(appointments, horizon_days=2)
    assert (found["b"]["past_dnas"], found["c"]["past_dnas"]) == (0, 1)


def test_without_a_recording_time_an_outcome_is_known_three_days_later():
    appointments = table("""
        appointment_id | patient_id | booked_at  | starts_at        | outcome_code
        a              | p          | 2025-01-02 | 2025-02-01 09:00 | 3
        b              | p          | 2025-01-20 | 2025-02-11 09:00 |
        c              | p          | 2025-01-20 | 2025-02-11 09:01 |
    """)
    found = factors_of(appointments, horizon_days=7)
    assert (found["b"]["past_dnas"], found["c"]["past_dnas"]) == (0, 1)


def test_an_appointment_booked_late_is_scored_when_it_is_booked():
    appointments = table("""
        appointment_id | patient_id | booked_at        | starts_at        | recorded_at      | outcome_code
        a              | p          | 2025-01-02       | 2025-02-01 09:00 | 2025-02-04 12:00 | 3
        b              | p          | 2025-02-05 10:00 | 2025-02-08 09:00 |                  |
    """)
    b = factors_of(appointments, horizon_days=7)["b"]
    assert (b["past_dnas"], b["lead_days"]) == (1, 3)


def test_history_tells_outcomes_apart():
    appointments = table("""
        appointment_id | patient_id | booked_at  | starts_at        | outcome_code
        a              | p          | 2024-06-01 | 2024-07-01 09:00 | 5
        b              | p          | 2024-06-01 | 2024-08-01 09:00 | 3
        c              | p          | 2024-06-01 | 2024-09-01 09:00 | 2
        d              | p          | 2024-06-01 | 2024-10-01 09:00 | 4
        e              | p          | 2024-06-01 | 2024-11-01 09:00 | 6
        f              | p          | 2024-06-01 | 2024-12-01 09:00 | 0
        g              | p          | 2024-06-01 | 2025-02-01 09:00 |
    """)
    g = factors_of(appointments)["g"]
    assert g["past_appointments"] == 3  # attended or missed
    assert g["past_dnas"] == 1
    assert (g["past_cancelled_by_patient"], g["past_cancelled_by_provider"]) == (1, 1)
    assert g["last_outcome_dna"] == 0
    assert g["last_three_dna"] == 1
    assert g["days_since_last_dna"] == (31 - 1) + 30 + 31 + 30 + 31 + 25 + 1 / 24  # from 1 August, 8:00 UTC
    assert g["days_since_last_attendance"] == 29 + 31 + 25


def test_code_7_is_a_dna_unless_the_trust_counts_only_code_3():
    appointments = table("""
        appointment_id | patient_id | booked_at  | starts_at        | outcome_code
        a              | p          | 2024-06-01 | 2024-07-01 09:00 | 7
        b              | p          | 2024-06-01 | 2025-02-01 09:00 |
    """)
    assert factors_of(appointments)["b"]["past_dnas"] == 1
    strict = factors_of(appointments, dna_codes=("3",))["b"]
    assert (strict["past_dnas"], strict["past_appointments"]) == (0, 1)


def test_a_patient_who_is_not_known_has_no_history_and_is_nobody_elses():
    appointments = table("""
        appointment_id | patient_id | booked_at  | starts_at        | outcome_code
        a              |            | 2024-06-01 | 2024-07-01 09:00 | 3
        b              |            | 2024-06-01 | 2025-02-01 09:00 |
        c              | p          | 2024-06-01 | 2025-02-01 09:00 |
    """)
    found = factors_of(appointments)
    assert found["b"]["past_dnas"] is None
    assert found["c"]["past_dnas"] == 0


def test_an_early_cancellation_is_not_in_its_own_history():
    appointments = table("""
        appointment_id | patient_id | booked_at  | starts_at        | recorded_at      | outcome_code
        a              | p          | 2024-06-01 | 2024-08-01 09:00 | 2024-06-10 09:00 | 2
        b              | p          | 2024-06-01 | 2024-09-01 09:00 |                  |
    """)
    found = factors_of(appointments)
    assert found["a"]["past_cancelled_by_patient"] == 0
    assert found["b"]["past_cancelled_by_patient"] == 1


def test_history_within_the_specialty_and_the_site():
    appointments = table("""
        appointment_id | patient_id | booked_at  | starts_at | outcome_code | treatment_function_code | site_code
        a              | p          | 2024-06-01 | 2024-07-01 | 3           | 130                     | RX1
        b              | p          | 2024-06-01 | 2024-08-01 | 3           | 320                     | RX1
        c              | p          | 2024-06-01 | 2025-02-01 |             | 130                     | RX1
        d              | p          | 2024-06-01 | 2025-02-01 |             | 130                     | RX2
    """)
    found = factors_of(appointments)
    assert (found["c"]["past_dnas_specialty"], found["c"]["past_dnas_site"]) == (1, 2)
    assert (found["d"]["past_dnas_specialty"], found["d"]["past_dnas_site"]) == (1, 0)


def test_other_appointments_on_the_day_count_once_they_are_booked():
    appointments = table("""
        appointment_id | patient_id | booked_at        | starts_at
        a              | p          | 2025-01-02 09:00 | 2025-02-10 09:00
        b              | p          | 2025-01-03 09:00 | 2025-02-10 11:00
        c              | p          | 2025-02-09 09:00 | 2025-02-10 15:00
        d              | p          | 2025-01-03 09:00 | 2025-02-11 09:00
    """)
    found = factors_of(appointments, horizon_days=7)
    assert [found[name]["same_day_appointments"] for name in "abcd"] == [1, 1, 2, 0]


def test_appointments_of_the_two_weeks_around_count_once_they_are_booked():
    appointments = table("""
        appointment_id | patient_id | booked_at        | starts_at
        a              | p          | 2025-01-02 09:00 | 2025-02-10 09:00
        b              | p          | 2025-01-03 09:00 | 2025-02-24 11:00
        c              | p          | 2025-01-03 10:00 | 2025-02-25 11:00
        d              | p          | 2025-02-09 09:00 | 2025-02-11 15:00
        e              | q          | 2025-01-03 09:00 | 2025-02-11 09:00
    """)
    found = factors_of(appointments, horizon_days=7)
    # a is scored on 3 February, when d is not booked yet; from a to c it is 15 days.
    assert [found[name]["appointments_within_14_days"] for name in "abcde"] == [1, 3, 2, 3, 0]


def test_an_appointment_that_is_known_to_be_cancelled_is_not_another_one():
    appointments = table("""
        appointment_id | patient_id | booked_at        | starts_at        | recorded_at      | outcome_code
        a              | p          | 2025-01-02 09:00 | 2025-02-10 09:00 | 2025-01-20 09:00 | 2
        b              | p          | 2025-01-03 09:00 | 2025-02-10 11:00 |                  |
        c              | p          | 2025-01-04 09:00 | 2025-02-20 11:00 | 2025-02-12 09:00 | 4
    """)
    found = factors_of(appointments, horizon_days=7)
    assert found["b"]["same_day_appointments"] == 0
    assert found["b"]["appointments_within_14_days"] == 1  # c is cancelled only after b was scored


def test_bookings_made_on_one_day_count_together():
    appointments = table("""
        appointment_id | patient_id | booked_at        | starts_at
        a              | p          | 2025-01-02 09:00 | 2025-02-10 09:00
        b              | p          | 2025-01-02 17:00 | 2025-06-24 11:00
        c              | p          | 2025-01-03 10:00 | 2025-02-10 11:00
        d              | q          | 2025-01-02 10:00 | 2025-02-10 11:00
        e              |            | 2025-01-02 10:00 | 2025-02-10 11:00
    """)
    found = factors_of(appointments)
    assert [found[name]["booked_same_day"] for name in "abcde"] == [1, 1, 0, 0, None]


def test_recency_and_last_outcomes_within_the_specialty():
    appointments = table("""
        appointment_id | patient_id | booked_at  | starts_at        | outcome_code | treatment_function_code
        a              | p          | 2024-06-01 | 2024-07-01 09:00 | 3            | 130
        b              | p          | 2024-06-01 | 2024-08-01 09:00 | 5            | 130
        c              | p          | 2024-06-01 | 2024-09-01 09:00 | 3            | 320
        d              | p          | 2024-06-01 | 2024-10-01 09:00 | 2            | 320
        e              | p          | 2024-06-01 | 2025-02-01 08:00 |              | 130
        f              | p          | 2024-06-01 | 2025-02-01 08:00 |              |
    """)
    e = factors_of(appointments)["e"]
    assert (e["past_dnas"], e["past_dnas_specialty"], e["past_attendances_specialty"]) == (2, 1, 1)
    assert (e["last_outcome_dna"], e["last_outcome_dna_specialty"]) == (1, 0)
    assert (e["last_three_dna"], e["last_three_dna_specialty"]) == (2, 1)
    assert e["days_since_last_dna_specialty"] == 30 + 31 + 30 + 31 + 30 + 31 + 25  # from 1 July
    assert (e["past_cancelled_by_patient"], e["past_cancelled_by_patient_specialty"]) == (1, 0)
    f = factors_of(appointments)["f"]
    assert (f["past_dnas"], f["past_dnas_specialty"]) == (2, None)


def test_a_share_of_cancellations_is_drawn_towards_that_of_the_trust():
    appointments = table("""
        appointment_id | patient_id | booked_at  | starts_at        | outcome_code | times_rescheduled
        a              | p          | 2024-06-01 | 2024-07-01 09:00 | 2            | 2
        b              | p          | 2024-06-01 | 2024-08-01 09:00 | 5            | 1
        c              | q          | 2024-06-01 | 2024-08-01 09:00 | 5            |
        d              | q          | 2024-06-01 | 2024-08-01 09:00 | 4            |
        e              | p          | 2024-06-01 | 2025-02-01 09:00 |              | 0
    """)
    e = factors_of(appointments)["e"]
    assert e["past_cancelled_by_patient_rate"] == pytest.approx((1 + 3 * 1 / 4) / (2 + 3))
    assert e["past_cancelled_by_provider_rate"] == pytest.approx((0 + 3 * 1 / 4) / (2 + 3))
    assert e["past_attendance_rate"] == pytest.approx((1 + 3 * 2 / 4) / (2 + 3))
    assert (e["past_reschedules"], e["first_time"]) == (3, 0)


def test_a_clinic_is_as_it_was_known_on_the_day_before_scoring():
    appointments = table("""
        appointment_id | patient_id | booked_at  | starts_at        | recorded_at      | outcome_code | clinic_code
        a              | p          | 2024-06-01 | 2025-01-20 09:00 | 2025-01-24 09:00 | 3            | EYE
        b              | q          | 2024-06-01 | 2025-01-20 09:00 | 2025-01-25 09:00 | 3            | EYE
        c              | r          | 2024-06-01 | 2025-01-20 09:00 | 2025-01-24 09:00 | 5            | EAR
        d              | s          | 2024-06-01 | 2025-02-01 09:00 |                  |              | EYE
    """)
    d = factors_of(appointments, horizon_days=7)["d"]  # scored on 25 January: a and c are known, b is not
    assert d["overall_rate"] == pytest.approx(1 / 2)
    assert d["clinic_rate"] == pytest.approx((1 + 50 * 0.5) / (1 + 50))


def test_a_provider_and_a_place_are_as_they_were_known_on_the_day_before_scoring():
    appointments = table("""
        appointment_id | booked_at  | starts_at        | recorded_at      | outcome_code | provider_code | place_code
        a              | 2024-06-01 | 2025-01-20 09:00 | 2025-01-24 09:00 | 3            | RBL           | Wirral
        b              | 2024-06-01 | 2025-01-20 09:00 | 2025-01-25 09:00 | 3            | RBL           | Wirral
        c              | 2024-06-01 | 2025-01-20 09:00 | 2025-01-24 09:00 | 5            | RBN           | Wirral
        d              | 2024-06-01 | 2025-02-01 09:00 |                  |              | RBL           | Wirral
        e              | 2024-06-01 | 2025-02-01 09:00 |                  |              |               |
    """)
    found = factors_of(appointments, horizon_days=7)  # d is scored on 25 January: a and c are known, b is not
    assert found["d"]["provider_rate"] == pytest.approx((1 + 50 * 0.5) / (1 + 50))
    assert found["d"]["place_rate"] == pytest.approx((1 + 50 * 0.5) / (2 + 50))
    assert (found["e"]["provider_rate"], found["e"]["place_rate"]) == (None, None)


def test_days_since_the_referral_are_counted_by_the_clinics_calendar():
    found = factors_of(
        table("""
        appointment_id | booked_at        | referred_at      | starts_at
        a              | 2025-03-20 10:00 | 2025-03-01 23:59 | 2025-04-01 09:00
        b              | 2025-03-20 10:00 |                  | 2025-04-01 09:00
        c              | 2025-03-20 10:00 | 2025-05-01       | 2025-04-01 09:00
    """)
    )
    assert [found[name]["days_since_referral"] for name in "abc"] == [31, None, None]


def test_an_unknown_clinic_time_has_no_hour():
    found = factors_of(
        table("""
        appointment_id | booked_at        | starts_at
        a              | 2025-07-01 10:00 | 2025-07-01
        b              | 2025-07-01 08:00 | 2025-07-01 09:30
    """)
    )
    assert (found["a"]["appointment_hour"], found["b"]["appointment_hour"]) == (
        None,
        9,
    )  # on the clinic's clock
    assert (found["a"]["appointment_weekday"], found["a"]["booking_hour"]) == (2, 10)

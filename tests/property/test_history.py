"""Rules of history that hold for any appointments: blind to the future, to order and to strangers."""

import datetime

import hypothesis.strategies as st
import ibis.expr.types as ir
import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from tests.examples import examples
from tests.spec.appointments import factors_of

from dnapredict.features.scoring_clock import Clock

START = datetime.datetime(2025, 1, 1, 8)
SLOW = settings(max_examples=examples(12), suppress_health_check=[HealthCheck.too_slow])
HORIZON = 7

appointment = st.fixed_dictionaries(
    {
        "patient_id": st.sampled_from(["p", "q", None]),
        "booked": st.integers(0, 60),
        "lead": st.integers(0, 60),
        "delay": st.one_of(st.none(), st.integers(0, 40)),
        "outcome_code": st.sampled_from(["2", "3", "4", "5", "6", "7", None]),
        "clinic_code": st.sampled_from(["EYE", "EAR"]),
        "treatment_function_code": st.sampled_from(["130", "320", None]),
        "site_code": st.sampled_from(["RX1", "RX2"]),
    }
)
appointments = st.lists(appointment, min_size=2, max_size=14)
# Shorter lists, because factors are computed once for each appointment, each time with later outcomes inverted. Two
# appointments of one patient are enough to show a leak.
few_appointments = st.lists(appointment, min_size=2, max_size=7)


def contract_table(drawn: list[dict]) -> pa.Table:
    rows = []
    for number, one in enumerate(drawn):
        booked = START + datetime.timedelta(days=one["booked"])
        starts = booked + datetime.timedelta(days=one["lead"], hours=1)
        delay = one["delay"]
        has_time = delay is not None and one["outcome_code"]
        recorded = starts + datetime.timedelta(days=delay) if has_time else None
        kept = {k: v for k, v in one.items() if k not in ("booked", "lead", "delay")}
        rows.append(
            {"row_number": number + 1, "appointment_id": f"a{number:02}"}
            | {"booked_at": booked, "starts_at": starts, "recorded_at": recorded}
            | kept
        )
    schema = pa.schema(
        [("row_number", pa.int64()), ("appointment_id", pa.string())]
        + [(name, pa.timestamp("us")) for name in ("booked_at", "starts_at", "recorded_at")]
        + [
            (name, pa.string())
            for name in ("patient_id", "outcome_code", "clinic_code", "treatment_function_code", "site_code")
        ]
    )
    return pa.Table.from_pylist(rows, schema=schema)


def scored_at(row: dict) -> datetime.datetime:
    return max(row["booked_at"], row["starts_at"] - datetime.timedelta(days=HORIZON))


def known_at(row: dict) -> datetime.datetime:
    return row["recorded_at"] or row["starts_at"] + datetime.timedelta(days=3)


def with_another_future(table: pa.Table, appointment_id: str) -> pa.Table:
    """The same table where every outcome not known when `appointment_id` is scored is inverted."""
    rows = table.to_pylist()
    cut_off = scored_at(next(row for row in rows if row["appointment_id"] == appointment_id))
    for row in rows:
        if row["outcome_code"] and known_at(row) >= cut_off:
            row["outcome_code"] = "5" if row["outcome_code"] in ("3", "7", "2") else "3"
            if row["recorded_at"]:
                row["recorded_at"] = max(row["recorded_at"], row["starts_at"])
    return pa.Table.from_pylist(rows, schema=table.schema)


def differences(drawn: list[dict], clock: Clock) -> list[str]:
    """Appointments whose factors change when only their future does."""
    table = contract_table(drawn)
    before = factors_of(table, clock=clock)
    futures = {name: factors_of(with_another_future(table, name), clock=clock) for name in before}
    return [name for name in before if futures[name][name] != before[name]]


@SLOW
@given(few_appointments)
def test_nothing_recorded_at_or_after_scoring_reaches_a_factor(drawn):
    assert differences(drawn, Clock(HORIZON, 3)) == []


class WeakerClock(Clock):
    """Takes an outcome as known as soon as the appointment is booked."""

    def known_at(self, rows: ir.Table) -> ir.TimestampValue:
        return rows.booked_at


def test_the_rule_above_notices_a_weaker_guard():
    one = {"patient_id": "p", "delay": None, "clinic_code": "EYE"}
    one |= {"treatment_function_code": "130", "site_code": "RX1"}
    drawn = [
        one | {"booked": 0, "lead": 30, "outcome_code": "3"},
        one | {"booked": 5, "lead": 20, "outcome_code": "5"},
    ]
    assert "a01" in differences(drawn, WeakerClock(HORIZON, 3))


@SLOW
@given(appointments, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(drawn, random):
    table = contract_table(drawn)
    order = list(range(table.num_rows))
    random.shuffle(order)
    assert factors_of(table.take(order)) == factors_of(table)


@SLOW
@given(appointments, appointments)
def test_another_patient_changes_nothing_of_this_ones_own_history(mine, theirs):
    own = [one | {"patient_id": "p"} for one in mine]
    others = [one | {"patient_id": "stranger"} for one in theirs]
    alone = factors_of(contract_table(own))
    together = factors_of(contract_table(own + others))
    for name, factors in alone.items():
        for factor, value in factors.items():
            if "_rate" not in factor:  # drawn towards the rate of the trust, which strangers belong to
                assert together[name][factor] == value, (name, factor)


@SLOW
@given(appointments, st.lists(st.integers(0, 20), min_size=1, max_size=6), st.booleans())
def test_bookings_of_the_minute_of_scoring_and_later_count_nowhere(drawn, minutes, of_same_patient):
    """Whether their patients are known or not."""
    table = contract_table(drawn)
    point = table.to_pylist()[0]
    moment = scored_at(point).replace(second=0)
    later = [
        {name: point[name] for name in ("starts_at", "clinic_code", "site_code")}
        | {"row_number": 100 + n, "appointment_id": f"later{n}"}
        | {"booked_at": moment + datetime.timedelta(minutes=minute)}
        | {"patient_id": point["patient_id"] if of_same_patient else None}
        for n, minute in enumerate(minutes)
        if moment + datetime.timedelta(minutes=minute) <= point["starts_at"]
    ]
    clock = Clock(HORIZON, 3)
    before = factors_of(table, clock=clock)[point["appointment_id"]]
    after = factors_of(pa.concat_tables([table, pa.Table.from_pylist(later, schema=table.schema)]), clock=clock)
    for name in ("booked_together", "booked_just_before"):
        assert after[point["appointment_id"]][name] == before[name]

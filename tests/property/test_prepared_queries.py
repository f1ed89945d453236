"""Prepared queries answer as the workspace does, whatever the rows they were prepared with."""

import datetime
import tempfile
from pathlib import Path

import hypothesis.strategies as st
import ibis
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from tests.examples import examples
from tests.property.test_history import appointments, contract_table
from tests.property.test_history_store import CLOCK, stored, without_outcome
from tests.spec.appointments import BOTH, factors_of, table

from dnapredict.data.contract.columns import COLUMNS, Kind
from dnapredict.data.engine import prepared_queries
from dnapredict.data.engine.duckdb_engine import Workspace, compiled, placeholder
from dnapredict.data.engine.prepared_queries import Engine, PreparedQueries, borrow_engine
from dnapredict.data.validation import contract_check
from dnapredict.errors import DataError
from dnapredict.features.factors import EXPRESSIONS
from dnapredict.features.matrix import question
from dnapredict.features.scoring_clock import LabelRule
from dnapredict.features.store.history_store import HistoryStore

SLOW = settings(max_examples=examples(12), deadline=None, suppress_health_check=[HealthCheck.too_slow])

year, small, two = st.integers(1900, 2200), st.integers(0, 70), "{:02}".format
days = st.one_of(
    st.builds("{:04}-{:02}-{:02}".format, year, st.integers(0, 13), st.integers(0, 32)),
    st.builds("{}/{}/{:04}".format, st.integers(0, 32), st.integers(0, 13), year),
    st.builds("{}-{}-{}".format, st.integers(1, 31), st.sampled_from(["Jan", "MAR", "x"]), year),
    st.dates(datetime.date(1990, 1, 1), datetime.date(2037, 12, 31)).map(str),
)
clocks = st.one_of(
    st.just(""),
    st.builds("{}{}:{:02}".format, st.sampled_from([" ", "T"]), st.integers(0, 25).map(two), small),
    st.builds(" {}:{:02}:{:02}".format, st.integers(0, 25), small, small),
    st.builds("T{:02}:{:02}:{:02}.{}".format, st.integers(0, 23), small, small, st.integers(0, 10**7)),
)
offsets = st.sampled_from(["", "", "", "Z", "+01:00", "-0530", "+1", " +02:00", "+16:00"])
times = st.builds(lambda *parts: "".join(parts), days, clocks, offsets)
odd = st.sampled_from(
    ["", " ", "\t", "0", "07", "3.0", "x", "ß", "É1", "1e3", "9.43477E+09", "yes", "TRUE", "\u00a0", "3 "]
)
numbers = st.one_of(st.integers(-5, 150).map(str), st.decimals(0, 99, places=1).map(str))
codes = st.sampled_from(["1", "01", " 2", "03 ", "130", "A1", "z", "99", "5", "3"])
PLAIN = {Kind.TIMESTAMP: times, Kind.NUMBER: numbers, Kind.INTEGER: numbers, Kind.BOOLEAN: st.sampled_from("10tf")}


@st.composite
def written_rows(draw):
    """A row of a list as text, some columns left out and up to two that hold something odd."""
    row = {
        column.name: draw(st.one_of(PLAIN.get(column.kind, codes), st.none()))
        for column in COLUMNS
        if column.name != "appointment_id"
    }
    names = draw(st.lists(st.sampled_from([column.name for column in COLUMNS]), max_size=2))
    return {"appointment_id": draw(st.sampled_from("abc"))} | row | {name: draw(odd) for name in names}


@compiled
def every_column(schema: ibis.Schema) -> ibis.Table:
    return placeholder("rows", schema).order_by("row_number")


def checked(engine: Engine, rows: pa.Table) -> object:
    """The result of the contract check, or the message with which it refuses the table."""
    try:
        found = contract_check.check(engine.keep(rows), engine, source="list", future=True)
    except DataError as error:
        return str(error)
    kept = engine.fetch(every_column(found.rows.schema()).bind(rows=found.rows))
    return kept.to_pylist(), found.rejected.to_pylist(), found.total, found.present


@pytest.fixture(scope="module")
def prepared():
    """One connection for every example: its queries were prepared with the rows of the first."""
    engine = PreparedQueries()
    yield engine
    engine.close()


@SLOW
@given(st.lists(written_rows(), min_size=1, max_size=8))
def test_any_text_is_read_alike(prepared, rows):
    names = [(name, pa.string()) for name in rows[0]]
    numbered = [row | {"row_number": number} for number, row in enumerate(rows, start=1)]
    listed = pa.Table.from_pylist(numbered, schema=pa.schema([*names, ("row_number", pa.int64())]))
    prepared.clear()
    found = checked(prepared, listed)
    with Workspace() as workspace:
        assert found == checked(workspace, listed)


def factors(engine: Engine, store: HistoryStore, rows: pa.Table) -> list[dict]:
    found = contract_check.check(engine.keep(rows), engine, source="table")
    points = engine.materialise(found.rows)
    asked = question(
        points,
        store.past(points, clock=CLOCK, workspace=engine),
        factors=tuple(EXPRESSIONS),
        clock=CLOCK,
        outcomes=LabelRule(BOTH),
        extra_columns=("site_code",),
        order_by=["row_number"],
    )
    return engine.fetch(asked).to_pylist()


def assert_same(found: list[dict], expected: list[dict]) -> None:
    assert [set(row) for row in found] == [set(row) for row in expected]
    for one, other in zip(found, expected, strict=True):
        for name, value in other.items():
            assert one[name] == (pytest.approx(value, abs=1e-12) if name in EXPRESSIONS else value), name


@SLOW
@given(appointments, st.booleans())
def test_every_factor_is_the_same_to_the_last_digits(prepared, drawn, with_outcomes):
    rows = contract_table(drawn)
    listed = rows if with_outcomes else without_outcome(rows)
    with tempfile.TemporaryDirectory() as place:
        store = stored(rows, Path(place))
        for some in (listed, listed.slice(0, 1)):
            with Workspace() as workspace:
                expected = factors(workspace, store, some)
            prepared.clear()
            assert_same(factors(prepared, store, some), expected)


# The clocks went forward at 01:00 UTC on 30 March and back on 26 October 2025; times are written as London's.
# Outcomes are recorded at the very moment at which e, f and g are scored, seven days before they start.
CLOCK_CHANGES = """
    appointment_id | patient_id | booked_at           | starts_at           | recorded_at         | outcome_code
    a              | p          | 2025-03-01 10:00:00 | 2025-03-20 10:00:00 | 2025-03-24 09:30:00 | 3
    b              | p          | 2025-03-02 10:00:00 | 2025-03-30 00:30:00 | 2025-03-30 02:30:00 | 5
    c              | p          | 2025-10-01 10:00:00 | 2025-10-20 10:00:00 | 2025-10-25 09:00:00 | 3
    d              | p          | 2025-10-02 10:00:00 | 2025-10-26 00:30:00 | 2025-10-26 02:30:00 | 5
    e              | p          | 2025-03-03 10:00:00 | 2025-03-31 10:30:00 |                     |
    f              | p          | 2025-03-04 10:00:00 | 2025-04-06 02:30:00 |                     |
    g              | p          | 2025-10-03 10:00:00 | 2025-11-01 08:00:00 |                     |
    h              | p          | 2025-10-04 10:00:00 | 2025-11-02 02:30:00 |                     |
"""


def test_store_and_whole_agree_at_equal_times_and_where_the_clocks_change(prepared, tmp_path):
    rows = table(CLOCK_CHANGES)
    store, whole = stored(rows, tmp_path), factors_of(rows)
    assert [whole[name]["past_appointments"] for name in "efgh"] == [0, 1, 2, 3]
    for number in range(rows.num_rows):
        prepared.clear()
        (one,) = factors(prepared, store, without_outcome(rows.slice(number, 1)))
        assert_same(
            [{name: one[name] for name in EXPRESSIONS}], [dict.fromkeys(EXPRESSIONS) | _only_factors(whole, one)]
        )


def _only_factors(whole: dict[str, dict], one: dict) -> dict:
    return {name: whole[one["appointment_id"]][name] for name in EXPRESSIONS}


@compiled
def summary(left_schema: ibis.Schema, right_schema: ibis.Schema) -> ibis.Table:
    """Operations whose plan DuckDB chooses by statistics, where it has some."""
    left, right = placeholder("left", left_schema), placeholder("right", right_schema)
    joined = left.left_join(right.rename(other="key"), left.key == right.key)
    grouped = joined.group_by("key").agg(n=joined.count(), known=joined.other.count(), most=joined.value.max())
    ranked = grouped.mutate(place=ibis.row_number().over(order_by=["key"]))
    return ranked.filter(ranked.key.notnull()).order_by("key")


keys = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.integers(0, 3))
sides = st.lists(st.tuples(keys, st.one_of(st.none(), st.text(max_size=20))), max_size=20)


@settings(SLOW, max_examples=examples(40))
@given(sides, sides)
def test_a_plan_holds_nothing_of_the_rows_it_was_prepared_with(prepared, left, right):
    schema = pa.schema([("key", pa.int64()), ("value", pa.string())])
    both = [pa.Table.from_pylist([{"key": k, "value": v} for k, v in side], schema=schema) for side in (left, right)]

    def answered(engine: Engine) -> list[dict]:
        one, other = map(engine.keep, both)
        return engine.fetch(summary(one.schema(), other.schema()).bind(left=one, right=other)).to_pylist()

    prepared.clear()
    found = answered(prepared)
    with Workspace() as workspace:
        assert found == answered(workspace)


@pytest.mark.parametrize(
    "column",
    [
        pa.array([None, None]),
        pa.array(["5", None], pa.large_string()),
        pa.array(["5", "5"]).dictionary_encode(),
        pa.array([5, None], pa.int8()),
        pa.array([5.0, None], pa.float32()),
    ],
    ids=lambda column: str(column.type),
)
def test_columns_of_any_type_are_read_alike(prepared, column):
    listed = contract_table(
        [
            {"patient_id": "p", "booked": 0, "lead": lead, "delay": None, "outcome_code": None}
            | {"clinic_code": "EYE", "treatment_function_code": "130", "site_code": "RX1"}
            for lead in (9, 12)
        ]
    ).append_column("age_years", column)
    prepared.clear()
    found = checked(prepared, listed)
    with Workspace() as workspace:
        assert found == checked(workspace, listed)


@compiled
def strictly_numbers(schema: ibis.Schema) -> ibis.Table:
    rows = placeholder("rows", schema)
    return rows.select(number=rows.text.cast("int64"))


def numbers_in(engine: Engine, *texts: str) -> list[int]:
    rows = engine.keep(pa.table({"text": pa.array(texts, pa.string())}))
    return engine.fetch(strictly_numbers(rows.schema()).bind(rows=rows))["number"].to_pylist()


def test_rows_that_fail_harm_no_later_request():
    with borrow_engine(rows=1) as engine:
        assert numbers_in(engine, "1", "2") == [1, 2]
        with pytest.raises(Exception, match="abc"):
            numbers_in(engine, "abc")
        assert numbers_in(engine, "3") == [3]
    with pytest.raises(Exception, match="abc"), borrow_engine(rows=1) as failed:
        numbers_in(failed, "abc")
    with borrow_engine(rows=1) as engine:
        assert engine is not failed  # it may be in any state, and is closed
        assert numbers_in(engine, "4") == [4]


def test_an_idle_connection_holds_no_rows():
    with borrow_engine(rows=1) as engine:
        assert numbers_in(engine, "1") == [1]
    assert isinstance(engine, PreparedQueries)
    assert not engine._tables
    assert all(source.rows.num_rows == 0 for one in engine._prepared.values() for source in one.sources.values())


def test_a_connection_with_too_many_queries_is_not_lent_again(monkeypatch):
    monkeypatch.setattr("dnapredict.data.engine.prepared_queries._MOST_PREPARED", 1)
    with borrow_engine(rows=1) as engine:
        numbers_in(engine, "1")
    assert engine not in prepared_queries._IDLE


def test_a_connection_that_ran_too_many_queries_is_replaced(monkeypatch):
    monkeypatch.setattr("dnapredict.data.engine.prepared_queries.MOST_RUNS", 2)
    with borrow_engine(rows=1) as engine:
        assert [numbers_in(engine, text) for text in "12"] == [[1], [2]]
    assert engine not in prepared_queries._IDLE
    with borrow_engine(rows=1) as fresh:
        assert numbers_in(fresh, "3") == [3]
    assert fresh in prepared_queries._IDLE

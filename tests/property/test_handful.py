"""The engine for a handful of rows answers as the embedded engine does, or says that it cannot be certain."""

import datetime
import tempfile
from pathlib import Path

import hypothesis.strategies as st
import ibis
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from tests.property.test_history import appointments, contract_table
from tests.property.test_history_store import CLOCK, stored, without_outcome
from tests.spec.appointments import BOTH

from dnapredict.data.contract.columns import COLUMNS, Kind
from dnapredict.data.contract.datetimes import instant_of, local_of
from dnapredict.data.engine.bound_query import compiled, placeholder
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.engine.engine_pool import Engine, lent
from dnapredict.data.engine.handful import texts
from dnapredict.data.engine.handful.certainty import UNSURE, NotCertain
from dnapredict.data.engine.handful.clocks import year_of
from dnapredict.data.engine.handful.engine import Handful
from dnapredict.data.engine.handful.steps import strict
from dnapredict.data.validation import contract_check
from dnapredict.errors import DataError
from dnapredict.features.factors import EXPRESSIONS
from dnapredict.features.matrix import build
from dnapredict.features.scoring_clock import LabelRule
from dnapredict.features.store.history_store import HistoryStore

SLOW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
MANY = settings(max_examples=400, deadline=None)

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
moments = st.datetimes(datetime.datetime(1988, 1, 1), datetime.datetime(2036, 1, 1), allow_imaginary=False)
plain_times = st.one_of(
    moments.map(lambda moment: moment.strftime("%Y-%m-%d %H:%M")),
    moments.map(lambda moment: moment.strftime("%d/%m/%Y %H:%M")),
    moments.map(lambda moment: moment.isoformat(timespec="seconds") + "Z"),
    moments.map(lambda moment: moment.date().isoformat()),
)
odd = st.sampled_from(
    ["", " ", "\t", "0", "07", "3.0", "x", "ß", "É1", "1e3", "9.43477E+09", "yes", "TRUE", "\u00a0", "3 "]
)
numbers = st.one_of(st.integers(-5, 150).map(str), st.decimals(0, 99, places=1).map(str))
codes = st.sampled_from(["1", "01", " 2", "03 ", "130", "A1", "z", "99", "5", "3"])
PLAIN = {
    Kind.TIMESTAMP: plain_times,
    Kind.NUMBER: numbers,
    Kind.INTEGER: numbers,
    Kind.BOOLEAN: st.sampled_from("10tf"),
}


@st.composite
def written_rows(draw, *, most_odd: int):
    """A row of a list as text: columns written plainly, some left out, a few of them odd."""
    row = {
        column.name: draw(st.one_of(PLAIN.get(column.kind, codes), st.none()))
        for column in COLUMNS
        if column.name != "appointment_id"
    }
    names = draw(st.lists(st.sampled_from([column.name for column in COLUMNS]), max_size=most_odd))
    return {"appointment_id": draw(st.sampled_from("abc"))} | row | {name: draw(odd) for name in names}


def as_told(table: pa.Table) -> list[dict]:
    return sorted(table.to_pylist(), key=lambda row: row["row_number"])


@compiled
def everything(schema: ibis.Schema) -> ibis.Table:
    return placeholder("rows", schema).mutate(told=1)


def checked(engine: Engine, table: pa.Table) -> object:
    """What the contract says of a table, or the sentence with which it refuses it."""
    try:
        found = contract_check.check(engine.keep(table), engine, source="list", future=True)
    except DataError as error:
        return str(error)
    rows = engine.fetch(everything(found.rows.schema()).over(rows=found.rows))
    return as_told(rows), as_told(found.rejected), found.total, found.present


def by_both(rows: list[dict]) -> bool:
    """Whether the handful was certain; what it says must then be what the embedded engine says."""
    names = [(name, pa.string()) for name in rows[0]]
    numbered = [row | {"row_number": number} for number, row in enumerate(rows, start=1)]
    table = pa.Table.from_pylist(numbered, schema=pa.schema([*names, ("row_number", pa.int64())]))
    try:
        found = checked(Handful(), table)
    except NotCertain:
        return False
    with lent(rows=len(rows)) as workspace:
        assert found == checked(workspace, table)
    return True


@SLOW
@given(st.lists(written_rows(most_odd=2), min_size=1, max_size=8))
def test_any_text_is_read_alike_or_left_to_the_embedded_engine(rows):
    for row in rows:
        by_both([row])


@SLOW
@given(st.lists(written_rows(most_odd=0), min_size=2, max_size=4))
def test_rows_that_repeat_or_cast_doubt_on_each_other_are_judged_alike(rows):
    by_both(rows)


@MANY
@given(st.lists(times, min_size=1, max_size=30))
@example(["2026-03-29T01:30:00", "2026-10-25 01:30", "2026-02-30", "03/04/2026 09:00", "2026-01-02T09:00+01:00"])
def test_a_time_is_read_alike_or_not_at_all(texts_of_times):
    with Workspace() as workspace:
        asked = ibis.memtable({"text": texts_of_times}, schema={"text": "string"})
        found = workspace.backend.to_pyarrow(
            asked.mutate(
                cast=asked.text.try_cast("timestamp").cast("timestamp('UTC')").epoch_seconds().cast("float64"),
                instant=asked.text.try_cast("timestamp('UTC')").epoch_seconds().cast("float64"),
            )
        ).to_pylist()
    for row in found:
        for name, read in (("cast", texts.local_in), ("instant", texts.instant_in)):
            try:
                told = read(row["text"])
            except NotCertain:
                continue
            assert (None if told is None else told / 1e6) == row[name], (name, row)


def test_most_times_that_programs_write_are_certain():
    written = [
        "2026-11-27",
        "2026-11-27 09:20",
        "2026-11-27T09:20:00",
        "2026-11-27T09:20:00.5Z",
        "27/11/2026",
    ]
    assert [texts.local_in(text) is None for text in written] == [False, False, False, False, True]


@pytest.mark.parametrize("local", ["2026-03-29T01:30", "2026-10-25T01:30"])
def test_a_time_that_the_clock_skips_or_shows_twice_is_left_to_the_embedded_engine(local):
    text = ibis.table({"text": "string"}, name="filled_in_by_asked")
    read = compiled(lambda: text.select(at=instant_of("Europe/London", local_of(text.text))))
    handful = Handful()
    asked = handful.keep(pa.table({"text": [local]}))
    with pytest.raises(NotCertain):
        handful.fetch(read().over(asked=asked))


def factors(engine: Engine, store: HistoryStore, table: pa.Table) -> list[dict]:
    found = contract_check.check(engine.keep(table), engine, source="table")
    points = engine.settled(found.rows)
    matrix = build(
        points,
        store.past(points, clock=CLOCK, workspace=engine),
        factors=tuple(EXPRESSIONS),
        clock=CLOCK,
        outcomes=LabelRule(BOTH),
        beside=("site_code",),
        order_by=["row_number"],
        workspace=engine,
    )
    return matrix.table.to_pylist()


@SLOW
@given(appointments, st.booleans())
def test_every_factor_is_the_same_to_the_last_digits(drawn, with_outcomes):
    table = contract_table(drawn)
    asked = table if with_outcomes else without_outcome(table)
    with tempfile.TemporaryDirectory() as place:
        store = stored(table, Path(place))
        for some in (asked, asked.slice(0, 1)):
            with lent(rows=some.num_rows) as workspace:
                expected = factors(workspace, store, some)
            found = factors(Handful(), store, some)
            assert [set(row) for row in found] == [set(row) for row in expected]
            for one, other in zip(found, expected, strict=True):
                for name, value in other.items():
                    assert one[name] == (pytest.approx(value, abs=1e-12) if name in EXPRESSIONS else value), name


def test_a_day_that_python_does_not_know_is_passed_on_as_unsure_and_stops_nothing():
    before_the_year_1 = -100_000 * 365 * texts.MICROS_PER_DAY
    assert [value is UNSURE for value in strict(year_of, 1)([0, before_the_year_1])] == [False, True]

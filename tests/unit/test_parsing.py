"""Text as a contract column: what is read, what is refused, and what a column proves about its dates."""

import datetime

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.examples import examples

from dnapredict.config.mapping_config import ColumnSource, Mapping
from dnapredict.data.contract.columns import column
from dnapredict.data.contract.parsing import parse
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.validation import contract_check
from dnapredict.errors import ConfigurationError


def read(name: str, *cells: object, kind: pa.DataType | None = None) -> list[dict[str, object]]:
    """What `parse` makes of cells of the contract's column `name`."""
    with Workspace() as workspace:
        table = workspace.keep(pa.table({"cell": pa.array(cells, kind)}))
        found = parse(table.cell, column(name), zone="Europe/London")
        told = {"value": found.value, "local": found.local, "bad": found.unreadable, "sci": found.scientific}
        kept = {key: value for key, value in told.items() if value is not None}
        return workspace.backend.to_pyarrow(table.select(**kept)).to_pylist()


TIMES = {
    "2025-02-01 09:30": "2025-02-01 09:30:00",
    "1/2/2025": "2025-02-01 00:00:00",
    "01/02/2025 9:30": "2025-02-01 09:30:00",
    "01/02/2025 09:30:15": "2025-02-01 09:30:15",
    "1-Feb-2025 09:30": "2025-02-01 09:30:00",
    "\u00a001/02/2025\t": "2025-02-01 00:00:00",
    "45689": "2025-02-01 00:00:00",
    "45689.3958333333": "2025-02-01 09:30:00",
    "29/02/2024": "2024-02-29 00:00:00",
    "2999-12-31": "2999-12-31 00:00:00",  # read, and refused by its own rule
}
NO_TIMES = ("infinity", "epoch", "29/02/2025", "13/13/2025", "2025", "soon", "4568", "25:00", "01/02/2025 25:00")


def test_a_time_is_read_as_a_trust_writes_it():
    found = {
        written: (str(row["local"]), row["bad"]) for written, row in zip(TIMES, read("starts_at", *TIMES), strict=True)
    }
    assert found == {written: (local, False) for written, local in TIMES.items()}


def test_what_is_no_time_is_flagged_and_null():
    found = dict(zip(NO_TIMES, read("starts_at", *NO_TIMES), strict=True))
    assert found == {written: {"value": None, "local": None, "bad": True} for written in NO_TIMES}


def test_the_hour_that_clocks_leap_over_or_repeat_has_one_instant():
    gap, fold = read("starts_at", "30/03/2025 01:30", "26/10/2025 01:30")
    # The leap: an hour later by the clock. The repeat: the second of the two, in winter time.
    assert str(gap["value"]) == "2025-03-30 01:30:00"
    assert str(fold["value"]) == "2025-10-26 01:30:00"


def test_numbers_get_their_fraction_of_nothing_taken_off_where_they_are_names():
    assert [row["value"] for row in read("appointment_id", "12345.0", "A1.0", "1.05")] == [
        "12345",
        "A1.0",
        "1.05",
    ]
    assert [row["value"] for row in read("appointment_id", 12345.0, kind=pa.float64())] == ["12345"]
    assert [row["value"] for row in read("treatment_function_code", "43.0", "43")] == ["043", "043"]


def test_only_a_number_that_lost_its_digits_is_scientific():
    ids = ("9.43477E+09", "9.43e+09", "9E+15", "9.4E9", "12E5", "1E10", "E+9", "9434765919")
    found = [row["sci"] for row in read("patient_id", *ids)]
    assert found == [True, True, True, True, False, False, False, False]
    assert read("appointment_id", 1e20, kind=pa.float64())[0]["sci"]


def test_yes_and_no_have_many_spellings():
    yes = read("interpreter_needed", "yes", "Y", "TRUE", "1", "1.0", " t ")
    no = read("interpreter_needed", "no", "N", "False", "0", "0.0", "f")
    assert {row["value"] for row in yes} == {True}
    assert {row["value"] for row in no} == {False}
    assert [row["bad"] for row in read("interpreter_needed", "maybe", "2", "", None)] == [
        True,
        True,
        False,
        False,
    ]


def rules(*starts: str) -> list[str | None]:
    """The rule that each row breaks, in a list with these appointment times."""
    count = len(starts)
    rows = {
        "row_number": range(count),
        "appointment_id": [f"a{n}" for n in range(count)],
        "booked_at": ["2024-01-01"] * count,
        "starts_at": starts,
        "clinic_code": ["c"] * count,
    }
    with Workspace() as workspace:
        checked = contract_check.check(workspace.keep(pa.table(rows)), workspace, source="list.csv", future=True)
        found = {row["row_number"]: row["rule"] for row in checked.rejected.to_pylist()}
    return [found.get(number) for number in range(count)]


UNCLEAR, UNREADABLE = "starts_at_order_unclear", "starts_at_unreadable"


def test_a_month_above_twelve_throws_every_row_in_doubt_that_could_be_either():
    assert rules("02/03/2025", "02/13/2025", "2025-02-14") == [UNCLEAR, UNREADABLE, None]


def test_one_stray_month_first_among_many_proofs_is_a_stray():
    assert rules("02/03/2025", "02/13/2025", *["13/02/2025"] * 20) == [None, UNREADABLE, *[None] * 20]


def test_real_dates_up_to_the_twelfth_beside_texts_above_it_were_turned_round():
    assert rules("2025-03-02 00:00:00", "13/02/2025", "14/02/2025") == [UNCLEAR, None, None]


@pytest.mark.parametrize("proof", ["2025-03-13 00:00:00", "02/03/2025"])
def test_either_kind_on_the_other_side_of_the_twelfth_clears_the_dates(proof):
    assert rules("2025-03-02 00:00:00", "13/02/2025", proof) == [None, None, None]


@settings(max_examples=examples(25))
@given(st.lists(st.dates(min_value=datetime.date(2024, 1, 2)), min_size=1, max_size=20))
def test_a_column_that_is_day_first_throughout_is_never_in_doubt(days):
    written = [day.strftime("%d/%m/") + f"{day.year:04}" for day in days]
    assert UNCLEAR not in rules(*written)
    assert UNREADABLE not in rules(*written)


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("%s", "is no format of a date and time"),
        ("%Q", "is no format of a date and time"),
        ("%", "is no format of a date and time"),
        ("%d/%m", "gives no whole date"),
        ("%H:%M", "gives no whole date"),
        ("dd/mm/yyyy", "gives no whole date"),
        ("", "is no format of a date and time"),
        ("%Y-%m-%dT%H:%M:%S%z", "has an offset"),
        ("%d/%m/%Y %Z", "has an offset"),
    ],
)
def test_a_format_that_the_engine_cannot_read_a_date_by_is_refused_by_name(pattern: str, says: str):
    origin = ColumnSource.model_validate({"from": "Booked", "format": ["%d/%m/%Y", pattern]})
    row = {"row_number": [2], "appointment_id": ["a"], "Booked": ["01/02/2025"], "starts_at": ["2025-03-01"]}
    mapping = Mapping(columns={"booked_at": origin})
    with Workspace() as workspace:
        table = workspace.keep(pa.table(row))
        with pytest.raises(ConfigurationError, match="mapping: column 'booked_at'") as refused:
            contract_check.check(table, workspace, mapping=mapping, source="list.csv")
    assert says in str(refused.value)
    assert refused.value.exit_code == 11


@settings(max_examples=examples(5), deadline=None)
@given(
    st.lists(st.datetimes(datetime.datetime(1990, 1, 1), datetime.datetime(2100, 1, 1)), min_size=1, max_size=20),
    st.sampled_from([("epoch", 1), ("epoch_ms", 1_000)]),
)
def test_a_count_from_1970_is_that_instant(times, counted):
    form, each = counted
    instants = [time.replace(microsecond=0, tzinfo=datetime.UTC) for time in times]
    written = [str(int(instant.timestamp()) * each) for instant in instants]
    with Workspace() as workspace:
        table = workspace.keep(pa.table({"cell": [*written, "soon", "1e30", None]}))
        found = parse(table.cell, column("booked_at"), zone="Europe/London", formats=(form,))
        read = workspace.backend.to_pyarrow(table.select(value=found.value, bad=found.unreadable))
    assert read["value"].to_pylist() == [*(instant.replace(tzinfo=None) for instant in instants), None, None, None]
    assert read["bad"].to_pylist() == [*(False for _ in instants), True, True, False]

"""The list of the demo: next week's by today's date, with names and numbers that nobody has."""

import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnapredict.data.readers.table_file import is_synthetic
from dnapredict.synthetic.made_up_contacts import MARK, with_made_up_contacts
from dnapredict.synthetic.moved_dates import move_extract, next_monday, week_to_come
from dnapredict.synthetic.simulation import simulate

# The Monday of a week with two bank holidays, and of one without any.
CHRISTMAS, PLAIN = datetime.date(2026, 12, 21), datetime.date(2026, 11, 30)


@pytest.fixture(scope="module")
def extract(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("demo") / "extract.parquet"
    simulate(path, appointments=20_000, seed=3)
    return path


@given(st.dates(datetime.date(2020, 1, 1), datetime.date(2100, 1, 1)))
def test_next_week_begins_on_a_monday_within_seven_days_from_today(today: datetime.date) -> None:
    monday = next_monday(today)
    assert monday.weekday() == 0
    assert 1 <= (monday - today).days <= 7


@pytest.mark.parametrize(("monday", "days"), [(PLAIN, {0, 1, 2, 3, 4}), (CHRISTMAS, {0, 1, 2, 3})])
def test_the_list_is_of_the_days_of_that_week_on_which_clinics_are_open(
    extract: Path, monday: datetime.date, days: set[int]
) -> None:
    before = pq.read_table(extract)
    move_extract(extract, monday=monday)
    moved = pq.read_table(extract)
    by = moved["starts_at"][0].as_py() - before["starts_at"][0].as_py()
    assert by.days % 7 == 0
    for name in ("booked_at", "starts_at", "recorded_at", "referred_at"):
        pairs = zip(before[name].to_pylist(), moved[name].to_pylist(), strict=True)
        assert all((one is None and other is None) or other - one == by for one, other in pairs)
    listed = week_to_come(extract, monday=monday)
    on = {(moment.date() - monday).days for moment in listed["starts_at"].to_pylist()}
    assert on - {5, 6} == days
    assert not any(listed["outcome_code"].to_pylist())
    assert is_synthetic(extract)


def test_names_are_marked_and_numbers_are_those_that_are_kept_free_for_drama(extract: Path) -> None:
    rows = with_made_up_contacts(pq.read_table(extract).slice(0, 2_000)).to_pylist()
    by_patient: dict[str, set[tuple[str | None, ...]]] = {}
    for row in rows:
        assert row["person_full_name"].endswith(MARK)
        assert (row["mobile_telephone"] is not None) == row["has_mobile"]
        assert row["mobile_telephone"] or row["home_telephone"]
        for number, start in ((row["mobile_telephone"], "07700 900"), (row["home_telephone"], "01632 960")):
            assert number is None or (number.startswith(start) and len(number) == 12)
        names = ("person_full_name", "mobile_telephone", "home_telephone")
        by_patient.setdefault(row["patient_id"], set()).add(tuple(row[name] for name in names))
    assert all(len(details) == 1 for details in by_patient.values())


def test_the_date_of_birth_fits_the_age_on_the_day_of_the_appointment() -> None:
    rows = pa.table(
        {
            "patient_id": ["SYN-P1", "SYN-P2"],
            "starts_at": [datetime.datetime(2028, 2, 29), datetime.datetime(2026, 12, 31)],
            "age_years": [0, 40],
            "gender_code": ["9", "1"],
            "has_mobile": [True, False],
            "language_code": ["en", "pl"],
            "interpreter_needed": [False, True],
        }
    )
    for row in with_made_up_contacts(rows).to_pylist():
        born = datetime.date.fromisoformat(row["person_birth_date"])
        day = row["starts_at"].date()
        assert day.year - born.year - ((day.month, day.day) < (born.month, born.day)) == row["age_years"]

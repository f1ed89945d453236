"""What holds of a mapping whatever the rows: none is added, lost or moved, and patients stay apart."""

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.examples import examples

from dnapredict.config.mapping_config import ColumnSource, Join, Mapping
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.mapping.pseudonyms import UNLINKED, is_nhs_number, is_placeholder, pseudonym, pseudonyms
from dnapredict.data.validation import contract_check

KEY = b"made up, and longer than thirty-two bytes"
DIGITS = st.text("0123456789", min_size=9, max_size=9)
# Few different keys, so that most occur several times, some in one file alone and some nowhere.
NAMED = ["1", "2", " 3", "4 ", "É", "05", "5"]
KEYS = st.sampled_from([None, "", *NAMED])


@pytest.fixture(scope="module")
def side(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One place for all examples, so that the mapping stays the same and is compiled once."""
    return tmp_path_factory.mktemp("side") / "patients.csv"


@settings(max_examples=examples(15))
@given(rows=st.lists(KEYS, min_size=1, max_size=30), known=st.sets(st.sampled_from(NAMED), min_size=1))
def test_a_join_changes_neither_the_number_nor_the_order_of_rows(side: Path, rows: list[str | None], known: set[str]):
    ethnicity = {name.strip(): "ABCDEFGHJ"[place] for place, name in enumerate(sorted(known))}
    side.write_text("key,code\n" + "".join(f"{name},{code}\n" for name, code in ethnicity.items()), "utf-8")
    found = read(rows, side)
    assert found["row_number"] == list(range(2, len(rows) + 2))
    assert found["appointment_id"] == [f"a{row}" for row in range(len(rows))]
    expected = [ethnicity.get((name or "").strip()) for name in rows]
    assert found["ethnic_category_code"] == expected


def read(rows: list[str | None], side: Path) -> dict[str, list]:
    table = pa.table(
        {
            "row_number": pa.array(range(2, len(rows) + 2), pa.int64()),
            "appointment_id": [f"a{row}" for row in range(len(rows))],
            "booked_at": ["2025-01-02"] * len(rows),
            "starts_at": ["2025-02-01"] * len(rows),
            "Patient": pa.array(rows, pa.string()),
        }
    )
    mapping = Mapping(
        columns={"ethnic_category_code": ColumnSource.model_validate({"from": "side.code"})},
        files={"side": Join(path=side, match={"Patient": "key"})},
    )
    with Workspace() as workspace:
        checked = contract_check.check(workspace.keep(table), workspace, mapping=mapping, source="list")
        kept = workspace.fetch(f"FROM {checked.rows.get_name()} ORDER BY row_number")
    return kept.to_pydict()


@given(DIGITS)
def test_nine_digits_have_at_most_one_check_digit(nine: str):
    valid = [digit for digit in "0123456789" if is_nhs_number(nine + digit)]
    assert len(valid) <= 1
    total = sum(int(digit) * weight for digit, weight in zip(nine, range(10, 1, -1), strict=True))
    if len(set(nine)) > 1:
        assert bool(valid) is (total % 11 != 1)  # where 11 - 1 = 10 would be wanted, there is no such number


@given(DIGITS, st.integers(0, 9), st.integers(1, 9))
def test_one_wrong_digit_is_always_found(nine: str, place: int, by: int):
    for digit in "0123456789":
        number = nine + digit
        if is_nhs_number(number):
            wrong = str((int(number[place]) + by) % 10)
            assert not is_nhs_number(number[:place] + wrong + number[place + 1 :])


@given(st.sets(st.text(min_size=1, max_size=12), max_size=60))
def test_pseudonyms_are_stable_and_keep_patients_apart(numbers: set[str]):
    found = pseudonyms(pa.chunked_array([sorted(numbers)], pa.string()), key=KEY, kind="local").to_pylist()
    people = [number for number in numbers if not is_placeholder(number, "local")]
    assert len(set(found) - {UNLINKED}) == len(people)
    assert found == [pseudonym(number, key=KEY, kind="local") for number in sorted(numbers)]


def test_a_million_numbers_have_a_million_pseudonyms():
    numbers = pa.chunked_array([pa.array(range(1_000_000, 2_000_000), pa.int64()).cast(pa.string())])
    found = pseudonyms(numbers, key=KEY, kind="local")
    assert len(found.unique()) == 1_000_000

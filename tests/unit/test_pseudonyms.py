"""NHS numbers: what is one, what becomes of it, and that none enters as it is."""

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.examples import examples

from dnapredict.config.mapping_config import Mapping
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.mapping.pseudonyms import KEY_VARIABLE, UNLINKED, is_nhs_number, pseudonym, pseudonyms, read_key
from dnapredict.data.validation import contract_check
from dnapredict.data.validation.checked import Checked
from dnapredict.errors import ConfigurationError, DataError

KEY = "a key of thirty-two bytes or more, made up"
MAPPING = Mapping.model_validate({"columns": {"patient_id": {"from": "NHS Number", "pseudonymise": True}}})


def numbers(count: int) -> list[str]:
    """Valid numbers of the range kept for tests."""
    found = (f"999{number:06d}" for number in range(1, 2 * count + 20))
    whole = (nine + str(digit) for nine in found for digit in range(10) if is_nhs_number(f"{nine}{digit}"))
    return [number for number, _ in zip(whole, range(count), strict=False)]


def read(
    written: list[str | None], *, mapping: Mapping, name: str = "NHS Number", starts_at: str = "2025-02-01"
) -> tuple[Checked, list[dict]]:
    rows = range(len(written))
    table = pa.table(
        {
            "row_number": pa.array([row + 2 for row in rows], pa.int64()),
            "appointment_id": [f"a{row}" for row in rows],
            "booked_at": ["2025-01-02"] * len(written),
            "starts_at": [starts_at] * len(written),
            name: pa.array(written, pa.string()),
        }
    )
    with Workspace() as workspace:
        checked = contract_check.check(workspace.keep(table), workspace, mapping=mapping, source="list.csv")
        return checked, workspace.fetch(f"FROM {checked.rows.get_name()} ORDER BY row_number").to_pylist()


@pytest.mark.parametrize(
    ("number", "valid"),
    [
        ("9434765919", True),  # the dictionary's example
        ("9434765918", False),
        ("1111111111", False),  # passes the check digit, and is a placeholder
        ("0000000000", False),
        ("943476591", False),
        ("94347659190", False),
        ("9.43477E+9", False),
        ("٩٤٣٤٧٦٥٩١٩", False),
        ("", False),
    ],
)
def test_an_nhs_number_has_ten_digits_of_which_the_last_checks_the_others(number: str, valid: bool):
    assert is_nhs_number(number) is valid


def test_one_patient_has_one_pseudonym_however_the_number_is_written(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    _, rows = read(["9434765919", "943 476 5919", "943-476-5919 ", None, ""], mapping=MAPPING)
    found = [row["patient_id"] for row in rows]
    assert found == [pseudonym("9434765919", key=KEY.encode(), kind="nhs")] * 3 + [None, None]
    assert "9434765919" not in str(rows)


def test_another_key_gives_another_pseudonym():
    assert pseudonym("9434765919", key=b"a" * 32, kind="nhs") != pseudonym("9434765919", key=b"b" * 32, kind="nhs")


def test_what_is_no_nhs_number_is_refused_by_row_and_never_repeated(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    checked, rows = read(["9434765919", "9434765918", "9.43477E+09"], mapping=MAPPING)
    assert [str(found) for found in checked.rejections] == [
        "2 rows: holds a patient_id that is not an NHS number (ten digits, check digit) (rows 3, 4)"
    ]
    assert len(rows) == 1


def test_local_numbers_are_hashed_whatever_they_look_like(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    mapping = Mapping.model_validate({"columns": {"patient_id": {"from": "NHS Number", "pseudonymise": "local"}}})
    _, rows = read([" RX1-0042", "RX1-0042", "7"], mapping=mapping)
    first, second, third = (row["patient_id"] for row in rows)
    assert first == second != third
    assert "RX1" not in first


def test_without_a_key_nothing_enters(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    with pytest.raises(ConfigurationError, match="DNAPREDICT_PSEUDONYM_KEY: holds no key") as refused:
        read(["9434765919"], mapping=MAPPING)
    assert "9434765919" not in str(refused.value)


def test_a_short_key_is_refused_and_not_shown(tmp_path: Path):
    (tmp_path / "key").write_text("marked\n")
    with pytest.raises(ConfigurationError, match="the key has 6 bytes and needs at least 32") as refused:
        read_key(tmp_path / "key")
    assert "marked" not in str(refused.value)


def test_a_key_file_is_read_without_its_last_line_end(tmp_path: Path):
    (tmp_path / "key").write_text(KEY + "\n")
    assert read_key(tmp_path / "key") == KEY.encode()
    with pytest.raises(ConfigurationError, match="no such file"):
        read_key(tmp_path / "none")


def test_nhs_numbers_do_not_enter_as_they_are():
    with pytest.raises(DataError, match=r"list.csv: column 'patient_id' holds NHS numbers: 30 of 30") as refused:
        read(numbers(30), mapping=Mapping(), name="Patient ID")
    assert not [number for number in numbers(30) if number in str(refused.value)]


def test_local_numbers_of_ten_digits_do():
    checked, _ = read([str(4_000_000_000 + 7 * row) for row in range(60)], mapping=Mapping(), name="Patient ID")
    assert checked.kept == 60


# One line for each kind of number in a column of NHS numbers: what becomes of two rows that hold it.
IN_A_COLUMN_OF_NHS_NUMBERS = """
    number       | two rows are
    9434765919   | one patient
    TEMP123      | one patient
    temp123      | one patient
    9990000001   | one patient
    RX1/0042     | one patient
    TBC          | two patients
    tbc          | two patients
    TEMP         | two patients
    999          | two patients
    9999999999   | two patients
    0000000000   | two patients
    1111111111   | two patients
    awaiting     | two patients
    UNKNOWN      | without a number
    N/A          | without a number
    9434765918   | refused
    123456       | refused
    9.43477E+09  | refused
"""


def test_temporary_numbers_are_kept_and_placeholders_never_make_one_patient_of_two(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    lines = [[cell.strip() for cell in line.split("|")] for line in IN_A_COLUMN_OF_NHS_NUMBERS.strip().splitlines()[1:]]
    for number, expected in lines:
        _, rows = read([number, number], mapping=MAPPING)
        found = [row["patient_id"] for row in rows]
        kinds = {
            (2, 1): "without a number" if found == [None, None] else "one patient",
            (2, 2): "two patients",
            (0, 0): "refused",
        }
        assert (number, kinds[len(found), len(set(found))]) == (number, expected)
        assert number == "N/A" or number not in str(found)


PLACEHOLDERS = (
    *("TBC", "tba", " 999 ", "000", "Temp", "9999999999", "0", "-1", "1234567890"),
    *("Not Registered", "No NHS Number", "To be confirmed", "New Patient", "Awaiting Number", "Tbc."),
    *("Unknown Male", "Anonymous", "TEST PATIENT", "Walk-in", "not traced", "Baby"),
)


@pytest.mark.parametrize("kind", ["local", False])
def test_a_placeholder_makes_no_patient_in_a_column_of_local_numbers_or_pseudonyms(
    monkeypatch: pytest.MonkeyPatch, kind: str | bool
):
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    mapping = Mapping.model_validate({"columns": {"patient_id": {"from": "NHS Number", "pseudonymise": kind}}})
    _, rows = read([*PLACEHOLDERS, *PLACEHOLDERS, "RX17", "RX17"], mapping=mapping)
    patients = [row["patient_id"] for row in rows]
    assert len(set(patients)) == 2 * len(PLACEHOLDERS) + 1
    assert patients[-1] == patients[-2]


@pytest.mark.parametrize(
    "appointment", [{"row_number": True}, {"id_from": ["patient_id", "starts_at"]}], ids=["row number", "hash"]
)
@pytest.mark.cases(3)
@pytest.mark.parametrize("kind", [True, "local", False])
def test_a_placeholder_in_the_same_row_of_two_exports_makes_no_patient(
    monkeypatch: pytest.MonkeyPatch, appointment: dict, kind: str | bool
):
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    columns = {"patient_id": {"from": "NHS Number", "pseudonymise": kind}, "appointment_id": appointment}
    mapping = Mapping.model_validate({"columns": columns})
    _, history = read(["TBC"], mapping=mapping)
    _, week = read(["TBC"], mapping=mapping, starts_at="2025-06-01")
    assert history[0]["patient_id"].startswith(UNLINKED)
    assert history[0]["patient_id"] != week[0]["patient_id"]


def test_a_column_of_other_numbers_is_not_taken_for_temporary_ones(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    checked, rows = read([f"RX{number:04d}" for number in range(30)], mapping=MAPPING)
    assert rows == []
    assert [each.rule for each in checked.rejections] == ["patient_id_not_an_nhs_number"]


def test_two_forms_of_a_number_are_neither_merged_nor_passed_over(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    mapping = Mapping.model_validate({"columns": {"patient_id": {"from": "NHS Number", "pseudonymise": "local"}}})
    checked, rows = read(["0123", "123", "0456", "7"], mapping=mapping)
    assert len({row["patient_id"] for row in rows}) == 4
    assert checked.ingest.numbers_in_two_forms == 1


@settings(max_examples=examples(20), deadline=None)
@given(st.sets(st.text("ABTCEMP0129 /-", min_size=1, max_size=8), min_size=1, max_size=20))
def test_no_two_numbers_of_people_share_a_pseudonym_and_no_placeholder_has_one(numbers: set[str]):
    found = pseudonyms(pa.chunked_array([sorted(numbers)], pa.string()), key=KEY.encode(), kind="nhs").to_pylist()
    made = [name for name in found if name not in (None, UNLINKED)]
    assert len(set(made)) == len(
        {number.upper() for number, name in zip(sorted(numbers), found, strict=True) if name in made}
    )

"""Words for "nothing is recorded" mean the same in every column, through every way that a column is made."""

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.examples import examples

from dnapredict.config.mapping_config import ColumnSource, Mapping
from dnapredict.data.contract.columns import COLUMNS, Kind, column
from dnapredict.data.contract.known_names import NOT_RECORDED
from dnapredict.data.contract.parsing import parse
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.validation import contract_check

WORDS = ("N/A", "n/a", "na", "NULL", "none", "-", "--", "?", "Unknown", "not recorded", "#N/A", "nan", ".")
# What the words that say something in a column are read as.
MEANINGS = {("transport_booked", "none"): False, ("ethnic_category_code", "Unknown"): "99"}
OPTIONAL = [each.name for each in COLUMNS if not each.required]


def rows(count: int, **columns: list[object]) -> pa.Table:
    """Sound appointments of so many patients, changed in `columns`."""
    made = {
        "row_number": list(range(1, count + 1)),
        "appointment_id": [f"a{row}" for row in range(count)],
        "patient_id": [f"p{row}" for row in range(count)],
        "booked_at": ["2025-01-02 10:00"] * count,
        "starts_at": ["2025-03-03 10:00"] * count,
    }
    return pa.table(made | columns)


def checked(table: pa.Table, mapping: Mapping | None = None) -> tuple[list[dict], dict[int, str]]:
    """The rows that are kept, and the rule that each other row breaks."""
    with Workspace() as workspace:
        found = contract_check.check(workspace.keep(table), workspace, mapping=mapping or Mapping(), source="list.csv")
        kept = workspace.backend.to_pyarrow(found.rows).sort_by("row_number").to_pylist()
    return kept, {row["row_number"]: row["rule"] for row in found.rejected.to_pylist()}


def test_a_word_for_not_recorded_is_an_empty_cell_in_every_column_and_costs_no_row():
    shifted = {
        name: [WORDS[(place + row) % len(WORDS)] for row in range(len(WORDS))] for place, name in enumerate(OPTIONAL)
    }
    kept, rejected = checked(rows(len(WORDS), **shifted))
    assert rejected == {}
    for name in OPTIONAL:
        says = [word for word in shifted[name] if word.upper() in column(name).meaningful_words]
        assert [row[name] for row in kept if row[name] is not None] == [
            MEANINGS.get((name, word), word) for word in says
        ]


def test_patients_whose_number_is_not_recorded_are_not_one_patient():
    kept, _ = checked(rows(3, patient_id=["N/A", "n/a", "P1"]))
    assert [row["patient_id"] for row in kept] == [None, None, "P1"]


@pytest.mark.parametrize(
    "word",
    ["n / a", "NK", "N/K", "nil", "Not stated", "not  known", "Not\u00a0known", "\u2212", "N/A\u2009", "\u200bN/A"],
)
def test_what_systems_write_for_not_recorded_makes_no_patient_and_costs_no_row(word: str):
    kept, rejected = checked(rows(2, patient_id=[word, word], has_mobile=[word, word], imd_decile=[word, word]))
    assert rejected == {}
    assert [row[name] for row in kept for name in ("patient_id", "has_mobile", "imd_decile")] == [None] * 6


def test_not_stated_stays_an_answer_to_the_question_for_ethnicity():
    kept, _ = checked(rows(1, ethnic_category_code=["Not stated"]))
    assert kept[0]["ethnic_category_code"] == "Z"


@pytest.mark.parametrize("kind", [True, "local"])
def test_a_number_that_is_not_recorded_gets_no_pseudonym_and_costs_no_row(tmp_path: Path, kind):
    key = tmp_path / "key"
    key.write_text("made up, and longer than thirty-two bytes")
    number = ColumnSource.model_validate({"from": "NHS Number", "pseudonymise": kind})
    mapping = Mapping(columns={"patient_id": number}, key_file=key)
    numbers = ["N/A", "not known", "9434765919", "", "\u00a0N/A\u00a0"]
    kept, rejected = checked(rows(5).append_column("NHS Number", pa.array(numbers)), mapping)
    assert rejected == {}
    assert [row["patient_id"] is None for row in kept] == [True, True, False, True, True]


def test_a_telephone_that_is_not_recorded_is_no_mobile():
    mapping = Mapping(columns={"has_mobile": ColumnSource(filled="Mobile")})
    table = rows(4).append_column("Mobile", pa.array(["N/A", "unknown", "07700 900001", ""]))
    kept, _ = checked(table, mapping)
    assert [row["has_mobile"] for row in kept] == [False, False, True, False]


# A column that stands for a yes where it is filled: what its words say.
FILLED = """
    column             | cell             | is
    has_mobile         | 07700 900001     | yes
    has_mobile         | +44 7700 900001  | yes
    has_mobile         | Y                | yes
    has_mobile         | No               | no
    has_mobile         | no mobile        | no
    has_mobile         | 0                | no
    has_mobile         | 00000000000      | no
    has_mobile         | TBC              | no
    has_mobile         | Ex-directory     | no
    has_mobile         | None given       | no
    interpreter_needed | Urdu             | yes
    interpreter_needed | Yes              | yes
    interpreter_needed | No               | no
    interpreter_needed | N                | no
    interpreter_needed | Not required     | no
    interpreter_needed | no interpreter   | no
    transport_booked   | Ambulance        | yes
    transport_booked   | own transport    | no
    transport_booked   | FALSE            | no
"""


def test_a_filled_cell_that_says_no_is_no_yes():
    lines = [[cell.strip() for cell in line.split("|")] for line in FILLED.strip().splitlines()[1:]]
    for name, cell, expected in lines:
        mapping = Mapping(columns={name: ColumnSource(filled="Own")})
        kept, _ = checked(rows(1).append_column("Own", pa.array([cell])), mapping)
        assert (name, cell, kept[0][name]) == (name, cell, expected == "yes")


def test_a_time_that_is_not_recorded_leaves_the_day():
    mapping = Mapping(columns={"starts_at": ColumnSource(date="Day", time="Time")})
    table = rows(2).drop_columns(["starts_at"])
    table = table.append_column("Day", pa.array(["03/03/2025"] * 2))
    kept, rejected = checked(table.append_column("Time", pa.array(["N/A", "09:30"])), mapping)
    assert rejected == {}
    assert [str(row["starts_local"])[:16] for row in kept] == ["2025-03-03 23:59", "2025-03-03 09:30"]


def test_a_birth_date_that_is_not_recorded_leaves_the_age_open():
    mapping = Mapping(columns={"age_years": ColumnSource(born="DOB")})
    kept, rejected = checked(rows(2).append_column("DOB", pa.array(["N/A", "03/03/1985"])), mapping)
    assert rejected == {}
    assert [row["age_years"] for row in kept] == [None, 40.0]


def test_an_appointment_without_its_number_or_day_says_so():
    _, rejected = checked(rows(3, appointment_id=["N/A", "a", "b"], starts_at=["2025-03-03", "n/a", "?"]))
    assert rejected == {1: "no_appointment_id", 2: "no_starts_at", 3: "no_starts_at"}


def test_no_disability_is_recorded_where_the_disability_is_none():
    kept, _ = checked(rows(2, disability_flag=["None", "N/A"]))
    assert [row["disability_flag"] for row in kept] == ["None", None]


def test_a_mapping_says_what_a_word_means_before_it_is_taken_for_not_recorded():
    mapping = Mapping(
        columns={
            "ethnic_category_code": ColumnSource.model_validate(
                {"from": "Ethnicity", "translate": {"Not known": "99", "Unknown": "99"}}
            )
        }
    )
    table = rows(3).append_column("Ethnicity", pa.array(["Not known", "Unknown", "N/A"]))
    kept, _ = checked(table, mapping)
    assert [row["ethnic_category_code"] for row in kept] == ["99", "99", None]


@settings(max_examples=examples(5), deadline=None)
@given(st.lists(st.sampled_from(NOT_RECORDED), min_size=1, max_size=8), st.randoms())
def test_case_and_space_make_no_difference(words, random):
    written = [f" {''.join(random.choice((sign.lower(), sign.upper())) for sign in word)}\u00a0" for word in words]
    names = ("clinic_code", "age_years", "starts_at", "has_mobile", "gender_code")
    with Workspace() as workspace:
        table = workspace.keep(pa.table({"cell": pa.array(written)}))
        found = {name: parse(table.cell, column(name), zone="Europe/London") for name in names}
        values = {name: parsed.value for name, parsed in found.items()}
        bad = {f"bad_{name}": parsed.unreadable for name, parsed in found.items()}
        read = workspace.backend.to_pyarrow(table.select(**values, **bad))
    for name in names:
        assert read[name].to_pylist() == [None] * len(words)
        assert read[f"bad_{name}"].to_pylist() == [False] * len(words)


def test_what_only_holds_such_a_word_is_no_such_word():
    written = ["NAPIER", "None such", "UNKNOWN1", "N-A", "-1", "Nan Jones"]
    kept, _ = checked(rows(len(written), clinic_code=written))
    assert [row["clinic_code"] for row in kept] == written


def test_every_kind_of_column_is_tried():
    assert {column(name).kind for name in OPTIONAL} == set(Kind) - {Kind.DATE}  # dates are of contact columns alone

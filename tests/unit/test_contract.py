"""The data contract: what is refused, by which rule, in which row, and what goes on."""

import pyarrow as pa
import pytest
from tests.spec.appointments import table

from dnapredict.config.mapping_config import Mapping
from dnapredict.data.contract.columns import COLUMNS, Kind
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.validation import contract_check
from dnapredict.data.validation.checked import Checked
from dnapredict.data.validation.rules import RULES, sentence_of
from dnapredict.errors import ConfigurationError, DataError


def checked(appointments: pa.Table, **options) -> tuple[Checked, list[dict]]:
    with Workspace() as workspace:
        found = contract_check.check(workspace.keep(appointments), workspace, source="extract.csv", **options)
        return found, workspace.fetch(f"FROM {found.rows.get_name()} ORDER BY row_number").to_pylist()


def rejected(appointments: pa.Table) -> dict[int, str]:
    found, _ = checked(appointments)
    return dict(zip(found.rejected["row_number"].to_pylist(), found.rejected["rule"].to_pylist(), strict=True))


def test_each_broken_rule_is_named_with_its_row_and_the_rest_goes_on():
    appointments = table("""
        appointment_id | booked_at  | starts_at  | outcome_code | age_years | imd_decile | first_attendance_code
        ok             | 2025-01-02 | 2025-02-01 | 5            | 40        | 1          | 1
                       | 2025-01-02 | 2025-02-01 | 5            | 40        | 1          | 1
        ok             | 2025-01-02 | 2025-02-01 | 5            | 40        | 1          | 1
        no-booking     |            | 2025-02-01 | 5            | 40        | 1          | 1
        no-start       | 2025-01-02 |            | 5            | 40        | 1          | 1
        us-date        | 01/31/2025 | 2025-02-01 | 5            | 40        | 1          | 1
        placeholder    | 2025-01-02 | 2999-12-31 | 5            | 40        | 1          | 1
        backwards      | 2025-03-02 | 2025-02-01 | 5            | 40        | 1          | 1
        code-9         | 2025-01-02 | 2025-02-01 | 9            | 40        | 1          | 1
        clock-stop     | 2025-01-02 | 2025-02-01 | 5            | 40        | 1          | 5
    """)
    assert rejected(appointments) == {
        3: "no_appointment_id",
        4: "duplicate_appointment_id",
        5: "no_booked_at",
        6: "no_starts_at",
        7: "booked_at_unreadable",
        8: "date_out_of_range",
        9: "starts_before_booked",
        10: "outcome_code_unknown",
        11: "administrative_event",
    }


def test_an_optional_cell_that_cannot_be_read_is_not_known_and_told_and_its_row_stays():
    found, rows = checked(
        table("""
        appointment_id | booked_at  | starts_at  | age_years | imd_decile | has_mobile | opt_out
        too-old        | 2025-01-02 | 2025-02-01 | 140       | 1          | Y          |
        unborn         | 2025-01-02 | 2025-02-01 | -1        | 1          | voicemail  |
        decile-11      | 2025-01-02 | 2025-02-01 | 40        | 11         | N/A        |
        half-decile    | 2025-01-02 | 2025-02-01 | 40        | 1.5        | N          |
        wish           | 2025-01-02 | 2025-02-01 | 40        | 2          | N          | sometimes
    """)
    )
    assert [rejection.rule for rejection in found.rejections] == ["opt_out_invalid"]
    assert [row["age_years"] for row in rows] == [None, None, 40, 40]
    assert [row["imd_decile"] for row in rows] == [1, 1, None, None]
    assert [row["has_mobile"] for row in rows] == [True, None, None, False]
    assert [str(each) for each in found.unreadable] == [
        "age_years: 2 cells are not a number from 0 to 120 and count as not known (rows 2, 3)",
        "imd_decile: 2 cells are not a whole number from 1 to 10 and count as not known (rows 4, 5)",
        "has_mobile: 1 cell is not yes or no (1 or 0, true or false) and counts as not known (row 3)",
    ]


def test_a_column_of_which_most_cells_cannot_be_read_is_refused():
    """It is another column: a rank of deprivation, or a telephone number."""
    lines = "\n".join(f"a{n} | 2025-01-02 | 2025-02-01 | {n * 100}" for n in range(30))
    found, _ = checked(table(f"appointment_id | booked_at | starts_at | imd_decile\n{lines}"))
    with pytest.raises(DataError, match=r"list: imd_decile: 30 cells are not .* Most of its cells cannot be read"):
        found.require(max_rejected_share=0.02, source="list")


def test_every_rule_has_a_sentence():
    for rule in RULES:
        assert sentence_of(rule)


def test_an_attendance_recorded_before_the_appointment_is_refused_and_an_early_cancellation_is_not():
    appointments = table("""
        appointment_id | booked_at  | starts_at        | recorded_at | outcome_code
        a              | 2025-01-02 | 2025-02-01 09:00 | 2025-01-20  | 5
        b              | 2025-01-02 | 2025-02-01 09:00 | 2025-01-20  | 2
    """)
    assert rejected(appointments) == {2: "outcome_before_start"}


@pytest.mark.parametrize(
    ("written", "utc"),
    [
        ("2025-07-01 09:30", "2025-07-01 08:30:00"),  # summer time
        ("2025-01-07T09:30:00", "2025-01-07 09:30:00"),
        ("01/07/2025 09:30", "2025-07-01 08:30:00"),  # day first
        ("1-Jul-2025 09:30", "2025-07-01 08:30:00"),
        ("2025-07-01T09:30:00Z", "2025-07-01 09:30:00"),
        ("2025-07-01T09:30:00+02:00", "2025-07-01 07:30:00"),
        ("2025-07-01", "2025-07-01 22:59:59"),  # no clock time: any time until the day ends
    ],
)
def test_times_are_the_clinics_clock_unless_they_say_otherwise(written, utc):
    _, rows = checked(table(f"appointment_id | booked_at | starts_at\n a | 2024-01-01 | {written}"))
    assert str(rows[0]["starts_at"]) == utc


def test_codes_get_their_leading_zeros_back_and_ethnicity_its_national_part():
    _, rows = checked(
        table("""
        appointment_id | booked_at  | starts_at  | consultation_mechanism_code | treatment_function_code | ethnic_category_code
        a              | 2025-01-02 | 2025-02-01 | 2                           | 43                      | a1
        b              | 2025-01-02 | 2025-02-01 | 11                          | 130                     | 99
        c              | 2025-01-02 | 2025-02-01 |                             |                         | Z
    """)
    )
    assert [row["consultation_mechanism_code"] for row in rows] == ["02", "11", None]
    assert [row["treatment_function_code"] for row in rows] == ["043", "130", None]
    assert [row["ethnic_category_code"] for row in rows] == ["A", "99", "Z"]


def test_an_identifier_that_stands_for_no_site_is_read_as_blank():
    _, rows = checked(
        table("""
        appointment_id | booked_at  | starts_at  | site_code
        a              | 2025-01-02 | 2025-02-01 | R9998
        b              | 2025-01-02 | 2025-02-01 | 89997
        c              | 2025-01-02 | 2025-02-01 | RX101
    """)
    )
    assert [row["site_code"] for row in rows] == [None, None, "RX101"]


def test_an_unknown_code_refuses_its_row_in_the_outcome_alone():
    appointments = table("""
        appointment_id | booked_at  | starts_at  | outcome_code | gender_code | treatment_function_code | priority_type_code
        a              | 2025-01-02 | 2025-02-01 | 5            | Q           | ZZZ                     | 8
        b              | 2025-01-02 | 2025-02-01 | Q            | 1           | 100                     | 1
    """)
    assert rejected(appointments) == {3: "outcome_code_unknown"}


def test_every_coded_column_has_a_source_and_meanings():
    for column in (column for column in COLUMNS if column.kind is Kind.CODE):
        assert column.source
        assert column.codes
        assert all(meaning and meaning == meaning.strip() for meaning in column.codes.values())
        if column.width:
            assert {len(code) for code in column.codes} == {column.width}


def test_a_missing_required_column_is_named_beside_those_that_are_there():
    appointments = table("appointment_id | starts_at\n a | 2025-02-01")
    with pytest.raises(DataError, match=r"required column 'booked_at' is missing.*The file has: .*starts_at"):
        checked(appointments)


def test_too_many_faults_are_refused_and_administrative_events_are_no_fault():
    appointments = table("""
        appointment_id | booked_at  | starts_at  | first_attendance_code | outcome_code
        a              | 2025-01-02 | 2025-02-01 | 5                     | 5
        b              | 2025-01-02 | 2025-02-01 | 5                     | 5
        c              | 2025-01-02 | 2025-02-01 | 1                     | 9
        d              | 2025-01-02 | 2025-02-01 | 1                     | 5
    """)
    found, _ = checked(appointments)
    assert found.rejected_share == 0.25
    found.require(max_rejected_share=0.25, source="extract.csv")
    with pytest.raises(DataError, match=r"extract.csv: 25.0% of 4 rows.*1 row: holds an outcome_code.*row 4"):
        found.require(max_rejected_share=0.2, source="extract.csv")


def test_no_column_that_the_contract_does_not_know_goes_further():
    appointments = table("appointment_id | booked_at | starts_at\n a | 2025-01-02 | 2025-02-01")
    named = appointments.append_column("Patient Name", pa.array(["Marked Value"]))
    _, rows = checked(named)
    assert "Marked Value" not in str(rows)


def test_a_mapping_translates_and_refuses_what_it_does_not_name():
    foreign = pa.table(
        {
            "row_number": [2, 3],
            "Id": ["a", "b"],
            "Made": ["02.01.2025", "02.01.2025"],
            "Day": ["01.02.2025", "01.02.2025"],
            "Came": ["no", "perhaps"],
        }
    )
    mapping = Mapping.model_validate(
        {
            "columns": {
                "appointment_id": {"from": "Id"},
                "booked_at": {"from": "Made", "format": "%d.%m.%Y"},
                "starts_at": {"from": "Day", "format": "%d.%m.%Y"},
                "outcome_code": {"from": "Came", "translate": {"no": "3", "yes": "5"}},
                "site_code": {"constant": "RX1"},
            }
        }
    )
    found, rows = checked(foreign, mapping=mapping)
    assert [(row["outcome_code"], row["site_code"]) for row in rows] == [("3", "RX1")]
    assert found.rejected["rule"].to_pylist() == ["outcome_code_unknown"]


def test_a_mapping_to_a_column_that_does_not_exist_suggests_the_right_one():
    mapping = Mapping.model_validate({"columns": {"outcome_kode": {"constant": "5"}}})
    with pytest.raises(ConfigurationError, match=r"no column 'outcome_kode'. Did you mean 'outcome_code'"):
        checked(table("appointment_id | booked_at | starts_at\n a | 2025-01-02 | 2025-02-01"), mapping=mapping)


def test_every_column_of_the_contract_comes_back_even_from_a_bare_extract():
    _, rows = checked(table("appointment_id | booked_at | starts_at\n a | 2025-01-02 | 2025-02-01"))
    assert {column.name for column in COLUMNS} <= set(rows[0])


def test_a_file_of_another_name_with_the_same_columns_is_not_compiled_again():
    appointments = table("appointment_id | booked_at | starts_at\n a | 2025-01-02 | 2025-02-01")
    checked(appointments)
    compiled = contract_check._mapped_rows.cache_info().misses
    with Workspace() as workspace:
        contract_check.check(workspace.keep(appointments), workspace, source="next week.csv")
    assert contract_check._mapped_rows.cache_info().misses == compiled


def test_a_mapping_from_a_column_that_is_not_there_names_the_file():
    mapping = Mapping.model_validate({"columns": {"outcome_code": {"from": "Came"}}})
    with pytest.raises(DataError, match=r"^extract\.csv: "):
        checked(table("appointment_id | booked_at | starts_at\n a | 2025-01-02 | 2025-02-01"), mapping=mapping)

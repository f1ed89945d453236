"""The data contract: how a cell is read, and which cell rejects its row by which rule.

For an analyst who prepares an extract. Each line of a table is one cell in a row that is otherwise valid.
"""

import pyarrow as pa
import pytest

from dnapredict.config.mapping_config import ColumnSource, Mapping
from dnapredict.data.contract.codes import ETHNIC_CATEGORY
from dnapredict.data.contract.columns import column
from dnapredict.data.contract.parsing import parse
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.readers import table_file
from dnapredict.data.validation import contract_check
from dnapredict.data.validation.rules import RULES

VALID = {
    "appointment_id": "a",
    "patient_id": "p",
    "booked_at": "2025-01-20",
    "starts_at": "2025-02-20 09:30",
    "recorded_at": "2025-02-22",
    "outcome_code": "5",
}


def lines(text: str) -> list[list[str]]:
    """The cells of a table below its header."""
    return [[cell.strip() for cell in line.split("|")] for line in text.strip().splitlines()[1:]]


def rule_of_each(rows: list[dict[str, str]], mapping: Mapping | None = None) -> list[str]:
    """The rule that rejects each row, "" where the row is valid."""
    names = dict.fromkeys(name for row in rows for name in row)
    cells = {name: pa.array([row.get(name) or None for row in rows], pa.string()) for name in names}
    with Workspace() as workspace:
        table = workspace.keep(pa.table({"row_number": pa.array(range(len(rows)), pa.int64())} | cells))
        rejected = contract_check.check(table, workspace, mapping=mapping or Mapping(), source="list").rejected
    rules = dict(zip(rejected["row_number"].to_pylist(), rejected["rule"].to_pylist(), strict=True))
    return [rules.get(number, "") for number in range(len(rows))]


ONE_CELL = """
    column                  | cell               | rule that rejects the row; blank: the row is valid
    appointment_id          |                    | no_appointment_id
    appointment_id          | N/A                | no_appointment_id
    appointment_id          | 1.23457E+09        | appointment_id_in_scientific_notation
    patient_id              |                    |
    patient_id              | 9.43477E+09        | patient_id_in_scientific_notation
    booked_at               |                    | no_booked_at
    booked_at               | unknown            | no_booked_at
    booked_at               | 20/01/2025 14:05   |
    booked_at               | soon               | booked_at_unreadable
    booked_at               | 20250120           | booked_at_unreadable
    booked_at               | 1890-01-20         | date_out_of_range
    booked_at               | 2025-02-21         | starts_before_booked
    starts_at               |                    | no_starts_at
    starts_at               | 20-Feb-2025        |
    starts_at               | 31/02/2025         | starts_at_unreadable
    starts_at               | 2999-12-31         | date_out_of_range
    recorded_at             |                    |
    recorded_at             | later              | recorded_at_unreadable
    recorded_at             | 2025-02-19         | outcome_before_start
    recorded_at             | 2025-02-20         |
    outcome_code            |                    |
    outcome_code            | not recorded       |
    outcome_code            | 0                  |
    outcome_code            | 8                  | outcome_code_unknown
    outcome_code            | DNA                |
    outcome_code            | Cancelled          | outcome_code_unknown
    age_years               |                    |
    age_years               | 0                  |
    age_years               | 120                |
    age_years               | 121                |
    age_years               | -1                 |
    age_years               | forty              |
    imd_decile              | 1                  |
    imd_decile              | 0                  |
    imd_decile              | 1.5                |
    distance_km             | 0.4                |
    distance_km             | -0.4               |
    times_rescheduled       | 2                  |
    times_rescheduled       | twice              |
    interpreter_needed      | Y                  |
    interpreter_needed      | Urdu               |
    transport_booked        | 2                  |
    has_mobile              | 07700 900123       |
    receives_welfare        | perhaps            |
    trust_side_reason       | letter             |
    contacted               | voicemail          |
    trial_arm               | Control            |
    trial_arm               | arm B              |
    opt_out                 | sometimes          | opt_out_invalid
    first_attendance_code   | 1                  |
    first_attendance_code   | 5                  | administrative_event
    gender_code             | 7                  |
    treatment_function_code | Cardiology         |
    ethnic_category_code    | White British      |
    referred_at             | next week          |
    referred_at             | 2999-12-31         |
    rtt_period_start        | 31/02/2025         |
    rtt_status_code         | 77                 |
    carer_or_child          | her daughter       |
    provider_code           | RBL                |
"""


def test_one_wrong_cell_rejects_its_row_by_one_rule():
    cells = lines(ONE_CELL)
    rows = [VALID | {"appointment_id": f"a{n}"} | {name: cell} for n, (name, cell, _) in enumerate(cells)]
    found = rule_of_each(rows)
    assert [(name, cell, rule) for (name, cell, _), rule in zip(cells, found, strict=True)] == [
        tuple(line) for line in cells
    ]


# Rules about more than one cell, each of which has its own test below.
OF_A_ROW = {
    "more_cells_than_columns",
    "summary_row",
    "cell_too_long",
    "duplicate_appointment_id",
    "patient_id_not_an_nhs_number",
    "booked_at_order_unclear",
    "starts_at_order_unclear",
    "recorded_at_order_unclear",
    "referred_at_order_unclear",
    "rtt_period_start_order_unclear",
}


def test_every_rule_is_in_the_table_or_has_a_test_below():
    assert {rule for _, _, rule in lines(ONE_CELL) if rule} == set(RULES) - OF_A_ROW


def test_the_first_row_of_an_appointment_counts_and_a_repetition_is_rejected():
    assert rule_of_each([VALID, VALID, VALID]) == ["", "duplicate_appointment_id", "duplicate_appointment_id"]


def test_a_total_below_the_table_is_no_appointment():
    total = {"appointment_id": "Total", "outcome_code": "5"}
    assert rule_of_each([VALID, total]) == ["", "summary_row"]


def test_a_text_in_the_column_of_a_key_or_a_code_is_too_long():
    assert rule_of_each([VALID | {"clinic_code": "x" * 1_000}]) == [""]
    assert rule_of_each([VALID | {"clinic_code": "x" * 1_001}]) == ["cell_too_long"]


def test_a_row_with_more_cells_than_the_header_may_have_moved(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("appointment_id,booked_at,starts_at\na,2025-01-20,2025-02-20\nb,Clinic 1,2025-01-20,2025-02-20\n")
    with Workspace() as workspace:
        checked = contract_check.check(table_file.read(path, workspace), workspace, source="list")
    assert checked.rejected.to_pylist() == [{"row_number": 3, "appointment_id": "b", "rule": "more_cells_than_columns"}]


def test_a_number_that_should_become_a_pseudonym_has_the_check_digit_of_nhs_numbers(tmp_path):
    key = tmp_path / "key"
    key.write_text("k" * 32)
    source = ColumnSource.model_validate({"from": "NHS No", "pseudonymise": True})
    mapping = Mapping(columns={"patient_id": source}, key_file=key)
    numbers = ("943 476 5919", "943 476 5918", "N/A")
    rows = [VALID | {"appointment_id": f"a{n}", "NHS No": number} for n, number in enumerate(numbers)]
    for row in rows:
        del row["patient_id"]
    assert rule_of_each(rows, mapping) == ["", "patient_id_not_an_nhs_number", ""]


# Day and month are never guessed row by row. Each table is the column booked_at of one extract.
ORDERS = {
    "day first": """
        booked_at    | read as, or the rule that rejects the row
        03/02/2024   | 3 February
        25/02/2024   | 25 February
    """,
    "month first, as its second row shows": """
        booked_at    | read as, or the rule that rejects the row
        03/02/2024   | booked_at_order_unclear
        02/25/2024   | booked_at_unreadable
    """,
    "opened in an American Excel, which turned what it could into dates": """
        booked_at    | read as, or the rule that rejects the row
        2024-03-02   | booked_at_order_unclear
        25/02/2024   | 25 February
    """,
    "dates with days after the twelfth were not turned": """
        booked_at    | read as, or the rule that rejects the row
        2024-03-02   | 2 March
        2024-02-25   | 25 February
        25/02/2024   | 25 February
    """,
}


@pytest.mark.cases(8)
@pytest.mark.parametrize("name", ["booked_at", "starts_at", "recorded_at", "referred_at", "rtt_period_start"])
@pytest.mark.parametrize("extract", ORDERS)
def test_a_column_whose_order_of_day_and_month_is_unclear_loses_the_rows_that_could_be_either(extract, name):
    cells = lines(ORDERS[extract])
    valid = {"starts_at": "2024-06-20", "booked_at": "2024-01-20", "outcome_code": ""}
    rows = [valid | {"appointment_id": f"a{n}", name: cell} for n, (cell, _) in enumerate(cells)]
    rules = [read.replace("booked_at", name) for _, read in cells]
    assert rule_of_each(rows) == [rule if rule in RULES else "" for rule in rules]


def kept(name: str, rows: list[dict[str, str]]) -> list[object]:
    """The column `name` of rows that are all valid."""
    cells = {column: pa.array([row[column] or None for row in rows], pa.string()) for column in rows[0]}
    with Workspace() as workspace:
        table = workspace.keep(pa.table({"row_number": pa.array(range(len(rows)), pa.int64())} | cells))
        checked = contract_check.check(table, workspace, source="list")
        assert checked.rejections == ()
        return workspace.fetch(f"SELECT {name} FROM {checked.rows.get_name()} ORDER BY row_number")[name].to_pylist()


def test_a_date_of_referral_counts_only_where_it_can_be_one():
    cells = lines("""
        cell             | referred_at; the appointment is booked on 20 January and starts at 9:30 on 20 February 2025
        01/12/2024       | 2024-12-01 00:00:00
        2025-02-20 09:30 | 2025-02-20 09:30:00
        2025-02-20 09:31 |
        2025-03-01       |
        1900-01-01       |
        2999-12-31       |
        next week        |
        n/a              |
    """)
    for name in ("referred_at", "rtt_period_start"):
        rows = [VALID | {"appointment_id": f"a{n}", name: cell} for n, (cell, _) in enumerate(cells)]
        assert ["" if time is None else str(time) for time in kept(name, rows)] == [time for _, time in cells]


def test_a_call_goes_to_the_parent_or_carer_of_a_child_and_of_whom_the_extract_says_so():
    cells = lines("""
        age_years | carer_or_child | a call goes to the parent or carer
        15.9      |                | True
        0         |                | True
        16        |                | False
        70        |                | False
        70        | Y              | True
        15        | no             | False
        70        | her daughter   | False
                  |                | None
                  | true           | True
    """)
    rows = [
        VALID | {"appointment_id": f"a{n}", "age_years": age, "carer_or_child": cell}
        for n, (age, cell, _) in enumerate(cells)
    ]
    assert [str(value) for value in kept("carer_or_child", rows)] == [value for _, _, value in cells]


def read_as(name: str, cells: list[str]) -> list[str]:
    """Each cell as the contract's column `name`; "" where nothing is recorded, "unreadable" where it cannot be."""
    with Workspace() as workspace:
        table = workspace.keep(pa.table({"cell": pa.array(cells, pa.string())}))
        parsed = parse(table.cell, column(name), zone="Europe/London")
        value = parsed.value if parsed.local is None else parsed.local
        columns = table.select(value=value.cast("string"), unreadable=parsed.unreadable)
        rows = workspace.backend.to_pyarrow(columns).to_pylist()
    return ["unreadable" if row["unreadable"] else row["value"] or "" for row in rows]


def assert_read(name: str, text: str) -> None:
    cells = lines(text)
    found = read_as(name, [cell for cell, _ in cells])
    assert list(zip((cell for cell, _ in cells), found, strict=True)) == [tuple(line) for line in cells]


def test_a_time_is_read_as_the_clinics_clock_shows_it():
    assert_read(
        "booked_at",
        """
        cell                      | clock in London
        2025-02-01 09:30          | 2025-02-01 09:30:00
        2025-02-01T09:30:00       | 2025-02-01 09:30:00
        01/02/2025 09:30          | 2025-02-01 09:30:00
        1/2/2025                  | 2025-02-01 00:00:00
        01-Feb-2025 09:30:15      | 2025-02-01 09:30:15
        45689                     | 2025-02-01 00:00:00
        2025-02-01T09:30:00Z      | 2025-02-01 09:30:00
        2025-07-01T09:30:00Z      | 2025-07-01 10:30:00
        2025-07-01T09:30:00+02:00 | 2025-07-01 08:30:00
                                  |
        not known                 |
        20250201                  | unreadable
        1 February 2025           | unreadable
        2025-02-30                | unreadable
        infinity                  | unreadable
        """,
    )


def test_a_code_gets_its_zeros_back_and_its_letters_in_capitals():
    for name, text in {
        "consultation_mechanism_code": """
            cell | code
            01   | 01
            1    | 01
            1.0  | 01
            11   | 11
        """,
        "treatment_function_code": """
            cell | code
            100  | 100
            100.0 | 100
        """,
        "gender_code": """
            cell    | code
            1       | 1
            x       | X
            unknown |
        """,
    }.items():
        assert_read(name, text)


def test_an_ethnic_category_is_known_only_from_a_national_code():
    """One letter, with or without a local digit, or 99. A description or another code counts as not known."""
    cells = lines("""
        cell                   | category
        A                      | A
        a                      | A
        A1                     | A
        Z                      | Z
        99                     | 99
        X                      | X
        White British          | not known
        Indian                 | not known
        GB                     | not known
        AB                     | not known
        A12                    | not known
        I                      | not known
        9                      | not known
        NK                     | not recorded
                               | not recorded
    """)
    found = read_as("ethnic_category_code", [cell for cell, _ in cells])
    shown = [value if value in ETHNIC_CATEGORY else "not known" if value else "not recorded" for value in found]
    assert list(zip((cell for cell, _ in cells), shown, strict=True)) == [tuple(line) for line in cells]


def test_a_word_for_not_recorded_is_an_empty_cell_unless_the_column_gives_it_a_meaning():
    cells = lines("""
        cell       | gender_code | disability_flag | ethnic_category_code | language_code
        N/A        |             |                 |                      |
        null       |             |                 |                      |
        ?          |             |                 |                      |
        -          |             |                 |                      |
        None       |             | None            |                      |
        Not stated |             |                 | Not stated           |
        Nonesuch   | NONESUCH    | Nonesuch        | Nonesuch             | Nonesuch
    """)
    for index, name in enumerate(("gender_code", "disability_flag", "ethnic_category_code", "language_code"), start=1):
        assert read_as(name, [line[0] for line in cells]) == [line[index] for line in cells], name


def test_yes_and_no_are_read_in_the_spellings_of_the_engine():
    assert_read(
        "interpreter_needed",
        """
        cell  | answer
        Yes   | true
        y     | true
        TRUE  | true
        1     | true
        no    | false
        N     | false
        0     | false
        maybe | unreadable
        """,
    )

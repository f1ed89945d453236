"""Columns of the role `contact`: what they may never reach, and the names under which hospitals have them."""

import tomllib
from pathlib import Path

import pyarrow as pa
import pytest

from dnapredict.config.factor_register import FactorRegister
from dnapredict.config.mapping_config import Mapping
from dnapredict.data.contract.columns import COLUMNS, CONTACT_COLUMNS, CONTACT_NAMES, NAMES, Role, never_factors
from dnapredict.data.contract.known_names import CONTACT_HEADERS
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.mapping.suggestion import suggest
from dnapredict.data.validation import contract_check
from dnapredict.errors import ConfigurationError
from dnapredict.features.factors import verify
from dnapredict.service.api.request_models import ScoreRequest

MARK = "Mark-Kowalska"

# The header in one of five hospitals' lists, the contract column that a draft gives it, and the other that it feeds.
HEADERS = """
    list | header                 | contact column         | also
    1    | Surname                | person_family_name     |
    1    | Forename               | person_given_name      |
    2    | Patient Surname        | person_family_name     |
    2    | Pt First Name          | person_given_name      |
    3    | Patient Name           | person_full_name       |
    4    | Name                   | person_full_name       |
    1    | DOB                    | person_birth_date      | age_years
    2    | Date of Birth          | person_birth_date      | age_years
    1    | Mobile                 | mobile_telephone       | has_mobile
    2    | Patient Mobile No.     | mobile_telephone       | has_mobile
    1    | Home Tel               | home_telephone         |
    2    | Contact Number         | home_telephone         |
    1    | Tel (Work)             | other_telephone        |
    2    | NOK Tel                | other_telephone        |
    1    | Pref. lang.            | preferred_language     |
    2    | Preferred Language     | preferred_language     | language_code
    1    | Best time to call      | preferred_contact_time |
    5    | Address                |                        |
    5    | Email                  |                        |
"""


def table(text: str) -> list[dict[str, str]]:
    head, *rows = ([cell.strip() for cell in line.split("|")] for line in text.strip().splitlines())
    return [dict(zip(head, row, strict=True)) for row in rows]


@pytest.mark.parametrize("number", "12345")
def test_a_draft_knows_the_names_that_hospitals_give(number: str, tmp_path: Path):
    path = tmp_path / "list.csv"
    rows = {row["header"]: row for row in table(HEADERS) if row["list"] == number}
    cells = ["04/02/1980" if row["also"] == "age_years" else MARK for row in rows.values()]
    lines = [["Appt ID", "Booked Date", "Appt Date", *rows], ["A1", "02/12/2024", "07/01/2025", *cells]]
    path.write_text("".join(",".join(line) + "\n" for line in lines))
    draft = suggest(path)
    columns = tomllib.loads(draft)["columns"]
    given = {header: {name for name, origin in columns.items() if header in origin.values()} for header in rows}
    assert given == {header: {row["contact column"], row["also"]} - {""} for header, row in rows.items()}
    assert ("For the person who calls" in draft) is any(row["contact column"] for row in rows.values())
    assert not any(cell in draft for cell in cells)


def test_a_forename_and_a_surname_are_used_before_a_full_name(tmp_path: Path):
    path = tmp_path / "list.csv"
    path.write_text("Appt ID,Booked Date,Appt Date,Patient Name,Surname,Forename\nA1,02/12/2024,07/01/2025,x,y,z\n")
    columns = tomllib.loads(suggest(path))["columns"]
    assert columns.keys() & set(CONTACT_NAMES) == {"person_family_name", "person_given_name"}


def test_no_name_is_known_for_two_contact_columns():
    names = [name for known in CONTACT_HEADERS.values() for name in known]
    assert len(names) == len(set(names))
    assert CONTACT_HEADERS.keys() == set(CONTACT_NAMES)


def test_they_are_no_columns_that_anything_checks_trains_scores_or_audits():
    assert {each.role for each in CONTACT_COLUMNS} == {Role.CONTACT}
    assert set(CONTACT_NAMES).isdisjoint(NAMES)
    assert set(CONTACT_NAMES) <= never_factors()
    mapping = {"columns": {"person_full_name": {"from": "Who"}, "preferred_language": {"from": "language_code"}}}
    row = {
        "appointment_id": "a",
        "booked_at": "2024-12-02",
        "starts_at": "2025-01-07",
        "language_code": "pl",
        "Who": MARK,
        **dict.fromkeys(CONTACT_NAMES, MARK),
    }
    with Workspace() as workspace:
        extract = workspace.keep(pa.Table.from_pylist([row | {"row_number": 1}]))
        checked = contract_check.check(extract, workspace, mapping=Mapping.model_validate(mapping), source="list")
        kept = workspace.backend.to_pyarrow(checked.rows)
    assert checked.present == {"appointment_id", "booked_at", "starts_at", "language_code"}
    assert set(kept.column_names) >= {column.name for column in COLUMNS}
    assert set(CONTACT_NAMES).isdisjoint(kept.column_names)
    assert kept["language_code"].to_pylist() == ["pl"]  # a column can give a contact detail and a contract column
    assert MARK not in str(kept.to_pylist())


@pytest.mark.parametrize("name", CONTACT_NAMES)
def test_no_factor_draws_on_them(name: str):
    factor = {"name": "lead_days", "title": "Wait", "class": "operational", "columns": [name], "why": "w"}
    register = {"version": "1", "factors": [factor | {"status": "proposed"}]}
    with pytest.raises(ConfigurationError, match=rf"'lead_days' draws on '{name}', which says who a patient is"):
        verify(FactorRegister.model_validate(register))


@pytest.mark.parametrize("name", CONTACT_NAMES)
def test_a_request_for_a_score_is_refused_with_them_and_the_value_is_not_repeated(name: str):
    row = {"appointment_id": "a", "booked_at": "2024-12-02", "starts_at": "2025-01-07", name: MARK}
    with pytest.raises(ValueError, match=rf"row 1 holds '{name}'.*never accepted here: leave these columns out") as no:
        ScoreRequest.model_validate({"appointments": [row]})
    assert MARK not in str(no.value)


def test_a_mapping_gives_them_from_columns_of_the_list_only():
    constant = Mapping.model_validate({"columns": {"person_full_name": {"constant": "Everybody"}}})
    with Workspace() as workspace:
        extract = workspace.keep(pa.table({"appointment_id": ["a"], "row_number": [1]}))
        with pytest.raises(ConfigurationError, match="column 'person_full_name' cannot be had with 'constant'"):
            contract_check.check(extract, workspace, mapping=constant, source="list")

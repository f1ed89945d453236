"""Lists as administration systems write them: every row is accounted for, and every assumption is reported."""

import random
from pathlib import Path

import pyarrow as pa
import pytest
from tests.nasty_lists import MARK

from dnapredict.config.fairness_policy import Policy
from dnapredict.config.loading import load, shipped
from dnapredict.config.mapping_config import Mapping
from dnapredict.data.contract.columns import column
from dnapredict.data.contract.descriptions import described_code, whole_code
from dnapredict.data.contract.known_names import NOT_RECORDED
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.mapping.pseudonyms import KEY_VARIABLE
from dnapredict.data.mapping.suggestion import suggest
from dnapredict.data.validation import contract_check
from dnapredict.quality.published_figures import patient_number_sentences, unknown_value_sentences, word_sentences
from dnapredict.quality.quality_profile import source_words

MISSING = ["", "N/A", "n/a", "-", "none", "#N/A", "NULL", "Unknown", "?"]
CODED = {
    "ethnic_category_code": ["White - British", "A1", "Asian", "Not stated", "Arab", "Zimbabwean", f"Mrs {MARK}"],
    "gender_code": ["Male", "F", "1", "Other", "X", f"{MARK}"],
    "outcome_code": ["DNA", "Attended", "5", "3", "Cancelled", "Cancelled by patient", f"{MARK} rang"],
    "first_attendance_code": ["New", "Follow-up", "1", "2", "Telephone"],
    "treatment_function_code": ["110 - Trauma and Orthopaedics", "Cardiology", "320", "T&O (Dr X)", f"Dr {MARK}"],
    "priority_type_code": ["Routine", "2WW", "Urgent", "Soon", "1"],
}
YES_NO = {
    "has_mobile": ["Y", "N", "yes", "0", MARK, "07700 900123"],
    "interpreter_needed": ["Required", "Not required", "Urdu", "1", MARK],
    "transport_booked": ["Ambulance", "None", "Taxi", "N"],
}
NEITHER = (MARK, "07700 900123", "Urdu", "Taxi")
NUMBERS = ["9434765919", "TEMP123", "TBC", "999", "0000000000", "UNKNOWN", "9434765918", f"{MARK}", "RX1/7"]
DAYS = ["02/03/2025 09:30", "2025-03-02 09:30", "2-Mar-2025", "2025-03-02T09:30:00Z", "soon"]
# A list of 60 rows lacks one of the 18 habits of a column three times in a hundred; 30 lists lack none.
LISTS = 30
MAPPING = Mapping.model_validate({"columns": {"patient_id": {"from": "NHS No", "pseudonymise": True}}})


def written(seed: int) -> pa.Table:
    """A list of 60 rows; each cell is one of the habits of its column."""
    habit = random.Random(seed)  # noqa: S311 - a reproducible list, no secret
    count = 60
    cells = {name: [habit.choice([*words, *MISSING]) for _ in range(count)] for name, words in (CODED | YES_NO).items()}
    columns = {
        "row_number": list(range(2, count + 2)),
        "appointment_id": [f"a{row}" for row in range(count)],
        "NHS No": [habit.choice([*NUMBERS, *MISSING]) for _ in range(count)],
        "Surname": [MARK] * count,
        "booked_at": ["2025-01-02"] * count,
        "starts_at": [habit.choice(DAYS) for _ in range(count)],
        **cells,
    }
    return pa.table(columns)


@pytest.fixture(scope="module")
def rule():
    return load(shipped("fairness/policy.toml"), Policy).disclosure


def test_each_row_is_accounted_for_each_guess_is_told_and_no_value_of_a_patient_is(
    monkeypatch: pytest.MonkeyPatch, rule
):
    monkeypatch.setenv(KEY_VARIABLE, "made up, and longer than thirty-two bytes")
    with Workspace() as workspace:
        for seed in range(LISTS):
            table = written(seed)
            checked = contract_check.check(workspace.keep(table), workspace, mapping=MAPPING, source="list.csv")
            assert checked.kept + checked.rejected.num_rows == table.num_rows
            for name in CODED:
                require_told(table[name].to_pylist(), name, checked)
            told = {each.column: each.count for each in checked.unreadable}
            for name in YES_NO:
                assert told.get(name, 0) == sum(
                    cell in (MARK, "07700 900123", "Urdu", "Taxi") for cell in table[name].to_pylist()
                )
            if seed % 10 == 0:
                sentences = [str(each) for each in (*checked.rejections, *checked.unreadable)]
                for say in (unknown_value_sentences, patient_number_sentences):
                    sentences += say(checked, workspace, rule=rule)
                sentences += word_sentences(source_words(checked, workspace), rule=rule)
                assert MARK not in " ".join(sentences)


def require_told(cells: list[str], name: str, checked: contract_check.Checked) -> None:
    """Every text that is no code is told, with the code that it describes or none."""
    target = column(name)
    meaningful = {word for word in cells if word.upper() not in NOT_RECORDED or word.upper() in target.meaningful_words}
    texts = [cell for cell in cells if cell in meaningful and cell and not whole_code(cell, target)]
    told = [each for each in checked.texts if each.column == name]
    assert sum(each.rows for each in told) == len(texts)
    assert sum(each.rows for each in told if each.code) == sum(
        described_code(cell, target) is not None for cell in texts
    )


def test_a_draft_of_such_a_list_names_no_patient(tmp_path: Path):
    path = tmp_path / "list.csv"
    table = written(1).drop_columns(["row_number"])
    lines = [",".join(table.column_names), *(",".join(row.values()) for row in table.to_pylist())]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert MARK not in suggest(path)

"""What a list becomes: every row exactly once, those to call first, and a row in error with its reason. For operations.

An age that cannot be one counts as not known. The model of the table knows one thing, the days between booking and appointment: the longer, the higher the risk. There
are calls for two appointments. The list is scored as a table and written as a file, as `dnapredict score` does.
"""

import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pytest

from dnapredict.config.loading import load, shipped
from dnapredict.config.training_config import TrainingConfig
from dnapredict.config.worklist_config import WorklistConfig
from dnapredict.data.contract.columns import NAMES
from dnapredict.features.factors import factor_register
from dnapredict.model.artefact import Provenance, save
from dnapredict.model.risk_model import Platt, RiskModel, Spline, SplineLogistic
from dnapredict.worklist.files.excel_worklist import Note
from dnapredict.worklist.files.worklist_columns import COLUMNS
from dnapredict.worklist.files.worklist_files import write_tables
from dnapredict.worklist.scorer import Scorer

# As it arrives, in its order.
LIST = """
    appointment_id | booked_at  | starts_at        | age_years
    short          | 2026-11-30 | 2026-12-07 09:00 | 40
    long           | 2026-08-01 | 2026-12-07 09:00 | 40
    long           | 2026-08-01 | 2026-12-07 09:00 | 40
    twin           | 2026-08-01 | 2026-12-07 09:00 | 40
                   | 2026-11-01 | 2026-12-07 09:00 | 40
    unreadable     | soon       | 2026-12-07 09:00 | 40
    backwards      | 2026-12-08 | 2026-12-07 09:00 | 40
    age            | 2026-11-01 | 2026-12-07 09:00 | 400
    middle         | 2026-10-01 | 2026-12-07 09:00 |
"""
# As it is written, in its order.
# `long` and `twin` have one risk: a hash of the number decides, so that the order of the rows does not.
WORKLIST = """
    appointment_id | rank | selected | error
    twin           | 1    | true     |
    long           | 2    | true     |
    middle         | 3    | false    |
    age            | 4    | false    |
    short          | 5    | false    |
    long           |      | false    | repeats
    -              |      | false    | appointment_id
    unreadable     |      | false    | booked_at
    backwards      |      | false    | starts before it was booked
"""


def lines(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")] for line in table.strip().splitlines()]


def listed() -> pa.Table:
    head, *rows = lines(LIST)
    cells = dict(zip(head, zip(*rows, strict=True), strict=True))
    return pa.table(
        {name: pa.array([cell or None for cell in cells.get(name, [""] * len(rows))], pa.string()) for name in NAMES}
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """The rows of the worklist file."""
    folder: Path = tmp_path_factory.mktemp("trust")
    model = RiskModel(("lead_days",), SplineLogistic(-3.0, (Spline((0.0, 200.0), (0.0, 4.0), 0.0, 1.0),)), Platt())
    day = datetime.date(2026, 1, 1)
    provenance = Provenance(
        config=TrainingConfig(),
        register_of_factors=factor_register(),
        data_sha256="0" * 64,
        data_from=day,
        data_to=day,
        test_from=day,
        code_revision="",
        synthetic=True,
    )
    stored = save(model, folder / "model", provenance=provenance, specimens=np.array([[10.0], [np.nan]]))
    rules = load(shipped("serving/worklist.toml"), WorklistConfig)
    worklist = Scorer(stored, "1", rules).score(listed(), capacity=2)
    write_tables([worklist.select(COLUMNS)], folder / "worklist.csv", note=Note(("A specification.",)))
    text = pa_csv.ConvertOptions(strings_can_be_null=False)
    table = pa_csv.read_csv(folder / "worklist.csv", convert_options=text)
    return [{name: "" if cell is None else str(cell) for name, cell in row.items()} for row in table.to_pylist()]


def test_every_row_of_the_list_is_written_once_in_rank_order_and_errors_come_last(written: list[dict[str, str]]):
    head, *expected = lines(WORKLIST)
    assert [row["appointment_id"] or "-" for row in written] == [row[0] for row in expected]
    for row, line in zip(written, (dict(zip(head, row, strict=True)) for row in expected), strict=True):
        assert row["rank"] == line["rank"]
        assert row["selected"].lower() == line["selected"]
        assert bool(row["error"]) == bool(line["error"])
        assert line["error"] in row["error"]


def test_a_scored_row_has_a_risk_a_band_and_an_action_and_at_most_three_reasons(written: list[dict[str, str]]):
    scored = [row for row in written if not row["error"]]
    assert [float(row["probability"]) for row in scored] == sorted(
        (float(row["probability"]) for row in scored), reverse=True
    )
    assert all(row["band"] and row["action"] and row["model_version"] == "1" for row in scored)
    assert scored[0]["reason_1"] == "Booked 18 weeks ahead"
    assert not any(row["reason_2"] for row in scored)  # the model knows one thing


def test_a_row_in_error_has_no_risk_and_no_action(written: list[dict[str, str]]):
    for row in written:
        if row["error"]:
            assert not any(row[name] for name in ("probability", "band", "rank", "action", "reason_1"))
            assert row["error"].startswith("This row ")

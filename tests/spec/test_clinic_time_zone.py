"""Days and times in reports, workbooks and pages are those of the clinic's time zone, which its mapping names.

For an analyst whose clinics are not in England, or who reads the reports near midnight. In each line one appointment
is written as the clinic's system writes it; the last column is the day that everybody must read.
"""

import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dnapredict import pipeline
from dnapredict.config.fairness_policy import Policy
from dnapredict.config.loading import load, shipped
from dnapredict.config.mapping_config import Mapping
from dnapredict.config.training_config import Setting
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.validation import contract_check
from dnapredict.features.scoring_clock import LabelRule
from dnapredict.model.cohort import COHORT_COLUMNS, cohort_of
from dnapredict.model.evaluate.capacity_metrics import week_starts
from dnapredict.model.time_split import Window, local_date
from dnapredict.pipeline.checking import check
from dnapredict.pipeline.run_inputs import matrix_of
from dnapredict.quality.label_checks import label_faults
from dnapredict.service.pages.lists.list_query import ListQuery
from dnapredict.service.pages.lists.list_slice import slice_list
from dnapredict.service.pages.lists.list_view import ListView, OptOuts, build_view
from dnapredict.worklist.files.kept_list import KeptList
from dnapredict.worklist.files.latest_list import latest, save_latest
from dnapredict.worklist.files.list_store import find, keep
from dnapredict.worklist.plan.working_days import local_today

ZONES = """
    time zone         | starts_at as written | day that is read | time on the page
    America/Sao_Paulo | 2025-05-31           | 31 May 2025      | Sat 31 May 2025
    America/Sao_Paulo | 2025-05-31 00:10     | 31 May 2025      | Sat 31 May 2025, 00:10
    America/Sao_Paulo | 2025-05-31 23:30     | 31 May 2025      | Sat 31 May 2025, 23:30
    Pacific/Auckland  | 2025-06-01           | 1 June 2025      | Sun 1 Jun 2025
    Pacific/Auckland  | 2025-06-01 00:10     | 1 June 2025      | Sun 1 Jun 2025, 00:10
    Pacific/Auckland  | 2025-06-01 23:30     | 1 June 2025      | Sun 1 Jun 2025, 23:30
    Europe/London     | 2025-06-01           | 1 June 2025      | Sun 1 Jun 2025
    Europe/London     | 2025-06-01 00:10     | 1 June 2025      | Sun 1 Jun 2025, 00:10
    Europe/London     | 2025-05-31 23:30     | 31 May 2025      | Sat 31 May 2025, 23:30
"""
LINES = [tuple(cell.strip() for cell in line.split("|")) for line in ZONES.strip().splitlines()[1:]]
EACH_LINE = pytest.mark.parametrize(("zone", "written", "day"), [line[:3] for line in LINES])


def day_of(words: str) -> datetime.date:
    return datetime.datetime.strptime(words, "%d %B %Y").date()  # noqa: DTZ007 - a day has no zone


def extract(folder: Path, written: str, rows: int = 60) -> Path:
    """Appointments of as many patients at one time; every fifth is missed."""
    path = folder / "extract.parquet"
    columns = {
        "appointment_id": [f"a{n}" for n in range(rows)],
        "patient_id": [f"p{n}" for n in range(rows)],
        "booked_at": ["2025-05-01 09:00"] * rows,
        "starts_at": [written] * rows,
        "outcome_code": ["3" if n % 5 == 0 else "5" for n in range(rows)],
        "ethnic_category_code": ["A" if n % 2 else "J" for n in range(rows)],
    }
    pq.write_table(pa.table({name: pa.array(cells, pa.string()) for name, cells in columns.items()}), path)
    return path


def setting(zone: str) -> Setting:
    return Setting(Mapping(timezone=zone))


def policy() -> Policy:
    return load(shipped("fairness/policy.toml"), Policy)


@EACH_LINE
def test_the_check_report_counts_an_appointment_in_the_month_of_the_clinic(zone, written, day, tmp_path):
    result = check(extract(tmp_path, written), setting=setting(zone), say=lambda _: None, out=tmp_path / "r.json")
    assert [month.month for month in result.report.outcomes_by_month] == [f"{day_of(day):%Y-%m}"]
    assert f"{day_of(day):%b %Y} to {day_of(day):%b %Y}" in (tmp_path / "r.html").read_text(encoding="utf-8")


@EACH_LINE
def test_a_fault_of_the_outcomes_names_the_day_of_the_clinic(zone, written, day, tmp_path):
    with Workspace() as workspace:
        table = workspace.keep(numbered(extract(tmp_path, written)))
        checked = contract_check.check(table, workspace, mapping=Mapping(timezone=zone), source="extract")
        before = datetime.datetime(2025, 5, 2, tzinfo=datetime.UTC)
        faults = label_faults(checked, workspace, config=setting(zone).training, rule=policy().disclosure, now=before)
    (future,) = (fault for fault in faults if fault.fault == "outcome_in_future")
    assert f"{day} (60)" in future.found


def numbered(path: Path) -> pa.Table:
    table = pq.read_table(path)
    return table.append_column("row_number", pa.array(range(2, table.num_rows + 2), pa.int64()))


@EACH_LINE
def test_the_audit_report_gives_the_day_of_the_clinic(zone, written, day, tmp_path):
    path, scores = extract(tmp_path, written), tmp_path / "scores.csv"
    risks = np.random.default_rng(1).random(60).round(3)
    lines = ["appointment_id,probability", *(f"a{n},{risk}" for n, risk in enumerate(risks))]
    scores.write_text("\n".join(lines) + "\n", encoding="utf-8")
    done = pipeline.audit(
        path, out=tmp_path / "out", setting=setting(zone), policy=policy(), home=tmp_path / "home", scores=scores
    )
    page = done.report.read_text(encoding="utf-8")
    assert f"appointments from {day} to {day}" in page
    now = datetime.datetime.now(ZoneInfo(zone))
    assert any(f"<dd>{each.day} {each:%B %Y, %H:}" in page for each in (now, now - datetime.timedelta(minutes=2)))


@EACH_LINE
def test_the_access_report_gives_the_day_of_the_clinic(zone, written, day, tmp_path):
    done = pipeline.access(extract(tmp_path, written), out=tmp_path / "out", setting=setting(zone), policy=policy())
    assert f"{day} to {day}" in done.report.read_text(encoding="utf-8")


@EACH_LINE
def test_the_model_card_has_the_days_and_weeks_of_the_clinic(zone, written, day, tmp_path):
    with Workspace() as workspace:
        table = workspace.keep(numbered(extract(tmp_path, written)))
        checked = contract_check.check(table, workspace, mapping=Mapping(timezone=zone), source="extract")
        config = setting(zone).training
        matrix = matrix_of(checked, config, factors=("lead_days",), extra_columns=COHORT_COLUMNS, workspace=workspace)
    cohort = cohort_of(matrix, outcomes=LabelRule(config.dna_codes), zone=zone)
    first = local_date(cohort.starts_at[0], cohort.zone)
    assert str(Window(first, first, rows=60, dna=12)) == f"{day} to {day}"
    monday = day_of(day) - datetime.timedelta(days=day_of(day).weekday())
    assert set(week_starts(cohort).tolist()) == {monday}


@pytest.mark.parametrize(("zone", "written", "day", "time"), LINES)
def test_the_page_shows_the_time_of_the_clinic_also_after_it_was_kept(zone, written, day, time, tmp_path):
    with Workspace() as workspace:
        table = workspace.keep(numbered(extract(tmp_path, written, rows=1)))
        checked = contract_check.check(table, workspace, mapping=Mapping(timezone=zone), source="list")
        (row,) = workspace.fetch(f"SELECT starts_at FROM {checked.rows.get_name()}").to_pylist()
    listed = {
        "appointment_id": ["a0"],
        "probability": [0.5],
        "rank": [1],
        "selected": [True],
        "error": pa.nulls(1, pa.string()),
        "starts_at": pa.array([row["starts_at"]], pa.timestamp("us")),
    }
    kept = KeptList.new(pa.table(listed), name="w", model_version="7", synthetic=True, timezone=zone)
    keep(tmp_path, kept)
    save_latest(tmp_path, kept)
    for each in (kept, find(tmp_path, kept.heading.list_id), latest(tmp_path)):
        assert [line.when for line in view_of(each).lines] == [time]
        days = slice_list(each, ListQuery(), latest_of=lambda _: {}).days
        assert list(days) == [day_of(day).isoformat()]


def view_of(kept: KeptList) -> ListView:
    return build_view(
        kept,
        ListQuery(),
        latest_of=lambda _: {},
        entries_of=lambda _: {},
        who=lambda _: "",
        opt_outs=OptOuts(lambda _: (), ""),
    )


@pytest.mark.parametrize("zone", ["America/Sao_Paulo", "Pacific/Auckland"])
def test_a_list_is_scored_on_the_day_that_it_is_at_the_clinic(zone):
    now = datetime.datetime.now(ZoneInfo(zone))
    assert local_today(ZoneInfo(zone)) in {now.date(), (now + datetime.timedelta(minutes=1)).date()}
    moment = datetime.datetime(2025, 6, 1, 11, 30, tzinfo=datetime.UTC)
    kept = KeptList.new(
        pa.table({"error": ["x"], "selected": [None]}), name="w", model_version="7", synthetic=True, timezone=zone
    )
    heading = kept.heading.model_copy(update={"created_at": moment})
    assert heading.day == moment.astimezone(ZoneInfo(zone)).date()

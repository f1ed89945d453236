"""Rules of counting that hold for any extract: nothing is lost, order does not matter, small numbers hide."""

from pathlib import Path

import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.examples import examples

from dnapredict.config.training_config import Setting, TrainingConfig
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.validation import contract_check
from dnapredict.quality.check_report import as_json, report_of
from dnapredict.quality.quality_profile import profile
from dnapredict.quality.report_figures import Report

ROW = st.fixed_dictionaries(
    {
        "patient_id": st.sampled_from(["p", "q", "r"]),
        "starts_at": st.sampled_from(["2025-02-01 10:00", "2025-03-30 01:30", "2025-04-02", "2999-12-31"]),
        "outcome_code": st.sampled_from(["5", "3", "7", "2", "4", "DNA", None]),
        "ethnic_category_code": st.sampled_from(["A", "J", "Z", "99", "Q", None]),
        "imd_decile": st.sampled_from(["1", "10", "11", None]),
        "site_code": st.sampled_from(["RX101", "RX102", "R9998", None]),
    }
)
EXTRACTS = st.lists(ROW, min_size=1, max_size=60)
SETTINGS = settings(max_examples=examples(12), deadline=None, suppress_health_check=list(HealthCheck))


def as_table(rows: list[dict[str, str | None]]) -> pa.Table:
    columns = {name: pa.array([row[name] for row in rows], pa.string()) for name in rows[0]}
    ids = pa.array([f"a{n}" for n in range(len(rows))])
    booked = pa.array(["2025-01-02 10:00"] * len(rows))
    numbers = pa.array(range(2, len(rows) + 2), pa.int64())
    return pa.table({"row_number": numbers, "appointment_id": ids, "booked_at": booked} | columns)


def reported(table: pa.Table) -> Report:
    setting = Setting(config=TrainingConfig())
    with Workspace() as workspace:
        checked = contract_check.check(workspace.keep(table), workspace, source="x.csv")
        return report_of(checked, workspace, extract=Path("x.csv"), setting=setting)


@SETTINGS
@given(EXTRACTS)
def test_every_kept_row_is_in_one_month_one_site_and_one_outcome(rows):
    with Workspace() as workspace:
        checked = contract_check.check(workspace.keep(as_table(rows)), workspace, source="x.csv")
        found = profile(checked, workspace, zone="Europe/London")
    assert sum(month.rows for month in found.months) == found.kept
    assert all(sum(month.outcomes.values()) == month.rows for month in found.months)
    assert sum(site.rows for site in found.ethnicity) == found.kept
    for site in found.ethnicity:
        kinds = (site.known, site.declined, site.not_asked, site.blank, site.not_national)
        assert sum(kinds) == site.rows
    for grouping in ("deprivation", "ethnicity"):
        groups = [each for each in found.missed if each.grouping == grouping]
        assert sum(each.missed for each in groups) == found.missed[0].missed


@SETTINGS
@given(EXTRACTS, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(rows, random):
    table = as_table(rows)
    places = list(range(len(rows)))
    random.shuffle(places)
    assert as_json(reported(table)) == as_json(reported(table.take(places)))


@SETTINGS
@given(EXTRACTS)
def test_no_number_from_1_to_7_is_told(rows):
    report = reported(as_table(rows))
    told = [n for month in report.outcomes_by_month for n in (month.rows, *month.outcomes.values())]
    told += [n for site in report.ethnicity_by_site for n in (site.rows, site.known, site.declined, site.blank)]
    told += [n for each in report.times for n in (each.filled, each.no_clock, each.skipped, each.twice)]
    assert not [n for n in told if n is not None and 0 < n < 8]

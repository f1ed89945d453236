"""The report of a check: what it tells, what it hides, and that no patient's value is in it."""

import dataclasses
import json
from pathlib import Path

import pyarrow as pa
import pytest
from tests.spec.appointments import table

from dnapredict.config.fairness_policy import Policy
from dnapredict.config.loading import load, shipped
from dnapredict.config.mapping_config import ColumnSource, Mapping
from dnapredict.config.training_config import Setting, TrainingConfig
from dnapredict.data.contract.columns import NAMES
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.validation import contract_check
from dnapredict.data.validation.rules import RULES
from dnapredict.quality.check_report import as_json, render, report_of, write_report
from dnapredict.quality.published_figures import unknown_value_sentences, word_sentences
from dnapredict.quality.quality_findings import remedy
from dnapredict.quality.quality_profile import source_words
from dnapredict.quality.report_figures import SCHEMA, Report, Urgency

FILE = Path("extract.csv")
SETTING = Setting(config=TrainingConfig())


def reported(appointments: pa.Table) -> Report:
    with Workspace() as workspace:
        checked = contract_check.check(workspace.keep(appointments), workspace, source=FILE.name)
        return report_of(checked, workspace, extract=FILE, setting=SETTING)


def rows(count: int, **columns: object) -> pa.Table:
    """Appointments of as many patients, attended unless `columns` says otherwise."""
    usual = {
        "appointment_id": [f"a{n}" for n in range(count)],
        "patient_id": [f"p{n}" for n in range(count)],
        "booked_at": ["2025-01-02 10:00"] * count,
        "starts_at": ["2025-03-03 10:00"] * count,
        "outcome_code": ["5"] * count,
    }
    filled = {name: value if isinstance(value, list) else [value] * count for name, value in columns.items()}
    numbers = pa.array(range(2, count + 2), pa.int64())
    return pa.table({"row_number": numbers} | {k: pa.array(v, pa.string()) for k, v in (usual | filled).items()})


def found(report: Report) -> str:
    return "\n".join(f"{each.found} {each.action}" for each in report.findings)


def test_a_broken_rule_is_told_with_its_rows_and_what_to_do():
    report = reported(rows(40, opt_out=["perhaps"] * 3 + ["N"] * 37))
    (refused,) = report.rejections
    assert (refused.rule, refused.count, refused.first_rows) == ("opt_out_invalid", 3, (2, 3, 4))
    assert refused.action == remedy("opt_out_invalid")
    assert (report.rows, report.kept, report.usable) == (40, 37, False)
    assert report.findings[0].urgency is Urgency.NOW


def test_cells_that_cannot_be_read_are_told_with_their_rows_and_cost_none():
    report = reported(rows(40, age_years=["140"] * 3 + ["40"] * 37))
    assert (report.kept, report.usable) == (40, True)
    (cells,) = report.cells_not_known
    assert (cells.column, cells.count, cells.first_rows) == ("age_years", 3, (2, 3, 4))
    assert "age_years: 3 cells are not a number from 0 to 120" in found(report)


def test_every_rule_has_something_to_do():
    assert all(remedy(rule).endswith(".") for rule in RULES)


def test_completeness_counts_each_column_by_month():
    starts = ["2025-03-03 10:00"] * 100 + ["2025-04-03 10:00"] * 100
    report = reported(rows(200, starts_at=starts, imd_decile=["3"] * 100 + ["3"] * 20 + [None] * 80))
    column = next(each for each in report.completeness if each.column == "imd_decile")
    assert column.share == 0.6
    assert column.by_month == {"2025-03": 1.0, "2025-04": 0.2}
    assert "imd_decile is filled in 100% of the rows of its best month, and in 20% of 2025-04" in found(report)
    absent = next(each for each in report.completeness if each.column == "distance_km")
    assert (absent.present, absent.share) == (False, None)


def test_a_code_of_many_patients_is_told_and_translating_it_is_advised():
    report = reported(rows(100, outcome_code=["UTA"] * 20 + ["5"] * 80))
    (codes,) = report.codes_not_known
    assert [(code.code, code.rows) for code in codes.told] == [("UTA", 20)]
    assert "[columns.outcome_code.translate]" in found(report)


def test_a_small_count_is_hidden_and_others_are_rounded():
    report = reported(rows(112, outcome_code=["3"] * 3 + ["2"] * 12 + ["5"] * 97))
    (month,) = report.outcomes_by_month
    assert month.rows == 110
    assert (month.outcomes["3"], month.outcomes["2"]) == (None, 10)
    assert report.missed_by_group[0].missed is None
    assert month.outcomes["7"] == 0


def test_ethnicity_that_was_declined_not_asked_or_left_blank_is_told_apart():
    ethnic = ["A"] * 40 + ["Z"] * 20 + ["99"] * 10 + ["X"] * 10 + [None] * 15 + ["Q"] * 10
    report = reported(rows(105, ethnic_category_code=ethnic, site_code="RX101"))
    (site,) = report.ethnicity_by_site
    assert (site.site, site.known, site.declined, site.not_asked) == ("RX101", 40, 20, 20)
    assert (site.blank, site.not_national, site.share_known) == (15, 10, round(40 / 105, 4))
    assert "Ethnicity is known in 38% of the rows; least at RX101" in found(report)


def test_signs_of_a_wrong_record_are_shares_of_the_missed_appointments_of_each_group():
    """50 in the most deprived fifth had three days' notice; 50 in the least had two months."""
    booked = ["2025-02-28 10:00"] * 50 + ["2025-01-02 10:00"] * 50
    codes = ["3"] * 40 + ["7"] * 10 + ["3"] * 50
    report = reported(rows(100, booked_at=booked, outcome_code=codes, imd_decile=["1"] * 50 + ["10"] * 50))
    first, fifth = (each for each in report.missed_by_group if each.grouping == "deprivation")
    assert (first.group, first.missed, first.little_notice, first.too_late) == ("1", 50, 1.0, 0.2)
    assert (fifth.group, fifth.little_notice, fifth.any_sign) == ("5", 0.0, 0.0)


def test_an_appointment_that_the_provider_moved_is_a_sign():
    """Each of 20 patients missed one; ten days before, the provider had cancelled another of theirs."""
    moved = rows(20, appointment_id=[f"m{n}" for n in range(20)], starts_at="2025-02-21 10:00", outcome_code="4")
    missed = rows(20, outcome_code="3")
    both = pa.concat_tables([missed, moved]).set_column(0, "row_number", pa.array(range(2, 42), pa.int64()))
    (everybody, *_) = reported(both).missed_by_group
    assert (everybody.missed, everybody.moved) == (20, 1.0)
    later = moved.set_column(4, "starts_at", pa.array(["2025-02-16 10:00"] * 20))
    apart = pa.concat_tables([missed, later]).set_column(0, "row_number", pa.array(range(2, 42), pa.int64()))
    assert reported(apart).missed_by_group[0].moved == 0.0


def test_times_of_no_clock_and_of_the_hours_when_the_clock_changes_are_counted():
    starts = ["2025-03-30 01:30"] * 20 + ["2025-10-26 01:30"] * 30 + ["2025-06-01"] * 40 + ["2025-06-01 23:00"] * 10
    times = {each.column: each for each in reported(rows(100, starts_at=starts)).times}
    told = times["starts_at"]
    assert (told.filled, told.skipped, told.twice, told.no_clock, told.night) == (100, 20, 30, 40, 60)
    assert times["booked_at"].skipped == 0


def test_the_same_visit_under_two_ids_is_counted_and_a_cancelled_one_is_not():
    twice = {"patient_id": [f"p{n % 50}" for n in range(100)]}
    assert reported(rows(100, **twice)).duplicates.same_visit == 50
    assert reported(rows(100, **twice, outcome_code=["2"] * 50 + ["5"] * 50)).duplicates.same_visit == 0


def test_a_hole_in_time_and_months_without_outcomes_are_found():
    starts = ["2025-03-03 10:00"] * 50 + ["2025-05-03 10:00"] * 50
    report = reported(rows(100, starts_at=starts, outcome_code=[None] * 50 + ["5"] * 50))
    assert "no appointments in 2025-04" in found(report)
    assert "have no outcome in 2025-03" in found(report)


def test_factors_that_cannot_be_fed_name_the_columns_they_lack():
    report = reported(rows(20))
    fed = {each.name: each for each in report.factors}
    assert fed["lead_days"].fed
    assert (fed["imd_decile"].fed, fed["imd_decile"].missing) == (False, ("imd_decile",))


def test_an_extract_of_which_nothing_is_left_still_has_a_report():
    report = reported(rows(3, booked_at="never"))
    assert (report.kept, report.usable, report.outcomes_by_month) == (0, False, ())
    assert "No row keeps the contract" in found(report)
    assert "Not yet" in render(report)


MARKED = "MARKED-7F3A"


@pytest.mark.parametrize("value", [MARKED, "ZZQ1"])
def test_a_patients_value_is_nowhere_in_the_report(value: str):
    """Long or short, nine times in whichever column it strays: one patient's value is never told."""
    count = 9 * len(NAMES) + 40
    columns = {
        name: [value if 9 * place <= row < 9 * (place + 1) else usual(name, row) for row in range(count)]
        for place, name in enumerate(NAMES)
    }
    report = reported(rows(count, **columns))
    assert report.kept > 40
    assert {each.column for each in report.codes_not_known} >= {"outcome_code", "gender_code"}
    for text in (as_json(report), render(report)):
        assert value not in text


def usual(name: str, row: int) -> str | None:
    """What an extract would hold in that column."""
    ids = {"appointment_id": f"a{row}", "patient_id": f"p{row}"}
    times = {"booked_at": "2025-01-02 10:00", "starts_at": "2025-03-03 10:00"}
    return (ids | times | {"outcome_code": "5", "site_code": "RX101"}).get(name)


def test_a_value_that_everybody_has_is_told_only_if_it_looks_like_a_code():
    report = reported(rows(50, gender_code="FORTYTWO"))
    (codes,) = report.codes_not_known
    assert (codes.rows, codes.values, codes.told) == (50, 1, ())
    assert "does not look like codes" in found(report)


def test_the_meaning_of_a_national_code_is_told_as_a_code_is():
    (codes,) = reported(rows(50, gender_code=["Trans"] * 30 + ["1"] * 20)).codes_not_known
    assert [code.code for code in codes.told] == ["TRANS"]


WORDS = {
    "Asian or Asian British": 30,
    "White": 20,
    "Zimbabwean": 15,
    "Black or Mixed": 12,
    "Marked Surname": 11,
    "Gypsy or Black": 9,
}


def in_words() -> pa.Table:
    """Ethnicity in words that are no description of a group, a stray name and a word of few patients among them."""
    ethnic = [word for word, count in WORDS.items() for _ in range(count)]
    return rows(len(ethnic), ethnic_category_code=ethnic, site_code="RX101")


def test_words_that_are_read_as_codes_are_shown_beside_them_to_be_confirmed():
    ethnic = ["White - British"] * 33 + ["Arab"] * 12 + ["Irish"] * 3 + ["A"] * 10 + ["Marked Surname"] * 2
    report = reported(rows(60, ethnic_category_code=ethnic, transport_booked=["Ambulance"] * 20 + ["N"] * 40))
    assert [(each.column, each.word, each.code, each.by, each.rows) for each in report.words] == [
        ("transport_booked", "Ambulance", "yes", "description", 20),
        ("ethnic_category_code", "White - British", "A", "description", 35),
        ("ethnic_category_code", "Arab", "S", "description", 10),
        ("ethnic_category_code", "Irish", "B", "description", None),
    ]
    assert report.words[2].meaning == "Other: any other ethnic group"
    for text in (as_json(report), render(report)):
        assert "White - British" in text
        assert "Marked" not in text
    with Workspace() as workspace:
        checked = contract_check.check(
            workspace.keep(rows(60, ethnic_category_code=ethnic)), workspace, source=FILE.name
        )
        rule = load(shipped("fairness/policy.toml"), Policy).disclosure
        assert list(word_sentences(source_words(checked, workspace), rule=rule)) == [
            'ethnic_category_code: words read as codes: "White - British" = A, "Arab" = S, "Irish" = B. Confirm them.'
        ]


def test_a_word_that_the_mapping_translates_is_shown_unless_few_rows_have_it():
    origin = ColumnSource.model_validate({"from": "Group", "translate": {"Local 7": "C", "Mrs Marked": "A"}})
    table = rows(40).append_column("Group", pa.array(["Local 7"] * 38 + ["Mrs Marked"] * 2))
    with Workspace() as workspace:
        mapping = Mapping(columns={"ethnic_category_code": origin})
        checked = contract_check.check(workspace.keep(table), workspace, mapping=mapping, source=FILE.name)
        report = report_of(checked, workspace, extract=FILE, setting=SETTING)
    assert [(each.word, each.code, each.by, each.rows) for each in report.words] == [("Local 7", "C", "mapping", 40)]


def test_ethnicity_in_words_is_not_known_and_told_by_value_and_count():
    report = reported(in_words())
    (codes,) = report.codes_not_known
    assert {code.code: code.rows for code in codes.told} == {
        "Asian or Asian British": 30,
        "White": 20,
        "Zimbabwean": 15,
        "Black or Mixed": 10,
    }
    (site,) = report.ethnicity_by_site
    assert (site.known, site.declined, site.not_asked, site.blank, site.not_national) == (0, 0, 0, 0, 95)
    assert "ethnic_category_code holds values that are not national codes: Asian or" in found(report)
    for text in (as_json(report), render(report)):
        assert "Zimbabwean" in text
        assert "Marked" not in text
        assert "Gypsy" not in text


def test_values_that_are_no_codes_are_told_in_a_sentence_wherever_an_extract_is_used():
    rule = load(shipped("fairness/policy.toml"), Policy).disclosure
    with Workspace() as workspace:
        checked = contract_check.check(workspace.keep(in_words()), workspace, source=FILE.name)
        (said,) = unknown_value_sentences(checked, workspace, rule=rule)
    assert said == (
        "ethnic_category_code: about 95 rows hold no national code and are counted as not known "
        '("Asian or Asian British" 30, "White" 20, "Zimbabwean" 15, "Black or Mixed" 10, '
        "2 other values). Translate the values in a mapping."
    )


def test_a_column_of_many_different_values_is_not_one_of_codes():
    report = reported(rows(1_220, gender_code=[f"N{n % 61}" for n in range(1_220)]))
    (codes,) = report.codes_not_known
    assert (codes.values, codes.told) == (61, ())


def test_json_and_page_stand_side_by_side_and_the_keys_are_those_of_the_figures(tmp_path):
    with Workspace() as workspace:
        checked = contract_check.check(workspace.keep(rows(30)), workspace, source=FILE.name)
        places = write_report(report_of(checked, workspace, extract=FILE, setting=SETTING), tmp_path / "r.json")
    assert [place.name for place in places] == ["r.json", "r.html"]
    told = json.loads(places[0].read_text(encoding="utf-8"))
    assert list(told) == [field.name for field in dataclasses.fields(Report)]
    assert told["schema"] == SCHEMA
    assert {"file", "rows", "kept", "rejected_share", "columns", "rejections"} <= told.keys()
    page = places[1].read_text(encoding="utf-8")
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")


def test_a_table_that_a_person_can_read_goes_through_whole():
    report = reported(
        table("""
        appointment_id | patient_id | booked_at  | starts_at        | outcome_code
        a              | p          | 2025-01-02 | 2025-02-01 09:00 | 5
        a              | p          | 2025-01-02 | 2025-02-01 09:00 | 5
    """)
    )
    assert report.duplicates.repeated_ids == 1
    assert [refused.rule for refused in report.rejections] == ["duplicate_appointment_id"]


def test_a_list_without_outcomes_is_for_scoring_only():
    """Its appointments take place after the last booking; an extract without outcomes is refused."""
    later = rows(40, outcome_code=None, starts_at="2025-01-20 10:00")
    report = reported(later)
    assert (report.usable, report.labels) == (True, ())
    assert "For scoring only: no appointment has an outcome" in render(report)
    booked = ["2025-01-02 10:00"] * 39 + ["2025-03-01 10:00"]
    starts = ["2025-01-20 10:00"] * 39 + ["2025-03-20 10:00"]
    past = reported(rows(40, outcome_code=None, booked_at=booked, starts_at=starts))
    assert (past.usable, [fault.fault for fault in past.labels]) == (False, ["no_outcome"])
    assert past.findings[0].urgency is Urgency.NOW
    assert "Not yet" in render(past)


def test_a_fault_of_the_outcomes_is_a_finding_with_what_to_do():
    report = reported(rows(400, outcome_code=["3"] * 360 + ["5"] * 40))
    (fault,) = report.labels
    assert (fault.fault, fault.stops, report.usable) == ("share_missed", True, False)
    assert f"{fault.found} {fault.action}" in found(report)
    assert "90 in 100 of 400 appointments with an outcome are recorded as missed" in render(report)

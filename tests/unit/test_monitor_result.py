"""The figures and the page of `dnapredict monitor`: what stands in them, what is hidden, and the same bytes again."""

import datetime
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from tests.watched_weeks import WatchedWeeks

from dnapredict.config.fairness_policy import Disclosure
from dnapredict.errors import UsageError
from dnapredict.fairness.measure.audited_appointments import AuditData
from dnapredict.monitoring import monitor_report
from dnapredict.monitoring.estimated_performance import EstimatedPerformance
from dnapredict.monitoring.input_drift import InputReference
from dnapredict.monitoring.monitor_result import MonitorContext, MonitorResult, Watched, ratios, watch

CONTEXT = MonitorContext(
    model="version 1",
    source="made-up.parquet",
    reference="Compared with the first 8 weeks.",
    created_at=datetime.datetime(2026, 3, 2, 9, tzinfo=datetime.UTC),
    synthetic=True,
    rule=Disclosure(why="The rule of hospital statistics."),
)


def watched(table: pa.Table) -> Watched:
    inputs = table.select(["imd_decile", "site_code"])
    return Watched(
        AuditData.of(table),
        table.select(["starts_at", "probability"]),
        inputs,
        {name: InputReference.of(inputs[name]) for name in inputs.column_names},
    )


def result_of(table: pa.Table) -> MonitorResult:
    return watch(watched(table), CONTEXT)


def test_the_figures_have_the_keys_that_programs_read_each_by_week() -> None:
    figures = result_of(WatchedWeeks("everyone", 1.3, rows_a_week=3_000).table()).figures()
    assert {"what", "group", "since", "message"} <= set(figures["alarms"][0])
    assert figures["alarms"][0]["since"] in {"2025-04-07", "2025-04-14"}
    for name in ("level", "slope", "reach", "log_loss", "share_missed", "estimated_performance"):
        assert [row["week"] for row in figures[name]][:2] == ["2025-01-06", "2025-01-13"], name
        assert len(figures[name]) == 24
    assert [each["factor"] for each in figures["factors"]] == ["imd_decile", "site_code"]
    assert len(figures["factors"][0]["by_week"]) == 24
    assert {(each["grouping"], each["group"]) for each in figures["groups"]} >= {("core20", "core20"), ("site", "S3")}
    assert figures["slope"][0]["slope"] == pytest.approx(1.0, abs=0.25)


def test_no_figure_of_fewer_than_8_missed_appointments_is_printed() -> None:
    table = WatchedWeeks(weeks=6, rows_a_week=60).table()
    result = result_of(table)
    figures = result.figures()
    missed = result.counts.everyone.missed
    assert (missed < 8).any()
    for name in ("level", "reach", "share_missed", "log_loss", "slope"):
        for row, count in zip(figures[name], missed, strict=True):
            assert count >= 8 or row[name] is None, name
    for group, each in zip(result.counts.groups[1:], figures["groups"], strict=True):
        totals = np.add.reduceat(group.missed, [0, 4])
        assert [row["level"] is None for row in each["by_week"]] == (totals < 8).tolist()
    assert "too few" in monitor_report.render(result)


def test_reach_is_hidden_where_few_were_on_the_list_or_off_it() -> None:
    everyone = result_of(WatchedWeeks(weeks=1, rows_a_week=400).table()).counts.everyone
    for on_list, hidden in ((3.0, True), (8.0, False), (17.0, True), (20.0, False)):
        group = replace(everyone, missed=np.array([20.0]), missed_on_list=np.array([on_list]))
        assert np.isnan(ratios(group, together=1, rule=CONTEXT.rule)["reach"][0]) == hidden


def test_the_risk_of_a_single_appointment_is_not_printed_as_an_expected_share() -> None:
    table = WatchedWeeks(weeks=3, rows_a_week=500).table()
    late = table.slice(0, 1).set_column(
        table.column_names.index("starts_at"),
        "starts_at",
        pa.array([datetime.datetime(2025, 3, 3)], pa.timestamp("us")),
    )
    result = watch(
        replace(watched(table), scored=pa.concat_tables([table, late]), inputs=pa.table({}), references={}), CONTEXT
    )
    assert [row["week"] for row in result.figures()["estimated_performance"]] == [
        "2025-01-06",
        "2025-01-13",
        "2025-01-20",
    ]
    assert str(result.weeks[-1]) == "2025-03-03"


def test_outcomes_that_a_call_may_have_changed_count_for_nothing() -> None:
    table = WatchedWeeks(weeks=24, rows_a_week=6_000).table()
    called = np.asarray(table["selected"].to_numpy(zero_copy_only=False)) & (np.arange(table.num_rows) % 2 == 0)
    helped = np.asarray(table["dna"].to_numpy(zero_copy_only=False)) & ~called
    table = table.drop_columns(["dna"]).append_column("dna", pa.array(helped))
    assert result_of(table).lasting
    told = result_of(table.append_column("contacted", pa.array(called)))
    assert told.alarms == ()
    assert told.figures()["outcomes_of_uncalled_only"]
    assert "weighted to represent them" in " ".join(monitor_report.render(told).split())


def test_one_week_alone_is_shown_and_raises_nothing() -> None:
    result = result_of(WatchedWeeks(weeks=1).table())
    assert result.alarms == ()
    assert result.summary == "No alarm holds, up to the week of 6 January 2025."
    assert "No alarm holds" in monitor_report.render(result)


def test_alarms_come_first_and_everyone_comes_before_the_groups() -> None:
    page = monitor_report.render(result_of(WatchedWeeks("core20", 1.3).table()))
    places = [
        page.index(words)
        for words in (
            "1 alarm holds",
            "Most deprived areas (Core20): 27",
            "By week",
            '<caption id="table-groups-1">Everyone',
            "Core20: the most",
        )
    ]
    assert places == sorted(places)
    assert "<script" not in page


def test_the_same_input_gives_the_same_files_but_for_the_time(tmp_path: Path) -> None:
    result = result_of(WatchedWeeks("everyone", 1.2).table())
    later = replace(CONTEXT, created_at=datetime.datetime(2026, 3, 9, 9, tzinfo=datetime.UTC))
    first = monitor_report.write(result, tmp_path / "m").parent
    kept = {path.name: path.read_bytes() for path in first.iterdir()}
    assert set(kept) == {"monitor.html", "monitor.json", "alarms.csv", "weeks.csv", "groups.csv"}
    monitor_report.write(watch(watched(WatchedWeeks("everyone", 1.2).table()), CONTEXT), tmp_path / "m")
    assert {path.name: path.read_bytes() for path in first.iterdir()} == kept
    monitor_report.write(replace(result, context=later), tmp_path / "m")
    again = json.loads((first / "monitor.json").read_text()) | {"created_at": ""}
    assert again == json.loads(kept["monitor.json"]) | {"created_at": ""}


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="holds other files"):
        monitor_report.write(result_of(WatchedWeeks(weeks=1).table()), tmp_path)


def test_the_expected_figures_are_those_of_outcomes_drawn_from_the_risks() -> None:
    rng = np.random.default_rng(4)
    risk = np.round(rng.beta(1.2, 6, 300_000), 2)
    missed = rng.random(len(risk)) < risk
    told = EstimatedPerformance.of(risk)
    assert told.share_missed == pytest.approx(missed.mean(), abs=0.003)
    assert told.brier == pytest.approx(np.mean((risk - missed) ** 2), abs=0.003)
    clipped = np.clip(risk, 1e-12, 1 - 1e-12)
    assert told.log_loss == pytest.approx(-np.mean(np.where(missed, np.log(clipped), np.log1p(-clipped))), abs=0.004)
    levels, index = np.unique(risk, return_inverse=True)
    high, low = (np.bincount(index[mask], minlength=len(levels)).astype(float) for mask in (missed, ~missed))
    below = np.cumsum(low) - low / 2
    assert told.auroc == pytest.approx((high * below).sum() / (high.sum() * low.sum()), abs=0.004)

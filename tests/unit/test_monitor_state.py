"""What a home keeps of the last monitor run, and what is read of it after a crash or an edit."""

import datetime
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.test_monitor_result import result_of
from tests.watched_weeks import WatchedWeeks

from dnapredict.data.files.loss_marks import mark_made
from dnapredict.errors import StoreError
from dnapredict.monitoring.monitor_report import render
from dnapredict.monitoring.monitor_result import MonitorResult
from dnapredict.monitoring.monitor_state import (
    MonitorState,
    keep_state,
    page_digest,
    read_page,
    read_state,
    readable_state,
)
from dnapredict.pipeline.in_use.trial_state import ReportedTrial
from dnapredict.service.home_checks import store_checks

ANOTHER_PAGE = (
    "monitor/monitor.html: is not the page of the last monitor run. Run 'dnapredict monitor' again to replace it."
)
REPORTED = ReportedTrial(
    name="autumn",
    created_at=datetime.datetime(2026, 9, 1, tzinfo=datetime.UTC),
    synthetic=True,
    window=None,
    claim="Nothing can be said yet.",
    claim_kind="nothing",
    effect=None,
    versions=("1",),
)


@pytest.fixture(scope="module")
def moved() -> MonitorResult:
    """Everyone misses 30 in 100 more than predicted, from 14 April 2025 on."""
    return result_of(WatchedWeeks("everyone", 1.3, rows_a_week=3_000).table())


def kept(result: MonitorResult, home: Path) -> MonitorState:
    page = render(result)
    state = result.state(model_version="1", page_sha256=page_digest(page))
    keep_state(state, page, home=home)
    return state


def test_the_state_is_what_the_page_prints(moved: MonitorResult, tmp_path: Path) -> None:
    state = kept(moved, tmp_path)
    assert read_state(tmp_path) == state
    figures = moved.figures()
    lasting = [alarm for alarm in figures["alarms"] if alarm["lasts"]]
    assert lasting
    assert [alarm.message for alarm in state.alarms] == [alarm["message"] for alarm in lasting]
    assert state.since == min(datetime.date.fromisoformat(alarm["since"]) for alarm in lasting)
    assert state.last_outcome_week.isoformat() == figures["level"][-1]["week"]
    assert state.level == pytest.approx(1.3, abs=0.08)
    last = [row["level"] for row in figures["level"] if row["week"] >= state.figures_from.isoformat()]
    assert min(last) <= state.level <= max(last)
    assert read_page(tmp_path, state) == render(moved)


def test_no_figure_of_few_is_kept(tmp_path: Path) -> None:
    state = kept(result_of(WatchedWeeks(weeks=3, rows_a_week=12).table()), tmp_path)
    assert (state.level, state.reach) == (None, None)


def test_a_home_that_was_never_watched_has_no_state(tmp_path: Path) -> None:
    assert read_state(tmp_path) is None
    assert readable_state(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_state_is_told_and_stops_nothing(
    moved: MonitorResult, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept(moved, tmp_path)
    path = tmp_path / "monitor" / "latest.json"
    path.write_text(path.read_text().replace('"level"', '"height"'))
    with pytest.raises(StoreError, match=r"is damaged\. Run 'dnapredict monitor' again"):
        read_state(tmp_path)
    assert readable_state(tmp_path) is None
    assert "is damaged" in caplog.text


def test_a_page_of_another_run_is_not_shown(moved: MonitorResult, tmp_path: Path) -> None:
    state = kept(moved, tmp_path)
    page = tmp_path / "monitor" / "monitor.html"
    page.write_text(page.read_text().replace("fewer", "more"))
    assert read_page(tmp_path, state) is None
    page.unlink()
    assert read_page(tmp_path, state) is None


@pytest.mark.parametrize(
    ("file", "damage", "finding"),
    [
        (
            "monitor/latest.json",
            lambda text: text.replace('"level"', '"height"'),
            "monitor/latest.json: is damaged. Run 'dnapredict monitor' again to replace it.",
        ),
        (
            "monitor/monitor.html",
            lambda text: text.replace("</html>", ""),
            ANOTHER_PAGE,
        ),
        (
            "monitor/monitor.html",
            None,
            ANOTHER_PAGE,
        ),
        (
            "monitor/latest.json",
            None,
            (
                "monitor/latest.json: the record of the last monitor run is missing. Run 'dnapredict monitor' again to "
                "replace it."
            ),
        ),
        (
            "trial/reports/latest.json",
            None,
            (
                "trial/reports/latest.json: the record of the last trial report is missing. Run 'dnapredict trial "
                "report' again."
            ),
        ),
        (
            "trial/reports/latest.json",
            lambda text: text + "}",
            "trial/reports/latest.json: is damaged. Run 'dnapredict trial report' again.",
        ),
    ],
)
def test_doctor_names_what_is_damaged_of_the_last_monitor_run_and_trial_report(
    moved: MonitorResult, tmp_path: Path, file: str, damage: Callable[[str], str] | None, finding: str
) -> None:
    kept(moved, tmp_path)
    (tmp_path / "trial" / "reports").mkdir(parents=True)
    (tmp_path / "trial" / "reports" / "latest.json").write_text(REPORTED.model_dump_json(), encoding="utf-8")
    mark_made(tmp_path / "trial" / "reports" / "latest.json")
    assert [str(each) for each in store_checks.reports(tmp_path)] == []
    path = tmp_path / file
    if damage is None:
        path.unlink()
    else:
        path.write_text(damage(path.read_text(encoding="utf-8")), encoding="utf-8")
    assert [str(each) for each in store_checks.reports(tmp_path)] == [finding]


@pytest.mark.parametrize(
    ("today", "weeks"),
    [
        ("2025-06-16", 0),  # the Monday of the last week with an outcome
        ("2025-06-22", 0),
        ("2025-06-23", 1),
        ("2025-07-20", 4),
        ("2025-01-01", 0),  # a clock that was turned back
    ],
)
def test_weeks_since_the_last_outcome_are_calendar_weeks(moved: MonitorResult, today: str, weeks: int) -> None:
    state = moved.state(model_version="1", page_sha256="")
    assert state.last_outcome_week == datetime.date(2025, 6, 16)
    assert state.weeks_since_outcome(datetime.date.fromisoformat(today)) == weeks

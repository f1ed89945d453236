"""What can stand beside a report: the months, a summary in Easy Read, and PDFs."""

import re
from pathlib import Path

import pyarrow.compute as pc
import pytest
from benchmarks.audit_worlds import World
from tests.plain_words import BANNED

from dnapredict.config.fairness_policy import Policy
from dnapredict.config.loading import load, shipped
from dnapredict.errors import UsageError
from dnapredict.fairness import (
    EXTRA_OUTPUTS,
    AuditData,
    AuditResult,
    ReportContext,
    Verdict,
    extra_files,
    run,
    write,
)
from dnapredict.fairness.extra_outputs import BROWSER, browser
from dnapredict.fairness.report.easy_read import easy_read_ideas
from dnapredict.fairness.report.monthly_page import monthly_page

pytestmark = pytest.mark.usefixtures("drawn")

POLICY = load(shipped("fairness/policy.toml"), Policy)
CONTEXT = ReportContext("1", "", "", World.window(), "the top 10 in 100", "unknown", True)
PAGES = {"monthly.html", "easy-read.html"}
# Words that the report explains and a summary in Easy Read does without.
HARD = (
    "calibrat", "reach", "selection", "interval", "likely range", "gate", "review", "probability", "risk",
    "deprivation", "decile", "core20", "ethnicity", "model", "algorithm", "appointment outcome",
)  # fmt: skip


@pytest.fixture(scope="module")
def result() -> AuditResult:
    return run(AuditData.of(World(appointments=60_000, under_scored="J").table()), policy=POLICY, context=CONTEXT)


def test_nothing_stands_beside_a_report_unless_it_is_asked_for(result: AuditResult, tmp_path: Path):
    assert extra_files(result, frozenset()) == {}
    folder = write(result, tmp_path / "r", extra_files=extra_files(result, EXTRA_OUTPUTS - {"pdf"})).parent
    assert {path.name for path in folder.glob("*.html")} == PAGES | {"report.html", "figures.html"}


def test_pages_are_plain_and_ask_nobody_for_anything(result: AuditResult):
    for content in extra_files(result, EXTRA_OUTPUTS - {"pdf"}).values():
        page = content.decode().casefold()
        assert "synthetic data" in page
        assert not [word for word in BANNED if word in page]
        assert not re.findall(r"<script|https?://|@import|url\((?!#)|<link|<img|<iframe|\son[a-z]+=", page)


def test_easy_read_has_short_sentences_and_no_hard_word(result: AuditResult):
    sentences = [sentence for idea in easy_read_ideas(result) for sentence in idea.sentences]
    text = " ".join(sentences).casefold()
    assert not [word for word in HARD if word in text]
    for sentence in re.split(r"(?<=[.?])\s", " ".join(sentences)):
        assert len(sentence.split()) <= 14, sentence


def test_easy_read_says_what_the_report_found(result: AuditResult):
    assert result.verdict is Verdict.FAIL
    sentences = [sentence for idea in easy_read_ideas(result) for sentence in idea.sentences]
    assert {"The list is not fair enough.", "The list finds too few Pakistani people."} <= set(sentences)
    assert any(re.fullmatch(r"It finds \d+ of 100 of them\.", sentence) for sentence in sentences)


def test_months_are_charted_for_core20_and_the_five_ethnic_groups(result: AuditResult):
    charted = {(chart.measure, chart.group) for chart in result.chart_data.months}
    for measure in ("reach", "base_rate", "selection_rate"):
        assert {group for m, group in charted if m == measure} >= {
            "Most deprived areas (Core20)", "White", "Mixed", "Asian", "Black", "Chinese or other",
        }  # fmt: skip
    page = monthly_page(result)
    assert "3 standard errors" in page
    # Each is drawn twice, for a wide and for a narrow screen.
    assert page.count("<svg role=") == 2 * len(result.chart_data.months)


def test_a_month_without_calls_is_named_first():
    table = World(appointments=60_000).table()
    called = pc.and_(table["selected"], pc.invert(pc.equal(pc.month(table["starts_at"]), 3)))
    place = table.column_names.index("selected")
    result = run(AuditData.of(table.set_column(place, "selected", called)), policy=POLICY, context=CONTEXT)
    page = monthly_page(result)
    assert page.index("Look at these") < page.index("Reach: Most deprived areas (Core20). 1 of 12 months is outside")


def test_one_month_gives_no_chart_and_says_so():
    table = World(appointments=20_000).table()
    january = table.filter(pc.equal(pc.month(table["starts_at"]), 1))
    result = run(AuditData.of(january), policy=POLICY, context=CONTEXT)
    assert "Not enough data" in monthly_page(result)


def test_without_a_browser_a_pdf_is_refused_with_the_way_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(BROWSER, "/nowhere/chromium")
    with pytest.raises(UsageError, match=r"open report\.html in any browser and print it"):
        browser()

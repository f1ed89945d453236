"""The page of a check in a real browser: everybody can read it, and it asks nobody for anything."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page
from tests.browser.number_columns import misaligned_headings
from tests.browser.test_audit_report import SMALL, WCAG

from dnapredict.config.training_config import Setting, TrainingConfig
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.validation import contract_check
from dnapredict.quality.check_report import report_of, write_report
from dnapredict.synthetic.simulation import simulate


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with every part of it: faults of several kinds, local codes, sites, hidden numbers."""
    place = tmp_path_factory.mktemp("check")
    simulate(place / "extract.parquet", appointments=20_000, seed=4)
    with Workspace() as workspace:
        workspace.backend.con.execute(
            f"CREATE TEMP TABLE spoiled AS SELECT row_number() OVER () AS row_number, "
            f"* REPLACE (CASE WHEN random() < 0.05 THEN 'DNA' ELSE outcome_code END AS outcome_code, "
            f"CASE WHEN random() < 0.05 THEN 'U' ELSE gender_code END AS gender_code, "
            f"CASE WHEN random() < 0.02 THEN 140 ELSE age_years END AS age_years) "
            f"FROM read_parquet('{place / 'extract.parquet'}')"
        )
        table = workspace.backend.table("spoiled")
        checked = contract_check.check(table, workspace, source="extract.csv")
        setting = Setting(config=TrainingConfig())
        _, page = write_report(
            report_of(checked, workspace, extract=Path("extract.csv"), setting=setting), place / "r.json"
        )
    return page


@pytest.fixture
def opened(browser: Browser, report: Path) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(report.as_uri())
    yield page
    context.close()


def test_axe_finds_nothing_against_wcag_2_2_aa(opened: Page):
    found = Axe().run(opened, options=WCAG)
    assert found.violations_count == 0, found.generate_report()


def test_the_heading_of_a_column_of_numbers_stands_over_them(opened: Page):
    assert misaligned_headings(opened) == []


def test_a_small_screen_is_read_without_scrolling_sideways_and_axe_finds_nothing(opened: Page):
    opened.set_viewport_size(SMALL)
    assert opened.evaluate("document.documentElement.scrollWidth") <= SMALL["width"]
    found = Axe().run(opened, options=WCAG)
    assert found.violations_count == 0, found.generate_report()


def test_without_script_and_network_it_reads_the_same(browser: Browser, report: Path):
    context = browser.new_context(offline=True, java_script_enabled=False)
    page, asked = context.new_page(), []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(report.as_uri())
    assert asked == [report.as_uri()]
    assert page.get_by_role("heading", level=1).inner_text() == "Can this extract be used?"
    assert page.get_by_text("Translate them in the mapping").count() >= 2
    context.close()


def test_every_table_has_a_name_and_the_keyboard_reaches_it(opened: Page):
    assert opened.locator("table").count() == opened.locator("table > caption").count() >= 8
    for region in opened.locator(".scroll").all():
        region.focus()
        assert region.evaluate("element => document.activeElement === element")


def test_what_to_do_is_on_the_first_sheet_of_a4(opened: Page, tmp_path: Path):
    """A4 without its margins is 182 mm by 273 mm."""
    width, height = (round(millimetres / 25.4 * 96) for millimetres in (182, 273))
    opened.set_viewport_size({"width": width, "height": height})
    opened.emulate_media(media="print")
    end = opened.locator("section:has(> #do)").bounding_box()
    assert end is not None
    assert end["y"] + end["height"] <= height
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    opened.pdf(path=tmp_path / "check.pdf", format="A4", prefer_css_page_size=True)
    assert (tmp_path / "check.pdf").read_bytes().startswith(b"%PDF")

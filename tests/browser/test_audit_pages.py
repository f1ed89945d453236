"""The pages beside the audit's report, and the report on access, in a real browser and on paper."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from benchmarks.audit_worlds import World
from playwright.sync_api import Browser, Page
from tests.browser.number_columns import misaligned_headings
from tests.unit.test_audit_access import CONTEXT, listed, service
from tests.unit.test_audit_study import WORLD, studied

from dnapredict.config.fairness_policy import Policy
from dnapredict.config.loading import load, shipped
from dnapredict.fairness import AuditData, ReportContext, extra_files, run, write
from dnapredict.fairness.access import assess
from dnapredict.fairness.access import write as write_access
from dnapredict.fairness.extra_outputs import BROWSER

pytestmark = pytest.mark.usefixtures("drawn")

POLICY = load(shipped("fairness/policy.toml"), Policy)
WCAG = {
    "runOnly": {
        "type": "tag",
        "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    }
}
SMALL = {"width": 320, "height": 640}
SHEETS = {"access": 4, "easy-read": 1}


@pytest.fixture(scope="module")
def pages(chromium: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("pages")
    context = ReportContext("7", "a" * 64, "b" * 64, World.window(), "the top 10 in 100", "c" * 40, True, 1)
    result = run(AuditData.of(World(appointments=60_000, under_scored="J").table()), policy=POLICY, context=context)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv(BROWSER, str(chromium))
        files = extra_files(result, frozenset({"monthly", "easy-read", "pdf"}), studied=studied(WORLD))
    folder = write(result, place / "audit", extra_files=files).parent
    access = write_access(assess(listed(service()), policy=POLICY, context=CONTEXT), place / "access")
    return {name: folder / f"{name}.html" for name in ("monthly", "easy-read", "study")} | {"access": access}


@pytest.fixture(params=["monthly", "easy-read", "study", "access"])
def opened(request: pytest.FixtureRequest, browser: Browser, pages: dict[str, Path]) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    page = context.new_page()
    page.goto(pages[request.param].as_uri())
    yield page
    context.close()


def test_axe_finds_nothing_on_a_wide_or_a_small_screen(opened: Page):
    for size in (None, SMALL):
        if size:
            opened.set_viewport_size(size)
        found = Axe().run(opened, options=WCAG)
        assert found.violations_count == 0, found.generate_report()


def test_the_heading_of_a_column_of_numbers_stands_over_them(opened: Page):
    assert misaligned_headings(opened) == []


def test_a_narrow_screen_needs_no_sideways_scrolling(opened: Page):
    opened.set_viewport_size(SMALL)
    assert opened.evaluate("document.documentElement.scrollWidth") <= SMALL["width"]


def test_every_picture_has_words_and_every_table_a_name(opened: Page):
    for picture in opened.locator("figure svg").all():
        assert len(picture.get_attribute("aria-label") or "") > 60
    assert opened.locator("table").count() == opened.locator("table > caption").count()


def test_each_page_is_on_paper_what_it_promises(browser: Browser, pages: dict[str, Path], tmp_path: Path):
    for name, sheets in SHEETS.items():
        page = browser.new_page()
        page.goto(pages[name].as_uri())
        page.pdf(path=tmp_path / "out.pdf", format="A4", prefer_css_page_size=True)
        page.close()
        assert len(re.findall(rb"/Type\s*/Page[^s]", (tmp_path / "out.pdf").read_bytes())) == sheets, name


def test_pdfs_are_printed_of_every_page_and_stay_small(pages: dict[str, Path]):
    folder = pages["monthly"].parent
    found = {path.name: path.read_bytes() for path in folder.glob("*.pdf")}
    assert set(found) == {"report.pdf", "figures.pdf", "monthly.pdf", "easy-read.pdf", "study.pdf"}
    for name, content in found.items():
        assert content.startswith(b"%PDF"), name
        assert len(content) < 3_000_000, (name, len(content))

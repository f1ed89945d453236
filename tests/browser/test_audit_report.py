"""The audit's report in a real browser: everybody can read it, and it asks nobody for anything."""

import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from axe_playwright_python.sync_playwright import Axe
from benchmarks.audit_worlds import World
from playwright.sync_api import Browser, Page
from tests.browser.number_columns import misaligned_headings

from dnapredict.config.fairness_policy import Policy
from dnapredict.config.loading import load, shipped
from dnapredict.fairness import AuditData, ReportContext, run, write

pytestmark = pytest.mark.usefixtures("drawn")

WCAG = {
    "runOnly": {
        "type": "tag",
        "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    }
}
SMALL = {"width": 320, "height": 640}
PHONE = {"width": 390, "height": 844}
SMALLEST_LETTERS = 11  # pixels on a telephone
EXAMPLE = Path(__file__).resolve().parents[2] / "fairness" / "example-report" / "report.html"
PAGES = 7  # of A4: page 1 and six more
# The texts of each drawing that is seen: size of the letters on the screen, and pairs that lie over each other.
TEXTS = """
() => [...document.querySelectorAll("figure svg")].filter(svg => svg.getBoundingClientRect().width).map(svg => {
  const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
  const texts = [...svg.querySelectorAll("text")].filter(text => text.textContent.trim());
  const boxes = texts.map(text => [text.textContent.trim(), text.getBoundingClientRect()]);
  const over = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 2
    && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3;
  return {
    letters: Math.min(...texts.map(text => parseFloat(getComputedStyle(text).fontSize) * scale)),
    over: boxes.flatMap(([one, a], i) =>
      boxes.slice(i + 1).filter(([_, b]) => over(a, b)).map(([other]) => [one, other])),
  };
})
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with every kind of answer: failures, reviews, groups too small, hidden cells, sites."""
    world = World(appointments=60_000, under_scored="J", mislabelled=0.01).table()
    sites = [f"RX{number % 7}01" for number in range(world.num_rows)]
    table = world.append_column("site_code", pa.array(sites))
    context = ReportContext("7", "a" * 64, "b" * 64, World.window(), "the top 10 in 100", "c" * 40, True, 1)
    result = run(AuditData.of(table), policy=load(shipped("fairness/policy.toml"), Policy), context=context)
    return write(result, tmp_path_factory.mktemp("reports") / "7")


@pytest.fixture(params=["report.html", "figures.html"])
def opened(request: pytest.FixtureRequest, browser: Browser, report: Path) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(report.with_name(request.param).as_uri())
    yield page
    context.close()


@pytest.fixture
def first(browser: Browser, report: Path) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(report.as_uri())
    yield page
    page.close()


def test_words_in_charts_can_be_read_on_a_telephone_and_do_not_overlap(opened: Page):
    for size, letters in (({"width": 1280, "height": 900}, SMALLEST_LETTERS), (PHONE, SMALLEST_LETTERS)):
        opened.set_viewport_size(size)
        drawings = opened.evaluate(TEXTS)
        assert drawings
        for drawing in drawings:
            assert drawing["letters"] >= letters
            assert drawing["over"] == []


def test_no_cell_of_the_decision_runs_over_the_next(first: Page):
    """Rows to write in have a height; on a telephone a long text in one lay over the row below."""
    for size in ({"width": 1280, "height": 900}, PHONE, SMALL):
        first.set_viewport_size(size)
        cells = first.locator(".decision td").evaluate_all("cells => cells.map(c => c.scrollHeight - c.clientHeight)")
        assert len(cells) > 5
        assert max(cells) <= 0


def test_axe_finds_nothing_against_wcag_2_2_aa(opened: Page):
    found = Axe().run(opened, options=WCAG)
    assert found.violations_count == 0, found.generate_report()


def test_axe_finds_nothing_on_a_small_screen(opened: Page):
    opened.set_viewport_size(SMALL)
    found = Axe().run(opened, options=WCAG)
    assert found.violations_count == 0, found.generate_report()


def test_the_heading_of_a_column_of_numbers_stands_over_them(opened: Page):
    assert misaligned_headings(opened) == []


def test_opening_it_asks_for_nothing_but_the_file(browser: Browser, report: Path):
    context = browser.new_context(offline=True)
    page, asked = context.new_page(), []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(report.as_uri())
    assert asked == [report.as_uri()]
    context.close()


def test_it_reads_the_same_without_script(browser: Browser, report: Path):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    assert page.locator("figure .wide svg[role=img]").count() >= 5
    assert page.locator(".tile").count() == 3
    context.close()


def test_a_narrow_screen_needs_no_sideways_scrolling(opened: Page):
    opened.set_viewport_size(SMALL)
    assert opened.evaluate("document.documentElement.scrollWidth") <= SMALL["width"]


def test_every_picture_has_words_and_every_table_a_name(opened: Page):
    for picture in opened.locator("figure svg").all():
        assert len(picture.get_attribute("aria-label") or "") > 60
    assert opened.locator("table").count() == opened.locator("table > caption").count()


def test_the_keyboard_reaches_every_table_that_scrolls(opened: Page):
    for region in opened.locator(".scroll").all():
        region.focus()
        assert region.evaluate("element => document.activeElement === element")


def test_it_prints_on_few_sheets_of_a4(first: Page, tmp_path: Path):
    first.pdf(path=tmp_path / "report.pdf", format="A4", prefer_css_page_size=True)
    printed = (tmp_path / "report.pdf").read_bytes()
    assert printed.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page[^s]", printed)) <= PAGES


@pytest.mark.parametrize("of", ["few groups", "the example"])
def test_page_one_fits_one_sheet_up_to_the_decision(first: Page, of: str):
    """A4 without its margins is 182 mm by 273 mm. The example has as many findings as page 1 prints."""
    width, height = (round(millimetres / 25.4 * 96) for millimetres in (182, 273))
    first.set_viewport_size({"width": width, "height": height})
    if of == "the example":
        first.goto(EXAMPLE.as_uri())
    first.emulate_media(media="print")
    end = first.locator("section:has(> #decision)").bounding_box()
    assert end is not None
    assert end["y"] + end["height"] <= height

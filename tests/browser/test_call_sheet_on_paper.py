"""The call sheet on A4 paper."""

import datetime
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page
from tests.browser.worklists import worklist
from tests.service.process import ONE_WORKER, running

from dnapredict.worklist.files import contact_details, list_store
from dnapredict.worklist.files.contact_table import ContactDetails
from dnapredict.worklist.files.kept_list import KeptList

# The paper inside its margins, at 96 dots an inch.
WIDTH, HEIGHT = round(281 / 25.4 * 96), round(190 / 25.4 * 96)
MOST = ContactDetails(
    "Bartholomew Featherstonehaugh-Smythe-Made-Up",
    datetime.date(1950, 12, 31),
    ("07700 900001", "01632 960001", "01632 960002"),
    "Brazilian Portuguese",
    "after 4 pm, not on Wednesdays",
    ("mobile", "home", "other"),
)


@pytest.fixture(scope="module")
def page(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    home = tmp_path_factory.mktemp("home")
    kept = KeptList.new(worklist(400), name="outpatients-week-49.xlsx", model_version="7", synthetic=True)
    list_store.keep(home, kept)
    list_id = kept.heading.list_id
    contact_details.keep(home, list_id, dict.fromkeys(range(1, 41), MOST), datetime.date(2099, 1, 1))
    with running(home, settings=ONE_WORKER) as service:
        context = browser.new_context(base_url=service.address, viewport={"width": WIDTH, "height": HEIGHT})
        page = context.new_page()
        page.emulate_media(media="print")
        page.goto(f"/lists/{list_id}/sheet")
        yield page
        context.close()


def test_twelve_calls_with_everything_that_is_known_fit_on_a_page(page: Page) -> None:
    rows = page.locator(".dna-sheet tbody tr")
    assert rows.count() == 40
    twelfth = rows.nth(11).bounding_box()
    assert twelfth is not None
    assert twelfth["y"] + twelfth["height"] <= HEIGHT
    assert page.evaluate("document.documentElement.scrollWidth") <= WIDTH
    # The first page has the heading; on each other page twelve rows and their header have to fit.
    heights = page.evaluate(
        "[...document.querySelectorAll('.dna-sheet tr')].map(r => r.getBoundingClientRect().height)"
    )
    assert heights[0] + sum(sorted(heights[1:])[-12:]) <= HEIGHT
    number = page.locator(".dna-sheet__number").first
    assert number.inner_text() == "07700 900001, 01632 960001"
    assert number.evaluate("each => each.scrollWidth <= each.clientWidth")


def test_the_longest_offer_is_printed_whole(page: Page) -> None:
    longest = (
        "Book an interpreter, then call the parent or carer with one to confirm that the appointment still suits; "
        "ask what would make it easier to bring the child; offer transport, or a telephone or video appointment; "
        "use plain words, allow time and ask who helps with appointments, by Wed 16 Sep"
    )
    offer = page.locator(".dna-sheet__offer").first
    offer.evaluate("(each, words) => { each.textContent = words; }", longest)
    assert offer.evaluate(
        "each => each.scrollHeight <= each.clientHeight && getComputedStyle(each).overflow === 'visible'"
    )
    row, cell = page.locator(".dna-sheet tbody tr").first.bounding_box(), offer.bounding_box()
    assert row is not None
    assert cell is not None
    assert cell["y"] + cell["height"] <= row["y"] + row["height"]

"""The page in a real browser, as a booking clerk meets it."""

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect
from tests.service.process import Running

ADDRESSES = [
    "/",
    "/?show=all&page=3&sort=time",
    "/?show=not-scored",
    "/?clinic=ENT-1&progress=done",
    "/lists",
    "/upload",
    "/model",
    "/about",
    "/accessibility",
    "/no-such-page",
]


def test_a_clerk_sees_whom_to_call_first_why_and_what_to_offer(page: Page) -> None:
    page.goto("/")
    expect(page.get_by_role("heading", level=1)).to_contain_text("12 calls to make")
    first = page.get_by_role("row").nth(1)
    for words in (
        "APT-0001",
        "Mon 30 Nov 2026, 09:00",
        "ENT-1",
        "High",
        "Missed 3 of 5 past appointments",
        "Booked 94 days ahead",
        "Call and ask what would make it easier to come",
    ):
        expect(first).to_contain_text(words)
    assert page.get_by_role("row").count() == 1 + 12


def test_no_probability_or_other_statistic_is_shown(page: Page) -> None:
    page.goto("/?show=all")
    assert "0." not in page.inner_text("main")
    assert "%" not in page.inner_text("main")


def test_the_rest_of_the_list_and_what_could_not_be_scored_are_a_link_away(page: Page) -> None:
    page.goto("/")
    page.get_by_role("link", name="Whole list (120)").click()
    page.get_by_role("link", name="Page 3").click()
    expect(page.get_by_role("rowheader").last).to_contain_text("APT-0120")
    page.get_by_role("link", name="Could not be scored (2)").click()
    expect(page.get_by_role("row").nth(1)).to_contain_text("This row starts before it was booked.")


def test_it_says_that_it_is_synthetic_and_what_the_list_is_never_for(page: Page) -> None:
    page.goto("/")
    expect(page.get_by_text("Nobody shown here is real.")).to_be_visible()
    never = page.get_by_role("heading", name="What this list must never be used for").locator("xpath=../..")
    for words in ("two patients into one appointment", "discharge", "delay, move back or withhold"):
        expect(never).to_contain_text(words)


@pytest.mark.cases(5)
@pytest.mark.parametrize("address", ADDRESSES)
def test_nothing_is_asked_of_any_other_host_and_nothing_is_blocked(page: Page, service: Running, address: str) -> None:
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(address)
    assert asked
    assert all(url.startswith(service.address) for url in asked)
    assert [words for words in complaints if "404" not in words] == []


def resized(page: Page, *widths: int) -> Iterator[int]:
    """Resize the open page to each width, and yield the width."""
    for width in widths:
        page.set_viewport_size({"width": width, "height": 800})
        yield width


@pytest.mark.cases(5)
@pytest.mark.parametrize("address", ADDRESSES)
def test_axe_finds_nothing(page: Page, address: str) -> None:
    page.goto(address)
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    for width in resized(page, 320, 800, 1280):
        found = Axe().run(page)
        assert found.violations_count == 0, (width, found.generate_report())


def test_the_question_before_a_list_is_deleted_can_be_read_and_answered_with_no(page: Page) -> None:
    page.goto("/")
    page.get_by_role("link", name="Delete this list").click()
    for width in resized(page, 320, 640, 1280):
        expect(page.get_by_role("button", name="Delete the list")).to_be_visible()
        page.get_by_role("link", name="Keep the list and go back to it").click(trial=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        found = Axe().run(page)
        assert found.violations_count == 0, (width, found.generate_report())
    page.get_by_role("link", name="Keep the list and go back to it").click()
    expect(page.get_by_role("link", name="Delete this list")).to_be_visible()


@pytest.mark.cases(5)
@pytest.mark.parametrize("address", ADDRESSES)
def test_it_fits_a_telephone_and_a_screen_zoomed_to_twice_the_size(page: Page, address: str) -> None:
    page.goto(address)
    for width in resized(page, 320, 640, 800, 1024):
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_no_table_of_the_model_page_ends_beyond_the_edge(page: Page) -> None:
    page.goto("/model")
    cells = page.locator("main td").all()
    assert len(cells) > 10
    for width in resized(page, 320, 390, 640, 800, 1280):
        for cell in cells:
            assert is_within(page, cell), width


# 320 px is 1,280 px at a zoom of 400%.
WIDTHS = (320, 390, 640, 800, 1024, 1280)


def is_within(page: Page, wanted: Locator) -> bool:
    """Whether all of it can be seen without scrolling sideways."""
    box = wanted.bounding_box()
    assert page.viewport_size is not None
    return box is not None and box["x"] >= 0 and box["x"] + box["width"] <= page.viewport_size["width"]


def test_what_happened_is_seen_and_recorded_without_scrolling_sideways(page: Page) -> None:
    page.goto("/?show=all&page=2")
    for width in resized(page, *WIDTHS):
        for row in page.get_by_role("row").all()[1:4]:
            for wanted in (row.get_by_role("combobox"), row.get_by_role("button", name="Record")):
                assert is_within(page, wanted), width
            for cell in row.get_by_role("cell").all():
                assert is_within(page, cell), width
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.cases(1)
@pytest.mark.parametrize("script", [True, False])
def test_every_page_of_a_list_can_be_reached_at_every_width(browser: Browser, service: Running, script: bool) -> None:
    context = browser.new_context(base_url=service.address, java_script_enabled=script)
    page = context.new_page()
    page.goto("/?show=all&sort=time")
    reached = ["1"]
    while page.get_by_role("link", name="Next page").count():
        links = page.get_by_role("navigation", name="Pages of this list").get_by_role("link").all()
        for width in resized(page, *WIDTHS):
            for link in links:
                link.click(trial=True)  # nothing is above it that would take the click
                assert is_within(page, link), width
        page.get_by_role("link", name="Next page").click()
        reached.append(
            page.get_by_role("link", name="Page", exact=False).and_(page.locator("[aria-current]")).inner_text()
        )
        assert "sort=time" in page.url
    assert reached == ["1", "2", "3"]
    for number in "213":
        page.get_by_role("link", name=f"Page {number}").click()
        expect(page.get_by_role("link", name=f"Page {number}")).to_have_attribute("aria-current", "page")
    page.go_back()
    expect(page.get_by_role("link", name="Page 1")).to_have_attribute("aria-current", "page")
    context.close()


def test_it_works_without_a_script(browser: Browser, service: Running) -> None:
    context = browser.new_context(base_url=service.address, java_script_enabled=False)
    page = context.new_page()
    page.goto("/")
    page.get_by_role("link", name="Whole list (120)").click()
    expect(page.get_by_role("rowheader").first).to_contain_text("APT-0001")
    expect(page.get_by_text("To see what colleagues have recorded since, refresh the list.")).to_be_visible()
    page.get_by_role("link", name="refresh the list").click()
    expect(page.get_by_role("rowheader").first).to_contain_text("APT-0001")
    context.close()


def test_a_keyboard_reaches_everything_and_can_skip_to_the_list(page: Page) -> None:
    page.goto("/")
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to main content")).to_be_focused()
    page.keyboard.press("Enter")
    assert page.url.endswith("#maincontent")
    reached = set()
    for _ in range(10):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.textContent.trim()"))
    assert {"Whole list (120)", "Could not be scored (2)"} <= reached


def test_on_paper_there_is_the_list_with_room_for_notes_and_no_menu(page: Page) -> None:
    page.emulate_media(media="print")
    page.goto("/")
    expect(page.get_by_role("link", name="About this tool")).to_be_hidden()
    row = page.get_by_role("row").nth(1)
    expect(row).to_be_visible()
    expect(row.get_by_role("combobox")).to_be_hidden()
    expect(row.locator(".dna-blank")).to_be_visible()
    expect(page.get_by_role("heading", name="What this list must never be used for")).to_be_visible()


def test_the_whole_report_is_a_link_away_and_looks_as_it_was_made(page: Page, service: Running) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto("/model")
    page.get_by_role("link", name="Read the whole report").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Is the list fair?")
    tile = page.locator(".tile").first
    assert tile.evaluate("each => getComputedStyle(each).borderTopStyle") != "none"
    assert all(url.startswith(service.address) for url in asked)

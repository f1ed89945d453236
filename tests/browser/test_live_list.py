"""Two clerks on one list: each sees what the other records, without a reload and without losing what they are doing."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect
from tests.browser.worklists import worklist
from tests.service.process import Running, running

from dnapredict.service.auth import api_keys, sign_in_links
from dnapredict.service.auth.staff import StaffRole
from dnapredict.worklist.files.kept_list import KeptList
from dnapredict.worklist.files.latest_list import save_latest

PATIENTLY = 30_000  # milliseconds that a busy machine may need


@pytest.fixture
def desk(browser: Browser, tmp_path: Path) -> Iterator[tuple[Running, Page, Page]]:
    """A service, and the pages of two people who signed in to it by a link."""
    home = tmp_path / "home"
    save_latest(home, KeptList.new(worklist(), name="outpatients-week-49.xlsx", model_version="7", synthetic=True))
    people = [
        api_keys.create_personal(home, name=name, team="North", role=StaffRole.CLERK)
        for name in ("Ada Okafor", "Ben Marsh")
    ]
    with running(home) as service:
        pages = [opened(browser, service, sign_in_links.create(home, made.key.key_id)) for made in people]
        yield service, *pages
        for page in pages:
            page.context.close()


def opened(browser: Browser, service: Running, link: str) -> Page:
    context: BrowserContext = browser.new_context(base_url=service.address, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(link)  # the first click
    expect(page.get_by_role("heading", level=1)).to_contain_text("12 calls to make")
    return page


def record(page: Page, line: int, words: str) -> None:
    row = page.locator(f"#line-{line}")
    row.get_by_role("combobox").select_option(label=words)
    row.get_by_role("button", name="Record").click()
    expect(row.get_by_role("status")).to_contain_text(words)


def test_a_colleagues_entry_appears_with_their_name_and_the_time(desk: tuple[Running, Page, Page]) -> None:
    _, ada, ben = desk
    record(ada, 2, "Confirmed")
    line = ben.locator("#line-2")
    expect(line).to_contain_text("Confirmed", timeout=PATIENTLY)
    expect(line).to_contain_text("Ada Okafor")
    expect(ben.locator("#live-words")).to_have_text("A colleague changed 1 line.")
    expect(ben.locator(".dna-progress")).to_contain_text("This list: 1 of 12 calls made")
    expect(ben.get_by_text("Signed in as Ben Marsh, clerk, North")).to_be_visible()
    assert Axe().run(ben).violations_count == 0


def test_a_line_that_is_being_filled_in_is_not_replaced(desk: tuple[Running, Page, Page]) -> None:
    _, ada, ben = desk
    chosen = ben.locator("#line-3").get_by_role("combobox")
    chosen.select_option(label="No answer")
    record(ada, 3, "Confirmed")
    expect(ben.locator("#line-3")).to_contain_text("A colleague has just recorded something here.", timeout=PATIENTLY)
    expect(chosen).to_have_value("no_answer")
    assert Axe().run(ben).violations_count == 0
    ben.locator("#line-3").get_by_role("button", name="Record").click()
    expect(ben.get_by_role("heading", level=1)).to_contain_text("Ada Okafor recorded ‘Confirmed’")


def test_progress_grows_also_where_the_line_is_on_another_page(desk: tuple[Running, Page, Page]) -> None:
    _, ada, ben = desk
    ben.goto("/?show=all&page=2")
    expect(ben.locator("#line-5")).to_have_count(0)
    record(ada, 5, "Confirmed")
    expect(ben.locator(".dna-progress")).to_contain_text("This list: 1 of 12 calls made", timeout=PATIENTLY)


def test_a_page_hears_again_after_the_service_was_killed(desk: tuple[Running, Page, Page]) -> None:
    service, ada, ben = desk
    service.kill_workers()
    ada.reload()
    record(ada, 4, "Confirmed")
    expect(ben.locator("#line-4")).to_contain_text("Ada Okafor", timeout=2 * PATIENTLY)

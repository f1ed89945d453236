"""Two clerks on one list: each sees what the other records, without a reload and without losing what they are doing."""

from collections.abc import Callable, Iterator

import pyarrow as pa
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect
from tests.browser.worklists import worklist
from tests.service.process import Running, running

from dnapredict.service.auth import api_keys, sign_in_links
from dnapredict.service.auth.staff import StaffRole
from dnapredict.worklist.files import list_store
from dnapredict.worklist.files.kept_list import KeptList, ListOrigin

PATIENTLY = 30_000  # milliseconds that a busy machine may need


TEAMS = ("appears", "is kept", "another page", "killed")


@pytest.fixture(scope="module")
def desk(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, dict[str, list[str]]]]:
    """One service for all tests of this file, and two links to sign in to it for each team."""
    assert browser.is_connected()
    home = tmp_path_factory.mktemp("home")
    links = {}
    for team in TEAMS:
        list_store.keep(home, list_of(team))
        people = [
            api_keys.create_personal(home, name=name, team=team, role=StaffRole.CLERK)
            for name in ("Ada Okafor", "Ben Marsh")
        ]
        links[team] = [sign_in_links.create(home, made.key.key_id) for made in people]
    with running(home) as service:
        yield service, links


def list_of(team: str) -> KeptList:
    """A list of a team, of appointments that no other team has: what is recorded counts on all lists."""
    table = worklist()
    numbers = pa.array([f"{team}-{number}" for number in table["appointment_id"].to_pylist()])
    table = table.set_column(table.column_names.index("appointment_id"), "appointment_id", numbers)
    origin = ListOrigin(team=team)
    return KeptList.new(table, name="week-49.xlsx", model_version="7", synthetic=True, origin=origin)


@pytest.fixture
def opened_by(browser: Browser, desk: tuple[Running, dict[str, list[str]]]) -> Iterator[Callable[[str], list[Page]]]:
    """Opens the list of a team as the two people who work on it; they sign in by a link."""
    contexts: list[BrowserContext] = []

    def open_list(team: str) -> list[Page]:
        service, links = desk
        pages = [opened(browser, service, link) for link in links[team]]
        contexts.extend(page.context for page in pages)
        return pages

    yield open_list
    for context in contexts:
        context.close()


def opened(browser: Browser, service: Running, link: str) -> Page:
    context = browser.new_context(base_url=service.address, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(link)  # the first click
    expect(page.get_by_role("heading", level=1)).to_contain_text("12 calls to make")
    return page


def record(page: Page, line: int, words: str) -> None:
    row = page.locator(f"#line-{line}")
    row.get_by_role("combobox").select_option(label=words)
    row.get_by_role("button", name="Record").click()
    expect(row.get_by_role("status")).to_contain_text(words)


def test_a_colleagues_entry_appears_with_their_name_and_the_time(opened_by: Callable[[str], list[Page]]) -> None:
    ada, ben = opened_by("appears")
    record(ada, 2, "Confirmed")
    line = ben.locator("#line-2")
    expect(line).to_contain_text("Confirmed", timeout=PATIENTLY)
    expect(line).to_contain_text("Ada Okafor")
    expect(ben.locator("#live-words")).to_have_text("A colleague changed 1 line.")
    expect(ben.locator(".dna-progress")).to_contain_text("This list: 1 of 12 calls made")
    expect(ben.get_by_text("Signed in as Ben Marsh, clerk, appears")).to_be_visible()
    assert Axe().run(ben).violations_count == 0


def test_a_line_that_is_being_filled_in_is_not_replaced(opened_by: Callable[[str], list[Page]]) -> None:
    ada, ben = opened_by("is kept")
    chosen = ben.locator("#line-3").get_by_role("combobox")
    chosen.select_option(label="No answer")
    record(ada, 3, "Confirmed")
    expect(ben.locator("#line-3")).to_contain_text("A colleague has just recorded something here.", timeout=PATIENTLY)
    expect(chosen).to_have_value("no_answer")
    assert Axe().run(ben).violations_count == 0
    ben.locator("#line-3").get_by_role("button", name="Record").click()
    expect(ben.get_by_role("heading", level=1)).to_contain_text("Ada Okafor recorded ‘Confirmed’")


def test_progress_grows_also_where_the_line_is_on_another_page(opened_by: Callable[[str], list[Page]]) -> None:
    ada, ben = opened_by("another page")
    ben.goto("/?show=all&page=2")
    expect(ben.locator("#line-5")).to_have_count(0)
    record(ada, 5, "Confirmed")
    expect(ben.locator(".dna-progress")).to_contain_text("This list: 1 of 12 calls made", timeout=PATIENTLY)


def test_a_page_hears_again_after_the_service_was_killed(
    desk: tuple[Running, dict[str, list[str]]], opened_by: Callable[[str], list[Page]]
) -> None:
    ada, ben = opened_by("killed")
    desk[0].kill_workers()
    ada.reload()
    record(ada, 4, "Confirmed")
    expect(ben.locator("#line-4")).to_contain_text("Ada Okafor", timeout=2 * PATIENTLY)

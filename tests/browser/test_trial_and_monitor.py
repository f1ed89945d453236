"""A list of a trial, the model with an alarm and the week with a claim, in a real browser and for axe."""

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect
from tests.browser.number_columns import misaligned_headings
from tests.browser.worklists import worklist
from tests.kept_states import CLAIM, registered, reported
from tests.service.process import ONE_WORKER, Running, running
from tests.unit.test_monitor_result import CONTEXT, watched
from tests.watched_weeks import WatchedWeeks

from dnapredict.monitoring.monitor_report import render
from dnapredict.monitoring.monitor_result import watch
from dnapredict.monitoring.monitor_state import keep_state, page_digest
from dnapredict.service.auth import api_keys
from dnapredict.service.auth.staff import StaffRole
from dnapredict.worklist.files import latest_list, list_store
from dnapredict.worklist.files.kept_list import KeptList
from dnapredict.worklist.files.withheld_risks import without_uncalled_risks

pytestmark = pytest.mark.usefixtures("drawn")

# Of the 120 patients the first 12 are called.
CALLED, UNCALLED = "APT-0001", "APT-0013"
WIDTHS = (320, 390, 1280)


@dataclass(frozen=True)
class TrialDesk:
    """A service with the list of a trial, a monitor run with an alarm and a trial report; keys by role."""

    service: Running
    keys: dict[StaffRole, str]
    list_id: str


@pytest.fixture(scope="module")
def desk(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrialDesk]:
    assert browser.is_connected()
    home = tmp_path_factory.mktemp("home")
    kept = KeptList.new(without_uncalled_risks(worklist()), name="week-49.xlsx", model_version="7", synthetic=True)
    list_store.keep(home, kept)
    latest_list.save_latest(home, kept)
    keep_monitor_run(home)
    registered(home, start=-30, end=60)
    reported(home)
    teams = {StaffRole.CLERK: "North", StaffRole.REVIEWER: ""}
    made = {role: api_keys.create_personal(home, name="A. Name", team=team, role=role) for role, team in teams.items()}
    expect.set_options(timeout=20_000)  # on a machine that others keep busy
    with running(home, settings=ONE_WORKER) as service:
        yield TrialDesk(service, {role: key.token for role, key in made.items()}, kept.heading.list_id)
    expect.set_options(timeout=5_000)


def keep_monitor_run(home: Path) -> None:
    """A run in which everyone, and one group more, misses more than predicted."""
    table = WatchedWeeks("everyone", 1.3, rows_a_week=3_000).table()
    result = watch(watched(table), dataclasses.replace(CONTEXT, model="version 7"))
    page = render(result)
    keep_state(result.state(model_version="7", page_sha256=page_digest(page)), page, home=home)


Open = Callable[..., Page]


@pytest.fixture
def signed_in(browser: Browser, desk: TrialDesk) -> Iterator[Open]:
    """Opens an address as somebody of a role, at a width."""
    contexts = []

    def open_page(address: str, *, role: StaffRole, width: int = 1280) -> Page:
        context = browser.new_context(base_url=desk.service.address, viewport={"width": width, "height": 900})
        contexts.append(context)
        page = context.new_page()
        page.goto("/sign-in")
        page.get_by_label("Your key").fill(desk.keys[role])
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_text("Signed in as")).to_be_visible()
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()


def row_of(page: Page, appointment: str) -> Locator:
    return page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=appointment))


def assert_sound(page: Page, width: int) -> None:
    """axe finds nothing, and nothing is wider than the screen."""
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert misaligned_headings(page) == []
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_rows_without_a_call_show_no_risk_and_those_with_one_do(signed_in: Open, desk: TrialDesk) -> None:
    page = signed_in(f"/lists/{desk.list_id}?show=all", role=StaffRole.CLERK)
    assert "High" in row_of(page, CALLED).inner_text()
    rows = [row.inner_text() for row in page.get_by_role("row").all()[13:]]
    assert len(rows) > 20
    for row in rows:
        assert row.count("Not shown") == 2, row
        for told in ("High", "Raised", "Usual\n", "Missed", "Booked", "Lives", "ENT-1", "EYE-2", "DERM-4"):
            assert told not in row


def test_a_clerk_opens_and_records_a_row_without_a_call(signed_in: Open, desk: TrialDesk) -> None:
    page = signed_in(f"/lists/{desk.list_id}?show=all", role=StaffRole.CLERK)
    row = row_of(page, UNCALLED)
    row.get_by_role("combobox").select_option("confirmed")
    row.get_by_role("button", name="Record").click()
    expect(row_of(page, UNCALLED).get_by_role("status")).to_contain_text("Confirmed")
    page.goto(f"/lists/{desk.list_id}/call")
    page.get_by_label("Find by number or name").fill(UNCALLED)
    page.get_by_role("button", name="Find").click()
    page.get_by_role("link", name=UNCALLED).click()
    who = page.get_by_role("region", name=UNCALLED)
    expect(who).to_contain_text("Usual reminder")
    expect(who).to_contain_text("Confirmed")
    assert "Why we call" not in who.inner_text()
    page.get_by_role("button", name="No answer").click()
    expect(page.get_by_role("status")).to_contain_text("No answer")


@pytest.mark.cases(2)
@pytest.mark.parametrize("width", WIDTHS)
def test_axe_finds_nothing_on_a_list_of_a_trial(signed_in: Open, desk: TrialDesk, width: int) -> None:
    page = signed_in(f"/lists/{desk.list_id}?show=all", role=StaffRole.CLERK, width=width)
    assert_sound(page, width)


@pytest.mark.cases(2)
@pytest.mark.parametrize("width", WIDTHS)
def test_a_reviewer_reads_the_alarm_and_the_page_of_the_monitor(signed_in: Open, width: int) -> None:
    page = signed_in("/model", role=StaffRole.REVIEWER, width=width)
    expect(page.get_by_text("Alarm", exact=True)).to_be_visible()
    expect(page.get_by_text("more missed appointments than predicted. Since the week of").first).to_be_visible()
    assert_sound(page, width)
    page.get_by_role("link", name="Read the whole page of the monitor").click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert page.url.endswith("/model/monitor")
    assert_sound(page, width)


@pytest.mark.cases(2)
@pytest.mark.parametrize("width", WIDTHS)
def test_a_clerk_reads_one_sentence_about_the_alarm_and_the_claim_of_the_trial(signed_in: Open, width: int) -> None:
    page = signed_in("/model", role=StaffRole.CLERK, width=width)
    expect(page.get_by_text("Work the list as before.")).to_be_visible()
    expect(page.get_by_role("link", name="Read the whole page of the monitor")).to_have_count(0)
    page.goto("/week")
    expect(page.get_by_role("heading", name="Do calls help?")).to_be_visible()
    expect(page.get_by_text(CLAIM)).to_be_visible()
    expect(page.get_by_text("A trial of the calls runs until")).to_be_visible()
    assert_sound(page, width)

"""A clerk's day on the page in a real browser: with a mouse, with the keyboard alone, without JavaScript."""

import datetime
import io
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import openpyxl
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect
from tests.service.process import ONE_WORKER, Running, running

from dnapredict.service.auth import api_keys
from dnapredict.service.call_outcomes import OFFERED_WORDS

CLINICS = ("ENT-1", "EYE-2", "DERM-4")
MOST_STEPS = 150


TEAMS = ("mouse", "no script", "keyboard", "mistakes", "long list", "two clerks", "paper")


@dataclass(frozen=True)
class Desk:
    """One service for all tests of this file, and the keys of a team for each of them.

    A team sees its own lists only, and its appointments have numbers of their own: what is recorded about an
    appointment counts on the lists of every team.
    """

    browser: Browser
    service: Running
    keys: Mapping[str, str]
    other_key: str

    @contextmanager
    def a_clerk(self, *, script: bool = True) -> Iterator[Page]:
        """A page of a service that asks for a key."""
        context = self.browser.new_context(base_url=self.service.address, java_script_enabled=script)
        yield context.new_page()
        context.close()


@pytest.fixture(scope="module")
def desk(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    home = tmp_path_factory.mktemp("home")

    def key(name: str, team: str) -> str:
        return api_keys.create(home, name=name, scopes=(api_keys.KeyScope.LIST,), team=team).token

    keys = {team: key("booking team", team) for team in TEAMS}
    other = key("Eye clinic desk", "two clerks")
    with running(home, settings=ONE_WORKER) as service:  # test_clerk_week has several
        yield Desk(browser, service, keys, other)


def week_of(team: str, folder: Path) -> Path:
    """A workbook of 300 appointments, 30 of which are to be called."""
    book = openpyxl.Workbook()
    book.active.append(["appointment_id", "booked_at", "starts_at", "age_years", "clinic_code"])
    for n in range(300):
        starts_at = datetime.datetime(2026, 12, 7, 9) + datetime.timedelta(days=n % 5, minutes=20 * (n % 21))
        clinic = CLINICS[n % 3]
        book.active.append([f"APT-{team}-{n:04d}", "2026-09-01", f"{starts_at:%Y-%m-%d %H:%M}", 20 + n % 80, clinic])
    place = folder / "week 50.xlsx"
    book.save(place)
    return place


def long_week(folder: Path) -> Path:
    """A list of 6,000 appointments, which has 120 pages, of clinics with long names and of short ones."""
    clinics = (
        "OPHTHALMOLOGY-GLAUCOMA-ASSESSMENT-COMMUNITY-HUB-3",
        "GLAUCOMAASSESSMENTCOMMUNITYHUB" * 2,
        "EYE",
    )
    lines = [f"APT-{n:05d},2026-09-01,2099-12-07,{n % 100},{clinics[n % 3]}" for n in range(6_000)]
    place = folder / "long week.csv"
    place.write_text("\n".join(["appointment_id,booked_at,starts_at,age_years,clinic_code", *lines]))
    return place


def sign_in(page: Page, key: str) -> None:
    page.goto("/")
    page.get_by_label("Your key").fill(key)
    page.get_by_role("button", name="Sign in").click()


def record(page: Page, row: int, words: str) -> None:
    line = page.get_by_role("row").nth(row)
    line.get_by_role("combobox").select_option(label=words)
    line.get_by_role("button", name="Record").click()


def work_the_list(
    page: Page, key: str, week: Path, *, of_week: str = "", look: Callable[[], None] = lambda: None
) -> bytes:
    """Sign in, upload, filter, record, see how far it has come, take the workbook away, sign out.

    `of_week` is how far the calls of the week are, where no other team has made any; the list's own are the same.
    """
    sign_in(page, key)
    expect(page.get_by_role("heading", level=1)).to_have_text("No list has been scored yet")
    look()
    page.get_by_label("A list of appointments").set_input_files(week)
    page.get_by_role("button", name="Score this list").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("week 50.xlsx")
    expect(page.get_by_role("heading", level=1)).to_contain_text("30 calls to make")
    record(page, 1, "Transport arranged")
    expect(page.get_by_role("row").nth(1).get_by_role("status")).to_have_text(
        "Recorded for place 1: Transport arranged"
    )
    look()
    page.get_by_label("Clinic").select_option("EYE-2")
    page.get_by_label("Progress").select_option("Still to call")
    page.get_by_label("Order", exact=True).select_option("Date and time")
    page.get_by_role("button", name="Show").click()
    look()
    expect(page.get_by_role("columnheader", name="When")).to_have_attribute("aria-sort", "ascending")
    assert {cell.inner_text() for cell in page.locator("td.dna-clinic").all()} == {"EYE-2"}
    record(page, 1, "No answer")
    expect(page.get_by_role("row").nth(1)).to_contain_text("Call again at another time of day")
    record(page, 2, "Confirmed")
    expect(page.get_by_role("status")).to_contain_text("Confirmed. It is not on this part of the list.")
    expect(page.get_by_text(f"This list: {PROGRESS}")).to_be_visible()
    if of_week:
        expect(page.locator(".dna-progress").get_by_text(of_week)).to_have_count(2)
    page.get_by_role("link", name="Recent lists").first.click()
    look()
    page.get_by_role("link", name="week 50.xlsx").click()
    with page.expect_download() as taken:
        page.get_by_role("link", name="a spreadsheet (XLSX)").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    page.goto("/lists")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    return Path(taken.value.path()).read_bytes()


def outcomes_in(workbook: bytes) -> dict[str, int]:
    sheet = openpyxl.load_workbook(io.BytesIO(workbook))["Worklist"]
    (rule,) = sheet.data_validations.dataValidation
    assert (rule.type, rule.formula1) == ("list", '"' + ",".join(OFFERED_WORDS) + '"')
    assert (sheet.max_row, sheet["L1"].value) == (301, "outcome")
    said = [cell.value for cell in sheet["L"][1:] if cell.value]
    return {words: said.count(words) for words in said}


PROGRESS = "3 of 30 calls made, 1 reached nobody"
RECORDED = {"Transport arranged": 1, "No answer": 1, "Confirmed": 1}


def test_a_clerk_works_last_weeks_list_and_takes_it_away(desk: Desk, tmp_path: Path) -> None:
    key = desk.keys["mouse"]
    with desk.a_clerk() as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        sign_in(page, "dnap_wrong")
        expect(page.get_by_role("alert")).to_contain_text("This is not a key that opens these pages.")

        def look() -> None:
            found = Axe().run(page)
            assert found.violations_count == 0, found.generate_report()

        look()
        taken = work_the_list(page, key, week_of("mouse", tmp_path), of_week=PROGRESS, look=look)
        assert key not in str(page.context.cookies())
        assert len(asked) > 20
        assert all(url.startswith(desk.service.address) for url in asked)
        assert "APT-" not in "".join(asked)
    assert outcomes_in(taken) == RECORDED


def test_it_is_done_alike_without_javascript(desk: Desk, tmp_path: Path) -> None:
    with desk.a_clerk(script=False) as page:
        taken = work_the_list(page, desk.keys["no script"], week_of("no script", tmp_path))
    assert outcomes_in(taken) == RECORDED


def step_to(page: Page, wanted: Locator) -> None:
    """Tab until there."""
    for _ in range(MOST_STEPS):
        if wanted.evaluate("each => each === document.activeElement"):
            style = "(({outlineStyle, boxShadow}) => outlineStyle + boxShadow)(getComputedStyle(each))"
            assert wanted.evaluate(f"each => {style}") != "nonenone", "focus cannot be seen"
            return
        page.keyboard.press("Tab")
    raise AssertionError("the keyboard does not reach it")


def press(page: Page, wanted: Locator, key: str = "Enter") -> None:
    step_to(page, wanted)
    page.keyboard.press(key)


def test_the_keyboard_alone_is_enough(desk: Desk, tmp_path: Path) -> None:
    with desk.a_clerk() as page:
        page.goto("/")
        step_to(page, page.get_by_label("Your key"))
        page.keyboard.type(desk.keys["keyboard"])
        page.keyboard.press("Enter")
        with page.expect_file_chooser() as chooser:
            press(page, page.get_by_label("A list of appointments"))
        chooser.value.set_files(week_of("keyboard", tmp_path))
        press(page, page.get_by_role("button", name="Score this list"))
        expect(page.get_by_role("heading", level=1)).to_contain_text("30 calls to make")

        page.keyboard.press("Tab")
        expect(page.get_by_text("Skip to main content")).to_be_focused()
        page.keyboard.press("Enter")
        step_to(page, page.get_by_label("Clinic"))
        page.keyboard.type("DERM")
        press(page, page.get_by_role("button", name="Show"))
        expect(page).to_have_url(re.compile("clinic=DERM-4"))

        line = page.get_by_role("row").nth(2)
        step_to(page, line.get_by_role("combobox"))
        page.keyboard.type("Wrong")
        press(page, line.get_by_role("button", name="Record"))
        expect(page.get_by_role("status")).to_be_focused()  # what was recorded is read, and Tab goes on from there
        expect(page.get_by_role("status")).to_contain_text("Wrong number")
        page.keyboard.press("Tab")
        expect(line.locator("summary")).to_be_focused()
        page.keyboard.press("Enter")
        step_to(page, line.get_by_role("combobox"))
        page.keyboard.type("Recorded")
        press(page, line.get_by_role("button", name="Record"))
        expect(page.get_by_role("status")).to_contain_text("nothing is recorded any more")

        with page.expect_download():
            press(page, page.get_by_role("link", name="a spreadsheet (XLSX)"))
        press(page, page.get_by_role("button", name="Sign out"))
        expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


def test_what_went_wrong_is_said_where_it_can_be_put_right(desk: Desk, tmp_path: Path) -> None:
    photo = tmp_path / "photo.xlsx"
    photo.write_bytes(b"no workbook")
    with desk.a_clerk() as page:
        sign_in(page, desk.keys["mistakes"])
        page.get_by_label("A list of appointments").set_input_files(photo)
        page.get_by_role("button", name="Score this list").click()
        expect(page.get_by_role("alert")).to_contain_text("photo.xlsx: is not an XLSX workbook")
        expect(page.get_by_role("alert")).to_be_focused()
        assert Axe().run(page).violations_count == 0
        page.set_viewport_size({"width": 320, "height": 700})
        assert page.evaluate("document.documentElement.scrollWidth") <= 320

        page.get_by_label("A list of appointments").set_input_files(week_of("mistakes", tmp_path))
        page.get_by_role("button", name="Score this list").click()
        page.get_by_role("row").nth(7).get_by_role("button", name="Record").click()
        expect(page.get_by_role("alert")).to_contain_text("Choose what happened, then record it.")
        expect(page.get_by_role("alert")).to_be_focused()
        assert page.title().startswith("Error: ")
        assert Axe().run(page).violations_count == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
        page.get_by_role("link", name="Choose what happened").click()
        expect(page.get_by_role("row").nth(7).get_by_role("combobox")).to_be_focused()


@pytest.fixture(scope="module")
def long_list(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The whole of a list of 6,000, without a script."""
    with desk.a_clerk(script=False) as page:
        sign_in(page, desk.keys["long list"])
        page.get_by_label("A list of appointments").set_input_files(long_week(tmp_path_factory.mktemp("long")))
        page.get_by_role("button", name="Score this list").click()
        page.get_by_role("link", name="Whole list (6,000)").click()
        yield page


@pytest.mark.cases(3)
@pytest.mark.parametrize(("row", "width"), list(enumerate((320, 390, 640, 800, 1024, 1280), start=1)))
def test_a_list_of_a_hundred_pages_and_long_clinic_names_is_worked_at_every_width(
    long_list: Page, row: int, width: int
) -> None:
    long_list.set_viewport_size({"width": width, "height": 700})
    work_one_page(long_list, row=row, width=width)


def work_one_page(page: Page, *, row: int, width: int) -> None:
    """Go to a page by its number, with a filter and without; record, and see that it was recorded."""
    page.get_by_label("Clinic").select_option("EYE")
    page.get_by_role("button", name="Show").click()
    go_to(page, 23, last=40)
    assert {cell.inner_text().split()[-1] for cell in page.locator("td.dna-clinic").all()} == {"EYE"}
    page.get_by_role("link", name="Clear the filters").click()
    go_to(page, 119, last=120)
    record(page, row, "Confirmed")
    expect(page.get_by_role("status")).to_be_in_viewport()
    links = page.get_by_role("navigation", name="Pages of this list").get_by_role("link").all()
    for wanted in (page.get_by_role("status"), *links):
        box = wanted.bounding_box()
        assert box is not None
        assert 0 <= box["x"] <= box["x"] + box["width"] <= width
        assert min(box["width"], box["height"]) >= 24  # WCAG 2.2, target size
    expect(page.get_by_role("link", name="Page 119")).to_have_attribute("aria-current", "page")
    page.go_back()
    expect(page.get_by_role("link", name="Page 119")).to_have_attribute("aria-current", "page")


def go_to(page: Page, number: int, *, last: int) -> None:
    page.get_by_label(f"Go to page (1 to {last})").fill(str(number))
    page.get_by_role("button", name="Go to this page").click()
    expect(page.get_by_role("link", name=f"Page {number}")).to_have_attribute("aria-current", "page")


def test_two_clerks_on_one_line_are_told_of_each_other(desk: Desk, tmp_path: Path) -> None:
    with desk.a_clerk() as page, desk.a_clerk() as other:
        sign_in(page, desk.keys["two clerks"])
        page.get_by_label("A list of appointments").set_input_files(week_of("two clerks", tmp_path))
        page.get_by_role("button", name="Score this list").click()
        other.set_viewport_size({"width": 320, "height": 700})
        sign_in(other, desk.other_key)
        expect(other.get_by_role("heading", level=1)).to_contain_text("30 calls to make")
        record(other, 2, "Confirmed")
        record(page, 2, "No answer")
        expect(page.get_by_role("heading", level=1)).to_contain_text("Eye clinic desk recorded ‘Confirmed’ at")
        expect(page.get_by_text("Recorded by: Eye clinic desk.")).to_be_visible()
        for width in (320, 1280):
            page.set_viewport_size({"width": width, "height": 700})
            found = Axe().run(page)
            assert found.violations_count == 0, found.generate_report()
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.get_by_role("link", name="Leave ‘Confirmed’").click()
        line = page.get_by_role("row").nth(2)
        expect(line).to_be_in_viewport()
        expect(line).to_contain_text("Eye clinic desk")
        line.locator("summary").first.click()
        record(page, 2, "No answer")
        line.get_by_text("History").click()
        expect(line.get_by_role("listitem").filter(has_text="Eye clinic desk")).to_contain_text("Confirmed")
        expect(line.get_by_role("listitem").filter(has_text="booking team")).to_contain_text("No answer")


def test_the_sheet_says_what_was_recorded_a_moment_ago(desk: Desk, tmp_path: Path) -> None:
    with desk.a_clerk() as page:
        sign_in(page, desk.keys["paper"])
        page.get_by_label("A list of appointments").set_input_files(week_of("paper", tmp_path))
        page.get_by_role("button", name="Score this list").click()
        page.locator(".dna-outcome select").first.select_option("no_calls_wished")
        page.locator(".dna-outcome button[type=submit]").first.click()
        page.emulate_media(media="print")
        assert "Does not wish to be called" in page.locator(".dna-outcome").first.inner_text()

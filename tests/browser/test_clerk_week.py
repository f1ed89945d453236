"""A whole week of two booking clerks at the call desk, in a real browser.

Monday with a mouse, Tuesday with what goes wrong, Wednesday with the keyboard alone, Thursday without a script,
Friday with the filled spreadsheet and the page of the week. Every page is looked at by axe, at four sizes of the
screen, of which the smallest is 1280 by 1024 at 400% zoom; and nothing is asked of another host.
"""

import datetime
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import openpyxl
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect
from tests.service.process import Running, running

from dnapredict.service.auth import api_keys
from dnapredict.service.auth.staff import StaffRole
from dnapredict.worklist.files.calls_sheet import APPOINTMENT, HAPPENED

SIZES: Final = ((1280, 800), (640, 800), (390, 844), (320, 256))
TODAY: Final = datetime.datetime.now(datetime.UTC).date()
NEXT_MONDAY: Final = TODAY + datetime.timedelta(days=14 - TODAY.weekday())
TITLES: Final = (["Outpatient clinics, all sites"], ["Report of this morning"], [])
# Names of columns as a hospital writes them, and two columns without a name.
HEADER: Final = (
    *("Appointment No", "Hospital Number", "Patient Name", None, "Date of Birth", "Mobile No", "Home Phone"),
    *("Appt Date", "Appt Time", "Date Booked", "Clinic Code", None, "Age", "Interpreter Req", "Language"),
)


def patient(n: int) -> list[object]:
    """A row of the hospital's export: dates as text, and telephone numbers that a spreadsheet took for amounts."""
    day = NEXT_MONDAY + datetime.timedelta(days=n % 5)
    speaks_polish = n % 10 == 1
    return [
        *(f"A{n:04d}", f"H{n:06d}", f"Sample{n}, Alex", None, "09/03/1950", 7700900000 + n, "1.63296E+09"),
        *(f"{day:%d/%m/%Y}", f"{9 + n % 8:02d}:30", "01/09/2026", ("ENT1", "EYE2")[n % 2], None, 99 - n % 60),
        *("Y" if speaks_polish else "N", "Polish" if speaks_polish else None),
    ]


def export(place: Path, numbers: Iterable[int]) -> Path:
    book = openpyxl.Workbook()
    for row in (*TITLES, HEADER, *map(patient, numbers)):
        book.active.append(row)
    book.save(place)
    return place


@dataclass
class Clerk:
    """A person at a browser, with the key that signs them in."""

    page: Page
    key: str
    asked: list[str] = field(default_factory=list)

    def signs_in(self) -> None:
        self.page.get_by_label("Your key").fill(self.key)
        self.page.get_by_role("button", name="Sign in").click()

    def presses(self, words: str) -> None:
        self.page.get_by_role("button", name=words).click()

    def uploads(self, place: Path) -> None:
        self.page.get_by_role("link", name="Score a list").click()
        self.page.get_by_label("A list of appointments").set_input_files(place)
        self.presses("Score this list")

    def is_told(self, words: str) -> None:
        expect(self.page.get_by_role("status").first).to_contain_text(words)

    def speaks_to(self) -> str:
        """The patient on the screen."""
        return self.page.locator("h2#who").inner_text()

    def looks(self) -> None:
        """At every size nothing is wider than the screen; axe finds nothing on the widest and the narrowest."""
        for width, height in SIZES:
            self.page.set_viewport_size({"width": width, "height": height})
            assert self.page.evaluate("document.documentElement.scrollWidth") <= width, (self.page.title(), width)
            if width in (SIZES[0][0], SIZES[-1][0]):
                found = Axe().run(self.page)
                assert found.violations_count == 0, found.generate_report()
        self.page.set_viewport_size({"width": SIZES[0][0], "height": SIZES[0][1]})


@dataclass
class Desk:
    """The service, and the two who work with it."""

    browser: Browser
    service: Running
    ada_key: str
    ben_key: str

    def clerk(self, key: str, *, script: bool = True) -> Clerk:
        context = self.browser.new_context(
            base_url=self.service.address,
            java_script_enabled=script,
            viewport={"width": SIZES[0][0], "height": SIZES[0][1]},
        )
        clerk = Clerk(context.new_page(), key)
        clerk.page.on("request", lambda request: clerk.asked.append(request.url))
        clerk.page.goto("/")
        clerk.signs_in()
        return clerk


@pytest.fixture
def desk(browser: Browser, tmp_path: Path) -> Iterator[Desk]:
    home = tmp_path / "home"
    ada = api_keys.create_personal(home, name="Ada Okafor", team="North", role=StaffRole.CLERK)
    ben = api_keys.create_personal(home, name="Ben Ali", team="North", role=StaffRole.TEAM_LEAD)
    expect.set_options(timeout=20_000)  # on a machine that others keep busy
    with running(home) as service:
        yield Desk(browser, service, ada.token, ben.token)
    expect.set_options(timeout=5_000)


def test_a_week_at_the_call_desk(desk: Desk, tmp_path: Path) -> None:
    ada = desk.clerk(desk.ada_key)
    opted_out = monday_with_a_mouse(ada, export(tmp_path / "monday.xlsx", range(1, 201)))
    ben = desk.clerk(desk.ben_key)
    tuesday_with_what_goes_wrong(ada, ben, desk)
    wednesday_with_the_keyboard(ada, export(tmp_path / "wednesday.xlsx", (1, *range(4, 206))), opted_out)
    thursday_without_a_script(desk)
    friday(ben, tmp_path)
    for clerk in (ada, ben):
        assert all(url.startswith(desk.service.address) for url in clerk.asked)
        assert "Sample" not in "".join(clerk.asked)


def monday_with_a_mouse(ada: Clerk, export_of_monday: Path) -> str:
    """Upload, say what the columns mean, make five calls; who does not wish to be called."""
    page = ada.page
    ada.looks()
    ada.uploads(export_of_monday)
    expect(page.get_by_role("heading", level=1)).to_contain_text("What do your columns mean?")
    expect(page.get_by_label("Your Appointment No is")).to_have_value("appointment_id")
    assert "column_" not in page.locator("main").inner_text()  # the two columns that hold nothing
    ada.looks()
    ada.presses("This is right: score the list")
    expect(page.get_by_role("heading", level=1)).to_contain_text("20 calls to make")
    ada.looks()
    ada.presses("Start calling")
    first = ada.speaks_to()
    assert re.fullmatch(r"Alex Sample\d+", first)
    expect(page.get_by_text(f"May I speak to {first}?")).to_be_visible()
    expect(page.locator("a[href^='tel:07700900']")).to_have_count(1)
    expect(page.get_by_text("a spreadsheet has cut off this number")).to_be_visible()
    ada.looks()
    page.get_by_label("Note for the team").fill("Daughter answers after 4 pm")
    ada.presses("No answer")
    ada.is_told(f"Recorded for {first}: No answer.")
    ada.looks()
    ada.presses("Wrong number")
    ada.is_told("Wrong number")
    ada.presses("Call back later")
    expect(page.get_by_role("alert")).to_contain_text("Give a day and a time for the call back")
    page.get_by_label("Call back at").fill(f"{TODAY + datetime.timedelta(days=1)}T10:30")
    ada.presses("Call back later")
    ada.is_told("Call back later on")
    opted_out = ada.speaks_to()
    ada.presses("Does not wish to be called")
    ada.is_told(f"Recorded for {opted_out}: Does not wish to be called.")
    page.get_by_role("radio", name="Work").check()
    page.get_by_role("button", name="Confirmed").dblclick()
    ada.is_told("Confirmed")
    expect(page.get_by_role("heading", level=1)).to_contain_text("17 calls left")
    return opted_out


def tuesday_with_what_goes_wrong(ada: Clerk, ben: Clerk, desk: Desk) -> None:
    """Two clerks on one line, the Back button, a restart between two clicks, and a session that ends in a form."""
    patient_of_both = ada.speaks_to()
    ben.page.goto(ada.page.url.split("?")[0])
    expect(ben.page.get_by_role("heading", name="Ada Okafor is calling")).to_be_visible()
    ben.looks()
    ben.page.get_by_label("Note for the team").fill("Moved house")
    ada.presses("Transport arranged")
    ben.presses("No answer")
    expect(ben.page.get_by_role("heading", level=1)).to_contain_text("Ada Okafor recorded ‘Transport arranged’")
    ben.looks()
    ben.presses("Leave ‘Transport arranged’ and keep my note")
    assert ben.speaks_to() == patient_of_both
    expect(ben.page.get_by_label("Note for the team")).to_have_value("Moved house")
    ada.page.go_back()
    expect(ada.page.get_by_role("button", name="Take back ‘Transport arranged’")).to_be_visible()
    ada.page.go_forward()

    desk.service.kill_workers()
    ada.presses("Message left")
    ada.is_told("Message left")

    late = ada.speaks_to()
    ada.page.get_by_label("Note for the team").fill("Sister's number is on the letter")
    ada.page.get_by_role("radio", name="Cost", exact=True).check()
    ada.page.context.clear_cookies()
    ada.presses("Rebooked")
    expect(ada.page.locator("main")).to_contain_text("Nothing that you typed is lost")
    ada.looks()
    ada.signs_in()
    for words in ("Rebooked", "Cost", "Sister's number is on the letter"):
        expect(ada.page.locator("main dl")).to_contain_text(words)
    ada.looks()
    ada.presses("Send it as Ada Okafor")
    ada.is_told(f"Recorded for {late}: Rebooked.")


def wednesday_with_the_keyboard(ada: Clerk, export_of_wednesday: Path, opted_out: str) -> None:
    """The same clinics exported again with rows fewer and more: nothing is asked again, and nothing is forgotten."""
    page = ada.page
    _press(page, "Score a list")
    page.wait_for_url("**/upload")
    with page.expect_file_chooser() as chooser:
        _press(page, "A list of appointments")
    chooser.value.set_files(export_of_wednesday)
    _press(page, "Score this list")
    page.wait_for_url("**/lists/*")
    expect(page.get_by_role("heading", level=1)).to_contain_text("wednesday.xlsx")
    expect(page.get_by_text("5 appointments are new and 2 appointments are no longer on this list.")).to_be_visible()
    ada.looks()
    _press(page, "Start calling")
    page.wait_for_url("**/call/*")
    page.wait_for_load_state()
    name = ada.speaks_to()
    assert name != opted_out
    _press(page, "Confirmed")
    ada.is_told(f"Recorded for {name}: Confirmed.")
    page.get_by_label("Find by number or name").focus()
    page.keyboard.type(opted_out.split()[-1])
    page.keyboard.press("Enter")
    page.locator("main").get_by_role("link", name=opted_out, exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Do not call.")).to_be_visible()
    ada.looks()


def _press(page: Page, words: str) -> None:
    """Press Tab until something with this name has the focus, then Enter."""
    for _ in range(120):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            "(e => e.innerText || (e.labels && e.labels[0] && e.labels[0].innerText) || e.value || '')"
            "(document.activeElement)"
        )
        if str(focused).strip() == words:
            page.keyboard.press("Enter")
            return
    raise AssertionError(f"the keyboard does not reach {words!r}")


def thursday_without_a_script(desk: Desk) -> None:
    """Record a call, hand the rest of a clinic over, and print the call sheet."""
    ada = desk.clerk(desk.ada_key, script=False)
    ada.presses("Start calling")
    name = ada.speaks_to()
    ada.presses("Interpreter arranged")
    ada.is_told(f"Recorded for {name}: Interpreter arranged.")
    ada.page.get_by_role("link", name="The whole list").click()
    ada.page.get_by_label("Clinic").select_option("ENT1")
    ada.page.get_by_role("button", name="Show", exact=True).click()
    ada.page.get_by_label("over to").fill("Ben Ali")
    ada.presses("Hand over")
    expect(ada.page.get_by_text("For Ben Ali").first).to_be_visible()
    ada.page.get_by_role("link", name="Print a call sheet").click()
    expect(ada.page.get_by_role("heading", level=1)).to_contain_text("Call sheet: wednesday.xlsx")
    assert re.search(r"Alex Sample\d+", ada.page.locator("#sheet").inner_text())
    ada.page.context.close()


def friday(ben: Clerk, tmp_path: Path) -> None:
    """Take the workbook, fill it in, give it back; see what the calls of the week led to."""
    page = ben.page
    page.goto("/")
    with page.expect_download() as taken:
        page.get_by_role("link", name="a spreadsheet (XLSX)").click()
    filled = tmp_path / "filled.xlsx"
    appointment = _fill_in(Path(taken.value.path()), filled)
    page.get_by_role("link", name="give the filled spreadsheet back").click()
    page.get_by_label("The filled spreadsheet").set_input_files(filled)
    ben.presses("Record what is filled in")
    ben.is_told("1 outcome was recorded.")
    ben.looks()
    page.get_by_text("that counts").or_(page.get_by_text("that count")).first.click()
    expect(page.locator("main")).to_contain_text(appointment)
    page.get_by_role("link", name="The week").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("What the calls led to")
    assert "Sample" not in page.locator("main").inner_text()
    ben.looks()
    page.get_by_role("link", name="Recent lists").click()
    expect(page.locator("main")).to_contain_text("(replaced by a later export)")
    ben.looks()


def _fill_in(taken: Path, filled: Path) -> str:
    """Put an outcome beside the first call without one; the number of its appointment."""
    book = openpyxl.load_workbook(io.BytesIO(taken.read_bytes()))
    calls = book["Calls"]
    columns = {cell.value: cell.column for cell in calls[1]}
    for row in range(2, calls.max_row + 1):
        cell = calls.cell(row, columns[HAPPENED])
        if not cell.value:
            cell.value = "Contact details put right"
            book.save(filled)
            return str(calls.cell(row, columns[APPOINTMENT]).value)
    raise AssertionError(f"every call has an outcome: {[cell.value for cell in calls[2]]}")

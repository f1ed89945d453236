"""What interrupts two booking clerks at the call desk, in a real browser.

An export with its own columns is uploaded and called; then a colleague is on the same line, a clerk goes back, the
service restarts between two clicks, and a session ends while a form is filled in. The pages of an ordinary week, at
every size of the screen, are in `test_clerk_week_by_mode`; here are those that only an interruption shows.
"""

import datetime
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

    def clerk(self, key: str) -> Clerk:
        size = {"width": SIZES[0][0], "height": SIZES[0][1]}
        context = self.browser.new_context(base_url=self.service.address, viewport=size)
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


def test_calls_survive_what_interrupts_them(desk: Desk, tmp_path: Path) -> None:
    ada = desk.clerk(desk.ada_key)
    calls_from_an_export(ada, export(tmp_path / "monday.xlsx", range(1, 201)))
    ben = desk.clerk(desk.ben_key)
    two_clerks_and_the_back_button(ada, ben)
    desk.service.kill_workers()
    ada.presses("Message left")
    ada.is_told("Message left")
    a_session_that_ends_in_a_form(ada)
    for clerk in (ada, ben):
        assert all(url.startswith(desk.service.address) for url in clerk.asked)
        assert "Sample" not in "".join(clerk.asked)


def calls_from_an_export(ada: Clerk, exported: Path) -> None:
    """Upload, say what the columns mean, make calls; the last with a double click, which records it once."""
    page = ada.page
    ada.uploads(exported)
    expect(page.get_by_role("heading", level=1)).to_contain_text("What do your columns mean?")
    expect(page.get_by_label("Your Appointment No is")).to_have_value("appointment_id")
    assert "column_" not in page.locator("main").inner_text()  # the two columns that hold nothing
    ada.presses("This is right: score the list")
    expect(page.get_by_role("heading", level=1)).to_contain_text("20 calls to make")
    ada.presses("Start calling")
    first = ada.speaks_to()
    assert re.fullmatch(r"Alex Sample\d+", first)
    expect(page.get_by_text(f"May I speak to {first}?")).to_be_visible()
    expect(page.locator("a[href^='tel:07700900']")).to_have_count(1)
    expect(page.get_by_text("a spreadsheet has cut off this number")).to_be_visible()
    ada.looks()
    ada.presses("Wrong number")
    ada.is_told("Wrong number")
    opted_out = ada.speaks_to()
    ada.presses("Does not wish to be called")
    ada.is_told(f"Recorded for {opted_out}: Does not wish to be called.")
    page.get_by_role("radio", name="Work").check()
    page.get_by_role("button", name="Confirmed").dblclick()
    ada.is_told("Confirmed")
    expect(page.get_by_role("heading", level=1)).to_contain_text("17 calls left")


def two_clerks_and_the_back_button(ada: Clerk, ben: Clerk) -> None:
    """Who records second is asked first; Back offers to take back what was recorded."""
    patient_of_both = ada.speaks_to()
    ben.page.goto(ada.page.url.split("?")[0])
    expect(ben.page.get_by_role("heading", name="Ada Okafor is calling")).to_be_visible()
    ben.page.get_by_label("Note for the team").fill("Moved house")
    ada.presses("Transport arranged")
    ben.presses("No answer")
    expect(ben.page.get_by_role("heading", level=1)).to_contain_text("Ada Okafor recorded ‘Transport arranged’")
    ben.presses("Leave ‘Transport arranged’ and keep my note")
    assert ben.speaks_to() == patient_of_both
    expect(ben.page.get_by_label("Note for the team")).to_have_value("Moved house")
    ada.page.go_back()
    expect(ada.page.get_by_role("button", name="Take back ‘Transport arranged’")).to_be_visible()
    ada.page.go_forward()


def a_session_that_ends_in_a_form(ada: Clerk) -> None:
    """Nothing that was typed is lost: after the sign-in it is shown, and sent with one click."""
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

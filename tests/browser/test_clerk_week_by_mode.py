"""The week of two booking clerks, in each way in which people use a page.

The same steps with a mouse, with the keyboard alone, without a script, on narrow screens and at 400% zoom (which makes
a screen of 1280 by 1024 one of 320 by 256). The hospital's export has a sheet of notes before it, titles and merged
cells above the names of its columns, dates as text, a total below, and names of columns that no other test uses. Each
way of working has a team of its own, so that all of them share one service.
"""

import datetime
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Final

import openpyxl
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect
from tests.browser.number_columns import misaligned_headings
from tests.service.process import ONE_WORKER, Running, running

from dnapredict.service.auth import api_keys
from dnapredict.service.auth.staff import StaffRole
from dnapredict.worklist.files.calls_sheet import APPOINTMENT, HAPPENED

# Each way of working: the screen, whether scripts run, and whether there is only the keyboard.
MODES: Final = """
    mode          | width | height | script | keyboard
    mouse         | 1280  | 800    | yes    | no
    keyboard      | 1280  | 800    | yes    | yes
    no script     | 1280  | 800    | no     | no
    half a screen | 640   | 800    | yes    | no
    telephone     | 390   | 844    | yes    | no
    400% zoom     | 320   | 256    | yes    | yes
"""
TODAY: Final = datetime.datetime.now(datetime.UTC).date()
NEXT_MONDAY: Final = TODAY + datetime.timedelta(days=14 - TODAY.weekday())
HEADER: Final = (
    *("Booking Ref", "MRN", "Forename", "Surname", "D.O.B.", "Tel (M)", "Tel (H)", "Clinic date", "Start"),
    *("Date added", "Clinic", "Interp?", "Lang", "Transport", "Remarks"),
)
# What the page takes some of them for, without being told.
MEANINGS: Final = {
    "Booking Ref": "the appointment number",
    "Forename": "the patient's first name",
    "D.O.B.": "the date of birth",
    "Tel (M)": "the mobile number",
    "Tel (H)": "the home telephone number",
    "Start": "the time of day at which it starts",
    "Date added": "when the appointment was booked",
    "Interp?": "whether an interpreter is needed",
    "Lang": "the language",
    "Remarks": "not used",
}
# Above the names of the columns, each over several of them.
GROUPS: Final = {"B4:G4": "Patient", "H4:K4": "Appointment", "L4:N4": "Needs"}
MOST_STEPS: Final = 400
# At least so many presses of Tab lead from the focus to an element, so that the page is asked about the focus after
# them and not after each. A group of radio buttons and a region that scrolls are stops that this does not count.
STOPS_BEFORE: Final = """wanted => {
  const from = document.activeElement;
  if (from === wanted || from === document.body && location.hash) return 0;
  const comes = (each, other) => other.compareDocumentPosition(each) & Node.DOCUMENT_POSITION_FOLLOWING;
  const follows = each => from === document.body || comes(each, from);
  const stops = [...document.querySelectorAll("a[href], button, input:not([type=radio]), select, textarea, summary")]
    .filter(each => each.tabIndex >= 0 && !each.disabled && each.type !== "hidden" && each.checkVisibility());
  // An element before the focus is reached by way of the end of the page.
  const isAhead = follows(wanted);
  const [after, before] = [stops.filter(follows), stops.filter(each => comes(wanted, each))];
  return isAhead ? after.filter(each => before.includes(each)).length : after.length + before.length;
}"""
WIDE: Final = 1_280
PATIENTLY: Final = 120_000  # milliseconds that a machine may need that others keep busy


def patient(n: int, *, team: int, days_later: int = 0) -> list[object]:
    """A row of a team's export: the oldest are called first, and those are the ones with low numbers."""
    day = NEXT_MONDAY + datetime.timedelta(days=n % 5 + days_later)
    added = day - datetime.timedelta(days=30 + n % 90)
    return [
        *(
            f"BR{team}/{n:05d}",
            f"M{team}{n:06d}",
            f"Alex{n:03d}",
            f"O'Sample-{n:03d}",
            f"7-Mar-{TODAY.year - 99 + (n - 1) % 95}",
        ),
        *(None if n % 7 == 0 else f"07700 900{n % 1000:03d}", f"(01632) 960{n % 1000:03d}"),
        *(f"{day:%a %d-%b-%Y}", f"{9 + n % 8}.{(30, 5)[n % 2]:02d}", f"{added:%d %B %Y}", ("ENT-A", "Eye (2)")[n % 2]),
        *("Yes" if n % 10 == 1 else "No", "Polish" if n % 10 == 1 else None),
        *("Booked" if n % 20 == 3 else None, "Rings after 4" if n == 9 else None),
    ]


def export(path: Path, rows: Iterable[list[object]]) -> Path:
    """The workbook as the hospital's system writes it."""
    book, patients = openpyxl.Workbook(), list(rows)
    book.active.title = "Read me"
    book.active["A1"] = "Run by Information Services. Do not edit."
    sheet = book.create_sheet("Clinics wk")
    sheet["A1"], sheet["A2"] = "Outpatient clinics – next week", f"Printed {TODAY:%d/%m/%Y} 07:12"
    for cells, words in GROUPS.items():
        sheet[cells.split(":")[0]] = words
        sheet.merge_cells(cells)
    sheet.merge_cells("A1:H1")
    for number, cells in enumerate((list(HEADER), *patients, [], ["Total", len(patients)]), start=5):
        for column, value in enumerate(cells, start=1):
            sheet.cell(number, column, value)
    hidden = book.create_sheet("lookup")
    hidden.append(["code", "text"])
    hidden.sheet_state = "hidden"
    book.save(path)
    return path


@dataclass
class Clerk:
    """A person at a browser, who works in one way."""

    page: Page
    key: str
    script: bool
    keyboard: bool
    asked: list[str] = field(default_factory=list)

    def reach(self, wanted: Locator) -> None:
        """Press Tab until the focus is there, and see that it can be seen."""
        expect(wanted).to_be_visible()
        for _ in range(wanted.evaluate(STOPS_BEFORE)):
            self.page.keyboard.press("Tab")
        for _ in range(MOST_STEPS):
            if wanted.evaluate("each => each === document.activeElement"):
                box = wanted.bounding_box()
                assert box is not None
                assert box["width"] > 1
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"the keyboard does not reach {wanted}")

    def press(self, wanted: Locator) -> None:
        if not self.keyboard:
            wanted.click()
            return
        self.reach(wanted)
        self.page.keyboard.press("Enter")

    def button(self, words: str) -> None:
        self.press(self.page.get_by_role("button", name=words, exact=True).first)

    def link(self, words: str) -> None:
        self.press(self.page.get_by_role("link", name=words, exact=True).first)

    def fill(self, label: str, text: str) -> None:
        wanted = self.page.get_by_label(label, exact=True)
        if not self.keyboard:
            wanted.fill(text)
            return
        self.reach(wanted)
        self.page.keyboard.press("Control+a")
        self.page.keyboard.type(text)

    def choose(self, wanted: Locator, words: str) -> None:
        if not self.keyboard:
            wanted.select_option(label=words)
            return
        self.reach(wanted)
        self.page.keyboard.type(words)
        expect(wanted.locator("option:checked")).to_have_text(words)

    def tick(self, words: str) -> None:
        wanted = self.page.get_by_role("radio", name=words, exact=True)
        if not self.keyboard:
            wanted.check()
            return
        self.reach(self.page.locator(f"input[type=radio][name={wanted.get_attribute('name')}]").first)
        for _ in range(20):
            if wanted.is_checked():
                return
            self.page.keyboard.press("ArrowRight")
        raise AssertionError(f"the arrow keys do not reach {words}")

    def give(self, label: str, path: Path) -> None:
        wanted = self.page.get_by_label(label)
        if not self.keyboard:
            wanted.set_input_files(path)
            return
        with self.page.expect_file_chooser() as chooser:
            self.press(wanted)
        chooser.value.set_files(path)

    def sign_in(self) -> None:
        self.fill("Your key", self.key)
        self.button("Sign in")
        expect(self.page.get_by_role("button", name="Sign out")).to_be_visible()

    def upload(self, path: Path) -> None:
        self.link("Score a list")
        self.give("A list of appointments", path)
        self.button("Score this list")

    def who(self) -> str:
        """The patient on the screen."""
        return self.page.locator("h2#who").inner_text()

    def says(self, *words: str) -> None:
        for each in words:
            expect(self.page.locator("main")).to_contain_text(each)

    def find(self, words: str) -> None:
        """Search for a patient, and open what is found."""
        self.fill("Find by number or name", words)
        self.button("Find")
        self.says("1 patient found")
        self.press(self.page.locator("main table").get_by_role("link").first)

    def look(self, name: str, *, is_new: bool = True) -> None:
        """Nothing is wider than the screen, and axe, which is a script on the page, finds no fault.

        axe looks at a page that `is_new`: not at one with the same parts as an earlier one of the week.
        """
        width = self.page.viewport_size["width"] if self.page.viewport_size else 0
        if self.script:  # without scripts nothing can be asked of the page
            assert self.page.evaluate("document.documentElement.scrollWidth") <= width, name
            assert misaligned_headings(self.page) == [], name
            if is_new and (not self.keyboard or width < WIDE):  # on a wide screen axe sees the same pages with a mouse
                found = Axe().run(self.page)
                assert found.violations_count == 0, (name, found.generate_report())
        else:
            assert self.page.locator("main").bounding_box()["width"] <= width, name


@dataclass(frozen=True)
class Desk:
    """The service, and a browser."""

    browser: Browser
    service: Running
    keys: Mapping[tuple[str, str], str]

    def clerk(self, mode: Mapping[str, str], name: str) -> Clerk:
        """Who signs in at this desk, and works in this way."""
        context = self.browser.new_context(
            base_url=self.service.address,
            java_script_enabled=mode["script"] == "yes",
            viewport={"width": int(mode["width"]), "height": int(mode["height"])},
        )
        context.set_default_timeout(PATIENTLY)
        clerk = Clerk(
            context.new_page(),
            self.keys[mode["mode"], name],
            script=mode["script"] == "yes",
            keyboard=mode["keyboard"] == "yes",
        )
        clerk.page.on("request", lambda request: clerk.asked.append(request.url))
        clerk.page.goto("/")
        clerk.sign_in()
        return clerk


def modes() -> list[Mapping[str, str]]:
    head, *lines = ([cell.strip() for cell in line.split("|")] for line in MODES.strip("\n").splitlines())
    return [dict(zip(head, line, strict=True)) for line in lines]


NAMES: Final = MappingProxyType({"Ada Okafor": StaffRole.CLERK, "Ben Ali": StaffRole.TEAM_LEAD})


@pytest.fixture(scope="module")
def desk(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    home = tmp_path_factory.mktemp("home")
    keys = {
        (mode["mode"], name): api_keys.create_personal(home, name=name, team=mode["mode"], role=role).token
        for mode in modes()
        for name, role in NAMES.items()
    }
    expect.set_options(timeout=PATIENTLY)
    # A request that waits for the processor is not too long a request.
    with running(home, settings=ONE_WORKER + "[limits]\nseconds_to_answer = 600\n") as service:
        yield Desk(browser, service, keys)
    expect.set_options(timeout=5_000)


# The other modes of one step each: test_page_journey (without JavaScript, by keyboard, at every width), test_call_mode.
@pytest.mark.cases(1)
@pytest.mark.parametrize("mode", modes(), ids=lambda mode: mode["mode"])
def test_a_week_of_calls(desk: Desk, tmp_path: Path, mode: Mapping[str, str]) -> None:
    ada, ben = desk.clerk(mode, "Ada Okafor"), desk.clerk(mode, "Ben Ali")
    # Each team has patients of its own: what is recorded about an appointment counts on the lists of every team.
    of_team = partial(patient, team=modes().index(mode))
    opted_out, unanswered = monday(ada, export(tmp_path / "monday.xlsx", map(of_team, range(1, 161))))
    tuesday(ada, ben, opted_out)
    later = [of_team(n) for n in (*range(12, 18), *range(1, 11), *range(18, 166))]  # 11 is gone, and rows have moved
    later[6] = of_team(1, days_later=1)  # an appointment that was moved by a day
    wednesday(ada, export(tmp_path / "wednesday.xlsx", later), opted_out, unanswered)
    thursday(ada, ben)
    friday(ben, tmp_path)
    for clerk in (ada, ben):
        assert all(url.startswith(desk.service.address) for url in clerk.asked)
        assert not re.search(r"Sample|BR\d|07700", "".join(clerk.asked))
        clerk.page.context.close()


def monday(ada: Clerk, path: Path) -> tuple[str, str]:
    """Upload the export, say what its columns mean, make calls. Who opted out, and who did not answer."""
    page = ada.page
    ada.look("1 nothing scored yet")
    ada.upload(path)
    expect(page.get_by_role("heading", level=1)).to_contain_text("What do your columns mean?")
    for column, meaning in MEANINGS.items():
        expect(page.get_by_label(f"Your {column} is").locator("option:checked")).to_have_text(meaning)
    ada.look("2 columns")
    ada.button("This is right: score the list")
    expect(page.get_by_role("heading", level=1)).to_contain_text("16 calls to make")
    ada.look("3 list")
    ada.press(page.get_by_role("button", name="Start calling"))
    assert ada.who() == "Alex001 O'Sample-001"
    ada.says(
        "Interpreter",
        "Polish",
        f"{NEXT_MONDAY + datetime.timedelta(days=1):%A}",
        "10:05",
        f"Born 7 March {TODAY.year - 99}",
    )
    expect(page.locator("a[href='tel:07700900001']")).to_be_visible()
    ada.look("4 call")
    unanswered = ada.who()
    ada.fill("Note for the team", "Daughter answers after 4 pm")
    ada.button("No answer")
    ada.says(f"Recorded for {unanswered}: No answer.")
    ada.look("5 no answer")
    wrong = ada.who()
    ada.button("Wrong number")
    ada.says(f"Recorded for {wrong}: Wrong number.")
    ada.button("Call back later")
    ada.says("Give a day and a time for the call back")
    ada.look("6 call back without a time")
    call_back_at(ada, datetime.datetime.combine(TODAY + datetime.timedelta(days=1), datetime.time(10, 30)))
    back = ada.who()
    ada.button("Call back later")
    ada.says(f"Recorded for {back}: Call back later on")
    opted_out = ada.who()
    ada.button("Does not wish to be called")
    ada.says(f"Recorded for {opted_out}: Does not wish to be called.")
    ada.tick("Work")
    confirmed = ada.who()
    ada.button("Confirmed")
    ada.says(f"Recorded for {confirmed}: Confirmed.")
    ada.look("7 after five calls", is_new=False)
    return opted_out, unanswered


def call_back_at(clerk: Clerk, moment: datetime.datetime) -> None:
    """Fill in when to call back: with the keyboard one part after the other, as the browser's field is made."""
    wanted = clerk.page.get_by_label("Call back at")
    if not clerk.keyboard:
        wanted.fill(f"{moment:%Y-%m-%dT%H:%M}")
        return
    clerk.reach(wanted)
    clerk.page.keyboard.type(f"{moment:%m%d%Y}")
    clerk.page.keyboard.press("Tab")
    clerk.page.keyboard.type(f"{moment:%I%M%p}")
    expect(wanted).to_have_value(f"{moment:%Y-%m-%dT%H:%M}")


def tuesday(ada: Clerk, ben: Clerk, opted_out: str) -> None:
    """Two clerks on one patient; an opt-out that is withdrawn and recorded again."""
    both = ada.who()
    ben.page.goto(ada.page.url.split("?")[0])
    ben.says("Ada Okafor is calling")
    ben.look("8 a colleague is calling")
    ada.button("Transport arranged")
    ada.says(f"Recorded for {both}: Transport arranged.")
    ben.fill("Note for the team", "Moved house")
    ben.button("No answer")
    ben.says("Ada Okafor recorded ‘Transport arranged’", "is not recorded yet")
    ben.look("9 a colleague has recorded")
    ben.button("Leave ‘Transport arranged’ and keep my note")
    assert ben.who() == both

    ben.find(opted_out)
    ben.says("Do not call.")
    expect(ben.page.locator("main a[href^='tel:']")).to_have_count(0)
    ben.look("10 opted out")
    ben.button("Wishes to be called again")
    ben.says(f"Recorded for {opted_out}: Wishes to be called again.")
    ben.find(opted_out)
    assert ben.page.locator("main").inner_text().count("Do not call.") == 0
    expect(ben.page.locator("main a[href^='tel:']").first).to_be_visible()
    ben.look("11 opt-out withdrawn", is_new=False)
    ben.button("Does not wish to be called")
    ben.says(f"Recorded for {opted_out}: Does not wish to be called.")


def wednesday(ada: Clerk, path: Path, opted_out: str, unanswered: str) -> None:
    """The clinics exported again: one row fewer, rows in another order, one appointment moved, and five new ones."""
    page = ada.page
    ada.upload(path)
    expect(page.get_by_role("heading", level=1)).to_contain_text("wednesday.xlsx")
    ada.says("5 appointments are new and 1 appointment is no longer on this list.")
    ada.look("12 exported again")
    ada.find(unanswered)
    assert ada.who() == unanswered
    ada.says("No answer", "Ada Okafor", f"{NEXT_MONDAY + datetime.timedelta(days=2):%A}")
    expect(page.get_by_label("Note for the team")).to_have_value("Daughter answers after 4 pm")
    ada.look("13 its history and its new day")
    ada.find(opted_out)
    ada.says("Do not call.")
    ada.link("The whole list")
    ada.press(page.get_by_role("button", name="Start calling"))
    assert ada.who() not in (opted_out, unanswered)


def thursday(ada: Clerk, ben: Clerk) -> None:
    """Hand a clinic over to a colleague, and print what is left."""
    page = ada.page
    ada.link("The whole list")
    ada.choose(page.get_by_label("Clinic", exact=True), "ENT-A")
    ada.button("Show")
    expect(page).to_have_url(re.compile("clinic=ENT-A"))  # a key does not wait for the next page
    ada.fill(page.locator("label[for=colleague]").inner_text(), "Ben Ali")
    ada.button("Hand over")
    ada.says("For Ben Ali")
    ada.look("14 handed over")
    ben.page.goto("/")
    ben.press(ben.page.get_by_role("button", name="Start calling"))
    ben.says("ENT-A")
    ben.look("15 the colleague's call", is_new=False)
    ada.link("Print a call sheet")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Call sheet: wednesday.xlsx")
    assert re.search(r"Alex\d+ O'Sample-\d+", page.locator("#sheet").inner_text())
    ada.look("16 call sheet")


def friday(ben: Clerk, tmp_path: Path) -> None:
    """Fill in the workbook as people do, give it back; see the week."""
    page = ben.page
    ben.link("The whole list")
    with page.expect_download() as taken:
        ben.link("a spreadsheet (XLSX)")
    assert taken.value.suggested_filename.startswith("wednesday")
    filled = tmp_path / "filled.xlsx"
    appointment = fill_in(Path(taken.value.path()), filled)
    ben.link("give the filled spreadsheet back")
    expect(page.get_by_label("The filled spreadsheet")).to_be_visible()  # a key does not wait for the next page
    ben.look("17 give back")
    ben.give("The filled spreadsheet", filled)
    ben.button("Record what is filled in")
    ben.says("1 outcome was recorded.", "2 rows need a look.", "Not on this list", "Not one of the outcomes")
    ben.look("18 given back")
    ben.press(page.locator("summary").filter(has_text=re.compile("that counts?")))
    ben.says(appointment)
    ben.link("The week")
    expect(page.get_by_role("heading", level=1)).to_contain_text("What the calls led to")
    assert "Sample" not in page.locator("main").inner_text()
    ben.look("19 the week")
    ben.link("Recent lists")
    ben.says("wednesday.xlsx", "(replaced by a later export)")
    ben.look("20 recent lists")


def fill_in(taken: Path, filled: Path) -> str:
    """Sort the calls the other way round, fill in one, mistype one, and add the row of another list."""
    book = openpyxl.load_workbook(io.BytesIO(taken.read_bytes()))
    calls = book["Calls"]
    columns = {str(cell.value): index for index, cell in enumerate(calls[1])}
    rows = [[cell.value for cell in row] for row in calls.iter_rows(min_row=2)]
    rows = [row for row in reversed(rows) if row[columns[APPOINTMENT]]]
    free = [row for row in rows if not row[columns[HAPPENED]]]
    free[0][columns[HAPPENED]] = "Contact details put right"
    free[1][columns[HAPPENED]] = "confirmd"
    foreign = [None] * len(columns)
    foreign[columns[APPOINTMENT]], foreign[columns[HAPPENED]] = "X-99", "Confirmed"
    for number, row in enumerate((*rows, foreign), start=2):
        for column, value in enumerate(row, start=1):
            calls.cell(number, column, value)
    book.save(filled)
    return str(free[0][columns[APPOINTMENT]])

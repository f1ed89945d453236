"""Call mode in a real browser: with the keyboard alone, without a script, on a telephone, and for axe."""

import datetime
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect
from tests.browser.worklists import worklist
from tests.service.process import ONE_WORKER, Running, running

from dnapredict.worklist.files import contact_details, latest_list, list_store
from dnapredict.worklist.files.contact_table import ContactDetails
from dnapredict.worklist.files.kept_list import KeptList

PEOPLE = (
    ("Marguerite Fenwick-Okonkwo", datetime.date(1957, 3, 12), ("07700 900123", "0151 496 0123"), "Polish", "Mornings"),
    ("Sam Jones", datetime.date(2019, 8, 1), ("07700 900456",), None, None),
    ("Peter Ng", datetime.date(1988, 1, 30), ("0151 496 0999 ext 12",), None, None),
)
NEEDS = ("interpreter_needed transport_booked", "age_years", "")
MOST_STEPS = 60


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a list whose appointments are next week, and the contact details of three patients."""
    home, table = tmp_path_factory.mktemp("home"), worklist()
    soon = datetime.datetime.now(datetime.UTC).replace(
        tzinfo=None, hour=9, minute=20, second=0, microsecond=0
    ) + datetime.timedelta(days=7)
    columns = {
        "starts_at": pa.array([soon + datetime.timedelta(minutes=n) for n in range(table.num_rows)]),
        "needs": pa.array([NEEDS[n % 3] for n in range(table.num_rows)]),
        "treatment_function_code": pa.array(["120"] * table.num_rows),
    }
    for name, values in columns.items():
        index = table.column_names.index(name) if name in table.column_names else None
        table = table.append_column(name, values) if index is None else table.set_column(index, name, values)
    kept = KeptList.new(table, name="outpatients-week-49.xlsx", model_version="7", synthetic=True)
    list_store.keep(home, kept)
    latest_list.save_latest(home, kept)
    details = {line: ContactDetails(*person) for line, person in enumerate(PEOPLE, start=1)}
    contact_details.keep(home, kept.heading.list_id, details, soon.date() + datetime.timedelta(days=30))
    return home


@pytest.fixture(scope="module")
def desk(browser: Browser, home: Path) -> Iterator[Running]:
    assert browser.is_connected()
    with running(home, settings=ONE_WORKER) as service:
        yield service


@pytest.fixture(params=[True, False], ids=["with scripts", "without scripts"])
def clerk(request: pytest.FixtureRequest, browser: Browser, desk: Running) -> Iterator[Page]:
    context = browser.new_context(
        base_url=desk.address, viewport={"width": 1280, "height": 800}, java_script_enabled=request.param
    )
    yield context.new_page()
    context.close()


def is_in_sight(page: Page, wanted: Locator) -> bool:
    """Whether all of it can be seen without scrolling."""
    box, size = wanted.bounding_box(), page.viewport_size
    assert size is not None
    return (
        box is not None
        and box["y"] >= 0
        and box["y"] + box["height"] <= size["height"]
        and box["x"] >= 0
        and box["x"] + box["width"] <= size["width"]
    )


def undo(page: Page) -> None:
    page.get_by_role("button", name="Undo").click()


def test_a_clerk_calls_records_and_undoes_with_a_mouse(clerk: Page) -> None:
    clerk.goto("/")
    clerk.get_by_role("button", name="Start calling").click()
    expect(clerk.get_by_role("heading", level=1)).to_contain_text("12 calls left")
    expect(clerk.get_by_role("heading", level=2, name="Marguerite Fenwick-Okonkwo")).to_be_visible()
    expect(clerk.get_by_role("link", name="07700 900123")).to_have_attribute("href", "tel:07700900123")
    for words in ("Interpreter", "Transport booked", "Speaks Polish", "Ear, nose and throat, clinic ENT-1"):
        expect(clerk.get_by_role("region", name="Marguerite Fenwick-Okonkwo")).to_contain_text(words)
    clerk.get_by_role("radio", name="Caring for somebody").check()
    clerk.get_by_label("Note for the team").fill("Has a new number soon")
    clerk.get_by_role("button", name="Confirmed").click()
    expect(clerk.get_by_role("status")).to_contain_text("Recorded for Marguerite Fenwick-Okonkwo: Confirmed.")
    expect(clerk.get_by_role("heading", level=1)).to_contain_text("11 calls left")
    expect(clerk.get_by_role("heading", level=2, name="Sam Jones")).to_be_visible()
    expect(clerk.get_by_text("May I speak to the parent or carer of Sam Jones?")).to_be_visible()
    undo(clerk)
    expect(clerk.get_by_role("heading", level=2, name="Marguerite Fenwick-Okonkwo")).to_be_visible()
    expect(clerk.get_by_label("Note for the team")).to_have_value("Has a new number soon")
    expect(clerk.get_by_role("heading", level=1)).to_contain_text("12 calls left")


def focused(page: Page) -> str:
    """The words of what has the focus."""
    return str(page.evaluate("(document.activeElement.innerText || document.activeElement.value || '').trim()"))


def tab_to(page: Page, words: str) -> int:
    """Press Tab until something with these words has the focus; the number of presses."""
    for step in range(1, MOST_STEPS + 1):
        page.keyboard.press("Tab")
        if focused(page) == words:
            return step
    raise AssertionError(f"the keyboard does not reach {words!r}")


def access_key(page: Page, key: str) -> None:
    """Press Alt and a key. Playwright's own key presses have no text under Alt, by which a browser knows such keys."""
    session = page.context.new_cdp_session(page)
    pressed = {"modifiers": 1, "key": key, "windowsVirtualKeyCode": ord(key.upper()), "text": key}
    for kind in ("keyDown", "keyUp"):
        session.send("Input.dispatchKeyEvent", {"type": kind, "unmodifiedText": key, **pressed})


def test_a_clerk_works_with_the_keyboard_alone(browser: Browser, desk: Running) -> None:
    context = browser.new_context(base_url=desk.address, viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.goto("/")
    tab_to(page, "Start calling")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=2, name="Marguerite Fenwick-Okonkwo")).to_be_visible()
    order = [tab_to(page, words) for words in ("Next patient", "07700 900123")]
    assert sum(order) < 10  # from the top of the call, and not through the menu
    tab_to(page, "transport")  # the first barrier
    page.keyboard.press("ArrowRight")
    assert focused(page) == "work"
    tab_to(page, "No answer")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("No answer")
    expect(page.get_by_role("heading", level=2, name="Sam Jones")).to_be_visible()
    access_key(page, "n")
    expect(page.get_by_role("heading", level=2, name="Peter Ng")).to_be_visible()
    access_key(page, "c")
    expect(page.get_by_role("status")).to_contain_text("Recorded for Peter Ng: Confirmed.")
    access_key(page, "z")
    expect(page.get_by_role("heading", level=2, name="Peter Ng")).to_be_visible()
    page.goto(page.url.replace("/call/3", "/call/1"))
    expect(page.get_by_role("region", name="Marguerite Fenwick-Okonkwo")).to_contain_text("Barrier: work")
    page.get_by_role("button", name="Take back").click()
    context.close()


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_the_patient_and_the_number_are_in_sight_without_scrolling(clerk: Page, width: int, height: int) -> None:
    clerk.set_viewport_size({"width": width, "height": height})
    clerk.goto("/")
    clerk.get_by_role("button", name="Start calling").click()
    wanted = [clerk.get_by_role("heading", level=2).first, clerk.locator("a[href^='tel:']").first, clerk.locator("dl")]
    if width == 1280:
        wanted += clerk.locator("button[name=outcome]").all()
    for each in wanted:
        assert is_in_sight(clerk, each)


@pytest.mark.cases(2)
@pytest.mark.parametrize("width", [320, 390, 640, 1280])
def test_axe_finds_nothing_and_nothing_is_cut_off(browser: Browser, desk: Running, width: int) -> None:
    context = browser.new_context(base_url=desk.address, viewport={"width": width, "height": 800})
    page = context.new_page()
    page.goto("/")
    page.get_by_role("button", name="Start calling").click()
    looked_at = []

    def look() -> None:
        page.wait_for_load_state()
        looked_at.append(page.title().rpartition(" – ")[0])
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()

    look()
    page.get_by_role("button", name="Call back later").click()
    expect(page.get_by_role("alert")).to_contain_text("Give a day and a time")
    look()
    page.get_by_role("button", name="Message left").click()
    expect(page.get_by_role("status")).to_contain_text("Message left")
    look()
    undo(page)
    expect(page.get_by_role("status")).to_have_count(0)
    page.get_by_label("Find by number or name").fill("jones")
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("1 patient found")
    look()
    assert len(looked_at) == 4
    context.close()

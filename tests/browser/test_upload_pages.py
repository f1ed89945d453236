"""A hospital's own spreadsheet on the page: its columns, rows put right, lines handed over, at every width."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect
from tests.service.process import ONE_WORKER, Running, running

from dnapredict.service.auth import api_keys
from dnapredict.service.auth.staff import StaffRole

WIDTHS: Final = (1280, 640, 390)
HEADER: Final = "Appt ID,Surname,DOB,Mobile,Booked Date,Appt Date,Appt Time,Patient Age,Clinic Code,Ward Remark"


def line(n: int, *, day: str = "07/12/2099") -> str:
    clinic = ("ENT1", "EYE2")[n % 2]
    return f"A-{n:04d},Sample{n},01/05/1950,07700 900{n:03d},01/09/2026,{day},09:30,{20 + n % 70},{clinic},"


@pytest.fixture(scope="module")
def desk(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, dict[bool, str]]]:
    """A service, and the key of a clerk of a team that works with scripts and of one that works without."""
    assert browser.is_connected()
    home = tmp_path_factory.mktemp("home")
    keys = {}
    for script in (True, False):
        team = "North" if script else "South"
        keys[script] = api_keys.create_personal(home, name="Ada Okafor", team=team, role=StaffRole.CLERK).token
        api_keys.create_personal(home, name="Ben Ali", team=team, role=StaffRole.CLERK)
    with running(home, settings=ONE_WORKER) as service:
        yield service, keys


@pytest.fixture(params=[False, True], ids=["without a script", "with a script"])
def signed_in(
    browser: Browser, desk: tuple[Running, dict[bool, str]], request: pytest.FixtureRequest
) -> Iterator[tuple[Page, bool]]:
    """A clerk's page, and whether scripts run in it."""
    service, keys = desk
    context = browser.new_context(base_url=service.address, java_script_enabled=request.param)
    page = context.new_page()
    page.goto("/")
    page.get_by_label("Your key").fill(keys[request.param])
    page.get_by_role("button", name="Sign in").click()
    yield page, request.param
    context.close()


def send(page: Page, path: Path) -> None:
    page.goto("/upload")
    page.get_by_label("A list of appointments").set_input_files(path)
    page.get_by_role("button", name="Score this list").click()


def look(page: Page, *, script: bool, is_new: bool = False) -> None:
    """Nothing is wider than the screen at any width; on a page that `is_new`, axe, a script itself, finds nothing.

    At the other pages axe looks in `test_clerk_week_by_mode`, at these widths and a narrower one.
    """
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert page.locator("main").bounding_box()["width"] <= width
        if not script:
            continue
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert not is_new or [each["id"] for each in Axe().run(page).response["violations"]] == []


@pytest.mark.cases(1)  # with a script: test_clerk_week_by_mode
def test_a_week_with_a_hospitals_own_columns(signed_in: tuple[Page, bool], tmp_path: Path) -> None:
    clerk, script = signed_in
    monday, tuesday = tmp_path / "monday.csv", tmp_path / "tuesday.csv"
    monday.write_text("\n".join([HEADER, *(line(n) for n in range(120)), line(900, day="32/12/2099")]))
    tuesday.write_text("\n".join([HEADER, *(line(n) for n in range(1, 119)), line(950)]))

    send(clerk, monday)
    expect(clerk.get_by_role("heading", level=1)).to_contain_text("What do your columns mean?")
    expect(clerk.get_by_label("Your Appt ID is")).to_have_value("appointment_id")
    look(clerk, script=script)
    clerk.get_by_role("button", name="This is right: score the list").click()
    expect(clerk.get_by_role("heading", level=1)).to_contain_text("monday.csv")

    clerk.get_by_role("link", name="Could not be scored (1)").click()
    look(clerk, script=script, is_new=True)
    clerk.get_by_label("F122, Appt Date").fill("08/12/2099")
    clerk.get_by_role("button", name="Score it").click()
    expect(clerk.get_by_text("Appointment A-0900 is scored now")).to_be_visible()

    clerk.get_by_label("Clinic").select_option("ENT1")
    clerk.get_by_role("button", name="Show", exact=True).click()
    clerk.get_by_label("over to").fill("Ben Ali")
    clerk.get_by_role("button", name="Hand over").click()
    expect(clerk.get_by_text("For Ben Ali").first).to_be_visible()
    look(clerk, script=script)

    send(clerk, tuesday)
    expect(clerk.get_by_role("heading", level=1)).to_contain_text("tuesday.csv")
    expect(clerk.get_by_text("1 appointment is new and 3 appointments are no longer on this list.")).to_be_visible()
    look(clerk, script=script)
    clerk.goto("/lists")
    look(clerk, script=script)

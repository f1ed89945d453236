"""A browser, and the service with a made-up list for it to look at."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.browser.worklists import worklist
from tests.service.process import Running, running

from dnapredict.lists import latest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from playwright.sync_api import Browser, Page, sync_playwright

CARD = """# Risk of a missed appointment: model e02e461e4ebb

**Never for** overbooking, discharge, delaying or withholding care.

## How good it is

| | All appointments | Booked at least one day ahead | Weekly list |
| --- | --- | --- | --- |
| Log loss | 0.412 (0.405 to 0.419) | 0.565 (0.551 to 0.580) | 0.583 (0.566 to 0.600) |

| | |
| --- | --- |
| Manifest SHA-256 | e02e461e4ebb0d3cfaabbf7cb4cda789312ef98e23586b78e8f043a21f580fce02e461e4ebb0d3cfaabbf7c |
"""
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture(scope="session")
def browser(chromium: Path) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(chromium), args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def service(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    assert browser.is_connected()
    home = tmp_path_factory.mktemp("home")
    latest.save(home, worklist(), name="outpatients-week-49.xlsx", model_version="7", synthetic=True)
    card = home / "models" / "cards" / "7.md"
    card.parent.mkdir(parents=True)
    card.write_text(CARD)
    with running(home) as service:
        yield service


@pytest.fixture
def page(browser: Browser, service: Running) -> Iterator[Page]:
    context = browser.new_context(base_url=service.address, viewport={"width": 1280, "height": 900})
    yield context.new_page()
    context.close()

"""A browser, and the service with a made-up list for it to look at."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.browser.worklists import worklist
from tests.service.process import ONE_WORKER, Running, running

from dnapredict.worklist.files.kept_list import KeptList
from dnapredict.worklist.files.latest_list import save_latest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from playwright.sync_api import Browser, Page, sync_playwright

QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


# For one file of tests: while it is open, its event loop runs in this thread, where no other can then be started.
@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(chromium), args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def service(chromium: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    assert chromium.exists()
    home = tmp_path_factory.mktemp("home")
    save_latest(home, KeptList.new(worklist(), name="outpatients-week-49.xlsx", model_version="7", synthetic=True))
    with running(home, settings=ONE_WORKER) as service:
        yield service


@pytest.fixture
def page(browser: Browser, service: Running) -> Iterator[Page]:
    context = browser.new_context(base_url=service.address, viewport={"width": 1280, "height": 900})
    yield context.new_page()
    context.close()

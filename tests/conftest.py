"""What every test stands on: no network but this machine, no stray home, repeatable examples."""

import gc
import ipaddress
import os
import shutil
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from tests.examples import ALL, PART
from tests.undrawn_charts import charts_drawn, charts_undrawn

os.environ.update(
    MLFLOW_DISABLE_TELEMETRY="true",
    BENTOML_DO_NOT_TRACK="true",
    MPLBACKEND="Agg",
    MLFLOW_ALLOW_PICKLE_DESERIALIZATION="false",
)
# Shared machines are slow at times: an example that takes long is no failure, a wrong one is.
IN_CI = {"derandomize": True, "print_blob": True} if os.environ.get("CI") else {}
hypothesis.settings.register_profile("all", deadline=None, max_examples=ALL, **IN_CI)
hypothesis.settings.register_profile("part", deadline=None, max_examples=PART, **IN_CI)
hypothesis.settings.load_profile("all")

# Of several processes none should begin a long file when the others have finished. The first one takes longest by
# far; the next two need no trained model, so that they are tested while one process trains it for all
# (`end_to_end/conftest`).
LONG = (
    "end_to_end/test_spark",
    "spec/test_laundering",
    "unit/test_audit_attack_pairs",
    "browser/",
    "end_to_end/",
    "service/test_connections",
    "service/test_any_request",
    "service/test_upload_columns",
    "property/test_audit_attack_small",
    "unit/test_audit_promotion",
    "property/test_history",
    "property/test_prepared_queries",
    "unit/test_audit_",
    "unit/test_risk_",
    "spec/test_audit_",
    "unit/test_simulate",
    "service/",
    "faults/",
)
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def _stay_on_this_machine(event: str, arguments: tuple[object, ...]) -> None:
    """dnapredict works offline, so a test that would reach another host fails at once."""
    if event == "socket.connect" and isinstance(arguments[1], tuple) and not _is_local(str(arguments[1][0])):
        raise OSError(f"a test tried to reach {arguments[1][0]}; tests use this machine only")


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host in ("localhost", "")


sys.addaudithook(_stay_on_this_machine)


def pytest_configure(config: pytest.Config) -> None:
    """Before the tests are imported, which ask `examples` how many they try."""
    if config.option.part:
        hypothesis.settings.load_profile("part")


def pytest_collection_finish() -> None:
    """Collect garbage less often, and not among what collecting the tests has loaded: a tenth of the whole time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def pytest_unconfigure() -> None:
    """A service that a test started froze what it had loaded, which DuckDB would report as leaks at exit."""
    gc.unfreeze()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--part",
        action="store_true",
        help="leave out tests marked thorough, and some of the cases and examples of others (make test)",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With `--part`, leave out further cases of what other tests hold. Long files first where processes share tests."""
    if config.option.part:
        kept = _part(items)
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = [item for item in items if item in kept]
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: _place_among_long(item.nodeid.removeprefix("tests/")))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """One process takes a file, and both files on Spark, which then share a cluster and its warm processes."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return nodeid.partition("::")[0].replace("test_spark_platforms", "test_spark")

    return Scheduling(config, log) if config.getvalue("dist") == "loadfile" else None


def _part(items: list[pytest.Item]) -> set[pytest.Item]:
    """Each promise at least once, at the cheapest place where it can fail; further cases of a rule are for all tests.

    That is all tests but those marked `thorough`, and of each that is marked `cases(n)` n of its cases, evenly spread.
    """
    tests = defaultdict(list)
    for item in items:
        if not item.get_closest_marker("thorough"):
            tests[item.nodeid.partition("[")[0]].append(item)
    return {item for cases in tests.values() for item in _evenly(cases)}


def _evenly(cases: list[pytest.Item]) -> list[pytest.Item]:
    """The first, the last and what is evenly between them, as many as the mark of these cases of a test says."""
    mark = cases[0].get_closest_marker("cases")
    wanted = min(mark.args[0], len(cases)) if mark else len(cases)
    return [cases[round(place * (len(cases) - 1) / max(wanted - 1, 1))] for place in range(wanted)]


def _place_among_long(name: str) -> int:
    return next((place for place, begin in enumerate(LONG) if name.startswith(begin)), len(LONG))


@pytest.fixture(autouse=True)
def _own_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """A home set in the shell of whoever runs the tests is not read or written."""
    monkeypatch.delenv("DNAPREDICT_HOME", raising=False)


@pytest.fixture(scope="session", autouse=True)
def undrawn() -> Iterator[pytest.MonkeyPatch]:
    """Charts are drawn only where a test asks for it: where they are looked at, as bytes or in a browser."""
    with charts_undrawn() as patch:
        yield patch


@pytest.fixture(scope="module")
def drawn(undrawn: pytest.MonkeyPatch) -> Iterator[None]:
    """Charts are drawn as they are for a person, for the tests of a file (`pytest.mark.usefixtures`)."""
    with charts_drawn(undrawn):
        yield


@pytest.fixture(scope="session")
def chromium() -> Path:
    """A Chromium for the tests of the page. Without one they are skipped; in CI that is a failure."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None and os.environ.get("CI"):
        pytest.fail("CI has no Chromium; .ci/run installs it")
    if found is None:
        pytest.skip("no Chromium on the path: the tests of the page need one")
    return Path(found)

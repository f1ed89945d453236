"""Metrics for Prometheus: counts and times of all workers by known routes, and no value that a caller sent."""

import datetime
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.kept_states import MONDAY, monitored
from tests.service.process import Running, running
from tests.service.test_faults import ask, port_of, score

from dnapredict.service.prometheus_metrics import exposition

MARK = "zebra-4711"


def scrape(service: Running) -> str:
    with urllib.request.urlopen(service.address + "/metrics", timeout=20) as answer:  # noqa: S310
        return str(answer.read().decode())


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("metrics")


@pytest.fixture(scope="module")
def service(home: Path) -> Iterator[Running]:
    with running(home) as service:
        yield service


def test_all_workers_are_counted_together_by_known_addresses(service: Running) -> None:
    for _ in range(12):
        assert score(service)[0] == 200
    for path in (f"/{MARK}", f"/v1/lists/{MARK}", f"/v1/lists/{MARK}?form={MARK}"):
        ask(port_of(service), "GET", path)
    text = scrape(service)
    counted = {
        (found[1], found[2]): float(found[3])
        for found in re.finditer(r'dnapredict_requests_total{route="(.*?)",status="(.*?)"} (\S+)', text)
    }
    assert counted["/v1/score", "200"] == 12
    assert counted["other", "404"] == 1
    assert counted["/v1/lists/{list_id}", "404"] == 2
    assert 'dnapredict_request_seconds_bucket{le="+Inf",route="/v1/score"} 12.0' in text
    assert MARK not in text


def gauges(text: str) -> dict[str, float]:
    """The gauges of the monitor, of version 7."""
    found = re.finditer(r'^dnapredict_monitor_(\w+){model_version="7"} (\S+)$', text, re.MULTILINE)
    return {each[1]: float(each[2]) for each in found}


def test_every_worker_reports_the_last_monitor_run_once(service: Running, home: Path) -> None:
    assert "dnapredict_monitor" not in scrape(service)
    state = monitored(home)  # while the service runs
    scrapes = [scrape(service) for _ in range(6)]  # more scrapes than workers, so that each worker answers
    monitored(home, alarms=(), level=None)
    later = scrape(service)
    for each in scrapes:
        assert gauges(each) == {
            "level_ratio": 1.312,
            "reach_ratio": 0.25,
            "alarms": 1.0,
            "weeks_since_outcome": gauges(each)["weeks_since_outcome"],
            "last_run_timestamp_seconds": state.created_at.timestamp(),
        }
        assert each.count("# TYPE dnapredict_monitor_alarms gauge") == 1
        assert "30 in 100" not in each
    assert gauges(later)["alarms"] == 0.0
    assert "level_ratio" not in gauges(later)  # too few to print


def test_weeks_without_an_outcome_are_counted_at_the_time_of_asking(tmp_path: Path) -> None:
    state = monitored(tmp_path)
    for day, weeks in ((MONDAY, 0), (MONDAY + datetime.timedelta(days=22), 3)):
        assert gauges(exposition(state, today=day).decode())["weeks_since_outcome"] == weeks

"""What Prometheus is told: counts and times of all workers by known addresses, and nothing of a caller's."""

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


def told_by(service: Running) -> str:
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
    told = told_by(service)
    counted = {
        (found[1], found[2]): float(found[3])
        for found in re.finditer(r'dnapredict_requests_total{route="(.*?)",status="(.*?)"} (\S+)', told)
    }
    assert counted["/v1/score", "200"] == 12
    assert counted["other", "404"] == 1
    assert counted["/v1/lists/{list_id}", "404"] == 2
    assert 'dnapredict_request_seconds_bucket{le="+Inf",route="/v1/score"} 12.0' in told
    assert MARK not in told


def gauges(told: str) -> dict[str, float]:
    """The gauges of the monitor, of version 7."""
    found = re.finditer(r'^dnapredict_monitor_(\w+){model_version="7"} (\S+)$', told, re.MULTILINE)
    return {each[1]: float(each[2]) for each in found}


def test_the_last_monitor_run_is_told_by_every_worker_and_once(service: Running, home: Path) -> None:
    assert "dnapredict_monitor" not in told_by(service)
    state = monitored(home)  # while the service runs
    told = [told_by(service) for _ in range(6)]  # more than there are workers
    monitored(home, alarms=(), level=None)
    later = told_by(service)
    for each in told:
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

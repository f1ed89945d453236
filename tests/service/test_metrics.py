"""What Prometheus is told: counts and times of all workers by known addresses, and nothing of a caller's."""

import re
import urllib.request
from pathlib import Path

from tests.service.process import running
from tests.service.test_faults import ask, port_of, score

MARK = "zebra-4711"


def test_all_workers_are_counted_together_by_known_addresses(tmp_path: Path) -> None:
    with running(tmp_path) as service:
        for _ in range(12):
            assert score(service)[0] == 200
        for path in (f"/{MARK}", f"/v1/lists/{MARK}", f"/v1/lists/{MARK}?form={MARK}"):
            ask(port_of(service), "GET", path)
        with urllib.request.urlopen(service.address + "/metrics", timeout=20) as answer:  # noqa: S310
            told = answer.read().decode()
    counted = {
        (found[1], found[2]): float(found[3])
        for found in re.finditer(r'dnapredict_requests_total{route="(.*?)",status="(.*?)"} (\S+)', told)
    }
    assert counted["/v1/score", "200"] == 12
    assert counted["other", "404"] == 1
    assert counted["/v1/lists/{list_id}", "404"] == 2
    assert 'dnapredict_request_seconds_bucket{le="+Inf",route="/v1/score"} 12.0' in told
    assert MARK not in told

"""Wrong keys are slowed and logged; right ones never wait."""

import logging
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.service.test_access import bearer

WRONG = "dnap_00000000_" + "A" * 43


def sign_in(client: TestClient, token: str, **headers: str) -> Any:
    return client.post("/sign-in", data={"key": token}, headers=headers, follow_redirects=False)


def test_wrong_keys_are_slowed_and_logged_and_the_right_one_signs_in(
    guarded: TestClient, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        statuses = [sign_in(guarded, WRONG).status_code for _ in range(30)]
    assert statuses[:10] == [403] * 10
    assert statuses.count(429) >= 15
    slowed = sign_in(guarded, WRONG)
    assert int(slowed.headers["retry-after"]) >= 1
    assert "Too many wrong keys" in slowed.text
    assert "A wrong key came from testclient: 10 in a row." in caplog.text
    assert WRONG not in caplog.text
    assert sign_in(guarded, key).status_code == 303


def test_programs_with_wrong_keys_are_slowed_and_those_with_right_ones_are_not(guarded: TestClient, key: str) -> None:
    statuses = [guarded.get("/v1/model", headers=bearer(WRONG)).status_code for _ in range(130)]
    assert statuses[:100] == [401] * 100
    assert 429 in statuses[100:]
    assert guarded.get("/v1/model", headers=bearer(key)).status_code == 200


def test_each_further_wrong_key_waits_twice_as_long_by_address_and_by_key() -> None:
    from dnapredict.service.auth.access_control import FailedKeys

    now = 0.0
    failed = FailedKeys(free=3, longest=20, clock=lambda: now)
    assert [failed.failed(address="a") for _ in range(4)] == [0, 0, 0, 1]
    waits = []
    for _ in range(7):
        now += failed.failed(address="a")
        assert failed.failed(address="a") == 0
        waits.append(failed.failed(address="a"))
    assert waits == [2, 4, 8, 16, 20, 20, 20]
    assert [failed.failed(address=f"b{n}", key_id="0123abcd") for n in range(4)] == [0, 0, 0, 1]
    now += 41
    assert failed.failed(address="a") == 0


def test_failures_from_many_addresses_do_not_fill_the_memory() -> None:
    from dnapredict.service.auth.access_control import FailedKeys

    failed = FailedKeys(free=3, longest=20)
    for number in range(12_000):
        failed.failed(address=str(number))
    assert len(failed._of) == 10_000

"""A session ends when its holder signs out, in every worker and for every copy of its cookie."""

import time
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from tests.service.test_failed_keys import sign_in

from dnapredict.service.auth import api_keys
from dnapredict.service.auth.api_keys import KeyRing, KeyScope


def test_signing_out_ends_the_session_also_for_a_copy_of_its_cookie(guarded: TestClient, key: str) -> None:
    sign_in(guarded, key)
    copied = dict(guarded.cookies)
    other = sign_in(guarded, key).cookies["dnapredict_session"]
    guarded.cookies.clear()
    assert guarded.get("/", cookies=copied).status_code == 200
    assert guarded.post("/sign-out", cookies=copied, follow_redirects=False).status_code == 303
    guarded.cookies.clear()
    assert guarded.get("/", cookies=copied).status_code == 401
    guarded.cookies.clear()
    assert guarded.get("/", cookies={"dnapredict_session": other}).status_code == 200


def test_signing_out_leaves_the_next_person_on_no_list_of_somebody_else(guarded: TestClient, key: str) -> None:
    sign_in(guarded, key)
    guarded.cookies.set("dnapredict_list", "0" * 16)
    left = guarded.post("/sign-out", follow_redirects=False)
    assert any(value.startswith('dnapredict_list="";') for value in left.headers.get_list("set-cookie"))


def test_a_session_that_was_ended_in_one_worker_is_ended_in_the_other_and_after_a_restart(home: Path, key: str) -> None:
    one, other = KeyRing(home), KeyRing(home)
    made = one.holder(key)
    assert made is not None
    session = one.session(made)
    assert other.session_holder(session) == made
    one.end_session(session)
    assert other.session_holder(session) is None
    assert KeyRing(home).session_holder(session) is None


def test_only_a_session_that_was_made_here_can_be_ended(home: Path, key: str) -> None:
    ring = KeyRing(home)
    assert ring.holder(key) is not None
    ring.end_session("0123abcd.99999999999." + "0" * 96)
    ring.end_session("../../x")
    assert not list((home / "keys").rglob("*ended*"))


def test_records_of_sessions_that_ran_out_are_removed(home: Path, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ring = KeyRing(home)
    made = ring.holder(key)
    assert made is not None
    ring.end_session(ring.session(made))
    now = time.time()
    monkeypatch.setattr(api_keys.time, "time", lambda: now + 3 * 86_400)
    ring.end_session(ring.session(made))
    assert len(list((home / "keys" / "ended-sessions").iterdir())) == 1


def test_deleting_a_key_ends_its_sessions(home: Path, key: str) -> None:
    spare = api_keys.create(home, name="spare", scopes=(KeyScope.LIST,))
    ring = KeyRing(home)
    session = ring.session(spare.key)
    (home / "keys" / f"{spare.key.key_id}.json").unlink()
    assert key
    assert KeyRing(home).session_holder(session) is None


def test_a_cookie_of_another_home_does_not_shut_a_home_without_keys(client: TestClient, home: Path) -> None:
    # As a browser sends it that was signed in to a home that was there before, on the same address.
    client.cookies.set("dnapredict_session", "0123abcd.99999999999." + "0" * 96)
    assert client.get("/static/dnapredict.css").status_code == 200
    client.post("/sign-out")
    time.sleep(1.1)  # a worker's memory of the keys
    assert client.get("/").status_code == 200
    assert not (home / "keys").exists()

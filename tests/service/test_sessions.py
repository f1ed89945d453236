"""A session ends when its holder signs out, in every worker and for every copy of its cookie."""

import shutil
import time
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from tests.service.test_access import bearer
from tests.service.test_failed_keys import sign_in

from dnapredict.data.files.loss_marks import mark_of
from dnapredict.data.retention_clock import confirm_clock
from dnapredict.errors import StoreError
from dnapredict.service.auth import api_keys, sessions
from dnapredict.service.auth.api_keys import KeyRing, KeyScope
from dnapredict.service.home_checks.examination import examine, mend


def test_signing_out_ends_the_session_also_for_a_copy_of_its_cookie(guarded: TestClient, key: str) -> None:
    sign_in(guarded, key)
    copied = dict(guarded.cookies)
    guarded.cookies.clear()
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
    confirm_clock(home)
    monkeypatch.setattr(api_keys.time, "time", lambda: now + 3 * 86_400)
    ring.end_session(ring.session(made))
    (record, mark) = sorted((home / "keys" / "ended-sessions").iterdir())
    assert mark.name == f"{record.name}.made"


def ended(home: Path, key: str) -> tuple[str, Path]:
    """A session that was signed out, and its record."""
    ring = KeyRing(home)
    made = ring.holder(key)
    assert made is not None
    session = ring.session(made)
    ring.end_session(session)
    return session, home / "keys" / "ended-sessions" / session.split(".")[2]


@pytest.mark.parametrize("is_of_record", [True, False])
def test_an_ended_session_remains_ended_when_its_record_is_lost(home: Path, key: str, is_of_record: bool) -> None:
    session, record = ended(home, key)
    (record if is_of_record else mark_of(record)).unlink()
    assert KeyRing(home).session_holder(session) is None
    if is_of_record:
        (found,) = (each for each in examine(home).findings if record.name in each.path)
        assert found.problem == "the record of an ended session is missing."
        assert found.path == f"keys/ended-sessions/{record.name}"
        assert record.name in {Path(each.path).name for each in mend(home).mended}
    assert KeyRing(home).session_holder(session) is None
    assert record.exists()


def test_without_the_records_of_ended_sessions_no_session_signs_in(home: Path, key: str) -> None:
    session, record = ended(home, key)
    made = KeyRing(home).holder(key)
    assert made is not None
    other = KeyRing(home).session(made)
    shutil.rmtree(record.parent)
    for each in (session, other):
        with pytest.raises(StoreError, match=r"ended-sessions: the records of ended sessions are missing"):
            KeyRing(home).session_holder(each)
    assert KeyRing(home).holder(key) == made  # a key still opens what it may
    assert "keys/ended-sessions" in {each.path for each in examine(home).findings}
    mark_of(record.parent).unlink()
    (home / "keys" / "session.secret").unlink()
    assert [KeyRing(home).session_holder(each) for each in (session, other)] == [None, None]


def test_a_damaged_record_of_an_ended_session_is_removed_in_time(
    home: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, record = ended(home, key)
    record.write_bytes(b"\xff")
    assert KeyRing(home).session_holder(session) is None
    now = time.time()
    confirm_clock(home)
    monkeypatch.setattr(sessions.time, "time", lambda: now + 3 * 86_400)
    ended(home, key)
    assert not record.exists()


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


def test_signing_in_again_ends_the_session_that_the_browser_had(guarded: TestClient, key: str) -> None:
    first = sign_in(guarded, key).cookies["dnapredict_session"]
    second = sign_in(guarded, key).cookies["dnapredict_session"]
    assert first != second
    guarded.cookies.clear()
    assert guarded.get("/", cookies={"dnapredict_session": first}).status_code == 401
    guarded.cookies.clear()
    assert guarded.get("/", cookies={"dnapredict_session": second}).status_code == 200


def test_a_wrong_key_ends_no_session(guarded: TestClient, key: str) -> None:
    first = sign_in(guarded, key).cookies["dnapredict_session"]
    sign_in(guarded, "dnap_00000000_" + "A" * 43)
    assert guarded.get("/", cookies={"dnapredict_session": first}).status_code == 200


class Clock:
    """The clock of sessions, which a test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = time.time()
        monkeypatch.setattr(sessions.time, "time", lambda: self.now)

    def pass_minutes(self, minutes: float) -> None:
        self.now += minutes * 60


def test_a_session_that_nobody_uses_for_an_hour_ends(
    guarded: TestClient, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    sign_in(guarded, key)
    clock.pass_minutes(59)
    assert guarded.get("/").status_code == 200
    clock.pass_minutes(59)
    assert guarded.get("/").status_code == 200
    clock.pass_minutes(61)
    assert guarded.get("/").status_code == 401


def test_use_prolongs_no_session_beyond_twelve_hours(
    guarded: TestClient, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    sign_in(guarded, key)
    statuses = []
    for _ in range(13):
        clock.pass_minutes(58)
        statuses.append(guarded.get("/").status_code)
    assert statuses == [200] * 12 + [401]  # 12 * 58 minutes are less than 12 hours, 13 * 58 are more


def test_what_a_script_fetches_by_itself_prolongs_nothing(
    guarded: TestClient, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    sign_in(guarded, key)
    clock.pass_minutes(40)
    answer = guarded.get("/", headers={"sec-fetch-dest": "empty"})
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    clock.pass_minutes(30)
    assert guarded.get("/").status_code == 401


def test_signing_out_ends_every_renewed_copy_of_the_session(
    guarded: TestClient, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    first = sign_in(guarded, key).cookies["dnapredict_session"]
    clock.pass_minutes(30)
    guarded.get("/")
    renewed = guarded.cookies["dnapredict_session"]
    assert renewed != first
    guarded.post("/sign-out", follow_redirects=False)
    for copy in (first, renewed):
        guarded.cookies.clear()
        assert guarded.get("/", cookies={"dnapredict_session": copy}).status_code == 401


def test_a_session_that_has_just_begun_is_not_sent_again(guarded: TestClient, key: str) -> None:
    sign_in(guarded, key)
    assert "set-cookie" not in guarded.get("/").headers


def test_a_session_that_is_over_is_not_revived_by_a_request_with_a_key(
    guarded: TestClient, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    sign_in(guarded, key)
    clock.pass_minutes(61)
    answer = guarded.get("/", headers=bearer(key))
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert guarded.get("/").status_code == 401

"""API keys: shown once, kept as a hash, refused as soon as they are revoked."""

import datetime
import errno
import hashlib
import hmac
import os
import shutil
import time
from pathlib import Path

import pytest

from dnapredict.errors import StoreError, UsageError
from dnapredict.service.auth import api_keys
from dnapredict.service.auth.api_keys import KeyRing, KeyScope


def ring(home: Path) -> KeyRing:
    """A ring that has read nothing yet, as a worker's after its second of memory."""
    return KeyRing(home)


def test_a_key_opens_what_it_was_made_for_and_admin_opens_all(tmp_path: Path) -> None:
    made = api_keys.create(tmp_path, name="booking system", scopes=(KeyScope.SCORE,))
    admin = api_keys.create(tmp_path, name="operations", scopes=(KeyScope.ADMIN,))
    held = ring(tmp_path).holder(made.token)
    assert held is not None
    assert [held.may(scope) for scope in KeyScope] == [True, False, False]
    assert all(admin.key.may(scope) for scope in KeyScope)


def test_the_key_itself_is_nowhere_in_the_home_and_not_in_its_own_words(tmp_path: Path) -> None:
    made = api_keys.create(tmp_path, name="booking system", scopes=(KeyScope.SCORE,))
    secret = made.token.split("_", 2)[2]
    assert not any(secret in path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    assert secret not in repr(made)


@pytest.mark.parametrize("damage", [lambda t: t[:-1], lambda t: t + "A", lambda t: t[:-1] + "~", str.upper])
def test_no_other_text_is_the_key(tmp_path: Path, damage) -> None:
    made = api_keys.create(tmp_path, name="x", scopes=(KeyScope.SCORE,))
    assert ring(tmp_path).holder(damage(made.token)) is None
    assert ring(tmp_path).holder("") is None


def test_the_secret_of_one_key_does_not_open_another(tmp_path: Path) -> None:
    first = api_keys.create(tmp_path, name="a", scopes=(KeyScope.SCORE,)).token
    second = api_keys.create(tmp_path, name="b", scopes=(KeyScope.ADMIN,)).token
    mixed = second[:14] + first[14:]
    assert ring(tmp_path).holder(mixed) is None


def test_a_revoked_key_is_refused_and_stays_on_record(tmp_path: Path) -> None:
    made = api_keys.create(tmp_path, name="x", scopes=(KeyScope.SCORE,))
    api_keys.revoke(tmp_path, made.key.key_id)
    assert ring(tmp_path).holder(made.token) is None
    (kept,) = api_keys.all_keys(tmp_path)
    assert kept.revoked_at is not None
    assert not kept.may(KeyScope.SCORE)


def test_revoking_twice_keeps_the_first_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = api_keys.create(tmp_path, name="x", scopes=(KeyScope.SCORE,))
    first = api_keys.revoke(tmp_path, made.key.key_id)
    later = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)
    monkeypatch.setattr(api_keys, "_now", lambda: later)
    assert api_keys.revoke(tmp_path, made.key.key_id) == first


def test_a_running_worker_forgets_a_revoked_key_within_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = api_keys.create(tmp_path, name="x", scopes=(KeyScope.SCORE,))
    clock = 100.0
    monkeypatch.setattr(api_keys.time, "monotonic", lambda: clock)
    worker = ring(tmp_path)
    assert worker.holder(made.token) is not None
    api_keys.revoke(tmp_path, made.key.key_id)
    clock += 1.1
    assert worker.holder(made.token) is None


def test_an_unknown_key_cannot_be_revoked(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no key 'ffffffff'"):
        api_keys.revoke(tmp_path, "ffffffff")


def test_a_key_without_a_scope_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="score, list, admin"):
        api_keys.create(tmp_path, name="x", scopes=())


def test_a_damaged_record_is_named_and_nothing_is_let_in(tmp_path: Path) -> None:
    made = api_keys.create(tmp_path, name="x", scopes=(KeyScope.SCORE,))
    (tmp_path / "keys" / f"{made.key.key_id}.json").write_text("{")
    with pytest.raises(StoreError, match=r"is damaged\. Remove it"):
        ring(tmp_path).holder(made.token)


def test_a_session_lasts_twelve_hours_and_cannot_be_made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = api_keys.create(tmp_path, name="x", scopes=(KeyScope.LIST,))
    worker = ring(tmp_path)
    session = worker.session(made.key)
    key_id, until, name, idle, seal = session.split(".")
    assert int(until) - time.time() == pytest.approx(12 * 3_600, abs=5)
    assert worker.session_holder(session) == made.key
    assert worker.session_holder(f"{key_id}.{int(until) + 1}.{name}.{idle}.{seal}") is None
    assert worker.session_holder(f"{key_id}.{until}.{name}.{int(idle) + 1}.{seal}") is None
    assert worker.session_holder("") is None
    monkeypatch.setattr(api_keys.time, "time", lambda: float(until) + 1)
    assert worker.session_holder(session) is None


def test_a_session_ends_when_its_key_is_revoked(tmp_path: Path) -> None:
    made = api_keys.create(tmp_path, name="x", scopes=(KeyScope.LIST,))
    session = ring(tmp_path).session(made.key)
    api_keys.revoke(tmp_path, made.key.key_id)
    assert ring(tmp_path).session_holder(session) is None


@pytest.mark.parametrize("held", ["", "0" * 63, "x" * 64])
def test_an_emptied_or_damaged_session_secret_lets_no_session_in_and_is_not_replaced(tmp_path: Path, held: str) -> None:
    made = api_keys.create(tmp_path, name="x", scopes=(KeyScope.LIST,))
    soon = int(time.time()) + 600
    named = f"{made.key.key_id}.{soon}.{'0' * 32}.{soon}"
    seal = hmac.new(held.encode(), named.encode(), hashlib.sha256).hexdigest()
    secret = tmp_path / "keys" / "session.secret"
    secret.write_text(held)
    with pytest.raises(StoreError, match=r"session\.secret: this secret is damaged"):
        ring(tmp_path).session_holder(f"{named}.{seal}")
    assert secret.read_text() == held


@pytest.mark.parametrize("damage", [{"sha256": ""}, {"sha256": "0" * 63}, {"key_id": "ffffffff"}, {"key_id": "x"}])
def test_a_key_file_of_another_form_or_name_shuts_the_door(tmp_path: Path, damage: dict[str, str]) -> None:
    made = api_keys.create(tmp_path, name="x", scopes=(KeyScope.SCORE,))
    path = tmp_path / "keys" / f"{made.key.key_id}.json"
    path.write_text(made.key.model_copy(update=damage).model_dump_json())
    with pytest.raises(StoreError, match="Remove it, and make its holder a new key"):
        ring(tmp_path).holder(made.token)


LOSSES = {
    "the files of the keys": lambda keys: [path.unlink() for path in keys.glob("*.json")],
    "their endings": lambda keys: [path.rename(path.with_suffix(".bak")) for path in keys.glob("*.json")],
    "the folder": shutil.rmtree,
    "the folder, for a file": lambda keys: (shutil.rmtree(keys), keys.write_text("")),
    "the folder, for a link to nowhere": lambda keys: (shutil.rmtree(keys), keys.symlink_to("nowhere")),
}


@pytest.mark.parametrize("lose", LOSSES.values(), ids=LOSSES)
def test_lost_keys_open_no_door(tmp_path: Path, lose) -> None:
    made = api_keys.create(tmp_path, name="x", scopes=(KeyScope.LIST,))
    ring(tmp_path).session(made.key)
    lose(tmp_path / "keys")
    with pytest.raises(StoreError, match="keys"):
        ring(tmp_path).required  # noqa: B018 - it raises


def test_lost_keys_of_an_earlier_release_open_no_door_where_anything_tells_of_them(tmp_path: Path) -> None:
    made = api_keys.create(tmp_path, name="x", scopes=(KeyScope.LIST,))
    ring(tmp_path).session(made.key)
    (tmp_path / "keys-were-made").unlink()
    (tmp_path / "keys" / f"{made.key.key_id}.json").unlink()
    with pytest.raises(StoreError, match="dnapredict keys create"):
        ring(tmp_path).required  # noqa: B018 - it raises


@pytest.mark.parametrize("error", [PermissionError, OSError(errno.EMFILE, "Too many open files")])
def test_keys_that_cannot_be_looked_for_open_no_door(tmp_path: Path, monkeypatch, error) -> None:
    def refuse(*_: object) -> None:
        raise error

    api_keys.create(tmp_path, name="x", scopes=(KeyScope.LIST,))
    for name in ("listdir", "scandir"):
        monkeypatch.setattr(os, name, refuse)
    with pytest.raises(StoreError, match="cannot be read"):
        ring(tmp_path).required  # noqa: B018 - it raises


def test_after_a_loss_a_new_key_opens_the_door_again(tmp_path: Path) -> None:
    api_keys.create(tmp_path, name="x", scopes=(KeyScope.LIST,))
    shutil.rmtree(tmp_path / "keys")
    made = api_keys.create(tmp_path, name="y", scopes=(KeyScope.LIST,))
    assert ring(tmp_path).holder(made.token) is not None

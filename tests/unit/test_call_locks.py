"""Locks on appointments that somebody is calling about: each line is what one caller does, and what holds then."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dnapredict.errors import StoreError
from dnapredict.worklist.calls.call_locks import SECONDS, CallLocks

TABLE = """
    minute | who | does      | holds
    0      | Ada | takes a   | a: Ada
    1      | Ben | takes a   | a: Ada
    2      | Ben | takes b   | a: Ada, b: Ben
    3      | Ada | takes c   | b: Ben, c: Ada
    4      | Ada | leaves    | b: Ben
    16     | Ben | takes b   | b: Ben
    20     | Ada | takes b   | b: Ben
    31     | Ada | takes b   | b: Ada
    30     | Ben | takes b   | b: Ben
"""


def test_a_lock_is_the_first_callers_until_it_is_left_or_fifteen_minutes_are_over(tmp_path: Path) -> None:
    """In the last line the clock was set back: no lock may last longer than 15 minutes from now."""
    minutes = 0
    locks = CallLocks(tmp_path, clock=lambda: 1_000_000 + 60 * minutes)
    for line in TABLE.strip("\n").splitlines()[1:]:
        minute, who, does, holds = (cell.strip() for cell in line.split("|"))
        minutes = int(minute)
        if does == "leaves":
            locks.release(who)
        else:
            locks.take(does[-1], caller=who, key_id=f"key of {who}")
        held = sorted((appointment, lock.caller) for appointment, lock in locks.held().items())
        assert ", ".join(f"{appointment}: {caller}" for appointment, caller in held) == holds, line


def test_of_many_callers_at_once_one_has_the_line(tmp_path: Path) -> None:
    def take(number: int) -> str:
        return CallLocks(tmp_path).take("a", caller=f"caller {number}", key_id="k").caller

    with ThreadPoolExecutor(8) as callers:
        assert len(set(callers.map(take, range(8)))) == 1


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{", '{"a": 1}', '{"a": {"caller": "x"}}', '{"a": {"caller": "x", "key_id": "k", "until": "x"}}'],
)
def test_a_damaged_file_of_locks_stops_no_call(tmp_path: Path, content: str) -> None:
    locks = CallLocks(tmp_path)
    locks.take("a", caller="Ada", key_id="k")
    (tmp_path / "lists" / "calling.json").write_text(content)
    assert locks.held() == {}
    assert locks.take("a", caller="Ben", key_id="k").caller == "Ben"


def test_a_lock_lasts_fifteen_minutes() -> None:
    assert SECONDS == 15 * 60


def test_where_the_folder_cannot_be_made_the_error_is_one_of_the_home(tmp_path: Path) -> None:
    (tmp_path / "lists").touch()
    with pytest.raises(StoreError, match=r"lists: cannot be written \(Not a directory\)"):
        CallLocks(tmp_path).take("a", caller="Ada", key_id="k")

"""Temporary folders that a killed process left: gone with the next one, and never while somebody uses them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.files.temporary_folder import PREFIX, remove_abandoned, temporary_folder

_KILLED = """
import os, signal, sys
from dnapredict.data.engine.duckdb_engine import Workspace
from pathlib import Path
workspace = Workspace(folder=Path(sys.argv[1]))
(held,) = Path(sys.argv[1]).iterdir()
(held / "spilled.tmp").write_text("rows of an extract")
os.kill(os.getpid(), signal.SIGKILL)
"""
pytestmark = pytest.mark.skipif(os.name != "posix", reason="folders cannot be locked on Windows")


def aged(path: Path) -> Path:
    """The folder, as if it had been made an hour ago."""
    hour = time.time() - 3_600
    os.utime(path, (hour, hour))
    return path


def test_what_a_killed_process_spilled_is_removed_by_the_next_one(tmp_path: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert left.stat().st_mode & 0o777 == 0o700
    with temporary_folder(tmp_path):
        assert left.exists()  # made a moment ago: its process might not have locked it yet
    aged(left)
    with temporary_folder(tmp_path) as made:
        assert list(tmp_path.iterdir()) == [made]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_use_is_not_removed_however_old_it_is(tmp_path: Path) -> None:
    workspace = Workspace(folder=tmp_path)
    (held,) = tmp_path.iterdir()
    aged(held)
    script = "import sys; from pathlib import Path; from dnapredict.data.files.temporary_folder import remove_abandoned"
    other = subprocess.run(
        [sys.executable, "-c", f"{script}; print(remove_abandoned(Path(sys.argv[1])))", str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert other.stdout.strip() == "0"
    assert remove_abandoned(tmp_path) == 0
    assert held.exists()
    workspace.close()
    assert list(tmp_path.iterdir()) == []


def test_nothing_else_is_removed_from_the_systems_temporary_folder(tmp_path: Path) -> None:
    for name in ("dnapredict-serve-abcdefgh", "dnapredict-mine", "other-abcdefgh", "abcdefgh"):
        aged_folder = tmp_path / name
        aged_folder.mkdir()
        aged(aged_folder)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / f"{PREFIX}link_to_").symlink_to(elsewhere)
    (tmp_path / f"{PREFIX}abcdefgh").write_text("a file")
    before = sorted(tmp_path.iterdir())
    assert remove_abandoned(tmp_path) == 0
    assert sorted(tmp_path.iterdir()) == before

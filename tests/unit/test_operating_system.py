"""The branches of Windows and macOS, run here by simulation: what differs between systems is in one module.

The simulated Windows has `msvcrt`, in which a second lock on a byte of a file fails, no `fcntl` and no `resource`, and
refuses to replace, rename or remove a file that is open. What cannot be simulated is listed in
docs/how-to-run-in-production.md.
"""

import ast
import contextlib
import errno
import os
import sys
import types
from pathlib import Path

import pyarrow as pa
import pytest
from tests.service.test_log_databases import row

from dnapredict.data.engine import interruption
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.files import operating_system
from dnapredict.data.files.atomic_write import create_folder, write_atomically, write_once, write_private
from dnapredict.data.files.file_lock import is_unlocked, locked, wait_for_lock
from dnapredict.data.files.temporary_folder import remove_abandoned, temporary_folder
from dnapredict.errors import StoreError
from dnapredict.service.auth import api_keys
from dnapredict.service.auth.api_keys import KeyRing, KeyScope
from dnapredict.service.home_checks import file_checks
from dnapredict.service.home_checks.home_backup import back_up, restore
from dnapredict.service.log.scoring_log import ScoringLog
from dnapredict.service.open_files import connections_for, raise_file_limit
from dnapredict.worklist.calls.stated_opt_outs import StatedOptOuts

SOURCES = Path(operating_system.__file__).parents[2]
# What exists on one kind of system only. `os.chmod` and file modes exist on all, and do little on Windows.
OF_ONE_SYSTEM = {
    *("fcntl", "msvcrt", "resource", "pwd", "grp"),
    *("os.name", "sys.platform", "platform.system", "os.getuid", "os.geteuid", "os.fork", "signal.SIGHUP", "os.uname"),
}


class LockedBytes(types.ModuleType):
    """`msvcrt` as far as it is used: one process may lock a byte of a file once, until it closes the file."""

    LK_NBLCK = 2

    def __init__(self) -> None:
        super().__init__("msvcrt")
        self._held: dict[tuple[int, int, int], int] = {}

    def locking(self, handle: int, mode: int, count: int) -> None:
        assert (mode, count) == (self.LK_NBLCK, 1)
        state = os.fstat(handle)
        byte = (state.st_dev, state.st_ino, os.lseek(handle, 0, os.SEEK_CUR))
        holder = self._held.get(byte)
        if holder is not None and holder != handle and is_open(holder, byte):
            raise OSError(errno.EACCES, "Permission denied")
        self._held[byte] = handle


def is_open(handle: int, byte: tuple[int, int, int]) -> bool:
    try:
        state = os.fstat(handle)
    except OSError:
        return False
    return (state.st_dev, state.st_ino) == byte[:2]


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operating_system, "NAME", "nt")
    monkeypatch.setattr(operating_system, "PLATFORM", "win32")
    monkeypatch.setitem(sys.modules, "msvcrt", LockedBytes())
    for name in ("fcntl", "resource"):
        monkeypatch.setitem(sys.modules, name, None)  # importing it raises
    for name in ("replace", "rename", "unlink", "remove"):
        monkeypatch.setattr(os, name, refusing_open_files(getattr(os, name)))


def refusing_open_files(real):
    def checked(*paths, **given):
        for path in paths:
            if isinstance(path, str | os.PathLike) and "dir_fd" not in given and os.fspath(path) in opened():
                raise PermissionError(errno.EACCES, "The file is used by another process", os.fspath(path))
        return real(*paths, **given)

    return checked


def opened() -> set[str]:
    """The files that this process has open."""
    found = set()
    for handle in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the handle with which the folder is read
            found.add(str(handle.readlink()))
    return found


pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="the simulation reads open files in /proc")


def names_of_one_system(path: Path) -> set[str]:
    """Modules and attributes of one system that a file of the sources uses."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                found |= {each.name for each in names}
            case ast.ImportFrom(module=str(module)):
                found.add(module)
            case ast.Attribute(value=ast.Name(id=module), attr=name):
                found.add(f"{module}.{name}")
    return found & OF_ONE_SYSTEM


def test_what_exists_on_one_system_only_is_in_one_module() -> None:
    users = {str(path.relative_to(SOURCES)) for path in SOURCES.rglob("*.py") if names_of_one_system(path)}
    assert users == {"data/files/operating_system.py"}


@pytest.mark.usefixtures("windows")
class TestOnWindows:
    def test_a_lock_is_exclusive_and_ends_with_its_file(self, tmp_path: Path) -> None:
        path = tmp_path / "lock"
        path.write_bytes(b"not empty")
        with locked(path, busy_message="busy"):
            assert not is_unlocked(path)
            with pytest.raises(StoreError, match="busy"), locked(path, busy_message="busy"):
                pass
            with pytest.raises(TimeoutError), wait_for_lock(path, seconds=0, shared=True):
                pass
        assert is_unlocked(path)
        shared = wait_for_lock(path, seconds=0, shared=True)  # Windows has no shared locks
        with wait_for_lock(path, seconds=0, shared=True), pytest.raises(TimeoutError), shared:
            pass

    def test_the_simulation_refuses_what_windows_refuses(self, tmp_path: Path) -> None:
        path = tmp_path / "file"
        with path.open("wb"), pytest.raises(PermissionError):
            path.unlink()
        with path.open("rb"), pytest.raises(StoreError, match="cannot be written"):
            write_private(path, "1")

    def test_files_and_folders_are_written_whole(self, tmp_path: Path) -> None:
        path = tmp_path / "a" / "file.json"
        write_private(path, "1")
        write_private(path, "2")
        write_once(path, "3")
        with write_atomically(path.with_name("b")) as draft:
            draft.write_bytes(b"4")
        folder = tmp_path / "folder"
        for text in ("5", "6"):
            with create_folder(folder, replace=True) as draft:
                (draft / "x").write_text(text)
        assert [each.read_text() for each in (path, path.with_name("b"), folder / "x")] == ["2", "4", "6"]
        assert not [each for each in tmp_path.rglob(".*") if each.name != ".lock"]

    def test_a_folder_is_not_flushed_and_a_file_is(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        flushed = []
        monkeypatch.setattr(os, "fsync", lambda handle: flushed.append(Path(f"/proc/self/fd/{handle}").readlink()))
        write_private(tmp_path / "file", "1")
        assert [each.name.endswith("-file") for each in flushed] == [True]

    def test_a_temporary_folder_whose_process_was_killed_is_removed_and_one_in_use_is_not(self, tmp_path: Path) -> None:
        with temporary_folder(tmp_path) as used:
            left = tmp_path / "dnapredict-abcdefgh"
            left.mkdir()
            (left / ".lock").touch()
            for each in (used, left):
                os.utime(each, (1_000_000_000, 1_000_000_000))
            assert remove_abandoned(tmp_path) == 1
            assert (used.is_dir(), left.exists()) == (True, False)
        assert not used.exists()

    def test_a_workspace_leaves_no_file_behind(self) -> None:
        with Workspace() as workspace:
            path = workspace.new_file(ending=".csv")
            path.write_text("a\n1\n")
            assert not path.is_symlink()
        assert not path.exists()

    def test_limits_accounts_and_permissions(self, tmp_path: Path) -> None:
        assert raise_file_limit() == sys.maxsize
        assert connections_for(65_536, wanted=1_000) == 400
        assert (operating_system.account_number(), operating_system.is_root()) == ("", False)
        (tmp_path / "x").mkdir(mode=0o777)
        assert list(file_checks.permissions(tmp_path)) == []

    def test_a_home_is_written_backed_up_and_restored(self, tmp_path: Path) -> None:
        home = tmp_path / "home"
        made = api_keys.create(home, name="x", scopes=(KeyScope.LIST,))
        ring = KeyRing(home)
        session = ring.session(made.key)
        ring.end_session(session)
        listed = pa.table({"patient_id": ["1"], "opt_out": [True]})
        for each in ("1", "2"):
            StatedOptOuts(home, lambda _kind, value: value).remember(
                listed.set_column(0, "patient_id", pa.array([each]))
            )
        log = ScoringLog(home)
        log.write([row()])
        back_up(home, tmp_path / "copy")
        log.close()
        restore(tmp_path / "copy", tmp_path / "again")
        again = ScoringLog(tmp_path / "again")
        assert again.verify().entries == 1
        again.close()
        assert KeyRing(tmp_path / "again").holder(made.token) == made.key
        assert StatedOptOuts(tmp_path / "again", lambda _kind, value: value).patients() == {"1", "2"}


@pytest.mark.parametrize("system", ["linux", "darwin"])
def test_on_macos_a_workspace_has_named_files_and_folders_are_locked(
    system: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operating_system, "PLATFORM", system)
    with Workspace() as workspace:
        assert workspace.new_file().is_symlink() == (system == "linux")
    with temporary_folder(tmp_path) as used:
        os.utime(used, (1_000_000_000, 1_000_000_000))
        assert not operating_system.is_abandoned_folder(used)


def test_the_kernel_of_macos_may_allow_fewer_open_files_than_its_hard_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = types.SimpleNamespace(RLIMIT_NOFILE=8, RLIM_INFINITY=-1, asked=[])

    def setrlimit(_: int, wanted: tuple[int, int]) -> None:
        limits.asked.append(wanted[0])
        if wanted[0] > 10_240:
            raise ValueError

    limits.getrlimit, limits.setrlimit = lambda _: (256, -1), setrlimit
    monkeypatch.setitem(sys.modules, "resource", limits)
    assert raise_file_limit() == 10_240
    assert limits.asked == [65_536, 10_240]


def test_a_request_to_stop_is_a_signal_of_every_system() -> None:
    names = {each.name for each in operating_system.STOP_SIGNALS}
    assert {"SIGINT", "SIGTERM"} <= names
    with interruption.watched():
        assert interruption.requested() == 0

"""What differs between Linux, macOS and Windows: locks, permissions, flushing, accounts, signals.

Everything else in dnapredict asks here, so that the branch of Windows can be run by a test on another system, which
replaces `NAME` and the module `msvcrt`. Modules of one system alone are imported where they are used.
"""

import contextlib
import importlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

NAME = os.name
"""`nt` on Windows, `posix` elsewhere; a test replaces it."""

PLATFORM = sys.platform
"""`linux`, `darwin` or `win32`; a test replaces it."""

STOP_SIGNALS: Final = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)
)
"""Signals by which a person or a system asks a process to end. Only Windows has SIGBREAK (Ctrl-Break)."""

_FOLDER_LOCK: Final = ".lock"
# Between making a folder and locking it; a process that is stopped just there loses nothing that it has written.
_SECONDS_TO_LOCK: Final = 60


def is_windows() -> bool:
    """Whether this is Windows."""
    return NAME == "nt"


def has_permissions() -> bool:
    """Whether files have an owner's, a group's and others' permissions. On Windows the folder's access list decides."""
    return not is_windows()


def has_nameless_files() -> bool:
    """Whether an open file without a name can be opened again by this process: on Linux, through /proc."""
    return PLATFORM == "linux"


def try_lock(file: IO[bytes], *, shared: bool = False) -> bool:
    """Whether this process now has a lock on an open file, which it keeps until the file is closed.

    Any number of processes may hold a `shared` lock while none holds an exclusive one. On Windows every lock is
    exclusive.
    """
    try:
        if is_windows():
            msvcrt: Any = importlib.import_module("msvcrt")
            file.seek(0)  # the lock is on a byte; all must ask for the same one
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl: Any = importlib.import_module("fcntl")
            fcntl.flock(file.fileno(), (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def try_lock_path(path: Path, lock: contextlib.ExitStack) -> bool | None:
    """Hold the lock of a file or folder until `lock` is closed: False if another process has it, None without locks.

    There are none on some network disks, nor on Windows, which cannot rename a file that is open.

    Raises
    ------
    OSError
        If it cannot be opened.
    """
    if is_windows():
        return None
    fcntl: Any = importlib.import_module("fcntl")
    handle = os.open(path, os.O_NOFOLLOW | os.O_NONBLOCK | (os.O_RDONLY if path.is_dir() else os.O_WRONLY))
    lock.callback(os.close, handle)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


@contextlib.contextmanager
def locked_folder(path: Path) -> Iterator[None]:
    """Lock a folder of this process, so that `is_abandoned_folder` is False of it.

    On Windows, where a folder cannot be opened, a file in it is locked. On a disk without locks nobody gets one, and no
    folder counts as abandoned.
    """
    if is_windows():
        with (path / _FOLDER_LOCK).open("ab") as file:
            try_lock(file)
            yield
        return
    with contextlib.ExitStack() as lock:
        try_lock_path(path, lock)
        yield


def is_abandoned_folder(path: Path) -> bool:
    """Whether a folder belongs to this account, is older than a minute, and its process has ended.

    Raises
    ------
    OSError
        If that cannot be found out.
    """
    state = path.lstat()
    is_young = time.time() - state.st_mtime < _SECONDS_TO_LOCK
    if path.is_symlink() or not path.is_dir() or is_young:
        return False
    if is_windows():
        with (path / _FOLDER_LOCK).open("rb+") as file:  # one without is not ours, or was stopped before it was locked
            return try_lock(file)
    if not is_own(state):
        return False
    with contextlib.ExitStack() as lock:
        return try_lock_path(path, lock) is True


def flush(path: Path) -> None:
    """Write a file, or the names in a folder, from the system's memory to the disk.

    Raises
    ------
    OSError
        If a file cannot be flushed. A folder cannot be on Windows and on some network disks, and may be writable and
        not readable.
    """
    is_folder = path.is_dir()
    if is_folder and is_windows():
        return
    try:
        # Windows flushes only what is open for writing.
        handle = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0) if is_windows() else os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError:
        if not is_folder:
            raise


def account_number() -> str:
    """The account by its number, such as "user 1000"; "" on Windows, where accounts have names only."""
    return "" if is_windows() else f"user {os.getuid()}"


def is_own(state: os.stat_result) -> bool:
    """Whether a file belongs to this account; True of every file on Windows."""
    return is_windows() or state.st_uid == os.geteuid()


def is_root() -> bool:
    """Whether this is the account that may do everything; False on Windows."""
    return not is_windows() and os.geteuid() == 0


def write_no_core() -> None:
    """Let a crash leave no core file: it would hold the rows that are in memory, in the folder where one works.

    Windows writes none.
    """
    if not is_windows():
        resource: Any = importlib.import_module("resource")
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def raise_file_limit(wanted: tuple[int, ...]) -> int:
    """Raise the soft limit on open files to the first of `wanted` that the hard limit and the kernel allow; return it.

    Windows has no such limit; the returned value then means none.
    """
    if is_windows():
        return sys.maxsize
    resource: Any = importlib.import_module("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    for each in wanted:
        target = each if hard == unlimited else min(each, hard)
        if soft == unlimited or soft >= target:
            break
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
        except (OSError, ValueError):  # macOS takes no more than its kernel's own limit
            continue
        return target
    return sys.maxsize if soft == unlimited else int(soft)

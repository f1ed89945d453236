"""A process whose writes are numbered: it is killed at one of them, or held at each while what is on the disk is kept.

`write_interposer.c` is compiled here and loaded by LD_PRELOAD into a parent that imports everything once; each run is a
child that is forked from it.
"""

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Ended", "Point", "held", "interposer", "is_loaded", "killed", "ran", "restarted"]

_SOURCE = Path(__file__).with_name("write_interposer.c")
_COMPILER = ("gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-D_LARGEFILE64_SOURCE")
_SECONDS = 1_500  # of the clock on the wall: on a busy machine a run that is held at each point takes minutes


@dataclass(frozen=True)
class Point:
    """A point at which a process may be killed: before a step, or with half of the bytes of a write written."""

    number: int
    kind: str
    path: str


@dataclass(frozen=True)
class Ended:
    """How a child ended: its exit code, or minus the number of the signal; and what it printed."""

    code: int
    said: str


def interposer(folder: Path) -> Path:
    """The compiled library, in `folder`."""
    library = folder / "write_interposer.so"
    if not library.exists():
        subprocess.run([*_COMPILER, "-o", str(library), str(_SOURCE), "-ldl", "-lpthread"], check=True)
    return library


def is_loaded() -> bool:
    """Whether this process has the library."""
    return "write_interposer.so" in os.environ.get("LD_PRELOAD", "")


def restarted(library: Path) -> None:
    """Begin this program again, with the library."""
    os.environ["LD_PRELOAD"] = str(library)
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - this very program


def ran(work: Callable[[], int]) -> Ended:
    """Do it in a child."""
    with tempfile.TemporaryFile() as said:
        return _ended(_forked(work, said.fileno()), said.fileno())


def killed(work: Callable[[], int], roots: tuple[Path, ...], *, at: int) -> tuple[Ended, list[Point]]:
    """Do it in a child that kills itself at point `at` of its writes beneath `roots`; 0 for never."""
    with tempfile.TemporaryFile() as told, tempfile.TemporaryFile() as said:

        def watched() -> int:
            _interpose(roots, at=at, told=told.fileno(), wait=-1)
            return work()

        ended = _ended(_forked(watched, said.fileno()), said.fileno())
        told.seek(0)
        return ended, [_point(line) for line in told.read().decode(errors="replace").splitlines()]


def held(work: Callable[[], int], roots: tuple[Path, ...], *, look: Callable[[Point], None]) -> Ended:
    """Do it in a child that is held at each point of its writes beneath `roots` while `look` is called with it."""
    (told, tell), (wait, go) = os.pipe(), os.pipe()
    with tempfile.TemporaryFile() as said:

        def watched() -> int:
            os.close(told)
            os.close(go)
            _interpose(roots, at=0, told=tell, wait=wait)
            return work()

        pid = _forked(watched, said.fileno())
        os.close(tell)
        os.close(wait)
        for point in _points(told):
            look(point)
            os.write(go, b".")
        os.close(told)
        os.close(go)
        return _ended(pid, said.fileno())


def _points(told: int) -> Iterator[Point]:
    with os.fdopen(os.dup(told), "rb") as lines:
        for line in lines:
            yield _point(line.decode(errors="replace"))


def _point(line: str) -> Point:
    number, kind, path = line.rstrip("\n").split("\t", maxsplit=2)
    return Point(int(number), kind, path)


def _interpose(roots: tuple[Path, ...], *, at: int, told: int, wait: int) -> None:
    interpose = ctypes.CDLL(None).interpose
    interpose.argtypes = [ctypes.c_char_p, ctypes.c_long, ctypes.c_int, ctypes.c_int]
    interpose("\n".join(map(str, roots)).encode(), at, told, wait)


def _forked(work: Callable[[], int], said: int) -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 99
    try:
        signal.alarm(_SECONDS)
        os.dup2(said, 1)
        os.dup2(said, 2)
        code = work()
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException as error:  # noqa: BLE001 - the parent hears of whatever it is
        os.write(2, f"escaped: {error!r}\n".encode())
    finally:
        os._exit(code)


def _ended(pid: int, said: int) -> Ended:
    _, status = os.waitpid(pid, 0)
    os.lseek(said, 0, os.SEEK_SET)
    with os.fdopen(os.dup(said), "rb") as file:
        return Ended(os.waitstatus_to_exitcode(status), file.read().decode(errors="replace"))

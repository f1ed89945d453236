"""Ctrl-C and SIGTERM, which end a command wherever it is, and leave what was there before.

Both raise KeyboardInterrupt, so that every `finally` on the way runs. Libraries in C may turn that into an
error of their own (DuckDB: RuntimeError), or not notice it until a long query ends. So the request is also
remembered here, and passed on at once to every engine that registered for it.
"""

import contextlib
import signal
import socket
import threading
import weakref
from collections.abc import Iterator
from types import FrameType
from typing import Any, Final, Protocol

from dnapredict.data.files.operating_system import STOP_SIGNALS

_found: list[int] = []


class Stopped(KeyboardInterrupt):
    """The process was asked to stop.

    A class of its own, since Python notes a plain KeyboardInterrupt that leaves a text given to exec(), as in
    the making of a dataclass, and then ends as if by SIGINT, whatever exit code is asked for.
    """


class Interruptible(Protocol):
    """Work in a library that another thread can interrupt."""

    def interrupt(self) -> None:
        """End the work that is being done, if any, with an error."""


_open: Final[weakref.WeakSet[Any]] = weakref.WeakSet()


def requested() -> int:
    """The number of the signal that asked this process to stop; 0 if none did."""
    return _found[0] if _found else 0


def interrupt_on_stop(work: Interruptible) -> None:
    """Interrupt `work` when the process is asked to stop, as long as `work` exists."""
    _open.add(work)


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """Listen for the signals while a command runs; before and after they do what they did.

    Outside the main thread, where Python takes no signals, nothing is changed.
    """
    _found.clear()
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _stop) for number in STOP_SIGNALS}
    receive, send = socket.socketpair()
    send.setblocking(False)
    wakeup = signal.set_wakeup_fd(send.fileno(), warn_on_full_buffer=False)
    thread = threading.Thread(target=_pass_on, args=(receive,), daemon=True, name="stopping")
    thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        send.close()  # ends the thread, which reads to the end
        thread.join()
        receive.close()
        _found.clear()


def _stop(number: int, _: FrameType | None) -> None:
    _found.append(number)
    raise Stopped


def _pass_on(receive: socket.socket) -> None:
    """Interrupt what is running in C, which Python itself cannot reach until it returns."""
    while numbers := receive.recv(64):
        if not set(numbers).isdisjoint(STOP_SIGNALS):
            for work in list(_open):
                with contextlib.suppress(Exception):  # it ended meanwhile
                    work.interrupt()

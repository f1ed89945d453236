"""Services to measure, as processes of their own: `dnapredict serve`, and the echo beside it."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

HERE = Path(__file__).resolve().parent
OURS = "from dnapredict.cli import main; main()"
ECHO = (
    "import sys, bentoml;bentoml.serve('under_load.echo:Echo', host='127.0.0.1', port=int(sys.argv[1]), blocking=True)"
)
QUIET = {"BENTOML_DO_NOT_TRACK": "true", "BENTOML_QUIET": "true", "MLFLOW_DISABLE_TELEMETRY": "true"}
SECONDS_TO_START = 180


@dataclass(frozen=True)
class Served:
    """A service that answers, and the file that it writes its log to."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def address(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def workers(self) -> list[psutil.Process]:
        """The processes that answer."""
        return [each for each in self._children() if "worker" in " ".join(_command(each))]

    def processor_s(self) -> float:
        """Seconds of user and system time that the processes that answer have used since they began."""
        times = [each.cpu_times() for each in self.workers()]
        return sum(each.user + each.system for each in times)

    def memory_mb(self) -> float:
        """Memory of all its processes, what they share counted once where the system tells."""
        total = 0.0
        for process in [psutil.Process(self.process.pid), *self._children()]:
            with contextlib.suppress(psutil.Error):
                full = process.memory_full_info()
                total += getattr(full, "pss", full.rss) / 1_048_576
        return total

    def kill(self) -> None:
        """Kill all its processes at once, as the end of a container does."""
        every = [psutil.Process(self.process.pid), *self._children()]
        for process in every:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(every, timeout=60)

    def forget_peak(self) -> None:
        """Count the most memory from what the workers have now (Linux)."""
        for worker in self.workers():
            Path(f"/proc/{worker.pid}/clear_refs").write_text("5", encoding="ascii")

    def peaks_mb(self) -> list[float]:
        """The most memory that each worker had since then (Linux)."""
        return [_peak_kb(worker.pid) / 1_024 for worker in self.workers()]

    def _children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


@contextlib.contextmanager
def ours(
    home: Path, *, before: Sequence[str] = (), folder: Path = HERE.parent, port: int = 0, **environment: str
) -> Iterator[Served]:
    """`dnapredict serve` on the home, ready, started through the words `before`; on a free port unless one is given.

    `folder` is its working directory: a `serving/worklist.toml` there is used instead of the one of this checkout.
    """
    port = port or free_port()
    command = [*before, sys.executable, "-c", OURS, "serve", "--home", str(home), "--port", str(port)]
    with _running(command, port, environment, folder=folder) as served:
        yield served


@contextlib.contextmanager
def echo() -> Iterator[Served]:
    """The echo, ready."""
    port = free_port()
    with _running([sys.executable, "-c", ECHO, str(port)], port, {}) as served:
        yield served


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def _running(
    command: list[str], port: int, environment: dict[str, str], *, folder: Path = HERE.parent
) -> Iterator[Served]:
    with tempfile.TemporaryDirectory() as state:
        path = os.pathsep.join([str(HERE.parent), str(HERE.parents[1] / "src")])
        settings = os.environ | QUIET | {"BENTOML_HOME": state, "PYTHONPATH": path} | environment
        with (log := Path(state) / "log").open("wb") as out:
            process = subprocess.Popen(command, cwd=folder, env=settings, stdout=out, stderr=subprocess.STDOUT)
        try:
            wait_until_ready(f"http://127.0.0.1:{port}", process)
            yield Served(port, process, log)
        finally:
            process.send_signal(signal.SIGINT)  # nothing happens where it has ended
            process.wait(timeout=60)


def wait_until_ready(address: str, process: subprocess.Popen[bytes]) -> None:
    """Until it answers that it is ready, several times over: each worker loads a model of its own."""
    until, in_a_row = time.monotonic() + SECONDS_TO_START, 0
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(address + "/readyz", timeout=5) as answer:  # noqa: S310
            in_a_row = in_a_row + 1 if answer.status == 200 else 0
            if in_a_row == 20:
                return
            continue
        in_a_row = 0
        time.sleep(0.2)
    raise SystemExit("the service did not start")


def _peak_kb(pid: int) -> int:
    """What Linux remembers of a process: the most of its memory that was ever resident."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []

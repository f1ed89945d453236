"""The service as operators meet it: BentoML's own processes, on a port of this machine."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import psutil

_SECONDS_TO_START = 180  # on a machine that others keep busy; alone it takes less than ten
ONE_WORKER = "workers = 1\n"  # where it does not matter that several processes answer: each takes seconds to start
ROOT = Path(__file__).resolve().parents[2]
_RUN = (
    "import sys, bentoml;"
    "bentoml.serve('tests.service.rehearsal:service', host='127.0.0.1', port=int(sys.argv[1]), blocking=True)"
)


@dataclass(frozen=True)
class Running:
    address: str
    log: Path
    process: subprocess.Popen[bytes]

    def workers(self) -> list[int]:
        """Ids of the processes that answer."""
        return [child.pid for child in self._children() if "worker" in " ".join(_command(child))]

    def memory_mb(self) -> float:
        """Memory of all its processes."""
        everybody = [psutil.Process(self.process.pid), *self._children()]
        return sum(each.memory_info().rss for each in everybody) / 1_048_576

    def kill_workers(self) -> None:
        """Kill the processes that answer, and wait until new ones do."""
        for worker in self.workers():
            os.kill(worker, signal.SIGKILL)
        _wait(f"{self.address}/readyz", self.process)

    def _children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(
    home: Path, *, settings: str = "", before: Sequence[str] = (), environment: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Running]:
    """The service on `home`, with `settings` as its service.toml, started through the words `before`."""
    port = free_port()
    with tempfile.TemporaryDirectory() as state, (Path(state) / "log").open("wb") as log:
        (Path(state) / "service.toml").write_text(settings, encoding="utf-8")
        process = subprocess.Popen(
            [*before, sys.executable, "-c", _RUN, str(port)],
            cwd=ROOT,
            env=os.environ
            | {
                "DNAPREDICT_HOME": str(home),
                "DNAPREDICT_SERVICE": str(Path(state) / "service.toml"),
                "BENTOML_HOME": state,
                "BENTOML_DO_NOT_TRACK": "true",
                "BENTOML_QUIET": "true",
                "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
            }
            | environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait(f"http://127.0.0.1:{port}/readyz", process)
            yield Running(f"http://127.0.0.1:{port}", Path(state) / "log", process)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=30)


def _wait(address: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _SECONDS_TO_START
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=2) as answer:  # noqa: S310
            if answer.status == 200:
                return
        time.sleep(0.1)
    raise AssertionError("the service did not start")

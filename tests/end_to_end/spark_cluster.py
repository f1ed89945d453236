"""A Spark cluster on this machine: a master and two workers as processes of their own.

They come from the pyspark wheel. Each worker has its own working folder and its own folder for shuffles, for each
application one core and 1 GB, and hears this machine alone.
"""

import contextlib
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import dnapredict

WORKERS = 2
NEEDED = "Spark needs Java 17 and the extra: pip install 'dnapredict[spark]'."
# No step may bring more than this back to the driver, so that a test fails where rows pass through it.
MOST_COLLECTED = "128k"
_MASTER = re.compile(r"Starting Spark master at (spark://127\.0\.0\.1:\d+)")
_SECONDS = 300
# Each process lives for a minute: compiling its code well, or collecting garbage beside it, costs more than it gives.
SHORT_LIVED = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"


@dataclass
class SharedSession:
    """A session on a cluster of two workers, for all files of tests of a process that use one.

    It was there before dnapredict, in another time zone. The cluster has room for another application.
    """

    folder: Path
    session: Any = None
    address: str = ""
    _running: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def start(self) -> "SharedSession":
        """Start it, if it is not running."""
        if self.session is None:
            folder = self.folder / secrets.token_hex(4)
            self.address = self._running.enter_context(cluster(folder, applications=2))
            self.session = session_on(self.address, folder / "driver")
            self._running.callback(end, self.session)
            self.session.conf.set("spark.sql.session.timeZone", "Asia/Tokyo")
        return self

    def stop(self) -> None:
        """End it and its processes, if it is running."""
        self._running.close()
        self.session = None


def is_there() -> bool:
    """Whether this machine has pyspark and Java."""
    return find_spec("pyspark") is not None and (shutil.which("java") is not None or "JAVA_HOME" in os.environ)


@contextlib.contextmanager
def cluster(folder: Path, *, applications: int = 1, workers: int = WORKERS, memory: int = 1) -> Iterator[str]:
    """The address of the master of a running cluster for so many applications at a time, which is ended afterwards.

    Each worker has so much `memory`, in GB, for an application.
    """
    cores = ("--cores", str(applications), "--memory", f"{applications * memory}g")
    with contextlib.ExitStack() as running:
        log = _start(running, folder / "master", "deploy.master.Master", "--port", "0", "--webui-port", "0")
        (address,) = _appearing(log, _MASTER, times=1)
        for number in range(workers):
            own = folder / f"worker-{number}"
            options = (*cores, "--webui-port", "0", "--work-dir", str(own / "work"))
            _start(running, own, "deploy.worker.Worker", *options, address)
        _appearing(log, re.compile(r"Registering worker (\S+)"), times=workers)
        yield address


def _start(running: contextlib.ExitStack, folder: Path, name: str, *options: str) -> Path:
    """Start a process of the cluster in `folder`, and return its log."""
    (folder / "local").mkdir(parents=True)
    log = folder / "log"
    spark = find_spec("pyspark")
    assert spark is not None
    home = Path(str(spark.origin)).parent
    environment = {
        **os.environ,
        "SPARK_HOME": str(home),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_LOCAL_DIRS": str(folder / "local"),
        "SPARK_DAEMON_MEMORY": "256m",
        "SPARK_DAEMON_JAVA_OPTS": SHORT_LIVED,
    }
    with log.open("wb") as out:
        process = subprocess.Popen(
            [str(home / "bin" / "spark-class"), f"org.apache.spark.{name}", "--host", "127.0.0.1", *options],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    running.callback(_end, process)
    return log


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _appearing(log: Path, pattern: re.Pattern[str], *, times: int) -> list[str]:
    """What the log says at least so many `times`, waited for."""
    until = time.monotonic() + _SECONDS
    while time.monotonic() < until:
        found = pattern.findall(log.read_text(encoding="utf-8", errors="replace"))
        if len(found) >= times:
            return found
        time.sleep(0.1)
    raise AssertionError(f"no '{pattern.pattern}' in the log:\n" + log.read_text(encoding="utf-8", errors="replace"))


def end(session: Any) -> None:
    """End a session and the Java process behind it, which would pass its settings on to the next session here."""
    from pyspark import SparkContext

    gateway = session.sparkContext._gateway
    session.stop()
    gateway.shutdown()
    gateway.proc.stdin.close()
    gateway.proc.wait(60)
    SparkContext._gateway = SparkContext._jvm = None


def settings(folder: Path, *, packages: str) -> dict[str, str]:
    """Settings of an application whose driver works in `folder`, and whose executors find dnapredict in `packages`."""
    return {
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.maxResultSize": MOST_COLLECTED,
        "spark.executor.memory": "600m",
        "spark.executor.extraJavaOptions": SHORT_LIVED,
        "spark.executorEnv.PYTHONPATH": packages,
        "spark.cores.max": str(WORKERS),
        # Each query here runs once on few rows: compiling it to Java costs more than interpreting it.
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        "spark.sql.codegen.wholeStage": "false",
        # The factors are one job, and not forty-eight: planning again after each stage gains nothing on few rows.
        "spark.sql.adaptive.enabled": "false",
        "spark.local.dir": str(folder),
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.sql.autoBroadcastJoinThreshold": "-1",
        "spark.sql.shuffle.partitions": "2",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }


def session_on(address: str, folder: Path, *, adaptive: bool = False, memory: str = "1200m", **others: str) -> Any:
    """A session whose driver is this process, with so much memory. Executors find dnapredict where this process does.

    Its Java process works in `folder`, so that a path under `/proc/self/cwd` is another one for each executor.

    `adaptive` lets Spark plan again after each stage; `others` are settings by name, with `__` for each point.
    """
    from pyspark.sql import SparkSession

    package = Path(dnapredict.__file__).resolve().parents[1]
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["PYSPARK_SUBMIT_ARGS"] = f"--driver-memory {memory} --driver-java-options '{SHORT_LIVED}' pyspark-shell"
    builder = SparkSession.builder.master(address).appName("dnapredict tests")
    chosen = settings(folder, packages=str(package)) | {"spark.sql.adaptive.enabled": str(adaptive).lower()}
    chosen |= {name.replace("__", "."): value for name, value in others.items()}
    for name, value in chosen.items():
        builder = builder.config(name, value)
    folder.mkdir(exist_ok=True)
    with contextlib.chdir(folder):
        session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    return session

"""A real PostgreSQL server for tests: its own data, on a port of this machine, gone afterwards."""

import contextlib
import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from tests.service.process import free_port

_PLACES = ("/usr/lib/postgresql", "/usr/local/pgsql", "/opt/homebrew/opt/postgresql")
_SYSTEM_USER = "postgres"


def _programs() -> Path | None:
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).resolve().parent
    found = [initdb for place in _PLACES for initdb in Path(place).glob("**/bin/initdb")]
    return max(found).parent if found else None


class Server:
    """PostgreSQL that can be stopped and started again."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        # It refuses to run as root, and pytest's own folders are open to their owner alone.
        self._folder = Path(tempfile.mkdtemp(prefix="dnapredict-postgres-"))
        self.port = free_port()
        if os.geteuid() == 0:
            shutil.chown(self._folder, _SYSTEM_USER)
        self._data = self._folder / "data"
        self._run(["initdb", "-D", str(self._data), "-U", "log", "-A", "trust", "-E", "UTF8", "--no-locale", "-N"])
        self.start()

    def start(self) -> None:
        options = f"-p {self.port} -k {self._folder} -c listen_addresses=127.0.0.1"
        log = str(self._folder / "log")
        self._run(["pg_ctl", "-D", str(self._data), "-w", "-l", log, "-o", options, "start"])

    def stop(self) -> None:
        self._run(["pg_ctl", "-D", str(self._data), "-w", "-m", "immediate", "stop"])

    def kill(self) -> None:
        """Kill the server and all its processes at once, as a power cut does; `start` then recovers from its log."""
        server = psutil.Process(int((self._data / "postmaster.pid").read_text().split()[0]))
        processes = [server, *server.children(recursive=True)]
        for process in processes:  # the server first, or it would notice that a child died, and end by itself
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(processes, timeout=30)

    def kill_backend(self, database: str, chance: random.Random) -> bool:
        """Kill a process that serves a connection to `database`; the server then restarts all of them.

        Returns whether there was one.
        """
        import psycopg

        try:
            with closing(psycopg.connect(self.address("postgres"), autocommit=True, connect_timeout=5)) as connection:
                query = "SELECT pid FROM pg_stat_activity WHERE datname = %s"
                found = [pid for (pid,) in connection.execute(query, (database,)).fetchall()]
        except psycopg.OperationalError:  # it is restarting just now
            return False
        if not found:
            return False
        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.Process(chance.choice(found)).kill()
        return True

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def new_database(self, name: str) -> str:
        import psycopg

        with closing(psycopg.connect(self.address("postgres"), autocommit=True)) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return self.address(name)

    def address(self, database: str) -> str:
        return f"postgresql://log@127.0.0.1:{self.port}/{database}"

    def _run(self, command: Sequence[str]) -> None:
        user = ["runuser", "-u", _SYSTEM_USER, "--"] if os.geteuid() == 0 else []
        whole = [*user, str(self._programs / command[0]), *command[1:]]
        done = subprocess.run(
            whole,
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()


def start() -> Server:
    """A server; without its programs the test is skipped, and in CI that is a failure."""
    programs = _programs()
    if programs is None and os.environ.get("CI"):
        pytest.fail("CI has no PostgreSQL; .ci/run installs it")
    if programs is None:
        pytest.skip("no PostgreSQL on this machine (initdb): these tests run against the real server")
    return Server(programs)

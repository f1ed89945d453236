"""PostgreSQL killed under two services: is each acknowledged answer and outcome on record once, and the chain whole?

Two services of two homes write to one scoring log in a real PostgreSQL server. Clients score appointments and record
outcomes of calls through both, while a process of the server, or the server with all its processes, is killed with
SIGKILL and started again. The claim: each acknowledged answer and outcome has exactly one entry, one that was not
acknowledged at most one, no answer is a 5xx but 503, both services answer after the last kill, and the chain verifies.
`python -m benchmarks.postgres_kills [--kills 60] [--minutes 12]`; the scorer is the double of the tests.
"""

import argparse
import asyncio
import contextlib
import json
import random
import shutil
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from sqlalchemy import select
from tests.service import postgres
from tests.service.pages import week
from tests.service.process import ONE_WORKER, Running, running

from dnapredict.service.log.answer_entries import Hashes
from dnapredict.service.log.log_tables import ACTIONS, ANSWERS
from dnapredict.service.log.scoring_log import ScoringLog

__all__ = ["Figures", "killed"]

DATABASE, SCORERS_A_SERVICE, RECORDERS_A_SERVICE, ROWS_OF_A_LIST = "log", 2, 1, 60
SECONDS_BETWEEN_KILLS = (0.5, 2.5)
SECONDS_TO_RECOVER = 60
# Each third kill takes the whole server.
WHOLE_SERVER = 3


@dataclass
class Figures:
    """What came of all requests; a request is named by its appointment.

    Attributes
    ----------
    acknowledged, other
        Of "answer" and "outcome": the appointments that were answered with 2xx, and the others.
    """

    kills: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    acknowledged: dict[str, set[str]] = field(default_factory=lambda: {"answer": set(), "outcome": set()})
    other: dict[str, set[str]] = field(default_factory=lambda: {"answer": set(), "outcome": set()})
    lost: int = 0
    doubled: int = 0
    entries: int = 0
    seconds: float = 0.0

    def note(self, kind: str, appointment: str, status: str) -> None:
        """Note what a request was answered with."""
        self.statuses[status] += 1
        (self.acknowledged if status.startswith("2") else self.other)[kind].add(appointment)

    @property
    def faults(self) -> dict[str, int]:
        """Answers of 5xx but 503, by their status."""
        return {status: count for status, count in self.statuses.items() if status.startswith("5") and status != "503"}

    def as_dict(self) -> dict[str, Any]:
        """The figures to print."""
        acknowledged = {kind: len(found) for kind, found in self.acknowledged.items()}
        return {
            "kills": dict(self.kills),
            "statuses": dict(self.statuses),
            "acknowledged": acknowledged,
            "acknowledged_and_lost": self.lost,
            "on_record_more_than_once": self.doubled,
            "entries_that_verify": self.entries,
            "seconds": round(self.seconds),
        }


def killed(folder: Path, *, kills: int, seconds: float, seed: int = 1) -> Figures:
    """Run two services on homes in `folder` until so many kills are done, or so many seconds are over."""
    server = postgres.start()
    try:
        address = server.new_database(DATABASE)
        homes = _homes(folder, address)
        environment = {"DNAPREDICT_DATABASE": address}
        with contextlib.ExitStack() as stack:
            services = [
                stack.enter_context(running(home, settings=ONE_WORKER, environment=environment)) for home in homes
            ]
            work = _Work(server, services, random.Random(seed))  # noqa: S311
            asyncio.run(work.run(kills=kills, until=time.monotonic() + seconds))
        _judge(work.figures, homes[0], address)
        return work.figures
    finally:
        server.remove()


def _homes(folder: Path, address: str) -> tuple[Path, Path]:
    """Two homes with the secret of one log, as two hosts have them."""
    first, second = folder / "first", folder / "second"
    for home in (first, second):
        home.mkdir(mode=0o700, parents=True)
    log = ScoringLog(first, address)
    log.upgrade()
    Hashes(first, log).of("secret", "check")
    log.close()
    shutil.copy2(first / "scoring-log.secret", second)
    return first, second


class _Work:
    def __init__(self, server: postgres.Server, services: list[Running], chance: random.Random) -> None:
        self._server, self._services, self._chance = server, services, chance
        self._stop = asyncio.Event()
        self.figures = Figures()

    async def run(self, *, kills: int, until: float) -> None:
        began = time.monotonic()
        clients = [
            client
            for number, service in enumerate(self._services)
            for client in (
                *(self._scores(service, f"s{number}c{each}") for each in range(SCORERS_A_SERVICE)),
                *(self._records(service, f"r{number}c{each}") for each in range(RECORDERS_A_SERVICE)),
            )
        ]
        asking = asyncio.gather(*clients)
        try:
            await self._kill(kills, until)
            await self._both_answer()
        finally:
            self._stop.set()
            await asking
        self.figures.seconds = time.monotonic() - began

    async def _kill(self, kills: int, until: float) -> None:
        while self.figures.kills.total() < kills and time.monotonic() < until:
            await asyncio.sleep(self._chance.uniform(*SECONDS_BETWEEN_KILLS))
            number = self.figures.kills.total() + 1
            if number % WHOLE_SERVER == 0:
                await asyncio.to_thread(self._server.kill)
                await asyncio.sleep(self._chance.uniform(0, 1))  # requests come meanwhile
                await asyncio.to_thread(self._server.start)
                self.figures.kills["server"] += 1
            elif await asyncio.to_thread(self._server.kill_backend, DATABASE, self._chance):
                self.figures.kills["connection"] += 1

    async def _both_answer(self) -> None:
        """Until each service has scored once more."""
        async with aiohttp.ClientSession() as session, asyncio.timeout(SECONDS_TO_RECOVER):
            for number, service in enumerate(self._services):
                attempt = 0
                while not (await self._score(session, service, f"last{number}n{attempt}")).startswith("2"):
                    attempt += 1
                    await asyncio.sleep(0.2)

    async def _scores(self, service: Running, name: str) -> None:
        number = 0
        async with aiohttp.ClientSession() as session:
            while not self._stop.is_set():
                number += 1
                await self._score(session, service, f"{name}n{number}")

    async def _score(self, session: aiohttp.ClientSession, service: Running, appointment: str) -> str:
        body = {"appointments": [{"appointment_id": appointment, "age_years": 50}]}
        status, _ = await _asked(session.post(f"{service.address}/v1/score", json=body))
        self.figures.note("answer", appointment, status)
        return status

    async def _records(self, service: Running, name: str) -> None:
        number = 0
        async with aiohttp.ClientSession() as session:
            while not self._stop.is_set():
                number += 1
                content = week(ROWS_OF_A_LIST, mark=f"{name}n{number}")
                form = aiohttp.FormData()
                form.add_field("file", content.encode(), filename="week.csv", content_type="text/csv")
                status, listed = await _asked(session.post(f"{service.address}/v1/lists", data=form))
                self.figures.statuses[status] += 1
                for line in listed.get("results", []):
                    if self._stop.is_set():
                        return
                    appointment = line["appointment_id"]
                    body = {"appointment_id": appointment, "outcome": "confirmed"}
                    address = f"{service.address}/v1/lists/{listed['list_id']}/actions"
                    status, _ = await _asked(session.post(address, json=body))
                    self.figures.note("outcome", appointment, status)


async def _asked(request: Any) -> tuple[str, dict[str, Any]]:
    """The status of a request, or the name of the error of a connection, and what a 2xx answered."""
    try:
        async with asyncio.timeout(60), request as answer:
            content = await answer.read()
            status = str(answer.status)
    except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
        return type(error).__name__, {}
    if status.startswith("2"):
        return status, json.loads(content)
    await asyncio.sleep(0.05)
    return status, {}


def _judge(figures: Figures, home: Path, address: str) -> None:
    """Compare what was acknowledged with the entries of the log, and verify its chain."""
    log = ScoringLog(home, address)
    try:
        figures.entries = log.verify().entries
        hashes = Hashes(home, log)
        listed = ANSWERS.c.list.is_(None)
        queries = {"answer": select(ANSWERS.c.appointment).where(listed), "outcome": select(ACTIONS.c.appointment)}
        for kind, query in queries.items():
            rows = Counter(row.appointment for row in log.query(query))
            counts = {
                each: rows[hashes.of("appointment", each)] for each in figures.acknowledged[kind] | figures.other[kind]
            }
            figures.lost += sum(not counts[each] for each in figures.acknowledged[kind])
            figures.doubled += sum(count > 1 for count in counts.values())
    finally:
        log.close()


def main() -> None:
    """Print the figures, judge them, and write benchmarks/out/postgres_kills.json."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--kills", type=int, default=60)
    asked.add_argument("--minutes", type=float, default=12, help="end after so long with the kills done by then")
    asked.add_argument("--seed", type=int, default=1)
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = killed(Path(folder), kills=given.kills, seconds=60 * given.minutes, seed=given.seed)
    text = json.dumps(figures.as_dict(), indent=1)
    out = Path(__file__).parent / "out"
    out.mkdir(exist_ok=True)
    (out / "postgres_kills.json").write_text(text + "\n")
    print(text)
    assert not figures.lost
    assert not figures.doubled
    assert not figures.faults


if __name__ == "__main__":
    main()

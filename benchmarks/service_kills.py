"""Workers and whole services killed at random moments: is everything that was acknowledged on record exactly once?

The claim: after 200 kills with SIGKILL of a worker or, one time in ten, of all processes of the service at once, each
acknowledged answer, outcome and uploaded list is there exactly once, and the log verifies. Four clients score and two
upload lists and record calls meanwhile. `python -m benchmarks.service_kills [KILLS] [HOME] [--seed N]`; without a home,
that of `dnapredict demo` is made. It ends after `--at-most` minutes with the kills done by then.

With `--minutes 10`, ten clients score, upload lists and record calls for so long, and two workers a minute
are killed. The claim: no answer of 5xx but in the seconds after a kill, no notice on a list, and every
database of the home passes SQLite's integrity_check.
"""

import argparse
import asyncio
import contextlib
import json
import random
import secrets
import sqlite3
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
from benchmarks.under_load.acknowledged import Acknowledged
from benchmarks.under_load.asking import Answers, appointments, session
from benchmarks.under_load.bombs import form
from benchmarks.under_load.home import made_home, say
from benchmarks.under_load.served import Served, free_port, ours

KILLS, SECONDS_TO_RECOVER, OF_THE_SERVICE = 200, 180, 0.1
CLIENTS_THAT_SCORE, CLIENTS_THAT_UPLOAD = 4, 2
SCORING, UPLOADING, KILLS_A_MINUTE = 4, 6, 2
# A worker that was killed takes about 8 s to come back; meanwhile the other one has twice the work.
SECONDS_AFTER_A_KILL = 30
ROWS_OF_A_LIST = 60
CALLS_OF_A_LIST = 5
# So that neither the limit on requests nor the retention of lists decides what is on record.
SETTINGS = "[limits]\nrequests_a_minute = 1_000_000\nburst = 100_000\n[retention]\nlists = 100_000\n"


def main() -> None:
    """Print the figures, judge them, and write benchmarks/out/service_kills.json."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("kills", nargs="?", type=int, default=KILLS)
    asked.add_argument("home", nargs="?", type=Path)
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--at-most", type=float, default=12, metavar="MINUTES", help="end after so long")
    asked.add_argument("--minutes", type=float, help="how long ten clients go on, instead of KILLS")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as place:
        home = made_home(Path(place), given.home)
        if given.minutes:
            soak(home, minutes=given.minutes)
            return
        settings = Path(place) / "service.toml"
        settings.write_text(SETTINGS, encoding="utf-8")
        killing = Killing(home, settings, random.Random(given.seed))  # noqa: S311
        asyncio.run(killing.run(kills=given.kills, seconds=60 * given.at_most))
        found = killing.figures() | killing.acknowledged.judged(home)
    text = json.dumps(found, indent=1)
    out = Path(__file__).parent / "out"
    out.mkdir(exist_ok=True)
    (out / "service_kills.json").write_text(text + "\n")
    print(text)
    assert all(not each.get("never") and not each.get("several times") for each in found.values())


class Killing:
    """Clients that score, upload and record, and kills of the service that they ask."""

    def __init__(self, home: Path, settings: Path, chance: random.Random) -> None:
        self._home, self._settings, self._chance = home, settings, chance
        self._port, self._stop = free_port(), asyncio.Event()
        self._statuses: dict[str, Counter[str]] = {"score": Counter(), "upload": Counter(), "record": Counter()}
        self._kills: Counter[str] = Counter()
        self._seconds = 0.0
        self.acknowledged = Acknowledged()

    async def run(self, *, kills: int, seconds: float) -> None:
        """Kill so often, or for so long."""
        began = time.monotonic()
        asking: asyncio.Future[Any] | None = None
        while self._kills.total() < kills and time.monotonic() - began < seconds:
            with contextlib.ExitStack() as running:
                served = await asyncio.to_thread(running.enter_context, self._service())
                if asking is None:
                    clients = [self._scores() for _ in range(CLIENTS_THAT_SCORE)]
                    asking = asyncio.gather(*clients, *[self._uploads() for _ in range(CLIENTS_THAT_UPLOAD)])
                await self._kill(served, kills, until=began + seconds)
                if self._kills.total() >= kills or time.monotonic() - began >= seconds:
                    self._stop.set()
                    await asking
        self._seconds = time.monotonic() - began

    def figures(self) -> dict[str, Any]:
        """Kills by kind, and what came of all requests."""
        asked = {what: dict(statuses) for what, statuses in self._statuses.items()}
        return {
            "kills": dict(self._kills),
            "seconds": {"all": round(self._seconds)},
            **{"asked to " + k: v for k, v in asked.items()},
        }

    def _service(self) -> contextlib.AbstractContextManager[Served]:
        return ours(self._home, port=self._port, DNAPREDICT_SERVICE=str(self._settings))

    async def _kill(self, served: Served, kills: int, *, until: float) -> None:
        """Kill workers until the whole service is killed, there were enough kills, or the time is over."""
        while self._kills.total() < kills and time.monotonic() < until:
            await self._answered(self._chance.randint(1, 30))
            if self._chance.random() < OF_THE_SERVICE:
                await asyncio.to_thread(served.kill)
                self._kills["service"] += 1
                return
            if workers := served.workers():
                self._chance.choice(workers).kill()
                self._kills["worker"] += 1
                if self._kills["worker"] % 20 == 0:
                    say(f"{dict(self._kills)}")

    async def _answered(self, more: int) -> None:
        """Until so many more requests were acknowledged: a worker that is only starting has nothing to lose."""
        wanted = self._acknowledged() + more
        async with asyncio.timeout(SECONDS_TO_RECOVER):
            while self._acknowledged() < wanted:  # noqa: ASYNC110 - clients only ever add to the lists
                await asyncio.sleep(self._chance.uniform(0.0, 0.1))

    def _acknowledged(self) -> int:
        each = self.acknowledged
        return len(each.scores) + len(each.uploads) + len(each.outcomes)

    async def _scores(self) -> None:
        template = json.loads(appointments(1, seed=1))
        async with session() as asking:
            while not self._stop.is_set():
                template["appointments"][0]["appointment_id"] = mark = secrets.token_hex(8)
                if await self._ask(asking, "score", "/v1/score", json.dumps(template).encode()):
                    self.acknowledged.scores.append(mark)

    async def _uploads(self) -> None:
        multipart = "multipart/form-data; boundary=x"
        async with session() as asking:
            while not self._stop.is_set():
                content = form(as_csv(appointments(ROWS_OF_A_LIST, seed=secrets.randbits(64))))
                content = content.replace(b"week.xlsx", b"week.csv")
                listed = await self._ask(asking, "upload", "/v1/lists", content, type_=multipart)
                rows = [line["appointment_id"] for line in listed.get("results", ())]
                if listed:
                    self.acknowledged.uploads[listed["list_id"]] = rows
                for row in rows[:CALLS_OF_A_LIST]:
                    body = json.dumps({"appointment_id": row, "outcome": "confirmed"}).encode()
                    if await self._ask(asking, "record", f"/v1/lists/{listed['list_id']}/actions", body):
                        self.acknowledged.outcomes.append((listed["list_id"], row))

    async def _ask(
        self, asking: aiohttp.ClientSession, what: str, path: str, body: bytes, *, type_: str = "application/json"
    ) -> dict[str, Any]:
        """The answer, {} where it is not a success; it is asked once."""
        content, headers = b"", {"content-type": type_}
        try:
            address = f"http://127.0.0.1:{self._port}{path}"
            async with asking.post(address, data=body, headers=headers, timeout=_PATIENCE) as answer:
                content, status = await answer.read(), str(answer.status)
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            status = type(error).__name__
        self._statuses[what][status] += 1
        if status.startswith("2"):
            return dict(json.loads(content))
        await asyncio.sleep(0.05)
        return {}


_PATIENCE = aiohttp.ClientTimeout(total=30)


def soak(home: Path, *, minutes: float) -> None:
    """Print what came of ten clients, and judge it."""
    with ours(home) as served:
        soaked = asyncio.run(Soak(served).run(seconds=60 * minutes))
    found = soaked | {"minutes": minutes, "databases": integrity(home)}
    print(json.dumps(found, indent=1))
    assert not found["5xx_beyond_the_kills"]
    assert not found["notices"]
    assert set(found["databases"].values()) == {"ok"}


class Soak:
    """Clients that score, upload and record while workers are killed."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._until = 0.0
        self._killed: list[float] = []
        self._failed: list[float] = []
        self._notices = 0
        self._sentences: Counter[str] = Counter()
        self._answers = {"score": Answers(), "upload": Answers(), "record": Answers()}

    async def run(self, *, seconds: float) -> dict[str, Any]:
        """Go on for so many seconds, and return the figures."""
        self._until = time.monotonic() + seconds
        clients = [self._scores() for _ in range(SCORING)] + [self._uploads() for _ in range(UPLOADING)]
        await asyncio.gather(*clients, self._kills())
        beyond = [at for at in self._failed if not self._is_soon_after_a_kill(at)]
        return {
            "kills": len(self._killed),
            "5xx": len(self._failed),
            "5xx_beyond_the_kills": len(beyond),
            "notices": self._notices,
            "sentences": dict(self._sentences),
            "answers": {what: answers.figures() for what, answers in self._answers.items()},
        }

    def _is_soon_after_a_kill(self, at: float) -> bool:
        return any(0 <= at - killed <= SECONDS_AFTER_A_KILL for killed in self._killed)

    async def _kills(self) -> None:
        pause = 60 / KILLS_A_MINUTE
        while time.monotonic() + pause < self._until:
            await asyncio.sleep(pause)
            workers = self._served.workers()
            if workers:
                random.choice(workers).kill()  # noqa: S311
                self._killed.append(time.monotonic())

    async def _scores(self) -> None:
        async with session() as asking:
            while time.monotonic() < self._until:
                body = appointments(random.choice((1, 1, 1, 20)), seed=random.getrandbits(32))  # noqa: S311
                await self._ask(asking, "score", "/v1/score", body)

    async def _uploads(self) -> None:
        async with session() as asking:
            while time.monotonic() < self._until:
                content = form(as_csv(appointments(ROWS_OF_A_LIST, seed=random.getrandbits(32))))
                content = content.replace(b"week.xlsx", b"week.csv")
                scored = await self._ask(
                    asking, "upload", "/v1/lists", content, type_="multipart/form-data; boundary=x"
                )
                for line in scored.get("results", [])[:3]:
                    outcome = random.choice(("confirmed", "no_answer", "no_calls_wished", "withdrawn"))  # noqa: S311
                    body = json.dumps({"appointment_id": line["appointment_id"], "outcome": outcome}).encode()
                    await self._ask(asking, "record", f"/v1/lists/{scored['list_id']}/actions", body)

    async def _ask(
        self,
        asking: aiohttp.ClientSession,
        what: str,
        path: str,
        body: bytes,
        *,
        type_: str = "application/json",
    ) -> dict[str, Any]:
        began, status, content = time.perf_counter(), "", b"{}"
        try:
            async with asking.post(self._served.address + path, data=body, headers={"content-type": type_}) as answer:
                content, status = await answer.read(), str(answer.status)
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            status = type(error).__name__
        if status.startswith("5"):
            self._failed.append(time.monotonic())
            self._sentences[f"{what}: {content.decode('utf-8', 'replace')[:200]}"] += 1
        self._answers[what].note("200" if status == "201" else status, (time.perf_counter() - began) * 1_000)
        if not status.startswith("2"):
            await asyncio.sleep(0.05)
            return {}
        found: dict[str, Any] = json.loads(content)
        self._notices += len(found.get("notices", ()))
        return found


def as_csv(request: bytes) -> bytes:
    """The appointments of a request as a CSV file."""
    rows = json.loads(request)["appointments"]
    lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
    return "\n".join(lines).encode()


def integrity(home: Path) -> dict[str, str]:
    """What SQLite's integrity_check says of each database of the home, set-aside ones included."""
    found = {}
    for path in sorted(home.rglob("*.db*")):
        if path.name.endswith(("-wal", "-shm", "-journal", ".lock")):
            continue
        with contextlib.closing(sqlite3.connect(path)) as connection:
            try:
                found[path.name] = str(connection.execute("PRAGMA integrity_check(1)").fetchone()[0])
            except sqlite3.DatabaseError as error:
                found[path.name] = str(error)
    return found


if __name__ == "__main__":
    main()

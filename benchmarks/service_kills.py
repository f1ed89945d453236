"""Workers killed at random moments: is every answer that was given on record once, and the chain whole?

The claim: after fifty kills, each acknowledged answer has exactly one row, and the log verifies.
`python -m benchmarks.service_kills [KILLS] [HOME]`; without a home, that of `dnapredict demo` is made.

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
from benchmarks.under_load.asking import Answers, appointments, ask, session
from benchmarks.under_load.bombs import form
from benchmarks.under_load.home import made_home
from benchmarks.under_load.served import Served, ours
from sqlalchemy import select

from dnapredict.service.log.answer_entries import Hashes
from dnapredict.service.log.log_tables import ANSWERS
from dnapredict.service.log.scoring_log import ScoringLog

KILLS, CLIENTS, SECONDS_TO_RECOVER = 50, 6, 120
SCORING, UPLOADING, KILLS_A_MINUTE = 4, 6, 2
# A worker that was killed takes about 8 s to come back; meanwhile the other one has twice the work.
SECONDS_AFTER_A_KILL = 30
ROWS_OF_A_LIST = 60


def main() -> None:
    """Print the figures, judge them, and write benchmarks/out/service_kills.json."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("kills", nargs="?", type=int, default=KILLS)
    asked.add_argument("home", nargs="?", type=Path)
    asked.add_argument("--minutes", type=float, help="how long ten clients go on, instead of KILLS")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as place:
        home = made_home(Path(place), given.home)
        if given.minutes:
            soak(home, minutes=given.minutes)
            return
        with ours(home) as served:
            acknowledged, answers = asyncio.run(asked_meanwhile(served, kills=given.kills))
        found = {"kills": given.kills, **judged(home, acknowledged), "answers": answers.figures()}
    text = json.dumps(found, indent=1)
    Path("benchmarks/out").mkdir(parents=True, exist_ok=True)
    Path("benchmarks/out/service_kills.json").write_text(text + "\n")
    print(text)
    assert found["without_a_row"] == found["with_several"] == 0


async def asked_meanwhile(served: Served, *, kills: int) -> tuple[list[str], Answers]:
    """Ask and kill: the appointments whose answers were acknowledged, and what came of all requests."""
    acknowledged: list[str] = []
    answers, stop = Answers(), asyncio.Event()
    clients = [_client(served, acknowledged, answers, stop) for _ in range(CLIENTS)]
    asking = asyncio.gather(*clients)
    for _ in range(kills):
        await _answered(acknowledged, random.randint(1, 30))  # noqa: S311
        workers = served.workers()
        if workers:
            random.choice(workers).kill()  # noqa: S311
    stop.set()
    await asking
    return acknowledged, answers


async def _answered(acknowledged: list[str], more: int) -> None:
    """Until so many more answers were given: a worker that is only starting has nothing to lose."""
    wanted = len(acknowledged) + more
    async with asyncio.timeout(SECONDS_TO_RECOVER):
        while len(acknowledged) < wanted:  # noqa: ASYNC110 - clients only ever add to the list
            await asyncio.sleep(random.uniform(0.0, 0.1))  # noqa: S311


async def _client(served: Served, acknowledged: list[str], answers: Answers, stop: asyncio.Event) -> None:
    template = json.loads(appointments(1, seed=1))
    async with session() as asking:
        while not stop.is_set():
            mark = secrets.token_hex(8)
            template["appointments"][0]["appointment_id"] = mark
            body = json.dumps(template).encode()
            content = await ask(
                asking, served.address + "/v1/score", body, answers, due=time.perf_counter(), patience=30
            )
            if b'"probability"' in content:
                acknowledged.append(mark)
            else:
                await asyncio.sleep(0.05)


def judged(home: Path, acknowledged: list[str]) -> dict[str, int]:
    """How many acknowledged answers have no row, how many have several, and how long the sound chain is."""
    log, hashes = ScoringLog(home), Hashes(home)
    rows = Counter(row.appointment for row in log.query(select(ANSWERS.c.appointment)))
    each = [rows[hashes.of("appointment", mark)] for mark in acknowledged]
    return {
        "acknowledged": len(acknowledged),
        "without_a_row": each.count(0),
        "with_several": sum(count > 1 for count in each),
        "rows_that_verify": log.verify().entries,
    }


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

"""Workers killed at random moments: is every answer that was given on record once, and the chain whole?

The claim: after fifty kills, each acknowledged answer has exactly one row, and the log verifies.
`python benchmarks/service_kills.py [KILLS] [HOME]`; without a home, that of `dnapredict demo` is made.
"""

import asyncio
import json
import random
import secrets
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from sqlalchemy import select

from dnapredict.service.hashes import Hashes
from dnapredict.service.record.tables import ANSWERS
from dnapredict.service.store import ScoringLog
from under_load.asking import Answers, appointments, ask, session
from under_load.home import made_home
from under_load.served import Served, ours

KILLS, CLIENTS, SECONDS_TO_RECOVER = 50, 6, 120


def main() -> None:
    """Print the figures, judge them, and write benchmarks/out/service_kills.json."""
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else KILLS
    with tempfile.TemporaryDirectory() as place:
        home = Path(sys.argv[2]) if len(sys.argv) > 2 else made_home(Path(place))
        with ours(home) as served:
            acknowledged, answers = asyncio.run(asked_meanwhile(served, kills=kills))
        found = {"kills": kills, **judged(home, acknowledged), "answers": answers.figures()}
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
    rows = Counter(row.appointment for row in log.ask(select(ANSWERS.c.appointment)))
    each = [rows[hashes.of("appointment", mark)] for mark in acknowledged]
    return {
        "acknowledged": len(acknowledged),
        "without_a_row": each.count(0),
        "with_several": sum(count > 1 for count in each),
        "rows_that_verify": log.verify().entries,
    }


if __name__ == "__main__":
    main()

"""Ask at a steady rate, whether or not the answers keep up, and time each from when it was due."""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import aiohttp
import numpy as np

SECONDS_TO_WAIT = 60
CONNECTIONS = 200


@dataclass
class Answers:
    """What came of the requests of one kind."""

    milliseconds: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)

    def note(self, status: str, milliseconds: float) -> None:
        """One more answer; only a good one is timed."""
        self.statuses[status] += 1
        if status == "200":
            self.milliseconds.append(milliseconds)

    @property
    def errors(self) -> int:
        """Answers that were not 200, and requests that had none."""
        return sum(self.statuses.values()) - self.statuses["200"]

    def figures(self) -> dict[str, object]:
        """Number, statuses, median and 99th percentile in ms."""
        found: dict[str, object] = {"asked": sum(self.statuses.values()), "statuses": dict(self.statuses)}
        if self.milliseconds:
            p50, p99, most = np.percentile(self.milliseconds, [50, 99, 100])
            found |= {"p50_ms": round(p50, 1), "p99_ms": round(p99, 1), "max_ms": round(most, 1)}
        return found


def appointments(rows: int, *, seed: int) -> bytes:
    """A request with made-up appointments of the coming weeks, with the columns that most lists have."""
    draw = random.Random(seed)  # noqa: S311 - made up, not secret
    return json.dumps({"appointments": [_appointment(draw) for _ in range(rows)], "reasons": True}).encode()


def _appointment(draw: random.Random) -> dict[str, object]:
    day = draw.randint(1, 28)
    return {
        "appointment_id": f"load-{draw.getrandbits(48):x}",
        "patient_id": f"P{draw.randint(0, 99_999):06}",
        "booked_at": f"2026-{draw.randint(1, 6):02}-{draw.randint(1, 28):02}T09:00",
        "starts_at": f"2026-12-{day:02}T{draw.randint(8, 17):02}:20",
        "site_code": draw.choice(["S1", "S2", "S3"]),
        "clinic_code": f"C{draw.randint(1, 30)}",
        "treatment_function_code": draw.choice(["120", "130", "300", "110"]),
        "first_attendance_code": draw.choice(["1", "2"]),
        "age_years": draw.randint(0, 99),
        "gender_code": draw.choice(["1", "2"]),
        "imd_decile": draw.randint(1, 10),
        "distance_km": round(draw.uniform(0.5, 40), 1),
    }


async def steadily(
    session: aiohttp.ClientSession,
    address: str,
    *,
    a_second: float,
    seconds: float,
    body: Callable[[int], bytes],
    patience: float = SECONDS_TO_WAIT,
) -> Answers:
    """Ask `a_second` times a second; `body` makes each request from its number."""
    answers, began, tasks = Answers(), time.perf_counter(), set()
    for number in range(int(a_second * seconds)):
        due = began + number / a_second
        pause = due - time.perf_counter()
        if pause > 0:
            await asyncio.sleep(pause)
        task = asyncio.ensure_future(ask(session, address, body(number), answers, due=due, patience=patience))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    return answers


async def ask(
    session: aiohttp.ClientSession,
    address: str,
    body: bytes,
    answers: Answers,
    *,
    due: float,
    patience: float,
) -> bytes:
    """Ask once, note how it went, and return the answer."""
    content = b""
    try:
        async with session.post(
            address,
            data=body,
            headers={"content-type": "application/json"},
            timeout=aiohttp.ClientTimeout(total=patience),
        ) as answer:
            content, status = await answer.read(), str(answer.status)
    except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
        status = type(error).__name__
    answers.note(status, (time.perf_counter() - due) * 1_000)
    return content


def session(token: str = "", *, keep: bool = True) -> aiohttp.ClientSession:
    """Connections that are kept and many, so that both workers are asked; `token` is a key to send."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    kept = {"keepalive_timeout": 4} if keep else {"force_close": True}
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONNECTIONS, **kept), headers=headers)


async def every(seconds: float, look: Callable[[], Awaitable[None]]) -> None:
    """Look again and again until cancelled."""
    while True:
        await look()
        await asyncio.sleep(seconds)

"""Ten times as much as the service can answer, for half a minute: what it says, and whether it lives.

The claim: every answer is 200, 429 or 503; `/livez` takes under 200 ms throughout; five seconds after
the crowd is gone a single score takes as long as before. The knee is the rate at which eight clients
that wait for their answers are served.
`python -m benchmarks.service_overload [SECONDS] [HOME]`; without a home, that of `dnapredict demo` is made.

With `--attacks` it is strangers instead: large forms, slow bodies, slow headers, 2,200 idle connections and
wrong keys, all at once, on a service that was started with a soft limit of 1,024 open files. They come from
other loopback addresses, and then from the address of the client that has a key. The claim: `/livez` takes
under 250 ms at the 99th percentile, and 99 of 100 requests with a key are answered 200.
`python -m benchmarks.service_overload --attacks [--minutes M] [HOME]`; a key is made in the home.
"""

import argparse
import asyncio
import contextlib
import json
import multiprocessing as mp
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.under_load.asking import Answers, appointments, ask, session, steadily
from benchmarks.under_load.attacks import ADDRESSES, SAME_ADDRESS, attack
from benchmarks.under_load.home import made_home
from benchmarks.under_load.served import Served, ours

from dnapredict.service.auth import api_keys

SECONDS, CLIENTS, KNEE_SECONDS, CALM_SECONDS, LIVE_MS = 30.0, 8, 8.0, 5.0, 200
TIMES, ALLOWED = 10, {"200", "429", "503"}
MINUTES, KEYED_A_SECOND, ATTACKED_LIVE_MS, LEAST_ANSWERED = 5.0, 5.0, 250, 0.99
FILE_LIMITS = {
    "soft limit of 1,024 files": 'ulimit -S -n 1024; exec "$@"',
    "hard limit of 1,024 files": 'ulimit -n 1024; exec "$@"',
}
SINGLES = [appointments(1, seed=seed) for seed in range(500)]


def main() -> None:
    """Print the figures, judge them, and write benchmarks/out/service_overload.json."""
    if "--attacks" in sys.argv:
        attacks()
        return
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    with tempfile.TemporaryDirectory() as place:
        home = made_home(Path(place), *sys.argv[2:3])
        with ours(home) as served:
            asyncio.run(clients(served, seconds=3))
            found = measured(served, seconds=seconds)
    text = json.dumps(found, indent=1)
    Path("benchmarks/out").mkdir(parents=True, exist_ok=True)
    Path("benchmarks/out/service_overload.json").write_text(text + "\n")
    print(text)
    crowd = found["crowd"]
    assert set(crowd["statuses"]) <= ALLOWED, "an answer that is neither 200, 429 nor 503"
    assert found["livez"]["failures"] == 0, "a health check was not answered"
    assert found["livez"]["max_ms"] < LIVE_MS, "a health check took too long"


def attacks() -> None:
    """Print what strangers did, judge it, and write benchmarks/out/service_attacks.json."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--attacks", action="store_true")
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("home", nargs="?", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        home = made_home(Path(place), asked.home)
        token = api_keys.create(home, name="benchmark", scopes=(api_keys.KeyScope.SCORE,)).token
        found = {}
        for limit, command in FILE_LIMITS.items():
            with ours(home, before=["sh", "-c", command, "sh"]) as served:
                for name, addresses in {"other addresses": ADDRESSES, "same address": SAME_ADDRESS}.items():
                    figures = attacked(served, token, addresses, seconds=asked.minutes * 60)
                    found[f"{limit}, {name}"] = figures
    text = json.dumps(found, indent=1)
    Path("benchmarks/out").mkdir(parents=True, exist_ok=True)
    Path("benchmarks/out/service_attacks.json").write_text(text + "\n")
    print(text)
    for name, figures in found.items():
        missed, probes = figures["livez"]["failures"], figures["livez"]["asked"]
        assert missed <= (1 - LEAST_ANSWERED) * probes, f"{name}: health checks were not answered"
        assert figures["livez"]["p99_ms"] < ATTACKED_LIVE_MS, f"{name}: health checks took too long"
        assert figures["keyed_answered"] >= LEAST_ANSWERED, f"{name}: requests with a key were not answered"


def attacked(served: Served, token: str, addresses: list[str], *, seconds: float) -> dict[str, Any]:
    """What a client with a key and the health checks meet while strangers attack from `addresses`."""
    context = mp.get_context("spawn")
    answers, lives = context.Queue(), context.Queue()
    strangers = context.Process(target=attack, args=(served.port, addresses, seconds, answers))
    health = context.Process(target=live, args=(served.port, seconds, lives))
    strangers.start()
    health.start()
    keyed = asyncio.run(_keyed(served, token, seconds=seconds))
    times, answered = lives.get(timeout=seconds + 60), answers.get(timeout=seconds + 60)
    health.join()
    strangers.join()
    return {
        "keyed": keyed.figures(),
        "keyed_answered": round(keyed.statuses["200"] / sum(keyed.statuses.values()), 4),
        "livez": livez(times),
        "strangers": answered,
        "open_files": [worker.num_fds() for worker in served.workers()],
    }


async def _keyed(served: Served, token: str, *, seconds: float) -> Answers:
    """Single scores with a key at a steady rate, half of them on connections that are kept."""
    async with session(token) as kept, session(token, keep=False) as fresh:
        one, other = await asyncio.gather(
            *(_steady_scores(asking, served, seconds=seconds) for asking in (kept, fresh))
        )
    return Answers(one.milliseconds + other.milliseconds, one.statuses + other.statuses)


async def _steady_scores(asking: Any, served: Served, *, seconds: float) -> Answers:
    return await steadily(
        asking,
        served.address + "/v1/score",
        a_second=KEYED_A_SECOND / 2,
        seconds=seconds,
        body=lambda number: SINGLES[number % len(SINGLES)],
    )


def measured(served: Served, *, seconds: float) -> dict[str, object]:
    """The knee, the crowd at ten times of it with health checks meanwhile, and the calm after it."""
    before, rate = asyncio.run(clients(served, seconds=KNEE_SECONDS))
    alone, _ = asyncio.run(clients(served, seconds=CALM_SECONDS, clients=1))
    lives = mp.get_context("spawn").Queue()
    health = mp.get_context("spawn").Process(target=live, args=(served.port, seconds + 2, lives))
    health.start()
    crowd = asyncio.run(_crowd(served, a_second=TIMES * rate, seconds=seconds))
    times = lives.get(timeout=seconds + 30)
    health.join()
    asyncio.run(asyncio.sleep(CALM_SECONDS))
    after, _ = asyncio.run(clients(served, seconds=CALM_SECONDS, clients=1))
    return {
        "knee_a_second": round(rate, 1),
        "at_the_knee": before.figures(),
        "asked_a_second": round(TIMES * rate, 1),
        "crowd": crowd.figures(),
        "livez": livez(times),
        "alone_before": alone.figures(),
        "alone_after": after.figures(),
    }


async def clients(served: Served, *, seconds: float, clients: int = CLIENTS) -> tuple[Answers, float]:
    """What clients that wait for their answers meet, and how many answers a second they have."""
    answers, until = Answers(), time.perf_counter() + seconds

    async def one(first: int) -> None:
        # A connection of its own for each request: whichever worker is free takes it.
        async with session() as asking:
            for number in range(first, 1_000_000, clients):
                if time.perf_counter() > until:
                    return
                await _one(asking, served, answers, number)

    began = time.perf_counter()
    await asyncio.gather(*(one(first) for first in range(clients)))
    return answers, answers.statuses["200"] / (time.perf_counter() - began)


async def _one(asking: object, served: Served, answers: Answers, number: int) -> None:
    body = SINGLES[number % len(SINGLES)]
    await ask(asking, served.address + "/v1/score", body, answers, due=time.perf_counter(), patience=60)


async def _crowd(served: Served, *, a_second: float, seconds: float) -> Answers:
    async with session() as asking:
        return await steadily(
            asking,
            served.address + "/v1/score",
            a_second=a_second,
            seconds=seconds,
            body=lambda number: SINGLES[number % len(SINGLES)],
        )


def live(port: int, seconds: float, out: object) -> None:
    """Ask whether the service lives, ten times a second on a new connection each, in a process of its own."""
    times, until = [], time.perf_counter() + seconds
    while time.perf_counter() < until:
        began = time.perf_counter()
        with contextlib.suppress(OSError):
            alive = _alive(port)
            times.append((time.perf_counter() - began) * 1_000 if alive else None)
            time.sleep(max(0.0, 0.1 - (time.perf_counter() - began)))
            continue
        times.append(None)
    out.put(times)


def _alive(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n")
        return connection.recv(64).startswith(b"HTTP/1.1 200")


def livez(times: list[float | None]) -> dict[str, object]:
    """Number, failures, and times in ms of the health checks."""
    told = [each for each in times if each is not None]
    p50, p99, most = np.percentile(told, [50, 99, 100])
    return {
        "asked": len(times),
        "failures": len(times) - len(told),
        "p50_ms": round(p50, 1),
        "p99_ms": round(p99, 1),
        "max_ms": round(most, 1),
    }


if __name__ == "__main__":
    main()

"""100,000 requests of every kind: none is the service's fault, and no marked value comes back or is kept.

The claim: no answer of 5xx, and the marked value, put wherever a caller could put a patient's, in no refusal, log or
metric. About a twentieth of the requests are made by schemathesis from the service's description, a quarter by
hypothesis, and the rest are bytes on connections of their own that a grammar of HTTP/1.1 writes and that are then
damaged. All three sources ask at the same time, and bytes on `CONNECTIONS` at a time: some only wait for an answer that
must not come. Hypothesis asks no longer than `--minutes`; bytes make up for what it did not reach.
`python -m benchmarks.service_requests [REQUESTS] [--home HOME] [--seed N] [--minutes 10]`; without a home, that of the
demo.
"""

import argparse
import contextlib
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from benchmarks.under_load.any_request import (
    MARK,
    WITHOUT_LIMIT,
    Asked,
    ask_bytes,
    ask_described,
    ask_unforeseen,
)
from benchmarks.under_load.home import made_home, say
from benchmarks.under_load.served import Served, ours

REQUESTS = 100_000
# Schemathesis makes about eight requests of each example that it may make of an operation.
EACH_EXAMPLE = 8
CONNECTIONS = 16


def main() -> None:
    """Ask, stop at the first answer that breaks the claim, and print how many were asked and what they got."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("requests", nargs="?", type=int, default=REQUESTS)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--seed", type=int, default=4711)
    parser.add_argument("--minutes", type=float, default=10)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        home = made_home(place, given.home)
        (place / "service.toml").write_text(WITHOUT_LIMIT, encoding="utf-8")
        with ours(home, DNAPREDICT_SERVICE=str(place / "service.toml")) as served:
            ask(served, place, requests=given.requests, seed=given.seed, seconds=60 * given.minutes)


def ask(served: Served, place: Path, *, requests: int, seed: int, seconds: float) -> None:
    """Ask from all sources at once, then look for the marked value in the metrics, the description and the log."""
    began = time.monotonic()
    shares = {"description": requests // 20, "unforeseen": requests // 4}
    written = requests - sum(shares.values())
    with contextlib.closing(Asked(served.address)) as asked, ThreadPoolExecutor(CONNECTIONS + 2) as threads:
        examples = shares["description"] // EACH_EXAMPLE
        described = threads.submit(ask_described, served.address, examples=examples, folder=place, seed=seed)
        unforeseen = threads.submit(ask_unforeseen, asked, requests=shares["unforeseen"], until=began + seconds)
        statuses = _in_bytes(threads, served, requests=written, seed=seed)
        say(f"{written:,} in bytes after {time.monotonic() - began:.0f} s")
        unforeseen.result()
        asked_so_far = written + len(asked.seconds) + described.result()
        say(f"{len(asked.seconds):,} that no description foresees, the slowest {max(asked.seconds):.1f} s")
        say(f"{described.result():,} by the description after {time.monotonic() - began:.0f} s")
        rest = max(0, requests - asked_so_far)  # schemathesis makes as many of an example as it likes
        statuses += _in_bytes(threads, served, requests=rest, seed=seed + CONNECTIONS)
        for path in ("/metrics", "/docs.json"):
            assert MARK.encode() not in asked.ask("GET", path, b"", {})[1], path
    assert MARK not in served.log.read_text(encoding="utf-8", errors="replace"), "the log holds the marked value"
    print(f"{asked_so_far + rest:,} requests (seed {seed}) in {(time.monotonic() - began) / 60:.1f} minutes: no 5xx")
    print("answers to bytes: " + ", ".join(f"{status} {count:,}" for status, count in sorted(statuses.items())))


def _in_bytes(threads: ThreadPoolExecutor, served: Served, *, requests: int, seed: int) -> Counter[str]:
    """Send so many on `CONNECTIONS` at a time; how many answers of each status."""
    parts = [requests // CONNECTIONS + (each < requests % CONNECTIONS) for each in range(CONNECTIONS)]
    send = partial(ask_bytes, served.port)
    sent = [threads.submit(send, requests=part, seed=seed + each) for each, part in enumerate(parts)]
    return sum((Counter(each.result()) for each in sent), Counter())


if __name__ == "__main__":
    main()

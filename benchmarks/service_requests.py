"""100,000 requests of every kind: none is the service's fault, and no marked value comes back or is kept.

The claim: no answer of 5xx, and the marked value, put wherever a caller could put a patient's, in no refusal, log or
metric. A seventh of the requests are made by schemathesis from the service's description, a third by hypothesis, and
the rest are bytes on connections of their own that a grammar of HTTP/1.1 writes and that are then damaged.
`python -m benchmarks.service_requests [REQUESTS] [--home HOME] [--seed N]`; without a home, that of `dnapredict demo`.
"""

import argparse
import contextlib
import tempfile
import time
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


def main() -> None:
    """Ask, stop at the first answer that breaks the claim, and print how many were asked and what they got."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("requests", nargs="?", type=int, default=REQUESTS)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--seed", type=int, default=4711)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        home = made_home(place, given.home)
        (place / "service.toml").write_text(WITHOUT_LIMIT, encoding="utf-8")
        with ours(home, DNAPREDICT_SERVICE=str(place / "service.toml")) as served:
            ask(served, place, requests=given.requests, seed=given.seed)


def ask(served: Served, place: Path, *, requests: int, seed: int) -> None:
    """Ask from each source in turn, then look for the marked value in the metrics, the description and the log."""
    began = time.monotonic()
    described = ask_described(served.address, examples=requests // 7 // EACH_EXAMPLE, folder=place, seed=seed)
    say(f"{described:,} requests by the description after {time.monotonic() - began:.0f} s")
    with contextlib.closing(Asked(served.address)) as asked:
        ask_unforeseen(asked, requests=requests // 3)
        unforeseen = len(asked.seconds)
        say(f"{unforeseen:,} that no description foresees, the slowest {max(asked.seconds):.1f} s")
        written = requests - described - unforeseen
        statuses = ask_bytes(served.port, requests=written, seed=seed)
        for path in ("/metrics", "/docs.json"):
            assert MARK.encode() not in asked.ask("GET", path, b"", {})[1], path
    assert MARK not in served.log.read_text(encoding="utf-8", errors="replace"), "the log holds the marked value"
    print(f"{described + unforeseen + written:,} requests in {(time.monotonic() - began) / 60:.1f} minutes: no 5xx")
    print("answers to bytes: " + ", ".join(f"{status} {count:,}" for status, count in sorted(statuses.items())))


if __name__ == "__main__":
    main()

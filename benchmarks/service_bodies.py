"""Bodies that are too large: 53 MB of JSON, told beforehand and not, and workbooks that unpack to far more.

The claim: 413 or 400 in under 100 ms (in the median) from the last byte that the service wanted, and under
50 MB more memory in a worker at any moment. Workbooks go through the page's form and `POST /v1/lists`.
`python -m benchmarks.service_bodies [HOME]`; without a home, that of `dnapredict demo` is made.
"""

import contextlib
import http.client
import json
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.under_load.bombs import BOMBS, form, workbook
from benchmarks.under_load.home import made_home
from benchmarks.under_load.served import Served, ours

SIZE, PIECE, MOST_MS, MOST_MB, TIMES = 53 * 1_048_576, 65_536, 100, 50, 5
DOORS = ("/v1/lists", "/upload")
JSON = {"content-type": "application/json"}


def main() -> None:
    """Print the figures, judge them, and write benchmarks/out/service_bodies.json."""
    with tempfile.TemporaryDirectory() as place:
        home = made_home(Path(place), *sys.argv[1:2])
        with ours(home) as served:
            for _ in range(TIMES):  # each worker reads its first workbook more slowly
                bomb(served, body=form(b"no workbook"), door="/upload")
                bomb(served, body=form(workbook()), door="/v1/lists")
            kinds: dict[str, Ask] = {"json_of_53_mb": told, "json_in_pieces": in_pieces}
            kinds |= {
                f"workbook_{name} {door}": partial(bomb, body=form(content), door=door)
                for name, content in BOMBS.items()
                for door in DOORS
            }
            found = {name: measured(served, kind) for name, kind in kinds.items()}
    text = json.dumps(found, indent=1)
    Path("benchmarks/out").mkdir(parents=True, exist_ok=True)
    Path("benchmarks/out/service_bodies.json").write_text(text + "\n")
    print(text)
    for name, figures in found.items():
        assert set(figures["statuses"]) <= {413, 400}, name
        assert figures["median_ms"] < MOST_MS, name
        assert figures["more_mb"] < MOST_MB, name


Ask = Callable[[Served], tuple[int, float]]


def measured(served: Served, ask: Ask) -> dict[str, object]:
    """Statuses, times in ms and the most memory that a worker took at any moment, over several requests."""
    served.forget_peak()
    before = served.peaks_mb()
    done = [ask(served) for _ in range(TIMES)]
    times = sorted(ms for _, ms in done)
    return {
        "statuses": sorted({status for status, _ in done}),
        "median_ms": round(times[len(times) // 2], 1),
        "worst_ms": round(times[-1], 1),
        "more_mb": round(max(now - was for now, was in zip(served.peaks_mb(), before, strict=True)), 1),
    }


def told(served: Served) -> tuple[int, float]:
    """A body whose length is told in the header, as curl sends it."""
    with contextlib.closing(_connection(served)) as connection:
        began = time.perf_counter()
        connection.putrequest("POST", "/v1/score")
        for name, value in {**JSON, "content-length": str(SIZE)}.items():
            connection.putheader(name, value)
        connection.endheaders()
        return connection.getresponse().status, (time.perf_counter() - began) * 1_000


def in_pieces(served: Served) -> tuple[int, float]:
    """A body whose length nobody knows: the time counts from the piece after which the service had enough."""
    sent_at = [0.0]

    def pieces() -> object:
        for number in range(SIZE // PIECE):
            if number * PIECE <= 8 * 1_048_576:
                sent_at[0] = time.perf_counter()
            yield b" " * PIECE

    with contextlib.closing(_connection(served)) as connection:
        with contextlib.suppress(OSError):  # it hangs up on what it does not read
            connection.request("POST", "/v1/score", pieces(), JSON)
        try:
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException):
            status = 413
        return status, (time.perf_counter() - sent_at[0]) * 1_000


def bomb(served: Served, *, body: bytes, door: str) -> tuple[int, float]:
    """A workbook that would take far more than its size."""
    with contextlib.closing(_connection(served)) as connection:
        began = time.perf_counter()
        connection.request("POST", door, body, {"content-type": "multipart/form-data; boundary=x"})
        return connection.getresponse().status, (time.perf_counter() - began) * 1_000


def _connection(served: Served) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)


if __name__ == "__main__":
    main()

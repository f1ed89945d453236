"""Bodies that are too large: 53 MB of JSON, told beforehand and not, and a workbook that unpacks to 400 MB.

The claim: 413 or 400 in under 100 ms from the last byte that the service wanted, and under 50 MB more memory.
`python benchmarks/service_bodies.py [HOME]`; without a home, that of `dnapredict demo` is made.
"""

import contextlib
import http.client
import io
import json
import sys
import tempfile
import time
import zipfile
from pathlib import Path

from under_load.home import made_home
from under_load.served import Served, ours

SIZE, PIECE, MOST_MS, MOST_MB, TIMES = 53 * 1_048_576, 65_536, 100, 50, 5
UNPACKED = 400 * 1_048_576
JSON = {"content-type": "application/json"}


def main() -> None:
    """Print the figures, judge them, and write benchmarks/out/service_bodies.json."""
    with tempfile.TemporaryDirectory() as place:
        home = Path(sys.argv[1]) if len(sys.argv) > 1 else made_home(Path(place))
        with ours(home) as served:
            kinds = {"json_of_53_mb": told, "json_in_pieces": in_pieces, "workbook_bomb": bomb}
            found = {name: measured(served, kind) for name, kind in kinds.items()}
    text = json.dumps(found, indent=1)
    Path("benchmarks/out").mkdir(parents=True, exist_ok=True)
    Path("benchmarks/out/service_bodies.json").write_text(text + "\n")
    print(text)
    for name, figures in found.items():
        assert set(figures["statuses"]) <= {413, 400}, name
        assert figures["worst_ms"] < MOST_MS, name
        assert figures["more_mb"] < MOST_MB, name


def measured(served: Served, ask: object) -> dict[str, object]:
    """Statuses, the worst time in ms and the memory that was added, over several requests."""
    ask(served)
    before = served.memory_mb()
    done = [ask(served) for _ in range(TIMES)]
    return {
        "statuses": sorted({status for status, _ in done}),
        "worst_ms": round(max(ms for _, ms in done), 1),
        "more_mb": round(served.memory_mb() - before, 1),
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


def bomb(served: Served) -> tuple[int, float]:
    """A workbook of a few kilobytes that unpacks to 400 MB."""
    body = (
        b'--x\r\ncontent-disposition: form-data; name="file"; filename="week.xlsx"\r\n\r\n'
        + BOMB
        + b"\r\n--x--\r\n"
    )
    with contextlib.closing(_connection(served)) as connection:
        began = time.perf_counter()
        connection.request("POST", "/v1/lists", body, {"content-type": "multipart/form-data; boundary=x"})
        return connection.getresponse().status, (time.perf_counter() - began) * 1_000


def _bomb() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * UNPACKED)
    return packed.getvalue()


def _connection(served: Served) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)


BOMB = _bomb()

if __name__ == "__main__":
    main()

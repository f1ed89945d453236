"""Each route of the service, and the service itself, of a trust whose patients are marked: as it succeeds and fails."""

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
from tests.faults.faulted_verbs import VERBS, FaultWorld, as_csv, service
from tests.faults.marked_verbs import ANY, MarkedRun, Work, failures, verbs, with_little_room
from tests.faults.marked_world import BAD_CELL, bad_files, workbook

from dnapredict.data.contract.columns import COLUMNS

if TYPE_CHECKING:
    from starlette.testclient import TestClient  # warns of a successor to httpx

__all__ = ["runs"]

_SECONDS_TO_START = 120


def _serve(*, is_killed: bool) -> Work:
    """`dnapredict serve` in processes of its own: a list is uploaded, worked on, and the service ends or is killed."""

    def work(world: FaultWorld, place: Path) -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = str(probe.getsockname()[1])
        settings = place / "cwd" / "service.toml"
        settings.write_text("workers = 1\n")
        command = [sys.executable, "-m", "dnapredict.cli", "serve", "--port", port, "--settings", str(settings)]
        process = subprocess.Popen(command, start_new_session=True)
        try:
            return _asked_of_service(world, f"http://127.0.0.1:{port}", process)
        finally:
            os.killpg(process.pid, signal.SIGKILL if is_killed else signal.SIGINT)
            process.wait(timeout=60)

    return work


def _asked_of_service(world: FaultWorld, address: str, process: "subprocess.Popen[bytes]") -> int:
    key = {"authorization": f"Bearer {world.file('key').read_text()}"}
    with httpx.Client(base_url=address, headers=key, timeout=60) as client:
        until = time.monotonic() + _SECONDS_TO_START
        while time.monotonic() < until and process.poll() is None:
            with contextlib.suppress(httpx.HTTPError):
                if client.get("/readyz").status_code == 200:
                    break
            time.sleep(0.2)
        uploaded = client.post("/v1/lists", files={"file": ("next.csv", _csv(world))})
        client.post("/v1/lists", files={"file": ("bad.csv", _csv(world)[:3_000] + b'"' + BAD_CELL.encode())})
        client.get(f"/v1/lists/{uploaded.json().get('list_id')}?form=xlsx")
        sys.stdout.write(client.get("/metrics").text)
        return int(uploaded.status_code != 200)


def routes(bad: dict[str, Path]) -> Iterator[MarkedRun]:
    """Each route: as it succeeds and as it fails, and those that write as they are killed."""
    yield MarkedRun("serve", _serve(is_killed=False))
    yield MarkedRun("serve killed", _serve(is_killed=True), leaves_drafts=True)
    yield MarkedRun("route: upload", _served(_upload), is_killed=True)
    yield MarkedRun("route: upload xlsx", _served(_upload_workbook), is_killed=True)
    yield MarkedRun("route: upload page", _served(_upload_renamed), is_killed=True)
    yield MarkedRun("route: score", _served(_score), is_killed=True)
    yield MarkedRun("route: record", _served(_record), "route: upload", is_killed=True)
    yield MarkedRun("route: opt-out", VERBS["opt-out"].work, "route: upload", is_killed=True)
    yield MarkedRun("route: call", _served(_call), "route: upload", is_killed=True)
    yield MarkedRun("route: mend", _served(_mend), "route: bad upload", is_killed=True)
    yield MarkedRun("route: return", _served(_return), "route: upload", is_killed=True)
    yield MarkedRun("route: delete", _served(_delete), "route: upload", is_killed=True)
    yield MarkedRun("route: pages", _served(_pages), "route: upload")
    yield MarkedRun("route: refused", _served(_refusals), "route: upload")
    yield MarkedRun("route: bad upload", _served(_bad_upload(bad["bad-cells.csv"])))
    yield MarkedRun("route: bad uploads", _served(_bad_uploads(list(bad.values()))))
    yield MarkedRun("route: no room", with_little_room(_served(_upload_and_score)), codes=ANY)


def _served(ask: Callable[["TestClient", FaultWorld, Path], int]) -> Work:
    """A request to the service; what is logged from INFO on is printed, and what `/metrics` and refusals answer."""

    def asked(client: "TestClient", world: FaultWorld, home: Path) -> int:
        logging.basicConfig(level=logging.INFO, stream=sys.stderr)
        logging.getLogger("httpx").setLevel(logging.WARNING)  # the client's own, which has the addresses it asks
        code = ask(client, world, home)
        for address in ("/metrics", "/docs.json", "/readyz"):
            sys.stdout.write(client.get(address).text)
        return code

    return service(asked)


def _tell(answer: httpx.Response, *, is_refused: bool = False) -> httpx.Response:
    """Print what a client or a proxy may log of an answer: its headers; and the text of a refusal."""
    sys.stdout.write(f"{answer.status_code} {answer.headers}\n")
    if is_refused or answer.status_code >= 400:
        sys.stdout.write(answer.text)
    return answer


def _csv(world: FaultWorld) -> bytes:
    return as_csv(pq.read_table(world.file("next.parquet"))).encode()


def _upload(client: "TestClient", world: FaultWorld, _home: Path) -> int:
    return int(_tell(client.post("/v1/lists", files={"file": ("next.csv", _csv(world))})).status_code != 200)


def _upload_workbook(client: "TestClient", world: FaultWorld, _home: Path) -> int:
    content = workbook(pq.read_table(world.file("next.parquet")))
    return int(_tell(client.post("/v1/lists", files={"file": ("next.xlsx", content)})).status_code != 200)


def _upload_renamed(client: "TestClient", world: FaultWorld, _home: Path) -> int:
    """A list with columns of its own, for which the page asks."""
    content = _csv(world).replace(b"starts_at", b"When", 1)
    answer = _tell(client.post("/upload", files={"file": ("renamed.csv", content)}, follow_redirects=False))
    client.get(answer.headers.get("location", "/lists"))
    return int(answer.status_code >= 400)


def _list(home: Path, name: str = "next.csv") -> tuple[str, list[str]]:
    from dnapredict.worklist.files import list_store

    list_id = next(heading.list_id for heading in list_store.headings(home) if heading.name == name)
    kept = list_store.find(home, list_id)
    return list_id, [] if kept is None else kept.worklist["appointment_id"].to_pylist()


def _record(client: "TestClient", _world: FaultWorld, home: Path) -> int:
    list_id, appointments = _list(home)
    _tell(client.post(f"/lists/{list_id}/outcomes", data={"line": 1, "outcome": "confirmed"}, follow_redirects=False))
    body = {"appointment_id": appointments[1], "outcome": "no_answer"}
    return int(_tell(client.post(f"/v1/lists/{list_id}/actions", json=body)).status_code != 201)


def _call(client: "TestClient", _world: FaultWorld, home: Path) -> int:
    list_id, appointments = _list(home)
    address = f"/lists/{list_id}"
    _tell(client.get(f"{address}/call/1"))
    _tell(client.post(f"{address}/search", data={"words": "Qzxname Smith 3"}))
    _tell(client.post(f"{address}/search", data={"words": appointments[2]}, follow_redirects=False))
    note = {"outcome": "no_answer", "seen": "", "note": "Qzxfree ask for the daughter on 07700900987"}
    _tell(client.post(f"{address}/assign", data={"colleague": "B. Lead"}, follow_redirects=False))
    return int(_tell(client.post(f"{address}/call/1", data=note, follow_redirects=False)).status_code >= 400)


def _mend(client: "TestClient", _world: FaultWorld, home: Path) -> int:
    list_id, _ = _list(home, "bad-next-bad-cells.csv")
    page = client.get(f"/lists/{list_id}?show=all").text
    _tell(client.post(f"/lists/{list_id}/mend", data={"line": "1", "cell-0": BAD_CELL}, follow_redirects=False))
    return int("/lists" not in page)


def _return(client: "TestClient", _world: FaultWorld, home: Path) -> int:
    """Download the list in each form, and give it back filled in: whole, with bad cells, and cut."""
    list_id, _ = _list(home)
    for form in ("csv", "xlsx"):
        content = _tell(client.get(f"/lists/{list_id}/file?form={form}")).content
        client.get(f"/v1/lists/{list_id}?form={form}")
        for sent in (content, content[: len(content) // 2], content.replace(b"outcome", b"result")):
            for address in (f"/v1/lists/{list_id}/outcomes", f"/lists/{list_id}/workbook"):
                answer = client.post(address, files={"file": (f"filled.{form}", sent)})
                _tell(answer, is_refused=address.startswith("/v1") and answer.status_code >= 400)
    csv_ = client.get(f"/lists/{list_id}/file?form=csv").text.splitlines()
    odd = "\n".join([csv_[0], *(f"{line.rpartition(',')[0]},{BAD_CELL}" for line in csv_[1:])])
    _tell(client.post(f"/v1/lists/{list_id}/outcomes", files={"file": ("filled.csv", odd.encode())}))
    return 0


def _delete(client: "TestClient", _world: FaultWorld, home: Path) -> int:
    list_id, _ = _list(home)
    _tell(client.get(f"/lists/{list_id}/delete"))
    return int(_tell(client.post(f"/lists/{list_id}/delete", follow_redirects=False)).status_code != 303)


def _pages(client: "TestClient", _world: FaultWorld, home: Path) -> int:
    list_id, _ = _list(home)
    own = ("", "?show=all", "/sheet", "/call", "/call/1", "/call/9999", "/workbook", "/delete", "/file?form=parquet")
    addresses = [f"/lists/{list_id}{each}" for each in own]
    addresses += ["/", "/lists", "/week", "/model", "/model/report", "/model/report.html", "/model/figures.html"]
    addresses += [
        "/model/monitor",
        "/upload",
        "/about",
        "/accessibility",
        "/livez",
        "/healthz",
        "/sign-in",
        "/v1/model",
    ]
    addresses += ["/schema.json", "/no-such-page", f"/v1/lists/{list_id}", "/sign-in/openid", "/lists/ffffffffffffffff"]
    for address in addresses:
        _tell(client.get(address, follow_redirects=False))
    return 0


def _refusals(client: "TestClient", world: FaultWorld, home: Path) -> int:
    """Wrong values in every body."""
    from benchmarks.home_faults import as_requests

    list_id, _ = _list(home)
    row = as_requests(_without_contacts(pq.read_table(world.file("next.parquet")).slice(0, 1)))[0]
    for name in row:
        for value in (BAD_CELL, [BAD_CELL], {BAD_CELL: BAD_CELL}, 988_765_432_000_111):
            answer = client.post("/v1/score", json={"appointments": [row | {name: value}]})
            if answer.status_code >= 400:
                _tell(answer)
    for body in (
        f'{{"{BAD_CELL}',
        f'["{BAD_CELL}"]',
        f'{{"appointments": "{BAD_CELL}"}}',
        f'{{"appointments": [{{"{BAD_CELL}": 1}}]}}',
    ):
        _tell(client.post("/v1/score", content=body, headers={"content-type": "application/json"}), is_refused=True)
    for action in (
        {"appointment_id": BAD_CELL, "outcome": "confirmed"},
        {"appointment_id": "x", "outcome": BAD_CELL},
        {BAD_CELL: 1},
    ):
        _tell(client.post(f"/v1/lists/{list_id}/actions", json=action), is_refused=True)
    for address in ("outcomes", "mend", "assign", "call/1", "search"):
        for data in (
            {"line": BAD_CELL, "outcome": BAD_CELL},
            {BAD_CELL: BAD_CELL},
            {"line": "1", "colleague": BAD_CELL * 50},
        ):
            client.post(f"/lists/{list_id}/{address}", data=data)
    client.post("/upload/columns", data={"column-0": BAD_CELL, "ticket": BAD_CELL})
    _tell(client.get(f"/lists/{BAD_CELL}"))
    client.post("/sign-in", data={"key": BAD_CELL})
    return 0


def _bad_upload(path: Path) -> Callable[["TestClient", FaultWorld, Path], int]:
    def ask(client: "TestClient", _world: FaultWorld, _home: Path) -> int:
        return int(client.post("/v1/lists", files={"file": (path.name, path.read_bytes())}).status_code != 200)

    return ask


def _bad_uploads(paths: list[Path]) -> Callable[["TestClient", FaultWorld, Path], int]:
    def ask(client: "TestClient", _world: FaultWorld, _home: Path) -> int:
        for path in paths:
            _tell(client.post("/v1/lists", files={"file": (path.name, path.read_bytes())}))
            client.post("/upload", files={"file": (path.name, path.read_bytes())})
        return 0

    return ask


def _score(client: "TestClient", world: FaultWorld, _home: Path) -> int:
    from benchmarks.home_faults import as_requests

    rows = as_requests(_without_contacts(pq.read_table(world.file("next.parquet")).slice(0, 20)))
    return int(_tell(client.post("/v1/score", json={"appointments": rows, "reasons": True})).status_code != 200)


def _without_contacts(table: pa.Table) -> pa.Table:
    """What a request may hold: no name, no number, and no column that nobody knows."""
    return table.select([each.name for each in COLUMNS if each.name in table.column_names])


def _upload_and_score(client: "TestClient", world: FaultWorld, home: Path) -> int:
    return _upload(client, world, home) + _score(client, world, home)


def runs(world: FaultWorld) -> list[MarkedRun]:
    """All of them."""
    world.file("renamed.csv").write_bytes(_csv(world).replace(b"starts_at", b"When", 1))
    scores = as_csv(pq.read_table(world.file("later.parquet")).select(["appointment_id"]).slice(0, 500))
    head, *lines = scores.splitlines()
    world.file("bad-scores.csv").write_text(
        "\n".join([f"{head},probability", *(f"{line},{BAD_CELL}" for line in lines)])
    )
    later = pq.read_table(world.file("later.parquet")).slice(0, 3_000)
    bad = {
        "later": bad_files(world, later, "later"),
        "next": bad_files(world, pq.read_table(world.file("next.parquet")), "next"),
    }
    return [*verbs(), *routes(bad["next"]), *failures(bad)]

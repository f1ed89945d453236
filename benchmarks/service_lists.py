"""A list of 20,000 rows with names and numbers: its upload, its pages, and the next patient in call mode.

The claims: uploaded in under 10 s as CSV and as XLSX, a page in under 0.3 s, and under 100 ms from recording an
outcome to the page of the next patient (median response times, until the whole response is received). Times in seconds
depend on the load of the machine. The processor time of the service for each request is therefore given too, and the
upload time is also divided by the time that scoring the same rows takes in this process, measured before and after it:
at most 3 for CSV. Each figure is printed with its goal. The list is that of the demo with new appointment numbers and
dates of next week; times of day are unchanged, and a repeated appointment is that of another patient, so that 6,000 of
them are calls. Of these, 3,000 have an outcome before anything is measured.
`python -m benchmarks.service_lists [HOME]`; without a home, that of `dnapredict demo` is made.
"""

import datetime
import io
import json
import os
import re
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
import requests
import xlsxwriter
from benchmarks.under_load.home import made_home, say
from benchmarks.under_load.served import Served, ours

from dnapredict import pipeline
from dnapredict.config.loading import shipped
from dnapredict.service.call_actions import Actions
from dnapredict.service.call_outcomes import Outcome
from dnapredict.service.log.answer_entries import Hashes
from dnapredict.service.log.scoring_log import ScoringLog
from dnapredict.worklist.files import list_store

ROWS, TIMES, WARM_UP = 20_000, 30, 5
CALLS, RECORDED = 6_000, 3_000
MOST_MS = {"page": 300, "page_100": 300, "whole_list": 300, "next_patient": 100, "record_and_next": 100}
UPLOADS, MOST_UPLOAD_S, MOST_TO_SCORING = 3, 10, 3


def main() -> None:
    """Print the figures, judge them, and write benchmarks/out/service_lists.json."""
    with tempfile.TemporaryDirectory() as place:
        home = made_home(Path(place), *sys.argv[1:2])
        rows = long_list(home)
        say("scoring the rows in this process")
        scored_s = [scored(home, rows)]
        with ours(home, folder=folder_with_calls(Path(place))) as served, requests.Session() as browser:
            say("uploading")
            uploads = {form: [upload(browser, served, rows, form) for _ in range(UPLOADS)] for form in ("xlsx", "csv")}
            list_id = uploads["csv"][-1].list_id
            page = f"{served.address}/lists/{list_id}"
            say("recording outcomes")
            record_half(home, list_id)
            say("asking for pages")
            kinds: dict[str, Callable[[], requests.Response]] = {
                "page": partial(browser.get, page),
                "page_100": partial(browser.get, page + "?show=all&page=100"),
                "whole_list": partial(browser.get, page + "?show=all&order=time"),
                "next_patient": partial(next_patient, browser, page),
                "record_and_next": partial(recorded, browser, page, iter(range(RECORDED + 1, CALLS))),
            }
            found: dict[str, Any] = {"rows": ROWS, "calls": CALLS, "recorded": RECORDED, "load": os.getloadavg()[0]}
            found |= {name: measured(ask, served) for name, ask in kinds.items()}
        scored_s.append(scored(home, rows))
        alone = sum(scored_s) / len(scored_s)
        found["scoring_s"] = [round(each, 2) for each in scored_s]
        found["uploads"] = {form: upload_figures(some, alone) for form, some in uploads.items()}
    text = json.dumps(found, indent=1)
    Path("benchmarks/out").mkdir(parents=True, exist_ok=True)
    Path("benchmarks/out/service_lists.json").write_text(text + "\n")
    print(text)
    judged = list(judgements(found))
    print(f"{'figure':32}{'measured':>10}{'goal':>10}")
    for each in judged:
        print(each.words)
    missed = [each.name for each in judged if not each.is_met]
    assert not missed, f"missed: {', '.join(missed)}"


@dataclass(frozen=True)
class Judgement:
    """A measured figure and its upper limit."""

    name: str
    unit: str
    figure: float
    goal: float

    @property
    def is_met(self) -> bool:
        """Whether the figure is below its goal."""
        return self.figure < self.goal

    @property
    def words(self) -> str:
        """The figure and its goal as a line of a table."""
        said = "met" if self.is_met else "MISSED"
        return f"{f'{self.name} ({self.unit})':32}{self.figure:>10,.2f}{self.goal:>10,} {said}"


def judgements(found: dict[str, Any]) -> Iterator[Judgement]:
    """Each figure that has a goal."""
    for name, goal in MOST_MS.items():
        yield Judgement(name, "ms", found[name]["median_ms"], goal)
    for form, figures in found["uploads"].items():
        yield Judgement(f"{form} upload", "s", figures["median_s"], MOST_UPLOAD_S)
    yield Judgement("csv upload", "times scoring", found["uploads"]["csv"]["to_scoring"], MOST_TO_SCORING)


def folder_with_calls(place: Path) -> Path:
    """A working directory whose worklist configuration selects 6,000 calls."""
    text = shipped("serving/worklist.toml").read_text(encoding="utf-8")
    changed = re.sub(r"^capacity_share = .*$", f"capacity = {CALLS}", text, flags=re.MULTILINE)
    assert changed != text, "serving/worklist.toml has no capacity_share"
    written = place / "folder" / "serving" / "worklist.toml"
    written.parent.mkdir(parents=True)
    written.write_text(changed, encoding="utf-8")
    return place / "folder"


def record_half(home: Path, list_id: str) -> None:
    """Record outcomes about the first 3,000 calls, as two clerks would have done by the middle of the week."""
    kept = list_store.find(home, list_id)
    assert kept is not None
    assert len(kept.calls) == CALLS, f"the list has {len(kept.calls)} calls"
    log = ScoringLog(home)
    actions = Actions(log, Hashes(home, log))
    for number in range(1, RECORDED + 1):
        row = kept.row_at(number)
        assert row is not None
        actions.record(list_id, row, Outcome.NO_ANSWER if number % 2 else Outcome.CONFIRMED)


@dataclass(frozen=True)
class Upload:
    """What an upload took: until the first byte of the answer, and until the list is there."""

    list_id: str
    first_s: float
    whole_s: float


def upload(browser: requests.Session, served: Served, rows: pa.Table, form: str) -> Upload:
    """Send the list as a person does, on the page, and wait for the way to it."""
    content = {"csv": as_csv, "xlsx": as_workbook}[form](rows)
    # The same file again would be a second click.
    name = f"long-{secrets.token_hex(4)}.{form}"
    began = time.perf_counter()
    sent = browser.post(served.address + "/upload", files={"file": (name, content)}, timeout=120, stream=True)
    first, text = time.perf_counter() - began, sent.text
    whole = time.perf_counter() - began
    sent.raise_for_status()
    return Upload(re.findall(r'url=/lists/([0-9a-f]{16})"', text)[0], first, whole)


def upload_figures(some: Sequence[Upload], alone: float) -> dict[str, float]:
    """Median times, and the whole as a multiple of scoring the rows alone."""
    whole = statistics.median(each.whole_s for each in some)
    first = statistics.median(each.first_s for each in some)
    return {"median_s": round(whole, 2), "first_byte_s": round(first, 2), "to_scoring": round(whole / alone, 2)}


def scored(home: Path, rows: pa.Table) -> float:
    """Seconds to score the rows in this process, the second time: the first one loads what is needed."""
    scorer = pipeline.open_scorer(home)
    for _ in range(2):
        began = time.perf_counter()
        scorer.score(rows)
    return time.perf_counter() - began


def as_workbook(rows: pa.Table) -> bytes:
    """The list as a workbook, with times as dates."""
    written = io.BytesIO()
    with xlsxwriter.Workbook(written, {"in_memory": True, "default_date_format": "dd/mm/yyyy hh:mm"}) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, rows.column_names)
        for number, row in enumerate(rows.to_pylist(), start=1):
            sheet.write_row(number, 0, list(row.values()))
    return written.getvalue()


def as_csv(rows: pa.Table) -> bytes:
    """The list as a CSV."""
    written = io.BytesIO()
    pyarrow.csv.write_csv(rows, written)
    return written.getvalue()


def long_list(home: Path) -> pa.Table:
    """20,000 appointments of next week."""
    rows = pq.read_table(home / "demo" / "synthetic-weekly-list.parquet")
    times = -(-ROWS // rows.num_rows)
    many = pa.concat_tables([rows] * times).slice(0, ROWS)
    numbers = pa.array([f"LONG-{number:06d}" for number in range(ROWS)])
    many = many.set_column(many.column_names.index("appointment_id"), "appointment_id", numbers)
    return moved(with_other_patients(many, each=rows.num_rows))


def with_other_patients(rows: pa.Table, *, each: int) -> pa.Table:
    """The rows, of other patients after the first `each`: one call covers all appointments of a patient."""
    patients = rows["patient_id"].to_pylist()
    others = [name if number < each else f"{name}-{number // each}" for number, name in enumerate(patients)]
    return rows.set_column(rows.column_names.index("patient_id"), "patient_id", pa.array(others))


def moved(rows: pa.Table) -> pa.Table:
    """The rows, by whole days later, so that the list is of next week whenever its home was made."""
    first = pc.min(rows["starts_at"]).as_py()
    later = datetime.datetime.now(first.tzinfo).date() + datetime.timedelta(days=7) - first.date()
    for name in ("booked_at", "starts_at"):
        column = pc.add(rows[name], pa.scalar(later, pa.duration("us")))
        rows = rows.set_column(rows.column_names.index(name), name, column)
    return rows


def next_patient(browser: requests.Session, page: str) -> requests.Response:
    """The next patient of the list: two requests, since call mode leads to the page of a line."""
    shown = browser.get(page + "/call")
    assert re.search(r"/call/\d+(#call)?$", shown.url), shown.url
    return shown


def recorded(browser: requests.Session, page: str, lines: Iterator[int]) -> requests.Response:
    """Record that nobody answered on the next line, and follow to the next patient."""
    return browser.post(f"{page}/call/{next(lines)}", data={"outcome": "no_answer", "seen": ""})


def measured(ask: Callable[[], requests.Response], served: Served) -> dict[str, float]:
    """Median and longest time, and mean processor time of the service, in ms, once both workers are warm."""
    for _ in range(WARM_UP):
        ask().raise_for_status()
    times, used = [], served.processor_s()
    for _ in range(TIMES):
        began = time.perf_counter()
        ask().raise_for_status()
        times.append((time.perf_counter() - began) * 1_000)
    processor = (served.processor_s() - used) / TIMES * 1_000
    figures = {"median_ms": statistics.median(times), "max_ms": max(times), "processor_ms": processor}
    return {name: round(figure, 1) for name, figure in figures.items()}


if __name__ == "__main__":
    main()

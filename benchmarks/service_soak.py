"""Hours at a quarter of what the service can answer: does its memory stay where it is?

The claim: over 8 hours at a quarter of the knee (as `service_overload` measures it: eight clients that wait for their
answers), the memory of each worker after the warm-up stays within 5% and has no slope: the medians of each ten minutes,
since a list that is scored in the moment of a sample is not memory that is kept. Single scores come at a steady
rate; each ten seconds the page is opened, and each minute a list of 60 rows is uploaded. Whatever is not answered with
200 is counted by its status or error and printed.
`python -m benchmarks.service_soak [--hours 8] [HOME]`; without a home, that of `dnapredict demo` is made. It ends by
itself, and writes what it has every five minutes to benchmarks/out/service_soak.json, so that a run that is stopped
leaves its figures. The first eighth of the time, at most an hour, is the warm-up.
"""

import argparse
import asyncio
import contextlib
import json
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import psutil
from benchmarks.service_kills import ROWS_OF_A_LIST, as_csv
from benchmarks.service_overload import KNEE_SECONDS, SINGLES, clients
from benchmarks.under_load.asking import Answers, appointments, every, session, steadily
from benchmarks.under_load.bombs import form
from benchmarks.under_load.home import made_home, say
from benchmarks.under_load.served import Served, ours

SHARE_OF_KNEE, WITHIN_PERCENT = 0.25, 5.0
SECONDS_A_SAMPLE, SECONDS_A_PAGE, SECONDS_A_LIST, SECONDS_A_REPORT = 10.0, 10.0, 60.0, 300.0
WARM_UP_SHARE, LONGEST_WARM_UP = 1 / 8, 3_600.0
OUT = Path(__file__).parent / "out" / "service_soak.json"
_MIB, _HOUR, _SECONDS_A_MEDIAN = 1_048_576, 3_600.0, 600.0


@dataclass
class Samples:
    """The memory of each worker, in MiB, by seconds since the start; a worker is named by its process id."""

    of_worker: dict[int, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))

    def take(self, served: Served, at: float) -> None:
        """Sample what each worker alone holds (Linux: USS; what workers share does not grow with one of them)."""
        for worker in served.workers():
            with contextlib.suppress(psutil.Error):
                self.of_worker[worker.pid].append((at, worker.memory_full_info().uss / _MIB))

    def figures(self, *, after: float) -> dict[str, dict[str, float]]:
        """Of each worker after the warm-up: samples, mean, slope, and the range in percent of the mean."""
        return {
            str(worker): _trend(np.array(kept))
            for worker, samples in self.of_worker.items()
            if len(kept := [each for each in samples if each[0] >= after]) > 1
        }


def _trend(samples: np.ndarray) -> dict[str, float]:
    seconds, memory = samples.T
    slope = float(np.polyfit(seconds / _HOUR, memory, 1)[0])
    mean = float(memory.mean())
    return {
        "samples": len(memory),
        "mean_mib": round(mean, 1),
        "slope_mib_an_hour": round(slope, 2),
        "slope_percent_over_the_time": round(100 * slope * float(np.ptp(seconds)) / _HOUR / mean, 2),
        "range_percent": round(100 * float(np.ptp(_medians(seconds, memory))) / mean, 2),
        "range_percent_with_peaks": round(100 * float(np.ptp(memory)) / mean, 2),
    }


def _medians(seconds: np.ndarray, memory: np.ndarray) -> np.ndarray:
    """The median of each ten minutes, and of what is left if that is at least five."""
    part = ((seconds - seconds[0]) // _SECONDS_A_MEDIAN).astype(int)
    whole = [memory[part == number] for number in range(part[-1] + 1)]
    least = _SECONDS_A_MEDIAN / SECONDS_A_SAMPLE / 2
    return np.array([np.median(each) for number, each in enumerate(whole) if number == 0 or len(each) >= least])


def main() -> None:
    """Print the figures, and judge them."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--hours", type=float, default=8.0)
    asked.add_argument("home", nargs="?", type=Path)
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as place:
        home = made_home(Path(place), given.home)
        with ours(home) as served:
            asyncio.run(clients(served, seconds=3))
            _, knee = asyncio.run(clients(served, seconds=KNEE_SECONDS))
            soak = Soak(served, a_second=SHARE_OF_KNEE * knee, seconds=given.hours * _HOUR)
            say(f"knee {knee:.1f} a second; asking {soak.a_second:.1f} a second for {given.hours:g} hours")
            found = asyncio.run(soak.run()) | {"knee_a_second": round(knee, 1)}
    write(found)
    print(json.dumps(found, indent=1))
    assert found["workers_begun_again"] == 0, "a worker ended and was started again"
    assert not found["not_answered_with_200"], "some requests were not answered with 200"
    for worker, trend in found["workers"].items():
        assert abs(trend["slope_percent_over_the_time"]) <= WITHIN_PERCENT, f"the memory of worker {worker} has a slope"
        assert trend["range_percent"] <= WITHIN_PERCENT, f"the memory of worker {worker} is not flat"


def write(found: dict[str, Any]) -> None:
    """Write the figures so far."""
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


class Soak:
    """A steady load on a service, and samples of its memory."""

    def __init__(self, served: Served, *, a_second: float, seconds: float) -> None:
        """`a_second` single scores for so many seconds."""
        self.a_second = a_second
        self._served, self._seconds = served, seconds
        self._answers = {"score": Answers(), "page": Answers(), "list": Answers()}
        self._samples = Samples()
        self._workers = {worker.pid for worker in served.workers()}
        self._began = 0.0
        self._lists = 0

    async def run(self) -> dict[str, Any]:
        """Go on to the end, and return the figures."""
        self._began = time.monotonic()
        async with session() as asking:
            watches = (
                (SECONDS_A_SAMPLE, self._sample),
                (SECONDS_A_PAGE, lambda: self._page(asking)),
                (SECONDS_A_LIST, lambda: self._list(asking)),
                (SECONDS_A_REPORT, self._report),
            )
            tasks = [asyncio.ensure_future(every(seconds, work)) for seconds, work in watches]
            try:
                await self._scores(asking)
            finally:
                for task in tasks:
                    task.cancel()
                ended = await asyncio.gather(*tasks, return_exceptions=True)
        for error in ended:  # a watch that failed would leave figures that look complete
            if isinstance(error, Exception):
                raise error
        await self._sample()
        return self.figures()

    def figures(self) -> dict[str, Any]:
        """The figures so far."""
        warm_up = min(LONGEST_WARM_UP, WARM_UP_SHARE * self._seconds)
        begun_again = set(self._samples.of_worker) - self._workers
        others = {
            what: others
            for what, answers in self._answers.items()
            if (others := {status: count for status, count in answers.statuses.items() if status != "200"})
        }
        return {
            "seconds": round(time.monotonic() - self._began),
            "warm_up_seconds": round(warm_up),
            "asked_a_second": round(self.a_second, 2),
            "workers": self._samples.figures(after=warm_up),
            "workers_begun_again": len(begun_again),
            "answers": {what: answers.figures() for what, answers in self._answers.items()},
            "not_answered_with_200": others,
        }

    async def _scores(self, asking: aiohttp.ClientSession) -> None:
        """In parts of a report's length, so that not every request of hours is held at once."""
        until = self._began + self._seconds
        while (left := until - time.monotonic()) > 0:
            done = await steadily(
                asking,
                f"{self._served.address}/v1/score",
                a_second=self.a_second,
                seconds=min(left, SECONDS_A_REPORT),
                body=lambda number: SINGLES[number % len(SINGLES)],
            )
            self._answers["score"].milliseconds.extend(done.milliseconds)
            self._answers["score"].statuses.update(done.statuses)
            if self.a_second * left < 1:
                return

    async def _page(self, asking: aiohttp.ClientSession) -> None:
        await self._ask("page", asking.get(f"{self._served.address}/", headers={"accept": "text/html"}))

    async def _list(self, asking: aiohttp.ClientSession) -> None:
        self._lists += 1
        content = form(as_csv(appointments(ROWS_OF_A_LIST, seed=self._lists))).replace(b"week.xlsx", b"week.csv")
        headers = {"content-type": "multipart/form-data; boundary=x"}
        await self._ask("list", asking.post(f"{self._served.address}/v1/lists", data=content, headers=headers))

    async def _ask(self, what: str, request: Any) -> None:
        began = time.perf_counter()
        try:
            async with request as answer:
                await answer.read()
                status = str(answer.status)
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            status = type(error).__name__
        self._answers[what].note(status, (time.perf_counter() - began) * 1_000)

    async def _sample(self) -> None:
        await asyncio.to_thread(self._samples.take, self._served, time.monotonic() - self._began)

    async def _report(self) -> None:
        found = self.figures()
        await asyncio.to_thread(write, found)
        say(f"{found['seconds']} s: {json.dumps(found['workers'])}")


if __name__ == "__main__":
    main()

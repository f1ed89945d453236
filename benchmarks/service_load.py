"""Ten minutes of 15 single scores a second and one list of 500 a second: errors, times, memory.

The claim: no error, a list of 500 with reasons under 1 s in the median, and memory that is flat after a tenth
of the time. A board with 10 million appointments a year books about one a second at its peak. Before and after,
an echo service of the same framework gets as many requests, so that times are also given as multiples of its
times. The clients run on the same machine.
`python -m benchmarks.service_load [MINUTES] [HOME]`; without a home, that of `dnapredict demo` is made.
"""

import asyncio
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from benchmarks.under_load.asking import appointments, every, session, steadily
from benchmarks.under_load.home import made_home, say
from benchmarks.under_load.served import Served, echo, ours

MINUTES, SINGLES_A_SECOND, LISTS_A_SECOND, LIST_ROWS = 10.0, 15, 1, 500
ECHO_SECONDS, WARM_UP_SECONDS, SECONDS_BETWEEN_LOOKS = 20, 10, 2
SINGLES = [appointments(1, seed=seed) for seed in range(500)]
LISTS = [appointments(LIST_ROWS, seed=10_000 + seed) for seed in range(20)]


async def asked(served: Served, *, seconds: float, lists: bool, singles: int = SINGLES_A_SECOND) -> dict[str, object]:
    """What both kinds of request met, and the memory meanwhile."""
    memory: list[float] = []

    async def look() -> None:
        memory.append(await asyncio.to_thread(served.memory_mb))

    address = served.address + "/v1/score"
    async with session() as ask_singles, session() as ask_lists:
        looking = asyncio.ensure_future(every(SECONDS_BETWEEN_LOOKS, look))
        kinds = [
            steadily(
                ask_singles,
                address,
                a_second=singles,
                seconds=seconds,
                body=lambda number: SINGLES[number % len(SINGLES)],
            )
        ]
        if lists:
            kinds.append(
                steadily(
                    ask_lists,
                    address,
                    a_second=LISTS_A_SECOND,
                    seconds=seconds,
                    body=lambda number: LISTS[number % len(LISTS)],
                )
            )
        answers = await asyncio.gather(*kinds)
        looking.cancel()
    return {
        "single": answers[0].figures(),
        **({"list": answers[1].figures()} if lists else {}),
        "errors": sum(kind.errors for kind in answers),
        "memory_mb": _memory(memory),
    }


def _memory(looks: list[float]) -> dict[str, float]:
    """Memory once warm (after a tenth), at the end, and its slope in MB a minute between."""
    warm = np.array(looks[len(looks) // 10 :])
    minutes = np.arange(len(warm)) * SECONDS_BETWEEN_LOOKS / 60
    slope = float(np.polyfit(minutes, warm, 1)[0]) if len(warm) > 2 else 0.0
    return {
        "warm": round(float(warm[:3].mean())),
        "end": round(float(warm[-3:].mean())),
        "a_minute": round(slope, 2),
    }


def main() -> None:
    """Print the figures and write benchmarks/out/service_load.json."""
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else MINUTES
    with tempfile.TemporaryDirectory() as place:
        home = made_home(Path(place), *sys.argv[2:3])
        say("asking the echo")
        found = {"minutes": minutes, "echo_before": _echo()}
        say("starting the service")
        with ours(home) as served:
            asyncio.run(asked(served, seconds=WARM_UP_SECONDS, lists=True))
            say(f"asking it for {minutes:g} minutes")
            found["ours"] = asyncio.run(asked(served, seconds=60 * minutes, lists=True))
        say("asking the echo again")
        found["echo_after"] = _echo()
    found["single_p50_to_echo"] = _ratio(found, "p50_ms")
    found["single_p99_to_echo"] = _ratio(found, "p99_ms")
    text = json.dumps(found, indent=1)
    Path("benchmarks/out").mkdir(parents=True, exist_ok=True)
    Path("benchmarks/out/service_load.json").write_text(text + "\n")
    print(text)


def _echo() -> dict[str, object]:
    with echo() as served:
        asyncio.run(asked(served, seconds=3, lists=False))
        return asyncio.run(asked(served, seconds=ECHO_SECONDS, lists=False))


def _ratio(found: dict, figure: str) -> float:
    if figure not in found["ours"]["single"]:
        raise SystemExit(f"No request was answered: {found['ours']['single']['statuses']}")
    echoes = [found[name]["single"][figure] for name in ("echo_before", "echo_after")]
    return round(found["ours"]["single"][figure] / (sum(echoes) / 2), 1)


if __name__ == "__main__":
    main()

"""How often the search for harm names a group that is not harmed, and how often exactly the one that is.

    python -m benchmarks.harm_search --fair 200 --planted 20

draws services of 120,000 appointments. In a fair one nothing may be named, in one with a planted fault that group and
no other. Prints a line for each kind of service, with the 95% upper bound of the share of false findings.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from benchmarks.planted_worlds import PlantedWorld
from scipy.stats import beta

from dnapredict.fairness import AuditData
from dnapredict.fairness.compare.harm_search import FoundHarm, search_harms
from dnapredict.fairness.compare.searched_groups import Path
from dnapredict.fairness.measure.pair_counting import count_pairs

_INTERSECTION: Final = (("ethnicity", "J"), ("sex", "2"), ("core20", "core20"))
# Services without harm to anybody, or with one harmed group that is a whole group already.
_FAIR: Final = (
    ("fair", PlantedWorld("fair")),
    ("fair, unequal need", PlantedWorld("fair with unequal need")),
    ("fair, all risks 25% too high", PlantedWorld("uniform drift")),
    ("fair, 5 appointments a patient", PlantedWorld("fair with unequal need", per_patient=5.0)),
    ("lower need of one group", PlantedWorld("lower need")),
    ("mix of clinics", PlantedWorld("mix of clinics")),
)
_PLANTED: Final[tuple[tuple[str, PlantedWorld, tuple[Path, ...]], ...]] = (
    ("one ethnic group", PlantedWorld("under-scored"), ((("ethnicity", "J"),),)),
    ("over-65s", PlantedWorld("over-65s under-scored"), ((("age", "65-79"),), (("age", "80 and over"),))),
    ("disabled people", PlantedWorld("disabled under-scored"), ((("disability", "yes"),),)),
    ("one site", PlantedWorld("one site"), ((("site", "RXA03"),),)),
    ("not asked, cut from calls", PlantedWorld("not asked cut from calls"), ((("ethnicity", "99"),),)),
    ("one group at one site", PlantedWorld("one group at one site"), ((("ethnicity", "J"), ("site", "RXA01")),)),
    ("women of one group in Core20", PlantedWorld("one intersection"), (_INTERSECTION,)),
    ("the same, 1,000,000 appointments", PlantedWorld("one intersection", appointments=1_000_000), (_INTERSECTION,)),
)


@dataclass
class Tally:
    """What the audits of one kind of service named."""

    runs: int = 0
    exactly: int = 0
    others: int = 0
    nothing: int = 0
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)

    def add(self, found: tuple[FoundHarm, ...], planted: tuple[Path, ...]) -> None:
        """Count one audit."""
        named = {finding.path for finding in found}
        self.runs += 1
        self.exactly += named == set(planted)
        self.others += bool(named - set(planted))
        self.nothing += not named
        self.wrong += [str(sorted(named))] if named != set(planted) else []

    def line(self, name: str) -> str:
        """Shares of audits, and the upper bound of Clopper and Pearson (1934) for those that named another group."""
        upper = float(beta.ppf(0.975, self.others + 1, max(self.runs - self.others, 1e-9)))
        return (
            f"| {name} | {self.runs} | {self.exactly} | {self.others} (below {100 * upper:.1f} in 100) "
            f"| {self.nothing} | {self.seconds / self.runs:.2f} |"
        )


def tally(world: PlantedWorld, planted: tuple[Path, ...], seeds: range) -> Tally:
    """Audit services that differ in their seed only."""
    found = Tally()
    for seed in seeds:
        pairs = count_pairs(AuditData.of(replace(world, seed=seed).table()))
        start = time.perf_counter()
        harms = search_harms(pairs)
        found.seconds += time.perf_counter() - start
        found.add(harms, planted)
    return found


def services(fair: int, planted: int) -> Iterator[tuple[str, PlantedWorld, tuple[Path, ...], int]]:
    """Every kind of service with how many are drawn."""
    for name, world in _FAIR:
        yield name, world, (), fair
    for title, world, paths in _PLANTED:
        yield title, world, paths, min(planted, 3) if world.appointments > 500_000 else planted


def main() -> None:
    """Print the table for docs/results.md."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--fair", type=int, default=100)
    parser.add_argument("--planted", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=1_000)
    parser.add_argument("--only", default="")
    asked = parser.parse_args()
    print("| service | audits | exactly the harmed | another named | nothing named | s a search |")
    print("|---|---|---|---|---|---|")
    for name, world, planted, runs in services(asked.fair, asked.planted):
        if runs and asked.only in name:
            found = tally(world, planted, range(asked.first_seed, asked.first_seed + runs))
            print(found.line(name), flush=True)
            for wrong in found.wrong[:10]:
                print("    named:", wrong, flush=True)


if __name__ == "__main__":
    main()

"""How often evidence that is looked at each month for three years is wrong, and how soon it is enough.

    python -m benchmarks.audit_monthly_looks --runs 2000

Each run draws 36 months of missed appointments of a group and of everyone else. "Limit" is a group that is behind by
exactly the limit, the hardest case of a group that is not harmed.
"""

import argparse
from collections.abc import Iterator

import numpy as np

from dnapredict.fairness.compare.e_values import increment, is_certain
from dnapredict.fairness.measure.intervals import Rate, gap_p_value

MONTHS, LIMIT, REACH, LEVEL = 36, 0.05, 0.40, 0.05


def months(random: np.random.Generator, *, missed: int, gap: float) -> Iterator[tuple[Rate, Rate]]:
    """Everyone else's reach and the group's in each month."""
    for _ in range(MONTHS):
        rest, group = 20 * missed, int(random.poisson(missed))
        yield (
            Rate(float(random.binomial(rest, REACH)), rest),
            Rate(float(random.binomial(group, REACH - gap)), max(group, 1)),
        )


def look(random: np.random.Generator, *, missed: int, gap: float) -> tuple[bool, bool]:
    """Whether any of the monthly looks at the evidence so far fails the group, and whether any passes it."""
    behind = alike = 0.0
    fails = passes = False
    for rest, group in months(random, missed=missed, gap=gap):
        found = increment(rest, group, limit=LIMIT)
        if found is not None:
            behind, alike = behind + found[0], alike + found[1]
        fails |= is_certain(behind, level=LEVEL)
        passes |= is_certain(alike, level=LEVEL)
    return fails, passes


def look_at_p_values(random: np.random.Generator, *, missed: int, gap: float) -> bool:
    """Whether any of the monthly looks at the p-value of all months so far fails the group."""
    sums, smallest = np.zeros(4), 1.0
    for rest, group in months(random, missed=missed, gap=gap):
        sums += (rest.numerator, rest.denominator, group.numerator, group.denominator)
        smallest = min(smallest, gap_p_value(Rate(*sums[:2]), Rate(*sums[2:]), tolerance=LIMIT) or 1.0)
    return smallest < LEVEL


def main() -> None:
    """Print how often the group is failed and passed within three years."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--runs-of-p-values", type=int, default=200)
    asked = parser.parse_args()
    print("missed a month | gap | failed | passed | failed if a p-value were looked at each month")
    for missed in (10, 20, 40, 60, 100, 200):
        for gap in (0.0, LIMIT, 0.10, 0.15):
            random = np.random.default_rng(1)
            found = np.array([look(random, missed=missed, gap=gap) for _ in range(asked.runs)]).mean(axis=0)
            p_values = [look_at_p_values(random, missed=missed, gap=gap) for _ in range(asked.runs_of_p_values)]
            print(f"{missed} | {gap:.2f} | {found[0]:.3f} | {found[1]:.3f} | {np.mean(p_values):.3f}", flush=True)


if __name__ == "__main__":
    main()

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


def look(random: np.random.Generator, *, missed: int, gap: float) -> tuple[bool, bool, bool]:
    """Whether any of the monthly looks fails or passes the group by e-values, or fails it by a p-value."""
    behind = alike = 0.0
    fails = passes = fails_by_p = False
    sums = np.zeros(4)
    for rest, group in months(random, missed=missed, gap=gap):
        found = increment(rest, group, limit=LIMIT)
        sums += (rest.numerator, rest.denominator, group.numerator, group.denominator)
        p_value = gap_p_value(Rate(*sums[:2]), Rate(*sums[2:]), tolerance=LIMIT)
        fails_by_p |= p_value is not None and p_value < LEVEL
        if found is not None:
            behind, alike = behind + found[0], alike + found[1]
        fails |= is_certain(behind, level=LEVEL)
        passes |= is_certain(alike, level=LEVEL)
    return fails, passes, fails_by_p


def main() -> None:
    """Print how often the group is failed and passed within three years."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--runs", type=int, default=2000)
    asked = parser.parse_args()
    print("missed a month | gap | failed | passed | failed if a p-value were looked at each month")
    for missed in (20, 60, 200):
        for gap in (0.0, LIMIT, 0.10, 0.15):
            random = np.random.default_rng(1)
            found = np.array([look(random, missed=missed, gap=gap) for _ in range(asked.runs)])
            print(f"{missed} | {gap:.2f} | " + " | ".join(f"{share:.3f}" for share in found.mean(axis=0)), flush=True)


if __name__ == "__main__":
    main()

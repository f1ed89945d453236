"""How often the audit is wrong, by simulation: false alarms, gaps it misses, weeks it must not judge.

Claims (fairness-audit, section 5; reach .45, 7 in 100 missed, limit 5 points): a fair model gets any FAIL
in at most 5 in 100 audits; a true gap of 10 points for one ethnic code at 700,000 appointments FAILs
in at least 80 and PASSes in at most 5 in 100; a week of 13,000 appointments answers *not enough data*.

Counts are drawn instead of rows, which the gates cannot tell apart; patients have one appointment
each here. Fair worlds of whole rows with repeat patients are drawn too, in smaller number.
"""

import json
import sys
from pathlib import Path

import numpy as np
from benchmarks.audit_worlds import World
from numpy.typing import NDArray

from dnapredict.config.fairness_policy import Policy
from dnapredict.config.loading import load, shipped
from dnapredict.fairness import AuditData, ReportContext, Verdict, run
from dnapredict.fairness.compare.comparisons import Evidence
from dnapredict.fairness.measure.counts import BINS, SUMS, CountedGrouping, GroupCounts
from dnapredict.fairness.measure.groupings import ETHNICITY, grouping_named
from dnapredict.fairness.run_audit import judge_gates

AUDITS = 1_000
WHOLE_WORLDS = 40
REACH, MISSED, CALLED = 0.45, 0.07, 0.10
GAP = 0.10
UNDER_SCORED = 1.35  # observed over expected of a group whose reach lies 10 points lower for that reason
YEAR, WEEK = 700_000, 13_000
CORE20 = 0.2
SHARES = dict(zip(ETHNICITY, (62, 1, 5, 1, 1, 1, 1, 4, 5, 2, 2, 2, 5, 1, 1, 3), strict=True)) | {
    "Z": 3,
    "99": 2,
}
POLICY = load(shipped("fairness/policy.toml"), Policy)


def cell(random: np.random.Generator, n: int, *, reach: float, over: float) -> GroupCounts:
    """Counts of `n` independent appointments with a given true reach and observed over expected."""
    missed = int(random.binomial(n, MISSED))
    reached = int(random.binomial(missed, reach))
    needless = int(random.binomial(n - missed, (CALLED - MISSED * REACH) / (1 - MISSED)))
    sums = np.array([n, missed, reached + needless, reached, 0, 0, 0, n * MISSED / over], dtype=float)
    histogram = np.zeros((2, BINS))
    histogram[0, [0, -1]] = n - missed - needless, needless
    histogram[1, [0, -1]] = missed - reached, reached
    return GroupCounts(sums, _second(sums, over), n, histogram, histogram * MISSED / over)


def _second(sums: NDArray[np.float64], over: float) -> NDArray[np.float64]:
    """Sums of products over patients with one appointment each: of two yes-or-no, their overlap."""
    n, missed, selected, reached = sums[:4]
    second = np.zeros((len(SUMS), len(SUMS)))
    second[:4, :4] = [
        [n, missed, selected, reached],
        [missed, missed, reached, reached],
        [selected, reached, selected, reached],
        [reached, reached, reached, reached],
    ]
    risk = MISSED / over
    second[-1, :4] = second[:4, -1] = sums[:4] * risk
    second[-1, -1] = n * risk**2
    return second


def audit(random: np.random.Generator, appointments: int, *, behind: str = "") -> tuple[Verdict, Verdict]:
    """Overall verdict, and that of the group `behind` under G3 (of Core20 where nobody is behind)."""
    sizes = random.multinomial(appointments, np.array(list(SHARES.values())) / sum(SHARES.values()))
    cells = {}
    for code, size in zip(SHARES, sizes, strict=True):
        lower = code == behind
        reach, over = (REACH - GAP, UNDER_SCORED) if lower else (REACH, 1.0)
        deprived = int(random.binomial(size, CORE20))
        for place, n in (("core20", deprived), ("rest", int(size) - deprived)):
            cells[code, place] = cell(random, n, reach=reach, over=over)
    counted = {name: _counted(name, part, cells) for name, part in (("core20", 1), ("ethnicity", 0))}
    verdict, gates = judge_gates(Evidence(counted=counted, strict={}, policy=POLICY, rows=appointments))
    checks = next(gate.checks for gate in gates if gate.code == "G3")
    return verdict, next(check.verdict for check in checks if check.group.code == (behind or "core20"))


def _counted(name: str, part: int, cells: dict[tuple[str, str], GroupCounts]) -> CountedGrouping:
    grouping = grouping_named(name)
    groups = [group for group in grouping.groups if any(key[part] == group.code for key in cells)]
    counts = []
    for group in groups:
        first, *others = (found for key, found in cells.items() if key[part] == group.code)
        for other in others:
            first = first + other
        counts.append(first)
    return CountedGrouping(grouping, tuple(groups), tuple(counts))


def share(verdicts: list[Verdict], wanted: Verdict) -> float:
    """Share of audits with that verdict."""
    return sum(verdict is wanted for verdict in verdicts) / len(verdicts)


def whole_world(seed: int) -> Verdict:
    """Verdict on a fair world of rows with repeat patients."""
    world = World(appointments=100_000, seed=seed)
    context = ReportContext("fair", "", "", World.window(), "the top 10 in 100", "", synthetic=True, seed=seed)
    return run(AuditData.of(world.table()), policy=POLICY, context=context).verdict


def main() -> None:
    """Print the figures beside the claims and write them to benchmarks/out/."""
    audits = int(sys.argv[1]) if len(sys.argv) > 1 else AUDITS
    random = np.random.default_rng(1)
    found: dict[str, float] = {"audits": audits}
    for name, size in (("year", YEAR), ("week", WEEK)):
        verdicts = [audit(random, size)[0] for _ in range(audits)]
        found[f"fair {name}: FAIL"] = share(verdicts, Verdict.FAIL)
        found[f"fair {name}: NOT ENOUGH DATA"] = share(verdicts, Verdict.NOT_ENOUGH_DATA)
    for code in ("J", "K", "R"):
        about = f"gap of 10 points, {ETHNICITY[code]} ({SHARES[code] / sum(SHARES.values()):.1%})"
        verdicts = [audit(random, YEAR, behind=code)[1] for _ in range(audits)]
        found[f"{about}: FAIL"] = share(verdicts, Verdict.FAIL)
        found[f"{about}: PASS"] = share(verdicts, Verdict.PASS)
    whole = [whole_world(seed) for seed in range(min(WHOLE_WORLDS, audits))]
    found["fair worlds of rows: FAIL"] = share(whole, Verdict.FAIL)
    for name, value in found.items():
        print(f"{name:<60} {value:g}")
    out = Path(__file__).parent / "out"
    out.mkdir(exist_ok=True)
    (out / "audit_operating_characteristics.json").write_text(json.dumps(found, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()

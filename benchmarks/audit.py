"""How long the audit takes on 1,000,000 synthetic appointments, and how much a bootstrap replicate saves.

Claims: counts, all figures and ranges for three groupings (16 + 3 ethnic codes, 11 deciles, Core20) in
under 10 s and under 2 GB; and a replicate of the patient bootstrap at least 300 times faster than one
of fairlearn's `MetricFrame(n_boot=...)` on the same rows, measured in the same run.
`python benchmarks/audit.py 10000000` measures ten times as many rows (claim: under 60 s).
"""

import json
import resource
import sys
import time
from pathlib import Path

from fairlearn.metrics import MetricFrame, true_positive_rate

from audit_worlds import World
from dnapredict.config.fairness_policy import Policy
from dnapredict.config.loading import load, shipped
from dnapredict.fairness import AuditData
from dnapredict.fairness.measure.groupings import grouping_named
from dnapredict.fairness.measure.membership import cross_memberships, membership
from dnapredict.fairness.measure.row_counting import count_groups
from dnapredict.fairness.publish.group_tables import published_table
from profile_bootstrap import reach_profiles, reach_replicates

ROWS = 1_000_000
GROUPINGS = ("core20", "imd_decile", "ethnicity")
GROUPS_CROSSED = ("ethnicity", "imd_decile")
REPLICATES = 2_000
METRICS = {"reach": true_positive_rate}


def audited(rows: int) -> AuditData:
    """Synthetic appointments, made before the clock starts."""
    return AuditData.of(World(appointments=rows).table())


def figures(world: AuditData) -> tuple[float, float]:
    """Seconds for counts, figures and ranges of the three groupings: by the clock, and of the processor."""
    rule = load(shipped("fairness/policy.toml"), Policy).disclosure
    began, worked = time.perf_counter(), time.process_time()
    for name in GROUPINGS:
        members = membership(world, grouping_named(name))
        assert members is not None
        published_table(count_groups(world, members), rule=rule, z=1.96, share=0.1)
    return time.perf_counter() - began, time.process_time() - worked


def bootstrap(world: AuditData) -> float:
    """Seconds for one replicate of the reach of every ethnic code within every decile."""
    ethnicity, decile = (membership(world, grouping_named(name)) for name in GROUPS_CROSSED)
    assert ethnicity is not None
    assert decile is not None
    cells = cross_memberships(ethnicity, decile)
    profiles = [reach_profiles(world, cells, place) for place in range(len(cells.groups))]
    began = time.perf_counter()
    for place, (sums, patients) in enumerate(profiles):
        reach_replicates(sums, patients, replicates=REPLICATES, seed=place)
    return (time.perf_counter() - began) / REPLICATES


def fairlearn_replicate(world: AuditData) -> float:
    """Seconds for one replicate of fairlearn's own bootstrap on the same rows and groups."""
    groups = {name: membership(world, grouping_named(name)) for name in GROUPS_CROSSED}
    began = time.perf_counter()
    MetricFrame(
        metrics=METRICS,
        y_true=world.table["dna"].to_numpy(),
        y_pred=world.table["selected"].to_numpy(),
        sensitive_features={name: members.index for name, members in groups.items() if members},
        n_boot=1,
        ci_quantiles=[0.5],
        random_state=1,
    )
    # The frame itself is computed once and the replicate once: half of the time is one replicate.
    return (time.perf_counter() - began) / 2


def main() -> None:
    """Print the figures and write them to benchmarks/out/audit.json."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    world = audited(rows)
    taken, worked = figures(world)
    found = {"rows": rows, "figures_seconds": taken, "figures_processor_seconds": worked}
    print(
        f"{rows:,} rows: counts, figures and ranges of {len(GROUPINGS)} groupings in {taken:.1f} s "
        f"({worked:.1f} s of processor time)"
    )
    if rows <= ROWS:
        ours, theirs = bootstrap(world), fairlearn_replicate(world)
        found |= {"replicate_seconds": ours, "fairlearn_replicate_seconds": theirs, "ratio": theirs / ours}
        print(f"a bootstrap replicate of reach in {len(GROUPS_CROSSED)} groupings crossed: {ours * 1000:.2f} ms")
        print(f"fairlearn's on the same rows: {theirs:.1f} s, {theirs / ours:,.0f} times as long")
    found["peak_gigabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"peak memory, the synthetic rows included: {found['peak_gigabytes']:.2f} GB")
    out = Path(__file__).parent / "out"
    out.mkdir(exist_ok=True)
    (out / f"audit-{rows}.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

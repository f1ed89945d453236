"""How long the audit takes on 1,000,000 synthetic appointments, and how much a bootstrap replicate saves.

Claims: the audit of every standing comparison, with the search for harm, in under 15 s and under 1 GB beyond the rows;
counts, figures and ranges for three groupings in
under 10 s; and a replicate of the patient bootstrap at least 300 times faster than one of fairlearn's
`MetricFrame(n_boot=...)` on the same rows, measured in the same run.
`python -m benchmarks.audit 10000000` measures ten times as many rows (claim: the audit in under 90 s).
An audit of nine trusts' files of counts takes under 5 s, with the search for harm in each trust as without it.
"""

import datetime
import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from benchmarks.audit_worlds import World
from benchmarks.profile_bootstrap import reach_profiles, reach_replicates
from fairlearn.metrics import MetricFrame, true_positive_rate

from dnapredict.config.fairness_policy import Policy
from dnapredict.config.loading import load, shipped
from dnapredict.fairness import AuditData, ReportContext, judge
from dnapredict.fairness.measure.audit_counts import count
from dnapredict.fairness.measure.audited_appointments import CALLED_BY
from dnapredict.fairness.measure.groupings import grouping_named
from dnapredict.fairness.measure.membership import cross_memberships, membership
from dnapredict.fairness.measure.row_counting import count_groups
from dnapredict.fairness.pooling.counts_file import CountsProvenance, contract_digest, policy_digest, write_counts
from dnapredict.fairness.pooling.pooled_audit import audit_pool, pool_context, read_pool
from dnapredict.fairness.publish.group_tables import published_table
from dnapredict.fairness.report.report_files import as_json
from dnapredict.worklist.plan.allocation import RULES
from dnapredict.worklist.plan.call_assignment import allocated

ROWS = 1_000_000
GROUPINGS = ("core20", "imd_decile", "ethnicity")
GROUPS_CROSSED = ("ethnicity", "imd_decile")
REPLICATES = 2_000
METRICS = {"reach": true_positive_rate}
TRUSTS = 9
CONTEXT = ReportContext("1", "", "", World.window(), "a tenth", "unknown", synthetic=True)


def audited(rows: int, *, mislabelled: float = 0.01) -> AuditData:
    """Synthetic appointments with every column that is compared, made before the clock starts."""
    table, random = World(appointments=rows, mislabelled=mislabelled).table(), np.random.default_rng(1)
    risk, decile = table["probability"].to_numpy(), table["imd_decile"].cast("float64").to_numpy()
    sites = np.array([f"RX{number:03}" for number in range(30)])
    further = {
        "site_code": pa.array(sites[random.integers(0, len(sites), rows)]),
        "place_code": pa.array(np.array([f"P{number}" for number in range(9)])[random.integers(0, 9, rows)]),
        "treatment_function_code": pa.array(
            np.array([str(code) for code in range(100, 130)])[random.integers(0, 30, rows)]
        ),
        "disability_flag": pa.array(np.array(["Y", "N", "N", ""])[random.integers(0, 4, rows)]),
        "learning_disability_flag": pa.array(np.array(["Y", *["N"] * 19])[random.integers(0, 20, rows)]),
        "plus_group": pa.array(np.array(["Coastal", "", "", ""])[random.integers(0, 4, rows)]),
        "has_mobile": pa.array(random.random(rows) < 0.9),
        "n_past": pa.array(random.integers(0, 6, rows)),
        "lead_days": pa.array(random.integers(0, 120, rows)),
    }
    for rule in RULES:
        called = allocated(risk, decile, calls=rows // 10, rule=rule, floor_share=0.8)
        further[f"{CALLED_BY}{rule}"] = pa.array(called)
    for name, column in further.items():
        table = table.append_column(name, column)
    return AuditData.of(table)


def whole_audit(world: AuditData, policy: Policy) -> dict[str, float]:
    """Seconds to count every standing comparison, and to judge the counts."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    began, worked = time.perf_counter(), time.process_time()
    counts = count(world, policy)
    counted = time.perf_counter() - began
    as_json(judge(counts, policy=policy, context=CONTEXT))
    return {
        "count_seconds": counted,
        "audit_seconds": time.perf_counter() - began,
        "audit_processor_seconds": time.process_time() - worked,
        "rows_gigabytes": before,
        "audit_gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }


def pool(world: AuditData, policy: Policy) -> dict[str, float]:
    """Seconds to read, add up and audit the files of counts of nine trusts, and the size of all files."""
    trust = world.table["patient"].to_numpy() % TRUSTS
    with tempfile.TemporaryDirectory() as folder:
        for number in range(TRUSTS):
            own = AuditData(world.table.filter(pa.array(trust == number)))
            write_counts(Path(folder) / f"{number}.counts.json", _provenance(number, policy), count(own, policy))
        megabytes = sum(path.stat().st_size for path in Path(folder).iterdir()) / 1e6
        began, worked = time.perf_counter(), time.process_time()
        files = read_pool(Path(folder), policy=policy)
        context = pool_context(files, code_revision="", created_at=datetime.datetime.now(datetime.UTC))
        as_json(audit_pool(files, policy=policy, context=context))
        taken = time.perf_counter() - began
    return {"pool_seconds": taken, "pool_processor_seconds": time.process_time() - worked, "pool_megabytes": megabytes}


def _provenance(trust: int, policy: Policy) -> CountsProvenance:
    return CountsProvenance(
        trust=str(trust),
        policy_sha256=policy_digest(policy),
        contract_sha256=contract_digest(),
        model="",
        model_version="1",
        model_sha256="",
        data_sha256=str(trust),
        capacity="a tenth",
        allocation="global",
        outcomes=("3", "7"),
        window=tuple(day.isoformat() for day in World.window()),
        code_revision="",
        synthetic=True,
        rows_expected=None,
        created_at="",
        protect="none",
    )


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
    policy = load(shipped("fairness/policy.toml"), Policy)
    found: dict[str, float] = whole_audit(world, policy)
    print(
        f"{rows:,} rows, every standing comparison: counted in {found['count_seconds']:.1f} s, audited in "
        f"{found['audit_seconds']:.1f} s ({found['audit_processor_seconds']:.1f} s of processor time); "
        f"{found['audit_gigabytes']:.2f} GB, of which {found['rows_gigabytes']:.2f} before the audit"
    )
    if rows <= ROWS:
        for share, kind in ((0.01, "whose records fail"), (0.0, "each searched for harm")):
            found |= pool(world if share else audited(rows, mislabelled=0.0), policy)
            print(
                f"nine trusts' counts ({kind}, {found['pool_megabytes']:.0f} MB) read, added and audited in "
                f"{found['pool_seconds']:.1f} s ({found['pool_processor_seconds']:.1f} s of processor time)"
            )
    taken, worked = figures(world)
    found |= {"rows": rows, "figures_seconds": taken, "figures_processor_seconds": worked}
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

"""The table of worlds: what the audit says of each planted world, and in how many runs it is what it should be.

python -m benchmarks.audit_worlds --table --runs 20
"""

import collections
import datetime
import json
import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, get_args

from benchmarks.planted_worlds import Planted, PlantedWorld

from dnapredict.config.fairness_policy import Policy
from dnapredict.config.loading import load, shipped
from dnapredict.fairness import AuditData, ReportContext, Verdict
from dnapredict.fairness.measure.audit_counts import count
from dnapredict.fairness.run_audit import evidence_of, judge_gates
from dnapredict.fairness.verdicts import Cause, Gate, overall_verdict, separate_verdicts

POLICY: Final = load(shipped("fairness/policy.toml"), Policy)
_ETHNIC: Final = frozenset({("ethnicity", "J")})


_REVERSED: Final = frozenset({Cause.UNDER_SCORED, Cause.OVER_SCORED, Cause.SQUEEZED_RISKS, Cause.LABEL})


@dataclass(frozen=True)
class Expected:
    """What an audit of a world must say: the groups that fail, the cause of each, and groups that may be named too.

    `explained` is a cause that must be said of the group although nothing fails. In worlds of calls (`not_said`) the
    risks are right: who says of a group that they are not has mistaken the effect of a call for a fault.
    """

    fails: frozenset[tuple[str, str]] = frozenset()
    cause: Cause | None = None
    explained: Cause | None = None
    level_fails: bool = False
    not_said: frozenset[Cause] = frozenset()


EXPECTED: Final[Mapping[Planted, Expected]] = {
    "fair": Expected(),
    "fair with unequal need": Expected(),
    "uniform drift": Expected(level_fails=True),
    "under-scored": Expected(_ETHNIC, Cause.UNDER_SCORED),
    "weak information": Expected(_ETHNIC, Cause.WEAKER_INFORMATION),
    "squeezed risks": Expected(_ETHNIC, Cause.SQUEEZED_RISKS),
    "false DNAs flagged": Expected(_ETHNIC, Cause.LABEL),
    "false DNAs with code 7": Expected(_ETHNIC, Cause.LABEL),
    "false DNAs not flagged": Expected(_ETHNIC, Cause.LABEL),
    "over-65s under-scored": Expected(frozenset({("age", "65-79"), ("age", "80 and over")}), Cause.UNDER_SCORED),
    "disabled under-scored": Expected(frozenset({("disability", "yes")}), Cause.UNDER_SCORED),
    "not asked cut from calls": Expected(frozenset({("ethnicity", "99")}), Cause.CAPACITY),
    "one site": Expected(frozenset({("site", "RXA03")}), Cause.UNDER_SCORED),
    "one intersection": Expected(frozenset({("search", "ethnicity=J|sex=2|core20=core20")}), Cause.UNDER_SCORED),
    "one group at one site": Expected(frozenset({("search", "ethnicity=J|site=RXA01")}), Cause.UNDER_SCORED),
    "over-called": Expected(_ETHNIC, Cause.OVER_SCORED),
    "two groups under-scored": Expected(_ETHNIC | {("ethnicity", "N")}, Cause.UNDER_SCORED),
    "women under-scored": Expected(frozenset({("sex", "2")}), Cause.UNDER_SCORED),
    "most deprived tenth under-scored": Expected(frozenset({("imd_decile", "1")}), Cause.UNDER_SCORED),
    "most deprived site under-scored": Expected(frozenset({("site", "RXA05")}), Cause.UNDER_SCORED),
    "lower need": Expected(explained=Cause.LOWER_NEED),
    "mix of clinics": Expected(explained=Cause.MIX),
    "calls help one group": Expected(not_said=_REVERSED),
    "calls help all but one": Expected(not_said=_REVERSED),
}


@dataclass
class Tally:
    """What came of the runs of one world."""

    verdicts: collections.Counter[str] = field(default_factory=collections.Counter)
    lists: collections.Counter[str] = field(default_factory=collections.Counter)
    failed: collections.Counter[str] = field(default_factory=collections.Counter)
    causes: collections.Counter[str] = field(default_factory=collections.Counter)
    right_groups: int = 0
    right_cause: int = 0

    def row(self, name: str, runs: int) -> str:
        """The tally as a row of a table."""
        cells = (name, self.verdicts, self.lists, self.failed, self.causes)
        shown = [cell if isinstance(cell, str) else _counted(cell) for cell in cells]
        return " | ".join([*shown, f"{self.right_groups}/{runs}", f"{self.right_cause}/{runs}"])


def _counted(counter: collections.Counter[str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in counter.most_common(6)) or "-"


def audit(world: PlantedWorld) -> tuple[Gate, ...]:
    """The gates of the audit of a world under the shipped policy."""
    context = ReportContext("1", "", "", (_day(1), _day(12)), "a tenth", "unknown", synthetic=True)
    counts = count(AuditData.of(world.table()), POLICY)
    return judge_gates(evidence_of(counts, policy=POLICY, context=context))[1]


def failed_groups(gates: Sequence[Gate]) -> dict[tuple[str, str], set[Cause]]:
    """Every group that fails in a gate, with the causes that are said of it."""
    found: dict[tuple[str, str], set[Cause]] = {}
    for gate in gates:
        for check in gate.checks:
            if check.verdict is Verdict.FAIL and check.grouping != "all" and gate.judged:
                causes = found.setdefault((check.grouping, check.group.code), set())
                causes |= {check.cause} if check.cause else set()
    return found


def is_right_cause(gates: Sequence[Gate], expected: Expected) -> bool:
    """Whether the expected cause is said of each group that should fail, or the explaining one of the planted group."""
    failed = failed_groups(gates)
    if expected.explained:
        return expected.explained in {check.cause for gate in gates for check in gate.checks if check.group.code == "J"}
    if expected.level_fails:
        return any(gate.code == "G8" and gate.verdict is Verdict.FAIL for gate in gates)
    if expected.not_said:
        return not expected.not_said & {check.cause for gate in gates for check in gate.checks if gate.judged}
    return all(expected.cause in failed.get(group, ()) for group in expected.fails)


def tally(name: Planted, *, seeds: Iterable[int], appointments: int) -> Tally:
    """Audit a world with every seed."""
    found, expected = Tally(), EXPECTED[name]
    for seed in seeds:
        gates = audit(PlantedWorld(name, seed=seed, appointments=appointments))
        failed = failed_groups(gates)
        verdicts = separate_verdicts(gates, primary="G3")
        found.verdicts[overall_verdict(gates, primary="G3")] += 1
        found.lists[verdicts.list] += 1
        found.failed.update(f"{code} of {grouping}" for grouping, code in failed)
        found.causes.update(str(cause) for causes in failed.values() for cause in causes)
        found.right_groups += failed.keys() == expected.fails
        found.right_cause += is_right_cause(gates, expected)
    return found


def print_table(*, runs: int, first_seed: int, appointments: int, names: Collection[str] = ()) -> None:
    """Audit all worlds, print the table, and write it to benchmarks/out/."""
    warnings.simplefilter("error")
    print("world | verdict | list | groups that fail | causes | right groups | right cause")
    written: dict[str, object] = {"runs": runs, "first_seed": first_seed, "appointments": appointments}
    for name in get_args(Planted):
        if names and name not in names:
            continue
        found = tally(name, seeds=range(first_seed, first_seed + runs), appointments=appointments)
        print(found.row(name, runs), flush=True)
        written[name] = {"right_groups": found.right_groups, "right_cause": found.right_cause, "lists": found.lists}
    out = Path(__file__).parent / "out"
    out.mkdir(exist_ok=True)
    (out / "audit_table.json").write_text(json.dumps(written, indent=2) + "\n", "utf-8")


def _day(month: int) -> datetime.date:
    return datetime.date(2025, month, 1)

"""Small services: no audit crashes, and no share of the appointments gives a hidden number of them back."""

import dataclasses
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from benchmarks.audit_worlds import OddWorld, World, outcome_of
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.examples import examples
from tests.unit.test_audit_attack import attack_on, given_back

from dnapredict.config.fairness_policy import Disclosure, Policy
from dnapredict.config.loading import load, shipped
from dnapredict.fairness import AuditData, ReportContext, run, write
from dnapredict.fairness.compare.comparisons import Evidence
from dnapredict.fairness.disclosure.suppression import CountCell
from dnapredict.fairness.measure.audit_counts import count
from dnapredict.fairness.measure.counts import CountedGrouping
from dnapredict.fairness.publish.chart_data import published_chart_data
from dnapredict.fairness.run_audit import evidence_of

POLICY = load(shipped("fairness/policy.toml"), Policy)
OPEN = POLICY.model_copy(update={"disclosure": Disclosure(suppress_below=0, round_to=1, why="The attack must work.")})
CONTEXT = ReportContext("1", "", "", World.window(), "a tenth", "unknown", synthetic=True)
FEWEST_POSSIBLE = 3


@given(appointments=st.integers(1, 20), share=st.floats(0, 1), seed=st.integers(0, 10_000))
@settings(max_examples=examples(16), deadline=None)  # of 20 sizes; `test_audit_odd_worlds` has the shares 0, 1 and all
def test_no_audit_of_a_handful_of_appointments_crashes(appointments: int, share: float, seed: int):
    world = OddWorld(appointments, round(share * appointments), seed=seed, patients=(0, 3, 1_000)[seed % 3])
    assert not outcome_of(world, POLICY).startswith("crash")


@given(appointments=st.integers(0, 90), share=st.floats(0.05, 1), seed=st.integers(0, 10_000))
@settings(max_examples=examples(10), deadline=None)
def test_no_table_of_a_handful_of_appointments_gives_a_small_number_back(appointments: int, share: float, seed: int):
    rows = OddWorld(appointments, max(1, round(share * appointments)), seed=seed, patients=(0, 3, 1_000)[seed % 3])
    if not appointments:
        assert outcome_of(rows, POLICY).startswith("refused")
        return
    with tempfile.TemporaryDirectory() as folder:
        secret, attack = attack_on(rows.table(), Path(folder) / "report")
    asked = sorted(secret)
    found = attack.possible([asked[place] for place in np.random.default_rng(seed).permutation(len(asked))[:20]])
    assert given_back(found) == []
    assert all(low - 1e-6 <= secret[cell] <= high + 1e-6 for cell, (low, high) in found.items())


@pytest.mark.cases(1)
@pytest.mark.parametrize("seed", [0, 7, 14, 21])
def test_a_rate_that_rounding_puts_above_1_does_not_crash_an_audit(seed: int):
    loose = POLICY.model_copy(update={"smallest_group": 30})
    assert not outcome_of(OddWorld(900, 450, seed=seed, calls=100_000), loose).startswith("crash")


def few_values(world: OddWorld, policy: Policy) -> list[tuple[str, str]]:
    """Groups of 1 to 7 appointments of whose number the weights in `audit.json` leave fewer than three values."""
    audited = AuditData.of(world.table())
    evidence = evidence_of(count(audited, policy), policy=policy, context=CONTEXT)
    with tempfile.TemporaryDirectory() as folder:
        report = write(run(audited, policy=policy, context=CONTEXT), Path(folder) / "report").parent
        gates = json.loads((report / "audit.json").read_text())["gates"]
    small = {(name, code) for name, one in evidence.counted.items() for code in _small(one)}
    checks = [(c["grouping"], c["group"]["code"], c["weight"]) for g in gates if g["code"] == "G3" for c in g["checks"]]
    return [
        at for *at, weight in map(list, checks) if tuple(at) in small and len(_fit(weight, world)) < FEWEST_POSSIBLE
    ]


def _small(counted: CountedGrouping) -> list[str]:
    return [g.code for g, own in zip(counted.groups, counted.counts, strict=True) if 0 < own.appointments < 8]


def _fit(weight: float, world: OddWorld) -> list[int]:
    """The numbers of appointments that are printed as this share; nothing is known from a 0."""
    return [n for n in range(1, 8) if not weight or abs(n / world.appointments - weight) <= 0.005]


@pytest.mark.cases(1)
@pytest.mark.parametrize("appointments", [60, 100, 150])
def test_the_weight_of_a_group_gives_no_small_number_of_appointments_back(appointments: int):
    world = OddWorld(appointments, appointments // 3, seed=3)
    assert few_values(world, OPEN)  # with small numbers printed the attack must succeed
    assert few_values(world, POLICY) == []


def charted(evidence: Evidence) -> set[str]:
    """The groups that have a curve."""
    found = published_chart_data(evidence)
    return {curve.group for curve in (*found.calibration, *found.capacity)}


def test_no_chart_tells_a_count_that_the_tables_hide():
    counts = count(AuditData.of(World(appointments=12_000, seed=3).table()), POLICY)
    evidence = evidence_of(counts, policy=POLICY, context=CONTEXT)
    name = next(group.name for group in evidence.counted["core20"].groups if group.code == "core20")
    assert name in charted(evidence)
    cells = evidence.hidden.cells | {CountCell("missed", "core20", "core20")}
    assert name not in charted(dataclasses.replace(evidence, hidden=dataclasses.replace(evidence.hidden, cells=cells)))

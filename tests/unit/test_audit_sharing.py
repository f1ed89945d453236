"""Each rule of sharing the calls, what it reaches and what it costs, in the report."""

import csv
import dataclasses
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from benchmarks.audit_worlds import World

from dnapredict.config.fairness_policy import Policy
from dnapredict.config.loading import load, shipped
from dnapredict.fairness import AuditData, AuditResult, ReportContext, run, write
from dnapredict.fairness.report.csv_tables import csv_files
from dnapredict.fairness.report.report_files import as_json
from dnapredict.worklist.plan.allocation import RULES
from dnapredict.worklist.plan.call_assignment import allocated

POLICY = load(shipped("fairness/policy.toml"), Policy)
CONTEXT = ReportContext("1", "", "", World.window(), "the top 10 in 100", "unknown", True)


def shared(table: pa.Table) -> pa.Table:
    risk = table["probability"].to_numpy()
    decile = table["imd_decile"].cast("float64").to_numpy()
    calls = round(0.1 * len(risk))
    for rule in RULES:
        called = allocated(risk, decile, calls=calls, rule=rule, floor_share=0.8)
        table = table.append_column(f"called_by_{rule}", pa.array(called))
    return table


@pytest.fixture(scope="module")
def table() -> pa.Table:
    return shared(World(appointments=60_000, deprivation=0.8).table())


@pytest.fixture(scope="module")
def result(table: pa.Table) -> AuditResult:
    return run(AuditData.of(table), policy=POLICY, context=CONTEXT)


def test_the_price_is_counted_against_risk_alone(result: AuditResult, table: pa.Table):
    missed = table["dna"].to_numpy()
    by_risk, *others = result.allocation_costs
    assert (by_risk.rule, by_risk.in_use, by_risk.fewer, by_risk.price.value) == ("global", True, 0, 0)
    for found in others:
        exact = (missed & table["called_by_global"].to_numpy()).sum() - (
            missed & table[f"called_by_{found.rule}"].to_numpy()
        ).sum()
        assert found.fewer == pytest.approx(exact, abs=5)
        assert found.price is not None
        assert found.price.low <= found.price.value <= found.price.high
        assert found.price.value == pytest.approx(exact / missed.sum(), abs=0.005)


def test_sharing_by_need_moves_calls_to_the_least_deprived_where_risk_alone_leaves_them_out(result):
    """Where deprivation drives the risk, risk alone sends nearly all calls to deprived areas."""
    by_risk, proportionate, floor = result.allocation_costs
    assert (
        by_risk.reach_in_fifth("5").value
        < floor.reach_in_fifth("5").value
        <= proportionate.reach_in_fifth("5").value + 0.02
    )
    assert by_risk.reach_in_fifth("1").value > proportionate.reach_in_fifth("1").value


def test_calls_of_each_rule_add_up_to_the_same_number(result: AuditResult):
    totals = [sum(fifth.selected for fifth in one.fifths) for one in result.allocation_costs]
    assert np.ptp(totals) <= 30  # six rounded numbers each


def test_the_report_shows_the_rules_and_which_is_in_use(table: pa.Table, tmp_path: Path):
    context = dataclasses.replace(CONTEXT, allocation="floor")
    result = run(AuditData.of(table), policy=POLICY, context=context)
    page = write(result, tmp_path / "out").read_text()
    assert "A floor for each fifth, then by risk (in use)" in page
    lines = list(csv.DictReader(csv_files(result)["sharing.csv"].splitlines()))
    assert [line["rule"] for line in lines if line["group"] == "Everyone"] == list(RULES)
    assert len(as_json(result)["sharing"]) == 3


def test_without_deciles_there_is_nothing_to_share_by(tmp_path: Path):
    table = World(appointments=3_000).table().drop_columns(["imd_decile"])
    result = run(AuditData.of(table), policy=POLICY, context=CONTEXT)
    assert result.allocation_costs == ()
    assert "How the calls could be shared" not in write(result, tmp_path / "out").read_text()


def test_the_reach_of_a_small_fifth_is_hidden(table: pa.Table):
    second = pc.fill_null(pc.is_in(table["imd_decile"], pa.array([3, 4])), False)
    few = pa.concat_tables([table.filter(pc.invert(second)), table.filter(second).slice(0, 20)])
    for sharing in run(AuditData.of(few), policy=POLICY, context=CONTEXT).allocation_costs:
        small = next(fifth for fifth in sharing.fifths if fifth.group.code == "2")
        assert small.reach is None
        assert sharing.reach_in_fifth("1") is not None

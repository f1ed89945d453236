"""Outcomes after calls: whose outcome counts, for how many it stands, and what is said where nobody can know."""

import datetime
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from benchmarks.audit_worlds import World
from benchmarks.planted_worlds import PlantedWorld
from hypothesis import given
from hypothesis import strategies as st
from tests.examples import examples

from dnapredict.config.fairness_policy import Policy
from dnapredict.config.loading import load, shipped
from dnapredict.data.contract.codes import CONTROL, TREATMENT
from dnapredict.fairness import AuditData, ReportContext, judge, run
from dnapredict.fairness.compare.hold_out import hold_out_size
from dnapredict.fairness.measure.audit_counts import count
from dnapredict.fairness.measure.audited_appointments import WEIGHT_PARTS
from dnapredict.fairness.measure.call_effects import ARM_COUNTS
from dnapredict.fairness.measure.group_metrics import observed_over_expected, rate
from dnapredict.fairness.measure.groupings import grouping_named
from dnapredict.fairness.measure.membership import membership
from dnapredict.fairness.measure.row_counting import count_groups
from dnapredict.fairness.measure.uncalled_outcomes import UncalledOutcomes, uncalled_outcomes
from dnapredict.fairness.report.report_files import as_json, render
from dnapredict.fairness.verdicts import Cause, Verdict

POLICY = load(shipped("fairness/policy.toml"), Policy)
CONTEXT = ReportContext("1", "", "", World.window(), "the top 10 in 100", "unknown", True)


def with_columns(table: pa.Table, **columns: object) -> pa.Table:
    kept = table.select([name for name in table.column_names if name not in columns])
    for name, values in columns.items():
        kept = kept.append_column(name, pa.array(values))
    return kept


def called(table: pa.Table, *, share: float, seed: int = 1, effect: float = 0.3) -> pa.Table:
    """The same appointments after that share of the list was called; calls leave `effect` of the missed ones."""
    random = np.random.default_rng(seed)
    selected, missed = (np.asarray(table[name].to_numpy(zero_copy_only=False)) for name in ("selected", "dna"))
    contacted = selected & (random.random(len(selected)) < share)
    helped = contacted & (random.random(len(selected)) > effect)
    codes = np.where(missed & ~helped, "3", "5")
    return with_columns(table, contacted=contacted, dna=missed & ~helped, outcome_code=codes)


WHOSE = """
    contacted | arm       | counts
    no        |           | yes
    yes       |           | no
    no        | TREATMENT | no
    yes       | TREATMENT | no
    no        | CONTROL   | yes
    yes       | CONTROL   | no
              |           | yes
"""


def test_whose_outcome_counts():
    lines = [[cell.strip() for cell in line.split("|")] for line in WHOSE.strip().splitlines()[1:]]
    copies = 4_000  # of each line, so that every stratum has some that count
    rows = [line for line in lines for _ in range(copies)]
    table = pa.table(
        {
            "patient": np.arange(len(rows)),
            "dna": np.arange(len(rows)) % 10 < 2,
            "probability": np.full(len(rows), 0.2),
            "selected": np.arange(len(rows)) % 2 == 0,
            "starts_at": pa.array([datetime.datetime(2025, 1, 6)] * len(rows)),
            "contacted": pa.array([{"yes": True, "no": False}.get(row[0]) for row in rows]),
            "trial_arm": pa.array([row[1] or None for row in rows], pa.string()),
        }
    )
    weighted, outcomes = uncalled_outcomes(AuditData.of(table))
    counts = weighted.weight.reshape(len(lines), copies).max(axis=1) > 0
    assert counts.tolist() == [line[2] == "yes" for line in lines]
    assert weighted.weight.sum() == len(rows)
    assert outcomes.used == 3 * copies
    assert outcomes.control == copies


def test_where_nobody_was_called_every_appointment_counts_once():
    table = World(appointments=2_000).table()
    for columns in ({}, {"contacted": [False] * 2_000}, {"contacted": pa.nulls(2_000, pa.bool_())}):
        audited = AuditData.of(with_columns(table, **columns))
        same, outcomes = uncalled_outcomes(audited)
        assert same is audited
        assert not outcomes.are_weighted
        assert outcomes.can_be_judged


@given(st.integers(0, 1_000), st.floats(0.05, 0.9))
def test_weights_are_whole_eighths_that_add_up_to_all_appointments(seed, share):
    table = called(World(appointments=3_000, seed=seed % 5).table(), share=share, seed=seed)
    audited = AuditData.of(table)
    weighted, outcomes = uncalled_outcomes(audited)
    weight, contacted = weighted.weight, table["contacted"].to_numpy()
    if outcomes.can_be_judged:
        assert (weight[contacted] == 0).all()
        assert (weight * WEIGHT_PARTS == np.rint(weight * WEIGHT_PARTS)).all()
        selected = table["selected"].to_numpy(zero_copy_only=False)
        assert abs(weight[selected].sum() - selected.sum()) < 1  # those on the list stand for those on the list
    assert weight.sum() == len(audited)


def test_a_few_that_stand_for_many_are_not_enough_for_a_verdict():
    """White and Black Caribbean patients have 105 missed appointments; their effective number is 35."""
    counts = count(AuditData.of(PlantedWorld("calls help one group", seed=31_004).table()), POLICY)
    ethnicity = counts.judged_groupings()["ethnicity"]
    mixed = next(one for group, one in zip(ethnicity.groups, ethnicity.counts, strict=True) if group.code == "D")
    assert mixed.counted("missed") >= POLICY.smallest_group > 2 * mixed.effective("missed")
    result = judge(counts, policy=POLICY, context=CONTEXT)
    of_mixed = [c for g in result.gates for c in g.checks if (c.grouping, c.group.code) == ("ethnicity", "D")]
    assert {check.verdict for check in of_mixed} == {Verdict.NOT_ENOUGH_DATA}


@given(st.integers(0, 1_000))
def test_a_weight_counts_as_so_many_rows_of_the_same_patient(seed):
    """Totals, products and variances are those of a table in which each row stands as often as it weighs."""
    random = np.random.default_rng(seed)
    table = World(appointments=300, seed=seed % 7, base_rate=0.3).table()
    weight = random.integers(0, 4, 300)
    weight[np.flatnonzero(table["dna"].to_numpy(zero_copy_only=False))[:1]] = 1
    audited = AuditData.of(table).with_weights(weight.astype(float))
    repeated = AuditData.of(table.take(np.repeat(np.arange(300), weight)))
    for name in ("core20", "ethnicity", "sex"):
        grouping = grouping_named(name)
        one, other = (count_groups(each, membership(each, grouping)) for each in (audited, repeated))
        pairs = dict(zip((group.code for group in other.groups), other.counts, strict=True))
        for group, counts in zip(one.groups, one.counts, strict=True):
            expected = pairs[group.code]
            assert np.array_equal(counts.totals[:-1], expected.totals[:-1])
            assert np.array_equal(counts.histogram, expected.histogram)
            assert np.allclose(counts.second, expected.second, rtol=1e-6)
            assert counts.patients == expected.patients
            assert counts.counted("appointments") <= counts.total("appointments")
            assert rate(counts, "reach").value == rate(expected, "reach").value
            assert rate(counts, "reach").design_effect == pytest.approx(rate(expected, "reach").design_effect)


def test_figures_are_those_of_a_service_that_calls_nobody():
    """Mean of twenty services: reach and missed over expected, as without calls, after calls, and weighted."""
    figures = []
    for seed in range(examples(20)):
        table = World(appointments=40_000, seed=seed).table()
        after = called(table, share=0.7, seed=seed)
        seen = (table, after.drop_columns(["contacted"]), after)
        everyone = [count(AuditData.of(one), POLICY).everyone for one in seen]
        figures.append([(rate(one, "reach").value, observed_over_expected(one).numerator) for one in everyone])
    reach, missed = np.mean(figures, axis=0).T
    assert reach[1] < reach[0] - 0.10  # as recorded, the list seems to find far fewer
    assert abs(reach[2] - reach[0]) < 0.01
    assert missed[1] < 0.85 * missed[0]
    assert abs(missed[2] / missed[0] - 1) < 0.01


def test_the_range_of_a_weighted_reach_holds_the_truth_as_often_as_it_says():
    truth, inside, worlds = [], [], examples(60)
    for seed in range(worlds):
        table = World(appointments=12_000, seed=seed).table()
        truth.append(rate(count(AuditData.of(table), POLICY).everyone, "reach").value)
        weighted = count(AuditData.of(called(table, share=0.7, seed=seed)), POLICY).everyone
        inside.append(rate(weighted, "reach").interval(1.96))
    mean = np.mean(truth)
    assert sum(one.low <= mean <= one.high for one in inside) >= 0.86 * worlds  # 95 in 100 are expected


def test_where_all_on_the_list_were_called_reach_is_not_judged_and_the_report_says_what_to_record():
    table = called(World(appointments=60_000).table(), share=1.0)
    result = run(AuditData.of(table), policy=POLICY, context=CONTEXT)
    assert result.verdict is Verdict.NOT_ENOUGH_DATA
    assert {gate.code for gate in result.gates if gate.verdict is Verdict.NOT_ENOUGH_DATA} >= {"G2", "G3", "G3b"}
    assert all(not gate.checks for gate in result.gates if gate.code in ("G2", "G3", "G3b"))
    assert "cannot be judged" in result.outcomes[0]
    assert "uncalled" in result.outcomes[1]
    assert "trial_arm" in result.outcomes[1]
    assert as_json(result)["headline"][:2] == list(result.outcomes)
    assert result.outcomes[0] in render(result, figures_sha256="0" * 64, tables_sha256="0" * 64)


def test_a_control_arm_makes_the_same_list_judgeable():
    table = World(appointments=60_000).table()
    selected = table["selected"].to_numpy(zero_copy_only=False)
    control = selected & (np.random.default_rng(1).random(len(selected)) < 0.3)
    arm = np.where(control, "CONTROL", np.where(selected, "TREATMENT", None))
    missed = np.asarray(table["dna"].to_numpy(zero_copy_only=False)) & ~(selected & ~control)  # every call helps
    after = with_columns(table, dna=missed, trial_arm=arm, contacted=selected & ~control)
    result = run(AuditData.of(after), policy=POLICY, context=CONTEXT)
    assert "in the control arm of a trial" in result.outcomes[0]
    before = count(AuditData.of(table), POLICY).everyone
    weighted = count(AuditData.of(after), POLICY).everyone
    assert rate(weighted, "reach").value == pytest.approx(rate(before, "reach").value, abs=0.03)


@pytest.mark.parametrize("planted", ["calls help one group", "calls help all but one"])
def test_calls_that_help_some_and_not_others_reverse_no_verdict(planted):
    table = PlantedWorld(planted, seed=2, appointments=60_000).table()
    result = run(AuditData.of(table), policy=POLICY, context=CONTEXT)
    assert not [check for gate in result.gates for check in gate.checks if check.verdict is Verdict.FAIL]


def test_a_group_of_which_a_handful_on_the_list_was_not_called_is_not_judged():
    table = called(World(appointments=40_000).table(), share=0.93)
    reach = run(AuditData.of(table), policy=POLICY, context=CONTEXT).gate("G3")
    small = [check for check in reach.checks if check.grouping == "ethnicity" and check.group.code != "A"]
    assert {check.verdict for check in small} == {Verdict.NOT_ENOUGH_DATA}


def test_counts_of_two_trusts_add_up():
    first, second = (UncalledOutcomes(100, 80, 10, 20, 4.0, 0.0, 10, 5), UncalledOutcomes(50, 50, weeks=7))
    assert first + second == replace(first, rows=150, used=130, weeks=7)


def test_a_hold_out_is_larger_where_a_smaller_gap_matters_and_none_is_named_where_none_would_do():
    asked = {"missed": 30_000, "reached": 11_000, "planned": 33_000, "weeks": 52, "confidence": 0.95}
    usual, strict = (hold_out_size(tolerance=limit, **asked) for limit in (0.05, 0.04))
    assert strict.per_week * strict.weeks > usual.per_week * usual.weeks
    assert hold_out_size(tolerance=0.05, **(asked | {"missed": 300, "reached": 100, "planned": 330})) is None


def in_a_trial(table: pa.Table) -> pa.Table:
    """The appointments with the arms of a trial: everyone on the list who was called was chosen by lot."""
    selected, contacted = (
        table[name].to_numpy(zero_copy_only=False).astype(bool) for name in ("selected", "contacted")
    )
    arm = np.where(contacted, TREATMENT, np.where(selected, CONTROL, ""))
    return with_columns(table, trial_arm=pa.array(np.where(arm == "", None, arm).tolist(), pa.string()))


def groups_with_effect(table: pa.Table) -> list[tuple[str, str, Verdict]]:
    """The groups of which the effect of calls is named as why they look behind, and their verdicts."""
    gate = run(AuditData.of(table), policy=POLICY, context=CONTEXT).gate("G3")
    assert gate is not None
    return [(check.grouping, check.group.code, check.verdict) for check in gate.checks if check.cause is Cause.CALLS]


@pytest.mark.cases(1)
@pytest.mark.parametrize("seed", [61_000, 61_001])
def test_the_effect_of_calls_is_named_where_a_trial_shows_it_and_fails_nobody(seed: int):
    """Calls help one group: in the records it is reached less than others, without calls as well as they are."""
    table = PlantedWorld("calls help one group", seed=seed).table()
    found = groups_with_effect(in_a_trial(table))
    assert [at[:2] for at in found] == [("ethnicity", "J")]
    assert found[0][2] is not Verdict.FAIL
    assert groups_with_effect(table) == []  # without arms nobody can tell


def test_calls_that_help_everyone_alike_are_no_cause():
    table = in_a_trial(called(World(appointments=60_000, seed=3).table(), share=0.9, seed=3))
    assert groups_with_effect(table) == []


def test_arms_of_several_trusts_add_up():
    table = in_a_trial(called(World(appointments=9_000, seed=4).table(), share=0.9, seed=4))
    trust = table["patient"].to_numpy() % 2
    parts = [count(AuditData.of(table.filter(pa.array(trust == number))), POLICY) for number in range(2)]
    both, whole = (parts[0] + parts[1]).arms, count(AuditData.of(table), POLICY).arms
    assert both.keys() == whole.keys()
    for name, cube in whole.items():
        assert both[name].codes == cube.codes
        assert (both[name].sums == cube.sums).all()
        treated, control = (cube.sums.sum(axis=0)[ARM_COUNTS.index(arm)] for arm in ("treated", "control"))
        assert treated > control > 0

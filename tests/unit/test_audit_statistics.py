"""Exact tests, evidence over audits, parts of a gap: the statistics behind verdicts and causes."""

import math

import numpy as np
import pytest
from benchmarks.audit_monthly_looks import look, look_at_p_values
from benchmarks.planted_worlds import PlantedWorld
from hypothesis import given
from hypothesis import strategies as st

from dnapredict.fairness import AuditData
from dnapredict.fairness.compare.causes import cause_evidence
from dnapredict.fairness.compare.e_values import increment, is_certain
from dnapredict.fairness.compare.exact_test import exact_gap_p_value
from dnapredict.fairness.gates.group_verdicts import Harm, as_tested, sure_to_pass
from dnapredict.fairness.gates.risk_gates import most_peoples_level
from dnapredict.fairness.measure.groupings import grouping_named
from dnapredict.fairness.measure.intervals import Interval, Rate, Ratio
from dnapredict.fairness.measure.membership import membership
from dnapredict.fairness.measure.row_counting import count_groups

REST = Rate(4_000, 10_000)


def test_84_missed_and_none_reached_is_certain():
    p_value = exact_gap_p_value(REST, Rate(0, 84), tolerance=0.05)
    assert p_value is not None
    assert p_value < 1e-5


def test_all_of_40_fair_groups_pass_in_nearly_every_audit_or_are_too_small_to_be_doubted():
    random, number, error = np.random.default_rng(5), 40, 0.05 / (1.96 + sure_to_pass(40))
    # Groups that are just large enough to be a REVIEW if they do not pass, and not behind at all.
    harms = 1.96 * error + error * random.standard_normal((2_000, number))
    assert (harms >= 0.05).any(axis=1).mean() < 0.02
    assert Harm(Interval(0, -1.96 * error * 0.99, 1.96 * error * 0.99), 1.0, None).is_decidable(0.05, 1.96, number=40)


def test_repeat_patients_count_once_in_an_exact_test():
    alone, dependent = (exact_gap_p_value(REST, Rate(2, 30, effect), tolerance=0.05) for effect in (1.0, 5.0))
    assert alone is not None
    assert dependent is not None
    assert alone < 0.01 < dependent


def test_an_exact_test_is_wrong_in_at_most_5_of_100_groups_at_the_limit():
    random = np.random.default_rng(1)
    groups = [Rate(float(random.binomial(60, 0.35)), 60) for _ in range(400)]
    found = [exact_gap_p_value(REST, group, tolerance=0.05) for group in groups]
    assert sum(p is not None and p < 0.05 for p in found) / len(found) <= 0.05


@given(st.floats(0, 1), st.sampled_from([0.01, 0.05, 0.1]))
def test_a_printed_p_value_is_on_the_side_of_the_level_on_which_it_was_tested(p_value: float, level: float):
    assert (as_tested(p_value, level) < level) == (p_value < level)


def test_one_under_scored_group_does_not_make_most_people_look_over_scored():
    ratios = [Ratio(600, 600, 0.04), Ratio(700, 700, 0.04), Ratio(900, 400, 0.04)]
    level = most_peoples_level(ratios)
    assert level.numerator / level.denominator == 1.0


def test_a_drift_of_everyone_is_the_level_of_most_people():
    level = most_peoples_level([Ratio(80, 100, 0.1), Ratio(160, 200, 0.1), Ratio(40, 50, 0.1)])
    assert level.numerator / level.denominator == 0.8


@pytest.mark.parametrize("missed", [10, 40, 100])
def test_evidence_that_is_looked_at_every_month_for_three_years_is_wrong_of_at_most_5_in_100_groups(missed: int):
    random = np.random.default_rng(3)
    # Behind by exactly the limit: the hardest case of a group that is not harmed, and of one that must not pass.
    looks = np.array([look(random, missed=missed, gap=0.05) for _ in range(1_000)])
    failed, passed = looks.mean(axis=0)
    assert failed <= 0.05
    assert passed <= 0.05


def test_a_p_value_that_is_looked_at_every_month_is_wrong_far_more_often():
    random = np.random.default_rng(3)
    assert np.mean([look_at_p_values(random, missed=60, gap=0.05) for _ in range(100)]) > 0.1


@given(st.integers(8, 4_000), st.floats(0, 1), st.floats(1, 4))
def test_evidence_for_and_against_is_never_certain_of_both(missed: int, share: float, effect: float):
    found = increment(REST, Rate(round(share * missed), missed, effect), limit=0.05)
    assert found is not None
    assert not (is_certain(found[0], level=0.05) and is_certain(found[1], level=0.05))
    assert all(math.isfinite(one) for one in found)


@pytest.mark.parametrize("world", ["fair", "squeezed risks", "not asked cut from calls"])
def test_parts_of_a_gap_add_up_to_it(world: str):
    table = PlantedWorld(world, appointments=30_000).table()  # type: ignore[arg-type]
    audited = AuditData.of(table)
    members = membership(audited, grouping_named("ethnicity"))
    assert members is not None
    counted = count_groups(audited, members)
    for index, counts in enumerate(counted.counts):
        why = cause_evidence(counts, counted.rest(index)) if counts.missed else None
        if why is not None:
            points = why.points
            parts = points.need + points.information + points.slope + points.level + points.capacity
            assert np.allclose(parts, points.gap, atol=1e-9)

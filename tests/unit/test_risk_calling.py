"""What calls reach and earn: week by week, by group, and as the share missed moves."""

import csv
import datetime
from dataclasses import replace

import numpy as np
import pytest
from tests.unit.risk_worlds import CONFIG, world

from dnapredict.config.training_config import Worth
from dnapredict.errors import NoEventsError
from dnapredict.model.cohort import CohortGroups
from dnapredict.model.evaluate.capacity_metrics import (
    WeeklyCapacity,
    net_benefit,
    net_benefit_curve,
    reach_by_week,
    total_reach,
)
from dnapredict.model.evaluate.model_checks import SMALLER, metrics_by_group
from dnapredict.model.evaluate.risk_metrics import reach_at_capacity
from dnapredict.model.fit.training import Training, train
from dnapredict.model.report.training_records import table_files

TENTH = WeeklyCapacity(0.10)


@pytest.fixture(scope="module")
def training() -> Training:
    return train(world(), config=CONFIG, directions=(1, 1, 0))


def test_weeks_begin_on_monday_and_each_has_a_list_of_its_own():
    cohort = world()
    weeks = reach_by_week(cohort, np.where(cohort.dna, 0.9, 0.1), calls=TENTH)
    assert weeks[0].monday == datetime.date(2024, 12, 30)
    assert {week.monday.weekday() for week in weeks} == {0}
    assert sum(week.n for week in weeks) == len(cohort)
    assert all(week.ppv == 1 for week in weeks if week.n > 100)


def test_lists_by_week_reach_no_more_than_one_list_of_all_weeks_whose_rate_moves():
    cohort = world(9_000)
    rising = np.linspace(0.05, 0.6, len(cohort))
    dna = np.random.default_rng(0).random(len(cohort)) < rising
    moved = replace(cohort, dna=dna)
    lived = total_reach(reach_by_week(moved, rising, calls=TENTH))
    assert lived.blind == pytest.approx(0.10, abs=0.005)
    assert lived.reach < reach_at_capacity(dna, rising, capacity=900)


def test_a_capacity_in_calls_is_the_same_every_week_and_never_above_the_list():
    cohort = world()
    weeks = reach_by_week(cohort, np.linspace(0, 1, len(cohort)), calls=WeeklyCapacity(0.1, number=30))
    assert all(week.called == min(30, week.n) for week in weeks)


def test_where_nobody_missed_there_is_no_reach():
    cohort = world()
    weeks = reach_by_week(replace(cohort, dna=np.zeros(3_000, bool)), np.ones(3_000), calls=TENTH)
    assert {week.reach for week in weeks} == {None}
    with pytest.raises(NoEventsError, match="nobody missed"):
        total_reach(weeks)


def test_a_call_that_changes_nothing_only_costs():
    dna, risk = np.array([True, False]), np.array([0.9, 0.1])
    for relative_risk, pounds in ((1.0, -2.0), (0.0, 48.0)):
        worth = Worth(call_cost=2.0, slot_value=100.0, relative_risk=relative_risk)
        assert net_benefit(dna, risk, capacity=2, worth=worth) == pounds


def test_calling_everybody_earns_what_calling_blindly_does():
    cohort = world()
    curve = net_benefit_curve(cohort.dna, np.linspace(0, 1, len(cohort)), worth=Worth())
    assert curve[-1].share == 1
    assert curve[-1].pounds == pytest.approx(curve[-1].blind)


def test_the_true_risk_earns_most_where_a_call_costs_what_it_saves():
    risk = np.random.default_rng(1).beta(1, 5, 50_000)
    dna = np.random.default_rng(2).random(50_000) < risk
    worth = Worth(call_cost=9.36, slot_value=120.0, relative_risk=0.61)  # a call pays above a risk of 0.2
    curve = net_benefit_curve(dna, risk, worth=worth)
    best = max(curve, key=lambda point: point.pounds)
    assert best.share == pytest.approx((risk > 0.2).mean(), abs=0.06)


def test_small_groups_are_counted_together_and_those_too_small_for_that_not_at_all():
    cohort = world()
    codes = np.full(3_000, -1)
    codes[:1_500], codes[1_500:1_560], codes[1_560:1_640] = 0, 1, 2
    found = metrics_by_group(
        replace(cohort, groupings={"site": CohortGroups(("L", "S", "T"), codes)}), np.full(3_000, 0.3)
    )
    assert [(group.name, group.metrics.n) for group in found] == [("L", 1_500), (SMALLER, 140)]
    ratio = cohort.dna[:1_500].mean() / 0.3
    assert found[0].observed_over_expected == pytest.approx(ratio)


def test_every_table_is_csv_with_a_head_and_rows_of_one_length(training):
    found = dict(table_files(training, worth=CONFIG.worth))
    assert set(found) == {
        "figures-by-population.csv",
        "figures-by-group.csv",
        "reach.csv",
        "share-missed-by-week.csv",
        "reliability.csv",
        "net-benefit.csv",
    }
    for text in found.values():
        rows = list(csv.reader(text.splitlines()))
        assert len(rows) > 1
        assert len({len(row) for row in rows}) == 1
    reach = list(csv.DictReader(found["reach.csv"].splitlines()))
    assert {row["calls"] for row in reach} == {"top 5%", "top 10%", "top 20%"}
    assert {row["population"] for row in reach} == {"all", "weekly"}


def test_the_share_missed_is_told_for_every_week_and_the_risk_for_those_of_the_test(training):
    told = [week for week in training.weeks if week.mean_risk is not None]
    assert {week.monday for week in told} < {week.monday for week in training.weeks}
    assert min(week.monday for week in told) >= training.split.test.first - datetime.timedelta(days=6)
    ratio = [week.observed_over_expected for week in told]
    assert all(0.5 < value < 2 for value in ratio)

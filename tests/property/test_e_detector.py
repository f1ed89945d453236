"""The rate of false alarms of the charts of `dnapredict monitor`, and what their detector must not depend on."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.examples import examples
from tests.watched_weeks import WatchedWeeks

from dnapredict.fairness.measure.audited_appointments import AuditData
from dnapredict.monitoring.alarms import charts, outcome_alarms
from dnapredict.monitoring.e_detector import (
    WEEKS_TO_FALSE_ALARM,
    ControlBand,
    WatchedShare,
    WeeklyRatio,
    WeeklyShare,
    detect,
    log_detector,
)
from dnapredict.monitoring.weekly_counts import weekly_counts

BAND = ControlBand(0.98, 1.02)
WEEKS = 60
RUNS = 600


def null_series(seed: int, *, ratio: float, further: float) -> WeeklyRatio:
    """Counts whose mean is the limit of the band; each patient misses `further` more on average in the same week."""
    rng = np.random.default_rng(seed)
    patients = rng.poisson(150 * ratio / (1 + further), WEEKS)
    return WeeklyRatio((patients + rng.poisson(further * patients)).astype(float), np.full(WEEKS, 150.0))


@pytest.mark.parametrize("ratio", [BAND.low, 1.0, BAND.high])
@pytest.mark.parametrize("further", [0.0, 0.3])
def test_in_control_the_detector_is_at_most_the_number_of_weeks_on_average_and_alarms_as_seldom(
    ratio: float, further: float
) -> None:
    limit = math.log(WEEKS_TO_FALSE_ALARM)
    found = np.array(
        [log_detector(null_series(seed, ratio=ratio, further=further), BAND, weight=1.0) for seed in range(RUNS)]
    )
    detector = np.exp(found + limit)
    error = 3 * detector.std(axis=0) / math.sqrt(RUNS)
    assert (detector.mean(axis=0) <= np.arange(1, WEEKS + 1) + error).all()
    # At most 60 of 1,040 by the guarantee: 35 of 600 runs, with three standard errors.
    alarmed = (found > 0).any(axis=1).sum()
    assert alarmed <= RUNS * WEEKS / WEEKS_TO_FALSE_ALARM + 3 * math.sqrt(RUNS * WEEKS / WEEKS_TO_FALSE_ALARM)


@pytest.mark.parametrize("ratio", [BAND.low, BAND.high])
def test_a_share_given_the_total_is_no_evidence_whatever_moves_everyone(ratio: float) -> None:
    detector = np.array([np.exp(log_detector(null_share(seed, ratio), BAND, weight=1.0)) for seed in range(RUNS)])
    error = 3 * detector.std(axis=0) / math.sqrt(RUNS)
    assert (
        detector.mean(axis=0) * WEEKS_TO_FALSE_ALARM <= np.arange(1, WEEKS + 1) + error * WEEKS_TO_FALSE_ALARM
    ).all()


def null_share(seed: int, ratio: float) -> WeeklyShare:
    """A third of the missed appointments, at the limit of the band, where weeks differ by a fifth for everyone."""
    rng = np.random.default_rng(seed)
    common = np.exp(0.2 * rng.standard_normal(WEEKS))
    group, others = rng.poisson(150 * ratio * common), rng.poisson(300 * common)
    total = (group + others).astype(float)
    return WeeklyShare(group.astype(float), total / 3, total=total)


@settings(max_examples=examples(10), deadline=None)
@given(seed=st.integers(0, 1_000), factor=st.sampled_from([0.6, 1.5]))
def test_a_group_raises_no_alarm_where_only_the_others_moved(seed: int, factor: float) -> None:
    rng = np.random.default_rng(seed)
    moved = np.where(np.arange(WEEKS) >= 20, factor, 1.0)
    group, others = rng.poisson(np.full(WEEKS, 400)).astype(float), rng.poisson(600 * moved)
    total = group + others
    share = WatchedShare(WeeklyShare(group, total * 0.4, total=total), BAND)
    own = WeeklyRatio(group, np.full(WEEKS, 400.0))
    assert detect(own, BAND, weight=0.01, beside=share) == ()


def test_the_shares_of_all_charts_add_up_to_what_the_inputs_leave() -> None:
    found = charts(weekly_counts(WatchedWeeks(weeks=4).appointments()))
    assert sum(chart.ratio.weight for chart in found) == pytest.approx(0.85)


@settings(max_examples=examples(25), deadline=None)
@given(seed=st.integers(0, 10_000), change=st.integers(5, 30), factor=st.sampled_from([0.6, 1.5, 2.0]))
def test_a_chart_starts_again_after_an_alarm_and_needs_new_evidence(seed: int, change: int, factor: float) -> None:
    rng = np.random.default_rng(seed)
    observed = rng.poisson(np.where(np.arange(WEEKS) >= change, factor, 1.0) * 400).astype(float)
    found = detect(WeeklyRatio(observed, np.full(WEEKS, 400.0)), BAND, weight=0.1)
    assert found
    raised = [each.week for each in found]
    # One week alone is never enough, so that two alarms are at least two weeks apart.
    assert all(later - earlier >= 2 for earlier, later in itertools.pairwise(raised))
    assert all(each.since < each.week for each in found)


@given(change=st.integers(2, 50), factor=st.sampled_from([0.6, 1.5, 2.0]))
def test_without_noise_the_beginning_of_a_change_is_found_exactly(change: int, factor: float) -> None:
    observed = np.where(np.arange(WEEKS) >= change, factor, 1.0) * 400
    found = detect(WeeklyRatio(observed, np.full(WEEKS, 400.0)), BAND, weight=0.1)
    assert found[0].since == change
    assert found[0].ratio == pytest.approx(factor)


@settings(max_examples=examples(25), deadline=None)
@given(seed=st.integers(0, 10_000), week=st.integers(0, 29), factor=st.sampled_from([0.0, 0.2, 3.0, 10.0]))
def test_one_week_of_snow_raises_no_alarm(seed: int, week: int, factor: float) -> None:
    observed = np.full(30, 300.0) + np.random.default_rng(seed).integers(-10, 11, 30)
    observed[week] *= factor
    assert detect(WeeklyRatio(observed, np.full(30, 300.0)), BAND, weight=0.15) == ()


@settings(max_examples=examples(10), deadline=None)
@given(seed=st.integers(0, 1_000), order=st.integers(0, 1_000))
def test_the_order_of_rows_does_not_matter(seed: int, order: int) -> None:
    made = WatchedWeeks("everyone", 1.4, weeks=20, rows_a_week=1_500, seed=seed).table()
    mixed = made.take(np.random.default_rng(order).permutation(made.num_rows))
    first, second = (outcome_alarms(weekly_counts(AuditData.of(table))) for table in (made, mixed))
    assert [(a.what, a.group, a.raised, a.since, a.message) for a in first] == [
        (a.what, a.group, a.raised, a.since, a.message) for a in second
    ]


@settings(max_examples=examples(25), deadline=None)
@given(seed=st.integers(0, 10_000), cut=st.integers(3, 40))
def test_an_alarm_of_a_week_does_not_depend_on_later_weeks(seed: int, cut: int) -> None:
    series = null_series(seed, ratio=1.3, further=0.3)
    short = WeeklyRatio(series.observed[:cut], series.expected[:cut])
    known = [each.week for each in detect(series, BAND, weight=0.5) if each.week < cut]
    assert [each.week for each in detect(short, BAND, weight=0.5)] == known

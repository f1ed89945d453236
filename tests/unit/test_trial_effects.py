"""The estimates of a trial: against closed forms, and what must hold whatever the data."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.examples import examples

from dnapredict.fairness.measure.intervals import RateDifference
from dnapredict.fairness.measure.membership import Group, Grouping, Membership
from dnapredict.trial.effect_estimates import (
    ArmScores,
    arm_scores,
    effect_of_being_reached,
    relative_risk,
    risk_design,
    risk_difference,
    share_treated,
)
from dnapredict.trial.sequential_intervals import sequential_critical, sequential_interval
from dnapredict.trial.subgroup_effects import group_effects

SEED = 11


def plain_scores(missed: list[int], treated: list[int], patient: list[int] | None = None) -> ArmScores:
    """Scores without strata and without a working model."""
    arm = np.array(treated, dtype=bool)
    cluster = np.arange(len(arm)) if patient is None else np.array(patient)
    return arm_scores(
        np.array(missed, dtype=float), arm, share=np.full(len(arm), arm.mean()), design=np.ones((len(arm), 1)),
        cluster=cluster,
    )  # fmt: skip


def test_without_a_model_the_difference_is_that_of_the_shares_missed():
    scores = plain_scores([1, 0, 0, 0, 1, 1, 0, 0], [1, 1, 1, 1, 0, 0, 0, 0])
    found = risk_difference(scores)
    # p(1 - p)/n of each arm, times 8/7 for the estimated mean.
    assert (found.value, found.error**2) == pytest.approx((-0.25, (0.1875 / 4 + 0.25 / 4) * 8 / 7))
    assert relative_risk(scores).interval(0).value == pytest.approx(0.5)


def test_strata_with_other_shares_do_not_look_like_an_effect():
    """Two strata without any effect, in one of which three quarters are called and twice as many miss."""
    stratum = np.repeat([0, 1], 400)
    treated = np.concatenate([np.arange(400) % 4 < 3, np.arange(400) % 4 < 1])
    missed = np.concatenate([np.arange(400) // 4 % 10 < 4, np.arange(400) // 4 % 10 < 2]).astype(float)
    share = share_treated(treated, stratum)
    scores = arm_scores(missed, treated, share=share, design=np.ones((800, 1)), cluster=np.arange(800))
    assert missed[treated].mean() - missed[~treated].mean() == pytest.approx(0.10)
    assert risk_difference(scores).value == pytest.approx(0.0, abs=1e-9)


def test_a_stratum_with_few_rows_has_the_share_of_everybody():
    stratum = np.array([0] * 100 + [1] * 4)
    treated = np.arange(104) % 2 == 0
    assert share_treated(treated, stratum)[-1] == pytest.approx(0.5)
    assert share_treated(np.arange(104) < 30, stratum)[[0, -1]].tolist() == pytest.approx([0.30, 30 / 104])


def test_the_risk_takes_away_variance_and_leaves_the_effect():
    generator = np.random.default_rng(SEED)
    probability = generator.beta(1, 4, 20_000)
    treated = generator.random(20_000) < 0.5
    missed = (generator.random(20_000) < np.where(treated, 0.61, 1.0) * probability).astype(float)
    share, rows = np.full(20_000, treated.mean()), np.arange(20_000)
    plain, adjusted = (
        risk_difference(arm_scores(missed, treated, share=share, design=design, cluster=rows))
        for design in (np.ones((20_000, 1)), risk_design(probability))
    )
    assert adjusted.error < 0.95 * plain.error
    assert abs(adjusted.value - -0.39 * 0.2) < 3 * adjusted.error


@settings(max_examples=examples(30), deadline=None)
@given(st.integers(2, 5), st.integers(20, 60))
def test_the_same_appointments_counted_several_times_are_no_more_certain(copies: int, patients: int):
    generator = np.random.default_rng(patients)
    missed, treated = (generator.integers(0, 2, patients).tolist() for _ in range(2))
    treated[:2] = [0, 1]
    once = risk_difference(plain_scores(missed, treated))
    often = risk_difference(plain_scores(missed * copies, treated * copies, list(range(patients)) * copies))
    assert (often.value, often.error) == pytest.approx((once.value, once.error))


def test_effect_of_being_reached_is_the_effect_divided_by_the_share_reached():
    generator = np.random.default_rng(SEED)
    treated = np.arange(4_000) % 2 == 0
    reached = treated & (generator.random(4_000) < 0.5)
    missed = generator.random(4_000) < np.where(reached, 0.1, 0.3)
    outcome, contact = (plain_scores(column.tolist(), treated.tolist()) for column in (missed, reached))
    found = effect_of_being_reached(outcome, contact, z=1.96)
    assert found.value == pytest.approx(outcome.difference.mean() / contact.difference.mean())
    # Fieller: at either end of the set, "outcome minus so much of being reached" is just significant.
    for end in (found.low, found.high):
        both = ArmScores(
            outcome.treated - end * contact.treated, outcome.control - end * contact.control, outcome.cluster
        )
        left = risk_difference(both)
        assert abs(left.value) == pytest.approx(1.96 * left.error, rel=1e-6)


def test_nothing_is_said_about_the_reached_where_hardly_anybody_was():
    missed, treated = ([1, 0] * 50, [1, 1, 0, 0] * 25)
    nobody = plain_scores([0] * 100, treated)
    assert effect_of_being_reached(plain_scores(missed, treated), nobody, z=1.96) is None


@given(st.floats(0.001, 50), st.sampled_from([0.005, 0.05, 0.2]))
def test_a_look_is_never_cheaper_than_a_single_analysis(progress: float, alpha: float):
    assert sequential_critical(progress, alpha=alpha) > sequential_critical(1.0, alpha=alpha) - 1e-3 > 1.5


def test_the_sequence_is_narrowest_in_standard_errors_near_the_planned_size():
    widths = [sequential_critical(progress, alpha=0.05) for progress in (0.05, 0.25, 1.0, 4.0)]
    assert widths[0] > widths[1] > widths[2] < widths[3]
    assert sequential_interval(RateDifference(-0.03, 0.01), progress=1.0).high == pytest.approx(
        -0.03 + 0.0304, abs=1e-4
    )


def _groups(index: np.ndarray, number: int, name: str = "age") -> Membership:
    groups = tuple(Group(str(code), str(code)) for code in range(number))
    return Membership(Grouping(name, name, "", groups, str), groups, index.astype(np.int32))


def test_intervals_of_independent_groups_are_as_wide_as_sidak_says():
    generator = np.random.default_rng(SEED)
    treated = generator.random(40_000) < 0.5
    missed = generator.random(40_000) < 0.2
    members = _groups(np.arange(40_000) % 10, 10)
    effects = group_effects(plain_scores(missed.tolist(), treated.tolist()), [members], missed=missed, treated=treated)
    widths = [(one.interval.high - one.estimate.value) / one.estimate.error for one in effects]
    assert widths == pytest.approx([2.81] * 10, abs=0.06)  # the quantile at 1 - (1 - 0.95 ** (1 / 10)) / 2


def test_a_group_without_enough_missed_appointments_is_not_estimated():
    missed = np.arange(400) % 4 == 0
    treated = np.arange(400) // 4 % 2 == 0
    members = _groups(np.where(np.arange(400) < 40, 0, np.arange(400) % 2 + 1), 3)
    effects = group_effects(plain_scores(missed.tolist(), treated.tolist()), [members], missed=missed, treated=treated)
    assert "0" not in {one.group.code for one in effects}


def test_shrinkage_moves_estimates_together_and_never_past_the_mean():
    generator = np.random.default_rng(SEED)
    rows = 30_000
    treated = generator.random(rows) < 0.5
    members = _groups(generator.integers(0, 6, rows), 6)
    helped = members.index == 0
    missed = generator.random(rows) < np.where(treated & helped, 0.05, 0.2)
    effects = group_effects(plain_scores(missed.tolist(), treated.tolist()), [members], missed=missed, treated=treated)
    raw, shrunken = (
        np.array(values) for values in zip(*((e.estimate.value, e.shrunken) for e in effects), strict=True)
    )
    assert shrunken.std() < raw.std()
    assert (np.argsort(raw) == np.argsort(shrunken)).all()
    assert shrunken[0] < -0.12
    assert next(one.group.code for one in effects if one.differs) == "0"

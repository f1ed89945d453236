"""Figures on counts are fairlearn's figures on rows, and what cannot be known is not called 0."""

from functools import partial

import numpy as np
import pyarrow as pa
import pytest
from benchmarks.audit_worlds import World
from fairlearn.metrics import MetricFrame, false_negative_rate
from sklearn.metrics import precision_score

from dnapredict.fairness.compare.heterogeneity import slope_index
from dnapredict.fairness.measure.audited_appointments import AuditData
from dnapredict.fairness.measure.counts import CountedGrouping
from dnapredict.fairness.measure.group_metrics import (
    allocation_index,
    by_fairlearn,
    fairlearn_metrics,
    group_calibration_line,
    observed_over_expected,
    own_top_reach,
    ranking_quality,
    rate,
)
from dnapredict.fairness.measure.groupings import grouping_named
from dnapredict.fairness.measure.intervals import Rate
from dnapredict.fairness.measure.membership import membership
from dnapredict.fairness.measure.row_counting import count_groups

WORLD = AuditData.of(World(appointments=8_000, under_scored="J").table())


def counts_of(appointments: AuditData, name: str) -> CountedGrouping:
    members = membership(appointments, grouping_named(name))
    assert members is not None
    return count_groups(appointments, members)


@pytest.mark.parametrize("name", ["core20", "imd_decile", "ethnicity", "ethnicity_5", "age"])
def test_figures_equal_fairlearn_on_the_raw_rows(name):
    grouping = grouping_named(name)
    members = membership(WORLD, grouping)
    assert members is not None
    counted = count_groups(WORLD, members)
    # The audit asks fairlearn for three rates of each of its groups; here the others are compared as well.
    metrics = fairlearn_metrics() | {
        "missed_support": false_negative_rate,
        "precision": partial(precision_score, zero_division=0.0),
    }
    on_rows = MetricFrame(
        metrics=metrics,
        y_true=WORLD.table["dna"].to_numpy(),
        y_pred=WORLD.table["selected"].to_numpy(),
        sensitive_features=members.index,
    ).by_group
    on_cells = [by_fairlearn(counts) for counts in counted.counts]
    for metric in metrics:
        for place, counts in enumerate(counted.counts):
            own = rate(counts, metric)
            if own.denominator > 0:
                assert own.value == pytest.approx(on_rows[metric].loc[place], abs=1e-15, rel=1e-15)
            else:
                assert own.value is None
            if metric in fairlearn_metrics():
                assert on_cells[place][metric] == (own.value and pytest.approx(own.value, abs=1e-15, rel=1e-15))


def test_a_group_in_which_nobody_missed_is_not_estimable():
    appointments = AuditData.of(
        pa.table(
            {
                "patient": [1, 2, 3],
                "dna": [True, False, False],
                "probability": [0.9, 0.8, 0.1],
                "selected": [True, True, False],
                "starts_at": [0, 0, 0],
                "ethnic_category_code": ["A", "J", "J"],
            }
        )
    )
    counted = counts_of(appointments, "ethnicity")
    place = [group.code for group in counted.groups].index("J")
    assert by_fairlearn(counted.counts[place])["reach"] is None  # fairlearn alone would say 0.0
    assert by_fairlearn(counted.counts[place])["unneeded_calls"] == 0.5
    assert rate(counted.counts[place], "reach").value is None
    assert observed_over_expected(counted.counts[place]).interval(1.96) is None


def test_variance_is_the_clustered_one():
    """The closed form from profiles equals the sum over patients, written out."""
    counted = counts_of(WORLD, "core20")
    total = counted.counts[0]
    table, decile = WORLD.table, WORLD.table["imd_decile"].to_numpy(zero_copy_only=False)
    inside = decile <= 2
    patient = table["patient"].to_numpy()[inside]
    missed = table["dna"].to_numpy()[inside].astype(float)
    reached = missed * table["selected"].to_numpy()[inside]
    x = np.bincount(patient, missed)
    y = np.bincount(patient, reached)
    ratio = y.sum() / x.sum()
    patients = len(np.unique(patient))
    variance = ((y - ratio * x) ** 2).sum() / x.sum() ** 2 * patients / (patients - 1)
    effect = variance / (ratio * (1 - ratio) / x.sum())
    assert rate(total, "reach").design_effect == pytest.approx(max(1.0, effect), rel=1e-9)


def test_own_top_reach_matches_a_sorted_list():
    counted = counts_of(WORLD, "core20")
    decile = WORLD.table["imd_decile"].to_numpy(zero_copy_only=False)
    inside = decile <= 2
    score, missed = WORLD.table["probability"].to_numpy()[inside], WORLD.table["dna"].to_numpy()[inside]
    calls = round(0.1 * inside.sum())
    by_sorting = missed[np.argsort(-score)[:calls]].sum() / missed.sum()
    assert own_top_reach(counted.counts[0], 0.1).value == pytest.approx(by_sorting, abs=0.01)


def test_ranking_quality_is_the_auroc():
    from sklearn.metrics import roc_auc_score

    counted = counts_of(WORLD, "core20")
    exact = roc_auc_score(WORLD.table["dna"].to_numpy(), WORLD.table["probability"].to_numpy())
    assert ranking_quality(counted.total) == pytest.approx(exact, abs=0.001)


def test_allocation_index_is_share_of_calls_over_share_of_need():
    counted = counts_of(WORLD, "core20")
    group, everyone = counted.counts[0], counted.total
    calls = group.total("selected") / everyone.total("selected")
    need = group.missed / everyone.missed
    index = allocation_index(group, counted.rest(0))
    assert index.numerator / index.denominator == pytest.approx(calls / need)


def test_one_slope_tells_of_ten_deciles():
    """Where reach falls by 2 points a decile, the ends of the scale are 20 points apart."""
    falling = [Rate(450 - 20 * place, 1_000) for place in range(10)]
    found = slope_index(falling, [1.0] * 10, z=1.96)
    assert found is not None
    assert found.value == pytest.approx(-0.2, abs=0.005)
    assert found.high < 0
    level = slope_index([Rate(450, 1_000)] * 10, [1.0] * 10, z=1.96)
    assert level is not None
    assert level.low < 0 < level.high


def test_the_calibration_line_is_a_logistic_regression_on_the_log_odds():
    """Scores that are too extreme have a slope below 1; the fit equals scikit-learn's on the rows."""
    from sklearn.linear_model import LogisticRegression

    counted = counts_of(WORLD, "core20")
    missed, score = WORLD.table["dna"].to_numpy(), WORLD.table["probability"].to_numpy()
    odds = np.log(score / (1 - score))[:, None]
    on_rows = LogisticRegression(C=np.inf, tol=1e-9).fit(odds, missed)
    line = group_calibration_line(counted.total)
    assert line is not None
    slope, intercept = line
    assert slope.value == pytest.approx(on_rows.coef_[0, 0], abs=0.03)
    assert intercept.value == pytest.approx(on_rows.intercept_[0], abs=0.06)
    assert slope.interval(1.96).low < 1 < slope.interval(1.96).high or counted.total.missed < 500
    extreme = WORLD.table.set_column(
        WORLD.table.column_names.index("probability"),
        "probability",
        pa.array(1 / (1 + np.exp(-2 * odds[:, 0]))),
    )
    halved = group_calibration_line(counts_of(AuditData.of(extreme), "core20").total)
    assert halved is not None
    assert halved[0].value == pytest.approx(slope.value / 2, abs=0.05)


def test_without_anybody_who_missed_there_is_no_line():
    alike = AuditData.of(WORLD.table.slice(0, 500))
    counted = counts_of(alike, "core20")
    nobody = counted.counts[0] - counted.counts[0]
    assert group_calibration_line(nobody) is None

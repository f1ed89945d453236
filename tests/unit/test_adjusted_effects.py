"""Effects of groups from sums of pairs are those of a regression on all rows, and blame only who is concerned."""

import math

import numpy as np
import pyarrow as pa
import pytest
from benchmarks.planted_worlds import Planted, PlantedWorld
from scipy.special import expit, logit

from dnapredict.fairness.compare.adjusted_effects import AdjustedEffect, AdjustedEffects, adjusted_effects
from dnapredict.fairness.measure.audited_appointments import AuditData
from dnapredict.fairness.measure.groupings import grouping_named
from dnapredict.fairness.measure.intervals import Ratio
from dnapredict.fairness.measure.membership import membership
from dnapredict.fairness.measure.pair_counting import count_pairs

ETHNIC = "ABCDEFGHJKLMNPRS"


def risk_ratio(effect: AdjustedEffect) -> Ratio:
    """Missed over expected, adjusted; above 1, the group is under-scored."""
    return Ratio(effect.missed, effect.expected, effect.log_error)


def effects_in(planted: Planted, seed: int = 1) -> AdjustedEffects:
    return adjusted_effects(count_pairs(AuditData.of(PlantedWorld(planted, seed=seed).table())))


def correlated(shifts: dict[str, float], seed: int) -> pa.Table:
    """Old people are mostly of one ethnic group and have disabilities; risks are too low by `shifts`."""
    random, rows = np.random.default_rng(seed), 60_000
    age = random.choice([10.0, 30.0, 55.0, 70.0], rows, p=[0.2, 0.35, 0.25, 0.2])
    old = age == 70.0
    ethnicity = np.where(random.random(rows) < np.where(old, 0.85, 0.5), "A", random.choice(["J", "N", "K"], rows))
    disabled = random.random(rows) < np.where(old, 0.4, 0.08)
    site = np.where(random.random(rows) < np.where(ethnicity == "J", 0.8, 0.3), "S1", "S2")
    odds = -2.4 + random.normal(0, 0.8, rows)
    truth = odds + shifts.get("age", 0.0) * old + shifts.get("J", 0.0) * (ethnicity == "J")
    truth += shifts.get("disability", 0.0) * disabled + shifts.get("site", 0.0) * (site == "S1")
    risk = expit(odds)
    return pa.table(
        {
            "patient": np.arange(rows),
            "dna": random.random(rows) < expit(truth),
            "probability": risk,
            "selected": risk > np.quantile(risk, 0.9),
            "starts_at": np.full(rows, np.datetime64("2025-01-01T09:00", "us")),
            "ethnic_category_code": ethnicity,
            "age_years": age,
            "disability_flag": np.where(disabled, "Y", "N"),
            "site_code": site,
        }
    )


def regression(table: pa.Table) -> dict[tuple[str, str], float]:
    """Log odds of each group in a logistic regression on all rows with the risk's log odds as offset, by Newton.

    scikit-learn's regression has no offset, and statsmodels is not among the locked packages.
    """
    audited = AuditData.of(table)
    columns, names = [np.ones(table.num_rows)], [("", "")]
    for grouping, reference in (("ethnicity", "A"), ("age", "25-34"), ("disability", "no")):
        members = membership(audited, grouping_named(grouping))
        assert members is not None
        for place, group in enumerate(members.groups):
            inside = members.index == place
            if group.code != reference and inside.any():
                columns.append(inside.astype(float))
                names.append((grouping, group.code))
    columns.append((table["site_code"].to_numpy() == "S1").astype(float))
    names.append(("site", "S1"))
    design, missed = np.column_stack(columns), table["dna"].to_numpy().astype(float)
    offset, found = logit(table["probability"].to_numpy()), np.zeros(len(names))
    for _ in range(12):
        risk = expit(offset + design @ found)
        weighted = design * (risk * (1 - risk))[:, None]
        found += np.linalg.solve(weighted.T @ design, design.T @ (missed - risk))
    return dict(zip(names, found.tolist(), strict=True))


@pytest.mark.parametrize(
    "shifts",
    [
        {},
        {"age": 0.4},
        {"age": 0.8},
        {"J": 0.8, "disability": 0.4},
        {"age": 0.8, "J": -0.6},
        {"site": 0.6, "J": 0.5},
        {"age": 0.5, "disability": 0.5, "site": 0.5},
    ],
    ids=str,
)
def test_effects_are_those_of_a_regression_on_all_rows(shifts):
    """Up to log odds of 0.8, in groupings that have much in common."""
    table = correlated(shifts, seed=3)
    exact, found = regression(table), adjusted_effects(count_pairs(AuditData.of(table)))
    for (grouping, code), other in (
        (("age", "65-79"), "25-34"),
        (("age", "50-64"), "25-34"),
        (("ethnicity", "J"), "A"),
        (("ethnicity", "N"), "A"),
        (("disability", "yes"), "no"),
        (("site", "S1"), "S2"),
    ):
        difference = found.level(grouping, code).value - found.level(grouping, other).value
        error = math.hypot(found.level(grouping, code).error, found.level(grouping, other).error)
        assert difference == pytest.approx(exact[grouping, code], abs=max(0.05, error))


def test_one_under_scored_age_band_blames_no_ethnic_group():
    effects = effects_in("over-65s under-scored")
    assert all(risk_ratio(effects["age", code]).interval(3.0).low > 1.3 for code in ("65-79", "80 and over"))
    for code in ETHNIC:
        ratio = risk_ratio(effects["ethnicity", code]).interval(3.3)
        assert ratio.low < 1.10
        assert ratio.high > 0.90


def test_a_drift_of_all_risks_is_no_effect_of_a_group():
    effects = effects_in("uniform drift")
    inside = [abs(math.log(one.missed / one.expected)) < 3.5 * one.log_error for one in effects.values() if one.missed]
    assert sum(inside) >= len(inside) - 1


def test_the_mix_of_clinics_explains_a_gap():
    """The group goes to clinics where few are found: 6 points behind, and none once all go to the same clinics."""
    one = effects_in("mix of clinics")["ethnicity", "J"]
    assert one.crude.value < -0.04
    assert one.mix.value < -0.04
    gap = one.standardised_gap
    assert gap is not None
    assert gap.low < 0.03 < -one.crude.value


def test_a_group_that_is_cut_from_calls_is_called_less_than_its_risks():
    effects = effects_in("not asked cut from calls")
    assert effects["ethnicity", "99"].called.value < -0.15
    assert abs(effects["ethnicity", "A"].called.value) < 0.02
    assert abs(effects.level("ethnicity", "99").value) < 0.2


def test_unions_have_effects_too():
    effects = effects_in("fair")
    assert effects["core20", "core20"].missed == effects["imd_quintile", "1"].missed
    both = [effects["imd_decile", code] for code in ("1", "2")]
    assert effects["core20", "core20"].missed == sum(one.missed for one in both)


def test_nobody_missed_has_no_effects():
    table = PlantedWorld("fair", appointments=500).table()
    place = table.schema.get_field_index("probability")
    audited = AuditData.of(table.set_column(place, "probability", pa.array(np.zeros(500))))
    assert len(adjusted_effects(count_pairs(audited))) == 0

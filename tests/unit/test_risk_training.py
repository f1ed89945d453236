"""Training: what it learns from, what it refuses, and that it is repeatable."""

import datetime
from dataclasses import replace

import lightgbm as lgb
import numpy as np
import pytest
from tests.unit.risk_worlds import CONFIG, QUICK, world

from dnapredict.cli.messages import population_words
from dnapredict.config.fairness_policy import Policy
from dnapredict.config.loading import load, shipped
from dnapredict.config.training_config import SplitConfig, TrainingConfig
from dnapredict.errors import NoEventsError
from dnapredict.model.cohort import POPULATIONS
from dnapredict.model.evaluate.risk_metrics import compute_metrics
from dnapredict.model.fit.fitting import BoostingSettings, refit_boosting
from dnapredict.model.fit.training import Training, train
from dnapredict.model.risk_model import SplineLogistic
from dnapredict.model.time_split import split_by_time
from dnapredict.model.tree_ensemble import Trees, imputation_values, impute

FREE = (0, 0, 0)


@pytest.fixture(scope="module")
def training() -> Training:
    return train(world(), config=CONFIG, directions=(1, 1, 0))


def test_every_population_and_every_rival_is_reported(training):
    assert tuple(training.test) == POPULATIONS
    assert set(training.baselines) == {"base_rate", "logistic_regression", "lightgbm_default"}
    assert all(tuple(figures) == POPULATIONS for figures in training.baselines.values())


def test_a_signal_is_found_and_calibrated(training):
    everyone = training.test["all"]
    assert everyone.auroc > 0.65
    assert everyone.log_loss < training.baselines["base_rate"]["all"].log_loss - 0.02
    assert 0.6 < everyone.calibration_slope < 1.6


def test_no_appointment_lies_in_two_windows():
    cohort = world()
    windows = split_by_time(cohort, config=CONFIG)
    together = windows.fit.astype(int) + windows.calibrate + windows.test
    assert together.max() == 1
    assert cohort.starts_at[windows.fit].max() < cohort.starts_at[windows.calibrate].min()
    assert cohort.starts_at[windows.calibrate].max() < cohort.starts_at[windows.test].min()


def test_without_a_named_day_the_test_is_the_last_fifth_after_the_gap_of_a_model_in_use():
    split = split_by_time(world(), config=TrainingConfig(horizon_days=7, recording_delay_days=3)).split
    assert split.test_from == datetime.date(2025, 1, 1) + datetime.timedelta(days=80)
    assert split.test_from - split.train.last == datetime.timedelta(days=11)  # ten days lie between


def test_windows_begin_at_midnight_on_the_clinics_clock():
    starts = np.array(["2025-06-30T22:59", "2025-06-30T23:00", "2025-07-01T12:00"], "datetime64[us]")
    cohort = world(3, starts_at=starts, dna=np.array([False, True, False]))
    late_june = SplitConfig(test_from=datetime.date(2025, 7, 1), calibration_days=1)
    with pytest.raises(NoEventsError, match="training window"):
        split_by_time(cohort, config=TrainingConfig(split=late_june))
    assert str(starts[1]) == "2025-06-30T23:00:00.000000"  # 1 July in London


@pytest.mark.parametrize(("everyone", "missed"), [(True, r"[1-9][\d,]*"), (False, "0")])
def test_one_outcome_only_is_refused_in_a_sentence_that_says_what_to_change(everyone, missed):
    cohort = world()
    with pytest.raises(NoEventsError, match=f"{missed} of them missed; both .* 'test_from'"):
        train(replace(cohort, dna=np.full(len(cohort), everyone)), config=CONFIG, directions=FREE)


def test_an_empty_extract_is_refused():
    with pytest.raises(NoEventsError, match="no appointment with an outcome"):
        train(world().take(np.zeros(3_000, dtype=bool)), config=CONFIG, directions=FREE)


def test_a_test_after_the_last_appointment_is_refused():
    config = TrainingConfig(model=QUICK, split=SplitConfig(test_from=datetime.date(2026, 1, 1)))
    with pytest.raises(NoEventsError, match="calibration window"):
        train(world(), config=config, directions=FREE)


def test_a_population_that_is_not_there_is_null_and_no_crash():
    cohort = world(lead_days=np.zeros(3_000, dtype=int))
    found = train(cohort, config=CONFIG, directions=FREE)
    assert found.test["weekly"].n == 0
    assert found.test["weekly"].auroc is None
    assert found.baselines["logistic_regression"]["weekly"].log_loss is None


def test_equal_seeds_give_equal_risks_and_another_seed_does_not(training):
    again = train(world(), config=CONFIG, directions=(1, 1, 0))
    other = train(world(), config=CONFIG.model_copy(update={"seed": 2}), directions=(1, 1, 0))
    assert (again.test_probability == training.test_probability).all()
    assert (other.test_probability != training.test_probability).any()


def test_an_agreed_direction_holds_for_every_patient(training):
    cohort = world(500)
    risks = [training.model.probability(_with_past_dnas(cohort.matrix, n)) for n in range(8)]
    assert (np.diff(risks, axis=0) >= 0).all()


def test_a_rows_risk_does_not_depend_on_the_rows_beside_it(training):
    matrix = world(2_500).matrix
    together = training.model.probability(matrix)
    assert (training.model.probability(matrix[::-1])[::-1] == together).all()
    assert training.model.probability(matrix[[7]])[0] == together[7]


def test_an_unknown_value_of_a_factor_always_known_in_training_is_no_zero(training):
    nobody = np.full((1, 3), np.nan)
    middle = np.nanmedian(world().matrix[:, 1])
    filled = impute(nobody, training.model.form.fill)
    assert training.model.probability(nobody) == training.model.probability(filled)
    assert filled[0, 1] == middle


def test_common_gaps_are_learned_and_rare_ones_filled():
    matrix = np.array([[1.0, 1.0, np.nan], [5.0, np.nan, np.nan], [np.nan, np.nan, np.nan]])
    assert np.array_equal(imputation_values(matrix, enough=2), [3.0, np.nan, np.nan], equal_nan=True)


def test_trees_from_rows_in_parts_are_those_of_the_whole_matrix_byte_for_byte(tmp_path):
    """LightGBM samples the rows that its bins are made from where there are more than 200,000."""
    cohort = world(210_000)
    gaps = np.array(cohort.matrix)
    gaps[np.arange(len(gaps)) % 7 == 0, 1] = np.nan
    gaps[11, 2] = np.nan
    rare = np.arange(len(gaps)) % 2_000 == 0  # too few to be a leaf: no tree may be split by it
    gaps = np.column_stack([gaps, rare])
    (tmp_path / "rows").write_bytes(gaps.tobytes())
    matrix = np.memmap(tmp_path / "rows", np.float64, mode="r", shape=gaps.shape)
    stored = replace(cohort, matrix=matrix, factors=(*cohort.factors, "rare"))
    fill = imputation_values(gaps, enough=20)
    settings = CONFIG.model.model_copy(update={"min_child_samples": 300})
    recipe = BoostingSettings(settings, (*FREE, 0), seed=7)
    in_parts = refit_boosting(stored, recipe=recipe, rounds=3, fill=fill).model_to_string()
    whole = lgb.Dataset(impute(gaps, fill), cohort.dna, feature_name=list(stored.factors))
    assert in_parts == lgb.train(recipe.parameters(rows=len(cohort)), whole, num_boost_round=3).model_to_string()


def test_a_tree_is_grown_on_a_share_of_the_rows_and_on_a_million_at_most():
    recipe = BoostingSettings(CONFIG.model.model_copy(update={"bagging_fraction": 0.8}), FREE, seed=7)
    shares = [recipe.parameters(rows=rows)["bagging_fraction"] for rows in (1_000, 1_250_000, 10_000_000)]
    assert shares == [0.8, 0.8, 0.1]


def test_a_factor_that_is_never_known_harms_nothing():
    matrix = world().matrix
    matrix[:, 2] = np.nan
    found = train(world(matrix=matrix), config=CONFIG, directions=FREE)
    assert found.test["all"].auroc > 0.65
    assert np.isfinite(found.test_probability).all()


def test_a_patients_rate_over_the_whole_file_sets_off_the_alarm_and_is_named():
    """Above 0.80 on all rows, look for a leak: this one gave 0.97 on real data."""
    cohort, usual = world(together=0), CONFIG.model_copy(update={"leak_alarm_auroc": 0.8})
    assert train(cohort, config=usual, directions=FREE).leakage_warning == ""
    missed = np.bincount(cohort.patient, weights=cohort.dna)
    booked = np.bincount(cohort.patient)
    leak = (missed / np.maximum(booked, 1))[cohort.patient]
    names = ("lead_days", "past_dnas", "rate_over_the_whole_file")
    leaky = replace(cohort, factors=names, matrix=np.column_stack([cohort.matrix[:, :2], leak]))
    found = train(leaky, config=usual, directions=FREE)
    assert found.test["all"].auroc > 0.80
    assert "Highest AUROC alone: rate_over_the_whole_file (0." in found.leakage_warning
    honest = CONFIG.model_copy(update={"leak_alarm_auroc": 1.0})
    assert train(leaky, config=honest, directions=FREE).leakage_warning == ""


def test_a_leak_that_counts_the_past_alone_is_no_alarm():
    cohort = world(together=0)
    known = np.zeros(len(cohort))
    seen: dict[int, float] = {}
    for row, (patient, missed) in enumerate(zip(cohort.patient, cohort.dna, strict=True)):
        known[row] = seen.get(patient, 0.0)
        seen[patient] = known[row] + missed
    honest = replace(cohort, matrix=np.column_stack([cohort.matrix[:, :2], known]))
    usual = CONFIG.model_copy(update={"leak_alarm_auroc": 0.8})
    assert train(honest, config=usual, directions=FREE).leakage_warning == ""


def test_trees_are_chosen_where_they_find_what_a_sum_of_curves_cannot(training):
    assert training.selection.chosen == "lightgbm"
    assert training.selection.beats_base_rate
    assert isinstance(training.model.form, Trees)


def test_the_simpler_model_is_the_product_where_trees_are_no_better_beyond_chance():
    found = train(world(8_000, together=0), config=CONFIG, directions=FREE)
    assert found.selection.chosen == "logistic_regression"
    assert found.selection.beats_base_rate
    assert isinstance(found.model.form, SplineLogistic)
    assert found.test == found.baselines["logistic_regression"]
    assert "lightgbm" in found.baselines


def test_without_signal_there_is_no_skill_and_the_verdict_says_so():
    cohort = world(seed=3)
    shuffled = np.random.default_rng(0).permutation(cohort.dna)
    found = train(replace(cohort, dna=shuffled), config=CONFIG, directions=FREE)
    assert not found.selection.beats_base_rate
    assert str(found.selection).startswith("No skill over the base rate")


def _with_past_dnas(matrix: np.ndarray, n: int) -> np.ndarray:
    changed = matrix.copy()
    changed[:, 1] = n
    return changed


def test_the_calibration_slice_grows_until_it_holds_enough_missed_appointments():
    cohort = world()
    split = split_by_time(cohort, config=TrainingConfig(model=QUICK)).split
    weeks, rest = divmod((split.calibrate.last - split.calibrate.first).days + 1, 7)
    quarter = (split.calibrate.last - split.fit.first).days // 4
    assert split.calibrate.dna >= 1_000 or (weeks * 7 + rest) >= quarter


# Appointments of a population, those missed, and the line that `train` prints of it.
TEST_LINES = """
    n     | missed | line
    1,003 | 98     | 1,005 appointments, 10.0% missed; AUROC
    1,003 | 5      | too few appointments to give figures
    1,003 | 0      | too few appointments to give figures
    1,003 | 1,000  | too few appointments to give figures
    99    | 30     | too few appointments to give figures
    0     | 0      | too few appointments to give figures
"""


@pytest.mark.parametrize("line", TEST_LINES.strip().splitlines()[1:])
def test_the_test_lines_of_a_training_hold_no_small_count(line: str):
    rows, missed, words = (cell.strip() for cell in line.split("|"))
    n, count = int(rows.replace(",", "")), int(missed.replace(",", ""))
    dna = np.arange(n) < count
    metrics = compute_metrics(dna, np.linspace(0.9, 0.1, n))
    rule = load(shipped("fairness/policy.toml"), Policy).disclosure
    assert population_words(metrics, rule).startswith(words)

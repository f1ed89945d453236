"""Tuning: inside the training window, within its budget, and it goes on where it stopped."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from tests.unit.risk_worlds import CONFIG, world

from dnapredict.config.training_config import TrainingConfig, Tuning
from dnapredict.errors import StoreError
from dnapredict.model.fit.fitting import BoostingSettings, fit_boosting
from dnapredict.model.fit.tuning import StudyStorage, TuningProgress, tune
from dnapredict.model.time_split import rolling_folds, split_by_time
from dnapredict.model.tree_ensemble import shap_tables

FREE = (0, 0, 0)


def config(trials: int, **tuning: float) -> TrainingConfig:
    return CONFIG.model_copy(update={"tuning": Tuning(trials=trials, folds=2, **tuning)})


def test_folds_roll_back_through_the_training_window_and_never_touch_the_test():
    cohort = world()
    windows = split_by_time(cohort, config=CONFIG)
    folds = rolling_folds(cohort, windows=windows, most=3, gap_days=2)
    assert len(folds) >= 2
    for fold in folds:
        assert not ((fold.fit | fold.later | fold.held) & windows.test).any()
        assert cohort.starts_at[fold.fit].max() < cohort.starts_at[fold.later].min()
        gap = cohort.starts_at[fold.held].min() - cohort.starts_at[fold.later].max()
        assert gap >= np.timedelta64(2, "D")
    held = [cohort.starts_at[fold.held] for fold in folds]
    assert all(earlier.max() < later.min() for later, earlier in itertools.pairwise(held))


def test_a_window_too_short_for_a_fold_has_none_and_training_keeps_its_settings():
    cohort = world()
    windows = split_by_time(cohort, config=CONFIG)
    assert rolling_folds(cohort, windows=windows, most=3, gap_days=60) == ()
    short = config(3).model_copy(update={"split": CONFIG.split.model_copy(update={"gap_days": 40})})
    assert tune(cohort, windows=split_by_time(cohort, config=short), config=short, directions=FREE) is None


def test_the_test_window_has_no_say_in_the_settings():
    cohort = world()
    windows = split_by_time(cohort, config=CONFIG)
    turned = replace(cohort, dna=np.where(windows.test, ~cohort.dna, cohort.dna))
    one, other = (tune(c, windows=windows, config=config(3), directions=FREE) for c in (cohort, turned))
    assert one == other


def test_the_settings_of_the_configuration_are_tried_first_and_kept_unless_beaten():
    cohort = world()
    found = tune(cohort, windows=split_by_time(cohort, config=CONFIG), config=config(4), directions=FREE)
    assert found.trials[0].settings == CONFIG.model
    assert len(found.trials) == 4
    best = min(found.trials, key=lambda trial: trial.log_loss)
    assert found.settings == (best.settings if found.gain > found.standard_error else CONFIG.model)
    assert "4 settings were tried" in str(found)


def test_poor_settings_are_replaced():
    cohort = world()
    poor = CONFIG.model.model_copy(update={"min_child_samples": 5_000})  # no tree can split
    lame = config(8).model_copy(update={"model": poor})
    found = tune(cohort, windows=split_by_time(cohort, config=CONFIG), config=lame, directions=FREE)
    assert found.settings != poor
    assert found.gain > found.standard_error
    assert found.settings.max_rounds == poor.max_rounds  # what is not searched stays as configured


def test_trees_stay_so_small_that_their_reasons_can_be_looked_up():
    cohort = world()
    windows = split_by_time(cohort, config=CONFIG)
    found = tune(cohort, windows=windows, config=config(6), directions=FREE)
    largest = max(found.trials, key=lambda trial: trial.settings.num_leaves).settings
    grown = fit_boosting(
        cohort.take(windows.fit), cohort.take(windows.calibrate), recipe=BoostingSettings(largest, FREE, 1)
    )
    assert shap_tables(grown.booster) is not None


def test_a_search_that_was_stopped_goes_on_where_it_was(tmp_path):
    cohort = world()
    windows = split_by_time(cohort, config=CONFIG)
    place = StudyStorage(f"sqlite:///{tmp_path / 'tuning.db'}", "a study")
    seen: list[TuningProgress] = []
    first = tune(cohort, windows=windows, config=config(2), directions=FREE, storage=place)
    then = tune(cohort, windows=windows, config=config(4), directions=FREE, storage=place, on_trial=seen.append)
    assert then.trials[:2] == first.trials
    assert [(progress.done, progress.wanted) for progress in seen] == [(3, 4), (4, 4)]
    again = tune(cohort, windows=windows, config=config(4), directions=FREE, storage=place, on_trial=seen.append)
    assert again == then
    assert len(seen) == 2


def test_no_trial_begins_after_the_time_is_up():
    cohort = world()
    found = tune(
        cohort, windows=split_by_time(cohort, config=CONFIG), config=config(1_000, minutes=0.02), directions=FREE
    )
    assert 1 <= len(found.trials) < 1_000


def test_a_study_that_cannot_be_written_is_a_sentence(tmp_path):
    place = StudyStorage(f"sqlite:///{tmp_path / 'nowhere' / 'tuning.db'}", "a study")
    cohort = world()
    with pytest.raises(StoreError, match="study of settings"):
        tune(cohort, windows=split_by_time(cohort, config=CONFIG), config=config(2), directions=FREE, storage=place)

"""A configuration that is written is read back equal: with it a run can be made again."""

import datetime

from hypothesis import given
from hypothesis import strategies as st

from dnapredict.config.factor_register import FactorRegister
from dnapredict.config.fairness_policy import Policy
from dnapredict.config.loading import as_toml, load, shipped
from dnapredict.config.training_config import ModelSettings, SplitConfig, TrainingConfig
from dnapredict.config.worklist_config import WorklistConfig


def test_every_shipped_configuration_survives_being_written(tmp_path):
    for name, model in (
        ("training/config.toml", TrainingConfig),
        ("training/factors.toml", FactorRegister),
        ("serving/worklist.toml", WorklistConfig),
        ("fairness/policy.toml", Policy),
    ):
        first = load(shipped(name), model)
        path = tmp_path / "written.toml"
        path.write_text(as_toml(first), encoding="utf-8")
        assert load(path, model) == first


@given(
    day=st.dates() | st.none(),
    rate=st.floats(min_value=1e-9, max_value=1),
    codes=st.sampled_from([("3",), ("3", "7")]),
)
def test_dates_small_numbers_and_lists_survive(tmp_path_factory, day: datetime.date | None, rate, codes):
    config = TrainingConfig(dna_codes=codes, split=SplitConfig(test_from=day), model=ModelSettings(learning_rate=rate))
    path = tmp_path_factory.mktemp("config") / "config.toml"
    path.write_text(as_toml(config), encoding="utf-8")
    assert load(path, TrainingConfig) == config


@given(text=st.text())
def test_a_persons_words_survive_whatever_they_hold(tmp_path_factory, text):
    register = load(shipped("training/factors.toml"), FactorRegister).model_copy(update={"version": text})
    path = tmp_path_factory.mktemp("config") / "register.toml"
    path.write_text(as_toml(register), encoding="utf-8")
    assert load(path, FactorRegister) == register

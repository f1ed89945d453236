"""`training/config.toml`: outcome, scoring horizon, and how a model is trained and tested."""

import datetime
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field, field_validator

from dnapredict.config.loading import Settings, load, shipped
from dnapredict.config.mapping_config import IDENTITY, Mapping

# ATTENDED OR DID NOT ATTEND CODE: the codes that say whether the patient came (NHS Data Dictionary).
ATTENDANCE_CODES = ("3", "5", "6", "7")


class SplitConfig(Settings):
    """The split in time: training, then a gap, then the test.

    `gap_days` is the number of days before the test that are left out. By default it is the gap of a model
    in use (see `TrainingConfig.gap_days`), or 0 if `test_from` is given.
    Without `calibration_days`, the calibration window grows until it holds enough missed appointments.
    """

    test_from: datetime.date | None = None
    test_share: Annotated[float, Field(gt=0, lt=0.9)] = 0.2
    gap_days: Annotated[int, Field(ge=0, le=365)] | None = None
    calibration_days: Annotated[int, Field(ge=1, le=365)] | None = None


class ModelSettings(Settings):
    """Parameters of LightGBM. Exact explanations cost time by depth, and shallow trees lose no accuracy here."""

    num_leaves: Annotated[int, Field(ge=2, le=255)] = 7
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.05
    max_rounds: Annotated[int, Field(ge=1, le=10_000)] = 1_000
    patience: Annotated[int, Field(ge=1, le=1_000)] = 50
    min_child_samples: Annotated[int, Field(ge=1)] = 200
    feature_fraction: Annotated[float, Field(gt=0, le=1)] = 0.5
    bagging_fraction: Annotated[float, Field(gt=0, le=1)] = 0.8
    lambda_l2: Annotated[float, Field(ge=0)] = 100.0


class Tuning(Settings):
    """How long to search for better parameters of the trees, within the training window.

    `trials` is the number of parameter sets to try, 0 for none; after `minutes` no further trial begins.
    If the time ends the search before `trials` does, a faster machine may find other parameters.
    """

    trials: Annotated[int, Field(ge=0, le=10_000)] = 0
    minutes: Annotated[float, Field(gt=0, le=10_080)] = 30
    folds: Annotated[int, Field(ge=1, le=20)] = 3


class Worth(Settings):
    """Cost of a call and value of a kept appointment, in pounds, for the net benefit curve.

    `relative_risk` is the assumed effect of a call: the risk of missing after it, relative to before.
    """

    call_cost: Annotated[float, Field(ge=0)] = 3.0
    slot_value: Annotated[float, Field(ge=0)] = 120.0
    relative_risk: Annotated[float, Field(ge=0, le=1)] = 0.61


class TrainingConfig(Settings):
    """The whole of `training/config.toml`."""

    horizon_days: Annotated[int, Field(ge=0, le=365)] = 7
    recording_delay_days: Annotated[int, Field(ge=0, le=90)] = 3
    dna_codes: tuple[Literal["3", "7"], ...] = ("3", "7")
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 20_250_401
    leak_alarm_auroc: Annotated[float, Field(gt=0.5, le=1)] = 0.80
    max_rejected_share: Annotated[float, Field(ge=0, le=1)] = 0.02
    split: SplitConfig = SplitConfig()
    model: ModelSettings = ModelSettings()
    tuning: Tuning = Tuning()
    worth: Worth = Worth()

    @field_validator("dna_codes")
    @classmethod
    def _did_not_attend_is_a_dna(cls, codes: tuple[str, ...]) -> tuple[str, ...]:
        if "3" not in codes:
            raise ValueError("must hold '3' (did not attend, no advance warning); '7' may be added")
        return tuple(sorted(set(codes)))

    @property
    def gap_days(self) -> int:
        """Number of days left out before the test.

        A list is scored up to `horizon_days` ahead, with outcomes that are at least `recording_delay_days`
        old: a model in use has never seen the days just before the appointments that it scores.
        """
        if self.split.gap_days is not None:
            return self.split.gap_days
        return 0 if self.split.test_from else self.horizon_days + self.recording_delay_days


@dataclass(frozen=True)
class Setting:
    """A mapping and a training configuration; without one, that of `training/config.toml`."""

    mapping: Mapping = IDENTITY
    config: TrainingConfig | None = None

    @cached_property
    def training(self) -> TrainingConfig:
        """The configuration given, or the one that is kept in `training/config.toml`."""
        return self.config or load(shipped("training/config.toml"), TrainingConfig)

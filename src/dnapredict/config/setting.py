"""What an analyst decides before a run: how an extract is read, and what is predicted."""

from dataclasses import dataclass
from functools import cached_property

from dnapredict.config.loading import load, shipped
from dnapredict.config.mapping import IDENTITY, Mapping
from dnapredict.config.training import TrainingConfig

__all__ = ["Setting"]


@dataclass(frozen=True)
class Setting:
    """A mapping and a training configuration; without one, that of `training/config.toml`."""

    mapping: Mapping = IDENTITY
    config: TrainingConfig | None = None

    @cached_property
    def training(self) -> TrainingConfig:
        """The configuration given, or the one that is kept in `training/config.toml`."""
        return self.config or load(shipped("training/config.toml"), TrainingConfig)

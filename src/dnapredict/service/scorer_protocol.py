"""Protocols of a scorer and its model, as far as the service needs them; tests have a double."""

import datetime
from collections.abc import Sequence
from typing import Protocol

import pyarrow as pa

from dnapredict.config.factor_register import Factor
from dnapredict.config.mapping_config import Mapping
from dnapredict.model.manifest import Manifest
from dnapredict.worklist.files.excel_worklist import Note


class ModelProtocol(Protocol):
    """What the service needs of `dnapredict.model.artefact.StoredModel`."""

    @property
    def digest(self) -> str:
        """SHA-256 that stands for the model's files."""

    @property
    def manifest(self) -> Manifest:
        """All that is known of the model."""


class ScorerProtocol(Protocol):
    """What the service needs of `dnapredict.worklist.scorer.Scorer`."""

    @property
    def model_version(self) -> str:
        """Version in the registry."""

    @property
    def stored(self) -> ModelProtocol:
        """The model as it lies on disk."""

    @property
    def synthetic(self) -> bool:
        """Whether the model was trained on made-up patients."""

    def score(
        self, appointments: pa.Table, *, capacity: int | None, reasons: bool, record_calls: bool = False
    ) -> pa.Table:
        """The worklist of `appointments`, in rank order; its calls are recorded as planned if `record_calls`."""

    def with_mapping(self, mapping: Mapping) -> "ScorerProtocol":
        """The same for lists of another shape."""

    def note(self, name: str, *, day: datetime.date, unknown: Sequence[str] = ()) -> Note:
        """What a reader of the list called `name` must know."""

    def unknown_factors(self, present: frozenset[str]) -> tuple[str, ...]:
        """Factors that a list with the contract columns `present` cannot feed."""


def factors_of(scorer: ScorerProtocol) -> tuple[Factor, ...]:
    """What the model looks at, by the register that it was trained with."""
    manifest = scorer.stored.manifest
    register = manifest.provenance.register_of_factors
    return tuple(register.factor(name) for name in manifest.factors)

"""The interface of a scorer and its model that the service uses; tests have a double."""

import datetime
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa

from dnapredict.config.factor_register import Factor
from dnapredict.config.mapping_config import Mapping
from dnapredict.worklist.files.excel_worklist import Note
from dnapredict.worklist.files.kept_list import ListIdentity

if TYPE_CHECKING:
    # For its types only: LightGBM and scikit-learn take a second to import, and the first process needs no model.
    from dnapredict.model.artefact import Manifest


class ModelProtocol(Protocol):
    """The part of `dnapredict.model.artefact.StoredModel` that the service uses."""

    @property
    def digest(self) -> str:
        """SHA-256 that identifies the model's files."""

    @property
    def manifest(self) -> "Manifest":
        """The model's manifest."""


class ScorerProtocol(Protocol):
    """The part of `dnapredict.worklist.scorer.Scorer` that the service uses."""

    @property
    def model_version(self) -> str:
        """Version in the registry."""

    @property
    def stored(self) -> ModelProtocol:
        """The stored model."""

    @property
    def synthetic(self) -> bool:
        """Whether the model was trained on made-up patients."""

    def score(
        self,
        appointments: pa.Table,
        *,
        capacity: int | None,
        reasons: bool,
        record_calls: bool = False,
        identity: ListIdentity | None = None,
    ) -> pa.Table:
        """The worklist of `appointments`, in rank order; its calls are recorded as planned if `record_calls`.

        With the `identity` of the list, what was scored is recorded.
        """

    def with_mapping(self, mapping: Mapping) -> "ScorerProtocol":
        """The same scorer for lists with other columns."""

    def note(self, name: str, *, day: datetime.date, unknown: Sequence[str] = ()) -> Note:
        """The cover note of the list called `name`."""

    def unknown_factors(self, present: frozenset[str]) -> tuple[str, ...]:
        """Factors that a list with the contract columns `present` cannot feed."""


def factors_of(scorer: ScorerProtocol) -> tuple[Factor, ...]:
    """The model's factors, from the register that it was trained with."""
    manifest = scorer.stored.manifest
    register = manifest.provenance.register_of_factors
    return tuple(register.factor(name) for name in manifest.factors)

"""A registered model in Python: its identity, audit status, and scoring of lists."""

import datetime
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dnapredict.config.home import home_folder
from dnapredict.errors import DnapredictError
from dnapredict.model.artefact import StoredModel
from dnapredict.model.artefact import load as load_artefact
from dnapredict.public_api.html_summary import summary
from dnapredict.public_api.results import ScoreResult
from dnapredict.public_api.table_input import TableInput
from dnapredict.public_api.verbs import PathInput, score
from dnapredict.registry import Registry


@dataclass(frozen=True)
class LoadedModel:
    """A model of the registry whose hashes were checked.

    Attributes
    ----------
    version, home
        Where it is registered.
    digest
        SHA-256 of its manifest, which holds the hash of every file.
    factors
        The factors it uses, in the order of its matrix.
    horizon_days
        How many days before an appointment it scores.
    data_from, data_to, test_from
        First and last day of the extract, and the day on which the test began.
    synthetic
        Whether its patients were made up; such a model must never score a real one.
    audit_verdict, decision
        Verdict of the last audit, and the reviewer's decision; "" where there is none.
    not_usable_because
        Why no list may be scored with it, in the command's words; "" if lists may be scored.
    card
        The model card, in Markdown.
    stored
        The model itself, to look at risks by `stored.model.probability(matrix)`; not for lists of patients.
    """

    version: str
    home: Path
    digest: str
    factors: tuple[str, ...]
    horizon_days: int
    data_from: datetime.date
    data_to: datetime.date
    test_from: datetime.date
    synthetic: bool
    audit_verdict: str
    decision: str
    not_usable_because: str
    card: str = field(repr=False)
    stored: StoredModel = field(repr=False, compare=False)

    def score(self, weekly_list: TableInput, **options: Any) -> ScoreResult:
        """Rank a weekly list with this version; `options` are those of `dnapredict.score`."""
        return score(weekly_list, model=self.version, home=self.home, **options)

    def _repr_html_(self) -> str:
        facts = {
            "Version": self.version,
            "Learned from": f"{self.data_from} to {self.data_to}, tested from {self.test_from}",
            "Scores": f"{self.horizon_days} days before the appointment",
            "Factors": len(self.factors),
            "Fairness audit": self.audit_verdict or "not audited yet",
            "Reviewer's decision": self.decision or "none",
            "Lists may be scored": "no" if self.not_usable_because else "yes",
        }
        notes = ["SYNTHETIC: made-up patients, for demonstration only."] if self.synthetic else []
        return summary("Model", facts, notes=[*notes, *filter(None, [self.not_usable_because])])


def load_model(model: str | int = "champion", *, home: PathInput | None = None) -> LoadedModel:
    """Load a registered model, after checking its hashes.

    Parameters
    ----------
    model
        A version, or the alias `champion` or `challenger`.
    home
        Folder of models, runs and lists; otherwise `DNAPREDICT_HOME`, or `.dnapredict` here.

    Raises
    ------
    ModelError
        If there is no such version, or its files are not as they were written.
    StoreError
        If the home cannot be read.
    """
    folder = home_folder(None if home is None else Path(home))
    registry = Registry(folder)
    version = registry.version_of(str(model))
    stored, tags = load_artefact(registry.folder(version)), registry.tags(version)
    origin = stored.manifest.provenance
    return LoadedModel(
        version=version,
        home=folder,
        digest=stored.digest,
        factors=tuple(stored.manifest.factors),
        horizon_days=origin.config.horizon_days,
        data_from=origin.data_from,
        data_to=origin.data_to,
        test_from=origin.test_from,
        synthetic=origin.synthetic,
        audit_verdict=tags.get("audit_verdict", ""),
        decision=tags.get("signed_decision", ""),
        not_usable_because=_not_usable_because(registry, str(model), version),
        card=registry.card(version),
        stored=stored,
    )


def promote(version: str | int, *, home: PathInput | None = None) -> LoadedModel:
    """Make a version the champion that lists are scored with: `dnapredict promote`.

    Raises
    ------
    ModelError, GateFailedError, StoreError
        As the command, with the same message: for a version that was never audited, that a reviewer
        rejected, or whose audit failed and is not signed with conditions.
    """
    folder = home_folder(None if home is None else Path(home))
    return load_model(Registry(folder).promote(str(version)), home=folder)


def _not_usable_because(registry: Registry, name: str, version: str) -> str:
    try:
        registry.usable(name if name == "champion" else version)
    except DnapredictError as error:
        return str(error)
    return ""

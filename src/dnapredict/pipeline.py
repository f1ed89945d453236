"""What dnapredict does, a verb at a time: features, train, audit, refresh, score.

extract -> contract -> history -> features -> risk -> worklist and reasons -> page | file | report
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dnapredict import trainable
from dnapredict.config.mapping import IDENTITY, Mapping
from dnapredict.config.policy import Policy
from dnapredict.config.setting import Setting
from dnapredict.data.checked import Checked
from dnapredict.data.workspace import Workspace
from dnapredict.features.build import Matrix
from dnapredict.features.clock import Clock, Outcomes
from dnapredict.features.store import HistoryStore
from dnapredict.lists import files, latest
from dnapredict.lists.ledger import Ledger
from dnapredict.lists.long import GivenHistory, Progress, score_file
from dnapredict.lists.scoring import Scorer
from dnapredict.prepared import factor_register, matrix_of, matrix_on_spark, sound_extract, worklist_config
from dnapredict.risk.artefact import StoredModel, save
from dnapredict.risk.artefact import load as load_model
from dnapredict.risk.labelled import BESIDE, cohort_of, labelled
from dnapredict.risk.training import Training
from dnapredict.risk.training import train as train_model
from dnapredict.risk.tuning import Watch
from dnapredict.scores import vendor_scores
from dnapredict.tracking import CHAMPION, Registered, Registry

if TYPE_CHECKING:
    from dnapredict.audit import AuditResult, Signature
    from dnapredict.audit.access import Access

__all__ = [
    "HISTORY",
    "Assessment",
    "Audit",
    "Engine",
    "Scored",
    "Signed",
    "Trained",
    "access",
    "audit",
    "features",
    "open_scorer",
    "refresh",
    "score_list",
    "sign",
    "train",
]

Say = Callable[[str], None]

# Where the history of a home is kept.
HISTORY: Final = "history"


class Engine(StrEnum):
    """What runs the expression of the factors."""

    DUCKDB = "duckdb"
    SPARK = "spark"


@dataclass(frozen=True)
class Trained:
    """A model in the registry and what is known of its making."""

    registered: Registered
    training: Training
    stored: StoredModel
    checked: Checked
    dropped: tuple[str, ...]


@dataclass(frozen=True)
class Audit:
    """An audit and the page that tells of it."""

    result: "AuditResult"
    report: Path


@dataclass(frozen=True)
class Assessment:
    """Equity of the service itself, and the page that tells of it."""

    result: "Access"
    report: Path


@dataclass(frozen=True)
class Signed:
    """A decision, and the versions in the registry beside which it stands."""

    signature: "Signature"
    versions: tuple[str, ...]


@dataclass(frozen=True)
class Scored:
    """A list that was scored: counts for a person, and factors the list could not feed."""

    rows: int
    selected: int
    rejected: int
    model_version: str
    unknown_factors: tuple[str, ...]
    has_history: bool


def features(path: Path, out: Path, *, setting: Setting, engine: Engine = Engine.DUCKDB) -> Matrix:
    """Write the matrix of agreed factors of every appointment in an extract to the Parquet file `out`.

    Both engines run the same expression.
    """
    with Workspace() as workspace:
        checked = sound_extract(path, setting, workspace)
        config, register = setting.training, factor_register()
        if engine is Engine.SPARK:
            matrix = matrix_on_spark(checked, config, register, workspace=workspace)
        else:
            matrix = matrix_of(checked, config, register, beside=(), workspace=workspace)
    table = matrix.table.select(["appointment_id", "scored_at", *matrix.factors])
    with files.whole(out) as draft:
        pq.write_table(table, draft)
    return Matrix(table, matrix.factors)


def train(path: Path, *, home: Path, setting: Setting, say: Say, watch: Watch | None = None) -> Trained:
    """Train on the extract at `path`, test on its latest part, register the model as challenger.

    `watch` is told after each trial, where the configuration asks for tuning.
    """
    config, register = setting.training, factor_register()
    with Workspace() as workspace:
        say("Reading the extract and holding it against the contract")
        checked = sound_extract(path, setting, workspace)
        say("Building the factors as known when each appointment would have been scored")
        matrix = matrix_of(checked, config, register, beside=BESIDE, workspace=workspace)
    say("Training, calibrating and testing in time")
    cohort = cohort_of(matrix, outcomes=Outcomes(config.dna_codes), zone=setting.mapping.timezone)
    directions = [register.factor(name).direction for name in matrix.factors]
    training = train_model(
        cohort,
        config=config,
        directions=directions,
        calls=trainable.calls(),
        study=trainable.study(home, path, setting),
        watch=watch,
    )
    if training.tuned is not None:
        say(str(training.tuned))
    if training.alarm:
        say(f"ALARM: {training.alarm}")
    say("Storing the model and its record")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "model"
        release = checked.entry.areas.release
        origin = trainable.provenance(path, training, setting, register, imd_release=release)
        stored = save(training.model, folder, provenance=origin, specimens=training.specimens)
        files = trainable.reproduction(stored, setting)
        registered = Registry(home).register(folder, training, files=files)
    dropped = tuple(factor.name for factor in register.agreed if factor.name not in matrix.factors)
    return Trained(registered, training, stored, checked, dropped)


def audit(
    path: Path,
    *,
    out: Path,
    setting: Setting,
    policy: Policy,
    home: Path,
    model: str | None = None,
    scores: Path | None = None,
    previous: Path | None = None,
    extras: frozenset[str] = frozenset(),
) -> Audit:
    """Audit a model of the home, or anybody's scores, on the outcomes in the extract at `path`.

    A model is audited on appointments that its training did not see: those since its test began, and
    beside the champion's list, where it is another. `previous` is the last report, for what changed.
    `extras` of `audit.BESIDE` are written beside the report.
    """
    from dnapredict import audit as auditing  # fairlearn and matplotlib: seconds that scoring need not wait
    from dnapredict import auditable

    registry, worklist = Registry(home), worklist_config()
    version = None if model is None else registry.version_of(model)
    stored = None if version is None else load_model(registry.folder(version))
    config = setting.training if stored is None else stored.manifest.provenance.config
    outcomes = Outcomes(config.dna_codes)
    earlier = auditable.earlier(previous, out=out, kept=registry.last_audit() if stored else None)
    with Workspace() as workspace:
        checked = sound_extract(path, setting, workspace)
        if stored is not None:
            stored.manifest.provenance.require_release(checked.entry.areas.release)
        factors = stored.model.factors if stored else ()
        matrix = matrix_of(checked, config, factors=factors, beside=auditable.BESIDE, workspace=workspace)
        live = _live_risk(registry, stored, checked, workspace)
        expected = auditable.rows_expected(checked, stored, workspace)
    tested = labelled(matrix, outcomes=outcomes)
    if stored is not None:
        tested = auditable.not_trained_on(tested, stored, source=path.name)
        sites = tested.table["site_code"].to_pylist()
        probability = stored.model.probability(tested.values, sites=sites)
    else:
        known = (matrix.table["appointment_id"], checked.rejected["appointment_id"])
        probability = vendor_scores(scores, tested.table["appointment_id"], known=known)
    audited = auditable.audited(
        tested, probability, outcomes=outcomes, worklist=worklist, live=live and live(tested)
    )
    origin = auditable.Origin(path, config, worklist, stored=stored, version=version, scores=scores)
    context = auditable.context(audited, origin, previous=earlier, rows=expected)
    result = auditing.run(audited, policy=policy, context=context)
    studied = None
    if "study" in extras:
        seen = None if stored is None else tested.values
        studied = auditable.studied(audited, seen, policy=policy, worklist=worklist, seed=config.seed)
    report = auditing.write(result, out, beside=auditing.beside(result, extras, studied=studied))
    if version is not None:
        registry.keep_audit(version, report.parent, verdict=str(result.verdict))
    return Audit(result, report)


def _live_risk(
    registry: Registry, stored: StoredModel | None, checked: Checked, workspace: Workspace
) -> Callable[[Matrix], NDArray[np.float64]] | None:
    """How the champion judges appointments, where there is one and it is not the model audited."""
    if stored is None or not registry.has(CHAMPION):
        return None
    live = load_model(registry.folder(CHAMPION))
    if live.digest == stored.digest:
        return None
    config = live.manifest.provenance.config
    beside = ("appointment_id", "site_code")
    matrix = matrix_of(checked, config, factors=live.model.factors, beside=beside, workspace=workspace)
    risk = live.model.probability(matrix.values, sites=matrix.table["site_code"].to_pylist())
    place = pd.Index(matrix.table["appointment_id"].to_pandas())
    return lambda asked: risk[place.get_indexer(asked.table["appointment_id"].to_pandas())]


def access(path: Path, *, out: Path, setting: Setting, policy: Policy) -> Assessment:
    """Report who is on the list of the extract at `path`, who waits and who misses, before any model."""
    from dnapredict import auditable
    from dnapredict.audit import access as assessing

    with Workspace() as workspace:
        checked = sound_extract(path, setting, workspace)
        codes = setting.training.dna_codes
        listed = auditable.listed(checked, dna_codes=codes, source=path.name, workspace=workspace)
    result = assessing.assess(listed, policy=policy, context=auditable.access_context(listed, path))
    return Assessment(result, assessing.write(result, out))


def sign(
    report: Path, *, home: Path, name: str, role: str, decision: str, reason: str, dissent: str = ""
) -> Signed:
    """Put a person's decision beside a report, and beside the versions of the home that it is about."""
    from dnapredict import audit as auditing

    signature = auditing.sign(report, name=name, role=role, decision=decision, reason=reason, dissent=dissent)
    return Signed(signature, Registry(home).keep_signature(report, signature))


def refresh(path: Path, *, home: Path, setting: Setting) -> Checked:
    """Make the extract at `path` the history that lists and requests are scored with."""
    with Workspace() as workspace:
        checked = sound_extract(path, setting, workspace)
        clock = Clock.of(setting.training)
        HistoryStore.write(checked.rows, home / HISTORY, clock=clock, workspace=workspace)
    return checked


def score_list(
    path: Path,
    *,
    out: Path,
    home: Path,
    mapping: Mapping = IDENTITY,
    history: Path | None = None,
    model: str = "champion",
    capacity: int | None = None,
    tell: Say | None = None,
    progress: Progress | None = None,
) -> Scored:
    """Score the weekly list at `path` and write the worklist to `out`, every row exactly once.

    `tell` hears what is unusual about how the list is written.
    """
    files.require_form(out)
    scorer = open_scorer(home, model=model, mapping=mapping)
    past = GivenHistory(history, partial(_history_of, history, scorer=scorer)) if history else None
    done = score_file(
        path,
        out,
        scorer=scorer,
        history=past,
        capacity=capacity,
        tell=tell,
        progress=progress or (lambda *_: None),
    )
    latest.save(
        home,
        done.first,
        name=path.name,
        model_version=scorer.model_version,
        synthetic=scorer.synthetic,
        counts=latest.Counts(done.rows, done.selected, done.rejected),
    )
    return Scored(
        rows=done.rows,
        selected=done.selected,
        rejected=done.rejected,
        model_version=scorer.model_version,
        unknown_factors=scorer.unknown_factors(done.present),
        has_history=history is not None or scorer.history() is not None,
    )


def open_scorer(home: Path, *, model: str = "champion", mapping: Mapping = IDENTITY) -> Scorer:
    """The one scoring path, with a model of the registry and the history of the home.

    Raises
    ------
    ModelError
        If the registry holds no such model; the message says which command makes one.
    """
    registry = Registry(home)
    version = registry.version_of(model)
    return Scorer(
        stored=load_model(registry.folder(version)),
        model_version=version,
        worklist=worklist_config(),
        history=lambda: HistoryStore.current(home / HISTORY),
        mapping=mapping,
        ledger=Ledger(home),
    )


def _history_of(path: Path, place: Path, *, scorer: Scorer) -> HistoryStore:
    config = scorer.stored.manifest.provenance.config
    with Workspace() as workspace:
        checked = sound_extract(path, Setting(scorer.mapping, config), workspace)
        return HistoryStore.write(checked.rows, place, clock=Clock.of(config), workspace=workspace)

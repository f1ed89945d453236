"""What dnapredict does, each verb on one page: check, features, train, audit, score.

extract -> contract -> history -> features -> risk -> worklist and reasons -> page | file | report
"""

import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dnapredict import audit as auditing
from dnapredict.audit import Audited, AuditResult, ReportContext
from dnapredict.config.loading import load, shipped
from dnapredict.config.mapping import IDENTITY, Mapping
from dnapredict.config.policy import Policy
from dnapredict.config.register import FactorRegister
from dnapredict.config.setting import Setting
from dnapredict.config.training import TrainingConfig
from dnapredict.config.worklist import WorklistConfig
from dnapredict.data import contract, extract
from dnapredict.data.contract import Checked
from dnapredict.data.workspace import Workspace
from dnapredict.errors import DataError
from dnapredict.features.build import Matrix, Past, build
from dnapredict.features.clock import Clock, Outcomes
from dnapredict.features.factors import fed_by, verify
from dnapredict.features.matrix import PAST_APPOINTMENTS
from dnapredict.features.store import HistoryStore
from dnapredict.lists import files, latest
from dnapredict.lists.scoring import Scorer
from dnapredict.lists.worklist import select_by_week
from dnapredict.revision import code_revision
from dnapredict.risk.artefact import Provenance, StoredModel, save
from dnapredict.risk.artefact import load as load_model
from dnapredict.risk.labelled import BESIDE, cohort_of, labelled, patient_codes
from dnapredict.risk.training import Training
from dnapredict.risk.training import train as train_model
from dnapredict.scores import vendor_scores
from dnapredict.tracking import Registered, Registry

__all__ = [
    "Audit",
    "Scored",
    "Trained",
    "audit",
    "check",
    "features",
    "open_scorer",
    "refresh",
    "score_list",
    "train",
]

Say = Callable[[str], None]

_IN_TIME = ("starts_at", "appointment_id")
# Contract columns that say which groups a patient belongs to; the audit reads them, no factor does.
_GROUPS = (
    "starts_local",
    "imd_decile",
    "ethnic_category_code",
    "gender_code",
    "age_years",
    "interpreter_needed",
    "disability_flag",
    "plus_group",
    "site_code",
    "treatment_function_code",
)
_HISTORY = "history"
NEVER_FOR = "Never for overbooking, discharge, delaying or withholding care."


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

    result: AuditResult
    report: Path


@dataclass(frozen=True)
class Scored:
    """A list that was scored: counts for a person, and factors the list could not feed."""

    rows: int
    selected: int
    rejected: int
    model_version: str
    unknown_factors: tuple[str, ...]


def check(path: Path, workspace: Workspace, *, mapping: Mapping = IDENTITY) -> Checked:
    """Hold the extract at `path` against the contract."""
    table = extract.read(path, workspace)
    return contract.check(table, workspace, mapping=mapping, source=path.name)


def features(path: Path, out: Path, *, setting: Setting) -> Matrix:
    """Write the matrix of agreed factors of every appointment in an extract to the Parquet file `out`."""
    with Workspace() as workspace:
        checked = _sound(path, setting, workspace)
        matrix = _matrix(checked, setting.training, _register(), beside=(), workspace=workspace)
    table = matrix.table.select(["appointment_id", "scored_at", *matrix.factors])
    with files.whole(out) as draft:
        pq.write_table(table, draft)
    return Matrix(table, matrix.factors)


def train(path: Path, *, home: Path, setting: Setting, say: Say) -> Trained:
    """Train on the extract at `path`, test on its latest part, register the model as challenger."""
    config, register = setting.training, _register()
    outcomes = Outcomes(config.dna_codes)
    with Workspace() as workspace:
        say("Reading the extract and holding it against the contract")
        checked = _sound(path, setting, workspace)
        say("Building the factors as known when each appointment would have been scored")
        matrix = _matrix(checked, config, register, beside=BESIDE, workspace=workspace)
    say("Training, calibrating and testing in time")
    cohort = cohort_of(matrix, outcomes=outcomes, zone=setting.mapping.timezone)
    directions = [register.factor(name).direction for name in matrix.factors]
    training = train_model(cohort, config=config, directions=directions)
    say("Storing the model and its record")
    with tempfile.TemporaryDirectory() as place:
        stored = save(
            training.model,
            Path(place) / "model",
            provenance=_provenance(path, training, setting, register),
            specimens=training.specimens,
        )
        registered = Registry(home).register(Path(place) / "model", training)
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
) -> Audit:
    """Audit a model of the home, or anybody's scores, on the outcomes in the extract at `path`.

    A model is audited on appointments that it was not trained on: those since its test began.
    """
    registry, worklist = Registry(home), _worklist()
    stored = None if model is None else load_model(registry.folder(model))
    config = setting.training if stored is None else stored.manifest.provenance.config
    register = _register() if stored is None else stored.manifest.provenance.register_of_factors
    outcomes = Outcomes(config.dna_codes)
    factors = stored.model.factors if stored else ()
    with Workspace() as workspace:
        checked = _sound(path, setting, workspace)
        beside = (*BESIDE, *_GROUPS)
        matrix = _matrix(checked, config, register, beside=beside, workspace=workspace, factors=factors)
    tested = labelled(matrix, outcomes=outcomes)
    if stored is not None:
        tested = _not_trained_on(tested, stored, source=path.name)
        probability = stored.model.probability(tested.values)
    else:
        probability = vendor_scores(scores, tested.table["appointment_id"])
    audited = Audited.of(_audit_table(tested.table, probability, outcomes=outcomes, worklist=worklist))
    context = _context(audited, path, config, worklist, stored=stored, version=model, scores=scores)
    result = auditing.run(audited, policy=policy, context=context)
    report = auditing.write(result, out)
    if model is not None:
        registry.set_audit(model, verdict=str(result.verdict), digest=extract.sha256(report))
    return Audit(result, report)


def score_list(
    path: Path,
    *,
    out: Path,
    home: Path,
    mapping: Mapping = IDENTITY,
    history: Path | None = None,
    model: str = "champion",
    capacity: int | None = None,
) -> Scored:
    """Score the weekly list at `path` and write the worklist to `out`, every row exactly once."""
    files.require_form(out)
    scorer = open_scorer(home, model=model, mapping=mapping)
    with tempfile.TemporaryDirectory() if history else nullcontext("") as place:
        if history:
            written = _write_history(history, Path(place), scorer=scorer, mapping=mapping)
            scorer = open_scorer(home, model=model, mapping=mapping, history=written)
        with Workspace() as workspace:
            appointments = workspace.backend.to_pyarrow(extract.read(path, workspace))
            present = contract.present(appointments.column_names, mapping)
        worklist = scorer.score(appointments, capacity=capacity)
    files.write(worklist, out, note=_note(scorer, path))
    latest.save(
        home,
        worklist,
        name=path.name,
        model_version=scorer.model_version,
        synthetic=scorer.synthetic,
    )
    return Scored(
        rows=worklist.num_rows,
        selected=pc.sum(worklist["selected"]).as_py() or 0,
        rejected=worklist.num_rows - worklist["error"].null_count,
        model_version=scorer.model_version,
        unknown_factors=scorer.unknown_factors(present),
    )


def open_scorer(
    home: Path,
    *,
    model: str = "champion",
    mapping: Mapping = IDENTITY,
    history: HistoryStore | None = None,
) -> Scorer:
    """The one scoring path with a model of the registry and the history of the home.

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
        worklist=_worklist(),
        history=history or HistoryStore.current(home / _HISTORY),
        mapping=mapping,
    )


def refresh(path: Path, *, home: Path, setting: Setting) -> Checked:
    """Make the extract at `path` the history that lists and requests are scored with."""
    with Workspace() as workspace:
        checked = _sound(path, setting, workspace)
        clock = Clock.of(setting.training)
        HistoryStore.write(checked.rows, home / _HISTORY, clock=clock, workspace=workspace)
    return checked


def _sound(path: Path, setting: Setting, workspace: Workspace) -> Checked:
    checked = check(path, workspace, mapping=setting.mapping)
    checked.require(max_rejected_share=setting.training.max_rejected_share, source=path.name)
    return checked


def _register() -> FactorRegister:
    register = load(shipped("training/factors.toml"), FactorRegister)
    verify(register)
    return register


def _worklist() -> WorklistConfig:
    return load(shipped("serving/worklist.toml"), WorklistConfig)


def _matrix(
    checked: Checked,
    config: TrainingConfig,
    register: FactorRegister,
    *,
    beside: tuple[str, ...],
    workspace: Workspace,
    factors: tuple[str, ...] | None = None,
) -> Matrix:
    """The matrix of all checked rows; with `factors` of a model, exactly those."""
    clock = Clock.of(config)
    if factors is None:
        factors = tuple(factor.name for factor in fed_by(register, checked.present))
    return build(
        checked.rows,
        Past.of(checked.rows, clock=clock, workspace=workspace),
        factors=factors,
        clock=clock,
        outcomes=Outcomes(config.dna_codes),
        beside=beside,
        order_by=_IN_TIME,
        workspace=workspace,
    )


def _provenance(path: Path, training: Training, setting: Setting, register: FactorRegister) -> Provenance:
    split = training.split
    return Provenance(
        config=setting.training,
        register_of_factors=register,
        data_sha256=extract.sha256(path),
        data_from=split.fit.first,
        data_to=split.test.last,
        test_from=split.test.first,
        code_revision=code_revision(),
        synthetic=extract.is_synthetic(path),
    )


def _not_trained_on(matrix: Matrix, stored: StoredModel, *, source: str) -> Matrix:
    test_from = stored.manifest.provenance.test_from
    later = pc.greater_equal(matrix.table["starts_local"], pa.scalar(test_from, pa.date32()).cast(pa.timestamp("us")))
    kept = matrix.table.filter(later)
    if kept.num_rows == 0:
        raise DataError(
            f"{source}: holds no outcome since {test_from:%d %B %Y}, where this model's training ended. "
            "A model is audited on later appointments than it has seen: give a newer extract."
        )
    return Matrix(kept, matrix.factors)


def _audit_table(
    table: pa.Table, probability: np.ndarray, *, outcomes: Outcomes, worklist: WorklistConfig
) -> pa.Table:
    selected = select_by_week(probability, table["starts_local"].to_numpy(), config=worklist)
    made = {
        "patient": pa.array(patient_codes(table["patient_id"])),
        "dna": pc.is_in(table["outcome_code"], pa.array(outcomes.dna_codes)),
        "probability": pa.array(probability),
        "selected": pa.array(selected),
        "n_past": table[PAST_APPOINTMENTS],
    }
    kept = {name: table[name] for name in ("starts_at", "outcome_code", *_GROUPS[1:])}
    return pa.table(made | kept)


def _context(
    audited: Audited,
    path: Path,
    config: TrainingConfig,
    worklist: WorklistConfig,
    *,
    stored: StoredModel | None,
    version: str | None,
    scores: Path | None,
) -> ReportContext:
    days = audited.table["starts_at"].to_numpy().astype("datetime64[D]")
    share = f"{worklist.capacity_share * 100:g} in 100"
    calls = f"the {worklist.capacity:,}" if worklist.capacity else f"the {share}"
    return ReportContext(
        model_version=str(version) if scores is None else f"scores of {scores.name}",
        model_sha256=stored.digest if stored else extract.sha256(scores) if scores else "",
        data_sha256=extract.sha256(path),
        window=(days.min().item(), days.max().item()),
        capacity=f"{calls} with the highest risk of each week's list",
        code_revision=code_revision(),
        synthetic=extract.is_synthetic(path) or bool(stored and stored.manifest.provenance.synthetic),
        seed=config.seed,
        rows_expected=len(audited),
    )


def _write_history(path: Path, place: Path, *, scorer: Scorer, mapping: Mapping) -> HistoryStore:
    config = scorer.stored.manifest.provenance.config
    with Workspace() as workspace:
        checked = _sound(path, Setting(mapping, config), workspace)
        return HistoryStore.write(checked.rows, place, clock=Clock.of(config), workspace=workspace)


def _note(scorer: Scorer, path: Path) -> str:
    synthetic = ["SYNTHETIC: made-up patients, for demonstration only."] if scorer.synthetic else []
    lines = [
        *synthetic,
        f"Worklist for {path.name}, model version {scorer.model_version}.",
        "Use: offer help to patients who may miss their appointment (a call, transport, an interpreter, "
        "another time).",
        NEVER_FOR,
        "A risk is linked with what is recorded; it says nothing about why a person misses an appointment.",
    ]
    return "\n".join(lines)

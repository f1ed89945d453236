"""Read the extract of an audit once, for a model of the home or for the scores of any number of products."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dnapredict.config.fairness_policy import Policy
from dnapredict.config.training_config import Setting, TrainingConfig
from dnapredict.config.worklist_config import WorklistConfig
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.readers import table_file
from dnapredict.data.validation.checked import Checked
from dnapredict.fairness import AuditData, ReportContext
from dnapredict.fairness.measure.coverage import Coverage
from dnapredict.features.matrix import Matrix
from dnapredict.features.scoring_clock import LabelRule
from dnapredict.model.artefact import StoredModel
from dnapredict.model.artefact import load as load_model
from dnapredict.pipeline import audit_inputs
from dnapredict.pipeline.audited_lists import PastLists, assumptions, opted_out_phrase
from dnapredict.pipeline.in_use.contacted_from_calls import with_recorded_calls
from dnapredict.pipeline.run_inputs import matrix_in_file, matrix_of, sound_extract, worklist_config
from dnapredict.pipeline.vendor_scores import vendor_scores
from dnapredict.registry import CHAMPION, Registry
from dnapredict.registry.audit_book import AuditBook
from dnapredict.registry.tested_appointments import RecordedOutcomes

Say = Callable[[str], None]
Risk = Callable[[Matrix], NDArray[np.float64]]


@dataclass(frozen=True)
class AuditSource:
    """An extract as its audits need it.

    Attributes
    ----------
    data_sha256, synthetic
        A digest of the extract, and whether its patients are made up.
    lists
        The appointments on past lists; with a model, those since the start of its test period.
    known
        For scores, the ids of all appointments of the extract, and of its refused rows.
    outcomes_recorded, coverage
        With a model, the outcomes that are judged, and what they cover of those that it was tested on.
    risk
        Gives the risks of the audited model; None for scores.
    live
        Gives the champion's risks, where it is another model than the audited one.
    expected
        Attended and missed appointments, counted before any join.
    """

    data_sha256: str
    synthetic: bool
    config: TrainingConfig
    worklist: WorklistConfig
    policy: Policy
    timezone: str
    stored: StoredModel | None
    version: str | None
    lists: PastLists
    known: tuple[pa.ChunkedArray, ...]
    risk: Risk | None
    live: Risk | None
    expected: int
    refused: pa.Table
    outcomes_recorded: RecordedOutcomes | None = None
    coverage: Coverage | None = None

    @property
    def outcomes(self) -> LabelRule:
        """Which outcome codes count as missed."""
        return LabelRule(self.config.dna_codes)


@dataclass(frozen=True)
class AuditInput:
    """The appointments of one audit, with their provenance and the lists that they were on."""

    appointments: AuditData
    context: ReportContext
    lists: PastLists


def read_source(
    path: Path,
    *,
    setting: Setting,
    policy: Policy,
    book: AuditBook,
    model: str | None,
    say: Say | None = None,
) -> AuditSource:
    """The extract at `path`, for the audit of a model of the home, or of scores where `model` is None."""
    registry = book.registry
    version = None if model is None else registry.version_of(model)
    stored = None if version is None else load_model(registry.folder(version))
    config = setting.training if stored is None else stored.manifest.provenance.config
    with Workspace() as workspace:
        checked = sound_extract(path, setting, workspace)
        audit_inputs.warn_of_unknown_values(checked, workspace, policy, say)
        checked, filled = with_recorded_calls(checked, registry.home, workspace)
        if filled and say is not None:
            say(filled)
        if stored is not None:
            stored.manifest.provenance.require_release(checked.ingest.areas.release)
        matrix = _matrix(checked, config, stored, workspace)
        live = _live_risk(registry, stored, checked, workspace)
        expected = audit_inputs.rows_expected(checked, stored, workspace)
        knows = audit_inputs.knows_cancellations(checked, workspace)
    outcomes = LabelRule(config.dna_codes)
    lists = PastLists.of(matrix, outcomes=outcomes, knows_cancellations=knows)
    recorded = coverage = None
    if stored is not None and version is not None:
        lists = audit_inputs.not_trained_on(lists, stored, source=path.name)
        recorded = audit_inputs.recorded_outcomes(lists, outcomes=outcomes)
        coverage = book.coverage(version, recorded)
    return AuditSource(
        table_file.sha256(path),
        table_file.is_synthetic(path),
        config,
        worklist_config(registry.home),
        policy,
        setting.mapping.timezone,
        stored=stored,
        version=version,
        lists=lists,
        known=(matrix.table["appointment_id"], checked.rejected["appointment_id"]),
        risk=None if stored is None else partial(_risk, stored),
        live=live,
        expected=expected,
        refused=checked.opt_outs,
        outcomes_recorded=recorded,
        coverage=coverage,
    )


def _matrix(
    checked: Checked,
    config: TrainingConfig,
    stored: StoredModel | None,
    workspace: Workspace,
    *,
    since: StoredModel | None = None,
) -> Matrix:
    """The appointments of an audit: for scores all, for a model those since the week in which its test begins.

    `since` is the model whose test it is, if it is another one.
    """
    extra = audit_inputs.EXTRA_COLUMNS
    if stored is None:
        return matrix_of(checked, config, extra_columns=extra, workspace=workspace)
    test_from = (since or stored).manifest.provenance.test_from
    points = audit_inputs.since_monday(checked.rows, workspace, of=test_from)
    factors = stored.model.factors
    return matrix_in_file(checked, config, points, factors=factors, extra_columns=extra, workspace=workspace)


def audit_input(source: AuditSource, *, scores: Path | None, previous: Mapping[str, Any] | None = None) -> AuditInput:
    """The appointments with the risks of the source's model, or those of the file `scores`."""
    lists, probability = _risks(source, scores)
    appointments = audit_inputs.audited(
        lists,
        probability,
        outcomes=source.outcomes,
        worklist=source.worklist,
        live=source.live and source.live(lists.matrix),
        refused=source.refused,
    )
    origin = audit_inputs.Origin(
        source.data_sha256,
        source.synthetic,
        source.config,
        source.worklist,
        stored=source.stored,
        version=source.version,
        scores=scores,
        timezone=source.timezone,
    )
    assumed = assumptions(lists, source.worklist, source.policy.disclosure)
    context = audit_inputs.context(
        appointments,
        origin,
        previous=previous,
        rows=source.expected,
        assumed=assumed,
        opted_out=opted_out_phrase(lists, source.worklist, source.policy.disclosure, refused=source.refused),
        coverage=source.coverage,
    )
    return AuditInput(appointments, context, lists)


def _risks(source: AuditSource, scores: Path | None) -> tuple[PastLists, NDArray[np.float64]]:
    """The appointments that have a risk, and their risks."""
    lists = source.lists
    if source.risk is not None:
        return lists, source.risk(lists.matrix)
    ids = lists.matrix.table["appointment_id"]
    probability = vendor_scores(scores, ids, required=lists.has_outcome, known=source.known)
    given = ~np.isnan(probability)
    return lists.take(given), probability[given]


def live_model(registry: Registry, stored: StoredModel) -> StoredModel | None:
    """The champion of the home, where there is one and it is another model than `stored`."""
    if not registry.has(CHAMPION):
        return None
    live = load_model(registry.folder(CHAMPION))
    return None if live.digest == stored.digest else live


def _live_risk(registry: Registry, stored: StoredModel | None, checked: Checked, workspace: Workspace) -> Risk | None:
    """A function that gives the champion's risks, where there is a champion and it is not the audited model."""
    live = None if stored is None else live_model(registry, stored)
    if stored is None or live is None:
        return None
    config = live.manifest.provenance.config
    if (live.model.factors, config) == (stored.model.factors, stored.manifest.provenance.config):
        return partial(_risk, live)
    # The same rows in the same order, with other factors.
    matrix = _matrix(checked, config, live, workspace, since=stored)
    return lambda audited: _risk(live, replace(matrix, rows=audited.rows, table=audited.table))


def _risk(model: StoredModel, matrix: Matrix) -> NDArray[np.float64]:
    return model.model.probability(matrix.values, sites=matrix.table["site_code"].to_pylist())

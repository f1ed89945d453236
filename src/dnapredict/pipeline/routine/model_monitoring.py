"""Watch a model of the home, or anybody's scores, by week."""

import datetime
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dnapredict.config.fairness_policy import Policy
from dnapredict.config.training_config import Setting
from dnapredict.data.contract.columns import NAMES
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.readers import table_file
from dnapredict.data.validation.checked import Checked
from dnapredict.errors import DataError, ModelError, UsageError
from dnapredict.fairness.report_folder import FIGURES
from dnapredict.features.factors import columns_read
from dnapredict.features.matrix import own_question
from dnapredict.features.scoring_clock import Clock, LabelRule
from dnapredict.model.artefact import StoredModel
from dnapredict.model.artefact import load as load_model
from dnapredict.monitoring.alarms import AuditedLevels
from dnapredict.monitoring.input_drift import InputReference
from dnapredict.monitoring.monitor_state import keep_state, page_digest
from dnapredict.monitoring.weekly_counts import in_settled_weeks, weeks_of
from dnapredict.pipeline import audit_inputs
from dnapredict.pipeline.audited_lists import PastLists
from dnapredict.pipeline.in_use.contacted_from_calls import with_recorded_calls
from dnapredict.pipeline.routine.reference_inputs import ReferenceInputs
from dnapredict.pipeline.routine.stored_outcomes import FIRST_WEEKS, first_weeks, references_of, stored_outcomes
from dnapredict.pipeline.run_inputs import matrix_in_file, sound_extract, worklist_config
from dnapredict.pipeline.vendor_scores import vendor_scores
from dnapredict.registry import CHAMPION, Registry

if TYPE_CHECKING:
    from dnapredict.monitoring.monitor_result import MonitorContext, MonitorResult, Watched

    Reads = Callable[[Registry], tuple[Watched, MonitorContext]]

Say = Callable[[str], None]
Floats = NDArray[np.float64]

# Columns whose codes or blanks are watched where there is no model whose factors are.
_WATCHED_COLUMNS: Final = (
    "site_code", "treatment_function_code", "first_attendance_code", "consultation_mechanism_code",
    "priority_type_code", "referral_source_code", "age_years", "gender_code", "imd_decile", "distance_km",
    "interpreter_needed", "has_mobile", "ethnic_category_code",
)  # fmt: skip
_OF_A_ROW: Final = frozenset(NAMES) | {"starts_local", "booked_local", "referred_local", "lead_days"}
_ROWS_AT_ONCE: Final = 100_000
_FIRST_WEEKS: Final = f"Compared with the first {FIRST_WEEKS} weeks."


@dataclass(frozen=True)
class Monitored:
    """The result of `monitor`, and the path of its page."""

    result: "MonitorResult"
    report: Path


def monitor(
    path: Path | None,
    *,
    out: Path,
    setting: Setting,
    policy: Policy,
    home: Path,
    scores: Path | None = None,
    say: Say | None = None,
) -> Monitored:
    """Watch the champion of the home, or the risks of the file `scores`, on the outcomes of the extract at `path`.

    The champion is watched on appointments since the start of its test period, which its training did not see; without
    an extract, on the appointments in the outcome store that it scored. The home keeps the last state of the champion,
    and MLflow a run of it.

    Raises
    ------
    UsageError
        If there is a file of scores and no extract.
    ModelError
        If there is no champion and no file of scores.
    StoreError
        If there is no extract, and no outcome store or a damaged one.
    DataError
        If no appointment has an outcome.
    """
    if scores is not None and path is None:
        raise UsageError("--scores needs an EXTRACT with the outcomes of the scored appointments.")
    if path is None:
        return monitor_by(partial(_stored, setting=setting, policy=policy), out=out, home=home)
    read = partial(_read_file, path=path, setting=setting, policy=policy, scores=scores, say=say)
    return monitor_by(read, out=out, home=home, watches_champion=scores is None)


def monitor_by(read: "Reads", *, out: Path, home: Path, watches_champion: bool = True) -> Monitored:
    """Watch what `read` reads; the errors are those of `monitor`.

    Parameters
    ----------
    watches_champion
        Whether it is the champion of the home, whose state the home keeps.
    """
    from dnapredict.monitoring import monitor_report
    from dnapredict.monitoring.monitor_result import watch

    monitor_report.require_free(out)
    registry, began = Registry(home), datetime.datetime.now(datetime.UTC)
    if watches_champion and not registry.has(CHAMPION):
        raise ModelError(f"{home}: no model is in use. Promote one to watch it, or give --scores FILE.")
    result = watch(*read(registry))
    report = monitor_report.write(result, out)
    if watches_champion:
        _keep(result, report, registry, began=began)
    return Monitored(result, report)


def _keep(result: "MonitorResult", report: Path, registry: Registry, *, began: datetime.datetime) -> None:
    """Keep the state of the model in use in the home, for the service, and log the run in MLflow."""
    page, version = report.read_bytes().decode(), registry.version_of(CHAMPION)
    state = result.state(model_version=version, page_sha256=page_digest(page))
    keep_state(state, page, home=registry.home)
    registry.log_monitor(version, state=state, figures=result.figures(), page=page, began=began)


def _stored(registry: Registry, *, setting: Setting, policy: Policy) -> tuple["Watched", "MonitorContext"]:
    from dnapredict.monitoring.monitor_result import MonitorContext

    version = registry.version_of(CHAMPION)
    stored, timezone = load_model(registry.folder(version)), setting.mapping.timezone
    watched = stored_outcomes(registry.home, version, timezone=timezone, audited=_audited_levels(registry, version))
    return watched, MonitorContext(
        model=f"version {version}",
        source="the outcomes that came back",
        reference=_FIRST_WEEKS,
        created_at=datetime.datetime.now(ZoneInfo(timezone)),
        synthetic=stored.manifest.provenance.synthetic,
        rule=policy.disclosure,
    )


@dataclass(frozen=True)
class MonitoredExtract:
    """The past lists of a checked extract that are watched, and the risk of each of their appointments.

    Attributes
    ----------
    source
        The name of the extract in the report.
    risks_of
        What gave the risks: a version of the model, or the name of a file.
    lists
        The appointments that the model did not see in training; with a file of scores, those that have one.
    probability : (n,) float
        Their risks.
    refused
        Who asked not to be called.
    references
        Of the inputs before the model's test period; empty without a model, or enough appointments.
    """

    source: str
    risks_of: str
    synthetic: bool
    lists: PastLists
    probability: Floats
    refused: pa.Table
    references: Mapping[str, InputReference]


def _read_file(
    registry: Registry, *, path: Path, setting: Setting, policy: Policy, scores: Path | None, say: Say | None
) -> tuple["Watched", "MonitorContext"]:
    version = None if scores is not None else registry.version_of(CHAMPION)
    stored = None if version is None else load_model(registry.folder(version))
    extract = _read(
        path,
        setting=setting,
        stored=stored,
        registry=registry,
        policy=policy,
        scores=scores,
        risks_of=f"version {version}" if scores is None else f"scores of {scores.name}",
        say=say,
    )
    return watched_lists(extract, stored=stored, version=version, setting=setting, policy=policy, registry=registry)


def watched_lists(
    extract: MonitoredExtract,
    *,
    stored: StoredModel | None,
    version: str | None,
    setting: Setting,
    policy: Policy,
    registry: Registry,
) -> tuple["Watched", "MonitorContext"]:
    """What is watched of the lists of an extract; `stored` is the version of the model in use, if it is watched.

    Raises
    ------
    DataError
        If no appointment has an outcome.
    """
    from dnapredict.monitoring.monitor_result import MonitorContext, Watched

    lists, probability = extract.lists, extract.probability
    if not lists.has_outcome.any():
        raise no_outcome(extract.source)
    config = setting.training if stored is None else stored.manifest.provenance.config
    inputs, compared = _compared(extract, stored)
    _, week = weeks_of(lists.matrix.table["starts_local"])
    settled = in_settled_weeks(week, recorded=lists.has_outcome | lists.cancelled, probability=probability)
    watched = Watched(
        audit_inputs.audited(
            lists.take(settled),
            probability[settled],
            outcomes=LabelRule(config.dna_codes),
            worklist=worklist_config(registry.home),
            refused=extract.refused,
        ),
        pa.table({"starts_at": lists.matrix.table["starts_local"], "probability": pa.array(probability)}),
        _inputs(lists, stored),
        inputs,
        audited=_audited_levels(registry, version),
    )
    return watched, MonitorContext(
        model=extract.risks_of,
        source=extract.source,
        reference=compared,
        created_at=datetime.datetime.now(ZoneInfo(setting.mapping.timezone)),
        synthetic=extract.synthetic or bool(stored and stored.manifest.provenance.synthetic),
        rule=policy.disclosure,
    )


def _read(
    path: Path,
    *,
    setting: Setting,
    stored: StoredModel | None,
    registry: Registry,
    policy: Policy,
    scores: Path | None,
    risks_of: str,
    say: Say | None,
) -> MonitoredExtract:
    config = setting.training if stored is None else stored.manifest.provenance.config
    outcomes, factors = LabelRule(config.dna_codes), stored.model.factors if stored else ()
    with Workspace() as workspace:
        checked = sound_extract(path, setting, workspace)
        checked, filled = with_recorded_calls(checked, registry.home, workspace)
        if filled and say is not None:
            say(filled)
        audit_inputs.warn_of_unknown_values(checked, workspace, policy, say)
        if not audit_inputs.rows_expected(checked, None, workspace):
            raise no_outcome(path.name)
        columns = tuple(dict.fromkeys((*audit_inputs.EXTRA_COLUMNS, *input_names(stored))))
        points = checked.rows
        references: Mapping[str, InputReference] = {}
        if stored is not None:
            references = _references(checked, stored, workspace)
            test_from = stored.manifest.provenance.test_from
            points = audit_inputs.since_monday(checked.rows, workspace, of=test_from)
        matrix = matrix_in_file(checked, config, points, factors=factors, extra_columns=columns, workspace=workspace)
        knows = audit_inputs.knows_cancellations(checked, workspace)
    lists = PastLists.of(matrix, outcomes=outcomes, knows_cancellations=knows)
    if stored is not None:
        lists = audit_inputs.not_trained_on(lists, stored, source=path.name)
    lists, probability = _with_risks(lists, checked, stored, scores)
    return MonitoredExtract(
        path.name,
        risks_of,
        table_file.is_synthetic(path),
        lists,
        probability,
        checked.opt_outs,
        references,
    )


def _with_risks(
    lists: PastLists, checked: Checked, stored: StoredModel | None, scores: Path | None
) -> tuple[PastLists, Floats]:
    """The appointments that have a risk, by the model or in the file, and their risks."""
    matrix = lists.matrix
    if stored is not None:
        return lists, stored.model.probability(matrix.values, sites=matrix.table["site_code"].to_pylist())
    ids = matrix.table["appointment_id"]
    known = (ids, checked.rejected["appointment_id"])
    nobody = np.zeros(len(lists.has_outcome), dtype=bool)
    probability = vendor_scores(scores, ids, required=nobody, known=known)
    scored = ~np.isnan(probability)
    return lists.take(scored), probability[scored]


def _references(checked: Checked, stored: StoredModel, workspace: Workspace) -> Mapping[str, InputReference]:
    """The inputs of the appointments before the test period, which need nothing but a row."""
    clock = Clock.of(stored.manifest.provenance.config)
    with reference_inputs(stored) as earlier:
        rows = f"FROM {checked.rows.get_name()} WHERE starts_local < TIMESTAMP '{earlier.until}'"
        factors, present = row_factors(stored.model.factors), set(checked.rows.columns)
        columns = tuple(name for name in earlier.columns if name in present)
        asked = own_question(workspace.view(rows), factors=factors, clock=clock, extra_columns=columns)
        for part in workspace.stream(asked, rows=_ROWS_AT_ONCE):
            earlier.keep(part)
        return earlier.references(outcomes=LabelRule(stored.manifest.provenance.config.dna_codes))


def reference_inputs(stored: StoredModel) -> ReferenceInputs:
    """Where the inputs of the appointments before a model's test period are collected."""
    return ReferenceInputs(stored.manifest.provenance.test_from, input_names(stored))


def no_outcome(source: str) -> DataError:
    """The error about an extract of which nothing can be watched yet."""
    return DataError(f"{source}: no scored appointment has an outcome yet. Give an extract of a later day.")


def _inputs(lists: PastLists, stored: StoredModel | None) -> pa.Table:
    """The columns of the contract, and the model's factors that need nothing else.

    Factors from the past or from other bookings rise as an extract grows longer, with the same patients and clinics.
    """
    table = lists.matrix.table
    return table.select([name for name in input_names(stored) if name in table.column_names])


def input_names(stored: StoredModel | None) -> tuple[str, ...]:
    """The names of the columns that are watched: factors of the row alone, and columns of the contract."""
    factors = () if stored is None else stored.model.factors
    return tuple(dict.fromkeys((*row_factors(factors), *_WATCHED_COLUMNS)))


def row_factors(factors: Sequence[str]) -> tuple[str, ...]:
    """The factors that need nothing but the row."""
    return tuple(name for name in factors if columns_read([name]) <= _OF_A_ROW)


def _compared(extract: MonitoredExtract, stored: StoredModel | None) -> tuple[Mapping[str, InputReference], str]:
    """The reference of each input, and a sentence that says what it is."""
    if extract.references:
        return extract.references, "Compared with the appointments before the model's test period."
    starts = extract.lists.matrix.table["starts_local"]
    return references_of(first_weeks(_inputs(extract.lists, stored), starts)), _FIRST_WEEKS


def _audited_levels(registry: Registry, version: str | None) -> AuditedLevels:
    """What the version's last audit found of the level of each group; nothing where it has none."""
    folder = None if version is None else registry.report(version)
    if folder is None:
        return AuditedLevels()
    figures = json.loads((folder / FIGURES).read_text(encoding="utf-8"))
    tables = {"all": {"rows": [figures["overall"]]}} | figures["groupings"]
    ratios = {
        (grouping, row["group"]["code"]): float(row["observed_over_expected"]["value"])
        for grouping, table in tables.items()
        for row in table["rows"]
        if row.get("observed_over_expected")
    }
    return AuditedLevels(datetime.date.fromisoformat(figures["context"]["window"][1]), ratios)

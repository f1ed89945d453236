"""Inputs of the audit: groups, outcomes, risks and calls of each appointment, and their source."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dnapredict.config.fairness_policy import Policy
from dnapredict.config.training_config import ATTENDANCE_CODES, TrainingConfig
from dnapredict.config.worklist_config import WorklistConfig
from dnapredict.data.contract.columns import NAMES
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.readers import table_file
from dnapredict.data.validation.checked import Checked
from dnapredict.errors import DataError
from dnapredict.fairness import AuditData, ReportContext
from dnapredict.fairness.measure.audited_appointments import CALLED_BY, GROUP_COLUMNS
from dnapredict.fairness.publish.change_since import previous_audit
from dnapredict.fairness.study import Study, study
from dnapredict.features.matrix import PAST_APPOINTMENTS, Matrix
from dnapredict.features.scoring_clock import LabelRule
from dnapredict.model.artefact import StoredModel
from dnapredict.model.cohort import patient_codes
from dnapredict.pipeline.run_inputs import code_revision
from dnapredict.worklist.plan.allocation import RULES, Rule, allocated
from dnapredict.worklist.plan.ranking import select_by_week

# Contract columns with a patient's groups; the audit reads them, no factor does.
_GROUPS = tuple(name for name in GROUP_COLUMNS if name in NAMES and name != "outcome_code")
EXTRA_COLUMNS = ("patient_id", "starts_at", "starts_local", "outcome_code", *_GROUPS)


_ALLOCATION_TEXT: dict[Rule, str] = {
    "global": "those most likely to miss",
    "proportionate": "shared between areas by need, those most likely to miss first",
    "floor": "those most likely to miss, with a floor for each fifth of deprivation",
}


def not_trained_on(matrix: Matrix, stored: StoredModel, *, source: str) -> Matrix:
    """The appointments since the start of the model's test period, which its training did not see.

    Raises
    ------
    DataError
        If there is none.
    """
    test_from = stored.manifest.provenance.test_from
    later = pc.greater_equal(matrix.table["starts_local"], pa.scalar(test_from, pa.date32()).cast(pa.timestamp("us")))
    kept = matrix.table.filter(later)
    if kept.num_rows == 0:
        raise DataError(
            f"{source}: holds no outcome since {test_from:%d %B %Y}, where this model's training ended. "
            "A model is audited on later appointments than it has seen: give a newer extract."
        )
    return Matrix(kept, matrix.factors)


def rows_expected(checked: Checked, stored: StoredModel | None, workspace: Workspace) -> int:
    """The number of attended or missed appointments that an audit must have, counted before any join."""
    since = "" if stored is None else f"AND starts_local >= DATE '{stored.manifest.provenance.test_from}'"
    codes = ", ".join(f"'{code}'" for code in ATTENDANCE_CODES)
    sql = f"SELECT count(*) AS n FROM {checked.rows.get_name()} WHERE outcome_code IN ({codes}) {since}"
    return int(workspace.fetch(sql)["n"][0].as_py())


def audited(
    matrix: Matrix,
    probability: NDArray[np.float64],
    *,
    outcomes: LabelRule,
    worklist: WorklistConfig,
    live: NDArray[np.float64] | None = None,
) -> AuditData:
    """Outcomes, risks, groups, and weekly selections of each appointment.

    Parameters
    ----------
    live : (n,) float, optional
        Risks by the current champion, whose list is compared with that of the audited model.

    Raises
    ------
    NoEventsError
        If nobody missed an appointment.
    """
    table = matrix.table
    selected = _selected(probability, table, worklist)
    computed = {
        "patient": pa.array(patient_codes(table["patient_id"])),
        "dna": pc.is_in(table["outcome_code"], pa.array(outcomes.dna_codes)),
        "probability": pa.array(probability),
        "selected": selected[worklist.allocation],
        "n_past": table[PAST_APPOINTMENTS],
    }
    computed |= {f"{CALLED_BY}{rule}": called for rule, called in selected.items()}
    if live is not None:
        computed["live_selected"] = _selected(live, table, worklist)[worklist.allocation]
    # Months and the first and last day of a report are those of the clinic's clock.
    kept = {"starts_at": table["starts_local"], **{name: table[name] for name in ("outcome_code", *_GROUPS)}}
    return AuditData.of(pa.table(computed | kept))


def _selected(
    probability: NDArray[np.float64], table: pa.Table, worklist: WorklistConfig
) -> dict[Rule, NDArray[np.bool_]]:
    """The selection under each allocation rule; by risk only if there are no deciles."""
    starts = table["starts_local"].to_numpy()
    decile = table["imd_decile"].cast("float64").to_numpy()
    rules = RULES if np.isfinite(decile).any() else (worklist.allocation,)
    return {
        rule: select_by_week(
            probability, decile, starts_at=starts, config=worklist.model_copy(update={"allocation": rule})
        )
        for rule in rules
    }


def studied(
    appointments: AuditData,
    factors: NDArray[np.float64] | None,
    *,
    policy: Policy,
    worklist: WorklistConfig,
    seed: int,
) -> Study:
    """The study of methods for a fairer list, with this trust's allocation rules.

    Raises
    ------
    NoEventsError
        If too few missed an appointment to fit and evaluate a model.
    """

    def allocate(risk: NDArray[np.float64], decile: NDArray[np.float64], calls: int, rule: Rule) -> NDArray[np.bool_]:
        return allocated(risk, decile, calls=calls, rule=rule, floor_share=worklist.floor_share)

    return study(appointments, factors=factors, allocate=allocate, policy=policy, seed=seed)


def previous_figures(named: Path | None, *, out: Path, kept: Path | None) -> dict[str, Any] | None:
    """The figures of the previous audit: the named one, else the kept one, else the one that will be replaced.

    Raises
    ------
    UsageError
        If the named one is no report.
    """
    if named is not None:
        return previous_audit(named)
    folders = (folder for folder in (kept, out) if folder is not None and (folder / "audit.json").is_file())
    first = next(folders, None)
    return None if first is None else previous_audit(first)


@dataclass(frozen=True)
class Origin:
    """The source of an audit's numbers: the extract, and a stored model of the home or a file of scores.

    `timezone` is that of the clinics.
    """

    path: Path
    config: TrainingConfig
    worklist: WorklistConfig
    stored: StoredModel | None
    version: str | None
    scores: Path | None
    timezone: str


def context(appointments: AuditData, origin: Origin, *, previous: Mapping[str, Any] | None, rows: int) -> ReportContext:
    """The source of the report's numbers; `rows` is how many appointments it must have."""
    stored, scores, worklist = origin.stored, origin.scores, origin.worklist
    days = appointments.table["starts_at"].to_numpy().astype("datetime64[D]")
    share = f"{worklist.capacity_share * 100:g} of every 100 appointments of each week"
    calls = f"{worklist.capacity:,} appointments of each week" if worklist.capacity else share
    return ReportContext(
        model_version=str(origin.version) if scores is None else f"scores of {scores.name}",
        model_sha256=stored.digest if stored else table_file.sha256(scores) if scores else "",
        data_sha256=table_file.sha256(origin.path),
        window=(days.min().item(), days.max().item()),
        capacity=f"{calls}, {_ALLOCATION_TEXT[worklist.allocation]}",
        code_revision=code_revision(),
        synthetic=table_file.is_synthetic(origin.path) or bool(stored and stored.manifest.provenance.synthetic),
        seed=origin.config.seed,
        created_at=datetime.datetime.now(ZoneInfo(origin.timezone)),
        rows_expected=rows,
        previous=previous,
        allocation=worklist.allocation,
    )

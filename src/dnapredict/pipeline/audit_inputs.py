"""Inputs of the audit: groups, outcomes, risks and calls of each appointment, and their source."""

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dnapredict.config.fairness_policy import Policy
from dnapredict.config.training_config import ATTENDANCE_CODES, TrainingConfig
from dnapredict.config.worklist_config import WorklistConfig
from dnapredict.data.contract.calendar_weeks import monday_of, week_of
from dnapredict.data.contract.columns import NAMES
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.engine.portable_sql import SqlEngine
from dnapredict.data.readers import table_file
from dnapredict.data.system_clock import utc_now
from dnapredict.data.validation.checked import NO_OPT_OUTS, CheckedExtract
from dnapredict.errors import DataError
from dnapredict.fairness import AuditData, ReportContext
from dnapredict.fairness.measure.audited_appointments import CALLED_BY, GROUP_COLUMNS
from dnapredict.fairness.measure.coverage import Coverage
from dnapredict.fairness.publish.change_since import previous_audit
from dnapredict.fairness.study import Study, study
from dnapredict.features.matrix import LEAD_DAYS, PAST_APPOINTMENTS
from dnapredict.features.scoring_clock import LabelRule
from dnapredict.model.artefact import StoredModel
from dnapredict.model.cohort import patient_codes, patient_halves
from dnapredict.pipeline.audited_lists import CANCELLED_CODES, LIST_COLUMNS, PastLists, capacity_phrase, replayed
from dnapredict.pipeline.run_inputs import code_revision
from dnapredict.quality.published_figures import unknown_value_sentences
from dnapredict.registry.tested_appointments import ATTENDED, MISSED, RecordedOutcomes
from dnapredict.worklist.plan.allocation import Rule
from dnapredict.worklist.plan.call_assignment import allocated

# Contract columns with a patient's groups; the audit reads them, no factor does.
_GROUPS = tuple(name for name in GROUP_COLUMNS if name in NAMES and name != "outcome_code")
EXTRA_COLUMNS = tuple(dict.fromkeys(("starts_at", *LIST_COLUMNS, "contacted", "trial_arm", *_GROUPS)))


def not_trained_on(lists: PastLists, stored: StoredModel, *, source: str) -> PastLists:
    """The appointments since the start of the model's test period, which its training did not see.

    Raises
    ------
    DataError
        If none of them has an outcome.
    """
    test_from = stored.manifest.provenance.test_from
    starts = lists.matrix.table["starts_local"]
    later = lists.take(pc.greater_equal(starts, pa.scalar(test_from, pa.date32()).cast(pa.timestamp("us"))).to_numpy())
    if not later.has_outcome.any():
        raise DataError(
            f"{source}: holds no outcome since {test_from:%d %B %Y}, where this model's training ended. "
            "A model is audited on later appointments than it has seen: give a newer extract."
        )
    return later


def since_monday(rows: ir.Table, workspace: Workspace, *, of: datetime.date) -> ir.Table:
    """The rows since the Monday on or before a day, so that the lists of a week stay whole."""
    return workspace.view(f"FROM {rows.get_name()} WHERE starts_local >= TIMESTAMP '{monday_before(of)}'")


def monday_before(day: datetime.date) -> datetime.date:
    """The Monday on or before a day."""
    monday = monday_of(week_of(np.array(day, dtype="datetime64[D]")))
    return datetime.date.fromisoformat(str(monday.astype("datetime64[D]")))


def knows_cancellations(checked: CheckedExtract, engine: SqlEngine) -> bool:
    """Whether the extract says of any cancelled appointment when that was recorded; True where none was cancelled."""
    codes = ", ".join(f"'{code}'" for code in CANCELLED_CODES)
    rows = checked.rows.get_name()
    sql = f"SELECT bool_or(recorded_at IS NOT NULL) AS known FROM {rows} WHERE outcome_code IN ({codes})"
    return engine.fetch(sql)["known"][0].as_py() is not False


def rows_expected(checked: CheckedExtract, stored: StoredModel | None, engine: SqlEngine) -> int:
    """The number of attended or missed appointments that an audit must have, counted before any join."""
    since = "" if stored is None else f"AND starts_local >= DATE '{stored.manifest.provenance.test_from}'"
    codes = ", ".join(f"'{code}'" for code in ATTENDANCE_CODES)
    sql = f"SELECT count(*) AS n FROM {checked.rows.get_name()} WHERE outcome_code IN ({codes}) {since}"
    return int(engine.fetch(sql)["n"][0].as_py())


def audited(
    lists: PastLists,
    probability: NDArray[np.float64],
    *,
    outcomes: LabelRule,
    worklist: WorklistConfig,
    live: NDArray[np.float64] | None = None,
    refused: pa.Table = NO_OPT_OUTS,
) -> AuditData:
    """Outcomes, risks, groups, and who would have been called, of each appointment with an outcome.

    Parameters
    ----------
    probability : (n,) float
        The risk of each appointment on the lists.
    live : (n,) float, optional
        Risks by the current champion, whose list is compared with that of the audited model.
    refused
        Opt-outs of refused rows (`Checked.opt_outs`).

    Raises
    ------
    NoEventsError
        If nobody missed an appointment.
    """
    has_outcome = lists.has_outcome
    table = lists.judged.table
    called = replayed(lists, probability, worklist=worklist, refused=refused)
    computed = {
        "patient": pa.array(patient_codes(table["patient_id"])),
        "dna": pc.is_in(table["outcome_code"], pa.array(outcomes.dna_codes)),
        "probability": pa.array(probability[has_outcome]),
        "selected": called[worklist.allocation][has_outcome],
        "n_past": table[PAST_APPOINTMENTS],
        "lead_days": table[LEAD_DAYS],
        "patient_half": pa.array(patient_halves(table["patient_id"], table["appointment_id"])),
    }
    computed |= {f"{CALLED_BY}{rule}": rows[has_outcome] for rule, rows in called.items()}
    if live is not None:
        rules = (worklist.allocation,)
        of_live = replayed(lists, live, worklist=worklist, rules=rules, refused=refused)
        computed["live_selected"] = of_live[worklist.allocation][has_outcome]
    # Months and the first and last day of a report are those of the clinic's clock.
    kept = {"starts_at": table["starts_local"], **{name: table[name] for name in ("outcome_code", *_GROUPS)}}
    return AuditData.of(pa.table(computed | kept))


def recorded_outcomes(lists: PastLists, *, outcomes: LabelRule) -> RecordedOutcomes:
    """The labelled appointments of an audit, to be held against those that the model was tested on."""
    table = lists.judged.table
    missed = pc.is_in(table["outcome_code"], pa.array(outcomes.dna_codes)).to_numpy()
    return RecordedOutcomes(
        appointment=table["appointment_id"],
        outcome=np.where(missed, MISSED, ATTENDED).astype(np.int8),
        day=table["starts_local"].to_numpy().astype("datetime64[D]"),
        groups=table.select(list(_GROUPS)),
    )


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


def previous_figures(
    named: Path | None, *, out: Path, kept: Path | None, require: Callable[[Path], None] = lambda _: None
) -> dict[str, Any] | None:
    """The figures of the previous audit: the named one, else the kept one, else the one that will be replaced.

    `require` refuses a named one that the registry does not know.

    Raises
    ------
    UsageError
        If the named one is no report.
    """
    if named is not None:
        figures = previous_audit(named)
        require(named if named.is_dir() else named.parent)
        return figures
    folders = (folder for folder in (kept, out) if folder is not None and (folder / "audit.json").is_file())
    first = next(folders, None)
    return None if first is None else previous_audit(first)


@dataclass(frozen=True)
class Origin:
    """The source of an audit's numbers: the extract, and a stored model of the home or a file of scores.

    `data_sha256` is a digest of the extract, and `synthetic` says that its patients are made up. `timezone` is that of
    the clinics.
    """

    data_sha256: str
    synthetic: bool
    config: TrainingConfig
    worklist: WorklistConfig
    stored: StoredModel | None
    version: str | None
    scores: Path | None
    timezone: str


def context(
    appointments: AuditData,
    origin: Origin,
    *,
    previous: Mapping[str, Any] | None,
    rows: int,
    assumed: tuple[str, ...] = (),
    opted_out: str = "",
    coverage: Coverage | None = None,
) -> ReportContext:
    """The source of the report's numbers.

    `rows` is how many appointments it must have, `assumed` the assumptions of the replay of the lists,
    `opted_out` the sentence on patients who asked not to be called.
    """
    stored, scores, worklist = origin.stored, origin.scores, origin.worklist
    days = appointments.table["starts_at"].to_numpy().astype("datetime64[D]")
    return ReportContext(
        model_version=str(origin.version) if scores is None else f"scores of {scores.name}",
        model_sha256=stored.digest if stored else table_file.sha256(scores) if scores else "",
        data_sha256=origin.data_sha256,
        window=(days.min().item(), days.max().item()),
        capacity=capacity_phrase(worklist),
        assumptions=assumed,
        opted_out=opted_out,
        code_revision=code_revision(),
        synthetic=origin.synthetic or bool(stored and stored.manifest.provenance.synthetic),
        seed=origin.config.seed,
        created_at=utc_now().astimezone(ZoneInfo(origin.timezone)),
        rows_expected=rows,
        previous=previous,
        allocation=worklist.allocation,
        coverage=coverage,
    )


def warn_of_unknown_values(
    checked: CheckedExtract, engine: SqlEngine, policy: Policy, say: Callable[[str], None] | None
) -> None:
    """Pass sentences on values that no code list has to `say`: these people are in the group "not known"."""
    if say is not None:
        for sentence in unknown_value_sentences(checked, engine, rule=policy.disclosure):
            say(f"WARNING: {sentence}")

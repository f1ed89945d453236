"""The counts of an audit on Apache Spark: executors score, plan and count; one set of counts comes to the driver.

The appointments of a patient are counted together, as an audit of several trusts counts each trust's
(`AuditCounts.__add__`). The calls of the lists are planned by one task, since each list follows from the calls of the
lists before it; it gets the columns of the plan and no factor.
"""

import datetime
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dnapredict.config.fairness_policy import Policy
from dnapredict.config.training_config import ATTENDANCE_CODES, Setting, TrainingConfig
from dnapredict.config.worklist_config import WorklistConfig
from dnapredict.data.engine.spark_engine import SparkEngine, arrow_schema, spark_engine, without_zones
from dnapredict.data.readers.csv_dialect import ROW_NUMBER
from dnapredict.data.readers.frames import SYNTHETIC_KEY
from dnapredict.data.validation.spark_check import CheckedOnSpark, refused_opt_outs
from dnapredict.errors import NoEventsError, UsageError
from dnapredict.fairness import ReportContext
from dnapredict.fairness.measure.audited_appointments import CALLED_BY, AuditData
from dnapredict.features.matrix import LEAD_DAYS, PAST_APPOINTMENTS, Matrix
from dnapredict.features.scoring_clock import Clock, LabelRule
from dnapredict.features.spark_features import spark_factors, spark_past
from dnapredict.model.artefact import StoredModel
from dnapredict.model.artefact import load as load_model
from dnapredict.model.cohort import patient_codes, patient_halves
from dnapredict.pipeline import audit_inputs
from dnapredict.pipeline.audited_lists import (
    CANCELLED,
    LIST_COLUMNS,
    ListFacts,
    PastLists,
    assumptions,
    opted_out_phrase,
    replayed,
)
from dnapredict.pipeline.run_inputs import worklist_config
from dnapredict.pipeline.spark_verbs import rows_on_spark, sound_on_spark, source_name
from dnapredict.registry import CHAMPION, Registry
from dnapredict.registry.audit_book import AuditBook
from dnapredict.worklist.follow_up.outcome_store import OutcomeStore
from dnapredict.worklist.plan.allocation import RULES
from dnapredict.worklist.spark_scoring import ModelFiles

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from dnapredict.data.engine.spark_engine import SparkFrame
    from dnapredict.fairness.measure.audit_counts import AuditCounts

Counts = TypeVar("Counts")
# Appointments that one task counts; more tasks than these need cost time alone.
_ROWS_OF_A_TASK: Final = 500_000
# Counts travel in parts, so that a driver may receive them whatever its cluster allows.
_BYTES_OF_A_PART: Final = 2**24
_PARTS: Final = pa.schema([("part", pa.int64()), ("content", pa.binary())])
_FACTS: Final = ("has_outcome", "cancelled", "opted_out")
_PLAN: Final = pa.schema(
    [
        (ROW_NUMBER, pa.int64()),
        *((name, pa.bool_()) for name in (*_FACTS, "selected", "live_selected")),
        *((f"{CALLED_BY}{rule}", pa.bool_()) for rule in RULES),
    ]
)


@dataclass(frozen=True)
class AuditedModel:
    """A model whose calls are replayed: its files, and its configuration."""

    files: ModelFiles
    config: TrainingConfig

    @classmethod
    def of(cls, folder: Path, stored: StoredModel) -> "AuditedModel":
        """A stored model and the folder of its files."""
        return cls(ModelFiles.of(folder, stored.digest), stored.manifest.provenance.config)

    @property
    def outcomes(self) -> LabelRule:
        """Which outcome codes count as missed."""
        return LabelRule(self.config.dna_codes)


@dataclass(frozen=True)
class CountedExtract:
    """The counts of an audit with their provenance; `outcomes` are the codes that count as missed."""

    counts: "AuditCounts"
    context: ReportContext
    model_digest: str
    outcomes: tuple[str, ...]


def count_extract_on_spark(
    source: "str | SparkFrame",
    *,
    setting: Setting,
    policy: Policy,
    book: AuditBook,
    model: str,
    say: Callable[[str], None] | None = None,
) -> CountedExtract:
    """Count an extract for the audit of a model of the home; see `pipeline.pooling.audit_counts_on_spark`."""
    registry = book.registry
    version = registry.version_of(model)
    stored = load_model(registry.folder(version))
    provenance = stored.manifest.provenance
    provenance.require_release(setting.mapping.geography.imd_release or "")
    _refuse_calls_of_home(registry.home)
    audited = AuditedModel.of(registry.folder(version), stored)
    worklist = worklist_config(registry.home)
    with spark_engine() as engine:
        rows = rows_on_spark(engine, source)
        name = source_name(source, "extract")
        checked = sound_on_spark(rows, engine, setting=setting, source=name)
        audit_inputs.warn_of_unknown_values(checked, engine, policy, say)
        found = count_on_spark(
            checked,
            engine,
            model=audited,
            live=_live_model(registry, stored),
            worklist=worklist,
            policy=policy,
            source=name,
        )
        origin = audit_inputs.Origin(
            engine.digest(rows, number=ROW_NUMBER),
            engine.every_file_says(rows, SYNTHETIC_KEY, "true"),
            provenance.config,
            worklist,
            stored=stored,
            version=version,
            scores=None,
            timezone=setting.mapping.timezone,
        )
    context = audit_inputs.context(
        found.window,
        origin,
        previous=None,
        rows=found.rows_expected,
        assumed=assumptions(found.facts, worklist, policy.disclosure),
        opted_out=opted_out_phrase(found.facts, policy.disclosure),
    )
    return CountedExtract(found.counts, context, stored.digest, tuple(provenance.config.dna_codes))


def _refuse_calls_of_home(home: Path) -> None:
    if OutcomeStore(home).exists:
        raise UsageError(
            "This home keeps who was called by its lists, which executors cannot read, and outcomes after a call are "
            "weighted by all other rows of the audit. Count this extract with --engine duckdb."
        )


def _live_model(registry: Registry, stored: StoredModel) -> AuditedModel | None:
    """The model in use, where it is another than the audited one."""
    if not registry.has(CHAMPION):
        return None
    folder = registry.folder(CHAMPION)
    live = load_model(folder)
    return None if live.digest == stored.digest else AuditedModel.of(folder, live)


@dataclass(frozen=True)
class SparkAuditCounts:
    """The counts of an audit and what its report says of the lists.

    Attributes
    ----------
    window
        The first and the last local day of the appointments that were counted.
    rows_expected
        Attended and missed appointments, counted before any join.
    """

    counts: "AuditCounts"
    window: tuple[datetime.date, datetime.date]
    rows_expected: int
    facts: ListFacts


def count_on_spark(
    checked: CheckedOnSpark,
    engine: SparkEngine,
    *,
    model: AuditedModel,
    live: AuditedModel | None,
    worklist: WorklistConfig,
    policy: Policy,
    source: str,
) -> SparkAuditCounts:
    """Count the appointments since the start of the model's test period, as `fairness.measure.audit_counts.count`.

    Parameters
    ----------
    live
        The model in use, where it is another one: its calls are compared.

    Raises
    ------
    DataError
        If none of them has an outcome.
    NoEventsError
        If none was missed.
    UsageError
        If a patient was called, or a trial of calls ran: outcomes after a call are weighted by all others.
    """
    stored = model.files.loaded()
    since = stored.manifest.provenance.test_from
    points = checked.rows.filter(checked.rows.starts_local >= ibis.literal(since).cast("timestamp"))
    _refuse_called(points, engine)
    scored = _scored(points, checked, engine, model=model, name="probability")
    if live is not None:
        risks = _scored(points, checked, engine, model=live, name="live").select(ROW_NUMBER, "live")
        scored = engine.keep(scored.join(risks, ROW_NUMBER))
    plan = _planned(
        scored, engine, model=model, worklist=worklist, refused=refused_opt_outs(checked, engine), source=source
    )
    judged = scored.inner_join(plan.filter(plan.has_outcome).drop(*_FACTS), ROW_NUMBER)
    first, last, rows = _facts_of(judged, engine)
    counts = _counted(judged, engine, outcomes=model.outcomes, policy=policy, live=live is not None, rows=rows)
    if not counts.everyone.missed:
        raise NoEventsError("audit: no labelled appointment was missed, so reach cannot be estimated.")
    return SparkAuditCounts(counts, (first, last), _expected(points, engine), _list_facts(plan, checked, engine))


def _refuse_called(points: "ir.Table", engine: SparkEngine) -> None:
    called = points.filter(points.contacted.fill_null(False) | points.trial_arm.notnull())
    if engine.count(called):
        raise UsageError(
            "--engine spark: some patients were called, or a trial of calls ran (contacted, trial_arm), and outcomes "
            "after a call are weighted by all other rows of the audit. Count this extract with --engine duckdb."
        )


def _scored(
    points: "ir.Table", checked: CheckedOnSpark, engine: SparkEngine, *, model: AuditedModel, name: str
) -> "ir.Table":
    """The points with their risk as the column `name`, and the columns of the audit without the factors."""
    stored, clock = model.files.loaded(), Clock.of(model.config)
    kept = (*audit_inputs.EXTRA_COLUMNS, "appointment_id", "scored_at", LEAD_DAYS, PAST_APPOINTMENTS, ROW_NUMBER)
    factors = spark_factors(
        points,
        spark_past(checked.rows, engine, clock=clock),
        factors=stored.model.factors,
        clock=clock,
        outcomes=model.outcomes,
        extra_columns=tuple(each for each in audit_inputs.EXTRA_COLUMNS if each != "appointment_id"),
    )
    frame = without_zones(engine.frame(factors))
    given = arrow_schema(frame)
    schema = pa.schema([*(given.field(each) for each in dict.fromkeys(kept)), (name, pa.float64())])
    return engine.keep(engine.map_tables(frame, partial(_risks, files=model.files, schema=schema), schema))


def _risks(tables: Iterable[pa.Table], *, files: ModelFiles, schema: pa.Schema) -> Iterator[pa.Table]:
    """The risk of each row of each table, as its last column; this runs on the executors."""
    model = files.loaded().model
    for table in tables:
        risk = model.probability(Matrix(table, model.factors).values, sites=table["site_code"].to_pylist())
        yield table.append_column(schema.names[-1], pa.array(risk)).select(schema.names)


def _planned(
    scored: "ir.Table",
    engine: SparkEngine,
    *,
    model: AuditedModel,
    worklist: WorklistConfig,
    refused: pa.Table,
    source: str,
) -> "ir.Table":
    """Which appointments were on a list, and who would have been called: `_PLAN`."""
    read = (ROW_NUMBER, "scored_at", "probability", *LIST_COLUMNS, *_live(scored))
    plan = partial(_plan, model=model, worklist=worklist, refused=refused, source=source)
    frame = engine.frame(scored.select(*dict.fromkeys(read))).coalesce(1)
    return engine.keep(engine.map_tables(frame, plan, _PLAN))


def _plan(
    tables: Iterable[pa.Table], *, model: AuditedModel, worklist: WorklistConfig, refused: pa.Table, source: str
) -> Iterator[pa.Table]:
    """The plan of all lists; this runs on one executor."""
    rows = list(tables)
    if not rows:
        raise audit_inputs.no_outcome_since(model.files.loaded(), source=source)
    lists = PastLists.of(Matrix(pa.concat_tables(rows), ()), outcomes=model.outcomes)
    lists = audit_inputs.not_trained_on(lists, model.files.loaded(), source=source)
    table = lists.matrix.table
    called = replayed(lists, table["probability"].to_numpy(), worklist=worklist, refused=refused)
    columns: dict[str, Any] = {
        ROW_NUMBER: table[ROW_NUMBER],
        "has_outcome": lists.has_outcome,
        "cancelled": lists.cancelled,
        "opted_out": lists.opted_out(worklist, refused=refused),
        "selected": called[worklist.allocation],
    }
    if "live" in table.column_names:
        live, rules = table["live"].to_numpy(), (worklist.allocation,)
        columns["live_selected"] = replayed(lists, live, worklist=worklist, rules=rules, refused=refused)[rules[0]]
    columns |= {f"{CALLED_BY}{rule}": rows for rule, rows in called.items()}
    absent = {field.name: pa.nulls(table.num_rows, field.type) for field in _PLAN if field.name not in columns}
    yield pa.table(columns | absent).select(_PLAN.names)


def _live(scored: "ir.Table") -> tuple[str, ...]:
    return ("live",) if "live" in scored.columns else ()


def _facts_of(judged: "ir.Table", engine: SparkEngine) -> tuple[datetime.date, datetime.date, int]:
    found = engine.fetch(
        judged.agg(first=judged.starts_local.date().min(), last=judged.starts_local.date().max(), rows=judged.count())
    )
    row = found.to_pylist()[0]
    return row["first"], row["last"], int(row["rows"])


def _expected(points: "ir.Table", engine: SparkEngine) -> int:
    return engine.count(points.filter(points.outcome_code.isin(list(ATTENDANCE_CODES))))


def _list_facts(plan: "ir.Table", checked: CheckedOnSpark, engine: SparkEngine) -> ListFacts:
    counted = plan.agg(
        cancelled=plan.cancelled.sum().fill_null(0),
        unrecorded=(~plan.has_outcome & ~plan.cancelled).sum().fill_null(0),
        opted_out=plan.opted_out.sum().fill_null(0),
    )
    row = engine.fetch(counted).to_pylist()[0]
    of_lists = checked.rows.filter(checked.rows.outcome_code.isin(list(CANCELLED)))
    found = engine.fetch(of_lists.agg(n=of_lists.count(), recorded=of_lists.recorded_at.count())).to_pylist()[0]
    knows = bool(found["recorded"]) or not found["n"]
    return ListFacts(int(row["cancelled"]), int(row["unrecorded"]), int(row["opted_out"]), knows)


def _counted(
    judged: "ir.Table", engine: SparkEngine, *, outcomes: LabelRule, policy: Policy, live: bool, rows: int
) -> "AuditCounts":
    """The counts of all appointments: each task counts those of some patients, and one adds their counts up."""
    from dnapredict.fairness.pooling.counts_codec import from_json, to_json

    kept = engine.keep(judged)
    count = partial(_count_patients, policy=policy, outcomes=outcomes, filled=_filled(kept, engine, live=live))
    codec: Codec[AuditCounts] = Codec(to_json, from_json)
    return counts_of_patients(kept, engine, rows=rows, count=count, codec=codec)


@dataclass(frozen=True)
class Codec(Generic[Counts]):
    """How counts are written as JSON values and read."""

    to_json: Callable[[Counts], Any]
    from_json: Callable[[Any], Counts]


def counts_of_patients(
    table: "ir.Table", engine: SparkEngine, *, rows: int, count: Callable[[pa.Table], Counts], codec: Codec[Counts]
) -> Counts:
    """The counts of a table of so many `rows`: each task counts some patients, and one adds their counts up.

    Parameters
    ----------
    table
        Has `patient_id` and `appointment_id`; a row without patient counts as one.
    count
        Counts all rows of some patients, on an executor. Counts are added by `+`.
    """
    together = engine.by_key(
        engine.frame(table), "coalesce(patient_id, appointment_id)", tasks=1 + rows // _ROWS_OF_A_TASK
    )
    counted = engine.map_tables(together, partial(_count_task, count=count, codec=codec), _PARTS).coalesce(1)
    parts = engine.keep(engine.map_tables(counted, partial(_add_up, codec=codec, size=engine.bytes_at_once), _PARTS))
    content = b"".join(
        engine.fetch(parts.filter(parts.part == number).select("content"))["content"][0].as_py()
        for number in range(engine.count(parts))
    )
    return codec.from_json(json.loads(content))


def _filled(judged: "ir.Table", engine: SparkEngine, *, live: bool) -> frozenset[str]:
    """The columns with at least one value, since a part of the rows may lack what others have."""
    names = [name for name in judged.columns if name != ROW_NUMBER]
    counts = engine.fetch(judged.agg(**{name: judged[name].count() for name in names})).to_pylist()[0]
    computed = {"lead_days", "n_past", "patient_half", *(("live_selected",) if live else ())}
    return frozenset(name for name in names if counts[name]) | computed


def _count_patients(table: pa.Table, *, policy: Policy, outcomes: LabelRule, filled: frozenset[str]) -> "AuditCounts":
    """The counts of the patients of a task; this runs on the executors."""
    from dnapredict.fairness.measure.audit_counts import count

    return count(_audited(table, outcomes, filled), policy)


def _count_task(
    tables: Iterable[pa.Table], *, count: Callable[[pa.Table], Any], codec: Codec[Any]
) -> Iterator[pa.Table]:
    """The counts of the rows of a task, in parts."""
    rows = list(tables)
    if rows:
        yield from _in_parts(codec.to_json(count(pa.concat_tables(rows))), size=_BYTES_OF_A_PART)


def _audited(table: pa.Table, outcomes: LabelRule, filled: frozenset[str]) -> AuditData:
    """The appointments of some patients as the audit reads them (`audit_inputs.audited`)."""
    computed = {
        "patient": pa.array(patient_codes(table["patient_id"])),
        "dna": pc.is_in(table["outcome_code"], pa.array(outcomes.dna_codes)),
        "n_past": table[PAST_APPOINTMENTS],
        "lead_days": table[LEAD_DAYS],
        "patient_half": pa.array(patient_halves(table["patient_id"], table["appointment_id"])),
        "starts_at": table["starts_local"],
    }
    names = ("probability", "selected", "outcome_code", *audit_inputs.GROUPS, *_optional(filled))
    return AuditData(pa.table(computed | {name: table[name] for name in names}).combine_chunks(), filled)


def _optional(filled: frozenset[str]) -> Sequence[str]:
    called = [f"{CALLED_BY}{rule}" for rule in RULES if f"{CALLED_BY}{rule}" in filled]
    return [*called, *(("live_selected",) if "live_selected" in filled else ())]


def _add_up(tables: Iterable[pa.Table], *, codec: Codec[Any], size: int) -> Iterator[pa.Table]:
    """The sum of the counts of all tasks, in parts of `size` bytes; this runs on one executor."""
    total, waiting = None, b""
    for table in tables:
        for part, content in zip(table["part"].to_pylist(), table["content"].to_pylist(), strict=True):
            waiting += content
            if part < 0:  # the last part of a task
                found = codec.from_json(json.loads(waiting))
                total, waiting = found if total is None else total + found, b""
    if total is not None:
        parts = pa.concat_tables(_in_parts(codec.to_json(total), size=size))
        yield parts.set_column(0, "part", pa.array(np.arange(parts.num_rows)))


def _in_parts(value: Any, *, size: int) -> Iterator[pa.Table]:
    """JSON values as text in parts of so many bytes, numbered from 0; the last has the number -1."""
    content = json.dumps(value).encode()
    for number, start in enumerate(range(0, len(content), size)):
        is_last = start + size >= len(content)
        part = [-1 if is_last else number], [content[start : start + size]]
        yield pa.table(dict(zip(_PARTS.names, part, strict=True)), schema=_PARTS)

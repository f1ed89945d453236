"""The verbs on Apache Spark: tables in, tables out, and no row in this process."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dnapredict.config.mapping_config import IDENTITY, Mapping
from dnapredict.config.training_config import Setting
from dnapredict.data.engine.spark_engine import SparkEngine, spark_engine, without_zones
from dnapredict.data.engine.spark_storage import location
from dnapredict.data.files.atomic_write import private_folder
from dnapredict.data.files.drafts import drafted_folder, remove_abandoned_drafts
from dnapredict.data.readers.csv_dialect import ROW_NUMBER
from dnapredict.data.validation.checked import require_sound
from dnapredict.data.validation.spark_check import CheckedOnSpark, check_on_spark, refused_opt_outs
from dnapredict.errors import StoreError, UsageError
from dnapredict.features.factors import factor_register, fed_by
from dnapredict.features.scoring_clock import Clock, LabelRule
from dnapredict.features.spark_features import spark_factors, spark_past
from dnapredict.pipeline.model_building import FACTOR_KEYS
from dnapredict.pipeline.scoring import open_scorer
from dnapredict.registry import Registry
from dnapredict.worklist.calls.known_contacts import RecordedContacts
from dnapredict.worklist.plan.working_days import local_today
from dnapredict.worklist.scorer import Scorer
from dnapredict.worklist.spark_scoring import SCORED_COLUMNS, ListPlan, ModelFiles, score_on_executors, with_plan

if TYPE_CHECKING:
    from dnapredict.data.engine.spark_engine import SparkFrame

    WriteTable = Callable[[SparkFrame], object]

_HANDED_OVER: Final = "rows-from-spark"


@dataclass(frozen=True)
class WrittenFactors:
    """How many appointments have factors in a table, and the names of the factors."""

    rows: int
    factors: tuple[str, ...]


def features_on_spark(source: str, out: str, *, setting: Setting) -> WrittenFactors:
    """Write the agreed factors of every appointment in `source` to the folder of Parquet files `out`.

    Parameters
    ----------
    source
        A Parquet file, a folder of them, or a table of the catalogue.

    Raises
    ------
    DataError
        If it cannot be read, or too many rows break the contract.
    UsageError
        If `out` is `source`, or exists and holds no factors; if Spark, Java or a package is missing.
    StoreError
        If `out` cannot be written, or Spark stops.
    """
    _require_apart(source, out)
    config, register = setting.training, factor_register()
    clock = Clock.of(config)
    with spark_engine() as engine:
        engine.require_replaceable(out, first_columns=FACTOR_KEYS, holds="factors")
        checked = checked_on_spark(engine, source, setting)
        names = tuple(factor.name for factor in fed_by(register, checked.present))
        past = spark_past(checked.rows, engine, clock=clock)
        outcomes = LabelRule(config.dna_codes)
        made = spark_factors(checked.rows, past, engine, factors=names, clock=clock, outcomes=outcomes)
        engine.write(engine.frame(made.select(*FACTOR_KEYS, *names)), out)
        return WrittenFactors(checked.kept, names)


def checked_on_spark(engine: SparkEngine, source: "str | SparkFrame", setting: Setting) -> CheckedOnSpark:
    """The checked rows of an extract; refused where more rows break the contract than the configuration allows."""
    name = source if isinstance(source, str) else "extract"
    return sound_on_spark(rows_on_spark(engine, source), engine, setting=setting, source=name)


def sound_on_spark(rows: "SparkFrame", engine: SparkEngine, *, setting: Setting, source: str) -> CheckedOnSpark:
    """The checked rows of an extract; refused where more rows break the contract than the configuration allows."""
    checked = check_on_spark(rows, engine, mapping=setting.mapping, source=source)
    require_sound(checked, max_rejected_share=setting.training.max_rejected_share, source=source)
    return checked


def source_name(source: "str | SparkFrame", otherwise: str) -> str:
    """What messages and reports call a table: the last part of its path, its name in the catalogue, or `otherwise`."""
    return Path(source).name if isinstance(source, str) else otherwise


def rows_on_spark(engine: SparkEngine, source: "str | SparkFrame") -> "SparkFrame":
    """The numbered rows of a Parquet file, a folder of them, a table of the catalogue, or a data frame."""
    if isinstance(source, str):
        return engine.read(source, number=ROW_NUMBER)
    return engine.adopted(source, number=ROW_NUMBER)


@contextlib.contextmanager
def handover_folder(home: Path) -> Iterator[Path]:
    """A folder in the home for what the executors hand over, which is removed afterwards.

    What a killed process left of one is removed too.

    Raises
    ------
    StoreError
        If the home cannot be written to.
    """
    with contextlib.ExitStack() as stack:
        try:
            remove_abandoned_drafts(private_folder(home), of=_HANDED_OVER)
            folder = stack.enter_context(drafted_folder(home, name=_HANDED_OVER))
        except OSError as error:
            raise StoreError(f"{home}: cannot be written to ({type(error).__name__}).") from None
        yield folder


def _require_apart(source: "str | SparkFrame", out: "str | WriteTable") -> None:
    if isinstance(source, str) and isinstance(out, str) and location(source).rstrip("/") == location(out).rstrip("/"):
        raise UsageError(f"{out}: is the input. Give the output another name.")


@dataclass(frozen=True)
class ScoredTable:
    """How many rows a scored table has, how many of them have an error, and by which model they were scored."""

    rows: int
    rejected: int
    model_version: str
    notices: tuple[str, ...]


def score_on_spark(
    source: "str | SparkFrame",
    out: "str | WriteTable",
    *,
    home: Path,
    mapping: Mapping = IDENTITY,
    history: "str | SparkFrame | None" = None,
    model: str = "champion",
    capacity: int | None = None,
    risks_only: bool = False,
    recorded: RecordedContacts | None = None,
) -> ScoredTable:
    """Write risk, reasons, rank and call of every row of the list `source` to `out`.

    The figures and the plan are those of `pipeline.score_list`. The planned calls are not recorded in the home.

    Parameters
    ----------
    source, history
        A Parquet file, a folder of them, a table of the catalogue, or a data frame. `history` holds past appointments.
    out
        A folder of Parquet files, or a function that gets the scored rows as a data frame and writes them. The data
        frame can be read only until the function returns.
    capacity
        Calls that can be made; by default as configured.
    risks_only
        Whether to leave out the plan of calls: no rank, no selection, no action.
    recorded
        The scoring log, which may know of calls and opt-outs.

    Raises
    ------
    DataError, ConfigurationError, ModelError, GateFailedError, StoreError
        As `pipeline.score_list`; DataError also if a file of the input has changed meanwhile.
    UsageError
        If `out` is `source`, or exists and holds no scores; if the home has a history and none is given; if a trial of
        calls runs; if the home, or a file of opt-outs, says which patients are not called, unless `risks_only`.
    """
    _require_apart(source, out)
    scorer = open_scorer(home, model=model, mapping=mapping, recorded=recorded)
    _refuse_home_that_plans(scorer, has_history=history is not None)
    if not risks_only:
        _refuse_known_patients(scorer)
    scorer.stored.manifest.provenance.require_release(mapping.geography.imd_release or "")
    files = ModelFiles.of(Registry(home).folder(scorer.model_version), scorer.stored.digest)
    with spark_engine() as engine:
        if isinstance(out, str):
            engine.require_replaceable(out, first_columns=SCORED_COLUMNS[:3], holds="scores")
        name = source if isinstance(source, str) else "list"
        checked = check_on_spark(rows_on_spark(engine, source), engine, mapping=mapping, source=name, future=True)
        setting = Setting(mapping, scorer.stored.manifest.provenance.config)
        past = None if history is None else checked_on_spark(engine, history, setting).rows
        scored = score_on_executors(
            checked,
            files,
            history=past,
            config=scorer.worklist,
            model_version=scorer.model_version,
            engine=engine,
        )
        if not risks_only:
            refused, today = refused_opt_outs(checked, engine), local_today(scorer.zone)
            scored = with_plan(scored, checked, ListPlan(scorer.worklist, capacity, refused, today), engine)
        if isinstance(out, str):
            engine.write(scored, out)
        else:
            out(engine.read_whole(without_zones(scored)))
        return ScoredTable(checked.total, checked.total - checked.kept, scorer.model_version, scorer.notices)


def _refuse_home_that_plans(scorer: Scorer, *, has_history: bool) -> None:
    if scorer.trial(local_today(scorer.zone)) is not None:
        raise UsageError(
            "A trial of the calls runs in this home, in which only the plan of a list says which risks may be seen. "
            "Score the list with --engine duckdb."
        )
    if not has_history and scorer.history() is not None:
        raise UsageError(
            "This home has a history of attendance, which executors cannot read. Give the extract of past appointments "
            "with --history, so that no patient counts as new."
        )


def _refuse_known_patients(scorer: Scorer) -> None:
    if scorer.worklist.opt_out_file is not None or (scorer.ledger is not None and scorer.ledger.knows_patients()):
        raise UsageError(
            "This home, or the file of opt-outs in serving/worklist.toml, says of patients whether they are called, "
            "which executors cannot read. Score the list with --engine duckdb, or its risks alone with --risks-only."
        )

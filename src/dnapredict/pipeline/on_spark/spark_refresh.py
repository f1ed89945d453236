"""The history and the outcomes of a home from an extract on Apache Spark.

The executors read and check the extract, and count its outcomes by day and its bookings by minute. They write what the
home keeps of it as Parquet files into a folder of the home, which this process reads part by part: a home is files of
this machine, and its hashes are keyed with a secret that no executor gets.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import ibis.expr.types as ir

from dnapredict.config.service_config import Retention
from dnapredict.config.training_config import Setting
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.engine.spark_engine import SparkEngine, spark_engine
from dnapredict.data.files.atomic_write import close_to_others
from dnapredict.data.validation.spark_check import CheckedOnSpark
from dnapredict.features.booking_context import minute_counts
from dnapredict.features.history import REMEMBERED
from dnapredict.features.rates import daily_counts
from dnapredict.features.scoring_clock import Clock
from dnapredict.features.store.history_store import CountedRows, HistoryStore
from dnapredict.pipeline.in_use.outcome_linkage import (
    EXTRACT_COLUMNS,
    OutcomeSummary,
    bring_back,
    require_scored,
    was_scored,
)
from dnapredict.pipeline.on_spark.spark_verbs import checked_on_spark, handover_folder
from dnapredict.pipeline.scoring import HISTORY, mark_refreshed, newest_history
from dnapredict.worklist.calls.recorded_calls import CallRecords

if TYPE_CHECKING:
    from dnapredict.data.engine.spark_engine import SparkFrame

# What this machine's engine may hold of the rows before it goes to disk.
_MEMORY: Final = "2GB"


def refresh_on_spark(
    source: "str | SparkFrame",
    *,
    home: Path,
    setting: Setting,
    say: Callable[[str], None] | None = None,
    records: CallRecords | None = None,
    retention: Retention = Retention(),  # noqa: B008 - frozen
) -> CheckedOnSpark:
    """Store an extract as the history for scoring, as `pipeline.refresh` does; the files are the same.

    Parameters
    ----------
    source
        A Parquet file, a folder of them, a table of the catalogue, or a data frame.

    Raises
    ------
    DataError
        If the extract cannot be used.
    UsageError
        If Spark, Java or a package is missing.
    StoreError
        If the history cannot be written, the executors and this machine have no disk in common for the home, or Spark
        stops. The history in use stays.
    """
    clock = Clock.of(setting.training)
    with spark_engine() as engine:
        checked = checked_on_spark(engine, source, setting)
        close_to_others(home)
        has_outcomes = was_scored(home, records)
        columns = dict.fromkeys((*REMEMBERED, *(EXTRACT_COLUMNS if has_outcomes else ())))
        with handover_folder(home) as folder, Workspace(memory_limit=_MEMORY) as workspace:
            given = engine.hand_over(checked.rows.select(*columns), folder / "rows", rows=checked.kept)
            rows = workspace.keep(given)
            counted = CountedRows(
                workspace.view(f"SELECT {', '.join(REMEMBERED)} FROM {rows.get_name()}"),
                _counts(daily_counts(checked.rows, clock=clock), engine, workspace, folder / "daily"),
                _counts(_by_minute(checked.rows), engine, workspace, folder / "minutes"),
            )
            engine.require_unchanged()  # before anything of the home is replaced
            mark = newest_history(home)
            HistoryStore.write_counted(counted, home / HISTORY, clock=clock, workspace=workspace, mark=mark)
            mark_refreshed(home)
            if has_outcomes:
                rejected = checked.total - checked.kept
                summary = bring_back(
                    rows, rejected=rejected, home=home, setting=setting, records=records, retention=retention
                )
                for sentence in summary.sentences():
                    (say or (lambda _: None))(sentence)
    return checked


def outcomes_on_spark(
    source: "str | SparkFrame",
    *,
    home: Path,
    setting: Setting,
    records: CallRecords | None = None,
    retention: Retention = Retention(),  # noqa: B008 - frozen
) -> tuple[OutcomeSummary, CheckedOnSpark]:
    """Join an extract to what was scored and called in `home`, as `pipeline.outcomes` does; the store is the same.

    Raises
    ------
    DataError, UsageError, StoreError
        As `refresh_on_spark`; also if nothing was scored in this home yet.
    """
    with spark_engine() as engine:
        checked = checked_on_spark(engine, source, setting)
        require_scored(home, records)
        with handover_folder(home) as folder, Workspace(memory_limit=_MEMORY) as workspace:
            rows = checked.rows.select(*EXTRACT_COLUMNS)
            given = workspace.keep(engine.hand_over(rows, folder / "rows", rows=checked.kept))
            engine.require_unchanged()  # before the outcomes of the home are replaced
            summary = bring_back(
                given,
                rejected=checked.total - checked.kept,
                home=home,
                setting=setting,
                records=records,
                retention=retention,
            )
    return summary, checked


def _by_minute(rows: ir.Table) -> ir.Table:
    """The bookings of `rows` by minute, one row for each."""
    made = minute_counts(rows)
    return made.group_by("kind", "clinic", "day", "minute").agg(n=made.n.sum().cast("int32"))


def _counts(counts: ir.Table, engine: SparkEngine, workspace: Workspace, folder: Path) -> ir.Table:
    """A table of the workspace with counts that the executors make."""
    kept = engine.keep(counts)
    return workspace.keep(engine.hand_over(kept, folder, rows=engine.count(kept)))

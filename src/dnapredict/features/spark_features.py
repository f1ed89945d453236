"""The matrix on Apache Spark: the same expression, for extracts that no single machine holds.

The only module that knows pyspark (`pip install 'dnapredict[spark]'`, Java 17). A session that is
running is used, as on a platform; otherwise one is started on this machine, heard by nobody else.
"""

import contextlib
import os
import shutil
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import ibis

from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.errors import StoreError, UsageError
from dnapredict.features.booking_context import MOST_PAIRS, pairs_per_booking
from dnapredict.features.matrix import Matrix, expression
from dnapredict.features.rates import daily_counts
from dnapredict.features.scoring_clock import Clock, LabelRule

if TYPE_CHECKING:
    import ibis.expr.types as ir


_LOCAL: Final = {
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.sql.shuffle.partitions": "8",
    "spark.ui.showConsoleProgress": "false",
}
_NEEDED: Final = "needs Java 17 and the extra 'spark': pip install 'dnapredict[spark]'. Or use --engine duckdb."


def build(
    rows: "ir.Table",
    workspace: Workspace,
    *,
    factors: Sequence[str],
    clock: Clock,
    outcomes: LabelRule,
    order_by: Sequence[str],
) -> Matrix:
    """The matrix of checked `rows`, which may know each other, computed by Spark.

    The rows pass through a Parquet file; the matrix comes back to this process. Column for column it
    is what `features.matrix` gives, to the last bit for whole numbers and to 1e-12 otherwise.

    Raises
    ------
    UsageError
        If Spark or Java is not there.
    StoreError
        If Spark stops; its own message is withheld, since it can quote rows.
    """
    path = workspace.new_file().with_suffix(".parquet")
    quoted = str(path).replace("'", "''")  # a user's name can hold one, and so the folder
    workspace.backend.con.execute(f"COPY {rows.get_name()} TO '{quoted}' (FORMAT parquet)")
    with _session() as session:
        try:
            return _matrix(session, path, factors, clock=clock, outcomes=outcomes, order_by=order_by)
        except Exception as error:  # noqa: BLE001 - whatever the cluster throws may hold a patient's row
            raise StoreError(f"Spark stopped ({type(error).__name__}). Its own log says why.") from None


def _matrix(
    session: Any,
    path: Path,
    factors: Sequence[str],
    *,
    clock: Clock,
    outcomes: LabelRule,
    order_by: Sequence[str],
) -> Matrix:
    rows = ibis.pyspark.connect(session).read_parquet(str(path), table_name="dnapredict_rows")
    pairs = pairs_per_booking(rows, clock=clock).to_pyarrow()["pairs"][0].as_py() or 0.0
    made = expression(
        rows,
        rows,
        daily=daily_counts(rows, clock=clock),
        factors=factors,
        clock=clock,
        outcomes=outcomes,
        extra_columns=order_by,
        crowded=pairs > MOST_PAIRS,
    )
    return Matrix(made.order_by(list(order_by)).to_pyarrow(), tuple(factors))


@contextlib.contextmanager
def _session() -> Iterator[Any]:
    """A Spark session whose clock is UTC: the running one, or one of our own that is stopped afterwards."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pyspark warns of pandas 3, which nothing here passes through
        spark, is_ours = _found_or_started()
        zone = spark.conf.get("spark.sql.session.timeZone")
        spark.conf.set("spark.sql.session.timeZone", "UTC")
        try:
            yield spark
        finally:
            spark.conf.set("spark.sql.session.timeZone", zone)
            if is_ours:
                spark.stop()


def _found_or_started() -> tuple[Any, bool]:
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        raise UsageError(f"--engine spark {_NEEDED}") from None
    running = SparkSession.getActiveSession()
    if running is not None:
        return running, False
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        raise UsageError(f"--engine spark found no Java: it {_NEEDED}")
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.master("local[*]").appName("dnapredict")
    for name, value in _LOCAL.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark, True

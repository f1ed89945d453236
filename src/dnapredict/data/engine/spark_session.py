"""The Spark session of a command: the running session of the platform, or a new local one."""

import os
import shutil
import sys
from typing import TYPE_CHECKING, Final

from dnapredict.errors import UsageError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# For a session of our own on this machine, which no other machine can reach.
_LOCAL: Final = {
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.sql.shuffle.partitions": "8",
    "spark.ui.showConsoleProgress": "false",
    # Worklists and factors of patients are for the account that writes them.
    "spark.hadoop.fs.permissions.umask-mode": "077",
}
_NEEDED: Final = "needs Java 17 and the extra 'spark': pip install 'dnapredict[spark]'. Or use --engine duckdb."
_OLDEST_SPARK: Final = 4


def found_or_started() -> "tuple[SparkSession, bool]":
    """The session of this process, or a new one of this machine; whether it is ours, to be stopped afterwards.

    Raises
    ------
    UsageError
        If Spark or Java is missing or too old, or the session is one of Spark Connect.
    """
    try:
        from pyspark import SparkConf, SparkContext
        from pyspark.sql import SparkSession
    except ImportError:
        raise UsageError(f"--engine spark {_NEEDED}") from None
    running = SparkSession.getActiveSession()
    if running is None and SparkContext._active_spark_context is not None:  # noqa: SLF001
        # A thread in which no session is active, as some platforms run a notebook in: Spark is theirs all the same.
        running = SparkSession.builder.getOrCreate()
    if running is not None:
        return _usable(running), False
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        raise UsageError(f"--engine spark found no Java: it {_NEEDED}")
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    try:
        SparkContext._ensure_initialized()  # noqa: SLF001 - the settings of spark-submit are known only then
    except Exception:  # noqa: BLE001 - Java's own message about classes says little to an analyst
        raise UsageError(f"--engine spark could not start Java, or it is older than Java 17: it {_NEEDED}") from None
    builder = SparkSession.builder.appName("dnapredict")
    if SparkConf().get("spark.master", "local").startswith("local"):
        builder = builder.master("local[*]")
        for name, value in _LOCAL.items():
            builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark, True


def _usable(running: "SparkSession") -> "SparkSession":
    """The running session of a platform, if dnapredict supports its type and version."""
    if type(running).__module__.startswith("pyspark.sql.connect"):
        raise UsageError(
            "This session is one of Spark Connect, which dnapredict does not know. Use compute on which Spark's driver "
            "runs in this process: on Databricks a cluster in dedicated access mode, not a serverless or standard one."
        )
    if int(running.version.partition(".")[0]) < _OLDEST_SPARK:
        raise UsageError(
            f"This session is of Spark {running.version}; dnapredict needs Spark {_OLDEST_SPARK} or newer."
        )
    return running

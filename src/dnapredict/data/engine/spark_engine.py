"""Apache Spark for tables that one machine does not hold: what `duckdb_engine` is for one machine.

This module, `spark_session` and `spark_storage` alone know pyspark (`pip install 'dnapredict[spark]'`, Java 17). Rows
stay on the executors: they read and write the tables, and Ibis expressions and functions over Arrow tables run there.
Only what does not grow with the rows comes to the driver (`SparkEngine.fetch`).
"""

import contextlib
import hashlib
import logging
import re
import secrets
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq

from dnapredict import errors
from dnapredict.data.engine.portable_sql import spark_sql
from dnapredict.data.engine.spark_session import found_or_started
from dnapredict.data.engine.spark_storage import FileStates, SparkStorage, location
from dnapredict.errors import DataError, DnapredictError, StoreError, UsageError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    SparkFrame = DataFrame

# The figures depend on these, and platforms set them differently.
_FIGURES: Final = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.parquet.inferTimestampNTZ.enabled": "true",
}
# The driver keeps a description of each plan for Spark's own page: some are many megabytes long, and filled it.
_DESCRIPTIONS: Final = {"spark.sql.maxPlanStringLength": "10000", "spark.sql.ui.explainMode": "simple"}
_TABLE_NAME: Final = re.compile(r"\w+(\.\w+){0,2}", re.ASCII)
_QUERY_LOGGERS: Final = ("SQLQueryContextLogger", "DataFrameQueryContextLogger")
_UNFINISHED: Final = ".unfinished"
_ROWS_AT_ONCE: Final = 50_000
_MOST_BYTES: Final = 2**26
# Of a row's digest in hexadecimal: as many as make a number of 64 bits.
_DIGITS: Final = 15
_ONE_DISK: Final = (
    "The home must be on a disk that this machine and every executor have under the same path. Or use --engine duckdb."
)
_CHANGED: Final = "changed while it was read. Run it again when nothing writes to it."
_FILE, _INDEX = "dnapredict::file", "dnapredict::index"

Tables = Callable[[Iterator[pa.Table]], Iterator[pa.Table]]


@dataclass
class SparkEngine:
    """A Spark session of our own, with the tables that were made in it.

    It shares the executors of the session that was there before, and none of its settings and views.
    """

    session: "SparkSession"
    _views: list[str] = field(default_factory=list)
    _kept: list["DataFrame"] = field(default_factory=list)
    _files: dict[str, FileStates] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Open the session to Ibis."""
        for name, value in (_FIGURES | _DESCRIPTIONS).items():
            self.session.conf.set(name, value)
        self._backend = ibis.pyspark.connect(self.session)
        self._storage = SparkStorage(self.session)

    def read(self, source: str, *, number: str) -> "DataFrame":
        """The rows of a Parquet file, a folder of them or a table of the catalogue, with the column `number`.

        Rows of files are numbered from 1 in the order of the files' names, as one file is read on one machine.

        Raises
        ------
        DataError
            If there is nothing of that name, it is no Parquet or a Delta table, or the type of a column differs between
            its files.
        """
        if self._is_table(source):
            return self._numbered(self.session.table(source), number)
        try:
            files, is_delta = self._storage.file_states(source), self._storage.is_delta(source)
            # Otherwise the columns of one file are taken for those of all, and a column that it lacks is not read.
            rows = None if is_delta else self.session.read.option("mergeSchema", "true").parquet(location(source))
        except Exception as error:  # noqa: BLE001 - Spark has no narrower class, and its text may quote the file
            raise DataError(f"{source}: {self._why_unreadable(source, error)}") from None
        if rows is None:
            raise DataError(
                f"{source}: is a Delta table, whose folder holds rows that were deleted too. Give its name in the "
                "catalogue, or in a notebook the data frame spark.read.format('delta').load(PATH)."
            )
        self._files[source] = files
        return self._numbered_by_file(_without(rows, number), number)

    def _why_unreadable(self, source: str, error: Exception) -> str:
        different = None
        with contextlib.suppress(Exception):  # there is nothing, or it is no Parquet
            different = self._storage.different_types(source)
        if different is not None:
            return f"{different}. Write all files of a table with the same types."
        return (
            f"cannot be read as Parquet ({type(error).__name__}). With --engine spark give a Parquet "
            "file, a folder of Parquet files that every executor can read, or a table of the catalogue."
        )

    def require_unchanged(self) -> None:
        """Refuse what was made of files that have changed since they were read first.

        Raises
        ------
        DataError
            If a file was added, removed or written to.
        """
        for source, files in self._files.items():
            if self._storage.file_states(source) != files:
                raise DataError(f"{source}: {_CHANGED}")

    def read_whole(self, rows: "DataFrame") -> "DataFrame":
        """The same rows, kept by the executors once all were read from unchanged files.

        A user's function can then write them without reading the files again. Rows of tables of a catalogue and of
        data frames are returned as they are: the catalogue keeps their versions.

        Raises
        ------
        DataError
            If a file was added, removed or written to.
        """
        from pyspark import StorageLevel

        if not self._files:
            return rows
        kept = rows.persist(StorageLevel.DISK_ONLY)
        self._kept.append(kept)
        kept.count()
        self.require_unchanged()
        return kept

    def _is_table(self, source: str) -> bool:
        return bool(_TABLE_NAME.fullmatch(source)) and self.session.catalog.tableExists(source)

    def adopted(self, rows: "DataFrame", *, number: str) -> "DataFrame":
        """A data frame of another session of the same cluster, with the column `number`."""
        name = _new_name()
        rows.createGlobalTempView(name)
        try:
            return self._numbered(self.session.table(f"global_temp.{name}"), number)
        finally:
            self.session.catalog.dropGlobalTempView(name)

    def _numbered(self, rows: "DataFrame", number: str) -> "DataFrame":
        """`rows` with a number that differs for each row, and is not consecutive, since a table has no order."""
        from pyspark.sql import functions as f

        return _without(rows, number).select((f.monotonically_increasing_id() + 1).alias(number), "*")

    def _numbered_by_file(self, rows: "DataFrame", number: str) -> "DataFrame":
        from pyspark.sql import functions as f

        columns, index = rows.columns, f.col("_metadata.row_index")
        if len(rows.inputFiles()) <= 1:
            return rows.select((index + 1).alias(number), *map(_quoted, columns))
        placed = rows.select("*", f.col("_metadata.file_path").alias(_FILE), index.alias(_INDEX))
        # One row for each file, and not for each appointment.
        counts = sorted((row[_FILE], row["count"]) for row in placed.groupBy(_FILE).count().collect())
        before, total = {}, 0
        for name, count in counts:
            before[name], total = total, total + count
        offsets = pa.table({_FILE: list(before), "offset": pa.array(before.values(), pa.int64())})
        joined = placed.join(f.broadcast(self.session.createDataFrame(offsets)), _FILE)
        return joined.select((f.col(_INDEX) + f.col("offset") + 1).alias(number), *map(_quoted, columns))

    def keep(self, rows: "DataFrame | ir.Table") -> ir.Table:
        """A table of `rows` that the executors keep on their own disks until the engine is closed."""
        from pyspark import StorageLevel

        frame = _typed(self.frame(rows), rows.schema()) if isinstance(rows, ir.Table) else rows
        kept = frame.persist(StorageLevel.DISK_ONLY)
        self._kept.append(kept)
        return self.view(self._planned_once(kept))

    def _planned_once(self, kept: "DataFrame") -> "DataFrame":
        """`kept` with the executors' copy as its whole plan.

        Otherwise Spark would analyse all that led to the copy again wherever a query reads it, about thirty times for
        the factors, and only then put the copy in its place.
        """
        from pyspark.sql import DataFrame

        session: Any = self.session
        try:
            copy = kept.select("*")._jdf.queryExecution().withCachedData()  # noqa: SLF001
            of_rows = session._jvm.org.apache.spark.sql.classic.Dataset.ofRows  # noqa: SLF001
            return DataFrame(of_rows(session._jsparkSession, copy), session)  # noqa: SLF001
        except Exception:  # noqa: BLE001 - a platform may not let Python call it, and only planning takes longer
            return kept

    def view(self, rows: "DataFrame") -> ir.Table:
        """`rows` as a table of Ibis, computed each time that it is read."""
        name = _new_name()
        rows.createOrReplaceTempView(name)
        self._views.append(name)
        return _nullable(self._backend.table(name))

    def frame(self, table: ir.Table) -> "DataFrame":
        """An Ibis expression over tables of this engine as a data frame."""
        return self.session.sql(str(self._backend.compile(table)))

    def fetch(self, query: ir.Table | str) -> pa.Table:
        """The result of an expression, or of SQL in DuckDB's dialect, in this process.

        Only for what does not grow with the rows.
        """
        frame = self.session.sql(spark_sql(query)) if isinstance(query, str) else self.frame(query)
        return frame.toArrow()

    def fetch_each(self, table: ir.Table, *, rows: int) -> Iterator[tuple[Any, ...]]:
        """The values of a table of so many `rows`, in no order, of which each may be `bytes_at_once` long.

        The query is planned once, and each row comes to this process by itself.
        """
        # Partitions are fetched one after the other, and this deals one row to each.
        return (tuple(row) for row in self.frame(table).repartition(max(rows, 1)).toLocalIterator())

    def compute(self, query: str) -> ir.Table:
        """A table of the result of SQL in DuckDB's dialect, which the executors keep until the engine is closed."""
        return self.keep(self.session.sql(spark_sql(query)))

    def compute_expression(self, expression: ir.Table) -> ir.Table:
        """A table of the result of an Ibis expression, which the executors keep until the engine is closed."""
        return self.keep(expression)

    def digest(self, rows: "DataFrame", *, number: str) -> str:
        """A SHA-256 of the rows whatever their order, without the column `number`: of sums of a digest of each row."""
        from pyspark.sql import functions as f

        row = f.sha2(f.to_json(f.struct(*map(_quoted, _without(rows, number).columns))), 256)
        parts = (f.substring(row, start, _DIGITS) for start in range(1, 64, _DIGITS))
        sums = (f.sum(f.conv(part, 16, 10).cast("decimal(38, 0)")).cast("string") for part in parts)
        counted = rows.select(*sums).toArrow().to_pylist()[0]
        return hashlib.sha256("|".join(str(each) for each in counted.values()).encode()).hexdigest()

    @property
    def bytes_at_once(self) -> int:
        """Bytes that the driver may receive at a time, with room for what Spark sends beside them."""
        context: Any = self.session.sparkContext
        text = context.getConf().get("spark.driver.maxResultSize", "1g")
        limit = int(context._jvm.org.apache.spark.network.util.JavaUtils.byteStringAsBytes(text))  # noqa: SLF001
        return min(limit // 2, _MOST_BYTES) if limit > 0 else _MOST_BYTES

    def every_file_says(self, rows: "DataFrame", name: str, value: str) -> bool:
        """Whether the metadata of each Parquet file behind `rows` has `value` for the key `name`."""
        files = rows.inputFiles()
        return bool(files) and all(self._says(file, name, value) for file in files)

    def _says(self, file: str, name: str, value: str) -> bool:
        # Spark keeps nothing of what a file says beside its columns; its Parquet reader does.
        session: Any = self.session
        parquet = session._jvm.org.apache.parquet.hadoop  # noqa: SLF001
        path = session._jvm.org.apache.hadoop.fs.Path(file)  # noqa: SLF001
        configuration = session._jsc.hadoopConfiguration()  # noqa: SLF001
        try:
            footer = parquet.ParquetFileReader.open(parquet.util.HadoopInputFile.fromPath(path, configuration))
        except Exception:  # noqa: BLE001 - a file of a table that is no Parquet
            return False
        try:
            return bool(footer.getFileMetaData().getKeyValueMetaData().get(name) == value)
        finally:
            footer.close()

    def count(self, table: ir.Table) -> int:
        """Rows of a table."""
        return self.frame(table).count()

    def map_tables(self, rows: "DataFrame", function: Tables, schema: pa.Schema) -> "DataFrame":
        """`function` of the rows of each partition, run by the executors, as a data frame with `schema`.

        An executor needs dnapredict and what it depends on.
        """
        from pyspark.sql.pandas.types import from_arrow_schema

        def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for table in function(_joined(batches)):
                yield from table.cast(schema).to_batches()

        return rows.mapInArrow(run, from_arrow_schema(schema, prefer_timestamp_ntz=True))

    def by_key(self, rows: "DataFrame", key: str, *, tasks: int) -> "DataFrame":
        """The rows in so many partitions, those with an equal `key`, an expression of SQL, in one."""
        from pyspark.sql import functions as f

        return rows.repartition(tasks, f.expr(key))

    def require_replaceable(self, out: str, *, first_columns: tuple[str, ...], holds: str) -> None:
        """Refuse to replace a file, or a folder that is no table beginning with `first_columns`.

        Raises
        ------
        UsageError
            The message says that it `holds` nothing of the kind.
        """
        if not self._storage.exists(out):
            return
        try:
            names = tuple(self.session.read.parquet(location(out)).columns)
        except Exception:  # noqa: BLE001 - whatever is there is no Parquet
            names = ()
        is_folder = self._storage.is_folder(out) and not self._storage.is_delta(out)
        if not is_folder or names[: len(first_columns)] != first_columns:
            raise UsageError(f"{out}: exists already and is no folder of {holds}. Give the output another name.")

    def write(self, rows: "DataFrame", out: str) -> None:
        """Write `rows` as a folder of Parquet files, which appears under its name when it is complete.

        Times are written in UTC without a zone, as all of dnapredict's files hold them.

        Raises
        ------
        DataError
            If a file that was read has changed since.
        StoreError
            If it cannot be written.
        """
        draft = f"{out.rstrip('/')}{_UNFINISHED}"
        try:
            without_zones(rows).write.mode("overwrite").parquet(location(draft))
            self.require_unchanged()
        except BaseException:
            self._storage.remove(draft)  # it may hold rows of patients
            raise
        if not self._storage.replace(out, draft):
            self._storage.remove(draft)
            raise StoreError(f"{out}: cannot be written. What was there before stays.")

    def hand_over(self, table: ir.Table, folder: Path, *, rows: int) -> pa.RecordBatchReader:
        """The rows of a table, in no order, which this process reads part by part from files of the executors.

        Parameters
        ----------
        folder
            A new folder for the files, on a disk that this machine and every executor have.
        rows
            How many there are.

        Raises
        ------
        StoreError
            If an executor does not have that disk, before a row is written to another one; if not all rows arrive.
        """
        frame = without_zones(self.frame(table))
        schema, token = arrow_schema(frame), _Token.written(folder.absolute())
        self.map_tables(frame, token.require_shared, schema).write.parquet(token.folder.as_uri())
        return _handed_over(folder, schema, rows=rows)

    def close(self) -> None:
        """Give back what the executors keep."""
        for frame in self._kept:
            frame.unpersist()
        for name in self._views:
            self.session.catalog.dropTempView(name)


@contextlib.contextmanager
def spark_engine() -> Iterator[SparkEngine]:
    """An engine on the Spark session that is active, or on one of this machine that is stopped afterwards.

    Raises
    ------
    UsageError
        If Spark, Java, or dnapredict on an executor is missing.
    StoreError
        If Spark stops; its own message is withheld, since it can quote rows.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pyspark warns of pandas 3, which nothing here passes through
        spark, is_ours = found_or_started()
        silent = _silenced()
        try:
            engine = SparkEngine(spark.newSession())
            try:
                yield engine
                engine.require_unchanged()
            finally:
                engine.close()
        except (DnapredictError, KeyboardInterrupt, SystemExit):
            raise
        except Exception as error:
            if not _is_of_spark(error):
                raise  # of this process, such as its own engine or a full disk: reported as on one machine
            raise explained(error) from None  # whatever the cluster throws may hold a patient's row
        finally:
            for logger in silent:
                logger.disabled = False
            if is_ours:
                spark.stop()


def _silenced() -> Sequence[logging.Logger]:
    """The loggers to which pyspark writes the message of a failed query, which can quote a row; they are silent now."""
    from pyspark.logger import PySparkLogger

    loggers = [PySparkLogger.getLogger(name) for name in _QUERY_LOGGERS]
    silent = [logger for logger in loggers if not logger.disabled]
    for logger in silent:
        logger.disabled = True
    return silent


def _is_of_spark(error: Exception) -> bool:
    """Whether Spark, or the connection to its Java process, has thrown it."""
    return type(error).__module__.startswith(("pyspark", "py4j")) or isinstance(error, (ConnectionError, EOFError))


def explained(error: Exception) -> DnapredictError:
    """An error of Spark in a sentence that holds no patient's value: of ours on an executor its own."""
    # The messages of dnapredict name no patient's value, on an executor as here.
    own = re.search(r"dnapredict\.errors\.(\w+Error): (.+)", str(error))
    if own and issubclass(kind := getattr(errors, own[1], Exception), DnapredictError):
        return cast(DnapredictError, kind(own[2]))
    missing = re.search(r"ModuleNotFoundError: No module named '([\w.]+)'", str(error))
    if missing:
        return UsageError(
            f"An executor has no Python package '{missing[1]}'. Install dnapredict, of this version, where the "
            "executors run, and let PYSPARK_PYTHON name that Python."
        )
    if re.search(r"FILE_NOT_EXIST|FileNotFoundException", str(error)) and "Permission denied" not in str(error):
        return DataError(f"The input {_CHANGED}")
    if "No space left on device" in str(error):
        return StoreError("A disk of the cluster is full. Nothing was replaced: make room, and run it again.")
    condition = getattr(error, "getCondition", lambda: None)()  # the name of Spark's error, which holds no value
    return StoreError(f"Spark stopped ({condition or type(error).__name__}). Its own log says why.")


def is_spark_frame(table: object) -> bool:
    """Whether `table` is a data frame of Spark; Spark is not loaded to find out."""
    return any(
        each.__module__.startswith("pyspark.sql") and each.__name__ == "DataFrame" for each in type(table).__mro__
    )


def _without(rows: "DataFrame", number: str) -> "DataFrame":
    return rows.drop(*(name for name in rows.columns if name.lower() == number))


def _typed(frame: "DataFrame", schema: ibis.Schema) -> "DataFrame":
    """`frame` in the types that Ibis expects of it: Spark gives a small literal another type."""
    from ibis.backends.pyspark.datatypes import PySparkType
    from pyspark.sql import functions as f

    casts = (f.col(_quoted(name)).cast(PySparkType.from_ibis(kind)).alias(name) for name, kind in schema.items())
    return frame.select(*casts)


def without_zones(frame: "DataFrame") -> "DataFrame":
    """The columns of a frame, with times in UTC without a zone as all of dnapredict's tables hold them."""
    from pyspark.sql import functions as f

    columns = ((f.col(_quoted(name)), kind) for name, kind in frame.dtypes)
    return frame.select(*(column.cast("timestamp_ntz") if kind == "timestamp" else column for column, kind in columns))


def _nullable(table: ir.Table) -> ir.Table:
    """The table with columns that may be null: Spark knows that some are not, and Ibis unites equal types alone."""
    types = {name: kind.copy(nullable=True) for name, kind in table.schema().items()}
    return cast(ir.Table, table.op().copy(schema=ibis.schema(types)).to_expr())


def _joined(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Batches of Spark, which are small, as tables of at least `_ROWS_AT_ONCE` rows; the last may be smaller."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        waiting.append(batch)
        if sum(each.num_rows for each in waiting) >= _ROWS_AT_ONCE:
            yield pa.Table.from_batches(waiting)
            waiting = []
    if waiting:
        yield pa.Table.from_batches(waiting)


@dataclass(frozen=True)
class _Token:
    """A file of this process next to a folder, by which an executor knows that it has the same folder.

    Each task that writes looks at it: one executor of many may lack the disk, and executors come and go.
    """

    folder: Path
    content: str

    @classmethod
    def written(cls, folder: Path) -> "_Token":
        token = cls(folder, secrets.token_hex(16))
        token.file.write_text(token.content, encoding="ascii")
        return token

    @property
    def file(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}.token")

    def require_shared(self, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """The tables, once the token was read; this runs on the executors."""
        found = ""
        with contextlib.suppress(OSError):
            found = self.file.read_text(encoding="ascii", errors="replace")
        if found != self.content:
            raise StoreError(f"{self.folder.parent.parent}: an executor finds another folder there. {_ONE_DISK}")
        yield from tables


def _handed_over(folder: Path, schema: pa.Schema, *, rows: int) -> pa.RecordBatchReader:
    """The rows of the Parquet files in `folder`, with `schema`."""
    files = sorted(folder.glob("*.parquet")) if folder.is_dir() else []
    found = sum(pq.read_metadata(file).num_rows for file in files)
    if found != rows:
        raise StoreError(f"{folder.parent.parent}: {found:,} of {rows:,} rows of the executors arrived. {_ONE_DISK}")
    return pa.RecordBatchReader.from_batches(schema, _batches(files, schema))


def _batches(files: Iterable[Path], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for file in files:
        with pq.ParquetFile(file) as opened:
            for batch in opened.iter_batches(_ROWS_AT_ONCE):
                yield batch.cast(schema)


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _new_name() -> str:
    return f"dnapredict_{secrets.token_hex(6)}"


def arrow_schema(rows: "DataFrame") -> pa.Schema:
    """The columns of a data frame as the functions of `SparkEngine.map_tables` get them."""
    from pyspark.sql.pandas.types import to_arrow_schema

    return cast(pa.Schema, to_arrow_schema(rows.schema, timezone="UTC"))

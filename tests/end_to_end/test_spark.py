"""Spark and the embedded engine run one expression, and give one matrix."""

import importlib.util
import os
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from tests.end_to_end.conftest import command

from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.features.factors import EXPRESSIONS
from dnapredict.features.matrix import Past
from dnapredict.features.matrix import build as on_duckdb
from dnapredict.features.scoring_clock import Clock, LabelRule
from dnapredict.pipeline.run_inputs import checked_extract
from dnapredict.synthetic.simulation import simulate

CLOCK, OUTCOMES = Clock(7, 3), LabelRule(("3", "7"))
IN_TIME = ("starts_at", "appointment_id")

needs_spark = pytest.mark.skipif(
    importlib.util.find_spec("pyspark") is None or (shutil.which("java") is None and "JAVA_HOME" not in os.environ),
    reason="Spark needs Java 17 and the extra: pip install 'dnapredict[spark]'.",
)


@pytest.fixture(scope="module")
def extract(tmp_path_factory):
    """Of every tenth appointment the patient is not known."""
    folder = tmp_path_factory.mktemp("spark")
    simulate(folder / "whole.parquet", appointments=12_000, seed=5)
    table = pq.read_table(folder / "whole.parquet")
    known = pc.if_else(pa.array(np.arange(table.num_rows) % 10 > 0), table["patient_id"], None)
    place = table.column_names.index("patient_id")
    pq.write_table(table.set_column(place, "patient_id", known), folder / "synthetic.parquet")
    return folder / "synthetic.parquet"


@needs_spark
def test_every_factor_is_equal_value_by_value(extract):
    from dnapredict.features.spark_features import build as on_spark

    with Workspace() as workspace:
        rows = checked_extract(extract, workspace).rows
        asked = {"factors": tuple(EXPRESSIONS), "clock": CLOCK, "outcomes": OUTCOMES, "order_by": IN_TIME}
        past = Past.of(rows, clock=CLOCK, workspace=workspace)
        embedded = on_duckdb(rows, past, extra_columns=IN_TIME, workspace=workspace, **asked)
        spark = on_spark(rows, workspace, **asked)
    assert spark.table.column_names == embedded.table.column_names
    assert spark.table["appointment_id"].equals(embedded.table["appointment_id"])
    assert spark.table["scored_at"].equals(embedded.table["scored_at"])
    np.testing.assert_allclose(spark.values, embedded.values, rtol=0, atol=1e-12, equal_nan=True)
    whole = np.nan_to_num(embedded.values) % 1 == 0
    assert np.array_equal(spark.values[whole], embedded.values[whole], equal_nan=True)
    assert np.isfinite(embedded.values).mean() > 0.7  # and it is not for want of values


@needs_spark
def test_the_command_writes_the_same_file(extract, tmp_path):
    for engine in ("duckdb", "spark"):
        out = command("features", extract, "--out", tmp_path / f"{engine}.parquet", "--engine", engine)
        assert out.returncode == 0, out.stderr
    one, other = (pq.read_table(tmp_path / f"{engine}.parquet") for engine in ("duckdb", "spark"))
    assert one.schema.names == other.schema.names
    assert one["appointment_id"].equals(other["appointment_id"])


def test_an_engine_that_there_is_not_is_refused(extract, tmp_path):
    out = command("features", extract, "--out", tmp_path / "f.parquet", "--engine", "flink")
    assert out.returncode == 2
    assert "duckdb, spark" in out.stderr

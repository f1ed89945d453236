"""The Python interface: what importing it loads, what it takes as a table, what a notebook shows of a result."""

import datetime
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import dnapredict
from dnapredict.data.readers.table_file import is_synthetic
from dnapredict.errors import DataError, UsageError
from dnapredict.public_api.html_summary import count, summary
from dnapredict.public_api.results import TrainingResult
from dnapredict.public_api.table_input import as_file

HEAVY = {"bentoml", "duckdb", "fairlearn", "ibis", "lightgbm", "matplotlib", "mlflow", "numpy", "pandas", "pyarrow"}
FUNCTIONS = {"audit", "check", "load_model", "promote", "score", "score_on_spark", "simulate", "train"}
RESULTS = {"AuditReport", "CheckResult", "LoadedModel", "ScoreResult", "TrainingResult"}
MARK = "ZEBRA-MARKED-VALUE"

TABLE = pa.table(
    {
        "appointment_id": ["a1", "a2", None],
        "starts_at": pa.array([datetime.datetime(2025, 3, day, 9, 30) for day in (1, 2, 3)], pa.timestamp("us")),
        "age_years": pa.array([30.5, None, 71.0]),
        "imd_decile": pa.array([1, 2, None], pa.int8()),
        "site_code": pa.array(["RX1", "RX2", "RX1"]).dictionary_encode(),
        "has_mobile": pa.array([True, False, None]),
    }
)


class LikePolars:
    """Exports itself as Polars does: by Arrow's stream interface, with texts as views."""

    def __init__(self, table: pa.Table) -> None:
        views = [f.with_type(pa.string_view()) if pa.types.is_string(f.type) else f for f in table.schema]
        self._table = table.cast(pa.schema(views))

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)


def stored(table: object) -> pa.Table:
    with as_file(table, name="extract") as path:
        return pq.read_table(path)


def test_importing_the_package_loads_no_library():
    program = f"import dnapredict, sys; dir(dnapredict); print(*sorted({HEAVY!r} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []


def test_the_public_names_are_these_and_each_has_a_docstring():
    assert set(dnapredict.__all__) == FUNCTIONS | RESULTS | {"__version__"}
    for name in FUNCTIONS | RESULTS:
        assert len(getattr(dnapredict, name).__doc__) > 40
    with pytest.raises(AttributeError, match="no attribute 'sing'"):
        dnapredict.sing  # noqa: B018


@pytest.mark.parametrize("form", ["arrow", "pandas", "pandas with an index", "stream", "batches"])
def test_a_table_in_memory_is_stored_exactly(form: str):
    table = {
        "arrow": TABLE,
        "pandas": TABLE.to_pandas(),
        "pandas with an index": TABLE.to_pandas().set_index("appointment_id"),
        "stream": LikePolars(TABLE),
        "batches": TABLE.to_reader(),
    }[form]
    assert stored(table).to_pandas().equals(TABLE.to_pandas())


def test_a_path_is_used_as_it_is(tmp_path: Path):
    with as_file(str(tmp_path / "e.csv"), name="extract") as path:
        assert path == tmp_path / "e.csv"


def test_the_file_of_a_table_is_private_and_removed_also_after_an_error():
    seen: list[Path] = []

    def read() -> None:
        with as_file(TABLE, name="extract") as path:
            seen.append(path)
            assert path.parent.stat().st_mode & 0o077 == 0
            raise DataError(f"{path}: column 'x' is missing in {path.name}")

    with pytest.raises(DataError, match=r"^extract: column 'x' is missing in extract$"):
        read()
    assert not seen[0].parent.exists()


def test_a_column_that_no_file_can_hold_is_named_and_its_values_are_not():
    mixed = pd.DataFrame({"age_years": [1, MARK]})
    periods = pd.DataFrame({"booked_at": pd.period_range("2025-01-01", periods=2, freq="D")})
    twice = pd.DataFrame([[1, 2]], columns=["age_years", "age_years"])
    for table, words in ((mixed, "'age_years' mixes"), (periods, "'booked_at' is of"), (twice, "'age_years' twice")):
        with pytest.raises(DataError, match=words) as told:
            stored(table)
        assert MARK not in str(told.value)


@pytest.mark.parametrize("nothing", [5, None, [1, 2], pd.Series([1]), np.zeros(3)])
def test_what_is_no_table_is_refused(nothing: object):
    with pytest.raises(UsageError, match="expected a path or a table"):
        stored(nothing)


def test_made_up_patients_stay_marked_whichever_library_read_them(tmp_path: Path):
    """pandas and Polars drop the note in a file's metadata, but not how the simulation numbers appointments."""
    dnapredict.simulate(tmp_path / "e.parquet", appointments=50)
    made_up = pq.read_table(tmp_path / "e.parquet")
    for table in (made_up, made_up.to_pandas(), LikePolars(made_up.replace_schema_metadata(None))):
        with as_file(table, name="extract") as path:
            assert is_synthetic(path)
    real = made_up.to_pandas()
    real.loc[0, "appointment_id"] = "RX1-0001"
    for table in (real, TABLE, TABLE.slice(0, 0)):
        with as_file(table, name="extract") as path:
            assert not is_synthetic(path)


def test_everything_in_a_summary_is_escaped():
    evil = "<script>alert('x')</script>"
    page = summary(evil, {evil: evil}, head=[evil], rows=[[evil]], notes=[evil])
    assert "<script" not in page
    assert page.count("&lt;script&gt;") == 6


def test_small_counts_are_hidden_in_a_summary():
    assert [count(n) for n in (0, 1, 7, 8, 10_023)] == ["0", "hidden", "hidden", "10", "10,025"]
    few = {"n": 5, "base_rate": 0.2, "auroc": 0.75, "log_loss": 0.3}
    metrics = dict.fromkeys(("calibration_slope", "sensitivity_at_10", "ppv_at_10"))
    result = TrainingResult(
        version="1",
        run_id="r",
        home=Path("home"),
        rows=10,
        rows_kept=10,
        synthetic=True,
        factors=("age_years",),
        factors_dropped=(),
        tested_on="the last week",
        figures={"all": {**few, "n": 5_000, **metrics}, "first_time": {**few, **metrics}},
        baseline_figures={},
    )
    page = result._repr_html_()
    assert page.count("0.750") == 1
    assert page.count("hidden") == 7
    assert "SYNTHETIC" in page
    assert "<td>5,000</td>" in page

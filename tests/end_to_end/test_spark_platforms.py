"""What a platform that runs Spark meets: notebooks in its own session, equal risks through every door, and faults."""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from tests.end_to_end.conftest import command
from tests.end_to_end.spark_cluster import NEEDED, SHORT_LIVED, SharedSession, is_there, settings
from tests.end_to_end.test_wheel import ROOT, built
from tests.end_to_end.world import Trust, as_requests
from tests.service.conftest import client_of
from tests.unit.registry_homes import copy_of

import dnapredict
from dnapredict.data.engine.spark_engine import SparkEngine, spark_engine
from dnapredict.data.engine.spark_session import _usable
from dnapredict.errors import DataError, StoreError, UsageError
from dnapredict.registry import Registry
from dnapredict.service.app import champion_of
from dnapredict.worklist.files import latest_list

PLATFORMS = ROOT / "docs" / "platforms"
NOTEBOOKS = {path.stem: json.loads(path.read_text(encoding="utf-8"))["cells"] for path in PLATFORMS.glob("*.ipynb")}
ROWS = 120


@dataclass(frozen=True)
class Platform:
    """A Spark session that was started before dnapredict, on a cluster of two workers, and the files of a trust.

    Its catalogue has the tables `outpatients.next_week` and `outpatients.appointments`, which holds `past`, the extract
    of that week's patients; `backup` is one of `home`, whose history is of the trust's whole extract.
    """

    session: Any
    address: str
    weekly: Path
    past: Path
    home: Path
    backup: Path


@pytest.fixture(scope="module")
def platform(spark: SharedSession, trust: Trust, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder, session = tmp_path_factory.mktemp("platform"), spark.start().session
    weekly, past, backup = folder / "weekly.parquet", folder / "past.parquet", folder / "backup"
    table, listed = pq.read_table(trust.extract), pq.read_table(trust.weekly).slice(0, ROWS)
    pq.write_table(listed, weekly)
    pq.write_table(table.filter(pc.is_in(table["patient_id"], pc.unique(listed["patient_id"].drop_null()))), past)
    assert command("backup", backup, "--home", trust.home).returncode == 0
    session.sql("CREATE DATABASE outpatients")
    for path, name in ((weekly, "next_week"), (past, "appointments")):
        session.read.parquet(str(path)).write.saveAsTable(f"outpatients.{name}")
    yield Platform(session, spark.address, weekly, past, trust.home, backup)
    spark.stop()  # no later file of tests uses it


def code_of(name: str) -> list[str]:
    return ["".join(cell["source"]) for cell in NOTEBOOKS[name] if cell["cell_type"] == "code"]


def run(sources: list[str], space: dict[str, Any]) -> None:
    """Run cells as a notebook does, in a thread, as platforms do, in which no session is active yet."""
    failed: list[BaseException] = []

    def cells() -> None:
        try:
            for number, source in enumerate(sources):
                exec(compile(source, f"cell {number}", "exec"), space)  # noqa: S102 - our own document
        except BaseException as error:  # noqa: BLE001 - raised again below
            failed.append(error)

    thread = threading.Thread(target=cells)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]


@dataclass(frozen=True)
class State:
    """What a session holds that is not dnapredict's to change."""

    settings: dict[str, str]
    views: list[str]
    tables: list[str]

    @classmethod
    def of(cls, session: Any) -> "State":
        views, tables = (
            sorted(row.tableName for row in session.sql(f"SHOW TABLES IN {name}").collect() if row.isTemporary is view)
            for name, view in (("default", True), ("outpatients", False))
        )
        return cls(dict(session.conf.getAll), views, tables)


def test_there_is_a_notebook_for_each_platform_stored_without_outputs():
    assert set(NOTEBOOKS) == {"databricks", "fabric", "foundry"}
    for cells in NOTEBOOKS.values():
        assert [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")] == []
        first = " ".join("".join(cells[0]["source"]).split())
        assert "never for overbooking, discharge, or delaying or withholding care" in first
        assert "and never on " in first
        assert "](../how-to-run-on-a-platform.md)" in first
    assert (PLATFORMS.parent / "how-to-run-on-a-platform.md").is_file()


@pytest.fixture(scope="module")
def expected(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """The risks that one machine gives."""
    out = tmp_path_factory.mktemp("expected") / "scored.parquet"
    options = ("--history", platform.past, "--home", platform.home, "--out", out)
    done = command("score", platform.weekly, *options)
    assert done.returncode == 0, done.stderr
    return risks_of(pq.read_table(out))


def risks_of(table: pa.Table) -> dict[str, float]:
    return dict(zip(table["appointment_id"].to_pylist(), table["probability"].to_pylist(), strict=True))


def require_equal(found: dict[str, float], expected: dict[str, float]) -> None:
    assert found.keys() == expected.keys()
    names = sorted(expected)
    both = [np.array([risks[name] for name in names], dtype=float) for risks in (found, expected)]
    np.testing.assert_allclose(*both, rtol=0, atol=1e-12)


def table_of(session: Any, name: str) -> pa.Table:
    """A table of the catalogue, read from its files: the driver may receive 128 KB."""
    return pa.concat_tables(pq.read_table(file.removeprefix("file:")) for file in session.table(name).inputFiles())


def written_for(sources: list[str], *replaced: tuple[str, object]) -> list[str]:
    """Cells with names of the test in place of those of the platform, each of which is there."""
    for old, new in replaced:
        assert any(old in source for source in sources), old
        sources = [source.replace(old, str(new)) for source in sources]
    return sources


def require_scored_as_on_one_machine(platform: Platform, before: State, expected: dict[str, float]) -> None:
    """The table is there, complete, with the risks of one machine, and the session is as it was."""
    table, after = table_of(platform.session, "outpatients.next_week_scored"), State.of(platform.session)
    platform.session.sql("DROP TABLE outpatients.next_week_scored")
    require_equal(risks_of(table), expected)
    assert {"band", "rank", "selected", "action", "reason_1", "error"} <= set(table.column_names)
    assert after == State(before.settings, before.views, sorted([*before.tables, "next_week_scored"]))
    assert after.settings["spark.sql.session.timeZone"] == "Asia/Tokyo"
    assert platform.session.sparkContext._jsc.getPersistentRDDs().isEmpty()
    assert platform.session.range(3).count() == 3


def test_the_databricks_notebook_runs_in_the_session_that_was_there(platform, expected, tmp_path, monkeypatch):
    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'runs.db'}")
    registry, before = f"sqlite:///{tmp_path / 'catalogue.db'}", State.of(platform.session)
    sources = written_for(
        code_of("databricks"),
        ("trust.outpatients.", "spark_catalog.outpatients."),
        ("/Volumes/trust/outpatients/dnapredict/home", platform.backup),
        ("databricks-uc", registry),
    )
    try:
        run(sources, space := {"spark": platform.session})
    finally:
        mlflow.set_registry_uri(None)  # an address, even the one of before, would count for all later stores
        os.environ.pop("MLFLOW_REGISTRY_URI", None)  # into which MLflow writes it
    assert (space["done"].rows, space["done"].rejected) == (ROWS, 0)
    assert not space["home"].parent.exists()
    version = mlflow.MlflowClient(registry, registry).get_model_version("spark_catalog.outpatients.dna_risk", "1")
    assert len(version.tags["manifest_sha256"]) == 64
    require_scored_as_on_one_machine(platform, before, expected)


@pytest.mark.thorough  # the test above, by another platform's names
def test_the_fabric_notebook_runs_in_the_session_that_was_there(platform, expected):
    before, space = State.of(platform.session), {"spark": platform.session}
    run(written_for(code_of("fabric"), ("/lakehouse/default/Files/dnapredict/home", platform.backup)), space)
    assert (space["done"].rows, space["done"].rejected) == (ROWS, 0)
    assert not space["home"].parent.exists()
    require_scored_as_on_one_machine(platform, before, expected)


class FoundryFiles:
    """A dataset of files, with the two methods of Foundry's `FileSystem` that the notebook calls."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def ls(self, *, show_hidden: bool = False) -> Iterator[SimpleNamespace]:
        for path in sorted(self._folder.rglob("*")):
            name = path.relative_to(self._folder).as_posix()
            if path.is_file() and (show_hidden or not path.name.startswith((".", "_"))):
                yield SimpleNamespace(path=name, size=path.stat().st_size)

    def open(self, path: str, mode: str = "r") -> Any:
        return (self._folder / path).open(mode)


def foundry_api(platform: Platform) -> ModuleType:
    """A stand-in for `transforms.api`: a transform is a function of its inputs and outputs, and a build calls it."""
    inputs = {
        "/Trust/Outpatients/next_week": SimpleNamespace(
            dataframe=lambda: platform.session.table("outpatients.next_week")
        ),
        "/Trust/Outpatients/appointments": SimpleNamespace(
            dataframe=lambda: platform.session.table("outpatients.appointments")
        ),
        "/Trust/Outpatients/dnapredict_home": SimpleNamespace(filesystem=lambda: FoundryFiles(platform.backup)),
    }
    module = ModuleType("transforms.api")
    module.Input = lambda path: inputs[path]
    module.Output = lambda path: SimpleNamespace(
        write_dataframe=lambda rows: rows.write.saveAsTable(f"outpatients.{path.rpartition('/')[2]}")
    )
    module.transform = lambda **given: lambda function: lambda: function(**given)
    return module


def test_the_foundry_notebook_scores_with_the_home_whose_files_it_was_given(platform, monkeypatch, capfd):
    monkeypatch.setitem(sys.modules, "transforms", ModuleType("transforms"))
    monkeypatch.setitem(sys.modules, "transforms.api", foundry_api(platform))
    given: dict[str, Any] = {}

    def score(weekly: Any, *, home: Path, **named: Any) -> SimpleNamespace:
        given.update(named, weekly=weekly, version=Registry(home).usable("champion"))
        return SimpleNamespace(rows=ROWS, rejected=0, model_version=given["version"])

    monkeypatch.setattr(dnapredict, "score_on_spark", score)
    run([*code_of("foundry"), "score_next_week()"], {"__name__": "next_week"})
    assert f"{ROWS} rows, 0 of them rejected, by version 1." in capfd.readouterr().out
    assert (given["weekly"].count(), given["version"]) == (ROWS, "1")
    assert "outcome_code" in given["history"].columns
    assert callable(given["out"])


@pytest.mark.thorough  # the test above, and test_the_databricks_notebook_runs_in_the_session_that_was_there
def test_the_foundry_notebook_runs_in_the_session_that_was_there(platform, expected, monkeypatch, capfd):
    monkeypatch.setitem(sys.modules, "transforms", ModuleType("transforms"))
    monkeypatch.setitem(sys.modules, "transforms.api", foundry_api(platform))
    before = State.of(platform.session)
    run([*code_of("foundry"), "score_next_week()"], {"__name__": "next_week"})
    assert f"{ROWS} rows, 0 of them rejected, by version 1." in capfd.readouterr().out
    require_scored_as_on_one_machine(platform, before, expected)


RUN = """
import dnapredict
from dnapredict.cli import main

print(dnapredict.__file__)
main()
"""
# Python runs this at its start, so that driver and executors use the archive and not an installed dnapredict.
HIDDEN = """
import sys
while {source!r} in sys.path:
    sys.path.remove({source!r})
"""


@dataclass(frozen=True)
class Submitted:
    """What `spark-submit` of the wheel wrote, and the folder that its driver took dnapredict from."""

    out: Path
    packages: Path
    said: str


@pytest.fixture(scope="module")
def submitted(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Submitted:
    """As the guide says it: the wheel as an archive, which neither the driver nor an executor has installed."""
    folder = tmp_path_factory.mktemp("submitted")
    source, packages = str(Path(dnapredict.__file__).resolve().parents[1]), folder / "packages"
    wheel = built(ROOT, folder / "wheel").rename(folder / "dnapredict.zip")
    shutil.unpack_archive(wheel, packages)
    (folder / "hidden").mkdir()
    (folder / "hidden" / "sitecustomize.py").write_text(HIDDEN.format(source=source))
    (folder / "run.py").write_text(RUN)
    words = ("score", platform.weekly, "--history", platform.past, "--home", platform.home, "--out", folder / "out")
    python_path = os.pathsep.join(("packages", str(folder / "hidden")))
    spark = Path(str(find_spec("pyspark").origin)).parent / "bin" / "spark-submit"
    command = [spark, "--master", platform.address, "--archives", f"{wheel}#packages", "--driver-memory", "1200m"]
    command += ["--driver-java-options", SHORT_LIVED]
    for name, value in settings(folder / "driver", packages=python_path).items():
        command += ["--conf", f"{name}={value}"]
    done = subprocess.run(
        [*command, "run.py", *map(str, words), "--engine", "spark"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": python_path, "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    return Submitted(folder / "out", packages, done.stdout)


def test_the_wheel_scores_by_spark_submit(submitted):
    assert str(submitted.packages / "dnapredict") in submitted.said
    table = pq.read_table(submitted.out)
    assert sorted(table["row_number"].to_pylist()) == list(range(1, ROWS + 1))
    assert table["error"].null_count == ROWS


def risks_by_page(home: Path, weekly: pa.Table) -> dict[str, float]:
    """The risks of a list that is uploaded to the page."""
    champion = champion_of(home)
    with client_of(champion, home) as client:
        answer = client.post(
            "/upload", files={"file": ("week.csv", weekly.to_pandas().to_csv(index=False))}, follow_redirects=False
        )
        assert answer.status_code == 303, answer.text
        found = latest_list.latest(home)
        champion.stop()
    return risks_of(found.worklist)


def risks_by_interface(home: Path, weekly: pa.Table) -> dict[str, float]:
    """The risks that the route `/v1/score` answers with."""
    champion = champion_of(home)
    with client_of(champion, home) as client:
        answer = client.post("/v1/score", json={"appointments": as_requests(weekly)})
        assert answer.status_code == 200, answer.text
        champion.stop()
    return {row["appointment_id"]: row["probability"] for row in answer.json()["results"]}


def model_folder(home: Path) -> Path:
    """The folder of the champion as MLflow knows it."""
    import mlflow

    store = f"sqlite:///{home / 'mlflow.db'}"
    version = mlflow.MlflowClient(store, store).get_model_version("dna-risk", Registry(home).usable("champion"))
    return home / "mlruns" / "models" / version.source.rpartition("/")[2] / "artifacts"


def risks_by_mlflow(home: Path, weekly: pa.Table) -> dict[str, float]:
    """The risks that the MLflow model predicts for a pandas frame."""
    import mlflow

    model = mlflow.pyfunc.load_model(str(model_folder(home)), model_config={"history": str(home)})
    risks = model.predict(weekly.to_pandas())
    return dict(zip(weekly["appointment_id"].to_pylist(), risks.tolist(), strict=True))


def risks_by_spark_udf(home: Path, platform: Platform, copy: Path) -> dict[str, float]:
    """The risks that the MLflow model predicts on the executors, for all rows in one batch.

    MLflow gives executors no `model_config`, so the history is written into a copy of the model.
    """
    import mlflow
    from pyspark.sql.functions import struct

    model = mlflow.models.Model.load(str(shutil.copytree(model_folder(home), copy)))
    model.flavors["python_function"]["config"]["history"] = str(home)
    model.save(str(copy / "MLmodel"))
    session = platform.session.newSession()
    session.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", "0")
    risk = mlflow.pyfunc.spark_udf(session, str(copy), result_type="double", env_manager="local")
    rows = session.read.parquet(str(platform.weekly)).coalesce(1)
    return risks_of(rows.select("appointment_id", risk(struct(*rows.columns)).alias("probability")).toArrow())


def test_seven_doors_give_equal_risks(platform, submitted, tmp_path):
    home, weekly = copy_of(platform.home, tmp_path / "home"), pq.read_table(platform.weekly)
    assert command("refresh", platform.past, "--home", home).returncode == 0
    doors = {
        "dnapredict score --engine spark": risks_of(pq.read_table(submitted.out)),
        "mlflow.pyfunc.spark_udf": risks_by_spark_udf(home, platform, tmp_path / "model"),
        "mlflow.pyfunc.load_model": risks_by_mlflow(home, weekly),
        "dnapredict.score, in a notebook": risks_of(pa.Table.from_pandas(dnapredict.score(weekly, home=home).worklist)),
        "POST /v1/score": risks_by_interface(home, weekly),
        "a list uploaded to the page": risks_by_page(home, weekly),
    }
    assert command("score", platform.weekly, "--home", home, "--out", tmp_path / "file.parquet").returncode == 0
    expected = risks_of(pq.read_table(tmp_path / "file.parquet"))
    assert len(doors | {"dnapredict score": expected}) == 7
    assert len(expected) == ROWS
    for risks in doors.values():
        require_equal(risks, expected)


def small_table(folder: Path, *ages: object) -> Path:
    """A folder of Parquet files, one for each age."""
    folder.mkdir()
    for number, age in enumerate(ages):
        pq.write_table(pa.table({"appointment_id": [f"a-{number}"], "age_years": [age]}), folder / f"p{number}.parquet")
    return folder


def scored_like(engine: SparkEngine, rows: int) -> Any:
    """Rows with the columns that a scored table begins with, 100 bytes each that no compression makes smaller."""
    noise = "sha2(string(rand(3)), 512)"
    columns = (f"{noise} AS appointment_id", "rand(1) AS probability", f"{noise} AS band")
    return engine.session.range(0, rows, 1, 2).selectExpr(*columns)


@pytest.mark.usefixtures("platform")
def test_a_column_of_another_type_in_one_file_is_named(tmp_path):
    source = small_table(tmp_path / "list", 34.0, 71.0, "seventy-one")
    done = command("features", source, "--out", tmp_path / "out", "--engine", "spark")
    assert done.returncode == 10
    assert "the column age_years has the type double in p0.parquet and string in p2.parquet" in done.stderr
    assert "seventy-one" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["list"]


@pytest.mark.usefixtures("platform")
def test_a_column_that_one_file_lacks_is_read_from_the_others(tmp_path):
    source = small_table(tmp_path / "list", 34.0, 71.0)
    pq.write_table(pa.table({"appointment_id": ["a-0"]}), source / "p0.parquet")
    with spark_engine() as engine:
        rows = engine.read(str(source), number="row_number").toArrow().sort_by("row_number")
    assert rows.column("age_years").to_pylist() == [None, 71.0]


def added(source: Path) -> None:
    pq.write_table(pa.table({"appointment_id": ["a-9"], "age_years": [5.0]}), source / "p9.parquet")


def rewritten(source: Path) -> None:
    pq.write_table(pa.table({"appointment_id": ["a-9", "a-8"], "age_years": [5.0, 6.0]}), source / "p1.parquet")


def removed(source: Path) -> None:
    (source / "p1.parquet").unlink()


def written_while_it_changes(source: Path, out: Path, change: Callable[[Path], None]) -> None:
    with spark_engine() as engine:
        rows = engine.read(str(source), number="row_number")
        change(source)
        engine.write(rows, str(out))


def given_while_it_changes(source: Path, write: Callable[[object], None]) -> None:
    with spark_engine() as engine:
        rows = engine.read(str(source), number="row_number")
        added(source)
        write(engine.read_whole(rows))


def counted_while_it_changes(source: Path) -> None:
    with spark_engine() as engine:
        assert engine.read(str(source), number="row_number").count() == 2
        added(source)


@pytest.mark.usefixtures("platform")
@pytest.mark.parametrize("change", [added, rewritten, removed])
def test_a_table_that_changes_while_it_is_read_gives_no_output(tmp_path, change):
    source = small_table(tmp_path / "list", 34.0, 71.0)
    with pytest.raises(DataError, match="changed while it was read") as refused:
        written_while_it_changes(source, tmp_path / "out", change)
    assert "\n" not in str(refused.value)
    assert [path.name for path in tmp_path.iterdir()] == ["list"]


@pytest.mark.usefixtures("platform")
def test_counts_of_a_table_that_changes_are_refused_too(tmp_path):
    with pytest.raises(DataError, match="changed while it was read"):
        counted_while_it_changes(small_table(tmp_path / "list", 34.0, 71.0))


@pytest.mark.usefixtures("platform")
def test_a_function_gets_no_rows_of_a_table_that_changed(tmp_path):
    written: list[object] = []
    with pytest.raises(DataError, match="changed while it was read"):
        given_while_it_changes(small_table(tmp_path / "list", 34.0, 71.0), written.append)
    assert written == []


@pytest.mark.usefixtures("platform")
def test_a_table_that_cannot_get_its_name_leaves_the_one_of_before(tmp_path, monkeypatch):
    out = tmp_path / "out"
    for value, fails in ((34.0, False), (71.0, True)):
        source = small_table(tmp_path / f"list-{value:.0f}", value)
        with spark_engine() as engine:
            rows = engine.read(str(source), number="row_number")
            if fails:
                # The draft is gone when it is to be renamed, as on a store from which another program deletes files.
                monkeypatch.setattr(engine, "require_unchanged", lambda: shutil.rmtree(f"{out}.unfinished"))
                with pytest.raises(StoreError, match="What was there before stays"):
                    engine.write(rows, str(out))
                monkeypatch.undo()
            else:
                engine.write(rows, str(out))
    assert len({file.name for file in tmp_path.glob("out*")}) == 1
    assert pq.read_table(next(iter(out.glob("*.parquet")))).num_rows == 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MB, in memory."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("this account may not mount a disk")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)  # an executor may be about to close a file


@pytest.mark.usefixtures("platform")
def test_a_full_disk_is_named_and_what_was_there_stays(small_disk):
    out = str(small_disk / "out")
    with spark_engine() as engine:
        engine.write(scored_like(engine, 100), out)
    before = sorted(path.name for path in Path(out).iterdir())
    with (
        pytest.raises(StoreError, match="A disk of the cluster is full"),
        spark_engine() as engine,
    ):
        engine.write(scored_like(engine, 50_000), out)
    assert [path.name for path in small_disk.iterdir()] == ["out"]
    assert sorted(path.name for path in Path(out).iterdir()) == before


@pytest.mark.usefixtures("platform")
def test_the_folder_of_a_delta_table_is_neither_read_nor_replaced(tmp_path):
    delta = small_table(tmp_path / "delta", 34.0)
    (delta / "_delta_log").mkdir()
    with spark_engine() as engine:
        with pytest.raises(DataError, match="is a Delta table, whose folder holds rows that were deleted too"):
            engine.read(str(delta), number="row_number")
        with pytest.raises(UsageError, match="is no folder of scores"):
            engine.require_replaceable(str(delta), first_columns=("appointment_id",), holds="scores")


BLOCKED = """
import sys
class Blocked:
    def find_spec(self, name, *_):
        if name.partition(".")[0] == "dnapredict":
            raise ModuleNotFoundError("No module named 'dnapredict'", name="dnapredict")
sys.meta_path.insert(0, Blocked())
"""


def test_an_executor_without_the_package_is_named(platform, tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text(BLOCKED)
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{tmp_path}:$PYTHONPATH" exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    monkeypatch.setattr(platform.session.sparkContext, "pythonExec", str(python))
    source = small_table(tmp_path / "list", 34.0)
    options = ("--out", tmp_path / "out", "--home", platform.home, "--history", platform.past, "--engine", "spark")
    done = command("score", platform.weekly, *options)
    assert done.returncode == 2
    assert "An executor has no Python package 'dnapredict'. Install dnapredict, of this version" in done.stderr
    assert not (tmp_path / "out").exists()
    assert source.exists()


START = """
import os, sys
from dnapredict.data.engine.spark_engine import spark_engine
for path in sys.argv[1:]:
    os.environ["PATH"] = path
    try:
        with spark_engine():
            pass
    except Exception as error:
        print(f"{type(error).__name__}: {error}")
"""


def test_without_java_or_with_one_that_is_too_old_one_sentence_says_so(tmp_path):
    if not is_there():
        pytest.skip(NEEDED)
    old = tmp_path / "old"
    old.mkdir()
    for name in ("bash", "dirname", "ps", "rm", "env", "sed"):
        (old / name).symlink_to(str(shutil.which(name)))
    (old / "java").write_text('#!/bin/sh\necho "UnsupportedClassVersionError: class file version 61.0" >&2\nexit 1\n')
    (old / "java").chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if name != "JAVA_HOME"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", START, str(tmp_path / "none"), str(old)],
        env=environment | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    without, wrong = done.stdout.splitlines()
    needed = "needs Java 17 and the extra 'spark': pip install 'dnapredict[spark]'. Or use --engine duckdb."
    assert without == f"UsageError: --engine spark found no Java: it {needed}"
    assert wrong == f"UsageError: --engine spark could not start Java, or it is older than Java 17: it {needed}"


def test_a_session_that_cannot_be_shared_is_refused():
    connect = type("SparkSession", (), {"__module__": "pyspark.sql.connect.session", "version": "4.1.0"})
    with pytest.raises(UsageError, match="a cluster in dedicated access mode"):
        _usable(connect())
    with pytest.raises(UsageError, match=r"This session is of Spark 3.5.5; dnapredict needs Spark 4 or newer"):
        _usable(SimpleNamespace(version="3.5.5"))

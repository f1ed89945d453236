"""Spark gives the figures of the embedded engine, on a cluster whose executors are other processes than the driver."""

import dataclasses
import datetime
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from tests.end_to_end.conftest import command
from tests.end_to_end.spark_cluster import NEEDED, SHORT_LIVED, is_there
from tests.end_to_end.world import Trust
from tests.unit.registry_homes import copy_of

import dnapredict
from dnapredict import pipeline
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.engine.spark_engine import SparkEngine, explained, spark_engine
from dnapredict.errors import ModelError, StoreError, UsageError
from dnapredict.features.store.history_store import HistoryStore
from dnapredict.model.artefact import load
from dnapredict.model.cohort import Cohort
from dnapredict.pipeline import checking, model_building
from dnapredict.pipeline.on_spark import spark_audit, spark_counts
from dnapredict.pipeline.scoring import HISTORY, history_in_use
from dnapredict.quality.record_quality import _of_column
from dnapredict.registry import Registry
from dnapredict.synthetic.simulation import simulate
from dnapredict.worklist.calls.calls_ledger import Ledger
from dnapredict.worklist.follow_up.outcome_store import OutcomeStore
from dnapredict.worklist.spark_scoring import ModelFiles

ROWS = 2_000
SETTING = "spark.sql.session.timeZone"


@pytest.fixture(scope="module")
def session(spark):
    """A session on a cluster of two workers that was there before dnapredict, in another time zone."""
    return spark.start().session


@pytest.fixture(scope="module")
def extract(tmp_path_factory):
    """An extract with rows of every kind: no patient, broken rules, an id twice, cells that cannot be read.

    Its folder holds it as one file and, in `parts`, as three.
    """
    folder = tmp_path_factory.mktemp("extract")
    simulate(folder / "whole.parquet", appointments=ROWS, seed=5)
    table = pq.read_table(folder / "whole.parquet")
    number = np.arange(table.num_rows)
    table = _with(table, "patient_id", number % 10 == 0, None)
    table = _with(table, "appointment_id", number % 1_000 == 7, table["appointment_id"][3].as_py())
    table = _with(table, "starts_at", number % 1_000 == 8, None)
    table = _with(table, "outcome_code", number % 1_000 == 9, "?")
    table = _with(table, "patient_id", number % 1_000 == 11, "TBC")
    table = _with(table, "age_years", number % 1_000 == 12, 400)
    table = _with(table, "ethnic_category_code", number % 7 == 3, "White British")
    table = _with(table, "ethnic_category_code", number % 7 == 4, "QQ")
    table = _with(table, "gender_code", number % 11 == 4, "Female")
    table = _with(table, "patient_id", number % 50 == 21, "00123")
    table = _with(table, "patient_id", number % 50 == 22, "123")
    (folder / "parts").mkdir()
    pq.write_table(table, folder / "extract.parquet", row_group_size=2_000)
    for part, first in enumerate(range(0, table.num_rows, table.num_rows // 3 + 1)):
        pq.write_table(table.slice(first, table.num_rows // 3 + 1), folder / "parts" / f"part-{part}.parquet")
    return folder


def _with(table: pa.Table, name: str, rows: np.ndarray, value: object) -> pa.Table:
    changed = pc.if_else(pa.array(rows), pa.scalar(value, table[name].type), table[name])
    return table.set_column(table.column_names.index(name), name, changed)


def in_order(path: Path) -> pa.Table:
    return pq.read_table(path).sort_by("appointment_id")


def test_each_executor_works_in_a_folder_of_its_own(session):
    def where(batches):
        from pathlib import Path

        import pyarrow as pa

        for _ in batches:
            yield pa.RecordBatch.from_pydict({"folder": [str(Path.cwd())]})

    made = session.range(0, 100, 1, 8).mapInArrow(where, "folder string").distinct().toArrow()
    assert {Path(folder).parents[2].name for folder in made["folder"].to_pylist()} == {"worker-0", "worker-1"}


def test_rows_that_pass_through_the_driver_fail_here(session, extract):
    with pytest.raises(Exception, match="maxResultSize"):
        session.read.parquet(str(extract / "parts")).toArrow()


@dataclass(frozen=True)
class Factors:
    """Factors of the extract by each engine, and the session's settings and tables before Spark was used."""

    folder: Path
    settings: dict[str, str]
    views: list[object]


@pytest.fixture(scope="module")
def factors(session, extract, tmp_path_factory) -> Factors:
    """Factors of the whole file on one machine, and of its three parts on Spark, which numbers their rows alike.

    Spark reads lists and histories of one file in the tests of scores below.
    """
    made = Factors(tmp_path_factory.mktemp("factors"), dict(session.conf.getAll), session.catalog.listTables())
    for engine, name in (("duckdb", "extract.parquet"), ("spark", "parts")):
        out = command("features", extract / name, "--out", made.folder / engine, "--engine", engine)
        assert out.returncode == 0, out.stderr
    return made


def test_every_factor_is_equal_value_by_value(factors):
    embedded, spark = in_order(factors.folder / "duckdb"), in_order(factors.folder / "spark")
    assert spark.column_names == embedded.column_names
    assert spark["appointment_id"].equals(embedded["appointment_id"])
    assert spark["scored_at"].equals(embedded["scored_at"])
    for name in embedded.column_names[2:]:
        one, other = (table[name].to_numpy(zero_copy_only=False).astype(float) for table in (embedded, spark))
        np.testing.assert_allclose(other, one, rtol=0, atol=1e-12, equal_nan=True, err_msg=name)
        whole = np.nan_to_num(one) % 1 == 0
        assert np.array_equal(other[whole], one[whole], equal_nan=True), name
    assert 0 < spark.num_rows < ROWS
    assert sum(table.null_count for table in spark.columns) < 0.3 * spark.num_rows * spark.num_columns
    assert [part.name for part in factors.folder.iterdir() if "unfinished" in part.name] == []


def test_a_check_gives_the_report_and_the_sentences_of_one_machine(session, extract, tmp_path):
    said = {}
    for engine, name in (("duckdb", "extract.parquet"), ("spark", "parts")):
        out = command("check", extract / name, "--report", tmp_path / f"{engine}.json", "--engine", engine)
        assert out.returncode == 0, out.stderr
        said[engine] = out.stderr.replace(name, "X").replace(f"{engine}.", "report.")
    assert said["spark"] == said["duckdb"]
    for sentence in ("repeats an appointment_id", '"QQ"', '"White British" = A', "a placeholder", "leading zeros"):
        assert sentence in said["spark"]
    embedded, spark = (json.loads((tmp_path / f"{engine}.json").read_text()) for engine in ("duckdb", "spark"))
    assert spark == embedded | {"file": "parts"}
    assert spark["synthetic"]
    assert session.sparkContext._jsc.getPersistentRDDs().isEmpty()


@pytest.mark.thorough  # the test above, and test_a_notebook_gives_data_frames_to_checks_trainings_and_audits
def test_a_notebook_checks_a_data_frame_of_its_own_session(session, extract, tmp_path):
    pq.write_table(pq.read_table(extract / "extract.parquet").slice(0, 300), tmp_path / "extract")
    on_spark = dnapredict.check(session.read.parquet(str(tmp_path / "extract")))
    expected = dnapredict.check(pq.read_table(tmp_path / "extract"))
    assert (on_spark.rows, on_spark.kept, on_spark.usable) == (300, expected.kept, expected.usable)
    assert 0 < on_spark.kept < 300
    assert on_spark.rejections.equals(expected.rejections)
    assert dataclasses.replace(on_spark.report, file="") == dataclasses.replace(expected.report, file="")
    assert on_spark.rejected.empty


def test_an_access_report_has_the_figures_of_one_machine(extract, session, tmp_path, monkeypatch):
    monkeypatch.setattr(spark_counts, "_ROWS_OF_A_TASK", 700)  # three tasks, whose counts are added
    for engine, name in (("duckdb", "extract.parquet"), ("spark", "parts")):
        options = ("--out", tmp_path / engine, "--home", tmp_path / f"home-{engine}", "--engine", engine)
        out = command("access", extract / name, *options)
        assert out.returncode == 0, out.stderr
    embedded, spark = ((tmp_path / engine / "indicators.csv").read_text() for engine in ("duckdb", "spark"))
    assert spark == embedded
    assert session.sparkContext._jsc.getPersistentRDDs().isEmpty()


def test_hours_that_the_clock_skips_or_repeats_are_counted_as_on_one_machine(session):
    local = [datetime.datetime(2026, 3, 29, 1, 30), datetime.datetime(2026, 10, 25, 1, 30), None]
    local += [datetime.datetime(2026, 6, 1, 23, 59, 59), datetime.datetime(2026, 6, 1, 0, 59, 59)]
    rows = pa.table({"starts_local": pa.array(local, pa.timestamp("us"))})
    spark = SparkEngine(session.newSession())
    with Workspace() as embedded:
        found = [
            engine.fetch(_of_column("starts_at", table.get_name(), "Europe/London")).to_pylist()
            for engine, table in (
                (embedded, embedded.keep(rows)),
                (spark, spark.view(spark.session.createDataFrame(rows))),
            )
        ]
    spark.close()
    assert found[0] == found[1]
    assert found[0] == [{"column": "starts_at", "filled": 4, "no_clock": 1, "skipped": 1, "twice": 1, "night": 3}]


def test_the_session_that_was_there_stays_as_it_was(session, factors):
    assert dict(session.conf.getAll) == factors.settings
    assert session.conf.get(SETTING) == "Asia/Tokyo"
    assert session.catalog.listTables() == factors.views
    assert session.sparkContext._jsc.getPersistentRDDs().isEmpty()
    assert session.range(3).count() == 3


def dirty_list(trust: Trust, out: Path) -> None:
    """The weekly list with rows that cannot be scored: without a date, with an id of an earlier row."""
    table = pq.read_table(trust.weekly)
    number = np.arange(table.num_rows)
    table = _with(table, "starts_at", number % 50 == 3, None)
    table = _with(table, "appointment_id", number % 50 == 7, table["appointment_id"][0].as_py())
    pq.write_table(table, out)


@pytest.fixture(scope="module")
def past(trust, tmp_path_factory) -> Path:
    """Appointments of the weekly list's patients, and 2,000 of others: figures must be equal whatever the history."""
    table, weekly = pq.read_table(trust.extract), pq.read_table(trust.weekly)
    theirs = pc.is_in(table["patient_id"], pc.unique(weekly["patient_id"].drop_null()))
    others = table.filter(pc.invert(theirs)).slice(0, 2_000)
    out = tmp_path_factory.mktemp("past") / "past.parquet"
    pq.write_table(pa.concat_tables([table.filter(theirs), others]), out)
    return out


def test_scores_are_those_of_one_machine(session, trust, past, tmp_path):
    dirty_list(trust, tmp_path / "list.parquet")
    options = ("--home", trust.home, "--history", past)
    for out, engine in (("duckdb.parquet", "duckdb"), ("spark", "spark")):
        done = command("score", tmp_path / "list.parquet", "--out", tmp_path / out, *options, "--engine", engine)
        assert done.returncode == 0, done.stderr
    order = [("appointment_id", "ascending"), ("error", "ascending")]
    embedded, spark = (pq.read_table(tmp_path / name).sort_by(order) for name in ("duckdb.parquet", "spark"))
    assert spark.num_rows == embedded.num_rows == pq.read_metadata(tmp_path / "list.parquet").num_rows
    same = ("appointment_id", "band", "rank", "selected", "action", "reason_1", "reason_2", "reason_3")
    for name in (*same, "model_version", "error"):
        assert spark[name].to_pylist() == embedded[name].to_pylist(), name
    risks = [table["probability"].to_numpy(zero_copy_only=False) for table in (spark, embedded)]
    np.testing.assert_allclose(*risks, rtol=0, atol=1e-12, equal_nan=True)
    assert spark["error"].null_count == spark.num_rows - 2 * 8
    assert 0 < pc.sum(spark["selected"]).as_py() < 0.2 * spark.num_rows
    assert any("in the same call" in action for action in spark["action"].drop_null().to_pylist())
    assert sorted(spark["row_number"].to_pylist()) == list(range(1, spark.num_rows + 1))
    assert session.sparkContext._jsc.getPersistentRDDs().isEmpty()


@pytest.mark.thorough  # the test above, and the notebooks of test_spark_platforms
def test_a_notebook_scores_data_frames_of_its_own_session(session, trust, past, tmp_path):
    before = dict(session.conf.getAll)
    weekly, history = (session.read.parquet(str(path)) for path in (trust.weekly, past))
    done = dnapredict.score_on_spark(weekly, out=tmp_path / "spark", history=history, home=trust.home, risks_only=True)
    file = dnapredict.score(trust.weekly, history=past, home=trust.home).worklist
    scored = pq.read_table(tmp_path / "spark")
    assert {"rank", "selected", "action"}.isdisjoint(scored.column_names)
    risks = scored.to_pandas().set_index("appointment_id")["probability"]
    np.testing.assert_allclose(risks.loc[file["appointment_id"]], file["probability"], rtol=0, atol=1e-12)
    assert (done.rows, done.rejected, done.model_version) == (len(file), 0, "1")
    assert dict(session.conf.getAll) == before
    with pytest.raises(UsageError, match="score_on_spark"):
        dnapredict.score(weekly, home=trust.home)


def test_a_refresh_on_spark_writes_the_files_of_one_machine(session, extract, tmp_path):
    for engine, name in (("duckdb", "extract.parquet"), ("spark", "parts")):
        done = command("refresh", extract / name, "--home", tmp_path / engine, "--engine", engine)
        assert done.returncode == 0, done.stderr
    embedded, spark = (files_of(HistoryStore.current(tmp_path / engine / HISTORY)) for engine in ("duckdb", "spark"))
    assert len(spark) == 7
    assert spark == embedded
    assert sorted(path.name for path in (tmp_path / "spark" / HISTORY).iterdir())[0] == "CURRENT"  # no draft is left
    assert history_in_use(tmp_path / "spark") is not None
    assert session.sparkContext._jsc.getPersistentRDDs().isEmpty()


# test_a_table_that_changes_while_it_is_read_gives_no_output holds it of what every step on Spark reads.
@pytest.mark.thorough
@pytest.mark.usefixtures("session")
def test_a_refresh_of_an_extract_that_changes_leaves_the_history_as_it_was(extract, tmp_path, monkeypatch):
    home, changing = tmp_path / "home", tmp_path / "extract.parquet"
    shutil.copy(extract / "extract.parquet", changing)
    assert command("refresh", changing, "--home", home).returncode == 0
    before, arrived = files_of(HistoryStore.current(home / HISTORY)), SparkEngine.hand_over

    def then_it_changes(*arguments, **options):
        os.utime(changing, (1, 1))
        return arrived(*arguments, **options)

    monkeypatch.setattr(SparkEngine, "hand_over", then_it_changes)
    done = command("refresh", changing, "--home", home, "--engine", "spark")
    assert done.returncode == 10
    assert "changed while it was read" in done.stderr
    assert files_of(HistoryStore.current(home / HISTORY)) == before


def files_of(history: HistoryStore | None) -> dict[str, bytes]:
    assert history is not None
    return {path.name: path.read_bytes() for path in history.folder.iterdir()}


@pytest.mark.usefixtures("session")
def test_outcomes_come_back_on_spark_as_on_one_machine(trust, tmp_path):
    soon = datetime.datetime.now(datetime.UTC).replace(tzinfo=None) + datetime.timedelta(days=8)
    few = _with(pq.read_table(trust.weekly).slice(0, 60), "starts_at", np.full(60, fill_value=True), soon)
    pq.write_table(few, tmp_path / "list.parquet")
    home = copy_of(trust.home, tmp_path / "scored")
    assert command("score", tmp_path / "list.parquet", "--out", tmp_path / "s.csv", "--home", home).returncode == 0
    outcome = pa.array(np.where(np.arange(60) % 4 == 0, "3", "5"), pa.string())
    pq.write_table(few.append_column("outcome_code", outcome), tmp_path / "later.parquet")
    said, stores = {}, {}
    for verb, engine in (("outcomes", "duckdb"), ("outcomes", "spark"), ("refresh", "spark")):
        used = copy_of(home, tmp_path / f"{verb}-{engine}")
        done = command(verb, tmp_path / "later.parquet", "--home", used, "--engine", engine)
        assert done.returncode == 0, done.stderr
        said[verb, engine], stores[verb, engine] = done.stdout, OutcomeStore(used).path.read_bytes()
    assert "New outcomes: 60." in said["outcomes", "duckdb"]
    assert len(set(said.values())) == len(set(stores.values())) == 1


@pytest.mark.usefixtures("session")
def test_rows_that_do_not_arrive_on_this_machine_are_missed(tmp_path):
    with spark_engine() as engine, pytest.raises(StoreError, match="2 of 3 rows of the executors arrived"):
        engine.hand_over(engine.view(engine.session.range(2)), tmp_path / "rows", rows=3)


@pytest.mark.skipif(sys.platform != "linux", reason="a path that differs by process is in /proc")
def test_an_executor_with_another_disk_writes_no_row(session, tmp_path, monkeypatch):
    driver = Path(session.conf.get("spark.local.dir"))
    monkeypatch.chdir(driver)
    draft = Path("/proc/self/cwd") / tmp_path.name / "home" / "draft"
    draft.mkdir(parents=True)
    refused = pytest.raises(StoreError, match="home: an executor finds another folder there")
    with refused, spark_engine() as engine:
        engine.hand_over(engine.view(engine.session.range(3)), draft / "rows", rows=3)
    left = [path for path in driver.parent.rglob(f"{tmp_path.name}/**/*") if path.is_file()]
    assert [path.name for path in left] == ["rows.token"]


def test_a_history_that_executors_cannot_read_is_not_left_out(trust, tmp_path):
    done = command("score", trust.weekly, "--out", tmp_path / "s", "--home", trust.home, "--engine", "spark")
    assert done.returncode == 2
    assert "Give the extract of past appointments with --history" in done.stderr
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--engine", "spark", "--watch", "lists"), "takes no --watch"),
        (("--engine", "spark", "--risks-only", "--capacity", 5), "makes no plan of calls"),
        (("--risks-only",), "--risks-only is for --engine spark"),
    ],
)
def test_options_that_do_not_go_together_are_refused(trust, tmp_path, options, said):
    done = command("score", trust.weekly, "--out", tmp_path / "s", "--home", trust.home, *options)
    assert done.returncode == 2
    assert said in done.stderr


@dataclass(frozen=True)
class Trained:
    """A challenger, trained otherwise than the champion: what the training printed, and the appointments it was of."""

    home: Path
    said: str
    cohort: Cohort


@dataclass(frozen=True)
class Challenger:
    """4,000 past appointments, a third of whose patients were called, and a challenger whose factors Spark made."""

    extract: Path
    config: Path
    trained: Trained


@pytest.fixture(scope="module")
def challenger(session, trust, tmp_path_factory) -> Challenger:  # noqa: ARG001 - the session must be there
    place = tmp_path_factory.mktemp("challenger")
    extract, config = place / "extract.parquet", place / "config.toml"
    table = pq.read_table(trust.extract)
    table = table.take(np.arange(0, table.num_rows, table.num_rows // 4_000))
    number = np.arange(table.num_rows)
    contacted = pa.array(number % 9 == 0, mask=number % 3 != 0)
    pq.write_table(table.append_column("contacted", contacted), extract)
    config.write_text("horizon_days = 5\n[model]\nmax_rounds = 5\n", encoding="utf-8")
    return Challenger(extract, config, trained(trust, extract, config, place / "home", "--engine", "spark"))


def trained(trust: Trust, extract: Path, config: Path, home: Path, *options: str) -> Trained:
    cohorts, train = [], model_building.train_model
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(
            model_building, "train_model", lambda given, **named: train(cohorts.append(given) or given, **named)
        )
        done = command("train", extract, "--config", config, "--home", copy_of(trust.home, home), *options)
    assert done.returncode == 0, done.stderr
    return Trained(home, done.stdout, cohorts[0])


def test_a_training_on_spark_is_that_of_one_machine(challenger, trust, tmp_path):
    """Every factor is equal bit for bit, and so are the files of the model."""
    spark, one = challenger.trained, trained(trust, challenger.extract, challenger.config, tmp_path / "home")
    assert spark.said == one.said
    assert spark.cohort.factors == one.cohort.factors
    for name, values in one.cohort._arrays().items():
        assert spark.cohort._arrays()[name].tobytes() == values.tobytes(), name
    assert 0 < np.isnan(one.cohort.matrix).mean() < 0.3
    assert spark.cohort.contacted.sum() > 100
    assert model_files(spark.home) == model_files(one.home)
    assert appointments_kept(spark.home) == appointments_kept(one.home)


def model_files(home: Path) -> dict[str, object]:
    """The files of the challenger, without the digest of its extract: a table has neither a file nor an order."""
    files: dict[str, object] = {path.name: path.read_bytes() for path in Registry(home).folder("2").iterdir()}
    manifest = json.loads((Registry(home).folder("2") / "manifest.json").read_bytes())
    assert len(manifest["provenance"].pop("data_sha256")) == 64
    return files | {"manifest.json": manifest}


def appointments_kept(home: Path) -> set[bytes]:
    """What the home keeps of the appointments of each training."""
    return {path.read_bytes() for path in (home / "tested" / "coverage").iterdir()}


@pytest.mark.usefixtures("session")
def test_an_audit_has_the_figures_and_the_verdict_of_one_machine(challenger, tmp_path, monkeypatch):
    read, sources, printed, figures, counts = spark_audit.source_on_spark, [], {}, {}, {}

    def once(*arguments, **named):
        sources.extend([] if sources else [read(*arguments, **named)])
        return sources[0]

    monkeypatch.setattr(spark_audit, "source_on_spark", once)
    for engine in ("duckdb", "spark"):
        home = copy_of(challenger.trained.home, tmp_path / f"home-{engine}")
        options = ("--model", "2", "--home", home, "--engine", engine)
        done = command("audit", challenger.extract, "--out", tmp_path / engine, *options)
        assert done.returncode in (0, 13), done.stderr
        printed[engine] = done.stdout.split("The report is")[0]
        figures[engine] = json.loads((tmp_path / engine / "audit.json").read_text(encoding="utf-8"))
        out = ("--trust", "Trust A", "--out", tmp_path / f"{engine}.counts.json")
        done = command("audit-counts", challenger.extract, *out, *options)
        assert done.returncode == 0, done.stderr
        counts[engine] = json.loads((tmp_path / f"{engine}.counts.json").read_text(encoding="utf-8"))
    assert "Verdict:" in printed["spark"]
    assert printed["spark"] == printed["duckdb"]
    for made in (*(of["context"] for of in figures.values()), *(of["provenance"] for of in counts.values())):
        del made["created_at"], made["data_sha256"]  # a table has neither a file nor an order
    assert figures["spark"] == figures["duckdb"]
    for part in ("counts", "provenance"):
        assert counts["spark"][part] == counts["duckdb"][part]


@pytest.mark.usefixtures("session")
def test_a_monitor_has_the_figures_of_one_machine(trust, tmp_path):
    figures = {}
    for engine in ("duckdb", "spark"):
        home = copy_of(trust.home, tmp_path / f"home-{engine}")
        out = ("--out", tmp_path / engine, "--json")
        done = command("monitor", trust.extract, *out, "--home", home, "--engine", engine)
        assert done.returncode in (0, 13), done.stderr
        figures[engine] = json.loads(done.stdout)
        assert (home / "monitor" / "latest.json").is_file()
        del figures[engine]["created_at"]
    assert figures["spark"] == figures["duckdb"]


def test_a_notebook_gives_data_frames_to_checks_trainings_and_audits(session, trust, tmp_path, monkeypatch):
    frame, given = session.range(3), []

    def stopped(source, **named):
        given.append((source, named.get("home"), named.get("model")))
        raise StoreError("Stopped.")

    monkeypatch.setattr(checking, "check_on_spark", stopped)
    monkeypatch.setattr(pipeline, "train_on_spark", stopped)
    monkeypatch.setattr(pipeline, "audit_on_spark", stopped)
    with pytest.raises(StoreError, match="Stopped"):
        dnapredict.check(frame)
    with pytest.raises(StoreError, match="Stopped"):
        dnapredict.train(frame, home=trust.home)
    with pytest.raises(StoreError, match="Stopped"):
        dnapredict.audit(frame, model=1, home=trust.home, out=tmp_path / "audit")
    assert given == [(frame, None, None), (frame, trust.home, None), (frame, trust.home, "1")]
    with pytest.raises(UsageError, match="which a cluster cannot compare"):
        dnapredict.train(frame, home=trust.home, lists=[tmp_path / "list.csv"])
    with pytest.raises(UsageError, match="scores= are joined to an extract on one machine"):
        dnapredict.audit(frame, scores=tmp_path / "scores.csv", home=trust.home, out=tmp_path / "audit")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("train", "--list", "list.csv"), "--list compares files of this machine"),
        (("audit", "--scores", "scores.csv"), "reads no --scores"),
        (("audit", "--model", "1", "--study"), "--study fits models on the factors of one machine"),
        (("audit-counts", "--trust", "Trust A", "--scores", "scores.csv"), "reads no --scores"),
        (("monitor", "--scores", "scores.csv"), "reads no --scores"),
    ],
)
def test_what_one_machine_alone_can_do_is_refused(trust, tmp_path, words, said):
    out = () if words[0] == "train" else ("--out", tmp_path / "out")
    done = command(*words, trust.extract, *out, "--home", trust.home, "--engine", "spark")
    assert done.returncode == 2
    assert said in done.stderr


def test_rows_of_a_week_are_appended_by_one_machine(trust, tmp_path):
    done = command("refresh", trust.weekly, "--append", "--home", tmp_path / "home", "--engine", "spark")
    assert done.returncode == 2
    assert "leave out --engine spark" in done.stderr


def test_a_home_that_knows_of_calls_makes_no_plan_without_them(trust, past, tmp_path):
    home = copy_of(trust.home, tmp_path / "home")
    patients = pq.read_table(trust.weekly)["patient_id"].drop_null()
    out = pa.array([True] + [None] * (len(patients) - 1))
    Ledger(home).stated.remember(pa.table({"patient_id": patients, "opt_out": out}))
    options = ("--out", tmp_path / "s", "--home", home, "--history", past, "--engine", "spark")
    done = command("score", trust.weekly, *options)
    assert done.returncode == 2
    assert "--risks-only" in done.stderr
    assert not (tmp_path / "s").exists()


def test_a_changed_model_is_refused_by_an_executor(trust):
    registry = Registry(trust.home)
    folder = registry.folder(registry.usable("champion"))
    sent = ModelFiles.of(folder, load(folder).digest)
    changed = tuple((name, content.replace(b"0.1", b"0.2")) for name, content in sent.contents)
    with pytest.raises(ModelError, match="the model is damaged"):
        ModelFiles("0" * 64, changed).loaded()
    with pytest.raises(ModelError, match="another model than the one that was sent"):
        ModelFiles("1" * 64, sent.contents).loaded()


@pytest.mark.parametrize(
    ("thrown", "kind", "said"),
    [
        ("ModuleNotFoundError: No module named 'dnapredict'", UsageError, "An executor has no Python package"),
        ("dnapredict.errors.ModelError: model.txt: damaged.", ModelError, "model.txt: damaged."),
        ("the value 'Ada Lovelace' is malformed", StoreError, "Spark stopped"),
    ],
)
def test_what_an_executor_throws_is_one_sentence_without_a_value(thrown, kind, said):
    error = explained(RuntimeError(f"Traceback\n{thrown}\n at java"))
    assert type(error) is kind
    assert said in str(error)
    assert "Lovelace" not in str(error)


@pytest.mark.usefixtures("session")
def test_a_query_that_fails_quotes_no_value_on_the_terminal(capfd):
    with pytest.raises(StoreError, match="Spark stopped"), spark_engine() as engine:
        engine.fetch("SELECT 'Lovelace'::INTEGER AS number")
    assert "Lovelace" not in "".join(capfd.readouterr())


@pytest.mark.usefixtures("session")
def test_a_query_of_what_is_kept_is_planned_from_there():
    with spark_engine() as engine:
        kept = engine.keep(engine.session.range(5).selectExpr("id + 1 AS number"))
        leaves = engine.frame(kept.filter(kept.number > 2))._jdf.queryExecution().analyzed().collectLeaves()
        assert (leaves.size(), leaves.head().nodeName()) == (1, "InMemoryRelation")
        assert sorted(engine.fetch(kept)["number"].to_pylist()) == [1, 2, 3, 4, 5]


@pytest.mark.usefixtures("session")
def test_what_is_no_parquet_is_refused(tmp_path):
    (tmp_path / "list.csv").write_text("appointment_id\n1\n")
    for source in ("list.csv", "nothing"):
        done = command("features", tmp_path / source, "--out", tmp_path / "f", "--engine", "spark")
        assert done.returncode == 10
        assert "cannot be read as Parquet" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["list.csv"]


def test_an_engine_that_there_is_not_is_refused(tmp_path):
    out = command("features", tmp_path / "e.parquet", "--out", tmp_path / "f.parquet", "--engine", "flink")
    assert out.returncode == 2
    assert "'duckdb', 'spark'" in out.stderr


OWN_SESSION = """
import os, sys
os.umask(0o022)
from dnapredict.data.engine.spark_engine import spark_engine
with spark_engine() as engine:
    engine.write(engine.session.range(1), sys.argv[1])
"""


def test_what_a_session_of_our_own_writes_is_its_owners_alone(tmp_path):
    if not is_there():
        pytest.skip(NEEDED)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONWARNINGS": "ignore"}
    environment["PYSPARK_SUBMIT_ARGS"] = f"--driver-java-options '{SHORT_LIVED}' pyspark-shell"
    command = [sys.executable, "-c", OWN_SESSION, str(tmp_path / "new" / "worklist")]
    subprocess.run(command, check=True, capture_output=True, env=environment, timeout=300)
    written = [tmp_path / "new", *(tmp_path / "new").rglob("*")]
    assert {(path.is_dir(), oct(path.stat().st_mode & 0o777)) for path in written} == {
        (True, "0o700"),
        (False, "0o600"),
    }

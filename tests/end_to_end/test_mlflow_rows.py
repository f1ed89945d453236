"""What an analyst meets in MLflow: runs with names, a model that takes contract rows, a server that a team shares."""

import asyncio
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest
from tests.end_to_end.conftest import QUICK, SIGNED, command
from tests.end_to_end.world import weekly_list

MARK = "ZEBRA-MARKED-VALUE"
HERE = Path(__file__).parents[2]
TOLERANCE = {"rtol": 0, "atol": 1e-12}

needs_spark = pytest.mark.skipif(
    importlib.util.find_spec("pyspark") is None or (shutil.which("java") is None and "JAVA_HOME" not in os.environ),
    reason="Spark needs Java 17 and the extra: pip install 'dnapredict[spark]'.",
)


@dataclass(frozen=True)
class Shared:
    """A home whose training, audit and promotion were copied to a team's server."""

    home: Path
    server: str
    rows: pd.DataFrame
    weekly: Path

    @property
    def own(self) -> str:
        return f"sqlite:///{self.home / 'mlflow.db'}"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Shared:
    place = tmp_path_factory.mktemp("shared")
    extract, home, config = place / "extract.parquet", place / "home", place / "config.toml"
    config.write_text(QUICK, encoding="utf-8")
    server = f"sqlite:///{place / 'team' / 'mlflow.db'}"
    (place / "team").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", server)
        for step in (
            ("simulate", extract, "--appointments", 16_000, "--seed", 5),
            ("train", extract, "--home", home, "--config", config),
            ("audit", extract, "--model", "1", "--home", home, "--out", place / "report"),
            ("sign", place / "report", *SIGNED, "--home", home),
            ("promote", "1", "--home", home),
            ("monitor", extract, "--home", home, "--out", place / "monitor"),
        ):
            done = command(*step)
            assert done.returncode == 0, (step, done.stderr)
        assert os.environ["MLFLOW_TRACKING_URI"] == server
    weekly_list(extract, place / "weekly.parquet", rows=300)
    return Shared(home, server, pd.read_parquet(place / "weekly.parquet"), place / "weekly.parquet")


def scored(shared: Shared, out: Path, *options: object) -> np.ndarray:
    """The risks that `dnapredict score` gives the rows, in their order."""
    done = command("score", shared.weekly, "--out", out, "--home", shared.home, *options)
    assert done.returncode == 0, done.stderr
    risks = pd.read_parquet(out).set_index("appointment_id")["probability"]
    return risks.loc[shared.rows["appointment_id"]].to_numpy()


def load(address: str, **options: object):
    import mlflow

    mlflow.set_tracking_uri(address)
    mlflow.set_registry_uri(address)
    try:
        return mlflow.pyfunc.load_model("models:/dna-risk@champion", **options)
    finally:
        mlflow.set_tracking_uri(None)
        mlflow.set_registry_uri(None)
        for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
            os.environ.pop(name, None)


def client(address: str):
    import mlflow

    return mlflow.MlflowClient(address, address)


def model_id(address: str) -> str:
    return client(address).get_model_version_by_alias("dna-risk", "champion").source.rpartition("/")[2]


def test_contract_rows_get_the_risks_of_a_scored_list(shared: Shared, tmp_path: Path):
    expected = scored(shared, tmp_path / "out.parquet")
    model = load(shared.own)
    np.testing.assert_allclose(model.predict(shared.rows), expected, **TOLERANCE)
    backwards = shared.rows.iloc[::-1]
    np.testing.assert_allclose(model.predict(backwards), expected[::-1], **TOLERANCE)


def test_a_history_is_read_where_it_is_given(shared: Shared, tmp_path: Path):
    extract = shared.weekly.with_name("extract.parquet")
    home = shutil.copytree(shared.home, tmp_path / "home")
    assert command("refresh", extract, "--home", home).returncode == 0
    expected = scored(shared, tmp_path / "out.parquet", "--history", extract)
    model = load(shared.own, model_config={"history": str(home)})
    np.testing.assert_allclose(model.predict(shared.rows), expected, **TOLERANCE)
    without = load(shared.own).predict(shared.rows)
    assert np.abs(without - expected).max() > 0.01


def test_a_row_that_breaks_the_contract_gets_no_risk_and_the_others_theirs(shared: Shared):
    model = load(shared.own)
    rows = shared.rows.head(5).astype({"starts_at": "string"})
    rows.loc[rows.index[2], "starts_at"] = MARK
    risks = model.predict(rows)
    assert list(np.isnan(risks)) == [False, False, True, False, False]


def test_no_message_holds_a_patients_value(shared: Shared):
    model = load(shared.own)
    marked = shared.rows.head(3).assign(patient_id=MARK)
    for frame in (
        marked.drop(columns="starts_at"),
        marked.to_numpy(dtype=object),
        marked.assign(site_code=[1, MARK, {}]),
    ):
        with pytest.raises(Exception) as refused:  # noqa: PT011 - whatever MLflow or the model raises
            model.predict(frame)
        assert MARK not in str(refused.value)


def test_the_model_page_shows_the_columns_and_a_made_up_example(shared: Shared):
    model = load(shared.own)
    assert {"appointment_id", "starts_at", "booked_at"} <= set(model.metadata.get_input_schema().input_names())
    example = model.input_example
    assert all(example["appointment_id"].str.startswith("SYN-"))
    assert np.isfinite(model.predict(example)).all()


def test_the_page_opens_on_models_and_tells_runs_apart(shared: Shared):
    for address in (shared.own, shared.server):
        asked = client(address)
        experiment = asked.get_experiment_by_name("dna-risk")
        assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
        runs = asked.search_runs([experiment.experiment_id])
        names = [run.info.run_name for run in runs]
        assert len(set(names)) == len(names)
        assert {run.data.tags["kind"] for run in runs} >= {"training", "rival", "audit", "monitor"}
        for run in runs:
            assert run.data.tags["mlflow.note.content"]
            assert run.data.tags["mlflow.source.name"].startswith("dnapredict ")
            assert run.info.end_time >= run.info.start_time


def test_an_audit_is_a_run_about_its_model_with_published_figures(shared: Shared):
    for address in (shared.own, shared.server):
        asked = client(address)
        experiment = asked.get_experiment_by_name("dna-risk").experiment_id
        (found,) = asked.search_runs([experiment], "tags.kind = 'audit'")
        audit = asked.get_run(found.info.run_id)  # a search leaves the inputs out
        assert [each.model_id for each in audit.inputs.model_inputs] == [model_id(address)]
        published = json.loads((shared.home.parent / "report" / "audit.json").read_text())
        assert audit.data.tags["verdict"] == published["verdict"]
        assert audit.data.metrics["overall/reach"] == published["overall"]["rates"]["reach"]["value"]


def test_a_monitor_run_is_a_run_about_its_model_with_a_step_for_each_week(shared: Shared):
    for address in (shared.own, shared.server):
        asked = client(address)
        experiment = asked.get_experiment_by_name("dna-risk").experiment_id
        (found,) = asked.search_runs([experiment], "tags.kind = 'monitor'")
        run = asked.get_run(found.info.run_id)
        assert run.info.run_name == "Monitor of version 1: no alarm"
        assert [each.model_id for each in run.inputs.model_inputs] == [model_id(address)]
        published = json.loads((shared.home.parent / "monitor" / "monitor.json").read_text())
        weeks = [row["level"] for row in published["level"]]
        steps = {each.step: each.value for each in asked.get_metric_history(run.info.run_id, "weekly/level")}
        assert steps == {at: level for at, level in enumerate(weeks, start=1) if level is not None}
        assert run.data.metrics["alarms"] == 0.0
        assert "No alarm holds" in run.data.tags["mlflow.note.content"]
        assert [each.path for each in asked.list_artifacts(run.info.run_id)] == ["monitor.html"]


def test_another_machine_without_dnapredict_loads_the_teams_copy(shared: Shared, tmp_path: Path):
    expected = scored(shared, tmp_path / "out.parquet")
    script = (
        "import sys; sys.path[:] = [p for p in sys.path if not p.rstrip('/').endswith('/src')]\n"
        "import importlib.util; spec = importlib.util.find_spec('dnapredict')\n"
        "assert spec is None or spec.origin is None\n"
        "import mlflow, pandas as pd, numpy as np\n"
        "model = mlflow.pyfunc.load_model('models:/dna-risk@champion')\n"
        f"np.save({str(tmp_path / 'risks.npy')!r}, model.predict(pd.read_parquet({str(shared.weekly)!r})))\n"
        "import dnapredict; print(dnapredict.__file__)"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment | {"MLFLOW_TRACKING_URI": shared.server},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert str(HERE / "src") not in done.stdout
    np.testing.assert_allclose(np.load(tmp_path / "risks.npy"), expected, **TOLERANCE)


def test_a_server_that_cannot_be_written_to_is_said_and_costs_nothing(
    shared: Shared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    home = shutil.copytree(shared.home, tmp_path / "home")
    (tmp_path / "taken").write_text("a file where a folder should be")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'taken' / 'mlflow.db'}")
    assert command("promote", "1", "--home", home).returncode == 0
    assert "MLFLOW_TRACKING_URI" in caplog.text
    assert "The home holds everything." in caplog.text


def test_mlflows_scoring_server_takes_contract_rows(shared: Shared, tmp_path: Path):
    from mlflow.pyfunc.scoring_server import init

    async def post(records: object) -> httpx.Response:
        transport = httpx.ASGITransport(app=init(load(shared.own)), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as server:
            return await server.post("/invocations", json={"dataframe_records": records}, timeout=60)

    rows = json.loads(shared.rows.to_json(orient="records", date_format="iso"))
    answer, refused = asyncio.run(post(rows)), asyncio.run(post([{"patient_id": MARK}]))
    assert answer.status_code == 200, answer.text[:500]
    np.testing.assert_allclose(answer.json()["predictions"], scored(shared, tmp_path / "o.parquet"), **TOLERANCE)
    assert refused.status_code >= 400
    assert MARK not in refused.text


@needs_spark
@pytest.mark.thorough  # test_seven_doors_give_equal_risks of test_spark_platforms
def test_spark_udf_takes_contract_rows(shared: Shared, tmp_path: Path):
    import mlflow
    from pyspark.sql.functions import struct

    from dnapredict.data.engine.spark_engine import spark_engine

    with spark_engine() as engine:
        spark = engine.session
        spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", "0")
        folder = shared.home / "mlruns" / "models" / model_id(shared.own) / "artifacts"
        risk = mlflow.pyfunc.spark_udf(spark, str(folder), result_type="double", env_manager="local")
        rows = spark.read.parquet(str(shared.weekly)).coalesce(1)
        made = rows.withColumn("risk", risk(struct(*rows.columns))).select("appointment_id", "risk").toPandas()
    made = made.set_index("appointment_id")["risk"].loc[shared.rows["appointment_id"]].to_numpy()
    np.testing.assert_allclose(made, scored(shared, tmp_path / "out.parquet"), **TOLERANCE)


def test_versions_are_listed_with_what_was_decided(shared: Shared):
    done = command("versions", "--home", shared.home, "--json")
    (version,) = json.loads(done.stdout)["versions"]
    published = json.loads((shared.home.parent / "report" / "audit.json").read_text())
    assert version["version"] == "1"
    assert sorted(version["aliases"]) == ["challenger", "champion"]
    assert (version["in_use"], version["problem"]) == (True, "")
    assert (version["verdict"], version["signed"]) == (published["verdict"], "approve")
    assert 0.5 < version["test"]["auroc"] < 0.8
    assert "n" not in version["test"]
    state = json.loads((shared.home / "monitor" / "latest.json").read_text())
    assert version["monitor"] == state
    assert version["trial"] is None
    text = command("versions", "--home", shared.home).stdout
    assert f"  monitor, {state['created_at'][:10]}: No alarm holds, up to the week of" in text
    assert "Version 1: challenger, champion, in use, SYNTHETIC" in text
    assert "signed by A. Reviewer: approve" in text


def test_an_alias_that_was_set_in_mlflow_puts_no_version_in_use(shared: Shared, tmp_path: Path):
    home = shutil.copytree(shared.home, tmp_path / "home")
    client(f"sqlite:///{home / 'mlflow.db'}").delete_registered_model_alias("dna-risk", "champion")
    (version,) = json.loads(command("versions", "--home", home, "--json").stdout)["versions"]
    assert version["in_use"] is True
    assert version["aliases"] == ["challenger"]


def test_a_home_without_a_model_says_what_makes_one(tmp_path: Path):
    done = command("versions", "--home", tmp_path / "home")
    assert (done.returncode, done.stdout) == (0, "No model is registered here. Next: dnapredict train EXTRACT\n")
    assert not (tmp_path / "home").exists()

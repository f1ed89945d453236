"""The Python interface gives the results of the command line, whatever kind of table it is given."""

import json

import pandas as pd
import pyarrow.parquet as pq
import pytest
from tests.end_to_end.conftest import SIGNED
from tests.end_to_end.world import Trust
from tests.unit.registry_homes import copy_of
from tests.unit.test_public_api import LikePolars

import dnapredict as dp
from dnapredict.config.training_config import ModelSettings, TrainingConfig
from dnapredict.errors import DataError, GateFailedError, ModelError, UsageError

MARKED = "ZEBRA-MARKED-VALUE"
QUICK_CONFIG = TrainingConfig(model=ModelSettings(max_rounds=60, patience=20, learning_rate=0.2))


@pytest.fixture(scope="module")
def by_command(trust: Trust, dnapredict, tmp_path_factory) -> pd.DataFrame:
    """The weekly list scored by the command."""
    out = tmp_path_factory.mktemp("command") / "worklist.parquet"
    done = dnapredict("score", trust.weekly, "--out", out, "--home", trust.home)
    assert done.returncode == 0, done.stderr
    return pd.read_parquet(out)


@pytest.mark.parametrize("form", ["path", "arrow", "pandas", "polars"])
def test_scores_are_those_of_the_command(form, trust: Trust, by_command):
    table = pq.read_table(trust.weekly)
    given = {"path": trust.weekly, "arrow": table, "pandas": table.to_pandas(), "polars": LikePolars(table)}[form]
    result = dp.score(given, home=trust.home)
    assert result.worklist["appointment_id"].tolist() == by_command["appointment_id"].tolist()
    assert (result.worklist["probability"] - by_command["probability"]).abs().max() <= 1e-12
    for name in ("rank", "selected", "action", "reason_1", "reason_2", "reason_3", "band"):
        ours, theirs = result.worklist[name].astype(object), by_command[name].astype(object)
        assert ours.where(ours.notna(), None).tolist() == theirs.where(theirs.notna(), None).tolist()
    assert (result.rows, result.selected, result.model_version) == (400, int(by_command["selected"].sum()), "1")
    assert result.has_history


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_a_worklist_that_is_written_is_read_back_with_its_numbers(form, trust: Trust, by_command, tmp_path):
    result = dp.load_model(home=trust.home).score(trust.weekly, out=tmp_path / f"worklist.{form}")
    assert result.path == tmp_path / f"worklist.{form}"
    assert (result.worklist["probability"] - by_command["probability"]).abs().max() <= 1e-12
    assert result.worklist["selected"].tolist() == by_command["selected"].tolist()
    assert result.worklist["rank"].tolist() == by_command["rank"].tolist()


def test_history_and_capacity_are_those_of_the_command(trust: Trust, by_command):
    history = pq.read_table(trust.extract)
    result = dp.score(trust.weekly, history=history, capacity=7, home=trust.home)
    assert result.selected == 7
    assert (result.worklist["probability"] - by_command["probability"]).abs().max() <= 1e-12


def test_a_result_shows_no_patient(trust: Trust):
    table = pq.read_table(trust.weekly).to_pandas().head(40)
    table.loc[0, "appointment_id"] = f"<b>{MARKED}</b>"
    table.loc[1, "starts_at"] = pd.NaT
    result = dp.score(table, home=trust.home)
    assert MARKED in result.worklist.to_string()
    shown = repr(result) + result._repr_html_()
    assert MARKED not in shown
    assert table["appointment_id"][5] not in shown
    assert "hidden" in result._repr_html_()  # one row was not scored


def test_a_check_gives_the_figures_of_the_report_and_the_rejected_rows(trust: Trust, dnapredict, tmp_path):
    page = tmp_path / "check.json"
    assert dnapredict("check", trust.extract, "--report", page).returncode == 0
    result = dp.check(pq.read_table(trust.extract), report=tmp_path / "ours.json")
    ours, theirs = (json.loads(path.read_text()) for path in (tmp_path / "ours.json", page))
    assert {**ours, "file": ""} == {**theirs, "file": ""}
    assert (result.rows, result.kept, result.usable) == (theirs["rows"], theirs["kept"], True)
    assert len(result.rejected) == result.rows - result.kept
    assert list(result.rejected.columns) == ["row_number", "appointment_id", "rule"]
    assert [path.name for path in result.files] == ["ours.json", "ours.html"]
    assert "Ready for training" in result._repr_html_()
    result.require()


def test_an_extract_with_too_many_faults_is_reported_and_refused_by_require_and_train(tmp_path):
    rows = {
        "appointment_id": [MARKED, "a2", "a3", "a3"],
        "booked_at": ["2025-01-02"] * 4,
        "starts_at": ["2025-02-02"] * 3 + ["2024-01-01"],
        "outcome_code": ["5", "3", "Q", "5"],
    }
    result = dp.check(pd.DataFrame(rows))
    assert not result.usable
    assert result.rejections["count"].sum() == len(result.rejected) == 2
    assert MARKED not in repr(result) + result._repr_html_()
    for refuse in (result.require, lambda: dp.train(pd.DataFrame(rows), home=tmp_path / "home")):
        with pytest.raises(DataError, match=r"^extract.*50.0% of 4 rows") as told:
            refuse()
        assert MARKED not in str(told.value)
    assert not (tmp_path / "home").exists()


def test_training_auditing_and_promoting_give_the_model_of_the_command(trust: Trust, dnapredict, tmp_path):
    """From a table, with a configuration in Python: the same model as from the file with a TOML file."""
    home, theirs = tmp_path / "home", json.loads(trust.training.read_text(encoding="utf-8"))
    messages: list[str] = []
    ours = dp.train(pq.read_table(trust.extract), home=home, config=QUICK_CONFIG, say=messages.append)
    assert messages == list(ours.messages)
    assert {**ours.as_dict(), "run_id": ""} == {**theirs, "run_id": ""}
    assert ours.test.loc["all", "auroc"] == theirs["test"]["all"]["auroc"]
    assert set(ours.baselines.index.get_level_values("baseline")) == set(theirs["baselines"])
    assert ours.synthetic
    assert "SYNTHETIC" in ours._repr_html_()

    with pytest.raises(ModelError, match="audit"):
        dp.promote(ours.version, home=home)
    loaded = dp.load_model("challenger", home=home)
    assert loaded.factors == ours.factors
    assert "not audited yet" in loaded._repr_html_()
    assert loaded.not_usable_because
    with pytest.raises(ModelError):
        loaded.score(trust.weekly)

    report = dp.audit(trust.extract, model=int(ours.version), out=tmp_path / "report", home=home)
    assert (
        report.verdict == report.figures["verdict"]["verdict"] if isinstance(report.figures["verdict"], dict) else True
    )
    assert list(report.gates["code"]) == [gate["code"] for gate in report.figures["gates"]]
    assert {"gates", "figures_core20"} <= report.tables.keys()
    assert report.report.is_file()
    assert report.verdict in report._repr_html_()
    with pytest.raises(GateFailedError, match="its report is not signed"):
        dp.promote(ours.version, home=home)
    assert dnapredict("sign", tmp_path / "report", *SIGNED, "--home", home).returncode == 0
    champion = dp.promote(ours.version, home=home)
    assert champion.not_usable_because == ""
    assert champion.card.startswith("#")
    assert "## Status" in champion.card


def test_the_scores_of_another_product_are_audited_from_a_table(trust: Trust, tmp_path):
    table = pq.read_table(trust.extract, columns=["appointment_id", "imd_decile"]).to_pandas()
    scores = pd.DataFrame({"appointment_id": table["appointment_id"], "probability": 0.05 + table.index % 10 / 100})
    report = dp.audit(trust.extract, scores=scores, out=tmp_path / "report", home=tmp_path / "home")
    assert report.verdict in ("PASS", "REVIEW", "FAIL", "NOT ENOUGH DATA")
    with pytest.raises(DataError, match=r"^scores: column 'probability' is missing"):
        dp.audit(trust.extract, scores=scores[["appointment_id"]], out=tmp_path / "r", home=tmp_path / "home")


def test_errors_are_those_of_the_command_and_name_the_table(trust: Trust, tmp_path):
    with pytest.raises(DataError, match=r"nowhere.csv: no such file"):
        dp.check(tmp_path / "nowhere.csv")
    with pytest.raises(DataError, match=r"^extract: required column 'booked_at'|^extract: .*'booked_at'"):
        dp.check(pd.DataFrame({"appointment_id": ["a"], "starts_at": ["2025-01-02"]}))
    with pytest.raises(DataError, match=r"^list: holds no rows"):
        dp.score(pq.read_table(trust.weekly).slice(0, 0), home=trust.home)
    with pytest.raises(UsageError, match=r"would overwrite list"):
        dp.score(trust.weekly, out=trust.weekly, home=trust.home)
    with pytest.raises(UsageError, match="either model= or scores="):
        dp.audit(trust.extract, out=tmp_path / "report", home=trust.home)
    with pytest.raises(ModelError, match="dnapredict train"):
        dp.load_model(home=tmp_path / "home")


def test_a_rejected_model_scores_no_list(trust: Trust, dnapredict, tmp_path):
    """The gate of the command holds in Python too."""
    home, version = copy_of(trust.home, tmp_path / "home"), "1"
    model = dp.load_model(home=home)
    assert model.score(trust.weekly).rows == 400
    dp.audit(trust.extract, model=version, out=tmp_path / "later", home=home)
    words = ("--name", "A. Name", "--role", "Equality lead", "--decision", "reject", "--reason", "Not tested enough.")
    assert dnapredict("sign", tmp_path / "later", *words, "--home", home).returncode == 0
    with pytest.raises(GateFailedError):
        model.score(trust.weekly)
    again = dp.load_model(version, home=home)
    assert (again.decision, again.not_usable_because != "") == ("reject", True)

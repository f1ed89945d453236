"""From a signed report to a champion: whose decision counts, on what, and where it stays."""

import json
from pathlib import Path

import pytest
from tests.unit.risk_worlds import CONFIG, world
from tests.unit.test_risk_artefact import PROVENANCE

from dnapredict import pipeline
from dnapredict.errors import GateFailedError, StoreError
from dnapredict.risk.artefact import load, save
from dnapredict.risk.training import train
from dnapredict.tracking import CHAMPION, Registry

WHO = {"name": "A. Reviewer", "role": "Equality lead", "reason": "Review in May."}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory):
    config = CONFIG.model_copy(update={"leak_alarm_auroc": 1.0})  # its figures are that good
    training = train(world(), config=config, directions=(1, 1, 0))
    folder = tmp_path_factory.mktemp("stored") / "model"
    save(training.model, folder, provenance=PROVENANCE, specimens=training.specimens)
    return training, folder


@pytest.fixture
def home(tmp_path: Path, trained) -> Path:
    training, folder = trained
    assert Registry(tmp_path / "home").register(folder, training).version == "1"
    return tmp_path / "home"


def report(folder: Path, trained, verdict: str, *, text: str = "a report") -> Path:
    folder.mkdir()
    (folder / "report.html").write_text(text)
    context = {"model_sha256": load(trained[1]).digest, "data_sha256": "b" * 64}
    figures = {"verdict": verdict, "context": context, "gates": [], "policy": {}}
    (folder / "audit.json").write_text(json.dumps(figures))
    return folder


def test_a_failed_version_signed_with_conditions_is_promoted_and_the_decision_stays_beside_it(
    home, trained, tmp_path
):
    out = report(tmp_path / "report", trained, "FAIL")
    registry = Registry(home)
    registry.keep_audit("1", out, verdict="FAIL")
    with pytest.raises(GateFailedError, match="dnapredict sign REPORT_DIR"):
        registry.promote("1")
    signed = pipeline.sign(out, home=home, decision="conditions", dissent="One member.", **WHO)
    assert signed.versions == ("1",)
    registry.promote("1")
    found = registry.tags(CHAMPION)
    assert found["audit_verdict"] == "FAIL"
    assert (found["signed_decision"], found["signed_by"], found["signed_role"]) == (
        "conditions", "A. Reviewer", "Equality lead",
    )  # fmt: skip
    assert (found["signed_reason"], found["signed_dissent"]) == ("Review in May.", "One member.")


def test_a_rejected_version_is_not_promoted_though_no_gate_failed(home, trained, tmp_path):
    out = report(tmp_path / "report", trained, "PASS")
    Registry(home).keep_audit("1", out, verdict="PASS")
    pipeline.sign(out, home=home, decision="reject", **WHO)
    with pytest.raises(GateFailedError, match=r"A\. Reviewer \(Equality lead\) rejected it .*Review in May"):
        Registry(home).promote("1")
    assert not Registry(home).has(CHAMPION)


def test_a_new_audit_needs_a_new_decision(home, trained, tmp_path):
    first, second = (report(tmp_path / name, trained, "FAIL", text=name) for name in ("first", "second"))
    registry = Registry(home)
    registry.keep_audit("1", first, verdict="FAIL")
    pipeline.sign(first, home=home, decision="conditions", **WHO)
    registry.keep_audit("1", second, verdict="FAIL")
    assert registry.tags("1")["signed_decision"] == ""
    with pytest.raises(GateFailedError):
        registry.promote("1")


def test_an_older_report_can_be_signed_and_binds_no_version(home, trained, tmp_path):
    first, second = (report(tmp_path / name, trained, "FAIL", text=name) for name in ("first", "second"))
    Registry(home).keep_audit("1", first, verdict="FAIL")
    Registry(home).keep_audit("1", second, verdict="FAIL")
    assert pipeline.sign(first, home=home, decision="conditions", **WHO).versions == ()


def test_a_report_of_other_scores_is_signed_without_a_registry(trained, tmp_path):
    out = report(tmp_path / "vendor", trained, "REVIEW")
    assert pipeline.sign(out, home=tmp_path / "none", decision="approve", **WHO).versions == ()
    assert not (tmp_path / "none").exists()


def test_a_kept_report_that_was_changed_promotes_nothing(home, trained, tmp_path):
    out = report(tmp_path / "report", trained, "FAIL")
    Registry(home).keep_audit("1", out, verdict="FAIL")
    pipeline.sign(out, home=home, decision="conditions", **WHO)
    kept = Registry(home).last_audit()
    assert kept is not None
    (kept / "audit.json").write_text("{}")
    with pytest.raises(StoreError, match="not the file that was signed"):
        Registry(home).promote("1")


def test_the_last_audit_of_any_version_is_the_one_to_compare_with(home, trained, tmp_path):
    assert Registry(home).last_audit() is None
    for name in ("first", "second"):
        Registry(home).keep_audit("1", report(tmp_path / name, trained, "PASS", text=name), verdict="PASS")
    kept = Registry(home).last_audit()
    assert kept is not None
    assert (kept / "report.html").read_text() == "second"


def test_a_home_that_was_moved_keeps_its_decisions(home, trained, tmp_path):
    """MLflow's own addresses stay those of the old place; a decision must not get lost there."""
    out = report(tmp_path / "report", trained, "PASS")
    Registry(home).keep_audit("1", out, verdict="PASS")
    moved = home.rename(tmp_path / "moved")
    pipeline.sign(out, home=moved, decision="reject", **WHO)
    with pytest.raises(GateFailedError, match="rejected it"):
        Registry(moved).promote("1")
    assert not home.exists()


def test_a_reject_whose_file_is_gone_promotes_nothing(home, trained, tmp_path):
    out = report(tmp_path / "report", trained, "PASS")
    Registry(home).keep_audit("1", out, verdict="PASS")
    pipeline.sign(out, home=home, decision="reject", **WHO)
    kept = Registry(home).last_audit()
    assert kept is not None
    (kept / "signature.json").unlink()
    with pytest.raises(GateFailedError, match="rejected it"):
        Registry(home).promote("1")

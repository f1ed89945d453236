"""From a signed report to a champion: whose decision counts, on what, and where it stays."""

import datetime
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock, patch

import pytest
from tests.examples import ALL, examples
from tests.unit.registry_homes import copy_of
from tests.unit.risk_worlds import CONFIG, world
from tests.unit.test_risk_artefact import PROVENANCE

from dnapredict import pipeline
from dnapredict.errors import GateFailedError, ModelError, StoreError, UsageError
from dnapredict.model.artefact import load, save
from dnapredict.model.fit.training import train
from dnapredict.registry import CHAMPION, MODEL_NAME, Registry
from dnapredict.registry.audit_book import AuditBook
from dnapredict.registry.decision_ledger import DecisionEntry
from dnapredict.registry.judgement import Identity, Judgement
from dnapredict.registry.mlflow_store import Store
from dnapredict.service.home_checks import store_checks

UNTIL = datetime.date.today() + datetime.timedelta(days=60)  # noqa: DTZ011 - any day to come
WHO = {"name": "A. Reviewer", "role": "Equality lead", "reason": "Review in May."}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory):
    config = CONFIG.model_copy(update={"leak_alarm_auroc": 1.0})  # its figures are that good
    training = train(world(), config=config, directions=(1, 1, 0))
    folder = tmp_path_factory.mktemp("stored") / "model"
    save(training.model, folder, provenance=PROVENANCE, specimens=training.specimens)
    return training, folder


@pytest.fixture(scope="module")
def registered_home(tmp_path_factory: pytest.TempPathFactory, trained) -> Path:
    training, folder = trained
    home = tmp_path_factory.mktemp("registered") / "home"
    assert Registry(home).register(folder, training).version == "1"
    return home


@pytest.fixture
def home(tmp_path: Path, registered_home: Path) -> Path:
    """A home with version 1."""
    return copy_of(registered_home, tmp_path / "home")


def report(folder: Path, trained, verdict: str, *, text: str = "a report") -> Path:
    folder.mkdir()
    (folder / "report.html").write_text(text)
    context = {"model_sha256": load(trained[1]).digest, "data_sha256": "b" * 64}
    figures = {"verdict": verdict, "context": context, "gates": [], "policy": {}}
    (folder / "audit.json").write_text(json.dumps(figures))
    return folder


def test_a_failed_version_signed_with_conditions_is_promoted_and_the_decision_stays_beside_it(home, trained, tmp_path):
    out = report(tmp_path / "report", trained, "FAIL")
    registry = Registry(home)
    registry.keep_audit("1", out, verdict="FAIL")
    with pytest.raises(GateFailedError, match="dnapredict sign REPORT_DIR"):
        registry.promote("1")
    signed = pipeline.sign(out, home=home, decision="conditions", until=UNTIL, dissent="One member.", **WHO)
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
    pipeline.sign(first, home=home, decision="conditions", until=UNTIL, **WHO)
    registry.keep_audit("1", second, verdict="FAIL")
    assert registry.tags("1")["signed_decision"] == ""
    with pytest.raises(GateFailedError):
        registry.promote("1")


def test_an_older_report_can_be_signed_and_binds_no_version(home, trained, tmp_path):
    first, second = (report(tmp_path / name, trained, "FAIL", text=name) for name in ("first", "second"))
    Registry(home).keep_audit("1", first, verdict="FAIL")
    Registry(home).keep_audit("1", second, verdict="FAIL")
    assert pipeline.sign(first, home=home, decision="conditions", until=UNTIL, **WHO).versions == ()


def killed_audit(home: Path, trained, folder: Path) -> Path:
    """An audit that was killed between its report and its entry in the ledger, two hours ago: the kept report."""
    registry, before = Registry(home), {*(home / "mlruns").rglob("audits/*")}
    with patch.object(Registry, "set_audit", Mock(side_effect=KeyboardInterrupt)), pytest.raises(KeyboardInterrupt):
        registry.keep_audit("1", report(folder, trained, "PASS", text=folder.name), verdict="PASS")
    (kept,) = {*(home / "mlruns").rglob("audits/*")} - before
    os.utime(kept, (time.time() - 7_200,) * 2)
    return kept


def test_the_kept_report_of_a_killed_audit_goes_with_the_next_audit_or_the_doctor(home, trained, tmp_path):
    """It has a name of its own, so that no audit would ever replace it."""
    killed = killed_audit(home, trained, tmp_path / "killed")
    Registry(home).keep_audit("1", report(tmp_path / "again", trained, "PASS", text="again"), verdict="PASS")
    assert not killed.exists()
    killed = killed_audit(home, trained, tmp_path / "later")
    (found,) = store_checks.registry(home)
    assert (found.path, found.problem) == (
        killed.relative_to(home).as_posix(), "is the report of an audit that was interrupted before it was recorded.",
    )  # fmt: skip
    found.repair()
    assert not killed.exists()
    assert Registry(home).report("1") is not None


def test_no_report_goes_that_is_named_is_being_recorded_or_may_be_of_an_earlier_release(home, trained, tmp_path):
    first, second = (report(tmp_path / name, trained, "PASS", text=name) for name in ("first", "second"))
    Registry(home).keep_audit("1", first, verdict="PASS")
    under_way = killed_audit(home, trained, tmp_path / "under-way")
    os.utime(under_way)
    for kept in (home / "mlruns").rglob("audits/*"):
        if kept != under_way:
            os.utime(kept, (time.time() - 7_200,) * 2)
    Registry(home).keep_audit("1", second, verdict="PASS")
    assert len([*(home / "mlruns").rglob("audits/*")]) == 3
    os.utime(under_way, (time.time() - 7_200,) * 2)
    assert Registry(before_the_ledger(home)).entries()[0]["adopted"] == "yes"
    assert not list(store_checks.registry(home))


def test_a_report_of_other_scores_is_signed_without_a_registry(trained, tmp_path):
    out = report(tmp_path / "vendor", trained, "REVIEW")
    assert pipeline.sign(out, home=tmp_path / "none", decision="approve", **WHO).versions == ()
    assert not (tmp_path / "none").exists()


def test_a_kept_report_that_was_changed_promotes_nothing(home, trained, tmp_path):
    out = report(tmp_path / "report", trained, "FAIL")
    Registry(home).keep_audit("1", out, verdict="FAIL")
    pipeline.sign(out, home=home, decision="conditions", until=UNTIL, **WHO)
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


def registered(home: Path, trained, tmp_path: Path, name: str, *, code: str = "test", shift: float = 0.0) -> str:
    """Another version: the same model from another revision of the code, or with `shift` another model."""
    training, folder = trained[0], tmp_path / name
    model = replace(training.model, site_shifts={"S": shift} if shift else {})
    origin = PROVENANCE.model_copy(update={"code_revision": code})
    save(model, folder, provenance=origin, specimens=training.specimens)
    return Registry(home).register(folder, training).version


def audited(home: Path, version: str, verdict: str = "PASS") -> None:
    Registry(home).set_audit(version, verdict=verdict, digest=verdict[0].encode().hex() * 32)


def client_of(home: Path):
    import mlflow

    address = f"sqlite:///{home / 'mlflow.db'}"
    return mlflow.MlflowClient(address, address)


def refusal(home: Path, model: str = CHAMPION) -> tuple[int, str]:
    """How scoring a list with a model is refused: the exit code and the sentence; 0 where it is not."""
    try:
        pipeline.open_scorer(home, model=model)
    except (ModelError, GateFailedError, StoreError) as error:
        return error.exit_code, str(error)
    return 0, ""


def test_an_identical_audit_does_not_clear_a_reject(home, trained, tmp_path):
    for name, text in (("first", "a report"), ("same", "a report"), ("other", "another")):
        Registry(home).keep_audit("1", report(tmp_path / name, trained, "PASS", text=text), verdict="PASS")
        if name == "first":
            pipeline.sign(tmp_path / name, home=home, decision="reject", **WHO)
        with pytest.raises(GateFailedError, match="rejected it"):
            Registry(home).promote("1")
    assert Registry(home).tags("1")["signed_decision"] == "reject"
    signed = pipeline.sign(tmp_path / "other", home=home, decision="approve", **WHO)
    assert signed.versions == ("1",)
    assert Registry(home).promote("1") == "1"


def test_a_reject_of_an_older_report_counts(home, trained, tmp_path):
    """A reviewer may decide on a report after an analyst has made another."""
    first, second = (report(tmp_path / name, trained, "PASS", text=name) for name in ("first", "second"))
    Registry(home).keep_audit("1", first, verdict="PASS")
    Registry(home).keep_audit("1", second, verdict="PASS")
    assert pipeline.sign(first, home=home, decision="reject", **WHO).versions == ("1",)
    with pytest.raises(GateFailedError, match="rejected it"):
        Registry(home).promote("1")


def test_a_failed_audit_sticks_until_a_person_signs_with_conditions(home, trained, tmp_path):
    registry = Registry(home)
    registry.keep_audit("1", report(tmp_path / "year", trained, "FAIL"), verdict="FAIL")
    fortnight = report(tmp_path / "fortnight", trained, "PASS", text="few appointments")
    registry.keep_audit("1", fortnight, verdict="PASS")
    with pytest.raises(GateFailedError, match="a fairness gate failed"):
        registry.promote("1")
    with pytest.raises(UsageError, match="failed the audit of"):
        pipeline.sign(fortnight, home=home, decision="approve", **WHO)
    assert not (fortnight / "signature.json").exists()
    pipeline.sign(fortnight, home=home, decision="conditions", until=UNTIL, **WHO)
    assert registry.promote("1") == "1"


def test_no_other_version_number_and_no_new_training_clears_a_reject(home, trained, tmp_path):
    out = report(tmp_path / "report", trained, "PASS")
    Registry(home).keep_audit("1", out, verdict="PASS")
    pipeline.sign(out, home=home, decision="reject", **WHO)
    again = registered(home, trained, tmp_path, "again")
    later = registered(home, trained, tmp_path, "later", code="a later revision")
    first = client_of(home).get_model_version(MODEL_NAME, "1")
    with Store(home).alone():  # MLflow finds the files by its own address, whichever client is asked
        copied = client_of(home).create_model_version(MODEL_NAME, first.source, first.run_id, tags=first.tags).version
    for version in (again, later):
        audited(home, version)
        with pytest.raises(GateFailedError, match="rejected it"):
            Registry(home).promote(version)
    for use in (Registry(home).promote, Registry(home).identity):
        with pytest.raises(ModelError, match="was not trained in this home"):
            use(str(copied))
    other = registered(home, trained, tmp_path, "other", shift=0.2)
    audited(home, other)
    assert Registry(home).promote(other) == other


def test_an_alias_that_was_set_by_hand_is_refused_by_its_version(home, trained, tmp_path):
    other = registered(home, trained, tmp_path, "other", shift=0.2)
    client_of(home).set_registered_model_alias(MODEL_NAME, CHAMPION, other)
    code, sentence = refusal(home)
    assert (code, "version 2" in sentence, "dnapredict promote 2" in sentence) == (12, True, True)
    audited(home, "1")
    Registry(home).promote("1")
    assert refusal(home) == (0, "")
    audited(home, other)
    client_of(home).set_registered_model_alias(MODEL_NAME, CHAMPION, other)
    code, sentence = refusal(home)
    assert (code, "names version 2, and version 1 was put in use" in sentence) == (12, True)
    assert Registry(home).version_of(CHAMPION) == "1"
    Registry(home).promote("1")
    assert refusal(home) == (0, "")


def test_a_list_is_scored_with_no_version_that_was_never_put_in_use_or_taken_out(home, trained, tmp_path):
    other = registered(home, trained, tmp_path, "other", shift=0.2)
    for version in ("1", other):
        audited(home, version)
        code, sentence = refusal(home, version)
        assert (code, "was never put in use" in sentence) == (12, True)
        Registry(home).promote(version)
    assert [refusal(home, name)[0] for name in ("1", other, CHAMPION)] == [0, 0, 0]
    Registry(home).rollback(signed_by="A. Okafor", why="risks too high")
    assert refusal(home)[0] == 0
    code, sentence = refusal(home, other)
    assert (code, "taken out of use" in sentence, "risks too high" in sentence) == (12, True, True)


def test_a_version_in_use_that_is_rejected_or_fails_scores_no_list(home, trained, tmp_path):
    out = report(tmp_path / "report", trained, "PASS")
    Registry(home).keep_audit("1", out, verdict="PASS")
    Registry(home).promote("1")
    assert refusal(home) == (0, "")
    pipeline.sign(out, home=home, decision="reject", **WHO)
    for name in (CHAMPION, "1"):
        code, sentence = refusal(home, name)
        assert (code, "A. Reviewer (Equality lead) rejected it" in sentence) == (13, True)
    other = registered(home, trained, tmp_path, "other", shift=0.2)
    audited(home, other)
    Registry(home).promote(other)
    with pytest.raises(GateFailedError, match="Version 1 is not put in use again"):
        Registry(home).rollback(signed_by="A. Okafor", why="a reason")
    assert refusal(home) == (0, "")
    audited(home, other, "FAIL")
    assert refusal(home)[0] == 13


def test_tags_that_were_set_by_hand_change_nothing(home, trained, tmp_path):
    out = report(tmp_path / "report", trained, "FAIL")
    Registry(home).keep_audit("1", out, verdict="FAIL")
    for key, value in {"audit_verdict": "PASS", "signed_decision": "approve", "signed_by": "X. Y."}.items():
        client_of(home).set_model_version_tag(MODEL_NAME, "1", key, value)
    with pytest.raises(GateFailedError, match="a fairness gate failed"):
        Registry(home).promote("1")
    assert Registry(home).tags("1")["audit_verdict"] == "FAIL"
    assert "signed_by" not in Registry(home).tags("1")


def test_a_report_that_was_edited_after_it_was_signed_keeps_its_model_from_use(home, trained, tmp_path):
    out = report(tmp_path / "report", trained, "REVIEW")
    Registry(home).keep_audit("1", out, verdict="REVIEW")
    pipeline.sign(out, home=home, decision="conditions", until=UNTIL, **WHO)
    Registry(home).promote("1")
    assert refusal(home) == (0, "")
    kept = Registry(home).report("1")
    (kept / "report.html").write_text("a nicer report")
    code, sentence = refusal(home)
    assert (code, "is not the file that was signed" in sentence) == (14, True)


def without_the_folder(home: Path, _: Path) -> None:
    shutil.rmtree(home / "decisions")
    for path in home.rglob("signature.json"):
        path.unlink()


def an_older_copy(home: Path, older: Path) -> None:
    shutil.rmtree(home / "decisions")
    shutil.copytree(older, home / "decisions")


def without_the_last_entry(home: Path, _: Path) -> None:
    path = home / "decisions" / "ledger.json"
    content = json.loads(path.read_text())
    entries = content["entries"][:-1]
    path.write_text(json.dumps(content | {"count": len(entries), "head": entries[-1]["seal"], "entries": entries}))


@pytest.mark.parametrize("washed", [without_the_folder, an_older_copy, without_the_last_entry])
def test_a_ledger_that_was_removed_put_back_or_cut_brings_no_rejected_version_into_use(home, trained, tmp_path, washed):
    out = report(tmp_path / "report", trained, "PASS")
    Registry(home).keep_audit("1", out, verdict="PASS")
    Registry(home).promote("1")
    shutil.copytree(home / "decisions", tmp_path / "older")
    pipeline.sign(out, home=home, decision="reject", **WHO)
    washed(home, tmp_path / "older")
    client_of(home).set_model_version_tag(MODEL_NAME, "1", "signed_decision", "")
    for use in (Registry(home).promote, Registry(home).usable):
        with pytest.raises(StoreError, match="Restore the folder decisions of the home from a backup"):
            use("1")


def test_a_signature_file_that_was_edited_decides_nothing(home, trained, tmp_path):
    out = report(tmp_path / "report", trained, "PASS")
    Registry(home).keep_audit("1", out, verdict="PASS")
    pipeline.sign(out, home=home, decision="reject", **WHO)
    for folder in (out, Registry(home).report("1")):
        signature = folder / "signature.json"
        signature.write_text(signature.read_text().replace('"reject"', '"approve"'))
    with pytest.raises(GateFailedError, match="rejected it"):
        Registry(home).promote("1")
    with pytest.raises(UsageError, match="signed already"):
        pipeline.sign(out, home=home, decision="approve", **WHO)
    assert '"reject"' in (out / "signature.json").read_text()


def before_the_ledger(home: Path) -> Path:
    """The home as a release before the ledger left it: all that is known stands in MLflow's tags."""
    shutil.rmtree(home / "decisions")
    (home / "tested" / "decisions.head").unlink()
    client_of(home).delete_registered_model_tag(MODEL_NAME, "decisions")
    return home


def test_a_home_made_before_the_ledger_opens_with_its_champion_and_says_so(home, trained, tmp_path, caplog):
    out = report(tmp_path / "report", trained, "FAIL")
    Registry(home).keep_audit("1", out, verdict="FAIL")
    pipeline.sign(out, home=home, decision="conditions", until=UNTIL, **WHO)
    Registry(home).promote("1")
    other = registered(home, trained, tmp_path, "other", shift=0.2)
    audited(home, other)
    Registry(home).promote(other)
    assert refusal(before_the_ledger(home)) == (0, "")
    assert "Version 2 stays in use" in caplog.text
    assert Registry(home).rollback(signed_by="A. Okafor", why="a reason") == "1"
    assert refusal(home) == (0, "")
    assert Registry(home).tags("1")["signed_by"] == "A. Reviewer"


def test_a_home_made_before_the_ledger_keeps_out_what_was_not_promoted(home, caplog):
    audited(home, "1")
    client_of(home).set_registered_model_alias(MODEL_NAME, CHAMPION, "1")
    assert refusal(before_the_ledger(home))[0] == 12
    assert "No version is in use" in caplog.text


def test_a_home_made_before_the_ledger_keeps_a_reject_that_another_audit_covered(home, trained, tmp_path, caplog):
    out = report(tmp_path / "report", trained, "PASS")
    Registry(home).keep_audit("1", out, verdict="PASS")
    Registry(home).promote("1")
    pipeline.sign(out, home=home, decision="reject", **WHO)
    Registry(home).keep_audit("1", report(tmp_path / "next", trained, "PASS", text="next"), verdict="PASS")
    client_of(home).set_model_version_tag(MODEL_NAME, "1", "signed_decision", "")  # as it then was
    assert refusal(before_the_ledger(home))[0] == 12
    assert "rejected it" in caplog.text
    with pytest.raises(GateFailedError, match="rejected it"):
        Registry(home).promote("1")


# Each attempt is a child process that ends at its n-th write, as a kill would end it. One more child
# looks at what it left, so that no process works on a database that another one opened.
KILLED = """
import datetime, json, os, shutil, sys
from pathlib import Path
import mlflow
import dnapredict.fairness
from dnapredict import pipeline
from dnapredict.errors import DnapredictError
from dnapredict.registry import Registry

home, out, decision, step = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
who = {"name": "A. Reviewer", "role": "Equality lead", "reason": "Review in May."}
if decision == "conditions":
    who["until"] = datetime.date.today() + datetime.timedelta(days=60)

def ends_at(number):
    left = {"writes": number, "tags": 1}  # of the many tags one is counted
    def counted(function):
        is_tag = function.__name__ == "set_model_version_tag"
        def call(*arguments, **named):
            left["writes"] -= 1 if not is_tag or left["tags"] else 0
            left["tags"] -= 1 if is_tag and left["tags"] else 0
            if left["writes"] == 0:
                os._exit(9)
            return function(*arguments, **named)
        return call
    writes = [(os, "replace"), (os, "rename"), (Path, "write_text"), (Path, "write_bytes")]
    for owner, name in [*writes, (shutil, "copytree"), (mlflow.MlflowClient, "set_model_version_tag")]:
        setattr(owner, name, counted(getattr(owner, name)))

def in_a_child(work):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, json.dumps(work()).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as told:
        found = told.read()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), found

def promoted(place):
    try:
        Registry(place / "home").promote("1")
    except DnapredictError:
        return False
    return True

def signed(place):
    return len(pipeline.sign(place / "report", home=place / "home", decision=decision, **who).versions)

def killed(place, number):
    ends_at(number)
    return signed(place)

def in_a_copy(place):
    shutil.copytree(home, place / "home")
    shutil.copytree(home.parent / "report", place / "report")
    return place

# In a home of its own, so that each child has MLflow and its tables' classes ready: loading them takes a second.
first = in_a_copy(out / "first")
promoted(first), signed(first), promoted(first)
ends, number = [], 1 - step
while not ends or ends[-1]["code"] == 9:
    number += step
    place = in_a_copy(out / str(number))
    code, _ = in_a_child(lambda: killed(place, number))
    shutil.copytree(place, out / "copy")
    has_file = (place / "report" / "signature.json").exists()
    look = lambda: (promoted(out / "copy"), signed(place), promoted(place))
    was_promoted, versions, promoted_after = json.loads(in_a_child(look)[1])
    has_file_after = (place / "report" / "signature.json").exists()
    ends.append({"code": code, "file": has_file, "promoted": was_promoted, "versions": versions,
                 "file after": has_file_after, "promoted after": promoted_after})
    shutil.rmtree(out / "copy")
    shutil.rmtree(place)
print(json.dumps(ends))
"""


@pytest.mark.cases(1)
@pytest.mark.skipif(sys.platform == "win32", reason="it needs fork")
@pytest.mark.parametrize("decision", ["reject", "conditions"])
def test_a_sign_that_is_killed_at_any_write_leaves_the_decision_before_or_the_whole_new_one(
    home, trained, tmp_path, decision
):
    out = report(tmp_path / "report", trained, "PASS" if decision == "reject" else "FAIL")
    Registry(home).keep_audit("1", out, verdict="PASS" if decision == "reject" else "FAIL")
    (tmp_path / "runs").mkdir()
    step = 1 if examples(ALL) == ALL else 2  # of all writes, or with --part of every second one
    command = [sys.executable, "-W", "ignore", "-c", KILLED, str(home), str(tmp_path / "runs"), decision, str(step)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    ends = json.loads(done.stdout)
    assert [end["code"] for end in ends] == [9] * (len(ends) - 1) + [0]
    assert len(ends) > 4
    in_force = [end["promoted"] == (decision == "conditions") for end in ends]
    assert in_force == sorted(in_force)  # the decision before, and from one write on the new one
    assert (in_force[0], in_force[-1]) == (False, True)
    assert all(in_force[at] for at, end in enumerate(ends) if end["file"])
    for end in ends:
        assert (end["versions"], end["file after"]) == (1, True)
        assert end["promoted after"] == (decision == "conditions")


# Audits of one model, oldest first: verdict, calls of each 100 appointments, and which audits it covers.
AUDITS_OF_LISTS = """
    audits                          | conditions | lists with 10 | lists with 40
    PASS 10                         |            | made          | made
    FAIL 10                         |            | refused       | made
    FAIL 10, PASS 40 covers 1       |            | refused       | made
    FAIL 10, REVIEW 10 covers 1     |            | made          | made
    FAIL 10, REVIEW 10              |            | refused       | made
    FAIL 10, PASS 40 covers 1       | signed     | made          | made
    FAIL 10, PASS 40, PASS 10 covers 1 |         | made          | made
    FAIL 40, PASS 10 covers 1       |            | made          | refused
    FAIL unknown                    |            | made          | made
"""


def _audit(number: int, text: str) -> DecisionEntry:
    verdict, calls, *covers = text.split()
    rules = "" if calls == "unknown" else json.dumps({"calls": int(calls)})
    data = {"content": "c", "primary": "reach", "verdict": verdict, "call_rules": rules}
    data["covers"] = json.dumps([int(one) for one in covers[1:]])
    return DecisionEntry(number=number, kind="audit", at="2026-05-04T10:00:00+00:00", by="", data=data, seal="")


@pytest.mark.parametrize("line", AUDITS_OF_LISTS.strip().splitlines()[1:])
def test_lists_by_the_rules_of_a_failed_audit_are_refused_whatever_an_audit_by_others_said(line: str):
    audits, conditions, *answers = (cell.strip() for cell in line.split("|"))
    entries = tuple(_audit(number, text) for number, text in enumerate(audits.split(", "), start=1))
    judged = Judgement(conditions=entries[0] if conditions else None)
    registry = Mock(spec=Registry)
    registry.judged.return_value, registry.entries.return_value = judged, entries
    registry.identity.return_value = Identity("1", "m", "c")
    for calls, answer in zip((10, 40), answers, strict=True):
        alike = {"calls": calls}.__eq__
        if answer == "made":
            AuditBook(registry).require_lists_not_failed("1", alike=alike)
            continue
        with pytest.raises(GateFailedError, match=r"failed the audit of 04 May 2026, and was not audited again by the"):
            AuditBook(registry).require_lists_not_failed("1", alike=alike)

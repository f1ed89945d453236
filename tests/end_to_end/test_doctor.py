"""`dnapredict doctor`: each fault of a home is found and named, and mended where nothing is lost by it."""

import json
import os
import re
import shutil
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.end_to_end.conftest import Run
from tests.service.test_log_databases import row

from dnapredict.errors import StoreError
from dnapredict.service.auth import api_keys
from dnapredict.service.home_checks.examination import CHECKS, examine, mend
from dnapredict.service.home_checks.home_backup import back_up
from dnapredict.service.log.scoring_log import ScoringLog

Plant = Callable[[Path], None]
LONG_AGO = time.time() - 7_200


@pytest.fixture(scope="module")
def sound(filled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that holds all that a home can: calls, outcomes, a trial, a monitor's report."""
    home = Path(shutil.copytree(filled / "home", tmp_path_factory.mktemp("doctor") / "home"))
    examine(home)  # the copy was made of an open log: SQLite moves its last entries into the file, once
    return home


@pytest.fixture
def home(sound: Path, tmp_path: Path) -> Path:
    shutil.copytree(sound, tmp_path / "home")
    return tmp_path / "home"


def only(home: Path, pattern: str) -> Path:
    """The first file of that pattern that is not of a process that was stopped."""
    return sorted(home.glob(pattern))[0]


def changed(pattern: str) -> Plant:
    """Turn over a bit in the middle of a file."""

    def plant(home: Path) -> None:
        path = only(home, pattern)
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)

    return plant


def written(pattern: str, content: str) -> Plant:
    return lambda home: void(only(home, pattern).write_text(content, encoding="utf-8"))


def removed(pattern: str) -> Plant:
    def plant(home: Path) -> None:
        for path in home.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return plant


def moded(pattern: str, mode: int) -> Plant:
    return lambda home: only(home, pattern).chmod(mode) if pattern else home.chmod(mode)


def void(_: object) -> None:
    """For the type of what a fault does."""


def aged(*paths: Path) -> None:
    """As if they were last written to two hours ago."""
    for path in paths:
        os.utime(path, (LONG_AGO, LONG_AGO))


def draft_of_a_file(home: Path) -> None:
    path = home / "lists" / f".{'0a' * 8}-latest.json"
    path.write_text("half", encoding="utf-8")
    path.chmod(0o600)
    aged(path)


def draft_of_a_folder(home: Path) -> None:
    """One of this release, and one of an earlier one."""
    for name in (f".{'0a' * 8}-history-0a0b", ".history-0a0b-abcdefgh"):
        folder = home / "history" / name
        folder.mkdir(0o700)
        (folder / "counts.arrow").write_bytes(b"half")
        aged(folder / "counts.arrow", folder)


def killed_while_a_report_was_replaced(home: Path) -> None:
    """Between the two renames of `create_folder`: the old folder is moved away, the new one is a draft."""
    report = only(home, "mlruns/*/artifacts/audits/*")
    moved = report.with_name(f".{'0a' * 8}.replaced-{report.name}")
    moved.mkdir(0o700)
    report.rename(moved / report.name)
    draft = report.with_name(f".{'0b' * 8}-{report.name}")
    draft.mkdir(0o700)
    aged(*moved.rglob("*"), moved, draft)


def upload_of_yesterday(home: Path) -> None:
    aged(only(home, "uploads/*.sealed"))


def row_of_the_log_changed(home: Path) -> None:
    with sqlite3.connect(home / "scoring-log.db") as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f'DROP TRIGGER "{name}"')
        connection.execute("UPDATE actions SET outcome = 'confirmed' WHERE outcome = 'no_calls_wished'")
    connection.close()


def log_replaced(home: Path) -> None:
    """As after a person removed a damaged log and its mark, and the service wrote on."""
    from dnapredict.service.log.scoring_log import ScoringLog

    removed("scoring-log.db*")(home)
    log = ScoringLog(home)
    log.open()
    log.close()


def ledger_cut(home: Path) -> None:
    path = home / "decisions" / "ledger.json"
    ledger = json.loads(path.read_text(encoding="utf-8"))
    ledger["entries"] = ledger["entries"][:-1]
    path.write_text(json.dumps(ledger), encoding="utf-8")


def one_opt_out_changed(home: Path) -> None:
    with sqlite3.connect(home / "lists" / "calls.db") as connection:
        connection.execute("UPDATE events SET patient = 'nobody' WHERE effect = 'opted out'")
    connection.close()


def older_log(home: Path) -> None:
    """The log of before the last sign-in, put back."""
    path = home / "scoring-log.db"
    before = path.read_bytes()
    log = ScoringLog(home)
    log.write([row()])
    log.close()
    path.write_bytes(before)


def revoked_key_put_back(home: Path) -> None:
    path = only(home, "keys/*.json")
    before = path.read_bytes()
    api_keys.revoke(home, path.stem)
    path.write_bytes(before)


@dataclass(frozen=True)
class Fault:
    """A planted fault: what `doctor` names, and what it mends."""

    name: str
    plant: Plant
    says: str
    mended: bool = False


ANOTHER_SECRET = "ab" * 32
FAULTS = (
    # Files.
    Fault("the home is open to others", moded("", 0o755), r"^\.: is open to every account", mended=True),
    Fault("a secret is open to a group", moded("scoring-log.secret", 0o640), "secret: is open to group", mended=True),
    Fault("a database is open to others", moded("lists/calls.db", 0o644), r"calls\.db: is open to every", mended=True),
    Fault("a key may not be read", moded("keys/*.json", 0o000), "may not be read or written by its owner", mended=True),
    Fault("a draft is left", draft_of_a_file, "is left of a write that was interrupted", mended=True),
    Fault("a draft of a folder is left", draft_of_a_folder, r"\.[0a]{16}-history-0a0b: is left of", mended=True),
    Fault("a report was being replaced", killed_while_a_report_was_replaced, "the earlier one is still", mended=True),
    Fault("an upload is forgotten", upload_of_yesterday, "is past its half hour", mended=True),
    Fault("a pipe is in a folder", lambda home: os.mkfifo(home / "lists" / "x"), "lists/x: is neither a file"),
    Fault("a link leads nowhere", lambda home: (home / "x").symlink_to("nowhere"), "x: leads nowhere"),
    # Secrets.
    Fault("a secret is damaged", written("tested.secret", "half"), r"tested\.secret: this secret is damaged"),
    Fault("a secret is replaced", written("lists/calls.secret", ANOTHER_SECRET), r"calls\.secret: this is another sec"),
    Fault("the log's secret is lost", removed("scoring-log.secret"), r"scoring-log\.secret: this secret is missing"),
    Fault("the log's secret is replaced", written("scoring-log.secret", ANOTHER_SECRET), "is another secret than"),
    Fault("the key of contacts is lost", removed("contacts.key"), r"contacts: the contact details cannot be read"),
    Fault("a session's secret is damaged", written("keys/session.secret", "x"), r"session\.secret: this secret is dam"),
    # Keys and sign-in.
    Fault("a key is damaged", written("keys/*.json", "{}"), r"keys/\w+\.json: is damaged"),
    Fault("all keys are lost", removed("keys"), "keys: keys were created in this home, and all of them are missing"),
    Fault("a link is damaged", written("sign-in/links/*.json", "{"), r"links/\w+\.json: is damaged", mended=True),
    Fault("a person is damaged", written("sign-in/people/*.json", "{"), r"people/\w+\.json: is damaged"),
    Fault("a mapping is damaged", written("mappings/*/*.toml", "x = ["), r"mappings/.+\.toml: is damaged"),
    # Registry, ledger, models, what was tested and published.
    Fault("the ledger is changed", changed("decisions/ledger.json"), r"ledger\.json: "),
    Fault("the ledger is cut", ledger_cut, r"ledger\.json: entries at the end are missing"),
    Fault("the ledger is lost", removed("decisions"), r"decisions/ledger\.secret: it cannot be read"),
    Fault("the ledger's secret is lost", removed("decisions/ledger.secret"), r"ledger\.secret: it cannot be read"),
    Fault("the registry is lost", removed("mlflow.db"), r"mlflow\.db: is missing or empty"),
    Fault("the registry is damaged", written("mlflow.db", "no database" * 999), r"mlflow\.db: cannot be read"),
    Fault("a model is changed", changed("mlruns/models/*/artifacts/artifacts/*/calibration.json"), "model is damaged"),
    Fault("a manifest is changed", changed("mlruns/models/*/artifacts/artifacts/*/manifest.json"), "does not hold the"),
    Fault(
        "a model card is cut", written("mlruns/*/artifacts/model-card.md", "# Risk"), "the model card is missing, or"
    ),
    Fault("a copy of a card is cut", written("models/cards/1.md", "# Risk"), "is not the current card", mended=True),
    Fault(
        "a table of a run is cut", written("mlruns/*/artifacts/tables/reach.csv", "x"), r"reach\.csv: is missing, or no"
    ),
    Fault(
        "code for MLflow is changed", changed("mlruns/models/*/artifacts/pyfunc_model.py"), r"_model\.py: is missing"
    ),
    Fault(
        "a file of a run is lost", removed("mlruns/*/artifacts/reproduce/config.toml"), r"config\.toml: is missing, or"
    ),
    Fault(
        "a signature is changed",
        changed("mlruns/*/artifacts/audits/*/signature.json"),
        "not the signature",
        mended=True,
    ),
    Fault(
        "a signature is lost", removed("mlruns/*/artifacts/audits/*/signature.json"), "not the signature", mended=True
    ),
    Fault("a signed report is changed", changed("mlruns/*/artifacts/audits/*/report.html"), r"report\.html: missing"),
    Fault("what was tested is lost", removed("tested/coverage/*"), "tested/coverage/.+: missing, or not as written"),
    Fault("a test set is damaged", changed("tested/*.parquet"), r"tested/\w+\.parquet: (is damaged|cannot be read)"),
    Fault("the publications are changed", changed("published/published.json"), r"published\.json: "),
    Fault("the publications are lost", removed("published/published.json"), r"published\.json: it is missing"),
    Fault("a cycle is damaged", written("cycle/*/steps.json", "{"), r"steps\.json: is damaged"),
    # History.
    Fault("the history is damaged", changed("history/history-*/counts.arrow"), r"counts\.arrow: is damaged"),
    Fault("the last refresh is damaged", written("history.json", "{"), r"history\.json: is damaged"),
    Fault("no history is current", removed("history/CURRENT"), "CURRENT: is missing"),
    Fault("the history is lost", removed("history"), "the history of this home is missing"),
    # Lists.
    Fault("a list is damaged", changed("lists/*.parquet"), r"lists/\w+\.parquet: the list is damaged"),
    Fault("a list is lost", removed("lists/*.parquet"), r"lists/\w+\.parquet: the list scored on .+ is lost"),
    Fault("the latest list is damaged", changed("lists/latest.json"), r"latest\.json: is damaged"),
    Fault("opt-outs are damaged", changed("lists/opt-outs.json"), r"opt-outs\.json: is damaged"),
    Fault("opt-outs are lost", removed("lists/opt-outs.json"), r"opt-outs\.json: the file of those who .+ is missing"),
    Fault("contact details are damaged", changed("lists/*.contacts"), "the contact details cannot be read"),
    Fault("unscored rows are damaged", changed("lists/*.unscored"), "the rows that could not be scored cannot be"),
    Fault("assignments are damaged", written("lists/*.assigned", "{"), r"lists/\w+\.assigned: is damaged"),
    Fault("locks are damaged", written("lists/calling.json", "{"), r"calling\.json: is damaged", mended=True),
    Fault("the written names are damaged", written("lists/written.json", "{"), r"written\.json: is dam", mended=True),
    Fault("a deleted list has left details", removed("lists/*.[pk]*t*"), "belongs to a list that was", mended=True),
    # Scoring log and calls.
    Fault("a row of the log is changed", row_of_the_log_changed, r"scoring-log\.db: row \d+ is not as it was written"),
    Fault("the log is lost", removed("scoring-log.db"), r"scoring-log\.db: the scoring log is missing"),
    Fault("the log is empty", written("scoring-log.db", ""), r"scoring-log\.db: the scoring log is empty"),
    Fault("a new, empty log replaced the log", log_replaced, "lacks entries about calls that were recorded"),
    Fault("the calls database is lost", removed("lists/calls.db"), "cannot be used: it is missing", mended=True),
    Fault("the calls database is damaged", written("lists/calls.db", "x" * 9_999), "it is damaged", mended=True),
    Fault("an opt-out is changed", one_opt_out_changed, "cannot be used: it is damaged", mended=True),
    Fault("the log is an older copy", older_log, r"scoring-log\.db: is an older copy"),
    Fault("a revoked key is back", revoked_key_put_back, r"keys/\w+\.json: is an older copy", mended=True),
    # Outcomes and trial.
    Fault("outcomes are damaged", changed("outcomes/outcomes.parquet"), r"outcomes\.parquet: is damaged"),
    Fault("outcomes are lost", removed("outcomes/outcomes.parquet"), "the outcome store is missing"),
    Fault("a scored list is damaged", changed("outcomes/scored/*.parquet"), r"scored/.+: is not what was written"),
    Fault("a scored list is lost", removed("outcomes/scored/*.parquet"), r"scored/.+: is missing"),
    Fault("the register is lost", removed("trial/register.db"), "register of the trial is missing or empty"),
    Fault("the trial's secret is lost", removed("trial/arms.secret"), r"arms\.secret: this secret is missing"),
    Fault("the benefit model is changed", changed("trial/benefit.json"), r"benefit\.json: (its hash|is not a ben)"),
)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
def test_each_planted_fault_is_found_and_named_and_mended_where_it_can_be(home: Path, fault: Fault) -> None:
    fault.plant(home)
    findings = examine(home).findings
    found = [finding for finding in findings if re.search(fault.says, str(finding))]
    assert found, findings
    assert all(finding.mend for finding in found)
    assert any(finding.repair is not None for finding in found) == fault.mended
    if fault.mended:
        after = mend(home)
        assert {str(finding) for finding in found} <= {str(finding) for finding in after.mended}
        # A damaged calls database is kept beside the new one, for a person to look at.
        assert [each for each in after.findings if ".damaged-" not in each.path] == []
        findings = (*findings, *after.mended, *after.findings)
    assert not re.search("zebra|07700|patient_id", " ".join(map(str, findings)), re.IGNORECASE)


def test_a_sound_home_gives_no_finding_and_is_left_as_it_was(home: Path, dnapredict: Run) -> None:
    before = contents(home)
    done = dnapredict("doctor", "--home", home)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout
    assert f"Sound: {len(CHECKS)} checks" in done.stderr
    assert contents(home) == before


def contents(home: Path) -> dict[str, bytes]:
    """What the home holds but for empty locks and the pages of SQLite's memory."""
    files = (path for path in home.rglob("*") if path.is_file() and not path.name.endswith(("-shm", "-wal")))
    return {str(path.relative_to(home)): content for path in files if (content := path.read_bytes())}


def test_findings_are_printed_with_what_mends_them_and_exit_14(home: Path, dnapredict: Run) -> None:
    (home / "scoring-log.secret").chmod(0o640)
    written("lists/opt-outs.json", "{}")(home)
    done = dnapredict("doctor", "--home", home)
    assert done.returncode == 14
    assert "scoring-log.secret: is open to group or others (0640).\n  Run 'dnapredict doctor --repair'." in done.stdout
    assert "2 findings. Each says what mends it." in done.stderr
    mended = dnapredict("doctor", "--home", home, "--repair", "--json")
    assert mended.returncode == 14
    told = json.loads(mended.stdout)
    assert [each["path"] for each in told["mended"]] == ["scoring-log.secret"]
    assert [each["path"] for each in told["findings"]] == ["lists/opt-outs.json"]
    assert told["checks"] == list(CHECKS)


def test_what_is_opted_out_survives_the_repair_of_the_calls_database(home: Path) -> None:
    written("lists/calls.db", "x" * 9_999)(home)
    mend(home)
    with sqlite3.connect(home / "lists" / "calls.db") as connection:
        assert connection.execute("SELECT count(*) FROM events WHERE effect = 'opted out'").fetchone() == (1,)
    connection.close()


def test_a_draft_that_is_being_written_is_left_alone(home: Path) -> None:
    draft = home / "lists" / f".{'0a' * 8}-latest.json"
    draft.write_text("half", encoding="utf-8")
    draft.chmod(0o600)
    assert mend(home).is_sound
    assert draft.exists()


def test_no_home_is_said(tmp_path: Path, dnapredict: Run) -> None:
    done = dnapredict("doctor", "--home", tmp_path / "none")
    assert (done.returncode, "there is no home" in done.stderr) == (14, True)
    assert not (tmp_path / "none").exists()


def test_an_empty_folder_and_one_that_holds_a_home_are_no_home_to_check_or_to_back_up(tmp_path: Path) -> None:
    """As where a disk is not mounted: a nightly check or backup would go on without a word."""
    above = tmp_path / "above"
    (above / "home").mkdir(parents=True, mode=0o700)
    (above / "home" / "keys").mkdir(mode=0o700)
    for wrong in (tmp_path / "empty", above):
        wrong.mkdir(mode=0o700, exist_ok=True)
        for verb in (examine, mend, lambda folder: back_up(folder, tmp_path / "backup")):
            with pytest.raises(StoreError, match="this folder is no home"):
                verb(wrong)
    assert not (tmp_path / "backup").exists()
    assert examine(above / "home").findings == ()

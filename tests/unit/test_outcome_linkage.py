"""`dnapredict outcomes`: an extract joined to what was scored and recorded in a home, and what is said of it."""

import datetime
import secrets
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from dnapredict.config.training_config import Setting, TrainingConfig
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.errors import DataError, StoreError
from dnapredict.pipeline.in_use.contacted_from_calls import with_recorded_calls
from dnapredict.pipeline.in_use.outcome_linkage import OutcomeSummary, outcomes
from dnapredict.pipeline.run_inputs import sound_extract
from dnapredict.service.call_actions import Actions, Outcome
from dnapredict.service.call_outcomes import Barrier, CallDetails, Offer
from dnapredict.service.log.answer_entries import Hashes
from dnapredict.service.log.scoring_log import COLUMNS, ScoringLog
from dnapredict.service.logged_contacts import logged_contacts
from dnapredict.worklist.calls.calls_ledger import Ledger
from dnapredict.worklist.files.kept_list import ListIdentity
from dnapredict.worklist.follow_up.outcome_store import OutcomeStore
from dnapredict.worklist.follow_up.scored_rows import ScoredFiles, ScoredRows
from dnapredict.worklist.plan.call_plan import CallPlan

NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
START = NOW + datetime.timedelta(days=9)
N = 40
CALLED = 10
SETTING = Setting()


def extract(
    folder: Path, *, rows: int = N, outcome: str = "", more: str = "", patient: str = "", name: str = "extract.csv"
) -> Path:
    """An extract in which every fourth is missed, or all have that outcome; `more` are further lines."""
    lines = ["appointment_id,patient_id,booked_at,starts_at,outcome_code,recorded_at,age_years"]
    for number in range(rows):
        code = outcome or ("3" if number % 4 == 0 else "5")
        starts = f"{START + datetime.timedelta(minutes=number):%Y-%m-%d %H:%M}"
        recorded = f"{START + datetime.timedelta(days=3):%Y-%m-%d}"
        lines.append(f"MARK-{number},{patient or f'PAT-{number}'},2026-01-05,{starts},{code},{recorded},40")
    path = folder / name
    path.write_text("\n".join([*lines, more]) + "\n", encoding="utf-8")
    return path


def score(home: Path, *, rows: int = N, identity: ListIdentity | None = None) -> ListIdentity:
    """A list of all appointments, of which the first ten are called."""
    starts = pa.array([START.replace(tzinfo=None) + datetime.timedelta(minutes=each) for each in range(rows)])
    inputs = pa.table(
        {
            "appointment_id": [f"MARK-{number}" for number in range(rows)],
            "patient_id": [f"PAT-{number}" for number in range(rows)],
            "starts_at": starts,
            "booked_at": starts,
            "probability": np.linspace(0.9, 0.1, rows),
        }
    )
    table = {"rank": np.arange(1, rows + 1), "selected": np.arange(rows) < CALLED}
    plan = CallPlan(pa.table(table), np.full(rows, np.datetime64("2029-12-30")))
    identity = identity or ListIdentity(secrets.token_hex(8), NOW - datetime.timedelta(days=1))
    notices = ScoredRows(home, Ledger(home).hashed).record(inputs, plan, identity=identity, model_version="1")
    assert notices == ()
    return identity


def call(home: Path, identity: ListIdentity) -> None:
    """Everybody on the list is called: the first never answers, the second opts out, the others confirm."""
    log = ScoringLog(home)
    hashes = Hashes(home, log)
    actions = Actions(log, hashes, Ledger(home, logged_contacts(home)))
    for number in range(CALLED):
        outcome = {0: Outcome.NO_ANSWER, 1: Outcome.OPTED_OUT}.get(number, Outcome.CONFIRMED)
        line = {"appointment_id": f"MARK-{number}", "clinic_code": "C", "site_code": "S"}
        details = CallDetails(Barrier.TRANSPORT, Offer.TRANSPORT) if outcome is Outcome.CONFIRMED else CallDetails()
        actions.record(identity.list_id, line, outcome, details=details)


def bring_back(path: Path, home: Path) -> OutcomeSummary:
    return outcomes(path, home=home, setting=SETTING, records=logged_contacts(home))[0]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    place = tmp_path / "home"
    call(place, score(place))
    return place


def test_calls_barriers_and_outcomes_meet_by_the_hash_of_the_appointment(home: Path, tmp_path: Path) -> None:
    summary = bring_back(extract(tmp_path), home)
    rows = OutcomeStore(home).read().to_pylist()
    assert len(rows) == N
    confirmed = [row for row in rows if row["call_outcome"] == "confirmed"]
    assert len(confirmed) == CALLED - 2
    assert {(row["barrier"], row["offered"], row["contacted"]) for row in confirmed} == {
        ("transport", "transport", True)
    }
    assert sum(row["opted_out"] for row in rows) == 1
    assert [row["contacted"] for row in rows].count(False) == N - CALLED + 1
    assert sum(row["missed"] for row in rows) == N // 4
    assert {row["age_years"] for row in rows} == {40.0}
    assert list(summary.sentences()) == [
        "The outcome store holds 40 scored appointments; of 40 the outcome is known.",
        "New outcomes: 40. Outcomes that are another now: 0.",
        "Appointments with a recorded call: 10; patients reached: 10.",
    ]


def test_the_same_extract_gives_the_same_bytes_and_another_outcome_is_counted(home: Path, tmp_path: Path) -> None:
    path = extract(tmp_path)
    bring_back(path, home)
    before = OutcomeStore(home).path.read_bytes()
    bring_back(path, home)
    assert OutcomeStore(home).path.read_bytes() == before
    changed = bring_back(extract(tmp_path, outcome="5", name="later.csv"), home)
    assert changed.as_dict()["changed"] == 10
    assert not any(OutcomeStore(home).read(["missed"])["missed"].to_pylist())


def test_calls_that_the_log_lost_are_known_by_their_day(home: Path, tmp_path: Path) -> None:
    summary = outcomes(extract(tmp_path), home=home, setting=SETTING, records=None)[0]
    assert (summary.counts.called, summary.counts.reached) == (CALLED, CALLED - 1)
    rows = OutcomeStore(home).read(["call_outcome", "barrier"]).to_pylist()
    assert {row["barrier"] for row in rows} == {None}


def test_a_repeated_row_counts_once_and_a_merged_patient_is_told(home: Path, tmp_path: Path) -> None:
    again = f"MARK-1,PAT-1,2026-01-05,{START:%Y-%m-%d %H:%M},3,,40"
    path = extract(tmp_path, patient="MERGED", more=again)
    with pytest.raises(DataError, match="break the contract"):
        bring_back(path, home)
    tolerant = Setting(config=TrainingConfig(max_rejected_share=0.1))
    summary, checked = outcomes(path, home=home, setting=tolerant)
    assert checked.rejected["rule"].to_pylist() == ["duplicate_appointment_id"]
    assert summary.counts.rows == N
    assert "The patient has another number than when they were scored: 40 appointments." in " ".join(
        summary.sentences()
    )
    assert len(set(OutcomeStore(home).read(["patient"])["patient"].to_pylist())) == 1


def test_an_answer_about_a_single_appointment_comes_back_from_the_log(tmp_path: Path) -> None:
    home = tmp_path / "home"
    log = ScoringLog(home)
    hashes = Hashes(home, log)
    answer = dict.fromkeys(COLUMNS) | {
        "at": NOW.isoformat(),
        "asked_by": "epr",
        "request": "r",
        "model_version": "1",
        "model_sha256": "f",
        "inputs": "i",
        "probability": 0.4,
        "rank": 1,
        "selected": True,
        "appointment": hashes.of("appointment", "MARK-3"),
        "patient": hashes.of("patient", "PAT-3"),
    }
    log.write([answer])
    bring_back(extract(tmp_path), home)
    (row,) = OutcomeStore(home).read().to_pylist()
    assert (row["probability"], row["list_id"], row["missed"], row["contacted"]) == (0.4, None, False, None)


def test_nothing_scored_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="nothing was scored here yet"):
        outcomes(extract(tmp_path), home=tmp_path / "home", setting=SETTING, records=logged_contacts(tmp_path / "home"))


def test_a_lost_secret_is_told_and_never_made_anew(home: Path, tmp_path: Path) -> None:
    (home / "scoring-log.secret").unlink()
    with pytest.raises(StoreError, match="this secret is missing, and scored appointments were hashed with it"):
        outcomes(extract(tmp_path), home=home, setting=SETTING)
    assert not (home / "scoring-log.secret").exists()


def test_rows_of_another_secret_and_damaged_files_are_left_out_and_told(tmp_path: Path) -> None:
    home = tmp_path / "home"
    score(home)
    (home / "scoring-log.secret").write_text(secrets.token_hex(32), encoding="utf-8")
    score(home)
    damaged = ScoredFiles(home).lists()[0]
    summary = outcomes(extract(tmp_path), home=home, setting=SETTING)[0]
    (notice,) = summary.notices
    assert "was hashed with another secret than this home has now" in notice
    damaged.write_bytes(damaged.read_bytes()[:-1])
    summary = outcomes(extract(tmp_path), home=home, setting=SETTING)[0]
    assert "is damaged, and left out" in " ".join(summary.notices)
    assert summary.counts.rows == N


def test_small_counts_are_not_printed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    score(home, rows=3)
    summary = bring_back(extract(tmp_path), home)
    assert next(iter(summary.sentences())).startswith("The outcome store holds a few scored appointments")
    assert summary.as_dict()["rows"] is None


def test_a_damaged_store_is_an_error_and_stays(home: Path, tmp_path: Path) -> None:
    path = OutcomeStore(home).path
    path.write_bytes(b"MARK")
    with pytest.raises(StoreError, match="is damaged") as error:
        bring_back(extract(tmp_path), home)
    assert "MARK" not in str(error.value)
    assert path.read_bytes() == b"MARK"


@pytest.mark.parametrize("rows_of_a_range", [250_000, 7])
def test_contacted_is_filled_in_and_the_extracts_own_value_comes_first(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows_of_a_range: int
) -> None:
    monkeypatch.setattr("dnapredict.worklist.follow_up.hash_ranges._ROWS_OF_A_RANGE", rows_of_a_range)
    bring_back(extract(tmp_path), home)
    text = extract(tmp_path).read_text(encoding="utf-8").splitlines()
    own = {"MARK-2": "no", "MARK-39": "yes"}
    lines = [f"{text[0]},contacted", *(f"{line},{own.get(line.split(',')[0], '')}" for line in text[1:] if line)]
    (tmp_path / "own.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    with Workspace() as workspace:
        checked = sound_extract(tmp_path / "own.csv", SETTING, workspace)
        filled, sentence = with_recorded_calls(checked, home, workspace)
        rows = workspace.fetch(f"SELECT appointment_id, contacted FROM {filled.rows.get_name()}").to_pylist()
    contacted = {row["appointment_id"]: row["contacted"] for row in rows}
    assert len(rows) == N
    assert (contacted["MARK-0"], contacted["MARK-1"], contacted["MARK-2"], contacted["MARK-3"]) == (
        False,
        True,
        False,
        True,
    )
    assert (contacted["MARK-38"], contacted["MARK-39"]) == (False, True)
    assert sentence == (
        "The calls recorded in this home say of 40 appointments whether the patient was reached; the extract does not."
    )


def test_without_a_store_an_extract_is_as_it_was(tmp_path: Path) -> None:
    with Workspace() as workspace:
        checked = sound_extract(extract(tmp_path), SETTING, workspace)
        assert with_recorded_calls(checked, tmp_path / "home", workspace) == (checked, "")


def test_no_value_of_a_patient_is_in_the_store_or_in_what_is_said(home: Path, tmp_path: Path) -> None:
    summary = bring_back(extract(tmp_path), home)
    said = " ".join(summary.sentences()) + str(summary.as_dict()) + repr(OutcomeStore(home).read().to_pydict())
    assert "MARK-" not in said
    assert "PAT-" not in said

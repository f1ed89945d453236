"""An older copy of a file, valid in itself, that somebody puts back: it is refused, and the message says how to keep it.

Each case writes a file, keeps a copy, writes the file once more and puts the copy back.
"""

import datetime
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest
from tests.service.test_log_databases import row
from tests.spec.test_lost_files import TODAY, TRIAL
from tests.unit.test_contact_details import LATER, stored_list
from tests.unit.test_outcome_store import rows_of

from dnapredict.config.mapping_config import IDENTITY
from dnapredict.config.training_config import Setting
from dnapredict.data.files.digests import read_or_make
from dnapredict.data.files.loss_marks import mark_of
from dnapredict.data.files.newest_marks import FOLDER, NewestMark
from dnapredict.errors import StoreError
from dnapredict.pipeline import history_in_use, refresh
from dnapredict.service.auth import api_keys
from dnapredict.service.auth.api_keys import KeyRing, KeyScope
from dnapredict.service.home_checks.examination import examine, mend
from dnapredict.service.log.scoring_log import ScoringLog
from dnapredict.synthetic.simulation import simulate
from dnapredict.worklist.calls import assignments
from dnapredict.worklist.calls.stated_opt_outs import LOG_SECRET, opt_outs_of
from dnapredict.worklist.calls.trial_register import TrialRegister
from dnapredict.worklist.files import contact_details, list_store, unscored_rows
from dnapredict.worklist.follow_up.outcome_store import OutcomeStore

NOW = datetime.datetime(2026, 11, 30, tzinfo=datetime.UTC)
LIST = "0123456789abcdef"
Work = Callable[[Path], object]


def opted_out(*patients: str) -> Work:
    """A list in which these patients do not wish to be called."""
    listed = pa.table({"patient_id": list(patients), "opt_out": [True] * len(patients)})

    def state(home: Path) -> None:
        read_or_make(home / LOG_SECRET)
        opt_outs_of(home).remember(listed)

    return state


def logged(home: Path, request: str = "first") -> None:
    log = ScoringLog(home)
    log.write([row(request=request)])
    log.close()


def read_log(home: Path) -> None:
    log = ScoringLog(home)
    try:
        log.verify()
    finally:
        log.close()


def allocated(*patients: str) -> Work:
    return lambda home: TrialRegister(home, TRIAL, TODAY).add(dict.fromkeys(patients, "site"))


def refreshed(appointments: int) -> Work:
    """The history of so many made-up appointments."""

    def work(home: Path) -> None:
        extract = home.parent / f"{appointments}.parquet"
        simulate(extract, appointments=appointments, seed=3)
        refresh(extract, home=home, setting=Setting())

    return work


@dataclass(frozen=True)
class Case:
    path: str
    first: Work
    second: Work
    read: Work
    mark: str


CASES = (
    Case("lists/opt-outs.json", opted_out("1"), opted_out("2"), opted_out("3"), "opt-outs"),
    Case("scoring-log.db", logged, logged, read_log, "scoring-log"),
    Case("trial/register.db", allocated("1"), allocated("2"), allocated("3"), "trial-register"),
    Case(
        "outcomes/outcomes.parquet",
        lambda home: OutcomeStore(home).write(rows_of("a")),
        lambda home: OutcomeStore(home).write(rows_of("a", "b")),
        lambda home: OutcomeStore(home).read(),
        "outcomes",
    ),
    Case("history/CURRENT", refreshed(500), refreshed(600), history_in_use, "history"),
)


@pytest.fixture(params=CASES, ids=lambda case: case.mark)
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


def put_back(case: Case, home: Path) -> None:
    case.first(home)
    kept = home.parent / "kept"
    shutil.copy2(home / case.path, kept)
    case.second(home)
    case.read(home)
    shutil.copy2(kept, home / case.path)


def older(home: Path) -> list[str]:
    """The files that `doctor` calls older copies."""
    return [finding.path for finding in examine(home).findings if "is an older copy" in finding.problem]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir(mode=0o700)
    return tmp_path / "home"


def test_an_older_copy_is_refused_and_doctor_names_it(case: Case, home: Path) -> None:
    put_back(case, home)
    said = f"{home / case.path}: is an older copy"
    with pytest.raises(StoreError, match=said):
        case.read(home)
    (finding,) = [each for each in examine(home).findings if each.path == case.path]
    assert "is an older copy" in finding.problem
    assert f"{FOLDER}/{case.mark}" in finding.mend


def test_it_is_accepted_once_its_mark_is_removed_and_guarded_again_from_the_next_write_on(
    case: Case, home: Path
) -> None:
    put_back(case, home)
    (home / FOLDER / case.mark).unlink()
    case.read(home)
    case.second(home)
    assert (home / FOLDER / case.mark).is_file()
    assert older(home) == []


def test_a_home_of_an_earlier_release_has_no_mark_and_is_read(case: Case, home: Path) -> None:
    case.first(home)
    shutil.rmtree(home / FOLDER)
    case.read(home)


def replaced_as_a_whole(mark: str) -> tuple[Case, Work]:
    """The case of a file that holds no count, and a third writing of it."""
    (case,) = (case for case in CASES if case.mark == mark)
    third = {"outcomes": lambda home: OutcomeStore(home).write(rows_of("a", "b", "c")), "history": refreshed(700)}
    return case, third[mark]


@pytest.mark.parametrize("mark", ["outcomes", "history"])
def test_a_store_that_was_about_to_be_replaced_is_the_newest(
    mark: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the mark and the file: both files are accepted, and no older one."""
    case, third = replaced_as_a_whole(mark)
    path = home / case.path
    case.first(home)
    shutil.copy2(path, home.parent / "first")
    case.second(home)
    second = path.read_bytes()
    with monkeypatch.context() as killed:
        killed.setattr(NewestMark, "note", lambda *_: None)
        killed.setattr(os, "replace", lambda source, target: replace(source, target, but=path))
        with pytest.raises(KeyboardInterrupt):
            third(home)
    case.read(home)
    assert path.read_bytes() == second
    shutil.copy2(home.parent / "first", path)
    with pytest.raises(StoreError, match="is an older copy"):
        case.read(home)


def replace(source: Path, target: Path, *, but: Path) -> None:
    if target == but:
        raise KeyboardInterrupt
    source.rename(target)


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.mark not in {"outcomes", "history"}], ids=lambda case: case.mark
)
def test_a_mark_that_was_written_before_the_process_was_killed_is_never_newer_than_the_file(
    case: Case, home: Path
) -> None:
    """The file is written first: an older mark, which a killed process leaves, refuses nothing."""
    case.first(home)
    before = (home / FOLDER / case.mark).read_bytes()
    case.second(home)
    (home / FOLDER / case.mark).write_bytes(before)
    case.read(home)


def test_a_log_that_went_on_from_an_older_copy_is_another_log(home: Path) -> None:
    logged(home)
    shutil.copy2(home / "scoring-log.db", home.parent / "kept")
    logged(home)
    mark = (home / FOLDER / "scoring-log").read_bytes()
    shutil.copy2(home.parent / "kept", home / "scoring-log.db")
    (home / FOLDER / "scoring-log").unlink()
    logged(home, "another")
    logged(home, "another")
    (home / FOLDER / "scoring-log").write_bytes(mark)  # entry 2 of the log that was replaced
    with pytest.raises(StoreError, match="is an older copy, or goes on from one"):
        read_log(home)


def test_a_log_begun_anew_on_purpose_needs_no_more_than_its_own_mark_removed(home: Path) -> None:
    logged(home)
    logged(home)
    for name in ("scoring-log.db", "scoring-log.db.made"):
        (home / name).unlink()
    logged(home)
    read_log(home)


def test_a_log_that_retention_shortened_is_not_an_older_copy(home: Path) -> None:
    logged(home)
    log = ScoringLog(home)
    log.remove_before(datetime.date(2026, 11, 1))
    log.close()
    read_log(home)
    assert older(home) == []


def test_a_revoked_key_whose_file_is_put_back_stays_revoked(home: Path) -> None:
    made = api_keys.create(home, name="x", scopes=(KeyScope.LIST,))
    path = home / "keys" / f"{made.key.key_id}.json"
    before = path.read_bytes()
    session = KeyRing(home).session(made.key)
    revoked_at = api_keys.revoke(home, made.key.key_id).revoked_at
    path.write_bytes(before)
    ring = KeyRing(home)
    assert (ring.holder(made.token), ring.session_holder(session), ring.valid_key(made.key.key_id)) == (None,) * 3
    (key,) = api_keys.all_keys(home)
    assert key.revoked_at == revoked_at
    (finding,) = examine(home).findings
    assert (finding.path, "is an older copy" in finding.problem) == (f"keys/{made.key.key_id}.json", True)
    assert mend(home).is_sound
    assert b'revoked_at": null' not in path.read_bytes()


def test_the_folder_of_keys_put_back_whole_opens_no_revoked_key(home: Path) -> None:
    made = api_keys.create(home, name="x", scopes=(KeyScope.LIST,))
    shutil.copytree(home / "keys", home.parent / "keys")
    api_keys.revoke(home, made.key.key_id)
    shutil.rmtree(home / "keys")
    shutil.copytree(home.parent / "keys", home / "keys")
    assert KeyRing(home).holder(made.token) is None


def test_a_killed_revocation_holds_and_is_completed_when_it_is_run_again(home: Path) -> None:
    made = api_keys.create(home, name="x", scopes=(KeyScope.LIST,))
    path = home / "keys" / f"{made.key.key_id}.json"
    before = path.read_bytes()
    api_keys.revoke(home, made.key.key_id)
    path.write_bytes(before)  # as if killed between the mark and the key's own file
    api_keys.revoke(home, made.key.key_id)
    assert examine(home).findings == ()


def test_a_damaged_mark_of_a_revocation_lets_nobody_in(home: Path) -> None:
    made = api_keys.create(home, name="x", scopes=(KeyScope.LIST,))
    path = home / "keys" / f"{made.key.key_id}.json"
    before = path.read_bytes()
    api_keys.revoke(home, made.key.key_id)
    path.write_bytes(before)
    (home / "revoked-keys" / made.key.key_id).write_bytes(b"")
    assert KeyRing(home).holder(made.token) is None


def hand_over(line: int) -> assignments.Assignment:
    return assignments.Assignment(to="A. Clerk", by="B. Lead", at=NOW, lines=(line,))


def handed_over(home: Path, line: int) -> None:
    assignments.assign(home, LIST, hand_over(line))


def test_an_older_copy_of_hand_overs_is_refused_until_its_mark_is_removed_or_lines_are_handed_over(home: Path) -> None:
    handed_over(home, 1)
    path = home / "lists" / f"{LIST}.assigned"
    before = path.read_bytes()
    handed_over(home, 2)
    path.write_bytes(before)
    with pytest.raises(StoreError, match=r"assigned: is an older copy"):
        assignments.assigned(home, LIST)
    assert any("is an older copy" in each for each in assignments.damaged(home))
    mark_of(path).unlink()
    assert set(assignments.assigned(home, LIST)) == {1}
    handed_over(home, 3)
    path.write_bytes(before)
    handed_over(home, 4)  # replaces what cannot be used, as of a damaged file
    assert set(assignments.assigned(home, LIST)) == {4}


def test_hand_overs_of_an_earlier_release_are_read(home: Path) -> None:
    handed_over(home, 1)
    path = home / "lists" / f"{LIST}.assigned"
    stored = json.loads(path.read_text())
    del stored["writes"]
    path.write_text(json.dumps(stored))
    shutil.rmtree(home / FOLDER)
    mark_of(path).write_text("The file of this name without .made was written in this home.\n")
    assert set(assignments.assigned(home, LIST)) == {1}


def corrected(home: Path, list_id: str) -> None:
    kept = list_store.find(home, list_id)
    assert kept is not None
    list_store.keep_changed(home, kept)


def to_correct(*rows: int) -> Callable[[Path, str], None]:
    found = unscored_rows.UnscoredRows(("booked_at",), {row: {"booked_at": "x"} for row in rows}, IDENTITY)
    return lambda home, list_id: unscored_rows.keep(home, list_id, found)


def noted(text: str) -> Callable[[Path, str], None]:
    return lambda home, list_id: contact_details.set_note(home, list_id, 1, text, until=LATER)


# What is written first, and what later.
OF_A_LIST: dict[str, tuple[Callable[[Path, str], None], Callable[[Path, str], None]]] = {
    ".contacts": (noted("not on this number"), noted("on this number again")),
    ".unscored": (to_correct(1, 2), to_correct(2)),
    ".unscored of which the last row was corrected": (to_correct(1), to_correct()),
    ".assigned": (
        lambda home, list_id: assignments.assign(home, list_id, hand_over(1)),
        lambda home, list_id: assignments.assign(home, list_id, hand_over(2)),
    ),
    ".parquet": (corrected, corrected),
}


@pytest.mark.parametrize("name", OF_A_LIST)
def test_a_file_of_a_list_that_is_put_back_with_its_mark_is_an_older_copy(home: Path, name: str) -> None:
    first, later = OF_A_LIST[name]
    list_id = stored_list(home).heading.list_id
    first(home, list_id)
    before = {path: path.read_bytes() for path in (home / "lists").glob(f"{list_id}.*")}
    later(home, list_id)
    for path, content in before.items():
        path.write_bytes(content)
        path.chmod(0o600)
    path = f"lists/{list_id}{name.partition(' ')[0]}"
    assert older(home) == [path]
    (finding,) = (each for each in examine(home).findings if each.path == path)
    mark = home / "lists" / next(word for word in finding.mend.split() if list_id in word).rstrip(".")
    mark.unlink()  # a person goes on with the copy
    assert older(home) == []
    first(home, list_id)
    assert examine(home).findings == ()


def test_the_counts_of_a_list_are_deleted_with_it(home: Path) -> None:
    list_id, other = (stored_list(home).heading.list_id for _ in range(2))
    for first, later in OF_A_LIST.values():
        for work in (first, later):
            work(home, list_id)
            work(home, other)
    assert list_store.left_counts(home) == []
    assert list_store.delete(home, list_id)
    assert {path.name.partition(".")[0] for path in (home / FOLDER / "lists").iterdir()} == {other}
    for path in (home / "lists").glob(f"{other}.*"):
        path.unlink()  # by hand
    assert {each.problem for each in examine(home).findings} == {"is about a list that was deleted."}
    assert mend(home).is_sound
    assert list((home / FOLDER / "lists").iterdir()) == []

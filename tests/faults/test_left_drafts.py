"""What a killed process leaves of a write: it goes with the next one, or `doctor` names it."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dnapredict.data.files import drafts
from dnapredict.data.files.atomic_write import SHARED_FILE, create_folder, write_atomically, write_private
from dnapredict.data.files.drafts import SECONDS_OF_A_DRAFT
from dnapredict.fairness.signing import report_files_sha256
from dnapredict.registry import holdout_store
from dnapredict.service.auth import sign_in_links
from dnapredict.service.home_checks import file_checks
from dnapredict.worklist.files import list_store
from dnapredict.worklist.follow_up.scored_rows import ScoredFiles

has_locks = pytest.mark.skipif(os.name != "posix", reason="nothing is locked on Windows")
OF_A_FILE = "write_atomically(Path(sys.argv[1]))"
OF_A_FOLDER = "create_folder(Path(sys.argv[1]), replace=True)"


def killed(out: Path, writing: str) -> Path:
    """The draft that is left of a process that was killed while it wrote `out`."""
    script = f"""
import os, signal, sys
from pathlib import Path
from dnapredict.data.files.atomic_write import create_folder, write_atomically
with {writing} as draft:
    (draft / "report.html" if draft.is_dir() else draft).write_text("half")
    print(draft, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", script, str(out)], check=False, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    draft = Path(done.stdout.strip())
    assert draft.exists()
    return draft


@has_locks
@pytest.mark.parametrize("writing", [OF_A_FILE, OF_A_FOLDER])
def test_what_a_killed_run_drafted_goes_with_the_next_run_to_the_same_output(tmp_path: Path, writing: str) -> None:
    out = tmp_path / "report"
    draft, of_another = killed(out, writing), killed(tmp_path / "other", writing)
    persons = tmp_path / ".report-original"
    persons.mkdir()
    with create_folder(out) if writing is OF_A_FOLDER else write_atomically(out) as fresh:
        assert not draft.exists()
        # A second run to the same output at the same time takes nothing from the first.
        with create_folder(out, replace=True) if writing is OF_A_FOLDER else write_atomically(out):
            assert fresh.exists()
        out.rmdir() if writing is OF_A_FOLDER else out.unlink()
    assert sorted(tmp_path.iterdir()) == sorted([of_another, persons, out])


@has_locks
def test_a_draft_that_another_process_fills_is_not_removed_and_not_named_however_old_it_is(tmp_path: Path) -> None:
    script = """
import sys
from pathlib import Path
from dnapredict.data.files.atomic_write import write_atomically
with write_atomically(Path(sys.argv[1])) as draft:
    print(draft, flush=True)
    sys.stdin.readline()
    draft.write_text("of the other")
"""
    command = [sys.executable, "-c", script, str(tmp_path / "lists" / "x.json")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        draft = Path(other.stdout.readline().strip())
        hours = time.time() - 2 * SECONDS_OF_A_DRAFT
        os.utime(draft, (hours, hours))
        write_private(tmp_path / "lists" / "x.json", "of this one")
        assert draft.exists()
        assert not list(file_checks.leftovers(tmp_path))
        other.communicate("\n")
    assert other.returncode == 0
    assert (tmp_path / "lists" / "x.json").read_text(encoding="utf-8") == "of the other"


def test_a_folder_that_was_moved_away_to_be_replaced_is_put_back_by_the_next_run(tmp_path: Path) -> None:
    away = tmp_path / f".{'0a' * 8}.replaced-report"
    (away / "report").mkdir(parents=True)
    (away / "report" / "audit.json").write_text("earlier", encoding="utf-8")
    hours = time.time() - 2 * SECONDS_OF_A_DRAFT
    for path in (away / "report" / "audit.json", away / "report", away):
        os.utime(path, (hours, hours))
    with pytest.raises(KeyError), create_folder(tmp_path / "report", replace=True):
        raise KeyError
    assert [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*"))] == [
        "report",
        "report/audit.json",
    ]
    with create_folder(tmp_path / "report", replace=True) as draft:
        (draft / "audit.json").write_text("new", encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["report"]
    assert (tmp_path / "report" / "audit.json").read_text(encoding="utf-8") == "new"


def left(folder: Path, name: str, *, modified: float | None = None) -> Path:
    path = folder / f".{'0a' * 8}-{name}"
    path.write_text("half", encoding="utf-8")
    os.utime(path, None if modified is None else (modified, modified))
    return path


def test_without_locks_a_draft_goes_with_the_next_write_of_that_file_once_it_is_an_hour_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drafts, "try_lock_path", lambda *_: None)
    hours = time.time() - 2 * SECONDS_OF_A_DRAFT
    old, of_another = left(tmp_path, "signature.json", modified=hours), left(tmp_path, "other.json", modified=hours)
    with write_atomically(tmp_path / "signature.json", mode=SHARED_FILE) as draft:
        draft.write_text("{}", encoding="utf-8")
    assert not old.exists()
    assert of_another.exists()
    young = left(tmp_path, "signature.json")
    write_private(tmp_path / "signature.json", "{}")
    assert sorted(tmp_path.iterdir()) == sorted([of_another, young, tmp_path / "signature.json"])


def test_a_signature_does_not_cover_the_draft_of_a_signing_that_was_killed(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("x", encoding="utf-8")
    left(tmp_path, "signature.json")
    assert report_files_sha256(tmp_path) == {"report.html": hashlib.sha256(b"x").hexdigest()}


def test_doctor_names_and_removes_what_a_killed_join_of_outcomes_has_put_on_the_disk(tmp_path: Path) -> None:
    overflow = tmp_path / "outcomes" / "dnapredict-x1y2z3a4"
    overflow.mkdir(parents=True)
    (overflow / "0.arrows").write_bytes(b"rows")
    assert not list(file_checks.leftovers(tmp_path))  # a join may still be running
    hours = time.time() - 2 * SECONDS_OF_A_DRAFT
    for path in (overflow / "0.arrows", overflow):
        os.utime(path, (hours, hours))
    (found,) = file_checks.leftovers(tmp_path)
    assert (found.path, found.problem) == ("outcomes/dnapredict-x1y2z3a4", "is left of a write that was interrupted.")
    assert found.repair is not None
    found.repair()
    assert not overflow.exists()


def test_the_draft_of_a_mark_is_no_mark_of_a_list_that_is_lost(tmp_path: Path) -> None:
    """A process was killed while it marked that a list was written."""
    for folder, name in (("outcomes/scored", "20261130T051337747350-88.parquet.made"), ("lists", f"{'0' * 16}.kept")):
        (tmp_path / folder).mkdir(parents=True)
        left(tmp_path / folder, name)
    assert not ScoredFiles(tmp_path).lost()
    assert not list(list_store.damaged(tmp_path))


def test_a_draft_in_a_folder_of_the_home_is_no_file_of_that_folder(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """`doctor` named what a killed training was writing as a damaged test set, and the log a list as lost."""
    for folder in ("tested", "lists", "sign-in/links"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "tested" / "holdout.secret").write_text("ab" * 32, encoding="ascii")
    left(tmp_path / "tested", f"{'ab' * 32}.parquet")
    left(tmp_path / "lists", f"{'0' * 16}.kept")
    left(tmp_path / "lists", f"{'0' * 16}.parquet")
    left(tmp_path / "sign-in" / "links", f"{'ab' * 32}.json")
    assert not list(holdout_store.damaged(tmp_path))
    assert not list(list_store.damaged(tmp_path))
    assert not list(sign_in_links.damaged(tmp_path))
    assert not list_store.headings(tmp_path)
    assert not caplog.records


def test_the_file_into_which_mlflow_was_copying_is_removed_once_it_is_an_hour_old(tmp_path: Path) -> None:
    left = tmp_path / "mlruns" / ("a" * 32) / "artifacts" / ".artifact.uploading.ebp0d8id"
    left.parent.mkdir(parents=True)
    left.touch()
    assert file_checks.remove_leftovers(tmp_path) == 0
    os.utime(left, (0, 0))
    assert file_checks.remove_leftovers(tmp_path) == 1
    assert not left.exists()

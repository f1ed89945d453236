"""What a killed process leaves of a write: it goes with the next one, or `doctor` names it."""

import hashlib
import os
import time
from pathlib import Path

from dnapredict.data.files.atomic_write import SECONDS_OF_A_DRAFT, SHARED_FILE, write_atomically, write_private
from dnapredict.fairness.signing import report_files_sha256
from dnapredict.service.home_checks import file_checks
from dnapredict.worklist.files import list_store
from dnapredict.worklist.follow_up.scored_rows import ScoredFiles


def left(folder: Path, name: str, *, modified: float | None = None) -> Path:
    path = folder / f".{'0a' * 8}-{name}"
    path.write_text("half", encoding="utf-8")
    os.utime(path, None if modified is None else (modified, modified))
    return path


def test_the_draft_of_a_killed_write_goes_with_the_next_write_of_that_file_once_it_is_an_hour_old(tmp_path: Path):
    hours = time.time() - 2 * SECONDS_OF_A_DRAFT
    old, of_another = left(tmp_path, "signature.json", modified=hours), left(tmp_path, "other.json", modified=hours)
    with write_atomically(tmp_path / "signature.json", mode=SHARED_FILE) as draft:
        draft.write_text("{}", encoding="utf-8")
    assert not old.exists()
    assert of_another.exists()
    young = left(tmp_path, "signature.json")
    write_private(tmp_path / "signature.json", "{}")
    assert sorted(tmp_path.iterdir()) == sorted([of_another, young, tmp_path / "signature.json"])


def test_a_signature_does_not_cover_the_draft_of_a_signing_that_was_killed(tmp_path: Path):
    (tmp_path / "report.html").write_text("x", encoding="utf-8")
    left(tmp_path, "signature.json")
    assert report_files_sha256(tmp_path) == {"report.html": hashlib.sha256(b"x").hexdigest()}


def test_doctor_names_and_removes_what_a_killed_join_of_outcomes_has_put_on_the_disk(tmp_path: Path):
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


def test_the_draft_of_a_mark_is_no_mark_of_a_list_that_is_lost(tmp_path: Path):
    """A process was killed while it marked that a list was written."""
    for folder, name in (("outcomes/scored", "20261130T051337747350-88.parquet.made"), ("lists", f"{'0' * 16}.kept")):
        (tmp_path / folder).mkdir(parents=True)
        left(tmp_path / folder, name)
    assert not ScoredFiles(tmp_path).lost()
    assert not list(list_store.damaged(tmp_path))

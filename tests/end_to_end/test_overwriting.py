"""No command writes over what it reads, or over what a person has written since."""

import os
import shutil
import stat
from pathlib import Path

import openpyxl
import pyarrow.parquet as pq
import pytest
from tests.end_to_end.test_refusals import GOOD, ROWS, refused, write
from tests.end_to_end.world import Trust

from dnapredict import pipeline
from dnapredict.pipeline.watching import Inbox


def digests(place: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(place.iterdir()) if path.is_file()}


@pytest.fixture
def weekly(trust: Trust, tmp_path: Path) -> Path:
    return Path(shutil.copy(trust.weekly, tmp_path / "list.parquet"))


def other_name(path: Path, how: str) -> Path:
    """Another way to say the same file."""
    if how == "symbolic link":
        path.with_name("linked.parquet").symlink_to(path)
        return path.with_name("linked.parquet")
    if how == "hard link":
        os.link(path, path.with_name("hard.parquet"))
        return path.with_name("hard.parquet")
    if how == "through a folder":
        return path.parent / "." / ".." / path.parent.name / path.name
    if how == "relative":
        return Path(os.path.relpath(path))
    return path


@pytest.mark.parametrize("how", ["itself", "symbolic link", "hard link", "through a folder", "relative"])
def test_a_worklist_never_replaces_the_clerks_list_however_it_is_named(how, dnapredict, trust: Trust, weekly, tmp_path):
    out = other_name(weekly, how)
    before = digests(tmp_path)
    done = dnapredict("score", weekly, "--out", out, "--home", trust.home)
    refused(done, 2, "would overwrite LIST", "Give the output another name")
    assert digests(tmp_path) == before


def test_scoring_from_a_program_is_refused_as_well(trust: Trust, weekly):
    before = weekly.read_bytes()
    with pytest.raises(Exception, match="would overwrite LIST"):
        pipeline.score_list(weekly, out=weekly, home=trust.home)
    assert weekly.read_bytes() == before


@pytest.mark.parametrize("verb", ["score", "features", "check", "audit", "access"])
def test_no_output_replaces_an_extract_a_mapping_or_a_joined_file(verb, dnapredict, trust: Trust, tmp_path):
    extract = write(tmp_path / "extract.csv", GOOD + ROWS)
    beside = write(tmp_path / "beside.csv", "id,clinic\na1,EYE\n")
    mapping = write(
        tmp_path / "mapping.csv",
        "[files.beside]\npath = 'beside.csv'\nmatch = { appointment_id = 'id' }\n"
        "[columns]\nclinic_code = { from = 'beside.clinic' }\n",
    )
    outputs = {"score": "--out", "check": "--report"}
    before = digests(tmp_path)
    for named in (extract, beside, mapping):
        words = [verb, extract, "--mapping", mapping, outputs.get(verb, "--out"), named]
        words += ["--model", "1"] if verb == "audit" else []
        words += ["--home", trust.home] if verb in ("score", "audit") else []
        refused(dnapredict(*words), 2, "would overwrite", named.name)
    assert digests(tmp_path) == before


def test_a_worklist_never_replaces_the_history_it_is_scored_with(dnapredict, trust: Trust, weekly, tmp_path):
    history = Path(shutil.copy(trust.extract, tmp_path / "history.parquet"))
    before = history.read_bytes()
    done = dnapredict("score", weekly, "--history", history, "--out", history, "--home", trust.home)
    refused(done, 2, "would overwrite --history")
    assert history.read_bytes() == before


def test_a_report_never_replaces_the_folder_that_the_extract_is_in(dnapredict, trust: Trust, tmp_path):
    folder = tmp_path / "reports"
    folder.mkdir()
    scores = write(folder / "scores.csv", "appointment_id,probability\na1,0.5\n")
    write(folder / "audit.json", "{}")
    done = dnapredict("audit", trust.extract, "--scores", scores, "--out", folder, "--home", trust.home)
    refused(done, 2, "would overwrite --scores")
    assert scores.exists()


@pytest.mark.parametrize("verb", ["audit", "access"])
def test_a_report_never_takes_a_persons_notes_with_it(verb, dnapredict, trust: Trust, tmp_path):
    folder = tmp_path / "report"
    folder.mkdir()
    write(folder / ("audit.json" if verb == "audit" else "access.json"), "{}")
    notes = write(folder / "notes of the meeting.docx", "kept for the record")
    words = ["--model", "1", "--home", trust.home] if verb == "audit" else []
    missing = tmp_path / "missing.csv"  # nothing is read before the folder is refused
    refused(dnapredict(verb, missing, "--out", folder, *words), 2, "notes of the meeting.docx")
    assert notes.exists()
    refused(dnapredict(verb, missing, "--out", notes, *words), 2, "is a file")


def test_made_up_appointments_never_replace_a_real_extract(dnapredict, tmp_path):
    real, made = tmp_path / "real.parquet", tmp_path / "made.parquet"
    few = ("--appointments", 300)
    assert dnapredict("simulate", made, *few).returncode == 0
    assert dnapredict("simulate", made, *few, "--seed", 2).returncode == 0  # made-up ones may be made anew
    pq.write_table(pq.read_table(made).replace_schema_metadata(None), real)
    before = real.read_bytes()
    refused(dnapredict("simulate", real, *few), 2, "not synthetic")
    refused(dnapredict("simulate", tmp_path / "n.parquet", *few, "--truth", real), 2, "not synthetic")
    os.link(made, tmp_path / "same.parquet")
    refused(dnapredict("simulate", made, *few, "--truth", tmp_path / "same.parquet"), 2, "name another file than OUT")
    assert real.read_bytes() == before


def test_factors_and_reports_replace_only_factors_and_reports(dnapredict, trust: Trust, tmp_path):
    extract = write(tmp_path / "extract.csv", GOOD + ROWS)
    other, letter = (
        Path(shutil.copy(trust.weekly, tmp_path / "o.parquet")),
        write(tmp_path / "l.html", "Dear"),
    )
    before = digests(tmp_path)
    refused(dnapredict("features", extract, "--out", other), 2, "holds no factors")
    refused(dnapredict("check", extract, "--report", tmp_path / "l.json"), 2, "l.html", "no report")
    assert digests(tmp_path) == before
    factors, report = tmp_path / "factors.parquet", tmp_path / "check.json"
    for _ in range(2):
        assert dnapredict("features", extract, "--out", factors).returncode == 0
        assert dnapredict("check", extract, "--report", report).returncode == 0
    assert letter.read_text() == "Dear"


def test_what_a_clerk_wrote_into_a_worklist_is_kept_when_next_weeks_takes_its_name(
    dnapredict, trust: Trust, weekly, tmp_path
):
    out = tmp_path / "worklist.xlsx"
    words = ("score", weekly, "--out", out, "--home", trust.home)
    assert dnapredict(*words).returncode == 0
    assert dnapredict(*words).returncode == 0  # nobody has touched it: the next one replaces it
    assert [path.name for path in tmp_path.glob("*.xlsx")] == ["worklist.xlsx"]
    book = openpyxl.load_workbook(out)
    book.active["A2"] = "reached on Monday"
    book.save(out)
    written = out.read_bytes()
    for _ in range(2):
        done = dnapredict(*words)
        assert done.returncode == 0, done.stderr
    (kept,) = tmp_path.glob("worklist.kept-*.xlsx")
    assert kept.read_bytes() == written
    assert out.read_bytes() != written
    out.write_bytes(b"written again by somebody")
    done = dnapredict(*words)
    assert "kept as worklist.kept-" in done.stderr
    contents = {path.read_bytes() for path in tmp_path.glob("worklist.kept-*.xlsx")}
    assert contents == {written, b"written again by somebody"}
    noted = trust.home / "lists" / "written.json"
    assert stat.S_IMODE(noted.stat().st_mode) == 0o600
    assert "worklist" not in noted.read_text()


def test_a_file_of_another_kind_under_the_worklists_name_is_kept(trust: Trust, weekly, tmp_path):
    out = write(tmp_path / "worklist.csv", "somebody else's table\n")
    said: list[str] = []
    pipeline.score_list(weekly, out=out, home=trust.home, say=said.append)
    (kept,) = tmp_path.glob("worklist.kept-*.csv")
    assert kept.read_text() == "somebody else's table\n"
    assert any(kept.name in sentence for sentence in said)


def test_two_lists_that_differ_in_their_ending_have_a_worklist_each(tmp_path):
    box = Inbox.open(tmp_path)
    first = box.destination("week.csv", folder="done")
    write(first.folder / first.name, "a")
    write(first.worklist(".xlsx"), "of week.csv")
    second = box.destination("week.xlsx", folder="done")
    assert second.worklist(".xlsx") != first.worklist(".xlsx")
    assert second.name == "week (2).xlsx"

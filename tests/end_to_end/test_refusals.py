"""What goes wrong, as a person meets it: one sentence, the right exit code, nothing half written."""

import gzip
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.end_to_end.world import Trust
from tests.nasty_lists import HEADERLESS, MARK

GOOD = "appointment_id,booked_at,starts_at,outcome_code,age_years\n"
ROWS = "".join(f"a{n},2025-01-02,2025-02-{n % 27 + 1:02},{'3' if n % 9 == 0 else '5'},{n % 90}\n" for n in range(200))
MARKED = "ZEBRA-MARKED-VALUE"


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refused(done, code: int, *words: str) -> str:
    assert done.returncode == code, (done.returncode, done.stderr)
    assert "Traceback" not in done.stderr
    assert done.stderr.count("Error:") == 1
    for word in words:
        assert word in done.stderr
    assert MARKED not in done.stderr + done.stdout
    return done.stderr


BAD_FILES = {
    "empty.csv": ("", "the file is empty"),
    "header.csv": (GOOD, "no rows"),
    "picture.csv": (b"\x89PNG\r\n\x1a\n\x00\x00" * 40, "not text"),
    "one-column.csv": (f"{MARKED}\n" * 3, "no header row"),
    "columns.csv": (f"appointment_id,{MARKED.lower()}\n1,2\n", "required column 'booked_at'"),
    "cut.csv.gz": (gzip.compress((GOOD + ROWS).encode())[:200], "cut short"),
    "broken.parquet": (b"PAR1 is how it starts", "not a Parquet file"),
    "broken.xlsx": (b"PK but no workbook", "not an XLSX workbook"),
    "list.docx": (b"PK", "cannot be read"),
    "twice.csv": ("appointment_id,booked_at,booked_at\n1,2,3\n", "names a column twice"),
    "bytes.csv": (GOOD.encode() + b"a,2025-01-02,2025-02-01,5,\x81\x8d\n", "not text in UTF-8"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_refused_with_its_name_and_the_reason(name, dnapredict, tmp_path):
    content, reason = BAD_FILES[name]
    bad = write(tmp_path / name, content)
    found = refused(dnapredict("check", bad), 10, name)
    # The header of a foreign file is quoted to help; a column is no patient.
    assert reason in found


@pytest.mark.parametrize("verb", ["check", "suggest", "train", "score"])
def test_a_list_without_a_header_is_refused_and_none_of_its_first_row_is_repeated(
    verb, dnapredict, trust: Trust, tmp_path
):
    bad = write(tmp_path / "list.csv", HEADERLESS)
    words = {
        "check": ("check", bad),
        "suggest": ("check", bad, "--suggest"),
        "train": ("train", bad, "--home", tmp_path / "home"),
        "score": ("score", bad, "--out", tmp_path / "out.csv", "--home", trust.home),
    }
    done = dnapredict(*words[verb])
    refused(done, 10, "the first row looks like data")
    for value in (MARK, "Cardiology", "LS1 4AP", "2-Jan-2025"):
        assert value not in done.stderr + done.stdout


def test_a_missing_file_is_data_that_is_not_there(dnapredict, tmp_path):
    refused(dnapredict("check", tmp_path / "nowhere.csv"), 10, "nowhere.csv: no such file")


def test_too_many_bad_rows_are_refused_by_rule_and_row_and_nothing_is_written(dnapredict, tmp_path):
    bad = GOOD + ROWS + "".join(f"{MARKED}-{n},2025-03-02,2025-02-01,{MARKED},-1\n" for n in range(50))
    extract, home, out = write(tmp_path / "bad.csv", bad), tmp_path / "home", tmp_path / "factors.parquet"
    for verb in (("check", extract), ("train", extract, "--home", home), ("features", extract, "--out", out)):
        refused(dnapredict(*verb), 10, "bad.csv", "20.0% of 250 rows", "starts before it was booked", "202")
    assert not out.exists()
    assert not home.exists()


def test_a_few_bad_rows_are_named_and_the_rest_goes_on(dnapredict, tmp_path):
    extract = write(tmp_path / "some.csv", GOOD + ROWS + f"a0,2025-01-02,2025-02-01,5,{MARKED}\n")
    out = tmp_path / "factors.parquet"
    done = dnapredict("features", extract, "--out", out)
    assert done.returncode == 0, done.stderr
    assert pq.read_metadata(out).num_rows == 200
    checked = dnapredict("check", extract)
    assert "1 row: repeats an appointment_id of an earlier row (row 202)" in checked.stderr
    assert MARKED not in checked.stderr


@pytest.mark.parametrize(
    ("option", "content", "answer"),
    [
        ("--config", "horizon_dais = 7\n", "unknown key 'horizon_dais'. Did you mean 'horizon_days'?"),
        ("--config", "[split]\ntest_form = 2025-01-01\n", "Did you mean 'test_from'?"),
        ("--config", "dna_codes = ['7']\n", "must hold '3'"),
        ("--config", "horizon_days = = 7\n", "is not valid TOML"),
        ("--mapping", "[columns]\nage = { from = 'age_years' }\n", "Did you mean 'age_years'?"),
        ("--mapping", "[columns]\nage_years = { fron = 'age_years' }\n", "Did you mean 'from'?"),
        ("--mapping", "timezone = 'Mars/Olympus'\n", "time zone"),
    ],
)
def test_configuration_that_is_wrong_is_quoted_with_the_nearest_right_key(
    option, content, answer, dnapredict, tmp_path
):
    extract, wrong = write(tmp_path / "e.csv", GOOD + ROWS), write(tmp_path / "wrong.toml", content)
    refused(dnapredict("train", extract, option, wrong, "--home", tmp_path / "home"), 11, answer)


def test_without_a_champion_scoring_says_which_command_makes_one(dnapredict, tmp_path):
    weekly = write(tmp_path / "list.csv", GOOD + ROWS)
    done = dnapredict("score", weekly, "--out", tmp_path / "out.csv", "--home", tmp_path / "home")
    refused(done, 12, "dnapredict train")
    assert not (tmp_path / "out.csv").exists()


def test_serving_without_a_champion_is_refused_before_it_starts(dnapredict, tmp_path):
    refused(dnapredict("serve", "--home", tmp_path / "home"), 12, "dnapredict")


def test_usage_that_cannot_be_done_exits_2(dnapredict, trust: Trust, tmp_path):
    assert dnapredict("fly").returncode == 2
    done = dnapredict("score", trust.weekly, "--out", tmp_path / "out.pdf", "--home", trust.home)
    refused(done, 2, "ends in .csv, .xlsx, .parquet")
    done = dnapredict("audit", trust.extract, "--out", tmp_path / "report", "--home", trust.home)
    refused(done, 2, "Give either --model V or --scores FILE")


def test_a_version_that_was_never_audited_is_not_promoted(dnapredict, trust: Trust):
    refused(dnapredict("promote", "99", "--home", trust.home), 12, "no model version 99")


def test_a_list_with_bad_rows_comes_back_whole_each_bad_row_with_its_error(dnapredict, trust: Trust, tmp_path):
    good = pq.read_table(trust.weekly).slice(0, 3).select(["appointment_id", "booked_at", "starts_at"])
    lines = [",".join(str(value) for value in row.values()) for row in good.to_pylist()]
    bad = [
        lines[0],
        f"{MARKED},2025-03-02,2025-02-01",
        f"={MARKED}(),2025-01-02,never",
        ",2025-01-02,2025-02-01",
    ]
    weekly = write(tmp_path / "w.csv", "\n".join(["appointment_id,booked_at,starts_at", *lines, *bad]) + "\n")
    out = tmp_path / "out.csv"
    done = dnapredict("score", weekly, "--out", out, "--home", trust.home)
    assert done.returncode == 0, done.stderr
    assert "1 call to make. Out of 7 appointments on the list. 4 appointments could not be scored." in done.stdout
    assert "lacks columns for" in done.stderr
    assert MARKED not in done.stderr + done.stdout
    written = out.read_text(encoding="utf-8")
    for sentence in (
        "repeats an appointment_id",
        "starts before it was booked",
        "is not a date",
        "has no appointment_id",
    ):
        assert written.count(sentence) == 1
    assert f"\"'={MARKED}" in written  # a spreadsheet must not run it

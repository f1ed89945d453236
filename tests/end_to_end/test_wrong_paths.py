"""Whatever is at a path that an option names, the answer is a sentence and comes at once."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.end_to_end.test_refusals import GOOD, ROWS, refused, write
from tests.end_to_end.world import Trust

KEYED = "[columns]\npatient_id = { from = 'appointment_id', pseudonymise = 'local' }\n"
WRONG = {
    "missing": ("no such file",),
    "folder": ("is a folder",),
    "pipe": ("a pipe or a device",),
    "loop": ("leads back to itself", "Too many levels of symbolic links", "no such file"),
}


@pytest.fixture(autouse=True)
def _answers_at_once() -> Iterator[None]:
    """Reading a pipe that nobody writes to would wait for ever."""

    def waiting(*_: object) -> None:
        pytest.fail("the command waits")  # no OSError, which a command would take for a file that cannot be read

    before = signal.signal(signal.SIGALRM, waiting)
    signal.alarm(240)  # a busy machine takes its time; a pipe would take for ever
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def wrong_path(folder: Path, kind: str) -> Path:
    path = folder / "wrong"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "loop":
        path.symlink_to(path)
    return path


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("check EXTRACT --mapping WRONG", 11),
        ("check EXTRACT --config WRONG", 11),
        ("check EXTRACT --mapping KEYED --key-file WRONG", 11),
        ("check WRONG", 10),
        ("train EXTRACT --config WRONG --home HOME", 11),
        ("audit EXTRACT --model 1 --policy WRONG --out OUT --home HOME", 11),
        ("audit EXTRACT --scores WRONG --out OUT --home HOME", 10),
        ("access EXTRACT --policy WRONG --out OUT", 11),
        ("score EXTRACT --mapping WRONG --out OUT.csv --home HOME", 11),
        ("log verify --settings WRONG --home HOME", 11),
        ("simulate OUT.parquet --lookup WRONG", 10),
    ],
)
def test_a_wrong_path_is_refused_in_a_sentence(words, code, kind, dnapredict, trust: Trust, tmp_path):
    (tmp_path / "here").mkdir()
    wrong = wrong_path(tmp_path / "here", kind)
    places = {
        "EXTRACT": write(tmp_path / "e.csv", GOOD + ROWS) if "check" in words else trust.extract,
        "KEYED": write(tmp_path / "keyed.toml", KEYED),
        "HOME": trust.home,
        "OUT": tmp_path / "out",
        "OUT.csv": tmp_path / "out.csv",
        "OUT.parquet": tmp_path / "out.parquet",
        "WRONG": wrong,
    }
    told = refused(dnapredict(*(places.get(word, word) for word in words.split())), code, "wrong")
    assert any(sentence in told for sentence in WRONG[kind]), told
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize("kind", WRONG)
def test_settings_and_earlier_reports_that_cannot_be_read_are_refused(
    kind, dnapredict, trust: Trust, tmp_path, monkeypatch
):
    for variable in ("DNAPREDICT_SERVICE", "DNAPREDICT_HOME"):
        monkeypatch.setenv(variable, "")  # `serve` sets them for its workers; they are restored here
    wrong = wrong_path(tmp_path, kind)
    served = dnapredict("serve", "--settings", wrong, "--home", trust.home)
    refused(served, 14 if kind == "loop" else 11, "wrong")
    words = ("--model", "1", "--previous", wrong, "--out", tmp_path / "out", "--home", trust.home)
    refused(dnapredict("audit", trust.extract, *words), 2, "wrong", "is not the audit.json of an earlier audit")


@pytest.mark.parametrize("option", ["--out", "--home"])
def test_a_link_that_leads_back_to_itself_is_no_place_to_write(option, dnapredict, trust: Trust, tmp_path):
    loop = tmp_path / "loop.csv"
    loop.symlink_to(loop)
    given = {"--out": tmp_path / "out.csv", "--home": trust.home, option: loop}
    words = [word for pair in given.items() for word in pair]
    told = refused(dnapredict("score", trust.weekly, *words), 14, "loop.csv")
    assert "Internal error" not in told


@pytest.mark.parametrize("digits", [19, 25, 5_000])
def test_a_version_of_very_many_digits_is_none_that_there_is(digits, dnapredict, trust: Trust, tmp_path):
    number = "9" * digits
    out = ("--out", tmp_path / "out", "--home", trust.home)
    told = refused(dnapredict("promote", number, "--home", trust.home), 12, "There is no model version 9")
    assert len(told) < 400
    refused(dnapredict("audit", trust.extract, "--model", number, *out), 12, "There is no model version 9")
    refused(dnapredict("compare", number, "1", "--home", trust.home), 12, "There is no model version 9")

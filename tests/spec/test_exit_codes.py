"""What each command exits with, so that a job can act on it: a specification for operations.

0 done, 2 usage, 10 data, 11 configuration, 12 model or registry, 13 a fairness gate failed, 14 the store or the
service. In the commands, `good.csv` is an extract in order, `bad.csv` has an outcome code that is none in every
row, `home` is an empty folder, and `file` is a file.
"""

import builtins
import contextlib
import io
import shlex
import sys
from pathlib import Path

import pytest

from dnapredict import cli, errors
from dnapredict.cli.exit_handling import message_and_code

COMMANDS = """
    command                                                 | code | the message says
    --version                                               | 0    |
    check good.csv                                          | 0    | 60 of 60 rows keep the contract
    check good.csv --report good.json                       | 0    | good.html
    check                                                   | 2    | Missing argument
    score good.csv                                          | 2    | Give a LIST and --out
    score good.csv --out good.csv --home home               | 2    | good.csv
    score good.csv --out list.docx --home home              | 2    | list.docx
    audit good.csv --out report --home home                 | 2    | Give either --model V or --scores FILE
    audit --out report --home home                          | 2    | Give EXTRACT, or --pool DIR
    audit good.csv --pool folder --out report --home home   | 2    | --pool takes the place of EXTRACT
    audit --pool folder --out report --home home            | 2    | holds no file of counts
    audit --pool nowhere --out report --home home           | 2    | is not a folder
    audit-counts good.csv --out a.json --trust A            | 2    | Give either --model V or --scores FILE
    features good.csv --out folder                          | 2    | is a folder
    simulate made-up.csv                                    | 2    | ends in .parquet
    check missing.csv                                       | 10   | missing.csv: no such file
    check folder                                            | 10   | folder
    check bad.csv                                           | 10   | 100.0% of 60 rows
    train bad.csv --home home                               | 10   | 100.0% of 60 rows
    check good.csv --mapping missing.toml                   | 11   | missing.toml: no such file
    check good.csv --mapping typo.toml                      | 11   | Did you mean 'timezone'?
    train good.csv --config overbooking.toml --home home    | 11   | overbooking.toml
    score good.csv --out list.csv --home home               | 12   | holds no model
    promote 1 --home home                                   | 12   | no model
    serve --home home                                       | 12   | no model
    outcomes bad.csv --home home                            | 10   | 100.0% of 60 rows
    outcomes good.csv --home home                           | 14   | nothing was scored here yet
    outcomes good.csv --home file                           | 14   | is a file, and a home is a folder
    score good.csv --out list.csv --home file               | 14   | is a file, and a home is a folder
    promote 1 --home file                                   | 14   | is a file, and a home is a folder
"""
HEADER = "appointment_id,booked_at,starts_at,outcome_code,age_years\n"
FILES = {
    "good.csv": HEADER
    + "".join(f"a{n},2025-01-02,2025-02-{n % 27 + 1:02},{5 - 2 * (n % 9 == 0)},40\n" for n in range(60)),
    "bad.csv": HEADER + "".join(f"a{n},2025-01-02,2025-02-{n % 27 + 1:02},MARKED-9,40\n" for n in range(60)),
    "typo.toml": 'timezon = "Europe/London"\n',
    "overbooking.toml": 'use = "overbooking"\n',
    "file": "",
}


def lines(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")] for line in table.strip().splitlines()[1:]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the files of the table."""
    for name, content in FILES.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DNAPREDICT_HOME", raising=False)
    return tmp_path


def run(command: str, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    """Exit code and output of a command, run in this process."""
    monkeypatch.setattr(sys, "argv", ["dnapredict", *shlex.split(command)])
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out), pytest.raises(SystemExit) as end:
        cli.main()
    return int(end.value.code or 0), out.getvalue()


@pytest.mark.parametrize(("command", "code", "words"), lines(COMMANDS))
def test_a_command_exits_with_the_code_of_what_went_wrong(
    command: str, code: str, words: str, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    exited, output = run(command, monkeypatch)
    assert (exited, words in " ".join(output.split())) == (int(code), True), output
    assert "Traceback" not in output
    assert "MARKED" not in output
    assert (folder / "good.csv").read_text(encoding="utf-8") == FILES["good.csv"]


# Each kind of error, wherever it is raised, and the code that it carries to the shell.
KINDS = """
    error                   | code
    UsageError              | 2
    DataError               | 10
    NoEventsError           | 10
    ConfigurationError      | 11
    ModelError              | 12
    GateFailedError         | 13
    StoreError              | 14
    UnverifiedDecisionError | 14
    MemoryError             | 14
    PermissionError         | 14
    KeyboardInterrupt       | 130
    ValueError              | 1
"""


@pytest.mark.parametrize(("name", "code"), lines(KINDS))
def test_every_error_has_one_code_and_an_unexpected_one_repeats_nothing(name: str, code: str):
    kind = getattr(errors, name, None) or getattr(builtins, name)
    details = (13, "Permission denied") if kind is PermissionError else ("MARKED",)
    try:
        raise kind(*details)
    except BaseException as error:  # noqa: BLE001 - each kind in turn
        message, exit_code = message_and_code(error)
    assert exit_code == int(code)
    assert issubclass(kind, errors.DnapredictError) or "MARKED" not in message


def test_every_kind_of_error_is_in_the_table():
    kinds = {name for name, kind in vars(errors).items() if isinstance(kind, type) and name != "DnapredictError"}
    assert kinds <= {name for name, _ in lines(KINDS)}

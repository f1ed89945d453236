"""The README against the program: what it tells a person to type exists, and what it promises is so."""

import inspect
import os
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from dnapredict import errors
from dnapredict.synthetic.simulation import simulate

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = ("README.md", "CONTRIBUTING.md")
VERBS = (
    "demo",
    "simulate",
    "check",
    "access",
    "factors",
    "features",
    "train",
    "audit",
    "sign",
    "promote",
    "refresh",
    "score",
    "serve",
    "outcomes",
    "monitor",
    "cycle",
    "versions",
    "doctor",
    "backup",
    "restore",
)
HEAVY = {
    "bentoml", "duckdb", "fairlearn", "ibis", "lightgbm", "matplotlib", "mlflow", "pandas", "pyarrow",
    "scipy", "shap", "sklearn", "starlette",
}  # fmt: skip


def commands(program: str, *, documents: tuple[str, ...] = DOCUMENTS) -> list[list[str]]:
    """Arguments of each line in the documents' shell blocks that calls `program`."""
    text = "\n".join((ROOT / name).read_text(encoding="utf-8") for name in documents)
    lines = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL)).splitlines()
    split = [shlex.split(line, comments=True) for line in lines]
    return [words[1:] for words in split if words and words[0] == program]


@cache
def help_of(*verb: str) -> str:
    """What `dnapredict VERB --help` says, wide enough that no option is cut."""
    wide = {**os.environ, "COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"}
    command = [sys.executable, "-m", "dnapredict.cli", *verb, "--help"]
    return subprocess.run(command, env=wide, check=True, capture_output=True, text=True).stdout


def test_harm_comes_before_any_code():
    assert 0 < README.index("harm") < README.index("Never for") < README.index("```")
    for use in ("overbooking", "discharge", "delaying or withholding care"):
        assert use in README[: README.index("```")]


@pytest.mark.parametrize("words", commands("dnapredict"), ids=" ".join)
def test_a_command_of_the_readme_is_real(words: list[str]):
    verb, *rest = words
    told = help_of(verb)
    assert verb in VERBS
    assert [word for word in rest if word.startswith("--") and word not in told] == []


@pytest.mark.parametrize("words", commands("make"), ids=" ".join)
def test_a_make_target_of_the_documents_is_real(words: list[str]):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{words[0]}:", makefile, re.MULTILINE)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself_with_an_example(verb: str):
    assert f"Example:  dnapredict {verb}" in re.sub(r"\s*\n\s*", "\n", help_of(verb)).replace("│", "")


def test_help_names_every_verb_and_no_other():
    told = help_of()
    assert [verb for verb in VERBS if verb not in told] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_place_that_a_document_names_exists(document: str):
    text = (ROOT / document).read_text(encoding="utf-8")
    linked = re.findall(r"\]\((?!http)([^)#]+)\)", text)
    quoted = re.findall(r"`((?:src|tests|docs|training|models|fairness|serving|benchmarks)/[\w./-]*)`", text)
    missing = [name for name in linked + quoted if not (ROOT / name).exists()]
    assert [name for name in missing if not name.startswith("benchmarks/out")] == []


def test_the_exit_codes_are_those_of_the_program():
    told = re.search(r"(\d+) usage, (\d+) data,\s+(\d+) configuration, (\d+) model or registry, "
                     r"(\d+) a fairness gate failed, (\d+) the store or the service", README)  # fmt: skip
    assert told is not None
    kinds = [errors.UsageError, errors.DataError, errors.ConfigurationError, errors.ModelError]
    kinds += [errors.GateFailedError, errors.StoreError]
    assert [int(code) for code in told.groups()] == [kind.exit_code for kind in kinds]
    known = {kind.exit_code for _, kind in inspect.getmembers(errors, inspect.isclass)}
    assert known - {1} == {kind.exit_code for kind in kinds}


@pytest.mark.parametrize("words", [(), ("keys",), ("log",)], ids=" ".join)
def test_help_cuts_no_verb_short_in_a_window_of_80_columns(words: tuple[str, ...]):
    narrow = {**os.environ, "COLUMNS": "80", "TERM": "dumb", "NO_COLOR": "1"}
    command = [sys.executable, "-m", "dnapredict.cli", *words, "--help"]
    told = subprocess.run(command, env=narrow, check=True, capture_output=True, text=True).stdout
    assert [line for line in told.partition("Commands:")[2].splitlines() if line.endswith("...")] == []


def test_asking_for_help_loads_no_heavy_library():
    """What keeps `dnapredict --help` under half a second; benchmarks/startup.py takes the time."""
    program = f"import dnapredict.cli, sys; print(*sorted({HEAVY!r} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []


def test_checking_an_extract_loads_no_model_and_no_registry(tmp_path: Path):
    """They take three seconds of a processor, more than the check of a hundred thousand rows."""
    extract = tmp_path / "synthetic.parquet"
    simulate(extract, appointments=200, seed=1)
    program = (
        f"import sys; sys.argv = ['dnapredict', 'check', {str(extract)!r}]\n"
        "from dnapredict.cli.program import run\nrun()\n"
        "print(*sorted({'fairlearn', 'lightgbm', 'mlflow', 'scipy', 'sklearn'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []


def test_the_section_of_a_booking_clerk_is_three_sentences_with_the_words_of_the_pages():
    section = README.partition("## For a booking clerk\n")[2].partition("\n## ")[0]
    assert len(re.findall(r"\w\)?\.(?=\s|$)", section)) == 3
    pages = ROOT / "src" / "dnapredict" / "service" / "pages" / "templates"
    (button,) = re.findall(r"\*\*(.+?)\*\*", section)
    assert f">{button}</a>" in (pages / "list.html").read_text(encoding="utf-8")
    assert "Print a call sheet" in (pages / "list.html").read_text(encoding="utf-8")

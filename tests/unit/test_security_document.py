"""`docs/security.md`: each requirement of OWASP ASVS 5.0.0 once, and nothing named there that does not exist."""

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
STATES = ("held", "not applicable", "not held")
# The requirements of levels 1 and 2, by chapter and section.
NUMBERS = """
    1.1:1-2 1.2:1-9 1.3:1-11 1.4:1-3 1.5:1-2 2.1:1-3 2.2:1-3 2.3:1-4 2.4:1 3.2:1-2 3.3:1-4 3.4:1-6 3.5:1-5
    3.7:1-2 4.1:1-3 4.2:1 4.3:1-2 4.4:1-4 5.1:1 5.2:1-3 5.3:1-2 5.4:1-3 6.1:1-3 6.2:1-12 6.3:1-4 6.4:1-4
    6.5:1-5 6.6:1-3 6.8:1-4 7.1:1-3 7.2:1-4 7.3:1-2 7.4:1-5 7.5:1-2 7.6:1-2 8.1:1-2 8.2:1-3 8.3:1 8.4:1 9.1:1-3
    9.2:1-4 10.1:1-2 10.2:1-2 10.3:1-4 10.4:1-11 10.5:1-5 10.6:1-2 10.7:1-3 11.1:1-2 11.2:1-3 11.3:1-3 11.4:1-4
    11.5:1 11.6:1 12.1:1-3 12.2:1-2 12.3:1-4 13.1:1 13.2:1-5 13.3:1-2 13.4:1-5 14.1:1-2 14.2:1-4 14.3:1-3
    15.1:1-3 15.2:1-3 15.3:1-7 16.1:1 16.2:1-5 16.3:1-4 16.4:1-3 16.5:1-3 17.1:1 17.2:1-4 17.3:1-2
"""
# Files of a home, `HOME/...`, are not of this repository.
_PATH = re.compile(r"`(?!HOME/)([\w./-]+/[\w.-]+\.\w+)(?:::(\w+))?`")


def requirements() -> list[str]:
    """The numbers of `NUMBERS`, such as 1.2.3."""
    found = []
    for section, runs in (words.split(":") for words in NUMBERS.split()):
        for run in runs.split(","):
            first, _, last = run.partition("-")
            found += [f"{section}.{number}" for number in range(int(first), int(last or first) + 1)]
    return found


def rows() -> list[tuple[list[str], str, str]]:
    """The numbers, the state and the reason of each row of the tables of requirements."""
    cells = [line.strip("| \n").split(" | ") for line in DOCUMENT.splitlines() if re.match(r"\| \d+\.\d+\.\d+", line)]
    return [(numbers.split(", "), state, reason) for numbers, _, state, reason in cells]


@cache
def functions(path: Path) -> frozenset[str]:
    """The functions of a file of tests."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_each_requirement_is_there_once() -> None:
    assert len(requirements()) == 253
    assert Counter(number for numbers, _, _ in rows() for number in numbers) == Counter(requirements())


def test_the_counts_are_those_of_the_tables() -> None:
    counts = Counter({state: sum(len(numbers) for numbers, each, _ in rows() if each == state) for state in STATES})
    assert counts.total() == len(requirements())
    held, absent, missing = (counts[state] for state in STATES)
    words = f"Of 253 requirements {held} are held, {absent} are not applicable and {missing} are not held."
    assert words in DOCUMENT


@pytest.mark.parametrize(("path", "test"), sorted(set(_PATH.findall(DOCUMENT))))
def test_what_is_named_exists(path: str, test: str) -> None:
    named = next((base / path for base in (ROOT, ROOT / "src" / "dnapredict") if (base / path).is_file()), None)
    assert named is not None, path
    assert not test or test in functions(named)


def test_what_is_held_names_where_or_how() -> None:
    # A chapter of documentation, or a control, stands in a file.
    assert [numbers for numbers, state, reason in rows() if state == "held" and not _PATH.search(reason)] == []


def test_what_is_not_held_has_a_reason_and_what_an_operator_does() -> None:
    for numbers, state, reason in rows():
        if state == "not held":
            why, _, instead = reason.partition("Operator: ")
            assert len(why.split()) > 3, numbers
            assert len(instead.split()) > 1, numbers

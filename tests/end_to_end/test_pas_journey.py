"""From an export of a patient administration system, by its drafted mapping, to an audited model."""

import csv
import tomllib
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.end_to_end.conftest import QUICK
from tests.pas_export import ETHNIC_GROUPS, pas_export

from dnapredict.config.fairness_policy import Policy
from dnapredict.config.loading import load, shipped
from dnapredict.data.mapping.pseudonyms import KEY_VARIABLE
from dnapredict.data.small_numbers import publish_count
from dnapredict.fairness.measure.groupings import ethnic_code
from dnapredict.model.artefact import load as load_model
from dnapredict.registry.model_registry import Registry

# What a person changes in the draft: a line of it, and the line that takes its place.
EDITS = {
    "# Say in translate what": "# Other referrals: who refers is not known.",
}
SMALL_NUMBERS = load(shipped("fairness/policy.toml"), Policy).disclosure
MOST_EDITS = 5


def test_a_pas_export_becomes_an_audited_model_whose_groups_are_those_of_the_patients(
    dnapredict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(KEY_VARIABLE, "made up, and longer than thirty-two bytes")
    board, extract, mapping = tmp_path / "board.parquet", tmp_path / "pas.csv", tmp_path / "pas.toml"
    home, config, report = tmp_path / "home", tmp_path / "config.toml", tmp_path / "report"
    config.write_text(QUICK, encoding="utf-8")
    assert dnapredict("simulate", board, "--appointments", 12_000, "--seed", 5).returncode == 0
    pas_export(board, extract)

    drafted = dnapredict("check", extract, "--suggest")
    assert drafted.returncode == 0, drafted.stderr
    mapping.write_text(edited(drafted.stdout), encoding="utf-8")
    words = tomllib.loads(mapping.read_text())["columns"]["ethnic_category_code"]["translate"]
    codes = {word: code for code, word in ETHNIC_GROUPS.items() if code}
    assert {word: code for word, code in words.items() if code != "99"} == {
        word: code for word, code in codes.items() if word in words and code != "99"
    }

    checked = dnapredict("check", extract, "--mapping", mapping, "--report", tmp_path / "check.json")
    assert checked.returncode == 0, checked.stderr
    assert "12,000 of 12,000 rows keep the contract" in checked.stderr
    assert "hold a temporary number, kept as that of a patient" in checked.stderr
    assert "hold a placeholder such as TBC or 999" in checked.stderr

    trained = dnapredict("train", extract, "--mapping", mapping, "--home", home, "--config", config)
    assert trained.returncode == 0, trained.stderr
    audited = dnapredict("audit", extract, "--mapping", mapping, "--model", "1", "--home", home, "--out", report)
    assert audited.returncode in (0, 13), audited.stderr
    exact, shown = truth(board, home), published(report)
    assert sorted(code for row in shown for code in row.split("&")) == sorted(exact)
    # A row holds one group, or several that are too small to be printed apart.
    expected = {row: publish_count(sum(exact[code] for code in row.split("&")), SMALL_NUMBERS) for row in shown}
    assert all(number in ("*", str(expected[row])) for row, number in shown.items())
    assert sum(number != "*" for number in shown.values()) > len(shown) / 2


def edited(draft: str) -> str:
    lines, changed = draft.splitlines(), 0
    for place, line in enumerate(lines):
        for beginning, instead in EDITS.items():
            if line.startswith(beginning):
                lines[place] = instead
                changed += 1
    assert changed <= MOST_EDITS
    return "\n".join(lines) + "\n"


def published(report: Path) -> dict[str, str]:
    """Appointments by ethnic group, as the audit publishes them."""
    with (report / "figures_ethnicity.csv").open(encoding="utf-8-sig", newline="") as text:
        return {line["code"]: line["appointments"] for line in csv.DictReader(text)}


def truth(board: Path, home: Path) -> dict[str, int]:
    """The same from the board's own codes, of the appointments that the model's training did not see."""
    since = load_model(Registry(home).folder("1")).manifest.provenance.test_from
    rows = [
        row
        for row in pq.read_table(board).to_pylist()
        if row["outcome_code"] in ("3", "5", "6", "7") and row["starts_at"].date() >= since
    ]
    counts = Counter(ethnic_code(row["ethnic_category_code"]) for row in rows)
    return {code: counts[code] for code in (*(code for code in ETHNIC_GROUPS if code), "blank", "invalid")}

"""The memory of what a home has published: sealed, private, without exact counts, and told where it is lost."""

import datetime
import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dnapredict.config.fairness_policy import Disclosure
from dnapredict.errors import StoreError
from dnapredict.fairness.disclosure.publication_memory import LOST, NO_HOME, remembered
from dnapredict.fairness.disclosure.suppression import CountCell, HiddenCounts, SumConstraint, cells_to_hide

RULE = Disclosure(why="The rule of hospital statistics.")
YEAR = (datetime.date(2025, 1, 2), datetime.date(2025, 12, 30))
ELEVEN = (datetime.date(2025, 1, 2), datetime.date(2025, 11, 28))
TOTAL = CountCell("missed", "all", "all")


def publish(home: Path, counts: dict[str, int], window: tuple[datetime.date, datetime.date], data: str) -> HiddenCounts:
    """Publish one grouping with its total in a home."""
    parts = {CountCell("missed", "site", code): float(number) for code, number in counts.items()}
    exact = parts | {TOTAL: float(sum(counts.values()))}
    with remembered(home) as memory:
        before = memory.before("audit", window, data_sha256=data)
        assert before is not None
        found = cells_to_hide(
            exact, [SumConstraint(tuple(parts), TOTAL)], RULE, with_earlier=(before.link, before.link_added)
        )
        memory.keep(before.publication(found.linked))
    return found


def test_a_report_without_a_home_says_what_is_not_protected(tmp_path: Path):
    with remembered(tmp_path / "none") as memory:
        assert memory.note == NO_HOME
        assert memory.before("audit", YEAR, data_sha256="") is None
    assert not (tmp_path / "none").exists()


def test_the_memory_is_private_and_holds_no_name_and_no_exact_count(tmp_path: Path):
    publish(tmp_path, {"RXA": 103, "RXB": 56, "RXC": 3}, YEAR, "first")
    path = tmp_path / "published" / "published.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text()
    assert "RXA" not in text
    (publication,) = (entry["publication"] for entry in json.loads(text)["entries"])
    known = sorted(number[1:3] for number in publication["numbers"])
    assert known == [[1.0, None], [53.0, 57.0], [103.0, 107.0], [158.0, 162.0]]


def test_the_same_report_again_is_remembered_once(tmp_path: Path):
    first = publish(tmp_path, {"RXA": 103, "RXB": 56, "RXC": 3}, YEAR, "first")
    again = publish(tmp_path, {"RXA": 103, "RXB": 56, "RXC": 3}, YEAR, "first")
    assert first.cells == again.cells
    assert json.loads((tmp_path / "published" / "published.json").read_text())["count"] == 1


def test_a_deleted_memory_is_told(tmp_path: Path):
    publish(tmp_path, {"RXA": 103, "RXB": 56}, YEAR, "first")
    (tmp_path / "published" / "published.json").unlink()
    with remembered(tmp_path) as memory:
        assert memory.note == LOST
    with remembered(tmp_path) as memory:
        assert memory.note == ""  # it is told in the report that was made without it
    with remembered(tmp_path / "published" / "..") as memory:
        assert memory.folder is not None


def test_a_home_that_has_reports_and_no_memory_is_told(tmp_path: Path):
    with remembered(tmp_path, has_reports=True) as memory:
        assert memory.note == LOST


@pytest.mark.parametrize("damage", ["changed", "cut", "no key", "text"])
def test_a_changed_memory_is_refused(damage: str, tmp_path: Path):
    publish(tmp_path, {"RXA": 103, "RXB": 56}, ELEVEN, "first")
    publish(tmp_path, {"RXA": 133, "RXB": 66}, YEAR, "second")
    path = tmp_path / "published" / "published.json"
    memory = json.loads(path.read_text())
    if damage == "changed":
        memory["entries"][0]["publication"]["numbers"][0][1] = 1.0
    if damage == "cut":
        memory["entries"] = memory["entries"][:1]
    if damage == "no key":
        (tmp_path / "published" / "published.secret").unlink()
    path.write_text("{" if damage == "text" else json.dumps(memory))
    with pytest.raises(StoreError, match="Restore the folder published"), remembered(tmp_path):
        pass


def test_of_reports_made_at_the_same_time_each_knows_the_others(tmp_path: Path):
    def one(number: int) -> HiddenCounts:
        return publish(tmp_path, {"RXA": 100 + number, "RXB": 50, "RXC": 3 + number}, YEAR, str(number))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, range(4)))
    assert json.loads((tmp_path / "published" / "published.json").read_text())["count"] == 4


def test_a_year_after_its_first_eleven_months_does_not_give_december_back(tmp_path: Path):
    """Three sites gain 1 or 2 and are printed 5 higher, their total as before: so none can have gained more than 2."""
    publish(tmp_path, {"RXA": 102, "RXB": 57, "RXC": 22, "RXD": 197}, ELEVEN, "eleven")
    alone = cells_to_hide(*_table({"RXA": 104, "RXB": 58, "RXC": 23, "RXD": 197}), RULE)
    assert alone.cells == frozenset()
    found = publish(tmp_path, {"RXA": 104, "RXB": 58, "RXC": 23, "RXD": 197}, YEAR, "year")
    assert found.cells


def _table(counts: dict[str, int]) -> tuple[dict[CountCell, float], list[SumConstraint]]:
    parts = {CountCell("missed", "site", code): float(number) for code, number in counts.items()}
    return parts | {TOTAL: float(sum(counts.values()))}, [SumConstraint(tuple(parts), TOTAL)]

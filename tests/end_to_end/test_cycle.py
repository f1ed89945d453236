"""The weekly cycle as a scheduler runs it: every step once, never a promotion, and on again where it was stopped."""

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from tests.end_to_end.conftest import QUICK, Run
from tests.end_to_end.world import Trust

from dnapredict.pipeline.routine import cycle, cycle_record
from dnapredict.registry import CHAMPION, Registry

DECISION = 13
STORE = 14


@pytest.fixture
def home(trust: Trust, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trust.home, tmp_path / "home"))


@pytest.fixture
def later(trust: Trust, tmp_path: Path) -> Path:
    """The extract with one appointment fewer, so that it is another one than the champion learned from."""
    table = pq.read_table(trust.extract)
    path = tmp_path / "later.parquet"
    pq.write_table(table.slice(1), path)
    return path


@pytest.fixture
def quick(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(QUICK, encoding="utf-8")
    return path


def steps(home: Path) -> list[str]:
    """The steps that each cycle of the home has done."""
    records = sorted((home / cycle_record.FOLDER).glob("*/steps.json"))
    return [step["name"] for path in records for step in json.loads(path.read_text())["steps"]]


def test_where_nothing_is_due_the_history_is_refreshed_and_the_model_watched(
    dnapredict: Run, home: Path, trust: Trust, quick: Path
):
    done = dnapredict("cycle", trust.extract, "--home", home, "--config", quick)
    assert done.returncode == 0, done.stderr
    assert "No alarm holds." in done.stderr
    assert "No new version is due." in done.stderr
    assert steps(home) == ["refresh", "monitor", "train"]
    summary = Path(done.stdout.strip().splitlines()[-1].removeprefix("The summary is "))
    assert "No decision is asked for." in summary.read_text(encoding="utf-8")
    assert (summary.parent / "monitor" / "monitor.html").is_file()

    # A summary that somebody removed is written anew, and a record that somebody edited is refused.
    summary.unlink()
    again = dnapredict("cycle", trust.extract, "--home", home, "--config", quick)
    assert again.returncode == 0, again.stderr
    assert "No decision is asked for." in summary.read_text(encoding="utf-8")
    record = summary.with_name("steps.json")
    record.write_text(record.read_text(encoding="utf-8").replace('"asks"', '"asked"'), encoding="utf-8")
    refused = dnapredict("cycle", trust.extract, "--home", home, "--config", quick)
    assert refused.returncode == STORE
    assert "is damaged. Remove the folder of this cycle to run it from its start." in refused.stderr


def test_a_version_that_is_due_is_trained_compared_and_audited_and_never_promoted(
    dnapredict: Run, home: Path, later: Path, quick: Path, monkeypatch: pytest.MonkeyPatch
):
    words = ("cycle", later, "--home", home, "--config", quick, "--retrain-days", 1)
    # Stopped after the training, before the step is on record: the training is not made a second time.
    with monkeypatch.context() as stopped:
        stopped.setattr(cycle._Run, "_compare", interrupted)
        assert dnapredict(*words).returncode != 0
    assert steps(home) == ["refresh", "monitor", "train"]
    record = next((home / cycle_record.FOLDER).glob("*/steps.json"))
    kept = json.loads(record.read_text())
    kept["steps"].pop()
    record.write_text(json.dumps(kept))

    done = dnapredict(*words)
    assert done.returncode in (0, DECISION), done.stderr
    assert steps(home) == ["refresh", "monitor", "train", "compare", "audit"]
    registry = Registry(home)
    assert registry.version_of("challenger") == "2"
    assert registry.version_of(CHAMPION) == "1"
    assert registry.report("2") is not None
    summary = next((home / cycle_record.FOLDER).glob("*/summary.html")).read_text(encoding="utf-8")
    assert "dnapredict promote 2" in summary

    again = dnapredict(*words)
    assert again.returncode == done.returncode
    assert "This cycle was done before:" in again.stderr
    assert steps(home) == ["refresh", "monitor", "train", "compare", "audit"]
    assert registry.version_of("challenger") == "2"


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def test_two_cycles_at_once_are_refused(dnapredict: Run, home: Path, trust: Trust):
    from dnapredict.data.files.file_lock import locked

    with locked(home / cycle_record.FOLDER / "cycle.lock", busy_message="", make_folder=True):
        done = dnapredict("cycle", trust.extract, "--home", home)
    assert done.returncode == STORE
    assert "another 'dnapredict cycle' runs" in done.stderr


def test_an_extract_without_a_sound_row_changes_nothing(dnapredict: Run, home: Path, trust: Trust, tmp_path: Path):
    table = pq.read_table(trust.extract).slice(0, 200)
    broken = table.set_column(
        table.column_names.index("starts_at"), "starts_at", pa.array(["not a time"] * table.num_rows)
    )
    path = tmp_path / "broken.parquet"
    pq.write_table(broken, path)
    before = pc.sum(pa.array([file.stat().st_mtime_ns for file in (home / "history").rglob("*")])).as_py()
    assert dnapredict("cycle", path, "--home", home).returncode == 10
    after = pc.sum(pa.array([file.stat().st_mtime_ns for file in (home / "history").rglob("*")])).as_py()
    assert before == after
    assert not steps(home)

"""Threads of the service go on after any error."""

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from dnapredict.config.service_config import Retention
from dnapredict.data.retention_clock import confirm_clock
from dnapredict.service.background.background_thread import Background
from dnapredict.service.log.retention import RetentionThread
from dnapredict.service.log.scoring_log import ScoringLog
from dnapredict.service.prometheus_metrics import exposition


def no_files(*_: Any, **__: Any) -> Any:
    raise OSError(24, "Too many open files")


def test_what_keeps_the_retention_from_its_work_does_not_end_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    keeper = RetentionThread(tmp_path, ScoringLog(tmp_path), Retention(log_days=30))
    (tmp_path / "lists").mkdir()
    confirm_clock(tmp_path)  # nothing is deleted by the clock of a new home
    with monkeypatch.context() as broken:
        broken.setattr(Path, "glob", no_files)
        keeper.run_once()
    assert "what is past its period now (OSError)" in caplog.text
    assert "Too many open files" not in caplog.text
    assert keeper.run_once()


def test_a_thread_goes_on_after_any_error(caplog: pytest.LogCaptureFixture) -> None:
    done, tries = threading.Event(), iter([no_files, no_files, lambda: True])

    def work() -> bool:
        next(tries)()
        done.set()
        return True

    background = Background("test", work, seconds_between=60, seconds_after_failure=0)
    background.start()
    assert done.wait(30)
    background.stop()
    assert caplog.text.count("The thread 'test' failed (OSError) and tries again.") == 2


def test_the_metrics_say_how_often_a_thread_failed_and_for_how_long(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("dnapredict.service.background.background_thread.time.monotonic", lambda: now)
    tries = iter([no_files, lambda: False, lambda: True])

    def work() -> bool:
        return bool(next(tries)())

    background = Background("told", work, seconds_between=60, seconds_after_failure=5)
    assert background.once() == 5
    now = 4_000.0
    assert background.once() == 5
    assert 'dnapredict_background_failing_seconds{thread="told"} 3900.0' in exposition().decode()
    assert background.once() == 60
    shown = exposition().decode()
    assert 'dnapredict_background_failures_total{thread="told"} 2.0' in shown
    assert 'dnapredict_background_failing_seconds{thread="told"} 0.0' in shown


def test_the_champion_is_looked_for_again_after_any_error() -> None:
    from tests.service.double import AgeScorer

    from dnapredict.service.api.champion import Champion, ExpectedModel

    looks = iter([no_files, no_files])

    def standing() -> ExpectedModel:
        return next(looks, lambda: ExpectedModel("7"))()

    champion = Champion(
        expected=standing,
        open_scorer=lambda version: AgeScorer(model_version=version),
        run_smoke_test=lambda _: None,
    )
    for _ in range(2):
        champion.refresh()
        assert champion.scorer is None
    champion.refresh()
    assert champion.require().model_version == "7"


FIRST_NOTES = """
import subprocess
import sys
import threading
from dnapredict.service.prometheus_metrics import note_background

failed, together = [], threading.Barrier(8)

def note(number):
    together.wait()
    try:
        note_background(str(number), failed=False, seconds=0.0)
    except Exception as error:
        failed.append(type(error).__name__)

threads = [threading.Thread(target=note, args=[number]) for number in range(8)]
for each in threads:
    each.start()
for each in threads:
    each.join()
print(failed)
"""


def test_threads_that_are_counted_for_the_first_time_at_once_are_all_counted():
    done = subprocess.run([sys.executable, "-c", FIRST_NOTES], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"

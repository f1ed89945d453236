"""The progress bar of a command: nothing in a pipe, and the running step with its share on a terminal."""

import io
import sys
import threading
import time

import pytest

from dnapredict.cli.messages import say
from dnapredict.cli.progress_bar import progress_bar, show_rows, show_tuning
from dnapredict.data.engine import running_step
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.engine.running_step import NOTHING, Step
from dnapredict.model.fit.tuning import TuningProgress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def terminal(monkeypatch):
    """Standard error as a terminal. Not a fixture: pytest gives each phase of a test a standard error of its own."""
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    return screen


def test_a_pipe_sees_no_bar(monkeypatch):
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "stderr", pipe)
    with progress_bar():
        running_step.begin("Growing trees", of=10)
    assert not pipe.getvalue()


def test_a_terminal_sees_the_step_and_how_much_of_it_is_done(monkeypatch):
    screen = terminal(monkeypatch)
    with progress_bar():
        assert "Growing" not in screen.getvalue()
        running_step.begin("Growing trees", of=10)
        running_step.advance(3)
        wait_for(lambda: "30%" in screen.getvalue())
        assert "Growing trees" in screen.getvalue()
        assert "30%" in screen.getvalue()
    assert running_step.running() == NOTHING


def test_a_result_that_goes_to_a_file_is_not_printed_on_the_terminal_and_a_path_is_not_broken(monkeypatch):
    screen, result, path = terminal(monkeypatch), io.StringIO(), "folder/" * 60
    monkeypatch.setattr(sys, "stdout", result)
    with progress_bar():
        running_step.begin("Growing trees", of=10)
        say(path)
        sys.stdout.write("{}\n")
    assert result.getvalue() == "{}\n"
    assert "{}" not in screen.getvalue()
    assert path in screen.getvalue()


def test_the_bar_names_the_best_log_loss_while_settings_are_searched():
    show_tuning(TuningProgress(done=3, wanted=10, best=0.41234))
    assert running_step.running() == Step("Tuning: best log loss 0.41234", 3, 10)
    assert running_step.share_done() == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("done", "of", "step"),
    [
        (0, 0, Step("Reading and checking the list")),
        (5, 20, Step("Scoring", 5, 20)),
        (20, 20, NOTHING),
    ],
)
def test_the_bar_of_a_list(done, of, step):
    show_rows(done, of)
    assert running_step.running() == step


def test_a_step_without_units_is_as_far_as_the_query_that_runs(monkeypatch):
    terminal(monkeypatch)
    with progress_bar(), Workspace() as workspace:
        running_step.begin("Building the factors")
        # DuckDB counts only after a moment.
        workspace.backend.raw_sql("SET progress_bar_time = 1")
        slow = "SELECT sum(hash(range) % 7) FROM range(100_000_000_000)"
        query = threading.Thread(target=interrupted, args=(workspace, slow))
        query.start()
        wait_for(lambda: running_step.share_done() is not None)
        share = running_step.share_done()
        workspace.interrupt()
        query.join()
    assert share is not None
    assert 0 <= share < 1
    assert not running_step.is_shown()


def interrupted(workspace, query):
    with pytest.raises(Exception, match=r"(?i)interrupt"):
        workspace.fetch(query)


def wait_for(reached):
    until = time.monotonic() + 20
    while not reached() and time.monotonic() < until:
        time.sleep(0.02)

"""Background threads that repeat a task for as long as the worker runs, even after errors.

A plain thread dies silently at its first error: after a minute without free file descriptors, retention
stopped until the next restart. Here an error is logged and counted, and the work is tried again.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from dnapredict.service.prometheus_metrics import note_background

_LOG: Final = logging.getLogger("dnapredict.service")


class Background:
    """A thread that repeats a task.

    Parameters
    ----------
    name
        What the thread is called, in the log and in the metrics.
    work
        The task; returns whether it succeeded. An exception counts as a failure.
    seconds_between, seconds_after_failure
        The pause after a success, and after a failure.
    seconds_before_first
        The pause before the first run.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[], bool],
        *,
        seconds_between: float,
        seconds_after_failure: float,
        seconds_before_first: float = 0.0,
    ) -> None:
        """Start nothing yet."""
        self._name = name
        self._work = work
        self._seconds_between = seconds_between
        self._seconds_after_failure = seconds_after_failure
        self._seconds_before_first = seconds_before_first
        self._stopped = threading.Event()
        self._failing_since: float | None = None

    def start(self) -> None:
        """Start the thread."""
        threading.Thread(target=self._run, name=self._name, daemon=True).start()

    def stop(self) -> None:
        """End the thread when it next pauses."""
        self._stopped.set()

    def once(self) -> float:
        """Run the task once, and return the seconds to pause for."""
        try:
            went_well = self._work()
        except Exception as error:  # noqa: BLE001 - whatever fails, the thread goes on
            _LOG.error("The thread '%s' failed (%s) and tries again.", self._name, type(error).__name__)
            went_well = False
        self._note(went_well=went_well)
        return self._seconds_between if went_well else self._seconds_after_failure

    def _run(self) -> None:
        pause = self._seconds_before_first
        while not self._stopped.wait(pause):
            pause = self.once()

    def _note(self, *, went_well: bool) -> None:
        now = time.monotonic()
        if went_well:
            self._failing_since = None
        elif self._failing_since is None:
            self._failing_since = now
        since = self._failing_since
        try:
            note_background(self._name, failed=not went_well, seconds=0.0 if since is None else now - since)
        except OSError:  # metrics are files too
            _LOG.error("The thread '%s' could not be counted in the metrics.", self._name)

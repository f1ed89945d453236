"""Score with the challenger what the champion has answered, in a thread, off every request's path.

A request only puts its appointments into a queue that never waits: while it is full, what comes is not scored by the
challenger, which is tried out in a child process before it is loaded. Whatever fails is logged, and no answer depends
on it.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from dnapredict.config.mapping_config import IDENTITY, Mapping
from dnapredict.errors import DnapredictError, ModelError
from dnapredict.service.background.background_thread import Background
from dnapredict.worklist.files.kept_list import ListIdentity

if TYPE_CHECKING:
    from dnapredict.worklist.scorer import Scorer

_LOG: Final = logging.getLogger("dnapredict.service")
_MOST_BYTES_WAITING: Final = 128 * 1_048_576
_MOST_WAITING: Final = 2_000
# Risks of so many requests share a file.
_MOST_AT_ONCE: Final = 500
_SECONDS_BETWEEN: Final = 2.0
_SECONDS_AFTER_FAILURE: Final = 60.0
# Asking the registry takes a tenth of a second.
_SECONDS_BETWEEN_CHECKS: Final = 30.0


@dataclass(frozen=True)
class _Answered:
    appointments: pa.Table
    mapping: Mapping
    identity: ListIdentity


class ChallengerThread:
    """The queue of answered appointments, and the thread that scores them.

    Parameters
    ----------
    version
        The challenger's version, "" where there is none.
    open_challenger
        Loads that version.
    run_smoke_test
        Scores an example with it in a child process; raises ModelError where that fails.
    """

    def __init__(
        self,
        *,
        version: Callable[[], str],
        open_challenger: "Callable[[str], Scorer]",
        run_smoke_test: Callable[[str], None],
    ) -> None:
        """Load nothing yet; `start` starts the thread."""
        self._version = version
        self._open = open_challenger
        self._try_out = run_smoke_test
        self._waiting: deque[_Answered] = deque()
        self._bytes = 0
        self._lock = threading.Lock()
        self._scorer: Scorer | None = None
        self._failed = ""
        self._check_after = 0.0
        self._background = Background(
            "challenger",
            self.score_waiting,
            seconds_between=_SECONDS_BETWEEN,
            seconds_after_failure=_SECONDS_AFTER_FAILURE,
        )

    def start(self) -> None:
        """Start the thread."""
        self._background.start()

    def stop(self) -> None:
        """End the thread at its next pause."""
        self._background.stop()

    def submit(self, appointments: pa.Table, *, identity: ListIdentity, mapping: Mapping = IDENTITY) -> None:
        """Let the challenger score appointments that were answered as `identity`; returns at once."""
        size = appointments.nbytes
        with self._lock:
            if len(self._waiting) >= _MOST_WAITING or self._bytes + size > _MOST_BYTES_WAITING:
                return
            self._waiting.append(_Answered(appointments, mapping, identity))
            self._bytes += size

    def score_waiting(self) -> bool:
        """Score everything that waits, and return whether that succeeded; failures are logged.

        Without a challenger, what waits is dropped.
        """
        try:
            while waiting := self._take():
                self._load()
                self._score(waiting)
            return True
        except DnapredictError as error:
            _LOG.warning("The challenger does not score now; no answer is affected. %s", error)
        except Exception as error:  # noqa: BLE001 - whatever an untried model raises, the service goes on
            _LOG.warning("The challenger does not score now; no answer is affected (%s).", type(error).__name__)
        return False

    def _take(self) -> list[_Answered]:
        with self._lock:
            taken = [self._waiting.popleft() for _ in range(min(len(self._waiting), _MOST_AT_ONCE))]
            self._bytes -= sum(each.appointments.nbytes for each in taken)
        return taken

    def _score(self, waiting: list[_Answered]) -> None:
        scorer = self._scorer
        if scorer is None:
            return
        scored, errors = [], list[Exception]()
        for each in waiting:
            started = time.monotonic()
            reader = scorer if each.mapping == IDENTITY else scorer.with_mapping(each.mapping)
            try:
                # Alone, as it was answered: some factors look at the other rows of a list.
                scored.append((reader.risks(each.appointments), each.identity))
            except Exception as error:  # noqa: BLE001 - raised below, once the others are recorded
                errors.append(error)
            time.sleep(time.monotonic() - started)  # at most half of a core is taken from requests
        scorer.record_risks([each for each in scored if each[1].list_id == ""])
        for risks, identity in scored:
            if identity.list_id:
                scorer.record_risks([(risks, identity)])
        if errors:
            raise errors[0]

    def _load(self) -> None:
        """Load the challenger, if it is another than before; one that failed is not tried again."""
        if time.monotonic() < self._check_after:
            return
        self._check_after = time.monotonic() + _SECONDS_BETWEEN_CHECKS
        version = self._version()
        if not version or version == self._failed:
            self._scorer = None
        elif self._scorer is None or self._scorer.model_version != version:
            self._scorer, self._failed = None, version
            self._try_out(version)
            self._scorer, self._failed = self._open(version), ""


def no_challenger() -> ChallengerThread:
    """A thread that scores nothing, for a service without a registry."""

    def refuse(version: str) -> "Scorer":
        raise ModelError(f"Version {version} cannot be loaded here.")

    return ChallengerThread(version=lambda: "", open_challenger=refuse, run_smoke_test=lambda _: None)

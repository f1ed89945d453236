"""The model in use: the registry's champion, loaded once and replaced as a whole.

A thread checks the registry every few seconds. If the check fails, the last good model stays
in use; until a first model is loaded, the service reports that it is not ready.
"""

import gc
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from dnapredict.errors import DnapredictError, GateFailedError, ModelError, UnverifiedDecisionError
from dnapredict.service.api.smoke_test import EXAMPLES
from dnapredict.service.background.background_thread import Background
from dnapredict.service.scorer_protocol import ScorerProtocol

_LOG = logging.getLogger("dnapredict.service")
_SECONDS_BETWEEN_CHECKS: Final = 5.0
_SECONDS_FOR_FIRST_CHECK: Final = 60.0
# A worker that scores in milliseconds must not stop for a full collection of a heap that holds
# a model and two web frameworks: 200 ms and more at the 99th percentile, 18 ms with these.
_COLLECT_AFTER: Final = (50_000, 50, 50)


@dataclass(frozen=True)
class ExpectedModel:
    """The model that should be in use: a version of the registry, with one written history.

    `warning` is a problem that an operator should correct, although the version may be used. `notice` is printed with
    each list, so that the model is loaded again when it changes.
    """

    version: str
    history: str = ""
    warning: str = field(default="", compare=False)
    notice: str = ""


class Champion:
    """The scorer of the current champion.

    Parameters
    ----------
    expected
        Reads from the home which version is champion and which history is in use; raises ModelError
        where there is no champion, and GateFailedError where its audit or the decision on it is no longer
        valid: then no request is answered.
    open_scorer
        Loads that version, ready to score.
    run_smoke_test
        Scores examples with a version in another process, before it replaces one that works; raises
        ModelError where that fails. A version that failed is not tried again until another is champion.
    require_usable
        Raises GateFailedError where a version that is used in place of a champion that failed may no longer
        be used.
    require_answerable
        Raises StoreError where no request can be answered although a model is loaded, such as without a scoring log.
    """

    def __init__(
        self,
        *,
        expected: Callable[[], ExpectedModel],
        open_scorer: Callable[[str], ScorerProtocol],
        run_smoke_test: Callable[[str], None],
        require_usable: Callable[[str], None] = lambda _: None,
        require_answerable: Callable[[], None] = lambda: None,
    ) -> None:
        """Hold no scorer yet."""
        self._require_answerable = require_answerable
        self._unanswerable = ""
        self._expected = expected
        self._require_usable = require_usable
        self._open = open_scorer
        self._try_out = run_smoke_test
        self._failed = ""
        self._scorer: ScorerProtocol | None = None
        self._loaded: ExpectedModel | None = None
        self._problem = ""
        self._refusal = ""
        self._checked = threading.Event()
        self._background = Background(
            "champion",
            self._watch,
            seconds_between=_SECONDS_BETWEEN_CHECKS,
            seconds_after_failure=_SECONDS_BETWEEN_CHECKS,
        )

    @property
    def scorer(self) -> ScorerProtocol | None:
        """The scorer in use; None until a champion is loaded."""
        return self._scorer

    @property
    def is_ready(self) -> bool:
        """Whether a request can be answered: a model is loaded, and at the last check keys and log were sound."""
        return self._scorer is not None and not self._unanswerable

    def require(self) -> ScorerProtocol:
        """The scorer to use for one whole request.

        Raises
        ------
        ModelError
            While no champion is loaded, or while its audit or the decision on it is no longer valid.
        """
        # Read once: the thread that watches the registry may replace it while a request is answered.
        scorer = self._scorer
        if scorer is None:
            raise ModelError(
                self._refusal or "No model is loaded yet. Try again in a moment; if this stays, see the service's log."
            )
        return scorer

    def watch(self) -> None:
        """Load the champion, and check for a new one in a thread.

        Waits for the first check, since a worker that took requests before it has a model would refuse
        what another worker can answer. After a minute it waits no longer.
        """
        self._background.start()
        self._checked.wait(_SECONDS_FOR_FIRST_CHECK)

    def stop(self) -> None:
        """End the thread at its next check."""
        self._background.stop()

    def refresh(self) -> None:
        """Load the champion if it or its history differs from the one in use."""
        try:
            expected = self._expected()
            if self._loaded is not None and self._loaded.version != expected.version:
                self._require_loaded_usable(self._loaded.version)
            if expected.version == self._failed:
                return
            if expected != self._loaded:
                self._replace(expected)
            if expected.warning:
                self._log_problem(expected.warning)
            elif expected == self._loaded:
                self._problem = ""  # the same problem, once it comes back, is logged again
        except (GateFailedError, UnverifiedDecisionError) as error:
            # A reviewer's rejection takes effect at once: the service rather gives no answer than one from a rejected
            # model, or from a model without a record that allows its use.
            self._scorer, self._loaded, self._refusal = None, None, str(error)
            self._log_problem(str(error))
        except DnapredictError as error:
            self._log_problem(str(error))
        except Exception as error:  # noqa: BLE001 - whatever a library raises, the last good model goes on
            self._log_problem(f"The champion cannot be loaded ({type(error).__name__}).")

    def _require_loaded_usable(self, version: str) -> None:
        """Stop using the loaded version once it was rejected; other errors are about the champion."""
        try:
            self._require_usable(version)
        except (GateFailedError, UnverifiedDecisionError):
            self._scorer, self._loaded = None, None
            raise
        except DnapredictError:
            pass  # for example a version that a rollback has just taken out of use

    def _replace(self, expected: ExpectedModel) -> None:
        """Load the expected model, and replace the one in use only after success."""
        if self._loaded is not None and self._loaded.version != expected.version:
            self._failed = expected.version
            self._try_out(expected.version)
        scorer = self._open(expected.version)
        for example in EXAMPLES:  # the first score is the slowest
            scorer.score(example, capacity=None, reasons=True)
        self._scorer, self._loaded, self._failed, self._refusal = scorer, expected, "", ""
        _keep_from_collection()
        _LOG.info("Model version %s answers now.", expected.version)

    def _watch(self) -> bool:
        """Refresh, and return whether it succeeded."""
        try:
            self.refresh()
            self._check_stores()
        finally:
            self._checked.set()
        return not self._problem and not self._unanswerable

    def _check_stores(self) -> None:
        """In the thread and not in `/readyz` itself, which would wait where another program has locked the log."""
        before, problem = self._unanswerable, ""
        try:
            self._require_answerable()
        except DnapredictError as error:
            problem = str(error)
            if problem != before:
                _LOG.error("Not ready: %s", problem)
        self._unanswerable = problem

    def _log_problem(self, sentence: str) -> None:
        """Log each new problem once, not every five seconds."""
        if sentence != self._problem:
            is_complete = "stays in use" in sentence or not self._still_answers()
            _LOG.error("%s%s", sentence, "" if is_complete else " The model that was loaded before stays in use.")
        self._problem = sentence

    def _still_answers(self) -> bool:
        """Whether the loaded model can still score; if not, it is dropped, and the service is not ready.

        It cannot score if the files that it reads from the home are damaged.
        """
        if self._scorer is None:
            return False
        try:
            self._scorer.score(EXAMPLES[0], capacity=None, reasons=True)
        except DnapredictError:
            self._scorer = self._loaded = None
            return False
        return True


def _keep_from_collection() -> None:
    """Exempt all that is loaded now from garbage collection: it lives as long as the process."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)

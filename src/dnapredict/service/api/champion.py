"""The model that answers: the registry's champion, loaded once and replaced whole.

A thread looks at the registry now and then. Whatever fails there, the last good model goes on
answering; while there is none yet, the service says that it is not ready.
"""

import gc
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from dnapredict.errors import DnapredictError, GateFailedError, ModelError
from dnapredict.service.api.smoke_test import EXAMPLES
from dnapredict.service.background_thread import Background
from dnapredict.service.scorer_protocol import Scoring

_LOG = logging.getLogger("dnapredict.service")
_SECONDS_BETWEEN_LOOKS: Final = 5.0
_SECONDS_FOR_FIRST_LOOK: Final = 60.0
# A worker that scores in milliseconds must not stop for a full collection of a heap that holds
# a model and two web frameworks: 200 ms and more at the 99th percentile, 18 ms with these.
_COLLECT_AFTER: Final = (50_000, 50, 50)


@dataclass(frozen=True)
class ExpectedModel:
    """What ought to answer: a version of the registry, with one written history.

    `warning` is what an operator has to mend, though the version may answer.
    """

    version: str
    history: str = ""
    warning: str = field(default="", compare=False)


class Champion:
    """Holds the scorer of the current champion.

    Parameters
    ----------
    standing
        Asks the home which version is champion and which history is in use; raises ModelError
        where there is no champion, and GateFailedError where its audit or the decision on it stands no
        longer: then nothing answers.
    open_scorer
        Loads that version, ready to score.
    try_out
        Tries a version out where it can do no harm, before it replaces one that works; raises
        ModelError where it fails. A version that failed is not tried again until another is champion.
    still_stands
        Raises GateFailedError where a version that answers in place of the champion, because that one
        failed, may no longer.
    """

    def __init__(
        self,
        *,
        standing: Callable[[], ExpectedModel],
        open_scorer: Callable[[str], Scoring],
        try_out: Callable[[str], None],
        still_stands: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Hold no scorer yet."""
        self._standing = standing
        self._still_stands = still_stands
        self._open = open_scorer
        self._try_out = try_out
        self._failed = ""
        self._scorer: Scoring | None = None
        self._loaded: ExpectedModel | None = None
        self._complaint = ""
        self._refusal = ""
        self._looked = threading.Event()
        self._background = Background(
            "champion",
            self._watch,
            seconds_between=_SECONDS_BETWEEN_LOOKS,
            seconds_after_failure=_SECONDS_BETWEEN_LOOKS,
        )

    @property
    def scorer(self) -> Scoring | None:
        """The scorer that answers now; None until a champion is loaded."""
        return self._scorer

    def require(self) -> Scoring:
        """The scorer to use for one whole request.

        Raises
        ------
        ModelError
            While no champion is loaded, or while its audit or the decision on it stands no longer.
        """
        scorer = self._scorer
        if scorer is None:
            raise ModelError(
                self._refusal or "No model is loaded yet. Try again in a moment; if this stays, see the service's log."
            )
        return scorer

    def watch(self) -> None:
        """Load the champion and keep up with it, in a thread of its own.

        Waits for the first look, since a worker that took requests before it has a model would refuse
        what the worker beside it can answer. A model that takes too long is waited for no further.
        """
        self._background.start()
        self._looked.wait(_SECONDS_FOR_FIRST_LOOK)

    def stop(self) -> None:
        """End the thread at its next look."""
        self._background.stop()

    def look(self) -> None:
        """Load the champion again if it, or the history beside it, is another than what answers now."""
        try:
            standing = self._standing()
            if self._loaded is not None and self._loaded.version != standing.version:
                self._require_that_it_stands(self._loaded.version)
            if standing.version == self._failed:
                return
            if standing != self._loaded:
                self._replace(standing)
            if standing.warning:
                self._complain(standing.warning)
            elif standing == self._loaded:
                self._complaint = ""  # the same trouble, once it comes back, is said again
        except GateFailedError as error:
            # A reviewer's no counts at once: no answer is better than one from a rejected model.
            self._scorer, self._loaded, self._refusal = None, None, str(error)
            self._complain(str(error))
        except DnapredictError as error:
            self._complain(str(error))
        except Exception as error:  # noqa: BLE001 - whatever a library raises, the last good model goes on
            self._complain(f"The champion cannot be loaded ({type(error).__name__}).")

    def _require_that_it_stands(self, version: str) -> None:
        """Let go of what answers in place of the champion once it was rejected; other trouble is the champion's."""
        try:
            self._still_stands(version)
        except GateFailedError:
            self._scorer, self._loaded = None, None
            raise
        except DnapredictError:
            pass  # such as: taken out of use by the rollback that is under way

    def _replace(self, standing: ExpectedModel) -> None:
        """Load what ought to answer; what answers now is let go only once that has been done."""
        if self._loaded is not None and self._loaded.version != standing.version:
            self._failed = standing.version
            self._try_out(standing.version)
        scorer = self._open(standing.version)
        for example in EXAMPLES:  # the first score is the slowest
            scorer.score(example, capacity=None, reasons=True)
        self._scorer, self._loaded, self._failed, self._refusal = scorer, standing, "", ""
        _keep_from_collection()
        _LOG.info("Model version %s answers now.", standing.version)

    def _watch(self) -> bool:
        """Look, and return whether all is well."""
        try:
            self.look()
        finally:
            self._looked.set()
        return not self._complaint

    def _complain(self, sentence: str) -> None:
        """Say each new trouble once, not every five seconds."""
        if sentence != self._complaint:
            is_told = "goes on answering" in sentence or not self._still_answers()
            _LOG.error("%s%s", sentence, "" if is_told else " What was loaded before goes on answering.")
        self._complaint = sentence

    def _still_answers(self) -> bool:
        """Whether what was loaded can be asked; if not, it is let go, and the service is not ready.

        It cannot where the files that were damaged are those that it reads.
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
    """Set aside all that is loaded now: it lives as long as the process, so why look at it again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)

"""What there is to read about the model that answers: its card, its tags, the report of its audit."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    # It brings the libraries of the audit, which a worker loads only when somebody reads a report.
    from dnapredict.fairness.report.first_page import StoredReport


# An audit or a signature that is new is seen after this, without asking the registry at each page.
_SECONDS_REMEMBERED: Final = 30.0


@dataclass(frozen=True)
class Paper:
    """All there is to read about one version.

    Attributes
    ----------
    card
        Its model card, Markdown; "" where the home holds none.
    tags
        What the registry holds beside it: who audited, signed and promoted it, and when.
    report
        That of its last audit; None where there was none, or it is not kept as it was written.
    """

    card: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    report: "StoredReport | None" = None


class Papers:
    """The papers of versions, read when they are asked for and remembered for a moment."""

    def __init__(self, read: Callable[[str], Paper]) -> None:
        """Read nothing yet; `read` asks the registry for those of a version, which takes its time."""
        self._read = read
        self._lock = threading.Lock()
        self._read_at = -float("inf")
        self._version = ""
        self._paper = Paper()

    def of(self, version: str) -> Paper:
        """The papers of that version.

        Raises
        ------
        StoreError
            If the registry cannot be read.
        """
        with self._lock:
            fresh = time.monotonic() - self._read_at < _SECONDS_REMEMBERED
            if version != self._version or not fresh:
                self._paper = self._read(version)
                self._version, self._read_at = version, time.monotonic()
            return self._paper

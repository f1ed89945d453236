"""Documents about the model in use: its card, its tags, the report of its audit."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    # Imports the audit's libraries, which a worker needs only when somebody opens a report.
    from dnapredict.fairness.report.first_page import StoredReport


# A new audit or signature appears after this delay; the registry is not read for every page.
_SECONDS_CACHED: Final = 30.0


@dataclass(frozen=True)
class ModelDocuments:
    """The documents about one version.

    Attributes
    ----------
    card
        Its model card, Markdown; "" where the home holds none.
    tags
        Tags of the registry: who audited, signed and promoted it, and when.
    report
        The report of its last audit; None where there was none, or a file of it has changed since.
    seal
        The seal of the ledger's entry with the decision on that report; "" where there is none.
    notice
        That its conditions have ended, or its audit is not signed; "" otherwise.
    """

    card: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    report: "StoredReport | None" = None
    seal: str = ""
    notice: str = ""


class DocumentCache:
    """The documents of a version, read on demand and cached for half a minute."""

    def __init__(self, read: Callable[[str], ModelDocuments]) -> None:
        """`read` reads the documents of a version from the registry, which is slow; nothing is read yet."""
        self._read = read
        self._lock = threading.Lock()
        self._read_at = -float("inf")
        self._version = ""
        self._documents = ModelDocuments()

    def of(self, version: str) -> ModelDocuments:
        """The documents of that version.

        Raises
        ------
        StoreError
            If the registry cannot be read.
        """
        with self._lock:
            fresh = time.monotonic() - self._read_at < _SECONDS_CACHED
            if version != self._version or not fresh:
                self._documents = self._read(version)
                self._version, self._read_at = version, time.monotonic()
            return self._documents

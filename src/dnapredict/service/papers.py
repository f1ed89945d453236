"""What there is to read about the model that answers: its card, and the first page of its fairness audit."""

import hashlib
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from dnapredict.audit.report import FIGURES, REPORT
from dnapredict.audit.tiles import Tile, tiles
from dnapredict.audit.verdicts import Gate, Verdict
from dnapredict.errors import StoreError
from dnapredict.tracking.cards import CARDS

__all__ = ["Audited", "FirstPage", "Paper", "Papers"]

# An audit or a signature that is new is seen after this, without asking the registry at each page.
_SECONDS_REMEMBERED: Final = 30.0
_UNSEEN: Final = {"ethnicity": "Ethnic group", "core20": "Area"}


@dataclass(frozen=True)
class Audited:
    """What the registry holds of a version's audit: its tags, and the folder of the report if one is kept."""

    tags: Mapping[str, str]
    report: Path | None


@dataclass(frozen=True)
class FirstPage:
    """Page 1 of a fairness report.

    Attributes
    ----------
    unseen
        By what is not known: the groups that stand for that, each with its number of appointments, or None
        where that is hidden.
    absent
        What the extract did not hold at all.
    """

    verdict: Verdict
    sentence: str
    window: tuple[str, str]
    tiles: tuple[Tile, ...]
    unseen: Mapping[str, Mapping[str, int | None]]
    absent: tuple[str, ...]


@dataclass(frozen=True)
class Paper:
    """All there is to read about one version.

    Attributes
    ----------
    card
        Markdown; "" where the home holds none.
    tags
        What is written beside the version: who audited, signed and promoted it, and when.
    first_page, report
        None where the version was not audited, or the report is not kept as it was written.
    """

    version: str
    card: str
    tags: Mapping[str, str]
    first_page: FirstPage | None
    report: bytes | None


class Papers:
    """The papers of a home's versions, read when they are asked for and remembered for a moment."""

    def __init__(self, home: Path, audited: Callable[[str], Audited]) -> None:
        """Read nothing yet; `audited` asks the registry, which takes its time."""
        self._home = home
        self._audited = audited
        self._lock = threading.Lock()
        self._read_at = -float("inf")
        self._paper: Paper | None = None

    def of(self, version: str) -> Paper:
        """The papers of that version.

        Raises
        ------
        StoreError
            If the registry cannot be read.
        """
        with self._lock:
            fresh = time.monotonic() - self._read_at < _SECONDS_REMEMBERED
            if self._paper is None or self._paper.version != version or not fresh:
                self._paper, self._read_at = self._read(version), time.monotonic()
            return self._paper

    def _read(self, version: str) -> Paper:
        audited = self._audited(version)
        page, report = _report(audited)
        return Paper(version, self._card(version), audited.tags, page, report)

    def _card(self, version: str) -> str:
        path = self._home / CARDS / f"{version}.md"
        try:
            return path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""
        except (OSError, ValueError) as error:
            raise StoreError(f"{path}: cannot be read ({type(error).__name__}).") from None


def _report(audited: Audited) -> tuple[FirstPage | None, bytes | None]:
    """The first page and the whole page of a report, if both are those that the registry knows of."""
    if audited.report is None:
        return None, None
    try:
        report, figures = ((audited.report / name).read_bytes() for name in (REPORT, FIGURES))
    except OSError:
        return None, None
    # The page names the digest of its figures, and the registry that of the page.
    is_known = hashlib.sha256(report).hexdigest() == audited.tags.get("audit_sha256")
    if not is_known or hashlib.sha256(figures).hexdigest().encode() not in report:
        return None, None
    return _first_page(json.loads(figures)), report


def _first_page(figures: Mapping[str, Any]) -> FirstPage:
    return FirstPage(
        verdict=Verdict(figures["verdict"]),
        sentence=figures["sentence"],
        window=tuple(figures["context"]["window"]),
        tiles=tiles([_gate(gate) for gate in figures["gates"]]),
        unseen=_unseen(figures["groupings"]),
        absent=tuple(figures["not_in_this_extract"]),
    )


def _gate(told: Mapping[str, Any]) -> Gate:
    return Gate(told["code"], told["title"], told["question"], Verdict(told["verdict"]), told["sentence"])


def _unseen(groupings: Mapping[str, Any]) -> dict[str, dict[str, int | None]]:
    """Groups that stand for "we do not know", by what is not known."""
    found: dict[str, dict[str, int | None]] = {}
    for name, title in _UNSEEN.items():
        rows = groupings[name]["rows"] if name in groupings else ()
        strangers = [row for row in rows if not row["group"]["known"]]
        numbers = {row["group"]["name"]: row["counts"]["appointments"] for row in strangers}
        shown = {group: number for group, number in numbers.items() if number != 0}
        if shown:
            found[title] = shown
    return found

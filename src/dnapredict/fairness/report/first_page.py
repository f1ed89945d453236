"""Page 1 of a stored report, read from its figures: verdict, summary tiles, and unknown groups."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter

from dnapredict.fairness.report.page_one import PageOne
from dnapredict.fairness.report_folder import FIGURES, REPORT, TABLES
from dnapredict.fairness.verdicts import Gate, Verdict

_TILES = (
    ("Are people reached?", ("G3", "G3b", "G5", "G6")),
    ("Are calls shared fairly?", ("G4",)),
    ("Does a risk mean the same?", ("G2", "G8")),
    ("Can we trust the records?", ("G0", "G1", "G7")),
)
_ORDER = (Verdict.FAIL, Verdict.NOT_ENOUGH_DATA, Verdict.REVIEW, Verdict.PASS)


@dataclass(frozen=True)
class Tile:
    """A question, its verdict and the sentence of the gate that decided it."""

    title: str
    verdict: Verdict
    sentence: str


def summary_tiles(gates: Sequence[Gate]) -> tuple[Tile, ...]:
    """The tiles of the gates that apply; a tile has the worst verdict of its gates."""
    tiles = []
    for title, codes in _TILES:
        judging = [gate for gate in gates if gate.code in codes]
        if judging:
            worst = min(judging, key=lambda gate: _ORDER.index(gate.verdict))
            tiles.append(Tile(title, worst.verdict, worst.sentence))
    return tuple(tiles)


_PAGE_ONE: Final = TypeAdapter(PageOne)
_UNSEEN: Final = {"ethnicity": "Ethnic group", "core20": "Area"}


@dataclass(frozen=True)
class FirstPage:
    """Page 1 of a fairness report.

    Attributes
    ----------
    findings
        Sentences on what was found, in numbers of people.
    window
        The first and the last day of the appointments, as 2026-06-18.
    unseen
        Groups for unknown values by grouping, each with its number of appointments, or None where that is hidden.
    absent
        Groupings that the extract does not have.
    page_one
        The page as it is written today; None in reports of earlier releases, of which the other fields are shown.
    """

    verdict: Verdict
    sentence: str
    findings: tuple[str, ...]
    window: tuple[str, str]
    tiles: tuple[Tile, ...]
    unseen: Mapping[str, Mapping[str, int | None]]
    absent: tuple[str, ...]
    page_one: PageOne | None = None


@dataclass(frozen=True)
class StoredReport:
    """A report as it was written: its first page, the whole report as HTML, and the page of its tables.

    `tables` is None where there is none: in reports of earlier releases, or where it was changed.
    """

    first_page: FirstPage
    html: bytes
    tables: bytes | None = None


def stored_report(folder: Path, *, sha256: str) -> StoredReport | None:
    """The report in `folder`, if its page has that digest and its figures are those that the page names.

    None where it is missing or was changed: what is shown must be what was signed.
    """
    try:
        html, figures = ((folder / name).read_bytes() for name in (REPORT, FIGURES))
    except OSError:
        return None
    # The registry holds the digest of the page, and the page that of its figures.
    is_unchanged = hashlib.sha256(html).hexdigest() == sha256
    if not is_unchanged or hashlib.sha256(figures).hexdigest().encode() not in html:
        return None
    return StoredReport(_first_page(json.loads(figures)), html, _tables(folder / TABLES, html))


def _tables(path: Path, html: bytes) -> bytes | None:
    """The page of tables, if it is the one that the report names."""
    try:
        tables = path.read_bytes()
    except OSError:
        return None
    return tables if hashlib.sha256(tables).hexdigest().encode() in html else None


def _first_page(figures: Mapping[str, Any]) -> FirstPage:
    first, last = figures["context"]["window"]
    gates = [_gate(gate) for gate in figures["gates"]]
    # Reports of earlier releases have no headline among their figures: the gates that did not pass are shown.
    not_passed = (gate.sentence for gate in gates if gate.verdict is not Verdict.PASS)
    return FirstPage(
        verdict=Verdict(figures["verdict"]),
        sentence=figures["sentence"],
        findings=tuple(figures.get("headline", not_passed)),
        window=(first, last),
        tiles=summary_tiles(gates),
        unseen=_unseen(figures["groupings"]),
        absent=tuple(figures["not_in_this_extract"]),
        page_one=page_one_of(figures),
    )


def page_one_of(figures: Mapping[str, Any]) -> PageOne | None:
    """Page 1 as it was written; None in the figures of earlier releases."""
    return _PAGE_ONE.validate_python(figures["page_one"]) if "page_one" in figures else None


def _gate(stored: Mapping[str, Any]) -> Gate:
    return Gate(stored["code"], stored["title"], stored["question"], Verdict(stored["verdict"]), stored["sentence"])


def _unseen(groupings: Mapping[str, Any]) -> dict[str, dict[str, int | None]]:
    """Groups for unknown values, by grouping."""
    unseen: dict[str, dict[str, int | None]] = {}
    for name, title in _UNSEEN.items():
        rows = groupings[name]["rows"] if name in groupings else ()
        unknown = [row for row in rows if not row["group"]["known"]]
        numbers = {row["group"]["name"]: row["counts"]["appointments"] for row in unknown}
        shown = {group: number for group, number in numbers.items() if number != 0}
        if shown:
            unseen[title] = shown
    return unseen

"""The files of a report, read by somebody who has nothing else, agree with each other.

The checks know only the written CSVs, `audit.json` and the pages: no function of the package computes a figure here.
"""

import csv
import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from benchmarks.audit_worlds import OddWorld
from benchmarks.planted_worlds import PlantedWorld
from tests.unit.test_audit_odd_worlds import CONTEXT, POLICY, audited

from dnapredict.fairness import AuditData, AuditResult, run, write

HALF_UNIT = 5.1e-5  # figures have four decimals
# Each printed rate, as printed counts: numerator (plus, minus) and denominator (plus, minus).
OF_COUNTS = {
    "base_rate": ("missed", "", "appointments", ""),
    "selection_rate": ("selected", "", "appointments", ""),
    "reach": ("reached", "", "missed", ""),
    "missed_support": ("missed", "reached", "missed", ""),
    "unneeded_calls": ("selected", "reached", "appointments", "missed"),
    "precision": ("reached", "", "selected", ""),
}
SHARES = (*OF_COUNTS, "trust_side", "live_reach", "ethnicity_unknown", "own_top_reach")
GAPS = ("reach", "reach at the group's own top")


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The rows of a CSV; figures are numbers, and what is hidden or absent is None."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [{name: number(text) for name, text in row.items()} for row in csv.DictReader(file)]


def number(text: str) -> Any:
    if text in ("", "*"):
        return None
    return float(text) if re.fullmatch(r"-?\d+(\.\d+)?(e-?\d+)?", text) else text


def disagreements(folder: Path) -> Iterator[str]:
    """Each figure of a report that contradicts another one, as a sentence."""
    figures = json.loads((folder / "audit.json").read_text(encoding="utf-8"))
    for path in sorted(folder.glob("figures_*.csv")):
        name = path.stem.removeprefix("figures_")
        for row in rows_of(path):
            yield from (f"{name} {row['group']}: {problem}" for problem in (*of_row(row), *of_rates(row)))
    yield from of_gates(folder)
    yield from of_parts(folder)
    yield from of_json(folder, figures)
    yield from of_verdicts(folder, figures)
    yield from of_sentences(folder, figures)


def of_row(row: dict[str, Any]) -> Iterator[str]:
    """Each figure lies in its range, each share between 0 and 1, no part is larger than its whole."""
    for name in (each.removesuffix("_low") for each in row if each.endswith("_low")):
        low, value, high = row[f"{name}_low"], row[name], row[f"{name}_high"]
        if len({each is None for each in (low, value, high)}) > 1:
            yield f"{name} has a range without a figure, or the reverse"
        elif value is not None and not low - HALF_UNIT <= value <= high + HALF_UNIT:
            yield f"{name} {value} is outside {low} to {high}"
        elif value is not None and name in SHARES and not 0 <= low <= high <= 1:
            yield f"{name} is not between 0 and 1"
    for part, whole in (("missed", "appointments"), ("reached", "missed"), ("reached", "selected")):
        if None not in (row[part], row[whole]) and row[part] > row[whole]:
            yield f"{part} {row[part]} of {row[whole]} {whole}"


def of_rates(row: dict[str, Any]) -> Iterator[str]:
    """Reach and missed support make 1, and so do their ranges; a rate is the ratio of the counts beside it."""
    if row["reach"] is not None and row["missed_support"] is not None:
        for name, other in (("", ""), ("_low", "_high"), ("_high", "_low")):
            total = row[f"reach{name}"] + row[f"missed_support{other}"]
            if abs(total - 1) > 2 * HALF_UNIT:
                yield f"reach and missed support make {total:.4f}"
    for rate, (above, less, below, without) in OF_COUNTS.items():
        counts = [0 if not name else row[name] for name in (above, less, below, without)]
        if row[rate] is None or None in counts or not counts[2] - counts[3]:
            continue
        share = min(1, (counts[0] - counts[1]) / (counts[2] - counts[3]))
        if abs(share - row[rate]) > HALF_UNIT:
            yield f"{rate} is {row[rate]}, and its counts make {share:.4f}"


def of_gates(folder: Path) -> Iterator[str]:
    """No verdict contradicts the range beside it."""
    for row in rows_of(folder / "gates.csv"):
        where = f"{row['gate']} {row['group']} {row['measure']}: {row['verdict']}"
        if row["low"] is None or row["estimate"] is None:
            continue
        if not row["low"] - HALF_UNIT <= row["estimate"] <= row["high"] + HALF_UNIT:
            yield f"{where}, and {row['estimate']} is outside its range"
        if row["measure"] in GAPS and row["verdict"] == "FAIL" and row["low"] <= 0:
            yield f"{where}, and the gap may be {row['low']}"
        if row["measure"] in GAPS and row["verdict"] == "PASS" and row["low"] > 0.05:
            yield f"{where}, and the gap is at least {row['low']}"
        if row["verdict"] == "FAIL" and (row["p_adjusted"] or 0) > 0.05:
            yield f"{where}, with p = {row['p_adjusted']}"


def of_parts(folder: Path) -> Iterator[str]:
    """The points of a gap by cause add up to it."""
    path = folder / "gap_parts.csv"
    gaps: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows_of(path) if path.exists() else []:
        gaps.setdefault((row["grouping"], row["group"]), []).append(row)
    for key, parts in gaps.items():
        points = [part["points"] for part in parts if part["points"] is not None]
        gap = parts[0]["gap"]
        if gap is not None and points and abs(sum(points) - gap) > 0.0006 * len(points):
            yield f"{key}: parts make {sum(points):.4f} of a gap of {gap}"


def of_json(folder: Path, figures: dict[str, Any]) -> Iterator[str]:
    """`audit.json` and the CSVs hold the same numbers."""
    for name, table in (*figures["groupings"].items(), ("all", {"rows": [figures["overall"]]})):
        written = {row["code"]: row for row in rows_of(folder / f"figures_{name}.csv")}
        for row in table["rows"]:
            # A code that looks like a number was read as one.
            own = written.get(row["group"]["code"]) or written.get(number(row["group"]["code"]))
            if own is None:
                yield f"{name} {row['group']['code']} is in audit.json only"
                continue
            for count, value in row["counts"].items():
                if own[count] != value:
                    yield f"{name} {row['group']['code']}: {count} is {own[count]} and {value}"
            for rate, interval in row["rates"].items():
                if own[rate] != (None if interval is None else interval["value"]):
                    yield f"{name} {row['group']['code']}: {rate} is {own[rate]} and {interval}"


def of_verdicts(folder: Path, figures: dict[str, Any]) -> Iterator[str]:
    """Gates have one verdict in both files, and the audit that of its worst gate."""
    listed = {(row["gate"], row["verdict"]) for row in rows_of(folder / "gates.csv") if row["group"] is None}
    for gate in figures["gates"]:
        if (gate["code"], gate["verdict"]) not in listed:
            yield f"{gate['code']} is {gate['verdict']} in audit.json only"
    worst = {gate["verdict"] for gate in figures["gates"]}
    if figures["verdict"] == "PASS" and worst != {"PASS"}:
        yield f"the audit passes, and its gates are {sorted(worst)}"
    if "FAIL" in worst and figures["verdict"] != "FAIL":
        yield f"a gate fails, and the audit is {figures['verdict']}"


def of_sentences(folder: Path, figures: dict[str, Any]) -> Iterator[str]:
    """The numbers in words on page 1 are those of the tables, and each sentence is on the page."""
    page = re.sub(r"\s+", " ", (folder / "report.html").read_text(encoding="utf-8"))
    reaches = {
        round(100 * row["reach"]) for path in folder.glob("figures_*.csv") for row in rows_of(path) if row["reach"]
    }
    for sentence in figures["headline"]:
        found = re.search(r"would have called (\d+)\.", sentence)
        if found and int(found[1]) not in reaches:
            yield f"page 1 says {found[1]} of 100, and no table does: {sentence}"
    for tile in figures["page_one"]["verdicts"]:
        if html.escape(tile["sentence"], quote=False) not in page:
            yield f"audit.json has a sentence that is not on page 1: {tile['sentence']}"


def planted(name: str, *, seed: int) -> AuditResult:
    return run(AuditData.of(PlantedWorld(name, seed=seed).table()), policy=POLICY, context=CONTEXT)


WORLDS = {
    "fair": lambda: planted("fair", seed=71),
    "under-scored": lambda: planted("under-scored", seed=72),
    "weak information": lambda: planted("weak information", seed=73),
    "mix of clinics": lambda: planted("mix of clinics", seed=74),
    "one intersection": lambda: planted("one intersection", seed=75),
    "a small trust": lambda: audited(OddWorld(900, 90)),
    "a clinic of 13": lambda: audited(OddWorld(13, 5)),
    "more calls than appointments": lambda: audited(OddWorld(150, 20, calls=100_000)),
    "nothing known": lambda: audited(
        OddWorld(200, 30, ethnicity="unknown", areas="unknown", flags="unknown", places="unknown")
    ),
}


@pytest.mark.cases(4)
@pytest.mark.parametrize("name", WORLDS)
def test_no_figure_of_a_report_contradicts_another(name: str, tmp_path: Path):
    write(WORLDS[name](), tmp_path / "report")
    assert list(disagreements(tmp_path / "report")) == []


def test_the_example_report_agrees_with_itself():
    assert list(disagreements(Path("fairness/example-report"))) == []

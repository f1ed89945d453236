"""Several products, or the trusts of a pooled audit, side by side."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from dnapredict.fairness.measure.intervals import Interval
from dnapredict.fairness.report.csv_tables import csv_text, interval_cells, or_hidden
from dnapredict.fairness.report.report_files import report_files, to_json_value
from dnapredict.fairness.report.templating import page
from dnapredict.fairness.report_folder import FIGURES, REPORT
from dnapredict.fairness.run_audit import AuditResult
from dnapredict.fairness.verdicts import Check, Gate, Verdict, furthest_behind

PRODUCTS: Final = "products.json"
_SCHEMA: Final = 1


@dataclass(frozen=True)
class ProductPlace:
    """What an audit found of one product; None is hidden or not estimable.

    `level` is missed over expected, `ranking` the AUROC, `tied` the share of calls that equal risks decided, `notes`
    the sentences on the scores themselves that did not pass. `report` and `figures` are the files of its own audit.
    """

    name: str
    verdict: Verdict
    reach: Interval | None
    level: Interval | None
    ranking: float | None
    tied: float | None
    behind: str | None
    largest_gap: Interval | None
    notes: tuple[str, ...]
    report: str
    figures: str


def product_place(name: str, result: AuditResult, *, tied: float | None) -> ProductPlace:
    """The place of a product from its audit."""
    everyone = result.everyone.rows[0]
    gate = result.gate("G3")
    behind = furthest_behind(gate.checks if gate else ())
    stem = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "product"
    return ProductPlace(
        name=name,
        verdict=result.verdict,
        reach=everyone.rates["reach"],
        level=everyone.observed_over_expected,
        ranking=everyone.ranking_quality,
        tied=tied,
        behind=behind.group.name if behind else None,
        largest_gap=behind.estimate if behind else None,
        notes=tuple(_faults_of_scores(result.gates)),
        report=f"report-{stem}.html",
        figures=f"audit-{stem}.json",
    )


def _faults_of_scores(gates: Iterable[Gate]) -> Iterable[str]:
    """Sentences on everyone's risks that did not pass: no skill, a possible leak, a level or slope that is off."""
    checks: Iterable[Check] = (check for gate in gates if gate.code in ("G2", "G8") for check in gate.checks)
    return dict.fromkeys(
        check.sentence
        for check in checks
        if check.grouping == "all" and check.verdict in (Verdict.FAIL, Verdict.REVIEW)
    )


def product_files(results: Sequence[tuple[ProductPlace, AuditResult]]) -> dict[str, bytes]:
    """The page, its figures as JSON and CSV, and the whole report of each product."""
    products = tuple(product for product, _ in results)
    first = results[0][1]
    files: dict[str, bytes] = {}
    for product, result in results:
        own = report_files(result)
        files |= {product.report: own[REPORT], product.figures: own[FIGURES]}
    figures = {"schema": _SCHEMA, "products": to_json_value(products)}
    return files | {
        REPORT: page("products.html.j2", products=products, context=first.context, policy=first.policy).encode(),
        PRODUCTS: json.dumps(figures, indent=1, ensure_ascii=False).encode(),
        "products.csv": _product_table(products).encode("utf-8-sig"),
    }


def _product_table(products: Sequence[ProductPlace]) -> str:
    ranged = ("reach", "level", "largest_gap")
    header = ["product", "verdict", *(f"{name}{end}" for name in ranged for end in ("", "_low", "_high"))]
    lines: list[list[Any]] = [[*header, "behind", "ranking_quality", "calls_decided_by_ties", "notes"]]
    for one in products:
        figures = [cell for name in ranged for cell in interval_cells(getattr(one, name))]
        last = [one.behind or "", or_hidden(one.ranking), or_hidden(one.tied), " ".join(one.notes)]
        lines.append([one.name, one.verdict, *figures, *last])
    return csv_text(lines)

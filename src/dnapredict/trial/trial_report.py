"""The report of a trial: one self-contained page, `trial.json`, and a CSV file for each table."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib.figure import Figure

from dnapredict.config.fairness_policy import Disclosure
from dnapredict.fairness import report_folder
from dnapredict.fairness.measure.intervals import Interval
from dnapredict.fairness.report.csv_tables import csv_text, interval_cells, or_hidden
from dnapredict.fairness.report.report_files import to_json_value
from dnapredict.fairness.report.templating import Chart, chart_of, label_of, page
from dnapredict.model.report.chart_canvas import AMBER, BLUE, GREY, WIDTH, canvas
from dnapredict.trial.trial_disclosure import ARM_COUNTS
from dnapredict.trial.trial_result import GroupEffectRow, TrialResult

PAGE: Final = "report.html"
FIGURES: Final = "trial.json"
_SCHEMA: Final = 1
_FEWEST_LOOKS: Final = 2


@dataclass(frozen=True)
class ReportProvenance:
    """Where the figures of a report come from."""

    data_sha256: str
    code_revision: str
    synthetic: bool = False


def write_report(result: TrialResult, out: Path, *, provenance: ReportProvenance, rule: Disclosure) -> Path:
    """Write `report.html`, `trial.json` and the CSV files into the folder `out`; returns the page's path.

    Raises
    ------
    UsageError
        If `out` holds something else.
    StoreError
        If the folder cannot be written.
    """
    tables = {"effects.csv": _effects(result), "harms.csv": _harms(result), "looks.csv": _looks(result)}
    report = (PAGE, render(result, provenance=provenance, rule=rule))
    return report_folder.write_page(report, (FIGURES, as_json(result, provenance)), tables, out)


require_free = functools.partial(report_folder.require_free, proof=FIGURES)


def render(result: TrialResult, *, provenance: ReportProvenance, rule: Disclosure) -> str:
    """The page as HTML: no script, no outside request, styles inside."""
    charts = {"groups": _groups_chart(result), "looks": _looks_chart(result)}
    return page("trial.html.j2", result=result, context=provenance, rule=rule, charts=charts)


def as_json(result: TrialResult, provenance: ReportProvenance) -> dict[str, Any]:
    """Every figure of the report as JSON values; null is hidden or not estimable."""
    effect, ranking = result.effect, result.ranking
    return {
        "schema": _SCHEMA,
        "trial": to_json_value(result.trial),
        "finished": result.is_finished,
        "window": None if result.window is None else [day.isoformat() for day in result.window],
        "counts": dict(result.counts),
        "effect": {
            "intention_to_treat": _figure("risk_difference", effect.intention_to_treat),
            "always_valid": _figure("risk_difference", effect.always_valid),
            "complier": _figure("risk_difference", effect.complier),
            "relative_risk": _figure("relative_risk", effect.relative_risk),
            "attended": _figure("risk_difference", effect.attended),
        },
        "by": {table.name: [_group(row) for row in table.rows] for table in result.tables},
        "claim": result.claim.sentence,
        "claim_kind": str(result.claim.kind),
        "groups": result.groups_sentence,
        "harms": to_json_value(result.harms),
        "costs": to_json_value(result.costs),
        "ranking": ranking.choice,
        "ranking_reason": ranking.reason,
        "ranking_figures": {
            "calls": ranking.calls,
            "by_risk": _figure("kept", ranking.by_risk),
            "by_benefit": _figure("kept", ranking.by_benefit),
            "gain": _figure("kept", ranking.gain),
        },
        "benefit_model": None if ranking.model is None else ranking.model.digest,
        "looks": [
            {"day": look.day.isoformat(), **(_figure("risk_difference", look.effect) or {})} for look in result.looks
        ],
        "provenance": to_json_value(provenance),
    }


def _figure(name: str, interval: Interval | None) -> dict[str, float] | None:
    return None if interval is None else {name: interval.value, "low": interval.low, "high": interval.high}


def _group(row: GroupEffectRow) -> dict[str, Any]:
    found = _figure("risk_difference", row.risk_difference) or dict.fromkeys(("risk_difference", "low", "high"))
    return {
        "group": row.group.code,
        "name": row.group.full_name,
        **found,
        "shrunken": row.shrunken,
        "differs": row.differs,
        "counts": dict(row.counts),
    }


def _effects(result: TrialResult) -> str:
    """The effect on everyone and on each group; "*" is hidden or not estimable."""
    header = ["grouping", "code", "group", *ARM_COUNTS, "figure", "value", "low", "high", "shrunken", "differs"]
    lines: list[list[Any]] = [header]
    counts = [or_hidden(result.counts[name]) for name in ARM_COUNTS]
    figures: Mapping[str, Interval | None] = {
        "risk_difference": result.effect.intention_to_treat,
        "risk_difference_always_valid": result.effect.always_valid,
        "risk_difference_of_reached": result.effect.complier,
        "relative_risk": result.effect.relative_risk,
        "attended_difference": result.effect.attended,
    }
    for name, interval in figures.items():
        lines.append(["all", "all", "Everyone", *counts, name, *interval_cells(interval), "", ""])
    for table in result.tables:
        for row in table.rows:
            start = [
                table.name,
                row.group.code,
                row.group.full_name,
                *(or_hidden(row.counts[name]) for name in ARM_COUNTS),
            ]
            end = [or_hidden(row.shrunken), or_hidden(row.differs)]
            lines.append([*start, "risk_difference", *interval_cells(row.risk_difference), *end])
    return csv_text(lines)


def _harms(result: TrialResult) -> str:
    lines: list[list[Any]] = [["harm", "title", "treated", "control", "difference", "low", "high"]]
    for harm in result.harms:
        counts = [or_hidden(harm.treated), or_hidden(harm.control)]
        lines.append([harm.name, harm.title, *counts, *interval_cells(harm.difference)])
    return csv_text(lines)


def _looks(result: TrialResult) -> str:
    lines: list[list[Any]] = [["before", "risk_difference", "low", "high"]]
    lines += [[look.day.isoformat(), *interval_cells(look.effect)] for look in result.looks]
    return csv_text(lines)


def _groups_chart(result: TrialResult) -> Chart | None:
    """The effect in each group, with intervals that hold together."""
    dots = [
        (f"{table.title.partition(' (')[0]}: {row.group.name}", row, row.risk_difference)
        for table in result.tables
        for row in table.rows
        if row.risk_difference
    ]
    everyone = result.effect.intention_to_treat
    if not dots or everyone is None:
        return None

    def draw(width: float) -> Figure:
        figure, axes = canvas(height=0.9 + (0.23 if width >= WIDTH else 0.42) * len(dots), width=width)
        axes.axvline(0, color=GREY, linewidth=1)
        axes.axvline(100 * everyone.value, color=BLUE, linewidth=1.2, linestyle="--")
        for place, (_, row, effect) in enumerate(dots):
            colour = AMBER if row.differs else BLUE
            axes.plot([100 * effect.low, 100 * effect.high], [place, place], color=GREY, linewidth=1.6)
            axes.plot(100 * effect.value, place, "D" if row.differs else "o", color=colour, zorder=3)
        axes.set_yticks(range(len(dots)), [label_of(name, width) for name, *_ in dots])
        axes.invert_yaxis()
        axes.set_xlabel("Difference in missed, of 100", wrap=True)
        return figure

    listed = "; ".join(f"{name} {100 * e.value:.1f} ({100 * e.low:.1f} to {100 * e.high:.1f})" for name, _, e in dots)
    return chart_of(
        "groups",
        draw,
        title="Fewer or more missed with calls, by group",
        description=f"Difference in missed appointments, of 100, with the likely range: {listed}.",
        numbers="effects.csv",
        note="Left of 0, fewer are missed with calls. Dashed: everyone. A diamond differs from others beyond chance.",
    )


def _looks_chart(result: TrialResult) -> Chart | None:
    """The always-valid interval at the end of each week."""
    looks = result.looks
    if len(looks) < _FEWEST_LOOKS:
        return None
    days = [look.day for look in looks]
    value, low, high = (
        np.array([100 * getattr(look.effect, end) for look in looks]) for end in ("value", "low", "high")
    )

    def draw(width: float) -> Figure:
        figure, axes = canvas(height=2.8, width=width)
        axes.axhline(0, color=GREY, linewidth=1)
        axes.fill_between(np.arange(len(days)), low, high, color=BLUE, alpha=0.15, linewidth=0)
        axes.plot(value, color=BLUE, marker="o", linewidth=1.2)
        step = max(1, len(days) // (12 if width >= WIDTH else 5))
        axes.set_xticks(range(0, len(days), step), [f"{day:%-d %b}" for day in days[::step]])
        axes.set_ylabel("Missed, of 100" if width < WIDTH else "Difference in missed, of 100")
        return figure

    first, last = looks[0].effect, looks[-1].effect
    ends = "; ".join(
        f"{name} {100 * e.value:.1f} ({100 * e.low:.1f} to {100 * e.high:.1f})"
        for name, e in (("first", first), ("last", last))
    )
    return chart_of(
        "looks",
        draw,
        title="What was known at the end of each week",
        description=f"Difference in missed appointments, of 100, for any number of looks: {ends}.",
        numbers="looks.csv",
        note="The shaded band holds the true difference at all weeks together in 95 of 100 trials.",
    )

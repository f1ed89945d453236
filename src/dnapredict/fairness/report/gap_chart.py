"""The chart of how the largest gaps in reach split into causes."""

from collections.abc import Mapping, Sequence
from typing import Final

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from dnapredict.fairness.report.group_phrases import capital, people
from dnapredict.fairness.report.phrases import whole_numbers
from dnapredict.fairness.report.templating import Chart, chart_of, label_of
from dnapredict.fairness.run_audit import AuditResult
from dnapredict.fairness.verdicts import Cause, GapPart, GroupFinding
from dnapredict.model.report.chart_canvas import AMBER, BLUE, GREY, WIDTH, canvas

_MOST_GROUPS: Final = 3
_SMALLEST: Final = 0.01
IN_WORDS: Final[Mapping[Cause, str]] = {
    Cause.LOWER_NEED: "they miss less often",
    Cause.WEAKER_INFORMATION: "the model knows less about them",
    Cause.UNDER_SCORED: "their risks are too low",
    Cause.OVER_SCORED: "their risks are too high",
    Cause.SQUEEZED_RISKS: "their risks are too much alike",
    Cause.LABEL: "missed is not recorded as for others",
    Cause.MIX: "they use other clinics",
    Cause.OTHER_GROUP: "they belong to another group",
    Cause.CAPACITY: "called less at the same risk",
    Cause.CALLS: "earlier calls",
    Cause.UNKNOWN: "not known",
}


def gap_chart(result: AuditResult) -> Chart | None:
    """Bars of points by cause for the largest gaps; None where no gap can be taken apart."""
    apart = [one for one in result.findings if one.parts and one.gap is not None and one.gap.value > 0]
    shown = [(one, _large(one.parts)) for one in apart if _large(one.parts)][:_MOST_GROUPS]
    if not shown:
        return None

    def draw(width: float) -> Figure:
        lines = sum(1 + len(parts) for _, parts in shown)
        figure, axes = canvas(height=0.9 + (0.23 if width >= WIDTH else 0.42) * lines, width=width)
        axes.axvline(0, color=GREY, linewidth=1)
        places, labels, y = list[int](), list[str](), 0
        for one, parts in shown:
            places, labels = [*places, y], [*labels, label_of(capital(people(one.grouping, one.group)).upper(), width)]
            for at, part in enumerate(parts, start=y + 1):
                value, low, high = (100 * end for end in (part.points.value, part.points.low, part.points.high))
                axes.barh(at, value, 0.6, color=BLUE if value > 0 else AMBER, hatch="" if value > 0 else "//",
                          edgecolor="white")  # fmt: skip
                axes.plot([low, high], [at, at], color=GREY, linewidth=1.6)
                places, labels = [*places, at], [*labels, label_of(IN_WORDS[part.cause], width)]
            y += 1 + len(parts)
        axes.set_yticks(places, labels)
        axes.tick_params(axis="y", length=0)
        axes.invert_yaxis()
        axes.xaxis.set_major_formatter(FuncFormatter(lambda number, _: f"{abs(number):g}"))
        axes.set_xlabel("Fewer called, of 100")
        return figure

    return chart_of(
        "gap-parts",
        draw,
        title=_title(shown[0][0], result),
        description="Of 100 who missed. " + " ".join(_in_words(one, parts) for one, parts in shown),
        numbers="gap_parts.csv",
        note="Each bar is what one cause adds to the gap of a group, with its likely range. The bars of a group make "
        "up its gap; a hatched bar makes it smaller. Parts below 1 in 100 are left out.",
    )


def _large(parts: Sequence[GapPart]) -> list[GapPart]:
    return [part for part in parts if abs(part.points.value) >= _SMALLEST]


def _title(one: GroupFinding, result: AuditResult) -> str:
    """The largest part of the largest gap."""
    largest = max(one.parts, key=lambda part: part.points.value)
    table = result.table(one.grouping)
    reach = (
        next((row.rates["reach"] for row in table.rows if row.group.code == one.group.code), None) if table else None
    )
    own, others = (
        whole_numbers(reach, one.gap) if reach and one.gap else (0, round(100 * one.gap.value if one.gap else 0))
    )
    gap = others - own
    most = f"{_fewer(largest)} because {IN_WORDS[largest.cause]}"
    return f"Of 100 {people(one.grouping, one.group)}, {gap} fewer are called than of others: {most}"


def _fewer(part: GapPart) -> str:
    return f"about {abs(round(100 * part.points.value))}"


def _in_words(one: GroupFinding, shown: Sequence[GapPart]) -> str:
    parts = [f"{IN_WORDS[part.cause]}: {_fewer(part)} {'fewer' if part.points.value > 0 else 'more'}" for part in shown]
    return f"{capital(people(one.grouping, one.group))}: {'; '.join(parts)}."

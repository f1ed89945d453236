"""The charts of the access report, each with its finding as the title and a description in words."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dnapredict.fairness.access.assessment import AccessAssessment, AccessRow
from dnapredict.fairness.measure.intervals import Interval
from dnapredict.fairness.report.phrases import in_100
from dnapredict.fairness.report.templating import Chart, Draw, chart_of, label_of
from dnapredict.model.report.chart_canvas import AMBER, BLUE, GREY, WIDTH, canvas

_NUMBERS = "indicators.csv"
_COMPLETE = (
    ("age_known", "Age"),
    ("sex_known", "Sex"),
    ("ethnicity_known", "Ethnic group"),
    ("area_known", "Deprivation of the area"),
)
Dots = list[tuple[str, Interval]]


def access_charts(access: AccessAssessment) -> dict[str, Chart]:
    """The charts for which the extract has data, by name: `listed`, `missed`, `waits`, `complete`."""
    found = (_listed(access), _missed(access), _waits(access), _complete(access))
    return {chart.name: chart for chart in found if chart is not None}


def _listed(access: AccessAssessment) -> Chart | None:
    table = access.table("imd_decile")
    rows = [row for row in table.rows if row.group.known and row.share] if table else []
    if not rows:
        return None
    shares = [100 * row.share.value for row in rows if row.share]

    def draw(width: float) -> Figure:
        figure, axes = canvas(height=2.5, width=width)
        axes.bar(range(len(rows)), shares, 0.7, color=BLUE)
        axes.axhline(10, color=AMBER, linewidth=1.4, linestyle="--")
        axes.text(len(rows) - 0.5, 10, "England: 10 each", color=AMBER, ha="right", va="bottom")
        axes.set_xticks(range(len(rows)), [row.group.code for row in rows])
        axes.set_xlabel("Deprivation decile of the area (1 is the most deprived)")
        axes.set_ylabel("People, of 100")
        return figure

    pairs = zip(rows, shares, strict=True)
    listed = "; ".join(f"decile {row.group.code}: {share:.0f}" for row, share in pairs)
    title = f"The most deprived tenth of areas: {shares[0]:.0f} in 100 of the people on the list; England: 10"
    return _chart("listed", draw, title, f"People with an appointment, of 100, by decile: {listed}.")


def _rows(access: AccessAssessment, names: Sequence[str]) -> list[AccessRow]:
    tables = [table for name in names if (table := access.table(name))]
    return [row for table in tables for row in table.rows if row.group.known]


def _missed(access: AccessAssessment) -> Chart | None:
    rows = _rows(access, ("core20", "ethnicity_5", "interpreter", "disability", "plus"))
    dots = [(row.group.name, rate) for row in rows if (rate := row.measures["missed"].rate)]
    everyone = access.everyone.rows[0].measures["missed"].rate
    if not dots or everyone is None:
        return None

    def draw(width: float) -> Figure:
        figure, axes = canvas(height=0.9 + 0.24 * len(dots), width=width)
        axes.axvline(100 * everyone.value, color=GREY, linewidth=1, linestyle="--")
        _draw(axes, dots, scale=100, width=width)
        axes.set_xlabel(f"Missed, of 100{_line(width)}with the likely range; dashed: everyone")
        return figure

    name, highest = max(dots, key=lambda dot: dot[1].value)
    title = f"Missed most often by: {name}, {in_100(highest)}; everyone: {in_100(everyone)}"
    return _chart("missed", draw, title, f"Missed, of 100, with the likely range: {_dots_in_words(dots, 100)}.")


def _waits(access: AccessAssessment) -> Chart | None:
    rows = _rows(access, ("core20", "ethnicity_5"))
    dots = [(row.group.name, row.median_wait) for row in rows if row.median_wait]
    if not dots:
        return None

    def draw(width: float) -> Figure:
        figure, axes = canvas(height=0.9 + 0.24 * len(dots), width=width)
        _draw(axes, dots, scale=1, width=width)
        axes.set_xlim(left=0)
        axes.set_xlabel(f"Days from {access.wait_begins} to a first{_end_of_line(width)}appointment: half waited less")
        return figure

    (first, short), (last, long) = (pick(dots, key=lambda dot: dot[1].value) for pick in (min, max))
    title = f"Half waited at most {short.value:.0f} days ({first}) to {long.value:.0f} days ({last})"
    return _chart("waits", draw, title, f"Median days, with the likely range: {_dots_in_words(dots, 1)}.")


def _complete(access: AccessAssessment) -> Chart | None:
    everyone = access.everyone.rows[0].measures
    dots = [(title, rate) for name, title in _COMPLETE if (rate := everyone[name].rate)]
    if not dots:
        return None

    def draw(width: float) -> Figure:
        figure, axes = canvas(height=0.9 + 0.3 * len(dots), width=width)
        axes.barh(range(len(dots)), [100 * rate.value for _, rate in dots], 0.6, color=BLUE)
        axes.set_yticks(range(len(dots)), [label_of(title, width) for title, _ in dots])
        axes.invert_yaxis()
        axes.set(xlim=(0, 100), xlabel="Recorded, of 100 appointments")
        return figure

    name, least = min(dots, key=lambda dot: dot[1].value)
    title = f"Recorded least often: {name.lower()}, {in_100(least)}"
    return _chart("complete", draw, title, f"Recorded, of 100 appointments: {_dots_in_words(dots, 100)}.")


def _end_of_line(width: float) -> str:
    return " " if width >= WIDTH else "\n"


def _line(width: float) -> str:
    """Between two parts of a label: a comma, or on a narrow chart a new line."""
    return ", " if width >= WIDTH else "\n"


def _draw(axes: Axes, dots: Dots, *, scale: float, width: float) -> None:
    for place, (_, figure) in enumerate(dots):
        axes.plot([scale * figure.low, scale * figure.high], [place, place], color=GREY, linewidth=1.6)
        axes.plot(scale * figure.value, place, "o", color=BLUE, zorder=3)
    axes.set_yticks(range(len(dots)), [label_of(name, width) for name, _ in dots])
    axes.invert_yaxis()


def _dots_in_words(dots: Dots, scale: float) -> str:
    return "; ".join(
        f"{name} {scale * one.value:.0f} ({scale * one.low:.0f} to {scale * one.high:.0f})" for name, one in dots
    )


def _chart(name: str, draw: Draw, title: str, description: str) -> Chart:
    return chart_of(name, draw, title=title, description=description, numbers=_NUMBERS)

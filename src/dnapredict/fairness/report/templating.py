"""Templates and drawings: self-contained pages, and charts as inline SVG with stable bytes."""

import html
import io
import re
from dataclasses import dataclass
from typing import Any

import jinja2
import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dnapredict.fairness.report import phrases
from dnapredict.fairness.report.phrases import told

# Told apart in grey and by people who see few colours; shape is never the second best cue.
BLUE, AMBER, GREY = "#005eb8", "#b35900", "#425563"
PALETTE = (BLUE, AMBER, "#007f3b", "#7c2855", GREY, "#330072", "#00788c")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: it can be read out, searched and enlarged
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "text.color": "#212b32",
    "axes.labelcolor": "#212b32",
    "xtick.color": "#212b32",
    "ytick.color": "#212b32",
}
_FONTS = "Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"


@dataclass(frozen=True)
class Chart:
    """One picture: its finding, what it shows in words, the drawing and where its numbers are."""

    name: str
    title: str
    description: str
    drawing: str
    numbers: str


def chart_of(name: str, figure: Figure, *, title: str, description: str, numbers: str) -> Chart:
    """The chart of a figure; `numbers` names the CSV file that holds them."""
    return Chart(name, title, description, svg(figure, name=name, description=description), numbers)


def canvas(*, height: float, width: float = 8.6) -> tuple[Figure, Axes]:
    """An empty figure in inches with one set of axes."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        return figure, figure.add_subplot()


def svg(figure: Figure, *, name: str, description: str) -> str:
    """The figure as an SVG element with its description; the same figure gives the same bytes."""
    text = io.StringIO()
    with matplotlib.rc_context(_STYLE | {"svg.hashsalt": name}):
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    drawing = text.getvalue()
    drawing = drawing[drawing.index("<svg") :]
    drawing = re.sub(r"(?s)<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", drawing)
    drawing = re.sub(r'\sxmlns(:xlink)?="[^"]*"', "", drawing)
    drawing = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", drawing)
    drawing = re.sub(r"'DejaVu Sans'(, [^;\"]*)?", _FONTS, drawing)
    label = html.escape(description, quote=True)
    return drawing.replace("<svg", f'<svg role="img" aria-label="{label}"', 1).strip()


def page(template: str, **content: Any) -> str:
    """The HTML of `template`; a name that the template asks for and nobody gives is an error."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("dnapredict.fairness", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        in_100=phrases.in_100,
        range_of=phrases.range_of,
        ratio_of=phrases.ratio_of,
        count_of=phrases.count_of,
        named=phrases.named,
        either=phrases.either,
        told=told,
    )
    return environment.get_template(template).render(**content)

"""Self-contained pages from templates, and charts as inline SVG with stable bytes."""

import html
import re
from dataclasses import dataclass
from typing import Any

import jinja2
from matplotlib.figure import Figure

from dnapredict.fairness.report import phrases
from dnapredict.model.report.chart_canvas import AMBER, BLUE, GREY, svg_text

PALETTE = (BLUE, AMBER, "#007f3b", "#7c2855", GREY, "#330072", "#00788c")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_FONTS = "Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"


@dataclass(frozen=True)
class Chart:
    """One chart: its finding as the title, a description, the SVG, and the file of its numbers."""

    name: str
    title: str
    description: str
    drawing: str
    numbers: str


def chart_of(name: str, figure: Figure, *, title: str, description: str, numbers: str) -> Chart:
    """The chart of a figure; `numbers` names the CSV file that holds them."""
    return Chart(name, title, description, inline_svg(figure, name=name, description=description), numbers)


def inline_svg(figure: Figure, *, name: str, description: str) -> str:
    """The figure as an SVG element with its description; the same figure gives the same bytes."""
    drawing = svg_text(figure, salt=name)
    drawing = drawing[drawing.index("<svg") :]
    drawing = re.sub(r"(?s)<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", drawing)
    drawing = re.sub(r'\sxmlns(:xlink)?="[^"]*"', "", drawing)
    drawing = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", drawing)
    drawing = re.sub(r"'DejaVu Sans'(, [^;\"]*)?", _FONTS, drawing)
    label = html.escape(description, quote=True)
    return drawing.replace("<svg", f'<svg role="img" aria-label="{label}"', 1).strip()


def page(template: str, **content: Any) -> str:
    """The HTML of `template`; a missing variable is an error."""
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
        list_and=phrases.list_and,
        list_or=phrases.list_or,
        group_sentences=phrases.group_sentences,
    )
    return environment.get_template(template).render(**content)

"""Self-contained pages from templates, and charts as inline SVG with stable bytes."""

import functools
import html
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import jinja2
from matplotlib.figure import Figure

from dnapredict.fairness.report import group_phrases, phrases
from dnapredict.model.report.chart_canvas import AMBER, BLUE, GREY, WIDTH, svg_text

PALETTE = (BLUE, AMBER, "#007f3b", "#7c2855", GREY, "#330072", "#00788c")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_FONTS = "Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"


@dataclass(frozen=True)
class Chart:
    """One chart: its finding as the title, a description, the SVG, and the file of its numbers.

    `narrow` is the same drawn for a screen of 390 pixels, on which the words of `drawing` would be too small.
    """

    name: str
    title: str
    description: str
    drawing: str
    narrow: str
    numbers: str
    note: str = ""


Draw = Callable[[float], Figure]
"""Draws a chart that is so many inches wide."""

_NARROW: Final = 4.1
_LETTERS: Final = 27  # of a line of a label on a narrow chart


def chart_of(name: str, draw: Draw, *, title: str, description: str, numbers: str, note: str = "") -> Chart:
    """The chart that `draw` draws, for wide screens and paper and for narrow screens.

    `numbers` names the CSV file that holds the numbers, `note` says how to read the drawing.
    """
    wide, narrow = (
        inline_svg(draw(width), name=f"{name}{end}", description=description)
        for width, end in ((WIDTH, ""), (_NARROW, "-narrow"))
    )
    return Chart(name, title, description, wide, narrow, numbers, note)


def label_of(text: str, width: float) -> str:
    """A label in one line, or on a narrow chart in two."""
    return text if width >= WIDTH else "\n".join(textwrap.wrap(text, _LETTERS))


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
    return _environment().get_template(template).render(**content)


@functools.cache
def _environment() -> jinja2.Environment:
    """The templates, each of which is compiled once in a process."""
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
        gate_sentence=phrases.gate_sentence,
        fewer_or_more=phrases.fewer_or_more,
        against_risk=phrases.against_risk,
        spread_sentence=phrases.spread_sentence,
        capital=group_phrases.capital,
        row_name=lambda group, grouping: group_phrases.row_name(grouping, group),
    )
    return environment

"""The canvas that every chart is drawn on, and its SVG text: training runs and audit reports share both."""

import io
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Distinguishable in grey and with impaired colour vision; charts differ in shape or line style as well.
BLUE, AMBER, GREY, INK = "#005eb8", "#b35900", "#425563", "#212b32"
_STYLE: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",  # text stays text: it can be read aloud, searched and enlarged
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


WIDTH: Final = 8.6
"""Inches that a chart is wide on paper and on a wide screen."""


def canvas(*, height: float, width: float = WIDTH, title: str = "") -> "tuple[Figure, Axes]":
    """An empty figure, in inches, with one set of axes. It belongs to no window and needs no screen."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        if title:
            figure.suptitle(title, x=0.01, horizontalalignment="left", fontsize=12)
        return figure, figure.add_subplot()


def svg_text(figure: "Figure", *, salt: str = "dnapredict") -> str:
    """The figure as SVG without a date; the same figure and salt give the same bytes."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    text = io.StringIO()
    with matplotlib.rc_context(_STYLE | {"svg.hashsalt": salt}):
        # `Figure.savefig` draws twice, the first time only to lay the figure out, which drawing does anyway.
        FigureCanvasSVG(figure).print_svg(text, metadata={"Date": None, "Creator": None})  # type: ignore[no-untyped-call]
    return text.getvalue()

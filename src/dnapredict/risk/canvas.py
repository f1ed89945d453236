"""How pictures of a training look: large, quiet, readable without colour, the same bytes each time."""

import io
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["BLUE", "GREY", "INK", "canvas", "svg"]

BLUE: Final = "#005eb8"
GREY: Final = "#425563"
INK: Final = "#212b32"
_STYLE: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",  # text stays text: it can be read out, searched and enlarged
    "svg.hashsalt": "dnapredict",  # the same training gives the same bytes
    "font.family": "DejaVu Sans",
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def canvas(title: str, *, height: float) -> "Figure":
    """A figure that belongs to no window, with one pair of axes: it is drawn where there is no screen."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(8.6, height), layout="constrained")
        figure.suptitle(title, x=0.01, horizontalalignment="left", fontsize=12)
        figure.add_subplot()
        return figure


def svg(figure: "Figure") -> str:
    """The figure as SVG text, without the time at which it was drawn."""
    import matplotlib

    text = io.StringIO()
    with matplotlib.rc_context(_STYLE):
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()

"""What a list from the risks finds and earns, and how the share missed moves, as pictures."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve

from dnapredict.config.training import Worth
from dnapredict.risk.calling import Calls, net_benefit_curve
from dnapredict.risk.canvas import BLUE, GREY, canvas
from dnapredict.risk.drift import WeekRate
from dnapredict.risk.windows import Split

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["net_benefit", "precision_recall", "reach", "share_missed"]

_HEIGHT = 5.0
# Points of a curve: drawn through fewer, no line can be traced back to one appointment.
_POINTS = 100


def precision_recall(dna: NDArray[np.bool_], probability: NDArray[np.float64]) -> "Figure":
    """Share of calls that go to someone who missed, by the share of those who missed that is reached."""
    precision, recall, _ = precision_recall_curve(dna, probability)
    at = np.linspace(0.01, 1, _POINTS)
    figure = canvas(
        "Of those called, how many missed? By how many of those who missed are called", height=_HEIGHT
    )
    axes = figure.gca()
    axes.plot(at, np.interp(at, recall[::-1], precision[::-1]), color=BLUE, label="This model")
    axes.axhline(float(dna.mean()), color=GREY, linestyle="--", label="A list drawn blindly")
    axes.set(xlabel="Reach (recall)", ylabel="Share of calls to someone who missed (precision)")
    axes.set(xlim=(0, 1), ylim=(0, None))
    axes.legend(frameon=False, loc="upper right")
    return figure


def reach(dna: NDArray[np.bool_], probability: NDArray[np.float64], *, calls: Calls) -> "Figure":
    """Share of those who missed that is reached, by the share of the list that is called."""
    found = np.cumsum(dna[np.argsort(-probability, kind="stable")]) / dna.sum()
    shares = np.linspace(0, 1, _POINTS + 1)
    reached = np.interp(shares * len(dna), np.arange(len(dna) + 1), np.concatenate([[0.0], found]))
    figure = canvas("How many of those who missed does a list of calls hold?", height=_HEIGHT)
    axes = figure.gca()
    axes.plot(shares, reached, color=BLUE, label="This model")
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", label="A list drawn blindly")
    if calls.number is None:
        axes.axvline(calls.share, color=GREY, linestyle=":", label=f"Capacity: {calls}")
    axes.set(xlabel="Share of the list that is called", ylabel="Reach", xlim=(0, 1), ylim=(0, 1))
    axes.legend(frameon=False, loc="lower right")
    return figure


def net_benefit(dna: NDArray[np.bool_], probability: NDArray[np.float64], *, worth: Worth) -> "Figure":
    """Pounds earned for each appointment, by the share of the list that is called."""
    points = net_benefit_curve(dna, probability, worth=worth)
    shares = [point.share for point in points]
    title = (
        f"What calling earns, at {worth.call_cost:g} pounds a call, {worth.slot_value:g} a kept appointment"
    )
    figure = canvas(title, height=_HEIGHT)
    axes = figure.gca()
    axes.plot(shares, [point.pounds for point in points], color=BLUE, marker="o", label="By this model")
    axes.plot(shares, [point.blind for point in points], color=GREY, linestyle="--", label="Drawn blindly")
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.set(xlabel="Share of the list that is called", ylabel="Pounds for each appointment on the list")
    axes.legend(frameon=False, loc="best")
    return figure


def share_missed(weeks: Sequence[WeekRate], *, split: Split) -> "Figure":
    """The share missed of each week, and the mean risk of those of the test."""
    figure = canvas("Does the share missed move, and do the risks move with it?", height=_HEIGHT)
    axes = figure.gca()
    days = [np.datetime64(week.monday) for week in weeks]
    axes.plot(days, [week.share_missed for week in weeks], color=BLUE, marker="o", label="Share missed")
    told = [(day, week.mean_risk) for day, week in zip(days, weeks, strict=True) if week.mean_risk]
    if told:
        axes.plot(*zip(*told, strict=True), color=GREY, marker="s", linestyle="--", label="Mean risk")
    highest = max(max(week.share_missed, week.mean_risk or 0) for week in weeks)
    begins = {"Calibration begins": (split.calibrate.first, ":"), "Test begins": (split.test.first, "-.")}
    for label, (day, style) in begins.items():
        axes.plot([np.datetime64(day)] * 2, [0, highest], color=GREY, linestyle=style, label=label)
    axes.set(xlabel="Week beginning", ylabel="Share missed", ylim=(0, None))
    figure.autofmt_xdate()
    axes.legend(frameon=False, loc="lower left")
    return figure

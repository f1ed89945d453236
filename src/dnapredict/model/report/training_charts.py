"""Charts of a training for its MLflow run: SHAP summary, calibration, precision, reach, net benefit, drift."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve

from dnapredict.config.training_config import Worth
from dnapredict.data.small_numbers import SMALLEST_EVALUATED
from dnapredict.model.evaluate.capacity_metrics import WeeklyCapacity, net_benefit_curve
from dnapredict.model.evaluate.model_checks import WeekRate
from dnapredict.model.evaluate.risk_metrics import ReliabilityBin, reliability_table
from dnapredict.model.fit.training import Training
from dnapredict.model.reasons import contributions
from dnapredict.model.report.chart_canvas import BLUE, GREY, INK, canvas, svg_text
from dnapredict.model.risk_model import RiskModel
from dnapredict.model.time_split import TimeWindows

if TYPE_CHECKING:
    import shap
    from matplotlib.figure import Figure


_HEIGHT = 5.0
# Points of a curve: few enough that no step can be traced back to one appointment.
_POINTS = 100


def precision_recall(dna: NDArray[np.bool_], probability: NDArray[np.float64]) -> "Figure":
    """Share of calls that go to someone who missed, by the share of those who missed that is reached."""
    precision, recall, _ = precision_recall_curve(dna, probability)
    at = np.linspace(0.01, 1, _POINTS)
    figure, axes = canvas(
        title="Of those called, how many missed? By how many of those who missed are called", height=_HEIGHT
    )
    axes.plot(at, np.interp(at, recall[::-1], precision[::-1]), color=BLUE, label="This model")
    axes.axhline(float(dna.mean()), color=GREY, linestyle="--", label="A list drawn at random")
    axes.set(xlabel="Reach (recall)", ylabel="Share of calls to someone who missed (precision)")
    axes.set(xlim=(0, 1), ylim=(0, None))
    axes.legend(frameon=False, loc="upper right")
    return figure


def reach(dna: NDArray[np.bool_], probability: NDArray[np.float64], *, calls: WeeklyCapacity) -> "Figure":
    """Share of those who missed that is reached, by the share of the list that is called."""
    cumulative = np.cumsum(dna[np.argsort(-probability, kind="stable")]) / dna.sum()
    shares = np.linspace(0, 1, _POINTS + 1)
    reached = np.interp(shares * len(dna), np.arange(len(dna) + 1), np.concatenate([[0.0], cumulative]))
    figure, axes = canvas(title="How many of those who missed does a list of calls hold?", height=_HEIGHT)
    axes.plot(shares, reached, color=BLUE, label="This model")
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", label="A list drawn at random")
    if calls.number is None:
        axes.axvline(calls.share, color=GREY, linestyle=":", label=f"Capacity: {calls}")
    axes.set(xlabel="Share of the list that is called", ylabel="Reach", xlim=(0, 1), ylim=(0, 1))
    axes.legend(frameon=False, loc="lower right")
    return figure


def net_benefit(dna: NDArray[np.bool_], probability: NDArray[np.float64], *, worth: Worth) -> "Figure":
    """Pounds earned for each appointment, by the share of the list that is called."""
    points = net_benefit_curve(dna, probability, worth=worth)
    shares = [point.share for point in points]
    title = f"What calling earns, at {worth.call_cost:g} pounds a call, {worth.slot_value:g} a kept appointment"
    figure, axes = canvas(title=title, height=_HEIGHT)
    axes.plot(shares, [point.pounds for point in points], color=BLUE, marker="o", label="By this model")
    axes.plot(shares, [point.blind for point in points], color=GREY, linestyle="--", label="Drawn at random")
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.set(xlabel="Share of the list that is called", ylabel="Pounds for each appointment on the list")
    axes.legend(frameon=False, loc="best")
    return figure


def share_missed(weeks: Sequence[WeekRate], *, split: TimeWindows) -> "Figure":
    """The share missed by week, and the mean risk in weeks of the test window."""
    figure, axes = canvas(title="Does the share missed change, and do the risks change with it?", height=_HEIGHT)
    days = [np.datetime64(week.monday) for week in weeks]
    axes.plot(days, [week.share_missed for week in weeks], color=BLUE, marker="o", label="Share missed")
    predicted = [(day, week.mean_risk) for day, week in zip(days, weeks, strict=True) if week.mean_risk]
    if predicted:
        axes.plot(*zip(*predicted, strict=True), color=GREY, marker="s", linestyle="--", label="Mean risk")
    highest = max(max(week.share_missed, week.mean_risk or 0) for week in weeks)
    begins = {"Calibration begins": (split.calibrate.first, ":"), "Test begins": (split.test.first, "-.")}
    for label, (day, style) in begins.items():
        axes.plot([np.datetime64(day)] * 2, [0, highest], color=GREY, linestyle=style, label=label)
    axes.set(xlabel="Week beginning", ylabel="Share missed", ylim=(0, None))
    figure.autofmt_xdate()
    axes.legend(frameon=False, loc="lower left")
    return figure


def chart_files(training: Training, *, titles: Sequence[str], worth: Worth) -> Iterator[tuple[str, str]]:
    """File names and SVG text of the charts of a training; fewer than 100 appointments have none.

    Parameters
    ----------
    titles : of the model's factors, in its order, as the register has them
    worth : what a call costs and a kept appointment is worth
    """
    dna, risk = training.test_dna, training.test_probability
    if mean_strengths(training) is not None:
        explained = explanation(training.model, training.sample, titles=titles)
        yield "what-moves-the-risk.svg", svg_text(_strengths(explained))
    if bins := reliability_table(dna, risk):
        yield "calibration.svg", svg_text(_calibration(bins))
        yield "precision-recall.svg", svg_text(precision_recall(dna, risk))
        yield "reach.svg", svg_text(reach(dna, risk, calls=training.calls))
        yield "net-benefit.svg", svg_text(net_benefit(dna, risk, worth=worth))
    if training.weeks:
        yield "share-missed.svg", svg_text(share_missed(training.weeks, split=training.split))


def mean_strengths(training: Training) -> NDArray[np.float64] | None:
    """Mean absolute SHAP value of each factor over the sample of the test window, in log odds: (p,).

    None below 100 appointments (`SMALLEST_EVALUATED`).
    """
    if len(training.sample) < SMALLEST_EVALUATED or not training.model.factors:
        return None
    strengths: NDArray[np.float64] = np.abs(contributions(training.model, training.sample)).mean(axis=0)
    return strengths


def explanation(model: RiskModel, matrix: NDArray[np.float64], *, titles: Sequence[str]) -> "shap.Explanation":
    """The exact SHAP values as shap's own type, for its plots, without the rows that they explain.

    A row's values and its base value, the model's expected margin, add up to the row's margin.
    """
    import shap  # seconds to load, and only a training needs it

    values = contributions(model, matrix)
    expected = float((model.margin(matrix) - values.sum(axis=1)).mean())
    return shap.Explanation(values, base_values=np.full(len(values), expected), feature_names=list(titles))


def _strengths(explained: "shap.Explanation") -> "Figure":
    import shap

    n, p = explained.shape
    title = f"What moves the risk: mean over {n:,} appointments of the test"
    figure, empty = canvas(title=title, height=1.5 + 0.32 * p)
    axes = shap.plots.bar(explained, max_display=None, ax=empty, show=False)
    # shap writes each label twice, in a pale grey; and red and a plus would say "raises the risk".
    labels = [label.get_text() for label in axes.get_yticklabels()]
    axes.set_yticks(axes.get_yticks()[:p], labels[:p], fontsize=10, color=INK)
    for bar, number in zip(axes.patches, axes.texts, strict=True):
        bar.set_facecolor(BLUE)
        number.set(text=f"{bar.get_width():.3f}", color=INK, fontsize=10)
    axes.set_ylim(0.4, p + 0.6)
    axes.set_xlabel("Mean |SHAP value|, in log odds before calibration", fontsize=10)
    return figure


def _calibration(bins: tuple[ReliabilityBin, ...]) -> "Figure":
    figure, axes = canvas(title="Does a risk mean what it says? Share missed by mean risk", height=5.5)
    risk, share = [b.mean_risk for b in bins], np.array([b.share_missed for b in bins])
    reach = share - [b.low for b in bins], [b.high for b in bins] - share
    end = max(*risk, *(b.high for b in bins)) * 1.05
    axes.plot([0, end], [0, end], color=GREY, linestyle="--", label="As predicted")
    axes.errorbar(risk, share, yerr=np.abs(reach), fmt="o", color=BLUE, capsize=3, label="Test, 95% interval")
    axes.set(xlabel="Mean risk", ylabel="Share missed", xlim=(0, end), ylim=(0, end))
    axes.legend(frameon=False, loc="upper left")
    return figure

"""A training as pictures, kept with its run: what moves the risk, whether it keeps its word, what it earns.

All are drawn from averages. A swarm of points, one for each appointment, would show more and would
put patients' own values into a file that outlives the extract.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from dnapredict.config.training import Worth
from dnapredict.risk.canvas import BLUE, GREY, INK, canvas, svg
from dnapredict.risk.charts import net_benefit, precision_recall, reach, share_missed
from dnapredict.risk.model import RiskModel
from dnapredict.risk.reasons import contributions
from dnapredict.risk.reliability import Bin, reliability
from dnapredict.risk.training import Training

if TYPE_CHECKING:
    import shap
    from matplotlib.figure import Figure

__all__ = ["drawn", "explanation", "mean_strengths"]

_FEWEST: Final = 100


def drawn(training: Training, *, titles: Sequence[str], worth: Worth) -> Iterator[tuple[str, str]]:
    """File names and SVG text of the figures of a training; fewer than 100 appointments have none.

    Parameters
    ----------
    titles : of the model's factors, in its order, as the register has them
    worth : what a call costs and a kept appointment is worth
    """
    dna, risk = training.test_dna, training.test_probability
    if mean_strengths(training) is not None:
        explained = explanation(training.model, training.sample, titles=titles)
        yield "what-moves-the-risk.svg", svg(_strengths(explained))
    if bins := reliability(dna, risk):
        yield "calibration.svg", svg(_calibration(bins))
        yield "precision-recall.svg", svg(precision_recall(dna, risk))
        yield "reach.svg", svg(reach(dna, risk, calls=training.calls))
        yield "net-benefit.svg", svg(net_benefit(dna, risk, worth=worth))
    if training.weeks:
        yield "share-missed.svg", svg(share_missed(training.weeks, split=training.split))


def mean_strengths(training: Training) -> NDArray[np.float64] | None:
    """Mean absolute SHAP value of each factor over the sample of the test, in log odds: (p,).

    None below 100 appointments: an average of few is chance, and may point at a patient.
    """
    if len(training.sample) < _FEWEST or not training.model.factors:
        return None
    found: NDArray[np.float64] = np.abs(contributions(training.model, training.sample)).mean(axis=0)
    return found


def explanation(
    model: RiskModel, matrix: NDArray[np.float64], *, titles: Sequence[str]
) -> "shap.Explanation":
    """Our exact SHAP values in shap's own form, for its plots; without the rows they explain.

    A row's values and its base value, the model's expected margin, add up to the row's margin.
    """
    import shap  # seconds to load, and only a training needs it

    values = contributions(model, matrix)
    expected = float((model.margin(matrix) - values.sum(axis=1)).mean())
    return shap.Explanation(values, base_values=np.full(len(values), expected), feature_names=list(titles))


def _strengths(explained: "shap.Explanation") -> "Figure":
    import shap

    n, p = explained.shape
    figure = canvas(f"What moves the risk: mean over {n:,} appointments of the test", height=1.5 + 0.32 * p)
    axes = shap.plots.bar(explained, max_display=None, ax=figure.gca(), show=False)
    # shap writes each label twice, in a pale grey; and red and a plus would say "raises the risk".
    labels = [label.get_text() for label in axes.get_yticklabels()]
    axes.set_yticks(axes.get_yticks()[:p], labels[:p], fontsize=10, color=INK)
    for bar, number in zip(axes.patches, axes.texts, strict=True):
        bar.set_facecolor(BLUE)
        number.set(text=f"{bar.get_width():.3f}", color=INK, fontsize=10)
    axes.set_ylim(0.4, p + 0.6)
    axes.set_xlabel("Mean |SHAP value|, in log odds before calibration", fontsize=10)
    return figure


def _calibration(bins: tuple[Bin, ...]) -> "Figure":
    figure = canvas("Can a risk be taken at its word? Share missed by mean risk", height=5.5)
    axes = figure.gca()
    risk, share = [b.mean_risk for b in bins], np.array([b.share_missed for b in bins])
    reach = share - [b.low for b in bins], [b.high for b in bins] - share
    end = max(*risk, *(b.high for b in bins)) * 1.05
    axes.plot([0, end], [0, end], color=GREY, linestyle="--", label="As predicted")
    axes.errorbar(risk, share, yerr=np.abs(reach), fmt="o", color=BLUE, capsize=3, label="Test, 95% interval")
    axes.set(xlabel="Mean risk", ylabel="Share missed", xlim=(0, end), ylim=(0, end))
    axes.legend(frameon=False, loc="upper left")
    return figure

"""Sections of the model card that are tables: by group, by week, what calls reach and earn."""

from collections.abc import Iterable

import numpy as np

from dnapredict.config.training_config import Worth
from dnapredict.model.cohort.cohort import EVERYONE, WEEKLY
from dnapredict.model.evaluate.capacity_metrics import net_benefit_curve
from dnapredict.model.evaluate.model_checks import metrics_by_group
from dnapredict.model.fit.training import Training
from dnapredict.model.report.training_records import reach_table


def group_section(training: Training) -> str:
    """Metrics by specialty, site and mode, where the extract has them."""
    by_group = metrics_by_group(training.tested, training.test_probability)
    if not by_group:
        return ""
    rows = (
        (
            group.grouping,
            group.name,
            f"{group.metrics.n:,}",
            four_decimals(group.metrics.base_rate),
            four_decimals(group.metrics.log_loss),
            four_decimals(group.metrics.auroc),
            f"{group.observed_over_expected:.2f}",
        )
        for group in by_group
    )
    head = ("", "", "Appointments", "Share missed", "Log loss", "AUROC", "Missed for each predicted")
    return f"""
## By specialty, site and mode

Groups of fewer than 100 appointments, or 10 missed, are counted together.

{markdown_table(head, rows)}
"""


def capacity_section(training: Training, *, worth: Worth) -> str:
    """Reach and net benefit of weekly lists at each capacity."""
    dna, risk = training.test_dna, training.test_probability
    titles = {EVERYONE: "all appointments", WEEKLY: "weekly list"}
    reached = (
        (name, title, f"{reach:.3f}", f"{ppv:.3f}")
        for population, title in titles.items()
        for name, reach, ppv in reach_table(training, population)
    )
    best = max(net_benefit_curve(dna, risk, worth=worth), key=lambda point: point.pounds)
    return f"""
## What calls reach, week by week

Of those who missed, the share that had been on their week's list, and the share of calls that went to
someone who missed.

{markdown_table(("Calls", "Of", "Reach", "PPV"), reached)}

At {worth.call_cost:g} pounds a call and {worth.slot_value:g} for a kept appointment, and if a call leaves
{worth.relative_risk:g} of the missed ones, calling {best.share:.0%} of a list earns most:
{best.pounds:.2f} pounds for each appointment on it, against {best.blind:.2f} if the same number were drawn
at random. Risk is not benefit: whom a call helps most is not known.
"""


def drift_section(training: Training) -> str:
    """The share missed before and during the test window, week by week."""
    rows = (
        (
            f"{week.monday:%d %B %Y}",
            f"{week.n:,}",
            f"{week.share_missed:.3f}",
            "" if week.mean_risk is None else f"{week.mean_risk:.3f}",
            "" if week.observed_over_expected is None else f"{week.observed_over_expected:.2f}",
        )
        for week in training.weeks[-_WEEKS_SHOWN:]
    )
    head = ("Week of", "Appointments", "Share missed", "Mean risk", "Missed for each predicted")
    return f"""
## The share missed by week

The mean risk is that of the calibration window ({training.split.calibrate}); later changes are not
predicted. The last {_WEEKS_SHOWN} weeks:

{markdown_table(head, rows)}
"""


def four_decimals(value: float | None) -> str:
    """A number to four decimals, or "not estimable"."""
    return "not estimable" if value is None or not np.isfinite(value) else f"{value:.4f}"


def markdown_table(head: tuple[str, ...], rows: Iterable[Iterable[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


_WEEKS_SHOWN = 12

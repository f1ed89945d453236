"""A training as CSV tables for an analyst: by group, by week, by share called; never by appointment."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from dnapredict.config.training import Worth
from dnapredict.formulas import neutral_cell
from dnapredict.risk.breakdown import by_group
from dnapredict.risk.calling import SHARES, Calls, net_benefit_curve, reach_by_week, together
from dnapredict.risk.cohort import EVERYONE, WEEKLY
from dnapredict.risk.drift import FEWEST
from dnapredict.risk.metrics import Figures
from dnapredict.risk.reliability import reliability
from dnapredict.risk.training import Training

__all__ = ["reach_table", "table", "tables"]

_FIGURES: Final = tuple(Figures.__dataclass_fields__)
_PLACES: Final = 6


def tables(training: Training, *, worth: Worth) -> Iterator[tuple[str, str]]:
    """File names and CSV text of every table; groups and weeks of fewer than 100 are not shown apart."""
    dna, risk = training.test_dna, training.test_probability
    yield (
        "figures-by-population.csv",
        table(("model", "population", *_FIGURES), _populations(training)),
    )
    groups = by_group(training.tested, risk)
    rows = ((g.grouping, g.name, *g.figures.as_dict().values(), g.observed_over_expected) for g in groups)
    yield "figures-by-group.csv", table(("grouping", "group", *_FIGURES, "observed_over_expected"), rows)
    yield "reach.csv", table(("population", "week", "calls", "n", "reach", "ppv"), _reach(training))
    weeks = (
        (week.monday, week.n, week.share_missed, week.mean_risk, week.observed_over_expected)
        for week in training.weeks
    )
    head = ("week", "n", "share_missed", "mean_risk", "observed_over_expected")
    yield "share-missed-by-week.csv", table(head, weeks)
    bins = ((b.n, b.mean_risk, b.share_missed, b.low, b.high) for b in reliability(dna, risk))
    yield "reliability.csv", table(("n", "mean_risk", "share_missed", "low", "high"), bins)
    yield "net-benefit.csv", table(("share", "pounds", "blind"), net_benefit_curve(dna, risk, worth=worth))


def reach_table(training: Training, population: str) -> Iterator[tuple[str, float, float]]:
    """For 5, 10 and 20 in 100 and the configured capacity: what weekly lists together reach, and PPV."""
    rows = training.tested.populations()[population]
    cohort, risk = training.tested.take(rows), training.test_probability[rows]
    if not cohort.dna.any():
        return
    for calls in _capacities(training.calls):
        found = together(reach_by_week(cohort, risk, calls=calls))
        yield str(calls), found.reach, found.ppv


def table(head: Sequence[str], rows: Iterable[Iterable[Any]]) -> str:
    """CSV text: numbers to six places, what is not known empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    for row in rows:
        writer.writerow(
            [round(cell, _PLACES) if isinstance(cell, float) else neutral_cell(cell) for cell in row]
        )
    return text.getvalue()


def _populations(training: Training) -> Iterator[tuple[Any, ...]]:
    for model, found in ({"this model": training.test} | training.baselines).items():
        for population, figures in found.items():
            yield (model, population, *figures.as_dict().values())


def _reach(training: Training) -> Iterator[tuple[Any, ...]]:
    populations = training.tested.populations()
    for population in (EVERYONE, WEEKLY):
        rows = populations[population]
        cohort, risk = training.tested.take(rows), training.test_probability[rows]
        for name, reach, ppv in reach_table(training, population):
            yield population, "every week", name, len(cohort), reach, ppv
        for calls in _capacities(training.calls):
            for week in reach_by_week(cohort, risk, calls=calls):
                if week.n >= FEWEST:
                    yield population, week.monday, str(calls), week.n, week.reach, week.ppv


def _capacities(configured: Calls) -> tuple[Calls, ...]:
    shares = tuple(Calls(share) for share in SHARES)
    return shares if configured in shares else (*shares, configured)

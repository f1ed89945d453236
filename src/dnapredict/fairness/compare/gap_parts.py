"""A gap in reach in parts that add up: how many points of it come from which cause.

Each part is the difference between the reach of two lists, of which the second mends one thing. Read from the group
to everyone else: (1) as it was called; (2) if its members were called as others of the same risk are (the rest is
*capacity*: who is called at the same risk); (3) if as many were expected as were missed (*level*); (4) if risks were as
spread out as outcomes are (*slope*); (5) if the model knew as much about the group as about others (*information*);
(6) everyone else, who miss more often (*need*). Intervals are from Poisson resamples of the counts.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from dnapredict.fairness.compare.risk_bins import RiskBins, fit_line, fit_shift

Floats = NDArray[np.float64]

_FEWEST_BINS: Final = 3
_NEARLY_NOBODY: Final = 1e-9
_FLATTEST: Final = 0.05  # a slope below this says nothing about how a risk would have to change


@dataclass(frozen=True)
class GapPoints:
    """Points of a gap by cause: (b,) each, the first as counted, the others of resamples. They add up to `gap`."""

    need: Floats
    information: Floats
    slope: Floats
    level: Floats
    capacity: Floats
    gap: Floats
    shift: Floats

    @property
    def beyond_need(self) -> Floats:
        """What lower need does not explain."""
        return np.asarray(self.gap - self.need)


def points_of(inside: RiskBins, outside: RiskBins) -> GapPoints | None:
    """The parts of the gap in reach between everyone else and a group, both in the same bins of risk.

    Positive points: the group is behind for that cause. None where either has nobody missed, everyone else nobody
    called, or there are too few different risks.
    """
    nobody = min(inside.missed[0].sum(), outside.missed[0].sum(), outside.called[0].sum()) == 0
    if nobody or len(inside.odds) < _FEWEST_BINS:
        return None
    base, steepness, _ = fit_line(outside.odds, outside.appointments[:1], outside.missed[:1])
    return _points(inside, outside, (float(base[0]), max(float(steepness[0]), _FLATTEST)))


def _points(inside: RiskBins, outside: RiskBins, line: tuple[float, float]) -> GapPoints:
    base, steepness = line
    odds = inside.odds
    lists = _Lists(outside, base + steepness * odds, steepness)
    missed, appointments = inside.missed, inside.appointments
    shift = fit_shift(lists.margin, appointments, missed)
    intercept, slope, _ = fit_line(lists.margin, appointments, missed)
    as_others = lists.reach(np.broadcast_to(odds, missed.shape), missed)
    level_right = lists.reach(odds + shift[:, None] / steepness, missed)
    stretched = (intercept[:, None] + slope[:, None] * lists.margin - base) / steepness
    # Risks that are more spread out than outcomes are noisy; to shrink them would call fewer, and is no cause of a gap.
    spread_right = lists.reach(stretched, missed) if slope[0] > 1 else level_right
    others, same_need = lists.reach_of_others(), lists.reach_of_others_with_need_of(inside)
    return GapPoints(
        need=others - same_need,
        information=same_need - spread_right,
        slope=spread_right - level_right,
        level=level_right - as_others,
        capacity=as_others - inside.reach + outside.reach - others,
        gap=outside.reach - inside.reach,
        shift=shift,
    )


@dataclass(frozen=True)
class _Lists:
    """Lists that call at each risk as many as are called of everyone else.

    `margin` are the log odds of missing that everyone else's outcomes show in each bin, `steepness` by how much they
    rise with the log odds of the stated risk.
    """

    outside: RiskBins
    margin: Floats
    steepness: float

    def reach(self, odds: Floats, missed: Floats) -> Floats:
        """(b,) reach of (b, k) missed appointments whose stated risks have the log odds `odds`."""
        rows, called = self.outside.appointments[0], self.outside.called[0]
        filled = rows > 0
        share = np.interp(odds, self.outside.odds[filled], called[filled] / rows[filled])
        return np.asarray((missed * share).sum(axis=-1) / np.maximum(missed.sum(axis=-1), _NEARLY_NOBODY))

    def reach_of_others(self) -> Floats:
        """(b,) reach of everyone else."""
        missed = self.outside.missed
        return self.reach(np.broadcast_to(self.outside.odds, missed.shape), missed)

    def reach_of_others_with_need_of(self, group: RiskBins) -> Floats:
        """(b,) reach of everyone else if they missed as often as the group does."""
        rows = self.outside.appointments
        # A resample of a handful of people may hold nobody.
        wanted = group.missed.sum(axis=-1) / np.maximum(group.appointments.sum(axis=-1), 1.0)
        had = np.maximum(self.outside.missed.sum(axis=-1), _NEARLY_NOBODY) / np.maximum(rows.sum(axis=-1), 1.0)
        need = fit_shift(self.margin, rows, (wanted / had)[:, None] * rows * expit(self.margin))[:, None]
        weight = self.outside.missed * expit(self.margin + need) / expit(self.margin)
        return self.reach(self.outside.odds + need / self.steepness, weight)

"""Test for shares of missed appointments that are too extreme to be chance.

Appointments of one day, or with one value of a column, are more alike than independent draws: snow, a strike, a
clinic for one group of patients. Their number missed is therefore taken as beta-binomial, with an intraclass
correlation that is estimated from the groups themselves and is never below a least one. Over all groups
together, an extract whose records are right is reported with a probability of at most `FALSE_ALARM` (Bonferroni).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import lgamma, log
from typing import Final

import numpy as np
from numpy.typing import NDArray

# Probability that one family of groups (all days, or all values of all columns) holds a false report.
FALSE_ALARM: Final = 0.001
# From this share on a group counts as "nearly all missed".
NEARLY_ALL: Final = 0.9
# Up to this part of the usual share a group counts as "hardly any missed".
HARDLY_ANY: Final = 0.05
# Groups from this size on with an extreme share are left out when the usual share is estimated.
_LARGE: Final = 50
# Of fewer groups the correlation cannot be estimated.
_ENOUGH_GROUPS: Final = 20


@dataclass(frozen=True)
class MissedCounts:
    """Appointments with a known outcome of each group, and how many of them were missed; arrays of one length."""

    known: NDArray[np.int64]
    missed: NDArray[np.int64]

    @property
    def share(self) -> NDArray[np.float64]:
        """Share missed of each group; 0 for an empty one."""
        shares: NDArray[np.float64] = self.missed / np.maximum(self.known, 1)
        return shares

    @property
    def overall_share(self) -> float:
        """Share missed over all groups; 0 if they are empty."""
        known = int(self.known.sum())
        return float(self.missed.sum() / known) if known else 0.0

    @property
    def usual_share(self) -> float:
        """Share missed without large groups in which nearly all or none were missed, which may be wrong.

        Where such groups hold most of the appointments they are the rule, and the share is that of all groups.
        """
        regular = self._regular()
        kept = MissedCounts(self.known[regular], self.missed[regular])
        is_rule = 2 * int(kept.known.sum()) > int(self.known.sum())
        return kept.overall_share if is_rule else self.overall_share

    def _regular(self) -> NDArray[np.bool_]:
        extreme = (self.known >= _LARGE) & ((self.share >= NEARLY_ALL) | (self.missed == 0))
        regular: NDArray[np.bool_] = (self.known > 0) & ~extreme
        return regular

    def correlation(self, *, least: float) -> float:
        """Intraclass correlation of the groups, by the method of moments; at least `least`, which few groups have.

        The tenth of the groups that is furthest from the usual share is left out, so that a wrong group does not
        excuse itself.
        """
        share = self.usual_share
        spread = share * (1 - share)
        if len(self.known) < _ENOUGH_GROUPS or spread == 0:
            return least
        known = self.known.astype(float)
        squares = (self.missed - known * share) ** 2
        order = np.argsort(squares / np.maximum(known, 1))[: len(known) - len(known) // 10]
        pairs = float((known * (known - 1))[order].sum()) * spread
        beyond = float((squares - known * spread)[order].sum())
        return float(np.clip(beyond / pairs, least, 0.5)) if pairs > 0 else least


def extreme_groups(
    counts: MissedCounts, *, usual_share: float, tests: int, least_correlation: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Masks of the groups in which nearly all, and hardly any, appointments are missed, beyond chance.

    Parameters
    ----------
    usual_share
        Share missed that is expected of a group.
    tests
        Number of groups that are tested together, these and others.
    least_correlation
        Intraclass correlation that is taken where the groups show less.
    """
    share = usual_share
    none = np.zeros(len(counts.known), dtype=bool)
    if not 0 < share < 1:
        return none, none
    limit = FALSE_ALARM / max(tests, 1) / 2
    shape = _beta(share, counts.correlation(least=least_correlation))
    nearly_all = (counts.known > 0) & (counts.share >= NEARLY_ALL)
    hardly_any = (counts.known > 0) & (counts.share <= HARDLY_ANY * share)
    above = [bool(is_high) and _upper_tail(m, n, shape) < limit for is_high, m, n in _rows(nearly_all, counts)]
    below = [bool(is_low) and _lower_tail(m, n, shape) < limit for is_low, m, n in _rows(hardly_any, counts)]
    return np.array(above, dtype=bool), np.array(below, dtype=bool)


def runs_without_missed(counts: MissedCounts, *, usual_share: float, least_correlation: float) -> list[slice]:
    """Groups that follow each other and in which none is missed, beyond chance: a small service, over weeks.

    The groups are in order and none is empty. With as many starts and lengths of a run as there are groups, an extract
    whose records are right is reported with a probability of at most `FALSE_ALARM` (Bonferroni).
    """
    size = len(counts.known)
    if not 0 < usual_share < 1 or not size:
        return []
    shape = _beta(usual_share, counts.correlation(least=least_correlation))
    none = np.concatenate([[False], counts.missed == 0, [False]]).astype(int)
    starts, ends = np.flatnonzero(np.diff(none) == 1), np.flatnonzero(np.diff(none) == -1)
    of_none = [_log_probability(0, known, shape) for known in counts.known.tolist()]
    limit = log(FALSE_ALARM) - 2 * log(size)
    runs = (slice(start, end) for start, end in zip(starts.tolist(), ends.tolist(), strict=True))
    return [run for run in runs if sum(of_none[run]) < limit]


def _rows(mask: NDArray[np.bool_], counts: MissedCounts) -> Iterator[tuple[bool, int, int]]:
    return zip(mask.tolist(), counts.missed.tolist(), counts.known.tolist(), strict=True)


def _beta(share: float, correlation: float) -> tuple[float, float]:
    """Parameters of the beta distribution of the groups' true shares."""
    total = (1 - correlation) / correlation
    return share * total, (1 - share) * total


def _upper_tail(missed: int, known: int, shape: tuple[float, float]) -> float:
    return _sum_of_probabilities(missed, known, known, shape)


def _lower_tail(missed: int, known: int, shape: tuple[float, float]) -> float:
    return _sum_of_probabilities(0, missed, known, shape)


def _sum_of_probabilities(first: int, last: int, known: int, shape: tuple[float, float]) -> float:
    """Probability of `first` to `last` missed, under the beta-binomial distribution.

    Each probability follows from the one before, since the gamma function of arrays would need SciPy, which takes
    longer to load than most extracts to check.
    """
    a, b = shape
    before = np.arange(first, last)
    ratios = (known - before) / (before + 1) * (before + a) / (known - before - 1 + b)
    logarithms = _log_probability(first, known, shape) + np.concatenate([[0.0], np.cumsum(np.log(ratios))])
    return float(np.exp(logarithms).sum())


def _log_probability(missed: int, known: int, shape: tuple[float, float]) -> float:
    a, b = shape
    choices = lgamma(known + 1) - lgamma(missed + 1) - lgamma(known - missed + 1)
    return choices + _log_beta(missed + a, known - missed + b) - _log_beta(a, b)


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def is_surely_above(count: int, total: int, share: float, *, error: float = FALSE_ALARM) -> bool:
    """Whether so many of `total` independent draws are too many for a true share of `share` or less.

    The probability of a wrong yes is at most `error`, by Chernoff's bound.

    >>> is_surely_above(8, 10, 0.3), is_surely_above(80, 100, 0.3)
    (False, True)
    """
    return total > 0 and count > share * total and total * _divergence(count / total, share) > -log(error)


def is_surely_below(count: int, total: int, share: float, *, error: float = FALSE_ALARM) -> bool:
    """Whether so many of `total` independent draws are too few for a true share of `share` or more.

    >>> is_surely_below(0, 30, 0.02), is_surely_below(0, 400, 0.02)
    (False, True)
    """
    return is_surely_above(total - count, total, 1 - share, error=error)


def _divergence(share: float, expected: float) -> float:
    """Kullback-Leibler divergence of two shares, in nats."""
    hit = share * log(share / expected) if share > 0 else 0.0
    miss = (1 - share) * log((1 - share) / (1 - expected)) if share < 1 else 0.0
    return hit + miss

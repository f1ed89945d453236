"""Test for shares of missed appointments that are too extreme to be chance.

Appointments of one day, or with one value of a column, are more alike than independent draws: snow, a strike, a
clinic for one group of patients. Their number missed is therefore taken as beta-binomial, with an intraclass
correlation that is estimated from the groups themselves and is never below a least one. Over all groups
together, an extract whose records are right is reported with a probability of at most `FALSE_ALARM` (Bonferroni).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, betaln, gammaln

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


def _rows(mask: NDArray[np.bool_], counts: MissedCounts) -> Iterator[tuple[bool, int, int]]:
    return zip(mask.tolist(), counts.missed.tolist(), counts.known.tolist(), strict=True)


def _beta(share: float, correlation: float) -> tuple[float, float]:
    """Parameters of the beta distribution of the groups' true shares."""
    total = (1 - correlation) / correlation
    return share * total, (1 - share) * total


def _upper_tail(missed: int, known: int, shape: tuple[float, float]) -> float:
    return _sum_of_probabilities(np.arange(missed, known + 1), known, shape)


def _lower_tail(missed: int, known: int, shape: tuple[float, float]) -> float:
    return _sum_of_probabilities(np.arange(missed + 1), known, shape)


def _sum_of_probabilities(missed: NDArray[np.int64], known: int, shape: tuple[float, float]) -> float:
    """Probability of any of these numbers missed, under the beta-binomial distribution."""
    a, b = shape
    choices = gammaln(known + 1) - gammaln(missed + 1) - gammaln(known - missed + 1)
    return float(np.exp(choices + betaln(missed + a, known - missed + b) - betaln(a, b)).sum())


def share_bounds(count: int, total: int, *, error: float = FALSE_ALARM) -> tuple[float, float]:
    """Clopper-Pearson limits of a share: each is passed with a probability of at most `error`.

    >>> low, high = share_bounds(0, 30)
    >>> low, round(high, 2)
    (0.0, 0.21)
    """
    if total == 0:
        return 0.0, 1.0
    low = 0.0 if count == 0 else float(betaincinv(count, total - count + 1, error))
    high = 1.0 if count == total else float(betaincinv(count + 1, total - count, 1 - error))
    return low, high

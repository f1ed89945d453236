"""Search all groups, their intersections and the sites for harm, with a known rate of false findings.

Among a thousand groups some always look bad. So the patients are divided into two halves: groups that look bad in one
half are judged on the other, of which the search saw nothing, and the other way round (honest splitting: Athey and
Imbens 2016, PNAS 113:7353). All groups that are judged are corrected together (Holm 1979), so that at most one audit in
twenty has any false finding, however many groups were searched (Kearns et al. 2018, ICML, on why intersections must
be; Efron 2010, Large-Scale Inference, on searching many). What looked worst has more of this rate than what came after.
A group is harmed where it is worse off by more than the policy's limit, and not only by chance.

Then what was found is explained by as few groups as possible: the group whose harm chance explains least is named, what
it has in common with the others is taken from them, and others stay only if they are harmed beyond it. A group of few
kinds is preferred to one of many (a penalty of the logarithm of how many were searched, as in minimum description
length), so that a whole site is named and not each group at it.
"""

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammainc, gammaincc

from dnapredict.config.fairness_policy import Policy
from dnapredict.fairness.compare.adjusted_effects import are_forecasts, band_levels, call_shares
from dnapredict.fairness.compare.multiple_testing import weighted_holm
from dnapredict.fairness.compare.searched_groups import Path, SearchedGroups, searched_groups
from dnapredict.fairness.measure.intervals import Interval, Ratio
from dnapredict.fairness.measure.pair_counts import HALVES, MEASURES, PairCounts

Floats = NDArray[np.float64]

_APPOINTMENTS, _MISSED, _SELECTED, _REACHED, _EXPECTED, _VARIANCE, _CLUSTERED = range(len(MEASURES))
ERROR_RATE: Final = 0.05  # audits with any false finding
_FEWEST_EXPECTED: Final = 8.0  # missed appointments in each half; below, nothing could be found
_WORTH_JUDGING: Final = -1.5  # gain in log likelihood, after the penalty, above which a group is judged
_MOST_FOUND: Final = 6
_NEARLY_AS_GOOD: Final = 6.0  # gain: groups this near to the best are judged with it
_MOST_NEAR: Final = 4
_WEIGHT_OF_FURTHER: Final = 0.25  # the error rate's share of candidates after the best
_STEADY_MISSED: Final = 300.0  # missed appointments' worth of everyone's clustering in a group's own
_LEAST_SPREAD: Final = 0.02
_REFITS: Final = 4
_LEAST_CALLS: Final = 0.5  # below this share of its calls a group is cut from them, however low reach is
_LEAST_VARIANCE: Final = 0.05


class HarmKind(StrEnum):
    """A way in which a group is worse off."""

    UNDER_SCORED = "under-scored"
    FEWER_CALLS = "fewer calls than its risks would give"


@dataclass(frozen=True)
class FoundHarm:
    """A group that is worse off than most people, and that no other group explains.

    Attributes
    ----------
    path : grouping and code of each of its parts: one, or the groups whose intersection it is
    harm : in which way
    ratio : observed over expected, adjusted for the other findings; of missed appointments, or of calls
    p_value : corrected for all groups that were judged
    appointments, missed : exact counts; to be rounded and checked before they are printed
    """

    path: Path
    harm: HarmKind
    ratio: Ratio
    p_value: float
    appointments: float
    missed: float

    def interval(self, z: float) -> Interval | None:
        """The range of `ratio`."""
        return self.ratio.interval(z)


@dataclass(frozen=True)
class HarmLimits:
    """How much worse off a group may be: missed over expected, and calls over those that its risks would give."""

    under_scored: float = 1.10
    fewer_calls: float = 0.85

    @classmethod
    def of(cls, policy: Policy, pairs: PairCounts) -> "HarmLimits":
        """The policy's limits: of calibration, and the gap in reach as a share of everyone's reach."""
        reach = pairs.total("reached") / max(pairs.total("missed"), 1.0)
        fewest = 1 - policy.limits.reach.max_harm_gap / reach if reach > 0 else 0.0
        return cls(policy.limits.calibration.high, max(fewest, _LEAST_CALLS))


@dataclass(frozen=True)
class _Figures:
    """Observed and expected of every searched group in each half: (groups, halves).

    Harm is more than expected where `sign` is 1, and fewer, as of calls, where it is -1. `squares` are sums of squared
    chances, by which a sum of outcomes varies less than a Poisson count, and `clustering` (groups, 1) how much more it
    varies since a patient's appointments are alike.
    """

    observed: Floats
    expected: Floats
    squares: Floats
    clustering: Floats
    limit: float
    sign: int

    def variance(self, factor: Floats, halves: Sequence[int]) -> Floats:
        """(groups,) variance of what is observed where every chance is `factor` times what it is for most people."""
        expected = self.expected[:, list(halves)].sum(axis=1) * factor
        squares = self.squares[:, list(halves)].sum(axis=1) * factor**2
        # Chances cannot be above 1, so that their squares are no more than nearly all of them.
        return np.asarray(self.clustering[:, 0] * np.maximum(expected - squares, _LEAST_VARIANCE * expected))


@dataclass(frozen=True)
class _Judged:
    """A candidate that was found in one half, judged on the other; the best has more of the error rate."""

    group: int
    half: int  # on which it is judged
    weight: float = 1.0
    level: float = 0.0  # of the p-value at which it is confirmed if no other candidate is


def search_harms(
    pairs: PairCounts, *, limits: HarmLimits | None = None, called_by: str | None = None
) -> tuple[FoundHarm, ...]:
    """The groups that are harmed and that no other group explains, the most certain first.

    `called_by` is a grouping by which calls are shared on purpose, such as the deciles of deprivation: what it does to
    calls is no harm.

    Empty in a fair world in at least 19 of 20 audits; `benchmarks/harm_search.py` shows it by simulation.
    """
    if not are_forecasts(pairs):
        return ()
    groups = searched_groups(pairs, fewest_expected=_FEWEST_EXPECTED)
    if not groups.paths:
        return ()
    bounds = limits or HarmLimits()
    searches = {
        HarmKind.UNDER_SCORED: _Search(groups, _under_scored(groups, bounds.under_scored)),
        HarmKind.FEWER_CALLS: _Search(groups, _fewer_calls(groups, bounds.fewer_calls), meant=called_by),
    }
    confirmed: dict[HarmKind, list[_Judged]] = {harm: [] for harm in searches}
    for half in range(HALVES):
        for harm, one in _confirmed(searches, half=half):
            confirmed[harm].append(one)
    found = [finding for harm, search in searches.items() for finding in search.explained(confirmed[harm], harm=harm)]
    return tuple(sorted(found, key=lambda finding: finding.p_value))


def _confirmed(searches: Mapping[HarmKind, "_Search"], *, half: int) -> Iterator[tuple[HarmKind, _Judged]]:
    """The candidates for any harm from the other half that hold on this one, each half with half of the error rate."""
    flat = [(harm, one) for harm, search in searches.items() for one in search.candidates(half)]
    weights = [one.weight for _, one in flat]
    adjusted = weighted_holm([searches[harm].p_value(one, searches[harm].given) for harm, one in flat], weights)
    level = ERROR_RATE / HALVES
    for (harm, one), p_value in zip(flat, adjusted, strict=True):
        if p_value <= level:
            yield harm, replace(one, level=level * one.weight / sum(weights))


def _under_scored(groups: SearchedGroups, limit: float) -> _Figures:
    levels = band_levels(groups.pairs)
    observed = groups.sums[..., _MISSED].sum(axis=1)
    expected = np.einsum("gbh,b->gh", groups.sums[..., _EXPECTED], levels)
    independent = np.einsum("gbh,b->gh", groups.sums[..., _VARIANCE], levels)
    clustered = groups.sums[..., _CLUSTERED].sum(axis=1)
    clustering = _clustering(groups, clustered, independent)
    return _Figures(observed, expected, expected - independent, clustering, limit, sign=1)


def _clustering(groups: SearchedGroups, clustered: Floats, independent: Floats) -> Floats:
    """(groups, 1) patient-clustered over independent variance, steadied by that of everyone, at least 1.

    The clustered variance of a group that is under-scored is larger since more miss; relative to these it is not.
    """
    everyone = max(1.0, groups.pairs.total("clustered") / groups.pairs.total("variance"))
    missed = groups.sums[..., _MISSED].sum(axis=(1, 2))
    expected = np.maximum(groups.sums[..., _EXPECTED].sum(axis=(1, 2)), 1e-9)
    own = clustered.sum(axis=1) / np.maximum(independent.sum(axis=1) * np.maximum(missed / expected, 0.5), 1e-9)
    steadied = (own * missed + everyone * _STEADY_MISSED) / (missed + _STEADY_MISSED)
    return np.asarray(np.maximum(steadied, 1.0)[:, None])


def _fewer_calls(groups: SearchedGroups, limit: float) -> _Figures:
    share = call_shares(groups.pairs)
    observed = groups.sums[..., _SELECTED].sum(axis=1)
    expected = np.einsum("gbh,b->gh", groups.sums[..., _APPOINTMENTS], share)
    squares = np.einsum("gbh,b->gh", groups.sums[..., _APPOINTMENTS], share**2)
    clustering = np.full((len(groups.paths), 1), groups.pairs.reach_design_effect())
    return _Figures(observed, expected, squares, clustering, limit, sign=-1)


@dataclass
class _Search:
    """The search for one harm. `Ratios` are of groups that were found, by their index."""

    groups: SearchedGroups
    figures: _Figures
    meant: str | None = None  # the grouping whose ratios are meant, and no harm
    _overlap: dict[int, Floats] = field(default_factory=dict)

    @functools.cached_property
    def given(self) -> dict[int, float]:
        """The ratios that are meant, of the groups of `meant`."""
        observed, expected = self.figures.observed.sum(axis=1), self.figures.expected.sum(axis=1)
        return {
            group: float(observed[group] / max(expected[group], 1e-9))
            for group, path in enumerate(self.groups.paths)
            if len(path) == 1 and path[0][0] == self.meant
        }

    def candidates(self, half: int) -> list[_Judged]:
        """What looks bad in the other half, to be judged on this one."""
        return [
            _Judged(group, half, weight=_WEIGHT_OF_FURTHER if place else 1.0)
            for place, group in enumerate(self._looking_bad(1 - half))
        ]

    def _looking_bad(self, half: int) -> Iterator[int]:
        """The group that gains most, and those nearly as good; then what gains most given the first, and so on."""
        seen: set[int] = set()
        found: list[int] = []
        for _ in range(_MOST_FOUND):
            explained = self._refitted(found, halves=[half])
            gain = self._gain(explained, halves=[half])
            gain[list(explained)] = -np.inf
            best = int(gain.argmax())
            if gain[best] <= _WORTH_JUDGING:
                return
            near = np.flatnonzero(gain > max(gain[best] - _NEARLY_AS_GOOD, _WORTH_JUDGING))
            for group in sorted(near.tolist(), key=lambda one: -gain[one])[: _MOST_NEAR + 1]:
                if group not in seen:
                    seen.add(group)
                    yield group
            found.append(best)

    def _gain(self, explained: Mapping[int, float], halves: Sequence[int]) -> Floats:
        """(groups,) half the squared z, less the penalty of the group's kind; minus infinity where it is no harm."""
        observed, expected, variance = self._sums(explained, halves)
        excess = self.figures.sign * (observed - expected)
        beyond = self.figures.sign * (observed - self.figures.limit * expected)
        gain = 0.5 * excess**2 / np.maximum(variance, 1e-9) - np.log(self.groups.kind_sizes)
        return np.where((beyond > 0) & (expected > 0), gain, -np.inf)

    def _sums(self, explained: Mapping[int, float], halves: Sequence[int]) -> tuple[Floats, Floats, Floats]:
        """Observed, expected and variance in these halves, given the ratios of the groups that explain."""
        observed, expected = (
            values[:, list(halves)].sum(axis=1) for values in (self.figures.observed, self.figures.expected)
        )
        # Fewer are expected of most people where one group has more than its share of the total.
        factor = self._factor(explained) / self._everyone(explained)
        return observed, expected * factor, self.figures.variance(factor, halves)

    def _factor(self, explained: Mapping[int, float]) -> Floats:
        factor = np.ones(len(self.groups.paths))
        for group, ratio in explained.items():
            factor += (ratio - 1) * self._shares(group)
        return np.maximum(factor, 0.05)

    def _everyone(self, explained: Mapping[int, float]) -> float:
        """How much the harmed groups raise (or lower) what everyone has."""
        total = float(self._total())
        raised = sum(
            (ratio - 1) * float(self.figures.expected[group].sum()) / total for group, ratio in explained.items()
        )
        return max(1 + raised, 0.05)

    def _total(self) -> float:
        return sum(self.groups.pairs.total(name) for name in (("missed",) if self.figures.sign > 0 else ("selected",)))

    def _shares(self, other: int) -> Floats:
        if other not in self._overlap:
            self._overlap[other] = self.groups.overlaps(other)
        return self._overlap[other]

    def _refitted(self, found: Sequence[int], halves: Sequence[int]) -> dict[int, float]:
        """The ratio of each found group given the others, against most people."""
        ratios = self.given | dict.fromkeys(found, 1.0)
        for _ in range(_REFITS):
            for group in found:
                others = {other: ratio for other, ratio in ratios.items() if other != group}
                observed, expected, _ = self._sums(others, halves)
                # The group's own share in the total is left out of what is expected of it.
                own = float(self.figures.expected[group].sum()) / self._total()
                level = 1 + own * (ratios[group] - 1)
                ratios[group] = float(observed[group] / max(expected[group], 1e-9)) * level
        return ratios

    def p_value(self, one: _Judged, explained: Mapping[int, float]) -> float:
        """One-sided p-value, on the half that judges, for being worse off than most people by more than the limit.

        By the gamma distribution, which is skewed as small counts are, and exact for Poisson counts.
        """
        if one.group in explained:
            return 1.0
        factor = self.figures.limit * self._factor(explained) / self._everyone(explained)
        observed = float(self.figures.observed[one.group, one.half])
        mean = max(float(self.figures.expected[one.group, one.half] * factor[one.group]), 1e-9)
        # Where all or none are called in a band, no chance is left by the bands; within them some always is.
        spread = max(float(self.figures.variance(factor, [one.half])[one.group]) / mean, _LEAST_SPREAD)
        if self.figures.sign > 0:
            spread = max(spread, 1.0)
            return float(gammainc(max(observed / spread, 1e-9), mean / spread))
        return float(gammaincc((observed + 1) / spread, mean / spread))

    def explained(self, confirmed: Sequence[_Judged], *, harm: HarmKind) -> Iterator[FoundHarm]:
        """As few of the confirmed groups as explain all of them."""
        both = list(range(HALVES))
        found: list[int] = []
        while len(found) < _MOST_FOUND:
            ratios = self._refitted(found, both)
            left = [one for one in confirmed if one.group not in found and self.p_value(one, ratios) <= one.level]
            if found and not left:
                break
            candidates = left or list(confirmed)
            if not candidates:
                return
            gain = self._gain(ratios, both)
            best = max(candidates, key=lambda one: gain[one.group])
            found.append(best.group)
            found = self._still_needed(found, confirmed)
        for group in found:
            yield self._finding(group, found, confirmed, harm=harm)

    def _still_needed(self, found: Sequence[int], confirmed: Sequence[_Judged]) -> list[int]:
        """Those that are harmed beyond what the others explain."""
        kept = list(found)
        for group in list(found[:-1]):
            ratios = self._refitted([other for other in kept if other != group], list(range(HALVES)))
            if self._corrected_p(group, ratios, confirmed) > ERROR_RATE:
                kept.remove(group)
        return kept

    def _corrected_p(self, group: int, ratios: Mapping[int, float], confirmed: Sequence[_Judged]) -> float:
        """The least p-value of a group on either half, corrected for all that was judged."""
        own = [one for one in confirmed if one.group == group]
        return min((min(1.0, self.p_value(one, ratios) * ERROR_RATE / one.level) for one in own), default=1.0)

    def _finding(self, group: int, found: Sequence[int], confirmed: Sequence[_Judged], *, harm: HarmKind) -> FoundHarm:
        both = list(range(HALVES))
        ratios = self._refitted(found, both)
        ratio = ratios.pop(group)
        observed, _, variance = (float(values[group]) for values in self._sums(ratios, both))
        sums = self.groups.sums[group].sum(axis=(0, 1))
        return FoundHarm(
            path=self.groups.paths[group],
            harm=harm,
            ratio=Ratio(observed, observed / max(ratio, 1e-9), math.sqrt(max(variance, observed)) / max(observed, 1.0)),
            p_value=self._corrected_p(group, ratios, confirmed),
            appointments=float(sums[_APPOINTMENTS]),
            missed=float(sums[_MISSED]),
        )

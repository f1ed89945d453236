"""Effects of all groups, adjusted for each other and for the mix of clinics, from counts of pairs.

Where one age band is under-scored, every ethnic group that is older looks under-scored too. So the effects of all
groups are estimated together: what is expected in a group is adjusted for what the other groupings add to it, in
proportion to what both have in common. The effects of one grouping are drawn towards each other as far as chance
explains their differences (partial pooling: random effects by grouping with the variance of DerSimonian and Laird 1986;
Gelman and Hill 2007, Data Analysis Using Regression, chapter 12); the effect that is reported of a group is not.
Effects are against most people: the middle of each grouping's effects, weighted by size. Against the mean, a large
group that is under-scored would make all others look over-scored.

The groupings of the service (site, specialty, lead time) stand among the others, so that effects are standardised by
them. Where they explain a gap in reach, as in Simpson's paradox, `AdjustedEffect.mix` says how much of it.
"""

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from dnapredict.fairness.measure.groupings import DERIVED, GROUPINGS
from dnapredict.fairness.measure.intervals import Interval, RateDifference, Ratio, z_of
from dnapredict.fairness.measure.pair_counts import EVERYONE, MEASURES, SERVICE, PairCounts
from dnapredict.model.evaluate.logistic import between_group_variance

Floats = NDArray[np.float64]
Key = tuple[str, str]

_APPOINTMENTS, _MISSED, _SELECTED, _REACHED, _EXPECTED, _VARIANCE, _CLUSTERED = range(len(MEASURES))
# Appointments' worth of the overall level with which the level of each band of risk is steadied.
_STEADY: Final = 20.0
_SWEEPS: Final = 60
_SETTLED: Final = 1e-5
_FARTHEST: Final = 5.0  # log odds
_HALVINGS: Final = 50


@dataclass(frozen=True)
class AdjustedEffect:
    """What is particular to a group, all other groups and the mix of clinics taken into account.

    Attributes
    ----------
    missed, expected : missed appointments, and those expected after adjustment; relative to everyone's outcomes at
        the same risk, so that a drift of all risks is no effect of a group
    reach : points of reach against most people; below 0 is reached less
    called : points of reach against most people at the same risk; below 0 is called less than its risks would give
    mix : points of reach that the group's mix of sites, specialties and lead times gives it, against everyone's mix
    crude : points of reach against everyone, not adjusted
    share : share of all missed appointments
    """

    missed: float
    expected: float
    log_error: float
    reach: RateDifference
    called: RateDifference
    mix: RateDifference
    crude: RateDifference
    share: float

    @property
    def standardised_gap(self) -> Interval | None:
        """How much lower reach is than everyone else's if all went to the same clinics, with its 95% interval."""
        if self.share >= 1:
            return None
        # Against everyone else, and not against everyone: the group is a part of everyone.
        others = 1 / (1 - self.share)
        value, error = (self.mix.value - self.crude.value) * others, math.hypot(self.crude.error, self.mix.error)
        return RateDifference(value, error * others).interval(z_of(0.95))


class AdjustedEffects(Mapping[Key, AdjustedEffect]):
    """The effect of each group by grouping and code; unions such as Core20 too.

    All groups are fitted together when an effect is first asked for; the effect of a group is computed then, too.
    """

    def __init__(self, pairs: PairCounts) -> None:
        """The effects of all groups; there are none where the risks are no forecasts."""
        self._pairs = pairs
        self._found: dict[Key, AdjustedEffect] = {}
        self._groups: dict[Key, tuple[int, ...]] = {}
        if pairs.groupings and are_forecasts(pairs):
            self._groups = _groups(pairs)

    @functools.cached_property
    def _scores(self) -> "dict[str, _Scores]":
        return {
            "risk": _risk(self._pairs),
            "reach": _reach(self._pairs, by_risk=False),
            "called": _reach(self._pairs, by_risk=True),
        }

    @functools.cached_property
    def _fitted(self) -> "dict[str, _Pooled]":
        return {name: _pooled(scores) for name, scores in self._scores.items()}

    def __getitem__(self, key: Key) -> AdjustedEffect:
        if key not in self._found:
            self._found[key] = _effect(self._groups[key], self._pairs, self._scores, self._fitted)
        return self._found[key]

    def __iter__(self) -> Iterator[Key]:
        return iter(self._groups)

    def __len__(self) -> int:
        return len(self._groups)

    def level(self, grouping: str, code: str) -> RateDifference:
        """Log odds by which outcomes are above the risks, against most people; above 0 is under-scored."""
        one = self[grouping, code]
        ratio = Ratio(one.missed, one.expected, one.log_error)
        return _level(self._groups[grouping, code], self._pairs, ratio)


def adjusted_effects(pairs: PairCounts) -> AdjustedEffects:
    """The effects of all groups of `pairs` on outcomes, reach and calls, adjusted for each other.

    One pass of sums is enough: a group's own effect is its observed over its expected, which needs no model; the
    effects of others enter through the expected numbers that both groups share.
    """
    return AdjustedEffects(pairs)


def are_forecasts(pairs: PairCounts) -> bool:
    """Whether outcomes can differ from risks by chance: some were missed, and not all risks are 0 or 1."""
    return min(pairs.total("missed"), pairs.total("expected"), pairs.total("variance")) > 0


@dataclass(frozen=True)
class _Scores:
    """Observed and expected of every column, and what pairs of columns have in common.

    `shared[a, d]` is the share of a's expected (or missed) that is also in d, 0 within a grouping. On the log scale a
    factor multiplies what is expected; otherwise points are added.
    """

    observed: Floats
    expected: Floats
    base: Floats  # what effects are relative to: expected on the log scale, else the number of missed
    variance: Floats
    shared: Floats
    blocks: tuple[slice, ...]
    logarithmic: bool

    def added(self, block: slice, effects: Floats) -> Floats:
        """What the effects of a grouping add to each column: log factors, or points."""
        shared = self.shared[..., block]
        if not self.logarithmic:
            return np.asarray(shared @ effects[block])
        return np.asarray(np.log1p(shared @ np.expm1(effects[block])))

    def added_by_each(self, effects: Floats, shared: Floats) -> Floats:
        """What the effects of every grouping add to a group that has `shared` in common with the columns."""
        starts = [block.start for block in self.blocks]
        if not self.logarithmic:
            return np.asarray(np.add.reduceat(shared * effects, starts))
        return np.asarray(np.log1p(np.add.reduceat(shared * np.expm1(effects), starts)))


def _blocks(pairs: PairCounts) -> tuple[slice, ...]:
    ends = np.cumsum([0, *(len(pairs.codes(name)) for name in pairs.groupings)])
    return tuple(slice(int(a), int(b)) for a, b in itertools.pairwise(ends))


def band_levels(pairs: PairCounts) -> Floats:
    """(bands,) missed over expected of everyone in each band of risk, steadied by the overall level."""
    bands = pairs.single(EVERYONE)[0].sum(axis=1)
    level = bands[:, _MISSED].sum() / bands[:, _EXPECTED].sum()
    return np.asarray((bands[:, _MISSED] + _STEADY * level) / (bands[:, _EXPECTED] + _STEADY))


def call_shares(pairs: PairCounts) -> Floats:
    """(bands,) share of everyone's appointments that is called in each band of risk."""
    bands = pairs.single(EVERYONE)[0].sum(axis=1)
    shares: Floats = np.divide(
        bands[:, _SELECTED], bands[:, _APPOINTMENTS], out=np.zeros(len(bands)), where=bands[:, _APPOINTMENTS] > 0
    )
    return shares


def _of_singles(pairs: PairCounts, of: Callable[[Floats], Floats]) -> Floats:
    """A number of each column from its sums by band (codes, bands, measures)."""
    return np.concatenate([of(pairs.single(name).sum(axis=2)) for name in pairs.groupings])


def _risk(pairs: PairCounts) -> _Scores:
    levels = band_levels(pairs)
    expected = _of_singles(pairs, lambda sums: sums[..., _EXPECTED] @ levels)
    clustered = _of_singles(pairs, lambda sums: sums[..., _CLUSTERED].sum(axis=1))
    variance = _of_singles(pairs, lambda sums: sums[..., _VARIANCE] @ levels)
    matrix = pairs.matrix("expected")
    shared = matrix / np.maximum(np.diag(matrix), 1e-9)[:, None]
    return _Scores(
        observed=_of_singles(pairs, lambda sums: sums[..., _MISSED].sum(axis=1)),
        expected=expected,
        base=expected,
        variance=np.maximum(clustered, variance),
        shared=_without_own(shared, _blocks(pairs)),
        blocks=_blocks(pairs),
        logarithmic=True,
    )


def _reach(pairs: PairCounts, *, by_risk: bool) -> _Scores:
    """Reached among the missed: against everyone's reach, or against the calls that equal risks get."""
    missed = _of_singles(pairs, lambda sums: sums[..., _MISSED].sum(axis=1))
    reach = pairs.total("reached") / pairs.total("missed")
    calls = call_shares(pairs)
    # Calls of the missed in a band may differ a little from those of all: both levels are then everyone's own.
    everyone = pairs.single(EVERYONE)[0].sum(axis=1)[:, _MISSED] @ calls
    scale = pairs.total("reached") / everyone if everyone > 0 else 0.0
    by_band = _of_singles(pairs, lambda sums: sums[..., _MISSED] @ calls) * scale
    chance = _of_singles(pairs, lambda sums: sums[..., _MISSED] @ (calls * (1 - calls)))
    return _Scores(
        observed=_of_singles(pairs, lambda sums: sums[..., _REACHED].sum(axis=1)),
        expected=by_band if by_risk else missed * reach,
        base=missed,
        variance=pairs.reach_design_effect() * (chance if by_risk else missed * reach * (1 - reach)),
        shared=_without_own(pairs.matrix("missed") / np.maximum(missed, 1)[:, None], _blocks(pairs)),
        blocks=_blocks(pairs),
        logarithmic=False,
    )


def _without_own(shared: Floats, blocks: Sequence[slice]) -> Floats:
    for block in blocks:
        shared[block, block] = 0.0
    return shared


@dataclass(frozen=True)
class _Pooled:
    """Effects of all columns, drawn together within each grouping, and their remaining variance."""

    effects: Floats
    variance: Floats
    level: float = 0.0  # of most people: what is left where all effects are 0


def _pooled(scores: _Scores) -> _Pooled:
    """Backfitting (Breiman and Friedman 1985): each grouping in turn, given the effects of the others."""
    columns = len(scores.base)
    effects, left, level = np.zeros(columns), np.zeros(columns), 0.0
    added = np.zeros((len(scores.blocks), columns))
    for _ in range(_SWEEPS):
        before = effects.copy()
        for number, block in enumerate(scores.blocks):
            others = added.sum(axis=0) - added[number]
            value, variance = _own(scores, block, level + others[block])
            drawn, left[block] = _drawn_together(value, variance)
            effects[block] = drawn - _middle(drawn, scores.base[block])
            added[number] = scores.added(block, effects)
        level = _level_of_most(scores, effects + added.sum(axis=0))
        if np.abs(effects - before).max() < _SETTLED:
            break
    return _Pooled(effects, left, level)


def _middle(values: Floats, weights: Floats) -> float:
    """Weighted median: the value below which half of the weight lies."""
    order = np.argsort(values)
    below = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(below, below[-1] / 2)])


def _level_of_most(scores: _Scores, added: Floats) -> float:
    """The level at which all groups of a grouping, with their effects, add up to what was observed; over groupings."""
    levels = []
    for block in scores.blocks:
        observed, expected = scores.observed[block].sum(), scores.expected[block]
        if scores.logarithmic:
            levels.append(math.log((observed + 0.5) / (float(expected @ np.exp(added[block])) + 0.5)))
        else:
            missed = scores.base[block]
            levels.append(float(observed - expected.sum() - missed @ added[block]) / max(float(missed.sum()), 0.5))
    return float(np.mean(levels))


def _own(scores: _Scores, block: slice, added: Floats) -> tuple[Floats, Floats]:
    """The effect of each column of a grouping and its variance, given what the others and the level add."""
    observed, expected, base = scores.observed[block], scores.expected[block], scores.base[block]
    if scores.logarithmic:
        adjusted = expected * np.exp(added)
        # Half a missed appointment on either side, so that a small group with none has an effect.
        return np.log((observed + 0.5) / (adjusted + 0.5)), np.maximum(scores.variance[block], 0.25) / (
            adjusted + 0.5
        ) ** 2
    missed = np.maximum(base, 0.5)
    return (observed - expected) / missed - added, np.maximum(scores.variance[block], 0.25) / missed**2


def _drawn_together(value: Floats, variance: Floats) -> tuple[Floats, Floats]:
    """Effects of one grouping about their mean, shrunken by how far chance explains their differences."""
    if len(value) < 2:
        return np.zeros_like(value), np.zeros_like(value)
    between = between_group_variance(value, variance).variance
    weight = 1 / (between + variance)
    mean = float((weight * value).sum() / weight.sum())
    kept = between / (between + variance)
    return kept * (value - mean), kept * variance


def _groups(pairs: PairCounts) -> dict[Key, tuple[int, ...]]:
    """Columns of every group: its own, or those that a union is made of."""
    at = {column: place for place, column in enumerate(pairs.columns)}
    groups: dict[Key, tuple[int, ...]] = {column: (place,) for column, place in at.items()}
    for key, members in union_groups(pairs).items():
        groups[key] = tuple(at[DERIVED[key[0]], code] for code in members)
    return groups


def union_groups(pairs: PairCounts) -> dict[Key, tuple[str, ...]]:
    """The codes that each group of a derived grouping is made of: Core20 of deciles 1 and 2."""
    found: dict[Key, tuple[str, ...]] = {}
    for part in GROUPINGS:
        if part.name not in pairs.groupings:
            continue
        for group in part.groups:
            if group.code in pairs.codes(part.name):
                for larger in group.within:
                    found[larger] = (*found.get(larger, ()), group.code)
    return {key: codes for key, codes in found.items() if DERIVED.get(key[0]) in pairs.groupings}


def _effect(
    members: tuple[int, ...], pairs: PairCounts, scores: Mapping[str, _Scores], fitted: Mapping[str, _Pooled]
) -> AdjustedEffect:
    places = list(members)
    risk = scores["risk"]
    added, error = _of_others(places, risk, fitted["risk"], risk.blocks)
    added += fitted["risk"].level
    observed, expected = float(risk.observed[places].sum()), float(risk.expected[places].sum() * math.exp(added))
    spread = math.sqrt(float(risk.variance[places].sum()))
    log_error = math.hypot(spread / observed, error) if observed > 0 else math.inf
    reach, called = (_points(places, scores[name], fitted[name]) for name in ("reach", "called"))
    missed = scores["reach"]
    mix = _mix(places, missed, fitted["reach"], _service_blocks(pairs))
    number = max(float(missed.base[places].sum()), 0.5)
    crude = float((missed.observed - missed.expected)[places].sum()) / number
    return AdjustedEffect(
        missed=observed,
        expected=expected,
        log_error=log_error,
        reach=reach,
        called=called,
        mix=mix,
        crude=RateDifference(crude, math.sqrt(max(float(missed.variance[places].sum()), 0.25)) / number),
        share=number / max(pairs.total("missed"), 0.5),
    )


def _service_blocks(pairs: PairCounts) -> tuple[slice, ...]:
    return tuple(block for name, block in zip(pairs.groupings, _blocks(pairs), strict=True) if name in SERVICE)


def _mix(places: Sequence[int], missed: _Scores, fitted: _Pooled, service: Sequence[slice]) -> RateDifference:
    """Points of reach from where a group's appointments are; 0 for a site or specialty itself."""
    if any(block.start <= places[0] < block.stop for block in service):
        return RateDifference(0.0, 0.0)
    added, error = _of_others(places, missed, fitted, service)
    everyone = sum(
        float(missed.base[block] @ fitted.effects[block]) / max(float(missed.base[block].sum()), 0.5)
        for block in service
    )
    return RateDifference(added - everyone, error)


def _of_others(places: Sequence[int], scores: _Scores, fitted: _Pooled, blocks: Sequence[slice]) -> tuple[float, float]:
    """What the effects of `blocks` add to a group, and the standard error of that."""
    weight = scores.base[list(places)]
    total = float(weight.sum())
    if total <= 0:
        return 0.0, 0.0
    shared = weight @ scores.shared[list(places)] / total
    taken = np.array([block in blocks for block in scores.blocks])
    added = float(scores.added_by_each(fitted.effects, shared)[taken].sum())
    variance = np.add.reduceat(shared**2 * fitted.variance, [block.start for block in scores.blocks])[taken].sum()
    return added, math.sqrt(float(variance))


def _points(places: Sequence[int], scores: _Scores, fitted: _Pooled) -> RateDifference:
    """Points of a group beyond what is expected and what others add."""
    added, error = _of_others(places, scores, fitted, scores.blocks)
    number = max(float(scores.base[list(places)].sum()), 0.5)
    own = float((scores.observed - scores.expected)[list(places)].sum()) / number
    chance = math.sqrt(max(float(scores.variance[list(places)].sum()), 0.25)) / number
    return RateDifference(own - added - fitted.level, math.hypot(chance, error))


def _level(places: Sequence[int], pairs: PairCounts, ratio: Ratio) -> RateDifference:
    """The shift of the log odds of a group's risks that gives as many as were missed, by halving over the bands."""
    name, codes = pairs.columns[places[0]][0], [pairs.columns[place][1] for place in places]
    rows = [pairs.codes(name).index(code) for code in codes]
    bands = pairs.single(name)[rows].sum(axis=(0, 2))
    filled = bands[:, _APPOINTMENTS] > 0
    bands, expected = bands[filled], (bands[:, _EXPECTED] * band_levels(pairs))[filled]
    number, missed = bands[:, _APPOINTMENTS], float(bands[:, _MISSED].sum())
    mean = np.clip(expected * ratio.denominator / expected.sum() / number, 1e-9, 1 - 1e-9)
    low, high = -_FARTHEST, _FARTHEST
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if float(number @ expit(logit(mean) + middle)) < missed else (low, middle)
    shifted = expit(logit(mean) + low)
    slope = float(number @ (shifted * (1 - shifted))) / max(float(number @ shifted), 1e-9)
    return RateDifference(low, ratio.log_error / max(slope, 1e-9))

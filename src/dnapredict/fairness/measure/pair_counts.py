"""Sums in every pair of groups: additive integers from which effects are adjusted and harm is searched.

A grouping divides the appointments, and two groupings cross to a table of cells. Each cell holds sums of integers,
apart for a band of risk and for each half of the patients. Sums of two trusts add up to those of their pooled rows,
whatever the order of rows, since probabilities are summed as scaled integers.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from dnapredict.fairness.measure.audited_appointments import WEIGHT_PARTS
from dnapredict.fairness.measure.groupings import DERIVED, GROUPINGS, LEAD, PLACE_GROUPINGS

HALVES: Final = 2
# Upper ends of the bands of risk, at which calls and outcomes of equal risks are compared.
BAND_ENDS: Final = (
    *(0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.09, 0.10, 0.115, 0.13, 0.15),
    *(0.17, 0.20, 0.23, 0.27, 0.32, 0.40, 0.50, 0.65),
)
BANDS: Final = len(BAND_ENDS) + 1
# `clustered` is each appointment's residual (missed minus risk) times the sum of its patient's residuals: over a
# group it adds up to the patient-clustered variance of missed minus expected, whatever the group.
MEASURES: Final = ("appointments", "missed", "selected", "reached", "expected", "variance", "clustered")
OVERLAPS: Final = ("expected", "variance")
# Sums over patients of products of their own sums, for the design effect of reach and of calls.
CLUSTERS: Final = ("missed_missed", "missed_reached", "reached_reached")
# Probabilities and residuals are summed as integers: multiples of one part in so many.
RISK_SCALE: Final = 10**9
RESIDUAL_SCALE: Final = 10**3
_SCALES: Final = np.array([*[WEIGHT_PARTS] * 4, RISK_SCALE, RISK_SCALE, RESIDUAL_SCALE**2], dtype=np.float64)
# The one crossing of three groupings that is searched for harm.
TRIPLE: Final = ("ethnicity", "sex", "core20")
SERVICE: Final = tuple(grouping.name for grouping in (*PLACE_GROUPINGS, LEAD))
EVERYONE: Final = "all"

# Every grouping that is paired, and the order in which the names of a pair or crossing stand.
ALL_GROUPINGS: Final = (*GROUPINGS, *PLACE_GROUPINGS, LEAD)
ORDER: Final = tuple(grouping.name for grouping in ALL_GROUPINGS if grouping.name not in DERIVED)
_Key = TypeVar("_Key")
Code = tuple[str, ...]  # codes of one grouping


@dataclass(frozen=True)
class CountCube:
    """Sums in every cell of crossed groupings.

    `codes` are those of each grouping, sorted; `sums` has an axis for each grouping and, after these, those that
    `PairCounts` describes.
    """

    codes: tuple[Code, ...]
    sums: NDArray[np.int64]

    def __add__(self, other: "CountCube") -> "CountCube":
        """The sums of both; a code that only one of them has keeps its sums."""
        if self.codes == other.codes:
            return CountCube(self.codes, self.sums + other.sums)
        codes = tuple(tuple(sorted({*a, *b})) for a, b in zip(self.codes, other.codes, strict=True))
        return CountCube(codes, self._placed(codes) + other._placed(codes))

    def _placed(self, codes: tuple[Code, ...]) -> NDArray[np.int64]:
        places = [np.searchsorted(np.array(to), np.array(own)) for to, own in zip(codes, self.codes, strict=True)]
        tail = self.sums.shape[len(codes) :]
        placed = np.zeros((*map(len, codes), *tail), dtype=np.int64)
        placed[np.ix_(*places)] = self.sums
        return placed


@dataclass(frozen=True)
class PairCounts:
    """Sums of every pair of groups; adds up over trusts whose patients do not overlap.

    Parameters
    ----------
    singles : "all" and each grouping, to sums of (code, band of risk, half of the patients, `MEASURES`)
    pairs : two groupings, in the order of `groupings`, to sums of the same shape after two axes of codes
        Crossings of two groupings of the service (site and specialty) have one band only.
    triple : ethnicity, sex and Core20, to sums after three axes of codes; None where the extract lacks one of them
    overlaps : three groupings, and `TRIPLE` with a fourth, to sums of `OVERLAPS`
        How much of one group's risk lies within another.
    clusters : (halves, 3) sums over patients of the products `CLUSTERS`

    Where outcomes after a call are left out, all sums are of weights (`uncalled_outcomes`).
    """

    singles: Mapping[str, CountCube]
    pairs: Mapping[tuple[str, str], CountCube]
    triple: CountCube | None
    overlaps: Mapping[tuple[str, ...], CountCube]
    clusters: NDArray[np.int64] = field(default_factory=lambda: np.zeros((HALVES, len(CLUSTERS)), np.int64))

    def __add__(self, other: "PairCounts") -> "PairCounts":
        """The sums of both. A grouping that one of them lacks is blank there, as in an extract of pooled rows."""
        first, second = self._with(other.groupings), other._with(self.groupings)
        return PairCounts(
            added_cubes(first.singles, second.singles),
            added_cubes(first.pairs, second.pairs),
            first.triple + second.triple if first.triple and second.triple else first.triple or second.triple,
            added_cubes(first.overlaps, second.overlaps),
            self.clusters + other.clusters,
        )

    @functools.cached_property
    def groupings(self) -> tuple[str, ...]:
        """Names of the groupings, those of the service last; Core20, fifths and broad ethnic groups are unions."""
        return tuple(name for name in ORDER if name in self.singles)

    @functools.cached_property
    def columns(self) -> tuple[tuple[str, str], ...]:
        """Grouping and code of every column of `matrix`."""
        return tuple((name, code) for name in self.groupings for code in self.codes(name))

    def codes(self, grouping: str) -> Code:
        """The codes of a grouping that occur, sorted."""
        return self.singles[grouping].codes[0]

    def matrix(self, measure: str, *, half: int | None = None) -> NDArray[np.float64]:
        """The symmetric (p, p) matrix of a measure over pairs of `columns`.

        The diagonal is a group's own sum; two groups of one grouping have nothing in common. `half` takes one half
        of the patients.
        """
        starts = np.cumsum([0, *(len(self.codes(name)) for name in self.groupings)])
        at = {name: slice(a, b) for name, a, b in zip(self.groupings, starts[:-1], starts[1:], strict=True)}
        found = np.zeros((starts[-1], starts[-1]))
        for (first, second), cube in self.pairs.items():
            cells = _unscaled(cube.sums, measure, half).sum(axis=2)
            found[at[first], at[second]], found[at[second], at[first]] = cells, cells.T
        for name in self.groupings:
            found[at[name], at[name]] = np.diag(_unscaled(self.singles[name].sums, measure, half).sum(axis=1))
        return found

    def single(self, grouping: str) -> NDArray[np.float64]:
        """Sums of each group of a grouping: (codes, bands, halves, `MEASURES`)."""
        return self.singles[grouping].sums / _SCALES

    def pair(self, first: str, second: str) -> NDArray[np.float64]:
        """Sums of each pair of groups: (codes of `first`, codes of `second`, bands, halves, `MEASURES`)."""
        if (first, second) in self.pairs:
            return self.pairs[first, second].sums / _SCALES
        return np.swapaxes(self.pairs[second, first].sums, 0, 1) / _SCALES

    def triples(self) -> NDArray[np.float64] | None:
        """Sums of each group of `TRIPLE`: (ethnicity, sex, Core20, bands, halves, `MEASURES`)."""
        return None if self.triple is None else self.triple.sums / _SCALES

    def overlap(self, groupings: tuple[str, ...]) -> NDArray[np.float64]:
        """Expected missed appointments of each cell of crossed groupings, of which `overlaps` has the sums."""
        return self.overlaps[groupings].sums[..., OVERLAPS.index("expected")] / RISK_SCALE

    def expected(self, names: tuple[str, ...]) -> NDArray[np.float64]:
        """Expected missed appointments of each group of a grouping, or of each pair of groups, over all bands."""
        known = names in self.pairs or len(names) == 1
        cube = self.singles[names[0]] if len(names) == 1 else self.pairs[names if known else (names[1], names[0])]
        cells = _unscaled(cube.sums, "expected", None).sum(axis=-1)
        return np.asarray(cells if known else cells.T)

    def total(self, measure: str, *, half: int | None = None) -> float:
        """A measure summed over all appointments."""
        return float(_unscaled(self.singles[EVERYONE].sums, measure, half).sum())

    def reach_design_effect(self) -> float:
        """Patient-clustered over binomial variance of the share reached among the missed, at least 1."""
        missed, both, reached = (float(number) / WEIGHT_PARTS**2 for number in self.clusters.sum(axis=0))
        total, called = self.total("missed"), self.total("reached")
        if not 0 < called < total:
            return 1.0
        share = called / total
        return max(1.0, (reached - 2 * share * both + share**2 * missed) / (total * share * (1 - share)))

    def _with(self, groupings: Sequence[str]) -> "PairCounts":
        """The same sums with further groupings, in which every appointment here is blank."""
        extended = self
        for name in (name for name in groupings if name not in self.singles):
            extended = extended._with_blank(name)
        return extended

    def _with_blank(self, blank: str) -> "PairCounts":
        code: Code = (next(g.assign(None) for g in ALL_GROUPINGS if g.name == blank),)
        singles = {**self.singles, blank: CountCube((code,), self.singles[EVERYONE].sums)}
        pairs, overlaps = dict(self.pairs), dict(self.overlaps)
        for name in self.groupings:
            own = self.singles[name]
            if {name, blank} <= set(SERVICE):
                own = CountCube(own.codes, own.sums.sum(axis=1, keepdims=True))
            (first, second), cube = _inserted(own, (name,), blank=blank, code=code)
            pairs[first, second] = cube
        for names, pair in self.pairs.items():
            if sum(name in SERVICE for name in (*names, blank)) < 2:
                key, cube = _inserted(CountCube(pair.codes, _overlapping(pair.sums)), names, blank=blank, code=code)
                overlaps[key] = cube
        if self.triple is not None and blank not in TRIPLE:
            sums = np.expand_dims(_overlapping(self.triple.sums), -2)
            overlaps[(*TRIPLE, blank)] = CountCube((*self.triple.codes, code), sums)
        return PairCounts(singles, pairs, self.triple, overlaps, self.clusters)


def added_cubes(first: Mapping[_Key, CountCube], second: Mapping[_Key, CountCube]) -> dict[_Key, CountCube]:
    """The sums of both, by key. A crossing that only one of them has is of groups that the other lacks."""
    return {
        key: first[key] + second[key] if key in first and key in second else first.get(key) or second[key]
        for key in dict.fromkeys((*first, *second))
    }


def _overlapping(sums: NDArray[np.int64]) -> NDArray[np.int64]:
    """`OVERLAPS` over all bands and halves."""
    chosen: NDArray[np.int64] = sums.sum(axis=(-3, -2))[..., [MEASURES.index(name) for name in OVERLAPS]]
    return chosen


def _inserted(cube: CountCube, names: tuple[str, ...], *, blank: str, code: Code) -> tuple[tuple[str, ...], CountCube]:
    """A crossing with one more grouping of a single code, at its place in the order of groupings."""
    place = sum(ORDER.index(name) < ORDER.index(blank) for name in names)
    key = (*names[:place], blank, *names[place:])
    return key, CountCube((*cube.codes[:place], code, *cube.codes[place:]), np.expand_dims(cube.sums, place))


def _unscaled(sums: NDArray[np.int64], measure: str, half: int | None) -> NDArray[np.float64]:
    index = MEASURES.index(measure)
    chosen = sums[..., index].sum(axis=-1) if half is None else sums[..., half, index]
    unscaled: NDArray[np.float64] = chosen / _SCALES[index]
    return unscaled

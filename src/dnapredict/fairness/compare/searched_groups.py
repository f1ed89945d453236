"""The groups that are searched for harm: single groups, pairs of groups, and ethnic group by sex by Core20.

Each has its sums by half of the patients and band of risk, and `SearchedGroups.overlap` says how much of one group's
risk lies within another, so that a group is not blamed for what is wrong in another that it has patients in common
with.
"""

import functools
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dnapredict.fairness.compare.adjusted_effects import Key, union_groups
from dnapredict.fairness.measure.groupings import DERIVED, GROUPINGS, LEAD, PLACE_GROUPINGS
from dnapredict.fairness.measure.membership import Grouping
from dnapredict.fairness.measure.pair_counts import EVERYONE, MEASURES, SERVICE, TRIPLE, PairCounts

Floats = NDArray[np.float64]
Path = tuple[Key, ...]
Cells = dict[str, tuple[str, ...]]  # for each grouping, the codes that are inside

# Groups of these are not crossed with others: deciles are in Core20, and the lead time is no group of people.
_ALONE: Final = ("imd_decile", LEAD.name)
# Larger groups are not searched: everyone, with whom they would be compared, is mostly them.
LARGEST_SEARCHED: Final = 0.5
_EXPECTED: Final = MEASURES.index("expected")
_BY_NAME: Final = {grouping.name: grouping for grouping in (*GROUPINGS, *PLACE_GROUPINGS, LEAD)}


@dataclass(frozen=True)
class SearchedGroups:
    """All groups that are searched, with their sums.

    Attributes
    ----------
    paths : for each group, the grouping and code of each of its parts
    sums : (groups, bands, halves, measures)
    kinds : for each group, which kind of crossing it is (its groupings' roles); a kind's groups are searched together
    pairs : the counts from which overlaps are taken
    """

    paths: tuple[Path, ...]
    sums: Floats
    kinds: tuple[str, ...]
    pairs: PairCounts

    @functools.cached_property
    def kind_sizes(self) -> Floats:
        """(groups,) how many groups of the same kind are searched."""
        names, index, counts = np.unique(np.array(self.kinds), return_inverse=True, return_counts=True)
        return np.asarray(counts[index], dtype=np.float64) if len(names) else np.zeros(0)

    def overlap(self, index: int, other: int) -> float:
        """The share of the expected missed appointments of the group at `index` that are in the group at `other`."""
        return float(self.overlaps(other)[index])

    def overlaps(self, other: int) -> Floats:
        """(groups,) the share of each group that is in the group at `other`."""
        shares, cells = np.zeros(len(self.paths)), _cells_of(self.paths[other], union_groups(self.pairs))
        for batch in self._batches:
            shares[batch.index] = self._crossings.shares(batch, cells)
        return shares

    @functools.cached_property
    def _crossings(self) -> "_Overlaps":
        return _Overlaps(self.pairs)

    @functools.cached_property
    def _batches(self) -> "tuple[_CrossedGroups, ...]":
        """The groups by the groupings that they cross."""
        unions, index = union_groups(self.pairs), dict[tuple[str, ...], list[int]]()
        cells = [_cells_of(path, unions) for path in self.paths]
        for group, own in enumerate(cells):
            index.setdefault(tuple(own), []).append(group)
        return tuple(_CrossedGroups.of(groups, [cells[group] for group in groups]) for groups in index.values())


def searched_groups(pairs: PairCounts, *, fewest_expected: float) -> SearchedGroups:
    """The groups with at least `fewest_expected` expected missed appointments in each half of the patients."""
    singles = (one for one in _singles(pairs) if _fewest_expected(one[2]) >= fewest_expected)
    found = [*singles, *_pairs(pairs, fewest_expected), *_triples(pairs, fewest_expected)]
    paths, kinds = tuple(path for path, _, _ in found), tuple(kind for _, kind, _ in found)
    empty = pairs.single(EVERYONE)[:0]
    return SearchedGroups(paths, np.stack([sums for _, _, sums in found]) if found else empty, kinds, pairs)


def _fewest_expected(sums: Floats) -> Floats:
    """Expected missed appointments in the half that has fewer of them: (bands, halves, measures) are the last axes."""
    return np.asarray(sums[..., _EXPECTED].sum(axis=-2).min(axis=-1))


def group_sums(pairs: PairCounts, path: Path) -> Floats:
    """(4,) appointments, missed, selected and reached of a group or an intersection of up to three."""
    unions = union_groups(pairs)
    cells = _cells_of(path, unions)
    if len(path) > 2:
        sums = pairs.triples()
        if sums is None or pairs.triple is None:
            return np.zeros(4)
        places = tuple([own.index(code)] for own, (_, code) in zip(pairs.triple.codes, path, strict=True))
    else:
        names = [DERIVED.get(name, name) for name, _ in path]
        sums = pairs.single(names[0]) if len(names) == 1 else pairs.pair(names[0], names[1])
        places = tuple([pairs.codes(name).index(code) for code in cells[name]] for name in names)
    return np.asarray(sums[np.ix_(*places)].reshape(-1, sums.shape[-1]).sum(axis=0)[:4])


def _searched_codes(pairs: PairCounts, name: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Each group of a grouping that may be harmed, with its places among the codes of what it is derived from."""
    base = DERIVED.get(name, name)
    codes = pairs.codes(base)
    unions = union_groups(pairs)
    for code in codes if base == name else [key[1] for key in unions if key[0] == name]:
        members = (code,) if base == name else unions[name, code]
        if _may_be_harmed(_BY_NAME[name], code):
            yield code, tuple(codes.index(member) for member in members)


def _may_be_harmed(grouping: Grouping, code: str) -> bool:
    """The groups that a grouping is about, such as Core20; else all, but not those in no PLUS group."""
    if grouping.harmed:
        return code in grouping.harmed
    return not (grouping.name == "plus" and code == "blank")


def _names(pairs: PairCounts) -> tuple[str, ...]:
    """Groupings and the derived ones that are searched; fifths are left to deciles and Core20."""
    derived = [name for name in ("core20", "ethnicity_5") if DERIVED[name] in pairs.groupings]
    return (*pairs.groupings, *derived)


def _singles(pairs: PairCounts) -> Iterator[tuple[Path, str, Floats]]:
    everyone = pairs.total("appointments")
    for name in _names(pairs):
        sums = pairs.single(DERIVED.get(name, name))
        for code, places in _searched_codes(pairs, name):
            # A broad group of one code only is that code.
            own = sums[list(places)].sum(axis=0)
            if own[..., 0].sum() <= LARGEST_SEARCHED * everyone and not (name in DERIVED and len(places) == 1):
                yield ((name, code),), "single", own


def _pairs(pairs: PairCounts, fewest_expected: float) -> Iterator[tuple[Path, str, Floats]]:
    names = [name for name in _names(pairs) if name not in _ALONE]
    # A broad group of one code only is that code.
    codes = {name: [one for one in _searched_codes(pairs, name) if len(one[1]) > 1 or name not in DERIVED]
             for name in names}  # fmt: skip
    for first, second in itertools.combinations(names, 2):
        bases = DERIVED.get(first, first), DERIVED.get(second, second)
        if bases[0] == bases[1] or set(bases) <= set(SERVICE):
            continue
        kind = "at a service" if set(bases) & set(SERVICE) else "pair"
        rows, columns = codes[first], codes[second]
        if not rows or not columns:
            continue
        sums = _united(_united(pairs.pair(*bases), rows, axis=0), columns, axis=1)
        for row, column in np.argwhere(_fewest_expected(sums) >= fewest_expected).tolist():
            yield ((first, rows[row][0]), (second, columns[column][0])), kind, sums[row, column]


def _united(sums: Floats, codes: Sequence[tuple[str, tuple[int, ...]]], *, axis: int) -> Floats:
    """The sums with, along an axis, those of each of `codes`: a code and its places."""
    if all(len(places) == 1 for _, places in codes):
        return np.take(sums, [places[0] for _, places in codes], axis=axis)
    return np.stack([np.take(sums, places, axis=axis).sum(axis=axis) for _, places in codes], axis=axis)


def _triples(pairs: PairCounts, fewest_expected: float) -> Iterator[tuple[Path, str, Floats]]:
    sums = pairs.triples()
    if sums is None or pairs.triple is None:
        return
    for places in map(tuple, np.argwhere(_fewest_expected(sums) >= fewest_expected).tolist()):
        path = tuple((name, codes[p]) for name, codes, p in zip(TRIPLE, pairs.triple.codes, places, strict=True))
        if all(_may_be_harmed(_BY_NAME[name], code) for name, code in path):
            yield path, "triple", sums[places]


def _cells_of(path: Path, unions: Mapping[Key, tuple[str, ...]]) -> Cells:
    return {DERIVED.get(name, name): unions[name, code] if name in DERIVED else (code,) for name, code in path}


Parts = dict[str, tuple[tuple[str, ...], ...]]  # for each grouping, one or more sets of codes


@dataclass(frozen=True)
class _CrossedGroups:
    """Groups that cross the same groupings.

    Attributes
    ----------
    index : their positions among all groups
    parts : for each grouping, the different sets of codes that any of them has
    places : for each grouping, (groups,) which of the parts each group has
    """

    index: NDArray[np.int64]
    parts: Parts
    places: dict[str, NDArray[np.int64]]

    @classmethod
    def of(cls, index: Sequence[int], cells: Sequence[Cells]) -> "_CrossedGroups":
        """The batch of the groups at `index`, which have these cells."""
        parts = {name: tuple(dict.fromkeys(own[name] for own in cells)) for name in cells[0]}
        places = {name: np.array([parts[name].index(own[name]) for own in cells]) for name in parts}
        return cls(np.array(index), parts, places)


class _Overlaps:
    """Expected missed appointments of crossings, from the counts of one audit."""

    def __init__(self, pairs: PairCounts) -> None:
        self._pairs = pairs
        self._everyone = pairs.total("expected")
        self._tables: dict[tuple[str, ...], tuple[Floats, tuple[tuple[str, ...], ...]]] = {}
        self._own: dict[tuple[str, ...], Floats | None] = {}  # of each batch, by its groupings

    def shares(self, batch: _CrossedGroups, other: Cells) -> Floats:
        """(groups,) the share of each group of `batch` that is inside `other`.

        Exact for three groupings, and for `TRIPLE` with one more. If both together have more, the further groupings are
        assumed to be independent within one of the two; the larger of both results is used.
        """
        both: Parts = {
            name: (
                tuple(_common(part, other[name]) for part in batch.parts.get(name, (other[name],)))
                if name in other
                else batch.parts[name]
            )
            for name in _merged(tuple(batch.parts), tuple(other))
        }
        names = tuple(batch.parts)
        if names not in self._own:
            self._own[names] = self._expected(batch, batch.parts)
        own = self._own[names]
        if own is None:
            return np.zeros(len(batch.index))
        inside = self._expected(batch, both)
        if inside is None:
            inside = np.maximum(
                self._independent(batch, tuple(batch.parts), both), self._independent(batch, tuple(other), both)
            )
        return np.minimum(1.0, np.divide(inside, own, out=np.zeros_like(own), where=own > 0))

    def _independent(self, batch: _CrossedGroups, inside: tuple[str, ...], both: Parts) -> Floats:
        """Expected in `both` if its further groupings were independent within `inside`."""
        narrowed = {name: both[name] for name in inside}
        base = self._expected(batch, narrowed)
        if base is None:
            return np.zeros(len(batch.index))
        expected = base
        for name in (each for each in both if each not in inside):
            part = self._expected(batch, {**narrowed, name: both[name]})
            if part is None:  # two groupings of the service: as in everyone
                alone = self._expected(batch, {name: both[name]})
                part = base * (0.0 if alone is None else alone) / self._everyone
            expected = expected * np.divide(part, base, out=np.zeros_like(base), where=base > 0)
        return expected

    def _expected(self, batch: _CrossedGroups, parts: Parts) -> Floats | None:
        """(groups,) expected missed appointments of each group's crossing of `parts`; None where it was not counted."""
        names = _merged(tuple(parts))
        if len(names) > 2 and names not in self._pairs.overlaps:
            parts = _with_core20(parts)
            names = (*TRIPLE, *(name for name in parts if name not in TRIPLE))
            if not set(TRIPLE) <= set(parts) or names not in self._pairs.overlaps:
                return None
        sums, codes = self._table(names)
        for name, own in zip(names, codes, strict=True):
            # The first axis is added up and goes to the end, so that after all of them the order is as before.
            added = sums.reshape(len(own), -1).T @ _is_inside(own, parts[name])
            sums = added.reshape(*sums.shape[1:], added.shape[-1])
        places = [_places_of(batch, name, len(parts[name])) for name in names]
        return np.asarray(sums[tuple(places)])

    def _table(self, names: tuple[str, ...]) -> tuple[Floats, tuple[tuple[str, ...], ...]]:
        """Expected of each cell of counted groupings, and their codes."""
        if names not in self._tables:
            cube = self._pairs.overlaps.get(names)
            codes = cube.codes if cube else tuple(self._pairs.codes(name) for name in names)
            self._tables[names] = self._counted(names), codes
        return self._tables[names]

    def _counted(self, names: tuple[str, ...]) -> Floats:
        if names in self._pairs.overlaps:
            return self._pairs.overlap(names)
        return self._pairs.expected(names)


def _places_of(batch: _CrossedGroups, name: str, parts: int) -> NDArray[np.int64]:
    """(groups,) the part of a grouping that each group has; with only one part, all groups have it."""
    if parts == 1:
        return np.zeros(len(batch.index), dtype=np.int64)
    return batch.places["imd_decile" if name == "core20" else name]


def _with_core20(parts: Parts) -> Parts:
    """The parts with Core20 instead of deciles, as `TRIPLE` is counted."""
    return {
        ("core20" if name == "imd_decile" else name): (
            tuple(tuple(dict.fromkeys(map(_core20, part))) for part in own) if name == "imd_decile" else own
        )
        for name, own in parts.items()
    }


@functools.lru_cache(maxsize=4096)
def _is_inside(codes: tuple[str, ...], parts: tuple[tuple[str, ...], ...]) -> Floats:
    """(codes, parts) 1 where a code is in a part."""
    return np.array([[code in part for part in parts] for code in codes], dtype=np.float64)


def _common(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(code for code in first if code in second)


def _core20(code: str) -> str:
    return "none" if code == "none" else "core20" if code in ("1", "2") else "rest"


_ORDER: Final = {name: index for index, name in enumerate(_BY_NAME)}


@functools.cache
def _merged(*names: tuple[str, ...]) -> tuple[str, ...]:
    """The groupings of all, each once, in the order in which crossings are counted."""
    return tuple(sorted(dict.fromkeys(itertools.chain(*names)), key=lambda name: _ORDER.get(name, math.inf)))

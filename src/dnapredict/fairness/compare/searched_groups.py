"""The groups that are searched for harm: single groups, pairs of groups, and ethnic group by sex by Core20.

Each has its sums by half of the patients and band of risk, and `SearchedGroups.overlap` says how much of one group's
risk lies within another, so that a group is not blamed for what is wrong in another that it has patients in common
with.
"""

import functools
import itertools
import math
from collections.abc import Iterator, Mapping
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
        return self._crossings.share(self._cells[index], self._cells[other])

    def overlaps(self, other: int) -> Floats:
        """(groups,) the share of each group that is in the group at `other`."""
        return np.array([self._crossings.share(cells, self._cells[other]) for cells in self._cells])

    @functools.cached_property
    def _crossings(self) -> "_Overlaps":
        return _Overlaps(self.pairs)

    @functools.cached_property
    def _cells(self) -> tuple[Cells, ...]:
        unions = union_groups(self.pairs)
        return tuple(_cells_of(path, unions) for path in self.paths)


def searched_groups(pairs: PairCounts, *, fewest_expected: float) -> SearchedGroups:
    """The groups with at least `fewest_expected` expected missed appointments in each half of the patients."""
    found: list[tuple[Path, str, Floats]] = [
        (path, kind, sums)
        for path, kind, sums in (*_singles(pairs), *_pairs(pairs), *_triples(pairs))
        if sums[..., MEASURES.index("expected")].sum(axis=0).min() >= fewest_expected
    ]
    paths, kinds = tuple(path for path, _, _ in found), tuple(kind for _, kind, _ in found)
    empty = pairs.single(EVERYONE)[:0]
    return SearchedGroups(paths, np.stack([sums for _, _, sums in found]) if found else empty, kinds, pairs)


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


def _pairs(pairs: PairCounts) -> Iterator[tuple[Path, str, Floats]]:
    names = [name for name in _names(pairs) if name not in _ALONE]
    for first, second in itertools.combinations(names, 2):
        bases = DERIVED.get(first, first), DERIVED.get(second, second)
        if bases[0] == bases[1] or set(bases) <= set(SERVICE):
            continue
        sums = pairs.pair(*bases)
        kind = "at a service" if set(bases) & set(SERVICE) else "pair"
        for (code, rows), (other, columns) in itertools.product(
            list(_searched_codes(pairs, first)), list(_searched_codes(pairs, second))
        ):
            if (len(rows) == 1 and first in DERIVED) or (len(columns) == 1 and second in DERIVED):
                continue
            yield ((first, code), (second, other)), kind, sums[np.ix_(rows, columns)].sum(axis=(0, 1))


def _triples(pairs: PairCounts) -> Iterator[tuple[Path, str, Floats]]:
    sums = pairs.triples()
    if sums is None or pairs.triple is None:
        return
    for places in itertools.product(*(range(len(codes)) for codes in pairs.triple.codes)):
        path = tuple((name, codes[p]) for name, codes, p in zip(TRIPLE, pairs.triple.codes, places, strict=True))
        if all(_may_be_harmed(_BY_NAME[name], code) for name, code in path):
            yield path, "triple", sums[places]


def _cells_of(path: Path, unions: Mapping[Key, tuple[str, ...]]) -> Cells:
    return {DERIVED.get(name, name): unions[name, code] if name in DERIVED else (code,) for name, code in path}


class _Overlaps:
    """Expected missed appointments of crossings, from the counts of one audit."""

    def __init__(self, pairs: PairCounts) -> None:
        self._pairs = pairs
        self._everyone = pairs.total("expected")
        self._tables: dict[tuple[str, ...], tuple[Floats, tuple[dict[str, int], ...]]] = {}
        # Expected numbers by crossing: a search looks the same ones up for each of a few thousand groups.
        self._known: dict[tuple[tuple[str, tuple[str, ...]], ...], float | None] = {}

    def share(self, cells: Cells, other: Cells) -> float:
        """The share of `cells` that is inside `other`.

        Exact for three groupings, and for `TRIPLE` with one more. Where both together have more, the further groupings
        are taken as independent within either, whichever gives more.
        """
        both: Cells = {}
        for name in _merged(tuple(cells), tuple(other)):
            both[name] = _common(cells.get(name), other.get(name))
            if not both[name]:
                return 0.0
        own = self._expected(cells)
        if not own:
            return 0.0
        exact = self._expected(both)
        if exact is not None:
            return min(1.0, exact / own)
        sides = [self._independent(cells, both), self._independent(other, both)]
        return min(1.0, max(side for side in sides if side is not None) / own) if any(sides) else 0.0

    def _independent(self, inside: Cells, both: Cells) -> float:
        """Expected in `both` if its further groupings were independent within `inside`."""
        narrowed = {name: both[name] for name in inside}
        base = self._expected(narrowed) or 0.0
        share = 1.0
        # In the order of `both`, so that the product is rounded alike in every run.
        for name in (each for each in both if each not in inside):
            part = self._expected({**narrowed, name: both[name]})
            if part is None:  # two groupings of the service: as in everyone
                part = base * (self._expected({name: both[name]}) or 0.0) / self._everyone
            share *= part / base if base else 0.0
        return base * share

    def _expected(self, cells: Cells) -> float | None:
        """Expected missed appointments of a crossing; None where it was not counted."""
        key = tuple(cells.items())
        if key not in self._known:
            names = _merged(tuple(cells))
            is_counted = len(names) <= 2 or names in self._pairs.overlaps
            self._known[key] = self._part(names, cells) if is_counted else self._crossed(cells)
        return self._known[key]

    def _crossed(self, cells: Cells) -> float | None:
        """`TRIPLE` and perhaps one more grouping, in which Core20 stands for deciles."""
        core20 = tuple(dict.fromkeys(_core20(code) for code in cells.get("imd_decile", ())))
        renamed = {("core20" if name == "imd_decile" else name): codes for name, codes in cells.items()}
        renamed["core20"] = core20
        further = [name for name in renamed if name not in TRIPLE]
        key = (*TRIPLE, *further)
        if set(TRIPLE) - set(renamed) or len(further) > 1 or key not in self._pairs.overlaps:
            return None
        return self._part(key, renamed)

    def _part(self, names: tuple[str, ...], cells: Cells) -> float:
        """Expected of the cells of counted groupings."""
        if names not in self._tables:
            self._tables[names] = self._counted(names), self._indices(names)
        sums, indices = self._tables[names]
        own = [[index[code] for code in cells[name]] for name, index in zip(names, indices, strict=True)]
        if all(len(each) == 1 for each in own):
            return float(sums[tuple(each[0] for each in own)])
        return float(sums[np.ix_(*own)].sum())

    def _indices(self, names: tuple[str, ...]) -> tuple[dict[str, int], ...]:
        cube = self._pairs.overlaps.get(names)
        codes = cube.codes if cube else tuple(self._pairs.codes(name) for name in names)
        return tuple({code: index for index, code in enumerate(own)} for own in codes)

    def _counted(self, names: tuple[str, ...]) -> Floats:
        if names in self._pairs.overlaps:
            return self._pairs.overlap(names)
        sums = self._pairs.single(*names) if len(names) == 1 else self._pairs.pair(names[0], names[1])
        return np.asarray(sums[..., MEASURES.index("expected")].sum(axis=(-2, -1)))


def _common(first: tuple[str, ...] | None, second: tuple[str, ...] | None) -> tuple[str, ...]:
    if first is None or second is None:
        return first or second or ()
    return tuple(code for code in first if code in second)


def _core20(code: str) -> str:
    return "none" if code == "none" else "core20" if code in ("1", "2") else "rest"


_ORDER: Final = {name: index for index, name in enumerate(_BY_NAME)}


@functools.cache
def _merged(*names: tuple[str, ...]) -> tuple[str, ...]:
    """The groupings of all, each once, in the order in which crossings are counted."""
    return tuple(sorted(dict.fromkeys(itertools.chain(*names)), key=lambda name: _ORDER.get(name, math.inf)))

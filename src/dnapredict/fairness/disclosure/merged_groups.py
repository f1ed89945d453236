"""Small groups put together before anything is hidden: "Other ethnic groups, together".

A group with 1 to 7 missed appointments cannot be printed, and hiding many of them makes it necessary to hide larger
groups as well. So the small groups of a grouping are printed as one row that says which groups it holds. Groups stay
within the larger group that they are part of: a small group of the 16 codes goes together with others of the same
broad group, a decile with the other decile of its fifth. Groups of unknown value go together with one another; with
a known group only where each of the two would be hidden alone, as "indeterminate" and "not known" sex. Verdicts are
still given on each group's exact counts.

The result depends on the counts alone, not on their order.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol, TypeVar

from dnapredict.config.fairness_policy import Disclosure
from dnapredict.data.small_numbers import publish_count
from dnapredict.fairness.measure.counts import SummedCounts
from dnapredict.fairness.measure.membership import Group, Grouping

Counts = TypeVar("Counts", bound=SummedCounts)
_Printed = TypeVar("_Printed", bound=SummedCounts, covariant=True)


class CountedGroups(Protocol[_Printed]):
    """The counts of each group of a grouping, of the audit or of the access report."""

    @property
    def grouping(self) -> Grouping:
        """How patients are divided."""

    @property
    def groups(self) -> tuple[Group, ...]:
        """The groups, in the order of a table."""

    @property
    def counts(self) -> tuple[_Printed, ...]:
        """The counts of each group."""


@dataclass(frozen=True)
class MergedGroups:
    """Which groups are printed together, by grouping.

    `rows` has for each grouping the merged groups and the codes of the groups that each holds.
    """

    rows: Mapping[str, Mapping[Group, tuple[str, ...]]] = field(default_factory=dict)

    def of(self, grouping: str) -> Mapping[Group, tuple[str, ...]]:
        """The merged groups of a grouping."""
        return self.rows.get(grouping, {})

    def row_of(self, grouping: str, code: str) -> Group | None:
        """The merged group that holds the group with that code, None where it has a row of its own."""
        return next((merged for merged, held in self.of(grouping).items() if code in held), None)

    def apply(
        self, grouping: str, groups: Sequence[Group], counts: Sequence[Counts]
    ) -> tuple[tuple[Group, ...], tuple[Counts, ...]]:
        """Groups and counts as they are printed: each merged group in the place of the first group that it holds."""
        added: dict[Group, Counts] = {}
        for group, own in zip(groups, counts, strict=True):
            row = self.row_of(grouping, group.code) or group
            added[row] = added[row] + own if row in added else own
        return tuple(added), tuple(added.values())


def merge_small_groups(
    counted: Iterable[CountedGroups[Counts]], rule: Disclosure, *, sizes: Callable[[Counts], Sequence[float]]
) -> MergedGroups:
    """The small groups of each grouping, put together where there are two or more.

    `sizes` gives the counts of a group that must be large enough to be printed.
    """
    rows: dict[str, Mapping[Group, tuple[str, ...]]] = {}
    listed = [one for one in counted if one.grouping.shown]
    for one in sorted(listed, key=lambda each: _depth(each.grouping)):
        merged = MergedGroups(rows)
        small = [
            any(publish_count(size, rule) is None for size in sizes(own)) and group.code not in one.grouping.harmed
            for group, own in zip(one.groups, one.counts, strict=True)
        ]
        empty = [not any(sizes(own)) for own in one.counts]
        found = [_merged(one.grouping, held, merged) for held in _together(one, small, empty, merged)]
        if found:
            rows[one.grouping.name] = dict(found)
    return MergedGroups(rows)


def _depth(grouping: Grouping) -> int:
    """How many kinds of larger groups the groups are within: larger groups are put together first."""
    return max((len(group.within) for group in grouping.groups), default=0)


def _together(
    counted: CountedGroups[Counts], small: Sequence[bool], empty: Sequence[bool], merged: MergedGroups
) -> list[list[Group]]:
    """Lists of two or more small groups within the same larger groups; neighbours only on an ordered scale."""
    found: dict[tuple[object, ...], list[Group]] = {}
    run = 0
    for group, is_small, is_empty in zip(counted.groups, small, empty, strict=True):
        if is_empty:
            continue
        if is_small:
            within = tuple((name, merged.row_of(name, code) or code) for name, code in group.within)
            found.setdefault((group.known, run, *within), []).append(group)
        elif counted.grouping.ordered:
            run += 1
    alone = [groups[0] for groups in found.values() if len(groups) == 1]
    several = [groups for groups in found.values() if len(groups) > 1]
    # "Indeterminate" and "not known": neither could be printed, and each would take a larger group with it.
    pair = len(alone) == 2 and not several and not any(group.within for group in alone)
    return [alone] if pair and not counted.grouping.ordered else several


def _merged(grouping: Grouping, held: Sequence[Group], merged: MergedGroups) -> tuple[Group, tuple[str, ...]]:
    codes, names = tuple(group.code for group in held), tuple(group.name for group in held)
    larger = ((name, merged.row_of(name, code)) for name, code in held[0].within)
    within = tuple(
        (name, row.code if row else code) for (name, row), (_, code) in zip(larger, held[0].within, strict=True)
    )
    known = all(group.known for group in held)
    return replace(
        held[0], known=known, code="&".join(codes), name=_name(grouping, held), within=within, holds=names
    ), codes


_NAMES: Final = {
    "ethnicity": "Other ethnic groups",
    "ethnicity_5": "Other ethnic groups",
    "plus": "PLUS groups with few appointments",
    "site": "Sites with few appointments",
    "specialty": "Specialties with few appointments",
    "provider": "Providers with few appointments",
    "place": "Places with few appointments",
}


def _name(grouping: Grouping, held: Sequence[Group]) -> str:
    """What the row of these groups is called.

    >>> from dnapredict.fairness.measure.groupings import FIVE_GROUPS, SIXTEEN_GROUPS, grouping_named
    >>> _name(grouping_named("ethnicity_5"), FIVE_GROUPS[1:3])
    'Other ethnic groups, together'
    >>> _name(grouping_named("ethnicity"), SIXTEEN_GROUPS[3:5])
    'Mixed: smaller groups, together'
    >>> _name(grouping_named("imd_decile"), grouping_named("imd_decile").groups[6:8])
    '7 and 8, together'
    """
    if not any(group.known for group in held):
        return "Not known, together"
    broad = {group.name.partition(":")[0] for group in held if ":" in group.name}
    if len(broad) == 1 and all(":" in group.name for group in held):
        return f"{broad.pop()}: smaller groups, together"
    if grouping.name in _NAMES:
        return f"{_NAMES[grouping.name]}, together"
    *first, last = (group.name for group in held)
    return f"{', '.join(first)} and {last}, together"

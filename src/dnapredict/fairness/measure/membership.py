"""Groups of patients: each row is in exactly one group of each grouping.

Nobody is dropped. Patients of unknown group are in separate groups, since not being asked, declining to say and a
blank mean different things (NHS Data Dictionary, ETHNIC CATEGORY).
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dnapredict.fairness.measure.audited_appointments import AuditData

_REST: Final = "unknown"  # of crossed groupings: one of the two groups is not known


@dataclass(frozen=True)
class Group:
    """One group: its code in the figures and its name in reports.

    `within` are the larger groups of other groupings that it is part of, as grouping and code; the parts of a larger
    group add up to it. `facets` are the two codes of a group of crossed groupings. `holds` are the names of the
    groups that a printed row puts together, because each of them is too small to be printed.
    """

    code: str
    name: str
    known: bool = True
    within: tuple[tuple[str, str], ...] = ()
    facets: tuple[str, ...] = ()
    holds: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        """The name, with the groups that the row puts together.

        >>> Group("D&E", "Other ethnic groups, together", holds=("Mixed", "Chinese")).full_name
        'Other ethnic groups, together (Mixed; Chinese)'
        """
        return f"{self.name} ({'; '.join(self.holds)})" if self.holds else self.name


WITHHELD: Final = Group("withheld", "Too few in one trust to be told apart", known=False)
"""The small groups of a trust whose counts leave it protected (`fairness.pooling.protection`)."""


@dataclass(frozen=True)
class Grouping:
    """A way to divide all patients.

    `assign` turns a value of `column` (None where blank) into a group's code. Codes that are not
    among `groups` become groups named after the value, as local PLUS groups do. `harmed` are the codes of groups
    that gates judge (every known group where it is empty). An `exploratory` grouping has no verdicts, one that is
    not `shown` has a chart and no table, and the groups of an `ordered` one are on a scale.
    """

    name: str
    title: str
    column: str
    groups: tuple[Group, ...]
    assign: Callable[[Any], str]
    harmed: tuple[str, ...] = ()
    exploratory: bool = False
    shown: bool = True
    ordered: bool = False

    def is_judged(self, group: Group, *, unknown: bool = False) -> bool:
        """Whether gates judge this group; `unknown` says whether people of unknown group are judged too.

        Who is in no local group is everyone else, and not unknown.
        """
        if not group.known:
            return unknown and self.name != "plus" and group.code != WITHHELD.code
        return not self.harmed or group.code in self.harmed


@dataclass(frozen=True)
class Membership:
    """The group of each row, as its index in `groups`."""

    grouping: Grouping
    groups: tuple[Group, ...]
    index: NDArray[np.int32]


def membership(audited: AuditData, grouping: Grouping) -> Membership | None:
    """The group of every row, or None where the extract has no such column.

    Each distinct value is assigned once, so that a million rows take milliseconds.
    """
    if not audited.has([grouping.column]):
        return None
    encoded = audited.table[grouping.column].combine_chunks().dictionary_encode(null_encoding="encode")
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    values = encoded.dictionary.to_pylist()
    codes = [grouping.assign(None if value != value else value) for value in values]  # NaN is a blank
    known = {group.code for group in grouping.groups}
    further = tuple(Group(code, code) for code in sorted(set(codes) - known))
    groups = (*further, *grouping.groups)
    index_of = {group.code: index for index, group in enumerate(groups)}
    lookup = np.array([index_of[code] for code in codes], dtype=np.int32)
    return Membership(grouping, groups, lookup[encoded.indices.to_numpy(zero_copy_only=False)])


def months(audited: AuditData) -> Membership:
    """The calendar month of each appointment."""
    month = audited.table["starts_at"].to_numpy().astype("datetime64[M]")
    values, index = np.unique(month, return_inverse=True)
    grouping = month_grouping([str(value) for value in values])
    return Membership(grouping, grouping.groups, index.astype(np.int32))


def month_grouping(names: Sequence[str]) -> Grouping:
    """The grouping by calendar months, which are named as 2025-04."""
    groups = tuple(Group(name, name) for name in names)
    return Grouping("month", "Month", "starts_at", groups, str, exploratory=True, shown=False)


def cross_memberships(first: Membership, second: Membership) -> Membership:
    """Cross two groupings: a group for each pair of known groups, and one for the rest."""
    grouping = crossed_grouping(
        dataclasses.replace(first.grouping, groups=first.groups),
        dataclasses.replace(second.grouping, groups=second.groups),
    )
    known = [(p, q) for p in _known(first.groups) for q in _known(second.groups)]
    lookup = np.full((len(first.groups), len(second.groups)), len(known), dtype=np.int32)
    for index, (p, q) in enumerate(known):
        lookup[p, q] = index
    return Membership(grouping, grouping.groups, lookup[first.index, second.index])


def crossed_grouping(first: Grouping, second: Grouping) -> Grouping:
    """A group for each pair of known groups, and one for the rest.

    Exploratory: among so many small groups some always look bad by chance.
    """
    pairs = [(p, q) for p in _known(first.groups) for q in _known(second.groups)]
    groups = (
        *(_both(first.groups[p], second.groups[q]) for p, q in pairs),
        Group(_REST, "Not known", known=False),
    )
    name, title = f"{first.name}_by_{second.name}", f"{first.title}, by {second.title}"
    return Grouping(name, title, "", groups, lambda _: _REST, exploratory=True, shown=False)


def united_groups(grouping: Grouping, first: Sequence[Group], second: Sequence[Group]) -> tuple[Group, ...]:
    """The groups of two extracts, in the order that they would have in one.

    Local names first, in alphabetical order, then the groups that a grouping always has; crossed groups in the
    order of their first grouping, then of the second.
    """
    groups = {group.code: group for group in (*first, *second)}
    if any(group.facets for group in groups.values()):
        order = list(dict.fromkeys(group.facets[0] for group in groups.values() if group.facets))
        crossed = [group for group in groups.values() if group.facets]
        crossed.sort(key=lambda group: (order.index(group.facets[0]), group.facets[1]))
        return (*crossed, *(group for group in groups.values() if not group.facets))
    fixed = {group.code for group in (*grouping.groups, WITHHELD)}
    local = (groups[code] for code in sorted(groups.keys() - fixed))
    return (*local, *grouping.groups, *([WITHHELD] if WITHHELD.code in groups else []))


def _known(groups: Sequence[Group]) -> list[int]:
    return [index for index, group in enumerate(groups) if group.known]


def _both(first: Group, second: Group) -> Group:
    codes = (first.code, second.code)
    return Group("|".join(codes), f"{first.name}; {second.name}", facets=codes)

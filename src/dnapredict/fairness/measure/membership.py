"""Groups of patients: each row is in exactly one group of each grouping.

Nobody is dropped. Patients of unknown group are in separate groups, since not being asked, declining to say and a
blank mean different things (NHS Data Dictionary, ETHNIC CATEGORY).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dnapredict.fairness.measure.audited_appointments import AuditData


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

    def is_judged(self, group: Group) -> bool:
        """Whether gates judge this group."""
        return group.known and (not self.harmed or group.code in self.harmed)


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
    groups = tuple(Group(str(value), str(value)) for value in values)
    grouping = Grouping("month", "Month", "starts_at", groups, str, exploratory=True, shown=False)
    return Membership(grouping, groups, index.astype(np.int32))


def cross_memberships(first: Membership, second: Membership) -> Membership:
    """Cross two groupings: a group for each pair of known groups, and one for the rest.

    Exploratory: among so many small groups some always look bad by chance.
    """
    known = [(p, q) for p in _known(first) for q in _known(second)]
    groups = [_both(first.groups[p], second.groups[q]) for p, q in known]
    groups.append(Group("unknown", "Not known", known=False))
    lookup = np.full((len(first.groups), len(second.groups)), len(known), dtype=np.int32)
    for index, (p, q) in enumerate(known):
        lookup[p, q] = index
    grouping = Grouping(
        f"{first.grouping.name}_by_{second.grouping.name}",
        f"{first.grouping.title}, by {second.grouping.title}",
        "",
        tuple(groups),
        str,
        exploratory=True,
        shown=False,
    )
    return Membership(grouping, tuple(groups), lookup[first.index, second.index])


def _known(members: Membership) -> list[int]:
    return [index for index, group in enumerate(members.groups) if group.known]


def _both(first: Group, second: Group) -> Group:
    codes = (first.code, second.code)
    return Group("|".join(codes), f"{first.name}; {second.name}", facets=codes)

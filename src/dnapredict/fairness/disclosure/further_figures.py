"""Figures of a report outside its tables: curves, other allocation rules, findings of the search for harm.

Their counts are parts of those in the tables, and are linked to them before anything is hidden.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from dnapredict.fairness.measure.counts import CountedGrouping

_FIFTHS: Final = "_fifths"
IN_FIFTHS: Final = ("appointments", "missed")
ALLOCATED: Final = ("selected", "reached")
SEARCHED: Final = "search"  # the grouping of the findings of the search for harm
_BY: Final = " by "


@dataclass(frozen=True)
class FurtherGroup:
    """A group of a finding with printed counts that is in no table.

    `counts` has exact counts by name; `wholes` has the larger groups that contain it, as grouping and code, with their
    exact counts of the same names.
    """

    grouping: str
    code: str
    counts: Mapping[str, float]
    wholes: Mapping[tuple[str, str], Mapping[str, float]]


@dataclass(frozen=True)
class FurtherFigures:
    """The counts that a report prints outside its tables.

    `groups` are those of findings, smaller ones after the larger ones that they are part of; `fifths` the counts
    `IN_FIFTHS` in each fifth of a group's risk, by grouping and code; `allocated` the fifths of deprivation under each
    rule of allocation.
    """

    groups: Sequence[FurtherGroup] = ()
    fifths: Mapping[tuple[str, str], Sequence[Mapping[str, float]]] = field(default_factory=dict)
    allocated: Mapping[str, CountedGrouping] = field(default_factory=dict)


def fifths_of(grouping: str) -> str:
    """The name of the grouping into fifths of risk of the groups of another one."""
    return grouping + _FIFTHS


def is_of_fifths(grouping: str) -> bool:
    """Whether a grouping is one into fifths, whose boundaries differ between reports."""
    return grouping.endswith(_FIFTHS)


def fifth_code(code: str, number: int) -> str:
    """The code of a fifth of the risk of a group."""
    return f"{code}|{number}"


def under_rule(count: str, rule: str) -> str:
    """The name of a count under a rule of allocation.

    >>> under_rule("reached", "floor")
    'reached by floor'
    """
    return f"{count}{_BY}{rule}"


def plain_name(count: str) -> str:
    """The name of a count without the rule of allocation.

    >>> plain_name("reached by floor"), plain_name("missed")
    ('reached', 'missed')
    """
    return count.partition(_BY)[0]

"""Disclosure control of the access assessment: which counts are hidden, over all of its tables."""

from collections.abc import Iterator, Sequence
from typing import Final

from dnapredict.config.fairness_policy import Disclosure
from dnapredict.fairness.access.access_counts import AccessCounts, CountedAccess
from dnapredict.fairness.access.access_measures import MEASURES
from dnapredict.fairness.disclosure.hidden_counts import (
    EVERYONE,
    HiddenCells,
    group_constraints,
    rest_cell,
    rest_constraints,
)
from dnapredict.fairness.disclosure.suppression import CountCell, SumConstraint, cells_to_hide
from dnapredict.fairness.measure.membership import Group

NUMBERS: Final = ("patients", "appointments", "upcoming")


def denominator_of(measure: str) -> str:
    """The name of a measure's denominator among the counts."""
    return f"{measure} of"


_COUNTS: Final = (*NUMBERS, *(count for measure in MEASURES for count in (measure.name, denominator_of(measure.name))))
OF_OTHERS: Final = ("missed", denominator_of("missed"))
# Completeness measures, which are counts of the known groups of these groupings.
_KNOWN: Final = {
    "ethnicity_known": ("ethnicity", "ethnicity_5"),
    "area_known": ("core20", "imd_decile"),
    "sex_known": ("sex",),
    "age_known": ("age",),
}


def hidden_access_counts(tallied: Sequence[CountedAccess], rule: Disclosure) -> HiddenCells:
    """The counts to hide, so that no small one can be derived from all tables together."""
    present = [found.grouping.name for found in tallied]
    exact: dict[CountCell, float] = {}
    constraints: list[SumConstraint] = []
    for found in tallied:
        name, total = found.grouping.name, found.total
        pairs = list(zip(found.groups, found.counts, strict=True))
        exact |= {CountCell(count, name, g.code): n for g, own in pairs for count, n in _counts(own).items()}
        if name != EVERYONE[0]:
            constraints += group_constraints(name, found.groups, _COUNTS, present=present)
            constraints += rest_constraints(name, found.groups, OF_OTHERS)
            for group, own in pairs:
                others = _counts(total - own)
                exact |= {rest_cell(group, name, count): others[count] for count in OF_OTHERS}
    return HiddenCells(cells_to_hide(exact, [*constraints, *_equal_counts(tallied)], rule))


def _counts(own: AccessCounts) -> dict[str, float]:
    found = {name: float(getattr(own, name)) for name in NUMBERS}
    for place, measure in enumerate(MEASURES):
        found |= {measure.name: float(own.sums[place, 0]), denominator_of(measure.name): float(own.sums[place, 1])}
    return found


def _equal_counts(tallied: Sequence[CountedAccess]) -> Iterator[SumConstraint]:
    """Counts that are printed under two names: equal denominators, and completeness of each group."""
    for found in tallied:
        for group in found.groups:
            yield from _equal_denominators(found.grouping.name, group.code)
    for measure, groupings in _KNOWN.items():
        for found in tallied:
            name = found.grouping.name
            if name in groupings:
                known = [group.code for group in found.groups if group.known]
                yield from (
                    SumConstraint((CountCell(measure, name, code),), CountCell("appointments", name, code))
                    for code in known
                )
                parts = tuple(CountCell("appointments", name, code) for code in known)
                yield SumConstraint(parts, CountCell(measure, *EVERYONE))


def _equal_denominators(grouping: str, code: str) -> Iterator[SumConstraint]:
    first: dict[str, str] = {"TRUE": "appointments"}
    for measure in MEASURES:
        other = first.setdefault(measure.below, denominator_of(measure.name))
        if other != denominator_of(measure.name):
            yield SumConstraint(
                (CountCell(denominator_of(measure.name), grouping, code),), CountCell(other, grouping, code)
            )


def hidden_names(group: Group, grouping: str, hidden: HiddenCells) -> frozenset[str]:
    """Hidden counts of a group, and those of everyone else with the prefix "others"."""
    own = {name for name in _COUNTS if hidden.hides(grouping, group.code, [name])}
    others = {f"others {name}" for name in OF_OTHERS if hidden.hides_others(grouping, group.code, [name])}
    return frozenset(own | others)

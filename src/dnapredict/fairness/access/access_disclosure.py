"""Which numbers of an assessment of access are hidden: decided once, over all of its tables."""

from collections.abc import Iterator, Sequence
from typing import Final

from dnapredict.config.fairness_policy import Disclosure
from dnapredict.fairness.access.access_counts import Tallied, Tally
from dnapredict.fairness.access.access_measures import MEASURES
from dnapredict.fairness.disclosure.hidden_counts import EVERYONE, HiddenCells, group_lines, other_lines, others_than
from dnapredict.fairness.disclosure.suppression import CountCell, SumConstraint, hidden_cells
from dnapredict.fairness.measure.membership import Group

NUMBERS: Final = ("patients", "appointments", "upcoming")


def below(measure: str) -> str:
    """The name of a measure's denominator among the counts."""
    return f"{measure} of"


_COUNTS: Final = (*NUMBERS, *(count for measure in MEASURES for count in (measure.name, below(measure.name))))
OF_OTHERS: Final = ("missed", below("missed"))
# Measures of what is known of patients: everyone whose group is known under any of these groupings.
_KNOWN: Final = {
    "ethnicity_known": ("ethnicity", "ethnicity_5"),
    "area_known": ("core20", "imd_decile"),
    "sex_known": ("sex",),
    "age_known": ("age",),
}


def hidden_among(tallied: Sequence[Tallied], rule: Disclosure) -> HiddenCells:
    """Numbers to hide, so that nobody can work a small one out from all tables together."""
    present = [found.grouping.name for found in tallied]
    exact: dict[CountCell, float] = {}
    lines: list[SumConstraint] = []
    for found in tallied:
        name, total = found.grouping.name, found.total
        pairs = list(zip(found.groups, found.tallies, strict=True))
        exact |= {CountCell(count, name, g.code): n for g, own in pairs for count, n in _counts(own).items()}
        if name != EVERYONE[0]:
            lines += group_lines(name, found.groups, _COUNTS, present=present)
            lines += other_lines(name, found.groups, OF_OTHERS)
            for group, own in pairs:
                others = _counts(total - own)
                exact |= {others_than(group, name, count): others[count] for count in OF_OTHERS}
    return HiddenCells(hidden_cells(exact, [*lines, *_same(tallied)], rule))


def _counts(own: Tally) -> dict[str, float]:
    found = {name: float(getattr(own, name)) for name in NUMBERS}
    for place, measure in enumerate(MEASURES):
        found |= {measure.name: float(own.sums[place, 0]), below(measure.name): float(own.sums[place, 1])}
    return found


def _same(tallied: Sequence[Tallied]) -> Iterator[SumConstraint]:
    """Counts that are printed under two names: equal denominators, and what is known of each group."""
    for found in tallied:
        for group in found.groups:
            yield from _same_denominators(found.grouping.name, group.code)
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


def _same_denominators(grouping: str, code: str) -> Iterator[SumConstraint]:
    first: dict[str, str] = {"TRUE": "appointments"}
    for measure in MEASURES:
        other = first.setdefault(measure.below, below(measure.name))
        if other != below(measure.name):
            yield SumConstraint((CountCell(below(measure.name), grouping, code),), CountCell(other, grouping, code))


def hidden_names(group: Group, grouping: str, hidden: HiddenCells) -> frozenset[str]:
    """Counts of a group that are hidden, and those of everyone else with "others" before their name."""
    own = {name for name in _COUNTS if hidden.hides(grouping, group.code, [name])}
    others = {f"others {name}" for name in OF_OTHERS if hidden.hides_others(grouping, group.code, [name])}
    return frozenset(own | others)

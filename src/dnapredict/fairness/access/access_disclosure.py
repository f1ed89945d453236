"""Disclosure control of the access assessment: which counts are hidden, over all of its tables."""

from collections.abc import Iterator, Sequence
from typing import Final

from dnapredict.config.fairness_policy import Disclosure
from dnapredict.fairness.access.access_counts import BARRIERS, AccessCounts, CountedAccess
from dnapredict.fairness.access.access_measures import MEASURES
from dnapredict.fairness.disclosure.count_differences import told_range
from dnapredict.fairness.disclosure.hidden_counts import HiddenCells, hide_cells
from dnapredict.fairness.disclosure.linked_tables import EVERYONE, OTHERS, LinkedTables, group_constraints
from dnapredict.fairness.disclosure.merged_groups import MergedGroups, merge_small_groups
from dnapredict.fairness.disclosure.published_before import PublishedBefore
from dnapredict.fairness.disclosure.suppression import AtMost, CountCell, SumConstraint
from dnapredict.fairness.measure.membership import Group

NUMBERS: Final = ("patients", "appointments", "upcoming")


def denominator_of(measure: str) -> str:
    """The name of a measure's denominator among the counts."""
    return f"{measure} of"


def barrier_count(code: str) -> str:
    """The name of the count of a barrier."""
    return f"barrier {code}"


_OF_BARRIERS: Final = tuple(map(barrier_count, BARRIERS))
_COUNTS: Final = (*NUMBERS, *(count for measure in MEASURES for count in (measure.name, denominator_of(measure.name))))
OF_OTHERS: Final = ("missed", denominator_of("missed"))
# Completeness measures, which are counts of the known groups of these groupings.
_KNOWN: Final = {
    "ethnicity_known": ("ethnicity", "ethnicity_5"),
    "area_known": ("core20", "imd_decile"),
    "sex_known": ("sex",),
    "age_known": ("age",),
}


def hidden_access_counts(
    tallied: Sequence[CountedAccess], rule: Disclosure, *, before: PublishedBefore | None = None
) -> HiddenCells:
    """Small groups put together, and then the counts to hide so that no small one can be derived from all tables.

    `before` is what was published before.
    """
    merged = merge_small_groups(tallied, rule, sizes=lambda one: (one.patients, one.appointments, one.total("missed")))
    linked = access_tables(tallied, merged, rule)
    return hide_cells(linked, rule, merged, before=before)


def access_tables(tallied: Sequence[CountedAccess], merged: MergedGroups, rule: Disclosure) -> LinkedTables:
    """All counts of the report, and how they are linked."""
    linked, present = LinkedTables(), [found.grouping.name for found in tallied]
    has_barriers = any(own.barriers.any() for found in tallied for own in found.counts)
    counts = (*_COUNTS, *(_OF_BARRIERS if has_barriers else ()))
    for found in tallied:
        name, groups = found.grouping.name, found.groups
        of_groups = [_counts(own) | (_barrier_counts(own) if has_barriers else {}) for own in found.counts]
        linked.add_groups(name, groups, of_groups, merged=merged)
        linked.at_most += [limit for group in groups for limit in _never_more(name, group.code)]
        if has_barriers:
            linked.at_most += [
                AtMost(
                    tuple(CountCell(count, name, group.code) for count in _OF_BARRIERS),
                    (CountCell("appointments", name, group.code),),
                )
                for group in groups
            ]
        every_row = [*(group.code for group in groups), *(row.code for row in merged.of(name))]
        _add_rest(linked, name, every_row, measures=[measure.name for measure in MEASURES], rule=rule)
        if name != EVERYONE[0]:
            linked.sums += group_constraints(name, groups, counts, present=present)
            held = linked.leave_out_held(name, merged, [*counts, *(_rest_of(one.name) for one in MEASURES)], rule)
            rows = [group.code for group in groups if group.code not in held]
            printed = [*rows, *(row.code for row in merged.of(name))]
            linked.add_others(name, printed, OF_OTHERS, _counts(found.total))
            _add_rest(linked, name, [OTHERS + code for code in printed], measures=["missed"], rule=rule)
    linked.sums += _equal_counts(tallied)
    return linked


def _barrier_counts(own: AccessCounts) -> dict[str, float]:
    return dict(zip(_OF_BARRIERS, map(float, own.barriers), strict=True))


def _rest_of(measure: str) -> str:
    """The name of a denominator less its numerator; for those who attended it is the audit's name."""
    return "attended" if measure == "missed" else f"{measure} rest"


def _add_rest(
    linked: LinkedTables, grouping: str, codes: Sequence[str], *, measures: Sequence[str], rule: Disclosure
) -> None:
    """Each denominator less its numerator. A share is hidden if this is 1 to 7, which tells a reader that it is."""
    for code in codes:
        for measure in measures:
            above, below, rest = (
                CountCell(count, grouping, code) for count in (measure, denominator_of(measure), _rest_of(measure))
            )
            linked.exact[rest] = linked.exact[below] - linked.exact[above]
            linked.unprinted[rest] = told_range(linked.exact[rest], rule)
            linked.sums.append(SumConstraint((rest, above), below))


def _never_more(grouping: str, code: str) -> Iterator[AtMost]:
    """No measure is above its denominator, and none of these above the appointments."""
    pairs = [(measure.name, denominator_of(measure.name)) for measure in MEASURES]
    pairs += [(below, "appointments") for below in ("patients", "upcoming", *(below for _, below in pairs))]
    for smaller, larger in dict.fromkeys(pairs):
        yield AtMost((CountCell(smaller, grouping, code),), (CountCell(larger, grouping, code),))


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
    own = {name for name in (*_COUNTS, *_OF_BARRIERS) if hidden.hides(grouping, group.code, [name])}
    others = {f"others {name}" for name in OF_OTHERS if hidden.hides_others(grouping, group.code, [name])}
    return frozenset(own | others)

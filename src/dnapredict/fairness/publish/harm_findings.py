"""What the search for harm found, as it may be printed: rounded, and without what would reveal a small number."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from dnapredict.config.fairness_policy import Disclosure
from dnapredict.data.small_numbers import publish_count
from dnapredict.fairness.compare.harm_search import FoundHarm, HarmKind
from dnapredict.fairness.compare.searched_groups import Path, group_sums
from dnapredict.fairness.disclosure.further_figures import SEARCHED, FurtherGroup
from dnapredict.fairness.disclosure.hidden_counts import HiddenCells
from dnapredict.fairness.disclosure.rounded_figures import publish_ratio
from dnapredict.fairness.measure.counts import CountedGrouping
from dnapredict.fairness.measure.groupings import GROUPINGS, LEAD, PLACE_GROUPINGS
from dnapredict.fairness.measure.intervals import Interval, printed_interval
from dnapredict.fairness.measure.pair_counts import SERVICE, PairCounts

_BY_NAME: Final = {grouping.name: grouping for grouping in (*GROUPINGS, *PLACE_GROUPINGS, LEAD)}
_SMALLEST_P: Final = 0.0001
_SENTENCES: Final = {
    HarmKind.UNDER_SCORED: "{name}: {number} appointments are missed for every 100 that the risks say, {beside}.",
    HarmKind.FEWER_CALLS: "{name}: {number} are called for every 100 who would be if risk alone decided, {beside}.",
}


@dataclass(frozen=True)
class HarmFinding:
    """A harmed group, an intersection of groups or a site, that may be printed.

    Attributes
    ----------
    path : grouping and code of each part
    name : the parts' names, as in "Pakistani; Female; Most deprived areas (Core20)"
    harm : in which way it is worse off
    estimate : observed over expected, against most people, from rounded counts; None where it must be hidden
    p_value : corrected for everything that was searched, and not below 0.0001: a smaller one would tell the counts
    appointments : rounded; None where it must be hidden
    sentence : all this in words
    """

    path: Path
    name: str
    harm: HarmKind
    estimate: Interval | None
    p_value: float
    appointments: int | None
    sentence: str


_PRINTED: Final = ("appointments", "missed", "selected")


def groups_of_harms(
    found: Sequence[FoundHarm], pairs: PairCounts, counted: Mapping[str, CountedGrouping]
) -> tuple[FurtherGroup, ...]:
    """The groups of the findings that are in no table, with the larger groups that contain each.

    None if outcomes are weighted: sums of weights cannot be added to numbers of appointments.
    """
    if next(iter(counted.values())).total.are_weighted:
        return ()
    own = {one.path: dict(zip(_PRINTED, group_sums(pairs, one.path).tolist(), strict=False)) for one in found}
    groups = []
    for path in sorted(own, key=len):
        wholes = {part: counts for part in path if (counts := _counts_of(part, counted))}
        wholes |= {(SEARCHED, _code(larger)): own[larger] for larger in own if set(larger) < set(path)}
        if len(path) > 1 or path[0] not in wholes:
            everyone = _counts_of(("all", "all"), counted)
            groups.append(FurtherGroup(SEARCHED, _code(path), own[path], wholes or {("all", "all"): everyone}))
    return tuple(groups)


def _counts_of(at: tuple[str, str], counted: Mapping[str, CountedGrouping]) -> dict[str, float]:
    """The printed counts of a group; empty if it is in no table."""
    if at == ("all", "all"):
        return {name: next(iter(counted.values())).total.counted(name) for name in _PRINTED}
    one = counted.get(at[0])
    rows = zip(one.groups, one.counts, strict=True) if one is not None and one.grouping.shown else ()
    return next(({name: own.counted(name) for name in _PRINTED} for group, own in rows if group.code == at[1]), {})


def _code(path: Path) -> str:
    return "|".join(f"{grouping}={code}" for grouping, code in path)


def published_harms(
    found: Sequence[FoundHarm], pairs: PairCounts, rule: Disclosure, *, z: float, hidden: HiddenCells
) -> tuple[HarmFinding, ...]:
    """The findings as they may be printed, in the same order; `groups_of_harms` must be counted in `hidden`."""
    return tuple(
        _published(one, rule, z=z, hidden=_reveals_few(one, pairs, rule) or _is_hidden(one, hidden)) for one in found
    )


def _is_hidden(one: FoundHarm, hidden: HiddenCells) -> bool:
    table = one.path[0] if len(one.path) == 1 else (SEARCHED, _code(one.path))
    return hidden.hides(*table, _PRINTED) or hidden.hides(SEARCHED, _code(one.path), _PRINTED)


def _published(one: FoundHarm, rule: Disclosure, *, z: float, hidden: bool) -> HarmFinding:
    estimate = None if hidden else printed_interval(publish_ratio(one.ratio, rule), z)
    name = named(one.path)
    number = f"{100 * estimate.value:.0f}" if estimate else "a number that is hidden of"
    beside = f"likely range {100 * estimate.low:.0f} to {100 * estimate.high:.0f}" if estimate else "beyond chance"
    return HarmFinding(
        path=one.path,
        name=name,
        harm=one.harm,
        estimate=estimate,
        p_value=max(round(one.p_value, 4), _SMALLEST_P),
        appointments=None if hidden else publish_count(one.appointments, rule),
        sentence=_SENTENCES[one.harm].format(name=name, number=number, beside=beside),
    )


def _reveals_few(one: FoundHarm, pairs: PairCounts, rule: Disclosure) -> bool:
    """Whether the counts, or what is left of a part's own printed counts, are too small to be told."""
    own = group_sums(pairs, one.path)
    left = [group_sums(pairs, (part,)) - own for part in one.path] if len(one.path) > 1 else []
    return any(publish_count(number, rule) is None for sums in (own, *left) for number in sums)


def named(path: Path) -> str:
    """The names of the parts of a path; a place is named with what kind of place it is.

    >>> named((("sex", "2"), ("site", "RXA01")))
    'Female; site RXA01'
    """
    return "; ".join(_group_name(grouping, code) for grouping, code in path)


def _group_name(name: str, code: str) -> str:
    grouping = _BY_NAME[name]
    known = {group.code: group.name for group in grouping.groups}
    title = grouping.title.partition(" (")[0].lower()
    return f"{title} {known.get(code, code)}" if name in SERVICE else known.get(code, code)

"""Gate G5: is any group, intersection of groups or site harmed that nobody asked about?

A group that fails only because a part of it is harmed does not fail itself: its finding names the part.
"""

import dataclasses
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from dnapredict.fairness.compare.adjusted_effects import Key
from dnapredict.fairness.compare.causes import is_badly_recorded
from dnapredict.fairness.compare.comparisons import Evidence
from dnapredict.fairness.compare.harm_search import FoundHarm, HarmKind
from dnapredict.fairness.compare.searched_groups import LARGEST_SEARCHED, Path
from dnapredict.fairness.measure.membership import Group
from dnapredict.fairness.verdicts import ACTIONS, Cause, Check, Gate, Verdict, combine_checks

SEARCHED: Final = "search"
_QUESTION: Final = "Is anybody harmed whom no comparison names: people of several groups at once, or at one site?"
_NOBODY: Final = (
    "None was found. Groups, pairs of groups and sites were searched; one search in twenty finds one by chance."
)
_CAUSES: Final = {HarmKind.UNDER_SCORED: Cause.UNDER_SCORED, HarmKind.FEWER_CALLS: Cause.CAPACITY}
_SAID: Final = {
    HarmKind.UNDER_SCORED: "{name}: more of them miss than the same risk means for others.",
    HarmKind.FEWER_CALLS: "{name}: fewer of them are called than others at the same risk.",
}
_MOST_OF_IT: Final = 0.5
_WHOLE: Final = "{name}: the finding is not limited to this part; it holds for the whole group, {whole}."
_PART: Final = "{name}: this goes with a part of the group, {part}; without that part nothing is shown."


def search_gate(evidence: Evidence) -> Gate | None:
    """G5: the harms that were found by honest splitting; None where pairs of groups were not counted."""
    if evidence.harms is None:
        return None
    checks = tuple(_check(harm, evidence) for harm in _largest(evidence.harms))
    sentence = " ".join(check.sentence for check in checks) or _NOBODY
    verdict = Verdict.FAIL if checks else Verdict.PASS
    return Gate("G5", "Search", _QUESTION, verdict, sentence, checks)


def _largest(harms: Sequence[FoundHarm]) -> list[FoundHarm]:
    """The harms without those of a part of a group that is found as a whole."""
    whole = {harm.path[0] for harm in harms if len(harm.path) == 1}
    return [harm for harm in harms if len(harm.path) == 1 or whole.isdisjoint(harm.path)]


def _check(harm: FoundHarm, evidence: Evidence) -> Check:
    group = named_path(harm.path, evidence)
    grouping = harm.path[0][0] if len(harm.path) == 1 else SEARCHED
    cause = Cause.LABEL if _is_badly_recorded(harm, evidence) else _CAUSES[harm.harm]
    sentence = f"{_SAID[harm.harm].format(name=group.name)} {ACTIONS[cause][0].upper()}{ACTIONS[cause][1:]}."
    return Check(grouping, group, Verdict.FAIL, str(harm.harm), sentence, cause=cause)


def _is_badly_recorded(harm: FoundHarm, evidence: Evidence) -> bool:
    """Whether more of a whole group are recorded as missed than miss; of an intersection the counts cannot tell."""
    if len(harm.path) > 1 or harm.harm is not HarmKind.UNDER_SCORED:
        return False
    why = next((one.why for one in evidence.compared if (one.grouping, one.group.code) == harm.path[0]), None)
    return why is not None and is_badly_recorded(why, evidence.policy.limits.causes)


def named_path(path: Sequence[Key], evidence: Evidence) -> Group:
    """The intersection of the groups of a path, with a name that says all of them."""
    if len(path) == 1:
        return _group_of(*path[0], evidence)
    return Group(_code(tuple(path)), "; ".join(_group_of(*part, evidence).name for part in path))


def _code(path: Path) -> str:
    return "|".join(f"{grouping}={code}" for grouping, code in path)


def _group_of(grouping: str, code: str, evidence: Evidence) -> Group:
    groups = evidence.counted[grouping].groups if grouping in evidence.counted else ()
    return next((group for group in groups if group.code == code), Group(code, code))


def without_blame_for_parts(gates: Sequence[Gate], evidence: Evidence) -> tuple[Gate, ...]:
    """The gates, where a group that fails because of a harmed part of it is reviewed instead.

    The part itself fails in G5. A group that the search found as a whole keeps its verdict. So does a group of more
    than half of all appointments, which is too large to be searched; findings in parts of it are then a REVIEW.
    """
    large = _large_and_failed(gates)
    parts = _harmed_parts(evidence, large)
    whole = {_code(path): named_path([key], evidence).name for path, key in _within_large(evidence, large)}
    judged = (_rejudged(gate, parts) if gate.code in _ABOUT_GROUPS else gate for gate in gates)
    return tuple(_without_parts_of(gate, whole) if gate.code == "G5" else gate for gate in judged)


_ABOUT_GROUPS: Final = ("G1", "G2", "G3", "G3b")


def _large_and_failed(gates: Sequence[Gate]) -> set[Key]:
    """Groups of more than half of all appointments that fail G2 (meaning of a risk)."""
    checks = (check for gate in gates if gate.code == "G2" for check in gate.checks)
    return {
        (check.grouping, check.group.code)
        for check in checks
        if check.verdict is Verdict.FAIL and check.weight >= LARGEST_SEARCHED
    }


def _within_large(evidence: Evidence, large: Collection[Key]) -> list[tuple[Path, Key]]:
    """Each finding of under-scored risks in an intersection, with the large group that contains it."""
    return [
        (harm.path, key)
        for harm in evidence.harms or ()
        if harm.harm is HarmKind.UNDER_SCORED and len(harm.path) > 1
        for key in harm.path
        if key in large
    ]


def _without_parts_of(gate: Gate, whole: Mapping[str, str]) -> Gate:
    """G5 with a REVIEW in place of a FAIL for intersections that are part of a group that fails as a whole."""
    checks = tuple(
        dataclasses.replace(
            check, verdict=Verdict.REVIEW, sentence=_WHOLE.format(name=check.group.name, whole=whole[check.group.code])
        )
        if check.grouping == SEARCHED and check.group.code in whole
        else check
        for check in gate.checks
    )
    if checks == gate.checks:
        return gate
    sentence = " ".join(check.sentence for check in checks)
    return dataclasses.replace(gate, verdict=combine_checks(checks), sentence=sentence, checks=checks)


def _harmed_parts(evidence: Evidence, large: Collection[Key]) -> dict[Key, str]:
    """The name of the harmed part of each group that has one and is not found as a whole.

    A part with most of the missed appointments of a group cannot be distinguished from the group: in a small group the
    search may find only the largest subgroup, and the group keeps its verdict. A deprivation decile that is found
    without its quintile is always such a part, since the search tests both.
    """
    harms = evidence.harms or ()
    whole = {harm.path[0] for harm in harms if len(harm.path) == 1} | set(large)
    parts = {
        part: named_path(harm.path, evidence).name
        for harm in harms
        if len(harm.path) > 1
        for part in harm.path
        if part not in whole and harm.missed < _MOST_OF_IT * _missed_in(*part, evidence)
    }
    singles = [harm for harm in harms if len(harm.path) == 1]
    within = {
        larger: named_path(harm.path, evidence).name
        for harm in singles
        for larger in _group_of(*harm.path[0], evidence).within
        if larger not in whole
    }
    return within | parts


def _missed_in(grouping: str, code: str, evidence: Evidence) -> float:
    counted = evidence.counted.get(grouping)
    groups = () if counted is None else zip(counted.groups, counted.counts, strict=True)
    return next((counts.total("missed") for group, counts in groups if group.code == code), math.inf)


def _rejudged(gate: Gate, parts: Mapping[tuple[str, str], str]) -> Gate:
    checks = tuple(_unblamed(check, parts.get((check.grouping, check.group.code))) for check in gate.checks)
    return gate if checks == gate.checks else dataclasses.replace(gate, checks=checks, verdict=combine_checks(checks))


def _unblamed(check: Check, part: str | None) -> Check:
    if part is None or check.verdict is not Verdict.FAIL:
        return check
    sentence = _PART.format(name=check.group.name, part=part)
    return dataclasses.replace(check, verdict=Verdict.REVIEW, sentence=sentence, cause=Cause.OTHER_GROUP)

"""The rows of page 1 on who is behind: by how much, why, and who does what by when."""

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from dnapredict.fairness.compare.harm_search import HarmKind
from dnapredict.fairness.measure.intervals import Interval
from dnapredict.fairness.measure.membership import Group
from dnapredict.fairness.publish.group_tables import GroupRow
from dnapredict.fairness.publish.harm_findings import HarmFinding
from dnapredict.fairness.report.group_phrases import capital, people
from dnapredict.fairness.report.phrases import whole_numbers
from dnapredict.fairness.run_audit import AuditResult
from dnapredict.fairness.verdicts import Cause, Check, Verdict

_MOST_NAMED: Final = 4
_WITH_WHO: Final = (" who ", " whose ", " whom ")


@dataclass(frozen=True)
class BehindRow:
    """A group that is behind: by how much, why, and who does what by when.

    `groups` are their names; gaps that are shown to be no fault of the list, for the same cause, share a row.
    """

    groups: tuple[str, ...]
    verdict: Verdict
    figures: str
    why: str
    task: str
    owner: str
    by_when: str


def groups_behind(result: AuditResult) -> list[Check]:
    """Groups that are behind beyond chance: those that fail first, then those not explained, by their gaps.

    What the search found is among them, unless the group is behind in reach as a whole.
    """
    gate, search = result.gate("G3"), result.gate("G5")
    checks = [check for check in gate.checks if _is_behind(check)] if gate else []
    known = {(check.grouping, check.group.code) for check in checks if check.verdict is Verdict.FAIL}
    found = [c for c in search.checks if (c.grouping, c.group.code) not in known] if search else []
    parts = {part for harm in result.harms if len(harm.path) > 1 for part in harm.path}
    found_codes = {(one.grouping, one.group.code) for one in found}
    kept = [_without_blame(c, parts) for c in checks if (c.grouping, c.group.code) not in found_codes]
    return sorted([*found, *kept], key=lambda c: (c.verdict is not Verdict.FAIL, _is_explained(c), -_points(c)))


def _without_blame(check: Check, parts: Collection[tuple[str, str]]) -> Check:
    """The check, where a part of the group is harmed and not the group: the gap is that of its part."""
    if check.verdict is Verdict.REVIEW and (check.grouping, check.group.code) in parts:
        return dataclasses.replace(check, cause=Cause.OTHER_GROUP)
    return check


def _is_explained(check: Check) -> bool:
    return check.verdict is Verdict.REVIEW and check.cause is not None and check.cause.explains


def _is_behind(check: Check) -> bool:
    if check.verdict is Verdict.FAIL:
        return True
    return check.verdict is Verdict.REVIEW and check.estimate is not None and check.estimate.low > 0


def _points(check: Check) -> float:
    return check.estimate.value if check.estimate else 1.0


@dataclass(frozen=True)
class _Task:
    """Why a gap is there, which owner of `Policy.owners` acts, and what they do."""

    why: str
    owner: str
    task: str


_BY_CAUSE: Final[Mapping[Cause, _Task]] = {
    Cause.LOWER_NEED: _Task(
        "They miss less often, and their risks are right.", "review", "Look at it, and write down if you agree."
    ),
    Cause.WEAKER_INFORMATION: _Task(
        "The model knows too little about them.",
        "model",
        "Find facts that say more about them. Until then offer help in a way that needs no model.",
    ),
    Cause.UNDER_SCORED: _Task(
        "Their risks are too low: more of them miss than the model says.",
        "model",
        "Set their risks right, and audit again.",
    ),
    Cause.OVER_SCORED: _Task(
        "Their risks are too high: fewer of them miss than the model says.",
        "model",
        "Set their risks right, and audit again.",
    ),
    Cause.SQUEEZED_RISKS: _Task(
        "Their risks are too much alike: the high ones are too low.",
        "model",
        "Set the spread of their risks right, and audit again.",
    ),
    Cause.LABEL: _Task(
        "Their missed appointments are not recorded as others' are.",
        "records",
        "Check how they are recorded, put it right, and audit again.",
    ),
    Cause.MIX: _Task(
        "They use other clinics. Within a clinic the gap is not there.",
        "review",
        "Look at it clinic by clinic, and write down what you find.",
    ),
    Cause.OTHER_GROUP: _Task(
        "It is the gap of another group that many of them belong to, or of a part of them.",
        "review",
        "Look at that group first.",
    ),
    Cause.CAPACITY: _Task(
        "At the same risk fewer of them are called.", "calls", "Find out who passes them over, and put it right."
    ),
    Cause.CALLS: _Task(
        "Calls helped them more than others, so that fewer who were called missed.",
        "calls",
        "Judge on people who were not called, as here.",
    ),
    Cause.UNKNOWN: _Task(
        "Why is not known.", "review", "Find out why, with people who know these patients."
    ),
}  # fmt: skip
_BY_WHEN: Final = {
    Verdict.FAIL: "before the list is used",
    Verdict.REVIEW: "before this report is signed",
}


def behind_rows(behind: Sequence[Check], result: AuditResult) -> Iterator[BehindRow]:
    """A row for each group, and one for all gaps that are explained by the same cause."""
    explained: dict[Cause, list[Check]] = {}
    for check in behind:
        if check.cause is not None and _is_explained(check):
            explained.setdefault(check.cause, []).append(check)
        else:
            yield _row_of((check,), _figures(check, result), result)
    for checks in explained.values():
        yield _row_of(checks, _figures_of_all(checks, result), result)


def _row_of(checks: Sequence[Check], figures: str, result: AuditResult) -> BehindRow:
    first, task = checks[0], _BY_CAUSE[checks[0].cause or Cause.UNKNOWN]
    return BehindRow(
        groups=tuple(capital(people(check.grouping, check.group)) for check in checks),
        verdict=first.verdict,
        figures=figures,
        why=task.why,
        task=task.task,
        owner=getattr(result.policy.owners, task.owner),
        by_when=_BY_WHEN[first.verdict],
    )


def published_row(result: AuditResult, check: Check) -> GroupRow | None:
    """The printed row of the group of a check; None where it is put together with others or in no table."""
    table = result.table(check.grouping)
    return next((row for row in table.rows if row.group.code == check.group.code), None) if table else None


def called_of_100(check: Check, result: AuditResult) -> tuple[int, int] | None:
    """Called of 100 in the group who missed, and of 100 others; None where one is hidden."""
    row = published_row(result, check)
    reach = row.rates["reach"] if row else None
    if check.measure != "reach" or reach is None or check.estimate is None:
        return None
    return whole_numbers(reach, check.estimate)


_FOUND: Final[Mapping[HarmKind, str]] = {
    HarmKind.UNDER_SCORED: "{who}: for every 100 who should miss by their risks, {number} do, most likely {range}.",
    HarmKind.FEWER_CALLS: "{who}: for every 100 to be called by their risks, {number} are, most likely {range}.",
}
_FOUND_HIDDEN: Final[Mapping[Cause, str]] = {
    Cause.UNDER_SCORED: "{who}: more of them miss than of others with the same risk.",
    Cause.CAPACITY: "{who}: fewer of them are called than of others with the same risk.",
}


def _figures(check: Check, result: AuditResult) -> str:
    if check.measure != "reach":
        return _figures_of_harm(check, result)
    whom, numbers = of_100(check.grouping, check.group), called_of_100(check, result)
    if numbers is None or check.estimate is None:
        return f"{whom}, fewer would have been called than of 100 others. The numbers are too small to print."
    reach, others = numbers
    fewer = others - reach
    gap = f"{likely(check.estimate, fewer)}{_in_the_same_clinics(check, result, fewer=fewer)}"
    return f"{whom}, {reach} would have been called; of 100 others, {others}. {gap}"


def _in_the_same_clinics(check: Check, result: AuditResult, *, fewer: int) -> str:
    """The gap standardised for the mix of clinics, where that mix is its cause; "" otherwise.

    A gap in total that exists in no clinic (Simpson 1951) misleads a reader who sees it alone.
    """
    found = (one for one in result.findings if (one.grouping, one.group.code) == (check.grouping, check.group.code))
    parts = next((one.parts for one in found), ())
    mix = next((part.points for part in parts if part.cause is Cause.MIX), None)
    if check.cause is not Cause.MIX or mix is None or check.estimate is None:
        return ""
    left = round(100 * (check.estimate.value - mix.value))
    within = "as many" if left == 0 else f"{abs(left)} {'fewer' if left > 0 else 'more'}"
    return f" If all went to the same clinics, it would be {within}, and not {fewer} fewer."


def _figures_of_harm(check: Check, result: AuditResult) -> str:
    """The figures of what the search found, without those that are hidden."""
    who = capital(people(check.grouping, check.group))
    found = next((harm for harm in result.harms if _codes(harm) == check.group.code), None)
    if found is None or found.estimate is None:
        return _FOUND_HIDDEN[check.cause or Cause.CAPACITY].format(who=who)
    number, low, high = (round(100 * end) for end in (found.estimate.value, found.estimate.low, found.estimate.high))
    return _FOUND[found.harm].format(who=who, number=number, range=f"{low} to {high}")


def _codes(harm: HarmFinding) -> str:
    """The code that gate G5 gives the group of a finding."""
    if len(harm.path) == 1:
        return harm.path[0][1]
    return "|".join(f"{grouping}={code}" for grouping, code in harm.path)


def _figures_of_all(checks: Sequence[Check], result: AuditResult) -> str:
    """The figures of groups whose gaps have one explanation, the largest gaps first."""
    if len(checks) == 1:
        return _figures(checks[0], result)
    named = [
        f"{people(check.grouping, check.group)}: {numbers[0]}, others {numbers[1]}"
        for check in checks[:_MOST_NAMED]
        if (numbers := called_of_100(check, result))
    ]
    more = len(checks) - len(named)
    others = f"; and {more} more groups" if more > 1 else "; and one more group" if more else ""
    return f"Of 100 who missed, these would have been called. {capital('; '.join(named))}{others}."


def of_100(grouping: str, group: Group) -> str:
    """The opening of a sentence on 100 people of a group who missed.

    >>> of_100("age", Group("65-79", "65-79"))
    'Of 100 people aged 65 to 79 who missed'
    >>> of_100("interpreter", Group("yes", "Needs an interpreter"))
    'Of 100 people who need an interpreter and missed'
    """
    phrase = people(grouping, group)
    has_clause = any(word in f" {phrase} " for word in _WITH_WHO)
    return f"Of 100 {phrase} {'and' if has_clause else 'who'} missed"


def likely(gap: Interval, fewer: int) -> str:
    """The likely range of a gap in words, in whole numbers that hold the printed gap.

    >>> likely(Interval(0.18, 0.142, 0.219), 18)
    'That is 18 fewer, most likely 14 to 22.'
    """
    low, high = min(round(100 * gap.low), fewer), max(round(100 * gap.high), fewer)
    range_ = f"{max(low, 0)} to {high}" if low < high else f"{low}"
    return f"That is {fewer} fewer, most likely {range_}."

"""What page 1 of the report says, as words and whole numbers: verdicts, who is behind and why, what can be said.

`audit.json` keeps it, so that the service shows a stored report in the words that were signed.
"""

import datetime
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from dnapredict.config.fairness_policy import REFUSED_USES
from dnapredict.fairness.measure.intervals import Interval
from dnapredict.fairness.measure.membership import Group
from dnapredict.fairness.publish.group_tables import GroupRow
from dnapredict.fairness.report.group_phrases import capital, people
from dnapredict.fairness.report.phrases import list_and
from dnapredict.fairness.report.verdict_sentences import three_verdicts
from dnapredict.fairness.report.wording import describe_use, further_tasks
from dnapredict.fairness.run_audit import AuditResult
from dnapredict.fairness.verdicts import Cause, Check, Verdict

MOST_ROWS: Final = 6
_MOST_NAMED: Final = 4
_FEWEST_DAYS: Final = 28  # of a period from which a rate is read
_WITH_WHO: Final = (" who ", " whose ", " whom ")


@dataclass(frozen=True)
class PageVerdict:
    """One of the three verdicts, and a sentence or two on it."""

    title: str
    verdict: Verdict
    sentence: str


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


@dataclass(frozen=True)
class PageOne:
    """Page 1 of a report.

    Attributes
    ----------
    use, never_for, capacity
        What the list decides and why one figure comes first; what it is never for; how long it is.
    verdicts
        On the list, on the records, and on the level of the risks.
    behind
        The largest gaps, at most six; groups and sites that the search found are among them.
    left_out
        How many more groups are behind than are listed.
    nobody
        What is said where nobody is behind; "" otherwise.
    also
        What else has to be put right.
    can_say, cannot_say
        Short lists of sentences.
    changes
        What is different from the last audit.
    method
        How the list was made again, and whose outcomes count.
    """

    use: tuple[str, str]
    never_for: tuple[str, ...]
    capacity: str
    verdicts: tuple[PageVerdict, ...]
    behind: tuple[BehindRow, ...]
    left_out: int
    nobody: str
    also: tuple[str, ...]
    can_say: tuple[str, ...]
    cannot_say: tuple[str, ...]
    changes: tuple[str, ...]
    method: str
    next_review: str


def page_one(result: AuditResult, *, changes: Sequence[str] = ()) -> PageOne:
    """Page 1 of the report on an audit."""
    behind, policy = groups_behind(result), result.policy
    rows = tuple(behind_rows(behind, result))
    return PageOne(
        use=describe_use(policy.use),
        never_for=tuple(REFUSED_USES),
        capacity=result.context.capacity if policy.primary == "reach" else "",
        verdicts=tuple(PageVerdict(*one) for one in three_verdicts(result)),
        behind=rows[:MOST_ROWS],
        left_out=sum(len(row.groups) for row in rows[MOST_ROWS:]),
        nobody="" if behind else _nobody(result),
        also=further_tasks(result.gates, named={(check.grouping, check.group.code) for check in behind}),
        can_say=tuple(_can_say(result)),
        cannot_say=tuple(_cannot_say(result, behind)),
        changes=tuple(changes),
        method=_method(result),
        next_review=f"{policy.next_review:%-d %B %Y}" if policy.next_review else "",
    )


def groups_behind(result: AuditResult) -> list[Check]:
    """Groups that are behind in reach beyond chance: those that fail first, then those not explained, by their gaps."""
    gate = result.gate("G3")
    checks = [check for check in gate.checks if _is_behind(check)] if gate else []
    return sorted(checks, key=lambda check: (check.verdict is not Verdict.FAIL, check.is_explained, -_points(check)))


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
        "Many of them belong to another group that is behind. Among people alike in the rest there is no gap.",
        "review",
        "Look at that other group first.",
    ),
    Cause.CAPACITY: _Task(
        "At the same risk fewer of them are called.", "calls", "Find out who passes them over, and put it right."
    ),
    Cause.CALLS: _Task(
        "Calls that were made changed who missed.", "calls", "Audit people who were not called, or run a trial."
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
        if check.is_explained and check.cause is not None:
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


def _row(result: AuditResult, check: Check) -> GroupRow | None:
    table = result.table(check.grouping)
    return next((row for row in table.rows if row.group.code == check.group.code), None) if table else None


def whole_numbers(check: Check, result: AuditResult) -> tuple[int, int] | None:
    """Called of 100 in the group who missed, and of 100 others; None where one is hidden."""
    row = _row(result, check)
    reach = row.rates["reach"] if row else None
    if reach is None or check.estimate is None:
        return None
    return round(100 * reach.value), round(100 * (reach.value + check.estimate.value))


def _figures(check: Check, result: AuditResult) -> str:
    whom, numbers = of_100(check.grouping, check.group), whole_numbers(check, result)
    if numbers is None or check.estimate is None:
        return f"{whom}, fewer would have been called than of 100 others. The numbers are too small to print."
    reach, others = numbers
    return f"{whom}, {reach} would have been called; of 100 others, {others}. {likely(check.estimate, others - reach)}"


def _figures_of_all(checks: Sequence[Check], result: AuditResult) -> str:
    """The figures of groups whose gaps have one explanation, the largest gaps first."""
    if len(checks) == 1:
        return _figures(checks[0], result)
    named = [
        f"{people(check.grouping, check.group)}: {numbers[0]}, others {numbers[1]}"
        for check in checks[:_MOST_NAMED]
        if (numbers := whole_numbers(check, result))
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


def _nobody(result: AuditResult) -> str:
    gate = result.gate("G3")
    if gate is None:
        return "Nobody is called from this plan, so nobody is left out of calls."
    if all(check.verdict is Verdict.NOT_ENOUGH_DATA for check in gate.checks):
        return "There is not enough data to say of any group whether it is behind."
    return "No group that we can judge is clearly behind."


def _can_say(result: AuditResult) -> Iterator[str]:
    everyone = result.everyone.rows[0]
    reach, gate = everyone.rates["reach"], result.gate("G3")
    if reach is not None and gate is not None:
        yield f"Of 100 people who missed, the list would have called {round(100 * reach.value)}."
    if result.verdicts.records is Verdict.PASS:
        yield "The records are good enough to judge the list."
    if gate is not None and (numbers := _core20(result)):
        poorer, rest = numbers
        yield f"Of 100 people in the most deprived areas who missed, {poorer}; of 100 in other areas, {rest}."
    if gate is not None:
        alike = [check for check in gate.checks if check.verdict is Verdict.PASS]
        yield from _named("Reached about as well as others: {}.", alike)


def _core20(result: AuditResult) -> tuple[int, int] | None:
    table = result.table("core20")
    reach = {row.group.code: row.rates["reach"] for row in table.rows} if table else {}
    poorer, rest = reach.get("core20"), reach.get("rest")
    return (round(100 * poorer.value), round(100 * rest.value)) if poorer and rest else None


def _cannot_say(result: AuditResult, behind: Sequence[Check]) -> Iterator[str]:
    gate = result.gate("G3")
    checks = [check for check in gate.checks if check not in behind] if gate else []
    doubtful = [check for check in checks if check.verdict is Verdict.REVIEW]
    thin = [check for check in checks if check.verdict is Verdict.NOT_ENOUGH_DATA]
    yield from _named("Whether these are behind, or it is chance: {}.", doubtful)
    if thin:
        yield from (f"{sentence}{_enough_by(thin, result)}" for sentence in _named("Too few missed to say: {}.", thin))
    if unknown := _unknown(result):
        yield unknown
    if result.absent:
        yield f"Not in the data: {list_and(result.absent)}."


def _named(sentence: str, checks: Sequence[Check]) -> Iterator[str]:
    """The sentence with the largest groups named; nothing where there is none."""
    if not checks:
        return
    largest = sorted(checks, key=lambda check: -check.weight)[:_MOST_NAMED]
    names = [people(check.grouping, check.group) for check in largest]
    more = len(checks) - len(largest)
    yield sentence.format(list_and([*names, f"{more} more groups"] if more > 1 else names))


def _unknown(result: AuditResult) -> str:
    """How many appointments are of people whose ethnic group or area is not known."""
    parts = []
    for name, what in (("ethnicity", "the ethnic group"), ("core20", "the area")):
        table = result.table(name)
        counts = [row.counts["appointments"] for row in table.rows if not row.group.known] if table else []
        number = sum(count for count in counts if count)
        if number:
            parts.append(f"{what} in {number:,}")
    everyone = result.everyone.rows[0].counts["appointments"]
    return f"Of {everyone or 0:,} appointments we do not know {list_and(parts)}." if parts else ""


def _enough_by(thin: Sequence[Check], result: AuditResult) -> str:
    """When most of these groups will have the missed appointments that a verdict needs, at the present rate."""
    first, last = result.context.window
    days = (last - first).days + 1
    needed = [
        math.ceil(days * result.policy.smallest_group / missed)
        for check in thin
        if (row := _row(result, check)) and (missed := row.counts["missed"]) and missed < result.policy.smallest_group
    ]
    if not needed or days < _FEWEST_DAYS:
        return ""
    day = first + datetime.timedelta(days=min(needed))
    return f" At this rate there will be enough for the first of them in {day:%B %Y}."


def _method(result: AuditResult) -> str:
    return (
        f"The lists of these weeks were made again, {result.context.capacity}, and compared with who missed."
        if result.policy.primary == "reach"
        else "The risks were compared with who missed."
    )

"""What page 1 of the report says, as words and whole numbers: verdicts, who is behind and why, what can be said.

`audit.json` keeps it, so that the service shows a stored report in the words that were signed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from dnapredict.config.fairness_policy import REFUSED_USES
from dnapredict.fairness.report.behind_rows import BehindRow, behind_rows, groups_behind, published_row
from dnapredict.fairness.report.group_phrases import people
from dnapredict.fairness.report.phrases import gate_sentence, list_and
from dnapredict.fairness.report.wording import describe_use, further_tasks, named_groups
from dnapredict.fairness.run_audit import AuditResult
from dnapredict.fairness.verdicts import RECORD_GATES, Check, Gate, Verdict

MOST_ROWS: Final = 6
_MOST_NAMED: Final = 4


@dataclass(frozen=True)
class PageVerdict:
    """One of the three verdicts, and a sentence or two on it."""

    title: str
    verdict: Verdict
    sentence: str


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
        The sentence where nobody is behind; "" otherwise.
    also
        What else has to be put right.
    can_say, cannot_say
        Short lists of sentences.
    changes
        What is different from the last audit.
    method
        How the list was made again, and whose outcomes count.
    signing
        What it means that the policy names nobody who may sign; "" where it names somebody.
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
    signing: str = ""


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
        also=further_tasks(result.gates, policy.owners, named={(check.grouping, check.group.code) for check in behind}),
        can_say=tuple(_can_say(result)),
        cannot_say=tuple(_cannot_say(result, behind)),
        changes=tuple(changes),
        method=_method(result),
        next_review=f"{policy.next_review:%-d %B %Y}" if policy.next_review else "",
        signing="" if policy.signatories else _NOBODY_NAMED,
    )


_NOBODY_NAMED: Final = (
    "The policy names nobody who may sign. Anybody can then write any name here, and one name is enough, even after a "
    "FAIL. Name the people in fairness/policy.toml."
)


def _nobody(result: AuditResult) -> str:
    gate = result.gate("G3")
    if gate is None:
        return "Nobody is called from this plan, so nobody is left out of calls."
    if not gate.checks:
        return "The data do not say who people are, so nobody can say who is behind."
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
    yield from result.outcomes if _is_refused(result) else ()
    gate = result.gate("G3")
    checks = [check for check in gate.checks if check not in behind] if gate else []
    doubtful = [check for check in checks if check.verdict is Verdict.REVIEW]
    thin = [check for check in checks if check.verdict is Verdict.NOT_ENOUGH_DATA]
    yield from _named("Whether these are behind, or it is chance: {}.", doubtful)
    small = [check for check in thin if _is_small(check, result)]
    large = [check for check in thin if check not in small]
    for sentence, group in ((_unsettled(result), large), ("Too few missed to say: {}.", small)):
        yield from (f"{said}{_enough_by(group)}" for said in _named(sentence, group))
    if unknown := _unknown(result):
        yield unknown
    if result.absent:
        yield f"Not in the data: {list_and(result.absent)}."


def _is_small(check: Check, result: AuditResult) -> bool:
    """Whether a group has too few missed appointments to be judged; otherwise its range is too wide for a verdict."""
    row = published_row(result, check)
    missed = row.counts["missed"] if row else None
    return check.detectable is None and (missed is None or missed < result.policy.smallest_group)


def _unsettled(result: AuditResult) -> str:
    limit = f"{100 * result.policy.limits.reach.max_harm_gap:g}"
    return f"Whether fewer are reached, by more than {limit} in 100: {{}}. The data can still mean yes or no."


def _named(sentence: str, checks: Sequence[Check]) -> Iterator[str]:
    """The sentence with the largest groups named; nothing where there is none."""
    if not checks:
        return
    largest = sorted(checks, key=lambda check: -check.weight)
    # People whose area is not known are a group of several groupings.
    phrases = list(dict.fromkeys(people(check.grouping, check.group) for check in largest))
    more = len(phrases) - _MOST_NAMED
    # One more is named, too: to say that there is one takes as much room.
    yield sentence.format(list_and([*phrases[:_MOST_NAMED], f"{more} more groups"] if more > 1 else phrases))


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


def _enough_by(thin: Sequence[Check]) -> str:
    """When there will be enough data for the first of these groups, at the present rate."""
    days = [check.enough_by for check in thin if check.enough_by is not None]
    if not days:
        return ""
    whom = "" if len(thin) == 1 else " for the first of them"
    return f" At this rate there will be enough{whom} by {min(days):%B %Y}."


def _is_refused(result: AuditResult) -> bool:
    """Whether reach cannot be judged, since nearly all were called: a second sentence says what to record."""
    return len(result.outcomes) > 1


def _method(result: AuditResult) -> str:
    """How the lists were made again, and whose outcomes the figures rest on."""
    lists = (
        f"The lists of these weeks were made again: {result.context.capacity}. Then we looked who missed."
        if result.policy.primary == "reach"
        else "We compared the risks with who missed."
    )
    lists = f"{lists} {result.context.opted_out}".rstrip()
    if _is_refused(result):
        return lists
    return f"{lists} {' '.join(result.outcomes) or _NO_CALLS}"


_NO_CALLS: Final = "No calls are on record in these data; if there were any, they may hide who would have missed."


LIST, RECORDS, LEVEL = "Is the list fair?", "Can we trust the records?", "Are the risks right, all in all?"
_LIST: Final = {
    Verdict.PASS: "Every group that we can judge is reached about as well as others.",
    Verdict.REVIEW: "Nothing is clearly unfair, but some answers are not sure. A named person looks first.",
    Verdict.NOT_ENOUGH_DATA: "There is not enough data to say. This is not a pass.",
    Verdict.FAIL: "Do not use the list as it is.",
}
_NOBODY_KNOWN: Final = "The data do not say who people are, so nobody can say. This is not a pass."
_PROBLEMS: Final = {
    "G3": "Too few are reached among {}.",
    "G5": "Harm was found among {}.",
    "G2": "At the same risk, more or fewer miss among {}.",
    "G3b": "The model knows too little about {}.",
    "G6": "The new model would take help from {}.",
}
_RECORDS_ARE_GOOD: Final = "We know enough about who people are, and missed means the same for everyone."
_NOT_ALL_SEEN: Final = "Of some groups we know too little: see what we cannot say."
_LEVEL_NOT_JUDGED: Final = "There is not enough data to say."


def three_verdicts(result: AuditResult) -> tuple[tuple[str, Verdict, str], ...]:
    """Question, verdict and sentence on the list, on the records, and on the level of the risks."""
    verdicts = result.verdicts
    reach = result.gate("G3")
    nobody_known = reach is not None and not reach.checks and verdicts.list is Verdict.NOT_ENOUGH_DATA
    on_list = _NOBODY_KNOWN if nobody_known else _LIST[verdicts.list]
    return (
        (LIST, verdicts.list, " ".join((on_list, *_problems(result)))),
        (RECORDS, verdicts.records, _on_records(result)),
        (LEVEL, verdicts.level, _on_level(result.gate("G8"))),
    )


def _problems(result: AuditResult) -> Iterator[str]:
    """Which groups fail in which way: the first way that any group fails in."""
    for code, sentence in _PROBLEMS.items():
        gate = result.gate(code)
        failed = [check for check in gate.checks if check.verdict is Verdict.FAIL] if gate and gate.judged else []
        if failed:
            yield sentence.format(named_groups(failed))
            return


def _on_records(result: AuditResult) -> str:
    """What the worst gates about records say; groups that are not in the data are further down the page."""
    gates = [gate for gate in result.gates if gate.code in RECORD_GATES and gate.judged]
    worst = [gate for gate in gates if gate.verdict is result.verdicts.records and gate.verdict is not Verdict.PASS]
    said = [gate_sentence(gate) for gate in worst if gate.code != "G7" or gate.verdict is Verdict.FAIL]
    return " ".join(said) or (_NOT_ALL_SEEN if worst else _RECORDS_ARE_GOOD)


def _on_level(gate: Gate | None) -> str:
    return gate.sentence if gate else _LEVEL_NOT_JUDGED

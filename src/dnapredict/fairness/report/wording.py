"""The sentences of page 1 of the report, in plain words that never blame a patient."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from dnapredict.config.fairness_policy import Owners
from dnapredict.fairness.measure.group_metrics import KNOWS_THE_OUTCOME
from dnapredict.fairness.publish.group_tables import GroupRow, GroupTable
from dnapredict.fairness.report.group_phrases import capital, people
from dnapredict.fairness.report.phrases import list_and
from dnapredict.fairness.verdicts import Check, Gate, Verdict

_NAMED: Final = 3

# What a list of each permitted use decides, and why its primary metric shows harm.
_USES = {
    "supportive contact": (
        "The list says whom to offer help first, such as a call, transport, an interpreter or another time.",
        (
            "An extra call does little harm to someone who would have come anyway. Losing an appointment "
            "does a lot. So we ask first: who is reached?"
        ),
    ),
    "offer of another time or mode": (
        "The list says whom to offer another time first, or a telephone or video appointment.",
        (
            "An offer that can be refused does little harm. To be passed over does. So we ask first: who is "
            "reached? Nobody may be steered to a video appointment who cannot use one: look who takes it up."
        ),
    ),
    "capacity planning": (
        "The risks are added up to plan clinics. Nobody is named, and nobody is called.",
        "A plan is wrong where the risks are. So we ask first: does a risk mean the same for everyone?",
    ),
}


def describe_use(use: str) -> tuple[str, str]:
    """What a list of that use decides, and why its primary metric comes first.

    >>> describe_use("capacity planning")[0]
    'The risks are added up to plan clinics. Nobody is named, and nobody is called.'
    """
    return _USES[use]


_VERDICT = {
    Verdict.PASS: "Every group that we can judge is reached about as well as everyone else.",
    Verdict.REVIEW: "Nothing is clearly unfair, but some answers are not sure. "
    "A named person must look before the list is used.",
    Verdict.FAIL: "The list is not fair enough to use as it is.",
    Verdict.NOT_ENOUGH_DATA: "There is not enough data to say whether the list is fair. This is not a pass.",
}


def describe_verdict(verdict: Verdict) -> str:
    """What the verdict means, in one sentence."""
    return _VERDICT[verdict]


def headline(
    gates: Sequence[Gate], tables: Mapping[str, GroupTable], everyone: GroupRow, *, smallest_group: int
) -> tuple[str, ...]:
    """The findings in numbers of people: groups that are reached less, other failed gates, then Core20.

    Where no group is known, the reach of everyone.
    """
    behind = [check for gate in gates if gate.code == "G3" for check in gate.checks]
    sentences = [_left_behind(check, tables) for check in behind if check.verdict is Verdict.FAIL]
    named = {check.group.code for check in behind if check.verdict is Verdict.FAIL}
    sentences += [KNOWS_THE_OUTCOME for gate in gates for check in gate.checks if check.sentence == KNOWS_THE_OUTCOME]
    sentences += _other_failures(gates, named=named)
    sentences.append(_core20(tables.get("core20"), everyone))
    if behind and all(check.verdict is Verdict.NOT_ENOUGH_DATA for check in behind):
        sentences.append(_too_few(everyone, smallest_group))
    return tuple(sentence for sentence in sentences if sentence)


def _too_few(everyone: GroupRow, smallest_group: int) -> str:
    """How many appointments were missed in all, and how many a verdict on a group needs."""
    missed = everyone.counts["missed"]
    number = f"about {missed:,}" if missed is not None else "a small number of"
    return (
        f"What we do not know: whether any group is reached less. In all, {number} appointments were missed. "
        f"A verdict on a group needs {smallest_group} missed appointments in it, and as many outside it."
    )


def _other_failures(gates: Sequence[Gate], *, named: set[str]) -> list[str]:
    """Sentences on failed gates that are not about reach: of each group, or of the gate where it names none.

    Groups in `named` have a sentence already; required actions are further down the page.
    """
    sentences = []
    for gate in gates:
        if gate.judged and gate.verdict is Verdict.FAIL and gate.code not in ("G3", "G3b"):
            failed = [check for check in gate.checks if check.verdict is Verdict.FAIL]
            groups = [check for check in failed if check.grouping != "all"]
            new = [_first(check.sentence) for check in groups if check.group.code not in named]
            sentences += new[:_NAMED] if groups else [gate.sentence]
    return sentences


def _first(text: str) -> str:
    return f"{text.partition('. ')[0].rstrip('.')}."


def _left_behind(check: Check, tables: Mapping[str, GroupTable]) -> str:
    name = capital(people(check.grouping, check.group))
    rows = tables[check.grouping].rows if check.grouping in tables else ()
    reach = next((row.rates["reach"] for row in rows if row.group.code == check.group.code), None)
    if reach is None or check.estimate is None:
        return f"{name}: clearly fewer who missed would have been called than elsewhere."
    return (
        f"{name}: of every 100 people who missed their appointment, this list would have called "
        f"{100 * reach.value:.0f}. "
        f"Of every 100 other people, {100 * (reach.value + check.estimate.value):.0f}."
    )


def _core20(core20: GroupTable | None, everyone: GroupRow) -> str:
    rows = {row.group.code: row.rates["reach"] for row in core20.rows} if core20 else {}
    first, second = rows.get("core20"), rows.get("rest")
    if first and second:
        return (
            "Of every 100 people in the most deprived areas who missed their appointment, this list "
            f"would have called {100 * first.value:.0f}. Of every 100 in other areas, "
            f"{100 * second.value:.0f}."
        )
    reach = everyone.rates["reach"]
    if reach:
        called = f"{100 * reach.value:.0f}"
        return f"Of every 100 people who missed their appointment, this list would have called {called}."
    return "Too few people missed their appointment to say how many this list would have called."


# Which owner of `Policy.owners` puts right what a gate found, and how.
_PUT_RIGHT: Final[Mapping[str, tuple[str, str]]] = {
    "G0": ("records", "put the records right. {sentence}"),
    "G1": ("records", "first of all put right how missed appointments are recorded for {names}."),
    "G2": ("model", "set the risks right for {names}: more or fewer of them miss than the model says."),
    "G3b": ("model", "find facts that say more about {names}."),
    "G6": ("model", "keep the model in use: the new one would reach fewer of {names}."),
    "G7": ("records", "get the groups that the policy names into the data."),
    "G8": ("model", "set the risks of everyone right. {sentence}"),
}
_ASK: Final = "ask people for their ethnic group, and write it down."
_NOBODY: Final = (
    "bring into the data who people are: their ethnic group and how deprived their area is. "
    "Without that nobody can say if the list is fair."
)


def further_tasks(gates: Sequence[Gate], owners: Owners, *, named: Collection[tuple[str, str]]) -> tuple[str, ...]:
    """What has to be put right beside the gaps of the groups in `named` (grouping and code), and by whom."""
    judged = [gate for gate in gates if gate.judged]
    tasks = [task for gate in judged if gate.verdict is Verdict.FAIL and (task := _to_put_right(gate, named))]
    if any(gate.code == "G0" and gate.verdict is Verdict.REVIEW for gate in judged):
        tasks.append(("records", _ASK))
    if not any(gate.checks for gate in judged if gate.code in ("G2", "G3")):
        tasks.append(("records", _NOBODY))
    return tuple(f"{capital(getattr(owners, owner))}: {task}" for owner, task in tasks)


def _to_put_right(gate: Gate, named: Collection[tuple[str, str]]) -> tuple[str, str] | None:
    failed = [check for check in gate.checks if check.verdict is Verdict.FAIL and check.grouping != "all"]
    new = [check for check in failed if (check.grouping, check.group.code) not in named]
    if gate.code not in _PUT_RIGHT or (failed and not new):
        return None
    owner, task = _PUT_RIGHT[gate.code]
    return owner, task.format(names=named_groups(new), sentence=gate.sentence)


def named_groups(checks: Sequence[Check]) -> str:
    """The groups of checks in words, the largest gaps first, at most 3 of them by name."""
    largest = sorted(checks, key=lambda check: -(check.estimate.value if check.estimate else 0.0))
    names = list(dict.fromkeys(people(check.grouping, check.group) for check in largest))
    more = len(names) - _NAMED
    return list_and(names if more <= 1 else [*names[:_NAMED], f"{more} more groups"])

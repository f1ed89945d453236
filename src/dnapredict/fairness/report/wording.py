"""The sentences of page 1 of the report, in plain words that never blame a patient."""

from collections.abc import Mapping, Sequence

from dnapredict.fairness.measure.group_metrics import KNOWS_THE_OUTCOME
from dnapredict.fairness.publish.group_tables import GroupRow, GroupTable
from dnapredict.fairness.report.phrases import list_and
from dnapredict.fairness.verdicts import Check, Gate, Verdict

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
            sentences += new[:_NAMED_ON_PAGE_ONE] if groups else [gate.sentence]
    return sentences


def _first(text: str) -> str:
    return f"{text.partition('. ')[0].rstrip('.')}."


def _left_behind(check: Check, tables: Mapping[str, GroupTable]) -> str:
    rows = tables[check.grouping].rows if check.grouping in tables else ()
    reach = next((row.rates["reach"] for row in rows if row.group.code == check.group.code), None)
    if reach is None or check.estimate is None:
        return f"{check.group.name}: clearly fewer who missed would have been called than elsewhere."
    return (
        f"{check.group.name}: of every 100 people who missed their appointment, this list would have called "
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


_PUT_RIGHT = {
    "G0": "Ask people for their ethnic group and write it down",
    "G1": "Put right how missed appointments are recorded, before believing other figures, for {names}",
    "G2": "Set the risks right (recalibrate): more or fewer people miss than the model says among {names}",
    "G3": "Do not use the list until this is put right: too few are reached among {names}",
    "G3b": "Find factors that say more, or offer a route that needs no model, for {names}",
    "G5": "Look into it, and put right what is said of {names}",
    "G6": "Keep the model in use: the new one reaches fewer among {names}",
    "G8": "Set the risks of everyone right (recalibrate), and look where they come from",
    "G7": "Get the groups that the policy names into the extract",
}
# The subject of each gate, as a phrase within a sentence.
_ABOUT = {
    "G0": "the records",
    "G1": "how missed appointments are recorded",
    "G2": "whether risks are right",
    "G3": "reach",
    "G3b": "how much the model knows",
    "G4": "share of calls",
    "G5": "harm that was searched for",
    "G6": "change",
    "G7": "small groups",
    "G8": "the level of all risks",
}
_LOOK = "A named person looks at these groups and writes down what they find: {names}."
_MORE = "Audit again when more appointments have taken place: there is not enough data yet on {names}."
_NOBODY = (
    "Bring into the extract who people are: their ethnic group and how deprived their area is. "
    "Without that nobody can say whether the list is fair."
)
_NAMED_ON_PAGE_ONE = 4


def required_actions(gates: Sequence[Gate]) -> tuple[str, ...]:
    """Required actions: what must be put right, what must be reviewed, what is not known yet."""
    judged = [gate for gate in gates if gate.judged]
    first = sorted(judged, key=lambda gate: gate.code != "G3")  # what stops a list comes first
    failed = [_to_put_right(gate) for gate in first if gate.verdict is Verdict.FAIL]
    thin = [_ABOUT[gate.code] for gate in judged if gate.verdict is Verdict.NOT_ENOUGH_DATA and gate.checks]
    return (
        *failed,
        *([_NOBODY] if not any(gate.checks for gate in judged if gate.code in ("G2", "G3")) else []),
        *_records(judged),
        *_to_look_at(judged),
        *([_MORE.format(names=list_and(thin))] if thin else []),
    )


def _records(gates: Sequence[Gate]) -> list[str]:
    """Actions of the gates that are not about single groups: records and evidence."""
    reviews = [gate for gate in gates if gate.verdict is Verdict.REVIEW and gate.code in ("G0", "G7")]
    return [f"{_PUT_RIGHT['G0']}. {gate.sentence}" if gate.code == "G0" else gate.sentence for gate in reviews]


def _to_put_right(gate: Gate) -> str:
    names = [_name(check) for check in gate.checks if check.verdict is Verdict.FAIL]
    return f"{_PUT_RIGHT.get(gate.code, gate.sentence).format(names=list_and(names))}."


def _to_look_at(gates: Sequence[Gate]) -> list[str]:
    """One action for all groups with a REVIEW, each with its questions."""
    about: dict[str, list[str]] = {}
    for gate in gates:
        for check in gate.checks:
            if check.verdict is Verdict.REVIEW and check.grouping != "all":
                about.setdefault(check.group.name, []).append(_ABOUT[gate.code])
    most_first = sorted(about.items(), key=lambda pair: -len(set(pair[1])))
    names = [f"{name} ({', '.join(dict.fromkeys(titles))})" for name, titles in most_first]
    others = len(names) - _NAMED_ON_PAGE_ONE
    if others > 1:
        names[_NAMED_ON_PAGE_ONE:] = [f"and {others} others that are listed below"]
    return [_LOOK.format(names="; ".join(names))] if names else []


def _name(check: Check) -> str:
    return f"{check.group.name} ({check.cause})" if check.cause else check.group.name

"""The three verdicts of page 1, each with a sentence that a reader without statistics understands."""

from collections.abc import Iterator
from typing import Final

from dnapredict.fairness.report.phrases import gate_sentence
from dnapredict.fairness.report.wording import named_groups
from dnapredict.fairness.run_audit import AuditResult
from dnapredict.fairness.verdicts import RECORD_GATES, Gate, Verdict

LIST, RECORDS, LEVEL = "Is the list fair?", "Can we trust the records?", "Are the risks right, all in all?"
_LIST: Final = {
    Verdict.PASS: "Every group that we can judge is reached about as well as others.",
    Verdict.REVIEW: "Nothing is clearly unfair, but some answers are not sure. A named person looks first.",
    Verdict.NOT_ENOUGH_DATA: "Too few people missed an appointment to say. This is not a pass.",
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

"""Which version may be promoted, and which may score lists: a specification for reviewers.

Each line is the history of version 1, in order. `FAIL a` is an audit with that verdict, whose report is a;
`reject a` is a reviewer's decision on that report. Another model of the home is version 2.
"""

from collections.abc import Callable, Sequence

import pytest

from dnapredict.errors import DnapredictError
from dnapredict.registry.decision_ledger import DecisionEntry
from dnapredict.registry.promotion import (
    champions,
    judgement,
    refuse_by_audit,
    refuse_not_in_use,
    refuse_unskilled,
)
from dnapredict.registry.signatures import refuse_decision

REASONS = {
    "was never audited": "not audited",
    "rejected it": "rejected",
    "a fairness gate failed": "failed",
    "was never put in use": "never in use",
    "taken out of use": "rolled back",
    "signed already": "signed already",
    "failed the audit of": "failed",
    "No skill over": "no skill",
    "Too good": "too good",
}
DECISIONS = ("approve", "conditions", "reject")


def ledger(history: str) -> tuple[DecisionEntry, ...]:
    """The entries of a history such as "PASS a, approve a, promote, promote 2, roll back"."""
    entries = [entry("training")]
    for number, event in enumerate(filter(None, map(str.strip, history.split(","))), start=1):
        word, _, last = event.rpartition(" ") if event[-2:-1] == " " else (event, "", "")
        if word in DECISIONS:
            entries.append(entry("decision", number, decision=word, report=last, name="A", role="R", signed_at="2025"))
        elif word == "promote":
            other = {"version": "2", "model": "m2", "content": "c2"} if last == "2" else {}
            entries.append(entry("promotion", number, **other))
        elif event == "roll back":
            to = {"version": "2", "model": "m2", "content": "c2"}
            entries.append(entry("rollback", number, **to, **{"from": "1"}, signed_by="A", why="W"))
        else:
            entries.append(entry("audit", number, verdict=word, report=last))
    return tuple(entries)


def entry(kind: str, number: int = 0, **data: str) -> DecisionEntry:
    about = {"version": "1", "model": "m1", "content": "c1"}
    return DecisionEntry(number=number, kind=kind, at="2025-01-01", by="", data=about | data, seal="")  # type: ignore[arg-type]


def answer(check: Callable[[], object]) -> str:
    """ "yes", or why not."""
    try:
        check()
    except DnapredictError as error:
        return next(short for part, short in REASONS.items() if part in str(error))
    return "yes"


def may_promote(entries: Sequence[DecisionEntry]) -> str:
    judged = judgement(entries, "1", model="m1", content="c1")
    return answer(lambda: refuse_by_audit("1", judged))


def may_score(entries: Sequence[DecisionEntry]) -> str:
    judged = judgement(entries, "1", model="m1", content="c1")
    return answer(lambda: (refuse_not_in_use("1", entries, model="m1"), refuse_by_audit("1", judged, action="used")))


HISTORIES = """
    history of version 1                                       | promote     | score a list
                                                               | not audited | never in use
    PASS a                                                     | yes         | never in use
    REVIEW a                                                   | yes         | never in use
    NOT ENOUGH DATA a                                          | yes         | never in use
    FAIL a                                                     | failed      | never in use
    FAIL a, conditions a                                       | yes         | never in use
    FAIL a, PASS b                                             | failed      | never in use
    FAIL a, PASS b, conditions a                               | failed      | never in use
    FAIL a, PASS b, conditions b                               | yes         | never in use
    FAIL a, conditions a, FAIL b                               | failed      | never in use
    PASS a, reject a                                           | rejected    | never in use
    PASS a, reject a, PASS a                                   | rejected    | never in use
    PASS a, reject a, PASS b                                   | rejected    | never in use
    PASS a, reject a, PASS b, approve b                        | yes         | never in use
    PASS a, PASS b, reject a                                   | rejected    | never in use
    PASS a, promote                                            | yes         | yes
    FAIL a, conditions a, promote                              | yes         | yes
    PASS a, promote, FAIL b                                    | failed      | failed
    PASS a, promote, reject a                                  | rejected    | rejected
    PASS a, promote, promote 2                                 | yes         | yes
    PASS a, promote 2, promote, roll back                      | yes         | rolled back
    PASS a, promote 2, promote, roll back, promote             | yes         | yes
"""


def histories() -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")] for line in HISTORIES.strip().splitlines()[1:]]


@pytest.mark.parametrize(("history", "promote", "score"), histories())
def test_audit_signature_and_promotion_decide_whether_a_version_is_used(history, promote, score):
    entries = ledger(history)
    assert (may_promote(entries), may_score(entries)) == (promote, score)


def test_the_last_version_that_was_promoted_and_not_rolled_back_is_champion():
    for history, versions in (
        ("", ()),
        ("PASS a, promote", ("1",)),
        ("PASS a, promote, promote", ("1",)),
        ("PASS a, promote 2, promote", ("2", "1")),
        ("PASS a, promote 2, promote, roll back", ("2",)),
    ):
        assert champions(ledger(history)) == versions, history


@pytest.mark.parametrize(
    ("training", "promote"),
    [
        ({"skill": "present"}, "yes"),
        ({"skill": "none", "skill_verdict": "No skill over the base rate."}, "no skill"),
        ({"skill": "present", "leak_alarm": "Too good to be true."}, "too good"),
    ],
)
def test_no_signature_allows_a_model_without_skill_or_with_figures_that_are_too_good(training, promote):
    assert answer(lambda: refuse_unskilled("1", training)) == promote


@pytest.mark.parametrize(
    ("history", "decision", "allowed"),
    [
        ("PASS a", "approve a", "yes"),
        ("PASS a, approve a", "reject a", "signed already"),
        ("PASS a, approve a, PASS a", "reject a", "yes"),
        ("FAIL a", "approve a", "failed"),
        ("FAIL a", "conditions a", "yes"),
        ("FAIL a", "reject a", "yes"),
        ("FAIL a, PASS b", "approve b", "failed"),
        ("FAIL a, conditions a, PASS b", "approve b", "yes"),
    ],
)
def test_a_report_is_signed_once_and_a_failed_model_is_never_approved(history, decision, allowed):
    word, report = decision.split()

    class Signature:
        decision, report_sha256 = word, report

    entries = ledger(history)
    assert answer(lambda: refuse_decision(entries, Signature, content="c1")) == allowed  # type: ignore[arg-type]

"""Which version may be promoted, and which may score lists: a specification for reviewers.

Each line is the history of version 1, in order. `FAIL a` is an audit with that verdict, whose report is a, and `PASS b of a`
one that holds the appointments of report a too. `reject a` is a reviewer's decision on that report, `conditions a 20` one
whose conditions end on the 20th. Another model of the home is version 2. Every entry is of 1 January 2025, or of the day
of that month that follows "on".
"""

import datetime
import json
import re
from collections.abc import Callable, Sequence

import pytest

from dnapredict.errors import DnapredictError
from dnapredict.registry.decision_ledger import DecisionEntry
from dnapredict.registry.judgement import deadline, judgement
from dnapredict.registry.promotion import (
    champions,
    deadline_notice,
    refuse_after_deadline,
    refuse_by_audit,
    refuse_not_in_use,
    refuse_unsigned,
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
    "its report is not signed": "unsigned",
    "conditions that": "ended",
    "is not signed. Audit it again": "overdue",
    "has signed this report already": "not twice",
    "a second signatory has to": "second owed",
    "rejected the report of an audit of more": "covers less",
}
DECISIONS = ("approve", "conditions", "reject")


def ledger(history: str, signatories: str = "") -> tuple[DecisionEntry, ...]:
    """The entries of a history such as "PASS a, approve a, promote, promote 2, roll back".

    `signatories` are named by the policy of every audit; a decision is of the first of them, or of the one named after "by".
    """
    entries = [entry("training")]
    reports: dict[str, int] = {}
    for number, event in enumerate(filter(None, map(str.strip, history.split(","))), start=1):
        said, _, who = event.partition(" by ")
        word, *rest = said.split()
        if word in DECISIONS:
            until = f"2025-01-{rest[1]}" if len(rest) > 1 else ""
            signed = {"name": who or "A", "role": "R", "reason": "", "signed_at": "2025", "until": until}
            entries.append(entry("decision", number, decision=word, report=rest[0], of=str(reports[rest[0]]), **signed))
        elif word == "promote":
            other = {"version": "2", "model": "m2", "content": "c2"} if rest else {}
            entries.append(entry("promotion", number, **other))
        elif said == "roll back":
            to = {"version": "2", "model": "m2", "content": "c2"}
            entries.append(entry("rollback", number, **to, **{"from": "1"}, signed_by="A", why="W"))
        else:
            verdict, report, covered, day = re.fullmatch(r"([A-Z ]+) (\w)(?: of (\w))?(?: on (\d+))?", said).groups()
            named = [{"name": name} for name in signatories.split()]
            more = {"covers": json.dumps([reports[covered]])} if covered else {}
            kept = {"primary": "reach", "appointments": report, "signatories": json.dumps(named)}
            kept |= {"audited_at": f"2025-01-{int(day):02}"} if day else {}
            entries.append(entry("audit", number, verdict=verdict, report=report, **kept, **more))
            reports[report] = number
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
    return answer(lambda: (refuse_by_audit("1", judged), refuse_unsigned("1", judged)))


def may_score(entries: Sequence[DecisionEntry]) -> str:
    judged = judgement(entries, "1", model="m1", content="c1")
    return answer(lambda: (refuse_not_in_use("1", entries, model="m1"), refuse_by_audit("1", judged, action="used")))


HISTORIES = """
    history of version 1                                       | promote     | score a list
                                                               | not audited | never in use
    PASS a                                                     | yes         | never in use
    REVIEW a                                                   | unsigned    | never in use
    NOT ENOUGH DATA a                                          | unsigned    | never in use
    REVIEW a, approve a                                        | yes         | never in use
    NOT ENOUGH DATA a, conditions a                            | yes         | never in use
    REVIEW a, approve a, REVIEW b of a                         | unsigned    | never in use
    REVIEW a, approve a, PASS b                                | yes         | never in use
    FAIL a                                                     | failed      | never in use
    FAIL a, conditions a                                       | yes         | never in use
    FAIL a, PASS b                                             | failed      | never in use
    FAIL a, PASS b of a                                        | yes         | never in use
    FAIL a, REVIEW b of a                                      | unsigned    | never in use
    FAIL a, REVIEW b of a, approve b                           | yes         | never in use
    FAIL a, FAIL b of a, PASS c of a                           | failed      | never in use
    FAIL a, PASS b, conditions a                               | failed      | never in use
    FAIL a, PASS b, conditions b                               | yes         | never in use
    FAIL a, conditions a, FAIL b                               | failed      | never in use
    PASS a, reject a                                           | rejected    | never in use
    PASS a, reject a, PASS a                                   | rejected    | never in use
    PASS a, reject a, PASS b of a                              | rejected    | never in use
    PASS a, reject a, PASS b of a, approve b                   | yes         | never in use
    PASS a, reject a, PASS b, approve b                        | rejected    | never in use
    PASS a, reject a, PASS b, conditions b                     | yes         | never in use
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


TWO_SIGN = """
    history, where the policy names A, B and C                 | promote
    REVIEW a, approve a                                        | yes
    FAIL a, conditions a by A                                  | failed
    FAIL a, conditions a by A, conditions a by B               | yes
    FAIL a, conditions a by A, conditions a by A               | failed
    FAIL a, conditions a by A, reject a by B                   | rejected
    FAIL a, conditions a by A, FAIL b, conditions b by B       | failed
    FAIL a, PASS b of a                                        | yes
"""


@pytest.mark.parametrize(
    ("history", "promote"), [[c.strip() for c in x.split("|")] for x in TWO_SIGN.split("\n")[2:-1]]
)
def test_where_signatories_are_named_a_failed_audit_needs_two_of_them(history, promote):
    assert may_promote(ledger(history, "A B C")) == promote


DAYS = """
    history of version 1                                       | day | notice  | score a list
    PASS a, promote                                            | 31  |         | yes
    FAIL a, conditions a 10, promote                           | 10  |         | yes
    FAIL a, conditions a 10, promote                           | 11  | 24 Jan  | yes
    FAIL a, conditions a 10, promote                           | 24  | 24 Jan  | yes
    FAIL a, conditions a 10, promote                           | 25  |         | ended
    FAIL a, conditions a 10, promote, PASS b of a              | 25  |         | yes
    FAIL a, conditions a 10, promote, PASS b                   | 25  |         | ended
    REVIEW a, conditions a 10, promote, PASS b of a            | 25  |         | yes
    REVIEW a, conditions a 10, promote, PASS b                 | 25  |         | ended
    REVIEW a, conditions a 10, promote, REVIEW b, approve b    | 25  |         | yes
    PASS a, reject a, PASS b, conditions b 10, promote         | 25  |         | ended
    PASS a, promote, REVIEW b                                  | 15  | 15 Jan  | yes
    PASS a, promote, REVIEW b                                  | 16  |         | overdue
    PASS a, promote, REVIEW b, approve b                       | 31  |         | yes
    PASS a, promote, REVIEW b, REVIEW c of b on 14             | 15  | 15 Jan  | yes
    PASS a, promote, REVIEW b, REVIEW c of b on 14             | 16  |         | overdue
    PASS a, promote, REVIEW b, PASS c of b on 5                | 31  |         | yes
    PASS a, promote, REVIEW b, approve b, REVIEW c of b on 14  | 28  | 28 Jan  | yes
    PASS a, promote, REVIEW b, approve b, REVIEW c of b on 14  | 29  |         | overdue
    PASS a, promote, REVIEW b, approve b, REVIEW b on 14       | 28  | 28 Jan  | yes
"""


@pytest.mark.parametrize(
    ("history", "day", "notice", "score"), [[c.strip() for c in x.split("|")] for x in DAYS.split("\n")[2:-1]]
)
def test_after_the_end_of_conditions_lists_say_so_for_14_days_and_then_none_is_scored(history, day, notice, score):
    entries, today = ledger(history), datetime.date(2025, 1, int(day))
    due = deadline(judgement(entries, "1", model="m1", content="c1"), entries)
    assert answer(lambda: refuse_after_deadline("1", due, today=today, with_grace=True)) == score
    sentence = deadline_notice("1", due, today=today)
    assert (bool(sentence), notice.replace("Jan", "January") in sentence) == (bool(notice), True)


def test_a_version_whose_conditions_have_ended_is_not_promoted_even_in_the_days_of_grace():
    entries = ledger("FAIL a, conditions a 10")
    due = deadline(judgement(entries, "1", model="m1", content="c1"), entries)
    for day, allowed in ((10, "yes"), (11, "ended")):
        today = datetime.date(2025, 1, day)
        assert answer(lambda: refuse_after_deadline("1", due, today=today, with_grace=False)) == allowed  # noqa: B023


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
        ("FAIL a, PASS b of a", "approve b", "yes"),
        ("FAIL a, conditions a, PASS b", "approve b", "yes"),
        ("PASS a, reject a, PASS b", "approve b", "covers less"),
        ("PASS a, reject a, PASS b of a", "approve b", "yes"),
    ],
)
def test_a_report_is_signed_once_and_a_failed_model_is_never_approved(history, decision, allowed):
    word, report = decision.split()

    class Signature:
        name, decision, report_sha256, files = "B", word, report, {}

    entries = ledger(history)
    assert answer(lambda: refuse_decision(entries, Signature, content="c1")) == allowed  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("history", "who", "word", "allowed"),
    [
        ("FAIL a, conditions a by A", "B", "conditions", "yes"),
        ("FAIL a, conditions a by A", "B", "reject", "yes"),
        ("FAIL a, conditions a by A", "A", "conditions", "not twice"),
        ("FAIL a, conditions a by A, conditions a by B", "C", "conditions", "signed already"),
    ],
)
def test_the_second_signature_on_a_failed_report_is_of_another_person(history, who, word, allowed):
    class Signature:
        name, decision, report_sha256, files = who, word, "a", {}

    entries = ledger(history, "A B C")
    assert answer(lambda: refuse_decision(entries, Signature, content="c1")) == allowed  # type: ignore[arg-type]

"""A summary in Easy Read on one sheet: short sentences with one idea each, and a picture for each idea.

It follows the accessible information standard of NHS England: large type, few words, hard words explained or left
out. It says nothing that is not in the report.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from dnapredict.fairness.measure.intervals import Interval
from dnapredict.fairness.report.templating import page
from dnapredict.fairness.run_audit import AuditResult
from dnapredict.fairness.verdicts import Verdict

_ANSWER: Final = {
    Verdict.PASS: ("Yes.", "The list is fair to every group that we can check."),
    Verdict.REVIEW: ("Mostly.", "Some answers are not sure. A person must look at them."),
    Verdict.FAIL: ("No.", "The list is not fair enough. We must put it right first."),
    Verdict.NOT_ENOUGH_DATA: ("We do not know yet.", "We need to know more before we can say."),
}
_CALLS: Final = (
    "Some people find it hard to come to the hospital.",
    "We call people before they come.",
    "We ask: what would help you to come?",
)
_MOST_NAMED: Final = 3


@dataclass(frozen=True)
class EasyReadIdea:
    """One idea: the name of its picture, and its short sentences."""

    picture: str
    sentences: tuple[str, ...]


def easy_read_ideas(result: AuditResult) -> tuple[EasyReadIdea, ...]:
    """The ideas of the summary, in order."""
    return (
        EasyReadIdea("phone", _CALLS),
        EasyReadIdea("list", ("A computer makes a list.", "The list says who we call first.")),
        EasyReadIdea("stop", ("The list must never be used to take your appointment away.",)),
        EasyReadIdea("scales", ("We checked: is the list fair to everyone?", *_ANSWER[result.verdict])),
        EasyReadIdea("people", tuple(_found(result))),
        EasyReadIdea("question", tuple(_unknown(result))),
        EasyReadIdea("pen", ("A person decides if we use the list.", "Their name is in the full report.")),
    )


def _found(result: AuditResult) -> Iterator[str]:
    everyone = result.everyone.rows[0].rates["reach"]
    if everyone is None:
        yield "Too few people missed an appointment. We cannot count how many the list finds."
        return
    yield f"100 people miss their appointment. The list finds {_number(everyone)} of them."
    table = result.table("core20")
    poorer = next((row.rates["reach"] for row in table.rows if row.group.code == "core20"), None) if table else None
    if poorer is not None:
        yield f"100 people in poorer areas miss their appointment. The list finds {_number(poorer)} of them."
    gate = result.gate("G3")
    behind = [check.group.name for check in gate.checks if check.verdict is Verdict.FAIL] if gate else []
    for name in behind[:_MOST_NAMED]:
        yield f"The list finds too few people in this group: {name}."


def _unknown(result: AuditResult) -> Iterator[str]:
    unknown = result.everyone.rows[0].rates["ethnicity_unknown"]
    if unknown is None or result.table("ethnicity") is None:
        yield "We do not know which ethnic group people belong to."
    else:
        yield f"For {_number(unknown)} of 100 appointments we do not know the person's ethnic group."
    yield "You can tell us, if you want to. It helps us to check."


def _number(share: Interval) -> str:
    return f"{100 * share.value:.0f}"


def easy_read_page(result: AuditResult) -> str:
    """The summary as HTML."""
    return page("easy-read.html.j2", context=result.context, ideas=easy_read_ideas(result), policy=result.policy)

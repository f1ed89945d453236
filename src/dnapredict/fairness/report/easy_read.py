"""A summary in Easy Read on one sheet: short sentences with one idea each, and a picture for each idea.

It follows the accessible information standard of NHS England: large type, few words, hard words explained or left
out. It says nothing that is not in the report.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from dnapredict.fairness.measure.intervals import Interval
from dnapredict.fairness.report.behind_rows import called_of_100, groups_behind
from dnapredict.fairness.report.group_phrases import people
from dnapredict.fairness.report.templating import page
from dnapredict.fairness.run_audit import AuditResult
from dnapredict.fairness.verdicts import Check, Verdict

_ANSWER: Final = {
    Verdict.PASS: ("Yes.", "The list is fair to every group that we can check."),
    Verdict.REVIEW: ("Mostly.", "Some answers are not sure.", "A person must look at them."),
    Verdict.FAIL: ("No.", "The list is not fair enough.", "We must put it right first."),
    Verdict.NOT_ENOUGH_DATA: ("We do not know yet.", "We need to know more before we can say."),
}
_CALLS: Final = (
    "Some people find it hard to come to the hospital.",
    "We call people before they come.",
    "We ask: what would help you to come?",
)
_MOST_NAMED: Final = 2


@dataclass(frozen=True)
class EasyReadIdea:
    """One idea: the name of its picture or the verdict whose shape is its picture, and its short sentences."""

    picture: str | Verdict
    sentences: tuple[str, ...]


def easy_read_ideas(result: AuditResult) -> tuple[EasyReadIdea, ...]:
    """The ideas of the summary, in order."""
    return (
        EasyReadIdea("phone", _CALLS),
        EasyReadIdea("list", ("A computer makes a list.", "The list says who we call first.")),
        EasyReadIdea("stop", ("The list must never be used to take your appointment away.",)),
        EasyReadIdea(
            result.verdicts.list, ("We checked: is the list fair to everyone?", *_ANSWER[result.verdicts.list])
        ),
        EasyReadIdea("people", _found(result)),
        *_harmed(result),
        EasyReadIdea("question", tuple(_unknown(result))),
        EasyReadIdea("pen", ("A person decides if we use the list.", "Their name is in the full report.")),
    )


def _found(result: AuditResult) -> tuple[str, ...]:
    everyone = result.everyone.rows[0].rates["reach"]
    if everyone is None or result.gate("G3") is None:
        return ("Too few people missed an appointment.", "We cannot count how many the list finds.")
    return ("Think of 100 people who miss their appointment.", f"The list finds {_number(everyone)} of them.")


def _harmed(result: AuditResult) -> Iterator[EasyReadIdea]:
    """An idea for each group that the list harms, the largest gaps first, and one for the others."""
    failed = [check for check in groups_behind(result) if check.verdict is Verdict.FAIL]
    for check in failed[:_MOST_NAMED]:
        yield EasyReadIdea(Verdict.FAIL, tuple(_said_of(check, result)))
    more = len(failed) - _MOST_NAMED
    if more > 0:
        groups = "one more group" if more == 1 else f"{more} more groups"
        yield EasyReadIdea(Verdict.FAIL, (f"The list finds too few people in {groups}.", "The full report names them."))


def _said_of(check: Check, result: AuditResult) -> Iterator[str]:
    who, numbers = people(check.grouping, check.group), called_of_100(check, result)
    yield f"The list finds too few {who}."
    if numbers is not None:
        yield f"It finds {numbers[0]} of 100 of them."
        yield f"It finds {numbers[1]} of 100 other people."


def _unknown(result: AuditResult) -> Iterator[str]:
    unknown = result.everyone.rows[0].rates["ethnicity_unknown"]
    if unknown is None or result.table("ethnicity") is None:
        yield "We do not know which ethnic group people belong to."
    else:
        yield f"For {_number(unknown)} of 100 appointments we do not know the person's ethnic group."
    yield "You can tell us, if you want to."
    yield "It helps us to check."


def _number(share: Interval) -> str:
    return f"{100 * share.value:.0f}"


def easy_read_page(result: AuditResult) -> str:
    """The summary as HTML."""
    return page("easy-read.html.j2", context=result.context, ideas=easy_read_ideas(result), policy=result.policy)

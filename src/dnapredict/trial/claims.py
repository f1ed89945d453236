"""What a trial report may say in words: one sentence by cases, which never claims more than was seen.

A claim is made by one of two rules, fixed before the first call. While the trial runs, by an interval that allows for
any number of looks; after its planned end, by the analysis that was registered. Together they call useless calls
helpful in at most 2.5 of 100 trials (see `sequential_intervals`).
"""

import datetime
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from dnapredict.fairness.measure.intervals import Interval
from dnapredict.trial.trial_design import FEWEST_MISSED

PlanState = Literal["registered", "amended", "not registered", "stopped"]

_NO_PLAN: Final = {
    "amended": " The plan of this trial was amended after its start, so that no analysis counts as the planned one.",
    "not registered": " The plan of this trial was not registered before its first call, so that no analysis counts as "
    "the planned one.",
    "stopped": " Its lists stopped long before the planned end, so that no analysis counts as the planned one.",
}


class ClaimKind(StrEnum):
    """The cases of a claim."""

    NO_DATA = "no data"
    TOO_FEW = "too few"
    ARMS_UNLIKE = "arms unlike"
    OUTCOMES_UNLIKE = "outcomes unlike"
    OUTCOMES_MISSING = "outcomes missing"
    HELPS = "helps"
    HARMS = "harms"
    NOT_SHOWN = "not shown"
    NOT_YET = "not yet"


NOTHING_SAID = frozenset(
    {
        ClaimKind.NO_DATA,
        ClaimKind.TOO_FEW,
        ClaimKind.ARMS_UNLIKE,
        ClaimKind.OUTCOMES_UNLIKE,
        ClaimKind.OUTCOMES_MISSING,
    }
)
"""Claims that say nothing about an effect."""


@dataclass(frozen=True)
class ClaimEvidence:
    """What a claim rests on.

    Attributes
    ----------
    appointments
        Appointments of the trial with a recorded outcome.
    fewest_missed
        Missed appointments in the arm that has fewer of them.
    arms_as_planned, outcomes_alike
        Whether the arms have the planned shares of patients, and as many recorded outcomes, as far as chance allows.
    outcomes_complete
        Whether outcomes of nearly all past appointments of the trial are recorded.
    effect
        Risk difference by the rule that decides: for looks, or for the planned end. None where it is not estimated.
    attended
        Difference in the share attended, by the same rule.
    is_finished
        Whether the planned end is over.
    plan
        Whether the plan was registered before the first call, and whether it was changed since the start or its lists
        stopped long before the end.
    end
        The planned end.
    earlier_trials
        Trials that the home registered with an earlier start.
    """

    appointments: int
    fewest_missed: int
    arms_as_planned: bool
    outcomes_alike: bool
    effect: Interval | None
    is_finished: bool
    plan: PlanState
    end: datetime.date | None
    outcomes_complete: bool = True
    attended: Interval | None = None
    earlier_trials: int = 0


@dataclass(frozen=True)
class Claim:
    """The claim, and the sentence that a reader may quote."""

    kind: ClaimKind
    sentence: str


def claim_of(evidence: ClaimEvidence) -> Claim:
    """The claim that the evidence allows."""
    doubt = _doubt(evidence)
    if doubt is not None:
        return doubt
    assert evidence.effect is not None  # noqa: S101 - `_doubt` is returned without an effect
    final = evidence.is_finished and evidence.plan == "registered"
    kind = _kind(evidence.effect, is_finished=evidence.is_finished)
    told = _numbers(evidence.effect)
    rule = "by the planned analysis at its end" if final else "by an interval that allows for every look"
    sentences = {
        ClaimKind.HELPS: f"In this trial calls lowered missed appointments, beyond chance, {rule}: {told}.",
        ClaimKind.HARMS: f"In this trial more appointments were missed with calls, beyond chance, {rule}: {told}. "
        "Stop and find out why.",
        ClaimKind.NOT_SHOWN: f"This trial does not show that calls change missed appointments: {told}. Chance alone "
        "explains that.",
        ClaimKind.NOT_YET: f"It is not known yet whether calls change missed appointments: {told}, so far. Chance "
        "alone explains that.",
    }
    further = (_attended, _earlier_trials) if kind is ClaimKind.HELPS else ()
    return Claim(kind, "".join((sentences[kind], *(words(evidence) for words in further), _what_next(evidence, kind))))


def _doubt(evidence: ClaimEvidence) -> Claim | None:
    """Why no claim is made about the effect; None where one is made."""
    if not evidence.appointments:
        return Claim(ClaimKind.NO_DATA, "No outcome of the trial is recorded yet, so that nothing is known.")
    if not evidence.arms_as_planned:
        return Claim(
            ClaimKind.ARMS_UNLIKE,
            "The arms do not have the planned shares of patients, by more than chance allows. Something other than the "
            "lot decides who is called or counted: no effect is claimed until it is found.",
        )
    if not evidence.outcomes_alike:
        return Claim(
            ClaimKind.OUTCOMES_UNLIKE,
            "Outcomes are recorded more often in one arm than in the other, by more than chance allows: no effect is "
            "claimed until the missing ones are recorded.",
        )
    if not evidence.outcomes_complete:
        return Claim(
            ClaimKind.OUTCOMES_MISSING,
            "More than 10 in 100 past appointments of the trial have no recorded outcome, or are missing from the "
            "outcome store: no effect is claimed, since a choice of weeks or clinics can make any effect. Read in the "
            "outcomes of all appointments since its start.",
        )
    if evidence.fewest_missed < FEWEST_MISSED or evidence.effect is None:
        return Claim(
            ClaimKind.TOO_FEW,
            f"Too few missed appointments are recorded to say anything: each arm needs at least {FEWEST_MISSED}.",
        )
    return None


def _kind(effect: Interval, *, is_finished: bool) -> ClaimKind:
    if effect.high < 0:
        return ClaimKind.HELPS
    if effect.low > 0:
        return ClaimKind.HARMS
    return ClaimKind.NOT_SHOWN if is_finished else ClaimKind.NOT_YET


def _attended(evidence: ClaimEvidence) -> str:
    """What to say where fewer missed appointments may be cancelled ones."""
    attended = evidence.attended
    if attended is None or attended.low > 0:
        return ""
    low, high = (_more(end) for end in (attended.low, attended.high))
    return (
        f" That more were attended is not shown: {_more(attended.value)} of 100 (likely range: {low} to {high}). Calls "
        "may have made patients cancel."
    )


def _earlier_trials(evidence: ClaimEvidence) -> str:
    number = evidence.earlier_trials
    if not number:
        return ""
    others = "another trial" if number == 1 else f"{number} other trials"
    return (
        f" This home registered {others} before: each may show an effect by chance, in up to 2.5 of 100 trials of "
        "calls that do nothing."
    )


def _more(difference: float) -> str:
    number = round(abs(100 * difference), 1)
    return "none more" if number == 0 else f"{number:.1f} {'fewer' if difference < 0 else 'more'}"


def _numbers(effect: Interval) -> str:
    """A risk difference in words.

    >>> _numbers(Interval(-0.031, -0.043, -0.019))
    '3.1 fewer of 100 appointments (likely range: 1.9 fewer to 4.3 fewer)'
    >>> _numbers(Interval(0.0, -0.012, 0.012))
    'none fewer of 100 appointments (likely range: 1.2 fewer to 1.2 more)'
    """
    ends = (effect.high, effect.low) if effect.high < 0 else (effect.low, effect.high)
    low, high = (_fewer(end) for end in ends)
    return f"{_fewer(effect.value, of=' of 100 appointments')} (likely range: {low} to {high})"


def _fewer(difference: float, of: str = "") -> str:
    number = round(abs(100 * difference), 1)
    if number == 0:
        return f"none fewer{of}"
    return f"{number:.1f} {'fewer' if difference < 0 else 'more'}{of}"


def _what_next(evidence: ClaimEvidence, kind: ClaimKind) -> str:
    if evidence.plan != "registered":
        return _NO_PLAN[evidence.plan]
    if kind is ClaimKind.NOT_SHOWN and evidence.effect is not None:
        most = round(100 * -evidence.effect.low, 1)
        return f" An effect of more than {most:.1f} fewer of 100 is unlikely." if most > 0 else ""
    if kind is ClaimKind.NOT_YET and evidence.end is not None:
        return f" The trial runs until {evidence.end:%-d %B %Y}."
    return ""

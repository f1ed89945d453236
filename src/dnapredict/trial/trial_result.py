"""The figures of a trial report as they are printed."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from dnapredict.fairness.disclosure.publications import Publication
from dnapredict.fairness.measure.intervals import Interval
from dnapredict.fairness.measure.membership import Group
from dnapredict.trial.claims import Claim, PlanState
from dnapredict.trial.ranking_value import RankingChoice


@dataclass(frozen=True)
class RegisteredTrial:
    """What was fixed before the first call, as far as it was.

    `plan` is `registered` where the plan was registered before the first call and holds, `amended` where it was changed
    after the start, `stopped` where its lists stopped long before its end. `planned_appointments`, `start`, `end` and
    `share_held_out` are None where no plan says them. `earlier_trials` are the names of the trials that the home
    registered with an earlier start.
    """

    name: str
    plan: PlanState
    start: datetime.date | None = None
    end: datetime.date | None = None
    planned_appointments: int | None = None
    share_held_out: float | None = None
    earlier_trials: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrialEffect:
    """The effect on everyone in the trial, each with a 95% interval; None is not estimable.

    Attributes
    ----------
    intention_to_treat
        Risk difference between the arms, for one analysis at the planned end.
    always_valid
        The same for any number of looks.
    complier
        Effect on who is reached because of the arm.
    relative_risk
        Share missed with calls divided by the share missed without.
    attended
        Difference in the share that attended: a cancelled appointment is neither missed nor attended.
    """

    intention_to_treat: Interval | None
    always_valid: Interval | None
    complier: Interval | None
    relative_risk: Interval | None
    attended: Interval | None


NO_EFFECT: Final = TrialEffect(None, None, None, None, None)


@dataclass(frozen=True)
class GroupEffectRow:
    """The effect in one group as it is printed; None is hidden or not estimable."""

    group: Group
    counts: Mapping[str, int | None]
    risk_difference: Interval | None
    shrunken: float | None
    differs: bool | None


@dataclass(frozen=True)
class GroupEffectTable:
    """The groups of one grouping."""

    name: str
    title: str
    rows: tuple[GroupEffectRow, ...]


@dataclass(frozen=True)
class PrintedHarm:
    """A possible harm with its printed counts."""

    name: str
    title: str
    treated: int | None
    control: int | None
    difference: Interval | None


@dataclass(frozen=True)
class CallCosts:
    """What an appointment that is not missed costs in calls and money; None unless calls help beyond chance.

    `calls` were made in the arm with calls, `money` is in pounds at `pounds_per_call`.
    """

    calls: int | None
    calls_each: Interval | None
    pounds_per_call: float | None
    pounds_each: Interval | None


@dataclass(frozen=True)
class Look:
    """The always-valid interval of the effect at the end of a week."""

    day: datetime.date
    effect: Interval


@dataclass(frozen=True)
class TrialResult:
    """Everything that a trial report prints."""

    trial: RegisteredTrial
    is_finished: bool
    window: tuple[datetime.date, datetime.date] | None
    counts: Mapping[str, int | None]
    effect: TrialEffect
    claim: Claim
    tables: tuple[GroupEffectTable, ...]
    groups_sentence: str
    harms: tuple[PrintedHarm, ...]
    costs: CallCosts
    ranking: RankingChoice
    looks: tuple[Look, ...]
    publication: Publication | None
    not_protected: str = ""

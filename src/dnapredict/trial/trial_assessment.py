"""Assess a trial: from the rows of the outcome store to figures that may be published, and what they allow to claim."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dnapredict.config.fairness_policy import Disclosure
from dnapredict.data.small_numbers import publish_count
from dnapredict.fairness.disclosure.hidden_counts import HiddenCells
from dnapredict.fairness.disclosure.linked_tables import EVERYONE
from dnapredict.fairness.disclosure.published_before import PublishedBefore
from dnapredict.fairness.disclosure.suppression import CountCell
from dnapredict.fairness.measure.intervals import Interval, RateDifference, z_of
from dnapredict.fairness.measure.membership import Group, Membership
from dnapredict.fairness.report.group_phrases import people
from dnapredict.fairness.report.phrases import list_and
from dnapredict.trial.arm_checks import arms_as_planned, lists_stopped, outcomes_alike, outcomes_complete
from dnapredict.trial.claims import NOTHING_SAID, Claim, ClaimEvidence, ClaimKind, claim_of
from dnapredict.trial.effect_estimates import (
    Mask,
    arm_scores,
    effect_of_being_reached,
    relative_risk,
    risk_design,
    risk_difference,
    share_treated,
)
from dnapredict.trial.harms import PossibleHarm, harms
from dnapredict.trial.ranking_value import choose_ranking
from dnapredict.trial.sequential_intervals import END_ALPHA, LOOK_ALPHA, sequential_critical
from dnapredict.trial.subgroup_effects import GroupEffect, group_effects
from dnapredict.trial.trial_design import FEWEST_MISSED
from dnapredict.trial.trial_disclosure import (
    ARM_COUNTS,
    ArmCounts,
    CountedArms,
    count_arms,
    hidden_trial_counts,
    merged_membership,
    printed_difference,
    printed_range,
    small_groups,
    sum_of,
)
from dnapredict.trial.trial_result import (
    NO_EFFECT,
    CallCosts,
    GroupEffectRow,
    GroupEffectTable,
    Look,
    PrintedHarm,
    RegisteredTrial,
    TrialEffect,
    TrialResult,
)
from dnapredict.trial.trial_rows import TrialRows

_ALPHA: Final = 0.05
_Z: Final = z_of(1 - _ALPHA)
_WITHOUT_PLAN: Final = 5_000  # appointments at which looks are narrowest where no plan says how many there will be
_LONGEST_WAIT: Final = datetime.timedelta(days=28)  # for appointments of the last lists
_WEEK: Final = np.timedelta64(7, "D")


def assess_trial(
    table: pa.Table,
    trial: RegisteredTrial,
    *,
    rule: Disclosure,
    before: PublishedBefore | None = None,
    pounds_per_call: float | None = None,
    lost: int = 0,
) -> TrialResult:
    """Assess the trial of the rows of `table`, which has the columns of the outcome store.

    `lost` appointments of the trial are not in it although they were listed.
    """
    own = table.filter(pc.equal(table["trial"], trial.name))
    rows = TrialRows.of(own)
    if not len(rows) or rows.treated.all() or not rows.treated.any():
        return _nothing(trial)
    as_of = pc.max(table["recorded_at"]).as_py()
    found = _Assessment(own, rows, trial, rule, before, pounds_per_call, as_of and as_of.date(), lost)
    if found.is_final and lists_stopped(own, start=trial.start, end=trial.end):
        found = replace(found, trial=replace(trial, plan="stopped"))
    return found.result()


def trial_window(table: pa.Table, name: str) -> tuple[datetime.date, datetime.date] | None:
    """First and last day of the appointments of a trial that have an outcome; None where none has."""
    rows = TrialRows.of(table.filter(pc.equal(table["trial"], name)))
    if not len(rows):
        return None
    days = rows.starts_at.astype("datetime64[D]")
    return days.min().item(), days.max().item()


def _nothing(trial: RegisteredTrial) -> TrialResult:
    evidence = ClaimEvidence(0, 0, True, True, None, False, trial.plan, trial.end)
    costs = CallCosts(None, None, None, None)
    claim = claim_of(evidence)
    ranking = choose_ranking(None, claim, trial=trial.name, is_final=False)
    none: dict[str, int | None] = dict.fromkeys(ARM_COUNTS)
    return TrialResult(trial, False, None, none, NO_EFFECT, claim, (), "", (), costs, ranking, (), publication=None)


@dataclass(frozen=True)
class _Assessment:
    """One trial with both arms."""

    table: pa.Table
    rows: TrialRows
    trial: RegisteredTrial
    rule: Disclosure
    before: PublishedBefore | None
    pounds_per_call: float | None
    as_of: datetime.date | None  # the latest day of which the store has a record, of any appointment
    lost: int

    def result(self) -> TrialResult:
        rows = self.rows
        merged = small_groups([count_arms(rows, each) for each in rows.memberships], self.rule)
        members = [merged_membership(each, merged) for each in rows.memberships]
        counted = [count_arms(rows, each) for each in members]
        found_harms = harms(rows)
        hidden = hidden_trial_counts(counted, self._further(found_harms), rule=self.rule, before=self.before)
        difference = risk_difference(rows.scores(rows.missed))
        claim = claim_of(self._evidence(difference))
        # Where the claim says that nothing can be said, no figure says it after all.
        may_say = claim.kind not in NOTHING_SAID
        groups = sum(len(each.groups) for each in members)
        least = 0.0 if self.is_final else self._critical(_ALPHA / max(groups, 1))
        effects = self._group_effects(members, least) if may_say else ()
        days = rows.starts_at.astype("datetime64[D]")
        return TrialResult(
            trial=self.trial,
            is_finished=self.is_finished,
            window=(days.min().item(), days.max().item()),
            counts=self._everyone(counted[0], hidden),
            effect=self._effect(difference) if may_say else NO_EFFECT,
            claim=claim,
            tables=tuple(self._table(each, effects, hidden) for each in counted),
            groups_sentence=groups_sentence(effects) if may_say else "",
            harms=tuple(self._harm(each, hidden) for each in found_harms),
            costs=self._costs(claim, difference),
            ranking=choose_ranking(rows, claim, trial=self.trial.name, is_final=self.is_final),
            looks=self._looks() if may_say else (),
            publication=hidden.publication,
            not_protected=hidden.not_protected(""),
        )

    @property
    def is_finished(self) -> bool:
        """Whether the planned end is over, and so are the appointments that its last lists were about."""
        if self.trial.end is None or self.as_of is None:
            return False
        last = pc.max(self.table["starts_at"]).as_py().date()
        return self.as_of > self.trial.end and self.as_of >= min(last, self.trial.end + _LONGEST_WAIT)

    @property
    def is_final(self) -> bool:
        """Whether the planned analysis decides, and not one of many looks."""
        return self.is_finished and self.trial.plan == "registered"

    @property
    def _fewest_missed(self) -> int:
        return min(int((self.rows.missed & arm).sum()) for arm in (self.rows.treated, ~self.rows.treated))

    def _critical(self, alpha: float, appointments: int | None = None) -> float:
        progress = (appointments or len(self.rows)) / (self.trial.planned_appointments or _WITHOUT_PLAN)
        return sequential_critical(progress, alpha=alpha)

    def _evidence(self, difference: RateDifference) -> ClaimEvidence:
        z = z_of(1 - END_ALPHA) if self.is_final else self._critical(LOOK_ALPHA)
        return ClaimEvidence(
            appointments=len(self.rows),
            fewest_missed=self._fewest_missed,
            arms_as_planned=arms_as_planned(self.rows, self.trial.share_held_out),
            outcomes_alike=outcomes_alike(self.table),
            effect=printed_difference(difference, z=z),
            is_finished=self.is_finished,
            plan=self.trial.plan,
            end=self.trial.end,
            outcomes_complete=outcomes_complete(self.table, as_of=self.as_of, lost=self.lost),
            attended=printed_difference(risk_difference(self.rows.scores(self.rows.attended)), z=z),
            earlier_trials=len(self.trial.earlier_trials),
        )

    def _effect(self, difference: RateDifference) -> TrialEffect:
        rows = self.rows
        missed = rows.scores(rows.missed)
        ratio = relative_risk(missed)
        return TrialEffect(
            intention_to_treat=printed_difference(difference, z=_Z),
            always_valid=printed_difference(difference, z=self._critical(_ALPHA)),
            complier=printed_range(effect_of_being_reached(missed, rows.scores(rows.reached), z=_Z), z=_Z),
            relative_risk=printed_range(ratio.interval(_Z) if ratio else None, z=_Z),
            attended=printed_difference(risk_difference(rows.scores(rows.attended)), z=_Z),
        )

    def _group_effects(self, members: Sequence[Membership], least: float) -> tuple[GroupEffect, ...]:
        rows = self.rows
        return group_effects(
            rows.scores(rows.missed), members, missed=rows.missed, treated=rows.treated, least_critical=least
        )

    def _everyone(self, counted: CountedArms, hidden: HiddenCells) -> dict[str, int | None]:
        found = sum_of(counted).by_name() | {name: float(number) for name, number in self._contacts.items()}
        return {name: self._count(CountCell(name, *EVERYONE), number, hidden) for name, number in found.items()}

    @property
    def _contacts(self) -> dict[str, int]:
        """How many were reached in either arm."""
        rows = self.rows
        return {f"{arm}_reached": int((rows.reached & part).sum()) for arm, part in _arms(rows).items()}

    def _further(self, found: Sequence[PossibleHarm]) -> dict[str, tuple[float, str]]:
        """The counts of everyone beside those of the tables, and the arm that each is of."""
        counts = {name: (float(number), name.removesuffix("_reached")) for name, number in self._contacts.items()}
        for harm in found:
            for arm, number in (("treated", harm.treated), ("control", harm.control)):
                counts[_harm_count(arm, harm)] = (float(number), arm)
        return counts

    def _count(self, cell: CountCell, number: float, hidden: HiddenCells) -> int | None:
        return publish_count(number, self.rule) if hidden.may_print([cell]) else None

    def _table(self, counted: CountedArms, effects: Sequence[GroupEffect], hidden: HiddenCells) -> GroupEffectTable:
        grouping = counted.grouping
        known = {one.group.code: one for one in effects if one.grouping == grouping.name}
        rows = [
            self._row(CountCell("", grouping.name, group.code), group, own, effect=known.get(group.code), hidden=hidden)
            for group, own in zip(counted.groups, counted.counts, strict=True)
            if any(own.parts)
        ]
        return GroupEffectTable(grouping.name, grouping.title, tuple(rows))

    def _row(
        self, cell: CountCell, group: Group, own: ArmCounts, *, effect: GroupEffect | None, hidden: HiddenCells
    ) -> GroupEffectRow:
        shown = {
            name: self._count(cell._replace(counted=name), number, hidden) for name, number in own.by_name().items()
        }
        if effect is None or None in shown.values():
            return GroupEffectRow(group, shown, None, None, None)
        critical = (effect.interval.high - effect.estimate.value) / effect.estimate.error
        told = printed_difference(effect.estimate, z=critical)
        shrunken = printed_difference(RateDifference(effect.shrunken, effect.estimate.error), z=0.0).value
        return GroupEffectRow(group, shown, told, shrunken, effect.differs)

    def _harm(self, harm: PossibleHarm, hidden: HiddenCells) -> PrintedHarm:
        treated, control = (
            self._count(CountCell(_harm_count(arm, harm), *EVERYONE), number, hidden)
            for arm, number in (("treated", harm.treated), ("control", harm.control))
        )
        is_shown = harm.difference is not None and treated is not None and control is not None
        difference = printed_difference(harm.difference, z=_Z) if is_shown and harm.difference else None
        return PrintedHarm(harm.name, harm.title, treated, control, difference)

    def _costs(self, claim: Claim, difference: RateDifference) -> CallCosts:
        """Calls for each appointment that is not missed, by the range that decides the claim."""
        effect = self._evidence(difference).effect
        calls = float(self.rows.attempts[self.rows.treated].sum())
        printed_calls = publish_count(calls, self.rule)
        if claim.kind is not ClaimKind.HELPS or effect is None or not printed_calls:
            return CallCosts(printed_calls, None, self.pounds_per_call, None)
        appointments = publish_count(float(self.rows.treated.sum()), self.rule) or 0
        each = (printed_calls / (appointments * -end) for end in (effect.value, effect.low, effect.high))
        calls_each = Interval(*(round(number, 1) for number in each))
        if self.pounds_per_call is None:
            return CallCosts(printed_calls, calls_each, None, None)
        ends = (calls_each.value, calls_each.low, calls_each.high)
        pounds = Interval(*(round(end * self.pounds_per_call, 2) for end in ends))
        return CallCosts(printed_calls, calls_each, self.pounds_per_call, pounds)

    def _looks(self) -> tuple[Look, ...]:
        """The effect as it was seen at the end of each week, with intervals that hold together."""
        first, last = (end(self.rows.starts_at.astype("datetime64[D]")) for end in (np.min, np.max))
        days = np.arange(first + _WEEK, last + _WEEK, _WEEK)
        return tuple(look for day in days if (look := self._look(day)))

    def _look(self, day: np.datetime64) -> Look | None:
        seen = self.rows.starts_at < day
        arms = [self.rows.missed & seen & arm for arm in (self.rows.treated, ~self.rows.treated)]
        if min(int(missed.sum()) for missed in arms) < FEWEST_MISSED:
            return None
        estimate = self._difference_of(seen)
        effect = printed_difference(estimate, z=self._critical(_ALPHA, int(seen.sum())))
        return Look(day.astype("datetime64[D]").item(), effect)

    def _difference_of(self, seen: Mask) -> RateDifference:
        rows = self.rows
        treated = rows.treated[seen]
        scores = arm_scores(
            rows.missed[seen].astype(np.float64),
            treated,
            share=share_treated(treated, rows.stratum[seen]),
            design=risk_design(rows.probability[seen]),
            cluster=rows.patient[seen],
        )
        return risk_difference(scores)


def _arms(rows: TrialRows) -> dict[str, Mask]:
    return {"treated": rows.treated, "control": ~rows.treated}


def _harm_count(arm: str, harm: PossibleHarm) -> str:
    return f"{arm}_{harm.name}"


def groups_sentence(effects: Sequence[GroupEffect]) -> str:
    """Whether any group differs from everyone else, over all comparisons."""
    if not effects:
        return "No group has enough missed appointments to say anything about it."
    differing = [one for one in effects if one.differs]
    if not differing:
        return (
            f"In no group the effect differs from that in everyone else beyond chance, over all {len(effects)} "
            "comparisons."
        )
    told = list_and([_whom(one) for one in differing])
    return f"The effect differs from that in everyone else, beyond chance over all {len(effects)} comparisons: {told}."


_WHOM: Final = {
    "risk": "people in fifth {name} of the predicted risk",
    "mode": "appointments of the mode {name}",
}


def _whom(effect: GroupEffect) -> str:
    """The people of a group, as a phrase within a sentence."""
    phrase = _WHOM.get(effect.grouping)
    return phrase.format(name=effect.group.name) if phrase else people(effect.grouping, effect.group)

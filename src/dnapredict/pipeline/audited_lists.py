"""The lists of the audited period: which appointments were on them, and who would have been called.

The plan is that of a scored list (`worklist.plan`). A list holds what was booked when it was scored: appointments
with an outcome, those that were cancelled later, and those of which no outcome was recorded. Only the first kind is
judged; all of them used calls.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dnapredict.config.fairness_policy import Disclosure
from dnapredict.config.worklist_config import WorklistConfig
from dnapredict.data.contract.calendar_weeks import week_of
from dnapredict.data.contract.codes import CANCELLED_BY_PATIENT, CANCELLED_BY_PROVIDER, NOT_APPLICABLE
from dnapredict.data.engine import running_step
from dnapredict.data.small_numbers import publish_count
from dnapredict.features.matrix import Matrix
from dnapredict.features.scoring_clock import LabelRule
from dnapredict.worklist.plan.allocation import RULES, Rule
from dnapredict.worklist.plan.opt_outs import opted_out_rows
from dnapredict.worklist.plan.ranking import ASSIGNMENT_COLUMNS, RankingInputs
from dnapredict.worklist.plan.replay import not_to_be_called, replay

LIST_COLUMNS: Final = ("appointment_id", "outcome_code", "recorded_at", *ASSIGNMENT_COLUMNS)
"""Contract columns that the lists of a period are made from, beside the times of the matrix."""

Mask = NDArray[np.bool_]
CANCELLED_CODES: Final = (CANCELLED_BY_PATIENT, CANCELLED_BY_PROVIDER)
"""Outcomes of appointments that were cancelled."""

_FIRST: Final = "those most likely to miss"
_ALLOCATION_TEXT: Final[dict[Rule, str]] = {
    "global": _FIRST,
    "proportionate": f"shared between areas by need, {_FIRST} first",
    "floor": f"{_FIRST}, with a floor for each fifth of deprivation",
}


@dataclass(frozen=True)
class PastLists:
    """The appointments that were on the lists of a period.

    Attributes
    ----------
    matrix
        Their factors, with `LIST_COLUMNS`.
    has_outcome
        Which were attended or missed: those that are judged.
    cancelled
        Which were cancelled after they were scored; of the others no outcome is recorded.
    knows_cancellations
        Whether the extract says when any appointment was cancelled.
    """

    matrix: Matrix
    has_outcome: Mask
    cancelled: Mask
    knows_cancellations: bool

    @classmethod
    def of(cls, matrix: Matrix, *, outcomes: LabelRule, knows_cancellations: bool | None = None) -> "PastLists":
        """The lists of the weeks in which an appointment has an outcome.

        `matrix` may begin with any Monday of the extract; then `knows_cancellations` is of the whole extract.
        """
        table = matrix.table
        has_outcome, was_cancelled = _has_outcome(table, outcomes), _was_cancelled(table)
        if knows_cancellations is None:
            knows = (was_cancelled & _mask(pc.is_valid(table["recorded_at"]))).any()
            knows_cancellations = bool(knows or not was_cancelled.any())
        lists = cls(matrix, has_outcome, _cancelled_later(table), knows_cancellations)
        return lists.take(on_past_lists(table, outcomes=outcomes))

    def take(self, rows: Mask) -> "PastLists":
        """Some of the appointments."""
        matrix, has_outcome, cancelled = self.matrix.take(rows), self.has_outcome[rows], self.cancelled[rows]
        return replace(self, matrix=matrix, has_outcome=has_outcome, cancelled=cancelled)

    @property
    def judged(self) -> Matrix:
        """The appointments with an outcome."""
        return self.take(self.has_outcome).matrix


def on_past_lists(table: pa.Table, *, outcomes: LabelRule) -> Mask:
    """Which appointments were on a list of a week in which any has an outcome, shape (n,).

    Parameters
    ----------
    table
        Rows with `outcome_code`, `recorded_at`, `scored_at` and `starts_local`, of whole weeks.
    """
    code = table["outcome_code"]
    has_outcome = _has_outcome(table, outcomes)
    unrecorded = _mask(pc.or_kleene(pc.is_null(code), pc.equal(code, NOT_APPLICABLE)))
    week = week_of(table["starts_local"].to_numpy().astype("datetime64[D]"))
    with_outcome = np.isin(week, np.unique(week[has_outcome]))
    return np.asarray((has_outcome | _cancelled_later(table) | unrecorded) & with_outcome)


def replayed(
    lists: PastLists,
    probability: NDArray[np.float64],
    *,
    worklist: WorklistConfig,
    rules: tuple[Rule, ...] | None = None,
    refused: pa.Table,
) -> dict[Rule, Mask]:
    """Which appointments would have been called about, under each allocation rule.

    Parameters
    ----------
    rules
        By default all; only that in use where no decile is known.
    refused
        Opt-outs of refused rows, as in `opted_out_rows`.
    """
    running_step.begin("Replaying the weekly lists")
    table = lists.matrix.table
    inputs = RankingInputs.of(table, config=worklist, probability=probability)
    opted_out = opted_out_rows(table, refused=refused)
    rules = rules or (RULES if np.isfinite(inputs.decile).any() else (worklist.allocation,))
    return {
        rule: replay(inputs, config=worklist.model_copy(update={"allocation": rule}), opted_out=opted_out).covered
        for rule in rules
    }


def capacity_phrase(worklist: WorklistConfig) -> str:
    """The number of calls, in words that follow "It holds"."""
    unit = "each calling week" if "week" in worklist.capacity_per else "each week"
    unit = f"each clinic in {unit}" if "clinic" in worklist.capacity_per else unit
    share = f"{worklist.capacity_share * 100:g} of every 100 appointments of {unit}"
    calls = f"{worklist.capacity:,} appointments of {unit}" if worklist.capacity else share
    if worklist.teams:
        teams = ", ".join(f"{team.name} {team.capacity:,}" for team in worklist.teams)
        calls = f"the calls of each team in {unit} ({teams}), and for all other appointments {calls}"
    first = "those whom a call is expected to help most" if worklist.rank_by == "benefit" else _FIRST
    return f"{calls}, {_ALLOCATION_TEXT[worklist.allocation].replace(_FIRST, first)}"


def assumptions(lists: PastLists, worklist: WorklistConfig, rule: Disclosure) -> tuple[str, ...]:
    """What the replay of the lists takes for granted, in sentences for the report."""
    return tuple(_assumptions(lists, worklist, rule))


def _assumptions(lists: PastLists, worklist: WorklistConfig, rule: Disclosure) -> Iterator[str]:
    days = worklist.mute_days
    yield "The calls are those that a scored list of each week would plan, by the same program."
    near = f"at most {days} days apart" if days else "on one day"
    yield f"One call is about all appointments of a patient on a list that are {near}; each of them counts as called."
    if days:
        yield (
            "Every call is taken to reach the patient on the day on which it is due. For "
            f"{days} days the patient is then not called again for the same clinic."
        )
    yield "Patients who asked not to be called are not called."
    if lists.cancelled.any():
        number = _about(lists.cancelled, rule)
        yield f"{number} appointments were cancelled after the list was made, and could take a call."
    elif not lists.knows_cancellations:
        yield (
            "The extract does not say when appointments were cancelled (recorded_at): cancelled ones are taken to be "
            "gone before the list was made."
        )
    unrecorded = ~lists.has_outcome & ~lists.cancelled
    if unrecorded.any():
        number = _about(unrecorded, rule)
        yield f"{number} appointments without a recorded outcome were on the lists, and could take a call."
    yield "Of equal risks, a fixed hash of the appointment's identifier decides who comes first."


def opted_out_phrase(lists: PastLists, worklist: WorklistConfig, rule: Disclosure, *, refused: pa.Table) -> str:
    """A sentence for page 1 on the appointments of patients who asked not to be called; "" where there are none.

    The plan gives them no call. They are still judged: an audit must include patients who opted out of calls.
    """
    table = lists.matrix.table
    inputs = RankingInputs.of(table, config=worklist, probability=np.zeros(table.num_rows))
    out = not_to_be_called(inputs, opted_out_rows(table, refused=refused), config=worklist)
    if not out.any():
        return ""
    return f"{_about(out, rule)} appointments were of patients who asked not to be called: no calls are spent on them."


def _about(rows: Mask, rule: Disclosure) -> str:
    number = publish_count(float(rows.sum()), rule)
    return "A few" if number is None else f"About {number:,}"


def _has_outcome(table: pa.Table, outcomes: LabelRule) -> Mask:
    return _mask(pc.is_in(table["outcome_code"], pa.array([*outcomes.dna_codes, *outcomes.came_codes])))


def _was_cancelled(table: pa.Table) -> Mask:
    return _mask(pc.is_in(table["outcome_code"], pa.array(CANCELLED_CODES)))


def _cancelled_later(table: pa.Table) -> Mask:
    """Which were cancelled after they were scored."""
    return _was_cancelled(table) & _mask(pc.greater(table["recorded_at"], table["scored_at"]))


def _mask(column: pa.ChunkedArray) -> Mask:
    found: Mask = pc.fill_null(column, False).to_numpy().astype(np.bool_)
    return found

"""The plan of a list: who is called, in which order, by when, and what to offer."""

import datetime
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dnapredict.config.worklist_config import WorklistConfig
from dnapredict.worklist.files.worklist_columns import FACTORS, NEEDS_COLUMN
from dnapredict.worklist.plan.call_assignment import (
    MUTED,
    OPTED_OUT,
    REACHED,
    UNANSWERED,
    UNCALLED,
    Mask,
    Rows,
    assign_calls,
)
from dnapredict.worklist.plan.call_capacity import CallCapacity, call_capacity, capacity_in_trial
from dnapredict.worklist.plan.needs import Needs, with_needs, without_call
from dnapredict.worklist.plan.ranking import RankingInputs, action_for, bands, ranks
from dnapredict.worklist.plan.trial_arms import ARM_COLUMNS, RunningTrial, TrialPlan, allocate, display_order, no_arms

# At most this many further appointments of a call are named in its action.
_MOST_NAMED: Final = 5


def _by_value(rows: Rows, values: Rows) -> Iterator[Rows]:
    """`rows` in groups of equal value, each in its order."""
    order = rows[np.argsort(values[rows], kind="stable")]
    if len(order):
        yield from np.split(order, np.flatnonzero(np.diff(values[order])) + 1)


@dataclass(frozen=True)
class CallPlan:
    """The plan for each appointment, in the order of the list.

    Attributes
    ----------
    table
        `rank`, `selected`, `band`, `action` and `needs`, and in a trial `trial_arms.ARM_COLUMNS`, which must never
        reach a file, a page, a log or an answer.
    call_by
        The day by which to call about each appointment.
    notices
        Limitations of the plan, in sentences for the people who work with the list.
    """

    table: pa.Table
    call_by: NDArray[np.datetime64]
    notices: tuple[str, ...] = ()

    @property
    def called(self) -> NDArray[np.int64]:
        """The rows that are called about."""
        return np.flatnonzero(self.table["selected"].to_numpy())

    @property
    def is_of_trial(self) -> bool:
        """Whether a trial runs, so that nobody may learn the risk of a row without a call."""
        return "trial_arm" in self.table.column_names


def plan_calls(
    table: pa.Table,
    *,
    config: WorklistConfig,
    capacity: int | None,
    muted: Callable[[NDArray[np.datetime64]], Mask] | None = None,
    excluded: Rows | None = None,
    notices: tuple[str, ...] = (),
    today: datetime.date | None = None,
    trial: RunningTrial | None = None,
) -> CallPlan:
    """The plan of the rows of `table`, which has `RANKING_COLUMNS`, `probability` and the factors of the reasons.

    Parameters
    ----------
    muted
        Tells whose patient was reached for its clinic lately, given the day by which each is to be called.
    excluded
        Rows that are not called, as in `assign_calls`.
    today
        The day on which the plan is made: no action names an earlier day for a call about an appointment to come.
    trial
        The trial that runs; None without one.
    """
    inputs = RankingInputs.of(table, config=config)
    calls = call_capacity(inputs, config=config, capacity=capacity)
    silent = None if muted is None else muted(inputs.call_by)
    if trial is not None and trial.allocates and config.trial is not None:
        wanted, marks = calls, np.full(len(inputs), UNCALLED) if excluded is None else excluded
        opted_out, passed_over = marks == OPTED_OUT, np.isin(marks, (REACHED, UNANSWERED))
        calls = capacity_in_trial(
            wanted,
            inputs,
            opted_out=opted_out,
            passed_over=passed_over if silent is None else passed_over | silent,
            held_out=config.trial.share,
        )
        notices = (*notices, *_fewer_calls(wanted, calls))
    assign = partial(assign_calls, inputs, calls, config=config, muted=silent, excluded=excluded)
    if trial is None:
        allocated = TrialPlan(assign(), no_arms(len(inputs)))
    else:
        allocated = allocate(table, lambda free: assign(free=free), trial, config=config)
    call_row = allocated.call_row
    # If risk alone decides, the list is in order of risk; otherwise rows with a call come first.
    by_risk = config.allocation == "global" and len(calls.number) == 1 and trial is None
    # In a trial the order of the rows without a call must not tell who has a high risk and no call.
    place = inputs.place if trial is None else np.where(call_row >= 0, inputs.place, display_order(table))
    rank = ranks(place, None if by_risk else call_row >= 0)
    actions = _actions(table, call_row, rank, printed_day=_printed_day(inputs, today), config=config)
    plan = pa.table(
        {
            "rank": rank,
            "selected": call_row == np.arange(len(call_row)),
            "band": pa.array(bands(inputs.probability, config=config), pa.string()).dictionary_encode(),
            "action": actions.dictionary_encode(),
            NEEDS_COLUMN: _names_of(Needs.of(table, config.needs).of_calls(call_row)).dictionary_encode(),
            **({} if trial is None else dict(zip(ARM_COLUMNS.names, allocated.arms.columns, strict=True))),
        }
    )
    return CallPlan(plan, inputs.call_by, notices)


def _fewer_calls(wanted: CallCapacity, calls: CallCapacity) -> tuple[str, ...]:
    """A notice where the trial allows fewer calls than there is capacity for."""
    most = int(calls.number.sum())
    if most >= int(wanted.number.sum()):
        return ()
    sentence = (
        f"While the trial runs, this list has at most {most:,} calls: with more of its patients in the trial, patients "
        "without a call would be known to be held out."
    )
    return (sentence,)


def _printed_day(inputs: RankingInputs, today: datetime.date | None) -> NDArray[np.datetime64]:
    """The printed day by which to call: overdue calls are due today; past appointments keep their day."""
    if today is None:
        return inputs.call_by
    now = np.datetime64(today, "D")
    return np.where((inputs.call_by < now) & (inputs.day >= now), now, inputs.call_by)


def _actions(
    table: pa.Table,
    call_row: NDArray[np.int64],
    rank: NDArray[np.int64],
    *,
    printed_day: NDArray[np.datetime64],
    config: WorklistConfig,
) -> pa.Array:
    needs = Needs.of(table, config.needs)
    actions = _actions_without_call(needs, call_row, config=config)
    called = np.flatnonzero(call_row == np.arange(len(call_row)))
    actions[called] = _offers(table, needs.of_calls(call_row), called, config=config)
    if config.call_working_days_before is not None:
        for row, day in zip(called.tolist(), printed_day[called].tolist(), strict=True):
            actions[row] += f", by {day:%a} {day.day} {day:%b}"
    mentioned = np.flatnonzero((call_row >= 0) & (call_row != np.arange(len(call_row))))
    for row in mentioned.tolist():
        actions[row] = without_call(config.same_call_action.format(rank=rank[call_row[row]]), needs.at(row))
    for rows in _by_value(mentioned, call_row):
        actions[call_row[rows[0]]] += _further_ranks(rank[rows])
    return pa.array(actions, pa.string())


def _names_of(needs: Needs) -> pa.Array:
    """The names of each row's needs, with blanks between."""
    patterns, index = np.unique(needs.pattern, return_inverse=True)
    names = [" ".join(need.name for need in needs.in_pattern(pattern)) for pattern in patterns.tolist()]
    return pa.array(names, pa.string()).take(pa.array(index))


def _actions_without_call(needs: Needs, call_row: NDArray[np.int64], *, config: WorklistConfig) -> NDArray[np.object_]:
    """The action of each row without a call; computed once for each combination of needs and text."""
    actions = np.full(len(call_row), config.unselected_action, dtype=object)
    texts = {
        UNCALLED: config.unselected_action,
        MUTED: config.muted_action,
        REACHED: config.reached_action,
        OPTED_OUT: config.opted_out_action,
        UNANSWERED: config.unanswered_action,
    }
    for pattern in np.unique(needs.pattern).tolist():
        same_needs = needs.pattern == pattern
        for mark, text in texts.items():
            actions[same_needs & (call_row == mark)] = without_call(text, needs.in_pattern(pattern))
    return actions


def _offers(table: pa.Table, needs: Needs, called: NDArray[np.int64], *, config: WorklistConfig) -> list[str]:
    """The action of each call, from its reasons and the patient's needs."""
    factors = table.select(FACTORS).take(pa.array(called)).to_pylist()
    offers = []
    for row, reasons in zip(called.tolist(), factors, strict=True):
        own = needs.at(row)
        names = [name for name in reasons.values() if name]
        action, added = action_for(names, config=config, without={need.kind for need in own})
        offers.append(with_needs(action, own, added=added))
    return offers


def _further_ranks(rank: NDArray[np.int64]) -> str:
    """The further appointments of a call, by their ranks.

    >>> _further_ranks(np.array([7, 3]))
    '; in the same call, speak about place 3, 7 too'
    """
    named = ", ".join(map(str, sorted(rank.tolist())[:_MOST_NAMED]))
    more = " and others" if len(rank) > _MOST_NAMED else ""
    return f"; in the same call, speak about place {named}{more} too"

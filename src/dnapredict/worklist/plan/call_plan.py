"""The plan of a list: who is called, in which order, by when, and what to offer."""

import datetime
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dnapredict.config.worklist_config import WorklistConfig
from dnapredict.worklist.files.worklist_files import FACTORS
from dnapredict.worklist.plan.allocation import GROUPS, fifths, quotas
from dnapredict.worklist.plan.call_capacity import CallCapacity, call_capacity
from dnapredict.worklist.plan.needs import Needs, with_needs, without_call
from dnapredict.worklist.plan.ranking import NOBODY, RankingInputs, action_for, bands, ranks

UNCALLED: Final = -1
MUTED: Final = -2
REACHED: Final = -3
OPTED_OUT: Final = -4
# At most this many further appointments of a call are named in its action.
_MOST_NAMED: Final = 5

Rows = NDArray[np.int64]


def assign_calls(
    inputs: RankingInputs,
    calls: CallCapacity,
    *,
    config: WorklistConfig,
    is_muted: Callable[[int], bool],
    excluded: Rows | None = None,
) -> Rows:
    """For each appointment the row whose call covers it.

    Parameters
    ----------
    is_muted
        Whether the patient of a row was reached for that clinic lately.
    excluded
        `OPTED_OUT` or `REACHED` for rows that are not called whatever their risk, else `UNCALLED`.

    Returns
    -------
    For each row: its own index if it is called about, the index of another row if it is mentioned in that call,
    `MUTED`, `REACHED` or `OPTED_OUT` if it was passed over, and else `UNCALLED`.
    """
    assignment = _Assignment(inputs, calls, config=config, is_muted=is_muted, excluded=excluded)
    order = np.argsort(-inputs.probability, kind="stable")
    if config.allocation != "global":
        # Two passes: first what the rule guarantees to each fifth, then by risk alone what is left, since a guaranteed
        # call is saved where the patient is muted, opted out, or called already about another appointment.
        assignment.go_down(order, quota=_quotas(inputs, calls, config))
    assignment.go_down(order)
    return assignment.with_mentioned()


class _Assignment:
    """Calls as they are assigned to rows."""

    def __init__(
        self,
        inputs: RankingInputs,
        calls: CallCapacity,
        *,
        config: WorklistConfig,
        is_muted: Callable[[int], bool],
        excluded: Rows | None,
    ) -> None:
        self._inputs = inputs
        self._near_days = config.mute_days
        self._is_muted = is_muted
        # Lists, since reading single items of an array is slow.
        self._group = calls.group.tolist()
        self._left = calls.number.tolist()
        self._fifth = fifths(inputs.decile).tolist()
        self._patient = inputs.patient.tolist()
        self._day = inputs.day.astype(np.int64).tolist()
        self._calls_of_patient: dict[int, list[int]] = defaultdict(list)
        self._call_row = np.full(len(inputs), UNCALLED) if excluded is None else excluded.copy()

    def go_down(self, order: Rows, *, quota: list[list[int]] | None = None) -> None:
        """Assign calls to rows that have none yet, each fifth of a group at most its `quota`."""
        left = sum(self._left)
        for row in order.tolist():
            if left == 0:
                return
            group, fifth = self._group[row], self._fifth[row]
            # Skipping does not end the pass: the next row may be of another team, clinic or fifth with calls left.
            if not self._left[group] or (quota and not quota[group][fifth]) or not self._may_call(row):
                continue
            self._call_row[row] = row
            self._left[group] -= 1
            left -= 1
            if quota:
                quota[group][fifth] -= 1
            # Rows of unknown patients are not one patient: each needs its own call.
            if self._patient[row] != NOBODY:
                self._calls_of_patient[self._patient[row]].append(row)

    def with_mentioned(self) -> Rows:
        """All rows, with those that are mentioned in a call about another."""
        patients = np.array(list(self._calls_of_patient), dtype=np.int64)
        # A muted row is mentioned too if the patient is called anyway: one conversation covers it. Opted-out and
        # reached rows are not: they are settled.
        others = np.isin(self._inputs.patient, patients) & np.isin(self._call_row, (UNCALLED, MUTED))
        for row in np.flatnonzero(others).tolist():
            call = self._call_near(row)
            if call is not None:
                self._call_row[row] = call
        return self._call_row

    def _may_call(self, row: int) -> bool:
        if self._call_row[row] != UNCALLED or self._call_near(row) is not None:
            return False
        if self._is_muted(row):
            self._call_row[row] = MUTED
            return False
        return True

    def _call_near(self, row: int) -> int | None:
        """The call to the same patient about an appointment that is near in time, if there is one."""
        for call in self._calls_of_patient.get(self._patient[row], ()):
            if abs(self._day[call] - self._day[row]) <= self._near_days:
                return call
        return None


def _quotas(inputs: RankingInputs, calls: CallCapacity, config: WorklistConfig) -> list[list[int]]:
    """For each group and fifth, the calls that the allocation rule gives it before risk alone decides."""
    table = np.zeros((len(calls.number), GROUPS), dtype=np.int64)
    for rows in _by_value(np.arange(len(inputs)), calls.group):
        group = calls.group[rows[0]]
        table[group] = quotas(
            inputs.probability[rows],
            inputs.decile[rows],
            calls=int(calls.number[group]),
            rule=config.allocation,
            floor_share=config.floor_share,
        )
    result: list[list[int]] = table.tolist()
    return result


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
        `rank`, `selected`, `band` and `action`.
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


def plan_calls(
    table: pa.Table,
    *,
    config: WorklistConfig,
    capacity: int | None,
    is_muted: Callable[[RankingInputs, int], bool] = lambda *_: False,
    excluded: NDArray[np.int64] | None = None,
    notices: tuple[str, ...] = (),
    today: datetime.date | None = None,
) -> CallPlan:
    """The plan of the rows of `table`, which has `RANKING_COLUMNS`, `probability` and the factors of the reasons.

    Parameters
    ----------
    is_muted
        Whether the patient of a row was reached for its clinic lately.
    excluded
        Rows that are not called, as in `assign_calls`.
    today
        The day on which the plan is made: no action names an earlier day for a call about an appointment to come.
    """
    inputs = RankingInputs.of(table, config=config)
    calls = call_capacity(inputs, config=config, capacity=capacity)
    call_row = assign_calls(inputs, calls, config=config, is_muted=lambda row: is_muted(inputs, row), excluded=excluded)
    # If risk alone decides, the list is in order of risk; otherwise rows with a call come first.
    by_risk = config.allocation == "global" and len(calls.number) == 1
    rank = ranks(inputs.probability, None if by_risk else call_row >= 0)
    actions = _actions(table, call_row, rank, printed_day=_printed_day(inputs, today), config=config)
    plan = pa.table(
        {
            "rank": rank,
            "selected": call_row == np.arange(len(call_row)),
            "band": pa.array(bands(inputs.probability, config=config), pa.string()).dictionary_encode(),
            "action": actions.dictionary_encode(),
        }
    )
    return CallPlan(plan, inputs.call_by, notices)


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


def _actions_without_call(needs: Needs, call_row: NDArray[np.int64], *, config: WorklistConfig) -> NDArray[np.object_]:
    """The action of each row without a call; computed once for each combination of needs and text."""
    actions = np.full(len(call_row), config.unselected_action, dtype=object)
    texts = {
        UNCALLED: config.unselected_action,
        MUTED: config.muted_action,
        REACHED: config.reached_action,
        OPTED_OUT: config.opted_out_action,
    }
    for pattern in np.unique(needs.pattern).tolist():
        same_needs = needs.pattern == pattern
        for mark, text in texts.items():
            actions[same_needs & (call_row == mark)] = without_call(text, needs.in_pattern(pattern))
    return actions


def _offers(table: pa.Table, needs: Needs, called: NDArray[np.int64], *, config: WorklistConfig) -> list[str]:
    """The action of each call, from the strongest reason and the patient's needs."""
    factors = table.select(FACTORS).take(pa.array(called)).to_pylist()
    offers = []
    for row, reasons in zip(called.tolist(), factors, strict=True):
        own = needs.at(row)
        names = [name for name in reasons.values() if name]
        offers.append(with_needs(action_for(names, config=config, without={need.kind for need in own}), own))
    return offers


def _further_ranks(rank: NDArray[np.int64]) -> str:
    """The further appointments of a call, by their ranks.

    >>> _further_ranks(np.array([7, 3]))
    '; the same call: rank 3, 7'
    """
    named = ", ".join(map(str, sorted(rank.tolist())[:_MOST_NAMED]))
    return f"; the same call: rank {named}" + (", ..." if len(rank) > _MOST_NAMED else "")

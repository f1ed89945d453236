"""Who is called: the one rule by which a list of appointments gets its calls, in the order of risk.

Scoring, the page, the watched folder and the audit all call `assign_calls`. The rule is greedy: from the highest risk
down, an appointment gets a call if its group has one left and no call to the same patient about an appointment near
in time was assigned before. It is worked out in rounds over arrays: whether a row is called depends on earlier rows
only, so that the rounds end, at the latest when as many have been made as there are rows, and in practice after a few.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dnapredict.config.worklist_config import WorklistConfig
from dnapredict.worklist.plan.allocation import GROUPS, Rule, fifths, quotas
from dnapredict.worklist.plan.call_capacity import CallCapacity
from dnapredict.worklist.plan.ranking import NOBODY, RankingInputs

UNCALLED: Final = -1
MUTED: Final = -2
REACHED: Final = -3
OPTED_OUT: Final = -4
UNANSWERED: Final = -5
_NEVER: Final = np.iinfo(np.int64).max

Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]


def assign_calls(
    inputs: RankingInputs,
    calls: CallCapacity,
    *,
    config: WorklistConfig,
    muted: Mask | None = None,
    excluded: Rows | None = None,
    free: Mask | None = None,
) -> Rows:
    """For each appointment the row whose call covers it.

    Parameters
    ----------
    muted
        Whether the patient of each row was reached for that clinic lately.
    excluded
        `OPTED_OUT`, `REACHED` or `UNANSWERED` for rows that are not called whatever their risk, else `UNCALLED`.
    free
        Rows whose calls leave the number of calls as it is: a trial holds them out.

    Returns
    -------
    For each row: its own index if it is called about, the index of another row if it is mentioned in that call,
    `MUTED`, `REACHED`, `OPTED_OUT` or `UNANSWERED` if it was passed over, and else `UNCALLED`.
    """
    assignment = _Assignment(inputs, muted, excluded, near_days=config.mute_days, free=free)
    if config.allocation != "global":
        # Two passes: first what the rule guarantees to each fifth, then by risk alone what is left, since a guaranteed
        # call is saved where the patient is muted, opted out, or called already about another appointment.
        fifth = calls.group * GROUPS + fifths(inputs.decile)
        assignment.assign(fifth, _quotas(inputs, calls, config).ravel())
    made = np.bincount(calls.group[assignment.is_made], minlength=len(calls.number))
    assignment.assign(calls.group, calls.number - made)
    return assignment.with_mentioned()


def allocated(
    probability: NDArray[np.float64],
    decile: NDArray[np.float64],
    *,
    calls: int,
    rule: Rule,
    floor_share: float,
) -> Mask:
    """Which appointments of one list get one of `calls` calls, where each is of another patient.

    *global*: the highest risks. *proportionate*: each fifth of deprivation gets its share of need, in whole calls by
    largest remainder. *floor*: each fifth gets at least `floor_share` of its share of need, and what is
    left goes to the highest risks anywhere. Within a fifth the highest risks are always called first.

    Parameters
    ----------
    probability : (n,) float in [0, 1]
    decile : (n,) float
        IMD decile, NaN where it is not known.
    calls
        At most n.

    >>> risk, decile = np.array([0.9, 0.8, 0.7, 0.1, 0.3]), np.array([1.0, 1.0, 1.0, 9.0, 9.0])
    >>> allocated(risk, decile, calls=3, rule="global", floor_share=0.8).tolist()
    [True, True, True, False, False]
    >>> allocated(risk, decile, calls=3, rule="proportionate", floor_share=0.8).tolist()
    [True, True, True, False, False]
    >>> allocated(risk, decile, calls=4, rule="proportionate", floor_share=0.8).tolist()
    [True, True, True, False, True]
    """
    inputs = RankingInputs.of_risks(probability, decile)
    assignment = _Assignment(inputs, None, None, near_days=0)
    if rule != "global":
        assignment.assign(fifths(decile), quotas(probability, decile, calls=calls, rule=rule, floor_share=floor_share))
    left = calls - int(assignment.is_called.sum())
    assignment.assign(np.zeros(len(probability), dtype=np.int64), np.array([left]))
    return assignment.is_called


def _quotas(inputs: RankingInputs, calls: CallCapacity, config: WorklistConfig) -> Rows:
    """For each group and fifth, the calls that the allocation rule gives it before risk alone decides."""
    table = np.zeros((len(calls.number), GROUPS), dtype=np.int64)
    order = np.argsort(calls.group, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(calls.group[order])) + 1) if len(order) else ():
        group = calls.group[rows[0]]
        table[group] = quotas(
            inputs.probability[rows],
            inputs.decile[rows],
            calls=int(calls.number[group]),
            rule=config.allocation,
            floor_share=config.floor_share,
        )
    return table


class _Assignment:
    """Calls as they are assigned to rows."""

    def __init__(
        self,
        inputs: RankingInputs,
        muted: Mask | None,
        excluded: Rows | None,
        *,
        near_days: int,
        free: Mask | None = None,
    ) -> None:
        self._patient, self._day, self._near_days = inputs.patient, inputs.day.astype(np.int64), near_days
        self._order = inputs.order
        self._muted = np.zeros(len(inputs), dtype=bool) if muted is None else muted
        self._free = np.zeros(len(inputs), dtype=bool) if free is None else free
        # For each row, when its call was assigned among all calls; `_NEVER` if it has none.
        self._assigned = np.full(len(inputs), _NEVER)
        self._marks = np.full(len(inputs), UNCALLED) if excluded is None else excluded.copy()
        self._passes = 0

    @property
    def is_called(self) -> Mask:
        """The rows with a call of their own."""
        return np.asarray(self._assigned != _NEVER)

    @property
    def is_made(self) -> Mask:
        """The rows with a call of their own that uses one of the calls."""
        return np.asarray(self.is_called & ~self._free)

    def assign(self, cell: Rows, room: Rows) -> None:
        """Assign calls to rows that have none yet, in each cell at most its `room`."""
        rows = self._order[(self._marks == UNCALLED)[self._order] & ~self.is_called[self._order]]
        rows = rows[room[cell[rows]] > 0]
        rows = rows[~self._near_to_call(rows)]
        if not len(rows):
            return
        number = np.arange(len(rows)) + self._passes * len(self._order)
        near = _Near.of(self._patient[rows], self._day[rows], days=self._near_days)
        cells = _Cells.of(cell[rows], room[cell[rows]])
        muted, free, blocked = self._muted[rows], self._free[rows], np.zeros(len(rows), dtype=bool)
        while True:
            has_room = cells.has_room(~blocked & ~muted & ~free)
            called = ~blocked & ~muted & has_room
            now_blocked = near.first(np.where(called, number, _NEVER)) < number
            if (now_blocked == blocked).all():
                break
            blocked = now_blocked
        self._assigned[rows[called]] = number[called]
        # A row is marked as muted only if it would have had a call.
        self._marks[rows[muted & ~blocked & has_room]] = MUTED
        self._passes += 1

    def with_mentioned(self) -> Rows:
        """All rows, with those that are mentioned in a call about another."""
        found = np.where(self.is_called, np.arange(len(self._marks)), self._marks)
        # A muted row is mentioned too if the patient is called anyway: one conversation covers it. Opted-out and
        # reached rows are not: they are settled.
        rows = np.flatnonzero(self.is_called | np.isin(self._marks, (UNCALLED, MUTED)))
        first = self._first_near(rows)
        mentioned = ~self.is_called[rows] & (first != _NEVER)
        by_number = np.argsort(self._assigned, kind="stable")
        numbers = self._assigned[by_number]
        found[rows[mentioned]] = by_number[np.searchsorted(numbers, first[mentioned])]
        return found

    def _near_to_call(self, rows: Rows) -> Mask:
        """Whether a call to the patient of each row was assigned about an appointment near in time."""
        if not self._passes:
            return np.zeros(len(rows), dtype=bool)
        everyone = np.arange(len(self._marks))
        return np.asarray(self._first_near(everyone)[rows] != _NEVER)

    def _first_near(self, rows: Rows) -> Rows:
        called_patients = np.unique(self._patient[self.is_called])
        concerned = np.isin(self._patient[rows], called_patients)
        first = np.full(len(rows), _NEVER)
        near = _Near.of(self._patient[rows[concerned]], self._day[rows[concerned]], days=self._near_days)
        first[concerned] = near.first(self._assigned[rows[concerned]])
        return first


@dataclass(frozen=True)
class _Cells:
    """Rows in order of risk, each in a cell with room for so many calls.

    `order` sorts the rows by cell, `start` is where the cell of each sorted row begins, `room` that of its cell.
    """

    order: Rows
    start: Rows
    room: Rows

    @classmethod
    def of(cls, cell: Rows, room: Rows) -> "_Cells":
        order = np.argsort(cell, kind="stable")
        first = np.concatenate([[True], np.diff(cell[order]) != 0])
        return cls(order, np.flatnonzero(first)[np.cumsum(first) - 1], room[order])

    def has_room(self, takes: Mask) -> Mask:
        """Whether fewer rows before each row `take` a call of its cell than it has room for."""
        taken = np.concatenate([[0], np.cumsum(takes[self.order])])
        found = np.empty(len(takes), dtype=bool)
        found[self.order] = taken[:-1] - taken[self.start] < self.room
        return found


@dataclass(frozen=True)
class _Near:
    """Rows of patients with several appointments, by patient and day.

    `order` sorts them; `low` and `high` bound the sorted rows of the same patient near in time, and the row itself.
    """

    size: int
    order: Rows
    low: Rows
    high: Rows

    @classmethod
    def of(cls, patient: Rows, day: Rows, *, days: int) -> "_Near":
        number_of = np.bincount(patient[patient != NOBODY], minlength=1)
        # Rows of unknown patients are not one patient: each needs its own call.
        several = np.flatnonzero((patient != NOBODY) & (number_of[patient] > 1))
        if not len(several):
            return cls(len(patient), several, several, several)
        earliest = day[several].min()
        span = day[several].max() - earliest + 1 + days
        key = patient[several] * (span + days) + (day[several] - earliest)
        order = np.argsort(key, kind="stable")
        key = key[order]
        # The keys of two patients are further apart than `days`.
        low, high = np.searchsorted(key, key - days, side="left"), np.searchsorted(key, key + days, side="right")
        return cls(len(patient), several[order], low, high)

    def first(self, numbers: Rows) -> Rows:
        """The lowest of `numbers` among the rows near to each row, its own included."""
        found = numbers.copy()
        if len(self.order):
            found[self.order] = _lowest_within(numbers[self.order], self.low, self.high)
        return found


def _lowest_within(values: Rows, low: Rows, high: Rows) -> Rows:
    """The lowest of `values[low:high]` for each range, from the lowest of ranges whose length is a power of two."""
    level = np.log2(high - low).astype(np.int64)
    found = np.empty(len(low), dtype=np.int64)
    lowest = values
    for power in range(int(level.max()) + 1):
        width = 1 << power
        if power:
            lowest = np.minimum(lowest[: len(lowest) - width // 2], lowest[width // 2 :])
        at = level == power
        found[at] = np.minimum(lowest[low[at]], lowest[high[at] - width])
    return found

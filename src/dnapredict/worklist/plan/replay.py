"""Replay of a past period: who would have been called, had its lists been worked week by week.

Each week's list gets its calls from `call_assignment.assign_calls`, as a list that is scored. The lists follow each
other, so that a patient who was called about one is not called for the same clinic within the mute period.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dnapredict.config.worklist_config import WorklistConfig
from dnapredict.data.contract.calendar_weeks import week_of
from dnapredict.worklist.plan.call_assignment import OPTED_OUT, UNCALLED, Mask, assign_calls
from dnapredict.worklist.plan.call_capacity import call_capacity
from dnapredict.worklist.plan.opt_outs import of_the_same_patients
from dnapredict.worklist.plan.ranking import NOBODY, RankingInputs

_LONG_AGO: Final = np.datetime64("0001-01-01", "D")


@dataclass(frozen=True)
class Replay:
    """Who would have been called: masks over the appointments.

    Attributes
    ----------
    calls
        Appointments with a call of their own.
    covered
        Those, and appointments that are mentioned in a call to the same patient.
    """

    calls: Mask
    covered: Mask


def replay(inputs: RankingInputs, *, config: WorklistConfig, opted_out: Mask | None = None) -> Replay:
    """The calls of each week's list, the first week first.

    Every planned call is taken to reach the patient on the day by which it is due.

    Parameters
    ----------
    inputs
        All appointments that were on a list, whatever became of them.
    opted_out
        Appointments with the wish not to be called; it holds for all appointments of the patient on that list.
    """
    calls, covered = (np.zeros(len(inputs), dtype=bool) for _ in range(2))
    out = np.zeros(len(inputs), dtype=bool) if opted_out is None else not_to_be_called(inputs, opted_out, config=config)
    reached = _Reached(inputs, mute_days=config.mute_days)
    for rows in lists_of(inputs, config):
        one = inputs.take(rows)
        call_row = assign_calls(
            one,
            call_capacity(one, config=config),
            config=config,
            muted=reached.muted(rows),
            excluded=np.where(out[rows], OPTED_OUT, UNCALLED),
        )
        own = call_row == np.arange(len(rows))
        calls[rows], covered[rows] = own, call_row >= 0
        reached.add(rows[own])
    return Replay(calls, covered)


def not_to_be_called(inputs: RankingInputs, opted_out: Mask, *, config: WorklistConfig) -> Mask:
    """The appointments of a list whose patient opted out of calls in any row of that list."""
    found = np.zeros(len(inputs), dtype=bool)
    for rows in lists_of(inputs, config):
        found[rows] = of_the_same_patients(opted_out[rows], inputs.patient[rows])
    return found


def lists_of(inputs: RankingInputs, config: WorklistConfig) -> Iterator[NDArray[np.int64]]:
    """The rows of each list, in order of time.

    A list holds the appointments of a calendar week. Where the capacity is that of a calling week, it holds those
    whose call is due in that week, or two lists would each have the calls of one week.
    """
    week = week_of(inputs.call_by if "week" in config.capacity_per else inputs.day)
    order = np.argsort(week, kind="stable")
    if len(order):
        yield from np.split(order, np.flatnonzero(np.diff(week[order])) + 1)


class _Reached:
    """The last day on which each patient was reached for each clinic."""

    def __init__(self, inputs: RankingInputs, *, mute_days: int) -> None:
        self._mute_days, self._call_by = mute_days, inputs.call_by
        key = inputs.patient * (inputs.clinic.max(initial=0) + 1) + inputs.clinic
        # A contact with an unknown patient, or for an unknown clinic, mutes nobody.
        key = np.where((inputs.patient == NOBODY) | (inputs.clinic == NOBODY), NOBODY, key)
        values, code = np.unique(key, return_inverse=True)
        self._is_known = key != NOBODY
        self._code = code.reshape(-1)
        self._last = np.full(len(values), _LONG_AGO)

    def muted(self, rows: NDArray[np.int64]) -> Mask | None:
        """Whether each patient was reached for the clinic within the mute period."""
        if not self._mute_days:
            return None
        # Lists are in order of time: no earlier call is nearer than the last.
        days = self._call_by[rows] - self._last[self._code[rows]]
        found: Mask = self._is_known[rows] & (days <= np.timedelta64(self._mute_days, "D"))
        return found

    def add(self, called: NDArray[np.int64]) -> None:
        """Note the calls of a list."""
        np.maximum.at(self._last, self._code[called], self._call_by[called])

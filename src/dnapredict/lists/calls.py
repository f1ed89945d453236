"""Who is called: down the list from the highest risk, one call a patient, while there are calls.

A call is about the appointment with the patient's highest risk and covers the others of that patient that
are near. Patients who asked not to be called, or who were reached already, are passed over, and the call
goes to the next.
"""

from collections import defaultdict
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dnapredict.config.worklist import WorklistConfig
from dnapredict.lists.allocation import GROUPS, fifths, quotas
from dnapredict.lists.capacity import Calls
from dnapredict.lists.standing import NOBODY, Standing

__all__ = ["MUTED", "OPTED_OUT", "REACHED", "UNCALLED", "covered"]

UNCALLED: Final = -1
MUTED: Final = -2
REACHED: Final = -3
OPTED_OUT: Final = -4

Rows = NDArray[np.int64]


def covered(
    standing: Standing,
    calls: Calls,
    *,
    config: WorklistConfig,
    is_muted: Callable[[int], bool],
    barred: Rows | None = None,
) -> Rows:
    """For each appointment the one that its patient is called about.

    Parameters
    ----------
    is_muted
        Whether the patient of a row was reached for that clinic lately.
    barred
        `OPTED_OUT` or `REACHED` for rows that are not called about whatever their risk, else `UNCALLED`.

    Returns
    -------
    Rows of `standing`: its own row for an appointment that is called about, another row for one that
    is mentioned in that call, `MUTED`, `REACHED` or `OPTED_OUT` for one that was passed over, and else
    `UNCALLED`.
    """
    round_ = _Round(standing, calls, config=config, is_muted=is_muted, barred=barred)
    order = np.argsort(-standing.probability, kind="stable")
    if config.allocation != "global":
        round_.go_down(order, quota=_quotas(standing, calls, config))
    round_.go_down(order)
    return round_.mentioned()


class _Round:
    """Calls as they are given out."""

    def __init__(
        self,
        standing: Standing,
        calls: Calls,
        *,
        config: WorklistConfig,
        is_muted: Callable[[int], bool],
        barred: Rows | None,
    ) -> None:
        self._standing = standing
        self._near = config.mute_days
        self._is_muted = is_muted
        self._group = calls.group.tolist()
        self._left = calls.number.tolist()
        self._fifth = fifths(standing.decile).tolist()
        self._patient = standing.patient.tolist()
        self._day = standing.day.astype(np.int64).tolist()
        self._called: dict[int, list[int]] = defaultdict(list)
        self._found = np.full(len(standing), UNCALLED) if barred is None else barred.copy()

    def go_down(self, order: Rows, *, quota: list[list[int]] | None = None) -> None:
        """Give calls to those who have none yet, each fifth of a group at most its `quota`."""
        left = sum(self._left)
        for row in order.tolist():
            if left == 0:
                return
            group, fifth = self._group[row], self._fifth[row]
            if not self._left[group] or (quota and not quota[group][fifth]) or not self._may_call(row):
                continue
            self._found[row] = row
            self._left[group] -= 1
            left -= 1
            if quota:
                quota[group][fifth] -= 1
            if self._patient[row] != NOBODY:
                self._called[self._patient[row]].append(row)

    def mentioned(self) -> Rows:
        """All rows, with those that are mentioned in a call about another."""
        patients = np.array(list(self._called), dtype=np.int64)
        others = np.isin(self._standing.patient, patients) & np.isin(self._found, (UNCALLED, MUTED))
        for row in np.flatnonzero(others).tolist():
            call = self._call_near(row)
            if call is not None:
                self._found[row] = call
        return self._found

    def _may_call(self, row: int) -> bool:
        if self._found[row] != UNCALLED or self._call_near(row) is not None:
            return False
        if self._is_muted(row):
            self._found[row] = MUTED
            return False
        return True

    def _call_near(self, row: int) -> int | None:
        """The call to the same patient about an appointment that is near, if there is one."""
        for call in self._called.get(self._patient[row], ()):
            if abs(self._day[call] - self._day[row]) <= self._near:
                return call
        return None


def _quotas(standing: Standing, calls: Calls, config: WorklistConfig) -> list[list[int]]:
    """For each group and fifth, the calls that the rule of sharing gives it before risk alone decides."""
    shares = np.zeros((len(calls.number), GROUPS), dtype=np.int64)
    order = np.argsort(calls.group, kind="stable")
    bounds = np.flatnonzero(np.diff(calls.group[order])) + 1
    for rows in np.split(order, bounds) if len(order) else ():
        group = calls.group[rows[0]]
        shares[group] = quotas(
            standing.probability[rows],
            standing.decile[rows],
            calls=int(calls.number[group]),
            rule=config.allocation,
            floor_share=config.floor_share,
        )
    found: list[list[int]] = shares.tolist()
    return found

"""The plan of a list: who is called, in which order, by when, and what to offer."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dnapredict.config.worklist_config import WorklistConfig
from dnapredict.worklist.answer_table import FACTORS
from dnapredict.worklist.plan.allocation import GROUPS, fifths, quotas
from dnapredict.worklist.plan.call_capacity import CallCapacity, calls_of
from dnapredict.worklist.plan.needs import Needs, with_needs, without_call
from dnapredict.worklist.plan.ranking import NOBODY, RankingInputs, action_for, bands, ranks

UNCALLED: Final = -1
MUTED: Final = -2
REACHED: Final = -3
OPTED_OUT: Final = -4

Rows = NDArray[np.int64]


def covered(
    standing: RankingInputs,
    calls: CallCapacity,
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
        standing: RankingInputs,
        calls: CallCapacity,
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


def _quotas(standing: RankingInputs, calls: CallCapacity, config: WorklistConfig) -> list[list[int]]:
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


# Beyond so many, the further appointments of a call are not all named.
_MOST_NAMED: Final = 5


@dataclass(frozen=True)
class CallPlan:
    """What is to be done with each appointment, in the order of the list.

    Attributes
    ----------
    table
        `rank`, `selected`, `band` and `action`.
    call_by
        The day by which to call, of every appointment.
    notices
        What could not be known as the plan was made, in words for those who work with the list.
    """

    table: pa.Table
    call_by: NDArray[np.datetime64]
    notices: tuple[str, ...] = ()

    @property
    def called(self) -> NDArray[np.int64]:
        """The rows about which somebody is called."""
        return np.flatnonzero(self.table["selected"].to_numpy())


def planned(
    judged: pa.Table,
    *,
    config: WorklistConfig,
    capacity: int | None,
    is_muted: Callable[[RankingInputs, int], bool] = lambda *_: False,
    barred: NDArray[np.int64] | None = None,
    notices: tuple[str, ...] = (),
) -> CallPlan:
    """The plan of the rows of `judged`, which have the columns of `WEIGHED` and what was judged.

    Parameters
    ----------
    is_muted
        Whether the patient of a row was reached for its clinic lately.
    barred
        Rows that are not called about, as in `calls.covered`.
    """
    standing = RankingInputs.of(judged, config=config)
    calls = calls_of(standing, config=config, capacity=capacity)
    found = covered(standing, calls, config=config, is_muted=lambda row: is_muted(standing, row), barred=barred)
    selected = found == np.arange(len(found))
    # Where risk alone decides, the list is in order of risk; otherwise those with a call come first.
    by_risk = config.allocation == "global" and len(calls.number) == 1
    rank = ranks(standing.probability, None if by_risk else found >= 0)
    table = pa.table(
        {
            "rank": rank,
            "selected": selected,
            "band": pa.array(bands(standing.probability, config=config), pa.string()).dictionary_encode(),
            "action": _actions(judged, standing, found, rank, config=config).dictionary_encode(),
        }
    )
    return CallPlan(table, standing.call_by, notices)


def _actions(
    judged: pa.Table,
    standing: RankingInputs,
    found: NDArray[np.int64],
    rank: NDArray[np.int64],
    *,
    config: WorklistConfig,
) -> pa.Array:
    needs = Needs.of(judged, config.needs)
    said = _uncalled(needs, found, config=config)
    called = np.flatnonzero(found == np.arange(len(found)))
    said[called] = _offers(judged, needs.of_calls(found), called, config=config)
    if config.call_working_days_before is not None:
        for row, day in zip(called.tolist(), standing.call_by[called].tolist(), strict=True):
            said[row] += f", by {day:%a} {day.day} {day:%b}"
    mentioned = np.flatnonzero((found >= 0) & (found != np.arange(len(found))))
    for row in mentioned.tolist():
        said[row] = without_call(config.same_call_action.format(rank=rank[found[row]]), needs.at(row))
    order = mentioned[np.argsort(found[mentioned], kind="stable")]
    for rows in np.split(order, np.flatnonzero(np.diff(found[order])) + 1) if len(order) else ():
        said[found[rows[0]]] += _also(rank[rows])
    return pa.array(said, pa.string())


def _uncalled(needs: Needs, found: NDArray[np.int64], *, config: WorklistConfig) -> NDArray[np.object_]:
    """What is to be done about each row if nobody is called; there are few different needs and texts."""
    said = np.full(len(found), config.unselected_action, dtype=object)
    passed = {
        UNCALLED: config.unselected_action,
        MUTED: config.muted_action,
        REACHED: config.reached_action,
        OPTED_OUT: config.opted_out_action,
    }
    for pattern in np.unique(needs.pattern).tolist():
        alike = needs.pattern == pattern
        for mark, action in passed.items():
            said[alike & (found == mark)] = without_call(action, needs.in_pattern(pattern))
    return said


def _offers(judged: pa.Table, needs: Needs, called: NDArray[np.int64], *, config: WorklistConfig) -> list[str]:
    """What to offer in each call, by the strongest reason and by what the patient needs."""
    factors = judged.select(FACTORS).take(pa.array(called)).to_pylist()
    offers = []
    for row, reasons in zip(called.tolist(), factors, strict=True):
        there = needs.at(row)
        named = [name for name in reasons.values() if name]
        action = action_for(named, config=config, without={need.kind for need in there})
        offers.append(with_needs(action, there))
    return offers


def _also(ranks_: NDArray[np.int64]) -> str:
    """The further appointments of a call, by their places.

    >>> _also(np.array([7, 3]))
    '; the same call: rank 3, 7'
    """
    named = ", ".join(str(place) for place in sorted(ranks_.tolist())[:_MOST_NAMED])
    return f"; the same call: rank {named}" + (", ..." if len(ranks_) > _MOST_NAMED else "")

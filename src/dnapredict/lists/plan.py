"""What is to be done about a list: who is called, in which order, by when, and what to offer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dnapredict.config.worklist import WorklistConfig
from dnapredict.lists.answers import FACTORS
from dnapredict.lists.calls import MUTED, OPTED_OUT, REACHED, UNCALLED, covered
from dnapredict.lists.capacity import calls_of
from dnapredict.lists.needs import Needs, with_needs, without_call
from dnapredict.lists.standing import WEIGHED, Standing
from dnapredict.lists.worklist import action_for, bands, ranks

__all__ = ["WEIGHED", "Plan", "planned"]

# Beyond so many, the further appointments of a call are not all named.
_MOST_NAMED: Final = 5


@dataclass(frozen=True)
class Plan:
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
    is_muted: Callable[[Standing, int], bool] = lambda *_: False,
    barred: NDArray[np.int64] | None = None,
    notices: tuple[str, ...] = (),
) -> Plan:
    """The plan of the rows of `judged`, which have the columns of `WEIGHED` and what was judged.

    Parameters
    ----------
    is_muted
        Whether the patient of a row was reached for its clinic lately.
    barred
        Rows that are not called about, as in `calls.covered`.
    """
    standing = Standing.of(judged, config=config)
    calls = calls_of(standing, config=config, capacity=capacity)
    found = covered(
        standing, calls, config=config, is_muted=lambda row: is_muted(standing, row), barred=barred
    )
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
    return Plan(table, standing.call_by, notices)


def _actions(
    judged: pa.Table,
    standing: Standing,
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


def _offers(
    judged: pa.Table, needs: Needs, called: NDArray[np.int64], *, config: WorklistConfig
) -> list[str]:
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

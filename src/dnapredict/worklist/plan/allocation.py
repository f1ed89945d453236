"""Allocate a fixed number of calls to areas: by risk alone, by need, or by risk above a floor.

Only the deprivation of the area is used. Ethnicity is held for monitoring and must never influence a decision about
a person, so that no function here has it as a parameter.

An appointment's need is its risk: the chance that it is missed. A fifth's need is the sum of its risks,
and those without a decile are a separate group, which is never left out.
"""

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

Rule = Literal["global", "proportionate", "floor"]
RULES: tuple[Rule, ...] = get_args(Rule)
GROUPS = 6  # five fifths of deprivation, and one for unknown areas
_SCALE = 10**9


def fifths(decile: NDArray[np.float64]) -> NDArray[np.int64]:
    """Fifth of deprivation of each decile, 0 for the most deprived (Core20); 5 where it is not known.

    >>> fifths(np.array([1, 2, 3, 10, np.nan])).tolist()
    [0, 0, 1, 4, 5]
    """
    known = (decile >= 1) & (decile <= 10)
    fifth = np.full(len(decile), GROUPS - 1, dtype=np.int64)
    fifth[known] = (decile[known].astype(np.int64) - 1) // 2
    return fifth


def quotas(
    probability: NDArray[np.float64],
    decile: NDArray[np.float64],
    *,
    calls: int,
    rule: Rule,
    floor_share: float,
) -> NDArray[np.int64]:
    """How many of `calls` each of the `GROUPS` of `fifths` gets before risk alone decides; none if global."""
    if rule == "global":
        return np.zeros(GROUPS, dtype=np.int64)
    fifth = fifths(decile)
    room = np.bincount(fifth, minlength=GROUPS)
    # Sums of whole numbers are exact: they do not depend on the order of the rows.
    need: NDArray[np.float64] = np.bincount(fifth, weights=np.rint(probability * _SCALE), minlength=GROUPS).astype(
        float
    )
    given = _by_need(need, calls, room) if rule == "proportionate" else _floor(need, calls, floor_share)
    # With many calls, a fifth's share of need can be more calls than it has appointments.
    return np.minimum(given, room)


def _floor(need: NDArray[np.float64], calls: int, share: float) -> NDArray[np.int64]:
    total = need.sum()
    # Rounded down: rounded up, the floors of six groups could exceed the calls, and no rest would go by risk.
    guaranteed = np.floor(share * calls * need / total) if total > 0 else np.zeros(len(need))
    return guaranteed.astype(np.int64)


def _by_need(need: NDArray[np.float64], calls: int, room: NDArray[np.int64]) -> NDArray[np.int64]:
    """Whole calls in proportion to `need`, by largest remainder, never more than there are people.

    Calls that a small fifth cannot use go to the others, in proportion again.
    """
    given, left = np.zeros(len(need), dtype=np.int64), calls
    while left > 0:
        weight = np.where(room > given, need, 0.0)
        if weight.sum() <= 0:
            break  # no need is left; the caller fills up in order of risk
        ideal = left * weight / weight.sum()
        whole = np.floor(ideal).astype(np.int64)
        added = np.minimum(whole, room - given)
        # Largest remainder only in the last round: before it, calls that a full fifth could not take are shared again.
        if (added == whole).all():
            added = added + _by_remainder(ideal - whole, left - int(added.sum()), room > given + added)
        given += added
        left -= int(added.sum())
    return given


def _by_remainder(remainder: NDArray[np.float64], calls: int, has_room: NDArray[np.bool_]) -> NDArray[np.int64]:
    """One call each for the largest remainders; of equal ones the more deprived fifth comes first."""
    order = np.argsort(-remainder, kind="stable")
    given = np.zeros(len(remainder), dtype=np.int64)
    given[order[has_room[order]][:calls]] = 1
    return given

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


def fifths(decile: NDArray[np.float64]) -> NDArray[np.int64]:
    """Fifth of deprivation of each decile, 0 for the most deprived (Core20); 5 where it is not known.

    >>> fifths(np.array([1, 2, 3, 10, np.nan])).tolist()
    [0, 0, 1, 4, 5]
    """
    known = (decile >= 1) & (decile <= 10)
    fifth = np.full(len(decile), GROUPS - 1, dtype=np.int64)
    fifth[known] = (decile[known].astype(np.int64) - 1) // 2
    return fifth


def allocated(
    probability: NDArray[np.float64],
    decile: NDArray[np.float64],
    *,
    calls: int,
    rule: Rule,
    floor_share: float,
) -> NDArray[np.bool_]:
    """Which rows get one of `calls` calls.

    *global*: the highest risks. *proportionate*: each fifth gets its share of need, in whole calls by
    largest remainder. *floor*: each fifth gets at least `floor_share` of its share of need, and what is
    left goes to the highest risks anywhere. Within a fifth the highest risks are always called
    first; ties keep the order of the list, so that the same list gives the same calls.

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
    first = np.zeros(len(probability), dtype=bool)
    if rule != "global":
        fifth = fifths(decile)
        quota = quotas(probability, decile, calls=calls, rule=rule, floor_share=floor_share)
        # Rows within the quota of their fifth come first; calls that no quota takes go to the highest risks of all.
        first = _rank_within(probability, fifth) < quota[fifth]
    order = np.lexsort((-probability, ~first))  # those within a quota, then the highest risks
    selected = np.zeros(len(probability), dtype=bool)
    selected[order[:calls]] = True
    return selected


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
    need: NDArray[np.float64] = np.bincount(fifth, weights=probability, minlength=GROUPS).astype(float)
    given = _by_need(need, calls, room) if rule == "proportionate" else _floor(need, calls, floor_share)
    # With many calls, a fifth's share of need can be more calls than it has appointments.
    return np.minimum(given, room)


def _rank_within(probability: NDArray[np.float64], fifth: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rank of each risk within its fifth, from 0."""
    order = np.lexsort((-probability, fifth))
    starts = np.concatenate([[0], np.cumsum(np.bincount(fifth, minlength=GROUPS))])
    rank = np.empty(len(probability), dtype=np.int64)
    rank[order] = np.arange(len(probability)) - starts[fifth[order]]
    return rank


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

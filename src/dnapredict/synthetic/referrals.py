"""Referral, RTT status and learning disability of the simulated appointments, and who is called about them.

They come from a random stream of their own, so that the columns that were there before are the same for every seed.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dnapredict.synthetic.calendar import MINUTES_A_DAY
from dnapredict.synthetic.pathways import Pathways
from dnapredict.synthetic.people import PLUS_GROUPS, PatientBlock
from dnapredict.synthetic.visit_outcomes import OUTCOME_CODES
from dnapredict.synthetic.visits import Visits

_LEARNING_DISABILITY: Final = "learning disability"
# All of this is our assumption.
_DAYS_TO_BOOKING: Final = 12.0  # mean, from referral to the first booking of a pathway
_DAYS_IN_CARE: Final = 200.0  # mean, further back where the first visit that we see is a follow-up
_NO_REFERRAL_DATE: Final = 0.08
_NOT_ON_RECORD: Final = 0.25  # whether a patient has a learning disability
_CARER_IS_CALLED: Final = 0.6  # of people with a learning disability
_TREATED: Final = 0.35  # of follow-ups: after the first treatment


@dataclass(frozen=True)
class Referrals:
    """Columns of one block, one entry for each visit."""

    referred: NDArray[np.int64]
    """Minutes from the midnight that begins the window."""
    is_recorded: NDArray[np.bool_]
    rtt_status: pa.Array
    learning_disability: pa.Array
    carer: pa.Array


def draw_referrals(
    rng: np.random.Generator,
    people: PatientBlock,
    visits: Visits,
    pathways: Pathways,
    *,
    booked: NDArray[np.int64],
    outcome: NDArray[np.int64],
) -> Referrals:
    """Draw the columns.

    Parameters
    ----------
    booked
        Minute at which each visit was booked.
    outcome
        Index of each visit's outcome in `OUTCOME_CODES`.
    """
    pathway = np.cumsum(pathways.begins) - 1
    of = np.flatnonzero(pathways.begins)
    days = rng.exponential(_DAYS_TO_BOOKING, len(of))
    days += np.where(pathways.first[of], 0.0, rng.exponential(_DAYS_IN_CARE, len(of)))
    referred = booked[of] - (days * MINUTES_A_DAY).astype(np.int64)
    is_recorded = rng.random(len(of)) >= _NO_REFERRAL_DATE
    has, carer = _learning_disability(rng, people)
    return Referrals(
        referred=referred[pathway] // MINUTES_A_DAY * MINUTES_A_DAY,
        is_recorded=is_recorded[pathway],
        rtt_status=_rtt_status(rng, pathways, outcome),
        learning_disability=has.take(pa.array(visits.patient)),
        carer=carer.take(pa.array(visits.patient)),
    )


def _learning_disability(rng: np.random.Generator, people: PatientBlock) -> tuple[pa.Array, pa.Array]:
    """Whether each patient has one, and whether a carer is called; blank where that is not on record."""
    has = people.plus_group == PLUS_GROUPS.index(_LEARNING_DISABILITY)
    chance = rng.random((2, len(has)))
    on_record = has | (chance[0] >= _NOT_ON_RECORD)
    flag = pa.array(np.where(has, "Y", "N"), pa.string(), mask=~on_record)
    with_carer = has & (chance[1] < _CARER_IS_CALLED)
    return flag, pa.array(with_carer, mask=~with_carer)


def _rtt_status(rng: np.random.Generator, pathways: Pathways, outcome: NDArray[np.int64]) -> pa.Array:
    """Blank for cancelled and coming appointments."""
    code = np.array([code or "" for code in OUTCOME_CODES])[outcome]
    missed, came = np.isin(code, ("3", "7")), np.isin(code, ("5", "6"))
    treated = rng.random(len(code)) < _TREATED
    follow_up = np.where(treated, "90", "20")
    status = np.where(pathways.first, np.where(missed, "33", "10"), follow_up)
    return pa.array(status, pa.string(), mask=~(missed | came))

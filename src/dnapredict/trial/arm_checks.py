"""Whether a trial went as planned: sizes of the arms, recorded outcomes, and lists until its end.

The checks come before any effect. A trial whose arms do not have the planned sizes has a fault in its machinery more
often than not (Fabijan et al. 2019, KDD: sample ratio mismatch), and outcomes that are missing from one arm alone can
make any effect.
"""

import datetime
import math
from typing import Final

import numpy as np
import pyarrow as pa
from scipy.stats import norm

from dnapredict.data.contract import codes
from dnapredict.trial.trial_rows import TrialRows, is_in_an_arm, is_one_of

ALPHA: Final = 0.001
"""Share of sound trials in which either check fails, at one look: looks are many, and a fault is large."""

_DAYS_TO_RECORD: Final = np.timedelta64(14, "D")
# Patients may have two numbers that are merged later; where many are in both arms, arms were drawn twice.
_MOST_IN_BOTH_ARMS: Final = 0.05
# Some outcomes are never recorded. Whoever chooses which are read in can choose the effect.
_MOST_NOT_RECORDED: Final = 0.1
# Lists stopped early where so many of the appointments were listed before that part of the planned time.
_LISTED: Final = 0.9
_PART_OF_TIME: Final = 0.75


def arms_as_planned(rows: TrialRows, share_held_out: float | None) -> bool:
    """Whether the patients of the trial are divided as planned, as far as chance allows, and few are in both arms.

    The shares are not checked where none is planned.

    >>> _is_likely(480, 1000, 0.5), _is_likely(440, 1000, 0.5)
    (True, False)
    """
    held_out, called = np.unique(rows.patient[~rows.treated]), np.unique(rows.patient[rows.treated])
    total = len(held_out) + len(called)
    if len(np.intersect1d(held_out, called)) > _MOST_IN_BOTH_ARMS * total:
        return False
    return share_held_out is None or _is_likely(len(held_out), total, share_held_out)


def _is_likely(number: int, total: int, share: float) -> bool:
    """Whether `number` of `total` is within chance of the share. Arms are balanced in strata, so that it nearly is."""
    error = math.sqrt(share * (1 - share) / total)
    return bool(2 * norm.sf(abs(number / total - share) / error) >= ALPHA)


def outcomes_alike(table: pa.Table) -> bool:
    """Whether as many outcomes are missing in both arms, as far as chance allows.

    An outcome is missing two weeks after the appointment, as seen on the day of the latest record.

    Parameters
    ----------
    table
        The rows of the trial, with the columns of the outcome store.
    """
    rows = table.filter(is_in_an_arm(table))
    recorded, starts = (rows[name].cast(pa.timestamp("us")).to_numpy() for name in ("recorded_at", "starts_at"))
    known = recorded[~np.isnat(recorded)]
    if not len(known):
        return True
    past = starts < known.max() - _DAYS_TO_RECORD
    is_missing = ~is_one_of(rows["outcome_code"], codes.RECORDED)
    treated = is_one_of(rows["trial_arm"], (codes.TREATMENT,))
    total = [int((past & arm).sum()) for arm in (treated, ~treated)]
    number = [int((past & arm & is_missing).sum()) for arm in (treated, ~treated)]
    if not all(total) or not sum(number):
        return True
    share = sum(number) / sum(total)
    error = math.sqrt(share * (1 - share) * sum(1 / each for each in total))
    difference = abs(number[0] / total[0] - number[1] / total[1])
    return bool(error <= 0 or 2 * norm.sf(difference / error) >= ALPHA)


def outcomes_complete(table: pa.Table, *, as_of: datetime.date | None, lost: int) -> bool:
    """Whether outcomes of nearly all past appointments of the trial are recorded.

    Parameters
    ----------
    table
        The rows of the trial, with the columns of the outcome store.
    as_of
        The latest day of which the store has a record, of any appointment.
    lost
        Appointments of the trial that are not in the store although they were listed.
    """
    rows = table.filter(is_in_an_arm(table))
    recorded = is_one_of(rows["outcome_code"], codes.RECORDED)
    if as_of is None:
        return True
    past = rows["starts_at"].cast(pa.timestamp("us")).to_numpy() < np.datetime64(as_of) - _DAYS_TO_RECORD
    missing = int((past & ~recorded).sum()) + lost
    return missing <= _MOST_NOT_RECORDED * (int((past | recorded).sum()) + lost)


def lists_stopped(table: pa.Table, *, start: datetime.date | None, end: datetime.date | None) -> bool:
    """Whether the lists of a trial stopped long before its planned end.

    Somebody who stops once a look is favourable, and waits for the end, makes many looks and not one planned analysis.

    Parameters
    ----------
    table
        The rows of the trial, with the columns of the outcome store.
    """
    listed = table.filter(is_in_an_arm(table))["scored_at"].drop_null().cast(pa.timestamp("us")).to_numpy()
    if start is None or end is None or not len(listed):
        return False
    days = np.unique(listed.astype("datetime64[D]"))
    if len(days) == 1:
        return False
    # A list is about the time until the next one.
    until_next = np.timedelta64(int(np.median(np.diff(days).astype(np.int64))), "D")
    nearly_all = np.sort(listed)[math.ceil(_LISTED * len(listed)) - 1].astype("datetime64[D]")
    due = np.datetime64(start) + _PART_OF_TIME * ((end - start).days + 1) * np.timedelta64(24, "h")
    return bool(nearly_all + until_next < due)

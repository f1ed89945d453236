"""Whether the arms of a trial are alike in everything but the calls: their sizes, and how many outcomes are recorded.

Both checks come before any effect. A trial whose arms do not have the planned sizes has a fault in its machinery more
often than not (Fabijan et al. 2019, KDD: sample ratio mismatch), and outcomes that are missing from one arm alone can
make any effect.
"""

import math
from typing import Final

import numpy as np
import pyarrow as pa
from scipy.stats import norm

from dnapredict.data.contract import codes
from dnapredict.trial.trial_rows import RECORDED, TrialRows, is_in_an_arm, is_one_of

ALPHA: Final = 0.001
"""Share of sound trials in which either check fails, at one look: looks are many, and a fault is large."""

_DAYS_TO_RECORD: Final = np.timedelta64(14, "D")


def arms_as_planned(rows: TrialRows, share_held_out: float | None) -> bool:
    """Whether the patients of the trial are divided as planned, as far as chance allows.

    True where no share is planned.

    >>> _is_likely(480, 1000, 0.5), _is_likely(440, 1000, 0.5)
    (True, False)
    """
    if share_held_out is None:
        return True
    held_out = len(np.unique(rows.patient[~rows.treated]))
    return _is_likely(held_out, held_out + len(np.unique(rows.patient[rows.treated])), share_held_out)


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
    is_missing = ~is_one_of(rows["outcome_code"], RECORDED)
    treated = is_one_of(rows["trial_arm"], (codes.TREATMENT,))
    total = [int((past & arm).sum()) for arm in (treated, ~treated)]
    number = [int((past & arm & is_missing).sum()) for arm in (treated, ~treated)]
    if not all(total) or not sum(number):
        return True
    share = sum(number) / sum(total)
    error = math.sqrt(share * (1 - share) * sum(1 / each for each in total))
    difference = abs(number[0] / total[0] - number[1] / total[1])
    return bool(error <= 0 or 2 * norm.sf(difference / error) >= ALPHA)

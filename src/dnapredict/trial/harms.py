"""Possible harms of calls: appointments cancelled, patients who came late, complained or asked not to be called."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow.compute as pc

from dnapredict.data.contract import codes
from dnapredict.fairness.measure.intervals import RateDifference
from dnapredict.trial.effect_estimates import Floats, Mask, arm_scores, risk_difference
from dnapredict.trial.trial_rows import TrialRows, is_one_of


@dataclass(frozen=True)
class PossibleHarm:
    """One possible harm: how often it happened in either arm, and the difference between their shares.

    `difference` is None where it never happened, or can only happen in a call.
    """

    name: str
    title: str
    treated: int
    control: int
    difference: RateDifference | None


_BY_OUTCOME: Final = (
    ("came_late", "Came late", ("6", codes.ARRIVED_TOO_LATE)),
    ("cancelled_by_patient", "Cancelled by the patient", (codes.CANCELLED_BY_PATIENT,)),
    ("cancelled_by_provider", "Cancelled by the hospital", (codes.CANCELLED_BY_PROVIDER,)),
)


def harms(rows: TrialRows) -> tuple[PossibleHarm, ...]:
    """The harms that the outcome store knows of, of appointments with an outcome."""
    outcome = rows.table["outcome_code"]
    found = [_harm(rows, name, title, is_one_of(outcome, meant)) for name, title, meant in _BY_OUTCOME]
    found.append(_harm(rows, "opted_out", "Asked not to be called", rows.opted_out))
    words = pc.fill_null(rows.table["call_outcome"], "")
    complained: Mask = np.asarray(pc.match_substring(words, "complain", ignore_case=True).to_numpy(), dtype=bool)
    found.append(_harm(rows, "complained", "Complained about a call", complained))
    return tuple(found)


def _harm(rows: TrialRows, name: str, title: str, happened: Mask) -> PossibleHarm:
    treated, control = (int((happened & arm).sum()) for arm in (rows.treated, ~rows.treated))
    happens_in_calls = name in {"opted_out", "complained"}
    if happens_in_calls or not treated + control:
        return PossibleHarm(name, title, treated, control, None)
    outcome: Floats = happened.astype(np.float64)
    scores = arm_scores(outcome, rows.treated, share=rows.share, design=np.ones((len(rows), 1)), cluster=rows.patient)
    return PossibleHarm(name, title, treated, control, risk_difference(scores))

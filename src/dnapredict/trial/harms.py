"""Possible harms of calls: appointments cancelled, patients who came late, complained or asked not to be called."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dnapredict.data.contract import codes
from dnapredict.fairness.measure.intervals import Interval
from dnapredict.trial.effect_estimates import Floats, Mask, arm_scores, risk_difference
from dnapredict.trial.trial_rows import TrialRows


@dataclass(frozen=True)
class Harm:
    """One possible harm: how often in either arm, and the difference.

    `treated` and `control` are counts, `difference` is None where it is recorded in one arm only or never happened.
    """

    name: str
    title: str
    treated: int
    control: int
    difference: Interval | None


_BY_OUTCOME: Final = (
    ("came_late", "Came late", ("6", codes.ARRIVED_TOO_LATE)),
    ("cancelled_by_patient", "Cancelled by the patient", (codes.CANCELLED_BY_PATIENT,)),
    ("cancelled_by_provider", "Cancelled by the hospital", (codes.CANCELLED_BY_PROVIDER,)),
)


def harms(rows: TrialRows, *, z: float) -> tuple[Harm, ...]:
    """The harms that the outcome store knows of, of appointments with an outcome."""
    found = [_harm(rows, name, title, _is_one_of(rows.outcome_code, meant), z=z) for name, title, meant in _BY_OUTCOME]
    found.append(_harm(rows, "opted_out", "Asked not to be called", rows.opted_out, z=z))
    complained = np.asarray(pc.fill_null(pc.match_substring(rows.call_outcome, "complain", ignore_case=True), False))
    found.append(_harm(rows, "complained", "Complained during a call", complained.astype(bool), z=z))
    return tuple(found)


def _is_one_of(column: pa.Array, meant: tuple[str, ...]) -> Mask:
    return np.asarray(pc.is_in(column, value_set=pa.array(meant, pa.string()))).astype(bool)


def _harm(rows: TrialRows, name: str, title: str, happened: Mask, *, z: float) -> Harm:
    treated, control = (int((happened & arm).sum()) for arm in (rows.treated, ~rows.treated))
    happens_in_calls = name in {"opted_out", "complained"}
    if happens_in_calls or not treated + control:
        return Harm(name, title, treated, control, None)
    outcome: Floats = happened.astype(np.float64)
    scores = arm_scores(outcome, rows.treated, share=rows.share, design=np.ones((len(rows), 1)), cluster=rows.patient)
    return Harm(name, title, treated, control, risk_difference(scores).interval(z))

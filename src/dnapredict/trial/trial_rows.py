"""The appointments of a trial whose outcome is known, as arrays, read from the outcome store."""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dnapredict.data.contract import codes
from dnapredict.fairness.measure.audited_appointments import AuditData
from dnapredict.fairness.measure.groupings import grouping_named
from dnapredict.fairness.measure.membership import Group, Grouping, Membership, membership
from dnapredict.trial.effect_estimates import ArmScores, Floats, Mask, Rows, arm_scores, risk_design, share_treated
from dnapredict.worklist.plan.benefit_ranking import MODE_COLUMNS, is_remote

_FIFTHS: Final = 5
_PATIENT_GROUPINGS: Final = ("imd_quintile", "ethnicity_5", "age")
_MODES: Final = (
    Group("in_person", "In person"),
    Group("remote", "By telephone or video"),
    Group("unknown", "Not recorded", known=False),
)
_MODE: Final = Grouping("mode", "Mode of the appointment", "", _MODES, lambda _: "unknown")


@dataclass(frozen=True)
class TrialRows:
    """Appointments of a trial with a recorded outcome, one row each.

    A cancelled appointment counts as not missed. It is kept, since a call may be the reason for the cancellation, and
    an exclusion after allocation would make the arms differ.

    Attributes
    ----------
    missed, treated, reached, opted_out : (n,) bool
        `treated` is the arm with calls as allocated, whether or not a call was made.
    attended : (n,) bool
    probability : (n,) float64
        The risk by which the list was made.
    patient, stratum : (n,) int64
        Codes from 0.
    attempts : (n,) int64
        Calls made.
    starts_at : (n,) datetime64
    table
        The same rows with the columns of the outcome store.
    """

    missed: Mask
    attended: Mask
    treated: Mask
    reached: Mask
    opted_out: Mask
    probability: Floats
    patient: Rows
    stratum: Rows
    attempts: Rows
    starts_at: NDArray[np.datetime64]
    table: pa.Table

    @classmethod
    def of(cls, table: pa.Table) -> "TrialRows":
        """The rows of `table`, which has the columns of the outcome store, that have an arm and a recorded outcome."""
        known = pc.and_(is_in_an_arm(table), pc.is_in(table["outcome_code"], value_set=pa.array(codes.RECORDED)))
        kept = table.filter(known).combine_chunks()
        return cls(
            missed=_flag(kept, "missed"),
            attended=is_one_of(kept["outcome_code"], codes.ATTENDED),
            treated=is_one_of(kept["trial_arm"], (codes.TREATMENT,)),
            reached=_flag(kept, "reached"),
            opted_out=_flag(kept, "opted_out"),
            probability=np.asarray(kept["probability"].to_numpy(), dtype=np.float64),
            patient=_codes(kept["patient"]),
            stratum=_codes(kept["stratum"]),
            attempts=np.asarray(pc.fill_null(kept["attempts"], 0).to_numpy(), dtype=np.int64),
            starts_at=kept["starts_at"].to_numpy(),
            table=kept,
        )

    def __len__(self) -> int:
        return len(self.missed)

    @cached_property
    def share(self) -> Floats:
        """The share of each row's stratum that is in the arm with calls."""
        return share_treated(self.treated, self.stratum)

    def scores(self, outcome: Mask) -> ArmScores:
        """The scores of an outcome, adjusted by the predicted risk."""
        return arm_scores(
            outcome.astype(np.float64),
            self.treated,
            share=self.share,
            design=risk_design(self.probability),
            cluster=self.patient,
        )

    @property
    def memberships(self) -> tuple[Membership, ...]:
        """The groups that effects are reported by: risk, deprivation, ethnic group, age, mode."""
        patients = (membership(AuditData(self.table), grouping_named(name)) for name in _PATIENT_GROUPINGS)
        return (risk_fifths_of(self.probability), *(found for found in patients if found), _modes(self.table))

    @property
    def is_remote(self) -> Mask:
        """Whether each appointment is by telephone or video."""
        return is_remote(self.table)


def is_in_an_arm(table: pa.Table) -> pa.ChunkedArray:
    """Whether each row of the outcome store was allocated in a trial."""
    arms = pa.array([codes.TREATMENT, codes.CONTROL])
    return pc.and_(pc.is_valid(table["trial"]), pc.is_in(table["trial_arm"], value_set=arms))


def _flag(table: pa.Table, name: str) -> Mask:
    return np.asarray(pc.fill_null(table[name], False).to_numpy(), dtype=bool)


def is_one_of(column: pa.ChunkedArray, meant: tuple[str, ...]) -> Mask:
    """Whether each value is one of `meant`; null is none."""
    return np.asarray(pc.is_in(column, value_set=pa.array(meant, pa.string())).to_numpy(), dtype=bool)


def _codes(column: pa.ChunkedArray) -> Rows:
    texts = _one_array(pc.fill_null(column.cast(pa.string()), ""))
    return np.asarray(texts.dictionary_encode().indices.to_numpy(), dtype=np.int64)


def _one_array(column: pa.ChunkedArray) -> pa.Array:
    found = column.combine_chunks()
    return pa.concat_arrays(found.chunks) if isinstance(found, pa.ChunkedArray) else found


def risk_fifths_of(probability: Floats) -> Membership:
    """Fifths of the predicted risk in this trial, the lowest first; fewer where many risks are equal."""
    ends = np.unique(np.quantile(probability, np.arange(1, _FIFTHS) / _FIFTHS)) if len(probability) else np.array([])
    index = np.searchsorted(ends, probability, side="left").astype(np.int32)
    names = [f"{number} (lowest)" if number == 1 else str(number) for number in range(1, len(ends) + 2)]
    names[-1] = f"{len(names)} (highest)" if len(names) > 1 else "All"
    groups = tuple(Group(str(number), name) for number, name in enumerate(names, start=1))
    grouping = Grouping("risk", "Predicted risk (fifths of the trial)", "", groups, lambda _: "", ordered=True)
    return Membership(grouping, groups, index)


def _modes(table: pa.Table) -> Membership:
    unknown = pc.and_(*(pc.is_null(table[name]) for name in MODE_COLUMNS)).to_numpy()
    return Membership(_MODE, _MODES, np.where(unknown, 2, np.where(is_remote(table), 1, 0)).astype(np.int32))

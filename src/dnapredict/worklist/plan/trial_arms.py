"""The arms of a trial on a list: who is in it, and whose call is held out.

The arms of a stratum are a fixed sequence that the trial's secret determines; nobody without the secret can tell the
next. Patients take the next place of the sequence of their stratum when a list would call them for the first time, in
the order of a keyed hash, so that neither the order of the list nor anything about a patient decides.

The sequence is the big stick design (Soares and Wu 1983, Communications in Statistics 12:2017): each place is drawn
with the share held out, unless the stratum would then have more than `_LARGEST_IMBALANCE` patients too many or too few
in an arm. Whoever knows all past arms can predict the next only at that limit, whereas permuted blocks give away the
last places of every block.
"""

import hashlib
import hmac
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dnapredict.config.trial_config import Stratum, TrialConfig
from dnapredict.config.worklist_config import WorklistConfig
from dnapredict.worklist.plan.allocation import GROUPS, fifths
from dnapredict.worklist.plan.call_assignment import MUTED, OPTED_OUT, UNCALLED, Mask, Rows
from dnapredict.worklist.plan.ranking import bands

TREATMENT: Final = "TREATMENT"
CONTROL: Final = "CONTROL"
"""The codes of the contract's column `trial_arm`."""

ARM_COLUMNS: Final = pa.schema([("trial", pa.string()), ("stratum", pa.string()), ("trial_arm", pa.string())])
"""What is known of each row of a list: null for a row that is in no arm. On no page and in no file of a list."""

FEWEST_ROWS: Final = 5
"""A shorter list of a trial gets no calls: a list of one appointment would tell the arm of its patient."""

_LARGEST_IMBALANCE: Final = 3
_HASH_RANGE: Final = 2**64
_NOT_KNOWN: Final = "not known"

Assign = Callable[[Mask], Rows]
"""The rows whose calls cover each row (`assign_calls`), given a mask of rows whose calls cost nothing."""


class PatientPlaces(Protocol):
    """The places that patients of a trial have in the sequences of their strata (`calls.trial_register`)."""

    def known(self, patients: Sequence[str]) -> "dict[str, PatientPlace]":
        """The places of those of these patients who are in the trial."""

    def add(self, strata: "dict[str, str]") -> "dict[str, PatientPlace]":
        """Give these patients the next places of their strata, by patient."""

    def appointments(self, appointments: Sequence[str]) -> set[str]:
        """Those of these appointments that were in the trial on an earlier list."""


@dataclass(frozen=True)
class PatientPlace:
    """The arm of a patient, and the stratum whose sequence it comes from."""

    stratum: str
    is_held_out: bool

    @property
    def arm(self) -> str:
        """The code of the arm."""
        return CONTROL if self.is_held_out else TREATMENT


@dataclass(frozen=True)
class RunningTrial:
    """A trial on the day of a list.

    Attributes
    ----------
    places
        The places of its patients.
    allocates
        Whether the list gets calls, and its patients arms: not if nobody works on it, or it is a row that is scored
        again. Otherwise a list of one appointment would tell the arm of its patient.
    """

    places: PatientPlaces
    allocates: bool = True


@dataclass(frozen=True)
class TrialPlan:
    """The calls of a list in a trial.

    Attributes
    ----------
    call_row
        As `assign_calls` returns it: the calls that are made.
    arms
        `ARM_COLUMNS` for each row.
    """

    call_row: Rows
    arms: pa.Table


def arm_sequence(secret: bytes, *, trial: str, stratum: str, share: Fraction) -> Iterator[bool]:
    """Whether each place of the sequence of a stratum is held out, without end.

    An auditor with the secret of a home draws it again. Place n is a number from 0 to 2^64 - 1, the first 8 bytes of
    HMAC-SHA-256 of the text `arm NUL trial NUL stratum NUL n`, n from 1; below share * 2^64 it is held out. The limits
    of imbalance come first.

    >>> from itertools import islice
    >>> sequence = arm_sequence(b"secret", trial="Calls", stratum="", share=Fraction(1, 5))
    >>> 9 <= sum(islice(sequence, 60)) <= 15
    True
    """
    number, excess = 0, Fraction(0)  # held out so far, less what the share asks for
    while True:
        number += 1
        if excess + (1 - share) > _LARGEST_IMBALANCE:
            is_held_out = False
        elif excess - share < -_LARGEST_IMBALANCE:
            is_held_out = True
        else:
            is_held_out = _number(secret, "arm", trial, stratum, str(number)) < share * _HASH_RANGE
        excess += (1 if is_held_out else 0) - share
        yield is_held_out


def order_key(secret: bytes, *, trial: str, patient: str) -> int:
    """The number by which the new patients of a list are sorted before they take the places of their strata."""
    return _number(secret, "order", trial, patient)


def _number(secret: bytes, *words: str) -> int:
    return int.from_bytes(hmac.new(secret, "\0".join(words).encode(), hashlib.sha256).digest()[:8])


def allocate(table: pa.Table, assign: Assign, running: RunningTrial, *, config: WorklistConfig) -> TrialPlan:
    """The calls of a list and the arms of its rows.

    The plan is made as if those held out were called at no cost, so that the calls which they leave go to the next in
    line, who may be in the trial for the first time; this is repeated until nobody new is. In the trial are the rows
    that this plan covers with a call, made or not; rows of its patients that are passed over because they
    were reached lately, or because they opted out, which calls of the trial bring about; and rows that were in it
    on an earlier list. Rows of patients who opted out before they had an arm, and of unknown patients, are not.

    Parameters
    ----------
    table
        `appointment_id`, `patient_id`, `probability`, `imd_decile` and the columns of the strata.
    """
    if config.trial is None or not running.allocates:
        call_row = assign(np.ones(table.num_rows, dtype=bool))
        return TrialPlan(np.where((call_row >= 0) | (call_row == MUTED), UNCALLED, call_row), no_arms(table.num_rows))
    places = running.places
    patients = table["patient_id"].cast(pa.string()).to_pylist()
    strata = strata_of(table, config.trial, config=config)
    known = places.known(sorted({each for each in patients if each is not None}))
    while True:
        call_row = assign(_held_out(patients, known))
        own = np.flatnonzero(call_row == np.arange(len(call_row))).tolist()
        # Of several calls to a patient the first decides on the stratum.
        new = {patients[row]: strata[row] for row in reversed(own) if patients[row] not in known and patients[row]}
        if not new:
            break
        known |= places.add(new)
    appointments = table["appointment_id"].cast(pa.string()).to_pylist()
    of_trial = np.array([patient in known for patient in patients], dtype=bool)
    was_in = _is_one_of(appointments, of_trial, places.appointments)
    in_trial = of_trial & ((call_row >= 0) | (call_row == MUTED) | was_in | _opted_out_of_a_call(call_row, table))
    shown = np.where(_held_out(patients, known) & (call_row >= 0), UNCALLED, call_row)
    return TrialPlan(shown, _arms(patients, known, in_trial, trial=config.trial.name))


def _held_out(patients: Sequence[str | None], known: "dict[str, PatientPlace]") -> Mask:
    held_out = {patient for patient, place in known.items() if place.is_held_out}
    return np.array([patient in held_out for patient in patients], dtype=bool)


def _opted_out_of_a_call(call_row: Rows, table: pa.Table) -> Mask:
    """The rows of patients who opted out whose risk is not below that of every call of the list.

    In calls of the trial only patients who are called opt out. Without their later appointments that arm would keep
    the others, who are other patients than those held out.
    """
    risk = table["probability"].to_numpy()
    own = call_row == np.arange(len(call_row))
    return np.asarray((call_row == OPTED_OUT) & (risk >= risk[own].min(initial=np.inf)))


def _is_one_of(values: Sequence[str | None], asked: Mask, known: Callable[[Sequence[str]], set[str]]) -> Mask:
    """Whether the value of each row that is `asked` about is one of the `known`."""
    found = known([each for each, is_asked in zip(values, asked, strict=True) if is_asked and each is not None])
    return np.array([each in found for each in values], dtype=bool)


def _arms(patients: Sequence[str | None], known: "dict[str, PatientPlace]", in_trial: Mask, *, trial: str) -> pa.Table:
    found = [known[each] if is_in and each else None for each, is_in in zip(patients, in_trial, strict=True)]
    rows = [(trial, each.stratum, each.arm) if each else (None, None, None) for each in found]
    return pa.table([pa.array(column, pa.string()) for column in zip(*rows, strict=True)], schema=ARM_COLUMNS)


def no_arms(rows: int) -> pa.Table:
    """The arms of a list that is in no trial."""
    return pa.table([pa.nulls(rows, pa.string())] * len(ARM_COLUMNS), schema=ARM_COLUMNS)


def strata_of(table: pa.Table, trial: TrialConfig, *, config: WorklistConfig) -> list[str]:
    """The stratum of each row, such as `risk_band=High, deprivation_fifth=1`."""
    values = {name: _stratum_values(name, table, config) for name in trial.strata}
    if not values:
        return [""] * table.num_rows
    return [
        ", ".join(f"{name}={value}" for name, value in zip(values, row, strict=True))
        for row in zip(*values.values(), strict=True)
    ]


def _stratum_values(name: Stratum, table: pa.Table, config: WorklistConfig) -> list[str]:
    if name == "risk_band":
        return bands(table["probability"].to_numpy(), config=config)
    if name == "deprivation_fifth":
        fifth = fifths(table["imd_decile"].cast("float64").to_numpy())
        return [_NOT_KNOWN if each == GROUPS - 1 else str(each + 1) for each in fifth.tolist()]
    column = {"specialty": "treatment_function_code", "mode": "consultation_mechanism_code"}[name]
    return [each or _NOT_KNOWN for each in table[column].cast(pa.string()).to_pylist()]


def display_order(table: pa.Table) -> NDArray[np.int64]:
    """The place of each row by the time of the appointment, from 0; of equal times a hash decides.

    A list of a trial has its rows without a call in this order: by risk, a patient who is held out would be the first.
    """
    keys = [hashlib.sha256(str(each).encode()).digest() for each in table["appointment_id"].to_pylist()]
    moments = table["starts_local"].to_numpy()
    order = sorted(range(table.num_rows), key=lambda row: (moments[row], keys[row]))
    place = np.empty(table.num_rows, dtype=np.int64)
    place[order] = np.arange(table.num_rows)
    return place

"""The records of a synthetic trust over time: what an extract held on a day, and made-up calls that change outcomes.

Calls have a true effect, which is made up. Whether the outcomes show it is for a trial to find out.
"""

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dnapredict.data.files.atomic_write import SHARED_FILE, write_atomically
from dnapredict.synthetic.calendar import generator
from dnapredict.synthetic.moved_dates import AS_OF_KEY, open_clinics

TRUE_EFFECT: Final = (
    "of the appointments that a patient would have missed, one in two is kept if a call reaches the patient"
)
"""The made-up effect of a call, in words."""

_KEPT_IF_REACHED: Final = 0.5
_MISSED_BY_PATIENT: Final = ("missed by the patient", "arrived too late")
_ATTENDED: Final = "5"
# The status of a first appointment whose patient came, in place of that of a missed one.
_STATUS: Final = {"33": "10"}
_REACHED_WITH_MOBILE: Final = 0.75
_REACHED_WITHOUT: Final = 0.5
# What is recorded of a call, with its probability: of patients who are reached, and of others.
_IF_REACHED: Final = {"confirmed": 0.86, "details_updated": 0.12, "no_calls_wished": 0.02}
_IF_NOT_REACHED: Final = {"no_answer": 0.65, "message_left": 0.3, "wrong_number": 0.05}
_UNKNOWN_UNTIL_RECORDED: Final = ("outcome_code", "recorded_at", "rtt_status_code")


class SyntheticRecords:
    """The appointments of a synthetic trust, of which an extract holds what was recorded by a day."""

    def __init__(self, extract: Path, truth: Path, *, seed: int) -> None:
        """`extract` and `truth` are the files of one simulation, in the same order; `seed` is that of the calls."""
        self._rows = pq.read_table(extract)
        self._would_miss = pc.is_in(pq.read_table(truth)["cause"], pa.array(_MISSED_BY_PATIENT))
        self._rng = generator(seed)

    def write(self, path: Path, *, at: datetime.datetime, since: datetime.datetime | None = None) -> None:
        """Write the extract as it is drawn at the local time `at`; with `since`, only what is new since then.

        Raises
        ------
        StoreError
            If the file cannot be written.
        """
        notes = dict(self._rows.schema.metadata or {}) | {AS_OF_KEY: at.isoformat().encode()}
        with write_atomically(path, mode=SHARED_FILE) as draft:
            pq.write_table(self._drawn(at, since).replace_schema_metadata(notes), draft)

    def week(self, monday: datetime.date, *, at: datetime.datetime) -> pa.Table:
        """The appointments of a week as a list that is exported at `at` has them, without columns of the outcome."""
        return open_clinics(self._drawn(at), monday=monday).drop_columns(["outcome_code", "recorded_at"])

    def call(self, appointments: Sequence[str]) -> pa.Table:
        """Call about these appointments, and change the outcomes of patients who are reached.

        Returns
        -------
        `appointment_id` and `outcome`, the code of what was recorded of each call.
        """
        index = pc.index_in(pa.array(appointments, pa.string()), self._rows["appointment_id"].combine_chunks())
        rows = np.asarray(index)
        has_mobile = np.asarray(self._rows["has_mobile"].take(index))
        chance = self._rng.random((2, len(rows)))
        is_reached = chance[0] < np.where(has_mobile, _REACHED_WITH_MOBILE, _REACHED_WITHOUT)
        is_helped = is_reached & np.asarray(self._would_miss.take(index)) & (chance[1] < _KEPT_IF_REACHED)
        self._attend(rows[is_helped])
        said = np.where(is_reached, self._said(_IF_REACHED, len(rows)), self._said(_IF_NOT_REACHED, len(rows)))
        return pa.table({"appointment_id": appointments, "outcome": said})

    def _said(self, shares: dict[str, float], n: int) -> np.ndarray[tuple[int], np.dtype[np.str_]]:
        return self._rng.choice(list(shares), size=n, p=list(shares.values()))

    def _attend(self, rows: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
        """Let the patients of these rows attend."""
        comes = np.zeros(self._rows.num_rows, dtype=bool)
        comes[rows] = True
        status = self._rows["rtt_status_code"]
        for missed, attended in _STATUS.items():
            status = pc.if_else(pc.and_(comes, pc.fill_null(pc.equal(status, missed), False)), attended, status)
        self._set("rtt_status_code", status)
        self._set("outcome_code", pc.if_else(comes, _ATTENDED, self._rows["outcome_code"]))

    def _set(self, name: str, values: pa.ChunkedArray) -> None:
        at = self._rows.column_names.index(name)
        self._rows = self._rows.set_column(at, self._rows.schema.field(name), values)

    def _drawn(self, at: datetime.datetime, since: datetime.datetime | None = None) -> pa.Table:
        moment = pa.scalar(at, pa.timestamp("us"))
        is_recorded = pc.fill_null(pc.less(self._rows["recorded_at"], moment), False)
        drawn = self._rows
        for name in _UNKNOWN_UNTIL_RECORDED:
            field = drawn.schema.field(name)
            known = pc.if_else(is_recorded, drawn[name], pa.scalar(None, field.type))
            drawn = drawn.set_column(drawn.column_names.index(name), field, known)
        is_drawn = pc.less(drawn["booked_at"], moment)
        if since is not None:
            before = pa.scalar(since, pa.timestamp("us"))
            is_new = pc.or_(
                pc.greater_equal(drawn["booked_at"], before),
                pc.fill_null(pc.greater_equal(drawn["recorded_at"], before), False),
            )
            is_drawn = pc.and_(is_drawn, is_new)
        return drawn.filter(is_drawn)

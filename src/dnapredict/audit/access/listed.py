"""The appointments of a service as the assessment of access reads them, one row each."""

from dataclasses import dataclass

import pyarrow as pa

from dnapredict.audit.appointments import Audited
from dnapredict.errors import DataError

__all__ = ["COLUMNS", "Listed"]

# What is read of an extract beside the columns of groups; all but these may be absent.
COLUMNS = ("patient", "starts_at", "wait_days", "outcome_code", "ahead")


@dataclass(frozen=True)
class Listed:
    """Appointments with or without an outcome.

    `table` holds `patient` (integer code, the cluster), `starts_at`, `wait_days` (days between booking and
    appointment), `outcome_code` (null where none is known), `ahead` (it lies in the future), and any of
    `appointments.GROUP_COLUMNS`, `first_attendance_code` and `remote`. Made by `Listed.of`.
    """

    table: pa.Table
    dna_codes: tuple[str, ...]

    @classmethod
    def of(cls, table: pa.Table, *, dna_codes: tuple[str, ...]) -> "Listed":
        """Check that what is needed is there.

        Raises
        ------
        DataError
            If a needed column is absent, or there is no row.
        """
        absent = [name for name in COLUMNS if name not in table.column_names]
        if absent:
            raise DataError(f"access: column(s) {', '.join(absent)} are missing.")
        if table.num_rows == 0:
            raise DataError("access: there is no appointment.")
        return cls(table.combine_chunks(), dna_codes)

    def __len__(self) -> int:
        """Appointments."""
        return int(self.table.num_rows)

    @property
    def grouped(self) -> Audited:
        """The same rows, to ask which group each is in."""
        return Audited(self.table)

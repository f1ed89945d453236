"""The measures of the access assessment, and its input."""

from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from dnapredict.errors import DataError
from dnapredict.fairness.measure.audited_appointments import AuditData

# Required columns; those from which groups are made may be absent.
COLUMNS = ("patient", "starts_at", "wait_days", "outcome_code", "ahead")


@dataclass(frozen=True)
class AccessData:
    """Appointments with or without an outcome.

    `table` holds `patient` (integer code, the cluster), `starts_at`, `wait_days` (days to the appointment from
    referral where `from_referral`, else from booking), `outcome_code` (null where none is known), `ahead` (it lies in
    the future), and any of `audited_appointments.GROUP_COLUMNS`, `first_attendance_code`, `remote`,
    `from_referral` and `barrier` (what makes it hard to come, a code of `codes.BARRIER`, null where nobody said).
    Made by `AccessData.of`. Of a part of the rows, `filled` names the columns that have a value in any part.
    """

    table: pa.Table
    dna_codes: tuple[str, ...]
    filled: frozenset[str] | None = None

    @classmethod
    def of(cls, table: pa.Table, *, dna_codes: tuple[str, ...]) -> "AccessData":
        """Check the required columns.

        Raises
        ------
        DataError
            If a required column is absent, or there is no row.
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
    def has_barriers(self) -> bool:
        """Whether anybody was asked what makes it hard to come."""
        return "barrier" in self.table.column_names and self.table["barrier"].null_count < len(self)

    @property
    def grouped(self) -> AuditData:
        """The same rows, as input of `membership`."""
        return AuditData(self.table, self.filled)


# Where the wait for a first appointment begins, in titles and sentences.
WAIT_BEGINS: Final = "booking"
LONG_WAIT_DAYS: Final = 42  # six weeks
VERY_LONG_WAIT_DAYS: Final = 126  # 18 weeks
_FIRST: Final = "coalesce(first_attendance_code IN ('1', '3'), FALSE)"
_WAITED: Final = f"{_FIRST} AND (missed OR came) AND wait_days >= 0"


@dataclass(frozen=True)
class Measure:
    """A share of appointments: numerator `above` within denominator `below`, both SQL conditions.

    `title` names the figure, `phrase` completes "of 100 ...".
    """

    name: str
    title: str
    phrase: str
    above: str
    below: str


MEASURES: Final = (
    Measure("missed", "Missed appointments", "attended or missed appointments", "missed", "missed OR came"),
    Measure(
        "cancelled_by_provider",
        "Cancelled by the hospital",
        "appointments with an outcome",
        "outcome_code = '4'",
        "ended",
    ),
    Measure(
        "cancelled_by_patient",
        "Cancelled by the patient",
        "appointments with an outcome",
        "outcome_code = '2'",
        "ended",
    ),
    Measure(
        "wait_over_6_weeks",
        f"First appointment more than 6 weeks after {WAIT_BEGINS}",
        "first appointments that took place or were missed",
        f"wait_days > {LONG_WAIT_DAYS}",
        _WAITED,
    ),
    Measure(
        "wait_over_18_weeks",
        f"First appointment more than 18 weeks after {WAIT_BEGINS}",
        "first appointments that took place or were missed",
        f"wait_days > {VERY_LONG_WAIT_DAYS}",
        _WAITED,
    ),
    Measure(
        "from_referral",
        "Wait for a first appointment counted from referral",
        "first appointments that took place or were missed",
        "coalesce(from_referral, FALSE)",
        _WAITED,
    ),
    Measure(
        "remote",
        "By telephone or video",
        "attended or missed appointments",
        "coalesce(remote, FALSE)",
        "(missed OR came) AND remote IS NOT NULL",
    ),
    Measure("age_known", "Age recorded", "appointments", "age_years IS NOT NULL", "TRUE"),
    Measure("sex_known", "Sex recorded", "appointments", "gender_code IN ('1', '2', '9')", "TRUE"),
    Measure("ethnicity_known", "Ethnic group recorded", "appointments", "ethnicity_known", "TRUE"),
    Measure("area_known", "Deprivation decile known", "appointments", "imd_decile >= 1", "TRUE"),
)

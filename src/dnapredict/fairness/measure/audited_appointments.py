"""The input of the audit: appointments with outcome, predicted risk and selection, checked."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dnapredict.data.contract import codes
from dnapredict.errors import DataError, NoEventsError

REQUIRED_COLUMNS = ("patient", "dna", "probability", "selected", "starts_at")
# Columns from which groups are made; any of them may be absent from an extract.
GROUP_COLUMNS = (
    "outcome_code",
    "imd_decile",
    "ethnic_category_code",
    "gender_code",
    "age_years",
    "interpreter_needed",
    "disability_flag",
    "learning_disability_flag",
    "has_mobile",
    "plus_group",
    "n_past",
    "site_code",
    "treatment_function_code",
    "provider_code",
    "place_code",
    "trust_side_reason",
    "live_selected",
    "lead_days",
    "patient_half",
    "contacted",
    "trial_arm",
    "weight",
)
# Prefix of the columns that hold who would have been called under another allocation rule.
CALLED_BY = "called_by_"
# Weights are whole eighths of an appointment, whose sums are exact whatever the order.
WEIGHT_PARTS = 8
_SHOWN_ROWS = 5


@dataclass(frozen=True)
class AuditData:
    """Appointments with a known outcome, one row each.

    `table` holds `patient` (integer code, the cluster), `dna`, `selected` (bool), `probability`
    (in [0, 1]), `starts_at` and any of `GROUP_COLUMNS`. Of these, `lead_days` are whole days from booking to start,
    and `patient_half` (0 or 1) divides patients by lot for an honest search (`patient_halves`). `contacted` and
    `trial_arm` tell whose outcome a call may have changed; `weight` is for how many appointments a row stands, 0 where
    its outcome is left out (`uncalled_outcomes`). Made by `AuditData.of`. Of a part of the rows, `filled` names the
    columns that have a value in any part, so that every part is counted by the same groupings.
    """

    table: pa.Table
    filled: frozenset[str] | None = None

    @classmethod
    def of(cls, table: pa.Table) -> "AuditData":
        """Check `table` and keep the columns that the audit uses.

        Raises
        ------
        DataError
            If a required column is absent or has blanks, or a probability is outside [0, 1].
            Columns, counts and row numbers are named, never a value.
        NoEventsError
            If there is no appointment, or none was missed: nothing can be said about reach.
        """
        absent = [name for name in REQUIRED_COLUMNS if name not in table.column_names]
        if absent:
            raise DataError(f"audit: column(s) {', '.join(absent)} are missing.")
        for name in REQUIRED_COLUMNS:
            _require_none(name, pc.is_null(table[name], nan_is_null=True), rule="is blank")
        probability = table["probability"]
        outside = pc.or_(pc.less(probability, 0.0), pc.greater(probability, 1.0))
        _require_none("probability", outside, rule="is not between 0 and 1")
        if table.num_rows == 0 or not pc.any(table["dna"]).as_py():
            raise NoEventsError("audit: no labelled appointment was missed, so reach cannot be estimated.")
        optional = [n for n in table.column_names if n in GROUP_COLUMNS or n.startswith(CALLED_BY)]
        kept = [*REQUIRED_COLUMNS, *optional]
        return cls(table.select(kept).combine_chunks())

    def __len__(self) -> int:
        """Appointments."""
        return int(self.table.num_rows)

    def has(self, columns: Sequence[str]) -> bool:
        """Whether the extract holds every one of `columns` with at least one value."""
        if self.filled is not None:
            return self.filled.issuperset(columns)
        return all(
            name in self.table.column_names and self.table[name].null_count < self.table.num_rows for name in columns
        )

    @property
    def rules(self) -> tuple[str, ...]:
        """The allocation rules whose lists are in the table."""
        names = self.table.column_names
        return tuple(name.removeprefix(CALLED_BY) for name in names if name.startswith(CALLED_BY))

    @property
    def weight(self) -> NDArray[np.float64]:
        """For how many appointments each row stands: 1 unless some outcomes are left out."""
        if "weight" not in self.table.column_names:
            return np.ones(len(self))
        return np.asarray(self.table["weight"].to_numpy(), dtype=np.float64)

    def with_weights(self, weight: NDArray[np.float64]) -> "AuditData":
        """The same appointments with other weights."""
        kept = [name for name in self.table.column_names if name != "weight"]
        return replace(self, table=self.table.select(kept).append_column("weight", pa.array(weight)))

    def with_calls(self, selected: NDArray[np.bool_]) -> "AuditData":
        """The same appointments with another selection."""
        kept = self.table.drop_columns(["selected"])
        return replace(self, table=kept.append_column("selected", pa.array(selected)))

    def under(self, rule: str, *, against: str) -> "AuditData":
        """The same appointments with the selection of `rule`; that of `against` counts as the live one."""
        lists = {"selected": self.table[CALLED_BY + rule], "live_selected": self.table[CALLED_BY + against]}
        kept = [name for name in self.table.column_names if name not in lists]
        changed = self.table.select(kept)
        for name, column in lists.items():
            changed = changed.append_column(name, column)
        return replace(self, table=changed, filled=self.filled and self.filled | {"live_selected"})

    def trust_side(self) -> NDArray[np.bool_]:
        """Whether the missed appointment has a reason on the trust's side.

        That is a recorded reason, or outcome code 7: the patient came late and was not seen.
        """
        trust_side = np.zeros(len(self), dtype=bool)
        if self.has(["trust_side_reason"]):
            trust_side |= pc.fill_null(self.table["trust_side_reason"], False).to_numpy()
        if self.has(["outcome_code"]):
            late = pc.equal(self.table["outcome_code"], codes.ARRIVED_TOO_LATE)
            trust_side |= pc.fill_null(late, False).to_numpy()
        return trust_side

    def strictly_labelled(self) -> NDArray[np.bool_] | None:
        """A mask that excludes missed appointments with a reason on the trust's side.

        None if there are none.
        """
        left_out = self.trust_side() & self.table["dna"].to_numpy()
        return ~left_out if left_out.any() else None


def _require_none(column: str, wrong: pa.ChunkedArray, *, rule: str) -> None:
    rows = np.flatnonzero(pc.fill_null(wrong, False).to_numpy()) + 1
    if len(rows):
        shown = ", ".join(f"{row:,}" for row in rows[:_SHOWN_ROWS])
        shown += ", ..." if len(rows) > _SHOWN_ROWS else ""
        total = len(wrong)
        raise DataError(f"audit: column '{column}' {rule} in {len(rows):,} of {total:,} rows (rows {shown}).")

"""What an extract comes back as when it was held against the contract."""

from dataclasses import dataclass, field
from typing import Final

import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc

from dnapredict.data.mapping.ingest import IngestReport
from dnapredict.data.readers.csv_dialect import ROW_NUMBER
from dnapredict.data.validation.rules import NOT_A_FAULT, sentence_of
from dnapredict.errors import DataError


@dataclass(frozen=True)
class Rejection:
    """One rule that rows broke: how many, and the first of their row numbers."""

    rule: str
    count: int
    first_rows: tuple[int, ...]

    def __str__(self) -> str:
        rows = ", ".join(f"{row:,}" for row in self.first_rows)
        more = ", ..." if self.count > len(self.first_rows) else ""
        noun = "row" if self.count == 1 else "rows"
        return f"{self.count:,} {noun}: {sentence_of(self.rule)} ({noun} {rows}{more})"


NO_WISHES: Final = pa.schema([("appointment_id", pa.string()), ("patient_id", pa.string())]).empty_table()


@dataclass(frozen=True)
class Checked:
    """An extract held against the contract.

    Attributes
    ----------
    rows
        Rows that keep it: `row_number`, every contract column (absent ones null), and the
        clinic's clock as `booked_local` and `starts_local`. Times are UTC without offset.
    rejected
        `row_number`, `appointment_id` (may be null), `rule`: the first rule that a row broke.
    total
        Rows read.
    present
        Contract columns that the extract has.
    read
        Every row read, as typed, refused ones among them: for figures about the extract alone.
    entry
        What happened on the way in: joins, release of the IMD deciles, pseudonyms.
    wished
        `appointment_id` and `patient_id` of rejected rows that say that the patient asked not to be called,
        or hold there what cannot be read: a wish counts though its row cannot be scored.
    """

    rows: ir.Table
    rejected: pa.Table
    total: int
    present: frozenset[str]
    read: ir.Table
    entry: IngestReport
    wished: pa.Table = field(default_factory=lambda: NO_WISHES, repr=False)

    @property
    def kept(self) -> int:
        """Number of rows that keep the contract."""
        return self.total - int(self.rejected.num_rows)

    @property
    def rejections(self) -> tuple[Rejection, ...]:
        """Broken rules, most frequent first, each with its first five row numbers."""
        found = []
        for rule in pc.unique(self.rejected["rule"]).to_pylist():
            rows = self.rejected.filter(pc.field("rule") == rule)[ROW_NUMBER].to_pylist()
            found.append(Rejection(rule, len(rows), tuple(sorted(rows)[:5])))
        return tuple(sorted(found, key=lambda rejection: (-rejection.count, rejection.rule)))

    @property
    def rejected_share(self) -> float:
        """Share of all rows that are faulty; rows set aside by rule are no fault."""
        faults = sum(r.count for r in self.rejections if r.rule not in NOT_A_FAULT)
        return faults / self.total if self.total else 0.0

    def require(self, *, max_rejected_share: float, source: str) -> None:
        """Refuse an extract of which too much is faulty.

        Raises
        ------
        DataError
            If more than `max_rejected_share` of the rows were rejected, or none is left.
        """
        if self.kept and self.rejected_share <= max_rejected_share:
            return
        reasons = "; ".join(str(rejection) for rejection in self.rejections)
        raise DataError(
            f"{source}: {self.rejected_share:.1%} of {self.total:,} rows break the contract, and the "
            f"configured limit is {max_rejected_share:.1%}: {reasons}. Correct the extract or its mapping."
        )

"""The result of checking an extract against the contract."""

from dataclasses import dataclass, field
from typing import Final

import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc

from dnapredict.config.mapping_config import IDENTITY, Mapping
from dnapredict.data.mapping.ingest import IngestReport
from dnapredict.data.readers.csv_dialect import ROW_NUMBER
from dnapredict.data.validation.code_texts import CodeText
from dnapredict.data.validation.rules import NOT_A_FAULT, sentence_of
from dnapredict.data.validation.unreadable_cells import UnreadableCells
from dnapredict.errors import DataError


@dataclass(frozen=True)
class Rejection:
    """A rule, the number of rows that break it, and the first row numbers."""

    rule: str
    count: int
    first_rows: tuple[int, ...]

    def __str__(self) -> str:
        rows = ", ".join(f"{row:,}" for row in self.first_rows)
        more = ", ..." if self.count > len(self.first_rows) else ""
        noun = "row" if self.count == 1 else "rows"
        return f"{self.count:,} {noun}: {sentence_of(self.rule)} ({noun} {rows}{more})"


NO_OPT_OUTS: Final = pa.schema([("appointment_id", pa.string()), ("patient_id", pa.string())]).empty_table()


@dataclass(frozen=True)
class Checked:
    """An extract checked against the contract.

    Attributes
    ----------
    rows
        The valid rows: `row_number`, every contract column (absent ones null), and the local times
        `booked_local` and `starts_local`. Other times are UTC without offset.
    rejected
        `row_number`, `appointment_id` (may be null), `rule`: the first rule that a row breaks.
    total
        Number of rows read.
    present
        Contract columns that the extract has.
    all_rows
        Every row read, rejected ones too: for figures about the extract only.
    ingest
        What was joined, the release of the IMD deciles, whether there are pseudonyms.
    opt_outs
        `appointment_id` and `patient_id` of rejected rows in which the patient opted out of calls, or whose
        `opt_out` cannot be read: an opt-out counts even if its row cannot be scored.
    texts
        Texts of coded columns that are no codes, and the code that replaced each description.
    extract, mapping
        What was read, with joined files, and how it was mapped: for reports on how it is written.
    unreadable
        Cells of optional columns that cannot be read and count as not known.
    """

    rows: ir.Table
    rejected: pa.Table
    total: int
    present: frozenset[str]
    all_rows: ir.Table
    ingest: IngestReport
    opt_outs: pa.Table = field(default_factory=lambda: NO_OPT_OUTS, repr=False)
    texts: tuple[CodeText, ...] = field(default=(), repr=False)
    unreadable: tuple[UnreadableCells, ...] = ()
    extract: ir.Table | None = field(default=None, repr=False)
    mapping: Mapping = field(default=IDENTITY, repr=False)

    @property
    def kept(self) -> int:
        """Number of valid rows."""
        return self.total - int(self.rejected.num_rows)

    @property
    def rejections(self) -> tuple[Rejection, ...]:
        """Broken rules, most frequent first, each with its first five row numbers."""
        rejections = []
        for rule in pc.unique(self.rejected["rule"]).to_pylist():
            rows = self.rejected.filter(pc.field("rule") == rule)[ROW_NUMBER].to_pylist()
            rejections.append(Rejection(rule, len(rows), tuple(sorted(rows)[:5])))
        return tuple(sorted(rejections, key=lambda rejection: (-rejection.count, rejection.rule)))

    @property
    def rejected_share(self) -> float:
        """Share of all rows with an error; administrative events are no error of the extract."""
        faults = sum(r.count for r in self.rejections if r.rule not in NOT_A_FAULT)
        return faults / self.total if self.total else 0.0

    def require(self, *, max_rejected_share: float, source: str) -> None:
        """Refuse an extract with too many rejected rows, or with a column that holds something else.

        Raises
        ------
        DataError
            If more than `max_rejected_share` of the rows were rejected, or none is left, or most cells of an
            optional column cannot be read.
        """
        wrong = [str(each) for each in self.unreadable if each.is_wrong_column]
        if wrong:
            raise DataError(
                f"{source}: {'; '.join(wrong)}. Most of its cells cannot be read, so that it is not the column that "
                "it is mapped to. Correct the mapping, or leave the column out of it."
            )
        if self.kept and self.rejected_share <= max_rejected_share:
            return
        reasons = "; ".join(str(rejection) for rejection in self.rejections)
        raise DataError(
            f"{source}: {self.rejected_share:.1%} of {self.total:,} rows break the contract, and the "
            f"configured limit is {max_rejected_share:.1%}: {reasons}. Correct the extract or its mapping."
        )

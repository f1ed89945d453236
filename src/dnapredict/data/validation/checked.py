"""The result of checking an extract: rejected rows, cells that cannot be read, and texts that stand for codes.

A rejected row is counted under the first rule that it breaks. A cell of an optional column that cannot be read counts
as not known, and its row stays. Descriptions in coded columns are replaced by their codes, and placeholders in the
column of patients' numbers by an id of the row; each different text is looked up once, not each row.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc

from dnapredict.config.mapping_config import IDENTITY, Mapping
from dnapredict.data.contract.columns import COLUMNS, column
from dnapredict.data.contract.descriptions import described_code
from dnapredict.data.engine.duckdb_engine import compiled, placeholder
from dnapredict.data.engine.prepared_queries import Engine
from dnapredict.data.mapping.apply_mapping import id_of_row
from dnapredict.data.mapping.ingest import IngestReport
from dnapredict.data.mapping.pseudonyms import PLACEHOLDERS
from dnapredict.data.readers.csv_dialect import ROW_NUMBER
from dnapredict.data.validation.rules import NOT_A_FAULT, OPTIONAL_CELLS, expected_in, sentence_of
from dnapredict.errors import DataError

FIRST_ROWS: Final = 5
# A column is the wrong one where more than this share of at least so many cells cannot be read.
_MOST_UNREADABLE: Final = 0.5
_FEWEST_CELLS: Final = 20


@dataclass(frozen=True)
class UnreadableCells:
    """The cells of an optional column that cannot be read: their number and first rows, and the filled cells."""

    column: str
    count: int
    filled: int
    first_rows: tuple[int, ...]

    @property
    def is_wrong_column(self) -> bool:
        """Whether so many cells are unreadable that the column must hold something else."""
        return self.filled >= _FEWEST_CELLS and self.count > _MOST_UNREADABLE * self.filled

    def __str__(self) -> str:
        rows = ", ".join(f"{row:,}" for row in self.first_rows)
        more = ", ..." if self.count > len(self.first_rows) else ""
        cells, noun, verb = ("cell is", "row", "counts") if self.count == 1 else ("cells are", "rows", "count")
        expected = expected_in(column(self.column))
        return f"{self.column}: {self.count:,} {cells} not {expected} and {verb} as not known ({noun} {rows}{more})"


def unreadable_cells(typed: ir.Table, workspace: Engine, *, cells: pa.Table | None) -> tuple[UnreadableCells, ...]:
    """Every optional column with cells that cannot be read, in the contract's order.

    `cells` are those of `typed` where it has few rows.
    """
    names = flagged(typed.columns)
    if cells is not None:
        return tuple(_of_few(name, cells) for name in names if pc.any(cells[f"bad_{name}"]).as_py())
    if not names:
        return ()
    counts = workspace.fetch(_counts(typed.schema(), names).bind(typed=typed)).to_pylist()[0]
    return tuple(_of_many(name, int(counts[name]), typed, workspace) for name in names if counts[name])


def flagged(columns: Iterable[str]) -> tuple[str, ...]:
    """The optional columns with a flag for unreadable cells, in the contract's order."""
    flags = set(columns)
    return tuple(each.name for each in COLUMNS if each.name in OPTIONAL_CELLS and f"bad_{each.name}" in flags)


def _of_few(name: str, cells: pa.Table) -> UnreadableCells:
    rows = sorted(cells.filter(cells[f"bad_{name}"])[ROW_NUMBER].to_pylist())
    filled = cells.num_rows - cells[name].null_count + len(rows)
    return UnreadableCells(name, len(rows), filled, tuple(rows[:FIRST_ROWS]))


def _of_many(name: str, count: int, typed: ir.Table, workspace: Engine) -> UnreadableCells:
    filled = workspace.fetch(_filled(typed.schema(), name).bind(typed=typed))["filled"][0].as_py()
    rows = workspace.fetch(_first_rows(typed.schema(), name).bind(typed=typed))[ROW_NUMBER].to_pylist()
    return UnreadableCells(name, count, filled + count, tuple(rows))


@compiled
def _counts(schema: ibis.Schema, names: tuple[str, ...]) -> ir.Table:
    typed = placeholder("typed", schema)
    return typed.agg(**{name: typed[f"bad_{name}"].sum().fill_null(0) for name in names})


@compiled
def _filled(schema: ibis.Schema, name: str) -> ir.Table:
    typed = placeholder("typed", schema)
    return typed.agg(filled=typed[name].count())


@compiled
def _first_rows(schema: ibis.Schema, name: str) -> ir.Table:
    typed = placeholder("typed", schema)
    return typed.filter(typed[f"bad_{name}"]).select(ROW_NUMBER).order_by(ROW_NUMBER).limit(FIRST_ROWS)


# A column with more different texts holds no descriptions but names or notes, and costs no more time.
_MOST_TEXTS: Final = 10_000
CODED: Final = tuple(each.name for each in COLUMNS if each.codes)
_KNOWN: Final = ibis.schema({"column": "string", "text": "string", "code": "string"})


# Forms of the placeholders for a patient's number. A comparison with a list costs less than an expression that
# brings each number into one form.
_WRITTEN: Final = frozenset(
    form + end
    for word in PLACEHOLDERS
    for form in (word, word.lower(), word.capitalize(), word.title(), word.title().replace("Nhs", "NHS"))
    for end in ("", ".")
)


@dataclass(frozen=True)
class CodeText:
    """A text in a coded column that is no code, and its rows. `code` is what it describes; None: nothing known."""

    column: str
    text: str
    code: str | None
    rows: int


def replace_texts(
    typed: ir.Table, present: frozenset[str], workspace: Engine, *, cells: pa.Table | None, has_pseudonyms: bool
) -> tuple[ir.Table, tuple[CodeText, ...]]:
    """`typed` with a code for each known description, and all texts that were no codes.

    A text without a code stays as it is, which equals no code. Where patients' numbers are no pseudonyms that a
    mapping made (`has_pseudonyms`), a placeholder such as "TBC" becomes an id of the row alone. `cells` are those
    of `typed` where it has few rows.
    """
    coded = tuple(name for name in CODED if name in present)
    counted = _texts_of_many(typed, coded, workspace) if cells is None else _texts_of_few(cells, coded)
    texts = tuple(CodeText(name, text, described_code(text, column(name)), rows) for name, text, rows in counted)
    known = [each for each in texts if each.code]
    names = tuple(name for name in coded if any(each.column == name for each in known))
    may_unlink = "patient_id" in present and not has_pseudonyms
    unlinks = may_unlink and _has_placeholders(typed, workspace, cells)
    if not names and not unlinks:
        return typed, texts
    query = _replaced(typed.schema(), names, unlinks)
    return workspace.view(query.bind(typed=typed, known=workspace.keep(_table(known)))), texts


def _has_placeholders(typed: ir.Table, workspace: Engine, cells: pa.Table | None) -> bool:
    if cells is None:
        cells = workspace.fetch(_placeholders(typed.schema()).bind(typed=typed))
    return any(number in _WRITTEN for number in cells["patient_id"].to_pylist())


@compiled
def _placeholders(schema: ibis.Schema) -> ir.Table:
    typed = placeholder("typed", schema)
    return typed.filter(typed.patient_id.isin(sorted(_WRITTEN))).select("patient_id").limit(1)


def _table(known: Iterable[CodeText]) -> pa.Table:
    rows = [{"column": each.column, "text": each.text, "code": each.code} for each in known]
    return pa.Table.from_pylist(rows, schema=_KNOWN.to_pyarrow())


def _texts_of_few(cells: pa.Table, coded: tuple[str, ...]) -> Iterator[tuple[str, str, int]]:
    """Each text that is no code, with its column and rows."""
    for name in coded:
        known = column(name).codes
        counts = Counter(text for text in cells[name].to_pylist() if text is not None and text not in known)
        yield from ((name, text, rows) for text, rows in counts.items())


def _texts_of_many(typed: ir.Table, coded: tuple[str, ...], workspace: Engine) -> list[tuple[str, str, int]]:
    if not coded:
        return []
    rows = workspace.fetch(_texts(typed.schema(), coded).bind(typed=typed)).to_pylist()
    return [(row["column"], row["text"], row["rows"]) for row in rows]


@compiled
def _texts(schema: ibis.Schema, coded: tuple[str, ...]) -> ir.Table:
    typed = placeholder("typed", schema)
    return ibis.union(*(_texts_of(typed, name) for name in coded)) if len(coded) > 1 else _texts_of(typed, coded[0])


def _texts_of(typed: ir.Table, name: str) -> ir.Table:
    """Counted before they are compared with the codes: most columns have few different texts."""
    counted = typed.group_by(text=typed[name]).agg(rows=typed.count())
    others = counted.filter(counted.text.notnull() & counted.text.notin(list(column(name).codes)))
    ordered = others.order_by(others.rows.desc(), others.text).limit(_MOST_TEXTS)
    return ordered.select(column=ibis.literal(name), text=ordered.text, rows=ordered.rows)


@compiled
def _replaced(schema: ibis.Schema, names: tuple[str, ...], unlinks: bool) -> ir.Table:
    typed, known = placeholder("typed", schema), placeholder("known", _KNOWN)
    joined = typed
    for name in names:
        own = known.filter(known.column == name)
        own = own.select(**{f"text::{name}": own.text, f"code::{name}": own.code})
        joined = joined.left_join(own, joined[name] == own[f"text::{name}"])
    values = {name: ibis.coalesce(joined[f"code::{name}"], joined[name]) for name in names}
    if unlinks:
        is_placeholder = joined.patient_id.isin(sorted(_WRITTEN)).fill_null(False)
        values["patient_id"] = ibis.ifelse(is_placeholder, id_of_row(joined), joined.patient_id)
    return joined.mutate(**values).select(*typed.columns)


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


NOTHING_REJECTED: Final = pa.schema(
    [(ROW_NUMBER, pa.int64()), ("appointment_id", pa.string()), ("rule", pa.string())]
).empty_table()
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
    def described_columns(self) -> frozenset[str]:
        """Coded columns in which a description was replaced by its code."""
        return frozenset(each.column for each in self.texts if each.code)

    @property
    def unknown_columns(self) -> frozenset[str]:
        """Coded columns with a value that is no code and describes none."""
        return frozenset(each.column for each in self.texts if each.code is None)

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
        return share_at_fault(self.rejections, total=self.total)

    def require(self, *, max_rejected_share: float, source: str) -> None:
        """Refuse an extract with too many rejected rows, or with a column that holds something else.

        Raises
        ------
        DataError
            If more than `max_rejected_share` of the rows were rejected, or none is left, or most cells of an
            optional column cannot be read.
        """
        require_sound(self, max_rejected_share=max_rejected_share, source=source)


def share_at_fault(rejections: Iterable[Rejection], *, total: int) -> float:
    """Share of all rows with an error; administrative events are no error of the extract."""
    faults = sum(each.count for each in rejections if each.rule not in NOT_A_FAULT)
    return faults / total if total else 0.0


class CheckCounts(Protocol):
    """The counts of a check, by either engine."""

    @property
    def rejections(self) -> tuple[Rejection, ...]:
        """Rejected rows by rule."""

    @property
    def unreadable(self) -> tuple[UnreadableCells, ...]:
        """Unreadable cells of optional columns."""

    @property
    def total(self) -> int:
        """Number of rows read."""

    @property
    def kept(self) -> int:
        """Number of valid rows."""


class CheckedExtract(CheckCounts, Protocol):
    """A checked extract whose rows are tables of an engine: `Checked`, or `spark_check.CheckedOnSpark`."""

    @property
    def rows(self) -> ir.Table:
        """The valid rows."""

    @property
    def all_rows(self) -> ir.Table:
        """Every row read."""

    @property
    def rejected_share(self) -> float:
        """Share of all rows with an error."""

    @property
    def present(self) -> frozenset[str]:
        """Contract columns that the extract has."""

    @property
    def ingest(self) -> IngestReport:
        """What was joined and looked up."""

    @property
    def extract(self) -> ir.Table | None:
        """What was read, before it was mapped."""

    @property
    def mapping(self) -> Mapping:
        """How it was mapped."""

    @property
    def described_columns(self) -> frozenset[str]:
        """Coded columns that may hold descriptions instead of codes."""

    @property
    def unknown_columns(self) -> frozenset[str]:
        """Coded columns with a value that is no code and describes none."""


def require_sound(checked: CheckCounts, *, max_rejected_share: float, source: str) -> None:
    """Refuse an extract as `Checked.require` does, from counts alone.

    Raises
    ------
    DataError
    """
    wrong = [str(each) for each in checked.unreadable if each.is_wrong_column]
    if wrong:
        raise DataError(
            f"{source}: {'; '.join(wrong)}. Most of its cells cannot be read, so that it is not the column that "
            "it is mapped to. Correct the mapping, or leave the column out of it."
        )
    share = share_at_fault(checked.rejections, total=checked.total)
    if checked.kept and share <= max_rejected_share:
        return
    reasons = "; ".join(str(rejection) for rejection in checked.rejections)
    raise DataError(
        f"{source}: {share:.1%} of {checked.total:,} rows break the contract, and the "
        f"configured limit is {max_rejected_share:.1%}: {reasons}. Correct the extract or its mapping."
    )

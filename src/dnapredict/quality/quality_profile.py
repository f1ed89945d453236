"""All exact counts of an extract's quality in a few passes of DuckDB, with the words that were read as codes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc

from dnapredict.config.mapping_config import ColumnSource
from dnapredict.data.contract.columns import COLUMNS, Column, Kind
from dnapredict.data.contract.descriptions import described_code, whole_code
from dnapredict.data.contract.parsing import parse
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.engine.portable_sql import SqlEngine
from dnapredict.data.mapping.apply_mapping import source_of, translated, value_before_translation
from dnapredict.data.mapping.ingest import IngestReport
from dnapredict.data.validation.checked import CheckedExtract, Rejection, UnreadableCells
from dnapredict.quality.record_quality import (
    ExtractMonth,
    MissedByGroup,
    SiteEthnicity,
    duplicates,
    ethnicity_by_site,
    missed_by_group,
    months,
    times_read,
    unknown_codes,
)
from dnapredict.quality.report_figures import CodesNotKnown, Duplicates, TimeColumn

_MOST_WORDS: Final = 10_000
_PLAIN: Final = frozenset({"1", "0", "y", "n", "yes", "no", "t", "f", "true", "false"})


@dataclass(frozen=True)
class SourceWord:
    """A word of the extract, the code (or yes, no) that it became, and its rows.

    `by` is "mapping" where the mapping translates it, and "description" where it is one of the contract's.
    """

    column: str
    word: str
    code: str
    by: str
    rows: int


def source_words(checked: CheckedExtract, engine: SqlEngine) -> tuple[SourceWord, ...]:
    """Every word that became a code, by column in the contract's order, the most frequent first.

    Codes that are written as codes are left out, and so are texts that became none.
    """
    if checked.extract is None:
        return ()
    extract: ir.Table = checked.extract
    origins = [(column, origin) for column in COLUMNS if (origin := _origin_of_words(column, checked, extract))]
    if not origins:
        return ()
    # One query for all columns: if the extract is a view that joins files, every query reads the files again.
    texts = {column.name: value_before_translation(extract, origin).cast("string") for column, origin in origins}
    kept = engine.compute_expression(extract.select(**texts)).get_name()
    counted = engine.fetch(" UNION ALL ".join(_distinct(column.name, kept) for column, _ in origins))
    with Workspace() as workspace:
        return tuple(
            word
            for column, origin in origins
            for word in _words_of(
                counted.filter(pc.equal(counted["name"], column.name)),
                column,
                origin,
                zone=checked.mapping.timezone,
                workspace=workspace,
            )
        )


def _origin_of_words(column: Column, checked: CheckedExtract, extract: ir.Table) -> ColumnSource | None:
    """Where the cells of a column that may hold words come from; None for any other column."""
    origin = source_of(column.name, extract.columns, checked.mapping) if column.name in checked.present else None
    is_described = column.name in checked.described_columns
    if origin is None or not _may_hold_words(column, origin, is_described=is_described):
        return None
    is_text = column.kind is not Kind.BOOLEAN or value_before_translation(extract, origin).type().is_string()
    return origin if is_text else None


def _words_of(
    counted: pa.Table, column: Column, origin: ColumnSource, *, zone: str, workspace: Workspace
) -> Iterator[SourceWord]:
    if not counted.num_rows:
        return
    read = _with_values(counted, column, origin, zone=zone, workspace=workspace)
    for row in workspace.backend.to_pyarrow(read).to_pylist():
        code, by = _code_of(row, column, origin)
        if code and by:
            yield SourceWord(column.name, row["word"], code, by, row["rows"])


def _may_hold_words(column: Column, origin: ColumnSource, *, is_described: bool) -> bool:
    if column.codes:
        return is_described or bool(origin.translate)
    return column.kind is Kind.BOOLEAN and origin.filled is None


def _distinct(name: str, kept: str) -> str:
    """Each different text of a column with its rows."""
    return (
        f"SELECT * FROM (SELECT '{name}' AS name, {name} AS word, count(*) AS rows FROM {kept} "
        f"WHERE {name} IS NOT NULL GROUP BY {name} ORDER BY rows DESC, word LIMIT {_MOST_WORDS})"
    )


def _with_values(
    counted: pa.Table, column: Column, origin: ColumnSource, *, zone: str, workspace: Workspace
) -> ir.Table:
    """Each different text with its rows, and what the contract reads in it."""
    # Stored as a table: the parsing expression contains its text many times, and DuckDB would plan every copy.
    words = workspace.keep(counted)
    texts = words.mutate(text=translated(words.word, origin))
    kept = workspace.compute(str(workspace.backend.compile(texts)))
    value = parse(kept.text, column, zone=zone).value
    return kept.mutate(value=value.cast("string")).order_by(ibis.desc("rows"), "word")


def _code_of(row: dict[str, str], column: Column, origin: ColumnSource) -> tuple[str | None, str]:
    word, value = row["word"].strip(), row["value"]
    by = "mapping" if word in origin.translate else "description"
    if column.kind is Kind.BOOLEAN:
        is_plain = word.lower() in _PLAIN and by == "description"
        return ({"true": "yes", "false": "no"}.get(value or ""), "" if is_plain else by)
    code = value if value in column.codes else described_code(value or "", column)
    is_code = by == "description" and whole_code(word.removesuffix(".0"), column) == code
    return code, "" if is_code else by


@dataclass(frozen=True)
class Profile:
    """Exact counts of one extract, which must be rounded before they are shown."""

    rows: int
    kept: int
    rejected_share: float
    present: frozenset[str]
    entry: IngestReport
    rejections: tuple[Rejection, ...]
    months: tuple[ExtractMonth, ...]
    unknown_codes: tuple[CodesNotKnown, ...]
    duplicates: Duplicates
    ethnicity: tuple[SiteEthnicity, ...]
    missed: tuple[MissedByGroup, ...]
    times: tuple[TimeColumn, ...]
    words: tuple[SourceWord, ...] = ()
    unreadable: tuple[UnreadableCells, ...] = ()


def profile(
    checked: CheckedExtract, workspace: SqlEngine, *, zone: str, words: tuple[SourceWord, ...] | None = None
) -> Profile:
    """Count the quality of an extract that was checked against the contract.

    Parameters
    ----------
    zone
        The clinic's clock, as a name of the IANA database such as Europe/London.
    words
        The result of `source_words`, if it was computed before.
    """
    return Profile(
        rows=checked.total,
        kept=checked.kept,
        rejected_share=checked.rejected_share,
        present=checked.present,
        entry=checked.ingest,
        rejections=checked.rejections,
        months=months(checked, workspace),
        unknown_codes=unknown_codes(checked, workspace),
        duplicates=duplicates(checked, workspace),
        ethnicity=ethnicity_by_site(checked, workspace),
        missed=missed_by_group(checked, workspace),
        times=times_read(checked, workspace, zone=zone),
        words=source_words(checked, workspace) if words is None else words,
        unreadable=checked.unreadable,
    )

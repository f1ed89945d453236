"""Prepare an extract for its mapping: join other files and replace patients' numbers by pseudonyms.

The results are counted, so that a check can report how many rows had a match and which release of the indices
of deprivation the deciles are from.
"""

from collections.abc import Iterator
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, field
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc

from dnapredict.config.mapping_config import Mapping
from dnapredict.data.engine.duckdb_engine import compiled, placeholder
from dnapredict.data.engine.prepared_queries import Engine
from dnapredict.data.mapping.apply_mapping import BAD_NUMBER, NOTE, patient_number
from dnapredict.data.mapping.deprivation_lookup import VINTAGES, area_lookup
from dnapredict.data.mapping.file_joins import join_files
from dnapredict.data.mapping.geography import AREA, PLACES_JOIN, POSTCODES, with_areas
from dnapredict.data.mapping.pseudonyms import number_in, pseudonyms, read_key


@dataclass(frozen=True)
class PreparedExtract:
    """An extract with its joined files and lookups.

    Attributes
    ----------
    table
        The extract's columns, and `NAME.COLUMN` for each column of a joined file.
    lookups
        Tables that `data.mapping.apply_mapping` joins, by the name of their placeholder.
    release, complete
        Of the deprivation lookup, as in `data.mapping.deprivation_lookup.AreaLookup`.
    numbers_in_two_forms
        Patients' numbers, of those that become pseudonyms, that also occur with leading zeros.
    """

    table: ir.Table
    lookups: MappingOf[str, ir.Table] = field(default_factory=dict)
    release: str = ""
    complete: bool = False
    numbers_in_two_forms: int = 0


@dataclass(frozen=True)
class Matches:
    """How many rows have a match in a joined file; rows without a key are counted separately."""

    name: str
    file: str
    matched: int
    unmatched: int
    without_key: int

    def __str__(self) -> str:
        total = self.matched + self.unmatched
        share = f" ({self.unmatched / total:.1%})" if total else ""
        blank = f"; {self.without_key:,} have no key" if self.without_key else ""
        return f"{self.name} ({self.file}): {self.unmatched:,} of {total:,} rows found no match{share}{blank}."


@dataclass(frozen=True)
class Areas:
    """The release of the indices that the deciles are from, and how many LSOA codes it has.

    `rows` counts rows by "known", "blank", "other vintage", "outside England" and "unknown"; it is empty
    where no lookup was given. The release is "" where it is not stated.
    """

    release: str = ""
    rows: MappingOf[str, int] = field(default_factory=dict)

    @property
    def vintage(self) -> str:
        """The year of the release's LSOA codes: "2011", "2021" or "" for not known."""
        return VINTAGES.get(self.release, "")

    def __str__(self) -> str:
        release = f"release {self.release}, LSOA {self.vintage}" if self.release else "release not stated"
        without = {kind: n for kind, n in self.rows.items() if kind != "known"}
        if not sum(without.values()):
            return f"IMD deciles: {release}."
        reasons = ", ".join(f"{n:,} {_WORDS[kind]}" for kind, n in sorted(without.items()) if n)
        return f"IMD deciles: {release}; no IMD for {sum(without.values()):,} rows ({reasons})."


_WORDS = {
    "blank": "without LSOA",
    "other vintage": "with an LSOA of another year's codes",
    "outside England": "with what is no English LSOA",
    "unknown": "with an LSOA that the lookup lacks",
}


@dataclass(frozen=True)
class IngestReport:
    """What was joined and looked up; `str` of its parts are sentences without any patient's value."""

    matches: tuple[Matches, ...] = ()
    areas: Areas = Areas()
    pseudonymised: bool = False
    numbers_in_two_forms: int = 0

    @property
    def sentences(self) -> tuple[str, ...]:
        """One sentence for each joined file and for the deciles; empty where nothing was joined."""
        areas = (str(self.areas),) if self.areas.release or self.areas.rows else ()
        return (*map(str, self.matches), *areas)


def prepare(table: ir.Table, mapping: Mapping, workspace: Engine, *, source: str) -> PreparedExtract:
    """Join to `table` the files that `mapping` names, and load its lookups.

    No row is added, lost or moved: `row_number` does not change.

    Raises
    ------
    ConfigurationError
        If there is no key for pseudonyms, or LSOA codes of two vintages would be mixed.
    DataError
        If a joined file cannot be read, lacks a column, or holds a key twice.
    """
    if mapping.joins:
        table = join_files(table, mapping, workspace, source=source)
    lookups, two_forms = {}, 0
    if mapping.makes_pseudonyms:
        lookups["pseudonyms"], two_forms = _pseudonyms(table, mapping, workspace, source)
    geography = mapping.geography
    areas = area_lookup(geography)
    if geography.postcodes:
        table = with_areas(table, geography, vintage=areas.vintage, workspace=workspace, source=source)
    if not (geography.imd or geography.centroids or geography.places):
        return PreparedExtract(table, lookups, geography.imd_release or "", numbers_in_two_forms=two_forms)
    lookups |= {name: workspace.refer(getattr(areas, name)) for name in ("areas", "sites", "places")}
    return PreparedExtract(table, lookups, areas.release, areas.complete, two_forms)


def _pseudonyms(table: ir.Table, mapping: Mapping, workspace: Engine, source: str) -> tuple[ir.Table, int]:
    key = read_key(mapping.key_file)
    numbers = workspace.fetch(_numbers(table.schema(), mapping, source).bind(extract=table))
    hashed = pseudonyms(numbers["number"], key=key, kind=mapping.numbers)
    bad = pc.and_(numbers["number"].is_valid(), hashed.is_null())
    kept = workspace.keep(pa.table({"written": numbers["written"], "pseudonym": hashed, "bad": bad}))
    return kept, _in_two_forms(numbers["number"])


def _in_two_forms(numbers: pa.ChunkedArray) -> int:
    """How many numbers also occur with leading zeros."""
    with_zeros = pc.drop_null(numbers.filter(pc.match_substring_regex(numbers, "^0[0-9]+$")))
    return int(pc.sum(pc.is_in(numbers.unique(), pc.utf8_ltrim(with_zeros, "0").unique())).as_py() or 0)


@compiled
def _numbers(schema: ibis.Schema, mapping: Mapping, source: str) -> ir.Table:
    """Each distinct text, and the number in it."""
    extract = placeholder("extract", schema)
    distinct = extract.select(written=patient_number(extract, mapping, where=source)).distinct()
    distinct = distinct.filter(distinct.written.notnull())
    return distinct.mutate(number=number_in(distinct.written, mapping.numbers))


def ingest_report(typed: ir.Table, mapping: Mapping, prepared: PreparedExtract, workspace: Engine) -> IngestReport:
    """Count the notes that `data.mapping.apply_mapping` made about each row of `typed`."""
    return IngestReport(
        matches=tuple(_matches(typed, mapping, workspace)),
        areas=Areas(prepared.release, _counts(typed, AREA, workspace) if AREA in typed.columns else {}),
        pseudonymised=BAD_NUMBER in typed.columns and mapping.makes_pseudonyms,
        numbers_in_two_forms=prepared.numbers_in_two_forms,
    )


def _matches(typed: ir.Table, mapping: Mapping, workspace: Engine) -> Iterator[Matches]:
    geography = {POSTCODES: mapping.geography.postcodes, PLACES_JOIN: mapping.geography.places}
    paths = {name: join.path for name, join in mapping.joins.items()}
    for name, path in (paths | geography).items():
        if path is not None and NOTE + name in typed.columns:
            counts = _counts(typed, NOTE + name, workspace)
            label = name.removeprefix("geography.")
            yield Matches(label, path.name, counts.get(True, 0), counts.get(False, 0), counts.get(None, 0))


def _counts(typed: ir.Table, column: str, workspace: Engine) -> dict[Any, int]:
    counts = workspace.fetch(_count_by(typed.schema(), column).bind(typed=typed))
    return {row["kind"]: row["n"] for row in counts.to_pylist()}


@compiled
def _count_by(schema: ibis.Schema, column: str) -> ir.Table:
    typed = placeholder("typed", schema)
    return typed.group_by(kind=typed[column]).agg(n=typed.count()).order_by("kind")

"""The way in: what stands beside an extract is joined to it, and patients' numbers become pseudonyms.

What happened there is counted, so that a check can tell how much of a file found its match and which
release of the indices of deprivation the deciles are of.
"""

from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, field
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc

from dnapredict.config.mapping_config import Mapping
from dnapredict.data.engine.bound_query import compiled, placeholder
from dnapredict.data.engine.engine_pool import Engine
from dnapredict.data.mapping.apply_mapping import BAD_NUMBER, TOLD, patient_number
from dnapredict.data.mapping.deprivation_lookup import VINTAGES, atlas
from dnapredict.data.mapping.file_joins import join_files
from dnapredict.data.mapping.geography import AREA
from dnapredict.data.mapping.pseudonyms import number_in, pseudonyms, read_key


@dataclass(frozen=True)
class Entered:
    """An extract with its joins.

    Attributes
    ----------
    table
        The extract's columns and `NAME.COLUMN` of what was joined.
    beside
        Tables that `data.mapping.apply_mapping` reads, by the role they are filled in as.
    release, complete
        Of the areas, as in `data.mapping.deprivation_lookup.Atlas`.
    """

    table: ir.Table
    beside: MappingOf[str, ir.Table] = field(default_factory=dict)
    release: str = ""
    complete: bool = False


@dataclass(frozen=True)
class Matches:
    """How many rows found their match in a joined file; those without a key looked for none."""

    name: str
    file: str
    matched: int
    unmatched: int
    without_key: int

    def __str__(self) -> str:
        asked = self.matched + self.unmatched
        share = f" ({self.unmatched / asked:.1%})" if asked else ""
        blank = f"; {self.without_key:,} have no key" if self.without_key else ""
        return f"{self.name} ({self.file}): {self.unmatched:,} of {asked:,} rows found no match{share}{blank}."


@dataclass(frozen=True)
class Areas:
    """Which release of the indices the deciles are of, and what the rows' LSOA codes were to it.

    `rows` counts by "known", "blank", "other vintage", "outside England" and "unknown"; it is empty
    where no lookup was given. A release "" is one that nobody named.
    """

    release: str = ""
    rows: MappingOf[str, int] = field(default_factory=dict)

    @property
    def vintage(self) -> str:
        """The LSOA codes that go with the release: "2011", "2021" or "" for not known."""
        return VINTAGES.get(self.release, "")

    def __str__(self) -> str:
        named = f"release {self.release}, LSOA {self.vintage}" if self.release else "release not stated"
        without = {kind: n for kind, n in self.rows.items() if kind != "known"}
        if not sum(without.values()):
            return f"IMD deciles: {named}."
        told = ", ".join(f"{n:,} {_WORDS[kind]}" for kind, n in sorted(without.items()) if n)
        return f"IMD deciles: {named}; no IMD for {sum(without.values()):,} rows ({told})."


_WORDS = {
    "blank": "without LSOA",
    "other vintage": "with an LSOA of another year's codes",
    "outside England": "with what is no English LSOA",
    "unknown": "with an LSOA that the lookup lacks",
}


@dataclass(frozen=True)
class IngestReport:
    """What happened on the way in; `str` of its parts are sentences for a person, without any value."""

    matches: tuple[Matches, ...] = ()
    areas: Areas = Areas()
    pseudonymised: bool = False

    @property
    def sentences(self) -> tuple[str, ...]:
        """What there is to tell; nothing for an extract that came as it was."""
        areas = (str(self.areas),) if self.areas.release or self.areas.rows else ()
        return (*map(str, self.matches), *areas)


def enter(table: ir.Table, mapping: Mapping, workspace: Engine, *, source: str) -> Entered:
    """Join to `table` what `mapping` says, and make ready what is looked up.

    No row is added, lost or moved: `row_number` stands as it did.

    Raises
    ------
    ConfigurationError
        If there is no key for pseudonyms, or LSOA codes of two vintages would be mixed.
    DataError
        If a joined file cannot be read, lacks a column, or holds a key twice.
    """
    if mapping.joins:
        table = join_files(table, mapping, workspace, source=source)
    beside = {}
    if mapping.makes_pseudonyms:
        beside["pseudonyms"] = _pseudonyms(table, mapping, workspace, source)
    geography = mapping.geography
    if not (geography.imd or geography.centroids):
        return Entered(table, beside, geography.imd_release or "")
    known = atlas(geography)
    beside |= {"areas": workspace.refer(known.areas), "sites": workspace.refer(known.sites)}
    return Entered(table, beside, known.release, known.complete)


def _pseudonyms(table: ir.Table, mapping: Mapping, workspace: Engine, source: str) -> ir.Table:
    key = read_key(mapping.key_file)
    found = workspace.fetch(_numbers(table.schema(), mapping, source).bind(asked=table))
    hashed = pseudonyms(found["number"], key=key, kind=mapping.numbers)
    bad = pc.and_(found["number"].is_valid(), hashed.is_null())
    return workspace.keep(pa.table({"written": found["written"], "pseudonym": hashed, "bad": bad}))


@compiled
def _numbers(schema: ibis.Schema, mapping: Mapping, source: str) -> ir.Table:
    """What is written, each once, and the number in it."""
    asked = placeholder("asked", schema)
    found = asked.select(written=patient_number(asked, mapping, where=source)).distinct()
    found = found.filter(found.written.notnull())
    return found.mutate(number=number_in(found.written, mapping.numbers))


def entry_of(read: ir.Table, mapping: Mapping, entered: Entered, workspace: Engine) -> IngestReport:
    """Count what `data.mapping.apply_mapping` noted beside each row of `read`."""
    return IngestReport(
        matches=tuple(_matches(read, mapping, workspace)),
        areas=Areas(entered.release, _counts(read, AREA, workspace) if AREA in read.columns else {}),
        pseudonymised=BAD_NUMBER in read.columns and mapping.makes_pseudonyms,
    )


def _matches(read: ir.Table, mapping: Mapping, workspace: Engine) -> Any:
    for name, join in mapping.joins.items():
        counts = _counts(read, TOLD + name, workspace)
        yield Matches(name, join.path.name, counts.get(True, 0), counts.get(False, 0), counts.get(None, 0))


def _counts(read: ir.Table, column: str, workspace: Engine) -> dict[Any, int]:
    counts = workspace.fetch(_counting(read.schema(), column).bind(read=read))
    return {row["kind"]: row["n"] for row in counts.to_pylist()}


@compiled
def _counting(schema: ibis.Schema, column: str) -> ir.Table:
    read = placeholder("read", schema)
    return read.group_by(kind=read[column]).agg(n=read.count()).order_by("kind")

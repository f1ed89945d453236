"""Where a patient lives: LSOA of the postcode, its deprivation decile, distance to the site, and place.

The postcode is used in the join and nowhere else: no column of the result has it, and no message quotes it. The
ONS Postcode Directory has 2.7 million rows, so that it stays in Arrow and DuckDB, and only the rows that an extract
asks for are joined. A release of the English Indices of Deprivation goes with one set of LSOA codes, 2019 with 2011
and 2025 with 2021, and the two are never mixed. A patient without a known LSOA is kept, in the group "no IMD".
"""

import re
from functools import lru_cache
from pathlib import Path
from typing import Final

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc

from dnapredict.config.mapping_config import Geography, Join
from dnapredict.data.contract.parsing import null_if_missing_word, without_blanks
from dnapredict.data.engine.duckdb_engine import Workspace, compiled, placeholder
from dnapredict.data.engine.prepared_queries import Engine
from dnapredict.data.mapping.deprivation_lookup import AREAS, LAST_OF_2011, LSOA_HEADERS, PLACES, SITES
from dnapredict.data.mapping.file_joins import MATCHED, FileState, file_state, join_table, key, missing_column
from dnapredict.data.readers import table_file
from dnapredict.data.readers.csv_dialect import describe_columns
from dnapredict.errors import ConfigurationError, DataError

# The column of LSOA codes that `with_areas` adds; no file can have one of this name.
AREA_COLUMN: Final = "postcode::area"
# Name of the join in notes. A dot keeps it apart from the names of a mapping's own joins.
POSTCODES: Final = "geography.postcodes"
# Headers of the directory (ONSPD, NSPL) of any year, the variable-length form first: all are compared without spaces.
_POSTCODE: Final = re.compile(r"pcds|pcd[278]?|post ?code ?[123]?")
_DIRECTORY: Final = ibis.schema({"postcode": "string", "area": "string"})


def with_areas(table: ir.Table, geography: Geography, *, vintage: str, workspace: Engine, source: str) -> ir.Table:
    """`table` with the column `AREA_COLUMN`: the LSOA of the postcode in the column that `geography` names.

    Terminated postcodes are in the directory and are matched. Spaces, case and punctuation do not matter.

    Parameters
    ----------
    vintage
        The year of the LSOA codes that are wanted, "2011" or "2021"; "" for the newest that the file has.

    Raises
    ------
    DataError
        If the extract lacks the column, or the directory cannot be read, lacks a column, or holds a postcode twice
        with different areas.
    ConfigurationError
        If the directory does not have the LSOA codes of that year.
    """
    path, column = geography.postcodes, geography.postcode
    if path is None or column is None:
        return table
    if column not in table.columns:
        raise missing_column(source, column, table, expected=[column])
    directory = _directory(file_state(path), vintage)
    asked = workspace.fetch(_asked(table.schema(), column).bind(extract=table))["postcode"]
    found = directory.filter(pc.is_in(directory["postcode"], value_set=asked.combine_chunks()))
    kept = workspace.keep(found.combine_chunks())
    return workspace.view(_joined(table.schema(), column).bind(extract=table, directory=kept))


def normal_form(value: ir.Value) -> ir.StringValue:
    """A postcode in capitals without spaces and punctuation; null where nothing is recorded."""
    text = null_if_missing_word(without_blanks(value.cast("string")).nullif(""))
    return text.upper().re_replace("[^A-Z0-9]", "").nullif("")


@compiled
def _asked(schema: ibis.Schema, column: str) -> ir.Table:
    """Each postcode of the extract once."""
    extract = placeholder("extract", schema)
    asked = extract.select(postcode=normal_form(extract[column])).distinct()
    return asked.filter(asked.postcode.notnull())


@compiled
def _joined(schema: ibis.Schema, column: str) -> ir.Table:
    own = "postcode::own"
    extract = placeholder("extract", schema).mutate(**{own: lambda rows: normal_form(rows[column])})
    directory = placeholder("directory", _DIRECTORY)
    joined = extract.left_join(directory, extract[own] == directory.postcode)
    matched = ibis.ifelse(joined[own].notnull(), joined.postcode.notnull(), ibis.null("boolean"))
    return joined.select(*schema.names, **{AREA_COLUMN: joined.area, MATCHED + POSTCODES: matched})


@lru_cache(maxsize=2)
def _directory(state: FileState, vintage: str) -> pa.Table:
    """One row a postcode, with the LSOA of that year."""
    path = state[0]
    postcode, area = _columns(path, vintage)
    join = Join(path=path, match={"postcode": postcode})
    table = join_table(state, "postcodes", join, (area,), once=False)
    return table.rename_columns(["postcode", "area"]).cast(_DIRECTORY.to_pyarrow())


def _columns(path: Path, vintage: str) -> tuple[str, str]:
    """The names of the column of postcodes and of that of LSOA codes."""
    with Workspace() as workspace:
        headers = table_file.columns(path, workspace)
    postcodes = sorted(name for name in headers if _POSTCODE.fullmatch(name.strip().lower()))
    if not postcodes:
        raise DataError(
            f"{path}: no column holds postcodes. Expected 'pcds', 'pcd' or 'pcd2', as in the ONS Postcode Directory. "
            f"{describe_columns(headers)}"
        )
    areas = {year: name for year, header in LSOA_HEADERS.items() for name in headers if header.fullmatch(name.lower())}
    if not areas:
        raise DataError(
            f"{path}: no column holds LSOA codes. Expected 'lsoa21' or 'lsoa11', as in the ONS Postcode Directory. "
            f"{describe_columns(headers)}"
        )
    if vintage and vintage not in areas:
        raise ConfigurationError(
            f"{path}: holds LSOA codes of {max(areas)}, where those of {vintage} are wanted. Release 2019 of the "
            "indices goes with LSOA 2011, 2025 with LSOA 2021; do not mix them."
        )
    # 'pcds' sorts after the forms of fixed length, which can hold a postcode of seven characters without its space.
    return postcodes[-1], areas[vintage or max(areas)]


# A note about the LSOA code of each row, which `ingest` counts.
AREA: Final = "note_area"
# Name of the join of places in notes.
PLACES_JOIN: Final = "geography.places"
_BY_AREA: Final = frozenset(("imd_decile", "distance_km"))
_EARTH_KM: Final = 6_371.0088  # mean radius (IUGG)


def columns_added(geography: Geography, present: frozenset[str]) -> frozenset[str]:
    """The contract columns that `geography` adds to an extract with the columns `present`."""
    decile = {"imd_decile"} if geography.imd and "lsoa_code" in present else set()
    distance = {"distance_km"} if geography.sites and {"lsoa_code", "site_code"} <= present else set()
    place = {"place_code"} if geography.places and geography.places_by in present else set()
    return frozenset(decile | distance | place)


def area_of_postcode(table: ir.Table, own: ir.Value | None) -> ir.Value | None:
    """The LSOA of the postcode; that of the extract itself where it has one. None where there is neither."""
    if AREA_COLUMN not in table.columns:
        return own
    return table[AREA_COLUMN] if own is None else ibis.coalesce(key(own, loose=True), table[AREA_COLUMN])


def add_geography(table: ir.Table, geography: Geography, *, release: str, complete: bool) -> ir.Table:
    """Add decile, distance and place to `table`, whose columns have the contract's names.

    A distance or place in the extract is kept. A decile in the extract is kept where the mapping states its release;
    otherwise that of the lookup replaces it. The placeholders `areas`, `sites` and `places` are the tables of
    `data.mapping.deprivation_lookup`, and `release` and `complete` its attributes.
    """
    added = columns_added(geography, frozenset(table.columns))
    if not added:
        return table
    own = table.columns
    if "lsoa_code" in own:
        table = table.mutate(lsoa_code=key(table.lsoa_code, loose=True))
    if added & _BY_AREA:
        areas = placeholder("areas", AREAS)
        table = table.left_join(areas, table.lsoa_code == areas.area)
    if "distance_km" in added:
        table = _with_distance(table)
    if "imd_decile" in added:
        table = _with_decile(table, geography, release=release, complete=complete)
    if "place_code" in added:
        table = _with_place(table, geography)
    notes = (AREA, f"note_{PLACES_JOIN}")
    new = (name for name in (*sorted(added), *notes) if name not in own and name in table.columns)
    return table.select(*own, *new)


def _with_place(table: ir.Table, geography: Geography) -> ir.Table:
    places = placeholder("places", PLACES)
    code = key(table[geography.places_by], loose=True)
    table = table.left_join(places, code == places.place_key)
    place = table.place
    if "place_code" in table.columns:
        place = ibis.coalesce(null_if_missing_word(without_blanks(table.place_code.cast("string")).nullif("")), place)
    has_code = key(table[geography.places_by], loose=True).notnull()
    matched = ibis.ifelse(has_code, table.place_key.notnull(), ibis.null("boolean"))
    return table.mutate(place_code=place, **{f"note_{PLACES_JOIN}": matched})


def _with_decile(table: ir.Table, geography: Geography, *, release: str, complete: bool) -> ir.Table:
    decile = table.decile
    if geography.imd_release and "imd_decile" in table.columns:
        decile = _prefer_own(table.imd_decile, decile)
    kind = area_status(table.lsoa_code, found=table.decile.notnull(), release=release, complete=complete)
    return table.mutate(imd_decile=decile, **{AREA: kind})


def _with_distance(table: ir.Table) -> ir.Table:
    sites = placeholder("sites", SITES)
    table = table.left_join(sites, key(table.site_code, loose=True) == sites.site)
    here, there = (table.area_latitude, table.area_longitude), (table.site_latitude, table.site_longitude)
    distance = kilometres(here, there)
    if "distance_km" in table.columns:
        distance = _prefer_own(table.distance_km, distance)
    return table.mutate(distance_km=distance)


def _prefer_own(own: ir.Value, found: ir.NumericValue) -> ir.Value:
    """The extract's own value, as it is written; where it is blank, the value of the lookup."""
    if own.type().is_numeric():
        return ibis.coalesce(own, found)
    return ibis.coalesce(key(own, loose=True), found.cast("string"))


def kilometres(
    here: tuple[ir.FloatingValue, ir.FloatingValue], there: tuple[ir.FloatingValue, ir.FloatingValue]
) -> ir.FloatingValue:
    """Great-circle distance in km, to 0.1 km, between two points: latitude and longitude in degrees.

    The haversine formula (R. W. Sinnott, Sky and Telescope 68, 1984) on a sphere of the mean radius:
    within 0.6% of the distance on the ellipsoid. It is a straight line: a journey is longer.
    """
    half = (there[0] - here[0]).radians() / 2
    turn = (there[1] - here[1]).radians() / 2
    chord = half.sin() ** 2 + here[0].radians().cos() * there[0].radians().cos() * turn.sin() ** 2
    # Rounding may make the chord between antipodes larger than 1, where the arc sine is not defined.
    return (2 * _EARTH_KM * ibis.ifelse(chord > 1, 1.0, chord).sqrt().asin()).round(1)


def area_status(code: ir.StringValue, *, found: ir.BooleanValue, release: str, complete: bool) -> ir.StringValue:
    """Whether an LSOA code is known, blank, of another vintage, outside England or unknown to the lookup.

    Most codes of 2011 exist in 2021 too; areas that were split or merged have new codes, numbered from 33,769.
    A lower code that is missing from the complete list of 2021 is therefore one of 2011.
    """
    number = code.substr(3).try_cast("int64")
    earlier = (number <= LAST_OF_2011) & ibis.literal(complete)
    other = earlier if release == "2025" else number > LAST_OF_2011
    return ibis.cases(
        (code.isnull(), "blank"),
        (found, "known"),
        (~code.re_search(r"^E01[0-9]{6}$"), "outside England"),
        (other, "other vintage"),
        else_="unknown",
    )

"""Deprivation decile of a patient's LSOA, the distance from its centre to the site, and the place.

A release of the English Indices of Deprivation goes with one set of LSOA codes, 2019 with 2011 and 2025 with
2021, and the two are never mixed. A patient without a known LSOA is kept, in the group "no IMD".
"""

from typing import Final

import ibis
import ibis.expr.types as ir

from dnapredict.config.mapping_config import Geography
from dnapredict.data.contract.parsing import null_if_missing_word, without_blanks
from dnapredict.data.engine.bound_query import placeholder
from dnapredict.data.mapping.deprivation_lookup import AREAS, LAST_OF_2011, PLACES, SITES
from dnapredict.data.mapping.file_joins import key
from dnapredict.data.mapping.postcodes import AREA_COLUMN

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

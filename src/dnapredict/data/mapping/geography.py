"""Where patients live: the deprivation of an LSOA, and how far its centre is from the site.

A release of the English Indices of Deprivation goes with one vintage of LSOA codes, 2019 with 2011 and
2025 with 2021, and the two are never mixed. A patient without a known LSOA stays, in the group "no IMD".
"""

from typing import Final

import ibis
import ibis.expr.types as ir

from dnapredict.config.mapping_config import Geography
from dnapredict.data.engine.bound_query import placeholder
from dnapredict.data.mapping.deprivation_lookup import AREAS, LAST_OF_2011, SITES
from dnapredict.data.mapping.file_joins import key

# What an LSOA code turned out to be, beside each row until it has been counted.
AREA: Final = "told_area"
_EARTH_KM: Final = 6_371.0088  # mean radius (IUGG)


def fed(geography: Geography, present: frozenset[str]) -> frozenset[str]:
    """The contract columns that `geography` adds to an extract that has the columns `present`."""
    decile = {"imd_decile"} if geography.imd and "lsoa_code" in present else set()
    distance = {"distance_km"} if geography.sites and {"lsoa_code", "site_code"} <= present else set()
    return frozenset(decile | distance)


def located(table: ir.Table, geography: Geography, *, release: str, complete: bool) -> ir.Table:
    """`table`, whose columns have the contract's names, with decile and distance where they can be known.

    A distance that the extract has stays. A decile stays where the mapping says which release it is of;
    otherwise that of the lookup stands in its place. Areas and sites are filled in as the tables `areas`
    and `sites` (`data.mapping.deprivation_lookup`), of which `release` and `complete` tell.
    """
    feeds = fed(geography, frozenset(table.columns))
    if not feeds:
        return table
    own = table.columns
    areas = placeholder("areas", AREAS)
    table = table.mutate(lsoa_code=key(table.lsoa_code, loose=True))
    table = table.left_join(areas, table.lsoa_code == areas.area)
    if "distance_km" in feeds:
        table = _measured(table)
    if "imd_decile" in feeds:
        table = _with_decile(table, geography, release=release, complete=complete)
    added = (name for name in (*sorted(feeds), AREA) if name not in own and name in table.columns)
    return table.select(*own, *added)


def _with_decile(table: ir.Table, geography: Geography, *, release: str, complete: bool) -> ir.Table:
    decile = table.decile
    if geography.imd_release and "imd_decile" in table.columns:
        decile = _first(table.imd_decile, decile)
    kind = standing(table.lsoa_code, found=table.decile.notnull(), release=release, complete=complete)
    return table.mutate(imd_decile=decile, **{AREA: kind})


def _measured(table: ir.Table) -> ir.Table:
    sites = placeholder("sites", SITES)
    table = table.left_join(sites, key(table.site_code, loose=True) == sites.site)
    here, there = (table.area_latitude, table.area_longitude), (table.site_latitude, table.site_longitude)
    distance = kilometres(here, there)
    if "distance_km" in table.columns:
        distance = _first(table.distance_km, distance)
    return table.mutate(distance_km=distance)


def _first(own: ir.Value, found: ir.NumericValue) -> ir.Value:
    """What the extract holds, as it is written, and where it holds nothing what was found."""
    if own.type().is_numeric():
        return ibis.coalesce(own, found)
    return ibis.coalesce(key(own, loose=True), found.cast("string"))


def kilometres(
    here: tuple[ir.FloatingValue, ir.FloatingValue], there: tuple[ir.FloatingValue, ir.FloatingValue]
) -> ir.FloatingValue:
    """Great-circle distance in km, to 0.1 km, between two places: latitude and longitude in degrees.

    The haversine formula (R. W. Sinnott, Sky and Telescope 68, 1984) on a sphere of the mean radius:
    within 0.6% of the distance on the ellipsoid. As the crow flies: a journey is longer.
    """
    half = (there[0] - here[0]).radians() / 2
    turn = (there[1] - here[1]).radians() / 2
    chord = half.sin() ** 2 + here[0].radians().cos() * there[0].radians().cos() * turn.sin() ** 2
    # Rounding may carry the chord between antipodes past 1, where there is no arc sine.
    return (2 * _EARTH_KM * ibis.ifelse(chord > 1, 1.0, chord).sqrt().asin()).round(1)


def standing(code: ir.StringValue, *, found: ir.BooleanValue, release: str, complete: bool) -> ir.StringValue:
    """What an LSOA code is to the lookup: known, blank, other vintage, outside England or unknown.

    2021 kept most codes of 2011; those that it split or merged have new ones, numbered from 33,769 on. A
    code up to there that is missing from all of England's of 2021 is therefore one of before.
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

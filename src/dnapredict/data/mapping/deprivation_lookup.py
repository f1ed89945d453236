"""Read reference files: deprivation deciles, centroids of LSOAs, coordinates of sites, places."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import ibis
import pyarrow as pa

from dnapredict.config.mapping_config import Geography
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.mapping.file_joins import FileState, describe_rows, file_state, read_reference
from dnapredict.data.readers.csv_dialect import ROW_NUMBER, describe_columns
from dnapredict.errors import ConfigurationError, DataError

# Which LSOA codes a release of the indices is of.
VINTAGES: Final = {"2019": "2011", "2025": "2021"}
AREAS: Final = ibis.schema(
    {"area": "string", "decile": "int64", "area_latitude": "float64", "area_longitude": "float64"}
)
PLACES: Final = ibis.schema({"place_key": "string", "place": "string"})
SITES: Final = ibis.schema({"site": "string", "site_latitude": "float64", "site_longitude": "float64"})
# Codes that are new in 2021 have higher numbers.
LAST_OF_2011: Final = 33_768
_ENGLAND: Final = {"2011": 32_844, "2021": 33_755}
_CODE: Final = re.compile(r"E01[0-9]{6}")
_MANY: Final = 1_000  # areas of a care board; fewer may all have codes of 2011
_Coordinates = tuple[float | None, float | None]

# Headers of the indices' File 7, the Open Geography Portal, ONSPD, and plain ones.
LSOA_HEADERS: Final = {
    "2021": re.compile(r"lsoa code \(2021\)|lsoa21(cd|_code)?"),
    "2011": re.compile(r"lsoa code \(2011\)|lsoa11(cd|_code)?"),
}
_DECILE: Final = re.compile(r"index of multiple deprivation \(imd\) decile.*|imd[_ ]?decile")
_LATITUDE: Final = re.compile(r"lat(itude)?")
_LONGITUDE: Final = re.compile(r"long?|lng|longitude")
_PROVIDER: Final = re.compile(r"((provider|organisation|trust|ods)[ _]?)(code|identifier|cd)?|code")
_PLACE: Final = re.compile(r"place([ _]?(code|cd|name))?")
_SITE: Final = re.compile(r"((site|ods|organisation)[ _]?)?code|organisation site identifier")


@dataclass(frozen=True)
class AreaLookup:
    """Deprivation and coordinates of areas and sites.

    Attributes
    ----------
    release
        Of the deciles: "2019", "2025", or "" where it is not stated.
    areas
        `AREAS`: one row an LSOA; decile or coordinates may be missing.
    sites
        `SITES`: one row a site.
    places
        `PLACES`: one row for each LSOA or provider.
    vintage
        Of the LSOA codes of all files: "2011", "2021", or "" where no file has any.
    complete
        Whether it has all deciles of England, so that a code without one is of another vintage.
    """

    release: str
    areas: pa.Table
    sites: pa.Table
    places: pa.Table
    vintage: str
    complete: bool


def area_lookup(geography: Geography) -> AreaLookup:
    """Read the files that `geography` names; a file is read again only when it has changed.

    Raises
    ------
    DataError
        If a file cannot be read, lacks a column, or holds an impossible code, decile or coordinate.
    ConfigurationError
        If LSOA codes of two vintages would be mixed.
    """
    paths = (geography.imd, geography.centroids, geography.sites, geography.places)
    states = (path and file_state(path) for path in paths)
    return _area_lookup(*states, stated=geography.imd_release, places_by=geography.places_by)


@lru_cache(maxsize=4)
def _area_lookup(
    imd: FileState | None,
    centroids: FileState | None,
    sites: FileState | None,
    places: FileState | None,
    *,
    stated: str | None,
    places_by: str,
) -> AreaLookup:
    deciles = _deciles(imd[0]) if imd else _Listed()
    centres = _centroids(centroids[0]) if centroids else _Listed()
    named = _places(places[0], places_by) if places else _Listed()
    vintage = _one_vintage(stated, deciles, centres, named)
    release = stated or (next(r for r, of in VINTAGES.items() if of == vintage) if imd else "")
    complete = bool(imd) and len(deciles.values) >= _ENGLAND[vintage]
    areas = _areas(deciles.values, centres.values)
    return AreaLookup(release, areas, _sites(sites), _place_table(named.values), vintage, complete)


@dataclass(frozen=True)
class _Listed:
    """Values by code."""

    values: dict[str, Any] = field(default_factory=dict)
    vintage: str = ""
    path: Path = Path()


def _one_vintage(stated: str | None, *files: _Listed) -> str:
    vintage = VINTAGES[stated] if stated else ""
    for file in files:
        if vintage and file.vintage and file.vintage != vintage:
            raise ConfigurationError(
                f"{file.path}: holds LSOA codes of {file.vintage}, where those of {vintage} are wanted. "
                "Release 2019 of the indices goes with LSOA 2011, 2025 with LSOA 2021; do not mix them."
            )
        vintage = vintage or file.vintage
    return vintage


def _deciles(path: Path) -> _Listed:
    table = _ReferenceTable.read(path)
    vintage, areas = _lsoa(table)
    deciles = table.numbers(_DECILE, "IMD decile", lowest=1, highest=10)
    table.refuse([value is None or value % 1 != 0 for value in deciles], "IMD decile")
    values = table.by_code(areas, [int(value) for value in deciles if value is not None])
    _require_vintage(values, vintage, path)
    return _Listed(values, vintage, path)


def _require_vintage(areas: dict[str, Any], vintage: str, path: Path) -> None:
    """Refuse a file whose header names another vintage than its codes are of."""
    newest = max((int(code[3:]) for code in areas if _CODE.fullmatch(code)), default=0)
    is_2021 = newest > LAST_OF_2011
    if (vintage == "2011" and is_2021) or (vintage == "2021" and not is_2021 and len(areas) > _MANY):
        raise ConfigurationError(f"{path}: its header says LSOA {vintage}, its codes say another year.")


def _centroids(path: Path) -> _Listed:
    table = _ReferenceTable.read(path)
    vintage, areas = _lsoa(table)
    return _Listed(table.by_code(areas, table.coordinates()), vintage, path)


def _places(path: Path, key: str) -> _Listed:
    """The place of each LSOA or provider."""
    table = _ReferenceTable.read(path)
    if key == "lsoa_code":
        vintage, codes = _lsoa(table)
    else:
        vintage, codes = (
            "",
            [code and code.upper().replace(" ", "") for code in table.column(_PROVIDER, "provider code")],
        )
    return _Listed(table.by_code(codes, table.column(_PLACE, "place")), vintage, path)


def _place_table(places: dict[str, str | None]) -> pa.Table:
    rows = [{"place_key": code, "place": place} for code, place in places.items()]
    return pa.Table.from_pylist(rows, schema=PLACES.to_pyarrow())


def _sites(state: FileState | None) -> pa.Table:
    if state is None:
        return SITES.to_pyarrow().empty_table()
    table = _ReferenceTable.read(state[0])
    codes = [code and code.upper().replace(" ", "") for code in table.column(_SITE, "site code")]
    places = table.by_code(codes, table.coordinates())
    rows = [{"site": code, "site_latitude": at[0], "site_longitude": at[1]} for code, at in places.items()]
    return pa.Table.from_pylist(rows, schema=SITES.to_pyarrow())


def _areas(deciles: dict[str, int], places: dict[str, _Coordinates]) -> pa.Table:
    nowhere = (None, None)
    rows = [
        {
            "area": code,
            "decile": deciles.get(code),
            "area_latitude": places.get(code, nowhere)[0],
            "area_longitude": places.get(code, nowhere)[1],
        }
        for code in deciles | places
    ]
    return pa.Table.from_pylist(rows, schema=AREAS.to_pyarrow())


def _lsoa(table: "_ReferenceTable") -> tuple[str, list[str | None]]:
    """The vintage in the header, and the codes of the column."""
    for vintage, header in LSOA_HEADERS.items():
        if table.find(header):
            return vintage, [code and code.upper() for code in table.column(header, "")]
    raise DataError(
        f"{table.path}: no header says which LSOA codes it holds. Expected 'LSOA code (2021)' or 'LSOA21CD', "
        f"'LSOA code (2011)' or 'LSOA11CD'. {describe_columns(table.headers)}"
    )


@dataclass(frozen=True)
class _ReferenceTable:
    """A reference table as text, with its row numbers."""

    path: Path
    columns: dict[str, list[str | None]]
    row_numbers: list[int]

    @classmethod
    def read(cls, path: Path) -> "_ReferenceTable":
        with Workspace() as workspace:
            table = read_reference(path, workspace)
            text = table.select(ROW_NUMBER, **{c: table[c].cast("string") for c in table.columns[1:]})
            columns = workspace.backend.to_pyarrow(text).to_pydict()
        return cls(path, columns, columns.pop(ROW_NUMBER))

    @property
    def headers(self) -> list[str]:
        return list(self.columns)

    def find(self, header: re.Pattern[str]) -> str | None:
        return next((name for name in self.columns if header.fullmatch(name.strip().lower())), None)

    def column(self, header: re.Pattern[str], what: str) -> list[str | None]:
        name = self.find(header)
        if name is None:
            raise DataError(f"{self.path}: no column holds the {what}. It has: {', '.join(self.headers)}.")
        return [(text or "").strip() or None for text in self.columns[name]]

    def numbers(self, header: re.Pattern[str], what: str, *, lowest: float, highest: float) -> list[float | None]:
        """A column as numbers within bounds; None where it is blank."""
        numbers = [_number(text) for text in self.column(header, what)]
        self.refuse([n is not None and not lowest <= n <= highest for n in numbers], what)
        return numbers

    def coordinates(self) -> list[_Coordinates]:
        """Latitude and longitude in degrees (WGS 84)."""
        north = self.numbers(_LATITUDE, "latitude", lowest=-90, highest=90)
        return list(zip(north, self.numbers(_LONGITUDE, "longitude", lowest=-180, highest=180), strict=True))

    def by_code(self, codes: list[str | None], values: Sequence[Any]) -> dict[str, Any]:
        """Values by code; a row may be repeated, but a code may not have two values."""
        values_of: dict[str, Any] = {}
        for code, value in zip(codes, values, strict=True):
            if code is not None:
                values_of.setdefault(code, value)
        pairs = zip(codes, values, strict=True)
        self.refuse([code is not None and values_of[code] != value for code, value in pairs], "code")
        return values_of

    def refuse(self, wrong: Sequence[bool], what: str) -> None:
        numbers = [number for number, bad in zip(self.row_numbers, wrong, strict=True) if bad]
        if numbers:
            raise DataError(
                f"{self.path}: column with the {what}: {describe_rows(numbers)} with an impossible value, or "
                "with a second value for the same code. Correct the file."
            )


def _number(text: str | None) -> float | None:
    """The number; NaN, which is outside any bounds, where the text is no number."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return math.nan

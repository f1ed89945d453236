"""Where simulated patients live and where clinics are: real LSOAs by a lookup, or a made-up map."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from dnapredict.data.forms import require_file
from dnapredict.errors import DataError

__all__ = ["Places", "made_up", "real"]

AREAS: Final = 1_600  # LSOAs of an ICB of 2.7 million people
NEAREST: Final = 3  # sites that a patient may be sent to
_CENTRE: Final = (-2.85, 53.38)  # Cheshire and Merseyside, longitude and latitude
_KM_A_DEGREE: Final = 111.2
_TOWNS: Final = 7
_COLUMNS: Final = {
    "lsoa21_code": pa.string(),
    "imd_decile": pa.int64(),
    "longitude": pa.float64(),
    "latitude": pa.float64(),
}


@dataclass(frozen=True)
class Places:
    """The map of one simulated ICB.

    Attributes
    ----------
    geography
        Whether the areas are real, in words for the file's metadata.
    lsoa_codes : (AREAS,) str
    decile : (AREAS,) int
        1 is the most deprived.
    sites
        Site codes: the trust's three characters and two digits.
    nearest : (AREAS, 3) int
        Positions of the nearest sites.
    distance_km : (AREAS, sites)
        From the centre of the area to the site, in a straight line.
    """

    geography: str
    lsoa_codes: NDArray[np.str_]
    decile: NDArray[np.int64]
    sites: tuple[str, ...]
    nearest: NDArray[np.int64]
    distance_km: NDArray[np.float64]


@dataclass(frozen=True)
class _Areas:
    geography: str
    codes: NDArray[np.str_]
    decile: NDArray[np.int64]
    kilometres: NDArray[np.float64]  # east and north of an origin


def made_up(rng: np.random.Generator, *, sites: int) -> Places:
    """Towns with a poorer middle; deciles of equal size; codes that no real LSOA carries."""
    towns = rng.uniform((0, 0), (60, 45), size=(_TOWNS, 2))
    spread = rng.gamma(2.0, 2.0, size=(AREAS, 1))
    kilometres = towns[rng.integers(_TOWNS, size=AREAS)] + rng.normal(size=(AREAS, 2)) * spread
    wealth = np.log(spread[:, 0]) + rng.normal(scale=0.8, size=AREAS)
    decile = 1 + np.argsort(np.argsort(wealth)) * 10 // AREAS
    codes = np.array([f"E019{area:05d}" for area in range(AREAS)])
    return _settle(rng, _Areas("made up: no real LSOA", codes, decile, kilometres), sites=sites)


def real(lookup: Path, rng: np.random.Generator, *, sites: int) -> Places:
    """The areas of `lookup` nearest to Cheshire and Merseyside, with made-up hospital sites.

    Parameters
    ----------
    lookup
        CSV (may be gzipped) with lsoa21_code, imd_decile, longitude and latitude.

    Raises
    ------
    DataError
        If the file cannot be read, lacks a column, or holds too few areas.
    """
    table = _read(lookup)
    if table.num_rows < max(sites, NEAREST):
        raise DataError(f"{lookup}: holds {table.num_rows} areas with decile and place; {sites} are needed.")
    degrees = np.column_stack([table["longitude"].to_numpy(), table["latitude"].to_numpy()]) - _CENTRE
    kilometres = degrees * (_KM_A_DEGREE * np.cos(np.radians(_CENTRE[1])), _KM_A_DEGREE)
    near = np.sort(np.argsort(np.hypot(*kilometres.T), kind="stable")[:AREAS])
    codes = np.array(table["lsoa21_code"].take(near).to_pylist())
    decile = table["imd_decile"].to_numpy()[near]
    return _settle(rng, _Areas(f"LSOA 2021 from {lookup.name}", codes, decile, kilometres[near]), sites=sites)


def _read(lookup: Path) -> pa.Table:
    """Areas that have a place, and a decile from 1 to 10."""
    require_file(lookup)
    options = pa_csv.ConvertOptions(include_columns=list(_COLUMNS), column_types=_COLUMNS)
    try:
        table = pa_csv.read_csv(lookup, convert_options=options).drop_null()
    except (OSError, pa.ArrowInvalid, KeyError):
        raise DataError(f"{lookup}: is not a CSV with the columns {', '.join(_COLUMNS)}.") from None
    return table.filter((pc.field("imd_decile") >= 1) & (pc.field("imd_decile") <= 10))


def _settle(rng: np.random.Generator, areas: _Areas, *, sites: int) -> Places:
    """Put each site in an area of its own, and measure."""
    seats = areas.kilometres[rng.choice(len(areas.codes), size=sites, replace=False)]
    apart = areas.kilometres[:, None, :] - seats[None, :, :]
    distance = np.hypot(apart[..., 0], apart[..., 1])
    return Places(
        geography=areas.geography,
        lsoa_codes=areas.codes,
        decile=areas.decile,
        sites=tuple(_site_code(site) for site in range(sites)),
        nearest=np.argsort(distance, axis=1, kind="stable")[:, :NEAREST],
        distance_km=np.asarray(np.round(distance, 1), dtype=np.float64),
    )


def _site_code(site: int) -> str:
    """Four sites a trust: SYA01 to SYA04, SYB01 and so on, SY for synthetic."""
    return f"SY{chr(ord('A') + site // 4)}{site % 4 + 1:02d}"

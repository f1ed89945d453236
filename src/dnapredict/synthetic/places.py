"""The map of a simulated care board: areas, hospital sites and specialties."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from dnapredict.data.readers.file_type import require_file
from dnapredict.errors import DataError

AREAS: Final = 1_600  # LSOAs of an ICB of 2.7 million people
NEAREST: Final = 3  # sites that a patient may be sent to
_CENTRE: Final = (-2.85, 53.38)  # Cheshire and Merseyside, longitude and latitude
_KM_A_DEGREE: Final = 111.2
_TOWNS: Final = 7
_PLACES: Final = 9  # places of the care board
_COLUMNS: Final = {
    "lsoa21_code": pa.string(),
    "imd_decile": pa.int64(),
    "longitude": pa.float64(),
    "latitude": pa.float64(),
}


@dataclass(frozen=True)
class Places:
    """The map of one simulated integrated care board.

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

    @property
    def place_codes(self) -> tuple[str, ...]:
        """The place of each area: SYP1 to SYP9, by its nearest site."""
        return tuple(f"SYP{site % _PLACES + 1}" for site in self.nearest[:, 0].tolist())


@dataclass(frozen=True)
class _Areas:
    geography: str
    codes: NDArray[np.str_]
    decile: NDArray[np.int64]
    kilometres: NDArray[np.float64]  # east and north of an origin


def made_up_places(rng: np.random.Generator, *, sites: int) -> Places:
    """A made-up map: towns with a poorer centre, deciles of equal size, codes that no real LSOA has."""
    towns = rng.uniform((0, 0), (60, 45), size=(_TOWNS, 2))
    spread = rng.gamma(2.0, 2.0, size=(AREAS, 1))
    kilometres = towns[rng.integers(_TOWNS, size=AREAS)] + rng.normal(size=(AREAS, 2)) * spread
    wealth = np.log(spread[:, 0]) + rng.normal(scale=0.8, size=AREAS)
    decile = 1 + np.argsort(np.argsort(wealth)) * 10 // AREAS
    codes = np.array([f"E019{area:05d}" for area in range(AREAS)])
    return _with_sites(rng, _Areas("made up: no real LSOA", codes, decile, kilometres), sites=sites)


def real_places(lookup: Path, rng: np.random.Generator, *, sites: int) -> Places:
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
        raise DataError(f"{lookup}: holds {table.num_rows} areas with decile and coordinates; {sites} are needed.")
    degrees = np.column_stack([table["longitude"].to_numpy(), table["latitude"].to_numpy()]) - _CENTRE
    kilometres = degrees * (_KM_A_DEGREE * np.cos(np.radians(_CENTRE[1])), _KM_A_DEGREE)
    near = np.sort(np.argsort(np.hypot(*kilometres.T), kind="stable")[:AREAS])
    codes = np.array(table["lsoa21_code"].take(near).to_pylist())
    decile = table["imd_decile"].to_numpy()[near]
    return _with_sites(rng, _Areas(f"LSOA 2021 from {lookup.name}", codes, decile, kilometres[near]), sites=sites)


def _read(lookup: Path) -> pa.Table:
    """Areas of the lookup with coordinates and a decile from 1 to 10."""
    require_file(lookup)
    options = pa_csv.ConvertOptions(include_columns=list(_COLUMNS), column_types=_COLUMNS)
    try:
        table = pa_csv.read_csv(lookup, convert_options=options).drop_null()
    except (OSError, pa.ArrowInvalid, KeyError):
        raise DataError(f"{lookup}: is not a CSV with the columns {', '.join(_COLUMNS)}.") from None
    return table.filter((pc.field("imd_decile") >= 1) & (pc.field("imd_decile") <= 10))


def _with_sites(rng: np.random.Generator, areas: _Areas, *, sites: int) -> Places:
    """Place each site in a different area, and measure the distances."""
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


@dataclass(frozen=True)
class Specialty:
    """One treatment function.

    Attributes
    ----------
    code
        ACTIVITY TREATMENT FUNCTION CODE.
    share
        Relative number of pathways of children, of adults under 65, of the older (our assumption).
    female
        Share of its adult patients who are women, over that of a specialty open to all.
    remote
        Relative share of telephone and video.
    risk
        Log-odds of a DNA against the average. Published: hepatology 17% and oncology 6% where
        all specialties have 11.2% (Philpott-Morgan et al. 2021); the others are our assumption.
    """

    code: str
    share: tuple[float, float, float]
    female: float = 1.0
    remote: float = 1.0
    risk: float = 0.0


SPECIALTIES: Final = (
    Specialty("100", (2, 6, 5), remote=0.8),
    Specialty("101", (1, 4, 7), female=0.5, remote=1.1),
    Specialty("104", (0, 3, 4)),
    Specialty("110", (6, 12, 11), remote=0.6, risk=0.05),
    Specialty("120", (8, 6, 6), remote=0.6, risk=0.1),
    Specialty("130", (5, 5, 16), remote=0.2, risk=-0.1),
    Specialty("140", (5, 4, 2), remote=0.5, risk=0.2),
    Specialty("300", (0, 4, 4), remote=1.3),
    Specialty("301", (1, 6, 5), remote=1.6, risk=0.15),
    Specialty("306", (0, 1.5, 1), remote=1.2, risk=0.47),
    Specialty("320", (1, 5, 9), remote=1.2, risk=-0.05),
    Specialty("330", (4, 7, 7), remote=0.5),
    Specialty("340", (1, 4, 6), remote=1.5, risk=0.15),
    Specialty("370", (0, 3, 5), remote=1.9, risk=-0.62),
    Specialty("410", (1, 4, 4), remote=1.5, risk=-0.15),
    Specialty("420", (45, 0, 0), remote=1.2, risk=0.1),
    Specialty("502", (0, 10, 3), female=2.0, remote=0.8, risk=-0.05),
    Specialty("650", (3, 8, 6), remote=1.1, risk=0.25),
)


def _mix() -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Cumulative share of each specialty, a row for each of 3 ages x (man, woman)."""
    rows = []
    for age in range(3):
        for woman in (False, True):
            tilt = [1.0 if age == 0 else each.female if woman else 2 - each.female for each in SPECIALTIES]
            share = np.array([each.share[age] for each in SPECIALTIES]) * tilt
            rows.append(np.cumsum(share) / share.sum())
    return np.array(rows)


MIX: Final = _mix()
RISK: Final = np.array([each.risk for each in SPECIALTIES])
REMOTE_SHARE: Final = np.array([each.remote for each in SPECIALTIES])
# SOURCE OF REFERRAL FOR OUT-PATIENTS; the shares are our assumption.
REFERRALS: Final = ("03", "05", "04", "01", "13", "14", "15", "06", "92", "12", "97")
REFERRAL_SHARE: Final = (0.55, 0.15, 0.08, 0.05, 0.03, 0.04, 0.03, 0.02, 0.02, 0.02, 0.01)

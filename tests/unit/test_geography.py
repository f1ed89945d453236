"""Deprivation and distance: one release with its own LSOA codes, and nobody dropped for want of one."""

import csv
import math
from pathlib import Path

import ibis
import pyarrow as pa
import pytest

from dnapredict.config.mapping_config import Geography, Mapping
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.mapping.deprivation_lookup import area_lookup
from dnapredict.data.mapping.geography import kilometres
from dnapredict.data.validation import contract_check
from dnapredict.data.validation.checked import Checked
from dnapredict.errors import ConfigurationError, DataError

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
# As the ministry's File 7 heads its columns.
DECILE = "Index of Multiple Deprivation (IMD) Decile (where 1 is most deprived 10% of LSOAs)"
OF_2019 = ["LSOA code (2011)", "LSOA name (2011)", "Local Authority District code (2019)", DECILE]
OF_2025 = ["LSOA code (2021)", "LSOA name (2021)", "Local Authority District code (2024)", DECILE]


def written(path: Path, header: list[str], *rows: list[object]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


@pytest.fixture
def release_2019(tmp_path: Path) -> Path:
    rows = (["E01000001", "A", "x", 8], ["E01000005", "B", "x", 1])
    return written(tmp_path / "File_7_2019.csv", OF_2019, *rows)


@pytest.fixture
def release_2025(tmp_path: Path) -> Path:
    """As long as England's, since only then a code that is missing is none of 2021."""
    others = ([f"E0103{number:04d}", "x", "x", 5] for number in range(3_769, 3_769 + 6_000))
    rest = ([f"E0101{number:04d}", "x", "x", 6] for number in range(10_000 - 1))
    more = ([f"E0102{number:04d}", "x", "x", 7] for number in range(10_000 - 1))
    last = ([f"E0100{number:04d}", "x", "x", 2] for number in range(2, 7_759))
    first = ["E01000001", "City 001A", "E09000001", 9]
    return written(tmp_path / "File_7_2025.csv", OF_2025, first, *others, *rest, *more, *last)


def appointments_with(**columns: list) -> pa.Table:
    """An extract of valid appointments with these further columns."""
    length = len(next(iter(columns.values())))
    return pa.table(
        {
            "row_number": pa.array(range(2, length + 2), pa.int64()),
            "appointment_id": [f"a{row}" for row in range(length)],
            "booked_at": ["2025-01-02"] * length,
            "starts_at": ["2025-02-01"] * length,
        }
        | {name: pa.array(values, pa.string()) for name, values in columns.items()}
    )


def read(mapping: Mapping, **columns: list) -> tuple[Checked, list[dict]]:
    with Workspace() as workspace:
        extract = workspace.keep(appointments_with(**columns))
        checked = contract_check.check(extract, workspace, mapping=mapping, source="list.csv")
        return checked, workspace.fetch(f"FROM {checked.rows.get_name()} ORDER BY row_number").to_pylist()


def deciles(rows: list[dict]) -> list[int | None]:
    return [row["imd_decile"] for row in rows]


def of(**geography: object) -> Mapping:
    return Mapping(geography=Geography(**geography))


def test_the_published_file_names_its_release_and_gives_the_decile(release_2019: Path):
    checked, rows = read(of(imd=release_2019), lsoa_code=["E01000001", "e01000005 ", None, "E01099999"])
    assert deciles(rows) == [8, 1, None, None]
    assert (checked.ingest.areas.release, checked.ingest.areas.vintage) == ("2019", "2011")
    assert "imd_decile" in checked.present


def test_nobody_is_dropped_for_want_of_an_area_and_each_want_is_counted(release_2025: Path):
    codes = ["E01000001", None, "E01032999", "W01000001", "E01099999"]
    checked, rows = read(of(imd=release_2025), lsoa_code=codes)
    assert deciles(rows) == [9, None, None, None, None]
    assert dict(checked.ingest.areas.rows) == {
        "known": 1,
        "blank": 1,
        "other vintage": 1,  # of 2011: England's whole list of 2021 does not have it
        "outside England": 1,
        "unknown": 1,
    }
    assert str(checked.ingest.areas) == (
        "IMD deciles: release 2025, LSOA 2021; no IMD for 4 rows (1 without LSOA, 1 with an LSOA of another "
        "year's codes, 1 with what is no English LSOA, 1 with an LSOA that the lookup lacks)."
    )


def test_codes_of_2021_are_told_apart_under_the_release_of_2019(release_2019: Path):
    checked, rows = read(of(imd=release_2019), lsoa_code=["E01000001", "E01033769", "E01000002"])
    assert deciles(rows) == [8, None, None]
    assert dict(checked.ingest.areas.rows) == {"known": 1, "other vintage": 1, "unknown": 1}


def test_deciles_of_unknown_release_give_way_to_those_of_the_lookup(release_2019: Path):
    _, rows = read(of(imd=release_2019), lsoa_code=["E01000001", None], imd_decile=["3", "4"])
    assert deciles(rows) == [8, None]


def test_deciles_of_the_same_release_stay_and_the_lookup_fills_the_rest(release_2019: Path):
    mapping = of(imd=release_2019, imd_release="2019")
    _, rows = read(mapping, lsoa_code=["E01000001", "E01000001", None], imd_decile=["3", " ", "4"])
    assert deciles(rows) == [3, 8, 4]


def test_a_release_is_recorded_without_any_lookup():
    checked, rows = read(of(imd_release="2019"), imd_decile=["3"])
    assert deciles(rows) == [3]
    assert checked.ingest.sentences == ("IMD deciles: release 2019, LSOA 2011.",)


def test_the_two_releases_are_never_mixed(release_2019: Path, tmp_path: Path):
    with pytest.raises(ConfigurationError, match=r"File_7_2019.csv: holds LSOA codes of 2011, where .* 2021"):
        read(of(imd=release_2019, imd_release="2025"), lsoa_code=["E01000001"])
    centres = written(tmp_path / "c.csv", ["LSOA21CD", "lat", "long"], ["E01000001", 53.0, -2.9])
    sites = written(tmp_path / "s.csv", ["site_code", "latitude", "longitude"], ["RX1", 53.0, -2.9])
    with pytest.raises(ConfigurationError, match=r"c.csv: holds LSOA codes of 2021, where those of 2011"):
        read(of(imd=release_2019, centroids=centres, sites=sites), lsoa_code=["E01000001"])


def test_a_header_that_says_another_year_than_the_codes_is_refused(tmp_path: Path):
    wrong = written(tmp_path / "wrong.csv", OF_2019, ["E01033769", "A", "x", 8])
    with pytest.raises(ConfigurationError, match=r"its header says LSOA 2011, its codes say another year"):
        read(of(imd=wrong), lsoa_code=["E01000001"])


def test_a_file_of_no_known_vintage_is_refused(tmp_path: Path):
    plain = written(tmp_path / "plain.csv", ["lsoa", "decile"], ["E01000001", 8])
    with pytest.raises(DataError, match=r"plain.csv: no header says which LSOA codes it holds"):
        read(of(imd=plain), lsoa_code=["E01000001"])


@pytest.mark.parametrize("decile", [0, 11, 1.5, "ten", ""])
def test_a_lookup_with_what_is_no_decile_is_refused_by_row(tmp_path: Path, decile: object):
    wrong = written(tmp_path / "wrong.csv", OF_2019, ["E01000001", "A", "x", 8], ["E01000002", "B", "x", decile])
    with pytest.raises(DataError, match=r"wrong.csv: column with the IMD decile: 1 row \(row 3\)"):
        read(of(imd=wrong), lsoa_code=["E01000001"])


def test_a_lookup_that_contradicts_itself_is_refused_by_row(tmp_path: Path):
    rows = (["E01000001", "A", "x", 8], ["E01000001", "A", "x", 8], ["E01000001", "A", "x", 9])
    with pytest.raises(DataError, match=r"code: 1 row \(row 4\) with .* a second value"):
        read(of(imd=written(tmp_path / "twice.csv", OF_2019, *rows)), lsoa_code=["E01000001"])


def test_distance_is_from_the_areas_centre_to_the_site_where_both_are_known(tmp_path: Path):
    centres = written(tmp_path / "c.csv", ["LSOA21CD", "lat", "long"], ["E01000001", 53.4084, -2.9916])
    sites = written(tmp_path / "s.csv", ["Site Code", "Latitude", "Longitude"], ["RBN01", 53.1905, -2.8926])
    lsoa, site = ["E01000001", "E01000001", None, "E01000001"], ["rbn01", "RX9", "RBN01", "RBN01"]
    mapping = of(centroids=centres, sites=sites)
    checked, rows = read(mapping, lsoa_code=lsoa, site_code=site, distance_km=[None, None, None, "4.5"])
    # Liverpool to Chester, as the crow flies
    assert [row["distance_km"] for row in rows] == [25.1, None, None, 4.5]
    assert "distance_km" in checked.present
    assert checked.ingest.sentences == ()


def test_a_distance_needs_two_ends(tmp_path: Path):
    with pytest.raises(ValueError, match="a distance needs both 'centroids' and 'sites'"):
        Geography(centroids=tmp_path / "c.csv")


@pytest.mark.parametrize(
    ("here", "there", "expected"),
    [
        ((51.4778, 0.0), (51.4778, 0.0), 0.0),
        ((90.0, 0.0), (-90.0, 0.0), math.pi * 6_371.0088),  # from pole to pole
        ((0.0, 0.0), (0.0, 180.0), math.pi * 6_371.0088),
        ((0.0, 0.0), (0.0, 1.0), math.pi * 6_371.0088 / 180),
        ((51.5074, -0.1278), (55.9533, -3.1883), 534.0),  # London to Edinburgh
    ],
)
def test_the_haversine_formula(here: tuple, there: tuple, expected: float):
    place = ibis.memtable({"a": [here[0]], "b": [here[1]], "c": [there[0]], "d": [there[1]]})
    distance = ibis.duckdb.connect().execute(kilometres((place.a, place.b), (place.c, place.d)))[0]
    assert distance == pytest.approx(expected, abs=0.06 if expected != 534.0 else 0.5)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the folder of shared data is not here")
def test_the_whole_of_england_and_real_sites():
    areas = SHARED / "england_lsoa21_iod2025.csv.gz"
    sites = SHARED / "nhs_sites_cheshire_merseyside_2014.csv"
    found = area_lookup(Geography(imd=areas, centroids=areas, sites=sites))
    assert (found.release, found.complete, found.areas.num_rows) == ("2025", True, 33_755)
    checked, rows = read(of(imd=areas, centroids=areas, sites=sites), lsoa_code=["E01000001"], site_code=["R1D34"])
    assert deciles(rows) == [8]
    assert rows[0]["distance_km"] == pytest.approx(238.8, abs=0.2)
    assert dict(checked.ingest.areas.rows) == {"known": 1}

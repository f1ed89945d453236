"""The place of a patient or a provider, by a lookup that the trust gives."""

from pathlib import Path

import pytest
from tests.unit.test_postcodes import check, directory, written

from dnapredict.config.mapping_config import Geography, Mapping
from dnapredict.errors import ConfigurationError, DataError


def of(**geography: object) -> Mapping:
    return Mapping(geography=Geography(**geography))


@pytest.fixture
def places(tmp_path: Path) -> Path:
    """Some places of Cheshire and Merseyside, and areas that are made up."""
    rows = (["E01033801", "Wirral"], ["E01033802", "Halton"], ["E01033803", "St Helens"])
    return written(tmp_path / "places.csv", ["LSOA21CD", "Place"], *rows)


def test_the_place_of_the_area_where_the_patient_lives(places: Path):
    checked, rows = check(of(places=places), lsoa_code=["E01033801", "e01033803 ", "E01099999", None])
    assert rows["place_code"].to_pylist() == ["Wirral", "St Helens", None, None]
    assert "place_code" in checked.present
    assert checked.ingest.sentences == ("places (places.csv): 1 of 3 rows found no match (33.3%); 1 have no key.",)


def test_the_place_of_the_provider(tmp_path: Path):
    path = written(tmp_path / "places.csv", ["Provider code", "Place code"], ["RBL", "Wirral"], ["RBN", "St Helens"])
    checked, rows = check(of(places=path, places_by="provider_code"), provider_code=["RBL", "rbn", "RXX", None])
    assert rows["place_code"].to_pylist() == ["Wirral", "St Helens", None, None]
    assert rows["provider_code"].to_pylist() == ["RBL", "rbn", "RXX", None]
    assert checked.ingest.matches[0].unmatched == 1


def test_a_postcode_gives_the_area_and_the_area_the_place(tmp_path: Path, places: Path):
    mapping = of(postcode="Postcode", postcodes=directory(tmp_path), places=places)
    checked, rows = check(mapping, Postcode=["zy11aa", "ZY1 1AB", "ZY9 9ZZ"])
    assert rows["place_code"].to_pylist() == ["Wirral", "Halton", None]
    assert [match.name for match in checked.ingest.matches] == ["postcodes", "places"]


def test_a_place_that_the_extract_has_is_kept(places: Path):
    _, rows = check(of(places=places), lsoa_code=["E01033801", "E01033801"], place_code=["Sefton", "N/A"])
    assert rows["place_code"].to_pylist() == ["Sefton", "Wirral"]


def test_without_the_column_to_look_it_up_by_there_is_no_place(places: Path):
    checked, rows = check(of(places=places), site_code=["RBL01"])
    assert rows["place_code"].to_pylist() == [None]
    assert "place_code" not in checked.present


def test_areas_of_another_year_are_not_mixed_with_those_of_the_deprivation(tmp_path: Path, places: Path):
    imd = written(tmp_path / "2019.csv", ["LSOA code (2011)", "IMD decile"], ["E01000001", 3])
    with pytest.raises(ConfigurationError, match=r"places\.csv: holds LSOA codes of 2021, where those of 2011"):
        check(of(imd=imd, places=places), lsoa_code=["E01000001"])


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (["LSOA21CD", "Borough"], "no column holds the place"),
        (["Area", "Place"], "no header says which LSOA codes it holds"),
    ],
)
def test_a_lookup_of_another_form_is_refused(tmp_path: Path, header: list[str], message: str):
    path = written(tmp_path / "places.csv", header, ["E01033801", "Wirral"])
    with pytest.raises(DataError, match=message):
        check(of(places=path), lsoa_code=["E01033801"])


def test_an_area_in_two_places_is_refused(tmp_path: Path):
    rows = (["E01033801", "Wirral"], ["E01033801", "Halton"])
    path = written(tmp_path / "places.csv", ["LSOA21CD", "Place"], *rows)
    with pytest.raises(DataError, match=r"places\.csv: column with the code: 1 row \(row 3\)"):
        check(of(places=path), lsoa_code=["E01033801"])

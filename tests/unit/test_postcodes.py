"""A postcode becomes an LSOA by a made-up directory of the form of the ONS Postcode Directory, and goes no further."""

import csv
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pytest
from tests.spec.appointments import cells
from tests.unit.test_geography import appointments_with

from dnapredict.config.mapping_config import Geography, Mapping, load_mapping
from dnapredict.data.engine.duckdb_engine import Workspace, compiled, placeholder
from dnapredict.data.engine.prepared_queries import borrow_engine
from dnapredict.data.mapping.apply_mapping import columns_supplied
from dnapredict.data.validation import contract_check
from dnapredict.data.validation.checked import Checked
from dnapredict.errors import ConfigurationError, DataError

# Made up: no such postcode exists. The second one was terminated in 2019; the last two are not in England.
DIRECTORY = """
    pcd     | pcd2     | pcds    | dointr | doterm | lsoa11    | lsoa21
    ZY1 1AA | ZY1  1AA | ZY1 1AA | 198001 |        | E01000001 | E01033801
    ZY1 1AB | ZY1  1AB | ZY1 1AB | 198001 | 201912 | E01000002 | E01033802
    ZY123CD | ZY12 3CD | ZY123CD | 198001 |        | E01000003 | E01033803
    ZX1 1AA | ZX1  1AA | ZX1 1AA | 198001 |        | S01000001 | S01000001
    ZW1 1AA | ZW1  1AA | ZW1 1AA | 198001 |        |           |
"""
LSOA = ["LSOA code (2021)", "IMD decile"]


def written(path: Path, header: list[str], *rows: list[object]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def directory(folder: Path, *columns: str) -> Path:
    """The directory with these of its columns, or all."""
    header, *rows = cells(DIRECTORY)
    kept = [header.index(name) for name in columns or header]
    return written(folder / "ONSPD.csv", *([row[index] for index in kept] for row in (header, *rows)))


def check(mapping: Mapping, **columns: list) -> tuple[Checked, pa.Table]:
    """The extract with these columns, checked, and its valid rows."""
    with Workspace() as workspace:
        extract = workspace.keep(appointments_with(**columns))
        checked = contract_check.check(extract, workspace, mapping=mapping, source="extract.csv")
        return checked, workspace.backend.to_pyarrow(checked.rows)


def found(mapping: Mapping, *written_postcodes: str | None) -> tuple[list[str | None], tuple[str, ...]]:
    """The LSOA of each, and what the report says."""
    checked, rows = check(mapping, Postcode=list(written_postcodes))
    return rows["lsoa_code"].to_pylist(), checked.ingest.sentences


def mapped(folder: Path, **geography: object) -> Mapping:
    return Mapping(geography=Geography(postcode="Postcode", postcodes=folder / "ONSPD.csv", **geography))


AREAS = {
    "ZY1 1AA": "E01033801",
    "zy11aa": "E01033801",
    " Zy1  1aA ": "E01033801",
    "ZY1\u00a01AA": "E01033801",
    "ZY1-1AA": "E01033801",
    "ZY1 1AB": "E01033802",  # terminated: the patient still lives there
    "ZY12 3CD": "E01033803",
    "ZX1 1AA": "S01000001",
    "ZW1 1AA": None,  # in the directory, which has no area for it
    "ZY1 1ZZ": None,
    "ZY1": None,
    "ZZ99 3VZ": None,  # the NHS's own code for "no fixed abode"
    "N/A": None,
    "not known": None,
    "-": None,
    "": None,
    None: None,
}


@pytest.mark.parametrize("column", ["pcd", "pcd2", "pcds"])
def test_each_way_to_write_a_postcode_in_each_column_of_the_directory(tmp_path, column):
    directory(tmp_path, column, "lsoa21")
    areas, _ = found(mapped(tmp_path), *AREAS)
    assert dict(zip(AREAS, areas, strict=True)) == AREAS


def test_rows_without_a_match_and_without_a_postcode_are_counted_apart(tmp_path):
    directory(tmp_path)
    _, told = found(mapped(tmp_path), "ZY1 1AA", "ZY9 9ZZ", "N/A", None, "ZY1 1AB")
    assert told == ("postcodes (ONSPD.csv): 1 of 3 rows found no match (33.3%); 2 have no key.",)


def test_the_areas_are_of_the_year_that_the_deprivation_goes_with(tmp_path):
    directory(tmp_path)
    of_2011 = written(tmp_path / "2019.csv", ["LSOA code (2011)", "IMD decile"], ["E01000001", 3])
    of_2021 = written(tmp_path / "2025.csv", LSOA, ["E01033801", 4])
    for path, area, decile in ((of_2011, "E01000001", 3), (of_2021, "E01033801", 4)):
        checked, rows = check(mapped(tmp_path, imd=path), Postcode=["zy11aa"])
        assert (rows["lsoa_code"].to_pylist(), rows["imd_decile"].to_pylist()) == ([area], [decile])
        assert {"lsoa_code", "imd_decile"} <= checked.present
    assert found(mapped(tmp_path, imd_release="2019"), "zy11aa")[0] == ["E01000001"]


def test_a_directory_without_the_areas_of_that_year_is_refused(tmp_path):
    directory(tmp_path, "pcds", "lsoa21")
    with pytest.raises(
        ConfigurationError, match=r"ONSPD\.csv: holds LSOA codes of 2021, where those of 2011 are wanted"
    ):
        found(mapped(tmp_path, imd_release="2019"), "ZY1 1AA")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (("lsoa21", "doterm"), r"no column holds postcodes\. Expected 'pcds', 'pcd' or 'pcd2'"),
        (("pcds", "doterm"), r"no column holds LSOA codes\. Expected 'lsoa21' or 'lsoa11'"),
    ],
)
def test_a_file_of_another_form_is_refused_with_what_was_expected(tmp_path, columns, message):
    directory(tmp_path, *columns)
    with pytest.raises(DataError, match=message):
        found(mapped(tmp_path), "ZY1 1AA")


def test_an_area_of_the_extract_itself_is_kept(tmp_path):
    directory(tmp_path)
    _, rows = check(mapped(tmp_path), Postcode=["ZY1 1AA", "ZY1 1AB"], lsoa_code=["E01000009", " "])
    assert rows["lsoa_code"].to_pylist() == ["E01000009", "E01033802"]


def test_a_postcode_of_a_joined_file_is_looked_up_too(tmp_path):
    directory(tmp_path)
    written(tmp_path / "patients.csv", ["PATNO", "Home"], ["1", "ZY1 1AB"])
    text = """
        [files.patients]
        path = "patients.csv"
        match = { "Patient" = "PATNO" }
        [geography]
        postcode = "patients.Home"
        postcodes = "ONSPD.csv"
    """
    (tmp_path / "mapping.toml").write_text(text)
    mapping = load_mapping(tmp_path / "mapping.toml")
    assert check(mapping, Patient=["1", "2"])[1]["lsoa_code"].to_pylist() == ["E01033802", None]
    assert "lsoa_code" in columns_supplied(["Patient"], mapping)


def test_a_postcode_without_a_directory_and_an_extract_without_the_column_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"'postcode' .* and 'postcodes' .* go together"):
        Geography(postcode="Postcode")
    directory(tmp_path)
    with pytest.raises(DataError, match=r"extract\.csv: column 'Postcode', which the mapping asks for, is missing"):
        check(mapped(tmp_path), Home=["ZY1 1AA"])


def test_a_postcode_with_two_areas_is_refused_by_row_number_and_not_by_name(tmp_path):
    written(tmp_path / "ONSPD.csv", ["pcds", "lsoa21"], ["ZY1 1AA", "E01000001"], ["ZY11AA", "E01000002"])
    with pytest.raises(DataError, match=r"ONSPD\.csv: .* with different values: 2 rows \(rows 2, 3\)") as refused:
        found(mapped(tmp_path), "ZY1 1AA")
    assert "ZY1" not in str(refused.value)


MARKED = "ZQ77 7QZ"


def test_the_postcode_is_in_no_column_of_the_result_and_in_no_message(tmp_path, caplog, capsys):
    directory(tmp_path)
    checked, rows = check(mapped(tmp_path), Postcode=["ZY1 1AA", MARKED, "ZY1 1AB"])
    marks = ("ZQ77", "ZY1", "7QZ", "1AA")
    texts = [str(rows.to_pylist()), *checked.ingest.sentences, caplog.text, *capsys.readouterr()]
    assert not [mark for mark in marks for text in texts if mark in text]
    assert not {name for name in rows.column_names if "ostcode" in name}


def test_a_list_of_few_rows_is_matched_as_an_extract_is(tmp_path):
    directory(tmp_path)
    table = pa.table(
        {
            "row_number": [2],
            "appointment_id": ["a"],
            "booked_at": ["2025-01-02"],
            "starts_at": ["2025-02-01"],
            "Postcode": ["zy1 1ab"],
        }
    )
    with borrow_engine(rows=1) as engine:
        for _ in range(2):  # planned, and planned before
            checked = contract_check.check(engine.keep(table), engine, mapping=mapped(tmp_path), source="list")
            rows = engine.fetch(everything(checked.rows.schema()).bind(rows=checked.rows))
            assert rows["lsoa_code"].to_pylist() == ["E01033802"]


@compiled
def everything(schema):
    return placeholder("rows", schema)


def test_the_directory_does_not_become_python_objects(tmp_path):
    """Of 200,000 postcodes and areas Python would need 25 MB; Arrow and DuckDB hold their own memory."""
    rows = ([f"ZY{n % 100} {n // 100 % 10}{n // 1000:03d}", f"E010{n % 30_000:05d}"] for n in range(200_000))
    written(tmp_path / "ONSPD.csv", ["pcds", "lsoa21"], *rows)
    mapping = mapped(tmp_path)
    tracemalloc.start()
    try:
        assert found(mapping, "zy7 3012") == (
            ["E01012307"],
            ("postcodes (ONSPD.csv): 0 of 1 rows found no match (0.0%).",),
        )
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 12_000_000

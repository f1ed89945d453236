"""Files of opt-outs: which patients of a list they mean, and what is refused rather than guessed."""

import json
from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest

from dnapredict.config.mapping_config import Mapping
from dnapredict.data.files.digests import keyed_hash, sealed_json, unsealed_json
from dnapredict.data.mapping.pseudonyms import KEY_VARIABLE, pseudonym
from dnapredict.errors import ConfigurationError, StoreError
from dnapredict.worklist.calls.stated_opt_outs import StatedOptOuts
from dnapredict.worklist.plan.opt_outs import patients_in_file

# The lines of a file, with " ; " between, and the patients 0005913, Ab17 and 9434765919 of a list who are in it.
FILES = """
    file                                                  | opted out
    patient_id ; 0005913                                  | 0005913
    patient_id ; 5913.0                                   | 0005913
    5913 ; Ab17                                           | 0005913 Ab17
    NHS Number ; 943 476 5919                             | 9434765919
    Name,Hospital No,Since ; "Mark, Zofia",Ab17,2026      | Ab17
    patient_id ; ; Ab17 ;                                 | Ab17
    patient_id                                            |
    patient_id ; 591 ; ab17 ; 59130                       |
"""
KEY = "made up, and longer than thirty-two bytes"
LISTED = pa.chunked_array([["0005913", "Ab17", None, "9434765919", "Ab17"]])


def written(folder: Path, text: str) -> Path:
    path = folder / "opt-outs.csv"
    path.write_text("\n".join(line.strip() for line in text.split(" ;")), encoding="utf-8")
    return path


@pytest.mark.parametrize("line", FILES.strip().splitlines()[1:], ids=lambda line: line.split("|")[0].strip())
def test_the_patients_of_a_file_are_found_whatever_a_spreadsheet_made_of_their_numbers(tmp_path: Path, line: str):
    text, found = (cell.strip() for cell in line.split("|"))
    assert patients_in_file(written(tmp_path, text), LISTED).to_pylist() == found.split()


REFUSED = """
    file                               | sentence
                                       | is empty. If nobody opted out, keep the name of its column in it
    name,since ; Mark-Zofia,2026       | has 2 columns and none has a name of a patient's number
    NHS Number ; 9.43477E+09 ; 1       | holds 1 numbers in scientific notation, of which only the first digits are left (rows 2)
"""


@pytest.mark.parametrize("line", REFUSED.strip("\n").splitlines()[1:], ids=lambda line: line.split("|")[1].strip())
def test_a_file_in_which_a_patient_could_be_missed_is_refused_without_a_value(tmp_path: Path, line: str):
    text, sentence = (cell.strip() for cell in line.split("|"))
    with pytest.raises(ConfigurationError) as refused:
        patients_in_file(written(tmp_path, text), LISTED)
    assert sentence in str(refused.value)
    assert "Mark" not in str(refused.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="No list is scored without it"):
        patients_in_file(tmp_path / "none.csv", LISTED)


def test_numbers_of_the_file_become_pseudonyms_as_those_of_the_list_do(tmp_path: Path, monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    mapping = Mapping.model_validate({"columns": {"patient_id": {"from": "NHS No", "pseudonymise": True}}})
    own, other = (pseudonym(number, key=KEY.encode(), kind="nhs") for number in ("9434765919", "9000000009"))
    for line in ("943-476-5919", str(own)):
        path = written(tmp_path, f"NHS number ; {line} ; TBC")
        assert patients_in_file(path, pa.chunked_array([[own, other]]), mapping=mapping).to_pylist() == [own]


# What lists state in turn: patients p and q, Y or N or nothing in the column opt_out; and who is not called after it.
STATEMENTS = """
    lists                    | not called
    p=Y                      | p
    p=Y, p=                  | p
    p=Y, q=N                 | p
    p=Y, p=N                 |
    p=Y, p=N, p=Y            | p
    p=Y q=Y, q=N             | p
    p=N, p=                  |
    p=Y p=N                  | p
"""


@pytest.mark.parametrize("line", STATEMENTS.strip().splitlines()[1:], ids=lambda line: line.split("|")[0].strip())
def test_what_a_column_stated_is_remembered_until_it_says_otherwise(tmp_path: Path, line: str):
    lists, found = (cell.strip() for cell in line.split("|"))
    stated = StatedOptOuts(tmp_path, lambda kind, value: keyed_hash(b"a secret", kind, value))
    for each in lists.split(", "):
        stated.remember(listed(dict_of(each)))
    assert stated.remember(listed([("p", None), ("q", None)])).to_pylist() == found.split()
    assert len(stated.patients()) == len(found.split())


def dict_of(text: str) -> list[tuple[str, bool | None]]:
    words = {"Y": True, "N": False, "": None}
    return [(patient, words[word]) for patient, word in (cell.split("=") for cell in text.split())]


def listed(rows: list[tuple[str, bool | None]]) -> pa.Table:
    patients, said = zip(*rows, strict=True)
    return pa.table({"patient_id": pa.array(patients, pa.string()), "opt_out": pa.array(said, pa.bool_())})


def test_a_column_that_says_so_of_most_patients_is_not_remembered(tmp_path: Path):
    stated = StatedOptOuts(tmp_path, lambda kind, value: keyed_hash(b"a secret", kind, value))
    stated.remember(listed([(f"p{number}", number < 21) for number in range(40)]))
    assert stated.patients() == frozenset()
    stated.remember(listed([(f"p{number}", number < 20) for number in range(40)]))
    assert len(stated.patients()) == 20


def test_what_was_remembered_holds_no_number_and_is_not_read_once_damaged(tmp_path: Path):
    stated = StatedOptOuts(tmp_path, lambda kind, value: keyed_hash(b"a secret", kind, value))
    stated.remember(listed([("mark-patient", True)]))
    file = tmp_path / "lists" / "opt-outs.json"
    assert "mark-patient" not in file.read_text()
    file.write_text(file.read_text().replace('"2', '"1'))
    with pytest.raises(StoreError, match="is damaged, so that it is not known who asked not to be called"):
        stated.patients()


def test_the_opt_outs_of_another_home_are_refused_and_those_of_an_earlier_release_read(tmp_path: Path):
    """Nobody of a list would be recognised in them, and those who asked not to be called would be."""
    listed = pa.table({"patient_id": ["0005913", "Ab17"], "opt_out": [True, False]})
    homes = {}
    for name in ("own", "other"):
        homes[name] = StatedOptOuts(tmp_path / name, partial(keyed_hash, name.encode()))
        homes[name].remember(listed)
    own, other = (each.home / "lists" / "opt-outs.json" for each in homes.values())
    before = own.read_bytes()
    own.write_bytes(other.read_bytes())
    for read in (homes["own"].patients, lambda: homes["own"].remember(listed)):
        with pytest.raises(
            StoreError, match=r"opt-outs\.json: is of another home, or scoring-log\.secret is"
        ) as refused:
            read()
        assert "5913" not in str(refused.value)
    content = json.loads(unsealed_json(before) or b"")
    del content["check"]
    own.write_bytes(sealed_json(json.dumps(content)).encode())
    assert len(homes["own"].patients()) == 1

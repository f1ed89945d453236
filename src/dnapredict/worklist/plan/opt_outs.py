"""Opt-outs from calls: in the rows of a list, and in a trust's file of opt-outs."""

import csv
import io
import re
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dnapredict.config.mapping_config import IDENTITY, Mapping
from dnapredict.data.contract.known_names import HEADERS, NHS_NUMBER, plain
from dnapredict.data.files.digests import normal_form
from dnapredict.data.mapping.pseudonyms import pseudonym, read_key
from dnapredict.errors import ConfigurationError
from dnapredict.worklist.plan.ranking import NOBODY


def opted_out_rows(table: pa.Table, *, refused: pa.Table) -> NDArray[np.bool_]:
    """A mask of the rows of `table` that say, or of which a refused row says, that the patient wants no call.

    Parameters
    ----------
    table
        `appointment_id`, `patient_id` and `opt_out`.
    refused
        `appointment_id` and `patient_id` of refused rows with such a wish (`Checked.opt_outs`): it counts even if
        its row cannot be scored.
    """
    is_out = pc.fill_null(table["opt_out"], False)
    for name in ("patient_id", "appointment_id"):
        values = refused[name].drop_null()
        if len(values):
            is_out = pc.or_(is_out, pc.fill_null(pc.is_in(table[name].cast(pa.string()), value_set=values), False))
    return np.asarray(is_out, dtype=bool)


def of_the_same_patients(opted_out: NDArray[np.bool_], patient: NDArray[np.int64]) -> NDArray[np.bool_]:
    """The rows of a list of every patient who opted out in one of them; `patient` is a code, `NOBODY` if unknown."""
    if not opted_out.any():
        return opted_out
    return np.asarray(opted_out | (np.isin(patient, patient[opted_out]) & (patient != NOBODY)))


_WHERE: Final = "serving/worklist.toml: opt_out_file"
_NAMES: Final = frozenset({"patientid", *HEADERS["patient_id"], *NHS_NUMBER})
# Such a number has only its first digits left, and its patient cannot be identified.
_SCIENTIFIC: Final = re.compile(r"\d(\.\d+)?[Ee]\+?\d+")
_FIRST_ROWS: Final = 5
_MEGABYTES: Final = 64
_Numbers = tuple[str, ...]


def patients_in_file(path: Path, patient_ids: pa.ChunkedArray, *, mapping: Mapping = IDENTITY) -> pa.Array:
    """The `patient_ids` of a list that are in the file of opt-outs.

    Parameters
    ----------
    path
        The file: one number a line, or a CSV with a column of patients' or NHS numbers.
    mapping
        If it makes pseudonyms, the numbers of the file become pseudonyms in the same way; the file may also contain
        pseudonyms.

    Raises
    ------
    ConfigurationError
        If the file is missing, empty, or not such a file: nobody may then be called, since it is unknown who must not
        be called.
    """
    numbers = _numbers(path, _state(path))
    known = {normal_form(number) for number in numbers}
    if mapping.makes_pseudonyms:
        key = read_key(mapping.key_file)
        known |= {hashed for each in numbers if (hashed := _pseudonym(each, key=key, mapping=mapping)) is not None}
    listed = patient_ids.cast(pa.string()).drop_null().unique()
    return pa.array([each for each in listed.to_pylist() if normal_form(each) in known], pa.string())


def _pseudonym(number: str, *, key: bytes, mapping: Mapping) -> str | None:
    bare = re.sub(r"[ -]", "", number) if mapping.numbers == "nhs" else number.strip()
    return pseudonym(bare, key=key, kind=mapping.numbers)


def _state(path: Path) -> tuple[int, int, int]:
    try:
        state = path.stat()
    except OSError as error:
        raise ConfigurationError(
            f"{_WHERE}: {path} cannot be read ({error.strerror}). No list is scored without it, or patients would be "
            "called who asked not to be. Restore it, or remove the line if the trust keeps no such file."
        ) from None
    if state.st_size > _MEGABYTES * 1_048_576:
        raise ConfigurationError(f"{_WHERE}: {path} has more than {_MEGABYTES} MB. Expected patients' numbers alone.")
    return state.st_ino, state.st_size, state.st_mtime_ns


@lru_cache(maxsize=4)
def _numbers(path: Path, _: tuple[int, int, int]) -> _Numbers:
    """The numbers in the file; read again only after it was written."""
    lines = [row for row in csv.reader(io.StringIO(_text(path))) if any(cell.strip() for cell in row)]
    if not lines:
        raise ConfigurationError(
            f"{_WHERE}: {path} is empty. If nobody opted out, keep the name of its column in it: patient_id."
        )
    column = _column(lines[0], path)
    has_header = not any(character.isdigit() for character in lines[0][column])
    numbers = [row[column].strip() if column < len(row) else "" for row in lines[has_header:]]
    lost = [number for number, cell in enumerate(numbers, start=1 + has_header) if _SCIENTIFIC.fullmatch(cell)]
    if lost:
        rows = ", ".join(f"{row:,}" for row in lost[:_FIRST_ROWS])
        raise ConfigurationError(
            f"{_WHERE}: {path} holds {len(lost):,} numbers in scientific notation, of which only the first digits are "
            f"left (rows {rows}{', ...' if len(lost) > _FIRST_ROWS else ''}). Export it again with numbers as text."
        )
    return tuple(number for number in numbers if number)


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{_WHERE}: {path} cannot be read ({type(error).__name__}).") from None
    for codec in ("utf-8-sig", "cp1252"):
        try:
            return content.decode(codec)
        except UnicodeDecodeError:
            continue
    raise ConfigurationError(f"{_WHERE}: {path} is no text. Save it as CSV.")


def _column(first: list[str], path: Path) -> int:
    """The column of the numbers: that with a known name, or the only one."""
    named = [index for index, cell in enumerate(first) if plain(cell) in _NAMES]
    if named:
        return named[0]
    if len(first) == 1:
        return 0
    raise ConfigurationError(
        f"{_WHERE}: {path} has {len(first)} columns and none has a name of a patient's number: patient_id, NHS "
        "number, hospital number. Name the column, or leave the other columns out."
    )

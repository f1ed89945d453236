"""Replace patients' numbers by pseudonyms: a keyed hash, whose key is never in the folder of the data.

HMAC-SHA-256 (RFC 2104, FIPS 198-1): without the key a number of ten digits cannot be found by
trying them all. The same key gives the same pseudonym, so that a patient's appointments stay linked.
"""

import hmac
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc

from dnapredict.config.loading import require_file
from dnapredict.data.engine.duckdb_engine import compiled, placeholder
from dnapredict.data.engine.prepared_queries import Engine
from dnapredict.errors import ConfigurationError, DataError

KEY_VARIABLE: Final = "DNAPREDICT_PSEUDONYM_KEY"
PSEUDONYMS: Final = ibis.schema({"written": "string", "pseudonym": "string", "bad": "boolean"})
# Beginnings of the pseudonyms of patients with a temporary number, and of rows without a number of a person.
TEMPORARY: Final = "temporary-"
UNLINKED: Final = "unlinked-"
Kind = Literal["nhs", "local"]

_LEAST_KEY_BYTES: Final = 32
# 128 bits: among 60 million patients the chance that two share a pseudonym is below 1 in 10^22.
_DIGITS: Final = 32
_BATCH: Final = 65_536
_TEN_DIGITS: Final = re.compile(r"[0-9]{10}")
# Local numbers of ten digits pass the check digit once in eleven times; NHS numbers always.
_NEARLY_ALL: Final = 0.9
# With fewer numbers there is no test.
FEWEST_NUMBERS: Final = 20
# Ten digits, and blanks or hyphens between any two of them.
_LONGEST: Final = 19


def is_nhs_number(digits: str) -> bool:
    """Whether ten digits are an NHS number (NHS Data Dictionary, NHS NUMBER: weights 10 to 2, modulus 11).

    Ten equal digits are a placeholder, although some pass: many patients would become one.

    >>> is_nhs_number("9434765919")
    True
    >>> is_nhs_number("9434765918"), is_nhs_number("0000000000")
    (False, False)
    """
    if not _TEN_DIGITS.fullmatch(digits) or len(set(digits)) == 1:
        return False
    total = sum(int(digit) * weight for digit, weight in zip(digits, range(10, 1, -1), strict=False))
    return (11 - total % 11) % 11 == int(digits[9])


# What is written until a patient has a number. Two rows with such a word are not one patient.
PLACEHOLDERS: Final = (
    *("TBC", "TBA", "TBD", "T.B.C", "TEMP", "TEMPORARY", "PENDING", "AWAITED", "AWAITING", "AWAITING NUMBER"),
    *("UNREGISTERED", "NOT REGISTERED", "NO NUMBER", "NO NHS NUMBER", "NO NHS NO", "NOT ALLOCATED", "UNALLOCATED"),
    *("TO BE CONFIRMED", "TO BE ADVISED", "NOT YET ALLOCATED", "NOT YET REGISTERED", "NOT TRACED", "UNTRACED"),
    *("NO TRACE", "NOT FOUND", "UNIDENTIFIED", "UNKNOWN PATIENT", "UNKNOWN MALE", "UNKNOWN FEMALE", "UNK", "ANON"),
    *("ANONYMOUS", "NEW PATIENT", "NEW", "WALK IN", "WALK-IN", "OVERSEAS", "PRIVATE", "PRIVATE PATIENT", "VISITOR"),
    *("SEE NOTES", "BABY", "NEWBORN", "TEST", "TEST PATIENT", "DUMMY", "ERROR", "X", "XX", "XXX", "XXXX"),
    *(digit * length for digit in "09" for length in range(3, 14)),
    # The number that warehouses give to "no patient", and what is typed into a field that must be filled.
    *("0", "00", "-1", "1234567890"),
)
# Numbers that systems give until there is an NHS number: with letters, or from 999, which is kept for such uses.
_TEMPORARY_NUMBER: Final = re.compile(r"(?=[A-Z0-9/._-]*[0-9])(?=[A-Z0-9/._-]*[A-Z])[A-Z0-9/._-]{2,20}|999[0-9]{3,9}")
_ROUNDED: Final = re.compile(r"[0-9](\.[0-9]+)?E\+?[0-9]+")
# In a column with more temporary numbers, the numbers are of another kind.
_MOST_TEMPORARY: Final = 0.5


def is_placeholder(number: str, kind: Kind) -> bool:
    """Whether a text is a placeholder, not a number: a known word, the same digit throughout, or no digit at all.

    >>> [is_placeholder(number, "nhs") for number in ("TBC", "9999999999", "Smith", "TEMP123", "9434765919")]
    [True, True, True, False, False]
    """
    bare = number.upper()
    is_repeated = kind == "nhs" and len(bare) >= 3 and len(set(bare)) == 1
    return bare.rstrip(".") in PLACEHOLDERS or is_repeated or not any(sign.isdigit() for sign in bare)


def is_temporary(number: str) -> bool:
    """Whether a text in a column of NHS numbers is a temporary number of one patient.

    >>> [is_temporary(number) for number in ("TEMP123", "9990000001", "9434765918", "9.43477E+09", "TBC")]
    [True, True, False, False, False]
    """
    bare = number.upper()
    return bool(_TEMPORARY_NUMBER.fullmatch(bare)) and not _ROUNDED.fullmatch(bare)


def read_key(file: Path | None) -> bytes:
    """The key, from `file` or else from the environment variable `KEY_VARIABLE`.

    Raises
    ------
    ConfigurationError
        If there is none, or it is shorter than 32 bytes. The key itself is never shown.
    """
    key = _from_file(file) if file else os.environ.get(KEY_VARIABLE, "").encode()
    where = str(file) if file else KEY_VARIABLE
    key = key.strip()
    if not key:
        raise ConfigurationError(
            f"{where}: holds no key, and patients' numbers may enter only as a keyed hash. Make a key with "
            '`python -c "import secrets; print(secrets.token_hex(32))"`, keep it away from the data, and '
            f"name its file with --key-file or put it into {KEY_VARIABLE}."
        )
    if len(key) < _LEAST_KEY_BYTES:
        raise ConfigurationError(f"{where}: the key has {len(key)} bytes and needs at least {_LEAST_KEY_BYTES}.")
    return key


def _from_file(file: Path) -> bytes:
    require_file(file)
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{file}: the key for pseudonyms cannot be read ({type(error).__name__}).") from None


def number_in(text: ir.StringValue, kind: Kind) -> ir.StringValue:
    """The number in a text, without separators between digits; null where blank."""
    text = text.re_replace(r"\.0$", "")
    if kind == "nhs":
        text = text.replace(" ", "").replace("-", "")
    return text.strip().nullif("")


def pseudonym(number: str, *, key: bytes, kind: Kind) -> str | None:
    """The pseudonym of a number; None where it should be an NHS number or a temporary one and is neither.

    It begins with `TEMPORARY` for a temporary number, and is `UNLINKED` alone for a placeholder, which is
    a different patient in each row.

    >>> pseudonym("9434765919", key=b"k" * 32, kind="nhs")
    '999b7188a2c1eb1816fa9e7a7e52e360'
    >>> pseudonym("9434765918", key=b"k" * 32, kind="nhs") is None
    True
    """
    return next(_hashed([number], hmac.new(key, digestmod="sha256"), kind))


def pseudonyms(numbers: pa.ChunkedArray, *, key: bytes, kind: Kind) -> pa.ChunkedArray:
    """The `pseudonym` of each of `numbers`.

    Give each number once: a patient with 40 appointments then costs as much as one with a single appointment.
    Python objects exist for one batch at a time.
    """
    keyed = hmac.new(key, digestmod="sha256")
    hashed = pa.chunked_array(
        [
            pa.array(_hashed(numbers.slice(start, _BATCH).to_pylist(), keyed, kind), pa.string())
            for start in range(0, len(numbers), _BATCH)
        ],
        pa.string(),
    )
    temporary = pc.fill_null(pc.starts_with(hashed, TEMPORARY), False)
    is_other_kind = len(hashed) >= FEWEST_NUMBERS and pc.sum(temporary).as_py() > _MOST_TEMPORARY * len(hashed)
    return pc.if_else(temporary, None, hashed) if is_other_kind else hashed


def _hashed(numbers: list[str | None], keyed: hmac.HMAC, kind: Kind) -> Iterator[str | None]:
    for number in numbers:
        if number is None:
            yield None
        elif kind == "nhs" and is_nhs_number(number):
            yield _digest(f"nhs:{number}", keyed)
        elif is_placeholder(number, kind):
            yield UNLINKED
        elif kind == "local":
            yield _digest(f"local:{number}", keyed)
        else:
            yield TEMPORARY + _digest(f"temporary:{number.upper()}", keyed) if is_temporary(number) else None


def _digest(text: str, keyed: hmac.HMAC) -> str:
    one = keyed.copy()
    one.update(text.encode())
    return one.hexdigest()[:_DIGITS]


def refuse_nhs_numbers(rows: ir.Table, workspace: Engine, *, source: str) -> None:
    """Refuse rows whose `patient_id` are NHS numbers and no pseudonyms.

    Raises
    ------
    DataError
        If nearly all of at least 20 patient ids are ten digits with the right check digit.
    """
    refuse_counted_nhs_numbers(workspace.fetch(_counts(rows.schema()).bind(rows=rows)), source=source)


def refuse_counted_nhs_numbers(counts: pa.Table, *, source: str) -> None:
    """The same, from the result of `nhs_number_counts`.

    Raises
    ------
    DataError
    """
    counted = counts.to_pylist()[0]
    known, valid = counted["known"], counted["valid"]
    if known >= FEWEST_NUMBERS and valid >= _NEARLY_ALL * known:
        raise DataError(
            f"{source}: column 'patient_id' holds NHS numbers: {valid:,} of {known:,} pass the check digit. "
            "They may enter only as pseudonyms. Say in a mapping "
            'patient_id = { from = "the column", pseudonymise = true } and give a key.'
        )


@compiled
def _counts(schema: ibis.Schema) -> ir.Table:
    return nhs_number_counts(placeholder("rows", schema))


def nhs_number_counts(rows: ir.Table) -> ir.Table:
    """One row: how many patient ids are `known`, and how many of them are `valid` NHS numbers."""
    numbers = rows.patient_id
    # Most pseudonyms begin with a letter or are long: the check digit is calculated for the others only.
    may_be = numbers.substr(0, 1).between("0", "9") & (numbers.length() <= _LONGEST)
    passes = ibis.ifelse(may_be, _passes(numbers.re_replace(r"[ -]", "")), ibis.literal(False))
    valid = passes.sum().fill_null(0)
    return numbers.as_table().agg(known=numbers.count(), valid=valid)


def _passes(digits: ir.StringValue) -> ir.BooleanValue:
    """`is_nhs_number` as an expression, for a whole column at once."""
    ten = digits.re_search(r"^[0-9]{10}$")
    total = sum((digits.substr(index, 1).try_cast("int64") * (10 - index) for index in range(9)), ibis.literal(0))
    return (ten & ((11 - total % 11) % 11 == digits.substr(9, 1).try_cast("int64"))).fill_null(False)

"""Counts as JSON and back: sums are whole numbers, large arrays of them are packed.

Sums of probabilities are billionths, sums of weights eighths, so that every number is an integer and reading gives
back exactly what was written.
"""

import base64
import binascii
import dataclasses
import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dnapredict.fairness.measure.audit_counts import AuditCounts, grouping_of
from dnapredict.fairness.measure.audited_appointments import WEIGHT_PARTS
from dnapredict.fairness.measure.counts import BINS, SUMS, CountedGrouping, GroupCounts
from dnapredict.fairness.measure.pair_counts import CountCube, PairCounts
from dnapredict.fairness.measure.row_counting import SCALE
from dnapredict.fairness.measure.uncalled_outcomes import UncalledOutcomes

# Classes that are written field by field.
_RECORDS: Final = {record.__name__: record for record in (AuditCounts, PairCounts, CountCube, UncalledOutcomes)}
_MOST_NUMBERS: Final = 50_000_000  # in one array: a file that claims more is not read
_KIND: Final = "is"
_ZSTD: Final = pa.Codec("zstd", compression_level=3)  # a file is read in half the time that zlib takes
_TYPES: Final = ("<i1", "<i2", "<i4", "<i8")  # of packed integers


class CodecError(ValueError):
    """A file of counts does not hold what it should."""


def to_json(value: Any) -> Any:
    """Counts as JSON values.

    Raises
    ------
    TypeError
        If a class within the counts is unknown.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.ndarray):
        return _packed(value)
    if isinstance(value, CountedGrouping):
        return _grouping_to_json(value)
    if isinstance(value, Mapping):
        return {_KIND: "map", "items": [[to_json(key), to_json(item)] for key, item in value.items()]}
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    if type(value).__name__ in _RECORDS:
        fields = {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {_KIND: type(value).__name__, **fields}
    raise TypeError(f"{type(value).__name__} is not a class of counts that can be written.")


def from_json(value: Any) -> Any:
    """The counts that `to_json` was given.

    Raises
    ------
    CodecError
        If it is anything else.
    """
    if isinstance(value, list):
        return tuple(from_json(item) for item in value)
    if not isinstance(value, dict):
        return value
    kind = value.get(_KIND)
    readers: dict[Any, Callable[[dict[str, Any]], Any]] = {
        "numbers": _unpacked,
        "grouping": _grouping_from_json,
        "map": lambda found: {from_json(key): from_json(item) for key, item in found["items"]},
    }
    try:
        if kind in readers:
            return readers[kind](value)
        return _RECORDS[str(kind)](**{name: from_json(item) for name, item in value.items() if name != _KIND})
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise CodecError from None


def _packed(numbers: NDArray[Any]) -> dict[str, Any]:
    if not np.issubdtype(numbers.dtype, np.integer):
        raise TypeError("counts that are not whole numbers need a scale.")
    kind = _narrowest(numbers)
    data = _ZSTD.compress(np.ascontiguousarray(numbers, dtype=kind).tobytes(), asbytes=True)
    return {
        _KIND: "numbers",
        "type": kind,
        "shape": list(numbers.shape),
        "packed": _ZSTD.name,
        "data": base64.b64encode(data).decode(),
    }


def _narrowest(numbers: NDArray[Any]) -> str:
    """The narrowest type of integers that holds all numbers: most counts are small."""
    low, high = int(numbers.min(initial=0)), int(numbers.max(initial=0))
    return next(kind for kind in _TYPES if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max)


def _unpacked(value: dict[str, Any]) -> NDArray[np.int64]:
    shape = [int(size) for size in value["shape"]]
    # Files of earlier releases name no type: all their numbers have eight bytes.
    kind = np.dtype(_TYPES[_TYPES.index(value.get("type", _TYPES[-1]))])
    size = math.prod(shape)
    if min(shape, default=0) < 0 or size > _MOST_NUMBERS:
        raise CodecError
    try:
        data = _decompressed(base64.b64decode(value["data"], validate=True), value.get("packed"), size * kind.itemsize)
    except (binascii.Error, zlib.error, OSError):
        raise CodecError from None
    return np.frombuffer(data, dtype=kind).astype(np.int64).reshape(shape)


def _decompressed(packed: bytes, how: str | None, size: int) -> bytes | pa.Buffer:
    """Exactly `size` bytes, and never more: a small file could otherwise fill the memory."""
    if how == _ZSTD.name:
        return _ZSTD.decompress(packed, size) if size else b""
    if how is not None:
        raise CodecError
    data = zlib.decompressobj().decompress(packed, size + 1)  # files of earlier releases
    if len(data) != size:
        raise CodecError
    return data


_LAST: Final = len(SUMS) - 1
_SUM_SCALES: Final = np.append(np.full(_LAST, WEIGHT_PARTS), SCALE)
# Products of two weighted sums, of one with an expected number, and the squares of expected numbers.
_PRODUCT_SCALES: Final = np.full((len(SUMS), len(SUMS)), WEIGHT_PARTS**2)
_PRODUCT_SCALES[_LAST, :] = _PRODUCT_SCALES[:, _LAST] = WEIGHT_PARTS * SCALE
_PRODUCT_SCALES[_LAST, _LAST] = SCALE
_BINNED: Final = (2, BINS)
# Of each array of a group's counts: its scale and its shape.
_ARRAYS: Final[dict[str, tuple[NDArray[np.int64], tuple[int, ...]]]] = {
    "totals": (_SUM_SCALES, (len(SUMS),)),
    "rows": (np.append(np.ones(_LAST, dtype=np.int64), SCALE), (len(SUMS),)),
    "second": (_PRODUCT_SCALES, (len(SUMS), len(SUMS))),
    "histogram": (np.array(WEIGHT_PARTS), _BINNED),
    "expected": (np.array(SCALE), _BINNED),
    "called_histogram": (np.array(WEIGHT_PARTS), _BINNED),
    "called_expected": (np.array(SCALE), _BINNED),
}


def _grouping_to_json(counted: CountedGrouping) -> dict[str, Any]:
    """Groups by code; appointments and missed appointments are also there for people to read."""
    return {
        _KIND: "grouping",
        "grouping": counted.grouping.name,
        "groups": [group.code for group in counted.groups],
        "appointments": [round(one.counted("appointments")) for one in counted.counts],
        "missed": [round(one.counted("missed")) for one in counted.counts],
        "patients": [one.patients for one in counted.counts],
        **{name: _packed(_whole(counted.counts, name, scale)) for name, (scale, _) in _ARRAYS.items()},
    }


def _whole(counts: Sequence[GroupCounts], name: str, scale: NDArray[np.int64]) -> NDArray[np.int64]:
    stacked = np.stack([np.asarray(getattr(one, name)) for one in counts])
    whole: NDArray[np.int64] = np.rint(stacked * scale).astype(np.int64)
    return whole


def _grouping_from_json(value: dict[str, Any]) -> CountedGrouping:
    codes = [str(code) for code in value["groups"]]
    grouping, groups = grouping_of(str(value["grouping"]), codes)
    arrays = {name: _unscaled(value[name], scale, (len(codes), *shape)) for name, (scale, shape) in _ARRAYS.items()}
    patients = [int(number) for number in value["patients"]]
    counts = tuple(
        GroupCounts(patients=number, **{name: array[index] for name, array in arrays.items()})
        for index, number in enumerate(patients)
    )
    if len(groups) != len(counts):
        raise CodecError
    return CountedGrouping(grouping, groups, counts)


def _unscaled(value: dict[str, Any], scale: NDArray[np.int64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    numbers = _unpacked(value)
    if numbers.shape != shape:
        raise CodecError
    return numbers / scale

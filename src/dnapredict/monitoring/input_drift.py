"""Drift of the inputs: shares of each factor's values by week, against those of a reference.

Numbers are divided at the quartiles of the reference, codes are taken as they are, and a blank is a value of its own.
A share is in control within a few points of the reference: PSI and tests of equality raise an alarm for any difference
once there are enough rows, or for chance where there are few.
"""

import datetime
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dnapredict.monitoring.alarms import INPUTS, Alarm, day_words
from dnapredict.monitoring.e_detector import ControlBand, WeeklyRatio, detect

Floats = NDArray[np.float64]

BLANK: Final = ""
"""The name of the share of rows without a value."""
OTHER: Final = "any other value"
"""The name of the share of values that the reference does not have."""

# A share may differ from the reference by this many points, and by this part of itself.
_POINTS: Final = 0.05
_PART: Final = 0.1
# Values that the reference does not have may be this share of the rows.
_UNKNOWN_VALUES: Final = 0.005
# A column is missing where nearly all of a week's rows are blank and most of the reference's were not.
_MISSING: Final = 0.95
_FEWEST_ROWS: Final = 20
_QUARTILES: Final = (0.25, 0.5, 0.75)
_MOST_VALUES: Final = 40

_ACTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "codes": "Ask whether the system's codes changed, and add them to the mapping.",
        "factor": "Ask whether patients, clinics or recording changed; if it lasts, train a new version and audit it.",
    }
)


@dataclass(frozen=True)
class InputReference:
    """The shares of one column's values before: in the training, or in the first weeks.

    Attributes
    ----------
    edges
        The inner edges of a number's bins, ascending; empty for codes.
    shares
        The share of rows by name of the value or bin; blanks are `BLANK`. They add up to 1.
    """

    edges: tuple[float, ...]
    shares: Mapping[str, float]

    @classmethod
    def of(cls, column: pa.ChunkedArray) -> "InputReference":
        """The reference of a column of numbers, booleans or codes. Rare codes beyond the 40th count as `OTHER`."""
        edges = _edges(column)
        names, index = _names(column, edges)
        number = np.bincount(index, minlength=len(names)).astype(float)
        kept = sorted(np.argsort(-number)[:_MOST_VALUES])
        return cls(edges, {names[at]: float(number[at] / max(1.0, number.sum())) for at in kept})

    def as_json(self) -> dict[str, Any]:
        """The reference as JSON: shares to six decimals."""
        return {"edges": list(self.edges), "shares": {name: round(share, 6) for name, share in self.shares.items()}}

    @classmethod
    def from_json(cls, read: Mapping[str, Any]) -> "InputReference":
        """The reference that `as_json` gave."""
        return cls(tuple(map(float, read["edges"])), {str(k): float(v) for k, v in read["shares"].items()})


@dataclass(frozen=True)
class InputWeeks:
    """Weekly numbers of rows of one column by value, shape (values, weeks).

    `names` are those of the reference in its order, then `OTHER`.
    """

    column: str
    reference: InputReference
    names: tuple[str, ...]
    rows: Floats

    @property
    def shares(self) -> Floats:
        """The share of each value in each week."""
        return np.asarray(self.rows / np.maximum(1.0, self.rows.sum(axis=0)))

    @property
    def psi(self) -> Floats:
        """The population stability index of each week: above 0.2 is read as a large change. NaN without a row."""
        expected = np.array([self.reference.shares.get(name, 0.0) for name in self.names])[:, None]
        least = 1e-4
        now, then = np.maximum(self.shares, least), np.maximum(expected, least)
        index = ((now - then) * np.log(now / then)).sum(axis=0)
        return np.where(self.rows.sum(axis=0) > 0, index, np.nan)


def input_weeks(
    inputs: pa.Table, week: NDArray[np.int64], references: Mapping[str, InputReference], *, weeks: int
) -> tuple[InputWeeks, ...]:
    """Count the values of each referenced column by week.

    Parameters
    ----------
    week : (n,) int
        The position of each row's week, below `weeks`.
    references
        By name of the column. A column that `inputs` lacks is blank in every row.
    """
    return tuple(
        _counted(name, reference, _column(inputs, name), week=week, weeks=weeks)
        for name, reference in references.items()
    )


def input_alarms(
    inputs: tuple[InputWeeks, ...], weeks: NDArray[np.datetime64], *, budget: float = INPUTS
) -> tuple[Alarm, ...]:
    """Alarms of columns that went missing, codes that are new, and values whose share moved; one for each column."""
    charts = sum(len(each.names) for each in inputs)
    found = (_first_alarm(each, weeks, weight=budget / max(1, charts)) for each in inputs)
    return tuple(alarm for alarm in found if alarm is not None)


def _column(inputs: pa.Table, name: str) -> pa.ChunkedArray:
    return inputs[name] if name in inputs.column_names else pa.chunked_array([pa.nulls(inputs.num_rows)])


def _is_number(column: pa.ChunkedArray) -> bool:
    return bool(pa.types.is_floating(column.type) or pa.types.is_integer(column.type))


def _edges(column: pa.ChunkedArray) -> tuple[float, ...]:
    if not _is_number(column):
        return ()
    values = column.drop_null().to_numpy().astype(float)
    values = values[np.isfinite(values)]
    return tuple(np.unique(np.quantile(values, _QUARTILES)).tolist()) if len(values) else ()


def _names(column: pa.ChunkedArray, edges: tuple[float, ...]) -> tuple[list[str], NDArray[np.int64]]:
    """The names of the column's values, and the position of each row's."""
    if _is_number(column) and edges:
        values = pc.fill_null(column.cast(pa.float64()), math.nan).to_numpy()
        index = np.where(np.isfinite(values), np.searchsorted(edges, values, side="left"), len(edges) + 1)
        above = [f"above {edge:g}" for edge in edges]
        return [f"up to {edges[0]:g}", *above, BLANK], index.astype(np.int64)
    text = pc.utf8_trim_whitespace(pc.fill_null(column.cast(pa.string()), BLANK)).combine_chunks().dictionary_encode()
    if isinstance(text, pa.ChunkedArray):
        text = text.combine_chunks()
    return text.dictionary.to_pylist(), text.indices.to_numpy().astype(np.int64)


def _counted(
    name: str, reference: InputReference, column: pa.ChunkedArray, *, week: NDArray[np.int64], weeks: int
) -> InputWeeks:
    found, index = _names(column, reference.edges)
    known = (*reference.shares, OTHER) if OTHER not in reference.shares else tuple(reference.shares)
    at = {value: position for position, value in enumerate(known)}
    lookup = np.array([at.get(value, at[OTHER]) for value in found], dtype=np.int64)
    cell = lookup[index] * weeks + week
    rows = np.bincount(cell, minlength=len(known) * weeks).reshape(len(known), weeks).astype(float)
    return InputWeeks(name, reference, known, rows)


def _first_alarm(inputs: InputWeeks, weeks: NDArray[np.datetime64], *, weight: float) -> Alarm | None:
    alarms = [*_missing(inputs, weeks), *_moved(inputs, weeks, weight=weight)]
    # The alarm that came first explains the others; of one week, the value whose share moved most.
    return min(alarms, key=lambda alarm: (alarm.raised, alarm.what != "column", -abs(alarm.ratio - 1)), default=None)


def _missing(inputs: InputWeeks, weeks: NDArray[np.datetime64]) -> Iterator[Alarm]:
    if inputs.reference.shares.get(BLANK, 0.0) > 1 - _MISSING / 2 or BLANK not in (*inputs.names, BLANK):
        return
    total = inputs.rows.sum(axis=0)
    blank = inputs.rows[inputs.names.index(BLANK if BLANK in inputs.names else OTHER)]
    gone = np.flatnonzero((total >= _FEWEST_ROWS) & (blank >= _MISSING * total))
    if not len(gone):
        return
    since = weeks[gone[0]].item()
    yield Alarm(
        what="column",
        grouping=inputs.column,
        group=BLANK,
        raised=since,
        since=since,
        lasts=bool(gone[-1] == len(weeks) - 1),
        ratio=math.inf,
        message=(
            f"{inputs.column}: blank in nearly every row since the week of {day_words(since)}. "
            "Ask for the column in the export: without it the risks are less exact."
        ),
    )


def _moved(inputs: InputWeeks, weeks: NDArray[np.datetime64], *, weight: float) -> Iterator[Alarm]:
    total = inputs.rows.sum(axis=0)
    used = np.flatnonzero(total > 0)
    for name, rows in zip(inputs.names, inputs.rows, strict=True):
        share = inputs.reference.shares.get(name, 0.0)
        expected, band = max(share, _UNKNOWN_VALUES), ControlBand(0.0, 1.0)
        if share > 0:
            margin = (_POINTS + _PART * share) / expected
            band = ControlBand(max(0.0, share / expected - margin), max(1.0, share / expected + margin))
        for found in detect(WeeklyRatio(rows[used], expected * total[used]), band, weight=weight):
            raised, since = (weeks[used[at]].item() for at in (found.week, found.since))
            yield _share_alarm(inputs, name, raised, since, lasts=found.lasts, now=found.ratio * expected)


def _share_alarm(
    inputs: InputWeeks, name: str, raised: datetime.date, since: datetime.date, *, lasts: bool, now: float
) -> Alarm:
    then = inputs.reference.shares.get(name, 0.0)
    value = "a blank" if name == BLANK else f'"{name}"' if name != OTHER else "a value that was not there before"
    new = name == OTHER
    return Alarm(
        what="codes" if new else "factor",
        grouping=inputs.column,
        group=name,
        raised=raised,
        since=since,
        lasts=lasts,
        ratio=now / then if then > 0 else math.inf,
        message=(
            f"{inputs.column}: {value} in {now:.0%} of the rows since the week of {day_words(since)}, "
            f"{then:.0%} before. {_ACTIONS['codes' if new else 'factor']}"
        ),
    )

"""Count a service once for each grouping, with sums by patient for patient-clustered intervals."""

import functools
import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dnapredict.data.contract.codes import BARRIER
from dnapredict.fairness.access.access_measures import MEASURES, AccessData
from dnapredict.fairness.measure.audited_appointments import GROUP_COLUMNS
from dnapredict.fairness.measure.counts import SummedCounts
from dnapredict.fairness.measure.groupings import (
    EVERYONE,
    GROUPINGS,
    PLACE_GROUPINGS,
    everyone_membership,
    grouping_named,
)
from dnapredict.fairness.measure.intervals import Rate
from dnapredict.fairness.measure.membership import Group, Grouping, Membership, membership, united_groups

_ASSESSED: Final = (
    "core20", "imd_decile", "ethnicity", "ethnicity_5", "sex", "age", "interpreter", "disability",
    "learning_disability", "plus", "provider", "place",
)  # fmt: skip
ASSESSED: Final = tuple(each for each in (*GROUPINGS, *PLACE_GROUPINGS) if each.name in _ASSESSED)
"""The groupings of the assessment."""
_ARRAYS: Final = ("sums", "waits", "barriers")
LONGEST: Final = 1_000  # days; longer waits count as this long
BARRIERS: Final = tuple(BARRIER)
_OPTIONAL: Final = {"first_attendance_code": pa.string(), "remote": pa.bool_(), "from_referral": pa.bool_()}
# A code of a newer release counts as something else.
_OTHER: Final = "other"
_BARRIERS_NAMED: Final = "SELECT g, barrier, count(*)::DOUBLE FROM listed WHERE barrier IS NOT NULL GROUP BY ALL"
_ROW_OF: Final = {measure.name: row for row, measure in enumerate(MEASURES)}
_FINAL: Final = ("2", "3", "4", "5", "6", "7")


@dataclass(frozen=True)
class AccessCounts(SummedCounts):
    """Sums over the patients of a group.

    `sums` is (measures, 5): numerator, denominator, and over patients the sums of numerator squared,
    numerator times denominator, denominator squared. `waits` counts first appointments by days. `barriers` counts
    appointments by what makes it hard to come, in the order of `BARRIERS`.
    """

    patients: int
    appointments: int
    upcoming: int
    sums: NDArray[np.float64]
    waits: NDArray[np.float64]
    barriers: NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(BARRIERS)))

    def total(self, measure: str) -> float:
        """The numerator of a measure."""
        return float(self.sums[_ROW_OF[measure], 0])

    def rate(self, measure: str) -> Rate:
        """A measure with its design effect (see `group_metrics.rate`)."""
        above, below, squared, crossed, size = self.sums[_ROW_OF[measure]]
        if below <= 0:
            return Rate(above, below)
        share = above / below
        if 0 < share < 1:
            spread = squared - 2 * share * crossed + share**2 * size
            effect = spread * self.patients / max(1, self.patients - 1) / (below * share * (1 - share))
        else:
            effect = size / below
        return Rate(above, below, max(1.0, effect))

    def wait(self, quantile: float) -> float | None:
        """Quantile of the days to a first appointment; None where there is none."""
        total = self.waits.sum()
        if total <= 0:
            return None
        return float(np.searchsorted(np.cumsum(self.waits), quantile * total))


@dataclass(frozen=True)
class CountedAccess:
    """Counts of every group of one grouping."""

    grouping: Grouping
    groups: tuple[Group, ...]
    counts: tuple[AccessCounts, ...]

    @property
    def total(self) -> AccessCounts:
        """Everyone."""
        return functools.reduce(operator.add, self.counts)

    def __add__(self, other: "CountedAccess") -> "CountedAccess":
        """The grouping of both parts; a patient in both counts as two."""
        groups = united_groups(self.grouping, self.groups, other.groups)
        sides = [dict(zip((group.code for group in one.groups), one.counts, strict=True)) for one in (self, other)]
        parts = ([side[group.code] for side in sides if group.code in side] for group in groups)
        return CountedAccess(self.grouping, groups, tuple(functools.reduce(operator.add, part) for part in parts))


@dataclass(frozen=True)
class ServiceCounts:
    """The counts of an assessment: everyone first, then each grouping that the extract has."""

    groupings: tuple[CountedAccess, ...]

    def __add__(self, other: "ServiceCounts") -> "ServiceCounts":
        """The counts of both parts, which have the same groupings."""
        return ServiceCounts(tuple(a + b for a, b in zip(self.groupings, other.groupings, strict=True)))

    def to_json(self) -> list[dict[str, Any]]:
        """JSON values; every sum is a whole number, so that reading gives back what was written."""
        return [
            {
                "grouping": one.grouping.name,
                "groups": [group.code for group in one.groups],
                "counts": [
                    [each.patients, each.appointments, each.upcoming, *(getattr(each, n).tolist() for n in _ARRAYS)]
                    for each in one.counts
                ],
            }
            for one in self.groupings
        ]

    @classmethod
    def from_json(cls, values: Iterable[Mapping[str, Any]]) -> "ServiceCounts":
        """The counts that `to_json` was given."""
        return cls(tuple(map(_grouping_from_json, values)))


def _grouping_from_json(value: Mapping[str, Any]) -> CountedAccess:
    grouping = next(each for each in (EVERYONE, *ASSESSED) if each.name == value["grouping"])
    known = {group.code: group for group in grouping.groups}
    counts = (
        AccessCounts(patients, appointments, upcoming, *map(np.array, arrays))
        for patients, appointments, upcoming, *arrays in value["counts"]
    )
    return CountedAccess(
        grouping, tuple(known.get(code) or Group(code, code) for code in value["groups"]), tuple(counts)
    )


def count_service(listed: AccessData) -> ServiceCounts:
    """Count everyone, and each grouping of the assessment that the extract has."""
    asked = (membership(listed.grouped, grouping) for grouping in ASSESSED)
    found = (everyone_membership(len(listed)), *asked)
    return ServiceCounts(tuple(count_access(listed, members) for members in found if members is not None))


def count_access(listed: AccessData, members: Membership) -> CountedAccess:
    """Sums of every measure, by patient, for each group of a grouping."""
    with duckdb.connect() as engine:
        engine.register("listed", _table(listed, members))
        rows = engine.sql(_by_group(listed)).fetchall()
        waits = engine.sql(_waits(listed)).to_arrow_table()
        named = engine.sql(_BARRIERS_NAMED).fetchall() if listed.has_barriers else []
    counted = {row[0]: row[1:] for row in rows}
    histogram = np.zeros((len(members.groups), LONGEST + 1))
    histogram[waits["g"].to_numpy(), waits["days"].to_numpy()] = waits["n"].to_numpy()
    barriers = np.zeros((len(members.groups), len(BARRIERS)))
    for place, code, number in named:
        barriers[place, BARRIERS.index(code if code in BARRIERS else _OTHER)] += number
    counts = tuple(
        _tally(counted.get(place), histogram[place], barriers[place]) for place in range(len(members.groups))
    )
    return CountedAccess(members.grouping, members.groups, counts)


def _tally(row: tuple[float, ...] | None, waits: NDArray[np.float64], barriers: NDArray[np.float64]) -> AccessCounts:
    found = np.zeros(3 + 5 * len(MEASURES)) if row is None else np.array(row, dtype=float)
    patients, appointments, upcoming = (int(number) for number in found[:3])
    return AccessCounts(patients, appointments, upcoming, found[3:].reshape(len(MEASURES), 5), waits, barriers)


def _flags(listed: AccessData) -> str:
    dna = ", ".join(f"'{code}'" for code in listed.dna_codes)
    final = ", ".join(f"'{code}'" for code in _FINAL)
    came = f"outcome_code IN ('5', '6', '7') AND outcome_code NOT IN ({dna})"
    return (
        f"SELECT *, coalesce(outcome_code IN ({dna}), FALSE) AS missed, coalesce({came}, FALSE) AS came, "
        f"coalesce(outcome_code IN ({final}), FALSE) AS ended FROM listed"
    )


def _by_group(listed: AccessData) -> str:
    """Each patient's sums within a group, then sums of their products over patients."""
    inside, outside = [], []
    for place, measure in enumerate(MEASURES):
        below = f"coalesce(({measure.below}), FALSE)"
        inside += [
            f"sum((coalesce(({measure.above}), FALSE) AND {below})::INT) AS a{place}",
            f"sum({below}::INT) AS b{place}",
        ]
        a, b = f"a{place}", f"b{place}"
        outside += [f"sum({x})::DOUBLE" for x in (a, b, f"{a}*{a}", f"{a}*{b}", f"{b}*{b}")]
    return (
        f"WITH flagged AS ({_flags(listed)}), patients AS (SELECT g, patient, count(*) AS n, "
        f"sum(coalesce(ahead, FALSE)::INT) AS u, {', '.join(inside)} FROM flagged GROUP BY g, patient) "
        f"SELECT g, count(*)::DOUBLE, sum(n)::DOUBLE, sum(u)::DOUBLE, {', '.join(outside)} "
        "FROM patients GROUP BY g"
    )


def _waits(listed: AccessData) -> str:
    below = next(measure.below for measure in MEASURES if measure.name == "wait_over_6_weeks")
    return (
        f"WITH flagged AS ({_flags(listed)}) SELECT g, least(wait_days, {LONGEST})::INT AS days, "
        f"count(*)::BIGINT AS n FROM flagged WHERE {below} GROUP BY ALL"
    )


def _table(listed: AccessData, members: Membership) -> pa.Table:
    """The columns that measures use, absent ones as nulls, and the group of each row."""
    table, rows = listed.table, len(listed)
    found = {name: table[name] for name in table.column_names if name not in {"starts_at"}}
    for name, kind in _OPTIONAL.items():
        found.setdefault(name, pa.nulls(rows, kind))
    for name in GROUP_COLUMNS:
        found.setdefault(name, pa.nulls(rows, pa.string()))
    if pa.types.is_string(found["imd_decile"].type):
        found["imd_decile"] = found["imd_decile"].cast(pa.int64())
    known = _ethnicity_known(listed)
    return pa.table(found | {"g": pa.array(members.index), "ethnicity_known": pa.array(known)})


def _ethnicity_known(listed: AccessData) -> NDArray[np.bool_]:
    members = membership(listed.grouped, grouping_named("ethnicity"))
    if members is None:
        return np.zeros(len(listed), dtype=bool)
    known: NDArray[np.bool_] = np.array([group.known for group in members.groups])[members.index]
    return known

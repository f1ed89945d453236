"""Exact counts of outcomes: by day and by notice, and the values of a column that go with one outcome only.

Such values give the outcome away: the column is filled or changed at the appointment or after it.
"""

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from dnapredict.data.contract import codes
from dnapredict.data.contract.columns import COLUMNS, Column, Kind, Role
from dnapredict.data.engine.portable_sql import SqlEngine
from dnapredict.data.validation.checked import CheckedExtract
from dnapredict.features.scoring_clock import LabelRule
from dnapredict.quality.extreme_shares import MissedCounts, extreme_groups


@dataclass(frozen=True)
class DayCounts:
    """The kept rows of one day of appointments, by the clinic's clock.

    Attributes
    ----------
    not_applicable
        Rows with outcome code 0, which means that the appointment is in the future.
    after_now
        Rows with an outcome of attendance that start, or were recorded, after the check is made.
    """

    day: datetime.date
    rows: int
    attended: int
    missed: int
    not_applicable: int
    after_now: int

    @property
    def known(self) -> int:
        """Appointments that were attended or missed."""
        return self.attended + self.missed


@dataclass(frozen=True)
class LabelCounts:
    """Exact counts about the outcomes of an extract.

    Attributes
    ----------
    days
        In order.
    leads
        Appointments that were attended or missed, by whole local days from booking to appointment.
    last_booking
        The last local day on which an appointment was made; None where no row was kept.
    has_outcomes
        Whether the extract has the column `outcome_code`.
    """

    days: tuple[DayCounts, ...]
    leads: Mapping[int, int]
    last_booking: datetime.date | None
    has_outcomes: bool

    @property
    def attended(self) -> int:
        """Appointments that were attended."""
        return sum(day.attended for day in self.days)

    @property
    def missed(self) -> int:
        """Appointments that were missed."""
        return sum(day.missed for day in self.days)

    @property
    def known(self) -> int:
        """Appointments that were attended or missed."""
        return self.attended + self.missed

    @property
    def started(self) -> tuple[DayCounts, ...]:
        """Days before the last booking: when the extract was made, their appointments had taken place."""
        return tuple(day for day in self.days if self.last_booking is not None and day.day < self.last_booking)


def label_counts(
    checked: CheckedExtract, workspace: SqlEngine, *, labels: LabelRule, now: datetime.datetime | None
) -> LabelCounts:
    """Count the kept rows of an extract.

    Parameters
    ----------
    now
        The instant of the check, after which no appointment has an outcome; None for a simulated extract, whose
        calendar is made up.
    """
    missed, attended = _list(labels.dna_codes), _list(labels.came_codes)
    instant = "TIMESTAMP '9999-12-31'" if now is None else f"TIMESTAMP '{now.astimezone(datetime.UTC):%Y-%m-%d %H:%M}'"
    found = workspace.fetch(
        f"SELECT starts_local::DATE AS day, {_LEAD} AS lead, "
        "grouping(starts_local::DATE) AS by_lead, count(*) AS rows, "
        f"count(*) FILTER (outcome_code IN ({attended})) AS attended, "
        f"count(*) FILTER (outcome_code IN ({missed})) AS missed, "
        f"count(*) FILTER (outcome_code = '{codes.NOT_APPLICABLE}') AS not_applicable, "
        f"count(*) FILTER (outcome_code IN ({attended}, {missed}) "
        f"AND (starts_at > {instant} OR recorded_at > {instant})) AS after_now, "
        f"max(booked_local) FILTER (booked_at <= {instant}) AS last_booking "
        f"FROM {checked.rows.get_name()} "
        f"GROUP BY GROUPING SETS ((starts_local::DATE), ({_LEAD})) ORDER BY day, lead"
    ).to_pylist()
    names = ("day", "rows", "attended", "missed", "not_applicable", "after_now")
    days = tuple(DayCounts(*(row[name] for name in names)) for row in found if not row["by_lead"])
    leads = {row["lead"]: row["attended"] + row["missed"] for row in found if row["by_lead"]}
    bookings = [row["last_booking"].date() for row in found if row["last_booking"] is not None]
    return LabelCounts(days, leads, max(bookings, default=None), "outcome_code" in checked.present)


# A difference of dates is a number in DuckDB and an interval in Spark.
_LEAD: Final = "date_diff('day', booked_local::DATE, starts_local::DATE)"


def _list(values: tuple[str, ...]) -> str:
    return ", ".join(f"'{value}'" for value in values)


# With more rows a random part is searched: a leak in 1 of 100 rows still has 2,500 of them.
_MOST_ROWS: Final = 250_000
# In a group this small even "all missed" is chance; leaving it out keeps the number of tests low.
_SMALLEST_GROUP: Final = 20
# `trust_side_reason` explains a missed appointment, `rtt_status_code` says what it did to the wait for treatment, and
# `opt_out` is no factor and no group of the audit.
_NOT_SEARCHED: Final = frozenset({"trust_side_reason", "opt_out", "rtt_status_code"})
# True shares of values differ more than those of days: by a tenth of a standard deviation of one appointment.
_LEAST_CORRELATION: Final = 0.01
BLANK: Final = "blank"
FILLED: Final = "filled"
VALUES: Final = "values"
_CLOCK: Final = "clock"
_DATE: Final = "no clock"
# How the contract stores a date that came without a clock time.
_NO_CLOCK: Final = {"booked_at": "00:00:00", "starts_at": "23:59:59"}


@dataclass(frozen=True)
class OutcomeLeak:
    """Values of one column with which nearly all, or hardly any, appointments are missed.

    Attributes
    ----------
    column
        A contract column.
    what
        `blank`, `filled`, `clock` (a time of day is given), `no clock`, or some of its values (`values`).
    values
        How many different values it concerns; 0 where `what` is not about values.
    all_missed
        Whether nearly all are missed; otherwise hardly any.
    rows, missed
        Appointments with a known outcome that hold the value, and those missed; scaled to the whole extract if
        only a part was searched.
    """

    column: str
    what: str
    values: int
    all_missed: bool
    rows: int
    missed: int


@dataclass(frozen=True)
class _Group:
    column: str
    value: str | None
    rows: int
    missed: int


def outcome_leaks(
    checked: CheckedExtract, workspace: SqlEngine, *, labels: LabelRule, known: int
) -> tuple[OutcomeLeak, ...]:
    """Columns in which some value, or missingness, occurs with only one outcome, beyond chance.

    Parameters
    ----------
    known
        Appointments that were attended or missed.
    """
    parts = -(-known // _MOST_ROWS)
    groups = _groups(checked, workspace, labels=labels, parts=parts) if known else []
    whole = next((group for group in groups if group.column == _WHOLE), None)
    if whole is None:
        return ()
    share = whole.missed / whole.rows
    families = [family for name in dict.fromkeys(g.column for g in groups) for family in _families(groups, name, whole)]
    tests = sum(map(len, families))
    marked = [each for family in families for each in _marked(family, share=share, tests=tests)]
    return tuple(_leaks_of(marked, parts=parts))


_WHOLE: Final = ""
# A multiplicative hash (Knuth 6.4), the same by every engine: rows that follow each other get far numbers.
_DRAWN: Final = "((row_number % 4294967296 * 2654435761) % 4294967296 // 65536)"


def _groups(checked: CheckedExtract, workspace: SqlEngine, *, labels: LabelRule, parts: int) -> list[_Group]:
    """Each value of each column with its rows, and a group of all rows."""
    columns = [column for column in COLUMNS if column.name in checked.present and _is_searched(column)]
    known = ", ".join(f"'{code}'" for code in (*labels.dna_codes, *labels.came_codes))
    missed = ", ".join(f"'{code}'" for code in labels.dna_codes)
    values = ", ".join(f"{_value(column)} AS {column.name}" for column in columns)
    part = f" AND {_DRAWN} % {parts} = 0" if parts > 1 else ""
    searched = workspace.compute(
        f"SELECT outcome_code IN ({missed}) AS missed_, {values} FROM {checked.rows.get_name()} "
        f"WHERE outcome_code IN ({known}){part}"
    ).get_name()
    names = [column.name for column in columns]
    name = " ".join(f"WHEN grouping({each}) = 0 THEN '{each}'" for each in names)
    value = " ".join(f"WHEN grouping({each}) = 0 THEN {each}::VARCHAR" for each in names)
    # One pass for all columns. Values of few rows stay in the engine: a text column may have very many.
    found = workspace.fetch(
        f"SELECT * FROM (SELECT CASE {name} ELSE '{_WHOLE}' END AS name, CASE {value} END AS value, count(*) AS n, "
        f"count(*) FILTER (missed_) AS m FROM {searched} "
        f"GROUP BY GROUPING SETS ((), {', '.join(f'({each})' for each in names)})) "
        f"WHERE n >= {_SMALLEST_GROUP} OR (name = '{_WHOLE}' AND n > 0) ORDER BY name, value"
    ).to_pylist()
    return [_Group(row["name"], row["value"], row["n"], row["m"]) for row in found]


def _is_searched(column: Column) -> bool:
    if column.kind is Kind.TIMESTAMP:
        return column.name in _NO_CLOCK
    return column.role is not Role.OUTCOME and column.name != "appointment_id" and column.name not in _NOT_SEARCHED


def _value(column: Column) -> str:
    """Expression of the values that are compared: a number in whole units, a time by whether it has a clock time."""
    if column.kind is Kind.TIMESTAMP:
        local = column.name.removesuffix("_at") + "_local"
        return f"CASE WHEN {local}::TIME = TIME '{_NO_CLOCK[column.name]}' THEN '{_DATE}' ELSE '{_CLOCK}' END"
    if column.name == "patient_id":
        return f"CASE WHEN patient_id IS NOT NULL THEN '{FILLED}' END"
    return f"floor({column.name})" if column.kind is Kind.NUMBER else column.name


def _families(groups: list[_Group], name: str, whole: _Group) -> list[list[_Group]]:
    """Groups of a column that are compared with each other: blank and filled, and the values.

    A column that holds the same in every row gives nothing away.
    """
    blank = [group for group in groups if group.column == name and group.value is None]
    values = [group for group in groups if group.column == name and group.value is not None]
    filled = [_Group(name, FILLED, whole.rows - each.rows, whole.missed - each.missed) for each in blank]
    is_one_value = len(values) == 1 and values[0].rows + sum(each.rows for each in blank) == whole.rows
    return [
        [each for each in (*blank, *filled) if 0 < each.rows < whole.rows],
        [] if name == _WHOLE or is_one_value else values,
    ]


def _marked(family: list[_Group], *, share: float, tests: int) -> list[tuple[_Group, bool]]:
    """Groups of which nearly all (True) or hardly any (False) are missed, beyond chance."""
    counts = MissedCounts(np.array([group.rows for group in family]), np.array([group.missed for group in family]))
    above, below = extreme_groups(counts, usual_share=share, tests=tests, least_correlation=_LEAST_CORRELATION)
    return [
        (group, bool(is_above))
        for group, is_above, is_below in zip(family, above, below, strict=True)
        if is_above or is_below
    ]


def _leaks_of(marked: list[tuple[_Group, bool]], *, parts: int) -> Iterator[OutcomeLeak]:
    """One leak for each column, kind of value and direction."""
    kinds = dict.fromkeys((group.column, _what(group), all_missed) for group, all_missed in marked)
    for column, what, all_missed in kinds:
        groups = [group for group, above in marked if (group.column, _what(group), above) == (column, what, all_missed)]
        rows, missed = sum(group.rows for group in groups), sum(group.missed for group in groups)
        number = len(groups) if what == VALUES else 0
        yield OutcomeLeak(column, what, number, all_missed, rows * parts, missed * parts)


def _what(group: _Group) -> str:
    if group.value is None:
        return BLANK
    return group.value if group.column in _NO_CLOCK or group.value == FILLED else VALUES

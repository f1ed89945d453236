"""Quality of the records: duplicates, doubtful times, counts by month, and codes that are not national."""

import datetime
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from dnapredict.data.contract import codes
from dnapredict.data.contract.columns import COLUMNS, NAMES, Column
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.validation.checked import Checked
from dnapredict.quality.report_figures import Code, CodesNotKnown, Duplicates, TimeColumn

_CANCELLED: Final = f"'{codes.CANCELLED_BY_PATIENT}', '{codes.CANCELLED_BY_PROVIDER}'"


def duplicates(checked: Checked, workspace: Workspace) -> Duplicates:
    """Count repeated ids and repeated visits over the whole extract."""
    repeated = sum(each.count for each in checked.rejections if each.rule == "duplicate_appointment_id")
    if "patient_id" not in checked.present:
        return Duplicates(repeated, None)
    found = workspace.fetch(
        f"SELECT coalesce(sum(n - 1), 0)::BIGINT AS later FROM ("
        f"SELECT count(*) AS n FROM {checked.rows.get_name()} "
        f"WHERE patient_id IS NOT NULL AND coalesce(outcome_code, '') NOT IN ({_CANCELLED}) "
        f"GROUP BY hash(patient_id, starts_at, clinic_code) HAVING n > 1)"
    )
    return Duplicates(repeated, int(found["later"][0].as_py()))


# The time of day that a date without a clock time is read as (`data.contract.parsing`).
_NO_CLOCK: Final = {"booked_at": "00:00:00", "starts_at": "23:59:59", "recorded_at": "23:59:59"}


def times_read(checked: Checked, workspace: Workspace, *, zone: str) -> tuple[TimeColumn, ...]:
    """Every time column that the extract has, on the clock of `zone` (a name of the IANA database)."""
    named = [name for name in _NO_CLOCK if name in checked.present]
    sql = " UNION ALL ".join(_of_column(name, checked.rows.get_name(), zone) for name in named)
    found = {row["column"]: row for row in workspace.fetch(sql).to_pylist()}
    return tuple(TimeColumn(**{**found[name], "column": name}) for name in named)


def _of_column(name: str, rows: str, zone: str) -> str:
    """Counted by hour first, so that the zone's rules are applied once for each hour and not for each row."""
    local = name.removesuffix("_at") + "_local"
    return f"""
    SELECT '{name}' AS column, coalesce(sum(n), 0)::BIGINT AS filled,
           coalesce(sum(no_clock), 0)::BIGINT AS no_clock,
           coalesce(sum(n) FILTER (timezone('{zone}', instant) <> hour), 0)::BIGINT AS skipped,
           coalesce(sum(n) FILTER (timezone('{zone}', instant) = hour AND hour IN (
               timezone('{zone}', instant - INTERVAL 1 HOUR), timezone('{zone}', instant + INTERVAL 1 HOUR)
           )), 0)::BIGINT AS twice,
           coalesce(sum(n - no_clock) FILTER (hour(hour) >= 22 OR hour(hour) < 6), 0)::BIGINT AS night
    FROM (
        SELECT date_trunc('hour', {local}) AS hour,
               timezone('{zone}', date_trunc('hour', {local})) AS instant, count(*) AS n,
               count(*) FILTER ({local}::TIME = TIME '{_NO_CLOCK[name]}') AS no_clock
        FROM {rows} WHERE {local} IS NOT NULL GROUP BY hour
    )"""


BLANK = "blank"


@dataclass(frozen=True)
class ExtractMonth:
    """The kept rows of one month of appointments.

    Attributes
    ----------
    first_day
        The month of `starts_at` by the clinic's clock.
    filled
        Rows in which each contract column of the extract holds something readable.
    outcomes
        Rows with each national outcome code, and `BLANK`.
    """

    first_day: datetime.date
    rows: int
    filled: Mapping[str, int]
    outcomes: Mapping[str, int]


def months(checked: Checked, workspace: Workspace) -> tuple[ExtractMonth, ...]:
    """Every month of the extract in order, counted in one pass."""
    names = [name for name in NAMES if name in checked.present]
    filled = [f'count("{name}") AS "filled_{name}"' for name in names]
    outcomes = [f"count(*) FILTER (outcome_code = '{code}') AS outcome_{code}" for code in codes.OUTCOME]
    found = workspace.fetch(
        f"SELECT date_trunc('month', starts_local)::DATE AS first_day, count(*) AS rows, "
        f"{', '.join([*filled, *outcomes])}, count(*) FILTER (outcome_code IS NULL) AS outcome_{BLANK} "
        f"FROM {checked.rows.get_name()} GROUP BY first_day ORDER BY first_day"
    )
    return tuple(
        ExtractMonth(
            row["first_day"],
            row["rows"],
            {name: row[f"filled_{name}"] for name in names},
            {code: row[f"outcome_{code}"] for code in (*codes.OUTCOME, BLANK)},
        )
        for row in found.to_pylist()
    )


FEWEST_PATIENTS: Final = 10
_LOOKS_LIKE_A_CODE: Final = re.compile(r"[A-Z0-9]{1,4}")
# Code lists are shorter; names or numbers of patients would be more.
_MOST_CODES: Final = 60
_LONGEST_DESCRIPTION: Final = 80
# Words that descriptions may consist of, besides those in the meanings of the column's codes. None is a name.
_DESCRIPTIONS: Final = """
a any all as at been by did do for from has in is it of on or other others the to with and not no none yes
known unknown stated specified recorded given asked obtained available applicable assigned declined refused
prefer prefers say answer wish wishes unable client patient person does background backgrounds category origin
group groups ethnic ethnicity race mixed multiple english welsh scottish northern ireland european gypsy roma
romany traveller arab caribbean african chinese indian pakistani bangladeshi irish british asian black white
male female trans indeterminate booked attended cancelled late arrived seen hospital provider trust new follow
up first telephone phone video face routine urgent week wait gp self referral soon virtual consultant service
polish romanian turkish kurdish somali nigerian ghanaian kenyan zimbabwean vietnamese filipino japanese nepali tamil
iranian iraqi afghan latin american middle eastern
"""
_OF_DESCRIPTIONS: Final = frozenset(_DESCRIPTIONS.split())


def unknown_codes(checked: Checked, workspace: Workspace) -> tuple[CodesNotKnown, ...]:
    """The unknown codes of every coded column that has any, in the contract's order."""
    unknown = {each.column for each in checked.texts if each.code is None}
    return tuple(_unknown(each, checked, workspace) for each in COLUMNS if each.name in unknown)


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text.lower())


def _is_description(value: str, words: Collection[str]) -> bool:
    """Whether the value consists of known words, punctuation and at most three digits."""
    if len(value) > _LONGEST_DESCRIPTION or not value.isascii() or len(re.findall(r"\d", value)) > 3:
        return False
    return bool(_words(value)) and set(_words(value)) <= set(words)


def _holds_none(column: Column) -> str:
    known = ", ".join(f"'{code}'" for code in column.codes)
    return f"{column.name} NOT IN ({known})"


def _unknown(column: Column, checked: Checked, workspace: Workspace) -> CodesNotKnown:
    patients = "count(DISTINCT patient_id)" if "patient_id" in checked.present else "count(*)"
    found = workspace.fetch(
        f"SELECT {column.name} AS code, count(*) AS rows, {patients} AS patients, "
        f"count(*) OVER () AS kinds, sum(count(*)) OVER () AS every_row "
        f"FROM {checked.all_rows.get_name()} WHERE {_holds_none(column)} "
        f"GROUP BY {column.name} ORDER BY rows DESC, code LIMIT {_MOST_CODES}"
    ).to_pylist()
    words = _OF_DESCRIPTIONS | {word for text in column.codes.values() for word in _words(text)}
    told = [
        row
        for row in found
        if row["kinds"] <= _MOST_CODES
        and row["patients"] >= FEWEST_PATIENTS
        and (_LOOKS_LIKE_A_CODE.fullmatch(row["code"]) or _is_description(row["code"], words))
    ]
    return CodesNotKnown(
        column.name,
        int(found[0]["every_row"]),
        int(found[0]["kinds"]),
        tuple(Code(row["code"], row["rows"]) for row in told),
    )

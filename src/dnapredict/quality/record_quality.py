"""Exact counts of how records are kept: duplicates, doubtful times, months, codes that are not national, and by group.

By group are ethnicity by site, and signs of wrongly recorded missed appointments: a group whose appointments are
recorded as missed when it was not told of them looks riskier than it is.
"""

import datetime
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from dnapredict.data.contract import codes
from dnapredict.data.contract.columns import COLUMNS, NAMES, Column
from dnapredict.data.engine.portable_sql import SqlEngine
from dnapredict.data.validation.checked import CheckedExtract
from dnapredict.quality.report_figures import Code, CodesNotKnown, Duplicates, TimeColumn

_CANCELLED: Final = f"'{codes.CANCELLED_BY_PATIENT}', '{codes.CANCELLED_BY_PROVIDER}'"


def duplicates(checked: CheckedExtract, workspace: SqlEngine) -> Duplicates:
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


def times_read(checked: CheckedExtract, workspace: SqlEngine, *, zone: str) -> tuple[TimeColumn, ...]:
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
           coalesce(sum(n) FILTER (instant AT TIME ZONE '{zone}' <> hour), 0)::BIGINT AS skipped,
           coalesce(sum(n) FILTER (instant AT TIME ZONE '{zone}' = hour AND hour IN (
               (instant - INTERVAL 1 HOUR) AT TIME ZONE '{zone}', (instant + INTERVAL 1 HOUR) AT TIME ZONE '{zone}'
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


def months(checked: CheckedExtract, workspace: SqlEngine) -> tuple[ExtractMonth, ...]:
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


def unknown_codes(checked: CheckedExtract, workspace: SqlEngine) -> tuple[CodesNotKnown, ...]:
    """The unknown codes of every coded column that has any, in the contract's order."""
    return tuple(_unknown(each, checked, workspace) for each in COLUMNS if each.name in checked.unknown_columns)


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


def _unknown(column: Column, checked: CheckedExtract, workspace: SqlEngine) -> CodesNotKnown:
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


_LOOKS_LIKE_A_SITE: Final = re.compile(r"[A-Z0-9]{3,9}")
_MOST_SITES: Final = 300


@dataclass(frozen=True)
class SiteEthnicity:
    """Rows of one site by what is recorded of ethnicity.

    `site` is its code, a number where the code does not look like one, and blank where none is
    recorded.
    """

    site: str
    rows: int
    known: int
    declined: int
    not_asked: int
    blank: int
    not_national: int


def ethnicity_by_site(checked: CheckedExtract, workspace: SqlEngine) -> tuple[SiteEthnicity, ...]:
    """Every site with its kept rows, the largest first; empty where the extract has no ethnicity.

    An extract without sites, or with more than `_MOST_SITES`, counts as one site.
    """
    if "ethnic_category_code" not in checked.present:
        return ()
    found = _counted(checked, workspace, site="site_code")
    if len(found) > _MOST_SITES:
        found = _counted(checked, workspace, site="NULL::VARCHAR")
    return tuple(
        SiteEthnicity(_name(row.pop("site"), row.pop("patients"), place), **row)
        for place, row in enumerate(found, start=1)
    )


def _counted(checked: CheckedExtract, workspace: SqlEngine, *, site: str) -> list[dict[str, int]]:
    ethnic, known = "ethnic_category_code", _list(set(codes.ETHNIC_CATEGORY) - set(codes.UNKNOWN_ETHNICITY))
    declined, not_asked = codes.UNKNOWN_ETHNICITY[0], _list(codes.UNKNOWN_ETHNICITY[1:])
    patients = "approx_count_distinct(patient_id)" if "patient_id" in checked.present else "count(*)"
    rows: list[dict[str, int]] = workspace.fetch(
        f"SELECT {site} AS site, {patients} AS patients, count(*) AS rows, "
        f"count(*) FILTER ({ethnic} IN ({known})) AS known, "
        f"count(*) FILTER ({ethnic} = '{declined}') AS declined, "
        f"count(*) FILTER ({ethnic} IN ({not_asked})) AS not_asked, "
        f"count(*) FILTER ({ethnic} IS NULL) AS blank, "
        f"count(*) FILTER ({ethnic} NOT IN ({_list(codes.ETHNIC_CATEGORY)})) AS not_national "
        f"FROM {checked.rows.get_name()} GROUP BY site ORDER BY rows DESC, site LIMIT {_MOST_SITES + 1}"
    ).to_pylist()
    return rows


def _name(site: object, patients: int, place: int) -> str:
    """The site's code; a number where a patient's value may have come into the column."""
    if site is None:
        return ""
    looks_like_one = _LOOKS_LIKE_A_SITE.fullmatch(str(site)) is not None
    return str(site) if looks_like_one and patients >= FEWEST_PATIENTS else f"site {place}"


def _list(values: object) -> str:
    return ", ".join(f"'{value}'" for value in sorted(values))  # type: ignore[call-overload]


LITTLE_NOTICE_DAYS: Final = 7
MOVED_WITHIN_DAYS: Final = 14
_BROAD: Final = "\n".join(
    f"WHEN '{code}' THEN '{meaning.partition(':')[0]}'"
    for code, meaning in codes.ETHNIC_CATEGORY.items()
    if code not in codes.UNKNOWN_ETHNICITY
)


@dataclass(frozen=True)
class MissedByGroup:
    """Missed appointments of one group, and how many of them have each sign of a wrong record.

    Attributes
    ----------
    grouping, group
        `all` and blank; `deprivation` and a fifth from 1 (most deprived) to 5; `ethnicity` and a
        broad group. A blank group means that it is not known.
    little_notice
        Booked fewer than `LITTLE_NOTICE_DAYS` days ahead.
    moved
        The same patient has an appointment that the provider cancelled or moved, at most
        `MOVED_WITHIN_DAYS` days before or after it.
    too_late
        Outcome code 7: arrived late and could not be seen.
    """

    grouping: str
    group: str
    missed: int
    little_notice: int
    moved: int
    too_late: int
    any_sign: int


def missed_by_group(checked: CheckedExtract, workspace: SqlEngine) -> tuple[MissedByGroup, ...]:
    """All, then by fifth of deprivation, then by ethnic group, over the kept rows."""
    found = workspace.fetch(_SQL.format(rows=checked.rows.get_name())).to_pylist()
    return tuple(MissedByGroup(**row) for row in found)


_MISSED: Final = ", ".join(f"'{code}'" for code in codes.MISSED)
_SQL: Final = f"""
WITH missed AS (
    SELECT row_number, patient_id, starts_at, outcome_code = '{codes.ARRIVED_TOO_LATE}' AS too_late,
           date_diff('day', booked_local::DATE, starts_local::DATE) < {LITTLE_NOTICE_DAYS} AS little_notice,
           coalesce(((imd_decile + 1) // 2)::VARCHAR, '') AS fifth,
           CASE ethnic_category_code {_BROAD} ELSE '' END AS ethnic
    FROM {{rows}} WHERE outcome_code IN ({_MISSED})
), cancelled AS (
    SELECT patient_id, starts_at FROM {{rows}}
    WHERE outcome_code = '{codes.CANCELLED_BY_PROVIDER}' AND patient_id IS NOT NULL
), moved AS (
    SELECT DISTINCT missed.row_number FROM missed JOIN cancelled ON missed.patient_id = cancelled.patient_id
    AND abs(date_diff('day', cancelled.starts_at::DATE, missed.starts_at::DATE)) <= {MOVED_WITHIN_DAYS}
), signed AS (
    SELECT fifth, ethnic, little_notice, too_late, moved.row_number IS NOT NULL AS moved
    FROM missed LEFT JOIN moved ON missed.row_number = moved.row_number
)
SELECT CASE WHEN grouping(fifth) = 0 THEN 'deprivation' WHEN grouping(ethnic) = 0 THEN 'ethnicity'
       ELSE 'all' END AS grouping,
       coalesce(fifth, ethnic, '') AS group, count(*) AS missed,
       count(*) FILTER (little_notice) AS little_notice, count(*) FILTER (moved) AS moved,
       count(*) FILTER (too_late) AS too_late,
       count(*) FILTER (little_notice OR moved OR too_late) AS any_sign
FROM signed GROUP BY GROUPING SETS ((), (fifth), (ethnic))
ORDER BY grouping, nullif("group", '') NULLS LAST
"""

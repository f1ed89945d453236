"""Recording by group: ethnicity by site, and signs of wrongly recorded missed appointments."""

import re
from dataclasses import dataclass
from typing import Final

from dnapredict.data.contract import codes
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.validation.checked import Checked
from dnapredict.quality.measures.record_quality import FEWEST_PATIENTS

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


def ethnicity_by_site(checked: Checked, workspace: Workspace) -> tuple[SiteEthnicity, ...]:
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


def _counted(checked: Checked, workspace: Workspace, *, site: str) -> list[dict[str, int]]:
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


def missed_by_group(checked: Checked, workspace: Workspace) -> tuple[MissedByGroup, ...]:
    """All, then by fifth of deprivation, then by ethnic group, over the kept rows."""
    found = workspace.fetch(_SQL.format(rows=checked.rows.get_name())).to_pylist()
    return tuple(MissedByGroup(**row) for row in found)


_MISSED: Final = ", ".join(f"'{code}'" for code in codes.MISSED)
_SQL: Final = f"""
WITH missed AS (
    SELECT row_number, patient_id, starts_at, outcome_code = '{codes.ARRIVED_TOO_LATE}' AS too_late,
           starts_local::DATE - booked_local::DATE < {LITTLE_NOTICE_DAYS} AS little_notice,
           coalesce(((imd_decile + 1) // 2)::VARCHAR, '') AS fifth,
           CASE ethnic_category_code {_BROAD} ELSE '' END AS ethnic
    FROM {{rows}} WHERE outcome_code IN ({_MISSED})
), cancelled AS (
    SELECT patient_id, starts_at FROM {{rows}}
    WHERE outcome_code = '{codes.CANCELLED_BY_PROVIDER}' AND patient_id IS NOT NULL
), moved AS (
    SELECT DISTINCT missed.row_number FROM missed JOIN cancelled ON missed.patient_id = cancelled.patient_id
    AND abs(date_diff('day', cancelled.starts_at, missed.starts_at)) <= {MOVED_WITHIN_DAYS}
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

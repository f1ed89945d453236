"""Signs that missed appointments were recorded wrongly, or are the trust's own doing, by group.

A patient who had little notice, whose appointment the provider moved, or who came and could not be
seen (code 7) is recorded as one who missed. Where a group has more of those, a model learns that
the group misses more, and an audit believes it.
"""

from dataclasses import dataclass
from typing import Final

from dnapredict.data import codes
from dnapredict.data.checked import Checked
from dnapredict.data.workspace import Workspace

__all__ = ["LITTLE_NOTICE_DAYS", "MOVED_WITHIN_DAYS", "MissedByGroup", "missed_by_group"]

LITTLE_NOTICE_DAYS: Final = 7
MOVED_WITHIN_DAYS: Final = 14
_BROAD: Final = "\n".join(
    f"WHEN '{code}' THEN '{meaning.partition(':')[0]}'"
    for code, meaning in codes.ETHNIC_CATEGORY.items()
    if code not in codes.UNKNOWN_ETHNICITY
)


@dataclass(frozen=True)
class MissedByGroup:
    """Missed appointments of one group, and how many of them bear each sign.

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

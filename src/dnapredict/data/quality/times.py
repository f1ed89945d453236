"""Times that cannot be taken at their word: none, of an hour that the clock skips, or shows twice."""

from dataclasses import dataclass
from typing import Final

from dnapredict.data.checked import Checked
from dnapredict.data.workspace import Workspace

__all__ = ["TimesRead", "times_read"]

# What a column without a clock time reads as: see `typed`.
_NO_CLOCK: Final = {"booked_at": "00:00:00", "starts_at": "23:59:59", "recorded_at": "23:59:59"}


@dataclass(frozen=True)
class TimesRead:
    """One time column over the kept rows.

    Attributes
    ----------
    filled
        Rows with a time.
    no_clock
        Rows at midnight, which is how a date without a clock time reads.
    skipped
        Rows in the hour that the clock skips in spring: taken an hour later.
    twice
        Rows in the hour that the clock shows twice in autumn: the later one, unless an offset said.
    night
        Rows with a clock time from 22:00 to 05:59.
    """

    column: str
    filled: int
    no_clock: int
    skipped: int
    twice: int
    night: int


def times_read(checked: Checked, workspace: Workspace, *, zone: str) -> tuple[TimesRead, ...]:
    """Every time column that the extract has, on the clock of `zone` (a name of the IANA database)."""
    named = [name for name in _NO_CLOCK if name in checked.present]
    sql = " UNION ALL ".join(_of_column(name, checked.rows.get_name(), zone) for name in named)
    found = {row["column"]: row for row in workspace.fetch(sql).to_pylist()}
    return tuple(TimesRead(**{**found[name], "column": name}) for name in named)


def _of_column(name: str, rows: str, zone: str) -> str:
    """Counted by the hour first, so that the zone's rules are asked once an hour and not once a row."""
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

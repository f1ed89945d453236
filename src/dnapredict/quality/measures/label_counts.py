"""Counts of outcomes by day and by days from booking to appointment, in one pass over an extract."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass

from dnapredict.data.contract import codes
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.validation.checked import Checked
from dnapredict.features.scoring_clock import LabelRule


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
    checked: Checked, workspace: Workspace, *, labels: LabelRule, now: datetime.datetime | None
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
        "SELECT starts_local::DATE AS day, starts_local::DATE - booked_local::DATE AS lead, "
        "grouping(starts_local::DATE) AS by_lead, count(*) AS rows, "
        f"count(*) FILTER (outcome_code IN ({attended})) AS attended, "
        f"count(*) FILTER (outcome_code IN ({missed})) AS missed, "
        f"count(*) FILTER (outcome_code = '{codes.NOT_APPLICABLE}') AS not_applicable, "
        f"count(*) FILTER (outcome_code IN ({attended}, {missed}) "
        f"AND (starts_at > {instant} OR recorded_at > {instant})) AS after_now, "
        f"max(booked_local) FILTER (booked_at <= {instant}) AS last_booking "
        f"FROM {checked.rows.get_name()} "
        "GROUP BY GROUPING SETS ((starts_local::DATE), (starts_local::DATE - booked_local::DATE)) ORDER BY day, lead"
    ).to_pylist()
    names = ("day", "rows", "attended", "missed", "not_applicable", "after_now")
    days = tuple(DayCounts(*(row[name] for name in names)) for row in found if not row["by_lead"])
    leads = {row["lead"]: row["attended"] + row["missed"] for row in found if row["by_lead"]}
    bookings = [row["last_booking"].date() for row in found if row["last_booking"] is not None]
    return LabelCounts(days, leads, max(bookings, default=None), "outcome_code" in checked.present)


def _list(values: tuple[str, ...]) -> str:
    return ", ".join(f"'{value}'" for value in values)

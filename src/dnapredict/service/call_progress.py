"""Progress of the calls: of one list, and of the week against the capacity in `serving/worklist.toml`."""

import datetime
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow.compute as pc

from dnapredict.config.worklist_config import WorklistConfig
from dnapredict.data.contract.calendar_weeks import week_of
from dnapredict.service.call_actions import ClinicCalls, RecordedAction, moments_of_week
from dnapredict.worklist.files.kept_list import SPECIALTY, KeptList
from dnapredict.worklist.plan import working_days

_WORKING_DAYS: Final = 5
_NO_TEAM: Final = "No team named"
_NO_CLINIC: Final = "No clinic named"
_CLINIC_COLUMNS: Final = ("clinic_code", "site_code", SPECIALTY)

Grouping = Callable[[str, str], str]
"""Maps clinic and site to the group that makes the call: a team, a clinic, or "" where there are no groups."""


@dataclass(frozen=True)
class CallProgress:
    """Progress of a group of calls.

    Attributes
    ----------
    name
        The group; "" for all calls.
    made
        Appointments with a recorded outcome.
    nobody
        How many of them reached nobody, so that the call must be repeated.
    capacity
        The number of calls to make.
    """

    name: str
    made: int
    nobody: int
    capacity: int

    @property
    def left(self) -> int:
        """The number of calls that are still to be made, as call mode counts them: nobody was reached yet."""
        return self.capacity - self.made + self.nobody

    @property
    def words(self) -> str:
        """The progress as a sentence."""
        calls = "call" if self.capacity == 1 else "calls"
        nobody = f", {self.nobody:,} reached nobody" if self.nobody else ""
        return f"{self.made:,} of {self.capacity:,} {calls} made{nobody}"


@dataclass(frozen=True)
class CallWeek:
    """The calls of a week.

    Attributes
    ----------
    by
        "team" or "clinic" where the capacity is set for each of them; otherwise "", and `parts` is empty.
    planned
        Whether the capacity is the number of calls on the lists of the week, since none is configured.
    """

    monday: datetime.date
    whole: CallProgress
    by: str
    parts: tuple[CallProgress, ...]
    planned: bool


def list_progress(calls: Iterable[str], latest: Mapping[str, RecordedAction]) -> CallProgress:
    """Progress of the calls about these appointments."""
    unique = dict.fromkeys(calls)
    done = [latest[each] for each in unique if each in latest]
    return CallProgress("", len(done), sum(not each.outcome.reached for each in done), len(unique))


def week_progress(
    day: datetime.date,
    *,
    calls: Sequence[ClinicCalls],
    lists: Sequence[KeptList],
    config: WorklistConfig,
) -> CallWeek:
    """Progress and capacity of the week that contains `day`.

    The capacity is the configured weekly number, reduced for bank holidays; without one, it is the number of
    calls on the lists that were scored in that week, each appointment counted once.
    """
    group_of = _grouping(config, lists)
    made, nobody = _made(calls, group_of)
    planned = _planned(_scored_in_week(lists, day), group_of)
    numbers = _weekly_numbers(config, {*made, *planned}, day)
    capacity = planned | numbers
    names = [*numbers, *sorted({*made, *planned} - {*numbers})]
    parts = tuple(CallProgress(name, made[name], nobody[name], capacity.get(name, 0)) for name in names)
    return CallWeek(
        monday=day - datetime.timedelta(days=day.weekday()),
        whole=CallProgress("", *(sum(each) for each in zip(*_figures(parts), strict=True))),
        by=_by(config),
        parts=parts if _by(config) else (),
        planned=not _has_weekly_number(config),
    )


def _figures(parts: Sequence[CallProgress]) -> list[tuple[int, int, int]]:
    return [(0, 0, 0), *((part.made, part.nobody, part.capacity) for part in parts)]


def _by(config: WorklistConfig) -> str:
    if config.teams:
        return "team"
    return "clinic" if "clinic" in config.capacity_per else ""


def _has_weekly_number(config: WorklistConfig) -> bool:
    return "week" in config.capacity_per and (config.capacity is not None or bool(config.teams))


def _weekly_numbers(config: WorklistConfig, groups: Iterable[str], day: datetime.date) -> dict[str, int]:
    """The weekly capacity of each group that has a configured number."""
    if not _has_weekly_number(config):
        return {}
    own = {} if config.capacity is None else dict.fromkeys(groups, config.capacity)
    if _by(config) == "":
        own = {"": config.capacity or 0}
    elif _by(config) == "team" and "clinic" in config.capacity_per:
        own = {}  # the number is for each clinic of a team: multiply by the clinics on the lists of the week
    elif _by(config) == "team":
        own |= {team.name: team.capacity for team in config.teams}
    return {name: _scaled(number, day) for name, number in own.items()}


def _scaled(number: int, day: datetime.date) -> int:
    """A number for five working days, scaled to the working days in the week of `day`."""
    week = int(week_of(np.array([day], dtype="datetime64[D]"))[0])
    return max(1, number * working_days.working_days_of_week(week) // _WORKING_DAYS)


def _grouping(config: WorklistConfig, lists: Iterable[KeptList]) -> Grouping:
    by = _by(config)
    if by == "team":
        specialties = _specialties(lists)
        return lambda clinic, site: _team(config, clinic, site, specialties.get((clinic, site), ""))
    return lambda clinic, _: (clinic or _NO_CLINIC) if by else ""


def _team(config: WorklistConfig, clinic: str, site: str, specialty: str) -> str:
    """The first team that matches an appointment: the rule by which `call_capacity` assigns calls."""
    for team in config.teams:
        if clinic in team.clinics or site in team.sites or specialty in team.specialties:
            return team.name
    return _NO_TEAM


def _specialties(lists: Iterable[KeptList]) -> dict[tuple[str, str], str]:
    """The specialty of each clinic according to the newest list that has one; the log holds clinics only."""
    specialties: dict[tuple[str, str], str] = {}
    for each in lists:
        for row in each.page_rows.select(_CLINIC_COLUMNS).group_by(_CLINIC_COLUMNS).aggregate([]).to_pylist():
            if row[SPECIALTY]:
                specialties.setdefault((row["clinic_code"] or "", row["site_code"] or ""), row[SPECIALTY])
    return specialties


def _made(calls: Sequence[ClinicCalls], group_of: Grouping) -> tuple[Counter[str], Counter[str]]:
    made: Counter[str] = Counter()
    nobody: Counter[str] = Counter()
    for each in calls:
        group = group_of(each.clinic, each.site)
        made[group] += each.worked_on
        nobody[group] += each.worked_on - each.reached
    return made, nobody


def _scored_in_week(lists: Iterable[KeptList], day: datetime.date) -> list[KeptList]:
    since, until = moments_of_week(day)
    return [each for each in lists if since <= each.heading.created_at < until]


def _planned(lists: Iterable[KeptList], group_of: Grouping) -> dict[str, int]:
    """The number of calls on these lists; an appointment on several lists counts once."""
    groups: dict[str, str] = {}
    for each in lists:
        rows = each.page_rows
        # A tenth of the rows: a page of each list of the week asks for them.
        is_call = pc.and_(pc.fill_null(rows["selected"], False), pc.is_valid(rows["appointment_id"]))
        called = rows.select(["appointment_id", "clinic_code", "site_code"]).filter(is_call)
        for appointment, clinic, site in zip(*(column.to_pylist() for column in called.columns), strict=True):
            groups.setdefault(appointment, group_of(clinic or "", site or ""))
    return dict(Counter(groups.values()))

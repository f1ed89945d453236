"""Progress of the calls: of one list, and of the week against the capacity in `serving/worklist.toml`."""

import datetime
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from dnapredict.config.worklist_config import WorklistConfig
from dnapredict.service.call_actions import ClinicCalls, RecordedAction, week_of
from dnapredict.worklist.files.list_store import SPECIALTY, KeptList
from dnapredict.worklist.plan import working_days

_WORKING_DAYS: Final = 5
_NO_TEAM: Final = "No team named"
_NO_CLINIC: Final = "No clinic named"
_CLINIC_COLUMNS: Final = ("clinic_code", "site_code", SPECIALTY)

Grouping = Callable[[str, str], str]
"""By whom an appointment of a clinic and a site is called: a team, a clinic, or "" for all alike."""


@dataclass(frozen=True)
class CallProgress:
    """Calls that were made.

    Attributes
    ----------
    name
        Whose they are; "" for all.
    made
        Appointments about which something was recorded.
    nobody
        How many of them reached nobody, so that somebody has to try again.
    capacity
        How many calls there are to make.
    """

    name: str
    made: int
    nobody: int
    capacity: int

    @property
    def words(self) -> str:
        """It in a sentence."""
        calls = "call" if self.capacity == 1 else "calls"
        nobody = f", {self.nobody:,} reached nobody" if self.nobody else ""
        return f"{self.made:,} of {self.capacity:,} {calls} made{nobody}"


@dataclass(frozen=True)
class CallWeek:
    """A week of calls.

    Attributes
    ----------
    by
        "team" or "clinic" where the configuration counts so, "" otherwise; then there are no `parts`.
    planned
        Whether the capacity is what the lists of the week ask for, since there is no number for a week.
    """

    monday: datetime.date
    whole: CallProgress
    by: str
    parts: tuple[CallProgress, ...]
    planned: bool


def list_progress(calls: Iterable[str], taken: Mapping[str, RecordedAction]) -> CallProgress:
    """Progress of the calls about these appointments."""
    unique = dict.fromkeys(calls)
    done = [taken[each] for each in unique if each in taken]
    return CallProgress("", len(done), sum(not each.outcome.reached for each in done), len(unique))


def week_progress(
    day: datetime.date,
    *,
    calls: Sequence[ClinicCalls],
    lists: Sequence[KeptList],
    config: WorklistConfig,
) -> CallWeek:
    """The week that holds `day`: what came of its calls, and how many there are.

    Where the configuration has a number for a week that counts, less for the days that are bank holidays;
    otherwise the calls that the lists scored in that week ask for, each appointment once.
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
    """The calls of a week by group, as far as the configuration has a number for one."""
    if not _has_weekly_number(config):
        return {}
    own = {} if config.capacity is None else dict.fromkeys(groups, config.capacity)
    if _by(config) == "":
        own = {"": config.capacity or 0}
    elif _by(config) == "team" and "clinic" in config.capacity_per:
        own = {}  # a number for each clinic of a team, of which the week has as many as its lists name
    elif _by(config) == "team":
        own |= {team.name: team.capacity for team in config.teams}
    return {name: _scaled(number, day) for name, number in own.items()}


def _scaled(number: int, day: datetime.date) -> int:
    """A number for five working days, in the week of `day`."""
    week = int(working_days.week_of(np.array([day], dtype="datetime64[D]"))[0])
    return max(1, number * working_days.working_days_of_week(week) // _WORKING_DAYS)


def _grouping(config: WorklistConfig, lists: Iterable[KeptList]) -> Grouping:
    by = _by(config)
    if by == "team":
        specialties = _specialties(lists)
        return lambda clinic, site: _team(config, clinic, site, specialties.get((clinic, site), ""))
    return lambda clinic, _: (clinic or _NO_CLINIC) if by else ""


def _team(config: WorklistConfig, clinic: str, site: str, specialty: str) -> str:
    """The first team that names an appointment, as the calls of a list are given out."""
    for team in config.teams:
        if clinic in team.clinics or site in team.sites or specialty in team.specialties:
            return team.name
    return _NO_TEAM


def _specialties(lists: Iterable[KeptList]) -> dict[tuple[str, str], str]:
    """The specialty of a clinic, as the newest list that names one has it: the log knows clinics alone."""
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
    since, until = week_of(day)
    return [each for each in lists if since <= each.heading.created_at < until]


def _planned(lists: Iterable[KeptList], group_of: Grouping) -> dict[str, int]:
    """The calls that lists ask for; an appointment on several lists counts once."""
    groups: dict[str, str] = {}
    for each in lists:
        for line in each.page_rows.select(["appointment_id", "selected", "clinic_code", "site_code"]).to_pylist():
            if line["selected"] and line["appointment_id"] is not None:
                group = group_of(line["clinic_code"] or "", line["site_code"] or "")
                groups.setdefault(line["appointment_id"], group)
    return dict(Counter(groups.values()))

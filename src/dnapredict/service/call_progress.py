"""Progress of the calls: of one list, and of the week against the capacity in `serving/worklist.toml`."""

import datetime
import threading
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
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
_CALL_COLUMNS: Final = ("appointment_id", "clinic_code", "site_code")
# Each team has a view of its own lists; a view takes a few kB.
_VIEWS_CACHED: Final = 64

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


@dataclass(frozen=True)
class PlannedCalls:
    """The calls that the lists of a week plan.

    Attributes
    ----------
    numbers
        The number of planned calls of each group; an appointment on several lists counts once.
    specialties
        The specialty of each clinic and site according to the newest list that has one; the log has clinics only.
    """

    numbers: Mapping[str, int]
    specialties: Mapping[tuple[str, str], str]


def planned_calls(day: datetime.date, *, lists: Iterable[KeptList], config: WorklistConfig) -> PlannedCalls:
    """The calls that the lists of the week of `day` plan; `lists`, newest first, has older ones for specialties too."""
    since, until = moments_of_week(day)
    specialties: dict[tuple[str, str], str] = {}
    clinics: dict[str, tuple[str, str]] = {}
    for each in lists:
        _note_specialties(each, specialties)
        if since <= each.heading.created_at < until:
            _note_calls(each, clinics)
    group_of = _grouping(config, specialties)
    groups = Counter(clinics.values())
    numbers: Counter[str] = Counter()
    for (clinic, site), count in groups.items():
        numbers[group_of(clinic, site)] += count
    return PlannedCalls(dict(numbers), specialties)


class PlannedCallsCache:
    """The planned calls of the last views of lists, so that a page does not read every list of the week.

    They are computed again if a list was added, changed or deleted, or with another configuration or week.
    """

    def __init__(self) -> None:
        """Nothing is cached yet."""
        self._cached: dict[Hashable, tuple[WorklistConfig, PlannedCalls]] = {}
        self._changing = threading.Lock()

    def of(
        self,
        day: datetime.date,
        *,
        states: Hashable,
        lists: Callable[[], Iterable[KeptList]],
        config: WorklistConfig,
    ) -> PlannedCalls:
        """As `planned_calls`.

        Parameters
        ----------
        states
            The ids of the lists and the states of their files, read before the lists: a list that is written meanwhile
            has another state at the next request.
        lists
            Reads the lists, newest first; not called if the result is cached.
        """
        key = (moments_of_week(day), states)
        with self._changing:
            before = self._cached.pop(key, None)
        is_valid = before is not None and before[0] == config
        found = (
            before if before is not None and is_valid else (config, planned_calls(day, lists=lists(), config=config))
        )
        with self._changing:
            self._cached[key] = found
            while len(self._cached) > _VIEWS_CACHED:
                del self._cached[next(iter(self._cached))]
        return found[1]


def week_progress(
    day: datetime.date,
    *,
    calls: Sequence[ClinicCalls],
    planned: PlannedCalls,
    config: WorklistConfig,
) -> CallWeek:
    """Progress and capacity of the week that contains `day`.

    The capacity is the configured weekly number, reduced for bank holidays; without one, it is the number of
    calls on the lists that were scored in that week, each appointment counted once.
    """
    made, nobody = _made(calls, _grouping(config, planned.specialties))
    numbers = _weekly_numbers(config, {*made, *planned.numbers}, day)
    capacity = {**planned.numbers, **numbers}
    names = [*numbers, *sorted({*made, *planned.numbers} - {*numbers})]
    parts = tuple(CallProgress(name, made[name], nobody[name], capacity.get(name, 0)) for name in names)
    return CallWeek(
        monday=day - datetime.timedelta(days=day.weekday()),
        whole=CallProgress("", *(sum(each) for each in zip(*_figures(parts), strict=True))),
        by=_by(config),
        parts=parts if _by(config) else (),
        planned=not has_weekly_number(config),
    )


def _figures(parts: Sequence[CallProgress]) -> list[tuple[int, int, int]]:
    return [(0, 0, 0), *((part.made, part.nobody, part.capacity) for part in parts)]


def _by(config: WorklistConfig) -> str:
    if config.teams:
        return "team"
    return "clinic" if "clinic" in config.capacity_per else ""


def has_weekly_number(config: WorklistConfig) -> bool:
    """Whether the calls of a week are a configured number, of all teams together; otherwise those of their lists."""
    return "week" in config.capacity_per and (config.capacity is not None or bool(config.teams))


def _weekly_numbers(config: WorklistConfig, groups: Iterable[str], day: datetime.date) -> dict[str, int]:
    """The weekly capacity of each group that has a configured number."""
    if not has_weekly_number(config):
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


def _grouping(config: WorklistConfig, specialties: Mapping[tuple[str, str], str]) -> Grouping:
    by = _by(config)
    if by == "team":
        return lambda clinic, site: _team(config, clinic, site, specialties.get((clinic, site), ""))
    return lambda clinic, _: (clinic or _NO_CLINIC) if by else ""


def _team(config: WorklistConfig, clinic: str, site: str, specialty: str) -> str:
    """The first team that matches an appointment: the rule by which `call_capacity` assigns calls."""
    for team in config.teams:
        if clinic in team.clinics or site in team.sites or specialty in team.specialties:
            return team.name
    return _NO_TEAM


def _note_specialties(kept: KeptList, specialties: dict[tuple[str, str], str]) -> None:
    """Add the specialty of each clinic of a list that no newer list has."""
    for row in kept.page_rows.select(_CLINIC_COLUMNS).group_by(_CLINIC_COLUMNS).aggregate([]).to_pylist():
        if row[SPECIALTY]:
            specialties.setdefault((row["clinic_code"] or "", row["site_code"] or ""), row[SPECIALTY])


def _note_calls(kept: KeptList, clinics: dict[str, tuple[str, str]]) -> None:
    """Add clinic and site of each call of a list whose appointment is on no newer list."""
    rows = kept.page_rows
    is_call = pc.and_(pc.fill_null(rows["selected"], False), pc.is_valid(rows["appointment_id"]))
    called = rows.select(_CALL_COLUMNS).filter(is_call)
    for appointment, clinic, site in zip(*(column.to_pylist() for column in called.columns), strict=True):
        clinics.setdefault(appointment, (clinic or "", site or ""))


def _made(calls: Sequence[ClinicCalls], group_of: Grouping) -> tuple[Counter[str], Counter[str]]:
    made: Counter[str] = Counter()
    nobody: Counter[str] = Counter()
    for each in calls:
        group = group_of(each.clinic, each.site)
        made[group] += each.worked_on
        nobody[group] += each.worked_on - each.reached
    return made, nobody

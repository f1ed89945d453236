"""How far the calls of a week have come, against what the configuration gives it."""

import datetime

import pyarrow as pa
import pytest

from dnapredict.config.loading import load, shipped
from dnapredict.config.worklist_config import WorklistConfig
from dnapredict.service.call_actions import ClinicCalls
from dnapredict.service.call_progress import CallProgress, CallWeek, planned_calls, week_progress
from dnapredict.worklist.files.kept_list import Counts, Heading, KeptList

WEDNESDAY = datetime.date(2026, 7, 1)
SHIPPED = load(shipped("serving/worklist.toml"), WorklistConfig)
CALLS = (ClinicCalls("ENT1", 5, 3, "S1"), ClinicCalls("EYE2", 2, 2, "S2"))


def scored(day: datetime.date, *rows: tuple[str, str, str, str]) -> KeptList:
    """A list in which every row is to be called: appointment, clinic, site, specialty."""
    names = ("appointment_id", "clinic_code", "site_code", "treatment_function_code")
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    worklist = pa.table(columns | {"selected": [True] * len(rows), "error": pa.nulls(len(rows), pa.string())})
    at = datetime.datetime.combine(day, datetime.time(12), datetime.UTC)
    heading = Heading(
        list_id="0" * 16, name="w", created_at=at, model_version="7", synthetic=True, counts=Counts.of(worklist)
    )
    return KeptList(heading, worklist)


LISTS = (
    scored(WEDNESDAY, ("a", "ENT1", "S1", "120"), ("b", "EYE2", "S2", "130"), ("c", "EYE2", "S2", "130")),
    scored(datetime.date(2026, 6, 30), ("a", "ENT1", "S1", "120")),
    scored(datetime.date(2026, 6, 28), ("z", "ENT1", "S1", "120")),
)


def week(day: datetime.date = WEDNESDAY, **changes: object) -> CallWeek:
    config = WorklistConfig.model_validate(SHIPPED.model_dump() | changes)
    return week_progress(day, calls=CALLS, planned=planned_calls(day, lists=LISTS, config=config), config=config)


def figures(parts: tuple[CallProgress, ...]) -> dict[str, tuple[int, int, int]]:
    return {part.name: (part.made, part.nobody, part.capacity) for part in parts}


def test_without_a_number_for_a_week_its_lists_say_it_and_an_appointment_counts_once() -> None:
    found = week()
    assert found.monday == datetime.date(2026, 6, 29)
    assert found.whole == CallProgress("", made=7, nobody=2, capacity=3)
    assert (found.by, found.parts, found.planned) == ("", (), True)


def test_a_number_for_a_week_counts_before_any_list() -> None:
    found = week(capacity=120, capacity_per=("week",))
    assert found.whole.words == "7 of 120 calls made, 2 reached nobody"
    assert not found.planned


def test_a_week_with_a_bank_holiday_has_fewer_calls() -> None:
    good_friday = datetime.date(2026, 4, 3)
    assert week(good_friday, capacity=120, capacity_per=("week",)).whole.capacity == 96


def test_a_number_for_each_clinic_and_week_is_shown_by_clinic() -> None:
    found = week(capacity=10, capacity_per=("clinic", "week"))
    assert found.by == "clinic"
    assert figures(found.parts) == {"ENT1": (5, 2, 10), "EYE2": (2, 0, 10)}
    assert found.whole.capacity == 20


@pytest.mark.parametrize("named", [{"clinics": ("EYE2",)}, {"sites": ("S2",)}, {"specialties": ("130",)}])
def test_teams_are_told_apart_by_clinic_site_or_specialty(named: dict[str, tuple[str, ...]]) -> None:
    team = {"name": "Eye desk", "capacity": 40} | named
    found = week(teams=[team], capacity=120, capacity_per=("week",))
    assert found.by == "team"
    assert figures(found.parts) == {"Eye desk": (2, 0, 40), "No team named": (5, 2, 120)}
    by_list = week(teams=[team])
    assert figures(by_list.parts) == {"Eye desk": (2, 0, 2), "No team named": (5, 2, 1)}


def test_a_week_without_lists_and_calls_is_empty() -> None:
    planned = planned_calls(WEDNESDAY, lists=(), config=SHIPPED)
    found = week_progress(WEDNESDAY, calls=(), planned=planned, config=SHIPPED)
    assert found.whole == CallProgress("", 0, 0, 0)
    assert found.whole.words == "0 of 0 calls made"

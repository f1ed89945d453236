"""What a list page says first: appointments that are over or too near, and what changed since the export before."""

import datetime
from collections.abc import Mapping
from typing import Final

import pyarrow as pa
import pytest
from tests.spec.test_service_access import rows

from dnapredict.service.call_actions import RecordedAction
from dnapredict.service.call_outcomes import CallDetails, Outcome
from dnapredict.service.pages.lists.list_notes import list_changes, list_warnings
from dnapredict.worklist.files.kept_list import KeptList

# A Wednesday, 10 o'clock. Calls are made two working days before the appointment.
NOW: Final = datetime.datetime(2026, 11, 25, 10, tzinfo=datetime.UTC)
OVER: Final = "All appointments on this list are over"
NEAR: Final = "due today, or should have been made before: the appointment is less than 2 working days away."
# The days of the appointments, the first of which is to be called, and how the warnings of the list begin.
WARNINGS: Final = f"""
    appointments                     | warnings
    2026-11-24                       | {OVER}
    2026-11-23 2026-11-24            | {OVER}
    2026-11-30 2026-11-24            | 1 appointment of 2 on this list is over.
    2026-11-27 2026-12-04            |
    2026-11-26 2026-12-04            | 1 call is {NEAR}
    2026-11-25 2026-11-23            | 1 appointment of 2 on this list is over. 1 call is {NEAR}
    none                             | Nobody on this list can be called: no row could be scored.
"""
# The appointments of two exports (all to come), what was recorded last, and what the page says.
CHANGES: Final = """
    before  | after   | recorded            | says
    a b c   | a b c   |                     | The appointments are the same.
    a b c   | a b     |                     | 1 appointment is no longer on this list.
    a b c   | a b c d |                     | 1 appointment is new.
    a b c d | a e f   | b: no answer        | 2 appointments are new and 3 appointments are no longer on this list.
    a b c d | a       | b: call back        | 3 appointments are no longer on this list; 1 of them has a call-back due.
    a b c d | a       | b, c: call back     | 3 appointments are no longer on this list; 2 of them have a call-back due.
    a b over| a b     | over: call back     | The appointments are the same.
"""


def kept(appointments: Mapping[str, datetime.datetime]) -> KeptList:
    lines = [
        {"appointment_id": name, "selected": place == 0, "error": None, "starts_at": at.replace(tzinfo=None)}
        for place, (name, at) in enumerate(appointments.items())
    ]
    lines = lines or [{"appointment_id": "a", "selected": False, "error": "This row is wrong.", "starts_at": None}]
    types = {"starts_at": pa.timestamp("us"), "selected": pa.bool_()}
    schema = pa.schema([(name, types.get(name, pa.string())) for name in lines[0]])
    return KeptList.new(pa.Table.from_pylist(lines, schema=schema), name="w.csv", model_version="7", synthetic=True)


@pytest.mark.parametrize("row", rows(WARNINGS), ids=lambda row: row["appointments"])
def test_a_list_says_which_appointments_are_over_or_too_near(row: dict[str, str]) -> None:
    days = [day for day in row["appointments"].split() if day != "none"]
    nine = datetime.time(9, 30)
    appointments = {day: datetime.datetime.combine(datetime.date.fromisoformat(day), nine) for day in days}
    if row["appointments"].startswith("2026-11-25"):
        appointments["2026-11-25"] = datetime.datetime(2026, 11, 25, 15)
    warnings = list_warnings(kept(appointments), now=NOW, working_days_before=2)
    assert " ".join(warnings).startswith(row["warnings"])
    assert bool(warnings) == bool(row["warnings"])


@pytest.mark.parametrize("row", rows(CHANGES), ids=lambda row: row["says"])
def test_a_list_says_what_changed_since_the_export_before(row: dict[str, str]) -> None:
    def export(names: str) -> KeptList:
        days = {name: NOW + datetime.timedelta(days=-1 if name == "over" else 9) for name in names.split()}
        return kept(days)

    about, _, outcome = row["recorded"].partition(": ")
    back = CallDetails(None, None, NOW) if outcome == "call back" else CallDetails()
    action = RecordedAction(Outcome.NO_ANSWER, NOW, "key", details=back)
    recorded = dict.fromkeys(about.split(", ") if about else [], action)
    notes = list_changes(
        export(row["after"]),
        export(row["before"]),
        latest_of=lambda names: {name: recorded[name] for name in names if name in recorded},
        now=NOW,
        address="/lists/before",
    )
    assert notes.changes == row["says"]

"""The calls of a list that are left, made of the plan of the list and of what was recorded since."""

import datetime
from collections.abc import Mapping
from types import MappingProxyType
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from tests.browser.worklists import worklist
from tests.spec.test_service_access import rows

from dnapredict.service.call_actions import RecordedAction
from dnapredict.service.call_outcomes import CallDetails, Outcome
from dnapredict.service.pages.calls.call_queue import CallQueue, call_queue
from dnapredict.worklist.files.kept_list import KeptList

NOW = datetime.datetime(2026, 11, 27, 14, tzinfo=ZoneInfo("Europe/London"))
UNANSWERED = "No call: nobody answered"


def queue(
    *recorded: str,
    unanswered: tuple[int, ...] = (),
    repeated: int = 0,
    now: datetime.datetime = NOW,
    assigned: Mapping[int, str] = MappingProxyType({}),
    person: str = "",
) -> CallQueue:
    """The queue of a list whose first four of 40 lines are selected, after `recorded`, such as "2 no_answer"."""
    table = worklist(scored=40, bad=0)
    actions = [
        f"{UNANSWERED}. Send a letter" if n in unanswered else action
        for n, action in enumerate(table["action"].to_pylist(), start=1)
    ]
    selected = [n <= 4 and n not in unanswered for n in range(1, 41)]
    table = table.set_column(table.column_names.index("action"), "action", pa.array(actions))
    table = table.set_column(table.column_names.index("selected"), "selected", pa.array(selected))
    if repeated:  # a line that could not be scored, at the end
        column = table.column_names.index("selected")
        again = table.slice(repeated - 1, 1).set_column(column, "selected", pa.array([False]))
        table = pa.concat_tables([table, again])
    entries: dict[str, list[RecordedAction]] = {}
    for line, outcome, *back in map(str.split, recorded):
        at = NOW - datetime.timedelta(hours=5)
        details = CallDetails(call_back_at=datetime.datetime.fromisoformat(back[0]).astimezone() if back else None)
        entries.setdefault(f"APT-{int(line):04d}", []).append(RecordedAction(Outcome(outcome), at, "key", details))
    return call_queue(
        KeptList.new(table, name="week", model_version="7", synthetic=True),
        entries_of=lambda ids: {each: tuple(entries[each]) for each in ids if each in entries},
        opted_out=lambda ids: {each for each in ids if each == "APT-0003"},
        most_attempts=3,
        unanswered_action=UNANSWERED,
        now=now,
        assigned=assigned,
        person=person,
    )


def numbers(lines: object) -> list[int]:
    return [line.number for line in lines]  # type: ignore[attr-defined]


def test_a_row_that_repeats_an_appointment_is_no_second_call():
    at = f"{NOW + datetime.timedelta(days=1):%Y-%m-%dT%H:%M}"
    once, twice = queue(f"2 call_back {at}"), queue(f"2 call_back {at}", repeated=2)
    assert numbers(twice.later) == numbers(once.later) == [2]
    assert twice.left == once.left


def test_a_patient_who_opted_out_is_not_in_the_queue():
    assert numbers(queue().ready) == [1, 2, 4]
    assert queue().left == 3


@pytest.mark.parametrize(
    ("after", "order"), [(0, [1, 2, 4]), (1, [2, 4, 1]), (2, [4, 1, 2]), (4, [1, 2, 4]), (9, [1, 2, 4])]
)
def test_the_queue_is_a_circle_that_begins_after_the_last_line(after: int, order: list[int]):
    assert numbers(queue().after(after)) == order


def test_who_never_answered_before_the_list_was_made_is_written_to_and_not_called():
    found = queue(unanswered=(2, 30))
    assert numbers(found.ready) == [1, 4]
    assert numbers(found.to_write) == [2, 30]
    assert numbers(queue("30 confirmed", unanswered=(30,)).to_write) == []


def test_a_call_back_about_a_line_that_was_not_selected_is_in_the_queue():
    assert numbers(queue("20 call_back 2026-11-27T13:00").ready) == [20, 1, 2, 4]
    later = queue("20 call_back 2026-12-27T13:00").later
    assert numbers(later) == [20]
    assert later[0].call_back_at is not None


def test_an_appointment_that_has_begun_is_counted_and_not_called_about():
    found = queue(now=NOW + datetime.timedelta(days=60))
    assert (found.ready, found.left, found.over) == ((), 0, 4)


# Lines 1, 2 and 4 are left to call; 20 is a call-back that is due. Each row: which lines were handed over to whom, who
# asks, whom that person calls, and which calls are left to colleagues.
HAND_OVERS = """
    handed over       | who asks   | calls     | left to colleagues
                      | Ada Okafor | 20 1 2 4  |
    4 to Ada Okafor   | Ada Okafor | 20 4 1 2  |
    4 to ada okafor   | Ada Okafor | 20 4 1 2  |
    4 to Ada Okafor   | Ben Hill   | 20 1 2    | 4
    4 to Ada Okafor   |            | 20 1 2    | 4
    20 to Ada Okafor  | Ben Hill   | 1 2 4     | 20
    30 to Ada Okafor  | Ben Hill   | 20 1 2 4  |
"""


@pytest.mark.parametrize("row", rows(HAND_OVERS), ids=lambda row: f"{row['handed over']}, {row['who asks']}")
def test_lines_that_were_handed_over_are_left_to_that_colleague(row: dict[str, str]):
    line, _, to = row["handed over"].partition(" to ")
    found = queue("20 call_back 2026-11-27T13:00", assigned={int(line): to} if to else {}, person=row["who asks"])
    assert numbers(found.ready) == list(map(int, row["calls"].split()))
    assert numbers(found.with_colleagues) == list(map(int, row["left to colleagues"].split()))
    assert found.left == 4

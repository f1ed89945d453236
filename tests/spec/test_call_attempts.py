"""What a caller does next about an appointment, given what was recorded. A page for booking teams to check.

Times are those of the clinic. `now` is when the caller asks for the next patient; after three calls that reached
nobody somebody writes.
"""

import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnapredict.worklist.calls.attempts import CallEntry, NextStep, attempts, next_step

ZONE = ZoneInfo("Europe/London")
EFFECTS = {
    "no answer": "not reached",
    "message left": "not reached",
    "wrong number": "wrong number",
    "call back": "call back",
    "confirmed": "reached",
    "rebooked": "rebooked",
    "no calls wished": "opted out",
    "mistake": "withdrawn",
}


def moment(text: str) -> datetime.datetime:
    """Such as `Mon 09:30`, in the week of 30 November 2026."""
    day, time = text.split()
    monday = datetime.datetime(2026, 11, 30, tzinfo=ZONE)
    hours, minutes = map(int, time.split(":"))
    return monday + datetime.timedelta(
        days=["Mon", "Tue", "Wed", "Thu", "Fri"].index(day), hours=hours, minutes=minutes
    )


def entry(text: str) -> CallEntry:
    """Such as `Mon 09:30 call back Mon 15:00`."""
    words = text.split()
    back = moment(" ".join(words[-2:])) if words[-1][0].isdigit() else None
    effect = " ".join(words[2:] if back is None else words[2:-2])
    return CallEntry(moment(" ".join(words[:2])), EFFECTS[effect], back)


TABLE = """
    recorded                                                                | now       | next
                                                                            | Mon 10:00 | call
    Mon 09:30 no answer                                                     | Mon 09:31 | call at another time of day
    Mon 09:30 no answer                                                     | Mon 11:59 | call at another time of day
    Mon 09:30 no answer                                                     | Mon 12:00 | call
    Mon 11:30 no answer                                                     | Mon 12:00 | call at another time of day
    Mon 11:30 no answer                                                     | Mon 13:30 | call
    Mon 09:30 no answer                                                     | Tue 09:30 | call at another time of day
    Mon 15:00 no answer                                                     | Tue 09:00 | call
    Mon 09:30 no answer; Mon 14:00 no answer                                | Mon 16:30 | call at another time of day
    Mon 09:30 no answer; Mon 14:00 no answer                                | Tue 09:00 | call
    Mon 09:30 message left                                                  | Mon 10:00 | call at another time of day
    Mon 09:30 no answer; Mon 14:00 no answer; Tue 09:00 no answer           | Tue 14:00 | write
    Mon 09:30 no answer; Mon 14:00 message left; Tue 09:00 no answer        | Fri 14:00 | write
    Mon 09:30 wrong number                                                  | Mon 14:00 | write
    Mon 09:30 call back Mon 15:00                                           | Mon 14:59 | call back later
    Mon 09:30 call back Mon 15:00                                           | Mon 15:00 | call back now
    Mon 09:30 call back Mon 15:00                                           | Thu 09:00 | call back now
    Mon 09:30 no answer Mon 15:00                                           | Mon 15:00 | call back now
    Mon 09:30 call back                                                     | Mon 10:00 | call at another time of day
    Mon 09:30 call back                                                     | Mon 13:00 | call
    Mon 09:30 call back Mon 15:00; Mon 15:00 no answer                      | Mon 15:10 | call at another time of day
    Mon 09:30 no answer; Mon 14:00 no answer; Tue 09:00 call back Tue 10:00 | Tue 10:00 | call back now
    Mon 09:30 confirmed                                                     | Mon 14:00 | nothing
    Mon 09:30 no calls wished                                               | Mon 14:00 | nothing
    Mon 09:30 no answer; Mon 14:00 confirmed                                | Tue 09:00 | nothing
    Mon 09:30 confirmed; Mon 09:31 mistake                                  | Mon 09:32 | call
    Mon 09:30 no answer; Mon 14:00 confirmed; Mon 14:01 mistake             | Mon 14:02 | call
    Mon 09:30 no answer; Mon 09:31 mistake                                  | Mon 09:32 | call
"""


def rows(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")] for line in table.strip("\n").splitlines()[1:] if line.strip()]


@pytest.mark.parametrize(("recorded", "now", "step"), rows(TABLE))
def test_the_next_step_follows_from_what_was_recorded(recorded: str, now: str, step: str):
    entries = [entry(each) for each in recorded.split(";") if each.strip()]
    assert next_step(entries, now=moment(now), most_attempts=3, zone=ZONE) == step


EXPORTS = """
    recorded               | list exported | now       | next
    Mon 09:30 wrong number | Mon 09:00     | Tue 14:00 | write
    Mon 09:30 wrong number | Tue 09:00     | Tue 14:00 | call
    Mon 09:30 rebooked     | Mon 09:00     | Tue 14:00 | nothing
    Mon 09:30 rebooked     | Tue 09:00     | Tue 14:00 | call
    Mon 09:30 confirmed    | Tue 09:00     | Tue 14:00 | nothing
    Mon 09:30 no answer    | Tue 08:00     | Tue 09:00 | call at another time of day
"""


@pytest.mark.parametrize(("recorded", "exported", "now", "step"), rows(EXPORTS))
def test_a_newer_list_may_hold_a_new_number_or_date(recorded: str, exported: str, now: str, step: str):
    found = next_step([entry(recorded)], now=moment(now), most_attempts=3, zone=ZONE, exported_at=moment(exported))
    assert found == step


@given(
    hours=st.lists(st.floats(0, 200), min_size=1, max_size=6),
    wait=st.floats(0, 500),
    most=st.integers(1, 10),
)
def test_an_unanswered_call_comes_back_within_a_day_or_somebody_writes(hours: list[float], wait: float, most: int):
    tried = [CallEntry(moment("Mon 00:00") + datetime.timedelta(hours=each), "not reached") for each in sorted(hours)]
    steps = {
        next_step(tried, now=tried[-1].at + datetime.timedelta(minutes=10 * n), most_attempts=most, zone=ZONE)
        for n in range(6 * 24 + 1)
    }
    assert (NextStep.WRITE in steps) == (len(tried) >= most)
    assert (NextStep.CALL in steps) == (len(tried) < most)
    assert len(attempts([*tried, CallEntry(tried[-1].at + datetime.timedelta(hours=wait), "reached")])) == 0

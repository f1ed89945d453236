"""The state of calls is what a plain replay of the recorded events gives, in whatever order and batches they come."""

import datetime
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.examples import examples
from tests.spec.test_contacts import EFFECTS, Recorded, listed

from dnapredict.worklist.calls.attempts import CallEvent, call_state
from dnapredict.worklist.calls.calls_ledger import Ledger

PATIENTS = {"a": "p", "b": "p", "c": "p", "d": "q"}
ROWS = [("a", "p", "X"), ("b", "p", "X"), ("c", "p", "Y"), ("d", "q", "X"), ("e", "p", "X"), ("f", "q", "X")]
DAY = datetime.date(2026, 11, 10)
recorded = st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(sorted(EFFECTS))), max_size=14)


def replay(entries: list[tuple[str, str]]) -> tuple[bool, dict[str, str], list[str]]:
    """Whether one patient opted out, the last outcome by appointment, and the appointments of unanswered calls."""
    counting: list[tuple[str, str]] = []
    for appointment, effect in entries:
        own = [place for place, entry in enumerate(counting) if entry[0] == appointment]
        if effect == "withdrawn" and own and counting[own[-1]][1] != "withdrawn":
            del counting[own[-1]]
            continue
        since_wish = [n for n in own if not any((appointment, "calls wished") == counting[m] for m in own if m > n)]
        again = [n for n in since_wish if counting[n][1] == "opted out"] if effect == "opted out" else []
        counting = [entry for n, entry in enumerate(counting) if not (again and n in own and n >= again[0])]
        counting.append((appointment, effect))
    out, last, unanswered = False, {}, []
    for appointment, effect in counting:
        if effect in ("opted out", "calls wished", "withdrawn"):
            out = effect == "opted out"
            last = last if out else {each: what for each, what in last.items() if what != "opted out"}
        if effect not in ("calls wished", "withdrawn"):
            last[appointment] = effect
        if effect in ("reached", "rebooked", "opted out"):
            unanswered = []
        elif effect in ("not reached", "wrong number"):
            unanswered.append(appointment)
    return out, last, unanswered


def of(patient: str, entries: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, EFFECTS[outcome]) for name, outcome in entries if PATIENTS[name] == patient]


@given(recorded)
def test_the_state_of_a_patient_is_a_replay_of_the_rules(entries):
    own = of("p", entries)
    out, last, unanswered = replay(own)
    state = call_state(
        CallEvent(place, appointment, "p", "X", DAY.isoformat(), effect)
        for place, (appointment, effect) in enumerate(own)
    )
    assert state.opted_out is out
    reached = {name: effect for name, effect in last.items() if effect in ("reached", "rebooked", "opted out")}
    assert {name: event.effect for name, event in state.reached.items()} == reached
    assert [event.appointment for event in state.attempts] == unanswered


def known(home: Path, log: Recorded, entries: list[tuple[str, str, str | None]], *, at_once: int):
    """What is known about the rows after the entries were copied, so many at a time."""
    ledger = Ledger(home, log)
    ledger.plan("week", [], listed=PATIENTS.items())
    for first in range(0, len(entries), at_once):
        for appointment, outcome, patient in entries[first : first + at_once]:
            log.record(DAY.isoformat(), appointment, patient, "X", outcome)
        ledger.catch_up()
    return ledger.known(listed(*ROWS))


@settings(max_examples=examples(30))
@given(recorded, st.lists(st.booleans(), min_size=14, max_size=14), st.integers(1, 14))
def test_a_list_knows_the_same_however_the_events_were_copied(entries, is_named, at_once):
    """In one batch or one by one, and whether the log or a list says whose the appointment is."""
    entered = [(*entry, PATIENTS[entry[0]] if named else None) for entry, named in zip(entries, is_named, strict=False)]
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        found = known(home / "1", Recorded(), entered, at_once=at_once)
        assert found == known(home / "2", Recorded(), entered, at_once=1)
        assert found == known(home / "3", Recorded(), entered, at_once=len(entered) + 1)
    replays = {patient: replay(of(patient, entries)) for patient in "pq"}
    for row, (appointment, patient, clinic) in enumerate(ROWS):
        out, last, unanswered = replays[patient]
        assert (row in found.opted_out) is out
        assert (row in found.settled) is (last.get(appointment) in ("reached", "opted out"))
        reached = [name for name, effect in last.items() if effect in ("reached", "rebooked", "opted out")]
        assert found.mutes(row, DAY, mute_days=14) is (clinic == "X" and bool(reached))
        assert len(found.attempts.get(row, ())) == unanswered.count(appointment)
        assert len(found.other_attempts.get(row, ())) == len(unanswered) - unanswered.count(appointment)

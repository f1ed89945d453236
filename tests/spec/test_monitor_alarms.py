"""What raises an alarm of `dnapredict monitor`, what the alarm says, and what raises none: for an analyst who reads one.

Each world has 24 weeks of 6,000 appointments; what moves begins in week 14. `since` and `within` are weeks from there:
the alarm names as its beginning a week at most `since` away, and is raised after `within` weeks at most.
"""

import datetime

import numpy as np
import pyarrow as pa
import pytest
from tests.watched_weeks import CHANGE, FIRST_MONDAY, WatchedWeeks

from dnapredict.fairness.measure.audited_appointments import AuditData
from dnapredict.monitoring.alarms import Alarm, AuditedLevels, outcome_alarms
from dnapredict.monitoring.input_drift import InputReference, input_alarms, input_weeks
from dnapredict.monitoring.weekly_counts import weekly_counts

OUTCOMES = """
    what moves                        | factor | alarm                | since | within | what to do
    nothing                           | 1      |                      |       |        |
    everyone                          | 1.03   |                      |       |        |
    snow, one week                    | 2      |                      |       |        |
    snow, one week                    | 0.3    |                      |       |        |
    everyone, more missed             | 1.15   | level all            | 1     | 4      | Check whether recording or reminders
    everyone, fewer missed            | 0.85   | level all            | 1     | 4      | Check whether recording or reminders
    core20                            | 1.3    | level core20         | 1     | 6      | train a new version and audit it
    site                              | 1.25   | level S2             | 1     | 6      | train a new version and audit it
    high risks miss less              | 0.6    | level all, slope all, slope all, reach all | 2 | 10      | High risks no longer differ
    listed core20 miss less           | 0.5    | reach core20         | 1     | 8      | Compare this group's records
"""
INPUTS = """
    what moves                        | alarm            | since | within | what to do
    nothing                           |                  |       |        |
    a season, to and fro              |                  |       |        |
    blanks in 5 of 100 rows           | factor age       | 0     | 4      | Ask whether patients, clinics or recording
    a code is replaced by a new one   | codes mechanism  | 0     | 2      | Ask whether the system's codes changed
    a column is blank                 | column age       | 0     | 1      | Ask for the column in the export
    a column is no longer there       | column age       | 0     | 24     | Ask for the column in the export
    older patients                    | factor age       | 0     | 3      | Ask whether patients, clinics or recording
"""
WHO = {"snow, one week": "snow", "high risks miss less": "high risks", "listed core20 miss less": "listed core20"}


def rows(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")] for line in text.strip().splitlines()[1:]]


def weeks_after_the_change(day: object) -> int:
    return int((np.datetime64(str(day)) - FIRST_MONDAY).astype(int)) // 7 - CHANGE


def hold_to(alarms: tuple[Alarm, ...], since: str, within: str, action: str) -> None:
    for alarm in alarms:
        assert abs(weeks_after_the_change(alarm.since)) <= int(since)
        assert weeks_after_the_change(alarm.raised) < int(within)
        assert alarm.lasts
    assert any(action in alarm.message for alarm in alarms) == bool(alarms)


@pytest.mark.parametrize(("moves", "factor", "named", "since", "within", "action"), rows(OUTCOMES))
def test_which_outcomes_raise_an_alarm(
    moves: str, factor: str, named: str, since: str, within: str, action: str
) -> None:
    who = WHO.get(moves, "" if moves == "nothing" else moves.partition(",")[0])
    alarms = outcome_alarms(weekly_counts(WatchedWeeks(who, float(factor)).appointments()))
    assert ", ".join(f"{alarm.what} {alarm.group}" for alarm in alarms) == named
    hold_to(alarms, since, within, action)


def inputs(moves: str) -> tuple[pa.Table, np.ndarray]:
    """24 weeks of 2,000 rows with an age and the code of a consultation mechanism."""
    rng = np.random.default_rng(3)
    week = np.repeat(np.arange(24), 2_000)
    age = np.clip(50 + 18 * rng.standard_normal(len(week)), 0, 99)
    mechanism = rng.choice(["01", "02", "11"], len(week), p=[0.7, 0.25, 0.05]).astype(object)
    changed = week >= CHANGE
    if moves == "a season, to and fro":
        age += 2 * np.sin(2 * np.pi * week / 24)
    if moves == "blanks in 5 of 100 rows":
        age[changed & (rng.random(len(week)) < 0.05)] = np.nan
    if moves == "a code is replaced by a new one":
        mechanism[changed & (mechanism == "02")] = "T2"
    if moves == "a column is blank":
        age[changed] = np.nan
    if moves == "older patients":
        age[changed] += 12
    table = pa.table({"age": pa.array(age, from_pandas=True), "mechanism": pa.array(mechanism)})
    return table.drop_columns(["age"]) if moves == "a column is no longer there" else table, week


@pytest.mark.parametrize(("moves", "named", "since", "within", "action"), rows(INPUTS))
def test_which_inputs_raise_an_alarm(moves: str, named: str, since: str, within: str, action: str) -> None:
    before, _ = inputs("nothing")
    references = {name: InputReference.of(before[name]) for name in before.column_names}
    table, week = inputs(moves)
    alarms = input_alarms(input_weeks(table, week, references, weeks=24), FIRST_MONDAY + 7 * np.arange(24))
    assert ", ".join(f"{alarm.what} {alarm.grouping}" for alarm in alarms) == named
    if moves == "a column is no longer there":
        assert [weeks_after_the_change(alarm.since) for alarm in alarms] == [-CHANGE]
    else:
        hold_to(alarms, since, within, action)


def test_a_drift_of_everyone_is_told_once_and_not_again_of_each_group() -> None:
    alarms = outcome_alarms(weekly_counts(WatchedWeeks("everyone", 1.4, rows_a_week=20_000).appointments()))
    assert [(alarm.what, alarm.group) for alarm in alarms] == [("level", "all")]
    assert alarms[0].message.startswith("Everyone: 39 in 100 more")


def test_a_level_that_the_audit_already_found_raises_no_alarm_again() -> None:
    counts = weekly_counts(WatchedWeeks("everyone", 1.15).appointments())
    known = {(group.grouping.name, group.group.code): 1.16 for group in counts.groups}
    before = counts.weeks[0].item() - datetime.timedelta(days=1)
    assert outcome_alarms(counts, AuditedLevels(before, known)) == ()


def test_a_drift_in_the_weeks_that_were_audited_is_not_its_own_reference() -> None:
    counts = weekly_counts(WatchedWeeks("everyone", 1.4, rows_a_week=20_000).appointments())
    known = {(group.grouping.name, group.group.code): 1.2 for group in counts.groups}
    alarms = outcome_alarms(counts, AuditedLevels(counts.weeks[-1].item(), known))
    assert [(alarm.what, alarm.group) for alarm in alarms] == [("level", "all")]


def test_an_alarm_of_a_change_that_is_over_no_longer_holds() -> None:
    moved, usual = (WatchedWeeks(who, 1.3, weeks=40).table() for who in ("everyone", ""))
    over = 22 * WatchedWeeks().rows_a_week
    table = pa.concat_tables([moved.slice(0, over), usual.slice(over)])
    alarms = outcome_alarms(weekly_counts(AuditData.of(table)))
    assert [(alarm.what, alarm.group, alarm.lasts) for alarm in alarms] == [("level", "all", False)]

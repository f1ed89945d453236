"""Watch the model in use on the outcomes that came back to its home."""

import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from dnapredict.errors import DataError, StoreError
from dnapredict.monitoring.alarms import AuditedLevels, outcome_alarms
from dnapredict.monitoring.input_drift import input_alarms, input_weeks
from dnapredict.monitoring.weekly_counts import weekly_counts, weeks_of
from dnapredict.pipeline.routine.stored_outcomes import stored_outcomes
from dnapredict.worklist.follow_up.outcome_store import OUTCOME_SCHEMA, OutcomeStore

MONDAY = datetime.datetime(2026, 6, 1, 9)


def store(home: Path, *, weeks: int = 12, recorded: int = 10, each: int = 60, **more: object) -> None:
    """Appointments scored by version 1; the last weeks have no outcome, and so no groups, yet."""
    rows = [
        {
            "appointment": f"a{week}-{number}",
            "patient": f"p{number}",
            "model_version": "1",
            "probability": 0.2,
            "selected": number < 6,
            "starts_at": MONDAY + datetime.timedelta(weeks=week),
        }
        | ({"missed": number % 5 == 0, "site_code": "S1", "imd_decile": 1 + number % 10} if week < recorded else {})
        | more
        for week in range(weeks)
        for number in range(each)
    ]
    OutcomeStore(home).write(pa.Table.from_pylist(rows, schema=OUTCOME_SCHEMA))


def test_all_that_was_scored_is_estimated_and_what_came_back_is_judged(tmp_path: Path) -> None:
    store(tmp_path)
    watched = stored_outcomes(tmp_path, "1", timezone="Europe/London", audited=AuditedLevels())
    assert watched.scored.num_rows == 12 * 60
    assert len(watched.outcomes) == 10 * 60
    assert watched.inputs.num_rows == 10 * 60
    assert set(watched.references) == {"site_code", "imd_decile"}


def test_weeks_whose_outcomes_did_not_come_back_are_no_missing_column(tmp_path: Path) -> None:
    store(tmp_path)
    watched = stored_outcomes(tmp_path, "1", timezone="Europe/London", audited=AuditedLevels())
    weeks, position = weeks_of(watched.scored["starts_at"])
    assert watched.has_inputs is not None
    counted = input_weeks(watched.inputs, position[watched.has_inputs], watched.references, weeks=len(weeks))
    assert input_alarms(counted, weeks) == ()
    assert np.isnan(counted[0].psi).tolist() == [False] * 10 + [True] * 2


@pytest.mark.parametrize(("late", "kept"), [({}, 20), ({18: 0.3, 19: 0.6}, 18), ({10: 0.6}, 20), ({19: 0.05}, 20)])
def test_the_last_weeks_count_once_their_missed_appointments_are_recorded(
    late: dict[int, float], kept: int, tmp_path: Path
) -> None:
    """Of the missed appointments of some weeks a share is not recorded yet, and all of the others are."""
    random, rows = np.random.default_rng(4), []
    for week in range(20):
        missed = random.random(2_000) < 0.1
        unknown = missed & (random.random(2_000) < late.get(week, 0.0))
        rows += [
            {
                "appointment": f"a{week}-{number}",
                "patient": f"p{number}",
                "model_version": "1",
                "probability": 0.1,
                "starts_at": MONDAY + datetime.timedelta(weeks=week),
                # A tenth was cancelled, and is neither missed nor attended.
                "outcome_code": None if unknown[number] else "2" if number < 200 else "3" if missed[number] else "5",
                "missed": None if unknown[number] or number < 200 else bool(missed[number]),
            }
            for number in range(2_000)
        ]
    OutcomeStore(tmp_path).write(pa.Table.from_pylist(rows, schema=OUTCOME_SCHEMA))
    watched = stored_outcomes(tmp_path, "1", timezone="UTC", audited=AuditedLevels())
    assert len(weekly_counts(watched.outcomes).weeks) == kept
    assert watched.scored.num_rows == 40_000
    assert not outcome_alarms(weekly_counts(watched.outcomes))


def test_weeks_are_those_of_the_clinics_clock(tmp_path: Path) -> None:
    # Sunday evening in UTC is Monday after midnight in London's summer.
    store(tmp_path, weeks=1, recorded=1, starts_at=datetime.datetime(2026, 6, 7, 23, 30))
    for timezone, monday in (("Europe/London", "2026-06-08"), ("UTC", "2026-06-01")):
        watched = stored_outcomes(tmp_path, "1", timezone=timezone, audited=AuditedLevels())
        assert weeks_of(watched.scored["starts_at"])[0].astype(str).tolist() == [monday]


def test_a_call_and_an_arm_come_along_and_an_unplanned_row_was_not_selected(tmp_path: Path) -> None:
    store(tmp_path, weeks=2, recorded=2, contacted=True, trial_arm="control", selected=None)
    table = stored_outcomes(tmp_path, "1", timezone="Europe/London", audited=AuditedLevels()).outcomes.table
    assert table["contacted"].to_pylist() == [True] * 120
    assert set(table["trial_arm"].to_pylist()) == {"control"}
    assert not any(table["selected"].to_pylist())


def test_other_versions_and_homes_without_outcomes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="dnapredict outcomes EXTRACT"):
        stored_outcomes(tmp_path, "1", timezone="Europe/London", audited=AuditedLevels())
    store(tmp_path)
    with pytest.raises(DataError, match="no appointment that version 2 scored before it began has an outcome yet"):
        stored_outcomes(tmp_path, "2", timezone="Europe/London", audited=AuditedLevels())
    store(tmp_path, recorded=0)
    with pytest.raises(DataError, match="has an outcome yet"):
        stored_outcomes(tmp_path, "1", timezone="Europe/London", audited=AuditedLevels())

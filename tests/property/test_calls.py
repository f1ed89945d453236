"""Giving out calls: never more than there are, never two to one patient about what is near, none wasted."""

import datetime

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from dnapredict.config.loading import load, shipped
from dnapredict.config.worklist_config import Team, WorklistConfig
from dnapredict.worklist.files.worklist_files import FACTORS
from dnapredict.worklist.plan.call_capacity import call_capacity
from dnapredict.worklist.plan.call_plan import MUTED, assign_calls, plan_calls
from dnapredict.worklist.plan.ranking import NOBODY, RankingInputs, select_calls

SHIPPED = load(shipped("serving/worklist.toml"), WorklistConfig)
FIRST = datetime.datetime(2026, 11, 2)

rows = st.lists(
    st.fixed_dictionaries(
        {
            "probability": st.sampled_from([0.01, 0.05, 0.1, 0.2, 0.4, 0.9]),
            "imd_decile": st.sampled_from([1, 2, 5, 10, None]),
            "patient_id": st.sampled_from(["p", "q", "r", "s", None]),
            "clinic_code": st.sampled_from(["X", "Y", None]),
            "starts_local": st.integers(0, 40).map(lambda days: FIRST + datetime.timedelta(days=days)),
        }
    ),
    min_size=1,
    max_size=40,
)
settings = st.fixed_dictionaries(
    {
        "allocation": st.sampled_from(["global", "proportionate", "floor"]),
        "capacity": st.sampled_from([None, 1, 3, 100]),
        "capacity_per": st.sampled_from([(), ("clinic",), ("week",), ("clinic", "week")]),
        "teams": st.sampled_from([(), (Team(name="T", capacity=2, clinics=("X",)),)]),
        "mute_days": st.sampled_from([0, 7, 14]),
    }
)
SCHEMA = pa.schema(
    [("probability", pa.float64()), ("imd_decile", pa.int64()), ("starts_local", pa.timestamp("us"))]
    + [(name, pa.string()) for name in ("appointment_id", "patient_id", "clinic_code", "site_code")]
    + [(name, pa.string()) for name in ("treatment_function_code", *FACTORS)]
)


def judged(listed: list[dict]) -> pa.Table:
    return pa.Table.from_pylist(listed, schema=SCHEMA)


@given(rows, settings, st.sets(st.integers(0, 39)))
def test_calls_are_given_out_whole_and_to_nobody_twice(listed, changes, muted):
    config = SHIPPED.model_copy(update=changes)
    standing = RankingInputs.of(judged(listed), config=config)
    calls = call_capacity(standing, config=config)
    found = assign_calls(standing, calls, config=config, is_muted=lambda row: row in muted)
    own = found == np.arange(len(found))

    given_ = np.bincount(calls.group[own], minlength=len(calls.number))
    assert (given_ <= calls.number).all()
    # A group has calls left only if everybody in it is called, mentioned in a call, or muted.
    for row in np.flatnonzero(found == -1):
        assert given_[calls.group[row]] == calls.number[calls.group[row]]
    assert not own[[row for row in muted if row < len(own)]].any()
    assert set(np.flatnonzero(found == MUTED).tolist()) <= muted

    for row in np.flatnonzero(found >= 0).tolist():
        call = found[row]
        assert own[call]
        if call != row:
            assert standing.patient[row] == standing.patient[call] != NOBODY
            assert abs((standing.day[row] - standing.day[call]).astype(int)) <= config.mute_days
    for patient in set(standing.patient[own].tolist()) - {NOBODY}:
        days = np.sort(standing.day[own & (standing.patient == patient)])
        assert (np.diff(days).astype(int) > config.mute_days).all()


@given(rows, st.sampled_from(["global", "proportionate", "floor"]), st.integers(1, 40))
def test_where_each_patient_has_one_appointment_it_is_the_rule_that_the_audit_judges(listed, rule, capacity):
    for number, row in enumerate(listed):
        row["patient_id"] = str(number)
    config = SHIPPED.model_copy(update={"allocation": rule})
    table = judged(listed)
    made = plan_calls(table, config=config, capacity=capacity)
    decile = table["imd_decile"].cast("float64").to_numpy()
    asked = select_calls(table["probability"].to_numpy(), decile, config=config, capacity=capacity)
    assert np.flatnonzero(asked).tolist() == made.called.tolist()


@given(rows, settings)
def test_ranks_count_every_row_once_and_with_risk_alone_follow_it(listed, changes):
    config = SHIPPED.model_copy(update=changes)
    made = plan_calls(judged(listed), config=config, capacity=None).table
    rank = np.asarray(made["rank"])
    assert sorted(rank.tolist()) == list(range(1, len(listed) + 1))
    if changes["allocation"] == "global" and not (changes["teams"] or changes["capacity_per"]):
        risk = np.array([row["probability"] for row in listed])
        assert (np.diff(risk[np.argsort(rank)]) <= 0).all()


@given(rows, settings)
def test_the_same_list_gives_the_same_plan(listed, changes):
    config = SHIPPED.model_copy(update=changes)
    first, second = (plan_calls(judged(listed), config=config, capacity=None).table for _ in range(2))
    assert first.equals(second)

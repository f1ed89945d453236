"""Giving out calls: never more than there are, never two to one patient about what is near, none wasted."""

import datetime

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from dnapredict.config.loading import load, shipped
from dnapredict.config.worklist_config import Team, WorklistConfig
from dnapredict.data.contract.calendar_weeks import week_of
from dnapredict.worklist.files.worklist_columns import FACTORS
from dnapredict.worklist.plan.allocation import fifths, quotas
from dnapredict.worklist.plan.call_assignment import MUTED, OPTED_OUT, UNCALLED, assign_calls
from dnapredict.worklist.plan.call_capacity import call_capacity
from dnapredict.worklist.plan.call_plan import plan_calls
from dnapredict.worklist.plan.ranking import NOBODY, RankingInputs
from dnapredict.worklist.plan.replay import replay

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
    silent = np.isin(np.arange(len(listed)), list(muted))
    found = assign_calls(standing, calls, config=config, muted=silent)
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


def one_row_after_the_other(standing, calls, *, config, muted, excluded) -> list[int]:
    """The rule as it is said: from the highest risk down, each row by itself."""
    found, left, calls_of = excluded.tolist(), calls.number.tolist(), {}
    fifth = fifths(standing.decile)
    guaranteed = [
        quotas(
            standing.probability[calls.group == group],
            standing.decile[calls.group == group],
            calls=int(calls.number[group]),
            rule=config.allocation,
            floor_share=config.floor_share,
        ).tolist()
        for group in range(len(calls.number))
    ]

    def near(row: int) -> int | None:
        made = calls_of.get(standing.patient[row], []) if standing.patient[row] != NOBODY else []
        days = (abs((standing.day[call] - standing.day[row]).astype(int)) for call in made)
        return next((call for call, apart in zip(made, days, strict=True) if apart <= config.mute_days), None)

    for is_guaranteed in (True, False):
        for row in standing.order.tolist():
            group = calls.group[row]
            if found[row] != UNCALLED or not left[group] or near(row) is not None:
                continue
            if is_guaranteed and not guaranteed[group][fifth[row]]:
                continue
            if muted[row]:
                found[row] = MUTED
                continue
            found[row] = row
            left[group] -= 1
            guaranteed[group][fifth[row]] -= 1
            calls_of.setdefault(standing.patient[row], []).append(row)
    for row in range(len(found)):
        call = near(row)
        if found[row] in (UNCALLED, MUTED) and call is not None:
            found[row] = call
    return found


@given(rows, settings, st.sets(st.integers(0, 39)), st.sets(st.integers(0, 39), max_size=3))
def test_calls_are_those_of_the_rule_applied_row_by_row(listed, changes, muted, out):
    config = SHIPPED.model_copy(update=changes)
    standing = RankingInputs.of(judged(listed), config=config)
    calls = call_capacity(standing, config=config)
    silent = np.isin(np.arange(len(listed)), list(muted))
    excluded = np.where(np.isin(np.arange(len(listed)), list(out)), OPTED_OUT, UNCALLED)
    found = assign_calls(standing, calls, config=config, muted=silent, excluded=excluded)
    assert found.tolist() == one_row_after_the_other(standing, calls, config=config, muted=silent, excluded=excluded)


@given(rows, settings, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_decides_nothing(listed, changes, random):
    """Ties neither: of equal risks the same appointments are called however the list is sorted."""
    config = SHIPPED.model_copy(update=changes)
    for number, row in enumerate(listed):
        row["appointment_id"] = f"a{number}"
    order = list(range(len(listed)))
    random.shuffle(order)
    first, second = (
        plan_calls(judged(some), config=config, capacity=None).table.select(["rank", "selected"]).to_pylist()
        for some in (listed, [listed[row] for row in order])
    )
    assert [first[row] for row in order] == second
    replayed, again = (
        replay(RankingInputs.of(judged(some), config=config), config=config).covered
        for some in (listed, [listed[row] for row in order])
    )
    assert replayed[order].tolist() == again.tolist()


@given(rows, settings)
def test_a_replay_makes_no_more_calls_than_there_are_and_keeps_the_mute_period(listed, changes):
    config = SHIPPED.model_copy(update=changes)
    standing = RankingInputs.of(judged(listed), config=config)
    made = replay(standing, config=config)
    assert (made.covered | ~made.calls).all()
    if "week" in config.capacity_per:  # groups of the whole period: no calling week has more calls than it may
        calls = call_capacity(standing, config=config)
        given_ = np.bincount(calls.group[made.calls], minlength=len(calls.number))
        assert (given_ <= calls.number).all()
    for patient, clinic in set(zip(standing.patient.tolist(), standing.clinic.tolist(), strict=True)):
        if NOBODY not in (patient, clinic) and config.mute_days:
            own = made.calls & (standing.patient == patient) & (standing.clinic == clinic)
            weeks = np.unique(week_of(standing.call_by if "week" in config.capacity_per else standing.day)[own])
            days = np.sort(standing.call_by[own]).astype(int)
            assert len(weeks) == own.sum() or config.mute_days < 7
            assert (np.diff(days) > config.mute_days).all()


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

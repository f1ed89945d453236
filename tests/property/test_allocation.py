"""Sharing calls between areas: never more or fewer calls, never an unequal treatment of equals by chance."""

import inspect
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from dnapredict.config.loading import load, shipped
from dnapredict.config.worklist_config import WorklistConfig
from dnapredict.worklist.plan.allocation import RULES, fifths, quotas
from dnapredict.worklist.plan.call_assignment import allocated, assign_calls
from dnapredict.worklist.plan.ranking import RankingInputs, ranks
from dnapredict.worklist.plan.replay import replay

CONFIG = load(shipped("serving/worklist.toml"), WorklistConfig)
Patients = Sequence[tuple[float, float]]

patients = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.01, 0.05, 0.1, 0.2, 0.4, 0.9]),  # few values, so that ties are common
        st.sampled_from([1.0, 2.0, 3.0, 5.0, 8.0, 10.0, float("nan")]),
    ),
    min_size=1,
    max_size=60,
)
shares = st.floats(0.05, 1.0)


def lists_of(rows: Patients) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    risk, decile = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    return risk, decile


def called(rows: Patients, rule: str, calls: int, floor_share: float = 0.8) -> NDArray[np.bool_]:
    risk, decile = lists_of(rows)
    return allocated(risk, decile, calls=calls, rule=rule, floor_share=floor_share)  # type: ignore[arg-type]


@pytest.mark.parametrize("rule", RULES)
@given(patients, shares)
def test_every_call_is_used_once(rule: str, rows: Patients, share: float):
    calls = int(np.ceil(share * len(rows)))
    assert called(rows, rule, calls).sum() == calls


@pytest.mark.parametrize("rule", RULES)
@given(patients, shares)
def test_within_a_fifth_the_higher_risk_comes_first_and_of_equals_the_earlier_row(rule, rows, share):
    selected = called(rows, rule, int(np.ceil(share * len(rows))))
    risk, decile = lists_of(rows)
    for fifth in range(6):
        inside = np.flatnonzero(fifths(decile) == fifth)
        order = inside[np.argsort(-risk[inside], kind="stable")]
        assert selected[order].tolist() == sorted(selected[order], reverse=True)


@pytest.mark.parametrize("rule", RULES)
@given(patients, shares)
def test_the_same_list_gives_the_same_calls(rule: str, rows: Patients, share: float):
    calls = int(np.ceil(share * len(rows)))
    assert (called(rows, rule, calls) == called(list(rows), rule, calls)).all()


@given(patients, shares, st.floats(0.1, 0.95))
def test_a_floor_is_kept_in_every_fifth(rows: Patients, share: float, floor_share: float):
    calls = int(np.ceil(share * len(rows)))
    selected = called(rows, "floor", calls, floor_share)
    risk, decile = lists_of(rows)
    for fifth in range(6):
        inside = fifths(decile) == fifth
        if risk.sum() > 0:
            promised = int(floor_share * calls * risk[inside].sum() / risk.sum() - 1e-9)
            assert selected[inside].sum() >= min(promised, inside.sum())


@given(patients, shares)
def test_proportionate_calls_are_within_one_of_the_share_of_need_where_people_suffice(rows, share):
    calls = int(np.ceil(share * len(rows)))
    selected = called(rows, "proportionate", calls)
    risk, decile = lists_of(rows)
    ideal = [calls * risk[fifths(decile) == f].sum() / max(risk.sum(), 1e-12) for f in range(6)]
    room = [(fifths(decile) == f).sum() for f in range(6)]
    if risk.sum() > 0 and all(np.ceil(i) <= r for i, r in zip(ideal, room, strict=True)):
        given_calls = [selected[fifths(decile) == f].sum() for f in range(6)]
        assert all(abs(g - i) < 1 for g, i in zip(given_calls, ideal, strict=True))


@given(patients, shares)
def test_fairer_shares_are_paid_for_in_expected_reach(rows: Patients, share: float):
    """Global reaches the most, and a floor costs no more than full proportion."""
    calls = int(np.ceil(share * len(rows)))
    risk, _ = lists_of(rows)
    reached = {rule: risk[called(rows, rule, calls)].sum() for rule in RULES}
    assert reached["global"] >= reached["floor"] - 1e-9
    assert reached["floor"] >= reached["proportionate"] - 1e-9


@given(patients, shares)
def test_people_to_call_stand_first_and_every_place_is_given_once(rows: Patients, share: float):
    selected = called(rows, "proportionate", int(np.ceil(share * len(rows))))
    place = ranks(RankingInputs.of_risks(*lists_of(rows)).place, selected)
    assert sorted(place) == list(range(1, len(rows) + 1))
    assert (place[selected] <= selected.sum()).all()


def test_each_week_is_a_list_of_its_own():
    starts = np.array(["2025-01-06", "2025-01-12", "2025-01-13", "2025-01-14"], dtype="datetime64[us]")
    risk, decile = np.array([0.2, 0.9, 0.1, 0.3]), np.array([1.0, 9.0, 1.0, np.nan])
    made = replay(replace(RankingInputs.of_risks(risk, decile), day=starts.astype("datetime64[D]")), config=CONFIG)
    assert made.calls.tolist() == [False, True, False, True]


def test_ethnicity_cannot_be_asked_for():
    for rule in (allocated, quotas, assign_calls, replay, RankingInputs):
        assert not [name for name in inspect.signature(rule).parameters if "ethnic" in name]
    with pytest.raises(ValidationError, match="allocation"):
        WorklistConfig.model_validate({**CONFIG.model_dump(), "allocation": "by ethnicity"})
    with pytest.raises(ValidationError, match="allocate_by"):
        WorklistConfig.model_validate({**CONFIG.model_dump(), "allocate_by": "ethnic_category_code"})


def test_the_shipped_rule_is_global():
    assert CONFIG.allocation == "global"

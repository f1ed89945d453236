"""Patients who were called: the model tells the risk that they would have without a call."""

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.risk_worlds import CONFIG, world

from dnapredict.errors import NoEventsError
from dnapredict.model.cohort import Cohort
from dnapredict.model.fit.fitting import exclude_contacted
from dnapredict.model.fit.training import train
from dnapredict.model.time_split import split_by_time

FREE = (0, 0, 0)


def called(cohort: Cohort, *, works: float = 0.9) -> Cohort:
    """Most patients with long waits and past DNAs were called, and calls kept them from missing."""
    draw = np.random.default_rng(7)
    likely = (cohort.lead_days > 30) & (cohort.matrix[:, 1] > 0)
    contacted = likely & (draw.random(len(cohort)) < 0.8)
    saved = contacted & (draw.random(len(cohort)) < works)
    return replace(cohort, contacted=contacted, dna=cohort.dna & ~saved)


def risk_of_the_likely(cohort: Cohort) -> float:
    found = train(cohort, config=CONFIG, directions=FREE)
    fresh = world(5_000, seed=11).matrix
    likely = (fresh[:, 0] > 30) & (fresh[:, 1] > 0)
    return float(found.model.probability(fresh[likely]).mean())


def test_without_the_method_those_whom_calls_helped_look_safe_and_with_it_they_do_not():
    truth = world(6_000)
    without_calls = risk_of_the_likely(truth)
    as_known = called(truth)
    ignored = risk_of_the_likely(replace(as_known, contacted=None))
    told = risk_of_the_likely(as_known)
    assert ignored < without_calls - 0.3
    assert told == pytest.approx(without_calls, abs=0.08)


def test_the_called_are_in_no_window_and_those_like_them_weigh_more():
    cohort = called(world(6_000))
    weighted, windows, contacts = exclude_contacted(cohort, split_by_time(cohort, config=CONFIG))
    assert not (cohort.contacted & (windows.train | windows.test)).any()
    assert windows.split.fit.rows == windows.fit.sum()
    likely = windows.train & (cohort.lead_days > 30) & (cohort.matrix[:, 1] > 0)
    assert weighted.weight[likely].mean() > 2
    assert weighted.weight[windows.train & ~likely].mean() < 1.5
    assert contacts.trained + contacts.tested == cohort.contacted.sum()


def test_the_weights_make_those_who_were_not_called_stand_for_all():
    cohort = called(world(20_000))
    weighted, windows, _ = exclude_contacted(cohort, split_by_time(cohort, config=CONFIG))
    everybody = split_by_time(cohort, config=CONFIG).train
    stand_in = np.average(cohort.matrix[windows.train], axis=0, weights=weighted.weight[windows.train])
    whole, left = (cohort.matrix[rows].mean(axis=0) for rows in (everybody, windows.train))
    assert (np.abs(stand_in - whole) <= np.abs(left - whole) + 0.02 * whole).all()
    assert stand_in[1] == pytest.approx(whole[1], rel=0.05)  # past DNAs, by which they were called


def test_an_extract_that_says_nothing_of_calls_is_left_as_it_is():
    cohort = world()
    windows = split_by_time(cohort, config=CONFIG)
    same, unchanged, contacts = exclude_contacted(cohort, windows)
    assert (same is cohort, unchanged is windows, contacts) == (True, True, None)


def test_a_few_calls_are_left_out_without_weights():
    cohort = world()
    few = np.zeros(len(cohort), dtype=bool)
    few[:20] = True
    weighted, windows, contacts = exclude_contacted(
        replace(cohort, contacted=few), split_by_time(cohort, config=CONFIG)
    )
    assert (weighted.weight == 1).all()
    assert (contacts.trained, contacts.tested, contacts.most_weight) == (20, 0, 1.0)
    assert not windows.fit[:20].any()


def test_where_everybody_was_called_there_is_nothing_to_learn_from():
    cohort = replace(world(), contacted=np.ones(3_000, dtype=bool))
    with pytest.raises(NoEventsError, match="training window"):
        train(cohort, config=CONFIG, directions=FREE)

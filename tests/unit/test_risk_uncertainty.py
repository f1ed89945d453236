"""Intervals: as wide as chance, wider where patients come often, and paired where models are compared."""

import numpy as np
import pytest

from dnapredict.model.evaluate.metric_intervals import (
    PatientIndex,
    PercentileInterval,
    Replicates,
    ResampledMetrics,
    bootstrap_intervals,
    bootstrap_replicates,
    log_loss_difference,
    paired_difference,
)
from dnapredict.model.evaluate.risk_metrics import compute_metrics


def sample(n: int = 3_000, *, each: int = 1, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outcomes, risks and patients; a patient with several appointments always does the same."""
    draw = np.random.default_rng(seed)
    risk = draw.beta(2, 8, n // each)
    dna = draw.random(n // each) < risk
    return np.repeat(dna, each), np.repeat(risk, each), np.repeat(np.arange(n // each), each)


def draws_of(dna: np.ndarray, risk: np.ndarray, *, patient: np.ndarray, seed: int) -> Replicates:
    people = PatientIndex.of(patient)
    return bootstrap_replicates([ResampledMetrics(dna, risk, people)], people, seed=seed)[0]


def intervals_of_all(
    dna: np.ndarray, risk: np.ndarray, *, patient: np.ndarray, seed: int
) -> dict[str, PercentileInterval]:
    everyone = {"all": np.ones(len(dna), dtype=bool)}
    return bootstrap_intervals(dna, risk, populations=everyone, patient=patient, seed=seed)["all"]


def test_every_draw_of_everyone_once_gives_the_figures_themselves():
    dna, risk, _ = sample()
    alone = draws_of(dna, risk, patient=np.zeros(len(dna), dtype=int), seed=1)
    known = compute_metrics(dna, risk).as_dict()
    for name, values in alone.items():  # one patient only: every draw is the whole
        assert values == pytest.approx(np.full(len(values), known[name]), abs=1e-9)


def test_ties_are_counted_as_the_figures_count_them():
    dna, risk, _ = sample()
    tied = np.round(risk, 1)
    alone = draws_of(dna, tied, patient=np.zeros(len(dna), dtype=int), seed=1)
    assert alone["auroc"][0] == pytest.approx(compute_metrics(dna, tied).auroc)
    assert alone["average_precision"][0] == pytest.approx(compute_metrics(dna, tied).average_precision)


def test_the_interval_of_a_share_is_as_wide_as_theory_says():
    dna, risk, patient = sample(10_000)
    found = intervals_of_all(dna, risk, patient=patient, seed=1)["base_rate"]
    theory = 2 * 1.96 * np.sqrt(dna.mean() * (1 - dna.mean()) / len(dna))
    assert found.high - found.low == pytest.approx(theory, rel=0.15)


def test_appointments_of_one_patient_do_not_count_as_independent():
    dna, risk, patient = sample(6_000, each=6)
    together = intervals_of_all(dna, risk, patient=patient, seed=1)["auroc"]
    apart = intervals_of_all(dna, risk, patient=np.arange(len(dna)), seed=1)["auroc"]
    assert together.high - together.low > 1.8 * (apart.high - apart.low)


def test_a_model_against_itself_differs_by_nothing():
    dna, risk, patient = sample()
    found = paired_difference(dna, risk, risk, patient=patient, seed=1)["log_loss"]
    assert found == (0, 0, 0)
    assert not found.is_certain


def test_the_truth_is_better_than_the_base_rate_beyond_chance():
    dna, risk, patient = sample()
    even = np.full(len(dna), dna.mean())
    found = paired_difference(dna, risk, even, patient=patient, seed=1)["log_loss"]
    assert found.high < 0
    assert found.is_certain


def test_one_outcome_only_has_no_interval():
    nobody = np.zeros(5, dtype=bool)
    assert intervals_of_all(nobody, np.full(5, 0.1), patient=np.arange(5), seed=1) == {}
    assert paired_difference(nobody, np.full(5, 0.1), np.full(5, 0.2), patient=np.arange(5), seed=1) == {}


def test_equal_seeds_give_equal_intervals():
    dna, risk, patient = sample()
    once, again = (intervals_of_all(dna, risk, patient=patient, seed=4) for _ in range(2))
    assert once == again


def test_a_draw_in_which_nobody_missed_is_left_aside_without_a_warning():
    dna = np.zeros(20, dtype=bool)
    dna[3] = True
    found = intervals_of_all(dna, np.linspace(0.1, 0.3, 20), patient=np.arange(20), seed=1)
    assert np.isfinite(found["auroc"]).all()


def test_the_figures_of_a_draw_are_those_of_its_rows_repeated():
    dna, risk, patient = sample(600, each=3, seed=5)
    tied = np.round(risk, 2)
    drawn = draws_of(dna, tied, patient=patient, seed=9)
    picked = np.random.default_rng(9).integers(0, 200, (400, 200))[0]
    times = np.bincount(picked, minlength=200)
    rows = np.repeat(np.arange(600), times[patient])
    known = compute_metrics(dna[rows], tied[rows]).as_dict()
    for name in ("base_rate", "brier", "log_loss", "auroc", "average_precision"):
        assert drawn[name][0] == pytest.approx(known[name])


def test_the_difference_of_log_loss_alone_is_that_among_all_figures():
    dna, risk, patient = sample(each=3)
    rival = np.clip(risk * 0.8 + 0.03, 0, 1)
    alone = log_loss_difference(dna, risk, rival, patient=patient, seed=1)
    among_all = paired_difference(dna, risk, rival, patient=patient, seed=1)["log_loss"]
    assert alone == pytest.approx(among_all)


def test_a_population_is_as_uncertain_as_its_own_patients_make_it():
    dna, risk, patient = sample(8_000, each=4)
    some = risk > np.median(risk)
    populations = {"some": some, "all": np.ones(len(dna), dtype=bool)}
    among_all = bootstrap_intervals(dna, risk, populations=populations, patient=patient, seed=1)
    alone = intervals_of_all(dna[some], risk[some], patient=patient[some], seed=1)
    for name in ("auroc", "log_loss", "sensitivity_at_10", "calibration_slope"):
        together, apart = among_all["some"][name], alone[name]
        assert together.high - together.low == pytest.approx(apart.high - apart.low, rel=0.15)
    assert among_all["all"] == intervals_of_all(dna, risk, patient=patient, seed=1)


def test_a_list_of_equal_risks_reaches_its_missed_rows_in_their_order():
    dna = np.array([True, False] * 10)
    drawn = draws_of(dna, np.full(20, 0.5), patient=np.zeros(20, dtype=int), seed=1)
    assert drawn["sensitivity_at_10"] == pytest.approx(1 / 10)  # two calls, the first to one who missed

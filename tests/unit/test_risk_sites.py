"""The level of risk by site: taken where a site's weeks tell more than chance, and nowhere else."""

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.risk_worlds import CONFIG, world
from tests.unit.test_risk_artefact import PROVENANCE

from dnapredict.model.artefact import save
from dnapredict.model.cohort import CohortGroups
from dnapredict.model.evaluate.risk_metrics import log_loss
from dnapredict.model.fit.calibration import fit_sites
from dnapredict.model.fit.training import train
from dnapredict.model.risk_model import recalibrate_sites


def slice_of(n: int, levels: list[float], *, seed: int = 0) -> dict[str, object]:
    """Risks that are right but for a level of each site's own."""
    draw = np.random.default_rng(seed)
    codes = draw.integers(0, len(levels), n)
    margin = draw.normal(-2, 0.7, n)
    truth = 1 / (1 + np.exp(-(margin + np.array(levels)[codes])))
    return {
        "dna": draw.random(n) < truth,
        "probability": 1 / (1 + np.exp(-margin)),
        "site": CohortGroups(tuple(f"S{i}" for i in range(len(levels))), codes),
        "patient": np.arange(n),
    }


def test_levels_that_differ_are_found_and_lower_log_loss_on_other_appointments():
    levels = [0.6, -0.6, 0.0, 0.5, -0.5, 0.0]
    found = fit_sites(**slice_of(12_000, levels), seed=1)
    assert [found[f"S{i}"] for i in range(6)] == pytest.approx(levels, abs=0.25)
    later = slice_of(12_000, levels, seed=9)
    moved = recalibrate_sites(later["probability"], later["site"].labels, found)
    assert log_loss(later["dna"], moved) < log_loss(later["dna"], later["probability"]) - 0.005


@pytest.mark.parametrize("seed", range(5))
def test_sites_that_do_not_differ_keep_the_level_of_the_whole(seed):
    found = fit_sites(**slice_of(6_000, [0.0] * 6, seed=seed), seed=1)
    assert found == {} or max(map(abs, found.values())) < 0.1


def test_a_small_site_has_no_level_of_its_own():
    given = slice_of(12_000, [0.8, -0.8, 0.8])
    given["site"].codes[given["site"].codes == 2] = np.where(np.arange((given["site"].codes == 2).sum()) < 50, 2, -1)
    assert set(fit_sites(**given, seed=1)) == {"S0", "S1"}


def test_the_less_is_known_of_a_site_the_nearer_it_stays_to_the_whole():
    levels = [0.5, -0.5, 0.5, -0.5]
    little, much = (fit_sites(**slice_of(n, levels, seed=3), seed=1) for n in (3_000, 60_000))
    assert much["S0"] == pytest.approx(0.5, abs=0.06)
    assert set(little) in ({"S0", "S1", "S2", "S3"}, set())


def test_an_unknown_and_a_new_site_keep_their_risk_to_the_last_bit():
    risk = np.array([0.123, 0.456])
    assert (recalibrate_sites(risk, [None, "new"], {"A": 0.5}) == risk).all()
    assert recalibrate_sites(risk, None, {"A": 0.5}) is risk


def test_a_training_takes_them_stores_them_and_scores_with_them(tmp_path):
    cohort = world(12_000)
    codes = np.arange(len(cohort)) % 2
    draw = np.random.default_rng(5)
    flipped = np.where(codes == 1, cohort.dna | (draw.random(len(cohort)) < 0.15), cohort.dna)
    cohort = replace(cohort, dna=flipped, groupings={"site": CohortGroups(("A", "B"), codes)})
    found = train(cohort, config=CONFIG, directions=(1, 1, 0))
    assert found.model.site_shifts["B"] > 0 > found.model.site_shifts["A"]
    stored = save(found.model, tmp_path / "m", provenance=PROVENANCE, specimens=found.specimens)
    matrix = cohort.matrix[:50]
    sites = cohort.sites[:50]
    assert (stored.model.probability(matrix, sites=sites) == found.model.probability(matrix, sites=sites)).all()
    assert (stored.model.probability(matrix, sites=["B"] * 50) > stored.model.probability(matrix)).all()

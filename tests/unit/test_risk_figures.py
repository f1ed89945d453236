"""The figures of a training: drawn from our own SHAP values, the same each time, and of no one patient."""

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from tests.unit.risk_worlds import CONFIG, world
from tests.unit.test_risk_artefact import PROVENANCE

from dnapredict.model.artefact import save
from dnapredict.model.fit.training import Training, train
from dnapredict.model.reasons import contributions
from dnapredict.model.report.model_card import model_card
from dnapredict.model.report.training_charts import chart_files, explanation, mean_strengths
from dnapredict.model.risk_model import SplineLogistic
from dnapredict.model.tree_ensemble import Trees
from dnapredict.registry import Registry

pytestmark = pytest.mark.usefixtures("drawn")

WORTH = CONFIG.worth
TITLES = ("Days between booking and appointment", "Appointments missed & known", "Age")
ALL = (
    "what-moves-the-risk.svg",
    "calibration.svg",
    "precision-recall.svg",
    "reach.svg",
    "net-benefit.svg",
    "share-missed.svg",
)


@pytest.fixture(scope="module")
def trees() -> Training:
    found = train(world(), config=CONFIG, directions=(1, 1, 0))
    assert isinstance(found.model.form, Trees)
    return found


@pytest.fixture(scope="module")
def curves() -> Training:
    found = train(world(together=0), config=CONFIG, directions=(1, 1, 0))
    assert isinstance(found.model.form, SplineLogistic)
    return found


@pytest.fixture(params=["trees", "curves"])
def training(request: pytest.FixtureRequest) -> Training:
    found: Training = request.getfixturevalue(request.param)
    return found


def texts(svg: str) -> set[str]:
    """What a reader can read, once the text is known to be sound SVG."""
    root = ElementTree.fromstring(svg)  # noqa: S314 - our own file
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    return {"".join(node.itertext()).strip() for node in root.iter("{http://www.w3.org/2000/svg}text")}


def test_what_shap_is_given_adds_up_to_the_margin_of_each_row(training):
    given = explanation(training.model, training.sample, titles=TITLES)
    margin = training.model.margin(training.sample)
    np.testing.assert_allclose(given.values.sum(axis=1) + given.base_values, margin, atol=1e-9)
    assert np.ptp(given.base_values) == 0
    assert (given.values == contributions(training.model, training.sample)).all()
    assert given.data is None


def test_each_factor_is_named_once_beside_its_mean_strength(training):
    svg = dict(chart_files(training, titles=TITLES, worth=WORTH))[ALL[0]]
    assert set(TITLES) <= texts(svg)
    assert svg.count(f">{TITLES[0]}<") == 1
    strengths = mean_strengths(training)
    assert strengths is not None
    assert {f"{value:.3f}" for value in strengths} <= texts(svg)


def test_equal_trainings_are_drawn_in_equal_bytes_without_a_date(trees):
    again = train(world(), config=CONFIG, directions=(1, 1, 0))
    figures = dict(chart_files(trees, titles=TITLES, worth=WORTH))
    assert tuple(figures) == ALL
    assert figures == dict(chart_files(again, titles=TITLES, worth=WORTH))
    assert not any("<dc:date>" in svg for svg in figures.values())


def test_the_sample_is_of_the_test_alone_and_no_more_than_2000_rows(trees):
    large = train(world(15_000), config=CONFIG, directions=(1, 1, 0))
    tested = {tuple(row) for row in world().matrix[trees.test_rows]}
    assert len(trees.sample) == trees.test_rows.sum() < 2_000 == len(large.sample)
    assert {tuple(row) for row in trees.sample} <= tested


def test_a_mark_stands_for_a_factor_or_a_bin_and_never_for_a_patient(training):
    """As many marks for a sample of any size: averages are drawn, no appointment is."""
    few = replace(training, sample=training.sample[:150])
    for one, other in zip(
        chart_files(training, titles=TITLES, worth=WORTH), chart_files(few, titles=TITLES, worth=WORTH), strict=True
    ):
        assert one[1].count("<path") == other[1].count("<path") < 100
        assert abs(one[1].count("<use") - other[1].count("<use")) <= 6  # ticks of the axes
        assert one[1].count("<use") < 100


def test_too_few_appointments_have_no_figure_and_no_strengths(trees):
    few = replace(
        trees,
        sample=trees.sample[:99],
        tested=trees.tested.take(np.arange(99)),
        test_probability=trees.test_probability[:99],
        weeks=(),
    )
    assert mean_strengths(few) is None
    assert dict(chart_files(few, titles=TITLES, worth=WORTH)) == {}


def test_a_registered_training_has_its_figures_and_its_card_the_strengths(training, tmp_path):
    stored = save(training.model, tmp_path / "m", provenance=PROVENANCE, specimens=training.specimens)
    run_id = Registry(tmp_path / "home").register(tmp_path / "m", training).run_id
    kept = _artefacts(tmp_path / "home", run_id) / "figures"
    assert {path.name for path in kept.iterdir()} == set(ALL)
    assert set(stored.manifest.factors) <= texts((kept / ALL[0]).read_text())
    strengths = mean_strengths(training)
    assert strengths is not None
    for name, value in zip(stored.manifest.factors, strengths, strict=True):
        assert re.search(rf"\| {name} \| \S+ \| {value:.4f} \|", model_card(training, stored))


def test_no_patients_code_or_row_is_in_a_figure(trees):
    codes = 987_654_321_000 + np.arange(3_000) // 3
    marked = train(world(patient=codes), config=CONFIG, directions=(1, 1, 0))
    assert (marked.sample == trees.sample).all()
    text = "".join(svg for _, svg in chart_files(marked, titles=TITLES, worth=WORTH))
    ages = {repr(float(age)) for age in marked.sample[:, 2]}
    assert "987654321" not in text
    assert not any(age in text for age in ages)


def _artefacts(home: Path, run_id: str) -> Path:
    (found,) = (home / "mlruns").glob(f"{run_id}/artifacts")
    return found

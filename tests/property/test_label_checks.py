"""Rules of the checks of outcomes that hold for any extract: honest ones raise nothing, small numbers stay hidden."""

import datetime
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import betabinom, binom
from tests.examples import examples

from dnapredict.config.fairness_policy import Policy
from dnapredict.config.loading import load, shipped
from dnapredict.config.mapping_config import load_mapping
from dnapredict.config.training_config import Setting, TrainingConfig
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.validation import contract_check
from dnapredict.pipeline.checking import check
from dnapredict.quality.extreme_shares import (
    FALSE_ALARM,
    MissedCounts,
    _beta,
    _lower_tail,
    _upper_tail,
    extreme_groups,
    is_surely_above,
    is_surely_below,
)
from dnapredict.quality.label_checks import label_faults
from dnapredict.quality.report_figures import LabelFault
from dnapredict.synthetic.simulation import simulate

ROOT = Path(__file__).resolve().parents[2]
RULE = load(shipped("fairness/policy.toml"), Policy).disclosure
NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("appointments", "seed"), [(1, 1), (30, 2), (300, 3), (2_000, 4), (2_000, 5), (20_000, 6), (20_000, 7), (60_000, 8)]
)
def test_a_synthetic_board_raises_no_fault(appointments: int, seed: int, tmp_path: Path):
    path = tmp_path / "board.parquet"
    simulate(path, appointments=appointments, seed=seed)
    assert check(path, setting=Setting(), say=lambda _: None).labels == ()


def test_the_vitoria_extract_raises_no_fault():
    extract = ROOT.parent / "shared" / "data" / "vitoria_appointments_2016.csv.gz"
    if not extract.is_file():
        pytest.skip("the Vitória extract is not here; see training/mappings/vitoria.toml")
    setting = Setting(load_mapping(ROOT / "training" / "mappings" / "vitoria.toml"))
    assert check(extract, setting=setting, say=lambda _: None).labels == ()


@given(
    seed=st.integers(0, 2**32 - 1),
    days=st.integers(1, 400),
    size=st.sampled_from([1, 5, 30, 200, 2_000]),
    share=st.floats(0.02, 0.3),
    correlation=st.sampled_from([0.0001, 0.003, 0.01, 0.03]),
)
def test_days_that_differ_no_more_than_elsewhere_in_the_extract_are_hardly_ever_reported(
    seed, days, size, share, correlation
):
    """The stated error is 1 of 1,000 extracts; here at most one day of any example, and see the test below."""
    counts = drawn(np.random.default_rng(seed), days=days, size=size, share=share, correlation=correlation)
    above, below = reported(counts)
    assert above.sum() + below.sum() <= 1


def test_of_4000_honest_extracts_no_more_are_reported_than_the_stated_error():
    draw = np.random.default_rng(20_261_128)
    found = 0
    for number in range(4_000):
        share = float(draw.uniform(0.02, 0.3))
        size = (5, 50, 400)[number % 3]
        counts = drawn(draw, days=120, size=size, share=share, correlation=(0.0005, 0.003)[number % 2])
        above, below = reported(counts)
        found += bool(above.any() or below.any())
    assert not is_surely_above(found, 4_000, FALSE_ALARM, error=0.01)


def drawn(draw: np.random.Generator, *, days: int, size: int, share: float, correlation: float) -> MissedCounts:
    known = draw.poisson(size, days).astype(np.int64)
    total = (1 - correlation) / correlation
    return MissedCounts(known, draw.binomial(known, draw.beta(share * total, (1 - share) * total, days)))


def reported(counts: MissedCounts) -> tuple[np.ndarray, np.ndarray]:
    usual, tests = counts.usual_share, len(counts.known)
    return extreme_groups(counts, usual_share=usual, tests=tests, least_correlation=0.003)


@given(seed=st.integers(0, 2**32 - 1), share=st.floats(0.02, 0.3), size=st.integers(30, 2_000))
def test_a_day_of_30_or_more_that_is_all_missed_is_always_reported(seed, share, size):
    counts = drawn(np.random.default_rng(seed), days=60, size=100, share=share, correlation=0.001)
    known, missed = np.append(counts.known, size), np.append(counts.missed, size)
    above, _ = reported(MissedCounts(known, missed))
    assert above[-1]
    assert above.sum() == 1


# Shares, dates, numbers of days and outcome codes are no counts of people.
NO_COUNT = r"\d+ in 100|\d+ to \d+|\d+ [A-Z][a-z]+ \d{4}|On \d+ days?|\d+ more days?|outcome \d|of \d+ values"


def table(frame: pd.DataFrame) -> pa.Table:
    numbers = pa.array(range(2, len(frame) + 2), pa.int64())
    columns = {name: pa.array(frame[name].tolist(), pa.string(), from_pandas=True) for name in frame}
    return pa.table({"row_number": numbers} | columns)


def faults_of(frame: pd.DataFrame) -> tuple[LabelFault, ...]:
    with Workspace() as workspace:
        checked = contract_check.check(workspace.keep(table(frame)), workspace, source="extract")
        return label_faults(checked, workspace, config=TrainingConfig(), rule=RULE, now=NOW)


def made(seed: int, rows: int, missed: float) -> pd.DataFrame:
    """Appointments of 2025 and early 2026, some of them with an outcome that cannot be known."""
    draw = np.random.default_rng(seed)
    days = pd.Timestamp("2025-10-01") + pd.to_timedelta(draw.integers(0, 120, rows), "D")
    codes = np.where(draw.random(rows) < missed, "3", "5")
    return pd.DataFrame(
        {
            "appointment_id": [f"a{n}" for n in range(rows)],
            "booked_at": (days - pd.to_timedelta(draw.integers(0, 60, rows), "D")).strftime("%Y-%m-%d"),
            "starts_at": days.strftime("%Y-%m-%d"),
            "outcome_code": np.where(draw.random(rows) < 0.1, "0", codes),
            "has_mobile": np.where((codes == "3") & (draw.random(rows) < 0.3), None, "yes"),
        }
    )


@settings(max_examples=examples(15))
@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 600), missed=st.sampled_from([0.0, 0.01, 0.1, 0.6, 1.0]))
def test_no_number_from_1_to_7_is_printed(seed, rows, missed):
    for fault in faults_of(made(seed, rows, missed)):
        counts = re.sub(NO_COUNT, "", fault.found)
        numbers = [int(each.replace(",", "")) for each in re.findall(r"\d[\d,]*", counts)]
        assert [n for n in numbers if 0 < n < 8] == [], fault.found


@settings(max_examples=examples(10))
@given(seed=st.integers(0, 2**32 - 1), shuffle=st.integers(0, 2**32 - 1))
def test_the_order_of_rows_does_not_matter(seed, shuffle):
    frame = made(seed, 500, 0.1)
    assert faults_of(frame) == faults_of(frame.sample(frac=1, random_state=shuffle))


def test_no_value_of_a_patient_is_in_a_sentence():
    marked = "QZXMARKER"
    frame = made(1, 600, 0.1)
    for name in ("clinic_code", "site_code", "lsoa_code", "patient_id", "disability_flag", "plus_group"):
        frame[name] = [f"{marked}{number % 3}" for number in range(len(frame))]
        frame.loc[frame.outcome_code == "3", name] = marked
    faults = faults_of(frame)
    assert {"clinic_code", "site_code", "plus_group"} <= {fault.found.split()[0] for fault in faults}
    assert marked not in " ".join(f"{fault.found} {fault.action}" for fault in faults)


@given(known=st.integers(1, 400), share=st.floats(0.01, 0.9), correlation=st.floats(0.003, 0.5), part=st.floats(0, 1))
def test_the_tails_of_a_day_are_those_of_the_beta_binomial_distribution(known, share, correlation, part):
    missed, shape = round(part * known), _beta(share, correlation)
    expected = betabinom(known, *shape)
    assert _lower_tail(missed, known, shape) == pytest.approx(expected.cdf(missed), rel=1e-6, abs=1e-12)
    assert _upper_tail(missed, known, shape) == pytest.approx(expected.sf(missed - 1), rel=1e-6, abs=1e-9)


@given(total=st.integers(1, 2_000), share=st.floats(0.01, 0.99), part=st.floats(0, 1))
def test_a_share_is_surely_above_only_where_the_binomial_distribution_agrees(total, share, part):
    count = round(part * total)
    if is_surely_above(count, total, share):
        assert binom.sf(count - 1, total, share) <= FALSE_ALARM
    if is_surely_below(count, total, share):
        assert binom.cdf(count, total, share) <= FALSE_ALARM

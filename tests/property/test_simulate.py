"""What holds of any synthetic ICB, whatever its size, seed and world."""

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.examples import examples

from dnapredict.synthetic import simulation
from dnapredict.synthetic.simulation import simulate
from dnapredict.synthetic.worlds import World

worlds = st.sampled_from(["standard", "null", "biased-label", "under-scored:decile=1", "thin-history:core20", "drift"])
boards = st.fixed_dictionaries(
    {"appointments": st.integers(1, 3_000), "seed": st.integers(0, 2**40), "world": worlds.map(World.parse)}
)
few = settings(max_examples=examples(25))


def made(board: dict[str, object]) -> tuple[pa.Table, pa.Table]:
    with tempfile.TemporaryDirectory() as folder:
        out, truth = Path(folder) / "a.parquet", Path(folder) / "t.parquet"
        simulate(out, truth=truth, **board)  # type: ignore[arg-type]
        return pq.read_table(out), pq.read_table(truth)


def true_of_all(values: pa.ChunkedArray) -> bool:
    return pc.all(values, min_count=0).as_py()


@few
@given(boards)
def test_the_same_seed_gives_the_same_files(board: dict[str, object]):
    for first, second in zip(made(board), made(board), strict=True):
        assert first.equals(second, check_metadata=True)


@few
@given(boards)
def test_rows_are_as_many_as_asked_and_keys_are_whole(board: dict[str, object]):
    rows, truth = made(board)
    assert rows.num_rows == truth.num_rows == board["appointments"]
    assert rows["appointment_id"].equals(truth["appointment_id"])
    assert pc.count_distinct(rows["appointment_id"]).as_py() == rows.num_rows
    for key in ("appointment_id", "patient_id", "booked_at", "starts_at"):
        assert rows[key].null_count == 0


@few
@given(boards)
def test_times_come_in_order(board: dict[str, object]):
    rows, _ = made(board)
    assert true_of_all(pc.less_equal(rows["booked_at"], rows["starts_at"]))
    known = rows.filter(pc.field("outcome_code").is_valid())
    assert true_of_all(pc.greater(known["recorded_at"], known["starts_at"]))
    assert rows["recorded_at"].is_valid().equals(rows["outcome_code"].is_valid())


@few
@given(boards)
def test_no_clock_shows_an_hour_that_spring_skips_or_autumn_repeats(board: dict[str, object]):
    rows, _ = made(board)
    for column in ("booked_at", "starts_at", "recorded_at"):
        assert true_of_all(pc.greater_equal(pc.hour(rows[column].drop_null()), 7))


@few
@given(boards)
def test_rows_stand_by_patient_and_then_by_time(board: dict[str, object]):
    rows, _ = made(board)
    order = pc.sort_indices(rows, [("patient_id", "ascending"), ("starts_at", "ascending")])
    assert rows.take(order).select(["patient_id", "starts_at"]).equals(rows.select(["patient_id", "starts_at"]))


@few
@given(boards)
def test_an_area_has_one_decile_and_no_area_has_none(board: dict[str, object]):
    rows, _ = made(board)
    assert rows["lsoa_code"].is_null().equals(rows["imd_decile"].is_null())
    assert rows["lsoa_code"].is_null().equals(rows["distance_km"].is_null())
    pairs = rows.group_by(["lsoa_code", "imd_decile"]).aggregate([])
    assert pc.count_distinct(rows["lsoa_code"], mode="all").as_py() == pairs.num_rows


@few
@given(boards)
def test_risks_are_probabilities_and_errors_only_add(board: dict[str, object]):
    _, truth = made(board)
    risk, recorded = truth["probability"].to_numpy(), truth["recorded_probability"].to_numpy()
    assert ((risk > 0) & (risk < 1)).all()
    assert ((recorded >= risk) & (recorded <= 1)).all()


@few
@given(st.integers(0, 2**40), st.integers(1, 30), st.integers(1, 2_000))
def test_blocks_join_without_a_seam(seed: int, blocks: int, appointments: int):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulation, "_BLOCK", -(-appointments // blocks))
        rows, _ = made({"appointments": appointments, "seed": seed})
    assert rows.num_rows == appointments
    number = pc.cast(pc.utf8_slice_codeunits(rows["appointment_id"], 4, 20), pa.int64()).to_numpy()
    np.testing.assert_array_equal(number, np.arange(1, appointments + 1))
    patient = pc.cast(pc.utf8_slice_codeunits(rows["patient_id"], 5, 20), pa.int64()).to_numpy()
    assert patient[0] == 1
    assert set(np.unique(np.diff(patient))) <= {0, 1}


def test_another_seed_gives_another_board():
    first, _ = made({"appointments": 500, "seed": 1})
    second, _ = made({"appointments": 500, "seed": 2})
    assert not first["starts_at"].equals(second["starts_at"])
